//! The projector `approvals`: each request for approval as it is now, and what happened to it.
//!
//! The state is the domain's own: events are applied to the aggregate, which is kept beside the columns that queries
//! filter by. There is no second account of what an event means.

mod history;

use async_trait::async_trait;
use cqrs_es::Aggregate;
use daybook_domain::approval::{Approval, ApprovalEvent, ApprovalStatus};
use daybook_domain::{AnyEvent, Timestamp};
use daybook_ledger::entry::Entry;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use self::history::{HISTORY, Step};
use crate::error::FoldError;
use crate::kept::{Kept, KeptRow};
use crate::projector::{DecodedEntry, Interest, Projector, TableDefinition, TableNames};
use crate::rows::{RowWriter, Value, natural, read_state, written};

/// Answers: what is waiting for a decision, what was decided, by whom, and how long did it take?
#[derive(Debug, Clone, Copy)]
pub struct Approvals;

/// Microseconds of a second.
const SECOND: i64 = 1_000_000;

/// Raised whenever the fold here or a table changes; at most 99.
const VERSION: u32 = 1;

const TABLES: &[TableDefinition] = &[
    TableDefinition { name: "approvals", ddl: include_str!("../../migrations/read/approvals.sql") },
    TableDefinition { name: "approval_history", ddl: include_str!("../../migrations/read/approval_history.sql") },
];

const ROWS: RowWriter = RowWriter {
    columns: &[
        "ledger_id",
        "approval_id",
        "action",
        "resource_type",
        "resource_id",
        "summary",
        "digest",
        "requested_by",
        "requester_person",
        "reason",
        "status",
        "decision",
        "escalation_level",
        "assignee",
        "revision",
        "current_step",
        "policy_version",
        "decide_by",
        "grant_expires_at",
        "overdue_at",
        "decided_at",
        "decided_by",
        "decision_reason",
        "decided_after",
        "consumed_at",
        "execution_id",
        "created_at",
        "submitted_at",
        "updated_at",
        "escalated_at",
        "comment_count",
        "first_position",
        "last_position",
        "version",
        "state",
    ],
    key: &["ledger_id", "approval_id"],
};

/// A row of `approvals`: the request, and what its events say about when and by whom.
struct State {
    approval_id: String,
    approval: Approval,
    reason: Option<String>,
    decision: Option<String>,
    decided_at: Option<i64>,
    decided_by: Option<String>,
    decision_reason: Option<String>,
    /// Microseconds from submission to decision.
    decided_after: Option<i64>,
    overdue_at: Option<i64>,
    consumed_at: Option<i64>,
    execution_id: Option<String>,
    created_at: i64,
    submitted_at: Option<i64>,
    updated_at: i64,
    escalated_at: Option<i64>,
    comment_count: u64,
    first_position: u64,
    last_position: u64,
    version: u64,
}

#[async_trait]
impl Projector for Approvals {
    fn name(&self) -> &'static str {
        daybook_read_models::approvals::PROJECTOR
    }

    /// Rises with the aggregate's fold, too: rows hold its state.
    fn version(&self) -> u32 {
        Approval::REDUCER_VERSION * 100 + VERSION
    }

    fn tables(&self) -> &'static [TableDefinition] {
        TABLES
    }

    fn interest(&self, stream_type: &str) -> Interest {
        if stream_type == "approval" { Interest::Decoded } else { Interest::Ignored }
    }

    async fn fold(
        &self,
        connection: &mut AnyConnection,
        tables: &TableNames,
        ledger_id: &str,
        batch: &[DecodedEntry],
    ) -> Result<(), FoldError> {
        let table = tables.of("approvals");
        let mut states = Kept::of_streams(connection, &table, ledger_id, batch, "approval").await?;
        let mut steps = Vec::new();
        for DecodedEntry { entry, event } in batch {
            let Some(AnyEvent::Approval(event)) = event else { continue };
            if let ApprovalEvent::Requested(request) = event {
                let at = request.at.micros();
                let reason = request.reason.as_ref().map(ToString::to_string);
                states.insert(State::requested(entry, reason, at));
            }
            let Some(state) = states.get_mut(&entry.stream.stream_id) else { continue };
            let before = state.status();
            state.apply(entry, event);
            steps.push(Step::of(entry, event, before, state.status()));
        }
        states.write(connection, &table, ledger_id).await?;
        let rows: Vec<Vec<Value<'_>>> = steps.iter().map(|step| step.values(ledger_id)).collect();
        HISTORY.write(connection, &tables.of("approval_history"), &rows).await
    }
}

