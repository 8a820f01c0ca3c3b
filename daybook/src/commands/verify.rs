//! `daybook verify`: the auditor on the store alone.

use anyhow::Context;
use clap::Args;
use daybook_auditor::VerifyOptions;

use crate::commands::Outcome;
use crate::output;
use crate::progress::{Progress, Unit};
use crate::runtime::store::Location;
use crate::settings::Settings;

/// Recompute every hash of the ledger, from the store alone
///
///   daybook verify                      every ledger in the store, for people
///   daybook verify --json               the whole report, for machines
///   daybook verify --ledger main        one ledger
///
/// Checks every hash, link, payload digest, position, stream version, time, the head and the
/// Merkle tree. Reads only; works while a server writes, and trusts nothing of it.
///
/// Exit codes: 0 verified; 1 something is wrong (the first bad position is named); 2 the
/// store cannot be read.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Most findings listed for one ledger; all are counted
    #[arg(long, value_name = "N", default_value_t = 100)]
    max_findings: usize,
}

/// Verifies and prints the report.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    let options = VerifyOptions {
        ledger: settings.named_ledger.as_ref().map(ToString::to_string),
        max_findings: arguments.max_findings,
    };
    let progress = Progress::new("verifying", 0, Unit::Count, settings.json);
    let location = Location::of(settings);
    let report = daybook_auditor::verify(location.source(), options, |step| {
        progress.update(step.entries, step.expected_entries, "");
    })
    .await
    .with_context(|| format!("cannot verify the {}", location.describe()))?;
    progress.finish();
    if settings.json {
        output::json(&report)?;
    } else {
        output::line(report.render_text().trim_end())?;
    }
    Ok(Outcome::good_if(report.exit_code() == 0))
}
