//! One ledger, row by row in the order of positions: hashes, links, payload digests, time, tree.
//!
//! How a change is reported once, where it was made, and not at each entry after it:
//!
//! * A row is *sound* when its stored hash is the hash of its stored fields. A row that is not is one finding.
//! * A link is judged between two sound rows only. Where one end is unsound, that end has been reported already.
//! * Where a link between two sound rows is broken, one of the two was replaced, hash and all. The row after them
//!   tells which: if it continues the later row, the earlier one was replaced, otherwise the later one. After the
//!   last row the head tells.
//! * Tree, frontier and stream versions are judged only where no row is missing, unsound or replaced; what was left
//!   out is listed.
//!
//! So every link is either verified or has a finding at one of its ends.

use std::io;
use std::time::Instant;

use daybook_ledger::canonical::{CanonicalFields, GENESIS_TAG};

use crate::cell::{Cell, Digest, EntryRow, Fields, LedgerKey, Problems};
use crate::head::{self, HeadRow, State};
use crate::merkle::{self, Tree};
use crate::report::{
    FindingKind, Findings, Integrity, LedgerReport, NotChecked, PayloadCounts, PayloadState, Time, Verdict,
};
use crate::streams::StreamVersions;

/// The state of verifying one ledger.
#[derive(Debug)]
pub(crate) struct LedgerCheck {
    key: LedgerKey,
    genesis: Digest,
    heads: Vec<HeadRow>,
    head_size: Option<u64>,
    findings: Findings,
    /// The position that comes next.
    expected: u64,
    last: Last,
    /// The later end of a broken link between two sound rows, until the row after it tells which end is bad.
    suspect: Option<u64>,
    latest_time: Option<u64>,
    first_time: Option<u64>,
    tree: Tree,
    intact: bool,
    /// What the entries covered by the head's size come to.
    at_head: Option<State>,
    beyond: Option<Beyond>,
    versions: StreamVersions,
    payloads: PayloadCounts,
    entries: u64,
    canonical: Vec<u8>,
    started: Instant,
}

/// The row before.
#[derive(Debug, Clone, Copy)]
enum Last {
    /// There is none: position 0 comes next.
    Start,
    /// Its hash was recomputed and is as stored.
    Sound { hash: Digest, recorded_at: u64 },
    /// Missing or unsound; that has been reported.
    Unknown,
}

#[derive(Debug)]
struct Beyond {
    first: u64,
    last: u64,
    count: u64,
}

impl LedgerCheck {
    pub(crate) fn new(key: LedgerKey, heads: Vec<HeadRow>, max_findings: usize) -> Self {
        let head_size = heads.first().and_then(|head| head.size);
        let mut genesis = blake3::Hasher::new();
        genesis.update(GENESIS_TAG).update(key.bytes());
        let mut check = Self {
            genesis: *genesis.finalize().as_bytes(),
            heads,
            head_size,
            findings: Findings::new(max_findings),
            expected: 0,
            last: Last::Start,
            suspect: None,
            latest_time: None,
            first_time: None,
            tree: Tree::default(),
            intact: true,
            at_head: None,
            beyond: None,
            versions: StreamVersions::new(),
            payloads: PayloadCounts::default(),
            entries: 0,
            canonical: Vec::with_capacity(512),
            started: Instant::now(),
            key,
        };
        if check.key.valid_id().is_none() {
            let detail = format!("ledger_id {} is not allowed: [a-z0-9-]{{1,63}}", check.key.shown());
            check.findings.add(None, FindingKind::InvalidValue, detail);
        }
        check.keep_state_at_head();
        check
    }

    pub(crate) fn key(&self) -> &LedgerKey {
        &self.key
    }

