//! Incidents as they are now, and their timelines.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use daybook_http_kit::permission::IncidentRead;
use daybook_http_kit::sealer::INCIDENT_COMMENT;
use daybook_http_kit::{AllowedWithin, AtLeast, NoQuery, PageParameters, Problem, Query, Scoped, if_match};
use daybook_read_models::incidents::{self, IncidentFilter, IncidentRow, PROJECTOR, TimelineRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::answer::AnswerAt;
use crate::free_text;
use crate::freshness::{self, failed};
use crate::parameters::{ListQuery, can_be_id, invalid, ordered, text, word};
use crate::state::QueryState;
use crate::time::{self, Edge, rfc3339};

const STATUSES: [&str; 6] = ["open", "acknowledged", "investigating", "resolved", "closed", "escalated"];
const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];
const DETECTION_METHODS: [&str; 3] = ["manual", "rule", "model"];
/// Steps of a timeline where the client says nothing.
const DEFAULT_STEPS: u32 = 50;
/// Most steps of one answer.
const MAX_STEPS: u32 = 200;
/// Most steps that are skipped.
const MAX_OFFSET: u64 = 1_000_000;

/// An incident as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentView {
    /// The same as `incident_id`.
    #[schema(example = "inc_0193f3a17c0070008000000000000001")]
    id: String,
    /// Its id.
    #[schema(example = "inc_0193f3a17c0070008000000000000001")]
    incident_id: String,
    /// What it is.
    #[schema(example = "Settlement of TX-1001 failed")]
    title: String,
    /// What happened.
    description: Option<String>,
    /// `low`, `medium`, `high` or `critical`.
    #[schema(example = "high")]
    severity: String,
    /// `open`, `acknowledged`, `investigating`, `resolved` or `closed`.
    #[schema(example = "open")]
    status: String,
    /// Its kind.
    #[serde(rename = "type")]
    #[schema(example = "settlement_failure")]
    kind: String,
    /// The desk concerned.
    #[schema(example = "Equities")]
    desk: Option<String>,
    /// The trader concerned.
    trader: Option<String>,
    /// 1 (first) to 5.
    #[schema(example = 2)]
    priority: u8,
    /// What caused it.
    root_cause: Option<String>,
    /// What to do about it.
    recommended_action: Option<String>,
    /// The record or event that it is about.
    #[schema(example = "TX-1001")]
    source_event_id: Option<String>,
    /// `manual`, `rule` or `model`.
    #[schema(example = "rule")]
    detection_method: String,
    /// When it was opened.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    created_at: String,
    /// When its newest entry was recorded.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    updated_at: String,
    /// When it was resolved, while it is.
    resolved_at: Option<String>,
    /// Who has it.
    assigned_to: Option<String>,
    /// The client's further fields.
    #[schema(value_type = Object)]
    meta: Value,
    /// When the record or event that it is about last happened.
    last_event_timestamp: Option<String>,
    /// What opened it.
    source: Option<String>,
    /// The rule or model that found it.
    rule: Option<String>,
    /// Its version.
    rule_version: Option<u64>,
    /// 0 (not escalated) to 5.
    #[schema(example = 0)]
    escalation_level: u8,
    /// To whom it was last escalated.
    escalated_to: Option<String>,
    /// When it was last escalated.
    escalated_at: Option<String>,
    /// How it was resolved, while it is.
    resolution: Option<String>,
    /// When it was acknowledged.
    acknowledged_at: Option<String>,
    /// When it was closed, while it is.
    closed_at: Option<String>,
    /// How often it was reopened.
    #[schema(example = 0)]
    reopened_count: u64,
    /// Comments on it.
    #[schema(example = 0)]
    comment_count: u64,
    /// Version of its stream, for `If-Match`.
    #[schema(example = 1)]
    version: u64,
    /// Position of the entry that opened it.
    #[schema(example = 42)]
    first_position: u64,
    /// Position of its newest entry.
    #[schema(example = 42)]
    last_position: u64,
}

impl From<IncidentRow> for IncidentView {
    fn from(row: IncidentRow) -> Self {
        Self {
            id: row.incident_id.clone(),
            incident_id: row.incident_id,
            title: row.title,
            description: row.description,
            severity: row.severity,
            status: row.status,
            kind: row.incident_type,
            desk: row.desk,
            trader: row.trader,
            priority: row.priority,
            root_cause: row.root_cause,
            recommended_action: row.recommended_action,
            source_event_id: row.source_event_id,
            detection_method: row.detection_method,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
            resolved_at: row.resolved_at.map(rfc3339),
            assigned_to: row.assigned_to,
            meta: row.meta,
            last_event_timestamp: row.last_event_timestamp.map(rfc3339),
            source: row.source,
            rule: row.rule,
            rule_version: row.rule_version,
            escalation_level: row.escalation_level,
            escalated_to: row.escalated_to,
            escalated_at: row.escalated_at.map(rfc3339),
            resolution: row.resolution,
            acknowledged_at: row.acknowledged_at.map(rfc3339),
            closed_at: row.closed_at.map(rfc3339),
            reopened_count: row.reopened_count,
            comment_count: row.comment_count,
            version: row.version,
            first_position: row.first_position,
            last_position: row.last_position,
        }
    }
}

