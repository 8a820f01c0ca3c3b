//! The catalogue is complete, its examples are what is written, and decoding refuses what it does not know.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;

use cqrs_es::{Aggregate, DomainEvent};
use serde_json::Value;

use super::*;
use crate::{
    ApiKey, Approval, ApprovalPolicy, Delegation, Department, Erasure, Export, ExportSchedule, Incident, LegalHold,
    Organization, Permission, RetentionRule, Role, Session, Transaction, User,
};

fn payload_of(event: &AnyEvent) -> Value {
    let tagged = match event {
        AnyEvent::Transaction(event) => serde_json::to_value(event),
        AnyEvent::Incident(event) => serde_json::to_value(event),
        AnyEvent::Ledger(event) => serde_json::to_value(event),
        AnyEvent::SigningKey(event) => serde_json::to_value(event),
        AnyEvent::Organization(event) => serde_json::to_value(event),
        AnyEvent::Department(event) => serde_json::to_value(event),
        AnyEvent::Role(event) => serde_json::to_value(event),
        AnyEvent::Permission(event) => serde_json::to_value(event),
        AnyEvent::User(event) => serde_json::to_value(event),
        AnyEvent::Session(event) => serde_json::to_value(event),
        AnyEvent::ApiKey(event) => serde_json::to_value(event),
        AnyEvent::Access(event) => serde_json::to_value(event),
        AnyEvent::LegalHold(event) => serde_json::to_value(event),
        AnyEvent::Erasure(event) => serde_json::to_value(event),
        AnyEvent::ApprovalPolicy(event) => serde_json::to_value(event),
        AnyEvent::Delegation(event) => serde_json::to_value(event),
        AnyEvent::Approval(event) => serde_json::to_value(event),
        AnyEvent::Export(event) => serde_json::to_value(event),
        AnyEvent::ExportSchedule(event) => serde_json::to_value(event),
        AnyEvent::RetentionRule(event) => serde_json::to_value(event),
    };
    let tagged = tagged.unwrap();
    assert_eq!(tagged["event_type"], event.name());
    assert_eq!(tagged.as_object().unwrap().len(), 2);
    tagged["payload"].clone()
}

fn decode_example(example: &EventDescription) -> AnyEvent {
    decode(example.stream_type, example.event_type, example.schema_version, example.example).unwrap()
}

#[test]
fn every_example_is_decoded_and_written_again_as_it_was() {
    for description in catalogue() {
        let event = decode_example(description);
        assert_eq!(event.name(), description.event_type);
        assert_eq!(payload_of(&event), serde_json::from_str::<Value>(description.example).unwrap());
    }
}

