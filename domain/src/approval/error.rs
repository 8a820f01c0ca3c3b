//! Why a command to a request for approval is refused. One variant a rule.

use super::command::ApprovalStatus;
use crate::refusal::refusals;
use crate::text::{ActorId, RemarkId};
use crate::time::Timestamp;

refusals! {
    /// A refusal. Nothing was recorded.
    ApprovalError {
        /// There is no such request.
        #[error("there is no such request for approval")]
        NotFound = "approval.not_found", NotFound;
        /// It was made before, otherwise.
        #[error("the request for approval already exists with other content: {} differs", fields.join(", "))]
        Exists {
            /// The fields that differ from what was requested first.
            fields: Vec<&'static str>,
        } = "approval.exists", Exists;
        /// It depends on too many permissions.
        #[error("a request for approval depends on at most {} permissions", super::MAX_REQUIRED_PERMISSIONS)]
        TooManyPermissions = "approval.too_many_permissions", Rule;
        /// Programs do not decide.
        #[error("only people decide, not programs")]
        PersonRequired = "approval.person_required", Rule;
        /// The account may not act.
        #[error("the account is not active")]
        VoterInactive = "approval.voter_inactive", Rule;
        /// Nobody makes the voters for a request of his own.
        #[error("you could decide on this only by the doing of {by}, in the day before it was asked for or since; a request \
                 that is made from {settled_at} on you could decide")]
        SeatOwedToRequester {
            /// Whose doing it is: that is whoever asked or, in a review, broke the glass, or the voter.
            by: ActorId,
            /// From when on a new request does not look back to it.
            settled_at: Timestamp,
        } = "approval.seat_owed_to_requester", Rule;
        /// Whoever asks does not decide, whatever role, delegation or account is used.
        #[error("whoever requested it does not decide on it")]
        SelfApproval = "approval.self_approval", Rule;
        /// Whoever stands in for whoever asks does not decide either.
        #[error("whoever stands in for the requester, or did since the request, does not decide on it")]
        DelegateOfRequester = "approval.delegate_of_requester", Rule;
        /// There is no delegation from that person.
        #[error("there is no delegation from {person} that holds now")]
        NotDelegate {
            /// For whom the vote was to be.
            person: ActorId,
        } = "approval.not_delegate", Rule, "/on_behalf_of";
        /// It is a draft.
        #[error("the request for approval is not submitted yet")]
        NotSubmitted = "approval.not_submitted", Rule;
        /// It is decided, or otherwise over.
        #[error("the request for approval is already {status}")]
        AlreadyDecided {
            /// Its status.
            status: ApprovalStatus,
        } = "approval.already_decided", Rule;
        /// The time to decide is over.
        #[error("the time to decide is over")]
        Expired = "approval.expired", Rule;
        /// It is another action than the one that the voter saw.
        #[error("the request was revised; revision {current} is to be decided")]
        Revised {
            /// The current revision.
            current: u64,
        } = "approval.revised", Rule, "/revision";
        /// The person decides in a later step.
        #[error("step {current} is to be decided first; it is not your turn yet")]
        NotYourTurn {
            /// The current step.
            current: u32,
        } = "approval.not_your_turn", Rule;
        /// The policy does not name the person.
        #[error("the policy does not let you decide on this")]
        NotEligible = "approval.not_eligible", Rule;
        /// One person counts once.
        #[error("you voted already, or somebody for whom you vote did")]
        AlreadyVoted = "approval.already_voted", Rule;
        /// There are too many votes.
        #[error("a request for approval takes at most {} votes", super::MAX_VOTES)]
        TooManyVotes = "approval.too_many_votes", Rule;
        /// There is nothing to take back.
        #[error("you have no vote to withdraw")]
        NoVote = "approval.no_vote", Rule;
        /// It is somebody else's request.
        #[error("only the requester may do this")]
        NotYours = "approval.not_yours", Rule;
        /// It was not approved.
        #[error("the request for approval is {status}, not approved")]
        NotApproved {
            /// Its status.
            status: ApprovalStatus,
        } = "approval.not_approved", Rule;
        /// It was done, and is done once.
        #[error("the approval was used already")]
        AlreadyConsumed = "approval.already_consumed", Rule;
        /// It is not what was approved.
        #[error("what is to be done is not what was approved")]
        DigestMismatch = "approval.digest_mismatch", Rule;
        /// The time in which it might be done is over.
        #[error("the approval has expired")]
        GrantExpired = "approval.grant_expired", Rule;
        /// Others would have to agree now.
        #[error("the policy changed: version {approved} was fulfilled, version {current} holds")]
        PolicyChanged {
            /// The version that was fulfilled.
            approved: u64,
            /// The version that holds.
            current: u64,
        } = "approval.policy_changed", Rule;
        /// Whoever asked may not do it any more.
        #[error("the requester is not allowed to do this any more")]
        RequesterNotAllowed = "approval.requester_not_allowed", Rule;
        /// There is a comment with this id.
        #[error("there is already a comment with the id {comment_id}")]
        CommentExists {
            /// The id.
            comment_id: RemarkId,
        } = "approval.comment_exists", Rule, "/comment_id";
        /// There are too many comments.
        #[error("a request for approval takes at most {} comments", super::MAX_COMMENTS)]
        TooManyComments = "approval.too_many_comments", Rule;
        /// It is escalated to nobody, or to too many.
        #[error("an escalation names 1 to {} electorates", crate::approval_policy::MAX_ELECTORATES)]
        EscalationElectorate = "approval.escalation_electorate", Rule, "/to";
        /// The policy has no such step.
        #[error("the policy has the steps 1 to {steps}")]
        NoSuchStep {
            /// How many it has.
            steps: u32,
        } = "approval.no_such_step", Rule, "/repeat_from";
        /// It was escalated too often.
        #[error("a request for approval is escalated at most {} times", super::MAX_ESCALATIONS)]
        TooManyEscalations = "approval.too_many_escalations", Rule;
        /// It was changed too often.
        #[error("a request for approval has at most {} revisions", super::MAX_REVISIONS)]
        TooManyRevisions = "approval.too_many_revisions", Rule;
        /// What was granted in an emergency is done as it is, or not at all.
        #[error("the glass was broken for this request; it cannot be revised")]
        GlassBroken = "approval.glass_broken", Rule;
        /// One emergency at a time.
        #[error("an emergency of this person, or of whoever asks, is not reviewed yet")]
        ReviewOpen = "approval.review_open", Rule;
        /// How much is at stake decides who must agree, and is not said.
        #[error("the policy depends on the amount: one in a currency that it names is needed")]
        AmountRequired = "approval.amount_required", Rule, "/amount";
        /// The policy has no way around it.
        #[error("the policy does not allow breaking the glass, or it is for what goes on by itself")]
        NoBreakGlass = "approval.no_break_glass", Rule;
        /// There is nothing to review.
        #[error("there is no open review")]
        NoReview = "approval.no_review", Rule;
        /// Whoever broke the glass does not say whether that was right.
        #[error("whoever broke the glass, or stands in for that person, does not review it")]
        SelfReview = "approval.self_review", Rule;
    }
}
