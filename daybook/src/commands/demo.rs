//! `daybook demo`: a running server with data in it, shown and verified, from one command.

use std::fmt::Display;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use daybook_auditor::VerifyOptions;
use daybook_ledger::StoredCheckpoint;
use daybook_ledger::checkpoint::LastCheckpoint;
use daybook_read_models::{positions, stats};
use rust_decimal::Decimal;

use crate::commands::Outcome;
use crate::commands::import::{MappingArguments, Work};
use crate::commands::seed::record_transactions;
use crate::commands::serve::{owner_hint, token_hint};
use crate::intake::{ErrorReport, MappingOptions, Target};
use crate::output;
use crate::progress::{Progress, Unit};
use crate::runtime::server::Running;
use crate::runtime::store::Location;
use crate::runtime::{logging, signals, token};
use crate::seed::Seed;
use crate::settings::{LogFormat, OutsideOptions, ServerOptions, ServerSettings, Settings};

/// Published card transactions, where a checkout has them beside it.
const PUBLISHED: &str = "../shared/data/fdh/transactions_2018-06-01_2018-07-31.csv.gz";
/// The published data has 330 amounts above this among 585 thousand.
const PUBLISHED_THRESHOLD: i64 = 400;
/// Made-up amounts above this are a few hundred among the default number.
const SEED_THRESHOLD: i64 = 1_000_000;
/// Made-up transactions where there are no published ones.
const SEED_TRANSACTIONS: u64 = 50_000;
/// Between two looks at projectors and reactors.
const POLL: Duration = Duration::from_millis(100);
/// Nothing gets on for this long: something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// Start a server, fill it, show what is in it, verify it, and stay up
///
///   daybook demo
///   daybook demo --data /tmp/demo --listen 127.0.0.1:0
///   daybook demo --transactions payments.csv --limit 5000 --exit
///
/// Imports the published card transactions if the checkout has them (../shared/data/fdh: 585
/// thousand, about a minute in an unoptimised build; --limit takes fewer), else makes up
/// 50,000. A rule opens an incident for each large one. Running it again imports nothing
/// twice and takes seconds.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Import this CSV or NDJSON file instead
    #[arg(long, value_name = "FILE")]
    transactions: Option<PathBuf>,
    /// Record at most this many transactions
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Stop the server in the end, instead of waiting for Ctrl-C
    #[arg(long)]
    exit: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// Says what is done, and when.
struct Steps {
    started: Instant,
    quiet: bool,
}

impl Steps {
    fn say(&self, text: impl Display) -> anyhow::Result<()> {
        if self.quiet {
            return Ok(());
        }
        output::line(format!("[{:>6.1} s] {text}", self.started.elapsed().as_secs_f64()))
    }
}

/// Where the transactions come from.
enum Material {
    File { path: PathBuf, is_published: bool },
    Seed,
}

impl Material {
    fn find(named: Option<PathBuf>) -> Self {
        match named {
            Some(path) => {
                let is_published = path.file_name() == Path::new(PUBLISHED).file_name();
                Self::File { path, is_published }
            }
            None if Path::new(PUBLISHED).is_file() => Self::File { path: PUBLISHED.into(), is_published: true },
            None => Self::Seed,
        }
    }

    fn threshold(&self) -> Option<Decimal> {
        match self {
            Self::File { is_published: true, .. } => Some(Decimal::from(PUBLISHED_THRESHOLD)),
            Self::File { .. } => None,
            Self::Seed => Some(Decimal::from(SEED_THRESHOLD)),
        }
    }
}

/// Runs the demonstration.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    let steps = Steps { started: Instant::now(), quiet: settings.json };
    let material = Material::find(arguments.transactions);
    let mut options = arguments.server;
    options.large_transaction_threshold = options.large_transaction_threshold.or_else(|| material.threshold());
    if options.listen.is_none() {
        options.listen = free_port_if_taken(settings);
    }
    let server = ServerSettings::resolve(options, OutsideOptions::default(), settings)?;
    if !(server.roles.write && server.roles.project && server.roles.react) {
        bail!("the demonstration needs the roles write, project and react");
    }
    logging::start(
        server.log,
        if server.log == LogFormat::Json { "info,sqlx=warn,sqlx::pool=error" } else { "warn,sqlx::pool=error" },
    );
    let mut running = Running::start(settings, &server).await?;
    steps.say(format!("serving {} at {}", Location::of(settings).describe(), running.url))?;
    if let (false, Some(link)) = (settings.json, &running.owner_link) {
        output::line(owner_hint(link))?;
    }
    tokio::select! {
        shown = show(settings, &server, &material, arguments.limit, &running, &steps) => {
            let verified = shown?;
            if arguments.exit || !verified {
                running.stop().await?;
                return Ok(Outcome::good_if(verified));
            }
        }
        () = signals::asked_to_stop() => {
            running.stop().await?;
            return Ok(Outcome::Good);
        }
    }
    tokio::select! {
        () = signals::asked_to_stop() => running.stop().await?,
        ended = running.ended() => {
            ended?;
            bail!("the HTTP server has stopped");
        }
    }
    Ok(Outcome::Good)
}

