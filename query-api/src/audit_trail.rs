//! The audit trail: every entry of the ledger in words, in our shape and in the predecessors'.

use actix_web::HttpResponse;
use daybook_http_kit::permission::AuditRead;
use daybook_http_kit::{Allowed, AtLeast, Listing, PageParameters, Problem, Query, Scoped};
use daybook_read_models::PageRequest;
use daybook_read_models::audit_trail::{self, AuditTrailFilter, AuditTrailRow, PROJECTOR};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::answer::AnswerAt;
use crate::freshness::{self, failed};
use crate::parameters::{ListQuery, invalid, ordered, text, word};
use crate::state::QueryState;
use crate::time::{self, Edge, rfc3339};

const ACTOR_KINDS: [&str; 3] = ["human", "agent", "system"];
/// Rows of the predecessors' list where the client says nothing.
const PREDECESSOR_LIMIT: u32 = 100;
/// Most rows of it.
const MAX_PREDECESSOR_LIMIT: u32 = 500;

/// One entry of the ledger as an auditor reads it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditTrailView {
    /// Its place in the ledger.
    #[schema(example = 42)]
    position: u64,
    /// When it was recorded.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    recorded_at: String,
    /// What happened.
    #[schema(example = "incident.opened")]
    event_type: String,
    /// Type of what it happened to.
    #[schema(example = "incident")]
    entity_type: String,
    /// Id of what it happened to.
    #[schema(example = "inc_0193f3a17c0070008000000000000001")]
    entity_id: String,
    /// Its place in the history of that.
    #[schema(example = 1)]
    version: u64,
    /// `human`, `agent` or `system`.
    #[schema(example = "human")]
    actor_kind: String,
    /// Opaque id of who did it.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    actor_id: String,
    /// For whom.
    on_behalf_of: Option<String>,
    /// What piece of work it belongs to.
    correlation_id: Option<String>,
    /// What directly caused it.
    causation_id: Option<String>,
    /// One sentence.
    #[schema(example = "Incident opened: Settlement of TX-1001 failed")]
    summary: String,
    /// The regulations that it is kept for.
    #[schema(example = json!(["SEC_17a4", "FINRA_4511"]))]
    regulation_tags: Vec<String>,
    /// The entry's hash, hexadecimal.
    hash: String,
    /// Where the entry is, with its exact bytes.
    links: EntryLinks,
}

/// Where an entry is.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryLinks {
    /// The entry itself.
    #[schema(example = "/v1/ledgers/main/entries/42")]
    entry: String,
}

impl AuditTrailView {
    fn new(row: AuditTrailRow, ledger_id: &str) -> Self {
        Self {
            links: EntryLinks { entry: format!("/v1/ledgers/{ledger_id}/entries/{}", row.position) },
            position: row.position,
            recorded_at: rfc3339(row.recorded_at),
            event_type: row.event_type,
            entity_type: row.entity_type,
            entity_id: row.entity_id,
            version: row.version,
            actor_kind: row.actor_kind,
            actor_id: row.actor_id,
            on_behalf_of: row.on_behalf_of,
            correlation_id: row.correlation_id,
            causation_id: row.causation_id,
            summary: row.summary,
            regulation_tags: row.regulation_tags,
            hash: row.hash,
        }
    }
}

/// One entry in the predecessors' words.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditTrailRecord {
    /// When it was recorded.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    timestamp: String,
    /// What happened, in title case.
    #[schema(example = "Incident Opened")]
    action: String,
    /// Opaque id of who did it.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    user: String,
    /// One sentence.
    details: String,
    /// The first regulation that it is kept for, with a space; empty where there is none.
    #[schema(example = "FINRA 4511")]
    compliance_tag: String,
    /// Type of what it happened to.
    #[schema(example = "incident")]
    entity_type: String,
    /// Id of what it happened to.
    entity_id: String,
    /// All regulations that it is kept for.
    #[schema(example = json!(["FINRA_4511"]))]
    regulation_tags: Vec<String>,
}

impl From<AuditTrailRow> for AuditTrailRecord {
    fn from(row: AuditTrailRow) -> Self {
        Self {
            timestamp: rfc3339(row.recorded_at),
            action: title_case(&row.event_type),
            user: row.actor_id,
            details: row.summary,
            compliance_tag: row.regulation_tags.first().map(|tag| tag.replace('_', " ")).unwrap_or_default(),
            entity_type: row.entity_type,
            entity_id: row.entity_id,
            regulation_tags: row.regulation_tags,
        }
    }
}

