//! `check`: a proof file, offline, with nothing but the auditor's own keys.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use daybook_auditor::entry_facts::EntryFacts;
use daybook_auditor::proof_check::{Claims, check};
use daybook_auditor::tlog_proof::TlogProof;
use daybook_auditor::trust::Answer;

use super::{KeyArguments, parsed, read_file, write_json, write_out};

/// Check a proof file: the entry is in the tree that the checkpoint states, and who signed that
///
///   daybook-auditor check 42.tlog-proof --keys keys.txt --receipt '{"ledger_id":"main","position":42,"hash":"…"}'
///
/// Nothing is fetched. With --receipt or --entry the proof must be of that very entry.
///
/// Exit codes: 0 nothing failed; 1 something did; 2 it cannot be read.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// The proof file, `-` for standard input
    proof: PathBuf,
    #[command(flatten)]
    keys: KeyArguments,
    /// The receipt that a command was answered with: JSON, or a file that holds it
    #[arg(long, value_name = "JSON")]
    receipt: Option<String>,
    /// A file with the entry as the API gives it (JSON)
    #[arg(long, value_name = "FILE")]
    entry: Option<PathBuf>,
    /// The outcome as JSON
    #[arg(long)]
    json: bool,
}

/// Checks and prints.
pub fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let brought = arguments.keys.read()?;
    let bytes = read_file(&arguments.proof)?;
    let receipt = match &arguments.receipt {
        None => None,
        Some(text) if text.trim_start().starts_with('{') => Some(text.clone().into_bytes()),
        Some(path) => Some(read_file(path.as_ref())?),
    };
    let receipt = receipt.map(|json| serde_json::from_slice(&json)).transpose().context("the receipt")?;
    let json = |bytes: &[u8]| serde_json::from_slice::<Box<serde_json::value::RawValue>>(bytes);
    let entry = parsed(arguments.entry.as_deref(), json)?;
    let claims = Claims { receipt, entry: entry.map(|entry| entry.get().to_owned()) };
    let outcome = check(&TlogProof::parse(&bytes), &claims, &brought);
    if arguments.json {
        write_json(None, &outcome)?;
        return Ok(outcome.holds());
    }
    let word = |answer: Answer| match answer {
        Answer::Verified => "verified",
        Answer::Failed => "FAILED",
        Answer::NotChecked => "not checked",
    };
    let mut text = String::new();
    for (name, judged) in [
        ("inclusion", &outcome.inclusion),
        ("authorship", &outcome.authorship),
        ("witnesses", &outcome.witnesses),
        ("receipt", &outcome.receipt),
        ("payload", &outcome.payload),
    ] {
        text.push_str(&format!("  {name:<12}{}: {}\n", word(judged.verdict), judged.reason));
    }
    if let Some(entry) = &outcome.entry {
        text.push_str(&described(entry));
    }
    for finding in &outcome.findings {
        let position = finding.position.map(|position| format!(" at position {position}")).unwrap_or_default();
        text.push_str(&format!("  {}{position}: {}\n", finding.kind.code(), finding.detail));
    }
    text.push_str(if outcome.holds() { "nothing failed\n" } else { "FAILED\n" });
    write_out(None, &text)?;
    Ok(outcome.holds())
}

fn described(entry: &EntryFacts) -> String {
    format!(
        "  entry       {:?} position {}, stream {:?}/{:?} version {}, {:?} (schema {})\n  \
         recorded    {} by {:?} {:?} (server's word)\n  hash        {}\n",
        entry.ledger_id,
        entry.position,
        entry.stream_type,
        entry.stream_id,
        entry.version,
        entry.event_type,
        entry.schema_version,
        daybook_auditor::judge::moment(entry.recorded_at),
        entry.actor_kind,
        entry.actor_id,
        blake3::hash(&entry.to_bytes()).to_hex()
    )
}
