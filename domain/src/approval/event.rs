//! What happened to a request for approval, as it is stored.

use serde::{Deserialize, Serialize};

use super::action::{Action, ActionDigest};
use super::vote::{Decision, VoteRecord};
use super::{ReviewOutcome, VoidReason};
use crate::approval_policy::{Electorate, PolicyInForce};
use crate::names::{ApprovalId, DepartmentId, PermissionName};
use crate::personal::PersonalText;
use crate::stream::events;
use crate::text::{ActorId, Line, Paragraph, Reason, RemarkId};
use crate::time::Timestamp;
use crate::vocabulary::vocabulary;

vocabulary! {
    /// What ended because its time was over.
    Expiry {
        /// The time to submit a draft.
        Draft = "draft",
        /// The time to decide.
        Decision = "decision",
        /// The time in which what was approved may be done.
        Grant = "grant",
    }
}

events! {
    /// An event of a request for approval.
    ApprovalEvent {
        /// Somebody wants to do something.
        Requested(Box<Requested>) = "approval.requested",
        /// It is to be decided now.
        Submitted(Submitted) = "approval.submitted",
        /// It is another action now; its votes are void.
        Revised(Box<Revised>) = "approval.revised",
        /// Somebody voted.
        Voted(Box<Voted>) = "approval.voted",
        /// Somebody took a vote back.
        VoteWithdrawn(VoteWithdrawn) = "approval.vote_withdrawn",
        /// Every step has its votes.
        Approved(Approved) = "approval.approved",
        /// Somebody who may decide did not agree.
        Rejected(Rejected) = "approval.rejected",
        /// Somebody commented.
        Commented(Commented) = "approval.commented",
        /// Somebody is to look after it.
        Assigned(Assigned) = "approval.assigned",
        /// More people may decide, or somebody called for attention.
        Escalated(Escalated) = "approval.escalated",
        /// Whoever asked does not want it any more.
        Withdrawn(Withdrawn) = "approval.withdrawn",
        /// Its time is over.
        Expired(Expired) = "approval.expired",
        /// It was done.
        Consumed(Consumed) = "approval.consumed",
        /// It cannot be done as it was approved.
        Voided(Voided) = "approval.voided",
        /// Somebody granted it alone, in an emergency.
        GlassBroken(GlassBroken) = "approval.glass_broken",
        /// Somebody voted on whether that was right.
        Reviewed(Box<Voted>) = "approval.reviewed",
        /// It is known whether that was right.
        ReviewClosed(ReviewClosed) = "approval.review_closed",
        /// Nobody decided in time whether that was right.
        ReviewOverdue(ReviewOverdue) = "approval.review_overdue",
    }
}

/// Who wants to do something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requester {
    /// The account that asked, a person's or a program's.
    pub actor: ActorId,
    /// The person who answers for it, and who does not vote.
    pub person: ActorId,
    /// All that the account must still be allowed when the action is done; at most
    /// [`MAX_REQUIRED_PERMISSIONS`](super::MAX_REQUIRED_PERMISSIONS).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_permissions: Vec<RequiredPermission>,
}

/// Something that an account must be allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequiredPermission {
    /// What.
    pub name: PermissionName,
    /// In which department; nothing where it must be in the whole organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<DepartmentId>,
}

/// Payload of `approval.requested`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Requested {
    /// Its id.
    pub approval_id: ApprovalId,
    /// What is to be done.
    pub action: Action,
    /// The digest of that.
    pub digest: ActionDigest,
    /// Who asks.
    pub requester: Requester,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Who must agree.
    pub policy: PolicyInForce,
    /// When.
    pub at: Timestamp,
}

/// Payload of `approval.submitted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Until when it is to be decided.
    pub decide_by: Timestamp,
    /// When.
    pub at: Timestamp,
}

/// Payload of `approval.revised`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revised {
    /// The number of the revision; what was requested first is 1.
    pub revision: u64,
    /// What is to be done now.
    pub action: Action,
    /// The digest of that.
    pub digest: ActionDigest,
    /// Who must agree.
    pub policy: PolicyInForce,
    /// The person who changed it.
    pub by: ActorId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Until when it is to be decided; nothing while it is a draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decide_by: Option<Timestamp>,
    /// When.
    pub at: Timestamp,
}

