//! The rows of a table that a batch changes, one a stream or a thing in it: loaded once, changed entry by entry, written once.

use std::collections::HashMap;

use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::error::FoldError;
use crate::projector::DecodedEntry;
use crate::rows::{RowWriter, Value, load};

/// A row that is read again when more happens to what it is about.
pub(crate) trait KeptRow: Sized {
    /// How rows are written.
    const WRITER: RowWriter;
    /// The column that tells the rows of a ledger apart.
    const ID: &'static str;

    /// What that column holds.
    fn id(&self) -> &str;

    /// Position of the entry that began it.
    fn first_position(&self) -> u64;

    /// The row as it was written.
    fn read(row: &AnyRow) -> Result<Self, FoldError>;

    /// One value a column, in the writer's order.
    fn values<'a>(&'a self, ledger_id: &'a str) -> Result<Vec<Value<'a>>, FoldError>;
}

/// The rows by their ids.
pub(crate) struct Kept<R>(HashMap<String, R>);

impl<R: KeptRow> Kept<R> {
    /// The rows of `ids`, as far as there are any.
    pub async fn load(
        connection: &mut AnyConnection,
        table: &str,
        ledger_id: &str,
        ids: &[&str],
    ) -> Result<Self, FoldError> {
        let rows = load(connection, table, R::WRITER.columns, R::ID, ledger_id, ids).await?;
        let mut kept = Self(HashMap::with_capacity(rows.len()));
        for row in &rows {
            kept.insert(R::read(row)?);
        }
        Ok(kept)
    }

    /// The rows of those streams of one type in the batch that began before it.
    pub async fn of_streams(
        connection: &mut AnyConnection,
        table: &str,
        ledger_id: &str,
        batch: &[DecodedEntry],
        stream_type: &str,
    ) -> Result<Self, FoldError> {
        Self::load(connection, table, ledger_id, &known_before(batch, stream_type)).await
    }

    /// One more, or another in the place of the one with its id.
    pub fn insert(&mut self, row: R) {
        self.0.insert(row.id().to_owned(), row);
    }

    /// The row of this id. Without one, what began it was pruned: there is nothing to show that could change.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut R> {
        self.0.get_mut(id)
    }

    /// Writes all of them. In position order neighbouring rows share index pages, and the same batch always writes the same
    /// way.
    pub async fn write(&self, connection: &mut AnyConnection, table: &str, ledger_id: &str) -> Result<(), FoldError> {
        let mut rows: Vec<&R> = self.0.values().collect();
        rows.sort_unstable_by_key(|row| row.first_position());
        let values = rows.into_iter().map(|row| row.values(ledger_id)).collect::<Result<Vec<_>, _>>()?;
        R::WRITER.write(connection, table, &values).await
    }
}

/// The streams of one type in the batch that began before it, each once.
pub(crate) fn known_before<'b>(batch: &'b [DecodedEntry], stream_type: &str) -> Vec<&'b str> {
    let mut first_versions = HashMap::with_capacity(batch.len());
    for DecodedEntry { entry, .. } in batch.iter().filter(|item| item.entry.stream.stream_type == stream_type) {
        first_versions.entry(entry.stream.stream_id.as_str()).or_insert(entry.version);
    }
    let mut known: Vec<&str> =
        first_versions.into_iter().filter_map(|(id, version)| (version > 1).then_some(id)).collect();
    known.sort_unstable();
    known
}
