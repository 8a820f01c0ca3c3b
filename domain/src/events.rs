//! The catalogue of events, and how a stored payload becomes one again.
//!
//! Every reader of the ledger that wants to know what an entry means starts here. Unknown fields of a payload (the
//! ledger's own `nonce`) are passed over; unknown events are an error that names them.

mod approvals;
mod exports;
mod keeping;
mod people;
mod records;
mod schedules;

use std::sync::LazyLock;

use serde::de::DeserializeOwned;

use self::approvals::APPROVALS;
use self::exports::EXPORTS;
use self::keeping::KEEPING;
use self::people::PEOPLE;
use self::records::RECORDS;
use self::schedules::SCHEDULES;
use crate::access::{ACCESS_STREAM, AccessEvent};
use crate::api_key::ApiKeyEvent;
use crate::approval::ApprovalEvent;
use crate::approval_policy::ApprovalPolicyEvent;
use crate::custody::{LEDGER_KEYS_STREAM, LEDGER_STREAM, LedgerEvent, SigningKeyEvent};
use crate::delegation::DelegationEvent;
use crate::department::DepartmentEvent;
use crate::erasure::ErasureEvent;
use crate::export::ExportEvent;
use crate::export_schedule::ExportScheduleEvent;
use crate::incident::IncidentEvent;
use crate::legal_hold::LegalHoldEvent;
use crate::organization::OrganizationEvent;
use crate::permission::PermissionEvent;
use crate::retention_rule::RetentionRuleEvent;
use crate::role::RoleEvent;
use crate::session::SessionEvent;
use crate::transaction::TransactionEvent;
use crate::user::UserEvent;

/// The schema version that this code writes, of every event.
pub const SCHEMA_VERSION: u64 = 1;

/// The stream types of this crate: one an aggregate, and those in which a ledger speaks of itself.
pub const STREAM_TYPES: &[&str] = &[
    "transaction",
    "incident",
    LEDGER_STREAM,
    LEDGER_KEYS_STREAM,
    "organization",
    "department",
    "role",
    "permission",
    "user",
    "session",
    "api_key",
    ACCESS_STREAM,
    "legal_hold",
    "erasure",
    "approval_policy",
    "delegation",
    "approval",
    "export",
    "export_schedule",
    "retention_rule",
];

/// Any event of this crate.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyEvent {
    /// Of a transaction's stream.
    Transaction(TransactionEvent),
    /// Of an incident's stream.
    Incident(IncidentEvent),
    /// Of the ledger's own stream.
    Ledger(LedgerEvent),
    /// Of the stream of the ledger's signing keys.
    SigningKey(SigningKeyEvent),
    /// Of the stream of an organization.
    Organization(OrganizationEvent),
    /// Of the stream of a department.
    Department(DepartmentEvent),
    /// Of the stream of a role.
    Role(RoleEvent),
    /// Of the stream of a permission.
    Permission(PermissionEvent),
    /// Of the stream of a person's account.
    User(UserEvent),
    /// Of the stream of a session.
    Session(SessionEvent),
    /// Of the stream of an API key.
    ApiKey(ApiKeyEvent),
    /// Of the stream of a process that answers.
    Access(AccessEvent),
    /// Of the stream of a legal hold.
    LegalHold(LegalHoldEvent),
    /// Of the stream of an erasure.
    Erasure(ErasureEvent),
    /// Of the stream of a policy for approvals.
    ApprovalPolicy(ApprovalPolicyEvent),
    /// Of the stream of a delegation.
    Delegation(DelegationEvent),
    /// Of the stream of a request for approval.
    Approval(ApprovalEvent),
    /// Of the stream of an export.
    Export(ExportEvent),
    /// Of the stream of a schedule of exports.
    ExportSchedule(ExportScheduleEvent),
    /// Of the stream of a rule that says how long records are kept.
    RetentionRule(RetentionRuleEvent),
}

impl AnyEvent {
    /// The wire name, `transaction.recorded`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Transaction(event) => event.name(),
            Self::Incident(event) => event.name(),
            Self::Ledger(event) => event.name(),
            Self::SigningKey(event) => event.name(),
            Self::Organization(event) => event.name(),
            Self::Department(event) => event.name(),
            Self::Role(event) => event.name(),
            Self::Permission(event) => event.name(),
            Self::User(event) => event.name(),
            Self::Session(event) => event.name(),
            Self::ApiKey(event) => event.name(),
            Self::Access(event) => event.name(),
            Self::LegalHold(event) => event.name(),
            Self::Erasure(event) => event.name(),
            Self::ApprovalPolicy(event) => event.name(),
            Self::Delegation(event) => event.name(),
            Self::Approval(event) => event.name(),
            Self::Export(event) => event.name(),
            Self::ExportSchedule(event) => event.name(),
            Self::RetentionRule(event) => event.name(),
        }
    }
}

