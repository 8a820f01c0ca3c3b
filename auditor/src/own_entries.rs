//! Entries that the ledger wrote about itself: seals, anchors in time, signing keys.
//!
//! A seal is compared with what was recomputed. What anchors and keys say is for whoever knows signatures; here they
//! are only kept, a bounded number of them.

use std::collections::VecDeque;

use serde::Deserialize;

use crate::cell::{Digest, Fields, Problems};
use crate::report::{AnchorRow, FindingKind, KeyEvent, SealInfo};

/// Stream type of seals and anchors.
const LEDGER_STREAM: &str = "ledger";
/// Stream type of signing keys.
const KEYS_STREAM: &str = "ledger_keys";
/// Anchors and key events kept, of each.
const KEPT: usize = 1_000;
/// Longest payload that is kept.
const KEPT_BYTES: usize = 64 << 10;

/// Whether entries of this stream type are the ledger's own.
pub(crate) fn is_own(stream_type: &str) -> bool {
    matches!(stream_type, LEDGER_STREAM | KEYS_STREAM)
}

/// The payload of `ledger.sealed`.
#[derive(Debug, Deserialize)]
struct Seal {
    size: u64,
    hash: String,
    root: String,
}

/// What the entries before a seal come to.
#[derive(Debug)]
pub(crate) struct Before {
    /// Hash of the last one; none where that one is not sound.
    pub(crate) hash: Option<Digest>,
    /// Root over them; none where they are not intact.
    pub(crate) root: Option<Digest>,
}

/// What was kept.
#[derive(Debug, Default)]
pub(crate) struct OwnEntries {
    anchors: VecDeque<AnchorRow>,
    anchors_total: u64,
    keys: VecDeque<KeyEvent>,
    seals: u64,
    unjudged_seals: u64,
    last_seal: Option<SealInfo>,
}

/// What a report says of them.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) anchors: Vec<AnchorRow>,
    pub(crate) anchors_total: u64,
    pub(crate) key_events: Vec<KeyEvent>,
    pub(crate) seals: u64,
    /// Seals whose hash or root had nothing to be compared with.
    pub(crate) unjudged_seals: u64,
}

impl OwnEntries {
    /// Looks at a sound entry whose payload is the one that was hashed.
    pub(crate) fn entry(&mut self, fields: &Fields<'_>, before: impl FnOnce() -> Before, problems: &mut Problems) {
        match (fields.stream_type, fields.event_type) {
            (LEDGER_STREAM, "ledger.sealed") => self.seal(fields, &before(), problems),
            (LEDGER_STREAM, "ledger.anchored") => {
                self.anchors_total += 1;
                let anchor = AnchorRow {
                    position: fields.position,
                    recorded_at: fields.recorded_at,
                    payload: kept_payload(fields.payload),
                };
                keep(&mut self.anchors, anchor);
            }
            (KEYS_STREAM, event_type) => {
                let event = KeyEvent {
                    position: fields.position,
                    recorded_at: fields.recorded_at,
                    event_type: event_type.chars().take(200).collect(),
                    payload: kept_payload(fields.payload),
                };
                keep(&mut self.keys, event);
            }
            _ => {}
        }
    }

    fn seal(&mut self, fields: &Fields<'_>, before: &Before, problems: &mut Problems) {
        self.seals += 1;
        let Some(payload) = fields.payload else { return };
        let seal: Seal = match serde_json::from_slice(payload) {
            Ok(seal) => seal,
            Err(error) => {
                problems.add(FindingKind::SealMismatch, format_args!("the seal cannot be read: {error}"));
                return;
            }
        };
        let differs = |stated: &str, found: Option<Digest>| found.is_some_and(|found| hex::encode(found) != stated);
        if seal.size != fields.position {
            problems.add(
                FindingKind::SealMismatch,
                format_args!("the seal states size {}, but stands after {} entries", seal.size, fields.position),
            );
        }
        if differs(&seal.hash, before.hash) {
            problems.add(FindingKind::SealMismatch, format_args!("the seal's hash is not that of the entry before it"));
        }
        if differs(&seal.root, before.root) {
            problems.add(
                FindingKind::SealMismatch,
                format_args!("the seal's root is not the root of the tree over the entries before it"),
            );
        }
        self.unjudged_seals += u64::from(before.hash.is_none() || before.root.is_none());
        self.last_seal = Some(SealInfo {
            position: fields.position,
            recorded_at: fields.recorded_at,
            size: seal.size,
            hash: seal.hash.chars().take(64).collect(),
            root: seal.root.chars().take(64).collect(),
        });
    }

    /// The seal at a position, where that was the last one that was read.
    pub(crate) fn seal_at(&self, position: u64) -> Option<&SealInfo> {
        self.last_seal.as_ref().filter(|seal| seal.position == position)
    }

    pub(crate) fn into_kept(self) -> Kept {
        Kept {
            anchors: self.anchors.into(),
            anchors_total: self.anchors_total,
            key_events: self.keys.into(),
            seals: self.seals,
            unjudged_seals: self.unjudged_seals,
        }
    }
}

fn keep<T>(kept: &mut VecDeque<T>, one: T) {
    if kept.len() >= KEPT {
        kept.pop_front();
    }
    kept.push_back(one);
}

fn kept_payload(payload: Option<&[u8]>) -> String {
    let short = payload.filter(|bytes| bytes.len() <= KEPT_BYTES);
    short.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default().to_owned()
}
