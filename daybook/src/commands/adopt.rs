//! `daybook adopt`: the events of a postgres-es database become entries of a ledger, originals kept.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use daybook_ledger::append::{Append, AppendError, Draft};
use daybook_ledger::{Actor, Entry, Ledger, StreamKey};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{Connection, Row};

use crate::commands::Outcome;
use crate::commands::import::open_here;
use crate::output;
use crate::progress::{Progress, Unit};
use crate::runtime::client::Client;
use crate::runtime::store::without_credentials;
use crate::settings::Settings;

/// Rows that are looked up and appended together.
const BATCH: usize = 1_000;
/// Streams that are looked up at the same time.
const LOOKUPS: usize = 4;
/// Stream types that Daybook gives a meaning of its own, now or in releases to come.
const OWN_TYPES: &[&str] =
    &["transaction", "incident", "approval", "export", "ledger", "person", "role", "rule", "finding"];

/// Take over the events of a postgres-es database
///
///   daybook adopt --from postgres://user:password@host/database
///   daybook adopt --from postgres://… --table events --prefix shop.
///
/// Each row becomes an entry: stream type and id are aggregate_type and aggregate_id, version
/// is sequence, the event type stays, the schema version is the first number of
/// event_version, and the payload is the stored text, byte for byte. Metadata keeps
/// event_version and the original metadata.
///
/// postgres-es has no order over all streams. Rows are taken in the order in which they lie
/// in the table, and never before an earlier row of their own stream. Running it again goes
/// on where it ended: what is there already is compared and left alone, and a difference is
/// an error that names it.
///
/// The types that Daybook uses itself (transaction, incident, ...) are refused without
/// --prefix. Opens the store itself: on the embedded store no server may be running.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// The database to read; nothing is changed there
    #[arg(long, value_name = "URL", env = "DAYBOOK_ADOPT_FROM", hide_env_values = true)]
    from: String,
    /// Its table of events, with a schema if need be
    #[arg(long, value_name = "NAME", default_value = "events")]
    table: String,
    /// Put before each aggregate type
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
}

/// How it went.
#[derive(Debug, Default, Serialize)]
struct Summary {
    rows: u64,
    adopted: u64,
    already_there: u64,
    streams_by_type: BTreeMap<String, u64>,
    ledger_size: u64,
    ledger_hash: String,
    seconds: f64,
}

/// One row of the table.
struct Event {
    stream: StreamKey,
    version: u64,
    draft: Draft,
    metadata: String,
}

/// Takes the events over.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    let table = quoted(&arguments.table)?;
    if settings.database_url.is_none()
        && let Some(client) = Client::find(settings, None, None).await?
    {
        bail!("a server runs on the data folder ({}): stop it first", client.base());
    }
    let options: PgConnectOptions = arguments.from.parse().context("--from is not a postgres:// URL")?;
    let mut source = PgConnection::connect_with(&options.application_name("daybook adopt"))
        .await
        .with_context(|| format!("cannot reach {}", without_credentials(&arguments.from)))?;
    begin(&mut source).await?;
    let total = check(&mut source, &table, &arguments.prefix).await?;
    let writing = open_here(settings).await?;
    let ledger = writing.transactions.ledger().clone();
    let progress = Progress::new("adopting", total, Unit::Count, settings.json);
    let started = Instant::now();
    let mut summary = Summary::default();
    let sql = query(&table);
    let mut rows = sqlx::query(&sql).fetch(&mut source);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let row = rows.try_next().await.context("the table cannot be read")?;
        let is_last = row.is_none();
        if let Some(row) = row {
            batch.push(read(&row, &arguments.prefix)?);
        }
        if batch.len() >= BATCH || (is_last && !batch.is_empty()) {
            adopt(&ledger, std::mem::take(&mut batch), &mut summary).await?;
            progress.update(summary.rows, total, "");
        }
        if is_last {
            break;
        }
    }
    progress.finish();
    let head = ledger.head().await.context("the ledger cannot be read")?;
    (summary.ledger_size, summary.ledger_hash) = (head.size, head.hash.to_string());
    report(settings, summary, started.elapsed())
}

