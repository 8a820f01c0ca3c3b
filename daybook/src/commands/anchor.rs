//! `daybook anchor`: a time-stamp over the newest checkpoint, and verifying all that were recorded.

use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use daybook_ledger::Ledger;
use daybook_ledger::sequencer::{Unobserved, system_clock};
use daybook_query_api::time::rfc3339;
use daybook_reactors::{AnchorCheck, Anchoring, Anchors, check_anchors};
use serde_json::{Value, json};

use crate::commands::Outcome;
use crate::output;
use crate::runtime::discovery;
use crate::runtime::store::{self, Location};
use crate::settings::{OutsideOptions, OutsideSettings, Settings};

/// Get a time-stamp over the newest checkpoint, or verify all that were recorded
///
///   daybook anchor --tsa-url http://tsa.example --tsa-roots roots.pem
///   daybook anchor --verify --tsa-roots roots.pem
///
/// A time-stamping authority (RFC 3161) confirms when it saw the newest checkpoint; its token
/// becomes an entry. It sees a digest and nothing else. A checkpoint gets one token: where it
/// has one already, nobody is asked. `daybook checkpoint` signs a new one.
///
/// On the embedded store a running server has the ledger: it anchors by itself with
/// --anchor-interval. --verify reads only, and works at any time.
///
/// Exit codes: 0 done; 1 a recorded time-stamp does not verify; 2 the command could not run.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    #[command(flatten)]
    outside: OutsideOptions,
    /// Verify every recorded time-stamp instead
    #[arg(long)]
    verify: bool,
}

/// Anchors or verifies.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    let outside = settings.outside(arguments.outside)?;
    if arguments.verify { verify(settings, &outside).await } else { anchor(settings, outside).await }
}

async fn anchor(settings: &Settings, outside: OutsideSettings) -> anyhow::Result<Outcome> {
    let authority = outside.authority.context("no time-stamping authority is set: say --tsa-url and --tsa-roots")?;
    let location = Location::of(settings);
    if let Some(file) = location.ledger_file() {
        if !file.is_file() {
            bail!("there is no ledger to anchor: {} is missing", file.display());
        }
        if let Some(server) = discovery::find(&settings.data).await {
            bail!(
                "the server at {} has the ledger: start it with --anchor-interval, and it anchors by itself",
                server.url
            );
        }
    }
    let store = location.open_for_writing().await?;
    let ledger = Ledger::open(store, settings.ledger(), system_clock(), Arc::new(Unobserved))
        .await
        .with_context(|| format!("cannot open the ledger {}", settings.ledger()))?;
    let anchoring = Anchors::new(ledger, authority)?.anchor().await.context("there is no time-stamp")?;
    if let Some(file) = location.ledger_file() {
        // Somebody who reads it at this moment keeps the write-ahead log in use; the ledger is whole with it, too.
        let _ = store::checkpoint(&file).await;
    }
    match anchoring {
        Anchoring::NoCheckpoint => {
            bail!("nothing was signed yet: `daybook checkpoint` signs the ledger")
        }
        Anchoring::AlreadyAnchored { size, position } if settings.json => {
            output::json(&json!({ "size": size, "position": position, "is_new": false }))?;
        }
        Anchoring::AlreadyAnchored { size, position } => {
            let size = output::count(size);
            output::line(format!("the checkpoint of {size} entries has its time-stamp already: entry {position}"))?;
        }
        Anchoring::Anchored(anchored) => {
            let (stamp, generated_at) = (&anchored.stamp, rfc3339(anchored.stamp.generated_at.timestamp_micros()));
            if settings.json {
                output::json(&json!({
                    "size": anchored.size,
                    "position": anchored.position,
                    "is_new": true,
                    "generated_at": generated_at,
                    "tsa": stamp.tsa,
                    "url": anchored.url,
                    "serial": stamp.serial,
                    "policy": stamp.policy,
                }))?;
            } else {
                output::line(format!("checkpoint {} entries", output::count(anchored.size)))?;
                output::line(format!("time       {}", output::bold(generated_at)))?;
                output::line(format!("confirmed  {} ({})", stamp.tsa, anchored.url))?;
                output::line(format!("serial     {}, policy {}", stamp.serial, stamp.policy))?;
                output::line(format!("entry      {}", anchored.position))?;
            }
        }
    }
    Ok(Outcome::Good)
}

async fn verify(settings: &Settings, outside: &OutsideSettings) -> anyhow::Result<Outcome> {
    let roots = outside.roots_pem.as_deref().context("no root certificates are set: say --tsa-roots")?;
    let reader = store::reader(settings).await?;
    let mut checks = Vec::new();
    check_anchors(&reader, roots, |check| checks.push(check)).await.context("the time-stamps cannot be read")?;
    let bad = checks.iter().filter(|check| check.outcome.is_err()).count();
    if settings.json {
        let anchors: Vec<Value> = checks.iter().map(view).collect();
        output::json(&json!({ "ledger_id": reader.id(), "verified": bad == 0, "anchors": anchors }))?;
    } else if checks.is_empty() {
        output::line("no time-stamps are recorded")?;
    } else {
        print(&checks)?;
        output::line(format!("{} time-stamps, {} do not verify", checks.len(), bad))?;
    }
    Ok(Outcome::good_if(bad == 0))
}

fn view(check: &AnchorCheck) -> Value {
    let stamp = check.outcome.as_ref().ok();
    json!({
        "position": check.position,
        "size": check.size,
        "url": check.url,
        "generated_at": stamp.map(|stamp| rfc3339(stamp.generated_at.timestamp_micros())),
        "tsa": stamp.map(|stamp| &stamp.tsa),
        "serial": stamp.map(|stamp| &stamp.serial),
        "error": check.outcome.as_ref().err(),
    })
}

fn print(checks: &[AnchorCheck]) -> anyhow::Result<()> {
    let mut rows = vec![["entry", "covers", "time", "confirmed by"].map(str::to_owned).to_vec()];
    for check in checks {
        let (time, by) = match &check.outcome {
            Ok(stamp) => (rfc3339(stamp.generated_at.timestamp_micros()), stamp.tsa.clone()),
            Err(why) => ("NOT VERIFIED".to_owned(), why.clone()),
        };
        rows.push(vec![check.position.to_string(), output::count(check.size), time, by]);
    }
    output::line(output::table(&rows))
}
