//! The read model `incidents`: each incident as it is now, and its timeline.

use serde::Serialize;
use serde_json::Value;

use crate::db::{ReadDb, ReadError};
use crate::free_text::FreeText;
use crate::page::{Page, PageRequest};
use crate::sql::{Conditions, Fields, fetch_changes, fetch_one, fetch_page};
use crate::time;

/// Name of the projector that fills these tables.
pub const PROJECTOR: &str = "incidents";
const COLUMNS: &str = "incident_id, title, description, severity, status, incident_type, priority, desk, trader, \
     root_cause, recommended_action, source_event_id, last_event_timestamp, source, detection_method, rule_name, \
     rule_version, meta, assigned_to, escalation_level, escalated_to, escalated_at, resolution, created_at, \
     updated_at, acknowledged_at, resolved_at, closed_at, reopened_count, comment_count, first_position, \
     last_position, version";
const TIMELINE_COLUMNS: &str = "position, incident_id, event_type, user_id, actor_kind, old_value, new_value, \
     comment, meta, timestamp";

/// An incident as it is now. Times serialise as RFC 3339; `incident_type` as `type`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IncidentRow {
    /// Its id.
    pub incident_id: String,
    /// What it is.
    pub title: String,
    /// What happened.
    pub description: Option<String>,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// `open`, `acknowledged`, `investigating`, `resolved` or `closed`.
    pub status: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub incident_type: String,
    /// 1 (first) to 5.
    pub priority: u8,
    /// The desk concerned.
    pub desk: Option<String>,
    /// The trader concerned.
    pub trader: Option<String>,
    /// What caused it.
    pub root_cause: Option<String>,
    /// What to do about it.
    pub recommended_action: Option<String>,
    /// The record or event that it is about.
    pub source_event_id: Option<String>,
    /// When that last happened, in microseconds.
    #[serde(serialize_with = "time::serialize_optional")]
    pub last_event_timestamp: Option<i64>,
    /// What opened it.
    pub source: Option<String>,
    /// `manual`, `rule` or `model`.
    pub detection_method: String,
    /// The rule or model.
    pub rule: Option<String>,
    /// Its version.
    pub rule_version: Option<u64>,
    /// The client's further fields; always an object.
    pub meta: Value,
    /// Who has it.
    pub assigned_to: Option<String>,
    /// 0 (not escalated) to 5.
    pub escalation_level: u8,
    /// To whom it was last escalated.
    pub escalated_to: Option<String>,
    /// When it was last escalated, in microseconds.
    #[serde(serialize_with = "time::serialize_optional")]
    pub escalated_at: Option<i64>,
    /// How it was resolved, while it is.
    pub resolution: Option<String>,
    /// When it was opened, in microseconds.
    #[serde(serialize_with = "time::serialize")]
    pub created_at: i64,
    /// When its newest entry was recorded, in microseconds.
    #[serde(serialize_with = "time::serialize")]
    pub updated_at: i64,
    /// When it was acknowledged, in microseconds; empty again where it was reopened since.
    #[serde(serialize_with = "time::serialize_optional")]
    pub acknowledged_at: Option<i64>,
    /// When it was resolved, likewise.
    #[serde(serialize_with = "time::serialize_optional")]
    pub resolved_at: Option<i64>,
    /// When it was closed, likewise.
    #[serde(serialize_with = "time::serialize_optional")]
    pub closed_at: Option<i64>,
    /// How often it was reopened.
    pub reopened_count: u64,
    /// Comments on it.
    pub comment_count: u64,
    /// Position of the entry that opened it.
    pub first_position: u64,
    /// Position of its newest entry.
    pub last_position: u64,
    /// Version of its stream.
    pub version: u64,
}

/// One step of an incident's timeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimelineRow {
    /// Position of the entry; also the step's id.
    #[serde(rename = "id")]
    pub position: u64,
    /// Which incident.
    pub incident_id: String,
    /// `opened`, `status_change`, `assignment`, `comment`, `escalation`, `severity_change`, `priority_change` or
    /// `details_change`.
    pub event_type: String,
    /// Opaque id of who did it.
    pub user_id: String,
    /// `human`, `agent` or `system`.
    pub actor_kind: String,
    /// The value before; a JSON object of fields for `details_change`.
    pub old_value: Option<String>,
    /// The value after.
    pub new_value: Option<String>,
    /// The comment, note or reason. Comments of people are sealed.
    pub comment: Option<FreeText>,
    /// What else the step says; always an object.
    pub meta: Value,
    /// When, in microseconds.
    #[serde(serialize_with = "time::serialize")]
    pub timestamp: i64,
}