fn report(settings: &Settings, mut summary: Summary, elapsed: Duration) -> anyhow::Result<Outcome> {
    summary.seconds = elapsed.as_secs_f64();
    if settings.json {
        output::json(&summary)?;
        return Ok(Outcome::Good);
    }
    output::line(format!(
        "{} events: {} adopted, {} there already, in {:.1} s ({} a second)",
        output::count(summary.rows),
        output::count(summary.adopted),
        output::count(summary.already_there),
        summary.seconds,
        output::count(output::rate(summary.rows, elapsed))
    ))?;
    for (stream_type, streams) in &summary.streams_by_type {
        output::line(format!("  {stream_type}: {} streams begun", output::count(*streams)))?;
    }
    output::line(format!("ledger: {} entries, hash {}", output::count(summary.ledger_size), summary.ledger_hash))?;
    Ok(Outcome::Good)
}

/// A table's name as an SQL identifier, with or without a schema.
fn quoted(name: &str) -> anyhow::Result<String> {
    let parts: Vec<String> = name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    ensure!(parts.len() <= 2 && !name.split('.').any(str::is_empty), "--table takes a name, or schema.name");
    ensure!(!name.contains('\0'), "--table takes a name");
    Ok(parts.join("."))
}

/// One unchanging view of the source, and no way to change it.
async fn begin(source: &mut PgConnection) -> anyhow::Result<()> {
    sqlx::query("begin transaction isolation level repeatable read read only")
        .execute(&mut *source)
        .await
        .context("the source does not begin a transaction")?;
    Ok(())
}

/// How many rows there are, after making sure that they can become entries.
async fn check(source: &mut PgConnection, table: &str, prefix: &str) -> anyhow::Result<u64> {
    let sql = format!("select aggregate_type, count(*) from {table} group by aggregate_type order by aggregate_type");
    let types: Vec<(String, i64)> = sqlx::query_as(&sql)
        .fetch_all(&mut *source)
        .await
        .with_context(|| format!("{table} is not a table of postgres-es events"))?;
    for (name, _) in &types {
        let adopted = format!("{prefix}{name}");
        if OWN_TYPES.contains(&adopted.as_str()) {
            bail!("events of type {adopted:?} would pass for Daybook's own: give them a --prefix such as shop.");
        }
    }
    Ok(types.iter().map(|(_, count)| u64::try_from(*count).unwrap_or(0)).sum())
}

/// Each row stands where the last of its stream's rows up to it lies in the table. So no row comes before an earlier one of
/// its stream, and otherwise the order is that of the table. The server sorts; rows arrive one by one.
fn query(table: &str) -> String {
    format!(
        "select aggregate_type, aggregate_id, sequence::bigint, event_type, event_version, payload::text, metadata::text \
         from (select *, max(ctid) over (partition by aggregate_type, aggregate_id order by sequence \
         rows between unbounded preceding and current row) as place from {table}) as placed \
         order by place, aggregate_type, aggregate_id, sequence"
    )
}

fn read(row: &PgRow, prefix: &str) -> anyhow::Result<Event> {
    let text = |column: usize| row.try_get::<String, _>(column).context("a row is not a postgres-es event");
    let (aggregate_type, aggregate_id) = (text(0)?, text(1)?);
    let sequence: i64 = row.try_get(2).context("a row is not a postgres-es event")?;
    let (event_type, event_version, payload, metadata) = (text(3)?, text(4)?, text(5)?, text(6)?);
    let name = format!("{aggregate_type}/{aggregate_id} {sequence}");
    let version = u64::try_from(sequence).ok().filter(|version| *version > 0);
    let version = version.with_context(|| format!("event {name}: a sequence begins at 1"))?;
    let stream = StreamKey::new(format!("{prefix}{aggregate_type}"), aggregate_id)
        .with_context(|| format!("event {name} cannot be an entry"))?;
    let schema_version = major(&event_version)
        .with_context(|| format!("event {name}: its event_version {event_version:?} does not begin with a number"))?;
    Ok(Event {
        stream,
        version,
        draft: Draft::new(event_type, schema_version, payload),
        metadata: metadata_of(&event_version, &metadata).with_context(|| format!("event {name}: its metadata"))?,
    })
}

