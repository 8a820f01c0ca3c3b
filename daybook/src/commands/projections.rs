//! `daybook projections`: how far the read tables are, building them anew, and checking them against the ledger.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use daybook_projections::{EngineError, Projections, status_from_db};
use reqwest::Method;
use serde_json::{Value, json};

use crate::commands::Outcome;
use crate::output;
use crate::progress::{Progress, Unit};
use crate::runtime::client::Client;
use crate::runtime::store::{self, Location};
use crate::settings::Settings;

/// Between two looks at a rebuild in a server.
const POLL: Duration = Duration::from_millis(250);

/// Look at the projectors, rebuild a read model, or check one
///
///   daybook projections status
///   daybook projections rebuild transactions
///   daybook projections check stats
///
/// A rebuild folds the ledger from its first entry into new tables beside the old ones, which
/// go on answering, and swaps them in. It runs in the server of the data folder (or of --url)
/// if there is one, else here.
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub enum Arguments {
    /// Show how far each projector is
    Status(ServerChoice),
    /// Build a read model anew
    Rebuild {
        /// transactions, incidents, audit_trail or stats
        name: String,
        #[command(flatten)]
        server: ServerChoice,
    },
    /// Compare a read model with one built anew: exit code 1 where they differ
    ///
    /// Works on the store. On the embedded store a server may be running: folding waits for its turn.
    Check {
        /// transactions, incidents, audit_trail or stats
        name: String,
    },
}

/// Which server to ask.
#[derive(Debug, Args)]
pub struct ServerChoice {
    /// Ask this server
    #[arg(long, value_name = "URL", env = "DAYBOOK_URL")]
    url: Option<String>,
    /// The operator's token, where it is not in the data folder
    #[arg(long, value_name = "TOKEN", env = "DAYBOOK_OPERATOR_TOKEN", hide_env_values = true)]
    operator_token: Option<String>,
}

impl ServerChoice {
    async fn client(self, settings: &Settings) -> anyhow::Result<Option<Client>> {
        Client::find(settings, self.url.as_deref(), self.operator_token).await
    }
}

/// Does what was asked.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    match arguments {
        Arguments::Status(server) => status(settings, server.client(settings).await?).await,
        Arguments::Rebuild { name, server } => match server.client(settings).await? {
            Some(client) => rebuild_there(settings, &client, &name).await,
            None => rebuild_here(settings, &name).await,
        },
        Arguments::Check { name } => check(settings, &name).await,
    }
}

async fn status(settings: &Settings, client: Option<Client>) -> anyhow::Result<Outcome> {
    let status = match client {
        Some(client) => client.get("/v1/projections").await?,
        None => here(settings).await?,
    };
    if settings.json {
        output::json(&status)?;
    } else {
        output::line(as_table(status.get("items").unwrap_or(&Value::Null)))?;
    }
    let items = status.get("items").and_then(Value::as_array);
    let stopped =
        items.is_some_and(|items| items.iter().any(|item| item.get("error").is_some_and(|error| !error.is_null())));
    Ok(Outcome::good_if(!stopped))
}

/// The status in the shape that the API has.
async fn here(settings: &Settings) -> anyhow::Result<Value> {
    let size = store::reader(settings).await?.head().await.context("the ledger cannot be read")?.size;
    let Some(db) = Location::of(settings).open_read_tables_for_reading().await? else {
        return Ok(json!({"ledger_size": size, "items": []}));
    };
    let items: Vec<Value> = status_from_db(&db, settings.ledger().as_str(), size)
        .await?
        .into_iter()
        .map(|status| {
            let state = match (&status.error, &status.rebuild) {
                (Some(_), _) => "stopped",
                (None, Some(_)) => "rebuilding",
                (None, None) => "not running",
            };
            json!({
                "name": status.name,
                "state": state,
                "position": status.position,
                "lag": status.lag_entries,
                "updated_at": status.last_progress_at.map(daybook_query_api::time::rfc3339),
                "rebuild_position": status.rebuild.map(|rebuild| rebuild.position),
                "rebuild_target": status.rebuild.map(|rebuild| rebuild.target),
                "error": status.error,
            })
        })
        .collect();
    Ok(json!({"ledger_size": size, "items": items}))
}

/// Projectors as the API lists them, for people.
pub fn as_table(items: &Value) -> String {
    let mut rows = vec![["projector", "position", "lag", "state", "last progress", ""].map(str::to_owned).to_vec()];
    let number =
        |item: &Value, name: &str| item.get(name).and_then(Value::as_u64).map_or_else(|| "-".to_owned(), output::count);
    let text = |item: &Value, name: &str| item.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    for item in items.as_array().into_iter().flatten() {
        let note = match item.get("rebuild_target").and_then(Value::as_u64) {
            Some(_) => format!("{} of {}", number(item, "rebuild_position"), number(item, "rebuild_target")),
            None => text(item, "error"),
        };
        rows.push(vec![
            text(item, "name"),
            number(item, "position"),
            number(item, "lag"),
            text(item, "state"),
            text(item, "updated_at"),
            note,
        ]);
    }
    output::table(&rows)
}

