//! `daybook export`: records as signed files, once somebody else has approved that they leave the house.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use daybook_exports::{ManifestKey, Parts, verify as verify_files};
use daybook_ledger::keys::VerifierKey;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::commands::Outcome;
use crate::commands::people::recorded;
use crate::commands::remote::{Remote, object, segment, with_detail, word};
use crate::output;
use crate::settings::Settings;

/// Request, download and verify exports
///
///   daybook export request transactions --filter status=pending --reason "Q3 review"
///   daybook export request evidence_pack --matter "Case 7" --start 2026-01-01 --end 2026-03-31 --hold hld_…
///   daybook export list --status generated
///   daybook export download exp_… -o transactions.csv      manifest and signature come with it
///   daybook export verify transactions.csv --key keys.pem  offline: the file against its manifest
///   daybook export verify exp_…                            the server reads its file again
///   daybook export redeliver exp_…
///   daybook export remove exp_… --reason "Its time is over"
///
/// An export is made once its approval request is approved by somebody else: see `daybook
/// approval`. Its digest is in the ledger, its manifest is signed.
///
/// Exit codes of verify: 0 it is what was signed; 1 it is not (every finding is named); 2 it
/// could not be read.
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub enum Arguments {
    /// Ask for an export
    Request(Request),
    /// Show the exports
    List(List),
    /// Show one export
    Show(Which),
    /// Save an export's file, with its manifest and signature beside it
    Download(Download),
    /// Stop an export that is not generated yet
    Cancel(Cancel),
    /// Deliver an export once more
    Redeliver(Redeliver),
    /// Remove an export's file, manifest and signature from the server
    Remove(Cancel),
    /// Verify an export: a file offline, or by id on the server
    Verify(Verify),
}

