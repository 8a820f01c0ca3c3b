//! What is asked about people, and how it becomes commands.

use daybook_domain::names::{DepartmentId, RoleName};
use daybook_domain::text::Reason;
use daybook_domain::{Patch, Timestamp};
use daybook_http_kit::{PageParameters, Problem};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::operations::Terms;
use crate::problems::{Faults, invalid};

/// Which people are listed.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UserFilter {
    /// Only those who have this role, anywhere.
    pub role: Option<String>,
    /// `invited`, `active`, `deactivated` or `erased`.
    pub status: Option<String>,
    /// Only those who may log in, or only the others.
    pub is_active: Option<String>,
    /// Only those who have a role within the department of this id.
    pub department: Option<String>,
    /// Part of a name or of an e-mail address that the caller may see, or an id.
    pub search: Option<String>,
    #[serde(flatten)]
    #[param(ignore)]
    pub page: PageParameters,
}

/// Somebody to be invited.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InviteBody {
    /// Where the invitation goes.
    #[schema(example = "ann@example.com")]
    pub email: String,
    /// The role that registering gives; `viewer` if it is absent.
    #[schema(example = "analyst")]
    pub role: Option<String>,
    /// The department within which it will hold.
    pub department_id: Option<String>,
    /// Until when the role will hold, RFC 3339. An auditor's must end.
    pub role_expires_at: Option<String>,
}

impl InviteBody {
    /// The role and where it will hold.
    pub(crate) fn terms(&self) -> Result<Terms, Problem> {
        let role = self.role.clone().unwrap_or_else(|| RoleName::viewer().to_string());
        terms(role, self.department_id.clone(), self.role_expires_at.as_deref(), "/role_expires_at", None)
    }
}

/// A role to be given.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantBody {
    /// Its name.
    #[schema(example = "analyst")]
    pub role: String,
    /// The department within which it is to hold; everywhere if it is absent.
    pub department_id: Option<String>,
    /// Until when, RFC 3339. An auditor's must end, within 366 days.
    pub expires_at: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl GrantBody {
    pub(crate) fn terms(self) -> Result<Terms, Problem> {
        terms(self.role, self.department_id, self.expires_at.as_deref(), "/expires_at", self.reason)
    }
}

/// A role to be taken.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeBody {
    /// Its name.
    #[schema(example = "analyst")]
    pub role: String,
    /// The department within which it holds; everywhere if it is absent.
    pub department_id: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// What is to be different about a person. The e-mail address is the person's own to change: whoever could change it could
/// take the account over.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePersonBody {
    /// The person's name: at most 200 characters on one line.
    pub full_name: Option<String>,
    /// What the person says of themselves; `null` removes it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub about: Patch<String>,
    /// A picture's address; `null` removes it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub picture_url: Patch<String>,
}

/// The predecessors' way to set a role.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RoleParameters {
    /// `owner`, `admin`, `compliance`, `analyst` or `viewer`. An auditor's role ends: `POST /users/{id}/grants` gives it.
    #[param(example = "analyst")]
    pub role: Option<String>,
}

/// A person and a role.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssignRoleBody {
    /// The person's id.
    pub user_id: String,
    /// `owner`, `admin`, `compliance`, `analyst` or `viewer`.
    #[schema(example = "analyst")]
    pub role: String,
    /// Why.
    pub reason: Option<String>,
}

/// Checked terms of a grant.
pub(crate) fn terms(
    role: String,
    department_id: Option<String>,
    expires_at: Option<&str>,
    expires_at_pointer: &str,
    reason: Option<String>,
) -> Result<Terms, Problem> {
    let mut faults = Faults::default();
    let role = faults.check(RoleName::parse("/role", role));
    let department_id = faults.check(DepartmentId::parse_optional("/department_id", department_id));
    let expires_at = faults.check(Timestamp::parse_optional(expires_at_pointer, expires_at));
    let reason = faults.check(Reason::parse_optional("/reason", reason));
    faults.none()?;
    match (role, department_id, expires_at, reason) {
        (Some(role), Some(department_id), Some(expires_at), Some(reason)) => {
            Ok(Terms { role, department_id, expires_at, reason })
        }
        _ => Err(faults.problem()),
    }
}

/// A reason that may be absent.
pub(crate) fn reason(text: Option<String>) -> Result<Option<Reason>, Problem> {
    Reason::parse_optional("/reason", text).map_err(invalid)
}
