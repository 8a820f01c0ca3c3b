//! The one statement that writes a batch: head, entries, and where there are any, tiles and command ids.

use sqlx::postgres::PgArguments;
use sqlx::{Arguments, PgConnection, Row};
use uuid::Uuid;

use super::line::Prepared;
use crate::append::{Append, CommandRecord, Draft, Placed};
use crate::entry::{Hash, LedgerId};
use crate::store::{StoreError, signed};
use crate::tiles::Tile;

/// Moves the head if it is the one that the batch was sequenced on, and inserts the entries if it was moved. What is the
/// same for all entries of a batch is not repeated in arrays.
const ENTRIES: &str = "with moved as (update ledger_heads set size = $2, hash = $3, root = $4, frontier = $5, \
     recorded_at = $6 where ledger_id = $1 and size = $7 and hash = $8 returning size), \
     inserted as (insert into ledger_entries (ledger_id, position, event_id, stream_type, stream_id, version, event_type, \
     schema_version, recorded_at, actor_kind, actor_id, metadata, payload, payload_digest, previous_hash, hash) \
     select $1, $7 + place - 1, event_id, stream_type, stream_id, version, event_type, schema_version, $6, actor_kind, \
     actor_id, metadata, payload, payload_digest, previous_hash, hash \
     from moved, unnest($9::uuid[], $10::text[], $11::text[], $12::bigint[], $13::text[], $14::bigint[], $15::text[], \
     $16::text[], $17::bytea[], $18::bytea[], $19::bytea[], $20::bytea[], $21::bytea[]) with ordinality \
     as added(event_id, stream_type, stream_id, version, event_type, schema_version, actor_kind, actor_id, metadata, \
     payload, payload_digest, previous_hash, hash, place))";
const TILES: &str = ", tiled as (insert into ledger_tiles (ledger_id, level, tile, root, hashes) \
     select $1, complete.* from moved, unnest($22::bigint[], $23::bigint[], $24::bytea[], $25::bytea[]) as complete)";
const COMMANDS: &str = ", remembered as (insert into ledger_commands (ledger_id, command_id, digest, stream_type, \
     stream_id, first_position, last_position, version, hash, recorded_at) select $1, used.* from moved, \
     unnest($26::text[], $27::bytea[], $28::text[], $29::text[], $30::bigint[], $31::bigint[], $32::bigint[], \
     $33::bytea[], $34::bigint[]) as used)";

/// A batch ready to be sent.
pub(super) struct Statement {
    sql: String,
    arguments: PgArguments,
}

/// Lays out a batch; without a statement where it has no entries.
pub(super) fn lay_out(batch: &[Append], prepared: Prepared) -> Result<(Prepared, Option<Statement>), StoreError> {
    if prepared.placement.placed.is_empty() {
        return Ok((prepared, None));
    }
    let statement = encode(batch, &prepared).map_err(|error| StoreError::Unavailable(error.to_string()))?;
    Ok((prepared, Some(statement)))
}

