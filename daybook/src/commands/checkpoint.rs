//! `daybook checkpoint`: seal the ledger and sign what it comes to, now.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use daybook_ledger::Ledger;
use daybook_ledger::checkpoint::Checkpointer;
use daybook_ledger::keys::detached_signature;
use daybook_ledger::note::{CheckpointBody, SignedNote};
use daybook_ledger::sequencer::{Unobserved, system_clock};
use reqwest::Method;
use serde_json::{Value, json};

use crate::commands::Outcome;
use crate::output;
use crate::runtime::client::Client;
use crate::runtime::signing;
use crate::runtime::store::{self, Location};
use crate::settings::Settings;

/// What a server calls a ledger that does not extend what was signed.
const REFUSED: &str = "checkpoint.refused";

/// Sign a checkpoint of the ledger now, and print it
///
///   daybook checkpoint                       the signed note, for people and programs
///   daybook checkpoint > seen.txt            keep it: daybook-auditor takes it up again
///   daybook checkpoint --detached evidence   body and signature for openssl
///
/// Asks the server of the data folder (or of --url) if there is one, else opens the store
/// and signs here. Where nothing was written since the last checkpoint, that one is printed.
///
/// Exit codes: 0 signed; 1 refused, because the ledger does not extend the checkpoint signed
/// last; 2 could not run.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Also write body.txt and body.sig (ECDSA over SHA-256, DER) to this folder
    #[arg(long, value_name = "DIR")]
    detached: Option<PathBuf>,
    /// Ask this server
    #[arg(long, value_name = "URL", env = "DAYBOOK_URL")]
    url: Option<String>,
    /// The operator's token, where it is not in the data folder
    #[arg(long, value_name = "TOKEN", env = "DAYBOOK_OPERATOR_TOKEN", hide_env_values = true)]
    operator_token: Option<String>,
}

/// Signs and prints.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    let text = match Client::find(settings, arguments.url.as_deref(), arguments.operator_token).await? {
        Some(client) => match there(settings, &client).await? {
            Ok(text) => text,
            Err(refused) => {
                output::error(&anyhow!("the server at {} refuses: {refused}", client.base()));
                return Ok(Outcome::CheckFailed);
            }
        },
        None => here(settings).await?,
    };
    let note = SignedNote::parse(&text).context("the checkpoint cannot be read")?;
    let body = CheckpointBody::parse(&note.body).context("the checkpoint cannot be read")?;
    if let Some(folder) = &arguments.detached {
        detach(folder, &note)?;
    }
    if settings.json {
        let key_ids: Vec<String> = note.signatures.iter().map(|signature| signature.key_id.to_string()).collect();
        output::json(&json!({
            "origin": body.origin,
            "size": body.size,
            "root": body.root,
            "root_base64": STANDARD.encode(body.root.0),
            "key_ids": key_ids,
            "note": text,
        }))?;
    } else {
        output::line(text.trim_end())?;
    }
    Ok(Outcome::Good)
}

/// The server signs: it holds the store, and the keys. The inner error is its refusal, in its own words.
async fn there(settings: &Settings, client: &Client) -> anyhow::Result<Result<String, String>> {
    let path = format!("/v1/ledgers/{}/checkpoints", settings.ledger());
    let request = client.request(Method::POST, &path);
    let answer = request.send().await.with_context(|| format!("cannot reach the server at {}", client.base()))?;
    let status = answer.status();
    let answer: Value = answer.json().await.context("the server's answer is not JSON")?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    match (text("note"), text("code")) {
        (Some(note), _) => Ok(Ok(note.to_owned())),
        (None, Some(REFUSED)) => Ok(Err(text("detail").unwrap_or("no explanation").to_owned())),
        _ => bail!("the server at {} answered {status}: {}", client.base(), text("detail").unwrap_or("no note")),
    }
}

async fn here(settings: &Settings) -> anyhow::Result<String> {
    let location = Location::of(settings);
    if let Some(file) = location.ledger_file()
        && !file.is_file()
    {
        bail!("there is no ledger to sign: {} is missing", file.display());
    }
    let clock = system_clock();
    let store = location.open_for_writing().await?;
    let ledger = Ledger::open(store, settings.ledger(), Arc::clone(&clock), Arc::new(Unobserved))
        .await
        .with_context(|| format!("cannot open the ledger {}", settings.ledger()))?;
    let keys = signing::key_ring(settings, ledger.id(), clock())?;
    let mut checkpointer = Checkpointer::open(ledger, keys, clock, Arc::new(Unobserved))
        .await
        .context("no checkpoint can be signed of this ledger")?;
    let checkpoint = checkpointer.sign().await.context("no checkpoint could be signed")?;
    drop(checkpointer);
    if let Some(file) = location.ledger_file() {
        // Somebody who reads it at this moment keeps the write-ahead log in use; the ledger is whole with it, too.
        let _ = store::checkpoint(&file).await;
    }
    Ok(checkpoint.note)
}

/// What other tools verify: the signed bytes, and the signature alone.
fn detach(folder: &Path, note: &SignedNote) -> anyhow::Result<()> {
    let (key_id, signature) = detached_signature(note).context("the checkpoint has no ECDSA signature")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (name, bytes) in [("body.txt", note.body.as_bytes()), ("body.sig", &signature)] {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    eprintln!(
        "wrote {0}/body.txt and {0}/body.sig, signed by {key_id}; to verify:\n  \
         daybook keys export-public --format pem --key {key_id} > key.pem\n  \
         openssl dgst -sha256 -verify key.pem -signature {0}/body.sig {0}/body.txt",
        folder.display()
    );
    Ok(())
}
