//! What a verification found: one report a ledger, with a verdict on each question that an auditor asks.

use serde::Serialize;

use crate::gate::Approvals;
use crate::trust::Answer;

/// What is wrong. The wire name is the snake-case form and stays as it is once published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A column holds a value of a type that it must not have.
    WrongType,
    /// A column that must have a value has none.
    NullValue,
    /// A digest or an event id has the wrong number of bytes.
    WrongLength,
    /// Text, metadata or payload that is not UTF-8.
    InvalidUtf8,
    /// A number below zero.
    NegativeValue,
    /// A value that the format does not allow.
    InvalidValue,
    /// Positions for which there is no entry.
    PositionGap,
    /// More than one entry at a position.
    PositionDuplicate,
    /// Entries at or after the size that the head states.
    BeyondHead,
    /// The stored hash is not the hash of the stored fields.
    HashMismatch,
    /// The stored `previous_hash` is not the hash of the entry before.
    LinkBroken,
    /// `previous_hash` of position 0 is not the ledger's genesis hash.
    GenesisMismatch,
    /// An entry that is right in itself, but not the one that its successor or the head was chained to.
    EntryReplaced,
    /// The stored digest is not the digest of the stored payload.
    PayloadDigestMismatch,
    /// There is no payload, and nothing in the ledger allows that.
    PayloadMissing,
    /// `recorded_at` is smaller than in the entry before.
    TimeBackwards,
    /// A stream goes on with a version that is too high.
    VersionGap,
    /// A stream goes on with a version that it has had.
    VersionRepeated,
    /// There are entries but no row in `ledger_heads`.
    HeadMissing,
    /// There is a row in `ledger_heads` but no entry.
    HeadWithoutEntries,
    /// `ledger_heads` has more than one row for the ledger.
    HeadDuplicate,
    /// A column of the head cannot be what it should be.
    HeadMalformed,
    /// The head's size is wrong while its hash and root are right.
    HeadSizeMismatch,
    /// The head's hash is not that of its last entry.
    HeadHashMismatch,
    /// The head's root is not that of the tree over the entries.
    HeadRootMismatch,
    /// The head's frontier is not that of the tree over the entries.
    HeadFrontierMismatch,
    /// The head's `recorded_at` is not that of its last entry.
    HeadTimeMismatch,
    /// Hash, root and frontier all disagree: the head, or the entry it was made over, is another one.
    HeadMismatch,
    /// The table holds rows that its primary key's index does not lead to.
    RowsOutsideIndex,
    /// A `ledger.sealed` entry states another size, hash or root than the entries before it come to.
    SealMismatch,
    /// A stored tile is not the one that the entries come to, or is missing, or covers entries that are not there.
    TileMismatch,
    /// A bundle is not what its manifest says, or holds what does not belong there.
    BundleMismatch,
    /// The entries come to another root at a checkpoint's size than the checkpoint states: history was rewritten.
    TreeNotExtending,
    /// The ledger has fewer entries than a checkpoint states.
    LedgerTruncated,
    /// A checkpoint bears a trusted key's name and id, but the key did not sign it.
    SignatureInvalid,
    /// No trusted key signed the checkpoint.
    KeyUnknown,
    /// A trusted key signed the checkpoint outside of the key's validity.
    KeyExpired,
    /// The newest checkpoint that is presented is older than one that was seen before.
    CheckpointReplayed,
    /// Two checkpoints that cannot both be of one history, both validly signed.
    Fork,
    /// A proof does not prove what it says.
    ProofInvalid,
    /// Fewer witnesses cosigned than the policy asks for.
    WitnessQuorumMissing,
    /// A time-stamp token is not one over the checkpoint it stands beside.
    TimestampInvalid,
    /// What stands where a checkpoint should is none.
    CheckpointMalformed,
    /// Something was done that needs an approval, and none was used for it before.
    ActionWithoutApproval,
    /// An approval was granted, used or reopened although it was not decided, or over.
    ApprovalNotGranted,
    /// An approval was used before it held or after it had ceased to.
    ApprovalExpired,
    /// An approval was used more than once.
    ApprovalConsumedTwice,
    /// More than one thing that was done names the same approval.
    ApprovalReused,
    /// What was asked for, granted, used or done is not the same.
    ApprovalDigestMismatch,
    /// An approval was used for another execution than the one that names it.
    ApprovalExecutionMismatch,
    /// A request is under another policy than the one in force, or was granted otherwise than that allows.
    ApprovalPolicyMismatch,
    /// The person who asked, or broke the glass, is among those who voted.
    ApprovalSelfVote,
    /// Somebody voted who stands in for the person who asked.
    ApprovalDelegateVote,
    /// A person counts twice.
    ApprovalVoteRepeated,
    /// A vote cannot count: it is about something else, out of turn, too late, or of somebody who was not asked.
    ApprovalVoteInvalid,
    /// An approval was granted although a clause does not have its votes.
    ApprovalVotesMissing,
    /// The signature of a vote does not verify.
    VoteSignatureInvalid,
    /// An entry about approvals, or about what needs one, does not say what such an entry says.
    ApprovalUnreadable,
    /// A rule keeps records for less than was promised before, or than its class asks for.
    RetentionShortened,
}