/// Payload of `approval.voted` and `approval.reviewed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Voted {
    /// The revision that it is about.
    pub revision: u64,
    /// The digest of what is to be done.
    pub digest: ActionDigest,
    /// The vote.
    pub vote: VoteRecord,
}

/// Payload of `approval.vote_withdrawn`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteWithdrawn {
    /// Whose vote.
    pub person: ActorId,
    /// In which step. What was voted in later steps is void as well.
    pub step: u32,
    /// When.
    pub at: Timestamp,
}

/// Payload of `approval.approved`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// The revision that was approved.
    pub revision: u64,
    /// The digest of what may be done.
    pub digest: ActionDigest,
    /// The version of the policy that was fulfilled.
    pub policy_version: u64,
    /// Who agreed: persons, in the order of their votes. Nobody where the policy asks nobody.
    pub approved_by: Vec<ActorId>,
    /// Until when it may be done.
    pub grant_expires_at: Timestamp,
    /// When.
    pub at: Timestamp,
}

/// Payload of `approval.rejected`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// The revision that was rejected.
    pub revision: u64,
    /// The person who rejected it.
    pub rejected_by: ActorId,
    /// In which step.
    pub step: u32,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When.
    pub at: Timestamp,
}

/// Payload of `approval.commented`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commented {
    /// Its id within the request.
    pub comment_id: RemarkId,
    /// Who.
    pub by: ActorId,
    /// What was said.
    pub text: PersonalText<Paragraph>,
}

/// Payload of `approval.assigned`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// To whom. It gives no right to decide.
    pub assignee: ActorId,
    /// Who did it.
    pub by: ActorId,
    /// When.
    pub at: Timestamp,
}

/// Payload of `approval.escalated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalated {
    /// How often it was escalated, this time included.
    pub level: u32,
    /// Whether the policy says so, rather than somebody.
    pub automatic: bool,
    /// Who did it, where somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ActorId>,
    /// To whom.
    pub to: Vec<Electorate>,
    /// Whether more people may decide by it, rather than only be told. Automatic ones always do that.
    #[serde(default)]
    pub widens: bool,
    /// From which step on they may decide as well.
    pub from_step: u32,
    /// The step that is done again: votes from it on are void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_from: Option<u32>,
    /// Why, where somebody did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When.
    pub at: Timestamp,
}

/// Payload of `approval.withdrawn`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// The person who withdrew it.
    pub by: ActorId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When.
    pub at: Timestamp,
}

/// Payload of `approval.expired`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// What ended.
    pub what: Expiry,
    /// When that was noticed.
    pub at: Timestamp,
}

/// Payload of `approval.consumed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumed {
    /// What did it: the id of the one thing that was done.
    pub execution_id: Line,
    /// Who did it: a person, or the system.
    pub by: ActorId,
    /// The digest of what was done.
    pub digest: ActionDigest,
    /// The version of the policy that held when it was done.
    pub policy_version: u64,
    /// When.
    pub at: Timestamp,
}

/// Payload of `approval.voided`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voided {
    /// Why.
    pub why: VoidReason,
    /// When.
    pub at: Timestamp,
}

/// Payload of `approval.glass_broken`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlassBroken {
    /// The account that did it.
    pub actor: ActorId,
    /// The person who did it.
    pub person: ActorId,
    /// Why.
    pub reason: Reason,
    /// Until when the action may be done.
    pub grant_expires_at: Timestamp,
    /// Until when it is to be reviewed.
    pub review_by: Timestamp,
    /// When.
    pub at: Timestamp,
}

/// Payload of `approval.review_closed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewClosed {
    /// What came of it.
    pub outcome: ReviewOutcome,
    /// When.
    pub at: Timestamp,
}

/// Payload of `approval.review_overdue`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewOverdue {
    /// Until when it was to be reviewed.
    pub review_by: Timestamp,
    /// When that was noticed.
    pub at: Timestamp,
}

impl Voted {
    /// What the vote says.
    pub fn decision(&self) -> Decision {
        self.vote.decision
    }
}
