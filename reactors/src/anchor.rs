//! External time: a time-stamping authority (RFC 3161) confirms that it saw the newest checkpoint, and the ledger keeps its
//! token.
//!
//! The authority sees a digest and nothing else. With the token, nobody can have made up the ledger's past later than the time
//! in it, whoever holds the keys.

mod check;
mod record;

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daybook_ledger::note::{CheckpointBody, NoteError, SignedNote};
use daybook_ledger::{AppendError, Ledger, StoreError, StoredCheckpoint, TreeError};
use daybook_time_stamping::{TimeStampError, check_roots, parse_response, request, verify_token};
use reqwest::Url;
use sha2::{Digest, Sha256};

use crate::outside::{self, Outside, OutsideError};
use crate::schedule::Scheduled;
pub use check::{AnchorCheck, check_anchors};
pub use record::{ANCHORED, RecordedAnchor};

/// The task's name in the status.
pub const ANCHOR: &str = "anchor";
/// Longest time for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes of an answer: a token with some certificates has a few thousand.
const MOST_BYTES: usize = 128 * 1024;
/// The authority's clock and ours should agree better than this.
const SUSPICIOUS_SECONDS: i64 = 300;

/// Why there is no anchor.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// The authority cannot be asked.
    #[error("the time-stamping authority {tsa} cannot be asked: {why}")]
    Outside {
        /// Its URL.
        tsa: String,
        /// What went wrong.
        why: OutsideError,
    },
    /// It answered with something else than a time-stamp.
    #[error(
        "the time-stamping authority {tsa} answered with status {status} and type {content_type:?}, not with a time-stamp"
    )]
    Answer {
        /// Its URL.
        tsa: String,
        /// HTTP status.
        status: u16,
        /// Type of the body.
        content_type: String,
    },
    /// Its token is not believed.
    #[error("the token of the time-stamping authority {tsa} is not accepted: {why}")]
    Token {
        /// Its URL.
        tsa: String,
        /// Which rule it breaks.
        why: TimeStampError,
    },
    /// The stored checkpoint is not one.
    #[error("the checkpoint of size {size} in the store: {why}")]
    Checkpoint {
        /// Its size, as the store says.
        size: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The token could not be recorded.
    #[error("the token could not be recorded: {0}")]
    Append(#[from] AppendError),
    /// Other processes append to the same stream all the time.
    #[error("other processes seal this ledger again and again; try again")]
    Contended,
    /// An entry is not what was written.
    #[error("entry {position}: {why}")]
    Entry {
        /// Its position.
        position: u64,
        /// What is wrong.
        why: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tree cannot be read.
    #[error("the tree cannot be read: {0}")]
    Tree(#[from] TreeError),
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchoring {
    /// Nothing was signed yet.
    NoCheckpoint,
    /// The newest checkpoint has a token already.
    AlreadyAnchored {
        /// Its size.
        size: u64,
        /// Position of the entry with the token.
        position: u64,
    },
    /// It has one now.
    Anchored(Box<Anchored>),
}

/// A token that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchored {
    /// Size of the checkpoint.
    pub size: u64,
    /// Position of the entry with the token.
    pub position: u64,
    /// URL of the authority.
    pub url: String,
    /// What the token says.
    pub stamp: daybook_time_stamping::Stamp,
}

/// An authority that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Its URL is none.
    #[error("the URL of the time-stamping authority: {0}")]
    Url(OutsideError),
    /// The root certificates cannot be used.
    #[error(transparent)]
    Roots(TimeStampError),
}

/// Which authority, and which root certificates its tokens must lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeStampAuthority {
    url: Url,
    roots_pem: String,
}

impl TimeStampAuthority {
    /// The authority at `url`, believed if its certificate leads to one of the certificates in `roots_pem`.
    pub fn new(url: &str, roots_pem: String) -> Result<Self, AuthorityError> {
        let url = outside::url(url).map_err(AuthorityError::Url)?;
        check_roots(&roots_pem).map_err(AuthorityError::Roots)?;
        Ok(Self { url, roots_pem })
    }

    /// Its URL without secrets.
    pub fn name(&self) -> String {
        outside::without_secrets(&self.url)
    }
}

/// Anchors the checkpoints of one ledger.
pub struct Anchors {
    ledger: Ledger,
    authority: TimeStampAuthority,
    outside: Outside,
}

impl Anchors {
    /// Asks `authority` about checkpoints of `ledger`, and records its tokens there.
    pub fn new(ledger: Ledger, authority: TimeStampAuthority) -> Result<Self, AnchorError> {
        let outside =
            Outside::new(TIMEOUT, MOST_BYTES).map_err(|why| AnchorError::Outside { tsa: authority.name(), why })?;
        Ok(Self { ledger, authority, outside })
    }

    /// Gets a token over the newest checkpoint, verifies it and appends it to the ledger, unless there is one already.
    pub async fn anchor(&self) -> Result<Anchoring, AnchorError> {
        let Some(checkpoint) = self.ledger.store().latest_checkpoint(self.ledger.id()).await? else {
            return Ok(Anchoring::NoCheckpoint);
        };
        let place = record::look(&self.ledger, &checkpoint).await?;
        if let Some(position) = place.anchored_at {
            return Ok(Anchoring::AlreadyAnchored { size: checkpoint.size, position });
        }
        let digest = imprint(&checkpoint)?;
        let (token, stamp) = self.stamp(&digest).await?;
        let apart = (chrono::Utc::now() - stamp.generated_at).num_seconds();
        if apart.abs() > SUSPICIOUS_SECONDS {
            tracing::warn!(
                tsa = self.authority.name(),
                seconds = apart,
                "this machine's clock and the time-stamping authority's are far apart"
            );
        }
        let anchor = RecordedAnchor {
            size: checkpoint.size,
            root: checkpoint.root,
            checkpoint: checkpoint.note.clone(),
            tsa: self.authority.name(),
            generated_at: record::rfc3339(stamp.generated_at),
            token: STANDARD.encode(token),
        };
        match record::append(&self.ledger, &checkpoint, &anchor, place).await? {
            record::Recorded::Here(position) => {
                let (size, url) = (checkpoint.size, self.authority.name());
                Ok(Anchoring::Anchored(Box::new(Anchored { size, position, url, stamp })))
            }
            record::Recorded::ByAnother(position) => Ok(Anchoring::AlreadyAnchored { size: checkpoint.size, position }),
        }
    }

    /// A verified token over a digest.
    async fn stamp(&self, digest: &[u8; 32]) -> Result<(Vec<u8>, daybook_time_stamping::Stamp), AnchorError> {
        let tsa = || self.authority.name();
        let nonce: u64 = rand::random();
        let query = request(digest, nonce);
        let answer = self.outside.post(&self.authority.url, "application/timestamp-query", query).await;
        let answer = answer.map_err(|why| AnchorError::Outside { tsa: tsa(), why })?;
        if answer.status != 200 || answer.content_type != "application/timestamp-reply" {
            let (status, content_type) = (answer.status, answer.content_type);
            return Err(AnchorError::Answer { tsa: tsa(), status, content_type });
        }
        let refused = |why| AnchorError::Token { tsa: tsa(), why };
        let token = parse_response(&answer.body).map_err(refused)?.into_der();
        let stamp = verify_token(&token, digest, &self.authority.roots_pem, Some(nonce)).map_err(refused)?;
        Ok((token, stamp))
    }
}

/// What is stamped: SHA-256 of the text that the ledger's key signs.
fn imprint(checkpoint: &StoredCheckpoint) -> Result<[u8; 32], AnchorError> {
    let malformed = |why: String| AnchorError::Checkpoint { size: checkpoint.size, why };
    let (body, digest) = read_note(&checkpoint.note).map_err(|error| malformed(error.to_string()))?;
    // A token over a checkpoint that says something else than the store would help nobody later.
    if (body.size, body.root) != (checkpoint.size, checkpoint.root) {
        return Err(malformed("its text states another size or root than the store".to_owned()));
    }
    Ok(digest)
}

/// What a note states, and the digest of its signed text.
fn read_note(note: &str) -> Result<(CheckpointBody, [u8; 32]), NoteError> {
    let note = SignedNote::parse(note)?;
    Ok((CheckpointBody::parse(&note.body)?, Sha256::digest(note.body.as_bytes()).into()))
}

#[async_trait]
impl Scheduled for Anchors {
    fn name(&self) -> &'static str {
        ANCHOR
    }

    async fn once(&self) -> Result<Option<u64>, String> {
        match self.anchor().await {
            Ok(Anchoring::NoCheckpoint) => Ok(None),
            Ok(Anchoring::AlreadyAnchored { size, .. }) => Ok(Some(size)),
            Ok(Anchoring::Anchored(anchored)) => {
                tracing::info!(
                    size = anchored.size,
                    position = anchored.position,
                    generated_at = %anchored.stamp.generated_at,
                    tsa = anchored.stamp.tsa,
                    "the checkpoint has a time-stamp"
                );
                Ok(Some(anchored.size))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}