/// A page of incidents.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentList {
    /// The same as `items`, under the name that older clients read.
    #[schema(value_type = Vec<IncidentView>)]
    incidents: Arc<[IncidentView]>,
    /// The incidents.
    #[schema(value_type = Vec<IncidentView>)]
    items: Arc<[IncidentView]>,
    /// Pass it as `cursor` for the next page; null where this is the last.
    next_cursor: Option<String>,
    /// How many match in all, where `count=true` asked for it.
    total: Option<u64>,
}

/// One step of a timeline.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineStep {
    /// Position of the entry.
    #[schema(example = 43)]
    id: u64,
    /// `opened`, `status_change`, `assignment`, `comment`, `escalation`, `severity_change`, `priority_change` or
    /// `details_change`.
    #[schema(example = "status_change")]
    event_type: String,
    /// Opaque id of who did it.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    user_id: String,
    /// `human`, `agent` or `system`.
    #[schema(example = "human")]
    actor_kind: String,
    /// The value before; a JSON object of fields for `details_change`.
    #[schema(example = "open")]
    old_value: Option<String>,
    /// The value after.
    #[schema(example = "investigating")]
    new_value: Option<String>,
    /// The comment, note or reason; `erased` in place of a comment whose author was erased.
    comment: Option<String>,
    /// What else the step says.
    #[schema(value_type = Object)]
    meta: Value,
    /// When.
    #[schema(example = "2026-11-21T10:05:00.000000Z")]
    timestamp: String,
}

impl TimelineStep {
    fn new(row: TimelineRow, comment: Option<String>) -> Self {
        Self {
            id: row.position,
            event_type: row.event_type,
            user_id: row.user_id,
            actor_kind: row.actor_kind,
            old_value: row.old_value,
            new_value: row.new_value,
            comment,
            meta: row.meta,
            timestamp: rfc3339(row.timestamp),
        }
    }
}

/// A part of a timeline, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Timeline {
    /// Steps in all.
    #[schema(example = 1)]
    total: u64,
    /// Steps skipped.
    #[schema(example = 0)]
    offset: u64,
    /// Most steps of this answer.
    #[schema(example = 50)]
    limit: u32,
    /// The steps.
    results: Vec<TimelineStep>,
}

/// Which incidents. Everything given must match; text matches exactly unless it says otherwise.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct IncidentParameters {
    /// Its kind.
    #[serde(rename = "type")]
    #[param(example = "settlement_failure")]
    kind: Option<String>,
    /// The desk concerned.
    desk: Option<String>,
    /// The trader concerned.
    trader: Option<String>,
    /// 1 (first) to 5.
    #[param(minimum = 1, maximum = 5, value_type = Option<u8>)]
    priority: Option<String>,
    /// What caused it.
    root_cause: Option<String>,
    /// `manual`, `rule` or `model` (also `ml`).
    #[param(example = "rule")]
    detection_method: Option<String>,
    /// `open`, `acknowledged` (also `triaged`), `investigating`, `resolved`, `closed`; or `escalated` for those with an
    /// escalation level, whatever their status.
    #[param(example = "open")]
    status: Option<String>,
    /// `low`, `medium`, `high` or `critical`.
    #[param(example = "high")]
    severity: Option<String>,
    /// Who has it.
    assigned_to: Option<String>,
    /// True for escalated ones, false for the others.
    #[param(value_type = Option<bool>)]
    escalated: Option<String>,
    /// The rule or model that found it.
    rule: Option<String>,
    /// The record or event that it is about.
    source_event_id: Option<String>,
    /// Opened at this time or later: RFC 3339, or a date.
    #[param(example = "2026-11-01")]
    start: Option<String>,
    /// Opened at this time or earlier: RFC 3339, or a date, which includes that day.
    #[param(example = "2026-11-30")]
    end: Option<String>,
    /// Part of the title or id, whatever the case.
    q: Option<String>,
}

impl IncidentParameters {
    fn filter(self) -> Result<IncidentFilter, Problem> {
        let mut status = word("status", self.status, &STATUSES, &[("triaged", "acknowledged")])?;
        let mut escalated = word("escalated", self.escalated, &["true", "false"], &[("1", "true"), ("0", "false")])?
            .map(|word| word == "true");
        if status.as_deref() == Some("escalated") {
            if escalated == Some(false) {
                return Err(invalid("escalated", "contradicts status=escalated"));
            }
            (status, escalated) = (None, Some(true));
        }
        let priority = word("priority", self.priority, &["1", "2", "3", "4", "5"], &[])?;
        let filter = IncidentFilter {
            status,
            severity: word("severity", self.severity, &SEVERITIES, &[])?,
            incident_type: text("type", self.kind)?,
            desk: text("desk", self.desk)?,
            desks: None,
            trader: text("trader", self.trader)?,
            priority: priority.and_then(|digit| digit.parse().ok()),
            root_cause: text("root_cause", self.root_cause)?,
            detection_method: word("detection_method", self.detection_method, &DETECTION_METHODS, &[("ml", "model")])?,
            assigned_to: text("assigned_to", self.assigned_to)?,
            escalated,
            rule: text("rule", self.rule)?,
            source_event_id: text("source_event_id", self.source_event_id)?,
            start: time::parameter("start", self.start.as_deref(), Edge::Start)?,
            end: time::parameter("end", self.end.as_deref(), Edge::End)?,
            q: text("q", self.q)?,
        };
        ordered("end", filter.start, filter.end)?;
        Ok(filter)
    }
}

