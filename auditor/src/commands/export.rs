//! `export`: a file that left the house, with its manifest and signature, offline; with a ledger, against that as well.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use clap::Args;
use daybook_auditor::evidence_text::printable;
use daybook_auditor::export_check::manifest::Manifest;
use daybook_auditor::export_check::{self, Export, ExportReport, LedgerWatch, Recorded, format_of, name_of, reading};
use daybook_auditor::keys::TrustedKeys;
use daybook_auditor::seen::EntryViewer;
use daybook_auditor::trust::{Answer, Brought};

use super::{SourceArguments, examined, read_file, write_json, write_out};

/// Verify an export: the file against its manifest, the manifest against its signature, both against the ledger
///
///   daybook-auditor export exp_1.1.csv --key key.pem --store data
///
/// The manifest and the signature stand beside the file, under its name and .manifest.json or .sig, unless they
/// are named. Without --key nobody's signature counts; without --store nothing is said of the ledger.
///
/// Exit codes: 0 nothing failed; 1 something did, each fault by its name; 2 it cannot be read.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// The file
    file: PathBuf,
    /// Its manifest
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// The signature of the manifest
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Keys that count: PEM public keys or verifier keys; may stand several times
    #[arg(long, visible_alias = "keys", value_name = "FILE")]
    key: Vec<PathBuf>,
    /// The ledger: a SQLite file, data folder, postgres://…, http(s)://… or bundle.zip
    #[arg(long, value_name = "SOURCE")]
    store: Option<String>,
    /// Bearer token for a server
    #[arg(long, env = "DAYBOOK_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// The outcome as JSON
    #[arg(long)]
    json: bool,
}

/// Verifies and prints.
pub async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let beside = |ending: &str| beside(&arguments.file, ending);
    let manifest_path = arguments.manifest.clone().unwrap_or_else(|| beside(".manifest.json"));
    let manifest = read_file(&manifest_path)?;
    let signature_path = arguments.signature.clone().unwrap_or_else(|| beside(".sig"));
    let signature = match arguments.signature.is_some() || signature_path.exists() {
        true => Some(read_file(&signature_path)?),
        false => None,
    };
    let keys = read_keys(&arguments.key)?;
    let recorded = match (&arguments.store, Manifest::parse(&manifest)) {
        (Some(store), Ok(manifest)) => Some(ask_ledger(&arguments, store, &manifest, keys.as_ref()).await?),
        _ => None,
    };
    let (path, format) = (arguments.file.clone(), format_of(&manifest));
    let file = tokio::task::spawn_blocking(move || reading::read(&path, &format))
        .await?
        .with_context(|| format!("cannot read {}", arguments.file.display()))?;
    let report = export_check::check(&Export {
        file: &file,
        file_name: name_of(&arguments.file),
        manifest: &manifest,
        signature: signature.as_deref(),
        keys: keys.as_ref(),
        recorded: recorded.as_ref(),
    });
    match arguments.json {
        true => write_json(None, &report)?,
        false => write_out(None, &rendered(&report))?,
    }
    Ok(report.holds())
}

/// The file that stands beside another one, under its name and an ending.
fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn read_keys(paths: &[PathBuf]) -> anyhow::Result<Option<TrustedKeys>> {
    let mut keys: Option<TrustedKeys> = None;
    for path in paths {
        let read = TrustedKeys::parse(&read_file(path)?).with_context(|| path.display().to_string())?;
        match &mut keys {
            Some(keys) => keys.extend(read),
            None => keys = Some(read),
        }
    }
    Ok(keys)
}

async fn ask_ledger(
    arguments: &Arguments,
    store: &str,
    manifest: &Manifest,
    keys: Option<&TrustedKeys>,
) -> anyhow::Result<Recorded> {
    if store.is_empty() {
        bail!("--store names no ledger");
    }
    let watch = Arc::new(Mutex::new(LedgerWatch::new(manifest)));
    let watching = Arc::clone(&watch);
    let viewer = EntryViewer::new(move |entry| watching.lock().unwrap_or_else(PoisonError::into_inner).entry(entry));
    let source = SourceArguments {
        source: store.to_owned(),
        ledger: Some(manifest.ledger.ledger_id.clone()),
        token: arguments.token.clone(),
        max_findings: 1,
    };
    let sizes = manifest.ledger.checkpoint.iter().map(|checkpoint| checkpoint.size);
    let brought = Brought { keys: keys.cloned(), extra_sizes: sizes.collect(), ..Brought::default() };
    let examination = examined(&source, &brought, Some(viewer)).await?;
    let watch = watch.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(watch.finish(&examination, keys))
}

fn rendered(report: &ExportReport) -> String {
    let word = |answer: Answer| match answer {
        Answer::Verified => "verified",
        Answer::Failed => "FAILED",
        Answer::NotChecked => "not checked",
    };
    let mut text = format!("export {:?}\n", report.export_id.as_deref().unwrap_or("-"));
    for (name, judged) in [
        ("file", &report.file),
        ("signature", &report.signature),
        ("recorded", &report.recorded),
        ("position", &report.position),
        ("inclusion", &report.inclusion),
        ("approval", &report.approval),
    ] {
        text.push_str(&format!("  {name:<12}{}: {}\n", word(judged.verdict), judged.reason));
    }
    text.push_str(&format!("  blake3      {}\n  sha256      {}\n", report.read.blake3, report.read.sha256));
    for finding in &report.findings {
        let position = finding.position.map(|position| format!(" at position {position}")).unwrap_or_default();
        text.push_str(&format!("  {}{position}: {}\n", finding.kind.code(), finding.detail));
    }
    text.push_str(if report.holds() { "nothing failed\n" } else { "FAILED\n" });
    printable(&text)
}
