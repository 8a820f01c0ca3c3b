//! Records as their entries make them: the same folds that decide on commands, read out as JSON.

use cqrs_es::Aggregate;
use daybook_domain::approval::Approval;
use daybook_domain::approval_policy::ApprovalPolicy;
use daybook_domain::delegation::Delegation;
use daybook_domain::department::Department;
use daybook_domain::erasure::Erasure;
use daybook_domain::export::Export;
use daybook_domain::export_schedule::ExportSchedule;
use daybook_domain::incident::Incident;
use daybook_domain::legal_hold::LegalHold;
use daybook_domain::organization::Organization;
use daybook_domain::permission::Permission;
use daybook_domain::personal::SEALED_PREFIX;
use daybook_domain::retention_rule::RetentionRule;
use daybook_domain::role::Role;
use daybook_domain::transaction::Transaction;
use daybook_domain::user::User;
use daybook_domain::{AnyEvent, PersonalText, SealedText};
use daybook_http_kit::sealer::{APPROVAL_COMMENT, INCIDENT_COMMENT, TRANSACTION_NOTE};
use serde_json::{Map, Value};

/// What stands in place of a sealed text.
pub(super) const SEALED: &str = "[sealed]";

/// Records that are told, by the type of their stream, in the order in which the report tells them.
macro_rules! folded {
    ($($variant:ident = $stream:literal),+ $(,)?) => {
        /// The types of records.
        pub(super) const RECORDS: &[&str] = &[$($stream),+];

        /// A record that is being folded.
        pub(super) enum Folded {
            $($variant(Box<$variant>),)+
        }

        impl Folded {
            /// A record of this type that nothing has happened to; `None` where there are no such records.
            pub(super) fn of(stream_type: &str) -> Option<Self> {
                match stream_type {
                    $($stream => Some(Self::$variant(Box::default())),)+
                    _ => None,
                }
            }

            /// Follows what happened.
            pub(super) fn apply(&mut self, event: AnyEvent) {
                match (self, event) {
                    $((Self::$variant(record), AnyEvent::$variant(event)) => Aggregate::apply(record.as_mut(), event),)+
                    // A stream has events of its own type alone: they were decoded by it.
                    _ => {}
                }
            }

            fn state(&self) -> serde_json::Result<Value> {
                match self {
                    $(Self::$variant(record) => serde_json::to_value(record),)+
                }
            }
        }
    };
}

folded! {
    Incident = "incident",
    Transaction = "transaction",
    Export = "export",
    ExportSchedule = "export_schedule",
    Erasure = "erasure",
    RetentionRule = "retention_rule",
    User = "user",
    ApiKey = "api_key",
    Department = "department",
    Role = "role",
    Permission = "permission",
    Organization = "organization",
    ApprovalPolicy = "approval_policy",
    Delegation = "delegation",
    Approval = "approval",
    LegalHold = "legal_hold",
}

type ApiKey = daybook_domain::api_key::ApiKey;

/// Whether streams of this type are records: the ledger's own streams, sessions and what is recorded of access are told entry by
/// entry.
pub(super) fn is_record(stream_type: &str) -> bool {
    RECORDS.contains(&stream_type)
}

impl Folded {
    /// The record, without what is sealed.
    pub(super) fn to_json(&self) -> Value {
        let mut value = self.state().unwrap_or(Value::Null);
        hide(&mut value);
        value
    }
}

