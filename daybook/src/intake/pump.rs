//! Moving rows from a source into a target: read on a thread, recorded a few batches at a time, counted in order.

use anyhow::Context;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::Row;
use super::target::{Answers, Mark, Recorded, Target};
use super::transaction::TransactionInput;

/// Batches that are recorded at the same time.
const AT_ONCE: usize = 3;
/// Batches that wait, read already.
const WAITING: usize = 3;

/// What was done with rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Rows read.
    pub rows: u64,
    /// Newly recorded.
    pub created: u64,
    /// Recorded before with the same content.
    pub unchanged: u64,
    /// Not recorded.
    pub refused: u64,
}

/// What one batch added, in the order of the rows.
pub struct Step {
    /// This batch alone.
    pub totals: Totals,
    /// Refused rows: line and reason.
    pub refused: Vec<(u64, String)>,
    /// An entry of the batch.
    pub mark: Option<Mark>,
}

impl Totals {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.created += other.created;
        self.unchanged += other.unchanged;
        self.refused += other.refused;
    }
}

/// Moves all rows. `seen` is told after each batch, in order; an error of its own ends the work.
pub async fn pump(
    rows: impl Iterator<Item = Row> + Send + 'static,
    target: &Target,
    mut seen: impl FnMut(Step) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (sender, batches) = mpsc::channel(WAITING);
    let size = target.batch();
    let reading = tokio::task::spawn_blocking(move || read(rows, size, &sender));
    let batches =
        stream::unfold(batches, |mut batches| async move { batches.recv().await.map(|batch| (batch, batches)) });
    let mut recorded = Box::pin(batches.map(|batch| record(target.clone(), batch)).buffered(AT_ONCE));
    while let Some(step) = recorded.next().await {
        seen(step?)?;
    }
    reading.await.context("reading the rows has stopped unexpectedly")
}

/// Cuts rows into batches. Ends early where nobody takes them any more.
fn read(rows: impl Iterator<Item = Row>, size: usize, sender: &mpsc::Sender<Vec<Row>>) {
    let mut batch = Vec::with_capacity(size);
    for row in rows {
        batch.push(row);
        if batch.len() >= size && sender.blocking_send(std::mem::replace(&mut batch, Vec::with_capacity(size))).is_err()
        {
            return;
        }
    }
    if !batch.is_empty() {
        let _ = sender.blocking_send(batch);
    }
}

async fn record(target: Target, batch: Vec<Row>) -> anyhow::Result<Step> {
    // On a task of its own, so that batches are prepared on several processors.
    tokio::spawn(async move {
        let mut lines = Vec::with_capacity(batch.len());
        let mut inputs: Vec<TransactionInput> = Vec::with_capacity(batch.len());
        let mut step = Step { totals: Totals::default(), refused: Vec::new(), mark: None };
        for row in batch {
            step.totals.rows += 1;
            match row.content {
                Ok(input) => {
                    lines.push(row.line);
                    inputs.push(input);
                }
                Err(why) => step.refused.push((row.line, why)),
            }
        }
        let Answers { recorded, mark } =
            if inputs.is_empty() { Answers::default() } else { target.record(inputs).await? };
        step.mark = mark;
        for (line, recorded) in lines.into_iter().zip(recorded) {
            match recorded {
                Recorded::Created => step.totals.created += 1,
                Recorded::Unchanged => step.totals.unchanged += 1,
                Recorded::Refused(why) => step.refused.push((line, why)),
            }
        }
        step.refused.sort_by_key(|(line, _)| *line);
        step.totals.refused = u64::try_from(step.refused.len()).unwrap_or(u64::MAX);
        Ok(step)
    })
    .await
    .context("recording has stopped unexpectedly")?
}