    /// Takes the next row. An error means that the scratch file failed, never that the row is bad.
    pub(crate) fn row(&mut self, row: &EntryRow<'_>) -> io::Result<()> {
        self.entries += 1;
        self.payloads.add(match row.payload() {
            Cell::Null => PayloadState::Missing,
            _ => PayloadState::Present,
        });
        let Some(position) = self.place(row.position()) else { return Ok(()) };
        let mut problems = Problems::default();
        match row.fields(&mut problems) {
            Some(fields) => self.entry(&fields, &mut problems)?,
            None => self.unsound(None),
        }
        if let Some((kind, detail)) = problems.take() {
            self.findings.at(position, kind, detail);
        }
        self.keep_state_at_head();
        Ok(())
    }

    /// Puts the row's position in order. None for a row that has no place of its own: it is reported and left out.
    fn place(&mut self, stored: Cell<'_>) -> Option<u64> {
        let Cell::Integer(signed) = stored else {
            let kind = if matches!(stored, Cell::Null) { FindingKind::NullValue } else { FindingKind::WrongType };
            self.findings.add(None, kind, format!("an entry's position is {stored}, not an integer"));
            return None;
        };
        let Ok(position) = u64::try_from(signed) else {
            self.findings.add(Some(signed), FindingKind::NegativeValue, "the position is negative");
            return None;
        };
        if position < self.expected {
            self.findings.at(position, FindingKind::PositionDuplicate, "there is more than one entry at this position");
            return None;
        }
        if position > self.expected {
            self.gap(position);
        }
        self.expected = position.saturating_add(1);
        if self.head_size.is_some_and(|size| position >= size) {
            let beyond = self.beyond.get_or_insert(Beyond { first: position, last: position, count: 0 });
            beyond.last = position;
            beyond.count += 1;
        }
        Some(position)
    }

    /// No entry from `expected` up to `position`. What the head does not cover is not missing: there only was no entry.
    fn gap(&mut self, position: u64) {
        let end = self.head_size.map_or(position, |size| size.min(position));
        if self.expected < end {
            let detail = match end - self.expected {
                1 => "the entry is missing".to_owned(),
                _ => format!("entries {} to {} are missing", self.expected, end - 1),
            };
            self.findings.at(self.expected, FindingKind::PositionGap, detail);
        }
        self.unsound(None);
    }

    fn entry(&mut self, fields: &Fields<'_>, problems: &mut Problems) -> io::Result<()> {
        let metadata_digest = blake3::hash(fields.metadata);
        let payload_digest = fields.payload.map(blake3::hash);
        let canonical = CanonicalFields {
            ledger_id: fields.ledger_id,
            position: fields.position,
            event_id: fields.event_id,
            stream_type: fields.stream_type,
            stream_id: fields.stream_id,
            version: fields.version,
            event_type: fields.event_type,
            schema_version: fields.schema_version,
            recorded_at: fields.recorded_at,
            actor_kind: fields.actor_kind,
            actor_id: fields.actor_id,
            metadata_digest: metadata_digest.as_bytes(),
            payload_digest: fields.payload_digest,
            previous_hash: fields.previous_hash,
        };
        canonical.write(&mut self.canonical);
        self.versions.add(fields.stream_type, fields.stream_id, fields.position, fields.version)?;
        fields.check(problems);
        if payload_digest.is_none() {
            problems.add(FindingKind::PayloadMissing, format_args!("there is no payload, and no entry allows that"));
        }
        if blake3::hash(&self.canonical) != *fields.hash {
            self.explain(fields, canonical, payload_digest, problems);
            self.unsound(Some(fields.previous_hash));
            return Ok(());
        }
        if payload_digest.is_some_and(|digest| digest != *fields.payload_digest) {
            problems.add(
                FindingKind::PayloadDigestMismatch,
                format_args!("the payload is not the one whose digest was hashed"),
            );
        }
        self.tree.push(merkle::leaf_hash(&self.canonical));
        if let Some(before) = self.latest_time.filter(|before| *before > fields.recorded_at) {
            problems.add(
                FindingKind::TimeBackwards,
                format_args!("recorded_at {} is before {before}, that of the entry before", fields.recorded_at),
            );
        }
        let linked = self.link(fields, problems);
        self.last = match linked {
            true => Last::Sound { hash: *fields.hash, recorded_at: fields.recorded_at },
            false => Last::Unknown,
        };
        self.latest_time = Some(fields.recorded_at);
        self.first_time.get_or_insert(fields.recorded_at);
        Ok(())
    }

