//! What each event of the identity streams does to the directory's state. Pure: an entry and a state in, a state out.
//!
//! Events that cannot belong where they stand (a role for somebody unknown) change nothing, which never gives anybody
//! more. Events that cannot be read are another matter: see [`NotUnderstood`].

mod approvals;
mod custody;
mod people;
mod structure;

use std::collections::BTreeMap;
use std::sync::Arc;

use daybook_domain::{AnyEvent, DecodeError, decode};
use daybook_ledger::Entry;

use super::records::Records;
use super::state::{DirectoryState, NotUnderstood};

/// The streams that the directory is a fold of. `access` streams are about the same things and change nothing.
const IDENTITY_STREAMS: [&str; 15] = [
    "organization",
    "department",
    "role",
    "permission",
    "user",
    "session",
    "api_key",
    "legal_hold",
    "erasure",
    "approval_policy",
    "delegation",
    "approval",
    "export",
    "export_schedule",
    "retention_rule",
];

/// Those of them that say what is approved and what is kept, and nothing about who may come in.
const APPROVAL_STREAMS: [&str; 6] =
    ["approval_policy", "delegation", "approval", "export", "export_schedule", "retention_rule"];

/// Folds one entry in; says whether that changed anything.
pub(super) fn fold(state: &mut DirectoryState, entry: &Entry) -> bool {
    if !IDENTITY_STREAMS.contains(&entry.stream.stream_type.as_str()) {
        return false;
    }
    let Some(payload) = &entry.payload else {
        return not_understood(state, entry, "the payload was pruned");
    };
    match decode(&entry.stream.stream_type, &entry.event_type, entry.schema_version, payload) {
        Ok(AnyEvent::Organization(event)) => structure::organization(state, entry, event),
        Ok(AnyEvent::Department(event)) => structure::department(state, entry, event),
        Ok(AnyEvent::Role(event)) => structure::role(state, entry, event),
        Ok(AnyEvent::Permission(event)) => structure::permission(state, entry, event),
        Ok(AnyEvent::User(event)) => people::user(state, entry, event),
        Ok(AnyEvent::Session(event)) => people::session(state, entry, event),
        Ok(AnyEvent::ApiKey(event)) => custody::api_key(state, entry, event),
        Ok(AnyEvent::LegalHold(event)) => custody::legal_hold(state, entry, event),
        Ok(AnyEvent::Erasure(event)) => custody::erasure(state, entry, event),
        Ok(AnyEvent::ApprovalPolicy(event)) => approvals::policy(state, entry, event),
        Ok(AnyEvent::Delegation(event)) => approvals::delegation(state, entry, event),
        Ok(AnyEvent::Approval(event)) => approvals::approval(state, entry, event),
        Ok(AnyEvent::Export(event)) => approvals::export(state, entry, event),
        Ok(AnyEvent::ExportSchedule(event)) => approvals::export_schedule(state, entry, event),
        Ok(AnyEvent::RetentionRule(event)) => custody::retention_rule(state, entry, event),
        Ok(_) => not_understood(state, entry, "an event of another kind of stream"),
        // What exactly is malformed may quote the payload.
        Err(DecodeError::Malformed { .. }) => not_understood(state, entry, "the payload is malformed"),
        Err(error) => not_understood(state, entry, &error.to_string()),
    }
}

fn not_understood(state: &mut DirectoryState, entry: &Entry, why: &str) -> bool {
    let is_about_approvals = APPROVAL_STREAMS.contains(&entry.stream.stream_type.as_str());
    let mark = if is_about_approvals { &mut state.approvals_not_understood } else { &mut state.not_understood };
    mark.get_or_insert_with(|| NotUnderstood {
        position: entry.position,
        stream_type: entry.stream.stream_type.clone(),
        event_type: entry.event_type.clone(),
        schema_version: entry.schema_version,
        why: why.to_owned(),
    });
    true
}

/// The records, to be changed. Copies them where an older state still has them.
pub(super) fn mutable<T: ?Sized>(records: &mut Records<T>) -> &mut BTreeMap<Arc<str>, Arc<T>> {
    Arc::make_mut(records)
}

/// Puts a new record in; one that is there already stays.
fn create<T>(records: &mut Records<T>, id: &str, record: T) -> bool {
    if records.contains_key(id) {
        return false;
    }
    mutable(records).insert(Arc::from(id), Arc::new(record));
    true
}

/// Takes a record away; says whether it was there.
fn remove<T>(records: &mut Records<T>, id: &str) -> bool {
    records.contains_key(id) && mutable(records).remove(id).is_some()
}

/// Changes a record; says whether it is there.
fn change<T: Clone>(records: &mut Records<T>, id: &str, change: impl FnOnce(&mut T)) -> bool {
    if !records.contains_key(id) {
        return false;
    }
    let Some(record) = mutable(records).get_mut(id) else { return false };
    change(Arc::make_mut(record));
    true
}
