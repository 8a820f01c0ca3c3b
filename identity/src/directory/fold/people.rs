//! Events of people and of their sessions.

use std::sync::Arc;

use daybook_domain::Patch;
use daybook_domain::personal::Personal;
use daybook_domain::session::SessionEvent;
use daybook_domain::user::{Invited, ProfileChanged, Registered, RoleGranted, UserEvent, UserStatus};
use daybook_ledger::Entry;

use super::{change, create};
use crate::directory::access::current;
use crate::directory::gifts::Given;
use crate::directory::records::{Grant, Invitation, Place, SecondFactorRecord, UserRecord};
use crate::directory::state::DirectoryState;

pub(super) fn user(state: &mut DirectoryState, entry: &Entry, event: UserEvent) -> bool {
    let id = entry.stream.stream_id.as_str();
    let brings_into_being = matches!(event, UserEvent::Invited(_) | UserEvent::Registered(_));
    if brings_into_being {
        create(&mut state.users, id, blank(entry));
    }
    if state.users.get(id).is_none_or(|user| user.status == UserStatus::Erased) {
        return false;
    }
    if let Some(given) = given(state, entry, &event) {
        state.give(entry, given);
    }
    if let UserEvent::SamePersonDeclared(event) = &event {
        state.declare_same_person(id, event.person.as_str());
    }
    change(&mut state.users, id, |user| {
        user.place.move_to(entry);
        if changes_access(&event) {
            user.access_position = entry.position;
        }
        apply(user, entry, event);
    })
}

pub(super) fn session(state: &mut DirectoryState, entry: &Entry, event: SessionEvent) -> bool {
    match event {
        SessionEvent::Started(started) => {
            change(&mut state.users, started.user_id.as_str(), |user| user.last_login_at = Some(entry.recorded_at))
        }
        SessionEvent::Ended(_) => {
            let ended = Arc::make_mut(&mut state.ended_sessions);
            ended.insert(Arc::from(entry.stream.stream_id.as_str()), entry.recorded_at);
            true
        }
    }
}

/// What somebody is before the first event says more.
fn blank(entry: &Entry) -> UserRecord {
    UserRecord {
        user_id: entry.stream.stream_id.clone(),
        status: UserStatus::Invited,
        email: None,
        full_name: None,
        about: None,
        picture_url: None,
        origin: None,
        invitation: None,
        grants: Vec::new(),
        second_factors: Vec::new(),
        identities: Default::default(),
        last_login_at: None,
        password_changed_at: None,
        access_position: entry.position,
        place: Place::first(entry),
    }
}

/// What somebody else's doing gives the person, if anything.
fn given(state: &DirectoryState, entry: &Entry, event: &UserEvent) -> Option<Given> {
    let id = entry.stream.stream_id.as_str();
    let user = state.users.get(id)?;
    match event {
        UserEvent::RoleGranted(event) => {
            let (role, department_id) = (event.role.as_str(), event.department_id.as_ref().map(|id| id.as_str()));
            let is_it = |grant: &&Grant| grant.role == role && grant.department_id.as_deref() == department_id;
            let from = match current(user, entry.recorded_at).find(is_it).map(|held| held.expires_at) {
                None => entry.recorded_at,
                // For ever before: nothing is added.
                Some(None) => return None,
                // Else it makes a difference once it would have been over.
                Some(Some(until)) if event.expires_at.is_none_or(|at| at.micros() > until) => until,
                Some(Some(_)) => return None,
            };
            let department_id = department_id.map(str::to_owned);
            Some(Given::Role { user_id: id.to_owned(), role: role.to_owned(), department_id, from })
        }
        UserEvent::ProfileChanged(event) if event.email.is_none() => None,
        UserEvent::Invited(_)
        | UserEvent::Reactivated(_)
        | UserEvent::ProfileChanged(_)
        | UserEvent::PasswordChanged(_)
        | UserEvent::SecondFactorEnabled(_)
        | UserEvent::SecondFactorRemoved(_)
        | UserEvent::IdentityLinked(_) => {
            // What people do to their own account is not given to them.
            (entry.actor.id != id).then(|| Given::Account { user_id: id.to_owned() })
        }
        UserEvent::Registered(_)
        | UserEvent::PasswordResetRequested(_)
        | UserEvent::RoleRevoked(_)
        | UserEvent::Deactivated(_)
        | UserEvent::SamePersonDeclared(_)
        | UserEvent::Erased(_) => None,
    }
}

