//! The lists themselves, one for each kind.

use super::{ColumnDeclaration, FilterDeclaration, FilterKind, KindDeclaration, LIMIT, READ_CONTACT, Test};
use crate::table::CellKind;
use crate::table::CellKind::{Decimal, Integer, Text, Time};

const fn column(name: &'static str, kind: CellKind) -> ColumnDeclaration {
    ColumnDeclaration { name, source: name, kind, permission: None }
}

/// A column that its read table calls something else.
const fn renamed(name: &'static str, source: &'static str, kind: CellKind) -> ColumnDeclaration {
    ColumnDeclaration { name, source, kind, permission: None }
}

const fn contact(name: &'static str) -> ColumnDeclaration {
    ColumnDeclaration { name, source: name, kind: Text, permission: Some(READ_CONTACT) }
}

const fn filter(name: &'static str, source: &'static str, kind: FilterKind, test: Test) -> FilterDeclaration {
    FilterDeclaration { name, source, kind, test }
}

const fn exactly(name: &'static str) -> FilterDeclaration {
    filter(name, name, FilterKind::Text, Test::Equals)
}

const fn word(name: &'static str, words: &'static [&'static str]) -> FilterDeclaration {
    filter(name, name, FilterKind::Word(words, &[]), Test::Equals)
}

const fn from(column: &'static str) -> FilterDeclaration {
    filter("start", column, FilterKind::TimeFrom, Test::AtLeast)
}

const fn to(column: &'static str) -> FilterDeclaration {
    filter("end", column, FilterKind::TimeTo, Test::AtMost)
}

const fn by_source(name: &'static str, kind: FilterKind) -> FilterDeclaration {
    filter(name, name, kind, Test::BySource)
}

/// Whose vote it was that approved: whoever decided otherwise did not.
const APPROVED_BY: &str = "(case when decision = 'approved' then decided_by end)";

const ACTOR_KINDS: &[&str] = &["human", "agent", "system"];

/// Transactions as they are at the export's position.
pub(super) const TRANSACTIONS: KindDeclaration = KindDeclaration {
    columns: &[
        column("transaction_id", Text),
        column("amount", Decimal),
        column("currency", Text),
        column("timestamp", Time),
        column("timestamp_source", Text),
        column("status", Text),
        column("account", Text),
        column("counterparty", Text),
        column("transaction_type", Text),
        column("meta", Text),
        column("source", Text),
        column("first_position", Integer),
        column("last_position", Integer),
        column("version", Integer),
        column("recorded_at", Time),
        column("updated_at", Time),
        column("correction_count", Integer),
        column("note_count", Integer),
    ],
    filters: &[
        word("status", &["pending", "completed", "failed", "reversed"]),
        exactly("currency"),
        exactly("account"),
        exactly("counterparty"),
        exactly("transaction_type"),
        exactly("source"),
        filter("min_amount", "amount_key", FilterKind::Amount, Test::AtLeast),
        filter("max_amount", "amount_key", FilterKind::Amount, Test::AtMost),
        from("timestamp"),
        to("timestamp"),
        filter("q", "search_text", FilterKind::Text, Test::Contains),
    ],
};

/// Incidents as they are at the export's position.
pub(super) const INCIDENTS: KindDeclaration = KindDeclaration {
    columns: &[
        column("incident_id", Text),
        column("title", Text),
        column("description", Text),
        column("severity", Text),
        column("status", Text),
        renamed("type", "incident_type", Text),
        column("priority", Integer),
        column("desk", Text),
        column("trader", Text),
        column("root_cause", Text),
        column("recommended_action", Text),
        column("source_event_id", Text),
        column("last_event_timestamp", Time),
        column("source", Text),
        column("detection_method", Text),
        renamed("rule", "rule_name", Text),
        column("rule_version", Integer),
        column("meta", Text),
        column("assigned_to", Text),
        column("escalation_level", Integer),
        column("escalated_to", Text),
        column("escalated_at", Time),
        column("resolution", Text),
        column("created_at", Time),
        column("updated_at", Time),
        column("acknowledged_at", Time),
        column("resolved_at", Time),
        column("closed_at", Time),
        column("reopened_count", Integer),
        column("comment_count", Integer),
        column("first_position", Integer),
        column("last_position", Integer),
        column("version", Integer),
    ],
    filters: &[
        filter(
            "status",
            "status",
            FilterKind::Word(
                &["open", "acknowledged", "investigating", "resolved", "closed"],
                &[("triaged", "acknowledged")],
            ),
            Test::Equals,
        ),
        word("severity", &["low", "medium", "high", "critical"]),
        filter("type", "incident_type", FilterKind::Text, Test::Equals),
        exactly("desk"),
        // What somebody may see who sees the incidents of some desks only.
        filter("desks", "desk", FilterKind::Texts, Test::OneOfIgnoringCase),
        exactly("trader"),
        filter("priority", "priority", FilterKind::Integer, Test::Equals),
        exactly("root_cause"),
        filter(
            "detection_method",
            "detection_method",
            FilterKind::Word(&["manual", "rule", "model"], &[("ml", "model")]),
            Test::Equals,
        ),
        exactly("assigned_to"),
        filter("escalated", "escalation_level", FilterKind::Boolean, Test::IsPositive),
        filter("rule", "rule_name", FilterKind::Text, Test::Equals),
        exactly("source_event_id"),
        from("created_at"),
        to("created_at"),
        filter("q", "search_text", FilterKind::Text, Test::Contains),
    ],
};

/// One row for every entry, as an auditor reads it.
pub(super) const AUDIT_TRAIL: KindDeclaration = KindDeclaration {
    columns: &[
        column("position", Integer),
        column("recorded_at", Time),
        column("event_type", Text),
        column("entity_type", Text),
        column("entity_id", Text),
        column("version", Integer),
        column("actor_kind", Text),
        column("actor_id", Text),
        column("on_behalf_of", Text),
        column("correlation_id", Text),
        column("causation_id", Text),
        column("summary", Text),
        column("regulation_tags", Text),
        column("hash", Text),
    ],
    filters: &[
        exactly("event_type"),
        exactly("entity_type"),
        exactly("entity_id"),
        word("actor_kind", ACTOR_KINDS),
        exactly("actor_id"),
        filter("regulation_tag", "regulation_tags", FilterKind::Text, Test::HasWord),
        exactly("correlation_id"),
        from("recorded_at"),
        to("recorded_at"),
        filter("from_position", "position", FilterKind::Integer, Test::AtLeast),
        filter("to_position", "position", FilterKind::Integer, Test::AtMost),
        filter("q", "search_text", FilterKind::Text, Test::Contains),
        // The newest so many, the newest first; all of them, the oldest first, without it.
        by_source(LIMIT, FilterKind::Integer),
    ],
};

/// Requests for approval of what agents want to do.
pub(super) const AGENT_ACTIONS: KindDeclaration = KindDeclaration {
    columns: &[
        column("approval_id", Text),
        column("action", Text),
        column("resource_type", Text),
        column("resource_id", Text),
        column("summary", Text),
        column("status", Text),
        column("requested_by", Text),
        column("created_at", Time),
        column("updated_at", Time),
        column("first_position", Integer),
        column("last_position", Integer),
        column("version", Integer),
    ],
    filters: &[
        word("status", &["draft", "pending", "approved", "rejected", "withdrawn", "expired", "consumed", "voided"]),
        exactly("action"),
        exactly("resource_type"),
        exactly("resource_id"),
        exactly("requested_by"),
        filter("approved_by", APPROVED_BY, FilterKind::Text, Test::Equals),
        from("created_at"),
        to("created_at"),
    ],
};

/// The ledger's entries themselves, with everything that their hashes are made of.
pub(super) const ENTRIES: KindDeclaration = KindDeclaration {
    columns: &[
        column("position", Integer),
        column("event_id", Text),
        column("stream_type", Text),
        column("stream_id", Text),
        column("version", Integer),
        column("event_type", Text),
        column("schema_version", Integer),
        column("recorded_at", Time),
        column("actor_kind", Text),
        column("actor_id", Text),
        column("metadata", Text),
        column("payload", Text),
        column("payload_digest", Text),
        column("previous_hash", Text),
        column("hash", Text),
    ],
    filters: &[
        by_source("stream_type", FilterKind::Text),
        by_source("stream_id", FilterKind::Text),
        by_source("event_type", FilterKind::Text),
        by_source("actor_id", FilterKind::Text),
        by_source("start", FilterKind::TimeFrom),
        by_source("end", FilterKind::TimeTo),
        by_source("from_position", FilterKind::Integer),
        by_source("to_position", FilterKind::Integer),
    ],
};

/// Accounts of people. What tells who they are has to be asked for.
pub(super) const USERS: KindDeclaration = KindDeclaration {
    columns: &[
        column("user_id", Text),
        column("status", Text),
        column("roles", Text),
        column("origin", Text),
        column("second_factors", Integer),
        column("last_login_at", Time),
        column("password_changed_at", Time),
        column("created_at", Time),
        column("updated_at", Time),
        column("version", Integer),
        contact("email"),
        contact("full_name"),
    ],
    filters: &[
        by_source("role", FilterKind::Text),
        by_source("is_active", FilterKind::Boolean),
        by_source("start", FilterKind::TimeFrom),
        by_source("end", FilterKind::TimeTo),
    ],
};
