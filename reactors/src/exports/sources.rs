//! Where the rows of an export come from: the read tables within one snapshot, the ledger's entries, the directory.
//!
//! Every source knows exactly which entries its rows take into account, and reads ahead by a page or two, so that reading and
//! writing overlap and a million rows take no more memory than a few thousand.

mod conditions;
mod entries;
mod table;
mod users;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daybook_domain::export::{ExportKind, Requested};
use daybook_exports::kinds::{self, ColumnDeclaration, FilterValue, InvalidQuery};
use daybook_exports::{Column, Row, RowSource, Schema, SchemaError, Snapshot, SourceError};
use daybook_identity::directory::Directory;
use daybook_identity::personal::PersonalData;
use daybook_ledger::sequencer::Clock;
use daybook_ledger::{LedgerReader, StoreError};
use daybook_read_models::{ReadDb, ReadError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Pages that are read ahead.
const PAGES_AHEAD: usize = 2;
/// How long a projector, or the directory, may take to reach the entry that an export has to take into account.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    /// What was asked for is not there any more.
    #[error(transparent)]
    Query(#[from] InvalidQuery),
    /// There are no columns that make a table.
    #[error(transparent)]
    Columns(#[from] SchemaError),
    /// The read tables cannot be read.
    #[error(transparent)]
    Database(#[from] ReadError),
    /// The ledger cannot be read.
    #[error("the ledger cannot be read: {0}")]
    Ledger(#[from] StoreError),
    /// An entry that the export has to take into account is not there.
    #[error("the ledger does not give the entry {0}, which the export needs")]
    Missing(u64),
    /// Names and addresses cannot be opened.
    #[error("sealed texts cannot be opened: {0}")]
    Vault(#[from] daybook_identity::vault::VaultError),
    /// What is read from stays behind the ledger.
    #[error("{reader} has taken {seen} entries into account, and the export needs {needed}")]
    Behind {
        /// The projector, or `the directory`.
        reader: &'static str,
        /// How many it has taken into account.
        seen: u64,
        /// How many are needed.
        needed: u64,
    },
}

impl From<ReadingError> for SourceError {
    fn from(error: ReadingError) -> Self {
        let detail = error.to_string();
        match error {
            ReadingError::Query(_) | ReadingError::Columns(_) => Self::permanent(detail),
            _ => Self::temporary(detail),
        }
    }
}

impl From<sqlx::Error> for ReadingError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// All that can be exported of one organisation. Cheap to clone.
#[derive(Clone)]
pub struct Sources {
    reader: LedgerReader,
    database: ReadDb,
    pub(super) directory: Directory,
    pub(super) personal: PersonalData,
    clock: Clock,
    patience: Duration,
}

impl Sources {
    /// Of `reader`'s ledger, whose read tables are in `database`.
    pub fn new(reader: LedgerReader, database: ReadDb, directory: Directory, personal: PersonalData) -> Self {
        let clock: Clock = Arc::new(|| chrono::Utc::now().timestamp_micros());
        Self { reader, database, directory, personal, clock, patience: PATIENCE }
    }

    /// With another clock than the machine's.
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// With another time that projectors are waited for.
    pub fn waiting_at_most(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Begins to read what was asked for. At least the first `size` entries are taken into account; projectors that are
    /// behind are waited for.
    pub async fn open(&self, request: &Requested, size: u64) -> Result<Reading, ReadingError> {
        let columns = kinds::columns(request.kind, &request.columns)?;
        let filters = Filters::of(request)?;
        match request.kind {
            ExportKind::Entries => entries::open(&self.reader, columns, filters, size),
            ExportKind::Users => users::open(self, columns, filters, size).await,
            _ => table::open(self, request.kind, columns, filters, size).await,
        }
    }
}

/// The filters of an export, read.
#[derive(Debug, Clone, Default)]
struct Filters {
    values: BTreeMap<String, FilterValue>,
}

impl Filters {
    fn of(request: &Requested) -> Result<Self, InvalidQuery> {
        // They were checked when they were asked for; a program of another version may have done it.
        let recorded = kinds::filters(request.kind, &request.filters)?;
        let declared = kinds::declaration(request.kind).filters;
        let mut values = BTreeMap::new();
        for (name, text) in recorded {
            let Some(filter) = declared.iter().find(|filter| filter.name == name) else { continue };
            let value = kinds::value_of(filter.kind, &text)
                .map_err(|why| InvalidQuery { field: format!("filters.{name}"), why })?;
            values.insert(name, value);
        }
        Ok(Self { values })
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(FilterValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn boolean(&self, name: &str) -> Option<bool> {
        match self.values.get(name) {
            Some(FilterValue::Boolean(value)) => Some(*value),
            _ => None,
        }
    }

    /// A whole number, or a time in microseconds.
    fn number(&self, name: &str) -> Option<i64> {
        match self.values.get(name) {
            Some(FilterValue::Integer(number) | FilterValue::Time(number)) => Some(*number),
            _ => None,
        }
    }

    fn is_within(&self, time: i64) -> bool {
        self.number("start").is_none_or(|start| time >= start) && self.number("end").is_none_or(|end| time <= end)
    }
}

/// An export's rows as they are read. Reading ends where this is dropped.
pub struct Reading {
    schema: Schema,
    position: u64,
    pages: mpsc::Receiver<Result<Vec<Row>, ReadingError>>,
    /// Keeps the reader going, and ends it.
    _reader: JoinSet<()>,
}

type Pages = mpsc::Sender<Result<Vec<Row>, ReadingError>>;

impl Reading {
    /// Lets `read` send pages. What it fails with comes after the pages that it has sent.
    fn begin<F>(
        columns: &[&'static ColumnDeclaration],
        position: u64,
        read: impl FnOnce(Pages) -> F,
    ) -> Result<Self, ReadingError>
    where
        F: Future<Output = Result<(), ReadingError>> + Send + 'static,
    {
        let schema = schema(columns)?;
        let (sender, pages) = mpsc::channel(PAGES_AHEAD);
        let read = read(sender.clone());
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            if let Err(error) = read.await {
                // Nobody listens where the export was given up.
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(Self { schema, position, pages, _reader: reader })
    }

    /// How many entries of the ledger the rows take into account.
    pub fn position(&self) -> u64 {
        self.position
    }
}

#[async_trait]
impl RowSource for Reading {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn next(&mut self) -> Result<Option<Vec<Row>>, SourceError> {
        self.pages.recv().await.transpose().map_err(SourceError::from)
    }

    async fn read_state(&mut self) -> Result<Snapshot, SourceError> {
        Ok(Snapshot { position: self.position })
    }
}

fn schema(columns: &[&'static ColumnDeclaration]) -> Result<Schema, SchemaError> {
    Schema::new(columns.iter().map(|column| Column::new(column.name, column.kind)).collect())
}