/// Puts a mark in place of each sealed text: what says nothing to anybody would only be in the way. The entries have it.
fn hide(value: &mut Value) {
    match value {
        Value::Object(members) if is_sealed(members) => *value = Value::from(SEALED),
        Value::Object(members) => members.values_mut().for_each(hide),
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

fn is_sealed(members: &Map<String, Value>) -> bool {
    let sealed = members.get("sealed").and_then(Value::as_str);
    members.len() == 2 && members.contains_key("subject") && sealed.is_some_and(|text| text.starts_with(SEALED_PREFIX))
}

/// What somebody wrote beside a record.
pub(super) enum Remark {
    Clear(String),
    /// With the field that it was sealed for.
    Sealed(SealedText, &'static str),
}

/// The note or comment in an event, if it is one.
pub(super) fn remark(event: &AnyEvent) -> Option<Remark> {
    use daybook_domain::{ApprovalEvent, IncidentEvent, TransactionEvent};
    let (text, field) = match event {
        AnyEvent::Transaction(TransactionEvent::NoteAdded(note)) => (&note.text, TRANSACTION_NOTE),
        AnyEvent::Incident(IncidentEvent::Commented(comment)) => (&comment.text, INCIDENT_COMMENT),
        AnyEvent::Approval(ApprovalEvent::Commented(comment)) => (&comment.text, APPROVAL_COMMENT),
        _ => return None,
    };
    Some(match text {
        PersonalText::Clear(text) => Remark::Clear(text.to_string()),
        PersonalText::Sealed(sealed) => Remark::Sealed(sealed.clone(), field),
    })
}

/// How a record stands, in a few words: name, and where it is in the record.
pub(super) fn facts_of(stream_type: &str) -> &'static [(&'static str, &'static str)] {
    match stream_type {
        "transaction" => &[
            ("Status", "/recorded/status"),
            ("Amount", "/recorded/current/amount"),
            ("Currency", "/recorded/current/currency"),
            ("Booked", "/recorded/current/timestamp"),
            ("Account", "/recorded/current/account"),
            ("Counterparty", "/recorded/current/counterparty"),
            ("Kind", "/recorded/current/transaction_type"),
            ("Source", "/recorded/current/source"),
        ],
        "incident" => &[
            ("Title", "/opened/current/title"),
            ("Status", "/opened/status"),
            ("Severity", "/opened/current/severity"),
            ("Description", "/opened/current/description"),
            ("Kind", "/opened/current/incident_type"),
            ("Trader", "/opened/current/trader"),
            ("Desk", "/opened/current/desk"),
            ("Assigned to", "/opened/assignee"),
            ("Resolution", "/opened/resolution"),
        ],
        "export" => &[
            ("Status", "/standing/status"),
            ("What", "/standing/request/kind"),
            ("Form", "/standing/request/format"),
            ("Asked for by", "/standing/request/person"),
            ("Why", "/standing/request/reason"),
        ],
        _ => &[],
    }
}

/// How a record stands, in a word or two. `None` where nothing that is understood has happened to it.
pub(super) fn status_of(stream_type: &str, record: &Value) -> Option<String> {
    // What is said of itself, or else the first of these that is so.
    let states: &[(&str, &str)] = match stream_type {
        "transaction" => return record.pointer("/recorded/status").and_then(shown),
        "incident" => return record.pointer("/opened/status").and_then(shown),
        "approval" | "export" => return record.pointer("/standing/status").and_then(shown),
        "export_schedule" => return record.pointer("/state/status").and_then(shown),
        "erasure" => return record.pointer("/requested/status").and_then(shown),
        "user" => &[
            ("/erased", "erased"),
            ("/deactivated", "deactivated"),
            ("/registered", "active"),
            ("/invitation", "invited"),
        ],
        "api_key" => &[("/revoked", "revoked"), ("/current", "active")],
        "department" => &[("/created/closed", "closed"), ("/created", "open")],
        "role" => &[("/created/retired", "retired"), ("/created", "in force")],
        "permission" => &[("/defined", "in force")],
        "organization" => &[("/created", "active")],
        "approval_policy" => &[("/rules", "in force"), ("/action", "retired")],
        "delegation" => &[("/ended_at", "ended"), ("/accepted_at", "accepted"), ("/given", "given")],
        "legal_hold" => &[("/released", "released"), ("/placed", "in force")],
        "retention_rule" => &[("/standing", "in force")],
        _ => &[],
    };
    let is_so = |pointer: &str| !matches!(record.pointer(pointer), None | Some(Value::Null | Value::Bool(false)));
    states.iter().find(|(pointer, _)| is_so(pointer)).map(|(_, status)| (*status).to_owned())
}

/// A value as people read it; `None` for what is none.
pub(super) fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde_json::json;

    use super::*;

    #[test]
    fn every_record_that_the_ledger_knows_can_be_told() {
        let not_records = ["ledger", "ledger_keys", "session", "access"];
        for stream_type in daybook_domain::events::STREAM_TYPES {
            assert_eq!(Folded::of(stream_type).is_some(), !not_records.contains(stream_type), "{stream_type}");
            assert_eq!(is_record(stream_type), !not_records.contains(stream_type), "{stream_type}");
        }
    }

    #[test]
    fn sealed_texts_are_marks_wherever_they_stand() {
        let sealed = json!({"subject": "usr_1", "sealed": "dbs1.abc"});
        let mut value =
            json!({"a": [sealed, {"b": sealed}], "c": {"subject": "x", "sealed": "no"}, "sealed": "dbs1.x"});
        hide(&mut value);
        let expected = json!({"a": [SEALED, {"b": SEALED}], "c": {"subject": "x", "sealed": "no"}, "sealed": "dbs1.x"});
        assert_eq!(value, expected);
    }

    /// The records, after each event of the catalogue.
    fn statuses(stream_type: &str) -> Vec<Option<String>> {
        let examples = daybook_domain::catalogue().iter().filter(|event| event.stream_type == stream_type);
        let mut folded = Folded::of(stream_type).unwrap();
        let mut statuses = vec![status_of(stream_type, &folded.to_json())];
        for event in examples {
            let decoded =
                daybook_domain::events::decode(stream_type, event.event_type, event.schema_version, event.example);
            folded.apply(decoded.unwrap());
            statuses.push(status_of(stream_type, &folded.to_json()));
        }
        statuses
    }

    #[test]
    fn every_record_has_a_status_from_its_first_entry_on() {
        for stream_type in RECORDS {
            let statuses = statuses(stream_type);
            assert_eq!(statuses[0], None, "nothing happened to this {stream_type}");
            let without = statuses.iter().skip(1).filter(|status| status.is_none()).count();
            assert!(statuses.len() > 1 && without == 0, "{stream_type}: {statuses:?}");
        }
        for (stream_type, seen) in [
            ("user", &["invited", "active", "deactivated", "erased"][..]),
            ("erasure", &["requested", "approved", "performed"]),
            ("legal_hold", &["in force", "released"]),
            ("api_key", &["active", "revoked"]),
            ("department", &["open", "closed"]),
            ("role", &["in force", "retired"]),
            ("approval_policy", &["in force", "retired"]),
            ("delegation", &["given", "accepted", "ended"]),
        ] {
            let statuses: Vec<String> = statuses(stream_type).into_iter().flatten().collect();
            for status in seen {
                assert!(statuses.iter().any(|one| one == status), "{stream_type} is never {status}: {statuses:?}");
            }
        }
    }
}
