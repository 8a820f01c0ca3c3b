//! What happened to an erasure, as it is stored.

use serde::{Deserialize, Serialize};

use crate::names::{ApprovalId, ErasureId, HoldId};
use crate::retention_rule::RecordType;
use crate::stream::events;
use crate::text::{ActorId, Reason, SubjectId};
use crate::time::Timestamp;

events! {
    /// An event of an erasure.
    ErasureEvent {
        /// Somebody asked for it.
        Requested(Requested) = "erasure.requested",
        /// Somebody else agreed.
        Approved(Approved) = "erasure.approved",
        /// Somebody else did not agree, or what was agreed to was another person's erasure than it has come to be.
        Rejected(Rejected) = "erasure.rejected",
        /// It could not be performed: a legal hold stands in the way, or records are kept with the names in them.
        Refused(Refused) = "erasure.refused",
        /// The key is destroyed.
        Performed(Performed) = "erasure.performed",
    }
}

/// Payload of `erasure.requested`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// Its id.
    pub erasure_id: ErasureId,
    /// Whose data.
    pub subject: SubjectId,
    /// Why.
    pub reason: Reason,
    /// Who asked.
    pub requested_by: ActorId,
}

/// Payload of `erasure.approved`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// Who agreed: whose vote was the last that it needed.
    pub approved_by: ActorId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The approval that was used up for it. Erasures that are older than approvals have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<ApprovalId>,
}

/// Payload of `erasure.rejected`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Who did not agree; `policy` where nobody voted against it.
    pub rejected_by: ActorId,
    /// Why.
    pub reason: Reason,
}

/// Payload of `erasure.refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The holds that stand in the way.
    pub holds: Vec<HoldId>,
    /// The records that keep the person known, and until when. Never empty where there are no holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retained: Vec<Retained>,
    /// What stands in the way, in words.
    pub detail: Reason,
}

/// Records in which somebody acted who must stay known for as long as they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retained {
    /// Of which type.
    pub record_type: RecordType,
    /// How many years they are kept.
    pub years: u32,
    /// Until when the last of them is.
    pub until: Timestamp,
}

/// Payload of `erasure.performed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Performed {
    /// Whose data.
    pub subject: SubjectId,
    /// Who agreed.
    pub approved_by: ActorId,
    /// When the key was destroyed.
    pub key_destroyed_at: Timestamp,
}