/// Why a stored payload is not an event of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not a stream type of this crate.
    #[error("unknown stream type {stream_type}")]
    UnknownStreamType {
        /// The type.
        stream_type: String,
    },
    /// The stream type has no such event.
    #[error("unknown event {event_type} in a stream of type {stream_type}")]
    UnknownEvent {
        /// The stream's type.
        stream_type: String,
        /// The event's type.
        event_type: String,
    },
    /// The event is known, but not this version of it.
    #[error("unknown schema version {schema_version} of {event_type}")]
    UnknownSchemaVersion {
        /// The event's type.
        event_type: String,
        /// The version.
        schema_version: u64,
    },
    /// The payload does not have the shape of the event.
    #[error("malformed payload of {event_type}: {detail}")]
    Malformed {
        /// The event's type.
        event_type: String,
        /// What is wrong with it. May quote the payload: not for logs.
        detail: String,
    },
}

/// One kind of event, for documentation and checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventDescription {
    /// The type of the streams it occurs in.
    pub stream_type: &'static str,
    /// Its wire name.
    pub event_type: &'static str,
    /// The schema version that is written.
    pub schema_version: u64,
    /// What it means, in one line.
    pub meaning: &'static str,
    /// A payload of it, as JSON.
    pub example: &'static str,
}

/// Reads the payload of an entry, as its columns describe it.
pub fn decode(
    stream_type: &str,
    event_type: &str,
    schema_version: u64,
    payload: &str,
) -> Result<AnyEvent, DecodeError> {
    if !STREAM_TYPES.contains(&stream_type) {
        return Err(DecodeError::UnknownStreamType { stream_type: stream_type.to_owned() });
    }
    let known = |event: &&EventDescription| event.stream_type == stream_type && event.event_type == event_type;
    let Some(event) = CATALOGUE.iter().find(known) else {
        return Err(DecodeError::UnknownEvent {
            stream_type: stream_type.to_owned(),
            event_type: event_type.to_owned(),
        });
    };
    if event.schema_version != schema_version {
        return Err(DecodeError::UnknownSchemaVersion { event_type: event_type.to_owned(), schema_version });
    }
    let name = event.event_type;
    match stream_type {
        "transaction" => decode_tagged(name, payload).map(AnyEvent::Transaction),
        "incident" => decode_tagged(name, payload).map(AnyEvent::Incident),
        LEDGER_STREAM => decode_tagged(name, payload).map(AnyEvent::Ledger),
        LEDGER_KEYS_STREAM => decode_tagged(name, payload).map(AnyEvent::SigningKey),
        "organization" => decode_tagged(name, payload).map(AnyEvent::Organization),
        "department" => decode_tagged(name, payload).map(AnyEvent::Department),
        "role" => decode_tagged(name, payload).map(AnyEvent::Role),
        "permission" => decode_tagged(name, payload).map(AnyEvent::Permission),
        "user" => decode_tagged(name, payload).map(AnyEvent::User),
        "session" => decode_tagged(name, payload).map(AnyEvent::Session),
        "api_key" => decode_tagged(name, payload).map(AnyEvent::ApiKey),
        ACCESS_STREAM => decode_tagged(name, payload).map(AnyEvent::Access),
        "legal_hold" => decode_tagged(name, payload).map(AnyEvent::LegalHold),
        "erasure" => decode_tagged(name, payload).map(AnyEvent::Erasure),
        "approval_policy" => decode_tagged(name, payload).map(AnyEvent::ApprovalPolicy),
        "delegation" => decode_tagged(name, payload).map(AnyEvent::Delegation),
        "approval" => decode_tagged(name, payload).map(AnyEvent::Approval),
        "export" => decode_tagged(name, payload).map(AnyEvent::Export),
        "export_schedule" => decode_tagged(name, payload).map(AnyEvent::ExportSchedule),
        "retention_rule" => decode_tagged(name, payload).map(AnyEvent::RetentionRule),
        // Out of reach: the catalogue has no events of other streams.
        _ => Err(DecodeError::UnknownStreamType { stream_type: stream_type.to_owned() }),
    }
}

/// Puts the type beside the payload, as the events' enums expect it. The type comes from the catalogue, so it needs no
/// escaping.
fn decode_tagged<E: DeserializeOwned>(event_type: &'static str, payload: &str) -> Result<E, DecodeError> {
    let tagged = format!(r#"{{"event_type":"{event_type}","payload":{payload}}}"#);
    serde_json::from_str(&tagged)
        .map_err(|error| DecodeError::Malformed { event_type: event_type.to_owned(), detail: error.to_string() })
}

/// Every event this crate writes.
pub fn catalogue() -> &'static [EventDescription] {
    &CATALOGUE
}

static CATALOGUE: LazyLock<Vec<EventDescription>> =
    LazyLock::new(|| [RECORDS, PEOPLE, KEEPING, APPROVALS, EXPORTS, SCHEDULES].concat());

macro_rules! describe {
    ($stream_type:literal, $event_type:literal, $meaning:literal, $example:literal) => {
        EventDescription {
            stream_type: $stream_type,
            event_type: $event_type,
            schema_version: $crate::events::SCHEMA_VERSION,
            meaning: $meaning,
            example: $example,
        }
    };
}
use describe;

#[cfg(test)]
mod tests;
