//! How far the making of an export has come, for whoever waits for it. Runtime state: it is in no ledger, and goes when the
//! making ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daybook_ledger::LedgerId;
use daybook_ledger::sequencer::Clock;
use daybook_read_models::{ReadDb, ReadError};
use tokio::task::JoinSet;

/// Between two looks at whether there is something new to show.
const INTERVAL: Duration = Duration::from_millis(500);

/// Shows the progress of one export while it is there.
pub(super) struct Progress {
    rows: Arc<AtomicU64>,
    row: Row,
    /// Keeps the row up to date, and stops with this.
    _shown: JoinSet<()>,
}

#[derive(Clone)]
struct Row {
    database: ReadDb,
    ledger: LedgerId,
    export: String,
    clock: Clock,
}

impl Progress {
    /// Begins at no rows.
    pub fn begin(database: ReadDb, ledger: LedgerId, export: &str, clock: Clock) -> Self {
        let (rows, row) = (Arc::default(), Row { database, ledger, export: export.to_owned(), clock });
        let mut shown = JoinSet::new();
        shown.spawn(show(Arc::clone(&rows), row.clone()));
        Self { rows, row, _shown: shown }
    }

    /// To be told of the rows so far.
    pub fn counter(&self) -> impl Fn(u64) + Send + Sync + 'static {
        let rows = Arc::clone(&self.rows);
        move |count| rows.store(count, Ordering::Relaxed)
    }

    /// Takes the row away.
    pub async fn end(mut self) {
        self._shown.shutdown().await;
        if let Err(error) = self.row.remove().await {
            tracing::warn!(export = self.row.export, %error, "the progress of an export stays where it was shown");
        }
    }
}

async fn show(rows: Arc<AtomicU64>, row: Row) {
    let mut shown = None;
    loop {
        let count = rows.load(Ordering::Relaxed);
        if shown != Some(count) && row.write(count).await.is_ok() {
            shown = Some(count);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

impl Row {
    async fn write(&self, rows: u64) -> Result<(), ReadError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query(
            "insert into export_progress (ledger_id, export_id, rows, updated_at) values ($1, $2, $3, $4) \
             on conflict (ledger_id, export_id) do update set rows = excluded.rows, updated_at = excluded.updated_at",
        )
        .bind(self.ledger.as_str())
        .bind(&self.export)
        .bind(i64::try_from(rows).unwrap_or(i64::MAX))
        .bind((self.clock)())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn remove(&self) -> Result<(), ReadError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query("delete from export_progress where ledger_id = $1 and export_id = $2")
            .bind(self.ledger.as_str())
            .bind(&self.export)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}
