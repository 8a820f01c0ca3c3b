//! `daybook keys`: the keys that sign checkpoints: listing, exchanging and handing out their public halves.

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use daybook_ledger::keys::time::rfc3339;
use daybook_ledger::keys::{Algorithm, KeyId, KeyRecord, KeyRing, KeyState, read_records};
use serde_json::json;

use crate::commands::Outcome;
use crate::output;
use crate::settings::Settings;
use crate::settings::signing::DEFAULT_OVERLAP_DAYS;

/// List, rotate or export the keys that sign checkpoints
///
///   daybook keys list
///   daybook keys rotate                              a new key; the old one signs along for 7 days
///   daybook keys export-public                       for verifiers: name, key id and key
///   daybook keys export-public --format pem          for openssl
///   daybook keys export-public --format keys-file    all keys with their times, for daybook-auditor
///
/// Keys are made at the first start of a server, in <DIR>/keys, for their owner alone; those
/// of an organisation created later, in <DIR>/keys/<its id> (name it with --ledger). A
/// server that runs takes up a rotation with its next checkpoint. Private keys are never
/// printed: they are the .pem files in that folder.
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub enum Arguments {
    /// Show every key: what it does, since when and until when
    List,
    /// Make a new key and let it take over
    Rotate(Rotate),
    /// Print public keys
    ExportPublic(ExportPublic),
}

/// How to rotate.
#[derive(Debug, Args)]
pub struct Rotate {
    /// Which kind of key
    #[arg(long, value_name = "ALGORITHM", default_value_t = Algorithm::EcdsaP256Sha256)]
    algorithm: Algorithm,
    /// Days that the old key signs beside the new one
    #[arg(long, value_name = "DAYS", default_value_t = DEFAULT_OVERLAP_DAYS)]
    overlap: u32,
}

/// What to print.
#[derive(Debug, Args)]
pub struct ExportPublic {
    /// In which form
    #[arg(long, value_enum, default_value_t = Format::Verifier)]
    format: Format,
    /// Only this key; without it `pem` prints the active P-256 key, `verifier` those that sign, `keys-file` all
    #[arg(long, value_name = "KEY_ID")]
    key: Option<KeyId>,
}

/// A form of public keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// `<name>+<key id>+<base64>`, as verifiers of signed notes take it
    Verifier,
    /// PEM of the SubjectPublicKeyInfo
    Pem,
    /// One verifier key a line, with the times it signed from and until
    KeysFile,
}

/// Does what was asked.
pub fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    let now = chrono::Utc::now().timestamp_micros();
    match arguments {
        Arguments::List => list(settings, now)?,
        Arguments::Rotate(rotate) => rotated(settings, &rotate, now)?,
        Arguments::ExportPublic(export) => exported(settings, &export, now)?,
    }
    Ok(Outcome::Good)
}

/// The keys in the folder that are for the ledger.
fn records(settings: &Settings) -> anyhow::Result<Vec<KeyRecord>> {
    let origin = settings.signing.origin_of(&settings.ledger());
    let folder = settings.key_folder(&settings.ledger());
    let mut records = read_records(&folder).context("the keys cannot be read")?;
    records.retain(|record| record.name.as_ref().is_none_or(|name| *name == origin));
    if records.is_empty() {
        bail!(
            "there are no keys in {} yet: the first start of a server with the role write makes one, and so does \
             `daybook checkpoint`",
            folder.display()
        );
    }
    Ok(records)
}

fn word(state: KeyState) -> &'static str {
    match state {
        KeyState::Active => "active",
        KeyState::Overlapping => "overlapping",
        KeyState::Retired => "retired",
    }
}

fn list(settings: &Settings, now: i64) -> anyhow::Result<()> {
    let origin = settings.signing.origin_of(&settings.ledger());
    let records = records(settings)?;
    if settings.json {
        let items = records.iter().map(|record| {
            let key = record.verifier_key(&origin)?;
            Ok(json!({
                "key_id": record.key_id,
                "algorithm": record.algorithm,
                "state": record.state(now),
                "name": key.name(),
                "verifier_key": key.to_string(),
                "file": record.file,
                "activated_at": rfc3339(record.activated_at),
                "retired_at": record.retired_at.map(rfc3339),
            }))
        });
        let items = items.collect::<anyhow::Result<Vec<_>>>()?;
        return output::json(&json!({ "folder": settings.key_folder(&settings.ledger()), "items": items }));
    }
    let mut rows =
        vec![["key", "algorithm", "state", "signs from", "until", "private key"].map(str::to_owned).to_vec()];
    for record in &records {
        rows.push(vec![
            record.key_id.to_string(),
            record.algorithm.to_string(),
            word(record.state(now)).to_owned(),
            rfc3339(record.activated_at),
            record.retired_at.map_or_else(|| "-".to_owned(), rfc3339),
            record.file.clone().unwrap_or_else(|| "given from outside".to_owned()),
        ]);
    }
    output::line(output::table(&rows))?;
    output::line(format!("in {}, signing as {origin}", settings.key_folder(&settings.ledger()).display()))
}

fn rotated(settings: &Settings, rotate: &Rotate, now: i64) -> anyhow::Result<()> {
    let options = settings.ring_options(&settings.ledger(), rotate.overlap);
    if rotate.algorithm == Algorithm::Ed25519 && !options.ed25519 {
        bail!("no Ed25519 key signs here: switch ed25519_signature on first");
    }
    // Before there is a key there is none to rotate: the first one is made by who signs first.
    records(settings)?;
    let mut ring = KeyRing::open(options, now).context("the signing keys cannot be used")?;
    let record = ring.rotate(rotate.algorithm, now).context("the key cannot be rotated")?;
    if settings.json {
        return output::json(&json!({
            "key_id": record.key_id,
            "algorithm": record.algorithm,
            "verifier_key": record.verifier_key(ring.origin())?.to_string(),
            "activated_at": rfc3339(record.activated_at),
        }));
    }
    output::line(format!("{} signs from the next checkpoint on:", record.key_id))?;
    output::line(format!("  {}", record.verifier_key(ring.origin())?))?;
    output::line(format!(
        "the key before signs along for {} days: hand the new one to those who verify",
        rotate.overlap
    ))
}

fn exported(settings: &Settings, export: &ExportPublic, now: i64) -> anyhow::Result<()> {
    let origin = settings.signing.origin_of(&settings.ledger());
    let mut records = records(settings)?;
    if let Some(id) = export.key {
        records.retain(|record| record.key_id == id);
        if records.is_empty() {
            bail!("there is no key {id} in {}", settings.key_folder(&settings.ledger()).display());
        }
    } else {
        match export.format {
            Format::KeysFile => {}
            Format::Verifier => records.retain(|record| record.state(now) != KeyState::Retired),
            Format::Pem => records.retain(|record| {
                record.algorithm == Algorithm::EcdsaP256Sha256 && record.state(now) == KeyState::Active
            }),
        }
    }
    if export.format == Format::KeysFile {
        output::line("# Public keys of the ledger's checkpoints; daybook-auditor takes this file with --keys.")?;
    }
    for record in &records {
        let key = record.verifier_key(&origin)?;
        match export.format {
            Format::Verifier => output::line(key)?,
            Format::Pem => output::line(key.to_pem().trim_end())?,
            Format::KeysFile => {
                let until = record.retired_at.map(|end| format!(" until={}", rfc3339(end))).unwrap_or_default();
                output::line(format!("{key} from={}{until}", rfc3339(record.activated_at)))?;
            }
        }
    }
    Ok(())
}