impl FindingKind {
    /// The stable code, as it is in the JSON.
    pub fn code(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(code)) => code,
            _ => format!("{self:?}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Position of the entry it is about, as stored (a forged one may be negative). None where it is about the head, or
    /// where the stored position is no integer.
    pub position: Option<i64>,
    /// What kind of thing is wrong.
    pub kind: FindingKind,
    /// One sentence for people.
    pub detail: String,
}

/// Whether what was checked holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything holds.
    Verified,
    /// Something does not.
    Failed,
}

/// Every hash, every link, every payload digest, gapless positions and versions, monotonic time, head and tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Integrity {
    /// Failed as soon as there is one finding.
    pub verdict: Verdict,
    /// First bad position first; findings without a position come last. At most `max_findings`.
    pub findings: Vec<Finding>,
    /// How many findings there were, listed or not.
    pub findings_total: u64,
    /// What was left out: checks that say nothing over entries that are not intact or not there, and what is beyond a
    /// bound of this program.
    pub not_evaluated: Vec<String>,
}

/// A question that was not answered, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotChecked {
    /// Always `not_checked`.
    pub verdict: &'static str,
    /// What would be needed.
    pub reason: &'static str,
}

/// What is known about when entries were recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Time {
    /// `server_asserted`: times are the server's word, hashed but not witnessed.
    pub verdict: &'static str,
    /// `recorded_at` of the first intact entry, microseconds since 1970-01-01T00:00:00Z.
    pub first_recorded_at: Option<u64>,
    /// `recorded_at` of the last intact entry, microseconds since 1970-01-01T00:00:00Z.
    pub last_recorded_at: Option<u64>,
}

/// What became of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadState {
    /// Its bytes are there.
    Present,
    /// Its personal fields are sealed and the key is destroyed, by an `erasure.performed` entry.
    Erased,
    /// Removed after its retention, by a `retention.pruned` entry.
    Pruned,
    /// Gone, and no entry allows it.
    Missing,
}

/// Payloads by state. There is no entry yet that prunes, so that stays at zero and every payload that is gone is missing.
///
/// A payload with values sealed for several subjects is erased as soon as the key of one of them was destroyed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PayloadCounts {
    /// Payloads that are there, and have nothing in them that was erased.
    pub present: u64,
    /// Payloads that are there, with sealed values in them of which the key was destroyed: an `erasure.performed` entry of
    /// the ledger says so.
    pub erased: u64,
    /// Payloads that were pruned.
    pub pruned: u64,
    /// Payloads that are gone without leave.
    pub missing: u64,
}

impl PayloadCounts {
    /// Counts one payload.
    pub fn add(&mut self, state: PayloadState) {
        match state {
            PayloadState::Present => self.present += 1,
            PayloadState::Erased => self.erased += 1,
            PayloadState::Pruned => self.pruned += 1,
            PayloadState::Missing => self.missing += 1,
        }
    }
}