/// `incident.status_changed` as `Incident Status Changed`.
fn title_case(event_type: &str) -> String {
    let words = event_type.split(['.', '_']).filter(|word| !word.is_empty()).map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Which entries. Everything given must match; text matches exactly unless it says otherwise.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AuditTrailParameters {
    /// What happened.
    #[param(example = "incident.opened")]
    event_type: Option<String>,
    /// Type of what it happened to.
    #[param(example = "incident")]
    entity_type: Option<String>,
    /// Id of what it happened to.
    entity_id: Option<String>,
    /// `human`, `agent` or `system`.
    #[param(example = "human")]
    actor_kind: Option<String>,
    /// Opaque id of who did it.
    actor_id: Option<String>,
    /// One of the regulations that it is kept for, with underscores or spaces.
    #[param(example = "FINRA_4511")]
    regulation_tag: Option<String>,
    /// What piece of work it belongs to.
    correlation_id: Option<String>,
    /// Recorded at this time or later: RFC 3339, or a date.
    #[param(example = "2026-11-01")]
    start: Option<String>,
    /// Recorded at this time or earlier: RFC 3339, or a date, which includes that day.
    #[param(example = "2026-11-30")]
    end: Option<String>,
    /// From this position on.
    from_position: Option<u64>,
    /// Up to this position, inclusive.
    to_position: Option<u64>,
    /// Part of ids, event type, summary or payload, whatever the case.
    q: Option<String>,
}

impl AuditTrailParameters {
    fn filter(self) -> Result<AuditTrailFilter, Problem> {
        let filter = AuditTrailFilter {
            event_types: text("event_type", self.event_type)?.into_iter().collect(),
            entity_type: text("entity_type", self.entity_type)?,
            entity_id: text("entity_id", self.entity_id)?,
            actor_kind: word("actor_kind", self.actor_kind, &ACTOR_KINDS, &[])?,
            actor_id: text("actor_id", self.actor_id)?,
            regulation_tag: tag(self.regulation_tag)?,
            correlation_id: text("correlation_id", self.correlation_id)?,
            start: time::parameter("start", self.start.as_deref(), Edge::Start)?,
            end: time::parameter("end", self.end.as_deref(), Edge::End)?,
            from_position: self.from_position,
            to_position: self.to_position,
            q: text("q", self.q)?,
        };
        ordered("end", filter.start, filter.end)?;
        ordered("to_position", filter.from_position, filter.to_position)?;
        Ok(filter)
    }
}

fn tag(value: Option<String>) -> Result<Option<String>, Problem> {
    let tag = text("regulation_tag", value)?.map(|tag| tag.replace(' ', "_"));
    match &tag {
        Some(tag) if tag.contains(',') => Err(invalid("regulation_tag", "must be one tag")),
        _ => Ok(tag),
    }
}

/// Read the audit trail
///
/// Every entry of the ledger in words, newest first.
#[utoipa::path(get, path = "/v1/audit-trail", tag = "audit trail", operation_id = "list_audit_trail",
    params(AuditTrailParameters, PageParameters),
    responses((status = 200, description = "A page of the audit trail", body = Listing<AuditTrailView>)))]
pub async fn list(
    _: Allowed<AuditRead>,
    at_least: AtLeast,
    query: ListQuery<AuditTrailParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let filter = query.filter.filter()?;
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let found = audit_trail::list(&state.db, state.ledger_id(), &filter, &query.page).await.map_err(failed)?;
    let ledger_id = state.ledger_id();
    Ok(HttpResponse::Ok().position(seen).json(Listing {
        items: found.items.into_iter().map(|row| AuditTrailView::new(row, ledger_id)).collect(),
        next_cursor: found.next_cursor.map(|cursor| cursor.to_string()),
        total: found.total,
    }))
}

/// Which entries, in the predecessors' parameters.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PredecessorParameters {
    /// Type of what it happened to.
    #[param(example = "incident")]
    entity_type: Option<String>,
    /// What happened: `incident.opened`, or with underscores only; or one of `incident_created`,
    /// `incident_status_change`, `incident_escalation`, `incident_assignment`, `incident_comment`, `approval_requested`,
    /// `approval_decided`, `export_initiated`, `export_delivered`; or `agent_action_` and `proposed`, `approved`,
    /// `rejected`, `assigned`, `commented` or `escalated`, which are those of all approvals.
    #[param(example = "incident_created")]
    event_type: Option<String>,
    /// One of the regulations that it is kept for, with underscores or spaces.
    #[param(example = "FINRA_4511")]
    regulation_tag: Option<String>,
    /// Recorded at this time or later: RFC 3339, or a date.
    start: Option<String>,
    /// Recorded at this time or earlier: RFC 3339, or a date, which includes that day.
    end: Option<String>,
    /// Most rows: 1 to 500, 100 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Read the audit trail as a bare list
