//! What a database keeps beside the entries of a ledger: tiles and checkpoints.

use futures::TryStreamExt as _;
use sqlx::PgConnection;

use super::{cells, kinds};
use crate::cell::Cell;
use crate::report::FindingKind;
use crate::source::{Progress, SourceError};
use crate::stored_tiles::{KEPT_CHECKPOINTS, stored_checkpoint};
use crate::walk::Walk;

/// Which of both tables there are, and may be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beside {
    pub(super) tiles: bool,
    checkpoints: bool,
}

impl Beside {
    pub(super) async fn of(connection: &mut PgConnection) -> Result<Self, SourceError> {
        let mut found = [false; 2];
        for (found, table) in found.iter_mut().zip(["ledger_tiles", "ledger_checkpoints"]) {
            *found = sqlx::query_scalar("select coalesce(has_table_privilege(to_regclass($1), 'select'), false)")
                .bind(table)
                .fetch_one(&mut *connection)
                .await?;
        }
        let [tiles, checkpoints] = found;
        Ok(Self { tiles, checkpoints })
    }

    /// Reads what lies beside the ledger whose entries were read last.
    pub(super) async fn read<P: FnMut(Progress) -> bool>(
        self,
        connection: &mut PgConnection,
        ledger: &str,
        walk: &mut Walk<P>,
    ) -> Result<(), SourceError> {
        if self.tiles {
            let sql = "select level, tile, root, hashes from ledger_tiles where ledger_id = $1 order by level, tile";
            let mut rows = sqlx::query(sql).bind(ledger).fetch(&mut *connection);
            while let Some(row) = rows.try_next().await? {
                let kinds = kinds::<4>(&row);
                if walk.tile(&cells(&row, &kinds)?)? {
                    walk.send_tiles().await?;
                }
            }
            drop(rows);
            walk.send_tiles().await?;
        }
        if self.checkpoints {
            let total: i64 = sqlx::query_scalar("select count(*) from ledger_checkpoints where ledger_id = $1")
                .bind(ledger)
                .fetch_one(&mut *connection)
                .await?;
            let sql = format!(
                "select size, note from ledger_checkpoints where ledger_id = $1 order by size desc \
                 limit {KEPT_CHECKPOINTS}"
            );
            let mut rows = sqlx::query(&sql).bind(ledger).fetch(connection);
            let mut newest = Vec::new();
            while let Some(row) = rows.try_next().await? {
                let kinds = kinds::<2>(&row);
                newest.extend(stored_checkpoint(cells(&row, &kinds)?));
            }
            newest.reverse();
            walk.checkpoints(u64::try_from(total).unwrap_or(0), newest);
        }
        Ok(())
    }

    /// Reports ledgers that have tiles and no entries.
    pub(super) async fn tiles_without_entries<P: FnMut(Progress) -> bool>(
        self,
        connection: &mut PgConnection,
        ledger: Option<&str>,
        walk: &mut Walk<P>,
    ) -> Result<(), SourceError> {
        if !self.tiles {
            return Ok(());
        }
        let found: Vec<String> = sqlx::query_scalar(
            "with recursive present (ledger_id) as ( \
               (select ledger_id from ledger_tiles order by ledger_id limit 1) \
               union all \
               select (select tile.ledger_id from ledger_tiles as tile where tile.ledger_id > present.ledger_id \
                       order by tile.ledger_id limit 1) \
               from present where present.ledger_id is not null) \
             select ledger_id from present where ledger_id is not null and ($1::text is null or ledger_id = $1) \
               and not exists (select 1 from ledger_entries as entry where entry.ledger_id = present.ledger_id) \
             limit 100",
        )
        .bind(ledger)
        .fetch_all(connection)
        .await?;
        for id in found {
            let detail =
                format!("there are stored tiles of the ledger {}, which has no entries", Cell::Text(id.as_bytes()));
            walk.finding(Some(0), FindingKind::TileMismatch, detail);
        }
        Ok(())
    }
}
