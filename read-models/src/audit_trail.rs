//! The read model `audit_trail`: one row for every entry of the ledger, whatever its type.

use serde::Serialize;

use crate::db::{ReadDb, ReadError};
use crate::page::{Page, PageRequest};
use crate::sql::{Conditions, Fields, fetch_one, fetch_page};
use crate::time;

/// Name of the projector that fills this table.
pub const PROJECTOR: &str = "audit_trail";
const COLUMNS: &str = "position, recorded_at, event_type, entity_type, entity_id, version, actor_kind, actor_id, \
     on_behalf_of, correlation_id, causation_id, summary, regulation_tags, hash";

/// One entry as an auditor reads it. Times serialise as RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditTrailRow {
    /// Its place in the ledger.
    pub position: u64,
    /// When it was recorded, in microseconds.
    #[serde(serialize_with = "time::serialize")]
    pub recorded_at: i64,
    /// For example `incident.opened`.
    pub event_type: String,
    /// The type of its stream.
    pub entity_type: String,
    /// The id of its stream.
    pub entity_id: String,
    /// Its place in the stream.
    pub version: u64,
    /// `human`, `agent` or `system`.
    pub actor_kind: String,
    /// Opaque id of who did it.
    pub actor_id: String,
    /// For whom.
    pub on_behalf_of: Option<String>,
    /// What piece of work it belongs to.
    pub correlation_id: Option<String>,
    /// What directly caused it.
    pub causation_id: Option<String>,
    /// One sentence.
    pub summary: String,
    /// `SEC_17a4`, `FINRA_4511`, `MiFID_II`.
    pub regulation_tags: Vec<String>,
    /// The entry's hash, 64 hexadecimal digits.
    pub hash: String,
}

/// Which entries. Everything given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditTrailFilter {
    /// One of these event types, exactly; any where there are none.
    pub event_types: Vec<String>,
    /// Exact stream type.
    pub entity_type: Option<String>,
    /// Exact stream id.
    pub entity_id: Option<String>,
    /// `human`, `agent` or `system`.
    pub actor_kind: Option<String>,
    /// Exact actor id.
    pub actor_id: Option<String>,
    /// One of the tags.
    pub regulation_tag: Option<String>,
    /// Exact correlation id.
    pub correlation_id: Option<String>,
    /// Recorded at this time or later, in microseconds.
    pub start: Option<i64>,
    /// Recorded at this time or earlier, in microseconds.
    pub end: Option<i64>,
    /// From this position on.
    pub from_position: Option<u64>,
    /// Up to this position, inclusive.
    pub to_position: Option<u64>,
    /// Part of ids, type, summary or payload, whatever the case.
    pub q: Option<String>,
}

/// The entries that match, newest first.
pub async fn list(
    db: &ReadDb,
    ledger_id: &str,
    filter: &AuditTrailFilter,
    page: &PageRequest,
) -> Result<Page<AuditTrailRow>, ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.one_of("event_type", &filter.event_types);
    conditions.equals("entity_type", filter.entity_type.as_deref());
    conditions.equals("entity_id", filter.entity_id.as_deref());
    conditions.equals("actor_kind", filter.actor_kind.as_deref());
    conditions.equals("actor_id", filter.actor_id.as_deref());
    // The column reads `,SEC_17a4,FINRA_4511,`: with commas around it, a tag never matches inside another.
    let tag = filter.regulation_tag.as_ref().map(|tag| format!(",{tag},"));
    conditions.contains_exactly("regulation_tags", tag.as_deref());
    conditions.equals("correlation_id", filter.correlation_id.as_deref());
    conditions.at_least("recorded_at", filter.start);
    conditions.at_most("recorded_at", filter.end);
    conditions.at_least("position", filter.from_position.map(|position| i64::try_from(position).unwrap_or(i64::MAX)));
    conditions.at_most("position", filter.to_position.map(|position| i64::try_from(position).unwrap_or(i64::MAX)));
    conditions.contains("search_text", filter.q.as_deref());
    fetch_page(db, "audit_trail", COLUMNS, "position", conditions, page, row, |row| row.position).await
}

/// The entry at `position`.
pub async fn get(db: &ReadDb, ledger_id: &str, position: u64) -> Result<Option<AuditTrailRow>, ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.equals_integer("position", Some(i64::try_from(position).unwrap_or(i64::MAX)));
    fetch_one(db, "audit_trail", COLUMNS, conditions, row).await
}

fn row(fields: &Fields<'_>) -> Result<AuditTrailRow, ReadError> {
    let tags = fields.text("regulation_tags")?;
    Ok(AuditTrailRow {
        position: fields.natural("position")?,
        recorded_at: fields.integer("recorded_at")?,
        event_type: fields.text("event_type")?,
        entity_type: fields.text("entity_type")?,
        entity_id: fields.text("entity_id")?,
        version: fields.natural("version")?,
        actor_kind: fields.text("actor_kind")?,
        actor_id: fields.text("actor_id")?,
        on_behalf_of: fields.optional_text("on_behalf_of")?,
        correlation_id: fields.optional_text("correlation_id")?,
        causation_id: fields.optional_text("causation_id")?,
        summary: fields.text("summary")?,
        regulation_tags: tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
        hash: fields.text("hash")?,
    })
}