/// The default port may be taken; a demonstration does not insist on it.
fn free_port_if_taken(settings: &Settings) -> Option<String> {
    let resolved = ServerSettings::resolve(ServerOptions::default(), OutsideOptions::default(), settings).ok()?;
    match TcpListener::bind(&resolved.listen) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Some("127.0.0.1:0".to_owned()),
        _ => None,
    }
}

/// Fills the ledger, shows it, verifies it. Answers whether it verified.
async fn show(
    settings: &Settings,
    server: &ServerSettings,
    material: &Material,
    limit: Option<u64>,
    running: &Running,
    steps: &Steps,
) -> anyhow::Result<bool> {
    fill(settings, material, limit, running, steps).await?;
    steps.say(format!(
        "folding read tables; a rule opens an incident above {} of any currency",
        server.large_transaction_threshold
    ))?;
    catch_up(settings, running).await?;
    steps.say("read tables and rules have seen everything")?;
    let checkpoint = match &running.checkpoints {
        Some(requests) => Some(requests.checkpoint().await.context("no checkpoint could be signed")?),
        None => None,
    };
    if let Some(checkpoint) = &checkpoint {
        steps.say(format!("signed a checkpoint of all {} entries", output::count(checkpoint.size)))?;
    }
    let shown = figures(settings, running, checkpoint.as_ref()).await?;
    steps.say("verifying: every hash, link, digest, version, the head and the tree")?;
    let verified = verify(settings, steps).await?;
    if settings.json {
        output::json(&serde_json::json!({
            "url": running.url,
            "owner_link": running.owner_link,
            "verified": verified,
            "seconds": steps.started.elapsed().as_secs_f64(),
            "figures": shown,
        }))?;
    } else if verified {
        try_next(settings, running)?;
    }
    Ok(verified)
}

async fn fill(
    settings: &Settings,
    material: &Material,
    limit: Option<u64>,
    running: &Running,
    steps: &Steps,
) -> anyhow::Result<()> {
    let commands = running.writing.as_ref().context("this process takes no commands")?.transactions.clone();
    match material {
        Material::File { path, is_published } => {
            let mapping = MappingArguments {
                currency: Some("EUR".to_owned()),
                transaction_type: is_published.then(|| "card".to_owned()),
                status: "completed".to_owned(),
                epoch: Some("2018-04-01".to_owned()),
                id_prefix: if *is_published { "FDH-".to_owned() } else { String::new() },
                map: Vec::new(),
            };
            steps.say(format!("importing {}", path.display()))?;
            let work = Work::new(settings, path, &mapping, limit)?;
            let target = Target::Ledger { commands, source: "import" };
            let summary = work.run(&target, ErrorReport::new(None)?).await?;
            if summary.this_run.rows == 0 {
                return steps.say(format!(
                    "{} rows of it were imported before, nothing is read again{}",
                    output::count(summary.total.rows),
                    if summary.finished { "" } else { "; a higher --limit, or none, goes on" }
                ));
            }
            steps.say(format!(
                "{} transactions imported, {} refused, {} a second",
                output::count(summary.this_run.created + summary.this_run.unchanged),
                output::count(summary.this_run.refused),
                output::count(summary.rows_per_second)
            ))?;
            if !summary.finished {
                steps.say("the file has more rows; a higher --limit, or none, goes on from there")?;
            }
        }
        Material::Seed => {
            let count = limit.unwrap_or(SEED_TRANSACTIONS);
            steps.say(format!("no published transactions here: making up {}", output::count(count)))?;
            let seed = Seed::new(42, MappingOptions::parse_epoch("2026-11-01")?, 90);
            let target = Target::Ledger { commands, source: "seed" };
            let totals = record_transactions(settings, seed, count, &target).await?;
            steps.say(format!(
                "{} recorded, {} there already",
                output::count(totals.created),
                output::count(totals.unchanged)
            ))?;
        }
    }
    Ok(())
}

