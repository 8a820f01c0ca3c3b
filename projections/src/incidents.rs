//! The projector `incidents`: each incident as it is now, and its timeline.

use async_trait::async_trait;
use daybook_domain::incident::{IncidentChange, IncidentContent};
use daybook_domain::{AnyEvent, IncidentEvent};
use daybook_ledger::entry::Entry;
use serde_json::{Map, Value as Json, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::error::FoldError;
use crate::kept::{Kept, KeptRow};
use crate::projector::{DecodedEntry, Interest, Projector, TableDefinition, TableNames};
use crate::rows::{RowWriter, Value, free_text, natural};
use crate::transactions::json as json_text;

/// Answers: what is this incident now, and what has happened to it?
#[derive(Debug, Clone, Copy)]
pub struct Incidents;

const TABLES: &[TableDefinition] = &[
    TableDefinition { name: "incidents", ddl: include_str!("../../migrations/read/incidents.sql") },
    TableDefinition { name: "incident_timeline", ddl: include_str!("../../migrations/read/incident_timeline.sql") },
];

const ROWS: RowWriter = RowWriter {
    columns: &[
        "ledger_id",
        "incident_id",
        "title",
        "description",
        "severity",
        "status",
        "incident_type",
        "priority",
        "desk",
        "trader",
        "root_cause",
        "recommended_action",
        "source_event_id",
        "last_event_timestamp",
        "source",
        "detection_method",
        "rule_name",
        "rule_version",
        "meta",
        "assigned_to",
        "escalation_level",
        "escalated_to",
        "escalated_at",
        "resolution",
        "created_at",
        "updated_at",
        "acknowledged_at",
        "resolved_at",
        "closed_at",
        "reopened_count",
        "comment_count",
        "first_position",
        "last_position",
        "version",
        "search_text",
    ],
    key: &["ledger_id", "incident_id"],
};

const TIMELINE: RowWriter = RowWriter {
    columns: &[
        "ledger_id",
        "position",
        "incident_id",
        "event_type",
        "user_id",
        "actor_kind",
        "old_value",
        "new_value",
        "comment",
        "meta",
        "timestamp",
    ],
    key: &[],
};

/// A row of `incidents`.
struct State {
    incident_id: String,
    title: String,
    description: Option<String>,
    severity: String,
    status: String,
    incident_type: String,
    priority: i64,
    desk: Option<String>,
    trader: Option<String>,
    root_cause: Option<String>,
    recommended_action: Option<String>,
    source_event_id: Option<String>,
    last_event_timestamp: Option<i64>,
    source: Option<String>,
    detection_method: String,
    rule_name: Option<String>,
    rule_version: Option<i64>,
    meta: String,
    assigned_to: Option<String>,
    escalation_level: i64,
    escalated_to: Option<String>,
    escalated_at: Option<i64>,
    resolution: Option<String>,
    created_at: i64,
    updated_at: i64,
    acknowledged_at: Option<i64>,
    resolved_at: Option<i64>,
    closed_at: Option<i64>,
    reopened_count: u64,
    comment_count: u64,
    first_position: u64,
    last_position: u64,
    version: u64,
}

/// A row of `incident_timeline`.
struct Step {
    position: u64,
    incident_id: String,
    event_type: &'static str,
    user_id: String,
    actor_kind: &'static str,
    old: Option<String>,
    new: Option<String>,
    comment: Option<String>,
    meta: String,
    timestamp: i64,
}

#[async_trait]
impl Projector for Incidents {
    fn name(&self) -> &'static str {
        daybook_read_models::incidents::PROJECTOR
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [TableDefinition] {
        TABLES
    }

    fn interest(&self, stream_type: &str) -> Interest {
        if stream_type == "incident" { Interest::Decoded } else { Interest::Ignored }
    }

    async fn fold(
        &self,
        connection: &mut AnyConnection,
        tables: &TableNames,
        ledger_id: &str,
        batch: &[DecodedEntry],
    ) -> Result<(), FoldError> {
        let table = tables.of("incidents");
        let mut states = Kept::of_streams(connection, &table, ledger_id, batch, "incident").await?;
        let mut steps = Vec::new();
        for DecodedEntry { entry, event } in batch {
            let Some(AnyEvent::Incident(event)) = event else { continue };
            if let IncidentEvent::Opened(content) = event {
                states.insert(State::opened(entry, content));
            }
            let Some(state) = states.get_mut(&entry.stream.stream_id) else { continue };
            let step = Step::of(entry, event, state);
            state.apply(entry, event);
            steps.push(step);
        }
        states.write(connection, &table, ledger_id).await?;
        let rows: Vec<Vec<Value<'_>>> = steps.iter().map(|step| step.values(ledger_id)).collect();
        TIMELINE.write(connection, &tables.of("incident_timeline"), &rows).await
    }
}

fn optional<T: ToString>(value: &Option<T>) -> Option<String> {
    value.as_ref().map(T::to_string)
}

impl State {
    fn opened(entry: &Entry, content: &IncidentContent) -> Self {
        Self {
            incident_id: entry.stream.stream_id.clone(),
            title: content.title.to_string(),
            description: optional(&content.description),
            severity: content.severity.to_string(),
            status: "open".to_owned(),
            incident_type: content.incident_type.to_string(),
            priority: content.priority.into(),
            desk: optional(&content.desk),
            trader: optional(&content.trader),
            root_cause: optional(&content.root_cause),
            recommended_action: optional(&content.recommended_action),
            source_event_id: optional(&content.source_event_id),
            last_event_timestamp: content.last_event_timestamp.map(|time| time.micros()),
            source: optional(&content.source),
            detection_method: content.detection_method.to_string(),
            rule_name: content.rule.as_ref().map(|rule| rule.name.to_string()),
            rule_version: content.rule.as_ref().map(|rule| i64::try_from(rule.version).unwrap_or(i64::MAX)),
            meta: json_text(content.meta.fields()),
            assigned_to: None,
            escalation_level: 0,
            escalated_to: None,
            escalated_at: None,
            resolution: None,
            created_at: entry.recorded_at,
            updated_at: entry.recorded_at,
            acknowledged_at: None,
            resolved_at: None,
            closed_at: None,
            reopened_count: 0,
            comment_count: 0,
            first_position: entry.position,
            last_position: entry.position,
            version: entry.version,
        }
    }

    fn apply(&mut self, entry: &Entry, event: &IncidentEvent) {
        let at = Some(entry.recorded_at);
        self.last_position = entry.position;
        self.version = entry.version;
        self.updated_at = entry.recorded_at;
        if let Some(status) = event.status_after() {
            self.status = status.to_string();
        }
        match event {
            IncidentEvent::Opened(_) | IncidentEvent::InvestigationStarted(_) => {}
            IncidentEvent::Acknowledged(_) => self.acknowledged_at = at,
            IncidentEvent::Resolved(event) => {
                self.resolved_at = at;
                self.resolution = optional(&event.resolution);
                if event.root_cause.is_some() {
                    self.root_cause = optional(&event.root_cause);
                }
            }
            IncidentEvent::Closed(_) => self.closed_at = at,
            IncidentEvent::Reopened(_) => {
                self.reopened_count += 1;
                self.resolution = None;
                (self.acknowledged_at, self.resolved_at, self.closed_at) = (None, None, None);
            }
            IncidentEvent::Assigned(event) => self.assigned_to = optional(&event.to),
            IncidentEvent::Escalated(event) => {
                self.escalation_level = i64::from(event.level);
                self.escalated_at = at;
                if event.to.is_some() {
                    self.escalated_to = optional(&event.to);
                }
            }
            IncidentEvent::Commented(_) => self.comment_count += 1,
            IncidentEvent::SeverityChanged(event) => self.severity = event.to.to_string(),
            IncidentEvent::PriorityChanged(event) => self.priority = event.to.into(),
            IncidentEvent::DetailsChanged(event) => {
                for change in &event.changes {
                    self.change(change);
                }
            }
        }
    }

    fn change(&mut self, change: &IncidentChange) {
        match change {
            IncidentChange::Title { new, .. } => self.title = new.to_string(),
            IncidentChange::Description { new, .. } => self.description = optional(new),
            IncidentChange::IncidentType { new, .. } => self.incident_type = new.to_string(),
            IncidentChange::Desk { new, .. } => self.desk = optional(new),
            IncidentChange::Trader { new, .. } => self.trader = optional(new),
            IncidentChange::RootCause { new, .. } => self.root_cause = optional(new),
            IncidentChange::RecommendedAction { new, .. } => self.recommended_action = optional(new),
        }
    }
}

impl KeptRow for State {
    const WRITER: RowWriter = ROWS;
    const ID: &'static str = "incident_id";

    fn id(&self) -> &str {
        &self.incident_id
    }

    fn first_position(&self) -> u64 {
        self.first_position
    }

    fn read(row: &AnyRow) -> Result<Self, FoldError> {
        Ok(Self {
            incident_id: row.try_get("incident_id")?,
            title: row.try_get("title")?,
            description: row.try_get("description")?,
            severity: row.try_get("severity")?,
            status: row.try_get("status")?,
            incident_type: row.try_get("incident_type")?,
            priority: row.try_get("priority")?,
            desk: row.try_get("desk")?,
            trader: row.try_get("trader")?,
            root_cause: row.try_get("root_cause")?,
            recommended_action: row.try_get("recommended_action")?,
            source_event_id: row.try_get("source_event_id")?,
            last_event_timestamp: row.try_get("last_event_timestamp")?,
            source: row.try_get("source")?,
            detection_method: row.try_get("detection_method")?,
            rule_name: row.try_get("rule_name")?,
            rule_version: row.try_get("rule_version")?,
            meta: row.try_get("meta")?,
            assigned_to: row.try_get("assigned_to")?,
            escalation_level: row.try_get("escalation_level")?,
            escalated_to: row.try_get("escalated_to")?,
            escalated_at: row.try_get("escalated_at")?,
            resolution: row.try_get("resolution")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            acknowledged_at: row.try_get("acknowledged_at")?,
            resolved_at: row.try_get("resolved_at")?,
            closed_at: row.try_get("closed_at")?,
            reopened_count: natural(row, "reopened_count")?,
            comment_count: natural(row, "comment_count")?,
            first_position: natural(row, "first_position")?,
            last_position: natural(row, "last_position")?,
            version: natural(row, "version")?,
        })
    }

    fn values<'a>(&'a self, ledger_id: &'a str) -> Result<Vec<Value<'a>>, FoldError> {
        Ok(vec![
            ledger_id.into(),
            (&self.incident_id).into(),
            (&self.title).into(),
            (&self.description).into(),
            (&self.severity).into(),
            (&self.status).into(),
            (&self.incident_type).into(),
            self.priority.into(),
            (&self.desk).into(),
            (&self.trader).into(),
            (&self.root_cause).into(),
            (&self.recommended_action).into(),
            (&self.source_event_id).into(),
            self.last_event_timestamp.into(),
            (&self.source).into(),
            (&self.detection_method).into(),
            (&self.rule_name).into(),
            self.rule_version.into(),
            (&self.meta).into(),
            (&self.assigned_to).into(),
            self.escalation_level.into(),
            (&self.escalated_to).into(),
            self.escalated_at.into(),
            (&self.resolution).into(),
            self.created_at.into(),
            self.updated_at.into(),
            self.acknowledged_at.into(),
            self.resolved_at.into(),
            self.closed_at.into(),
            self.reopened_count.into(),
            self.comment_count.into(),
            self.first_position.into(),
            self.last_position.into(),
            self.version.into(),
            Value::Text(format!("{} {}", self.title, self.incident_id).to_lowercase().into()),
        ])
    }
}

impl Step {
    /// The step that `event` is, in the words of the timeline; `state` is the incident before it.
    fn of(entry: &Entry, event: &IncidentEvent, state: &State) -> Self {
        let mut step = Self {
            position: entry.position,
            incident_id: entry.stream.stream_id.clone(),
            event_type: "status_change",
            user_id: entry.actor.id.clone(),
            actor_kind: entry.actor.kind.as_str(),
            old: None,
            new: event.status_after().map(|status| status.to_string()),
            comment: None,
            meta: "{}".to_owned(),
            timestamp: entry.recorded_at,
        };
        let mut meta = Map::new();
        match event {
            IncidentEvent::Opened(content) => {
                step.event_type = "opened";
                meta.insert("severity".to_owned(), json!(content.severity));
                meta.insert("detection_method".to_owned(), json!(content.detection_method));
            }
            IncidentEvent::Acknowledged(event)
            | IncidentEvent::InvestigationStarted(event)
            | IncidentEvent::Closed(event) => {
                step.old = Some(event.from.to_string());
                step.comment = optional(&event.note);
            }
            IncidentEvent::Resolved(event) => {
                step.old = Some(event.from.to_string());
                step.comment = optional(&event.resolution);
                if let Some(cause) = &event.root_cause {
                    meta.insert("root_cause".to_owned(), json!(cause));
                }
            }
            IncidentEvent::Reopened(event) => {
                step.old = Some(event.from.to_string());
                step.comment = Some(event.reason.to_string());
            }
            IncidentEvent::Assigned(event) => {
                step.event_type = "assignment";
                (step.old, step.new) = (optional(&event.from), optional(&event.to));
            }
            IncidentEvent::Escalated(event) => {
                step.event_type = "escalation";
                (step.old, step.new) = (Some(state.escalation_level.to_string()), Some(event.level.to_string()));
                step.comment = optional(&event.reason);
                if let Some(to) = &event.to {
                    meta.insert("to".to_owned(), json!(to));
                }
            }
            IncidentEvent::Commented(event) => {
                step.event_type = "comment";
                step.comment = Some(free_text(&event.text));
                meta.insert("comment_id".to_owned(), json!(event.comment_id));
            }
            IncidentEvent::SeverityChanged(event) => {
                step.event_type = "severity_change";
                (step.old, step.new) = (Some(event.from.to_string()), Some(event.to.to_string()));
                step.comment = optional(&event.reason);
            }
            IncidentEvent::PriorityChanged(event) => {
                step.event_type = "priority_change";
                (step.old, step.new) = (Some(event.from.get().to_string()), Some(event.to.get().to_string()));
                step.comment = optional(&event.reason);
            }
            IncidentEvent::DetailsChanged(event) => {
                step.event_type = "details_change";
                step.comment = optional(&event.reason);
                (step.old, step.new) = sides(&event.changes);
            }
        }
        if !meta.is_empty() {
            step.meta = json_text(&meta);
        }
        step
    }

    fn values<'a>(&'a self, ledger_id: &'a str) -> Vec<Value<'a>> {
        vec![
            ledger_id.into(),
            self.position.into(),
            (&self.incident_id).into(),
            self.event_type.into(),
            (&self.user_id).into(),
            self.actor_kind.into(),
            (&self.old).into(),
            (&self.new).into(),
            (&self.comment).into(),
            (&self.meta).into(),
            self.timestamp.into(),
        ]
    }
}

/// The values before and after of several fields, each side as one JSON object.
fn sides(changes: &[IncidentChange]) -> (Option<String>, Option<String>) {
    let (mut before, mut after) = (Map::new(), Map::new());
    for change in changes {
        let (old, new): (Json, Json) = match change {
            IncidentChange::Title { old, new } => (json!(old), json!(new)),
            IncidentChange::IncidentType { old, new } => (json!(old), json!(new)),
            IncidentChange::Desk { old, new } | IncidentChange::Trader { old, new } => (json!(old), json!(new)),
            IncidentChange::Description { old, new }
            | IncidentChange::RootCause { old, new }
            | IncidentChange::RecommendedAction { old, new } => (json!(old), json!(new)),
        };
        before.insert(change.field().to_owned(), old);
        after.insert(change.field().to_owned(), new);
    }
    (Some(json_text(&before)), Some(json_text(&after)))
}
