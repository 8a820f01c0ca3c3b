//! Whether somebody may do something: for the organisation's own programs. Daybook's routes do not ask here.

use actix_web::{HttpRequest, HttpResponse, web};
use daybook_domain::user::UserError;
use daybook_http_kit::access_log::record_read;
use daybook_http_kit::openapi::{QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::{MATRIX, RoleRead};
use daybook_http_kit::{Allowed, Body, NoQuery, Problem};
use daybook_identity::directory::DirectoryState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::conditions::{CheckContext, Conditions};
use super::list::one;
use crate::problems::refused;
use crate::state::{IdentityState, OrganizationIdentity};

/// Most questions of one request.
const MAX_CHECKS: usize = 100;

/// What is asked about somebody.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckBody {
    /// About whom; the caller, if it is absent.
    pub user_id: Option<String>,
    /// 1 to 100 questions.
    #[schema(min_items = 1, max_items = 100)]
    pub checks: Vec<Check>,
}

/// One question.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PermissionCheck)]
pub(crate) struct Check {
    /// The permission's name, Daybook's own or defined.
    #[schema(example = "incident:write")]
    pub permission: String,
    /// The case at hand.
    #[serde(default)]
    pub context: CheckContext,
}

/// The answers, in the order of the questions.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CheckAnswers {
    /// One a question.
    pub results: Vec<CheckResult>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CheckResult {
    /// The permission's name.
    pub permission: String,
    /// Whether it may be done.
    pub allowed: bool,
    /// Why, in words.
    pub reason: String,
}

/// Check permissions
///
/// At most 100 at once. A permission that is held within departments counts where `context.department_id` names one of
/// them or one below it.
#[utoipa::path(
    post, path = "/v1/rbac/permissions/check", tag = "roles", operation_id = "check_permissions",
    params(QueryHeaders), request_body = CheckBody,
    responses((status = 200, description = "One answer a question.", body = CheckAnswers), QueryProblems)
)]
pub(crate) async fn check(
    caller: Allowed<RoleRead>,
    http: HttpRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    body: Body<CheckBody>,
) -> Result<HttpResponse, Problem> {
    let CheckBody { user_id, checks } = body.value;
    if checks.is_empty() || checks.len() > MAX_CHECKS {
        return Err(Problem::invalid("/checks", format!("must have 1 to {MAX_CHECKS} questions")));
    }
    let state = identity.directory.now();
    let user_id = user_id.unwrap_or_else(|| caller.actor.id.clone());
    if !state.users.contains_key(user_id.as_str()) {
        return Err(refused(&UserError::NotFound));
    }
    record_read(&http);
    let now = installation.now();
    let results = checks.into_iter().map(|check| answer(&state, &user_id, check, now)).collect();
    Ok(one(state.position, &CheckAnswers { results }))
}

fn answer(state: &DirectoryState, user_id: &str, check: Check, now: i64) -> CheckResult {
    let Check { permission, context } = check;
    let (allowed, reason) = judge(state, user_id, &permission, &context, now);
    CheckResult { permission, allowed, reason: reason.to_owned() }
}

fn judge(
    state: &DirectoryState,
    user_id: &str,
    permission: &str,
    context: &CheckContext,
    now: i64,
) -> (bool, &'static str) {
    let defined = state.permissions.get(permission);
    if defined.is_none() && !MATRIX.iter().any(|row| row.name == permission) {
        return (false, "there is no such permission");
    }
    let everywhere = state.permissions_of(user_id, None, now).contains(permission);
    let department = context.department_id.as_deref();
    if !everywhere && !state.permissions_of(user_id, department, now).contains(permission) {
        return (false, "no role of the person permits it here");
    }
    let Some(defined) = defined else {
        return (true, if everywhere { "permitted by a role" } else { "permitted by a role within the department" });
    };
    let Ok(conditions) = Conditions::parse(&defined.conditions) else {
        return (false, "its conditions cannot be judged");
    };
    let access = state.access_of(user_id, now);
    let departments: Vec<String> = access
        .map(|access| access.access.departments.iter().map(|department| department.id.clone()).collect())
        .unwrap_or_default();
    match conditions.unmet(user_id, &departments, context) {
        Some(reason) => (false, reason),
        None => (true, "permitted by a role"),
    }
}
