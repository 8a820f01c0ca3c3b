//! `daybook import`: transactions from a file, through a running server or straight into the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use daybook_ledger::Ledger;
use daybook_ledger::sequencer::{Unobserved, system_clock};
use daybook_write_api::WriteState;
use serde::Serialize;

use crate::commands::Outcome;
use crate::intake::resume::{StateFile, digest};
use crate::intake::{ErrorReport, MappingOptions, Target, Totals, pump, rows};
use crate::output;
use crate::progress::{Progress, Unit};
use crate::runtime::client::Client;
use crate::runtime::store::Location;
use crate::settings::Settings;

/// Between two saves of the state.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// Record the transactions of a CSV or NDJSON file, plain or gzipped
///
///   daybook import payments.csv --currency EUR
///   daybook import payments.ndjson.gz --limit 1000
///   daybook import bank.csv --map Betrag=amount --map Kunde=account --id-prefix BANK-
///   daybook import transactions.csv.gz --currency EUR --type card --epoch 2018-04-01
///
/// Columns are recognised by name: transaction_id, amount, currency, timestamp, status,
/// account, counterparty, type, meta, and common other names of these (those of the Fraud
/// Detection Handbook's data among them); further columns go into meta. --map column=field
/// says otherwise: the fields above, epoch_seconds, meta.<name>, ignore.
///
/// Repeating an import changes nothing, and an interrupted one goes on where it was. Bad rows
/// are named with their line and stop nothing. Goes through the running server of the data
/// folder, or of --url, else into the store.
///
/// Exit codes: 0 all rows are recorded; 1 some were refused; 2 the import could not run.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// The file
    file: PathBuf,
    #[command(flatten)]
    pub mapping: MappingArguments,
    /// Stop after this many rows of the file
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Begin again at the first row
    #[arg(long)]
    restart: bool,
    /// Write all refused rows to this file: line number, tab, reason
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
    /// Record through this server
    #[arg(long, value_name = "URL", env = "DAYBOOK_URL")]
    url: Option<String>,
    /// The operator's token, where it is not in the data folder
    #[arg(long, value_name = "TOKEN", env = "DAYBOOK_OPERATOR_TOKEN", hide_env_values = true)]
    operator_token: Option<String>,
}

/// How the file is to be understood.
#[derive(Debug, Clone, Default, Args)]
pub struct MappingArguments {
    /// What a column is; can be given more than once
    #[arg(long, value_name = "COLUMN=FIELD")]
    pub map: Vec<String>,
    /// Currency of rows without one
    #[arg(long, value_name = "CODE")]
    pub currency: Option<String>,
    /// Type of rows without one: wire, card, payment, ...
    #[arg(long = "type", value_name = "TYPE")]
    pub transaction_type: Option<String>,
    /// Status of rows without one
    #[arg(long, value_name = "STATUS", default_value = "completed")]
    pub status: String,
    /// Put before each transaction id
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub id_prefix: String,
    /// What seconds in the file count from: a date or a time
    #[arg(long, value_name = "TIME")]
    pub epoch: Option<String>,
}

impl MappingArguments {
    fn options(&self, digest: &str) -> anyhow::Result<MappingOptions> {
        Ok(MappingOptions {
            columns: MappingOptions::parse_columns(&self.map)?,
            currency: self.currency.as_ref().map(|code| code.to_ascii_uppercase()),
            transaction_type: self.transaction_type.clone(),
            status: self.status.clone(),
            id_prefix: self.id_prefix.clone(),
            epoch: self.epoch.as_deref().map(MappingOptions::parse_epoch).transpose()?,
            id_of_file: format!("imp-{}", digest.get(..16).unwrap_or_default()),
        })
    }
}

/// How an import went.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The file.
    pub file: String,
    /// Rows of the file that are dealt with, those of earlier runs included.
    pub total: Totals,
    /// What this run did.
    pub this_run: Totals,
    /// Seconds of this run.
    pub seconds: f64,
    /// Rows a second of this run.
    pub rows_per_second: u64,
    /// True where the file's end is reached.
    pub finished: bool,
}

/// Imports, and says how it went.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    let (digest, size) = digest(&arguments.file)?;
    let options = arguments.mapping.options(&digest)?;
    let target = find_target(settings, arguments.url.as_deref(), arguments.operator_token.clone(), "import").await?;
    if !settings.json {
        output::line(format!("importing {} into {}", arguments.file.display(), target.describe()))?;
    }
    let work = Work {
        settings,
        file: &arguments.file,
        digest,
        size,
        options,
        limit: arguments.limit,
        restart: arguments.restart,
    };
    let errors = ErrorReport::new(arguments.errors.as_deref())?;
    let summary = work.run(&target, errors).await?;
    if settings.json {
        output::json(&summary)?;
    } else {
        print(&summary)?;
    }
    Ok(Outcome::good_if(summary.total.refused == 0))
}

/// The running server, or the store.
pub async fn find_target(
    settings: &Settings,
    url: Option<&str>,
    token: Option<String>,
    source: &'static str,
) -> anyhow::Result<Target> {
    if let Some(client) = Client::find(settings, url, token).await? {
        return Ok(Target::Server { client, ledger_id: settings.ledger().to_string(), is_own: url.is_none() });
    }
    let writing = open_here(settings).await?;
    Ok(Target::Ledger { commands: writing.transactions, source })
}