/// Which incidents. Everything given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Exact status.
    pub status: Option<String>,
    /// Exact severity.
    pub severity: Option<String>,
    /// Exact kind.
    pub incident_type: Option<String>,
    /// Exact desk.
    pub desk: Option<String>,
    /// One of these desks, whatever the case; without it, of any desk or none.
    pub desks: Option<Vec<String>>,
    /// Exact trader.
    pub trader: Option<String>,
    /// Exact priority.
    pub priority: Option<i64>,
    /// Exact cause.
    pub root_cause: Option<String>,
    /// Exact detection method.
    pub detection_method: Option<String>,
    /// Exact assignee.
    pub assigned_to: Option<String>,
    /// True for escalated ones, false for the others.
    pub escalated: Option<bool>,
    /// Exact name of the rule or model.
    pub rule: Option<String>,
    /// Exact id of the record or event it is about.
    pub source_event_id: Option<String>,
    /// Opened at this time or later, in microseconds.
    pub start: Option<i64>,
    /// Opened at this time or earlier, in microseconds.
    pub end: Option<i64>,
    /// Part of the title or id, whatever the case.
    pub q: Option<String>,
}

/// The incidents that match, newest opened first.
pub async fn list(
    db: &ReadDb,
    ledger_id: &str,
    filter: &IncidentFilter,
    page: &PageRequest,
) -> Result<Page<IncidentRow>, ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.equals("status", filter.status.as_deref());
    conditions.equals("severity", filter.severity.as_deref());
    conditions.equals("incident_type", filter.incident_type.as_deref());
    conditions.equals("desk", filter.desk.as_deref());
    conditions.one_of_ignoring_case("desk", filter.desks.as_deref());
    conditions.equals("trader", filter.trader.as_deref());
    conditions.equals_integer("priority", filter.priority);
    conditions.equals("root_cause", filter.root_cause.as_deref());
    conditions.equals("detection_method", filter.detection_method.as_deref());
    conditions.equals("assigned_to", filter.assigned_to.as_deref());
    match filter.escalated {
        Some(true) => conditions.at_least("escalation_level", Some(1)),
        Some(false) => conditions.at_most("escalation_level", Some(0)),
        None => {}
    }
    conditions.equals("rule_name", filter.rule.as_deref());
    conditions.equals("source_event_id", filter.source_event_id.as_deref());
    conditions.at_least("created_at", filter.start);
    conditions.at_most("created_at", filter.end);
    conditions.contains("search_text", filter.q.as_deref());
    fetch_page(db, "incidents", COLUMNS, "first_position", conditions, page, row, |row| row.first_position).await
}

/// One incident.
pub async fn get(db: &ReadDb, ledger_id: &str, incident_id: &str) -> Result<Option<IncidentRow>, ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.equals("incident_id", Some(incident_id));
    fetch_one(db, "incidents", COLUMNS, conditions, row).await
}

/// The steps of one incident, oldest first, and how many there are. `limit` is brought into 1 to 500.
pub async fn timeline(
    db: &ReadDb,
    ledger_id: &str,
    incident_id: &str,
    offset: u64,
    limit: u32,
) -> Result<(Vec<TimelineRow>, u64), ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.equals("incident_id", Some(incident_id));
    fetch_changes(db, "incident_timeline", TIMELINE_COLUMNS, "position", conditions, offset, limit, step).await
}

fn row(fields: &Fields<'_>) -> Result<IncidentRow, ReadError> {
    Ok(IncidentRow {
        incident_id: fields.text("incident_id")?,
        title: fields.text("title")?,
        description: fields.optional_text("description")?,
        severity: fields.text("severity")?,
        status: fields.text("status")?,
        incident_type: fields.text("incident_type")?,
        priority: fields.small("priority")?,
        desk: fields.optional_text("desk")?,
        trader: fields.optional_text("trader")?,
        root_cause: fields.optional_text("root_cause")?,
        recommended_action: fields.optional_text("recommended_action")?,
        source_event_id: fields.optional_text("source_event_id")?,
        last_event_timestamp: fields.optional_integer("last_event_timestamp")?,
        source: fields.optional_text("source")?,
        detection_method: fields.text("detection_method")?,
        rule: fields.optional_text("rule_name")?,
        rule_version: fields.optional_natural("rule_version")?,
        meta: fields.json("meta")?,
        assigned_to: fields.optional_text("assigned_to")?,
        escalation_level: fields.small("escalation_level")?,
        escalated_to: fields.optional_text("escalated_to")?,
        escalated_at: fields.optional_integer("escalated_at")?,
        resolution: fields.optional_text("resolution")?,
        created_at: fields.integer("created_at")?,
        updated_at: fields.integer("updated_at")?,
        acknowledged_at: fields.optional_integer("acknowledged_at")?,
        resolved_at: fields.optional_integer("resolved_at")?,
        closed_at: fields.optional_integer("closed_at")?,
        reopened_count: fields.natural("reopened_count")?,
        comment_count: fields.natural("comment_count")?,
        first_position: fields.natural("first_position")?,
        last_position: fields.natural("last_position")?,
        version: fields.natural("version")?,
    })
}

fn step(fields: &Fields<'_>) -> Result<TimelineRow, ReadError> {
    Ok(TimelineRow {
        position: fields.natural("position")?,
        incident_id: fields.text("incident_id")?,
        event_type: fields.text("event_type")?,
        user_id: fields.text("user_id")?,
        actor_kind: fields.text("actor_kind")?,
        old_value: fields.optional_text("old_value")?,
        new_value: fields.optional_text("new_value")?,
        comment: fields.optional_free_text("comment")?,
        meta: fields.json("meta")?,
        timestamp: fields.integer("timestamp")?,
    })
}