/// Waits until every projector and reactor has seen the ledger's end, which reactors move on.
async fn catch_up(settings: &Settings, running: &Running) -> anyhow::Result<()> {
    let ledger = settings.ledger();
    let expected = daybook_projections::all().len();
    let progress = Progress::new("folding", 0, Unit::Count, settings.json);
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let size = running.reader.head().await.context("the ledger cannot be read")?.size;
        let projectors = positions::all(&running.read_tables, Some(ledger.as_str())).await?;
        let reactors = daybook_reactors::status(&running.read_tables).await?;
        let stopped = projectors
            .iter()
            .filter_map(|projector| Some((projector.projector.as_str(), projector.error.as_deref()?)))
            .chain(reactors.iter().filter_map(|reactor| Some((reactor.name.as_str(), reactor.error.as_deref()?))))
            .next();
        if let Some((name, why)) = stopped {
            bail!("{name} has stopped: {why}");
        }
        let all = projectors
            .iter()
            .map(|projector| projector.position)
            .chain(reactors.iter().filter(|one| one.ledger_id == ledger.as_str()).map(|one| one.position));
        let slowest = all.min().unwrap_or(0);
        let is_complete = projectors.len() >= expected && (!reactors.is_empty() || size == 0);
        if is_complete && slowest >= size {
            return Ok(());
        }
        progress.update(slowest, size, "");
        if slowest > last {
            (last, since) = (slowest, Instant::now());
        } else if since.elapsed() > PATIENCE {
            bail!("projectors and reactors stand still at {slowest} of {size} entries");
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Shows what is in the ledger; answers the same as JSON.
async fn figures(
    settings: &Settings,
    running: &Running,
    checkpoint: Option<&StoredCheckpoint>,
) -> anyhow::Result<serde_json::Value> {
    let ledger = settings.ledger();
    let (db, all) = (&running.read_tables, stats::Range::default());
    let transactions = stats::transactions(db, ledger.as_str(), all).await?;
    let incidents = stats::incidents(db, ledger.as_str(), all).await?;
    let head = running.reader.head().await.context("the ledger cannot be read")?;
    if settings.json {
        return Ok(serde_json::json!({
            "transactions": transactions.count,
            "incidents": incidents.count,
            "entries": head.size,
            "hash": head.hash,
            "checkpoint": checkpoint.map(|checkpoint| serde_json::json!({
                "size": checkpoint.size,
                "root": checkpoint.root,
                "note": checkpoint.note,
            })),
        }));
    }
    output::line("")?;
    let mut rows = vec![["", "count", "sum"].map(str::to_owned).to_vec()];
    for cell in &transactions.by_currency {
        rows.push(vec![format!("transactions {}", cell.currency), output::count(cell.count), cell.amount_sum.clone()]);
    }
    for cell in &incidents.by_severity {
        rows.push(vec![format!("incidents {}", cell.key), output::count(cell.count), "-".to_owned()]);
    }
    output::line(output::table(&rows))?;
    if let (Some(first), Some(last)) = (transactions.by_day.first(), transactions.by_day.last()) {
        output::line(format!("days          {} to {}", first.key, last.key))?;
    }
    output::line(format!("ledger        {} entries", output::count(head.size)))?;
    output::line(format!("hash          {}", head.hash))?;
    if let Some(checkpoint) = checkpoint {
        let signed = LastCheckpoint::of(checkpoint);
        let (size, keys) = (output::count(signed.size), signed.key_ids.join(", "));
        output::line(format!("checkpoint    {size} entries, signed by key {keys}"))?;
    }
    output::line("")?;
    Ok(serde_json::Value::Null)
}

async fn verify(settings: &Settings, steps: &Steps) -> anyhow::Result<bool> {
    let progress = Progress::new("verifying", 0, Unit::Count, settings.json);
    let options = VerifyOptions { ledger: Some(settings.ledger().to_string()), ..VerifyOptions::default() };
    let report = daybook_auditor::verify(Location::of(settings).source(), options, |step| {
        progress.update(step.entries, step.expected_entries, "");
    })
    .await?;
    progress.finish();
    if report.is_verified() {
        steps.say(format!(
            "{}: {} entries, {:.0} a second",
            output::green("verified"),
            output::count(report.entries),
            report.entries_per_second
        ))?;
    } else {
        output::line(report.render_text().trim_end())?;
    }
    Ok(report.is_verified())
}

fn try_next(settings: &Settings, running: &Running) -> anyhow::Result<()> {
    let url = &running.url;
    let token = if running.token_in_file {
        format!("$(cat {})", token::token_file(&settings.data).display())
    } else {
        "$DAYBOOK_OPERATOR_TOKEN".to_owned()
    };
    output::line("")?;
    output::line(format!("{} is running at {}", output::bold("Daybook"), output::bold(url)))?;
    output::line(format!("  documentation to browse and try: {url}/docs"))?;
    output::line(format!("  operator's token: {}", token_hint(settings, running)))?;
    output::line("")?;
    output::line("Try next, in another terminal:")?;
    output::line(format!("  TOKEN={token}"))?;
    for path in ["/v1/stats/summary", "/v1/incidents?severity=high&limit=3", "/v1/ledgers/main/entries?from=0&limit=2"]
    {
        output::line(format!("  curl -s -H \"Authorization: Bearer $TOKEN\" '{url}{path}'"))?;
    }
    output::line("")?;
    output::line("Ctrl-C stops the server; the data stays, and `daybook verify` checks it without one.")
}
