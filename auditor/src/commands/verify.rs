//! `verify`: the verdicts, and every finding with its position.

use clap::Args;
use daybook_auditor::evidence_text;

use super::{SourceArguments, TrustArguments, examined, write_json, write_out};

/// Verify a source: integrity, completeness, authorship, time, approvals
///
///   daybook-auditor verify data/ledger.db
///   daybook-auditor verify https://ledger.example --checkpoint kept.txt --keys keys.txt
///
/// Every hash is recomputed. Completeness needs a checkpoint that you kept (--checkpoint, or `remember`),
/// authorship the keys that you trust (--keys), time the roots of a time-stamping authority (--tsa-roots).
///
/// Exit codes: 0 nothing failed; 1 something did, with its position and kind; 2 it cannot be read.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    #[command(flatten)]
    source: SourceArguments,
    #[command(flatten)]
    trust: TrustArguments,
    /// The whole evidence as JSON
    #[arg(long)]
    json: bool,
}

/// Verifies and prints.
pub async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let examination = examined(&arguments.source, &arguments.trust.read()?, None).await?;
    if arguments.json {
        write_json(None, &examination)?;
    } else {
        write_out(None, &evidence_text::render(&examination, false))?;
    }
    Ok(examination.holds())
}
