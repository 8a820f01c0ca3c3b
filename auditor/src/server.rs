//! Reads ledgers from a running server: its head, and the entries that the head covers, page by page.
//!
//! The server is trusted no more than a store is: every digest is recomputed from what it answers. Tiles and proofs are
//! not asked for, since the entries give all of them.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::{Client, StatusCode};
use serde::Deserialize;

use crate::cell::{Cell, Digest, LedgerKey, is_ledger_id};
use crate::entry_line::{EntryLine, Lines, MAX_LINE_BYTES, micros};
use crate::head::HeadRow;
use crate::report::{FindingKind, Report};
use crate::source::{Progress, SourceError, VerifyOptions};
use crate::walk::Walk;

/// Entries asked for at once.
const PAGE: u64 = 50_000;
/// Most bytes of an answer other than entries.
const MAX_ANSWER_BYTES: usize = 16 << 20;

pub(crate) async fn verify(
    url: &str,
    token: Option<&str>,
    options: VerifyOptions,
    progress: impl FnMut(Progress) -> bool,
) -> Result<Report, SourceError> {
    let server = Server::new(url, token)?;
    let ledgers = match &options.ledger {
        Some(ledger) if !is_ledger_id(ledger) => return Err(SourceError::NoLedger(ledger.clone())),
        Some(ledger) => vec![ledger.clone()],
        None => server.ledgers().await?,
    };
    let mut heads = Vec::new();
    for ledger in &ledgers {
        heads.push(server.head(ledger).await?);
    }
    let ends: Vec<(String, u64)> =
        ledgers.into_iter().zip(&heads).map(|(ledger, head)| (ledger, head.size.unwrap_or(0))).collect();
    // A ledger that nobody has written to is none.
    heads.retain(|head| head.size != Some(0));
    let mut walk = Walk::new(&options, heads, false, progress)?;
    for (ledger, size) in ends {
        server.entries(&ledger, size, &mut walk).await?;
    }
    walk.finish_async(None).await
}

/// A ledger in the list of ledgers.
#[derive(Debug, Deserialize)]
struct Listed {
    ledger_id: String,
}

/// A ledger's head.
#[derive(Debug, Deserialize)]
struct Head {
    size: u64,
    hash: String,
    root: String,
    recorded_at: Option<String>,
}

struct Server {
    client: Client,
    url: String,
    token: Option<String>,
}

impl Server {
    fn new(url: &str, token: Option<&str>) -> Result<Self, SourceError> {
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(60))
            .build()
            .map_err(unreadable)?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), token: token.map(str::to_owned) })
    }

    /// Asks for a path; none where the server has no such thing.
    async fn get(&self, path: &str) -> Result<Option<reqwest::Response>, SourceError> {
        let mut request = self.client.get(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(unreadable)?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(response)),
            status => Err(SourceError::Unreadable(format!("the server answers {path} with {status}"))),
        }
    }

    async fn json<T: for<'a> Deserialize<'a>>(&self, path: &str) -> Result<Option<T>, SourceError> {
        let Some(mut response) = self.get(path).await? else { return Ok(None) };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreadable)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(SourceError::Unreadable(format!("the answer to {path} does not end")));
            }
            body.extend_from_slice(&chunk);
        }
        let parsed = serde_json::from_slice(&body);
        parsed.map(Some).map_err(|error| SourceError::Unreadable(format!("the answer to {path}: {error}")))
    }

    async fn ledgers(&self) -> Result<Vec<String>, SourceError> {
        let listed: Option<Vec<Listed>> = self.json("/v1/ledgers").await?;
        let listed = listed.ok_or_else(|| SourceError::Unreadable("there is no ledger server here".to_owned()))?;
        let ids: Vec<String> = listed.into_iter().map(|ledger| ledger.ledger_id).collect();
        match ids.iter().find(|id| !is_ledger_id(id)) {
            Some(id) => Err(SourceError::Unreadable(format!("{} is no ledger id", Cell::Text(id.as_bytes())))),
            None => Ok(ids),
        }
    }

    async fn head(&self, ledger: &str) -> Result<HeadRow, SourceError> {
        let head: Option<Head> = self.json(&format!("/v1/ledgers/{ledger}/head")).await?;
        let head = head.ok_or_else(|| SourceError::NoLedger(ledger.to_owned()))?;
        let digest = |name: &str, text: &str| -> Result<Digest, SourceError> {
            let digest = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
            digest
                .ok_or_else(|| SourceError::Unreadable(format!("the {name} of the head is not 64 hexadecimal digits")))
        };
        let recorded_at = head.recorded_at.as_deref().and_then(micros).and_then(|at| u64::try_from(at).ok());
        Ok(HeadRow::stated(
            LedgerKey::of(Cell::Text(ledger.as_bytes())),
            head.size,
            digest("hash", &head.hash)?,
            digest("root", &head.root)?,
            recorded_at,
        ))
    }

    /// Reads the first `size` entries, which are the same whatever is appended meanwhile.
    async fn entries<P>(&self, ledger: &str, size: u64, walk: &mut Walk<P>) -> Result<(), SourceError>
    where
        P: FnMut(Progress) -> bool,
    {
        let mut next = 0;
        while next < size {
            let path = format!("/v1/ledgers/{ledger}/entries?from={next}&to={size}&limit={PAGE}");
            let response = self.get(&path).await?.ok_or_else(|| SourceError::NoLedger(ledger.to_owned()))?;
            let mut body = response.bytes_stream();
            let (mut lines, mut last) = (Lines::default(), None);
            while let Some(chunk) = body.next().await {
                lines.push(&chunk.map_err(unreadable)?);
                while let Some(line) = lines.next_line() {
                    let (position, full) = take_line(line, ledger, walk)?;
                    last = last.max(Some(position));
                    if full {
                        walk.send().await?;
                    }
                }
                if lines.incomplete() > MAX_LINE_BYTES {
                    return Err(SourceError::Unreadable(format!("a line has more than {MAX_LINE_BYTES} bytes")));
                }
            }
            if lines.incomplete() > 0 {
                return Err(SourceError::Unreadable("the server broke off in the middle of an entry".to_owned()));
            }
            next = match last {
                Some(last) if last >= next => last.saturating_add(1),
                // The server says that it has more and gives none, which the head will show.
                None => break,
                Some(_) => return Err(SourceError::Unreadable("the server answers with other entries".to_owned())),
            };
        }
        walk.send().await
    }
}

/// Takes a line. Returns its position, and whether the batch is full.
fn take_line<P>(line: &[u8], ledger: &str, walk: &mut Walk<P>) -> Result<(u64, bool), SourceError>
where
    P: FnMut(Progress) -> bool,
{
    let entry = EntryLine::parse(line)?;
    if !walk.continues(Cell::Text(ledger.as_bytes())) {
        walk.begin(Cell::Text(ledger.as_bytes()));
    }
    if !entry.times_agree() {
        let detail = "recorded_at is not the moment that recorded_at_us states".to_owned();
        walk.finding(i64::try_from(entry.position()).ok(), FindingKind::InvalidValue, detail);
    }
    let decoded = entry.decoded();
    Ok((entry.position(), walk.row(&entry.cells(&decoded))?))
}

pub(crate) fn unreadable(error: reqwest::Error) -> SourceError {
    // The address may carry a secret. Why it failed stands behind the library's own words.
    let error = error.without_url();
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(because) = cause {
        said = format!("{said}: {because}");
        cause = because.source();
    }
    SourceError::Unreadable(said)
}