fn encode(batch: &[Append], prepared: &Prepared) -> Result<Statement, sqlx::error::BoxDynError> {
    let Prepared { before, placement, tiles } = prepared;
    let rows: Vec<(&Append, &Draft, &Placed)> = placement
        .placed
        .iter()
        .filter_map(|placed| {
            let append = batch.get(placed.request)?;
            Some((append, append.events.get(placed.event)?, placed))
        })
        .collect();
    let head = &placement.head;
    let mut arguments = PgArguments::default();
    arguments.reserve(34, batch.iter().map(Append::bytes).sum());
    arguments.add(head.ledger_id.as_str())?;
    arguments.add(signed(head.size))?;
    arguments.add(&head.hash.0[..])?;
    arguments.add(&head.root.0[..])?;
    arguments.add(head.frontier.to_bytes())?;
    arguments.add(head.recorded_at)?;
    arguments.add(signed(before.0))?;
    arguments.add(&before.1.0[..])?;
    arguments.add(rows.iter().map(|row| row.1.event_id).collect::<Vec<Uuid>>())?;
    arguments.add(rows.iter().map(|row| row.0.stream.stream_type.as_str()).collect::<Vec<_>>())?;
    arguments.add(rows.iter().map(|row| row.0.stream.stream_id.as_str()).collect::<Vec<_>>())?;
    arguments.add(rows.iter().map(|row| signed(row.2.version)).collect::<Vec<_>>())?;
    arguments.add(rows.iter().map(|row| row.1.event_type.as_str()).collect::<Vec<_>>())?;
    arguments.add(rows.iter().map(|row| signed(row.1.schema_version)).collect::<Vec<_>>())?;
    arguments.add(rows.iter().map(|row| row.0.actor.kind.as_str()).collect::<Vec<_>>())?;
    arguments.add(rows.iter().map(|row| row.0.actor.id.as_str()).collect::<Vec<_>>())?;
    arguments.add(rows.iter().map(|row| row.0.metadata.as_bytes()).collect::<Vec<_>>())?;
    arguments
        .add(rows.iter().map(|row| row.2.seal.as_ref().unwrap_or(&row.1.payload).as_bytes()).collect::<Vec<_>>())?;
    arguments.add(rows.iter().map(|row| &row.2.payload_digest.0[..]).collect::<Vec<_>>())?;
    arguments.add(rows.iter().map(|row| &row.2.previous_hash.0[..]).collect::<Vec<_>>())?;
    arguments.add(rows.iter().map(|row| &row.2.hash.0[..]).collect::<Vec<_>>())?;
    let mut sql = ENTRIES.to_owned();
    if !tiles.is_empty() || !placement.commands.is_empty() {
        add_tiles(&mut arguments, tiles)?;
        sql.push_str(TILES);
    }
    if !placement.commands.is_empty() {
        add_commands(&mut arguments, &placement.commands)?;
        sql.push_str(COMMANDS);
    }
    sql.push_str(" select size from moved");
    Ok(Statement { sql, arguments })
}

fn add_tiles(arguments: &mut PgArguments, tiles: &[Tile]) -> Result<(), sqlx::error::BoxDynError> {
    arguments.add(tiles.iter().map(|tile| i64::from(tile.level)).collect::<Vec<_>>())?;
    arguments.add(tiles.iter().map(|tile| signed(tile.index)).collect::<Vec<_>>())?;
    arguments.add(tiles.iter().map(|tile| &tile.root.0[..]).collect::<Vec<_>>())?;
    arguments.add(tiles.iter().map(Tile::to_bytes).collect::<Vec<_>>())
}

fn add_commands(
    arguments: &mut PgArguments,
    records: &[(String, CommandRecord)],
) -> Result<(), sqlx::error::BoxDynError> {
    let number = |get: fn(&CommandRecord) -> i64| records.iter().map(|(_, record)| get(record)).collect::<Vec<i64>>();
    arguments.add(records.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>())?;
    arguments.add(records.iter().map(|(_, record)| &record.digest.0[..]).collect::<Vec<_>>())?;
    arguments.add(records.iter().map(|(_, record)| record.stream.stream_type.as_str()).collect::<Vec<_>>())?;
    arguments.add(records.iter().map(|(_, record)| record.stream.stream_id.as_str()).collect::<Vec<_>>())?;
    arguments.add(number(|record| signed(record.appended.first_position)))?;
    arguments.add(number(|record| signed(record.appended.receipt.position)))?;
    arguments.add(number(|record| signed(record.appended.version)))?;
    arguments.add(records.iter().map(|(_, record)| &record.appended.receipt.hash.0[..]).collect::<Vec<_>>())?;
    arguments.add(number(|record| record.appended.recorded_at))
}

impl Statement {
    /// Sends it. Answers false, having written nothing, where the head is not the one expected any more.
    pub(super) async fn write(self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let moved = sqlx::query_with(&self.sql, self.arguments).fetch_optional(connection).await?;
        Ok(moved.is_some())
    }
}

/// Whether the head still is the one given.
pub(super) async fn head_is(
    connection: &mut PgConnection,
    ledger: &LedgerId,
    (size, hash): (u64, Hash),
) -> Result<bool, StoreError> {
    let row = sqlx::query("select count(*) from ledger_heads where ledger_id = $1 and size = $2 and hash = $3")
        .bind(ledger.as_str())
        .bind(signed(size))
        .bind(&hash.0[..])
        .fetch_one(connection)
        .await?;
    Ok(row.try_get::<i64, _>(0)? == 1)
}
