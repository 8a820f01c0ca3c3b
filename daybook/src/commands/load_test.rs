//! `daybook load-test`: many clients at once, and a table of what they saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use reqwest::Method;

use crate::commands::Outcome;
use crate::load::figures::{EndpointFigures, Figures, Report, Sample};
use crate::load::mix::{self, Endpoint};
use crate::output;
use crate::progress::{Progress, Unit};
use crate::runtime::client::Client;
use crate::settings::Settings;

/// A request without a whole answer after this long has failed.
const PATIENCE: Duration = Duration::from_secs(10);
const MOST_REQUESTS: u64 = 10_000_000;
const MOST_CLIENTS: usize = 4_096;

/// Send many requests at once and show how the server did
///
///   daybook load-test --requests 2000 --concurrency 20
///   daybook load-test --url http://127.0.0.1:8080 --requests 200 --concurrency 5 --json
///
/// The mix is that of the predecessor's load test, by weight: /health, /transactions (read
/// and recorded), /auth/roles, /incidents. Endpoints of it that Daybook does not have yet are
/// left out, and named; --predecessor-mix asks them all the same. A good answer has the
/// expected 2xx status: 404 and 401 are errors here.
///
/// It records transactions (LT-…) that stay in the ledger. Exit code 1 where an answer was
/// not good.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// The server; the one of the data folder unless given
    #[arg(long, value_name = "URL", env = "DAYBOOK_URL")]
    url: Option<String>,
    /// How many requests
    #[arg(long, value_name = "N", default_value_t = 200)]
    requests: u64,
    /// How many clients at the same time
    #[arg(long, value_name = "C", default_value_t = 5)]
    concurrency: usize,
    /// Ask the predecessor's endpoints that do not exist yet, too
    #[arg(long)]
    predecessor_mix: bool,
    /// Which series of requests
    #[arg(long, value_name = "NUMBER", default_value_t = 42)]
    seed: u64,
    /// The operator's token, where it is not in the data folder
    #[arg(long, value_name = "TOKEN", env = "DAYBOOK_OPERATOR_TOKEN", hide_env_values = true)]
    operator_token: Option<String>,
}

/// What all clients share.
struct Run {
    client: Client,
    endpoints: Vec<Endpoint>,
    name: String,
    seed: u64,
    requests: u64,
    next: AtomicU64,
}

/// Runs the load test.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    ensure!((1..=MOST_REQUESTS).contains(&arguments.requests), "--requests must be 1 to {MOST_REQUESTS}");
    ensure!((1..=MOST_CLIENTS).contains(&arguments.concurrency), "--concurrency must be 1 to {MOST_CLIENTS}");
    let client = Client::find(settings, arguments.url.as_deref(), arguments.operator_token).await?;
    let client = client.with_context(|| {
        format!("no server runs on {}: start one with daybook serve, or name one with --url", settings.data.display())
    })?;
    client.get("/health").await?;
    let run = Arc::new(Run {
        client: client.clone(),
        endpoints: mix::endpoints(arguments.predecessor_mix),
        name: hex::encode(rand::random::<[u8; 4]>()),
        seed: arguments.seed,
        requests: arguments.requests,
        next: AtomicU64::new(0),
    });
    let progress = Arc::new(Progress::new("asking", arguments.requests, Unit::Count, settings.json));
    let started = Instant::now();
    let clients: Vec<_> =
        (0..arguments.concurrency).map(|_| tokio::spawn(ask(Arc::clone(&run), Arc::clone(&progress)))).collect();
    let mut samples = Vec::new();
    for client in clients {
        samples.extend(client.await.context("a client has stopped unexpectedly")?);
    }
    let elapsed = started.elapsed();
    progress.finish();
    let names: Vec<String> = run.endpoints.iter().map(Endpoint::name).collect();
    let mut report = Report::of(client.base(), arguments.concurrency, elapsed, &names, &samples);
    report.left_out =
        mix::MIX.iter().filter(|endpoint| !run.endpoints.contains(endpoint)).map(Endpoint::name).collect();
    if settings.json {
        output::json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(Outcome::good_if(report.all.errors == 0))
}

/// One client: asks until all requests are taken.
async fn ask(run: Arc<Run>, progress: Arc<Progress>) -> Vec<Sample> {
    let mut samples = Vec::new();
    loop {
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        if number >= run.requests {
            return samples;
        }
        // What request a number stands for does not depend on which client takes it.
        let mut random = ChaCha8Rng::seed_from_u64(run.seed);
        random.set_stream(number);
        let index = mix::choose(&run.endpoints, &mut random);
        let Some(endpoint) = run.endpoints.get(index) else { return samples };
        let method = if endpoint.method == "POST" { Method::POST } else { Method::GET };
        let mut request = run.client.request(method, endpoint.path).timeout(PATIENCE);
        if let Some(body) = endpoint.body(&run.name, number, &mut random) {
            request = request.json(&body);
        }
        let started = Instant::now();
        let status = match request.send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                // An answer counts when all of it is there.
                answer.bytes().await.map_or(0, |_| status)
            }
            Err(_) => 0,
        };
        let micros = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
        samples.push(Sample { endpoint: index, status, expected: status == endpoint.expected, micros });
        if number.is_multiple_of(100) {
            progress.update(number, run.requests, "");
        }
    }
}

fn print(report: &Report) -> anyhow::Result<()> {
    let header = ["endpoint", "count", "avg ms", "p50", "p95", "p99", "max", "errors"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let row = |name: &str, figures: &Figures| {
        let mut row = vec![name.to_owned(), output::count(figures.count)];
        let durations = [figures.avg_ms, figures.p50_ms, figures.p95_ms, figures.p99_ms, figures.max_ms];
        row.extend(durations.map(|duration| format!("{duration:.1}")));
        row.push(output::count(figures.errors));
        row
    };
    for EndpointFigures { endpoint, figures } in &report.endpoints {
        rows.push(row(endpoint, figures));
    }
    rows.push(row("all", &report.all));
    output::line(output::table(&rows))?;
    output::line("")?;
    output::line(format!(
        "{} requests with {} clients in {:.2} s: {:.0} a second, {:.2} % as expected",
        output::count(report.all.count),
        report.concurrency,
        report.seconds,
        report.requests_per_second,
        report.success_percent
    ))?;
    let statuses: Vec<String> = report
        .statuses
        .iter()
        .map(|(status, count)| match status {
            0 => format!("no answer × {}", output::count(*count)),
            status => format!("{status} × {}", output::count(*count)),
        })
        .collect();
    output::line(format!("statuses: {}", statuses.join(", ")))?;
    if !report.left_out.is_empty() {
        output::line(format!("left out, not here yet: {}", report.left_out.join(", ")))?;
    }
    Ok(())
}
