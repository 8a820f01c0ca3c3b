//! What happened to a request for approval, one row an event, in words and figures that people read.

use daybook_domain::approval::{ApprovalEvent, ApprovalStatus, Voted};
use daybook_ledger::entry::Entry;
use serde_json::{Value as Json, json};

use crate::rows::{RowWriter, Value, free_text};

/// What every event's name begins with.
const PREFIX: &str = "approval.";

pub(super) const HISTORY: RowWriter = RowWriter {
    columns: &[
        "ledger_id",
        "position",
        "approval_id",
        "event_type",
        "actor_id",
        "actor_kind",
        "from_status",
        "to_status",
        "comment",
        "meta",
        "timestamp",
    ],
    key: &[],
};

/// A row of `approval_history`.
pub(super) struct Step {
    position: u64,
    approval_id: String,
    event_type: &'static str,
    actor_id: String,
    actor_kind: &'static str,
    from: Option<&'static str>,
    to: &'static str,
    comment: Option<String>,
    meta: String,
    timestamp: i64,
}

impl Step {
    /// The step that `event` is: the request's status before it and after it.
    pub(super) fn of(
        entry: &Entry,
        event: &ApprovalEvent,
        before: Option<ApprovalStatus>,
        after: Option<ApprovalStatus>,
    ) -> Self {
        let (comment, meta) = told(event);
        Self {
            position: entry.position,
            approval_id: entry.stream.stream_id.clone(),
            event_type: event.name().strip_prefix(PREFIX).unwrap_or_else(|| event.name()),
            actor_id: entry.actor.id.clone(),
            actor_kind: entry.actor.kind.as_str(),
            from: before.map(ApprovalStatus::as_str),
            to: after.map_or("unknown", ApprovalStatus::as_str),
            comment,
            meta: meta.to_string(),
            timestamp: entry.recorded_at,
        }
    }

    pub(super) fn values<'a>(&'a self, ledger_id: &'a str) -> Vec<Value<'a>> {
        vec![
            ledger_id.into(),
            self.position.into(),
            (&self.approval_id).into(),
            self.event_type.into(),
            (&self.actor_id).into(),
            self.actor_kind.into(),
            Value::optional(self.from),
            self.to.into(),
            (&self.comment).into(),
            (&self.meta).into(),
            self.timestamp.into(),
        ]
    }
}

/// What somebody said, and what else the event says.
fn told(event: &ApprovalEvent) -> (Option<String>, Json) {
    let said = |text: Option<&dyn ToString>| text.map(ToString::to_string);
    match event {
        ApprovalEvent::Requested(event) => (
            said(event.reason.as_ref().map(|reason| reason as _)),
            json!({
                "action": event.action.action,
                "resource_type": event.action.resource_type,
                "resource_id": event.action.resource_id,
                "summary": event.action.summary,
                "digest": event.digest,
                "policy_version": event.policy.version,
            }),
        ),
        ApprovalEvent::Submitted(event) => (None, json!({"decide_by": event.decide_by})),
        ApprovalEvent::Revised(event) => (
            said(event.reason.as_ref().map(|reason| reason as _)),
            json!({
                "revision": event.revision,
                "summary": event.action.summary,
                "digest": event.digest,
                "policy_version": event.policy.version,
            }),
        ),
        ApprovalEvent::Voted(event) | ApprovalEvent::Reviewed(event) => voted(event),
        ApprovalEvent::VoteWithdrawn(event) => (None, json!({"person": event.person, "step": event.step})),
        ApprovalEvent::Approved(event) => (
            None,
            json!({
                "revision": event.revision,
                "digest": event.digest,
                "policy_version": event.policy_version,
                "approved_by": event.approved_by,
                "grant_expires_at": event.grant_expires_at,
            }),
        ),
        ApprovalEvent::Rejected(event) => (
            said(event.reason.as_ref().map(|reason| reason as _)),
            json!({"revision": event.revision, "rejected_by": event.rejected_by, "step": event.step}),
        ),
        ApprovalEvent::Commented(event) => {
            (Some(free_text(&event.text)), json!({"comment_id": event.comment_id, "by": event.by}))
        }
        ApprovalEvent::Assigned(event) => (None, json!({"assignee": event.assignee, "by": event.by})),
        ApprovalEvent::Escalated(event) => (
            said(event.reason.as_ref().map(|reason| reason as _)),
            json!({
                "level": event.level,
                "automatic": event.automatic,
                "to": event.to,
                "from_step": event.from_step,
                "repeat_from": event.repeat_from,
            }),
        ),
        ApprovalEvent::Withdrawn(event) => {
            (said(event.reason.as_ref().map(|reason| reason as _)), json!({"by": event.by}))
        }
        ApprovalEvent::Expired(event) => (None, json!({"what": event.what})),
        ApprovalEvent::Consumed(event) => (
            None,
            json!({
                "execution_id": event.execution_id,
                "by": event.by,
                "digest": event.digest,
                "policy_version": event.policy_version,
            }),
        ),
        ApprovalEvent::Voided(event) => (None, json!({"why": event.why})),
        ApprovalEvent::GlassBroken(event) => (
            Some(event.reason.to_string()),
            json!({
                "person": event.person,
                "grant_expires_at": event.grant_expires_at,
                "review_by": event.review_by,
            }),
        ),
        ApprovalEvent::ReviewClosed(event) => (None, json!({"outcome": event.outcome})),
        ApprovalEvent::ReviewOverdue(event) => (None, json!({"review_by": event.review_by})),
    }
}

fn voted(event: &Voted) -> (Option<String>, Json) {
    let vote = &event.vote;
    let meta = json!({
        "decision": vote.decision,
        "step": vote.step,
        "person": vote.person,
        "on_behalf_of": vote.on_behalf_of,
        "delegation_id": vote.delegation_id,
        "revision": event.revision,
        "is_signed": vote.signature.is_some(),
    });
    (vote.reason.as_ref().map(ToString::to_string), meta)
}
