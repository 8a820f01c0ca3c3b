//! Rows of the PostgreSQL store back into entries, heads and command records.

use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::append::{Appended, CommandRecord};
use crate::entry::{Actor, Entry, Hash, Head, InvalidValue, LedgerId, Receipt, StreamKey};
use crate::merkle::Frontier;
use crate::store::{StoreError, unsigned};

pub(super) fn read_command(ledger: &LedgerId, row: &PgRow) -> Result<(String, CommandRecord), StoreError> {
    let record = CommandRecord {
        digest: hash(row, 1)?,
        stream: StreamKey { stream_type: row.try_get(2)?, stream_id: row.try_get(3)? },
        appended: Appended {
            first_position: unsigned(row.try_get(4)?),
            version: unsigned(row.try_get(6)?),
            receipt: Receipt { ledger_id: ledger.clone(), position: unsigned(row.try_get(5)?), hash: hash(row, 7)? },
            recorded_at: row.try_get(8)?,
            replayed: true,
        },
    };
    Ok((row.try_get(0)?, record))
}

pub(super) fn read_head(ledger: &LedgerId, row: &PgRow) -> Result<Head, StoreError> {
    let size = unsigned(row.try_get(0)?);
    let frontier: &[u8] = row.try_get(3)?;
    Ok(Head {
        ledger_id: ledger.clone(),
        size,
        hash: hash(row, 1)?,
        root: hash(row, 2)?,
        frontier: Frontier::from_bytes(size, frontier)
            .map_err(|error| StoreError::Corrupt { position: -1, why: error.to_string() })?,
        recorded_at: row.try_get(4)?,
    })
}

pub(super) fn read_entry(row: &PgRow) -> Result<Entry, StoreError> {
    let position: i64 = row.try_get(1)?;
    let corrupt = |why: String| StoreError::Corrupt { position, why };
    let invalid = |error: InvalidValue| StoreError::Corrupt { position, why: error.to_string() };
    let number = |index: usize| -> Result<u64, StoreError> {
        u64::try_from(row.try_get::<i64, _>(index)?).map_err(|_| corrupt(format!("column {index} is negative")))
    };
    let json = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|error| corrupt(error.to_string()));
    let digest = |index: usize| -> Result<Hash, StoreError> {
        Hash::from_slice(row.try_get::<&[u8], _>(index)?).map_err(invalid)
    };
    Ok(Entry {
        ledger_id: row.try_get::<&str, _>(0)?.parse().map_err(invalid)?,
        position: number(1)?,
        event_id: row.try_get(2)?,
        stream: StreamKey { stream_type: row.try_get(3)?, stream_id: row.try_get(4)? },
        version: number(5)?,
        event_type: row.try_get(6)?,
        schema_version: number(7)?,
        recorded_at: row.try_get(8)?,
        actor: Actor { kind: row.try_get::<&str, _>(9)?.parse().map_err(invalid)?, id: row.try_get(10)? },
        metadata: json(row.try_get(11)?)?,
        payload: row.try_get::<Option<Vec<u8>>, _>(12)?.map(json).transpose()?,
        payload_digest: digest(13)?,
        previous_hash: digest(14)?,
        hash: digest(15)?,
    })
}

pub(super) fn hash(row: &PgRow, index: usize) -> Result<Hash, StoreError> {
    Hash::from_slice(row.try_get::<&[u8], _>(index)?)
        .map_err(|error| StoreError::Corrupt { position: -1, why: error.to_string() })
}