    /// Judges the link from a sound row to the one before. False where the chain cannot go on from this row.
    fn link(&mut self, fields: &Fields<'_>, problems: &mut Problems) -> bool {
        match self.last {
            Last::Unknown => {}
            Last::Start if *fields.previous_hash == self.genesis => {}
            Last::Start => {
                let detail = format_args!("previous_hash is not the genesis hash of the ledger");
                problems.add(FindingKind::GenesisMismatch, detail);
                self.intact = false;
                return false;
            }
            Last::Sound { hash, .. } => {
                let holds = hash == *fields.previous_hash;
                if self.suspect.is_some() {
                    self.resolve_suspect(Some(fields.previous_hash));
                } else if !holds {
                    self.suspect = Some(fields.position);
                    self.intact = false;
                }
            }
        }
        true
    }

    /// Names the end of a broken link that was replaced. `next` is what the row after the link, or the head, was
    /// chained to.
    fn resolve_suspect(&mut self, next: Option<&Digest>) {
        let Some(later) = self.suspect.take() else { return };
        let earlier = later.saturating_sub(1);
        let continues = match (next, self.last) {
            (Some(next), Last::Sound { hash, .. }) => Some(*next == hash),
            _ => None,
        };
        let replaced = "the entry is right in itself, but was replaced or put in: ";
        if self.head_size.is_some_and(|size| later >= size) {
            let detail = format!("{replaced}it is beyond the head and does not continue entry {earlier}");
            self.findings.at(later, FindingKind::EntryReplaced, detail);
        } else if continues == Some(true) {
            let detail = format!("{replaced}entry {later} was chained to another one (earlier entries may be as well)");
            self.findings.at(earlier, FindingKind::EntryReplaced, detail);
        } else if continues == Some(false) {
            let detail =
                format!("{replaced}it does not continue entry {earlier}, and what follows does not continue it");
            self.findings.at(later, FindingKind::EntryReplaced, detail);
        } else {
            let detail = format!("previous_hash is not the hash of entry {earlier}: one of the two was replaced");
            self.findings.at(later, FindingKind::LinkBroken, detail);
        }
    }

    /// The row now read, or rows before it, cannot be relied on.
    fn unsound(&mut self, previous_hash: Option<&Digest>) {
        self.resolve_suspect(previous_hash);
        self.last = Last::Unknown;
        self.intact = false;
    }