/// The report on one ledger.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LedgerReport {
    /// Its id; where the stored id is not valid, a printable form of what is stored.
    pub ledger_id: String,
    /// Number of entries read.
    pub size: u64,
    /// BLAKE3 hash of the last entry, recomputed, 64 hexadecimal digits. None where the entries are not intact.
    pub hash: Option<String>,
    /// RFC 6962 root over all entries, recomputed, 64 hexadecimal digits. None where the entries are not intact.
    pub root: Option<String>,
    /// Does everything in the store agree?
    pub integrity: Integrity,
    /// Is this all of the ledger that somebody saw before?
    pub completeness: NotChecked,
    /// Who vouches for it?
    pub authorship: NotChecked,
    /// Since when?
    pub time: Time,
    /// Did anything that needs an approval happen without one?
    pub approvals: Approvals,
    /// What became of the payloads.
    pub payloads: PayloadCounts,
    /// Number of entries read; the same as `size`.
    pub entries: u64,
    /// Number of streams among the readable entries.
    pub streams: u64,
    /// How long it took.
    pub seconds: f64,
    /// Entries read a second.
    pub entries_per_second: f64,
    /// `ledger.sealed` entries, each compared with what was recomputed where it stands.
    pub seals: u64,
    /// What the first entries come to, at each size of `VerifyOptions::states_at`, in ascending order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<StateAt>,
    /// The newest 1,000 `ledger.anchored` entries, oldest first. None of what they say is judged here.
    #[serde(skip)]
    pub anchors: Vec<AnchorRow>,
    /// How many `ledger.anchored` entries there are, listed or not.
    pub anchors_total: u64,
    /// The newest 1,000 entries of the stream type `ledger_keys`, oldest first. None of what they say is judged here.
    #[serde(skip)]
    pub key_events: Vec<KeyEvent>,
    /// The newest 1,000 rows of `ledger_checkpoints`, oldest first. Not attested: their signatures are.
    #[serde(skip)]
    pub stored_checkpoints: Vec<StoredCheckpoint>,
    /// How many rows of `ledger_checkpoints` there are, listed or not.
    pub stored_checkpoints_total: u64,
    /// How many stored tiles were compared with the entries. Zero also where the store keeps none.
    pub tiles: u64,
    /// The first entry that was looked at and the one after the last, where the source holds only a part of the ledger.
    /// Then links, versions and time are verified inside the part alone, and `hash` and `root` are none unless it starts
    /// with the first entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

impl LedgerReport {
    /// Whether its integrity holds, and nothing happened in it without the approval that it needs.
    pub fn is_verified(&self) -> bool {
        self.integrity.verdict == Verdict::Verified && self.approvals.verdict != Answer::Failed
    }
}

/// What the first `size` entries come to, recomputed. Whoever kept a checkpoint of that size compares it with this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateAt {
    /// Number of entries.
    pub size: u64,
    /// Whether the ledger has so many entries. Where it has not, everything else is none.
    pub reached: bool,
    /// BLAKE3 hash of entry `size - 1`, 64 hexadecimal digits (the genesis hash at size 0). None where it is not sound.
    pub hash: Option<String>,
    /// RFC 6962 root over the first `size` entries, 64 hexadecimal digits. None where they are not intact.
    pub root: Option<String>,
    /// Roots of the complete subtrees, largest first, 64 hexadecimal digits each. Empty where the root is none.
    pub frontier: Vec<String>,
    /// The seal at position `size - 1`, if that entry is one.
    pub sealed: Option<SealInfo>,
}

/// What a `ledger.sealed` entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SealInfo {
    /// Position of the entry.
    pub position: u64,
    /// When it was recorded, microseconds since 1970-01-01T00:00:00Z.
    pub recorded_at: u64,
    /// The size it states.
    pub size: u64,
    /// The chain hash it states, hexadecimal.
    pub hash: String,
    /// The root it states, hexadecimal.
    pub root: String,
}

/// A `ledger.anchored` entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorRow {
    /// Position of the entry.
    pub position: u64,
    /// When it was recorded, microseconds since 1970-01-01T00:00:00Z.
    pub recorded_at: u64,
    /// Its payload; empty where that is missing or longer than 64 KiB, which no anchor is.
    pub payload: String,
}