/// List incidents
///
/// Incidents, newest opened first.
#[utoipa::path(get, path = "/v1/incidents", tag = "incidents", operation_id = "list_incidents",
    params(IncidentParameters, PageParameters),
    responses((status = 200, description = "A page of incidents", body = IncidentList)))]
pub async fn list(
    caller: AllowedWithin<IncidentRead>,
    at_least: AtLeast,
    query: ListQuery<IncidentParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let filter =
        IncidentFilter { desks: caller.scope().departments().map(<[String]>::to_vec), ..query.filter.filter()? };
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let found = incidents::list(&state.db, state.ledger_id(), &filter, &query.page).await.map_err(failed)?;
    let items: Arc<[IncidentView]> = found.items.into_iter().map(IncidentView::from).collect();
    Ok(HttpResponse::Ok().position(seen).json(IncidentList {
        incidents: Arc::clone(&items),
        items,
        next_cursor: found.next_cursor.map(|cursor| cursor.to_string()),
        total: found.total,
    }))
}

/// Read one incident
///
/// One incident. `ETag` is its version, for `If-Match`.
#[utoipa::path(get, path = "/v1/incidents/{incident_id}", tag = "incidents", operation_id = "get_incident",
    params(("incident_id" = String, Path, description = "Id of the incident", example = "inc_0193f3a17c00700080000001")),
    responses((status = 200, description = "The incident", body = IncidentView,
        headers(("ETag" = String, description = "Its version in quotation marks")))))]
pub async fn get(
    caller: AllowedWithin<IncidentRead>,
    _: NoQuery,
    at_least: AtLeast,
    incident_id: web::Path<String>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::not_found("incident.not_found", "there is no incident of that id");
    if !can_be_id(&incident_id) {
        return Err(unknown());
    }
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let row = incidents::get(&state.db, state.ledger_id(), &incident_id).await.map_err(failed)?;
    let row = row.filter(|row| caller.scope().covers(row.desk.as_deref())).ok_or_else(unknown)?;
    let tag = if_match::entity_tag(row.version);
    Ok(HttpResponse::Ok().position(seen).insert_header(tag).json(IncidentView::from(row)))
}

/// Which part of a timeline.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TimelineParameters {
    /// Steps to skip, 0 unless given.
    offset: Option<u64>,
    /// Most steps to answer: 1 to 200, 50 unless given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Read an incident's timeline
///
/// What was done about an incident, oldest first. An id that nobody has used has an empty timeline.
#[utoipa::path(get, path = "/v1/incidents/{incident_id}/timeline", tag = "incidents",
    operation_id = "get_incident_timeline",
    params(("incident_id" = String, Path, description = "Id of the incident", example = "inc_0193f3a17c00700080000001"),
           TimelineParameters),
    responses((status = 200, description = "A part of the timeline", body = Timeline)))]
pub async fn timeline(
    caller: AllowedWithin<IncidentRead>,
    at_least: AtLeast,
    incident_id: web::Path<String>,
    Query(parameters): Query<TimelineParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let (offset, limit) = (parameters.offset.unwrap_or(0), parameters.limit.unwrap_or(DEFAULT_STEPS));
    if !(1..=MAX_STEPS).contains(&limit) {
        return Err(invalid("limit", format!("must be 1 to {MAX_STEPS}")));
    }
    if offset > MAX_OFFSET {
        return Err(invalid("offset", format!("must be at most {MAX_OFFSET}")));
    }
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let is_in_reach = can_be_id(&incident_id) && is_in_reach(&caller, &state, &incident_id).await?;
    let (mut steps, total) = if is_in_reach {
        incidents::timeline(&state.db, state.ledger_id(), &incident_id, offset, limit).await.map_err(failed)?
    } else {
        (Vec::new(), 0)
    };
    let comments = steps.iter_mut().map(|step| step.comment.take()).collect();
    let comments = free_text::shown(&state, INCIDENT_COMMENT, comments).await?;
    let results = steps.into_iter().zip(comments).map(|(step, comment)| TimelineStep::new(step, comment)).collect();
    Ok(HttpResponse::Ok().position(seen).json(Timeline { total, offset, limit, results }))
}

/// Whoever sees the incidents of some desks only sees no timeline of the others'.
async fn is_in_reach(
    caller: &AllowedWithin<IncidentRead>,
    state: &QueryState,
    incident_id: &str,
) -> Result<bool, Problem> {
    if caller.scope().departments().is_none() {
        return Ok(true);
    }
    let row = incidents::get(&state.db, state.ledger_id(), incident_id).await.map_err(failed)?;
    Ok(row.is_some_and(|row| caller.scope().covers(row.desk.as_deref())))
}