    /// Says what about a row with a wrong hash is wrong, as far as the row and the one before tell.
    fn explain(
        &self,
        fields: &Fields<'_>,
        canonical: CanonicalFields<'_>,
        payload_digest: Option<blake3::Hash>,
        problems: &mut Problems,
    ) {
        let mut buffer = Vec::new();
        let mut holds = |fields_: CanonicalFields<'_>| {
            fields_.write(&mut buffer);
            blake3::hash(&buffer) == *fields.hash
        };
        if let Some(digest) = payload_digest
            && digest != *fields.payload_digest
            && holds(CanonicalFields { payload_digest: digest.as_bytes(), ..canonical })
        {
            problems.add(
                FindingKind::PayloadDigestMismatch,
                format_args!(
                    "payload_digest was changed: it is not the digest of the payload that the hash was made over"
                ),
            );
            return;
        }
        let before = match &self.last {
            Last::Start => Some(&self.genesis),
            Last::Sound { hash, .. } => Some(hash),
            Last::Unknown => None,
        };
        if let Some(previous_hash) = before.filter(|before| *before != fields.previous_hash)
            && holds(CanonicalFields { previous_hash, ..canonical })
        {
            problems.add(
                FindingKind::LinkBroken,
                format_args!("previous_hash was changed: it is not the hash of the entry before"),
            );
            return;
        }
        problems.add(
            FindingKind::HashMismatch,
            format_args!("the stored hash is not the hash of the stored fields: one of them was changed"),
        );
    }

    fn keep_state_at_head(&mut self) {
        if self.at_head.is_none() && self.head_size == Some(self.expected) {
            self.at_head = Some(self.state());
        }
    }

    fn state(&self) -> State {
        State {
            size: self.expected,
            last: match self.last {
                Last::Sound { hash, recorded_at } => Some((hash, recorded_at)),
                _ => None,
            },
            root: self.tree.root(),
            frontier: self.tree.frontier(),
            intact: self.intact,
        }
    }

    /// Judges what can be judged only at the end, and reports.
    pub(crate) fn finish(mut self) -> io::Result<LedgerReport> {
        let mut not_evaluated = Vec::new();
        let head = self.heads.first();
        let head_hash = head.filter(|head| head.size == Some(self.expected)).and_then(|head| head.hash);
        self.resolve_suspect(head_hash.as_ref());
        let end = self.state();
        self.finish_head(&end, &mut not_evaluated);
        let versions = std::mem::replace(&mut self.versions, StreamVersions::new());
        let streams = if self.intact {
            let findings = &mut self.findings;
            versions.finish(|found| {
                let kind = match found.actual > found.expected {
                    true => FindingKind::VersionGap,
                    false => FindingKind::VersionRepeated,
                };
                let detail = format!("the stream goes on with version {}, not {}", found.actual, found.expected);
                findings.at(found.position, kind, detail);
            })?
        } else {
            not_evaluated.push("gapless versions of streams, since entries are not intact".to_owned());
            versions.finish(|_| {})?
        };
        let seconds = self.started.elapsed().as_secs_f64();
        let intact_last = end.last.filter(|_| end.intact);
        Ok(LedgerReport {
            ledger_id: self.key.shown().to_owned(),
            size: self.entries,
            hash: intact_last.map(|(hash, _)| hex::encode(hash)),
            root: intact_last.map(|_| hex::encode(end.root)),
            integrity: Integrity {
                verdict: if self.findings.is_empty() { Verdict::Verified } else { Verdict::Failed },
                findings_total: self.findings.total(),
                findings: self.findings.into_sorted(),
                not_evaluated,
            },
            completeness: NotChecked { verdict: "not_checked", reason: "no checkpoint was given to compare with" },
            authorship: NotChecked { verdict: "not_checked", reason: "entries and heads carry no signatures yet" },
            time: Time {
                verdict: "server_asserted",
                first_recorded_at: self.first_time,
                last_recorded_at: self.latest_time,
            },
            payloads: self.payloads,
            entries: self.entries,
            streams,
            seconds,
            entries_per_second: rate(self.entries, seconds),
        })
    }

    fn finish_head(&mut self, end: &State, not_evaluated: &mut Vec<String>) {
        let findings = &mut self.findings;
        let Some(head) = self.heads.first() else {
            findings.add(None, FindingKind::HeadMissing, "there are entries, but no row in ledger_heads");
            return;
        };
        if self.heads.len() > 1 {
            let detail = format!("ledger_heads has {} rows for this ledger", self.heads.len());
            findings.add(None, FindingKind::HeadDuplicate, detail);
        }
        if self.entries == 0 {
            let size = head.size.map_or_else(|| "no readable size".to_owned(), |size| format!("size {size}"));
            let detail = format!("there is no entry, but a head that states {size}");
            findings.add(Some(0), FindingKind::HeadWithoutEntries, detail);
            return;
        }
        if head::compare(head, end, self.at_head.as_ref(), findings, not_evaluated)
            && let Some(beyond) = &self.beyond
        {
            let detail = match beyond.count {
                1 => "the entry is beyond the size that the head states".to_owned(),
                count => format!("{count} entries up to {} are beyond the size that the head states", beyond.last),
            };
            findings.at(beyond.first, FindingKind::BeyondHead, detail);
        }
    }
}

/// Entries a second; zero where no time passed.
pub(crate) fn rate(entries: u64, seconds: f64) -> f64 {
    // Exact below 2⁵³ entries.
    let entries = entries as f64;
    if seconds > 0.0 { entries / seconds } else { 0.0 }
}
