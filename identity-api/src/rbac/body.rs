//! What is asked of roles, permissions and departments, and how it becomes commands.

use std::collections::BTreeSet;

use daybook_domain::Patch;
use daybook_domain::meta::Meta;
use daybook_domain::names::{DepartmentId, PermissionName, RoleName};
use daybook_domain::permission::Defined;
use daybook_domain::text::{Description, Line, Reason, ShortName};
use daybook_domain::{InvalidField, department, role};
use daybook_http_kit::Problem;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::problems::{Faults, invalid};

/// A role to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateRoleBody {
    /// Its name, for programs: a lower-case letter, then letters, digits, `_`, `.` and `-`; at most 63.
    #[schema(example = "desk_lead")]
    pub name: String,
    /// Its name for people; the name if it is absent.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Roles whose permissions it has as well, built-in or made; at most 16.
    #[serde(default)]
    pub inherits: BTreeSet<String>,
    /// Permissions of its own, by name; at most 256.
    #[serde(default)]
    pub permissions: BTreeSet<String>,
}

impl CreateRoleBody {
    /// The role as it is to be.
    pub(crate) fn content(self) -> Result<role::Created, Problem> {
        let mut faults = Faults::default();
        let name = faults.check(RoleName::parse("/name", self.name.clone()));
        let display_name = faults.check(Line::parse("/display_name", self.display_name.unwrap_or(self.name)));
        let description = faults.check(Description::parse_optional("/description", self.description));
        let inherits = faults.check(role_names("/inherits", self.inherits));
        let permissions = faults.check(permission_names("/permissions", self.permissions));
        faults.none()?;
        let (Some(name), Some(display_name), Some(description), Some(inherits), Some(permissions)) =
            (name, display_name, description, inherits, permissions)
        else {
            return Err(faults.problem());
        };
        Ok(role::Created { name, display_name, description, inherits, permissions })
    }
}

/// What is to be different about a role. Permissions are granted and withdrawn one by one.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeRoleBody {
    /// Its name, if it is repeated: names do not change.
    pub name: Option<String>,
    /// Its name for people.
    pub display_name: Option<String>,
    /// What it is for; `null` removes it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub description: Patch<String>,
    /// All the roles whose permissions it is to have as well.
    pub inherits: Option<BTreeSet<String>>,
    /// False retires the role, for good.
    pub is_active: Option<bool>,
}

impl ChangeRoleBody {
    /// The changes, and whether the role is to be retired.
    pub(crate) fn patch(self, name: &str) -> Result<(role::RolePatch, bool), Problem> {
        if self.name.as_deref().is_some_and(|new| new != name) {
            return Err(Problem::invalid("/name", "a role keeps its name"));
        }
        let parsed = || {
            Ok(role::RolePatch {
                display_name: Line::parse_optional("/display_name", self.display_name)?,
                description: self.description.try_map(|text| Description::parse("/description", text))?,
                inherits: self.inherits.map(|names| role_names("/inherits", names)).transpose()?,
            })
        };
        Ok((parsed().map_err(invalid)?, self.is_active == Some(false)))
    }
}

/// Why something is done.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IdentityReasonBody)]
pub(crate) struct WhyBody {
    /// Why: at most 2,000 characters.
    pub reason: Option<String>,
}

impl WhyBody {
    pub(crate) fn reason(self) -> Result<Option<Reason>, Problem> {
        Reason::parse_optional("/reason", self.reason).map_err(invalid)
    }
}

/// A permission that the organisation defines for its own programs.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DefinePermissionBody {
    /// Its name, `resource:action`.
    #[schema(example = "chat.message:create")]
    pub name: String,
    /// Its name for people.
    pub display_name: Option<String>,
    /// What it allows, in words.
    pub description: Option<String>,
    /// What it is about.
    #[schema(example = "chat.message")]
    pub resource: String,
    /// What may be done with that.
    #[schema(example = "create")]
    pub action: String,
    /// When it counts: `own_only` (true), `department` (true), `max_classification` (`public` to `secret`).
    #[schema(value_type = Option<Object>)]
    pub conditions: Option<Map<String, Value>>,
}

impl DefinePermissionBody {
    /// The permission as it is to be. The conditions are checked where they are read.
    pub(crate) fn definition(self) -> Result<Defined, Problem> {
        let mut faults = Faults::default();
        let name = faults.check(PermissionName::parse("/name", self.name));
        let display_name = faults.check(Line::parse_optional("/display_name", self.display_name));
        let description = faults.check(Description::parse_optional("/description", self.description));
        let resource = faults.check(ShortName::parse("/resource", self.resource));
        let action = faults.check(ShortName::parse("/action", self.action));
        let conditions = faults.check(Meta::parse("/conditions", self.conditions.unwrap_or_default()));
        faults.none()?;
        let (Some(name), Some(display_name), Some(description), Some(resource), Some(action), Some(conditions)) =
            (name, display_name, description, resource, action, conditions)
        else {
            return Err(faults.problem());
        };
        Ok(Defined { name, display_name, description, resource, action, conditions })
    }
}

/// A department to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateDepartmentBody {
    /// What it is called, in one line. Also taken as `display_name`.
    #[serde(alias = "display_name")]
    #[schema(example = "Rates")]
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The department that it is part of.
    pub parent_department_id: Option<String>,
}

impl CreateDepartmentBody {
    /// The department as it is to be, under this id.
    pub(crate) fn content(self, id: String) -> Result<department::Created, Problem> {
        let parsed = || {
            Ok(department::Created {
                department_id: DepartmentId::parse("/department_id", id)?,
                name: Line::parse("/name", self.name)?,
                description: Description::parse_optional("/description", self.description)?,
                parent_department_id: DepartmentId::parse_optional("/parent_department_id", self.parent_department_id)?,
            })
        };
        parsed().map_err(invalid)
    }
}

/// What is to be different about a department.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeDepartmentBody {
    /// What it is called.
    pub name: Option<String>,
    /// What it is for; `null` removes it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub description: Patch<String>,
    /// The department that it is part of; `null` makes it part of none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub parent_department_id: Patch<String>,
}

impl ChangeDepartmentBody {
    pub(crate) fn patch(self) -> Result<department::DepartmentPatch, Problem> {
        let parsed = || {
            Ok(department::DepartmentPatch {
                name: Line::parse_optional("/name", self.name)?,
                description: self.description.try_map(|text| Description::parse("/description", text))?,
                parent_department_id: self
                    .parent_department_id
                    .try_map(|id| DepartmentId::parse("/parent_department_id", id))?,
            })
        };
        parsed().map_err(invalid)
    }
}

fn role_names(pointer: &str, names: BTreeSet<String>) -> Result<BTreeSet<RoleName>, InvalidField> {
    names.into_iter().map(|name| RoleName::parse(pointer, name)).collect()
}

fn permission_names(pointer: &str, names: BTreeSet<String>) -> Result<BTreeSet<PermissionName>, InvalidField> {
    names.into_iter().map(|name| PermissionName::parse(pointer, name)).collect()
}
