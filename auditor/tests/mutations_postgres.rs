//! The mutations on PostgreSQL, as somebody who owns the database can make them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::image::{Change, ENTRY_COLUMNS, Image, Row, Table, Value};
use common::mutations::{Mutator, ROW_CHANGES};
use daybook_auditor::{FindingKind, Report, Source, VerifyOptions, verify};
use daybook_ledger::store::postgres::PostgresStore;
use sqlx::postgres::{PgArguments, PgPool, PgRow};
use sqlx::query::Query;
use sqlx::{Executor as _, Postgres, Row as _};

/// A database with the sample whose triggers and constraints are gone, and a copy of each table to go back to.
struct Tampered {
    pool: PgPool,
    url: String,
    image: Image,
}

const LOOSEN: &str = "
    do $$ declare one record; begin
        for one in select tgname, tgrelid::regclass as name from pg_trigger
            where not tgisinternal and tgrelid in ('ledger_entries'::regclass, 'ledger_heads'::regclass) loop
            execute format('drop trigger %I on %s', one.tgname, one.name);
        end loop;
        for one in select conname, conrelid::regclass as name from pg_constraint
            where conrelid in ('ledger_entries'::regclass, 'ledger_heads'::regclass) loop
            execute format('alter table %s drop constraint %I', one.name, one.conname);
        end loop;
        for one in select attname, attrelid::regclass as name from pg_attribute where attnum > 0 and attnotnull
            and not attisdropped and attrelid in ('ledger_entries'::regclass, 'ledger_heads'::regclass) loop
            execute format('alter table %s alter column %I drop not null', one.name, one.attname);
        end loop;
    end $$;
    create table ledger_entries_kept as
        select row_number() over (order by ledger_id, position) as number, * from ledger_entries;
    create table ledger_heads_kept as select row_number() over (order by ledger_id) as number, * from ledger_heads;
    alter table ledger_entries add column number bigint;
    alter table ledger_heads add column number bigint;";

impl Tampered {
    async fn new() -> Option<Self> {
        let url = common::postgres_url().await?;
        let store = PostgresStore::open(&url, 4).await.unwrap();
        common::fill(&store).await;
        let pool = PgPool::connect(&url).await.unwrap();
        pool.execute(LOOSEN).await.unwrap();
        let mut image = Image { entries: Vec::new(), heads: Vec::new() };
        for table in [Table::Entries, Table::Heads] {
            let sql = format!("select {} from {}_kept order by number", table.columns().join(", "), table.name());
            let rows = sqlx::query(&sql).fetch_all(&pool).await.unwrap();
            let rows = rows.iter().map(|row| read(row, table)).collect();
            match table {
                Table::Entries => image.entries = rows,
                Table::Heads => image.heads = rows,
            }
        }
        let tampered = Self { pool, url, image };
        tampered.restore().await;
        Some(tampered)
    }

    async fn restore(&self) {
        for table in [Table::Entries, Table::Heads] {
            let (name, columns) = (table.name(), table.columns().join(", "));
            let sql = format!(
                "truncate {name}; insert into {name} (number, {columns}) select number, {columns} from {name}_kept"
            );
            self.pool.execute(sql.as_str()).await.unwrap();
        }
    }

    async fn apply(&self, changes: &[Change]) {
        for change in changes {
            let (name, columns) = (change.table.name(), change.table.columns());
            let number = change.row.map(|row| row as i64 + 1);
            let places: Vec<String> = (1..=columns.len()).map(|place| format!("${place}")).collect();
            let sql = match (&change.values, number) {
                (None, Some(number)) => format!("delete from {name} where number = {number}"),
                (Some(_), Some(number)) => format!(
                    "update {name} set ({}) = row({}) where number = {number}",
                    columns.join(", "),
                    places.join(", ")
                ),
                (Some(_), None) => {
                    format!("insert into {name} ({}) values ({})", columns.join(", "), places.join(", "))
                }
                (None, None) => continue,
            };
            let mut query = sqlx::query(&sql);
            for (value, column) in change.values.iter().flatten().zip(columns) {
                query = bind(query, value, column);
            }
            assert_eq!(query.execute(&self.pool).await.unwrap().rows_affected(), 1);
        }
    }

