//! Rows of the SQLite store back into entries. A row that is not what the format allows is an error that names its position.

use rusqlite::Row;
use rusqlite::types::ValueRef;
use uuid::Uuid;

use crate::entry::{Actor, Entry, Hash, InvalidValue, StreamKey};
use crate::store::StoreError;

pub(super) fn collect(mut rows: rusqlite::Rows<'_>) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(read_entry(row)?);
    }
    Ok(entries)
}

pub(super) fn read_entry(row: &Row<'_>) -> Result<Entry, StoreError> {
    let position: i64 = row.get(1)?;
    let corrupt = |why: String| StoreError::Corrupt { position, why };
    let get_text = |index: usize| -> Result<String, StoreError> {
        row.get_ref(index)?.as_str().map(str::to_owned).map_err(|error| corrupt(format!("column {index}: {error}")))
    };
    let get_number = |index: usize| -> Result<u64, StoreError> {
        let value: i64 = row.get(index).map_err(|error| corrupt(error.to_string()))?;
        u64::try_from(value).map_err(|_| corrupt(format!("column {index} is negative")))
    };
    let get_json = |index: usize| -> Result<Option<String>, StoreError> {
        match row.get_ref(index)? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) | ValueRef::Text(bytes) => {
                String::from_utf8(bytes.to_vec()).map(Some).map_err(|error| corrupt(error.to_string()))
            }
            _ => Err(corrupt(format!("column {index} is not bytes"))),
        }
    };
    let event_id: [u8; 16] = row.get(2).map_err(|error| corrupt(error.to_string()))?;
    Ok(Entry {
        ledger_id: get_text(0)?.parse().map_err(|error: InvalidValue| corrupt(error.to_string()))?,
        position: u64::try_from(position).map_err(|_| corrupt("position is negative".to_owned()))?,
        event_id: Uuid::from_bytes(event_id),
        stream: StreamKey { stream_type: get_text(3)?, stream_id: get_text(4)? },
        version: get_number(5)?,
        event_type: get_text(6)?,
        schema_version: get_number(7)?,
        recorded_at: row.get(8).map_err(|error| corrupt(error.to_string()))?,
        actor: Actor {
            kind: get_text(9)?.parse().map_err(|error: InvalidValue| corrupt(error.to_string()))?,
            id: get_text(10)?,
        },
        metadata: get_json(11)?.ok_or_else(|| corrupt("metadata is null".to_owned()))?,
        payload: get_json(12)?,
        payload_digest: hash(row, 13, position)?,
        previous_hash: hash(row, 14, position)?,
        hash: hash(row, 15, position)?,
    })
}

pub(super) fn hash(row: &Row<'_>, index: usize, position: i64) -> Result<Hash, StoreError> {
    let corrupt = |why: String| StoreError::Corrupt { position, why };
    let bytes = row.get_ref(index)?.as_blob().map_err(|error| corrupt(error.to_string()))?;
    Hash::from_slice(bytes).map_err(|error| corrupt(error.to_string()))
}
