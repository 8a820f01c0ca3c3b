//! A role as answers show it.

use std::collections::BTreeSet;

use daybook_domain::role::RoleError;
use daybook_http_kit::Problem;
use daybook_http_kit::role::{BUILT_IN_ROLES, BuiltInRole};
use daybook_identity::directory::{DirectoryState, RoleRecord};
use serde::Serialize;
use utoipa::ToSchema;

use super::resolve::{built_in, made, resolve};
use crate::problems::refused;
use daybook_ledger::keys::time::rfc3339;

/// A role.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct RoleView {
    /// Its name, which is its id.
    #[schema(example = "desk_lead")]
    pub id: String,
    /// The same.
    pub name: String,
    /// Its name for people.
    pub display_name: String,
    /// What it is for.
    pub description: Option<String>,
    /// True where Daybook comes with it: it cannot be changed.
    pub is_system_role: bool,
    /// False where it was retired: it permits nothing.
    pub is_active: bool,
    /// The roles whose permissions it has as well.
    pub inherits: Vec<String>,
    /// Everything that it permits, what it inherits included.
    pub permissions: BTreeSet<String>,
    /// What it permits by itself.
    pub own_permissions: BTreeSet<String>,
    /// When it was made; null for a role that Daybook comes with.
    pub created_at: Option<String>,
    /// When it was last changed.
    pub updated_at: Option<String>,
    /// Its version, for `If-Match`; 0 for a role that Daybook comes with.
    pub version: u64,
}

impl RoleView {
    fn built_in(row: &BuiltInRole) -> Self {
        let inherited = row.inherits.iter().filter_map(|name| built_in(name));
        let inherited: BTreeSet<_> = inherited.flat_map(|row| row.permissions.names()).collect();
        let names = || row.permissions.names();
        Self {
            id: row.name.to_owned(),
            name: row.name.to_owned(),
            display_name: row.display_name.to_owned(),
            description: Some(row.description.to_owned()),
            is_system_role: true,
            is_active: true,
            inherits: row.inherits.iter().map(|name| (*name).to_owned()).collect(),
            permissions: names().map(str::to_owned).collect(),
            own_permissions: names().filter(|name| !inherited.contains(name)).map(str::to_owned).collect(),
            created_at: None,
            updated_at: None,
            version: 0,
        }
    }

    fn made(state: &DirectoryState, role: &RoleRecord) -> Self {
        Self {
            id: role.name.clone(),
            name: role.name.clone(),
            display_name: role.display_name.clone(),
            description: role.description.clone(),
            is_system_role: false,
            is_active: !role.retired,
            inherits: role.inherits.clone(),
            permissions: resolve(state, &role.name).map(|resolved| resolved.names()).unwrap_or_default(),
            own_permissions: role.permissions.clone(),
            created_at: Some(rfc3339(role.place.created_at)),
            updated_at: Some(rfc3339(role.place.changed_at)),
            version: role.place.version,
        }
    }

    /// The role of this name, or a 404.
    pub(crate) fn of(state: &DirectoryState, name: &str) -> Result<Self, Problem> {
        if let Some(row) = built_in(name) {
            return Ok(Self::built_in(row));
        }
        made(state, name).map(|role| Self::made(state, role)).ok_or_else(|| refused(&RoleError::NotFound))
    }

    /// All roles, the built-in ones first.
    pub(crate) fn all(state: &DirectoryState) -> Vec<Self> {
        let built_in = BUILT_IN_ROLES.iter().map(Self::built_in);
        built_in.chain(state.roles.values().map(|role| Self::made(state, role))).collect()
    }
}