/// An entry of the stream type `ledger_keys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEvent {
    /// Position of the entry.
    pub position: u64,
    /// When it was recorded, microseconds since 1970-01-01T00:00:00Z.
    pub recorded_at: u64,
    /// `signing_key.activated` or `signing_key.retired`.
    pub event_type: String,
    /// Its payload; empty where that is missing or longer than 64 KiB, which no key event is.
    pub payload: String,
}

/// A row of `ledger_checkpoints`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// Number of entries it is stored under. The note says what was signed.
    pub size: u64,
    /// The whole signed note; what is not UTF-8 is replaced, and a note longer than 64 KiB is empty.
    pub note: String,
}

/// What the entries of a part were chosen by, as its maker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SelectionFacts {
    /// Of which sort: `evidence_pack`.
    pub kind: String,
    /// When it was made, by its own word, RFC 3339.
    pub made_at: String,
    /// Bytes of the list of its files.
    #[serde(skip)]
    pub manifest: Vec<u8>,
    /// The signature of that list. Whether anybody signed it is not judged here.
    #[serde(skip)]
    pub signature: Option<Vec<u8>>,
}

/// The part of a ledger that a source holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Position of its first entry.
    pub from: u64,
    /// Position after its last entry.
    pub to: u64,
    /// The stream it is restricted to, `type/id`. Then positions have gaps, and each entry is held by its proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// What the entries were chosen by, where that is not one stream. Then, too, each entry is held by its proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection: Option<SelectionFacts>,
    /// Size of the checkpoint that the part was proved against, 0 where it holds none.
    pub checkpoint_size: u64,
    /// Root at that size, recomputed from the tiles of the source, hexadecimal. None where they do not give it.
    pub checkpoint_root: Option<String>,
    /// The signed note of the checkpoint as the source holds it. Whether anybody signed it is not judged here.
    #[serde(skip)]
    pub checkpoint: Option<String>,
    /// The keys file of the source. Nobody vouches for it.
    #[serde(skip)]
    pub keys: Option<String>,
}

/// The report on a store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// One report a ledger, by ledger id.
    pub ledgers: Vec<LedgerReport>,
    /// What is wrong with the store as a whole.
    pub findings: Vec<Finding>,
    /// Number of entries read, over all ledgers.
    pub entries: u64,
    /// How long it took.
    pub seconds: f64,
    /// Entries read a second.
    pub entries_per_second: f64,
}

impl Report {
    /// Whether every ledger's integrity holds, and nothing happened in it without the approval that it needs.
    pub fn is_verified(&self) -> bool {
        self.findings.is_empty() && self.ledgers.iter().all(LedgerReport::is_verified)
    }

    /// 0 where everything was verified, 1 where something failed. A store that cannot be read has no report: that is 2.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.is_verified())
    }
}

/// Collects findings in constant memory: all are counted, the ones at the lowest positions are kept.
#[derive(Debug)]
pub(crate) struct Findings {
    kept: Vec<Finding>,
    total: u64,
    most: usize,
}

impl Findings {
    pub(crate) fn new(most: usize) -> Self {
        // At least one, so that a failure always says where.
        Self { kept: Vec::new(), total: 0, most: most.max(1) }
    }

    pub(crate) fn add(&mut self, position: Option<i64>, kind: FindingKind, detail: impl Into<String>) {
        self.total += 1;
        self.kept.push(Finding { position, kind, detail: detail.into() });
        if self.kept.len() >= self.most.saturating_mul(2).max(64) {
            self.shrink();
        }
    }

    /// A finding at a position that was read from an integer column or derived from one.
    pub(crate) fn at(&mut self, position: u64, kind: FindingKind, detail: impl Into<String>) {
        self.add(Some(i64::try_from(position).unwrap_or(i64::MAX)), kind, detail);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.total == 0
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn into_sorted(mut self) -> Vec<Finding> {
        self.shrink();
        self.kept
    }

    fn shrink(&mut self) {
        self.kept.sort_by_key(|finding| (finding.position.is_none(), finding.position));
        self.kept.truncate(self.most);
    }
}
