//! Requests for approval as answers show them. Commands build these from the aggregate, queries from their rows: both say
//! the same of the same request.

mod compatible;
mod delegations;
mod export_schedules;
mod of_aggregate;
mod policies;
mod terms;

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

pub use compatible::{AGENT_PREFIX, AgentActionView, ApprovalRequestView};
pub use delegations::DelegationView;
pub use export_schedules::{ExportScheduleView, ListedSchedule, ScheduleRunView, StandingView};
pub use policies::PolicyView;
pub use terms::{
    AmountView, BreakGlassView, ClauseView, ElectorateView, EscalationRuleView, PolicyInForceView, RuleView, StepView,
    TermsView,
};

/// A request for approval. Times are RFC 3339 UTC with microseconds, ids are opaque.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ApprovalState)]
pub struct ApprovalView {
    /// Its id.
    #[schema(example = "apr_019f0c5d2b4a59687786950413aa01ff")]
    pub approval_id: String,
    /// `draft`, `pending`, `approved`, `rejected`, `withdrawn`, `expired`, `consumed` or `voided`.
    #[schema(example = "pending")]
    pub status: String,
    /// What sort of action.
    #[schema(example = "export.transactions")]
    pub action: String,
    /// What sort of thing it is done to.
    #[schema(example = "transaction_export")]
    pub resource_type: String,
    /// Which of them.
    pub resource_id: String,
    /// What is to be done, in a line for people. Not part of the digest.
    pub summary: String,
    /// Everything it depends on.
    pub parameters: BTreeMap<String, String>,
    /// What it changes.
    pub changes: Vec<ChangeView>,
    /// How much is at stake.
    pub amount: Option<AmountView>,
    /// A mark that policies look at.
    pub label: Option<String>,
    /// Digest of exactly what is to be done, 64 hexadecimal digits.
    pub digest: String,
    /// How often it was changed, the first time included. Votes are on one revision.
    #[schema(example = 1)]
    pub revision: u64,
    /// The account that asks.
    pub requested_by: String,
    /// The person who answers for it, and who does not vote.
    pub requester: String,
    /// The permissions that the account must still have when it is done.
    pub required_permissions: Vec<String>,
    /// Why.
    pub reason: Option<String>,
    /// When it was asked for.
    pub requested_at: Option<String>,
    /// The policy that it is decided under.
    pub policy: PolicyInForceView,
    /// The step that is to be decided, counted from 1; `null` where none is.
    pub current_step: Option<u32>,
    /// The votes that count.
    pub votes: Vec<VoteView>,
    /// The votes that are missing, of the current step and those after it.
    pub still_needed: Vec<NeededVotesView>,
    /// Until when it is to be decided.
    pub decide_by: Option<String>,
    /// When it was approved or rejected.
    pub decided_at: Option<String>,
    /// The account whose vote decided it; `null` where the policy asked nobody.
    pub decided_by: Option<String>,
    /// Why it was decided so.
    pub decision_reason: Option<String>,
    /// Until when what was approved may be done.
    pub grant_expires_at: Option<String>,
    /// Whether others were turned to.
    pub is_escalated: bool,
    /// How often.
    pub escalation_level: u32,
    /// When, the last time.
    pub escalated_at: Option<String>,
    /// Why, the last time; `null` where the policy says so.
    pub escalation_reason: Option<String>,
    /// Opaque id of who looks after it. It gives no right to decide.
    pub assigned_to: Option<String>,
    /// What did it, where it was done.
    pub execution_id: Option<String>,
    /// Why it cannot be done as it was approved: `digest_mismatch`, `policy_changed`, `requester_not_allowed`,
    /// `review_condemned`, `resource_gone` or `superseded`.
    pub void_reason: Option<String>,
    /// The review of an emergency, where somebody acted before the votes were in.
    pub review: Option<ReviewView>,
}

/// One value that is to become another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalChange)]
pub struct ChangeView {
    /// What.
    pub field: String,
    /// What it is now.
    pub before: Option<String>,
    /// What it is to be.
    pub after: Option<String>,
}

/// A vote that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalVote)]
pub struct VoteView {
    /// The step, counted from 1.
    #[schema(example = 1)]
    pub step: u32,
    /// The account that voted.
    pub actor: String,
    /// The person who voted.
    pub person: String,
    /// For whom, where it was for another.
    pub on_behalf_of: Option<String>,
    /// Under which delegation.
    pub delegation_id: Option<String>,
    /// `approve` or `reject`.
    #[schema(example = "approve")]
    pub decision: String,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: String,
    /// How it was signed: `ES256` or `webauthn`; `null` where it was not.
    pub signed: Option<String>,
}

/// Votes that are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalNeededVotes)]
pub struct NeededVotesView {
    /// The step, counted from 1.
    #[schema(example = 1)]
    pub step: u32,
    /// What the step is called.
    pub step_name: Option<String>,
    /// The clause of the step, counted from 1.
    #[schema(example = 1)]
    pub clause: u32,
    /// How many.
    #[schema(example = 1)]
    pub votes: u32,
    /// From whom: anybody of these.
    pub from: Vec<ElectorateView>,
}

/// The review of an emergency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalReview)]
pub struct ReviewView {
    /// True until it is decided.
    pub is_open: bool,
    /// True where nobody decided in time.
    pub is_overdue: bool,
    /// The account that acted.
    pub broken_by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub broken_at: String,
    /// Until when it is to be reviewed.
    pub review_by: String,
    /// The step that is to be decided, counted from 1.
    pub current_step: Option<u32>,
    /// The votes on whether it was right.
    pub votes: Vec<VoteView>,
    /// The votes that are missing, of the current step and those after it.
    pub still_needed: Vec<NeededVotesView>,
    /// `accepted` or `condemned`, once it is decided.
    pub outcome: Option<String>,
}
