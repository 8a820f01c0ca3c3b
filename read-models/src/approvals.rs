//! The read model `approvals`: each request for approval as it is now, and what happened to it.

use serde::Serialize;
use serde_json::Value;

use crate::db::{ReadDb, ReadError};
use crate::free_text::FreeText;
use crate::page::{Page, PageRequest};
use crate::sql::{Conditions, Fields, fetch_changes, fetch_one, fetch_page};
use crate::time;

/// Name of the projector that fills these tables.
pub const PROJECTOR: &str = "approvals";
const COLUMNS: &str = "approval_id, action, resource_type, resource_id, summary, digest, requested_by, \
     requester_person, reason, status, decision, escalation_level, assignee, revision, current_step, \
     policy_version, decide_by, grant_expires_at, overdue_at, decided_at, decided_by, \
     decision_reason, decided_after, consumed_at, execution_id, created_at, submitted_at, updated_at, \
     escalated_at, comment_count, first_position, last_position, version, state";
const HISTORY_COLUMNS: &str = "position, approval_id, event_type, actor_id, actor_kind, from_status, to_status, \
     comment, meta, timestamp";

/// A request for approval as it is now. Times are microseconds and serialise as RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApprovalRow {
    /// Its id.
    pub approval_id: String,
    /// What is to be done, `export.transactions`.
    pub action: String,
    /// What kind of thing it is done to, in the words of older clients: `transaction_export`.
    pub resource_type: String,
    /// To which.
    pub resource_id: String,
    /// The same for people, in one line.
    pub summary: String,
    /// Digest of what is to be done, hexadecimal.
    pub digest: String,
    /// Opaque id of the account that asked.
    pub requested_by: String,
    /// Who answers for that account.
    pub requester_person: String,
    /// Why it is asked for.
    pub reason: Option<String>,
    /// `draft`, `pending`, `approved`, `rejected`, `withdrawn`, `expired`, `consumed` or `voided`.
    pub status: String,
    /// `approved`, `rejected` or `broken_glass`; `None` while nobody has decided.
    pub decision: Option<String>,
    /// 0 (not escalated) upwards.
    pub escalation_level: u64,
    /// Who has it.
    pub assignee: Option<String>,
    /// Counts up with each edit.
    pub revision: u64,
    /// The step that votes are wanted for, counted from 1.
    pub current_step: Option<u64>,
    /// Version of the policy in force; 0 is the built-in one.
    pub policy_version: u64,
    /// Until when it can be decided.
    #[serde(serialize_with = "time::serialize_optional")]
    pub decide_by: Option<i64>,
    /// Until when the grant can be used.
    #[serde(serialize_with = "time::serialize_optional")]
    pub grant_expires_at: Option<i64>,
    /// From when on it is overdue; `None` where nothing is outstanding.
    #[serde(serialize_with = "time::serialize_optional")]
    pub overdue_at: Option<i64>,
    /// When it was decided.
    #[serde(serialize_with = "time::serialize_optional")]
    pub decided_at: Option<i64>,
    /// Opaque id of whose vote decided it.
    pub decided_by: Option<String>,
    /// The reason given with that vote.
    pub decision_reason: Option<String>,
    /// Microseconds from submission to decision.
    pub decided_after: Option<u64>,
    /// When the grant was used.
    #[serde(serialize_with = "time::serialize_optional")]
    pub consumed_at: Option<i64>,
    /// For what the grant was used.
    pub execution_id: Option<String>,
    /// When it was made.
    #[serde(serialize_with = "time::serialize")]
    pub created_at: i64,
    /// When it was first submitted.
    #[serde(serialize_with = "time::serialize_optional")]
    pub submitted_at: Option<i64>,
    /// When its newest entry was recorded.
    #[serde(serialize_with = "time::serialize")]
    pub updated_at: i64,
    /// When it was last escalated.
    #[serde(serialize_with = "time::serialize_optional")]
    pub escalated_at: Option<i64>,
    /// Comments on it.
    pub comment_count: u64,
    /// Position of its first entry.
    pub first_position: u64,
    /// Position of its newest entry.
    pub last_position: u64,
    /// Version of its stream.
    pub version: u64,
    /// The request as the domain folds it: everything else that there is to say of it, as JSON.
    #[serde(skip)]
    pub state: String,
}

/// One event of a request's history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApprovalStep {
    /// Position of the entry; also the step's id.
    #[serde(rename = "id")]
    pub position: u64,
    /// Which request.
    pub approval_id: String,
    /// What happened: the event's type without `approval.`.
    pub event_type: String,
    /// Opaque id of who did it.
    pub actor_id: String,
    /// `human`, `agent` or `system`.
    pub actor_kind: String,
    /// Status before; `None` at the first.
    pub from_status: Option<String>,
    /// Status after.
    pub to_status: String,
    /// The comment or reason. Comments of people are sealed.
    pub comment: Option<FreeText>,
    /// What else the event says; always an object.
    pub meta: Value,
    /// When, in microseconds.
    #[serde(serialize_with = "time::serialize")]
    pub timestamp: i64,
}

