//! The catalogue's part about records and the ledger that holds them.

use super::{EventDescription, describe};

pub(super) const RECORDS: &[EventDescription] = &[
    describe!(
        "transaction",
        "transaction.recorded",
        "A transaction that happened elsewhere entered the ledger, with the content its source states.",
        r#"{"transaction_id":"tx-1001","amount":"1234.50","currency":"USD","timestamp":"2026-11-21T10:00:00.000000Z","timestamp_source":"client","status":"pending","account":"ACC-7","counterparty":"Acme Ltd","transaction_type":"wire","meta":{"branch":"Leeds"},"source":"api"}"#
    ),
    describe!(
        "transaction",
        "transaction.status_changed",
        "A pending transaction was completed, failed or was reversed.",
        r#"{"from":"pending","to":"completed","reason":"Settled by the clearing house"}"#
    ),
    describe!(
        "transaction",
        "transaction.corrected",
        "Recorded fields were corrected; the old values stand beside the new ones.",
        r#"{"changes":[{"field":"amount","old":"1234.50","new":"1243.50"},{"field":"account","old":"ACC-7","new":null}],"reason":"Digits were swapped at entry"}"#
    ),
    describe!(
        "transaction",
        "transaction.note_added",
        "Somebody added a note to a transaction. What a person wrote is sealed; what a program wrote, and older notes, stand as text.",
        r#"{"note_id":"note_1","text":{"subject":"usr_5f0c2a9d3b7e41866a1d0c42","sealed":"dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXYv1hQ0mXq7n3m5cTt0kWl2pD9rXs"}}"#
    ),
    describe!(
        "incident",
        "incident.opened",
        "A person, a rule or a model noticed something that has to be handled.",
        r#"{"incident_id":"inc_1","title":"Order stuck for 7 minutes","description":"No fill since 10:00.","severity":"high","priority":2,"incident_type":"stuck_order","desk":"rates","trader":"t-17","recommended_action":"Cancel and resend.","source_event_id":"order-5","last_event_timestamp":"2026-11-21T10:00:00.000000Z","source":"api","detection_method":"rule","rule":{"name":"stuck_order","version":1},"meta":{"venue":"XLON"}}"#
    ),
    describe!(
        "incident",
        "incident.acknowledged",
        "Somebody took notice of an open incident.",
        r#"{"from":"open","note":"Looking at it after the call."}"#
    ),
    describe!(
        "incident",
        "incident.investigation_started",
        "Somebody started to look into an incident.",
        r#"{"from":"acknowledged"}"#
    ),
    describe!(
        "incident",
        "incident.resolved",
        "The cause of an incident was dealt with.",
        r#"{"from":"investigating","resolution":"Order was resent.","root_cause":"The gateway lost its session."}"#
    ),
    describe!("incident", "incident.closed", "A resolved incident was finished.", r#"{"from":"resolved"}"#),
    describe!(
        "incident",
        "incident.reopened",
        "A resolved or closed incident was opened again.",
        r#"{"from":"closed","reason":"It happened again."}"#
    ),
    describe!(
        "incident",
        "incident.assigned",
        "An incident was given to somebody, or taken from whoever had it.",
        r#"{"from":null,"to":"usr_5"}"#
    ),
    describe!(
        "incident",
        "incident.escalated",
        "The escalation level of an incident rose by one.",
        r#"{"level":1,"reason":"No answer for an hour","to":"usr_9"}"#
    ),
    describe!(
        "incident",
        "incident.commented",
        "Somebody commented on an incident. What a person wrote is sealed; what a program wrote, and older comments, stand as text.",
        r#"{"comment_id":"cmt_1","text":{"subject":"usr_5f0c2a9d3b7e41866a1d0c42","sealed":"dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXYv1hQ0mXq7n3m5cTt0kWl2pD9rXs"}}"#
    ),
    describe!(
        "incident",
        "incident.severity_changed",
        "An incident turned out to be more or less severe.",
        r#"{"from":"high","to":"critical","reason":"A second desk is concerned"}"#
    ),
    describe!("incident", "incident.priority_changed", "The turn of an incident changed.", r#"{"from":2,"to":1}"#),
    describe!(
        "incident",
        "incident.details_changed",
        "What is known about an incident changed; the old values stand beside the new ones.",
        r#"{"changes":[{"field":"desk","old":"rates","new":"credit"},{"field":"root_cause","old":null,"new":"Session loss"}]}"#
    ),
    describe!(
        "ledger",
        "ledger.sealed",
        "The ledger bound everything before this entry into its tree: the checkpoint that follows covers the chain as well.",
        r#"{"size":41,"hash":"5e2c51c35cd3f0b6f4f5a2bb1ad21a36b1a4a9b1f3ce7e3f3e52f1c9a0a4c9d1","root":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}"#
    ),
    describe!(
        "ledger",
        "ledger.anchored",
        "A time-stamping authority attested a checkpoint: it was there at that time at the latest.",
        r#"{"size":42,"root":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","checkpoint":"daybook.local/main\n42\nLXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=\n\n— daybook.local/main 0v4NcDBFAiEA\n","tsa":"https://tsa.example","generated_at":"2026-11-21T10:00:00.000000Z","token":"MIIBAAYJKoZIhvcNAQcC"}"#
    ),
    describe!(
        "ledger_keys",
        "signing_key.activated",
        "A key began to sign checkpoints.",
        r#"{"key_id":"d2fe0d70","name":"daybook.local/main","algorithm":"ecdsa-p256-sha256","verifier_key":"daybook.local/main+d2fe0d70+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU=","activated_at":"2026-11-21T10:00:00.000000Z"}"#
    ),
    describe!(
        "ledger_keys",
        "signing_key.retired",
        "A key ceased to sign checkpoints; it goes on verifying those that it signed.",
        r#"{"key_id":"d2fe0d70","name":"daybook.local/main","retired_at":"2026-12-01T10:00:00.000000Z"}"#
    ),
];
