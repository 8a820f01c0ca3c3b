//! What the auditor brings to a verification, and what it says about each ledger beside the ledger's own integrity:
//! completeness, authorship and time.

use serde::Serialize;

use crate::checkpoint::{Checkpoint, Signers};
use crate::keys::TrustedKeys;
use crate::memory::Memory;
use crate::policy::{Policy, Witnessed};
use crate::report::{FindingKind, LedgerReport};

/// What nothing but the signature over its list of files holds in a selection of entries.
pub const UNVOUCHED: &str = "nobody vouches for the report, the trail, the people and the choice of entries";

/// What the auditor has from elsewhere than the source.
#[derive(Debug, Clone, Default)]
pub struct Brought {
    /// A checkpoint that was kept.
    pub checkpoint: Option<Checkpoint>,
    /// What `remember` kept, of each ledger that it was used on.
    pub memories: Vec<Memory>,
    /// Keys whose signatures count.
    pub keys: Option<TrustedKeys>,
    /// Which witnesses must have cosigned.
    pub policy: Option<Policy>,
    /// PEM certificates of the time-stamping authorities that count.
    pub tsa_roots: Option<String>,
    /// Further sizes at which the root is to be recomputed.
    pub extra_sizes: Vec<u64>,
}

impl Brought {
    /// The keys that count: those of the keys file and the logs of the witness policy.
    pub fn trusted_keys(&self) -> Option<TrustedKeys> {
        let logs = self.policy.as_ref().map(Policy::logs).unwrap_or_default();
        if self.keys.is_none() && logs.is_empty() {
            return None;
        }
        let mut keys = self.keys.clone().unwrap_or_default();
        logs.iter().for_each(|key| keys.add(key));
        Some(keys)
    }

    /// Sizes of all that was kept.
    pub fn sizes(&self) -> Vec<u64> {
        let remembered = self.memories.iter().map(|memory| memory.size);
        let given = self.checkpoint.iter().map(|checkpoint| checkpoint.size);
        given.chain(remembered).chain(self.extra_sizes.iter().copied()).collect()
    }
}

/// The answer to one of the four questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It holds.
    Verified,
    /// It does not.
    Failed,
    /// What would be needed was not there.
    NotChecked,
}

/// One thing that is wrong, with the entries that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrustFinding {
    /// Kind of thing.
    pub kind: FindingKind,
    /// First position it is about. None where it is about no entry.
    pub position: Option<u64>,
    /// Position after the last one it is about.
    pub until: Option<u64>,
    /// One sentence for people.
    pub detail: String,
}

impl TrustFinding {
    /// About no entry.
    pub fn new(kind: FindingKind, detail: impl Into<String>) -> Self {
        Self { kind, position: None, until: None, detail: detail.into() }
    }

    /// About a range of positions.
    pub fn over(kind: FindingKind, range: std::ops::Range<u64>, detail: impl Into<String>) -> Self {
        Self { kind, position: Some(range.start), until: Some(range.end), detail: detail.into() }
    }
}

/// Where a checkpoint comes from, and so what it can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// The auditor gave it.
    Given,
    /// The auditor's memory of an earlier visit.
    Remembered,
    /// The source itself: it can accuse the source, but not vouch for it.
    Presented,
}

impl Provenance {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Given => "given by the auditor",
            Self::Remembered => "remembered from an earlier visit",
            Self::Presented => "presented by the source itself",
        }
    }
}

/// A checkpoint and how it compares with the entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckpointFacts {
    /// Where it comes from.
    pub provenance: Provenance,
    /// Its log's name.
    pub origin: String,
    /// Its number of entries.
    pub size: u64,
    /// Its root, 64 hexadecimal digits.
    pub root: String,
    /// The root that the first `size` entries come to. None where they are not all there and intact.
    pub recomputed_root: Option<String>,
    /// Whether the source has so many entries.
    pub reached: bool,
    /// When its seal was recorded, by the server's clock, microseconds since 1970-01-01T00:00:00Z.
    pub sealed_at: Option<u64>,
    /// Its signatures. None where no keys were given.
    pub signers: Option<Signers>,
    /// The whole note.
    pub note: String,
}

impl CheckpointFacts {
    /// Whether the entries come to its root.
    pub fn holds(&self) -> bool {
        self.recomputed_root.as_ref() == Some(&self.root)
    }

    /// Whether a trusted key signed it.
    pub fn is_signed(&self) -> bool {
        self.signers.as_ref().is_some_and(|signers| signers.signer().is_some())
    }
}

/// An answer with its grounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// The answer.
    pub verdict: Answer,
    /// Why, in a sentence.
    pub reason: String,
}

