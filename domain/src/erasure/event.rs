//! What happened to an erasure, as it is stored.

use serde::{Deserialize, Serialize};

use crate::names::{ApprovalId, ErasureId, HoldId};
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
        /// Somebody else did not agree.
        Rejected(Rejected) = "erasure.rejected",
        /// It could not be performed: a legal hold stands in the way.
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
    /// Who did not agree.
    pub rejected_by: ActorId,
    /// Why.
    pub reason: Reason,
}

/// Payload of `erasure.refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The holds that stand in the way; never empty.
    pub holds: Vec<HoldId>,
    /// What they cover, in words.
    pub detail: Reason,
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
