//! Events of API keys, legal holds, erasures and retention rules.

use std::collections::BTreeSet;

use cqrs_es::Aggregate;
use daybook_domain::api_key::{ApiKeyChange, ApiKeyEvent, Created};
use daybook_domain::erasure::ErasureEvent;
use daybook_domain::legal_hold::{Covered, LegalHoldEvent};
use daybook_domain::retention_rule::{RetentionRule, RetentionRuleEvent};
use daybook_http_kit::PermissionSet;
use daybook_http_kit::role::Role;
use daybook_ledger::entry::ActorKind;
use daybook_ledger::{Actor, Entry};

use super::{change, create};
use crate::directory::access::KeyStatus;
use crate::directory::persons::OPERATOR;
use crate::directory::records::{
    ApiKeyRecord, ErasureRecord, ErasureStatus, HoldCover, HoldRecord, Place, RetentionRuleRecord, Rotation, UserStatus,
};
use crate::directory::state::DirectoryState;

pub(super) fn api_key(state: &mut DirectoryState, entry: &Entry, event: ApiKeyEvent) -> bool {
    let id = entry.stream.stream_id.as_str();
    let event = match event {
        ApiKeyEvent::Created(event) => {
            let record = created(state, entry, event);
            return create(&mut state.api_keys, id, record);
        }
        other => other,
    };
    change(&mut state.api_keys, id, |key| {
        key.place.move_to(entry);
        match event {
            // Handled above.
            ApiKeyEvent::Created(_) => {}
            ApiKeyEvent::Changed(event) => {
                for changed in event.changes {
                    match changed {
                        ApiKeyChange::Name { new, .. } => key.name = new.into(),
                        ApiKeyChange::Description { new, .. } => key.description = new.map(String::from),
                        ApiKeyChange::Scopes { new, .. } => key.scopes = new.into_iter().map(String::from).collect(),
                        ApiKeyChange::ExpiresAt { new, .. } => key.expires_at = new.map(|at| at.micros()),
                    }
                }
            }
            ApiKeyEvent::Rotated(event) => {
                let old_valid_until = event.old_valid_until.micros();
                key.rotate(Rotation { version: entry.version, old_valid_until }, entry.recorded_at);
            }
            ApiKeyEvent::Revoked(_) => {
                key.revoked_at.get_or_insert(entry.recorded_at);
            }
        }
    })
}

/// A key as it was made, bound to what its maker held at that moment.
fn created(state: &DirectoryState, entry: &Entry, event: Created) -> ApiKeyRecord {
    let (ceiling, accountable) = standing(state, &entry.actor, entry.recorded_at);
    ApiKeyRecord {
        key_id: entry.stream.stream_id.clone(),
        name: event.name.into(),
        description: event.description.map(String::from),
        scopes: event.scopes.into_iter().map(String::from).collect(),
        expires_at: event.expires_at.map(|at| at.micros()),
        created_by: event.created_by.into(),
        accountable,
        ceiling: ceiling.names().map(str::to_owned).collect(),
        rotations: Vec::new(),
        old_valid_until: None,
        rotated_at: None,
        revoked_at: None,
        place: Place::first(entry),
    }
}

/// What the maker of a key held everywhere in the organisation, and who answers for the key. The actor of the entry
/// counts, which the server wrote, not what the payload says. Whoever has no standing here makes keys that hold
/// nothing.
fn standing(state: &DirectoryState, actor: &Actor, at: i64) -> (PermissionSet, Option<String>) {
    let nothing = (PermissionSet::EMPTY, Some(actor.id.clone()));
    match actor.kind {
        // A key stays within its organisation, whoever made it.
        ActorKind::System if actor.id == OPERATOR => (PermissionSet::of_role(Role::Owner), None),
        ActorKind::Human => match state.access_of(&actor.id, at) {
            Some(user) if user.status == UserStatus::Active => (user.access.permissions, Some(actor.id.clone())),
            _ => nothing,
        },
        ActorKind::System | ActorKind::Agent => match state.access_of_key(&actor.id, at) {
            Some(key) if key.status == KeyStatus::Live => (key.access.permissions, key.record.accountable.clone()),
            _ => nothing,
        },
    }
}

