//! A role that an organisation made for itself: permissions, and the roles whose permissions it has as well.
//!
//! One role knows nothing of the others: that what it inherits exists, that no circle arises, and how deep the tree is,
//! is checked by whoever gives the command and knows them all. The same holds for the names of permissions.

mod event;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use event::{Changed, Created, PermissionGranted, PermissionWithdrawn, Retired, RoleChange, RoleEvent};

use crate::names::{PermissionName, RoleName};
use crate::patch::Patch;
use crate::refusal::refusals;
use crate::stream::aggregate;
use crate::text::{Description, Line, Reason};

/// Most roles that one role inherits directly.
pub const MAX_INHERITED: usize = 16;
/// Most permissions that one role has of its own.
pub const MAX_PERMISSIONS: usize = 256;

/// A command to one role.
#[derive(Debug, Clone, PartialEq)]
pub enum RoleCommand {
    /// Bring it into being.
    Create(Created),
    /// See [`RolePatch`].
    Change(RolePatch),
    /// Give it a permission.
    GrantPermission {
        /// Which.
        permission: PermissionName,
    },
    /// Take a permission from it. What it inherits is not touched.
    WithdrawPermission {
        /// Which.
        permission: PermissionName,
    },
    /// Do away with it. Its name is not given to another.
    Retire {
        /// Why.
        reason: Option<Reason>,
    },
}

/// The fields that are to have another value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RolePatch {
    /// What people see.
    pub display_name: Option<Line>,
    /// What it is for.
    pub description: Patch<Description>,
    /// All the roles that it inherits.
    pub inherits: Option<BTreeSet<RoleName>>,
}

refusals! {
    /// Why a command to a role is refused.
    RoleError {
        /// There is no such role.
        #[error("there is no such role")]
        NotFound = "role.not_found", NotFound;
        /// It was created before, otherwise.
        #[error("the role already exists with other content: {} differs", fields.join(", "))]
        Exists {
            /// The fields that differ from what it was created with.
            fields: Vec<&'static str>,
        } = "role.exists", Exists;
        /// The name is that of a role that is always there.
        #[error("the name {name} belongs to a built-in role, which cannot be changed")]
        BuiltIn {
            /// The name.
            name: RoleName,
        } = "role.built_in", Rule, "/name";
        /// It would inherit itself.
        #[error("a role cannot inherit itself")]
        InheritsItself = "role.inherits_itself", Rule, "/inherits";
        /// What it would inherit is only ever granted by itself.
        #[error("the role {name} cannot be inherited")]
        NotInheritable {
            /// The name.
            name: RoleName,
        } = "role.not_inheritable", Rule, "/inherits";
        /// It would inherit too many.
        #[error("a role inherits at most {MAX_INHERITED} others")]
        TooManyInherited = "role.too_many_inherited", Rule, "/inherits";
        /// It would have too many permissions.
        #[error("a role has at most {MAX_PERMISSIONS} permissions of its own")]
        TooManyPermissions = "role.too_many_permissions", Rule, "/permissions";
        /// It does not have this permission of its own.
        #[error("the role does not have the permission {permission} of its own")]
        PermissionNotGranted {
            /// The permission.
            permission: PermissionName,
        } = "role.permission_not_granted", Rule, "/permission";
        /// It is retired, for good.
        #[error("the role is retired")]
        Retired = "role.retired", Rule;
    }
}

/// A role. The default value is one that was never created.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Role {
    created: Option<Standing>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Standing {
    original: Created,
    current: Created,
    retired: bool,
}

impl Role {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 1;
    /// Descriptions and reasons may name people.
    pub const HOLDS_PERSONAL_DATA: bool = true;

    /// Whether it was created.
    pub fn exists(&self) -> bool {
        self.created.is_some()
    }

    /// What holds now, changes and permissions included.
    pub fn content(&self) -> Option<&Created> {
        self.created.as_ref().map(|standing| &standing.current)
    }

    /// Whether it was retired.
    pub fn is_retired(&self) -> bool {
        self.created.as_ref().is_some_and(|standing| standing.retired)
    }

