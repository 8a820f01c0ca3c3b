//! What a source says of itself, read before it is verified: the checkpoints and anchors it presents, so that the root at
//! their sizes is recomputed on the way. Nothing here is believed, and a source that tells nothing is verified all the
//! same.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};

use crate::anchors;
use crate::checkpoint::Checkpoint;
use crate::note::MAX_NOTE_BYTES;
use crate::source::{Source, SourceError};

/// Most checkpoints and anchors of one ledger that are looked at, newest first.
pub const MAX_PEEKED: u32 = 1_000;
/// Most ledgers.
const MAX_LEDGERS: usize = 10_000;

/// What a source presents, by ledger.
pub type Peeked = BTreeMap<String, Peek>;

/// What a source presents of one ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peek {
    /// Signed notes, newest first.
    pub notes: Vec<String>,
    /// Sizes at which the root is wanted.
    pub sizes: Vec<u64>,
}

impl Peek {
    fn note(&mut self, note: String) {
        if note.len() <= MAX_NOTE_BYTES {
            self.sizes.extend(Checkpoint::parse(note.as_bytes()).map(|checkpoint| checkpoint.size));
            self.notes.push(note);
        }
    }

    fn anchor(&mut self, payload: &[u8]) {
        self.sizes.extend(std::str::from_utf8(payload).ok().and_then(anchors::size_of));
    }

    /// The newest checkpoint that is well-formed and of this ledger.
    pub fn newest(&self, ledger_id: &str) -> Option<Checkpoint> {
        let parsed = self.notes.iter().filter_map(|note| Checkpoint::parse(note.as_bytes()).ok());
        parsed.filter(|checkpoint| checkpoint.ledger_id() == ledger_id).max_by_key(|checkpoint| checkpoint.size)
    }
}

/// Looks at a source.
pub async fn peek(source: &Source, ledger: Option<&str>) -> Result<Peeked, SourceError> {
    match source {
        Source::Sqlite(path) => {
            let (path, ledger) = (path.clone(), ledger.map(str::to_owned));
            tokio::task::spawn_blocking(move || sqlite(&path, ledger.as_deref()))
                .await
                .map_err(|error| SourceError::Unreadable(error.to_string()))?
        }
        Source::Postgres(url) => postgres(url, ledger).await,
        Source::Server { url, token } => server(url, token.as_deref(), ledger).await,
        // A bundle's one checkpoint comes with its entries.
        Source::Bundle(_) => Ok(Peeked::new()),
    }
}

const LEDGERS: &str = "select distinct ledger_id from ledger_heads";
const CHECKPOINTS: &str = "select note from ledger_checkpoints where ledger_id = $1 order by size desc limit $2";
const ANCHORED: &str = "ledger.anchored";
const ANCHORS: &str = "select payload from ledger_entries where ledger_id = $1 and stream_type = 'ledger' \
     and stream_id = $1 and event_type = 'ledger.anchored' order by version desc limit $2";

fn sqlite(path: &Path, ledger: Option<&str>) -> Result<Peeked, SourceError> {
    // What is wrong with the file is for the verification to say.
    let Ok(connection) = crate::sqlite::open(path) else { return Ok(Peeked::new()) };
    if connection.execute_batch("begin deferred").is_err() {
        return Ok(Peeked::new());
    }
    let strings = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| -> rusqlite::Result<Vec<Vec<u8>>> {
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map(parameters, |row| {
            Ok(match row.get_ref(0)? {
                rusqlite::types::ValueRef::Text(bytes) | rusqlite::types::ValueRef::Blob(bytes) => bytes.to_vec(),
                _ => Vec::new(),
            })
        })?;
        rows.take(MAX_LEDGERS).collect()
    };
    // Tables may be missing, or hold anything: then there is nothing to present.
    let ledgers = match ledger {
        Some(ledger) => vec![ledger.to_owned()],
        None => texts(strings(LEDGERS, &[]).unwrap_or_default()),
    };
    let mut peeked = Peeked::new();
    for ledger in ledgers {
        let mut peek = Peek::default();
        let parameters: [&dyn rusqlite::ToSql; 2] = [&ledger, &MAX_PEEKED];
        texts(strings(CHECKPOINTS, &parameters).unwrap_or_default()).into_iter().for_each(|note| peek.note(note));
        // No index leads to them, so all entries are looked at, in the quickest way there is.
        let most = usize::try_from(MAX_PEEKED).unwrap_or(usize::MAX);
        let anchors = crate::sqlite::newest_payloads(path, &connection, &ledger, ANCHORED, most);
        let anchors = anchors.unwrap_or_else(|| strings(ANCHORS, &parameters).unwrap_or_default());
        anchors.iter().for_each(|payload| peek.anchor(payload));
        peeked.insert(ledger, peek);
    }
    Ok(peeked)
}

