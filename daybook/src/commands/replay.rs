//! `daybook replay`: entries as NDJSON, from the store itself or from a server.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use daybook_exports::bundle::EntryView;
use daybook_ledger::{Entry, LedgerReader, StreamKey};
use daybook_query_api::time::{Edge, parameter};
use futures::{StreamExt, TryStreamExt};
use reqwest::Method;
use serde_json::Value;

use crate::commands::Outcome;
use crate::runtime::client::Client;
use crate::runtime::store;
use crate::settings::Settings;
use crate::settings::hidden::Hidden;

/// Entries asked of a server at once.
const SERVER_PAGE: u64 = 20_000;
/// Entries of a stream read at once.
const STREAM_PAGE: usize = 500;
/// Longest wait for new entries before looking anyway.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes printed at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// Print entries of the ledger, one JSON object a line
///
///   daybook replay                                        everything, from the first entry
///   daybook replay --from 1000 --to 1010                  positions 1000 to 1009
///   daybook replay --stream transaction/TX-1              the life of one transaction
///   daybook replay --type incident.opened --follow        incidents as they are opened
///   daybook replay --at 2026-11-01                        as it was at the end of that day
///   daybook replay | jq -r .event_type | sort | uniq -c
///
/// Payload and metadata are the stored bytes. Reads the store, also while a server writes to
/// it; with --url it asks that server instead.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// First position
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    from: u64,
    /// Position to stop before
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
    /// Only this stream
    #[arg(long, value_name = "TYPE/ID")]
    stream: Option<String>,
    /// Only entries of this event type
    #[arg(long = "type", value_name = "EVENT_TYPE")]
    event_type: Option<String>,
    /// Only what had been recorded by then: RFC 3339, or a date for the end of that day
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    at: Option<String>,
    /// Go on with new entries as they are recorded
    #[arg(long, conflicts_with = "to")]
    follow: bool,
    /// Ask this server instead of reading the store
    #[arg(long, value_name = "URL", env = "DAYBOOK_URL")]
    url: Option<String>,
    /// The operator's token, where it is not in the data folder
    #[arg(long, value_name = "TOKEN", env = "DAYBOOK_OPERATOR_TOKEN", hide_env_values = true)]
    operator_token: Option<Hidden>,
}

/// Which entries, checked.
struct Selection {
    from: u64,
    to: u64,
    stream: Option<StreamKey>,
    event_type: Option<String>,
    at: Option<i64>,
}

impl Selection {
    fn of(arguments: &Arguments) -> anyhow::Result<Self> {
        let stream = match &arguments.stream {
            None => None,
            Some(text) => {
                let (stream_type, stream_id) =
                    text.split_once('/').context("--stream takes TYPE/ID, such as transaction/TX-1")?;
                Some(StreamKey::new(stream_type, stream_id).context("--stream names no stream")?)
            }
        };
        let to = arguments.to.unwrap_or(u64::MAX);
        ensure!(arguments.from <= to, "--from is after --to");
        Ok(Self {
            from: arguments.from,
            to,
            stream,
            event_type: arguments.event_type.clone(),
            at: moment(&arguments.at)?,
        })
    }

    fn wants(&self, entry: &Entry) -> bool {
        (self.from..self.to).contains(&entry.position)
            && self.stream.as_ref().is_none_or(|stream| *stream == entry.stream)
            && self.event_type.as_ref().is_none_or(|event_type| *event_type == entry.event_type)
    }

    /// Times never go back in a ledger, so this is the end.
    fn is_too_late(&self, entry: &Entry) -> bool {
        self.at.is_some_and(|at| entry.recorded_at > at)
    }
}

fn moment(text: &Option<String>) -> anyhow::Result<Option<i64>> {
    parameter("at", text.as_deref(), Edge::End).map_err(|problem| {
        let detail = problem.errors().first().map_or(problem.detail(), |error| error.detail.as_str());
        anyhow::anyhow!("--at {detail}")
    })
}

/// Prints the entries.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    let selection = Selection::of(&arguments)?;
    let printed = match &arguments.url {
        Some(url) => {
            let token = arguments.operator_token.as_ref().map(|token| token.expose().to_owned());
            let client = Client::find(settings, Some(url), token).await?.context("no server")?;
            from_server(&client, settings, &arguments, selection).await
        }
        None => {
            let reader = store::reader(settings).await?;
            from_store(&reader, selection, arguments.follow).await
        }
    };
    printed.map(|()| Outcome::Good)
}

