//! The rows of a ledger out of a real store, and back into it, as its owner.

use std::path::{Path, PathBuf};

use daybook_ledger::Store;
use daybook_ledger::store::postgres::PostgresStore;
use daybook_ledger::store::sqlite::SqliteStore;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::query_builder::Separated;
use sqlx::{Executor as _, Postgres, QueryBuilder, Row as _};

use super::rows::{CheckpointRow, Rows, TileRow};
use crate::common::image::*;

const TABLES: [&str; 4] = ["ledger_entries", "ledger_heads", "ledger_tiles", "ledger_checkpoints"];
const TILES: &str = "select level, tile, root, hashes from ledger_tiles order by level, tile";
const CHECKPOINTS: &str = "select size, root, note, signed_at from ledger_checkpoints order by size";
const DROP_TRIGGERS: &str = "
    do $$ declare one record; begin
        for one in select tgname, tgrelid::regclass as name from pg_trigger where not tgisinternal
            and tgrelid in ('ledger_entries'::regclass, 'ledger_heads'::regclass) loop
            execute format('drop trigger %I on %s', one.tgname, one.name);
        end loop;
    end $$;";

/// Which store a ledger is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// A store that belongs to the attacker.
pub enum Owned {
    Sqlite { path: PathBuf, empty: PathBuf },
    Postgres { pool: PgPool, url: String },
}

impl Owned {
    /// A fresh store, and the way to append to it; none where there is no PostgreSQL.
    pub async fn new(kind: Kind, folder: &Path) -> Option<(Self, Box<dyn Store>)> {
        if kind == Kind::Sqlite {
            let store = SqliteStore::open(folder.join("grown.db")).unwrap();
            let owned = Self::Sqlite { path: folder.join("ledger.db"), empty: folder.join("empty.db") };
            return Some((owned, Box::new(store)));
        }
        let url = crate::common::postgres_url().await?;
        let store = PostgresStore::open(&url, 4).await.unwrap();
        Some((Self::Postgres { pool: PgPool::connect(&url).await.unwrap(), url }, Box::new(store)))
    }

    /// What the program is given to read.
    pub fn source(&self) -> String {
        match self {
            Self::Sqlite { path, .. } => path.display().to_string(),
            Self::Postgres { url, .. } => url.clone(),
        }
    }

    /// Takes the triggers away and reads everything. Once, when the ledger is grown.
    pub async fn take(&self, folder: &Path) -> Rows {
        match self {
            Self::Sqlite { empty, .. } => take_file(&folder.join("grown.db"), empty),
            Self::Postgres { pool, .. } => {
                pool.execute(DROP_TRIGGERS).await.unwrap();
                take_schema(pool).await
            }
        }
    }

    /// Puts these rows in the place of all that is there.
    pub async fn put(&self, rows: &Rows) {
        match self {
            Self::Sqlite { path, empty } => put_file(path, empty, rows),
            Self::Postgres { pool, .. } => put_schema(pool, rows).await,
        }
    }
}

fn take_file(grown: &Path, empty: &Path) -> Rows {
    let connection = rusqlite::Connection::open(grown).unwrap();
    let Image { entries, heads } = Image::read(&connection);
    let tile = |row: &rusqlite::Row<'_>| {
        Ok(TileRow { level: row.get(0)?, tile: row.get(1)?, root: row.get(2)?, hashes: row.get(3)? })
    };
    let checkpoint = |row: &rusqlite::Row<'_>| {
        Ok(CheckpointRow { size: row.get(0)?, root: row.get(1)?, note: row.get(2)?, signed_at: row.get(3)? })
    };
    let tiles = connection.prepare(TILES).unwrap().query_map([], tile).unwrap().collect::<Result<_, _>>().unwrap();
    let checkpoints =
        connection.prepare(CHECKPOINTS).unwrap().query_map([], checkpoint).unwrap().collect::<Result<_, _>>().unwrap();
    connection.execute("vacuum into ?1", [empty.to_str().unwrap()]).unwrap();
    let emptied = rusqlite::Connection::open(empty).unwrap();
    let sql = "select name from sqlite_schema where type = 'trigger'";
    let triggers: Vec<String> =
        emptied.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    for name in triggers {
        emptied.execute_batch(&format!("drop trigger {name}")).unwrap();
    }
    for table in TABLES {
        emptied.execute_batch(&format!("delete from {table}")).unwrap();
    }
    emptied.execute("vacuum", []).unwrap();
    Rows { entries, heads, tiles, checkpoints }
}