impl Judged {
    /// An answer.
    pub fn new(verdict: Answer, reason: impl Into<String>) -> Self {
        Self { verdict, reason: reason.into() }
    }
}

/// What is known about time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimeEvidence {
    /// `server_asserted`, `witnessed` or `failed`.
    pub verdict: TimeVerdict,
    /// Why, in a sentence.
    pub reason: String,
    /// `recorded_at` of the first entry, microseconds since 1970-01-01T00:00:00Z.
    pub first_recorded_at: Option<u64>,
    /// `recorded_at` of the last entry, microseconds since 1970-01-01T00:00:00Z.
    pub last_recorded_at: Option<u64>,
    /// The anchors that were looked at, oldest first.
    pub anchors: Vec<crate::anchors::AnchorFacts>,
    /// How many anchors the ledger holds.
    pub anchors_total: u64,
}

/// Who vouches for time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeVerdict {
    /// The server alone.
    ServerAsserted,
    /// A time-stamping authority that the auditor trusts, over a checkpoint of these entries.
    Witnessed,
    /// A time stamp is wrong.
    Failed,
}

/// A key that has to do with this ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyFacts {
    /// Its verifier key.
    pub verifier_key: String,
    /// How it signs.
    pub algorithm: &'static str,
    /// Whether the auditor gave it; otherwise only the ledger names it, which counts for nothing.
    pub trusted: bool,
    /// From when its signatures count, RFC 3339.
    pub from: Option<String>,
    /// Until when, RFC 3339.
    pub until: Option<String>,
}

/// Everything that is known about one ledger.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LedgerEvidence {
    /// What the engine found.
    #[serde(flatten)]
    pub figures: Figures,
    /// Is this all of the ledger that somebody saw before?
    pub completeness: Judged,
    /// Who vouches for it?
    pub authorship: Judged,
    /// Since when?
    pub time: TimeEvidence,
    /// What the witness policy says of the checkpoint.
    pub witnesses: Option<Witnessed>,
    /// Checkpoints that were compared, best evidence first.
    pub checkpoints: Vec<CheckpointFacts>,
    /// How many checkpoints of the source were compared with the entries.
    pub presented_checkpoints: u64,
    /// Keys.
    pub keys: Vec<KeyFacts>,
    /// What is wrong beside the findings of `integrity`.
    pub findings: Vec<TrustFinding>,
}

/// The engine's part of the evidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Id of the ledger.
    pub ledger_id: String,
    /// Number of entries.
    pub size: u64,
    /// Hash of the last entry.
    pub hash: Option<String>,
    /// Root over all entries.
    pub root: Option<String>,
    /// Does everything in the source agree?
    pub integrity: crate::report::Integrity,
    /// Did anything that needs an approval happen without one?
    pub approvals: crate::gate::Approvals,
    /// Payloads by state.
    pub payloads: crate::report::PayloadCounts,
    /// Number of streams.
    pub streams: u64,
    /// Seals that were compared.
    pub seals: u64,
    /// Stored tiles that were compared.
    pub tiles: u64,
    /// The part of the ledger that the source holds, if it is not all.
    pub part: Option<crate::report::Part>,
    /// How long it took.
    pub seconds: f64,
    /// Entries read a second.
    pub entries_per_second: f64,
}

impl Figures {
    /// Takes them out of the engine's report.
    pub fn of(report: &LedgerReport) -> Self {
        Self {
            ledger_id: report.ledger_id.clone(),
            size: report.size,
            hash: report.hash.clone(),
            root: report.root.clone(),
            integrity: report.integrity.clone(),
            approvals: report.approvals.clone(),
            payloads: report.payloads,
            streams: report.streams,
            seals: report.seals,
            tiles: report.tiles,
            part: report.part.clone(),
            seconds: report.seconds,
            entries_per_second: report.entries_per_second,
        }
    }
}

impl LedgerEvidence {
    /// Whether it is a selection of entries, and no key was given that could have signed the list of its files.
    pub fn is_unvouched(&self) -> bool {
        let is_selection = self.figures.part.as_ref().is_some_and(|part| part.selection.is_some());
        is_selection && self.keys.iter().all(|key| !key.trusted)
    }

    /// Whether nothing failed. What was not checked has not failed.
    pub fn holds(&self) -> bool {
        self.figures.integrity.verdict == crate::report::Verdict::Verified
            && self.figures.approvals.verdict != Answer::Failed
            && self.findings.is_empty()
            && self.completeness.verdict != Answer::Failed
            && self.authorship.verdict != Answer::Failed
            && self.time.verdict != TimeVerdict::Failed
    }
}