/// Lines that are printed in large pieces.
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, entry: Entry) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.0, &EntryView::from(entry)).context("an entry cannot be written as JSON")?;
        self.0.push(b'\n');
        if self.0.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&self.0)?;
        stdout.flush()?;
        self.0.clear();
        Ok(())
    }
}

async fn from_store(reader: &LedgerReader, selection: Selection, follow: bool) -> anyhow::Result<()> {
    let mut lines = Lines(Vec::with_capacity(BUFFER_BYTES * 2));
    if let (Some(stream), false) = (&selection.stream, follow) {
        return one_stream(reader, stream, &selection, lines).await;
    }
    let mut next = selection.from;
    loop {
        let mut entries = Box::pin(reader.range(next, selection.to));
        while let Some(entry) = entries.try_next().await.context("the ledger cannot be read")? {
            if selection.is_too_late(&entry) {
                return lines.flush();
            }
            next = entry.position + 1;
            if selection.wants(&entry) {
                lines.push(entry)?;
            }
        }
        lines.flush()?;
        if !follow {
            return Ok(());
        }
        reader.wait_beyond(next, FOLLOW_INTERVAL).await.context("the ledger cannot be read")?;
    }
}

async fn one_stream(
    reader: &LedgerReader,
    stream: &StreamKey,
    selection: &Selection,
    mut lines: Lines,
) -> anyhow::Result<()> {
    let mut version = 1;
    loop {
        let page = reader.stream(stream, version, STREAM_PAGE).await.context("the ledger cannot be read")?;
        let is_last = page.len() < STREAM_PAGE;
        for entry in page {
            version = entry.version + 1;
            if selection.is_too_late(&entry) {
                return lines.flush();
            }
            if selection.wants(&entry) {
                lines.push(entry)?;
            }
        }
        if is_last {
            return lines.flush();
        }
    }
}

async fn from_server(
    client: &Client,
    settings: &Settings,
    arguments: &Arguments,
    selection: Selection,
) -> anyhow::Result<()> {
    let mut next = selection.from;
    loop {
        let head = client.get(&format!("/v1/ledgers/{}/head", settings.ledger())).await?;
        let size = head.get("size").and_then(Value::as_u64).context("the server's head has no size")?;
        let end = selection.to.min(size);
        // Up to the size seen now, so that filtered pages that come back empty still get on.
        while next < end {
            let page = end.min(next.saturating_add(SERVER_PAGE));
            let mut query =
                vec![("from", next.to_string()), ("to", page.to_string()), ("limit", SERVER_PAGE.to_string())];
            if let Some(stream) = &selection.stream {
                query.push(("stream_type", stream.stream_type.clone()));
                query.push(("stream_id", stream.stream_id.clone()));
            }
            if let Some(event_type) = &selection.event_type {
                query.push(("event_type", event_type.clone()));
            }
            if let Some(at) = &arguments.at {
                query.push(("at", at.clone()));
            }
            let path = format!("/v1/ledgers/{}/entries", settings.ledger());
            let answer = client.send(client.request(Method::GET, &path).query(&query)).await?;
            let mut last_byte = b'\n';
            let mut body = answer.bytes_stream();
            while let Some(bytes) = body.next().await {
                let bytes = bytes.context("the server's answer broke off; what was printed is true but not all")?;
                let mut stdout = std::io::stdout().lock();
                stdout.write_all(&bytes)?;
                last_byte = bytes.last().copied().unwrap_or(last_byte);
            }
            std::io::stdout().flush()?;
            if last_byte != b'\n' {
                bail!("the server's answer broke off within a line");
            }
            next = page;
        }
        if !arguments.follow {
            return Ok(());
        }
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn date_stands_for_the_end_of_its_day() {
        let end = moment(&Some("2026-11-21".to_owned())).unwrap().unwrap();
        assert_eq!(daybook_query_api::time::rfc3339(end), "2026-11-21T23:59:59.999999Z");
        assert!(moment(&Some("yesterday".to_owned())).unwrap_err().to_string().starts_with("--at must be"));
    }
}
