//! Events of the organisation itself, its departments, roles and permissions.

use std::sync::Arc;

use daybook_domain::department::{DepartmentChange, DepartmentEvent};
use daybook_domain::organization::{OrganizationEvent, SettingChange};
use daybook_domain::permission::PermissionEvent;
use daybook_domain::role::{RoleChange, RoleEvent};
use daybook_ledger::Entry;

use super::{change, create};
use crate::directory::gifts::Given;
use crate::directory::records::{DepartmentRecord, PermissionRecord, Place, RoleRecord};
use crate::directory::state::DirectoryState;

pub(super) fn organization(state: &mut DirectoryState, entry: &Entry, event: OrganizationEvent) -> bool {
    // There is one in a ledger: the one whose id the ledger has.
    if entry.stream.stream_id != entry.ledger_id.as_str() {
        return false;
    }
    let record = Arc::make_mut(&mut state.organization);
    match event {
        OrganizationEvent::Created(event) => {
            record.name = event.name.into();
            record.tier = Some(event.tier.into());
            record.place = Place::first(entry);
        }
        OrganizationEvent::Renamed(event) => record.name = event.to.into(),
        OrganizationEvent::SettingsChanged(event) => {
            for changed in event.changes {
                match changed {
                    SettingChange::OpenRegistration { new, .. } => record.settings.open_registration = Some(new),
                    SettingChange::RequireSecondFactor { new, .. } => record.settings.require_second_factor = Some(new),
                    SettingChange::SessionHours { new, .. } => record.settings.session_hours = Some(new.get()),
                }
            }
        }
    }
    record.place.move_to(entry);
    true
}

pub(super) fn department(state: &mut DirectoryState, entry: &Entry, event: DepartmentEvent) -> bool {
    let id = entry.stream.stream_id.as_str();
    let above = |state: &DirectoryState| state.departments.get(id).and_then(|known| known.parent_department_id.clone());
    let before = above(state);
    let changed = match event {
        DepartmentEvent::Created(event) => create(
            &mut state.departments,
            id,
            DepartmentRecord {
                department_id: event.department_id.into(),
                name: event.name.into(),
                description: event.description.map(String::from),
                parent_department_id: event.parent_department_id.map(String::from),
                closed: false,
                place: Place::first(entry),
            },
        ),
        DepartmentEvent::Changed(event) => change(&mut state.departments, id, |department| {
            department.place.move_to(entry);
            for changed in event.changes {
                match changed {
                    DepartmentChange::Name { new, .. } => department.name = new.into(),
                    DepartmentChange::Description { new, .. } => department.description = new.map(String::from),
                    DepartmentChange::ParentDepartmentId { new, .. } => {
                        department.parent_department_id = new.map(String::from);
                    }
                }
            }
        }),
        DepartmentEvent::Closed(_) => change(&mut state.departments, id, |department| {
            department.place.move_to(entry);
            department.closed = true;
        }),
    };
    let now = above(state);
    if now.is_some() && now != before {
        state.give(entry, Given::DepartmentPlaced { department_id: id.to_owned() });
    }
    structure_changed(state, entry, changed)
}

pub(super) fn role(state: &mut DirectoryState, entry: &Entry, event: RoleEvent) -> bool {
    let id = entry.stream.stream_id.as_str();
    let allowed_nothing = state.permissions_of_role(id).is_empty();
    let changed = match event {
        RoleEvent::Created(event) => create(
            &mut state.roles,
            id,
            RoleRecord {
                name: event.name.into(),
                display_name: event.display_name.into(),
                description: event.description.map(String::from),
                inherits: event.inherits.into_iter().map(String::from).collect(),
                permissions: event.permissions.into_iter().map(String::from).collect(),
                retired: false,
                place: Place::first(entry),
            },
        ),
        other => change(&mut state.roles, id, |role| {
            role.place.move_to(entry);
            change_role(role, other);
        }),
    };
    if allowed_nothing && !state.permissions_of_role(id).is_empty() {
        state.give(entry, Given::RoleFilled { role: id.to_owned() });
    }
    structure_changed(state, entry, changed)
}

fn change_role(role: &mut RoleRecord, event: RoleEvent) {
    match event {
        // Handled by the caller: there is nothing to change yet.
        RoleEvent::Created(_) => {}
        RoleEvent::Changed(event) => {
            for changed in event.changes {
                match changed {
                    RoleChange::DisplayName { new, .. } => role.display_name = new.into(),
                    RoleChange::Description { new, .. } => role.description = new.map(String::from),
                    RoleChange::Inherits { new, .. } => role.inherits = new.into_iter().map(String::from).collect(),
                }
            }
        }
        RoleEvent::PermissionGranted(event) => {
            role.permissions.insert(event.permission.into());
        }
        RoleEvent::PermissionWithdrawn(event) => {
            role.permissions.remove(event.permission.as_str());
        }
        RoleEvent::Retired(_) => role.retired = true,
    }
}

pub(super) fn permission(state: &mut DirectoryState, entry: &Entry, event: PermissionEvent) -> bool {
    let PermissionEvent::Defined(event) = event;
    let record = PermissionRecord {
        name: event.name.into(),
        display_name: event.display_name.map(String::from),
        description: event.description.map(String::from),
        resource: event.resource.into(),
        action: event.action.into(),
        conditions: event.conditions,
        place: Place::first(entry),
    };
    create(&mut state.permissions, &entry.stream.stream_id, record)
}

/// What everybody may do has to be worked out anew.
fn structure_changed(state: &mut DirectoryState, entry: &Entry, changed: bool) -> bool {
    if changed {
        state.structure_position = entry.position;
    }
    changed
}