///
/// The newest entries as a bare list, in the shape that older clients read.
#[utoipa::path(get, path = "/v1/api/audit_trail", tag = "audit trail", operation_id = "list_audit_trail_records",
    params(PredecessorParameters),
    responses((status = 200, description = "The newest entries", body = Vec<AuditTrailRecord>)))]
pub async fn predecessor_list(
    _: Allowed<AuditRead>,
    at_least: AtLeast,
    Query(parameters): Query<PredecessorParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let limit = parameters.limit.unwrap_or(PREDECESSOR_LIMIT);
    if !(1..=MAX_PREDECESSOR_LIMIT).contains(&limit) {
        return Err(invalid("limit", format!("must be 1 to {MAX_PREDECESSOR_LIMIT}")));
    }
    let filter = AuditTrailFilter {
        event_types: text("event_type", parameters.event_type)?.map(|name| event_types(&name)).unwrap_or_default(),
        entity_type: text("entity_type", parameters.entity_type)?,
        regulation_tag: tag(parameters.regulation_tag)?,
        start: time::parameter("start", parameters.start.as_deref(), Edge::Start)?,
        end: time::parameter("end", parameters.end.as_deref(), Edge::End)?,
        ..AuditTrailFilter::default()
    };
    ordered("end", filter.start, filter.end)?;
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let request = PageRequest { limit, ..PageRequest::default() };
    let found = audit_trail::list(&state.db, state.ledger_id(), &filter, &request).await.map_err(failed)?;
    let records: Vec<AuditTrailRecord> = found.items.into_iter().map(AuditTrailRecord::from).collect();
    Ok(HttpResponse::Ok().position(seen).json(records))
}

/// The predecessors' names of what happens, and what each stands for.
const PREDECESSOR_EVENT_TYPES: &[(&str, &[&str])] = &[
    ("incident_created", &["incident.opened"]),
    (
        "incident_status_change",
        &[
            "incident.acknowledged",
            "incident.investigation_started",
            "incident.resolved",
            "incident.closed",
            "incident.reopened",
        ],
    ),
    ("incident_escalation", &["incident.escalated"]),
    ("incident_assignment", &["incident.assigned"]),
    ("incident_comment", &["incident.commented"]),
    ("approval_requested", &["approval.requested"]),
    ("approval_decided", &["approval.approved", "approval.rejected"]),
    // Agents' actions are requests for approval like others; the trail tells of all of them together.
    ("agent_action_proposed", &["approval.requested"]),
    ("agent_action_approved", &["approval.approved"]),
    ("agent_action_rejected", &["approval.rejected"]),
    ("agent_action_assigned", &["approval.assigned"]),
    ("agent_action_commented", &["approval.commented"]),
    ("agent_action_escalated", &["approval.escalated"]),
    ("export_initiated", &["export.requested"]),
    // Each attempt is an entry of its own, and its summary says what came of it.
    ("export_delivered", &["export.delivery_attempted", "export.collected"]),
];

/// The event types that a name asks for: one of the predecessors' names, or an event type, with its dot or without:
/// `incident_opened` is `incident.opened`.
fn event_types(name: &str) -> Vec<String> {
    let meant = PREDECESSOR_EVENT_TYPES.iter().find(|(known, _)| *known == name);
    match meant {
        Some((_, event_types)) => event_types.iter().map(|event_type| (*event_type).to_owned()).collect(),
        None if name.contains('.') => vec![name.to_owned()],
        None => vec![name.replacen('_', ".", 1)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types_become_titles_and_back() {
        assert_eq!(title_case("incident.status_changed"), "Incident Status Changed");
        assert_eq!(event_types("transaction_status_changed"), ["transaction.status_changed"]);
        assert_eq!(event_types("incident.opened"), ["incident.opened"]);
        assert_eq!(event_types("incident_created"), ["incident.opened"]);
        assert_eq!(event_types("incident_status_change").len(), 5);
        assert_eq!(event_types("approval_decided"), ["approval.approved", "approval.rejected"]);
        assert_eq!(event_types("export_verified"), ["export.verified"]);
    }
}
