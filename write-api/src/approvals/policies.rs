//! Changing who must agree to what. The change takes an approval itself: the first call is answered 202, the same call
//! again after the decision makes the change.

use actix_web::{HttpResponse, web};
use daybook_approvals::view::RuleView;
use daybook_approvals::{Approvals, Changed};
use daybook_domain::approval::ActionType;
use daybook_domain::approval_policy::{ApprovalPolicy, built_in};
use daybook_domain::text::Reason;
use daybook_http_kit::answer::{Recorded, respond};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems};
use daybook_http_kit::permission::ApprovalPolicyManage;
use daybook_http_kit::query::either;
use daybook_http_kit::{Allowed, Body, CommandRequest, NoQuery, OptionalBody, Problem, Query, Scoped};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::required;
use super::policy_body::{PolicyBody, RetireBody, RetireParameters};
use crate::problems::invalid;

/// Where policies are.
const POLICIES: &str = "/approval-policies";

/// What a call is answered that waits for an approval.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ApprovalRequired)]
pub(super) struct RequiredAnswer {
    /// What is missing, in words.
    #[schema(example = "A change of an approval policy requires approval")]
    pub detail: String,
    /// The request for approval.
    pub approval_request_id: String,
    /// Where that is.
    #[schema(example = "pending")]
    pub status: String,
}

/// The answer to a change of a policy that was made.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ApprovalPolicyAnswer)]
pub(super) struct PolicyAnswer {
    /// What happened, in words.
    #[schema(example = "Policy in force")]
    pub detail: &'static str,
    /// For which type of action.
    #[schema(example = "export.transactions")]
    pub action: String,
    /// The version of the policy that holds now. Requests under another one are not executed any more.
    #[schema(example = 1)]
    pub policy_version: u64,
    /// Whether what is built in holds.
    pub is_built_in: bool,
    /// The rules that hold.
    pub rules: Vec<RuleView>,
    /// Version, time and receipt.
    #[serde(flatten)]
    pub recorded: Recorded,
}

/// Change who must agree to actions of a type
///
/// Answers 202 until the change is approved; the same call again then makes it. Requests that were approved under the
/// policy before are not executed any more. Rules that hold already change nothing and answer 200.
#[utoipa::path(
    put, path = "/v1/approval-policies/{action}", tag = "approval policies", operation_id = "define_approval_policy",
    params(("action" = String, Path, description = "The type of action, `export.transactions`."), CommandHeaders),
    request_body = PolicyBody,
    responses(
        (status = 200, description = "In force.", body = PolicyAnswer),
        (status = 201, description = "In force; there was none for this type before.", body = PolicyAnswer),
        (status = 202, description = "Waits for approval.", body = RequiredAnswer),
        CommandProblems,
    )
)]
pub(super) async fn define(
    caller: Allowed<ApprovalPolicyManage>,
    request: CommandRequest,
    _: NoQuery,
    approvals: Scoped<Approvals>,
    action: web::Path<String>,
    body: Body<PolicyBody>,
) -> Result<HttpResponse, Problem> {
    request.refuse_if_match()?;
    let context = request.context(&caller, &body.bytes);
    let action = action_type(&action)?;
    let (rules, reason) = body.value.policy()?;
    let changed = approvals.define_policy(&caller, action.clone(), rules, reason, context).await?;
    Ok(answer(&action, &changed, "Policy in force"))
}

/// Go back to what is built in for actions of a type
///
/// Answers 202 until that is approved; the same call again then does it. `reason` is required, in the body or in the query.
#[utoipa::path(
    delete, path = "/v1/approval-policies/{action}", tag = "approval policies", operation_id = "retire_approval_policy",
    params(
        ("action" = String, Path, description = "The type of action, `export.transactions`."),
        RetireParameters, CommandHeaders,
    ),
    request_body = Option<RetireBody>,
    responses(
        (status = 200, description = "What is built in holds.", body = PolicyAnswer),
        (status = 202, description = "Waits for approval.", body = RequiredAnswer),
        CommandProblems,
    )
)]
pub(super) async fn retire(
    caller: Allowed<ApprovalPolicyManage>,
    request: CommandRequest,
    approvals: Scoped<Approvals>,
    action: web::Path<String>,
    parameters: Query<RetireParameters>,
    body: OptionalBody<RetireBody>,
) -> Result<HttpResponse, Problem> {
    request.refuse_if_match()?;
    let context = request.context(&caller, &body.bytes);
    let action = action_type(&action)?;
    let reason = required("reason", either("reason", body.value.reason, parameters.reason.clone())?)?;
    let reason = Reason::parse("/reason", reason).map_err(invalid)?;
    let changed = approvals.retire_policy(&caller, action.clone(), reason, context).await?;
    Ok(answer(&action, &changed, "The built-in policy is in force"))
}

/// The type in the path; 404 where nothing can have it.
fn action_type(word: &str) -> Result<ActionType, Problem> {
    let action = ActionType::parse("/action", word)
        .map_err(|error| Problem::not_found("approval_policy.not_found", format!("{word:?}: {}", error.detail)))?;
    let unknown = || Problem::not_found("approval_policy.not_found", "nothing can be an action of that type");
    if action.exists() { Ok(action) } else { Err(unknown()) }
}

fn answer(action: &ActionType, changed: &Changed<ApprovalPolicy>, detail: &'static str) -> HttpResponse {
    let outcome = match changed {
        Changed::Blocked(blocked) => return blocked.respond(),
        Changed::Done(outcome) => outcome,
    };
    let own = outcome.aggregate.rules();
    let built_in = if own.is_none() { built_in(action) } else { Vec::new() };
    let body = PolicyAnswer {
        detail,
        action: action.to_string(),
        policy_version: outcome.aggregate.version(),
        is_built_in: own.is_none(),
        rules: own.unwrap_or(&built_in).iter().map(RuleView::from).collect(),
        recorded: Recorded::of(outcome),
    };
    respond(outcome, POLICIES, &body)
}
