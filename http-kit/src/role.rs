//! The roles that Daybook comes with. They are code, not events: nobody can change or retire them.
//!
//! Roles that an organisation makes for itself are names to this crate; what they permit, the directory says.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::permission_set::PermissionSet;

/// A role that Daybook comes with, or the operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the installation; holds every permission in every organisation. Nobody can be granted it: it takes the
    /// token.
    Operator,
    /// Answers for the organisation.
    Owner,
    /// Administers the organisation.
    Admin,
    /// Compliance officer.
    Compliance,
    /// Analyst.
    Analyst,
    /// Looks on.
    Viewer,
    /// Reads everything and may ask for exports of it; changes no record.
    Auditor,
}

impl Role {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Compliance => "compliance",
            Self::Analyst => "analyst",
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
        }
    }

    /// The role of this name that somebody can be granted. `operator` is not one.
    pub fn granted(name: &str) -> Option<Self> {
        BUILT_IN_ROLES.iter().find(|row| row.name == name).map(|row| row.role)
    }

    /// What it permits.
    pub fn permissions(self) -> PermissionSet {
        PermissionSet::of_role(self)
    }

    /// The operator's token holds everything; an owner whatever an administrator holds.
    pub(crate) const fn is_among(self, holders: &[Role]) -> bool {
        if matches!(self, Self::Operator) {
            return true;
        }
        // Constant functions know no iterators and no comparison of their own.
        let mut rest = holders;
        while let [holder, others @ ..] = rest {
            let holds = *holder as u8 == self as u8 || (matches!(self, Self::Owner) && matches!(holder, Self::Admin));
            if holds {
                return true;
            }
            rest = others;
        }
        false
    }
}

/// One row of the table of built-in roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltInRole {
    /// Which.
    pub role: Role,
    /// Its name in grants.
    pub name: &'static str,
    /// Its name for people.
    pub display_name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// The roles whose permissions it has too. They are in `permissions` already.
    pub inherits: &'static [&'static str],
    /// Everything that it permits.
    pub permissions: PermissionSet,
}

const fn row(
    role: Role,
    display_name: &'static str,
    description: &'static str,
    inherits: &'static [&'static str],
) -> BuiltInRole {
    let (name, permissions) = (role.as_str(), PermissionSet::of_role(role));
    BuiltInRole { role, name, display_name, description, inherits, permissions }
}

/// The built-in roles that can be granted, the strongest first. A grant of `auditor` ends: see the directory.
pub static BUILT_IN_ROLES: [BuiltInRole; 6] = [
    row(Role::Owner, "Owner", "Answers for the organisation and can hand it on.", &["admin"]),
    row(Role::Admin, "Administrator", "Administers people, roles, keys and settings.", &["compliance"]),
    row(Role::Compliance, "Compliance officer", "Resolves, exports, holds and decides.", &["analyst"]),
    row(Role::Analyst, "Analyst", "Reads and works on incidents.", &["viewer"]),
    row(Role::Viewer, "Viewer", "Looks on.", &[]),
    row(
        Role::Auditor,
        "Auditor",
        "Reads everything including proofs, for a limited time; may ask for exports of it and changes nothing.",
        &[],
    ),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;
    use crate::permission::{MATRIX, held_by};

    fn named(name: &str) -> BuiltInRole {
        *BUILT_IN_ROLES.iter().find(|row| row.name == name).unwrap()
    }

    #[test]
    fn role_has_what_it_inherits() {
        for row in &BUILT_IN_ROLES {
            for inherited in row.inherits {
                assert!(row.permissions.contains_all(&named(inherited).permissions), "{} {inherited}", row.name);
            }
        }
    }

    #[test]
    fn owner_has_the_organisation_to_hand_on_besides_what_an_administrator_has() {
        let admin = named("admin").permissions;
        let more: Vec<_> = named("owner").permissions.names().filter(|name| !admin.contains_name(name)).collect();
        assert_eq!(more, ["organization:transfer"]);
    }

    #[test]
    fn auditor_holds_whatever_reads_and_may_ask_for_an_export_of_it() {
        let reads = |name: &str| {
            if name == "export:request" {
                return true;
            }
            let verb = name.split_once(':').unwrap().1;
            matches!(verb, "read" | "list" | "verify" | "metrics_read" | "read_contact" | "export")
        };
        for row in MATRIX {
            assert_eq!(row.held_by(Role::Auditor), reads(row.name), "{}", row.name);
        }
        for needed in ["ledger:read", "ledger:verify", "audit:read", "user:list", "user:read_contact", "hold:read"] {
            assert!(held_by(Role::Auditor).any(|name| name == needed), "{needed}");
        }
    }

    #[test]
    fn operator_can_not_be_granted() {
        assert_eq!(Role::granted("operator"), None);
        assert_eq!(Role::granted("auditor"), Some(Role::Auditor));
    }
}
