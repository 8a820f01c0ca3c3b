//! `prove`: a proof file of one entry, made by reading the whole tree, or fetched from a server and checked.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use clap::Args;
use daybook_auditor::Source;
use daybook_auditor::checkpoint::Checkpoint;
use daybook_auditor::path::{RangeRoots, inclusion_ranges};
use daybook_auditor::peek;
use daybook_auditor::proof::{leaf_hash, verify_inclusion};
use daybook_auditor::seen::EntryViewer;
use daybook_auditor::tlog_proof::TlogProof;
use daybook_auditor::trust::Brought;

use super::{SourceArguments, examined, parsed, write_out};

/// Make a proof file of one entry, against the newest checkpoint or one that you kept
///
///   daybook-auditor prove data 42 -o 42.tlog-proof
///
/// The proof is checked before it is written; `check` checks it again with your keys. From a server it is
/// fetched, from a store it is made by reading all entries up to the checkpoint.
///
/// Exit codes: 0 written; 1 the entries do not come to the checkpoint; 2 it cannot be read.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    #[command(flatten)]
    source: SourceArguments,
    /// Position of the entry
    position: u64,
    /// Prove against this checkpoint instead of the source's newest
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Makes the proof.
pub async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let ledger = arguments.source.one_ledger().to_owned();
    let given = parsed(arguments.checkpoint.as_deref(), Checkpoint::parse)?;
    let proof = match (&given, fetched(&arguments, &ledger).await?) {
        (None, Some(proof)) => proof,
        _ => made(&arguments, &ledger, given).await?,
    };
    let checkpoint = &proof.checkpoint;
    let Some(extra) = &proof.extra else { bail!("the server's proof does not hold the entry") };
    if proof.index != arguments.position {
        bail!("the server's proof is of position {}, not {}", proof.index, arguments.position);
    }
    if let Err(error) = verify_inclusion(proof.index, checkpoint.size, leaf_hash(extra), &proof.path, &checkpoint.root)
    {
        eprintln!(
            "proof_invalid at position {}: the entries do not come to the checkpoint of size {}: {error}",
            proof.index, checkpoint.size
        );
        return Ok(false);
    }
    write_out(arguments.output.as_deref(), &proof.to_text())?;
    Ok(true)
}

/// The server's own proof. None for another source, or where the server has none.
async fn fetched(arguments: &Arguments, ledger: &str) -> anyhow::Result<Option<TlogProof>> {
    let Source::Server { url, token } = arguments.source.source()? else { return Ok(None) };
    let path = format!("/v1/ledgers/{ledger}/proofs/{}.tlog-proof", arguments.position);
    let Some(bytes) = peek::get(&url, &path, token.as_deref()).await? else { return Ok(None) };
    TlogProof::parse(&bytes).map(Some).context("the server's proof")
}

struct Collected {
    roots: RangeRoots,
    next: u64,
    entry: Option<Vec<u8>>,
    buffer: Vec<u8>,
}

async fn made(arguments: &Arguments, ledger: &str, given: Option<Checkpoint>) -> anyhow::Result<TlogProof> {
    let position = arguments.position;
    let checkpoint = match given {
        Some(given) => given,
        None => peek::peek(&arguments.source.source()?, Some(ledger))
            .await?
            .get(ledger)
            .and_then(|peek| peek.newest(ledger))
            .context("the source presents no checkpoint: name one with --checkpoint")?,
    };
    let size = checkpoint.size;
    if position >= size {
        bail!("the checkpoint covers {size} entries: position {position} is not among them");
    }
    let collected = Arc::new(Mutex::new(Collected {
        roots: RangeRoots::new(inclusion_ranges(position, size)),
        next: 0,
        entry: None,
        buffer: Vec::new(),
    }));
    let (collector, wanted) = (Arc::clone(&collected), ledger.to_owned());
    let viewer = EntryViewer::new(move |entry| {
        let collected = &mut *collector.lock().unwrap_or_else(PoisonError::into_inner);
        // After an entry that is missing, nothing more fits: the proof then lacks hashes and is refused.
        if entry.ledger_id() != wanted || entry.position() != collected.next || collected.next >= size {
            return;
        }
        entry.write_canonical(&mut collected.buffer);
        collected.roots.push(leaf_hash(&collected.buffer));
        collected.next += 1;
        if entry.position() == position {
            collected.entry = Some(collected.buffer.clone());
        }
    });
    let source = arguments.source.with_ledger(ledger);
    let brought = Brought { extra_sizes: vec![size], ..Brought::default() };
    examined(&source, &brought, Some(viewer)).await?;
    let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
    let roots = std::mem::replace(&mut collected.roots, RangeRoots::new(Vec::new()));
    match (collected.entry.take(), roots.finish()) {
        (Some(entry), Some(path)) => Ok(TlogProof { extra: Some(entry), index: position, path, checkpoint }),
        _ => bail!("the source does not hold all of the first {size} entries"),
    }
}