pub(super) fn legal_hold(state: &mut DirectoryState, entry: &Entry, event: LegalHoldEvent) -> bool {
    let id = entry.stream.stream_id.as_str();
    match event {
        LegalHoldEvent::Placed(event) => {
            let record = HoldRecord {
                hold_id: event.hold_id.into(),
                matter: event.matter.into(),
                reason: event.reason.into(),
                covers: covers(event.covers),
                placed_by: entry.actor.id.clone(),
                released_at: None,
                place: Place::first(entry),
            };
            create(&mut state.holds, id, record)
        }
        LegalHoldEvent::Extended(event) => change(&mut state.holds, id, |hold| {
            hold.place.move_to(entry);
            for cover in covers(event.covers) {
                if !hold.covers.contains(&cover) {
                    hold.covers.push(cover);
                }
            }
        }),
        LegalHoldEvent::Released(_) => change(&mut state.holds, id, |hold| {
            hold.place.move_to(entry);
            hold.released_at.get_or_insert(entry.recorded_at);
        }),
    }
}

fn covers(covered: Vec<Covered>) -> Vec<HoldCover> {
    let cover = |covered| match covered {
        Covered::Subject { id } => HoldCover::Subject { id: id.into() },
        Covered::Stream { stream_type, stream_id } => {
            HoldCover::Stream { stream_type: stream_type.into(), stream_id: stream_id.into() }
        }
    };
    let distinct: BTreeSet<Covered> = covered.into_iter().collect();
    distinct.into_iter().map(cover).collect()
}

pub(super) fn erasure(state: &mut DirectoryState, entry: &Entry, event: ErasureEvent) -> bool {
    let id = entry.stream.stream_id.as_str();
    let event = match event {
        ErasureEvent::Requested(event) => {
            let record = ErasureRecord {
                erasure_id: event.erasure_id.into(),
                subject: event.subject.into(),
                reason: event.reason.into(),
                requested_by: event.requested_by.into(),
                status: ErasureStatus::Requested,
                decided_by: None,
                holds: Vec::new(),
                retained: Vec::new(),
                performed_at: None,
                place: Place::first(entry),
            };
            return create(&mut state.erasures, id, record);
        }
        other => other,
    };
    change(&mut state.erasures, id, |erasure| {
        erasure.place.move_to(entry);
        match event {
            // Handled above.
            ErasureEvent::Requested(_) => {}
            ErasureEvent::Approved(event) => {
                erasure.status = ErasureStatus::Approved;
                erasure.decided_by = Some(event.approved_by.into());
            }
            ErasureEvent::Rejected(event) => {
                erasure.status = ErasureStatus::Rejected;
                erasure.decided_by = Some(event.rejected_by.into());
            }
            ErasureEvent::Refused(event) => {
                erasure.status = ErasureStatus::Refused;
                erasure.holds = event.holds.into_iter().map(String::from).collect();
                erasure.retained = event.retained;
            }
            ErasureEvent::Performed(event) => {
                erasure.status = ErasureStatus::Performed;
                erasure.holds.clear();
                erasure.retained.clear();
                erasure.performed_at = Some(event.key_destroyed_at.micros());
            }
        }
    })
}

/// A rule that would promise less than was promised changes nothing, whoever wrote it.
pub(super) fn retention_rule(state: &mut DirectoryState, entry: &Entry, event: RetentionRuleEvent) -> bool {
    let id = entry.stream.stream_id.as_str();
    let RetentionRuleEvent::Set(set) = &event;
    // What stands in another type's stream is about nothing.
    if set.record_type.as_str() != id {
        return false;
    }
    let mut rule = state.retention_rules.get(id).map_or_else(RetentionRule::default, |record| record.rule.clone());
    let wanted = set.retention();
    let (set_by, reason, approval_id) = (set.by.to_string(), set.reason.to_string(), set.approval_id.to_string());
    rule.apply(event);
    if rule.retention() != Some(wanted) {
        return false;
    }
    let first = RetentionRuleRecord { rule, set_by, reason, approval_id, place: Place::first(entry) };
    if create(&mut state.retention_rules, id, first.clone()) {
        return true;
    }
    change(&mut state.retention_rules, id, |record| {
        let mut place = record.place;
        place.move_to(entry);
        *record = RetentionRuleRecord { place, ..first };
    })
}