fn put_file(path: &Path, empty: &Path, rows: &Rows) {
    std::fs::copy(empty, path).unwrap();
    let mut connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch("pragma journal_mode = memory; pragma synchronous = off").unwrap();
    let transaction = connection.transaction().unwrap();
    for (table, columns, values) in
        [("ledger_entries", &ENTRY_COLUMNS[..], &rows.entries), ("ledger_heads", &HEAD_COLUMNS, &rows.heads)]
    {
        let places = vec!["?"; columns.len()].join(", ");
        let sql = format!("insert into {table} ({}) values ({places})", columns.join(", "));
        let mut insert = transaction.prepare(&sql).unwrap();
        for row in values {
            insert.execute(rusqlite::params_from_iter(row)).unwrap();
        }
    }
    for tile in &rows.tiles {
        let sql = "insert into ledger_tiles values ('main', ?1, ?2, ?3, ?4)";
        transaction.execute(sql, rusqlite::params![tile.level, tile.tile, tile.root, tile.hashes]).unwrap();
    }
    for one in &rows.checkpoints {
        let sql = "insert into ledger_checkpoints values ('main', ?1, ?2, ?3, ?4)";
        transaction.execute(sql, rusqlite::params![one.size, one.root, one.note, one.signed_at]).unwrap();
    }
    transaction.commit().unwrap();
}

async fn take_schema(pool: &PgPool) -> Rows {
    let read = async |table: &str, columns: &[&str], order: &str| -> Vec<Row> {
        let sql = format!("select {} from {table} order by {order}", columns.join(", "));
        let rows = sqlx::query(&sql).fetch_all(pool).await.unwrap();
        rows.iter().map(|row| columns.iter().map(|column| value(row, column)).collect()).collect()
    };
    let tile = |row: &PgRow| TileRow { level: row.get(0), tile: row.get(1), root: row.get(2), hashes: row.get(3) };
    let checkpoint =
        |row: &PgRow| CheckpointRow { size: row.get(0), root: row.get(1), note: row.get(2), signed_at: row.get(3) };
    Rows {
        entries: read("ledger_entries", &ENTRY_COLUMNS, "position").await,
        heads: read("ledger_heads", &HEAD_COLUMNS, "ledger_id").await,
        tiles: sqlx::query(TILES).fetch_all(pool).await.unwrap().iter().map(tile).collect(),
        checkpoints: sqlx::query(CHECKPOINTS).fetch_all(pool).await.unwrap().iter().map(checkpoint).collect(),
    }
}

fn value(row: &PgRow, column: &str) -> Value {
    match column {
        "position" | "version" | "schema_version" | "recorded_at" | "size" => Value::Integer(row.get(column)),
        "event_id" => Value::Blob(row.get::<uuid::Uuid, _>(column).as_bytes().to_vec()),
        "ledger_id" | "stream_type" | "stream_id" | "event_type" | "actor_kind" | "actor_id" => {
            Value::Text(row.get::<String, _>(column).into_bytes())
        }
        _ => Value::Blob(row.get(column)),
    }
}

async fn put_schema(pool: &PgPool, rows: &Rows) {
    let mut transaction = pool.begin().await.unwrap();
    transaction.execute(format!("truncate {}", TABLES.join(", ")).as_str()).await.unwrap();
    for (table, columns, values) in
        [("ledger_entries", &ENTRY_COLUMNS[..], &rows.entries), ("ledger_heads", &HEAD_COLUMNS, &rows.heads)]
    {
        if values.is_empty() {
            continue;
        }
        let mut insert = QueryBuilder::new(format!("insert into {table} ({}) ", columns.join(", ")));
        insert.push_values(values, |mut places, row| {
            row.iter().zip(columns).for_each(|(value, column)| bind(&mut places, value, column));
        });
        insert.build().execute(&mut *transaction).await.unwrap();
    }
    for tile in &rows.tiles {
        let sql = "insert into ledger_tiles values ('main', $1, $2, $3, $4)";
        let query = sqlx::query(sql).bind(tile.level).bind(tile.tile).bind(&tile.root).bind(&tile.hashes);
        query.execute(&mut *transaction).await.unwrap();
    }
    for one in &rows.checkpoints {
        let sql = "insert into ledger_checkpoints values ('main', $1, $2, $3, $4)";
        let query = sqlx::query(sql).bind(one.size).bind(&one.root).bind(&one.note).bind(one.signed_at);
        query.execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

fn bind(places: &mut Separated<'_, '_, Postgres, &'static str>, value: &Value, column: &str) {
    match value {
        Value::Integer(value) => places.push_bind(*value),
        Value::Blob(bytes) if column == "event_id" => places.push_bind(uuid::Uuid::from_slice(bytes).unwrap()),
        Value::Blob(bytes) => places.push_bind(bytes.clone()),
        Value::Text(_) => places.push_bind(value.text().to_owned()),
        other => panic!("no attack makes {other:?}"),
    };
}