    async fn verify(&self) -> Report {
        verify(Source::Postgres(self.url.clone()), VerifyOptions::default(), |_| {}).await.unwrap()
    }
}

const NUMBERS: [&str; 5] = ["position", "version", "schema_version", "recorded_at", "size"];
const BYTES: [&str; 7] = ["metadata", "payload", "payload_digest", "previous_hash", "hash", "root", "frontier"];

fn read(row: &PgRow, table: Table) -> Row {
    let value = |column: &&str| match *column {
        column if NUMBERS.contains(&column) => Value::Integer(row.get(column)),
        column if BYTES.contains(&column) => Value::Blob(row.get(column)),
        "event_id" => Value::Blob(row.get::<uuid::Uuid, _>("event_id").as_bytes().to_vec()),
        column => Value::Text(row.get::<String, _>(column).into_bytes()),
    };
    table.columns().iter().map(value).collect()
}

fn bind<'q>(
    query: Query<'q, Postgres, PgArguments>,
    value: &'q Value,
    column: &str,
) -> Query<'q, Postgres, PgArguments> {
    match (column, value) {
        (column, Value::Integer(value)) if NUMBERS.contains(&column) => query.bind(*value),
        (column, Value::Null) if NUMBERS.contains(&column) => query.bind(None::<i64>),
        ("event_id", Value::Null) => query.bind(None::<uuid::Uuid>),
        ("event_id", Value::Blob(bytes)) => query.bind(uuid::Uuid::from_slice(bytes).unwrap()),
        (column, Value::Null) if BYTES.contains(&column) => query.bind(None::<Vec<u8>>),
        (_, Value::Blob(bytes)) => query.bind(bytes.as_slice()),
        (_, Value::Text(bytes)) => query.bind(std::str::from_utf8(bytes).unwrap()),
        (_, Value::Null) => query.bind(None::<String>),
        (column, value) => panic!("{column} cannot hold {value:?}"),
    }
}

#[tokio::test]
async fn every_column_and_row_change_and_sixty_random_ones_are_found() {
    let Some(tampered) = Tampered::new().await else { return };
    let untouched = tampered.verify().await;
    assert_eq!(untouched.exit_code(), 0, "{untouched}");
    let first_seed: u64 = std::env::var("DAYBOOK_TEST_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut mutations = Vec::new();
    for table in [Table::Entries, Table::Heads] {
        for (column, name) in table.columns().iter().enumerate() {
            for how in ["flip a bit", "add one", "truncate", "null"] {
                // A uuid has one length.
                if *name != "event_id" || how != "truncate" {
                    let mutation = Mutator::new(&tampered.image, first_seed, true).value(table, column, how);
                    mutations.extend(mutation.map(|mutation| (first_seed, mutation)));
                }
            }
        }
    }
    for how in ROW_CHANGES {
        let found = (first_seed..).find_map(|seed| Some((seed, Mutator::new(&tampered.image, seed, true).rows(how)?)));
        mutations.extend(found);
    }
    let fits = |change: &Change| {
        let event_id = ENTRY_COLUMNS.iter().position(|column| *column == "event_id").unwrap();
        change.table == Table::Heads
            || change.values.as_ref().is_none_or(|values| match &values[event_id] {
                Value::Blob(bytes) => bytes.len() == 16,
                _ => true,
            })
    };
    let random = (first_seed..).map(|seed| (seed, Mutator::new(&tampered.image, seed, true).any()));
    mutations.extend(random.filter(|(_, mutation)| mutation.changes.iter().all(fits)).take(60));
    assert!(mutations.len() > 130, "{}", mutations.len());
    for (seed, mutation) in mutations {
        tampered.apply(&mutation.changes).await;
        let report = tampered.verify().await;
        if let Some(complaint) = mutation.complaint(&report) {
            panic!("DAYBOOK_TEST_SEED={seed}: {complaint}");
        }
        tampered.restore().await;
    }
    // A column of another type, though its values look the same.
    tampered.pool.execute("alter table ledger_entries alter column version type numeric").await.unwrap();
    let report = tampered.verify().await;
    assert_eq!(report.exit_code(), 1);
    assert_eq!(report.ledgers[0].integrity.findings[0].kind, FindingKind::WrongType, "{report}");
}
