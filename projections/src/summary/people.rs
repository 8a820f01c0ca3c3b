//! Sentences about people and what they may do. They name ids, roles and fields, and repeat nothing that somebody wrote:
//! a sentence is kept where no key can be destroyed.

use daybook_domain::user::{Origin, PasswordChangedBy, SecondFactorRemovedBy};
use daybook_domain::{
    DepartmentEvent, DepartmentId, OrganizationEvent, PermissionEvent, RoleEvent, SessionEvent, Timestamp, UserEvent,
};

pub(super) fn organization(id: &str, event: &OrganizationEvent) -> String {
    match event {
        OrganizationEvent::Created(event) => format!("Organization {id} created ({})", event.tier),
        OrganizationEvent::Renamed(_) => format!("Organization {id} renamed"),
        OrganizationEvent::SettingsChanged(event) => {
            let fields: Vec<&str> = event.changes.iter().map(|change| change.field()).collect();
            format!("Settings of organization {id} changed ({})", fields.join(", "))
        }
    }
}

pub(super) fn department(id: &str, event: &DepartmentEvent) -> String {
    match event {
        DepartmentEvent::Created(event) => {
            let parent = event.parent_department_id.as_ref().map(|parent| format!(" as part of {parent}"));
            format!("Department {id} created{}", parent.unwrap_or_default())
        }
        DepartmentEvent::Changed(event) => {
            let fields: Vec<&str> = event.changes.iter().map(|change| change.field()).collect();
            format!("Department {id} changed ({})", fields.join(", "))
        }
        DepartmentEvent::Closed(_) => format!("Department {id} closed"),
    }
}

pub(super) fn role(id: &str, event: &RoleEvent) -> String {
    match event {
        RoleEvent::Created(event) => {
            let inherits: Vec<&str> = event.inherits.iter().map(|role| role.as_str()).collect();
            let from = if inherits.is_empty() { String::new() } else { format!(", inherits {}", inherits.join(", ")) };
            format!("Role {id} created ({} permissions of its own{from})", event.permissions.len())
        }
        RoleEvent::Changed(event) => {
            let fields: Vec<&str> = event.changes.iter().map(|change| change.field()).collect();
            format!("Role {id} changed ({})", fields.join(", "))
        }
        RoleEvent::PermissionGranted(event) => format!("Role {id} was given the permission {}", event.permission),
        RoleEvent::PermissionWithdrawn(event) => {
            format!("The permission {} was taken from role {id}", event.permission)
        }
        RoleEvent::Retired(_) => format!("Role {id} retired"),
    }
}

pub(super) fn permission(id: &str, event: &PermissionEvent) -> String {
    match event {
        PermissionEvent::Defined(event) => {
            format!("Permission {id} defined: {} of {}", event.action, event.resource)
        }
    }
}

pub(super) fn user(id: &str, event: &UserEvent) -> String {
    match event {
        UserEvent::Invited(event) => format!(
            "User {id} invited as {}{} until {}",
            event.role,
            within(event.department_id.as_ref()),
            event.expires_at
        ),
        UserEvent::Registered(event) => {
            let how = match event.origin {
                Origin::Invitation => "by invitation",
                Origin::Registration => "by open registration",
                Origin::OwnerLink => "by the owner's link",
                Origin::Oidc => "by a provider of identities",
            };
            format!("User {id} registered {how}")
        }
        UserEvent::ProfileChanged(event) => format!("Profile of user {id} changed ({})", event.fields().join(", ")),
        UserEvent::PasswordChanged(event) => match event.by {
            PasswordChangedBy::OneSelf => format!("Password of user {id} changed"),
            PasswordChangedBy::Reset => format!("Password of user {id} reset"),
        },
        UserEvent::PasswordResetRequested(_) => format!("Somebody asked for a new password of user {id}"),
        UserEvent::RoleGranted(event) => format!(
            "User {id} was granted the role {}{}{}",
            event.role,
            within(event.department_id.as_ref()),
            until(event.expires_at)
        ),
        UserEvent::RoleRevoked(event) => {
            format!("The role {}{} was taken from user {id}", event.role, within(event.department_id.as_ref()))
        }
        UserEvent::Deactivated(_) => format!("User {id} deactivated"),
        UserEvent::Reactivated(_) => format!("User {id} reactivated"),
        UserEvent::SecondFactorEnabled(event) => {
            format!("Second factor {} ({}) of user {id} enabled", event.factor_id, event.kind)
        }
        UserEvent::SecondFactorRemoved(event) => {
            let by = match event.by {
                SecondFactorRemovedBy::OneSelf => "",
                SecondFactorRemovedBy::Administrator => " by an administrator",
                SecondFactorRemovedBy::RecoveryCode => " with a recovery code",
            };
            format!("Second factor {} ({}) of user {id} removed{by}", event.factor_id, event.kind)
        }
        UserEvent::IdentityLinked(event) => format!("User {id} linked to an identity of {}", event.provider),
        UserEvent::SamePersonDeclared(event) => {
            format!("User {id} is the same person as {}, as {} declared", event.person, event.by)
        }
        UserEvent::Erased(event) => format!("User {id} erased ({})", event.erasure_id),
    }
}

pub(super) fn session(id: &str, event: &SessionEvent) -> String {
    match event {
        SessionEvent::Started(event) => {
            let methods: Vec<String> = event.methods.iter().map(ToString::to_string).collect();
            format!("User {} started session {id} ({})", event.user_id, methods.join(", "))
        }
        SessionEvent::Ended(event) => format!("Session {id} ended: {}", event.reason.as_str().replace('_', " ")),
    }
}

fn within(department_id: Option<&DepartmentId>) -> String {
    department_id.map(|id| format!(" within {id}")).unwrap_or_default()
}

fn until(time: Option<Timestamp>) -> String {
    time.map(|time| format!(" until {time}")).unwrap_or_default()
}
