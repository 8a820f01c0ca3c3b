//! How roles and permissions are spread over people.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use daybook_http_kit::openapi::{QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::RoleManage;
use daybook_http_kit::{Allowed, NoQuery, Problem, Query};
use daybook_identity::directory::UserStatus;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::list::one;
use crate::state::{IdentityState, OrganizationIdentity};
use daybook_ledger::keys::time::rfc3339;

const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Which time is looked at.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AnalyticsParameters {
    /// Days back from now within which grants count as new: 1 to 365, default 30.
    #[param(minimum = 1, maximum = 365)]
    pub days: Option<u32>,
}

/// How roles and permissions are spread over the active people.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Analytics {
    /// One a role that somebody has.
    pub role_distribution: Vec<RoleCount>,
    /// One a permission that somebody has.
    pub permission_usage: Vec<PermissionCount>,
    /// One a department within which somebody has a role.
    pub department_distribution: Vec<DepartmentCount>,
    /// Days back from now within which grants count as new.
    pub period_days: u32,
    /// When this was counted.
    pub generated_at: String,
}

/// How many have a role.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RoleCount {
    /// The role's name.
    pub role: String,
    /// People who have it, anywhere.
    pub count: usize,
    /// How many of them were given it within the period.
    pub granted_in_period: usize,
}

/// How many have a permission.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct PermissionCount {
    /// The permission's name.
    pub permission: String,
    /// People who have it in the whole organisation.
    pub count: usize,
}

/// How many belong to a department.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct DepartmentCount {
    /// The department's id.
    pub department_id: String,
    /// Its name.
    pub name: String,
    /// People who have a role within it.
    pub count: usize,
}

/// Count roles and permissions
///
/// Of the active people, as of now.
#[utoipa::path(
    get, path = "/v1/rbac/analytics", tag = "roles", operation_id = "rbac_analytics",
    params(AnalyticsParameters, QueryHeaders),
    responses((status = 200, description = "The figures.", body = Analytics), QueryProblems)
)]
pub(crate) async fn analytics(
    _caller: Allowed<RoleManage>,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    parameters: Query<AnalyticsParameters>,
) -> Result<HttpResponse, Problem> {
    let (position, analytics) = count(&installation, &identity, &parameters)?;
    Ok(one(position, &analytics))
}

pub(crate) fn count(
    installation: &IdentityState,
    identity: &OrganizationIdentity,
    parameters: &AnalyticsParameters,
) -> Result<(u64, Analytics), Problem> {
    let period_days = parameters.days.unwrap_or(30);
    if !(1..=365).contains(&period_days) {
        return Err(Problem::bad_request("request.invalid_parameter", "query parameter days: must be 1 to 365")
            .at("?days", "must be 1 to 365"));
    }
    let (state, now) = (identity.directory.now(), installation.now());
    let since = now.saturating_sub(i64::from(period_days).saturating_mul(MICROS_PER_DAY));
    let mut roles: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut permissions: BTreeMap<String, usize> = BTreeMap::new();
    let mut departments: BTreeMap<&str, usize> = BTreeMap::new();
    for user in state.users.values().filter(|user| user.status == UserStatus::Active) {
        let mut held: BTreeMap<&str, bool> = BTreeMap::new();
        let mut within: Vec<&str> = Vec::new();
        for grant in user.grants.iter().filter(|grant| grant.is_current(now)) {
            *held.entry(&grant.role).or_default() |= grant.granted_at >= since;
            within.extend(grant.department_id.as_deref());
        }
        for (role, is_new) in held {
            let (count, new) = roles.entry(role).or_default();
            *count += 1;
            *new += usize::from(is_new);
        }
        within.sort_unstable();
        within.dedup();
        for department in within {
            *departments.entry(department).or_default() += 1;
        }
        for permission in state.permissions_of(&user.user_id, None, now) {
            *permissions.entry(permission).or_default() += 1;
        }
    }
    let role_count = |(role, (count, new)): (&str, (usize, usize))| RoleCount {
        role: role.to_owned(),
        count,
        granted_in_period: new,
    };
    let department_count = |(id, count): (&str, usize)| DepartmentCount {
        department_id: id.to_owned(),
        name: state.departments.get(id).map(|department| department.name.clone()).unwrap_or_default(),
        count,
    };
    let analytics = Analytics {
        role_distribution: roles.into_iter().map(role_count).collect(),
        permission_usage: permissions
            .into_iter()
            .map(|(permission, count)| PermissionCount { permission, count })
            .collect(),
        department_distribution: departments.into_iter().map(department_count).collect(),
        period_days,
        generated_at: rfc3339(now),
    };
    Ok((state.position, analytics))
}

/// Whether roles can be asked about.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RbacHealth {
    /// `healthy`.
    pub status: &'static str,
}

/// Whether roles can be asked about
#[utoipa::path(
    get, path = "/v1/rbac/health", tag = "roles", operation_id = "rbac_health",
    responses((status = 200, description = "They can.", body = RbacHealth)),
    security(())
)]
pub(crate) async fn health(_: NoQuery) -> HttpResponse {
    HttpResponse::Ok().json(RbacHealth { status: "healthy" })
}
