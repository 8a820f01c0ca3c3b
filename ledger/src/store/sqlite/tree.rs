//! Tiles and checkpoints in the SQLite file.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::rows::{collect, hash};
use super::{ENTRY_COLUMNS, StoreError, bounded, signed, unsigned};
use crate::append::Placement;
use crate::entry::{Hash, LedgerId};
use crate::store::StoredCheckpoint;
use crate::tiles::{self, Edges, Tile};

/// Writes the tiles that a batch completes, in the batch's own transaction.
pub(super) fn write_completed(
    transaction: &Transaction<'_>,
    edges: &mut Edges,
    before: u64,
    placement: &Placement,
) -> Result<(), StoreError> {
    let (ledger, after) = (&placement.head.ledger_id, placement.head.size);
    if !tiles::completes(before, after) {
        return Ok(());
    }
    if edges.at(ledger, before).is_none() {
        let leaves = read_edge(transaction, ledger, before)?;
        edges.set(ledger, before, leaves);
    }
    let stored = tiles::missing(before, after)
        .into_iter()
        .map(|wanted| read_roots(transaction, ledger, wanted.level, wanted.from, wanted.count))
        .collect::<Result<Vec<_>, _>>()?;
    let edge = edges.at(ledger, before).unwrap_or_default();
    write(transaction, ledger, &tiles::complete(before, edge, &placement.leaves, stored))
}

/// The leaf hashes of the incomplete lowest tile, from its entries.
fn read_edge(connection: &Connection, ledger: &LedgerId, size: u64) -> Result<Vec<Hash>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "select {ENTRY_COLUMNS} from ledger_entries where ledger_id = ?1 and position >= ?2 and position < ?3 \
         order by position"
    ))?;
    let rows = statement.query(params![ledger.as_str(), signed(tiles::edge_start(size)), signed(size)])?;
    Ok(tiles::leaves_of(&collect(rows)?))
}

pub(super) fn write(connection: &Connection, ledger: &LedgerId, tiles: &[Tile]) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached(
        "insert into ledger_tiles (ledger_id, level, tile, root, hashes) values (?1, ?2, ?3, ?4, ?5) \
         on conflict (ledger_id, level, tile) do update set root = excluded.root, hashes = excluded.hashes",
    )?;
    for tile in tiles {
        insert.execute(params![ledger.as_str(), tile.level, signed(tile.index), tile.root.0, tile.to_bytes()])?;
    }
    Ok(())
}

pub(super) fn read(
    connection: &Connection,
    ledger: &LedgerId,
    level: u8,
    from: u64,
    limit: usize,
) -> Result<Vec<Tile>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select tile, root, hashes from ledger_tiles where ledger_id = ?1 and level = ?2 and tile >= ?3 \
         order by tile limit ?4",
    )?;
    let mut rows = statement.query(params![ledger.as_str(), level, signed(from), bounded(limit)])?;
    let mut tiles = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(2)?.as_blob().map_err(|error| corrupt(&error))?;
        let tile = Tile::from_columns(level, unsigned(row.get(0)?), hash(row, 1, -1)?, bytes);
        tiles.push(tile.map_err(|error| corrupt(&error))?);
    }
    Ok(tiles)
}

pub(super) fn read_roots(
    connection: &Connection,
    ledger: &LedgerId,
    level: u8,
    from: u64,
    limit: usize,
) -> Result<Vec<Hash>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select root from ledger_tiles where ledger_id = ?1 and level = ?2 and tile >= ?3 order by tile limit ?4",
    )?;
    let mut rows = statement.query(params![ledger.as_str(), level, signed(from), bounded(limit)])?;
    let mut roots = Vec::new();
    while let Some(row) = rows.next()? {
        roots.push(hash(row, 0, -1)?);
    }
    Ok(roots)
}

pub(super) fn save_checkpoint(
    connection: &Connection,
    ledger: &LedgerId,
    checkpoint: &StoredCheckpoint,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "insert into ledger_checkpoints (ledger_id, size, root, note, signed_at) values (?1, ?2, ?3, ?4, ?5) \
             on conflict (ledger_id, size) do update set root = excluded.root, note = excluded.note, \
             signed_at = excluded.signed_at",
        )?
        .execute(params![
            ledger.as_str(),
            signed(checkpoint.size),
            checkpoint.root.0,
            checkpoint.note,
            checkpoint.signed_at
        ])?;
    Ok(())
}

pub(super) fn latest_checkpoint(
    connection: &Connection,
    ledger: &LedgerId,
) -> Result<Option<StoredCheckpoint>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select size, root, note, signed_at from ledger_checkpoints where ledger_id = ?1 order by size desc limit 1",
    )?;
    let found = statement.query_row(params![ledger.as_str()], |row| Ok(read_checkpoint(row))).optional()?;
    found.transpose()
}

pub(super) fn checkpoints(
    connection: &Connection,
    ledger: &LedgerId,
    from_size: u64,
    limit: usize,
) -> Result<Vec<StoredCheckpoint>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select size, root, note, signed_at from ledger_checkpoints where ledger_id = ?1 and size >= ?2 \
         order by size limit ?3",
    )?;
    let mut rows = statement.query(params![ledger.as_str(), signed(from_size), bounded(limit)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read_checkpoint(row)?);
    }
    Ok(found)
}

fn read_checkpoint(row: &Row<'_>) -> Result<StoredCheckpoint, StoreError> {
    Ok(StoredCheckpoint {
        size: unsigned(row.get(0)?),
        root: hash(row, 1, -1)?,
        note: row.get(2)?,
        signed_at: row.get(3)?,
    })
}

/// A tile is of no entry in particular.
fn corrupt(error: &dyn std::error::Error) -> StoreError {
    StoreError::Corrupt { position: -1, why: error.to_string() }
}