impl State {
    fn requested(entry: &Entry, reason: Option<String>, at: i64) -> Self {
        Self {
            approval_id: entry.stream.stream_id.clone(),
            approval: Approval::default(),
            reason,
            decision: None,
            decided_at: None,
            decided_by: None,
            decision_reason: None,
            decided_after: None,
            overdue_at: None,
            consumed_at: None,
            execution_id: None,
            created_at: at,
            submitted_at: None,
            updated_at: entry.recorded_at,
            escalated_at: None,
            comment_count: 0,
            first_position: entry.position,
            last_position: entry.position,
            version: entry.version,
        }
    }

    fn status(&self) -> Option<ApprovalStatus> {
        self.approval.status()
    }

    fn apply(&mut self, entry: &Entry, event: &ApprovalEvent) {
        self.last_position = entry.position;
        self.version = entry.version;
        self.updated_at = entry.recorded_at;
        self.approval.apply(event.clone());
        if matches!(self.status(), Some(ApprovalStatus::Draft | ApprovalStatus::Pending)) {
            // What was decided is to be decided again.
            (self.decision, self.decided_at, self.decided_by) = (None, None, None);
            (self.decision_reason, self.decided_after) = (None, None);
        } else {
            self.overdue_at = None;
        }
        match event {
            ApprovalEvent::Requested(_)
            | ApprovalEvent::Voted(_)
            | ApprovalEvent::VoteWithdrawn(_)
            | ApprovalEvent::Assigned(_)
            | ApprovalEvent::Withdrawn(_)
            | ApprovalEvent::Expired(_)
            | ApprovalEvent::Voided(_) => {}
            ApprovalEvent::Submitted(event) => {
                self.submitted_at.get_or_insert(event.at.micros());
                self.expect_from(event.at);
            }
            ApprovalEvent::Revised(event) => {
                if event.reason.is_some() {
                    self.reason = event.reason.as_ref().map(ToString::to_string);
                }
                if self.status() == Some(ApprovalStatus::Pending) {
                    self.expect_from(event.at);
                }
            }
            ApprovalEvent::Approved(event) => {
                // A policy that asks nobody is fulfilled by nobody.
                let decided_by = (!event.approved_by.is_empty()).then(|| entry.actor.id.clone());
                self.decide("approved", event.at, decided_by);
                let last = self.approval.votes().last().and_then(|vote| vote.reason.as_ref());
                self.decision_reason = last.map(ToString::to_string);
            }
            ApprovalEvent::Rejected(event) => {
                self.decide("rejected", event.at, Some(entry.actor.id.clone()));
                self.decision_reason = event.reason.as_ref().map(ToString::to_string);
            }
            ApprovalEvent::Commented(_) => self.comment_count += 1,
            ApprovalEvent::Escalated(event) => self.escalated_at = Some(event.at.micros()),
            ApprovalEvent::Consumed(event) => {
                self.consumed_at = Some(event.at.micros());
                self.execution_id = Some(event.execution_id.to_string());
            }
            ApprovalEvent::GlassBroken(event) => {
                self.decide("broken_glass", event.at, Some(event.actor.to_string()));
                self.decision_reason = Some(event.reason.to_string());
            }
            ApprovalEvent::Reviewed(_) | ApprovalEvent::ReviewClosed(_) | ApprovalEvent::ReviewOverdue(_) => {}
        }
        if let Some(review) = self.approval.review().filter(|review| review.is_open()) {
            self.overdue_at = Some(review.review_by.micros());
        }
    }

