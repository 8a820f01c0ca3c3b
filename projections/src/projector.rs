//! What a projector is: a pure fold of entries into tables of its own.

use async_trait::async_trait;
use daybook_domain::AnyEvent;
use daybook_ledger::entry::Entry;
use sqlx::AnyConnection;

use crate::error::{EngineError, FoldError};

/// One read table of a projector.
#[derive(Debug, Clone, Copy)]
pub struct TableDefinition {
    /// The name that queries use.
    pub name: &'static str,
    /// Statements that create it and its indexes, with `{table}` for the physical name.
    pub ddl: &'static str,
}

/// What a projector wants of the streams of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Their events; one that cannot be understood stops the projector.
    Decoded,
    /// Their entries as they are.
    Raw,
    /// Nothing.
    Ignored,
}

/// An entry with what it means.
#[derive(Debug, Clone)]
pub struct DecodedEntry {
    /// The entry.
    pub entry: Entry,
    /// Its event. `None` where the projector wants the entry as it is, and where the payload was pruned.
    pub event: Option<AnyEvent>,
}

/// The physical tables that a batch is folded into: the live ones, or those of a rebuild.
#[derive(Debug, Clone)]
pub struct TableNames {
    generation: Option<u64>,
}

impl TableNames {
    /// The tables that queries read.
    pub fn live() -> Self {
        Self { generation: None }
    }

    /// The tables of a rebuild.
    pub fn beside(generation: u64) -> Self {
        Self { generation: Some(generation) }
    }

    /// The physical name of `table`.
    pub fn of(&self, table: &str) -> String {
        match self.generation {
            None => table.to_owned(),
            Some(generation) => format!("{table}_g{generation}"),
        }
    }
}

/// Folds entries into read tables. It sees nothing but entries and its own tables: no clock, no other projector's
/// tables, no network. The same entries give the same rows, however they are cut into batches.
#[async_trait]
pub trait Projector: Send + Sync + 'static {
    /// Its name, for ever: bookkeeping is kept under it.
    fn name(&self) -> &'static str;

    /// Raised whenever the fold or a table changes; tables of another version are rebuilt at start.
    fn version(&self) -> u32;

    /// Its tables.
    fn tables(&self) -> &'static [TableDefinition];

    /// What it wants of streams of this type.
    fn interest(&self, stream_type: &str) -> Interest;

    /// Folds entries of one ledger, in position order, without those it ignores. The engine commits.
    async fn fold(
        &self,
        connection: &mut AnyConnection,
        tables: &TableNames,
        ledger_id: &str,
        batch: &[DecodedEntry],
    ) -> Result<(), FoldError>;
}

/// A page of the ledger, made ready for one projector.
pub(crate) struct Prepared {
    /// What is to be folded.
    pub batch: Vec<DecodedEntry>,
    /// Position after the last entry that was understood, ignored ones included.
    pub end: u64,
    /// Why the page ends before its last entry.
    pub stopped_by: Option<EngineError>,
}

/// Decodes what the projector consumes, up to the first entry that cannot be understood.
pub(crate) fn prepare(projector: &dyn Projector, page: Vec<Entry>, from: u64) -> Prepared {
    let mut prepared = Prepared { batch: Vec::with_capacity(page.len()), end: from, stopped_by: None };
    for entry in page {
        let position = entry.position;
        let event = match (projector.interest(&entry.stream.stream_type), &entry.payload) {
            (Interest::Ignored, _) => {
                prepared.end = position + 1;
                continue;
            }
            (Interest::Raw, _) | (Interest::Decoded, None) => None,
            (Interest::Decoded, Some(payload)) => {
                match daybook_domain::decode(
                    &entry.stream.stream_type,
                    &entry.event_type,
                    entry.schema_version,
                    payload,
                ) {
                    Ok(event) => Some(event),
                    Err(error) => {
                        prepared.stopped_by = Some(EngineError::undecodable(&entry, &error));
                        return prepared;
                    }
                }
            }
        };
        prepared.batch.push(DecodedEntry { entry, event });
        prepared.end = position + 1;
    }
    prepared
}
