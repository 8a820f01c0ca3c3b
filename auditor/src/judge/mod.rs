//! Judges one ledger: what the engine recomputed against what the auditor brought and what the source presents.

mod authorship;
mod completeness;
mod time;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::cell::Digest;
use crate::checkpoint::Checkpoint;
use crate::keys::TrustedKeys;
use crate::report::{FindingKind, LedgerReport};
use crate::trust::{Brought, CheckpointFacts, Figures, KeyFacts, LedgerEvidence, Provenance, TrustFinding};
use crate::verifier_key::VerifierKey;

/// Most findings of one kind that are listed.
const MAX_FINDINGS: usize = 20;
/// Most checkpoints that are listed.
const MAX_LISTED: usize = 10;

/// What a source says of one ledger beside its entries.
#[derive(Debug, Clone, Default)]
pub struct Presented {
    /// Notes of checkpoints, in any order.
    pub notes: Vec<String>,
    /// Roots of the complete tiles of 256 entries, as they are now.
    pub tile_roots: Vec<Digest>,
    /// Whether the source is a copy from some moment, which may be older than what the auditor saw since.
    pub is_copy: bool,
}

/// The evidence on one ledger.
pub fn judge(report: &LedgerReport, presented: &Presented, brought: &Brought) -> LedgerEvidence {
    let mut case =
        Case { report, presented, keys: brought.trusted_keys(), checkpoints: Vec::new(), findings: Vec::new() };
    case.collect(brought);
    let completeness = case.completeness(brought);
    let authorship = case.authorship();
    let authorship = case.list_of_files(authorship);
    let witnesses = case.witnesses(brought);
    let time = case.time(brought);
    let presented_checkpoints = case.checkpoints.iter().filter(|one| one.provenance == Provenance::Presented).count();
    let keys = case.keys();
    let mut checkpoints = case.checkpoints;
    checkpoints.truncate(MAX_LISTED);
    LedgerEvidence {
        figures: Figures::of(report),
        completeness,
        authorship,
        time,
        witnesses,
        checkpoints,
        presented_checkpoints: u64::try_from(presented_checkpoints).unwrap_or(u64::MAX),
        keys,
        findings: case.findings,
    }
}

struct Case<'a> {
    report: &'a LedgerReport,
    presented: &'a Presented,
    keys: Option<TrustedKeys>,
    /// Given, then remembered, then presented from the newest down.
    checkpoints: Vec<CheckpointFacts>,
    findings: Vec<TrustFinding>,
}

impl Case<'_> {
    fn collect(&mut self, brought: &Brought) {
        let ledger = self.report.ledger_id.as_str();
        let given = brought.checkpoint.iter().filter(|given| given.ledger_id() == ledger);
        let mut all: Vec<_> = given.map(|given| self.facts(given, Provenance::Given)).collect();
        for memory in brought.memories.iter().filter(|memory| memory.ledger_id == ledger) {
            // Parsed when the memory was read.
            all.extend(memory.checkpoint().ok().map(|kept| self.facts(&kept, Provenance::Remembered)));
        }
        let part = self.report.part.as_ref().and_then(|part| part.checkpoint.as_ref());
        let stored = self.report.stored_checkpoints.iter().map(|stored| &stored.note);
        let mut notes: Vec<&String> = stored.chain(part).chain(&self.presented.notes).collect();
        notes.sort_unstable();
        notes.dedup();
        let mut shown = Vec::new();
        for note in notes {
            match Checkpoint::parse(note.as_bytes()) {
                Ok(checkpoint) if checkpoint.ledger_id() == ledger => {
                    shown.push(self.facts(&checkpoint, Provenance::Presented));
                }
                Ok(checkpoint) => self.malformed(format!(
                    "the source presents a checkpoint of {:?} as one of ledger {ledger}",
                    checkpoint.origin
                )),
                Err(error) => self.malformed(format!("the source presents a malformed checkpoint: {error}")),
            }
        }
        shown.sort_by(|left, right| right.size.cmp(&left.size).then_with(|| left.note.cmp(&right.note)));
        all.extend(shown);
        self.checkpoints = all;
    }

    fn malformed(&mut self, detail: String) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(TrustFinding::new(FindingKind::CheckpointMalformed, detail));
        }
    }

    fn facts(&self, checkpoint: &Checkpoint, provenance: Provenance) -> CheckpointFacts {
        let (reached, recomputed_root) = self.root_at(checkpoint.size);
        let state = self.report.states.iter().find(|state| state.size == checkpoint.size);
        let sealed_at = state.and_then(|state| state.sealed.as_ref()).map(|seal| seal.recorded_at);
        let moment = sealed_at.and_then(|time| i64::try_from(time).ok());
        CheckpointFacts {
            provenance,
            origin: checkpoint.origin.clone(),
            size: checkpoint.size,
            root: hex::encode(checkpoint.root),
            recomputed_root,
            reached,
            sealed_at,
            signers: self.keys.as_ref().map(|keys| checkpoint.judge(keys, moment)),
            note: checkpoint.note().text().to_owned(),
        }
    }

    /// Whether the source has so many entries, and the root that they come to.
    fn root_at(&self, size: u64) -> (bool, Option<String>) {
        if let Some(part) = &self.report.part
            && part.checkpoint_size == size
        {
            return (true, part.checkpoint_root.clone());
        }
        match self.report.states.iter().find(|state| state.size == size) {
            Some(state) => (state.reached, state.root.clone()),
            None if size == self.report.size && self.report.part.is_none() => (true, self.report.root.clone()),
            None => (size <= self.report.size, None),
        }
    }

    fn compared(&self, size: u64) -> bool {
        self.report.states.iter().any(|state| state.size == size)
    }

    /// Trusted keys, then those that the ledger names.
    fn keys(&self) -> Vec<KeyFacts> {
        let time = |moment: Option<i64>| {
            moment
                .and_then(DateTime::<Utc>::from_timestamp_micros)
                .map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
        };
        let origin = self.primary().map_or("", |primary| primary.origin.as_str());
        let mut facts = Vec::new();
        for key in self.keys.iter().flat_map(TrustedKeys::keys) {
            let Some(verifier) = key.for_origin(key.name().unwrap_or(origin)) else { continue };
            facts.push(KeyFacts {
                verifier_key: verifier.to_string(),
                algorithm: verifier.algorithm().name(),
                trusted: true,
                from: time(key.validity.from),
                until: time(key.validity.until),
            });
        }
        for event in &self.report.key_events {
            let Some(key) = announced(&event.payload) else { continue };
            let text = key.to_string();
            if event.event_type == "signing_key.activated" && facts.iter().all(|known| known.verifier_key != text) {
                let from = time(i64::try_from(event.recorded_at).ok());
                let algorithm = key.algorithm().name();
                facts.push(KeyFacts { verifier_key: text, algorithm, trusted: false, from, until: None });
            }
        }
        facts.truncate(100);
        facts
    }
}

fn announced(payload: &str) -> Option<VerifierKey> {
    let payload: serde_json::Value = serde_json::from_str(payload).ok()?;
    VerifierKey::parse(payload.get("verifier_key")?.as_str()?).ok()
}

/// Microseconds since 1970-01-01T00:00:00Z as RFC 3339.
pub fn moment(microseconds: u64) -> String {
    i64::try_from(microseconds)
        .ok()
        .and_then(DateTime::<Utc>::from_timestamp_micros)
        .map_or_else(|| format!("{microseconds} µs"), |time| time.to_rfc3339_opts(SecondsFormat::Micros, true))
}