fn changes_access(event: &UserEvent) -> bool {
    match event {
        UserEvent::Registered(_)
        | UserEvent::RoleGranted(_)
        | UserEvent::RoleRevoked(_)
        | UserEvent::Deactivated(_)
        | UserEvent::Reactivated(_)
        | UserEvent::Erased(_) => true,
        UserEvent::Invited(_)
        | UserEvent::ProfileChanged(_)
        | UserEvent::PasswordChanged(_)
        | UserEvent::PasswordResetRequested(_)
        | UserEvent::SecondFactorEnabled(_)
        | UserEvent::SecondFactorRemoved(_)
        | UserEvent::IdentityLinked(_)
        | UserEvent::SamePersonDeclared(_) => false,
    }
}

fn apply(user: &mut UserRecord, entry: &Entry, event: UserEvent) {
    match event {
        UserEvent::Invited(event) => invited(user, entry, event),
        UserEvent::Registered(event) => registered(user, event),
        UserEvent::ProfileChanged(event) => profile_changed(user, event),
        UserEvent::PasswordChanged(_) => user.password_changed_at = Some(entry.recorded_at),
        UserEvent::PasswordResetRequested(_) => {}
        UserEvent::RoleGranted(event) => role_granted(user, entry, event),
        UserEvent::RoleRevoked(event) => {
            let department_id = event.department_id.map(String::from);
            user.grants.retain(|grant| grant.role != event.role.as_str() || grant.department_id != department_id);
        }
        UserEvent::Deactivated(_) => user.status = UserStatus::Deactivated,
        UserEvent::Reactivated(_) => {
            user.status = if user.origin.is_some() { UserStatus::Active } else { UserStatus::Invited };
        }
        UserEvent::SecondFactorEnabled(event) => {
            let factor_id = String::from(event.factor_id);
            user.second_factors.retain(|factor| factor.factor_id != factor_id);
            user.second_factors.push(SecondFactorRecord {
                kind: event.kind.as_str().to_owned(),
                factor_id,
                label: event.label,
                enabled_at: entry.recorded_at,
            });
        }
        UserEvent::SecondFactorRemoved(event) => {
            user.second_factors.retain(|factor| factor.factor_id != event.factor_id.as_str());
        }
        UserEvent::IdentityLinked(event) => {
            user.identities.insert(event.provider.into());
        }
        // A relation between accounts, kept beside them.
        UserEvent::SamePersonDeclared(_) => {}
        UserEvent::Erased(_) => erased(user),
    }
}

fn invited(user: &mut UserRecord, entry: &Entry, event: Invited) {
    // Whoever has registered is not invited any more, whatever order the events came in.
    if user.origin.is_some() {
        return;
    }
    user.email = Some(event.email);
    user.invitation = Some(Invitation {
        role: event.role.into(),
        department_id: event.department_id.map(String::from),
        expires_at: event.expires_at.micros(),
        role_expires_at: event.role_expires_at.map(|at| at.micros()),
        invited_by: entry.actor.id.clone(),
    });
}

fn registered(user: &mut UserRecord, event: Registered) {
    if user.origin.is_some() {
        return;
    }
    user.email = Some(event.email);
    user.full_name = Some(event.full_name);
    user.origin = Some(event.origin.as_str().to_owned());
    user.invitation = None;
    if user.status == UserStatus::Invited {
        user.status = UserStatus::Active;
    }
}

fn profile_changed(user: &mut UserRecord, event: ProfileChanged) {
    let patch = |field: &mut Option<Personal>, patch| match patch {
        Patch::Keep => {}
        Patch::Clear => *field = None,
        Patch::Set(value) => *field = Some(value),
    };
    if event.full_name.is_some() {
        user.full_name = event.full_name;
    }
    if event.email.is_some() {
        user.email = event.email;
    }
    patch(&mut user.about, event.about);
    patch(&mut user.picture_url, event.picture_url);
}

/// A grant of a role that is held there already replaces that one.
fn role_granted(user: &mut UserRecord, entry: &Entry, event: RoleGranted) {
    let (role, department_id) = (String::from(event.role), event.department_id.map(String::from));
    // Whoever has it and is given it again, with another end, has had it since the first time and from whom it was then.
    let is_it = |grant: &&Grant| grant.role == role && grant.department_id == department_id;
    let held = user.grants.iter().find(is_it).filter(|grant| grant.is_current(entry.recorded_at));
    let (granted_by, granted_at) = match held {
        Some(held) => (held.granted_by.clone(), held.granted_at),
        None => (entry.actor.id.clone(), entry.recorded_at),
    };
    user.grants.retain(|grant| grant.role != role || grant.department_id != department_id);
    user.grants.push(Grant {
        role,
        department_id,
        expires_at: event.expires_at.map(|at| at.micros()),
        granted_by,
        granted_at,
    });
}

/// What they may do and could get in with is gone. The sealed values stay: opened, they say that they are erased.
fn erased(user: &mut UserRecord) {
    user.status = UserStatus::Erased;
    user.invitation = None;
    user.grants.clear();
    user.second_factors.clear();
    user.identities.clear();
}