/// The first number of a version such as `1.0`.
fn major(version: &str) -> Option<u64> {
    let digits: String =
        version.trim().trim_start_matches(['v', 'V']).chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Where the entry is from, and what was said of the event there.
fn metadata_of(event_version: &str, metadata: &str) -> anyhow::Result<String> {
    #[derive(Serialize)]
    struct Adopted<'a> {
        adopted_from: &'static str,
        event_version: &'a str,
        metadata: &'a RawValue,
    }
    let metadata: &RawValue = serde_json::from_str(metadata)?;
    Ok(serde_json::to_string(&Adopted { adopted_from: "postgres-es", event_version, metadata })?)
}

/// Appends what is not there, and compares what is.
async fn adopt(ledger: &Ledger, batch: Vec<Event>, summary: &mut Summary) -> anyhow::Result<()> {
    let there = look_up(ledger, &batch).await?;
    let mut pending = Vec::new();
    for event in batch {
        summary.rows += 1;
        let key = (event.stream.clone(), event.version);
        if let Some(entry) = there.get(&key) {
            compare(&event, entry)?;
            summary.already_there += 1;
            continue;
        }
        if event.version == 1 {
            *summary.streams_by_type.entry(event.stream.stream_type.clone()).or_insert(0) += 1;
        }
        let append = Append {
            stream: event.stream,
            expected_version: event.version - 1,
            events: vec![event.draft],
            actor: Actor::system("adopt"),
            metadata: event.metadata,
            command: None,
        };
        let name = format!("{} {}", append.stream, event.version);
        let queued = ledger.submit(append).await.with_context(|| format!("event {name} cannot be an entry"))?;
        pending.push((name, queued));
    }
    for (name, queued) in pending {
        queued.outcome().await.map_err(|error| explain(&name, error))?;
        summary.adopted += 1;
    }
    Ok(())
}

fn explain(name: &str, error: AppendError) -> anyhow::Error {
    match error {
        AppendError::VersionConflict { actual, .. } => {
            anyhow!(
                "event {name}: its stream has {actual} entries here, so an event before it is missing in the source"
            )
        }
        other => anyhow::Error::new(other).context(format!("event {name} was not appended")),
    }
}

/// The entries that the ledger has for the versions in the batch.
async fn look_up(ledger: &Ledger, batch: &[Event]) -> anyhow::Result<BTreeMap<(StreamKey, u64), Entry>> {
    let mut wanted: BTreeMap<StreamKey, (u64, usize)> = BTreeMap::new();
    for event in batch {
        let (first, count) = wanted.entry(event.stream.clone()).or_insert((event.version, 0));
        *first = (*first).min(event.version);
        *count += 1;
    }
    let found: Vec<Vec<Entry>> = stream::iter(wanted)
        .map(|(stream, (first, count))| async move { ledger.stream(&stream, first, count).await })
        .buffer_unordered(LOOKUPS)
        .try_collect()
        .await
        .context("the ledger cannot be read")?;
    Ok(found.into_iter().flatten().map(|entry| ((entry.stream.clone(), entry.version), entry)).collect())
}

fn compare(event: &Event, entry: &Entry) -> anyhow::Result<()> {
    let differs = [
        ("payload", event.draft.payload_digest != entry.payload_digest),
        ("event type", event.draft.event_type != entry.event_type),
        ("schema version", event.draft.schema_version != entry.schema_version),
        ("metadata", event.metadata != entry.metadata),
    ];
    if let Some((what, _)) = differs.iter().find(|(_, differs)| *differs) {
        bail!(
            "event {} {} is in the ledger already, at position {}, with another {what}",
            event.stream,
            event.version,
            entry.position
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn schema_version_is_the_first_number() {
        assert_eq!(["1.0", "2", "v3.1.4", " 10.0"].map(major), [Some(1), Some(2), Some(3), Some(10)]);
        assert_eq!(major("draft"), None);
    }

    #[test]
    fn original_metadata_is_kept_as_it_is_written() {
        let text = metadata_of("1.0", r#"{"b": 1.50,  "a":[]}"#).unwrap();
        assert_eq!(text, r#"{"adopted_from":"postgres-es","event_version":"1.0","metadata":{"b": 1.50,  "a":[]}}"#);
    }

    #[test]
    fn table_names_are_quoted() {
        assert_eq!(quoted("shop.events").unwrap(), r#""shop"."events""#);
        assert_eq!(quoted(r#"e"; drop table x; --"#).unwrap(), r#""e""; drop table x; --""#);
        assert!(quoted("a..b").is_err() && quoted("").is_err() && quoted("a.b.c").is_err());
    }
}
