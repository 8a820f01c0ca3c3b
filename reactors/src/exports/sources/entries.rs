//! The ledger's entries, as they are stored.

use daybook_exports::kinds::ColumnDeclaration;
use daybook_exports::{Cell, Row};
use daybook_ledger::{Entry, LedgerReader};

use super::{Filters, Pages, Reading, ReadingError};

/// Entries read at once.
const PAGE: u64 = 1_000;

/// Begins to read the first `size` entries.
pub(super) fn open(
    reader: &LedgerReader,
    columns: Vec<&'static ColumnDeclaration>,
    filters: Filters,
    size: u64,
) -> Result<Reading, ReadingError> {
    let reader = reader.clone();
    Reading::begin(&columns.clone(), size, |pages| read(reader, columns, filters, size, pages))
}

async fn read(
    reader: LedgerReader,
    columns: Vec<&'static ColumnDeclaration>,
    filters: Filters,
    size: u64,
    pages: Pages,
) -> Result<(), ReadingError> {
    let position = |name: &str| filters.number(name).and_then(|number| u64::try_from(number).ok());
    let end = position("to_position").map_or(size, |last| size.min(last.saturating_add(1)));
    let mut next = position("from_position").unwrap_or(0);
    while next < end {
        let wanted = usize::try_from((end - next).min(PAGE)).unwrap_or(1);
        let entries = reader.entries(next, wanted).await?;
        // Fewer than wanted may come, but none is left out and the end is not before the end.
        if entries.is_empty() {
            return Err(ReadingError::Missing(next));
        }
        for entry in &entries {
            if entry.position != next {
                return Err(ReadingError::Missing(next));
            }
            next += 1;
        }
        let rows: Vec<Row> =
            entries.into_iter().filter(|entry| matches(entry, &filters)).map(|entry| row(&entry, &columns)).collect();
        if !rows.is_empty() && pages.send(Ok(rows)).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn matches(entry: &Entry, filters: &Filters) -> bool {
    let is = |name: &str, value: &str| filters.text(name).is_none_or(|wanted| wanted == value);
    is("stream_type", &entry.stream.stream_type)
        && is("stream_id", &entry.stream.stream_id)
        && is("event_type", &entry.event_type)
        && is("actor_id", &entry.actor.id)
        && filters.is_within(entry.recorded_at)
}

fn row(entry: &Entry, columns: &[&'static ColumnDeclaration]) -> Row {
    let number = |number: u64| Cell::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let cell = |name: &str| match name {
        "position" => number(entry.position),
        "event_id" => Cell::Text(entry.event_id.to_string()),
        "stream_type" => Cell::Text(entry.stream.stream_type.clone()),
        "stream_id" => Cell::Text(entry.stream.stream_id.clone()),
        "version" => number(entry.version),
        "event_type" => Cell::Text(entry.event_type.clone()),
        "schema_version" => number(entry.schema_version),
        "recorded_at" => Cell::Time(entry.recorded_at),
        "actor_kind" => Cell::Text(entry.actor.kind.as_str().to_owned()),
        "actor_id" => Cell::Text(entry.actor.id.clone()),
        "metadata" => Cell::Text(entry.metadata.clone()),
        // Null where it was removed; its digest stays.
        "payload" => entry.payload.clone().map_or(Cell::Null, Cell::Text),
        "payload_digest" => Cell::Text(entry.payload_digest.to_string()),
        "previous_hash" => Cell::Text(entry.previous_hash.to_string()),
        "hash" => Cell::Text(entry.hash.to_string()),
        _ => Cell::Null,
    };
    columns.iter().map(|column| cell(column.source)).collect()
}