/// Opens the store for appending in this process.
pub async fn open_here(settings: &Settings) -> anyhow::Result<WriteState> {
    let store = Location::of(settings).open_for_writing().await?;
    let clock = system_clock();
    let ledger = Ledger::open(store, settings.ledger(), Arc::clone(&clock), Arc::new(Unobserved))
        .await
        .with_context(|| format!("cannot open the ledger {}", settings.ledger()))?;
    Ok(WriteState::new(ledger, clock))
}

/// One import.
pub struct Work<'a> {
    pub settings: &'a Settings,
    pub file: &'a Path,
    pub digest: String,
    pub size: u64,
    pub options: MappingOptions,
    pub limit: Option<u64>,
    pub restart: bool,
}

impl<'a> Work<'a> {
    /// The import of a file under a mapping, from where an earlier one ended.
    pub fn new(
        settings: &'a Settings,
        file: &'a Path,
        mapping: &MappingArguments,
        limit: Option<u64>,
    ) -> anyhow::Result<Self> {
        let (digest, size) = digest(file)?;
        let options = mapping.options(&digest)?;
        Ok(Self { settings, file, digest, size, options, limit, restart: false })
    }

    /// Imports what is not imported yet.
    pub async fn run(self, target: &Target, mut errors: ErrorReport) -> anyhow::Result<Summary> {
        let started = Instant::now();
        let place = match target {
            // The store and the server on it are the same place: what one has begun the other goes on with.
            Target::Ledger { .. } | Target::Server { is_own: true, .. } => Location::of(self.settings).describe(),
            Target::Server { .. } => target.describe(),
        };
        let conditions = format!("{place}\n{}\n{:?}", self.settings.ledger(), self.options);
        let mut kept = StateFile::open(&self.settings.data, self.file, &self.digest, self.size, &conditions);
        if self.restart {
            kept.restart();
        } else {
            kept.check(target).await?;
        }
        let done = kept.state.totals.rows;
        let mut run = Totals::default();
        if !kept.state.finished && self.limit.is_none_or(|limit| limit > done) {
            let (rows, read) = rows::open(self.file, self.options)?;
            let most = self.limit.map_or(u64::MAX, |limit| limit - done);
            let rest = Limited::new(rows.skip(usize::try_from(done).unwrap_or(usize::MAX)), most);
            let at_end = rest.at_end();
            let progress = Progress::new("importing", self.size, Unit::Bytes, self.settings.json);
            let mut saved = Instant::now();
            let pumped = pump(rest, target, |step| {
                for (line, why) in &step.refused {
                    errors.refused(*line, why, &progress)?;
                }
                run.add(step.totals);
                kept.state.totals.add(step.totals);
                kept.state.mark = step.mark.or(kept.state.mark.take());
                if saved.elapsed() >= SAVE_INTERVAL {
                    kept.save()?;
                    saved = Instant::now();
                }
                let message = format!(
                    "{} rows, {} a second",
                    output::count(kept.state.totals.rows),
                    output::count(output::rate(run.rows, started.elapsed()))
                );
                progress.update(read.get(), self.size, &message);
                Ok(())
            })
            .await;
            kept.state.finished = pumped.is_ok() && at_end.load(Ordering::Relaxed);
            kept.save()?;
            pumped?;
        }
        errors.finish()?;
        let elapsed = started.elapsed();
        Ok(Summary {
            file: self.file.display().to_string(),
            total: kept.state.totals,
            this_run: run,
            seconds: elapsed.as_secs_f64(),
            rows_per_second: output::rate(run.rows, elapsed),
            finished: kept.state.finished,
        })
    }
}

/// The first rows of a series; notes whether its end was reached.
struct Limited<I> {
    rows: I,
    left: u64,
    at_end: Arc<AtomicBool>,
}

impl<I> Limited<I> {
    fn new(rows: I, left: u64) -> Self {
        Self { rows, left, at_end: Arc::default() }
    }

    fn at_end(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.at_end)
    }
}

impl<I: Iterator> Iterator for Limited<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.left = self.left.checked_sub(1)?;
        let next = self.rows.next();
        if next.is_none() {
            self.at_end.store(true, Ordering::Relaxed);
        }
        next
    }
}

fn print(summary: &Summary) -> anyhow::Result<()> {
    let (total, run) = (summary.total, summary.this_run);
    output::line(format!(
        "{} rows: {} recorded, {} unchanged, {} refused, in {:.1} s ({} a second)",
        output::count(run.rows),
        output::count(run.created),
        output::count(run.unchanged),
        output::count(run.refused),
        summary.seconds,
        output::count(summary.rows_per_second),
    ))?;
    if run.rows < total.rows {
        output::line(format!(
            "{} rows of this file were imported before (--restart to go through them again)",
            output::count(total.rows - run.rows)
        ))?;
    }
    if total.refused > run.refused {
        output::line(format!("{} of those were refused", output::count(total.refused - run.refused)))?;
    }
    if !summary.finished {
        output::line("the file has more rows: the same command with a higher --limit, or none, goes on from here")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_is_noted_only_where_it_is_reached() {
        let mut some = Limited::new(0..5, 3);
        assert_eq!(some.by_ref().collect::<Vec<_>>(), [0, 1, 2]);
        assert!(!some.at_end().load(Ordering::Relaxed));
        let mut all = Limited::new(0..5, u64::MAX);
        assert_eq!(all.by_ref().count(), 5);
        assert!(all.at_end().load(Ordering::Relaxed));
    }
}
