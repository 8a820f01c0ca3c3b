//! `remember`: keeps the newest checkpoint of each ledger, once it is known to continue the one kept before.

use anyhow::bail;
use chrono::{SecondsFormat, Utc};
use clap::Args;
use daybook_auditor::evidence_text;
use daybook_auditor::examine::Examination;
use daybook_auditor::memory::{Memory, Seen, folder_of};
use daybook_auditor::trust::LedgerEvidence;
use serde::Serialize;

use super::{KeyArguments, MemoryArguments, SourceArguments, examined, write_json, write_out};

/// Keep the newest checkpoint, after checking that it continues the one kept before
///
///   daybook-auditor remember https://ledger.example --keys keys.txt
///
/// Run it now and then: later runs of `verify` and `remember` then show what was cut off or rewritten
/// since, and where. What is kept: the signed note and 32 bytes for every 256 entries.
///
/// Exit codes: 0 kept; 1 refused, with the reason; 2 it cannot be read, or presents no checkpoint.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    #[command(flatten)]
    source: SourceArguments,
    #[command(flatten)]
    keys: KeyArguments,
    #[command(flatten)]
    memory: MemoryArguments,
    /// The outcome as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Kept {
    origin: String,
    size: u64,
    root: String,
    signed_by_trusted_key: bool,
    /// Size that was kept before.
    before: Option<u64>,
    folder: String,
}

#[derive(Debug, Serialize)]
struct Outcome<'a> {
    kept: Vec<Kept>,
    evidence: &'a Examination,
}

/// Examines, and keeps where nothing failed.
pub async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let Some(folder) = arguments.memory.folder() else { bail!("there is no home folder: name one with --memory") };
    let mut brought = arguments.keys.read()?;
    arguments.memory.read(&mut brought)?;
    let examination = examined(&arguments.source, &brought, None).await?;
    let mut kept = Vec::new();
    if examination.holds() {
        for evidence in &examination.ledgers {
            let Some(memory) = memory_of(&examination, evidence) else { continue };
            let folder = folder_of(&folder, &memory.origin);
            let before = Memory::load(&folder)?.map(|before| before.size);
            memory.save(&folder)?;
            kept.push(Kept {
                size: memory.size,
                root: memory.root,
                signed_by_trusted_key: memory.signed_by_trusted_key,
                before,
                folder: folder.display().to_string(),
                origin: memory.origin,
            });
        }
        if kept.is_empty() {
            bail!("{} presents no checkpoint that could be kept", examination.source);
        }
    }
    if arguments.json {
        write_json(None, &Outcome { kept, evidence: &examination })?;
    } else {
        let mut text = evidence_text::render(&examination, false);
        for one in &kept {
            let whose =
                if one.signed_by_trusted_key { "signed by a trusted key" } else { "its signature was NOT checked" };
            let before = one.before.map_or_else(|| "for the first time".to_owned(), |size| format!("after {size}"));
            text.push_str(&format!(
                "kept: {} of size {} ({whose}), {before}, in {}\n",
                one.origin, one.size, one.folder
            ));
        }
        if !examination.holds() {
            text.push_str("nothing was kept: what is remembered stays as it was\n");
        }
        write_out(None, &text)?;
    }
    Ok(examination.holds())
}

/// The newest checkpoint that the source presents, if the entries come to it.
fn memory_of(examination: &Examination, evidence: &LedgerEvidence) -> Option<Memory> {
    let ledger_id = evidence.figures.ledger_id.as_str();
    let report = examination.report(ledger_id)?;
    let checkpoint = examination.peeked().get(ledger_id)?.newest(ledger_id)?;
    let state = report.states.iter().find(|state| state.size == checkpoint.size)?;
    if state.root.as_deref() != Some(hex::encode(checkpoint.root).as_str()) {
        return None;
    }
    let note = checkpoint.note().text();
    let signed = evidence.checkpoints.iter().any(|one| one.note == note && one.is_signed());
    Some(Memory::of(Seen {
        hash: state.hash.clone(),
        frontier: state.frontier.clone(),
        tile_roots: examination.tile_roots(ledger_id).to_vec(),
        signed_by_trusted_key: signed,
        source: examination.source.clone(),
        now: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        checkpoint,
    }))
}
