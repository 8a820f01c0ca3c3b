//! `daybook verify`: the auditor on the store alone, or on the store and what was kept from before.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use daybook_auditor::checkpoint::Checkpoint;
use daybook_auditor::examine::{Assignment, examine};
use daybook_auditor::keys::TrustedKeys;
use daybook_auditor::trust::Brought;
use daybook_auditor::{VerifyOptions, evidence_text};

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
///   daybook verify --checkpoint seen.txt --trusted-keys keys.txt
///                                       also: it extends a checkpoint that was kept, signed by these keys
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
    /// A checkpoint that was kept: the ledger must extend it
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Keys whose signatures count: one verifier key a line, or PEM public keys
    #[arg(long, value_name = "FILE")]
    trusted_keys: Option<PathBuf>,
}

/// Verifies and prints the report.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    if arguments.checkpoint.is_some() || arguments.trusted_keys.is_some() {
        return with_evidence(settings, &arguments).await;
    }
    let options = VerifyOptions {
        ledger: settings.named_ledger.as_ref().map(ToString::to_string),
        max_findings: arguments.max_findings,
        ..VerifyOptions::default()
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

/// The verification of [`run`], and what the kept checkpoint and the trusted keys say about it.
async fn with_evidence(settings: &Settings, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let brought = Brought {
        checkpoint: parsed(arguments.checkpoint.as_deref(), Checkpoint::parse)?,
        keys: parsed(arguments.trusted_keys.as_deref(), TrustedKeys::parse)?,
        ..Brought::default()
    };
    let location = Location::of(settings);
    let assignment = Assignment {
        source: location.source(),
        label: location.describe(),
        ledger: settings.named_ledger.as_ref().map(ToString::to_string),
        max_findings: arguments.max_findings,
        viewer: None,
    };
    let progress = Progress::new("verifying", 0, Unit::Count, settings.json);
    let examination = examine(assignment, &brought, |step| progress.update(step.entries, step.expected_entries, ""))
        .await
        .with_context(|| format!("cannot verify the {}", location.describe()))?;
    progress.finish();
    if settings.json {
        output::json(&examination)?;
    } else {
        output::line(evidence_text::render(&examination, false).trim_end())?;
    }
    Ok(Outcome::good_if(examination.holds()))
}

fn parsed<T, E: std::error::Error + Send + Sync + 'static>(
    path: Option<&Path>,
    parse: impl FnOnce(&[u8]) -> Result<T, E>,
) -> anyhow::Result<Option<T>> {
    let Some(path) = path else { return Ok(None) };
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&bytes).map(Some).with_context(|| format!("{} cannot be used", path.display()))
}
