//! Requests for approval as the predecessors' clients ask for them and decide on them.

use actix_web::{HttpResponse, web};
use daybook_approvals::Approvals;
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, CreateProblems};
use daybook_http_kit::permission::{ApprovalDecide, ApprovalRequest};
use daybook_http_kit::{Allowed, AllowedWithin, CommandRequest, OptionalBody, Problem, Query, Scoped};

use super::answer::{ApprovalRequestAnswer, answered_as_request};
use super::body::{CompatibleOpenBody, OpenParameters, compatible_opening};
use super::decision::{self, DecisionBody, DecisionParameters};
use super::handlers::opened;

/// Ask for approval, in a predecessor's words
///
/// `resource_type`, `resource_id` and `reason` are required, in the body or in the query; both and different is 400.
#[utoipa::path(
    post, path = "/v1/approval", tag = "approvals", operation_id = "request_approval_by_resource",
    params(OpenParameters, CommandHeaders), request_body = Option<CompatibleOpenBody>,
    responses((status = 200, description = "Asked for.", body = ApprovalRequestAnswer), CreateProblems)
)]
pub(super) async fn open(
    caller: Allowed<ApprovalRequest>,
    request: CommandRequest,
    approvals: Scoped<Approvals>,
    parameters: Query<OpenParameters>,
    body: OptionalBody<CompatibleOpenBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let opening = compatible_opening(body.value, &parameters)?;
    answered_as_request(&opened(&approvals, &caller, opening, context).await?)
}

/// Decide on a request, in a predecessor's words
///
/// A vote. `decision` and `decision_reason` are taken from the body or the query; both and different is 400. `pending` is
/// no decision: 422.
#[utoipa::path(
    post, path = "/v1/approval/{id}/decision", tag = "approvals", operation_id = "decide_on_approval",
    params(("id" = String, Path, description = "The request's id."), DecisionParameters, CommandHeaders),
    request_body = Option<DecisionBody>,
    responses((status = 200, description = "Recorded.", body = ApprovalRequestAnswer), CommandProblems)
)]
pub(super) async fn decide(
    caller: AllowedWithin<ApprovalDecide>,
    request: CommandRequest,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    parameters: Query<DecisionParameters>,
    body: OptionalBody<DecisionBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let vote = decision::decision(body.value, &parameters)?;
    answered_as_request(&approvals.vote(&caller, &id, vote, context).await?)
}