async fn rebuild_there(settings: &Settings, client: &Client, name: &str) -> anyhow::Result<Outcome> {
    let path = "/v1/projections";
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_plain || name.is_empty() {
        bail!("there is no projector named {name:?}");
    }
    let started = Instant::now();
    client.send(client.request(Method::POST, &format!("{path}/{name}/rebuild"))).await?;
    let progress = Progress::new("rebuilding", 0, Unit::Count, settings.json);
    let position = loop {
        tokio::time::sleep(POLL).await;
        let status = client.get(path).await?;
        let items = status.get("items").and_then(Value::as_array).context("the server's answer has no items")?;
        let item = items
            .iter()
            .find(|item| item.get("name").and_then(Value::as_str) == Some(name))
            .context("the server has lost the projector")?;
        let number = |name: &str| item.get(name).and_then(Value::as_u64);
        if item.get("state").and_then(Value::as_str) == Some("rebuilding") {
            progress.update(number("rebuild_position").unwrap_or(0), number("rebuild_target").unwrap_or(0), "");
            continue;
        }
        if let Some(error) = item.get("error").and_then(Value::as_str) {
            bail!("{name} was not rebuilt: {error}");
        }
        break number("position").unwrap_or(0);
    };
    progress.finish();
    say_rebuilt(settings, name, position, started, "in the server")
}

async fn rebuild_here(settings: &Settings, name: &str) -> anyhow::Result<Outcome> {
    let projections = open(settings).await?;
    let started = Instant::now();
    let progress = Progress::new("rebuilding", 0, Unit::Count, settings.json);
    let rebuilt = projections.rebuild(name, |done, total| progress.update(done, total, "")).await;
    progress.finish();
    known(&projections, rebuilt)?;
    let status = projections.status().await;
    let position = status.iter().find(|status| status.name == name).map_or(0, |status| status.position);
    say_rebuilt(settings, name, position, started, "here")
}

fn say_rebuilt(
    settings: &Settings,
    name: &str,
    position: u64,
    started: Instant,
    place: &str,
) -> anyhow::Result<Outcome> {
    let elapsed = started.elapsed();
    if settings.json {
        output::json(&json!({"projector": name, "position": position, "seconds": elapsed.as_secs_f64()}))?;
    } else {
        output::line(format!(
            "{name} was rebuilt {place} from {} entries in {:.1} s ({} a second)",
            output::count(position),
            elapsed.as_secs_f64(),
            output::count(output::rate(position, elapsed))
        ))?;
    }
    Ok(Outcome::Good)
}

async fn check(settings: &Settings, name: &str) -> anyhow::Result<Outcome> {
    let projections = open(settings).await?;
    let progress = Progress::new("checking", 0, Unit::Count, settings.json);
    let compared = projections.compare(name, |done, total| progress.update(done, total, "")).await;
    progress.finish();
    let comparison = known(&projections, compared)?;
    if settings.json {
        let tables: Vec<Value> = comparison
            .tables
            .iter()
            .map(|table| {
                json!({
                    "table": table.table,
                    "rows": table.rows,
                    "rebuilt_rows": table.rebuilt_rows,
                    "only_live": table.only_live,
                    "only_rebuilt": table.only_rebuilt,
                })
            })
            .collect();
        output::json(&json!({
            "projector": comparison.projector,
            "entries": comparison.entries,
            "equal": comparison.equal,
            "tables": tables,
        }))?;
    } else {
        let mut rows = vec![["table", "rows", "rebuilt", "only live", "only rebuilt"].map(str::to_owned).to_vec()];
        for table in &comparison.tables {
            let numbers = [table.rows, table.rebuilt_rows, table.only_live, table.only_rebuilt].map(output::count);
            rows.push(std::iter::once(table.table.clone()).chain(numbers).collect());
        }
        output::line(output::table(&rows))?;
        let verdict = if comparison.equal { "equals" } else { "DIFFERS from" };
        output::line(format!("{name} {verdict} what {} entries give", output::count(comparison.entries)))?;
    }
    Ok(Outcome::good_if(comparison.equal))
}

/// The projectors, on the store itself.
async fn open(settings: &Settings) -> anyhow::Result<Projections> {
    let reader = store::reader(settings).await?;
    let db = Location::of(settings).open_read_tables().await?;
    Ok(Projections::new(db, reader, daybook_projections::all()))
}

fn known<T>(projections: &Projections, result: Result<T, EngineError>) -> anyhow::Result<T> {
    result.map_err(|error| match error {
        EngineError::UnknownProjector(name) => {
            anyhow::anyhow!("there is no projector named {name:?}; there are {}", projections.names().join(", "))
        }
        other => other.into(),
    })
}