/// Which requests. Everything given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// One of these statuses; empty for any.
    pub statuses: Vec<String>,
    /// Exact action.
    pub action: Option<String>,
    /// Actions of this family: `agent` finds `agent.triage`.
    pub family: Option<String>,
    /// Exact kind of thing.
    pub resource_type: Option<String>,
    /// Exact thing.
    pub resource_id: Option<String>,
    /// Asked by this account, or by whom this person answers for.
    pub requested_by: Option<String>,
    /// Exact assignee.
    pub assignee: Option<String>,
    /// Decided by this account.
    pub decided_by: Option<String>,
    /// True for escalated ones, false for the others.
    pub escalated: Option<bool>,
    /// True for those that are overdue at [`ApprovalFilter::now`], false for the others.
    pub overdue: Option<bool>,
    /// The time that `overdue` is about, in microseconds.
    pub now: i64,
    /// Made at this time or later, in microseconds.
    pub start: Option<i64>,
    /// Made at this time or earlier, in microseconds.
    pub end: Option<i64>,
}

impl ApprovalFilter {
    pub(crate) fn conditions(&self, ledger_id: &str) -> Conditions {
        let mut conditions = Conditions::in_ledger(ledger_id);
        conditions.one_of("status", &self.statuses);
        conditions.equals("action", self.action.as_deref());
        conditions.starts_with("action", self.family.as_ref().map(|family| format!("{family}.")).as_deref());
        conditions.equals("resource_type", self.resource_type.as_deref());
        conditions.equals("resource_id", self.resource_id.as_deref());
        conditions.either_equals("requested_by", "requester_person", self.requested_by.as_deref());
        conditions.equals("assignee", self.assignee.as_deref());
        conditions.equals("decided_by", self.decided_by.as_deref());
        match self.escalated {
            Some(true) => conditions.at_least("escalation_level", Some(1)),
            Some(false) => conditions.at_most("escalation_level", Some(0)),
            None => {}
        }
        match self.overdue {
            Some(true) => conditions.at_most("overdue_at", Some(self.now)),
            Some(false) => conditions.absent_or_above("overdue_at", self.now),
            None => {}
        }
        conditions.at_least("created_at", self.start);
        conditions.at_most("created_at", self.end);
        conditions
    }
}

/// The requests that match, newest first.
pub async fn list(
    db: &ReadDb,
    ledger_id: &str,
    filter: &ApprovalFilter,
    page: &PageRequest,
) -> Result<Page<ApprovalRow>, ReadError> {
    let conditions = filter.conditions(ledger_id);
    fetch_page(db, "approvals", COLUMNS, "first_position", conditions, page, row, |row| row.first_position).await
}

/// One request.
pub async fn get(db: &ReadDb, ledger_id: &str, approval_id: &str) -> Result<Option<ApprovalRow>, ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.equals("approval_id", Some(approval_id));
    fetch_one(db, "approvals", COLUMNS, conditions, row).await
}

/// What happened to one request, oldest first, and how many events there are. `limit` is brought into 1 to 500.
pub async fn history(
    db: &ReadDb,
    ledger_id: &str,
    approval_id: &str,
    offset: u64,
    limit: u32,
) -> Result<(Vec<ApprovalStep>, u64), ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.equals("approval_id", Some(approval_id));
    fetch_changes(db, "approval_history", HISTORY_COLUMNS, "position", conditions, offset, limit, step).await
}

fn row(fields: &Fields<'_>) -> Result<ApprovalRow, ReadError> {
    Ok(ApprovalRow {
        approval_id: fields.text("approval_id")?,
        action: fields.text("action")?,
        resource_type: fields.text("resource_type")?,
        resource_id: fields.text("resource_id")?,
        summary: fields.text("summary")?,
        digest: fields.text("digest")?,
        requested_by: fields.text("requested_by")?,
        requester_person: fields.text("requester_person")?,
        reason: fields.optional_text("reason")?,
        status: fields.text("status")?,
        decision: fields.optional_text("decision")?,
        escalation_level: fields.natural("escalation_level")?,
        assignee: fields.optional_text("assignee")?,
        revision: fields.natural("revision")?,
        current_step: fields.optional_natural("current_step")?,
        policy_version: fields.natural("policy_version")?,
        decide_by: fields.optional_integer("decide_by")?,
        grant_expires_at: fields.optional_integer("grant_expires_at")?,
        overdue_at: fields.optional_integer("overdue_at")?,
        decided_at: fields.optional_integer("decided_at")?,
        decided_by: fields.optional_text("decided_by")?,
        decision_reason: fields.optional_text("decision_reason")?,
        decided_after: fields.optional_natural("decided_after")?,
        consumed_at: fields.optional_integer("consumed_at")?,
        execution_id: fields.optional_text("execution_id")?,
        created_at: fields.integer("created_at")?,
        submitted_at: fields.optional_integer("submitted_at")?,
        updated_at: fields.integer("updated_at")?,
        escalated_at: fields.optional_integer("escalated_at")?,
        comment_count: fields.natural("comment_count")?,
        first_position: fields.natural("first_position")?,
        last_position: fields.natural("last_position")?,
        version: fields.natural("version")?,
        state: fields.text("state")?,
    })
}

fn step(fields: &Fields<'_>) -> Result<ApprovalStep, ReadError> {
    Ok(ApprovalStep {
        position: fields.natural("position")?,
        approval_id: fields.text("approval_id")?,
        event_type: fields.text("event_type")?,
        actor_id: fields.text("actor_id")?,
        actor_kind: fields.text("actor_kind")?,
        from_status: fields.optional_text("from_status")?,
        to_status: fields.text("to_status")?,
        comment: fields.optional_free_text("comment")?,
        meta: fields.json("meta")?,
        timestamp: fields.integer("timestamp")?,
    })
}
