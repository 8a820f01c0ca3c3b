//! `daybook bundle`: a part of the ledger in a zip file that verifies anywhere.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Args;
use daybook_ledger::StreamKey;
use daybook_query_api::bundle::{Bundle, BundleError, BundleRequest};
use daybook_query_api::tlog_proof::TlogProofError;
use futures::{Stream, StreamExt, TryStreamExt};
use reqwest::Method;
use serde_json::json;

use crate::commands::Outcome;
use crate::output;
use crate::progress::{Progress, Unit};
use crate::runtime::client::Client;
use crate::runtime::store;
use crate::settings::Settings;

/// Export entries with everything that verifies them, as one zip file
///
///   daybook bundle -o all.zip                                   all that is under the newest checkpoint
///   daybook bundle --from 1000 --to 2000 -o part.zip            positions 1000 to 1999
///   daybook bundle --stream transaction/TX-1 -o tx-1.zip        the life of one transaction, each entry proved
///   daybook-auditor verify part.zip --keys FILE                 what its reader does
///
/// Holds the entries as NDJSON, the tiles and proofs that lead to the signed root, the newest
/// checkpoint, the public keys, and a manifest with digests: plain files for unzip, jq,
/// sha256sum, b3sum and openssl (docs/bundle-format.md). Reads the store itself, also while a
/// server writes to it; with --url it asks that server, which gives at most 100,000 entries.
///
/// Exit codes: 0 written; 1 the ledger does not lead to its checkpoint; 2 it could not be made.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// First position
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    from: u64,
    /// Position to stop before [default: what the newest checkpoint covers]
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
    /// Only this stream
    #[arg(long, value_name = "TYPE/ID")]
    stream: Option<String>,
    /// The zip file; must not exist yet
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Ask this server instead of reading the store
    #[arg(long, value_name = "URL", env = "DAYBOOK_URL")]
    url: Option<String>,
    /// The operator's token, where it is not in the data folder
    #[arg(long, value_name = "TOKEN", env = "DAYBOOK_OPERATOR_TOKEN", hide_env_values = true)]
    operator_token: Option<String>,
}

/// Writes the bundle.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    ensure!(arguments.to.is_none_or(|to| arguments.from < to), "--from must be before --to");
    let stream = match &arguments.stream {
        None => None,
        Some(text) => {
            let (stream_type, stream_id) =
                text.split_once('/').context("--stream takes TYPE/ID, such as transaction/TX-1")?;
            Some(StreamKey::new(stream_type, stream_id).context("--stream names no stream")?)
        }
    };
    let request = BundleRequest { from: arguments.from, to: arguments.to, stream };
    let file = &arguments.output;
    ensure!(!file.exists(), "{} is there already", file.display());
    let bytes = match &arguments.url {
        Some(url) => {
            let client = Client::find(settings, Some(url), arguments.operator_token).await?.context("no server")?;
            save(file, settings, from_server(&client, settings, &request).await?).await?
        }
        None => {
            let reader = store::reader(settings).await?;
            let written = match Bundle::plan(&reader, request).await {
                Ok(bundle) => save(file, settings, bundle.write().map_err(anyhow::Error::from)).await,
                Err(error) => Err(error.into()),
            };
            match written {
                Err(error) if is_not_what_was_signed(&error) => {
                    output::error(&error);
                    return Ok(Outcome::CheckFailed);
                }
                other => other.context("the bundle cannot be made")?,
            }
        }
    };
    if settings.json {
        output::json(&json!({ "file": file, "bytes": bytes }))?;
    } else {
        output::line(format!("wrote {} ({})", file.display(), output::bytes(bytes)))?;
    }
    Ok(Outcome::Good)
}

fn is_not_what_was_signed(error: &anyhow::Error) -> bool {
    let found = error.downcast_ref::<BundleError>();
    matches!(found, Some(BundleError::Proof(TlogProofError::NotExtending(_) | TlogProofError::Damaged(_))))
}

async fn from_server(
    client: &Client,
    settings: &Settings,
    request: &BundleRequest,
) -> anyhow::Result<impl Stream<Item = anyhow::Result<Bytes>> + use<>> {
    let mut query = vec![("from", request.from.to_string())];
    if let Some(to) = request.to {
        query.push(("to", to.to_string()));
    }
    if let Some(stream) = &request.stream {
        query.push(("stream_type", stream.stream_type.clone()));
        query.push(("stream_id", stream.stream_id.clone()));
    }
    let path = format!("/v1/ledgers/{}/bundle", settings.ledger());
    let answer = client.send(client.request(Method::GET, &path).query(&query)).await?;
    Ok(answer.bytes_stream().map(|piece| piece.context("the server broke off; what came is no bundle")))
}

/// Writes beside the file and renames: a bundle that is there is whole. Answers its length.
async fn save(
    file: &Path,
    settings: &Settings,
    pieces: impl Stream<Item = anyhow::Result<Bytes>>,
) -> anyhow::Result<u64> {
    let name = file.file_name().with_context(|| format!("{} names no file", file.display()))?;
    let beside = file.with_file_name(format!(".{}.partial", name.to_string_lossy()));
    let outcome = write(&beside, settings, pieces).await;
    let failed = |what: &str| format!("cannot {what} {}", file.display());
    match outcome {
        Ok(bytes) => {
            std::fs::rename(&beside, file).with_context(|| failed("write"))?;
            Ok(bytes)
        }
        Err(error) => {
            // The error says what went wrong; a piece that cannot be removed either does no harm.
            let _ = std::fs::remove_file(&beside);
            Err(error)
        }
    }
}

async fn write(
    path: &Path,
    settings: &Settings,
    pieces: impl Stream<Item = anyhow::Result<Bytes>>,
) -> anyhow::Result<u64> {
    let failed = || format!("cannot write {}", path.display());
    let mut writer = BufWriter::new(File::create(path).with_context(failed)?);
    let progress = Progress::new("writing", 0, Unit::Bytes, settings.json);
    let mut bytes = 0_u64;
    let mut pieces = std::pin::pin!(pieces);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        writer.write_all(&piece).with_context(failed)?;
        bytes += piece.len() as u64;
        progress.update(bytes, 0, "");
    }
    let file = writer.into_inner().map_err(|error| error.into_error()).with_context(failed)?;
    file.sync_all().with_context(failed)?;
    progress.finish();
    Ok(bytes)
}