#[test]
fn written_keys_stand_in_the_documented_order() {
    let description = &catalogue()[0];
    let AnyEvent::Transaction(event) = decode_example(description) else { panic!("a transaction comes first") };
    let written = serde_json::to_string(&event).unwrap();
    assert_eq!(written, format!(r#"{{"event_type":"transaction.recorded","payload":{}}}"#, description.example));
}

/// Lists the wire names of the enums as serde knows them, so that an event that the catalogue lacks is noticed.
fn names_known_to_serde<E: DeserializeOwned>() -> BTreeSet<String> {
    let Err(refusal) = serde_json::from_str::<E>(r#"{"event_type":"none","payload":{}}"#) else {
        panic!("none is known")
    };
    let listed = refusal.to_string();
    // "expected one of `a`, `b`, `c` at line 1", or "expected `a` or `b` at line 1".
    let listed = listed.split("expected ").nth(1).unwrap().split(" at line").next().unwrap();
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_catalogue_lists_every_event_and_no_other() {
    let known: BTreeSet<String> = [
        names_known_to_serde::<TransactionEvent>(),
        names_known_to_serde::<IncidentEvent>(),
        names_known_to_serde::<LedgerEvent>(),
        names_known_to_serde::<SigningKeyEvent>(),
        names_known_to_serde::<OrganizationEvent>(),
        names_known_to_serde::<DepartmentEvent>(),
        names_known_to_serde::<RoleEvent>(),
        names_known_to_serde::<PermissionEvent>(),
        names_known_to_serde::<UserEvent>(),
        names_known_to_serde::<SessionEvent>(),
        names_known_to_serde::<ApiKeyEvent>(),
        names_known_to_serde::<AccessEvent>(),
        names_known_to_serde::<LegalHoldEvent>(),
        names_known_to_serde::<ErasureEvent>(),
        names_known_to_serde::<ApprovalPolicyEvent>(),
        names_known_to_serde::<DelegationEvent>(),
        names_known_to_serde::<ApprovalEvent>(),
        names_known_to_serde::<ExportEvent>(),
        names_known_to_serde::<ExportScheduleEvent>(),
        names_known_to_serde::<RetentionRuleEvent>(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let listed: BTreeSet<String> = catalogue().iter().map(|event| event.event_type.to_owned()).collect();
    assert_eq!(listed, known);
    assert_eq!(listed.len(), catalogue().len(), "an event is listed twice");
}

#[test]
fn every_event_belongs_to_the_stream_that_its_name_begins_with() {
    assert_eq!(
        STREAM_TYPES,
        [
            Transaction::TYPE,
            Incident::TYPE,
            LEDGER_STREAM,
            LEDGER_KEYS_STREAM,
            Organization::TYPE,
            Department::TYPE,
            Role::TYPE,
            Permission::TYPE,
            User::TYPE,
            Session::TYPE,
            ApiKey::TYPE,
            ACCESS_STREAM,
            LegalHold::TYPE,
            Erasure::TYPE,
            ApprovalPolicy::TYPE,
            Delegation::TYPE,
            Approval::TYPE,
            Export::TYPE,
            ExportSchedule::TYPE,
            RetentionRule::TYPE,
        ]
    );
    for description in catalogue() {
        // The keys of one ledger share a stream, so their events are named after one of them.
        let subject =
            if description.stream_type == LEDGER_KEYS_STREAM { "signing_key" } else { description.stream_type };
        assert!(description.event_type.starts_with(&format!("{subject}.")));
        assert!(STREAM_TYPES.contains(&description.stream_type));
        assert!(description.meaning.ends_with('.'));
    }
}

#[test]
fn the_events_say_their_name_and_version() {
    for description in catalogue() {
        let (name, version) = match decode_example(description) {
            AnyEvent::Transaction(event) => (event.event_type(), event.event_version()),
            AnyEvent::Incident(event) => (event.event_type(), event.event_version()),
            AnyEvent::Ledger(event) => (event.event_type(), event.event_version()),
            AnyEvent::SigningKey(event) => (event.event_type(), event.event_version()),
            AnyEvent::Organization(event) => (event.event_type(), event.event_version()),
            AnyEvent::Department(event) => (event.event_type(), event.event_version()),
            AnyEvent::Role(event) => (event.event_type(), event.event_version()),
            AnyEvent::Permission(event) => (event.event_type(), event.event_version()),
            AnyEvent::User(event) => (event.event_type(), event.event_version()),
            AnyEvent::Session(event) => (event.event_type(), event.event_version()),
            AnyEvent::ApiKey(event) => (event.event_type(), event.event_version()),
            AnyEvent::Access(event) => (event.event_type(), event.event_version()),
            AnyEvent::LegalHold(event) => (event.event_type(), event.event_version()),
            AnyEvent::Erasure(event) => (event.event_type(), event.event_version()),
            AnyEvent::ApprovalPolicy(event) => (event.event_type(), event.event_version()),
            AnyEvent::Delegation(event) => (event.event_type(), event.event_version()),
            AnyEvent::Approval(event) => (event.event_type(), event.event_version()),
            AnyEvent::Export(event) => (event.event_type(), event.event_version()),
            AnyEvent::ExportSchedule(event) => (event.event_type(), event.event_version()),
            AnyEvent::RetentionRule(event) => (event.event_type(), event.event_version()),
        };
        assert_eq!((name.as_str(), version.as_str()), (description.event_type, "1"));
    }
}

#[test]
fn the_nonce_of_the_ledger_and_unknown_fields_are_passed_over() {
    for description in catalogue() {
        let body = description.example.strip_prefix('{').unwrap();
        let comma = if body == "}" { "" } else { "," };
        let payload = format!(r#"{{"nonce":"00112233445566778899aabbccddeeff","later":[1]{comma}{body}"#);
        let with_nonce = decode(description.stream_type, description.event_type, 1, &payload).unwrap();
        assert_eq!(with_nonce, decode_example(description));
    }
}

#[test]
fn unknown_things_are_named() {
    assert_eq!(
        decode("finding", "finding.made", 1, "{}"),
        Err(DecodeError::UnknownStreamType { stream_type: "finding".to_owned() })
    );
    assert!(matches!(decode("transaction", "incident.closed", 1, "{}"), Err(DecodeError::UnknownEvent { .. })));
    assert!(matches!(decode("incident", "incident.vanished", 1, "{}"), Err(DecodeError::UnknownEvent { .. })));
    assert!(matches!(
        decode("incident", "incident.closed", 2, r#"{"from":"resolved"}"#),
        Err(DecodeError::UnknownSchemaVersion { schema_version: 2, .. })
    ));
}

#[test]
fn malformed_payloads_are_refused() {
    for payload in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"from":"somewhere"}"#,
        r#"{"from":"resolved"},"event_type":"incident.acknowledged""#,
        r#"{"from":"resolved"}}"#,
    ] {
        let decoded = decode("incident", "incident.closed", 1, payload);
        assert!(matches!(decoded, Err(DecodeError::Malformed { .. })), "{payload}: {decoded:?}");
    }
}

/// A sealed value that is not sealed must not come into the catalogue, and with it into what others imitate.
#[test]
fn personal_fields_of_the_examples_are_sealed() {
    for description in catalogue() {
        let payload: Value = serde_json::from_str(description.example).unwrap();
        for field in ["email", "full_name", "about", "picture_url", "client", "label"] {
            let value = &payload[field];
            assert!(value.is_null() || value["sealed"].is_string(), "{}: {field}", description.event_type);
        }
    }
}

/// Entries from before texts were sealed, and those of programs, have them in clear.
#[test]
fn comments_and_notes_in_clear_stay_readable() {
    for (stream_type, event_type, id) in
        [("incident", "incident.commented", "comment_id"), ("transaction", "transaction.note_added", "note_id")]
    {
        let payload = format!(r#"{{"{id}":"r_1","text":"Confirmed by telephone."}}"#);
        let event = decode(stream_type, event_type, 1, &payload).unwrap();
        assert_eq!(payload_of(&event), serde_json::from_str::<Value>(&payload).unwrap());
    }
}

#[test]
fn a_name_in_clear_is_no_payload_of_an_account() {
    let payload = r#"{"email":"ada@example.com","full_name":"Ada Lovelace","origin":"registration"}"#;
    assert!(matches!(decode("user", "user.registered", 1, payload), Err(DecodeError::Malformed { .. })));
}

#[test]
fn the_digests_of_the_examples_are_those_of_their_actions() {
    for description in catalogue() {
        let AnyEvent::Approval(event) = decode_example(description) else { continue };
        let (action, digest) = match event {
            ApprovalEvent::Requested(event) => (event.action, event.digest),
            ApprovalEvent::Revised(event) => (event.action, event.digest),
            _ => continue,
        };
        assert_eq!(action.digest(), digest, "{}", description.event_type);
    }
}
