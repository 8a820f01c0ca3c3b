//! `daybook prove`: a proof from the store itself, as text to hand to somebody.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use daybook_ledger::LedgerTree;
use daybook_query_api::proofs::{ConsistencyProof, consistency_proof};
use daybook_query_api::tlog_proof::{TlogProofError, tlog_proof};
use serde_json::json;

use crate::commands::Outcome;
use crate::output;
use crate::runtime::store;
use crate::settings::Settings;

/// Prove that an entry is in the ledger, or that the ledger was only added to
///
///   daybook prove 42 -o 42.tlog-proof        a file that proves entry 42 without any server
///   daybook prove --consistency 1000 2500    the first 1,000 of 2,500 entries are still the same
///
/// The position is that of a receipt. The file holds the entry's canonical bytes (their BLAKE3
/// is the receipt's hash), the path to the root, and the newest checkpoint;
/// daybook-auditor check 42.tlog-proof --keys FILE verifies it. Reads the store itself, also
/// while a server writes to it. An entry that no checkpoint covers yet cannot be proved:
/// wait for the next one, or have it signed with daybook checkpoint.
///
/// Exit codes: 0 proved; 1 the ledger does not lead to its checkpoint; 2 there is no proof.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Position of the entry
    #[arg(required_unless_present = "consistency", conflicts_with = "consistency")]
    position: Option<u64>,
    /// Sizes of the older and of the newer ledger
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    consistency: Option<Vec<u64>>,
    /// Write to this file instead of printing
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Proves and prints.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    let tree = LedgerTree::new(store::reader(settings).await?);
    let text = match (arguments.position, arguments.consistency.as_deref()) {
        (Some(position), _) => match tlog_proof(&tree, position).await {
            Ok(proof) if settings.json => {
                let ledger_id = settings.ledger();
                pretty(&json!({ "ledger_id": ledger_id, "position": position, "proof": proof }))?
            }
            Ok(proof) => proof,
            Err(error @ (TlogProofError::NotExtending(_) | TlogProofError::Damaged(_))) => {
                output::error(&error.into());
                return Ok(Outcome::CheckFailed);
            }
            Err(error) => return Err(error).context("there is no proof"),
        },
        (None, Some([old, new])) => {
            ensure!(old <= new, "--consistency takes the older size first");
            let proof = consistency_proof(&tree, *old, *new).await.context("there is no proof")?;
            if settings.json { pretty(&proof)? } else { readable(&proof) }
        }
        _ => anyhow::bail!("name a position, or two sizes with --consistency"),
    };
    match &arguments.output {
        None => output::line(text.trim_end())?,
        Some(file) => {
            std::fs::write(file, &text).with_context(|| format!("cannot write {}", file.display()))?;
            if !settings.json {
                output::line(format!("wrote {} ({})", file.display(), output::bytes(text.len() as u64)))?;
            }
        }
    }
    Ok(Outcome::Good)
}

fn pretty(value: &impl serde::Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value).context("the proof cannot be written as JSON")? + "\n")
}

fn readable(proof: &ConsistencyProof) -> String {
    let mut text = format!(
        "ledger {}\nfrom   {} {}\nto     {} {}\n",
        proof.ledger_id, proof.from, proof.from_root, proof.to, proof.to_root
    );
    for hash in &proof.path {
        text.push_str("path   ");
        text.push_str(hash);
        text.push('\n');
    }
    text
}
