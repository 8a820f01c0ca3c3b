//! `daybook status`: what is there, how far everything is, and whether a server runs.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use daybook_ledger::checkpoint::LastCheckpoint;
use daybook_ledger::{LedgerId, LedgerReader, Store};
use daybook_projections::status_from_db;
use daybook_query_api::time::rfc3339;
use serde::Serialize;
use serde_json::{Value, json};

use crate::commands::{Outcome, projections};
use crate::output;
use crate::runtime::client::Client;
use crate::runtime::discovery::{self, ServerDescription};
use crate::runtime::gauges::Gauges;
use crate::runtime::signing;
use crate::runtime::store::Location;
use crate::settings::Settings;

/// All of it.
#[derive(Debug, Serialize)]
struct Status {
    store: &'static str,
    location: String,
    data: PathBuf,
    server: Option<ServerDescription>,
    ledgers: Vec<Value>,
    projectors: Vec<Value>,
    reactors: Vec<Value>,
    /// What the running server says of the organisations, their directories, the vault and letters.
    people: Option<People>,
    /// What the running server says of schedules of exports.
    export_schedules: Option<Schedules>,
    files: Vec<FileSize>,
}

/// Figures of a running server.
#[derive(Debug, Serialize)]
struct People {
    organizations_open: u64,
    organizations_failing: u64,
    directories_failing: u64,
    is_vault_failing: bool,
    accesses_lost: u64,
    letters_failed: u64,
    /// Times that a task behind the requests ended that should have gone on.
    task_failures: u64,
    /// Organisations whose reactors have ended with an error.
    reactors_failing: u64,
    /// Organisations whose record of access has stopped.
    recorders_stopped: u64,
}

/// Schedules of exports, as a running server counts them.
#[derive(Debug, Serialize)]
struct Schedules {
    /// Those that run at their times.
    active: u64,
    /// Those that are due and whose maker may not ask for their exports.
    held_up: u64,
    /// Runs since the server's start.
    runs: u64,
}

impl People {
    /// Something that needs somebody to look at it.
    fn is_in_trouble(&self) -> bool {
        self.organizations_failing > 0
            || self.directories_failing > 0
            || self.is_vault_failing
            || self.reactors_failing > 0
            || self.recorders_stopped > 0
    }
}

#[derive(Debug, Serialize)]
struct FileSize {
    file: String,
    bytes: u64,
}

/// Shows it. Exit code 1 where a projector or reactor stands still, or a ledger does not extend the checkpoint signed last.
pub async fn run(settings: &Settings) -> anyhow::Result<Outcome> {
    let status = look(settings).await?;
    let stands_still = |item: &Value| item.get("error").is_some_and(|error| !error.is_null());
    let is_refused = |ledger: &Value| ledger.pointer("/checkpoint/refused").is_some_and(|refused| !refused.is_null());
    let good = !status.projectors.iter().chain(&status.reactors).any(stands_still)
        && !status.ledgers.iter().any(is_refused)
        && !status.people.as_ref().is_some_and(People::is_in_trouble);
    if settings.json {
        output::json(&status)?;
    } else {
        print(&status)?;
    }
    Ok(Outcome::good_if(good))
}