/// What is exported, and why.
#[derive(Debug, Args)]
pub struct Request {
    /// transactions, incidents, users, agent_actions, audit_trail, entries or evidence_pack
    kind: String,
    /// csv, ndjson, json or parquet; an evidence_pack is a zip [default: csv]
    #[arg(long)]
    format: Option<String>,
    #[command(flatten)]
    pack: Pack,
    /// Only records with this value, as <name>=<value>; may be given several times
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
    /// Only these columns, in this order [default: all that the kind has by default]
    #[arg(long = "column", value_name = "NAME", value_delimiter = ',')]
    columns: Vec<String>,
    /// Deliver to this destination of the server's configuration
    #[arg(long = "deliver-to", value_name = "DESTINATION", value_delimiter = ',')]
    deliver_to: Vec<String>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// What an evidence pack is about. Each is a filter, in words of its own.
#[derive(Debug, Args)]
#[command(next_help_heading = "Evidence packs")]
pub struct Pack {
    /// What the pack is for
    #[arg(long, value_name = "TEXT")]
    matter: Option<String>,
    /// First day or moment of the period
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Last day or moment of the period
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// What this legal hold covers
    #[arg(long, value_name = "ID")]
    hold: Option<String>,
    /// This record; may be given several times
    #[arg(long = "stream", value_name = "TYPE/ID")]
    streams: Vec<String>,
    /// What this account did, or had done on its behalf; may be given several times
    #[arg(long = "subject", value_name = "ID")]
    subjects: Vec<String>,
    /// Say who people are, and what they wrote beside records
    #[arg(long)]
    people: bool,
}

impl Pack {
    /// As filters; those that were given.
    fn filters(self) -> impl Iterator<Item = (&'static str, Value)> {
        let list = |items: Vec<String>| (!items.is_empty()).then(|| json!(items));
        [
            ("matter", self.matter.map(Value::from)),
            ("start", self.start.map(Value::from)),
            ("end", self.end.map(Value::from)),
            ("hold", self.hold.map(Value::from)),
            ("streams", list(self.streams)),
            ("subjects", list(self.subjects)),
            ("people", self.people.then_some(Value::Bool(true))),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// Which ones.
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this status
    #[arg(long)]
    status: Option<String>,
    /// Only those of this kind
    #[arg(long)]
    kind: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Which {
    /// Id of the export (exp_…)
    export: String,
    #[command(flatten)]
    remote: Remote,
}

/// Which one, and where to.
#[derive(Debug, Args)]
pub struct Download {
    /// Id of the export (exp_…)
    export: String,
    /// The file; must not exist yet [default: what the server calls it, in this folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// Which one, and why.
#[derive(Debug, Args)]
pub struct Cancel {
    /// Id of the export (exp_…)
    export: String,
    /// Why
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    remote: Remote,
}

/// Which one, and where to.
#[derive(Debug, Args)]
pub struct Redeliver {
    /// Id of the export (exp_…)
    export: String,
    /// Only to this destination [default: all that it was requested for]
    #[arg(long = "to", value_name = "DESTINATION", value_delimiter = ',')]
    destinations: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

/// What is verified.
#[derive(Debug, Args)]
pub struct Verify {
    /// A file with its manifest and signature beside it, or the id of an export (exp_…)
    target: String,
    /// Public keys whose signatures count: PEM, or one verifier key a line; a file needs one
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The manifest [default: <FILE>.manifest.json]
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// The signature [default: <FILE>.sig]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

const COLUMNS: [(&str, &str); 7] = [
    ("export", "/id"),
    ("kind", "/kind"),
    ("format", "/format"),
    ("status", "/status"),
    ("rows", "/rows"),
    ("delivery", "/delivery_status"),
    ("verification", "/verification_status"),
];

const FIELDS: [(&str, &str); 14] = [
    ("export", "/id"),
    ("kind", "/kind"),
    ("format", "/format"),
    ("filters", "/filters"),
    ("columns", "/columns"),
    ("status", "/status"),
    ("approval", "/approval_id"),
    ("requested by", "/requested_by"),
    ("reason", "/reason"),
    ("rows", "/rows"),
    ("bytes", "/bytes"),
    ("SHA-256", "/hash"),
    ("delivery", "/delivery_status"),
    ("verification", "/verification_status"),
];

/// How a public key in PEM begins.
const PEM: &str = "-----BEGIN PUBLIC KEY-----";

/// Does what was asked.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    match arguments {
        Arguments::Request(asked) => request(settings, asked).await,
        Arguments::List(list) => {
            let session = list.remote.session(settings).await?;
            let given = [("status", list.status), ("kind", list.kind)];
            let parameters: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            session.show_list(&session.all("/v1/exports", &parameters).await?, &COLUMNS)?;
            Ok(Outcome::Good)
        }
        Arguments::Show(which) => {
            let session = which.remote.session(settings).await?;
            session.show_fields(&session.get(&path(&which.export, "")).await?, &FIELDS)?;
            Ok(Outcome::Good)
        }
        Arguments::Download(asked) => download(settings, asked).await,
        Arguments::Cancel(cancel) => {
            let session = cancel.remote.session(settings).await?;
            let body = json!({ "reason": cancel.reason });
            let answer = session.send(Method::POST, &path(&cancel.export, "/cancel"), &body).await?;
            recorded(&session, &answer, &format!("{} is cancelled", cancel.export))?;
            Ok(Outcome::Good)
        }
        Arguments::Remove(remove) => {
            let session = remove.remote.session(settings).await?;
            let body = json!({ "reason": remove.reason });
            let answer = session.send(Method::POST, &path(&remove.export, "/remove"), &body).await?;
            recorded(&session, &answer, &format!("the files of {} are removed", remove.export))?;
            Ok(Outcome::Good)
        }
        Arguments::Redeliver(again) => {
            let session = again.remote.session(settings).await?;
            let body = match again.destinations.is_empty() {
                true => Value::Null,
                false => json!({ "destinations": again.destinations }),
            };
            let answer = session.send(Method::POST, &path(&again.export, "/redeliver"), &body).await?;
            recorded(&session, &answer, &format!("{} is delivered once more", again.export))?;
            Ok(Outcome::Good)
        }
        Arguments::Verify(verify) if is_export_id(&verify.target) => verify_on_server(settings, verify).await,
        Arguments::Verify(verify) => verify_file(settings, verify).await,
    }
}

async fn request(settings: &Settings, asked: Request) -> anyhow::Result<Outcome> {
    let mut filters = filters(&asked.filters)?;
    for (name, value) in asked.pack.filters() {
        ensure!(filters.insert(name.to_owned(), value).is_none(), "the filter {name} is given twice");
    }
    let given = |values: Vec<String>| (!values.is_empty()).then(|| json!(values));
    let session = asked.remote.session(settings).await?;
    let body = object(&[
        ("kind", Some(json!(asked.kind))),
        ("format", asked.format.map(Into::into)),
        ("filters", (!filters.is_empty()).then_some(Value::Object(filters))),
        ("columns", given(asked.columns)),
        ("deliver_to", given(asked.deliver_to)),
        ("reason", asked.reason.map(Into::into)),
    ]);
    let answer = session.send(Method::POST, "/v1/exports", &body).await?;
    session.show(&answer, |answer| match answer.pointer("/approval_request_id").and_then(Value::as_str) {
        Some(approval) => {
            let export = word(answer, "/export/id");
            let how = format!("daybook approval vote {approval} approve");
            with_detail(&format!("{export} is asked for; somebody else approves {approval}: {how}"), answer)
        }
        None => format!("{} is being made", word(answer, "/id")),
    })?;
    Ok(Outcome::Good)
}

/// `name=value` of each, as the API takes them.
pub(super) fn filters(given: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut filters = Map::new();
    for filter in given {
        let (name, value) =
            filter.split_once('=').with_context(|| format!("{filter:?} is not of the form name=value"))?;
        ensure!(filters.insert(name.to_owned(), json!(value)).is_none(), "the filter {name} is given twice");
    }
    Ok(filters)
}

async fn download(settings: &Settings, asked: Download) -> anyhow::Result<Outcome> {
    let session = asked.remote.session(settings).await?;
    let export = session.get(&path(&asked.export, "")).await?;
    let named = export.pointer("/file_path").and_then(Value::as_str).and_then(|name| Path::new(name).file_name());
    let file = match (asked.output, named) {
        (Some(file), _) => file,
        (None, Some(name)) => PathBuf::from(name),
        (None, None) => bail!("{} has no file: it is {}", asked.export, word(&export, "/status")),
    };
    let Parts { file, manifest, signature } = Parts::beside(file);
    let parts = [("/manifest", manifest), ("/signature", signature), ("/file", file)];
    for (_, to) in &parts {
        ensure!(!to.exists(), "{} is there already", to.display());
    }
    let mut saved = Vec::new();
    // The file comes last: where it is, what verifies it is beside it.
    for (part, to) in &parts {
        let bytes = session.save(&path(&asked.export, part), to).await?;
        saved.push(json!({ "file": to, "bytes": bytes }));
    }
    session.show(&json!({ "files": saved }), |_| {
        let lines = parts.iter().map(|(_, to)| format!("wrote {}", to.display()));
        lines.collect::<Vec<_>>().join("\n")
    })?;
    Ok(Outcome::Good)
}

async fn verify_on_server(settings: &Settings, verify: Verify) -> anyhow::Result<Outcome> {
    let offline = [&verify.key, &verify.manifest, &verify.signature];
    ensure!(offline.iter().all(|file| file.is_none()), "--key, --manifest and --signature are for files");
    let session = verify.remote.session(settings).await?;
    let answer = session.send(Method::POST, &path(&verify.target, "/verify"), &Value::Null).await?;
    session.show(&answer, |answer| {
        let findings = answer.pointer("/findings").and_then(Value::as_array).cloned().unwrap_or_default();
        let lines = findings.iter().map(|finding| format!("  {}", word(finding, "")));
        let said = format!("{} is {}", verify.target, word(answer, "/result"));
        std::iter::once(said).chain(lines).collect::<Vec<_>>().join("\n")
    })?;
    Ok(Outcome::good_if(answer.pointer("/result").and_then(Value::as_str) == Some("verified")))
}

/// Reads the file and what is beside it, and nothing else: no server, no ledger.
async fn verify_file(settings: &Settings, verify: Verify) -> anyhow::Result<Outcome> {
    let Verify { target, key, manifest, signature, .. } = verify;
    let file = PathBuf::from(target);
    let key =
        key.context("--key names the public keys whose signatures count; take them from elsewhere than the file")?;
    let keys = read_keys(&key)?;
    ensure!(file.is_file(), "{} is not there, and not the id of an export", file.display());
    let mut parts = Parts::beside(file);
    parts.manifest = manifest.unwrap_or(parts.manifest);
    parts.signature = signature.unwrap_or(parts.signature);
    let named = parts.file.display().to_string();
    let verification = tokio::task::spawn_blocking(move || verify_files(&parts, &keys, None)).await?;
    let (is_verified, findings) = (verification.is_verified(), &verification.findings);
    if settings.json {
        output::json(&json!({
            "file": named,
            "verified": is_verified,
            "findings": findings,
            "signed_by": verification.signed_by.map(|key| key.to_string()),
            "sha256": verification.file.map(|digests| digests.sha256_hex()),
            "manifest": verification.manifest,
        }))?;
    } else if let (true, Some(manifest), Some(signer)) = (is_verified, &verification.manifest, verification.signed_by) {
        let what = format!("{named} is {} as it was signed", manifest.export_id);
        output::line(format!(
            "{}\nsigned by {signer}, {} rows",
            output::green(what),
            output::count(manifest.file.rows)
        ))?;
    } else {
        output::line(format!("{named} is not what was signed:"))?;
        for finding in findings {
            output::line(format!("  {finding}"))?;
        }
    }
    Ok(Outcome::good_if(is_verified))
}

/// Public keys out of a file: each in PEM, or verifier keys as `daybook keys` and the auditor have them, one a line. What
/// follows a verifier key on its line says when it counts, and is the auditor's business.
fn read_keys(path: &Path) -> anyhow::Result<Vec<ManifestKey>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let unusable = || format!("{} cannot be used", path.display());
    if text.contains(PEM) {
        return ManifestKey::all_from_pem(&text).with_context(unusable);
    }
    let mut keys = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let word = line.split_whitespace().next().unwrap_or_default();
        let key: VerifierKey = word.parse().with_context(unusable)?;
        // Other algorithms sign checkpoints, never exports.
        keys.extend(ManifestKey::from_verifier(&key));
    }
    ensure!(!keys.is_empty(), "{} has no key that signs exports", path.display());
    Ok(keys)
}

fn is_export_id(target: &str) -> bool {
    target.starts_with("exp_") && !Path::new(target).exists()
}

fn path(export: &str, rest: &str) -> String {
    format!("/v1/exports/{}{rest}", segment(export))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn filters_are_named_once() {
        let given = |texts: &[&str]| filters(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        let read = given(&["status=pending", "q=a=b"]).unwrap();
        assert_eq!(Value::Object(read), json!({"status": "pending", "q": "a=b"}));
        assert!(given(&["status=pending", "status=failed"]).is_err());
        assert!(given(&["status"]).is_err());
    }

    #[test]
    fn keys_are_read_as_pem_and_as_verifier_keys() {
        let pem = "-----BEGIN PUBLIC KEY-----\n\
            MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n\
            6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n\
            -----END PUBLIC KEY-----\n";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.pem");
        std::fs::write(&file, format!("# ours\n{pem}\n{pem}")).unwrap();
        assert_eq!(read_keys(&file).unwrap().len(), 2);
        std::fs::write(&file, "# none\n").unwrap();
        assert!(read_keys(&file).is_err());
        std::fs::write(&file, "nonsense\n").unwrap();
        assert!(read_keys(&file).is_err());
    }
}
