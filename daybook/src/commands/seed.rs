//! `daybook seed`: made-up transactions and incidents to try things with.

use std::time::Instant;

use anyhow::{anyhow, ensure};
use clap::Args;
use daybook_domain::{Incident, IncidentCommand, IncidentError, Timestamp};
use daybook_ledger::Actor;
use daybook_ledger::commands::{CommandContext, CommandError, Commands};
use daybook_write_api::incidents::OpenBody;
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use crate::commands::Outcome;
use crate::commands::import::open_here;
use crate::intake::target::Recorded;
use crate::intake::{ErrorReport, MappingOptions, Target, Totals, pump};
use crate::output;
use crate::progress::{Progress, Unit};
use crate::runtime::client::Client;
use crate::seed::{Seed, SeedIncident};
use crate::settings::Settings;

/// Most of either.
const MOST: u64 = 100_000_000;

/// Record made-up transactions and incidents
///
///   daybook seed --transactions 10000
///   daybook seed --transactions 10000 --incidents 50 --seed 7
///
/// The same seed gives the same records under the same ids: running it again changes nothing,
/// and a higher number goes on where a lower one ended. About 1.5 % of the transactions are
/// labelled as anomalies (meta.label = 1, meta.scenario says which). Goes through the running
/// server, else into the store.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// How many transactions
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    transactions: u64,
    /// How many incidents, opened by hand as it were
    #[arg(long, value_name = "M", default_value_t = 0)]
    incidents: u64,
    /// Which series
    #[arg(long, value_name = "NUMBER", default_value_t = 42)]
    seed: u64,
    /// When the series ends: a date or a time. Part of the content, like --days
    #[arg(long, value_name = "TIME", default_value = "2026-11-01")]
    until: String,
    /// Over how many days it is spread
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    days: u32,
    /// Record through this server
    #[arg(long, value_name = "URL", env = "DAYBOOK_URL")]
    url: Option<String>,
    /// The operator's token, where it is not in the data folder
    #[arg(long, value_name = "TOKEN", env = "DAYBOOK_OPERATOR_TOKEN", hide_env_values = true)]
    operator_token: Option<String>,
}

/// How it went.
#[derive(Debug, Serialize)]
struct Summary {
    seed: u64,
    transactions: Totals,
    incidents: Totals,
    seconds: f64,
}

/// Where incidents go.
enum IncidentTarget {
    Ledger(Commands<Incident>),
    Server(Client),
}

/// Records the series.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    ensure!(arguments.transactions <= MOST && arguments.incidents <= MOST, "at most {MOST} of each");
    let until: Timestamp =
        MappingOptions::parse_epoch(&arguments.until).map_err(|_| anyhow!("--until must be a date or a time"))?;
    let seed = Seed::new(arguments.seed, until, arguments.days);
    let client = Client::find(settings, arguments.url.as_deref(), arguments.operator_token.clone()).await?;
    let (target, incident_target) = match client {
        Some(client) => {
            let target = Target::Server {
                client: client.clone(),
                ledger_id: settings.ledger().to_string(),
                is_own: arguments.url.is_none(),
            };
            (target, IncidentTarget::Server(client))
        }
        None => {
            let writing = open_here(settings).await?;
            let target = Target::Ledger { commands: writing.transactions, source: "seed" };
            (target, IncidentTarget::Ledger(writing.incidents))
        }
    };
    let started = Instant::now();
    let transactions = record_transactions(settings, seed, arguments.transactions, &target).await?;
    let mut incidents = Totals::default();
    for incident in seed.incidents(arguments.incidents) {
        incidents.rows += 1;
        match incident_target.open(incident).await? {
            Recorded::Created => incidents.created += 1,
            Recorded::Unchanged => incidents.unchanged += 1,
            Recorded::Refused(why) => {
                incidents.refused += 1;
                output::warning(why);
            }
        }
    }
    let summary = Summary { seed: arguments.seed, transactions, incidents, seconds: started.elapsed().as_secs_f64() };
    if settings.json {
        output::json(&summary)?;
    } else {
        let rate = output::rate(transactions.rows, started.elapsed());
        output::line(format!(
            "{} in {:.1} s ({} a second), into {}",
            say("transactions", &transactions),
            summary.seconds,
            output::count(rate),
            target.describe()
        ))?;
        if arguments.incidents > 0 {
            output::line(say("incidents", &incidents))?;
        }
    }
    Ok(Outcome::good_if(transactions.refused == 0 && incidents.refused == 0))
}

fn say(what: &str, totals: &Totals) -> String {
    format!(
        "{} {what}: {} recorded, {} unchanged, {} refused",
        output::count(totals.rows),
        output::count(totals.created),
        output::count(totals.unchanged),
        output::count(totals.refused)
    )
}

/// Records the first `count` transactions of the series.
pub async fn record_transactions(
    settings: &Settings,
    seed: Seed,
    count: u64,
    target: &Target,
) -> anyhow::Result<Totals> {
    let progress = Progress::new("seeding", count, Unit::Count, settings.json);
    let mut errors = ErrorReport::new(None)?;
    let mut totals = Totals::default();
    pump(seed.transactions(count), target, |step| {
        for (line, why) in &step.refused {
            errors.refused(*line, why, &progress)?;
        }
        totals.add(step.totals);
        progress.update(totals.rows, count, "");
        Ok(())
    })
    .await?;
    Ok(totals)
}

impl IncidentTarget {
    /// Opens an incident; the same one again changes nothing.
    async fn open(&self, incident: SeedIncident) -> anyhow::Result<Recorded> {
        let id = incident.id.clone();
        let other = || Recorded::Refused(format!("incident {id} is there with other content"));
        match self {
            Self::Server(client) => {
                let answer = client.request(Method::POST, "/v1/incidents").json(&incident.body).send().await?;
                match answer.status().as_u16() {
                    201 => Ok(Recorded::Created),
                    200 => Ok(Recorded::Unchanged),
                    409 => Ok(other()),
                    status => Err(anyhow!("the server answered {status}: {}", answer.text().await.unwrap_or_default())),
                }
            }
            Self::Ledger(commands) => {
                let body: OpenBody = serde_json::from_value(Value::Object(incident.body))?;
                let open = body.command(incident.id.clone()).map_err(|problem| anyhow!("{}", problem.detail()))?;
                let context = CommandContext::new(Actor::system("seed"));
                match commands.execute(&incident.id, IncidentCommand::Open(Box::new(open)), context).await {
                    Ok(outcome) if outcome.created => Ok(Recorded::Created),
                    Ok(_) => Ok(Recorded::Unchanged),
                    Err(CommandError::Refused(IncidentError::Exists { .. })) => Ok(other()),
                    Err(error) => Err(anyhow!("{error}")),
                }
            }
        }
    }
}
