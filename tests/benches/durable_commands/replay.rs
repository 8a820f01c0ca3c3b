//! Replay through the projector engine: a ledger folded from zero into one simple table.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use daybook_ledger::LedgerReader;
use daybook_projections::rows::{RowWriter, Value};
use daybook_projections::{DecodedEntry, FoldError, Interest, Projections, Projector, TableDefinition, TableNames};
use daybook_read_models::ReadDb;
use sqlx::AnyConnection;

/// Where each entry's stream is, and at which version: a table of one short row an entry.
struct Places;

const ROWS: RowWriter = RowWriter { columns: &["ledger_id", "position", "stream_id", "version"], key: &[] };

#[async_trait]
impl Projector for Places {
    fn name(&self) -> &'static str {
        "places"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [TableDefinition] {
        &[TableDefinition {
            name: "places",
            ddl: "create table {table} (ledger_id text not null, position bigint not null, stream_id text not null, \
                  version bigint not null, primary key (ledger_id, position))",
        }]
    }

    fn interest(&self, _stream_type: &str) -> Interest {
        Interest::Raw
    }

    async fn fold(
        &self,
        connection: &mut AnyConnection,
        tables: &TableNames,
        ledger_id: &str,
        batch: &[DecodedEntry],
    ) -> Result<(), FoldError> {
        let rows: Vec<Vec<Value<'_>>> = batch
            .iter()
            .map(|DecodedEntry { entry, .. }| {
                let number = |value: u64| Value::from(i64::try_from(value).unwrap());
                vec![ledger_id.into(), number(entry.position), (&entry.stream.stream_id).into(), number(entry.version)]
            })
            .collect();
        ROWS.write(connection, &tables.of("places"), &rows).await
    }
}

/// Entries folded a second, from zero.
pub async fn through_a_projector(reader: &LedgerReader) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let db = ReadDb::open_sqlite(folder.path().join("read.db")).await.unwrap();
    let projections = Projections::new(db, reader.clone(), vec![Box::new(Places)]);
    projections.prepare().await.unwrap();
    let size = reader.head().await.unwrap().size;
    let started = Instant::now();
    projections.catch_up().await.unwrap();
    let rate = size as f64 / started.elapsed().as_secs_f64();
    let status = Arc::new(projections).status().await;
    assert!(status.iter().all(|projector| projector.position == size), "{status:?}");
    rate
}