    /// What the command leads to. No events: it asks for what is already so.
    pub fn decide(&self, command: RoleCommand) -> Result<Vec<RoleEvent>, RoleError> {
        match (&self.created, command) {
            (None, RoleCommand::Create(content)) => {
                content.check()?;
                Ok(vec![RoleEvent::Created(content)])
            }
            (None, _) => Err(RoleError::NotFound),
            (Some(Standing { retired: true, .. }), RoleCommand::Retire { .. }) => Ok(Vec::new()),
            (Some(Standing { retired: true, .. }), _) => Err(RoleError::Retired),
            (Some(standing), RoleCommand::Create(content)) => {
                let fields = standing.original.differing_fields(&content);
                if fields.is_empty() { Ok(Vec::new()) } else { Err(RoleError::Exists { fields }) }
            }
            (Some(standing), RoleCommand::Change(patch)) => {
                let changes = patch.changes(standing.current.clone());
                if changes.is_empty() {
                    return Ok(Vec::new());
                }
                let mut next = standing.current.clone();
                changes.iter().for_each(|change| next.apply(change));
                next.check()?;
                Ok(vec![RoleEvent::Changed(Changed { changes })])
            }
            (Some(standing), RoleCommand::GrantPermission { permission }) => {
                standing.current.grant_permission(permission)
            }
            (Some(standing), RoleCommand::WithdrawPermission { permission }) => {
                if !standing.current.permissions.contains(&permission) {
                    return Err(RoleError::PermissionNotGranted { permission });
                }
                Ok(vec![RoleEvent::PermissionWithdrawn(PermissionWithdrawn { permission })])
            }
            (Some(_), RoleCommand::Retire { reason }) => Ok(vec![RoleEvent::Retired(Retired { reason })]),
        }
    }

    /// Follows what happened. An event that cannot belong here leaves the state alone.
    fn fold(&mut self, event: RoleEvent) {
        match (&mut self.created, event) {
            (None, RoleEvent::Created(original)) => {
                self.created = Some(Standing { current: original.clone(), original, retired: false });
            }
            (Some(standing), RoleEvent::Changed(event)) => {
                event.changes.iter().for_each(|change| standing.current.apply(change));
            }
            (Some(standing), RoleEvent::PermissionGranted(event)) => {
                standing.current.permissions.insert(event.permission);
            }
            (Some(standing), RoleEvent::PermissionWithdrawn(event)) => {
                standing.current.permissions.remove(&event.permission);
            }
            (Some(standing), RoleEvent::Retired(_)) => standing.retired = true,
            (Some(_), RoleEvent::Created(_)) | (None, _) => {}
        }
    }
}

impl Created {
    /// Whether a role may be so.
    fn check(&self) -> Result<(), RoleError> {
        if self.name.is_built_in() {
            return Err(RoleError::BuiltIn { name: self.name.clone() });
        }
        if self.inherits.contains(&self.name) {
            return Err(RoleError::InheritsItself);
        }
        // Who owns the organisation, and until when an auditor looks, must be seen in the grants themselves.
        if let Some(name) = self.inherits.iter().find(|name| name.is_owner() || name.is_auditor() || name.is_operator())
        {
            return Err(RoleError::NotInheritable { name: name.clone() });
        }
        if self.inherits.len() > MAX_INHERITED {
            return Err(RoleError::TooManyInherited);
        }
        if self.permissions.len() > MAX_PERMISSIONS {
            return Err(RoleError::TooManyPermissions);
        }
        Ok(())
    }

    fn grant_permission(&self, permission: PermissionName) -> Result<Vec<RoleEvent>, RoleError> {
        if self.permissions.contains(&permission) {
            return Ok(Vec::new());
        }
        if self.permissions.len() >= MAX_PERMISSIONS {
            return Err(RoleError::TooManyPermissions);
        }
        Ok(vec![RoleEvent::PermissionGranted(PermissionGranted { permission })])
    }

    fn differing_fields(&self, other: &Self) -> Vec<&'static str> {
        [
            ("name", self.name == other.name),
            ("display_name", self.display_name == other.display_name),
            ("description", self.description == other.description),
            ("inherits", self.inherits == other.inherits),
            ("permissions", self.permissions == other.permissions),
        ]
        .into_iter()
        .filter_map(|(field, same)| (!same).then_some(field))
        .collect()
    }
}

impl RolePatch {
    /// The changes that change something.
    fn changes(self, current: Created) -> Vec<RoleChange> {
        let display_name = self.display_name.map(|new| RoleChange::DisplayName { old: current.display_name, new });
        let description =
            self.description.requested().map(|new| RoleChange::Description { old: current.description, new });
        let inherits = self.inherits.map(|new| RoleChange::Inherits { old: current.inherits, new });
        [display_name, description, inherits].into_iter().flatten().filter(RoleChange::changes_something).collect()
    }
}

aggregate!(Role = "role", RoleCommand => RoleEvent, RoleError);
