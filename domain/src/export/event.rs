//! What happened to an export, as it is stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::HexDigest;
use super::words::{
    DeliveryCause, DeliveryOutcome, ExportFormat, ExportKind, RejectionCause, RestsOn, SignatureAlgorithm,
    VerificationResult,
};
use crate::names::{ApprovalId, DeliveryId, DestinationName, ExportId, ScheduleId};
use crate::stream::events;
use crate::text::{ActorId, Line, Reason, ShortName};
use crate::time::Timestamp;

events! {
    /// An event of an export.
    ExportEvent {
        /// Somebody asked for it.
        Requested(Requested) = "export.requested",
        /// It may be made.
        Approved(Approved) = "export.approved",
        /// It may not be made.
        Rejected(Rejected) = "export.rejected",
        /// Somebody began to make it.
        GenerationStarted(GenerationStarted) = "export.generation_started",
        /// The file is there.
        Generated(Generated) = "export.generated",
        /// An attempt to make it came to nothing.
        GenerationFailed(GenerationFailed) = "export.generation_failed",
        /// It is to be brought somewhere.
        DeliveryScheduled(DeliveryScheduled) = "export.delivery_scheduled",
        /// Somebody tried to bring it there.
        DeliveryAttempted(DeliveryAttempted) = "export.delivery_attempted",
        /// The file was read again and compared with what was recorded.
        Verified(Verified) = "export.verified",
        /// Whoever asked for it took it.
        Collected(Collected) = "export.collected",
        /// Somebody did not want it any more.
        Cancelled(Cancelled) = "export.cancelled",
        /// The file was removed.
        Removed(Removed) = "export.removed",
    }
}

/// Payload of `export.requested`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// Its id, and the id of its stream.
    pub export_id: ExportId,
    /// What.
    pub kind: ExportKind,
    /// In which form.
    pub format: ExportFormat,
    /// Which of it: names and values of the filters, as they were understood.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub filters: BTreeMap<String, String>,
    /// Which columns, in this order. Empty: all that this kind has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The account that asked.
    pub requested_by: ActorId,
    /// The person who answers for that account.
    pub person: ActorId,
    /// The approval that decides.
    pub approval_id: ApprovalId,
    /// Where it goes when it is there, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliver_to: Vec<DestinationName>,
    /// Whether whoever asked takes it by asking the same again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub collect: bool,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The digest of exactly what is approved.
    pub digest: HexDigest,
    /// The run of a schedule that it is, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduledRun>,
}

/// A run of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledRun {
    /// Of which schedule.
    pub schedule_id: ScheduleId,
    /// Which one; the first is 1.
    pub run: u64,
    /// Which sort of approval decides. With a standing one, `approval_id` names that one.
    pub rests_on: RestsOn,
}

/// Payload of `export.approved`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// The approval that was used up.
    pub approval_id: ApprovalId,
    /// For which execution.
    pub execution_id: Line,
    /// The version of the policy it was decided under.
    pub policy_version: u64,
    /// Who agreed. Empty where the policy asks nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<ActorId>,
    /// Who broke the glass, where nobody had agreed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_glass_by: Option<ActorId>,
    /// When.
    pub at: Timestamp,
}

/// Payload of `export.rejected`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// The approval that ended.
    pub approval_id: ApprovalId,
    /// How it ended.
    pub why: RejectionCause,
}

/// Payload of `export.generation_started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationStarted {
    /// Which attempt; the first is 1.
    pub attempt: u64,
    /// The fencing number of the lease under which it is made. Never falls.
    pub fence: u64,
    /// When.
    pub at: Timestamp,
}

/// Payload of `export.generated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generated {
    /// The attempt that made it.
    pub attempt: u64,
    /// Name of the file, without a folder.
    pub file: Line,
    /// Length of the file.
    pub bytes: u64,
    /// Rows in it.
    pub rows: u64,
    /// BLAKE3 of the file.
    pub blake3: HexDigest,
    /// SHA-256 of the file.
    pub sha256: HexDigest,
    /// The manifest beside it.
    pub manifest: ManifestFile,
    /// The signature of the manifest.
    pub signature: ManifestSignature,
    /// The entries that were taken into account.
    pub range: LedgerRange,
    /// The checkpoint in the manifest, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointReference>,
    /// When.
    pub at: Timestamp,
}

/// The manifest of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Name of its file, without a folder.
    pub file: Line,
    /// BLAKE3 of it.
    pub blake3: HexDigest,
    /// SHA-256 of it.
    pub sha256: HexDigest,
}

/// The signature of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestSignature {
    /// How it was made.
    pub algorithm: SignatureAlgorithm,
    /// The key that made it: 8 hexadecimal digits, as in checkpoints.
    pub key_id: ShortName,
    /// Name of its file, without a folder.
    pub file: Line,
    /// The signature in base64.
    pub value: Line,
}

/// Entries of the ledger, both ends included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRange {
    /// Position of the first.
    pub first: u64,
    /// Position of the last.
    pub last: u64,
    /// Hash of the first.
    pub first_hash: HexDigest,
    /// Hash of the last.
    pub last_hash: HexDigest,
}

/// A checkpoint by what it states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointReference {
    /// Number of entries.
    pub size: u64,
    /// Root over them.
    pub root: HexDigest,
}

/// Payload of `export.generation_failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationFailed {
    /// Which attempt.
    pub attempt: u64,
    /// What was in the way.
    pub why: Line,
    /// Whether it is not tried again.
    pub is_final: bool,
    /// Whether nobody ended it: its process was gone, or had lost its lease. It says nothing against the export, and does not
    /// count as an attempt that failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_interruption: bool,
    /// When.
    pub at: Timestamp,
}

/// Payload of `export.delivery_scheduled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryScheduled {
    /// The id of the delivery: what a receiver knows a repetition by.
    pub delivery_id: DeliveryId,
    /// Where to.
    pub destination: DestinationName,
    /// Why.
    pub why: DeliveryCause,
}

/// Payload of `export.delivery_attempted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryAttempted {
    /// Which delivery.
    pub delivery_id: DeliveryId,
    /// Where to.
    pub destination: DestinationName,
    /// Which attempt; the first is 1.
    pub attempt: u64,
    /// What it came to.
    pub outcome: DeliveryOutcome,
    /// What the destination said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Line>,
    /// When it is tried again; only where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// When.
    pub at: Timestamp,
}

/// Payload of `export.verified`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// What it came to.
    pub result: VerificationResult,
    /// What was found to be wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Line>,
    /// Who had it looked at.
    pub by: ActorId,
    /// When.
    pub at: Timestamp,
}

/// Payload of `export.collected`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// Who took it.
    pub by: ActorId,
    /// When.
    pub at: Timestamp,
}

/// Payload of `export.cancelled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// Who did not want it any more.
    pub by: ActorId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When.
    pub at: Timestamp,
}

/// Payload of `export.removed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Who removed it.
    pub by: ActorId,
    /// Why.
    pub why: Reason,
    /// When.
    pub at: Timestamp,
}