async fn look(settings: &Settings) -> anyhow::Result<Status> {
    let location = Location::of(settings);
    let store = location.open_for_reading().await?;
    let mut ledgers = Vec::new();
    let mut projectors = Vec::new();
    let read_tables = location.open_read_tables_for_reading().await?;
    for ledger in store.ledgers().await.context("the ledgers cannot be listed")? {
        let head = store.head(&ledger).await.with_context(|| format!("the ledger {ledger} cannot be read"))?;
        if let Some(db) = &read_tables {
            for projector in status_from_db(db, ledger.as_str(), head.size).await? {
                projectors.push(json!({
                    "name": projector.name,
                    "ledger_id": projector.ledger_id,
                    "position": projector.position,
                    "lag": projector.lag_entries,
                    "updated_at": projector.last_progress_at.map(rfc3339),
                    "rebuild_position": projector.rebuild.map(|rebuild| rebuild.position),
                    "rebuild_target": projector.rebuild.map(|rebuild| rebuild.target),
                    "error": projector.error,
                }));
            }
        }
        ledgers.push(json!({
            "ledger_id": head.ledger_id,
            "size": head.size,
            "hash": head.hash,
            "root": head.root,
            "recorded_at": rfc3339(head.recorded_at),
            "checkpoint": checkpoint(settings, &store, ledger).await?,
        }));
    }
    let reactors = match &read_tables {
        Some(db) => daybook_reactors::status(db).await?,
        None => Vec::new(),
    };
    let reactors = reactors
        .into_iter()
        .map(|reactor| {
            let size = ledgers
                .iter()
                .find(|ledger| ledger.get("ledger_id").and_then(Value::as_str) == Some(reactor.ledger_id.as_str()))
                .and_then(|ledger| ledger.get("size").and_then(Value::as_u64))
                .unwrap_or(0);
            json!({
                "name": reactor.name,
                "ledger_id": reactor.ledger_id,
                "position": reactor.position,
                "lag": size.saturating_sub(reactor.position),
                "updated_at": rfc3339(reactor.updated_at),
                "error": reactor.error,
            })
        })
        .collect();
    let gauges = gauges(settings).await?;
    Ok(Status {
        store: store.kind(),
        location: location.describe(),
        data: settings.data.clone(),
        server: discovery::find(&settings.data).await,
        ledgers,
        projectors,
        reactors,
        people: gauges.as_ref().map(people),
        export_schedules: gauges.as_ref().map(export_schedules),
        files: files(&location),
    })
}

/// What only the running process knows.
async fn gauges(settings: &Settings) -> anyhow::Result<Option<Gauges>> {
    let Some(client) = Client::find(settings, None, None).await? else { return Ok(None) };
    Ok(Gauges::of(&client).await)
}

fn export_schedules(gauges: &Gauges) -> Schedules {
    let sum = |name: &str| gauges.sum(name).unwrap_or(0);
    Schedules {
        active: sum("daybook_export_schedules_active"),
        held_up: sum("daybook_export_schedules_held_up"),
        runs: sum("daybook_export_schedule_runs"),
    }
}

fn people(gauges: &Gauges) -> People {
    let sum = |name: &str| gauges.sum(name).unwrap_or(0);
    People {
        organizations_open: sum("daybook_organizations_open"),
        organizations_failing: sum("daybook_organizations_failing"),
        directories_failing: sum("daybook_directory_failing"),
        is_vault_failing: sum("daybook_vault_failing") + sum("daybook_vault_purge_failing") > 0,
        accesses_lost: sum("daybook_access_dropped"),
        letters_failed: sum("daybook_mail_failed"),
        task_failures: sum("daybook_task_failures") + sum("daybook_checkpoints_stopped"),
        reactors_failing: sum("daybook_reactors_failing"),
        recorders_stopped: sum("daybook_access_recorders_stopped"),
    }
}

/// The latest checkpoint in the store, and whether the ledger extends the one remembered beside the keys.
async fn checkpoint(settings: &Settings, store: &Arc<dyn Store>, ledger: LedgerId) -> anyhow::Result<Value> {
    let latest = store.latest_checkpoint(&ledger).await.context("the checkpoints cannot be read")?;
    let reader = LedgerReader::open(Arc::clone(store), ledger).await.context("cannot read the ledger")?;
    let remembered = signing::remembered(settings, &reader).await?;
    if latest.is_none() && remembered.is_none() {
        return Ok(Value::Null);
    }
    let latest = latest.as_ref().map(LastCheckpoint::of);
    Ok(json!({
        "size": latest.as_ref().map(|latest| latest.size),
        "root": latest.as_ref().map(|latest| latest.root),
        "signed_at": latest.as_ref().map(|latest| rfc3339(latest.signed_at)),
        "key_ids": latest.as_ref().map(|latest| latest.key_ids.clone()),
        "remembered_size": remembered.as_ref().map(|(size, _)| *size),
        "refused": remembered.and_then(|(_, refused)| refused),
    }))
}

fn files(location: &Location) -> Vec<FileSize> {
    [location.ledger_file(), location.read_file(), location.vault_file()]
        .into_iter()
        .flatten()
        .flat_map(|file| {
            let log = PathBuf::from(format!("{}-wal", file.display()));
            [file, log]
        })
        .filter_map(|file| {
            let bytes = std::fs::metadata(&file).ok()?.len();
            Some(FileSize { file: file.display().to_string(), bytes })
        })
        .collect()
}