fn texts(values: Vec<Vec<u8>>) -> Vec<String> {
    values.into_iter().filter_map(|bytes| String::from_utf8(bytes).ok()).collect()
}

async fn postgres(url: &str, ledger: Option<&str>) -> Result<Peeked, SourceError> {
    let mut connection = PgConnection::connect(url).await?;
    let ledgers: Vec<String> = match ledger {
        Some(ledger) => vec![ledger.to_owned()],
        None => sqlx::query_scalar(LEDGERS).fetch_all(&mut connection).await.unwrap_or_default(),
    };
    let mut peeked = Peeked::new();
    for ledger in ledgers.into_iter().take(MAX_LEDGERS) {
        let mut peek = Peek::default();
        let limit = i64::from(MAX_PEEKED);
        // A role that may not read this table, or a store without it, presents nothing.
        let notes = sqlx::query(CHECKPOINTS).bind(&ledger).bind(limit).fetch_all(&mut connection).await;
        notes.iter().flatten().filter_map(|row| row.try_get::<String, _>(0).ok()).for_each(|note| peek.note(note));
        let payloads = sqlx::query(ANCHORS).bind(&ledger).bind(limit).fetch_all(&mut connection).await;
        payloads
            .iter()
            .flatten()
            .filter_map(|row| row.try_get::<Vec<u8>, _>(0).ok())
            .for_each(|payload| peek.anchor(&payload));
        peeked.insert(ledger, peek);
    }
    let _ = connection.close().await;
    Ok(peeked)
}

async fn server(url: &str, token: Option<&str>, ledger: Option<&str>) -> Result<Peeked, SourceError> {
    let ledgers = match ledger {
        Some(ledger) => vec![ledger.to_owned()],
        None => {
            let text = get(url, "/v1/ledgers", token).await?.unwrap_or_default();
            let listed: Vec<serde_json::Value> =
                serde_json::from_slice(&text).map_err(|error| SourceError::Unreadable(error.to_string()))?;
            let id = |ledger: &serde_json::Value| Some(ledger.get("ledger_id")?.as_str()?.to_owned());
            listed.iter().filter_map(id).filter(|id| crate::cell::is_ledger_id(id)).take(MAX_LEDGERS).collect()
        }
    };
    let mut peeked = Peeked::new();
    for ledger in ledgers {
        let mut peek = Peek::default();
        let note = get(url, &format!("/v1/ledgers/{ledger}/checkpoint"), token).await?;
        if let Some(note) = note.and_then(|note| String::from_utf8(note).ok()) {
            peek.note(note);
        }
        let anchors =
            format!("/v1/ledgers/{ledger}/entries?stream_type=ledger&stream_id={ledger}&event_type=ledger.anchored");
        let lines = get(url, &anchors, token).await.ok().flatten().unwrap_or_default();
        for line in lines.split(|byte| *byte == b'\n').rev().filter(|line| !line.is_empty()).take(1_000) {
            let entry: Option<serde_json::Value> = serde_json::from_slice(line).ok();
            let payload = entry.as_ref().and_then(|entry| entry.get("payload")).map(ToString::to_string);
            peek.anchor(payload.unwrap_or_default().as_bytes());
        }
        peeked.insert(ledger, peek);
    }
    Ok(peeked)
}

/// Most bytes of an answer that is read whole.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Gets a path of a server; none where the server has no such thing.
pub async fn get(url: &str, path: &str, token: Option<&str>) -> Result<Option<Vec<u8>>, SourceError> {
    use crate::server::unreadable;
    let client = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(60))
        .build()
        .map_err(unreadable)?;
    let mut request = client.get(format!("{}{path}", url.trim_end_matches('/')));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let mut response = request.send().await.map_err(unreadable)?;
    if response.status() == reqwest::StatusCode::NOT_FOUND {
        return Ok(None);
    }
    if !response.status().is_success() {
        return Err(SourceError::Unreadable(format!("{path}: the server answered {}", response.status())));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreadable)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(SourceError::Unreadable(format!("{path}: the answer is longer than {MAX_ANSWER_BYTES} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}
