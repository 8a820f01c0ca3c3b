//! What can be asked of a request for approval. Every field is a checked type; times and facts about people come along.

use super::action::{Action, ActionDigest};
use super::event::Requester;
use super::vote::{Decision, VoteSignature, Voter};
use crate::approval_policy::{Electorate, PolicyInForce};
use crate::names::ApprovalId;
use crate::personal::PersonalText;
use crate::text::{ActorId, Line, Paragraph, Reason, RemarkId};
use crate::time::Timestamp;
use crate::vocabulary::vocabulary;

vocabulary! {
    /// Where a request for approval is.
    ApprovalStatus {
        /// Whoever asks is still at it.
        Draft = "draft",
        /// It is to be decided.
        Pending = "pending",
        /// It may be done.
        Approved = "approved",
        /// It may not be done.
        Rejected = "rejected",
        /// Whoever asked does not want it any more.
        Withdrawn = "withdrawn",
        /// Its time is over.
        Expired = "expired",
        /// It was done.
        Consumed = "consumed",
        /// It was approved and cannot be done as it was approved.
        Voided = "voided",
    }
}

vocabulary! {
    /// Why a request cannot be done as it was approved.
    VoidReason {
        /// What was about to be done is not what was approved.
        DigestMismatch = "digest_mismatch",
        /// Others would have to agree now.
        PolicyChanged = "policy_changed",
        /// Whoever asked may not do it any more.
        RequesterNotAllowed = "requester_not_allowed",
        /// Whoever reviewed the emergency did not agree.
        ReviewCondemned = "review_condemned",
        /// What it is about is not there any more, or not as it was.
        ResourceGone = "resource_gone",
        /// Another request took its place.
        Superseded = "superseded",
        /// What it rested on was found to have changed by the time it was used. This alone voids what was used: nothing
        /// was done under it, and nothing is.
        BasisChanged = "basis_changed",
    }
}

vocabulary! {
    /// What came of the review of an emergency.
    ReviewOutcome {
        /// It was right.
        Accepted = "accepted",
        /// It was not.
        Condemned = "condemned",
    }
}

/// A command to one request for approval. `at` is when it is given.
///
/// What only whoever asked may do (revise, submit, withdraw, use) is given with `by`, which is compared with the account
/// that asked and the person it was asked for. Whoever gives such a command names the account that acts and nothing else:
/// that another account was declared the same person's gives no right over a request.
#[derive(Debug, Clone, PartialEq)]
pub enum ApprovalCommand {
    /// Ask for approval.
    Request {
        /// Its id.
        approval_id: ApprovalId,
        /// What is to be done.
        action: Box<Action>,
        /// Who asks.
        requester: Requester,
        /// Why.
        reason: Option<Reason>,
        /// Who must agree, as things are now.
        policy: PolicyInForce,
        /// Whether it is to be decided at once.
        submit: bool,
        /// When.
        at: Timestamp,
    },
    /// Make it another action, while it is a draft, pending or approved. Its votes are void. The same action in the same
    /// words, for the same reason and under the same policy changes nothing.
    Revise {
        /// What is to be done instead.
        action: Box<Action>,
        /// The account that does it; see [`ApprovalCommand`].
        by: ActorId,
        /// Why.
        reason: Option<Reason>,
        /// Who must agree, as things are now.
        policy: PolicyInForce,
        /// When.
        at: Timestamp,
    },
    /// Have a draft decided.
    Submit {
        /// The account that does it; see [`ApprovalCommand`].
        by: ActorId,
        /// When.
        at: Timestamp,
    },
    /// Vote in the current step.
    Vote {
        /// Who.
        voter: Voter,
        /// What the vote says.
        decision: Decision,
        /// Why.
        reason: Option<Reason>,
        /// For which other person; where nobody is named, in the voter's own right if that is possible, else for the
        /// first person for whom it is.
        on_behalf_of: Option<ActorId>,
        /// The revision that the voter saw.
        revision: Option<u64>,
        /// The voter's signature.
        signature: Option<VoteSignature>,
        /// When.
        at: Timestamp,
    },
    /// Take back the last vote that a person cast.
    WithdrawVote {
        /// The person.
        person: ActorId,
        /// When.
        at: Timestamp,
    },
    /// Say something.
    Comment {
        /// Its id within the request.
        comment_id: RemarkId,
        /// Who.
        by: ActorId,
        /// What.
        text: PersonalText<Paragraph>,
    },
    /// Say who is to look after it. It gives no right to decide.
    Assign {
        /// Who.
        assignee: ActorId,
        /// Who says so.
        by: ActorId,
        /// When.
        at: Timestamp,
    },
    /// Turn to others before the clock does. Where whoever does it could vote now, those of `to` may decide whom the
    /// policy names in its own chain of escalation. To everybody else, and where anybody else does it, it is a call for
    /// attention.
    Escalate {
        /// Who does it.
        by: ActorId,
        /// The same as somebody who votes, where that is a person.
        voter: Option<Box<Voter>>,
        /// To whom.
        to: Vec<Electorate>,
        /// The step to do again; only where others may decide by it.
        repeat_from: Option<u32>,
        /// Why.
        reason: Reason,
        /// When.
        at: Timestamp,
    },
    /// Not want it any more.
    Withdraw {
        /// The account that does it; see [`ApprovalCommand`].
        by: ActorId,
        /// Why.
        reason: Option<Reason>,
        /// When.
        at: Timestamp,
    },
    /// Do whatever is due by the clock.
    Tick {
        /// When.
        at: Timestamp,
    },
    /// Use the approval, once. What was approved is compared with what is about to be done.
    Consume {
        /// The digest of what is about to be done.
        digest: ActionDigest,
        /// The version of the policy that holds now.
        policy_version: u64,
        /// Whether the requester may still do it.
        requester_allowed: bool,
        /// What does it. The same again changes nothing.
        execution_id: Line,
        /// Who does it: the account, see [`ApprovalCommand`], or [`SYSTEM`](super::SYSTEM).
        by: ActorId,
        /// When.
        at: Timestamp,
    },
    /// Record that it cannot be done as it was approved. What was used stays so, but for [`VoidReason::BasisChanged`].
    Void {
        /// Why.
        why: VoidReason,
        /// When.
        at: Timestamp,
    },
    /// Grant it alone, in an emergency, where the policy allows that. It is reviewed afterwards.
    BreakGlass {
        /// Who.
        voter: Voter,
        /// Whether another emergency of this person, or of whoever asks, is not reviewed yet.
        has_open_review: bool,
        /// Why.
        reason: Reason,
        /// When.
        at: Timestamp,
    },
    /// Vote on whether the glass was rightly broken.
    Review {
        /// Who.
        voter: Voter,
        /// Whether it was right.
        decision: Decision,
        /// Why.
        reason: Option<Reason>,
        /// When.
        at: Timestamp,
    },
}
