//! What a ledger file keeps beside the entries of a ledger: tiles and checkpoints.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};

use super::cells;
use crate::cell::Cell;
use crate::report::FindingKind;
use crate::source::{Progress, SourceError};
use crate::stored_tiles::{KEPT_CHECKPOINTS, stored_checkpoint};
use crate::walk::Walk;

/// A ledger id as its stored bytes, which need not be UTF-8.
struct Id<'a>(&'a [u8]);

impl ToSql for Id<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// Reads what lies beside the ledger whose entries were read last, if there is one.
pub(super) fn read<P: FnMut(Progress) -> bool>(
    connection: &Connection,
    has_tiles: bool,
    has_checkpoints: bool,
    walk: &mut Walk<P>,
) -> Result<(), SourceError> {
    let Some(ledger) = walk.current_id() else { return Ok(()) };
    if has_tiles {
        let mut statement = connection.prepare_cached(
            "select level, tile, root, hashes from ledger_tiles where ledger_id = ?1 \
             order by level collate binary, tile collate binary",
        )?;
        let mut rows = statement.query([Id(&ledger)])?;
        while let Some(row) = rows.next()? {
            if walk.tile(&cells(row)?)? {
                walk.send_tiles_blocking()?;
            }
        }
        walk.send_tiles_blocking()?;
    }
    if has_checkpoints {
        let total: i64 = connection
            .prepare_cached("select count(*) from ledger_checkpoints where ledger_id = ?1")?
            .query_row([Id(&ledger)], |row| row.get(0))?;
        let mut statement = connection.prepare_cached(&format!(
            "select size, note from ledger_checkpoints where ledger_id = ?1 order by size desc limit {KEPT_CHECKPOINTS}"
        ))?;
        let mut rows = statement.query([Id(&ledger)])?;
        let mut newest = Vec::new();
        while let Some(row) = rows.next()? {
            newest.extend(stored_checkpoint(cells(row)?));
        }
        newest.reverse();
        walk.checkpoints(u64::try_from(total).unwrap_or(0), newest);
    }
    Ok(())
}

/// Reports ledgers that have tiles and no entries.
pub(super) fn tiles_without_entries<P: FnMut(Progress) -> bool>(
    connection: &Connection,
    ledger: Option<&str>,
    walk: &mut Walk<P>,
) -> Result<(), SourceError> {
    let mut statement = connection.prepare(
        "with recursive present (ledger_id) as ( \
           select min(ledger_id) from ledger_tiles \
           union all \
           select (select min(ledger_id) from ledger_tiles as tile where tile.ledger_id > present.ledger_id) \
           from present where present.ledger_id is not null) \
         select ledger_id from present where ledger_id is not null and (?1 is null or ledger_id = ?1) \
           and not exists (select 1 from ledger_entries as entry where entry.ledger_id = present.ledger_id) limit 100",
    )?;
    let mut rows = statement.query([ledger])?;
    while let Some(row) = rows.next()? {
        let [id]: [Cell<'_>; 1] = cells(row)?;
        let detail = format!("there are stored tiles of the ledger {id}, which has no entries");
        walk.finding(Some(0), FindingKind::TileMismatch, detail);
    }
    Ok(())
}
