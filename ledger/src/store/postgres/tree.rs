//! Tiles and checkpoints in PostgreSQL.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::ENTRY_COLUMNS;
use super::rows::{hash, read_entry};
use crate::entry::{Entry, Hash, LedgerId};
use crate::store::{StoreError, StoredCheckpoint, bounded, signed, unsigned};
use crate::tiles::{self, Tile};

/// The leaf hashes of the incomplete lowest tile, from its entries.
pub(super) async fn read_edge(
    connection: &mut PgConnection,
    ledger: &LedgerId,
    size: u64,
) -> Result<Vec<Hash>, StoreError> {
    let rows = sqlx::query(&format!(
        "select {ENTRY_COLUMNS} from ledger_entries where ledger_id = $1 and position >= $2 and position < $3 \
         order by position"
    ))
    .bind(ledger.as_str())
    .bind(signed(tiles::edge_start(size)))
    .bind(signed(size))
    .fetch_all(connection)
    .await?;
    let entries: Vec<Entry> = rows.iter().map(read_entry).collect::<Result<_, _>>()?;
    Ok(tiles::leaves_of(&entries))
}

pub(super) async fn add(connection: &mut PgConnection, ledger: &LedgerId, tiles: &[Tile]) -> Result<(), StoreError> {
    sqlx::query(
        "insert into ledger_tiles (ledger_id, level, tile, root, hashes) \
         select $1, * from unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[]) \
         on conflict (ledger_id, level, tile) do update set root = excluded.root, hashes = excluded.hashes",
    )
    .bind(ledger.as_str())
    .bind(tiles.iter().map(|tile| i64::from(tile.level)).collect::<Vec<_>>())
    .bind(tiles.iter().map(|tile| signed(tile.index)).collect::<Vec<_>>())
    .bind(tiles.iter().map(|tile| &tile.root.0[..]).collect::<Vec<_>>())
    .bind(tiles.iter().map(Tile::to_bytes).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn read(
    connection: &mut PgConnection,
    ledger: &LedgerId,
    level: u8,
    from: u64,
    limit: usize,
) -> Result<Vec<Tile>, StoreError> {
    let rows = sqlx::query(
        "select tile, root, hashes from ledger_tiles where ledger_id = $1 and level = $2 and tile >= $3 \
         order by tile limit $4",
    )
    .bind(ledger.as_str())
    .bind(i64::from(level))
    .bind(signed(from))
    .bind(bounded(limit))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let bytes: &[u8] = row.try_get(2)?;
            Tile::from_columns(level, unsigned(row.try_get(0)?), hash(row, 1)?, bytes)
                .map_err(|error| StoreError::Corrupt { position: -1, why: error.to_string() })
        })
        .collect()
}

pub(super) async fn read_roots(
    connection: &mut PgConnection,
    ledger: &LedgerId,
    level: u8,
    from: u64,
    limit: usize,
) -> Result<Vec<Hash>, StoreError> {
    let rows = sqlx::query(
        "select root from ledger_tiles where ledger_id = $1 and level = $2 and tile >= $3 order by tile limit $4",
    )
    .bind(ledger.as_str())
    .bind(i64::from(level))
    .bind(signed(from))
    .bind(bounded(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| hash(row, 0)).collect()
}

pub(super) async fn save_checkpoint(
    connection: &mut PgConnection,
    ledger: &LedgerId,
    checkpoint: &StoredCheckpoint,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into ledger_checkpoints (ledger_id, size, root, note, signed_at) values ($1, $2, $3, $4, $5) \
         on conflict (ledger_id, size) do update set root = excluded.root, note = excluded.note, \
         signed_at = excluded.signed_at",
    )
    .bind(ledger.as_str())
    .bind(signed(checkpoint.size))
    .bind(&checkpoint.root.0[..])
    .bind(&checkpoint.note)
    .bind(checkpoint.signed_at)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn latest_checkpoint(
    connection: &mut PgConnection,
    ledger: &LedgerId,
) -> Result<Option<StoredCheckpoint>, StoreError> {
    let row = sqlx::query(
        "select size, root, note, signed_at from ledger_checkpoints where ledger_id = $1 order by size desc limit 1",
    )
    .bind(ledger.as_str())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(read_checkpoint).transpose()
}

pub(super) async fn checkpoints(
    connection: &mut PgConnection,
    ledger: &LedgerId,
    from_size: u64,
    limit: usize,
) -> Result<Vec<StoredCheckpoint>, StoreError> {
    let rows = sqlx::query(
        "select size, root, note, signed_at from ledger_checkpoints where ledger_id = $1 and size >= $2 \
         order by size limit $3",
    )
    .bind(ledger.as_str())
    .bind(signed(from_size))
    .bind(bounded(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_checkpoint).collect()
}

fn read_checkpoint(row: &PgRow) -> Result<StoredCheckpoint, StoreError> {
    Ok(StoredCheckpoint {
        size: unsigned(row.try_get(0)?),
        root: hash(row, 1)?,
        note: row.try_get(2)?,
        signed_at: row.try_get(3)?,
    })
}