    fn decide(&mut self, decision: &str, at: Timestamp, by: Option<String>) {
        self.decision = Some(decision.to_owned());
        self.decided_at = Some(at.micros());
        self.decided_by = by;
        self.decided_after = self.submitted_at.map(|submitted| at.micros().saturating_sub(submitted).max(0));
    }

    /// Says from when on it is overdue: from the first escalation of its policy on, else at the end of the time to
    /// decide.
    fn expect_from(&mut self, at: Timestamp) {
        let first = self.approval.policy().and_then(|policy| policy.terms.escalation.first());
        let escalation = first.map(|rule| {
            let after = i64::try_from(rule.after_seconds).unwrap_or(i64::MAX).saturating_mul(SECOND);
            at.micros().saturating_add(after)
        });
        let end = self.approval.decide_by().map(|time| time.micros());
        self.overdue_at = escalation.into_iter().chain(end).min();
    }
}

impl KeptRow for State {
    const WRITER: RowWriter = ROWS;
    const ID: &'static str = "approval_id";

    fn id(&self) -> &str {
        &self.approval_id
    }

    fn first_position(&self) -> u64 {
        self.first_position
    }

    fn read(row: &AnyRow) -> Result<Self, FoldError> {
        Ok(Self {
            approval_id: row.try_get("approval_id")?,
            approval: read_state(row, "state")?,
            reason: row.try_get("reason")?,
            decision: row.try_get("decision")?,
            decided_at: row.try_get("decided_at")?,
            decided_by: row.try_get("decided_by")?,
            decision_reason: row.try_get("decision_reason")?,
            decided_after: row.try_get("decided_after")?,
            overdue_at: row.try_get("overdue_at")?,
            consumed_at: row.try_get("consumed_at")?,
            execution_id: row.try_get("execution_id")?,
            created_at: row.try_get("created_at")?,
            submitted_at: row.try_get("submitted_at")?,
            updated_at: row.try_get("updated_at")?,
            escalated_at: row.try_get("escalated_at")?,
            comment_count: natural(row, "comment_count")?,
            first_position: natural(row, "first_position")?,
            last_position: natural(row, "last_position")?,
            version: natural(row, "version")?,
        })
    }

    fn values<'a>(&'a self, ledger_id: &'a str) -> Result<Vec<Value<'a>>, FoldError> {
        let approval = &self.approval;
        let (Some(action), Some(digest), Some(requester), Some(policy), Some(status)) =
            (approval.action(), approval.digest(), approval.requester(), approval.policy(), approval.status())
        else {
            return Err(FoldError::Inconsistent(format!("approval {} has no request", self.approval_id)));
        };
        let micros = |time: Option<Timestamp>| Value::OptionalInteger(time.map(|time| time.micros()));
        Ok(vec![
            ledger_id.into(),
            (&self.approval_id).into(),
            action.action.as_str().into(),
            action.resource_type.as_str().into(),
            action.resource_id.as_str().into(),
            action.summary.as_str().into(),
            digest.as_str().into(),
            requester.actor.as_str().into(),
            requester.person.as_str().into(),
            (&self.reason).into(),
            status.as_str().into(),
            (&self.decision).into(),
            i64::from(approval.escalation_level()).into(),
            Value::optional(approval.assignee()),
            approval.revision().into(),
            // Once it is decided, the open step is one of the review.
            Value::OptionalInteger(
                approval.current_step().filter(|_| status == ApprovalStatus::Pending).map(i64::from),
            ),
            policy.version.into(),
            micros(approval.decide_by()),
            micros(approval.grant_expires_at()),
            self.overdue_at.into(),
            self.decided_at.into(),
            (&self.decided_by).into(),
            (&self.decision_reason).into(),
            self.decided_after.into(),
            self.consumed_at.into(),
            (&self.execution_id).into(),
            self.created_at.into(),
            self.submitted_at.into(),
            self.updated_at.into(),
            self.escalated_at.into(),
            self.comment_count.into(),
            self.first_position.into(),
            self.last_position.into(),
            self.version.into(),
            Value::text(written(approval)),
        ])
    }
}