fn print_checkpoint(checkpoint: &Value) -> anyhow::Result<()> {
    let text = |name: &str| checkpoint.get(name).and_then(Value::as_str);
    match checkpoint.get("size").and_then(Value::as_u64) {
        Some(size) => {
            let keys = checkpoint.get("key_ids").and_then(Value::as_array).into_iter().flatten();
            let keys: Vec<&str> = keys.filter_map(Value::as_str).collect();
            let at = text("signed_at").unwrap_or("-");
            output::line(format!("signed   {} entries at {at} by {}", output::count(size), keys.join(", ")))?;
        }
        None => output::line("signed   no checkpoint in the store")?,
    }
    match text("refused") {
        Some(refused) => output::line(format!("{}  {refused}", output::bold("REFUSED"))),
        None => Ok(()),
    }
}

fn print(status: &Status) -> anyhow::Result<()> {
    output::line(format!("store    {}", status.location))?;
    match &status.server {
        Some(server) => output::line(format!(
            "server   {} (process {}, since {}, roles {})",
            server.url,
            server.pid,
            server.started_at,
            server.roles.join(",")
        ))?,
        None => output::line(format!("server   none on {}", status.data.display()))?,
    }
    if let Some(people) = &status.people {
        let failing = [
            (people.organizations_failing, "organisations cannot be opened"),
            (people.directories_failing, "directories cannot follow their ledger"),
            (u64::from(people.is_vault_failing), "vault fails"),
            (people.accesses_lost, "reads and denials could not be recorded"),
            (people.letters_failed, "letters were given up"),
            (people.task_failures, "times a task ended that should go on (the log says which)"),
            (people.reactors_failing, "organisations' reactors have stopped"),
            (people.recorders_stopped, "organisations' record of access has stopped"),
        ];
        let failing = failing.iter().filter(|(count, _)| *count > 0);
        let failing: String = failing.map(|(count, what)| format!("; {} {what}", output::count(*count))).collect();
        let open = output::count(people.organizations_open);
        output::line(format!("people   {open} organisations open{failing}"))?;
    }
    if let Some(schedules) = status.export_schedules.as_ref().filter(|one| one.active + one.held_up + one.runs > 0) {
        let held_up = match schedules.held_up {
            0 => String::new(),
            count => format!("; {} due, whose maker may not ask for them now", output::count(count)),
        };
        let (active, runs) = (output::count(schedules.active), output::count(schedules.runs));
        output::line(format!("schedule {active} of exports, {runs} runs since the server's start{held_up}"))?;
    }
    for file in &status.files {
        output::line(format!("file     {} ({})", file.file, output::bytes(file.bytes)))?;
    }
    for ledger in &status.ledgers {
        let text = |name: &str| ledger.get(name).and_then(Value::as_str).unwrap_or("-");
        let size = ledger.get("size").and_then(Value::as_u64).unwrap_or(0);
        output::line(format!(
            "ledger   {}: {} entries, the last at {}\n         hash {}\n         root {}",
            text("ledger_id"),
            output::count(size),
            text("recorded_at"),
            text("hash"),
            text("root")
        ))?;
        print_checkpoint(ledger.get("checkpoint").unwrap_or(&Value::Null))?;
    }
    if status.ledgers.is_empty() {
        output::line("ledger   none has entries yet")?;
    }
    let mut all = status.projectors.clone();
    all.extend(status.reactors.iter().cloned().map(|mut reactor| {
        if let Some(fields) = reactor.as_object_mut() {
            fields.insert("state".to_owned(), "reactor".into());
        }
        reactor
    }));
    if status.ledgers.len() > 1 {
        for row in all.iter_mut().filter_map(Value::as_object_mut) {
            let part = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let name = format!("{}/{}", part("ledger_id"), part("name"));
            row.insert("name".to_owned(), name.into());
        }
    }
    if !all.is_empty() {
        output::line("")?;
        output::line(projections::as_table(&Value::Array(all)))?;
    }
    Ok(())
}
