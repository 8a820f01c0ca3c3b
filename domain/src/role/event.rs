//! What happened to a role, as it is stored.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::names::{PermissionName, RoleName};
use crate::stream::events;
use crate::text::{Description, Line, Reason};

events! {
    /// An event of a role.
    RoleEvent {
        /// It came into being.
        Created(Created) = "role.created",
        /// What is known about it, or what it inherits, changed.
        Changed(Changed) = "role.changed",
        /// It has one more permission.
        PermissionGranted(PermissionGranted) = "role.permission_granted",
        /// It has one permission less.
        PermissionWithdrawn(PermissionWithdrawn) = "role.permission_withdrawn",
        /// It is no more: whoever was granted it has nothing of it.
        Retired(Retired) = "role.retired",
    }
}

/// Payload of `role.created`, and the state that later events change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Its name, and the id of its stream.
    pub name: RoleName,
    /// What people see.
    pub display_name: Line,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// The roles whose permissions it has as well.
    pub inherits: BTreeSet<RoleName>,
    /// The permissions that it has of its own.
    pub permissions: BTreeSet<PermissionName>,
}

impl Created {
    /// Takes over the new value of a change.
    pub fn apply(&mut self, change: &RoleChange) {
        match change.clone() {
            RoleChange::DisplayName { new, .. } => self.display_name = new,
            RoleChange::Description { new, .. } => self.description = new,
            RoleChange::Inherits { new, .. } => self.inherits = new,
        }
    }
}

/// Payload of `role.changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// One item a field that changed; never empty.
    pub changes: Vec<RoleChange>,
}

/// Payload of `role.permission_granted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionGranted {
    /// Which.
    pub permission: PermissionName,
}

/// Payload of `role.permission_withdrawn`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionWithdrawn {
    /// Which.
    pub permission: PermissionName,
}

/// Payload of `role.retired`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// One changed field. As JSON: `{"field": "inherits", "old": ["viewer"], "new": ["analyst"]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "field", rename_all = "snake_case")]
#[expect(missing_docs, reason = "every variant holds the value before and the value after")]
pub enum RoleChange {
    /// What people see.
    DisplayName { old: Line, new: Line },
    /// What it is for.
    Description { old: Option<Description>, new: Option<Description> },
    /// The roles whose permissions it has as well.
    Inherits { old: BTreeSet<RoleName>, new: BTreeSet<RoleName> },
}

impl RoleChange {
    /// The name of the field, as in JSON.
    pub fn field(&self) -> &'static str {
        match self {
            Self::DisplayName { .. } => "display_name",
            Self::Description { .. } => "description",
            Self::Inherits { .. } => "inherits",
        }
    }

    pub(super) fn changes_something(&self) -> bool {
        match self {
            Self::DisplayName { old, new } => old != new,
            Self::Description { old, new } => old != new,
            Self::Inherits { old, new } => old != new,
        }
    }
}
