//! The human in the loop, as the predecessors' clients know it: an agent's action is the request for approval of it, and
//! these are votes and notes on that. They reach no other requests.

use actix_web::{HttpResponse, web};
use daybook_approvals::Approvals;
use daybook_approvals::view::AGENT_PREFIX;
use daybook_domain::approval::Decision;
use daybook_domain::text::Reason;
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems};
use daybook_http_kit::permission::{AgentApprove, AgentReject};
use daybook_http_kit::query::either;
use daybook_http_kit::{Allowed, CommandRequest, OptionalBody, Principal, Problem, Query, Scoped, new_id};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::answer::{AgentActionAnswer, answered_as_action, no_such_action};
use super::body::{self, AssignBody, AssignParameters, CommentBody, CommentParameters};
use super::decision::{OperatorBody, OperatorParameters, operators_vote};
use super::handlers::assignee;
use crate::problems::invalid;

/// Said where a predecessor's client escalates without saying why.
const ESCALATED_WITHOUT_REASON: &str = "no reason was given";

/// Let an agent do something
///
/// A vote for it. `operator` (or `approved_by`) is the caller or absent: nobody votes as somebody else, 403
/// `approval.not_the_caller`. Taken from the body or the query; both and different is 400.
#[utoipa::path(
    post, path = "/v1/agent/ops/actions/{id}/approve", tag = "agent actions", operation_id = "approve_agent_action",
    params(("id" = String, Path, description = "The action's id."), OperatorParameters, CommandHeaders),
    request_body = Option<OperatorBody>,
    responses((status = 200, description = "Recorded.", body = AgentActionAnswer), CommandProblems)
)]
pub(super) async fn approve(
    caller: Allowed<AgentApprove>,
    request: CommandRequest,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    parameters: Query<OperatorParameters>,
    body: OptionalBody<OperatorBody>,
) -> Result<HttpResponse, Problem> {
    let vote = Vote { caller: &caller, request: &request, approvals: &approvals, id: &id };
    vote.cast(Decision::Approve, body, &parameters).await
}

/// Do not let an agent do something
///
/// A vote against it, as `/approve` is one for it.
#[utoipa::path(
    post, path = "/v1/agent/ops/actions/{id}/reject", tag = "agent actions", operation_id = "reject_agent_action",
    params(("id" = String, Path, description = "The action's id."), OperatorParameters, CommandHeaders),
    request_body = Option<OperatorBody>,
    responses((status = 200, description = "Recorded.", body = AgentActionAnswer), CommandProblems)
)]
pub(super) async fn reject(
    caller: Allowed<AgentReject>,
    request: CommandRequest,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    parameters: Query<OperatorParameters>,
    body: OptionalBody<OperatorBody>,
) -> Result<HttpResponse, Problem> {
    let vote = Vote { caller: &caller, request: &request, approvals: &approvals, id: &id };
    vote.cast(Decision::Reject, body, &parameters).await
}

/// Let an agent do something, by its action
///
/// The same as `POST /agent/ops/actions/{id}/approve`.
#[utoipa::path(
    post, path = "/v1/agent/actions/{id}/approve", tag = "agent actions", operation_id = "approve_action_of_agent",
    params(("id" = String, Path, description = "The action's id."), OperatorParameters, CommandHeaders),
    request_body = Option<OperatorBody>,
    responses((status = 200, description = "Recorded.", body = AgentActionAnswer), CommandProblems)
)]
pub(super) async fn approve_action(
    caller: Allowed<AgentApprove>,
    request: CommandRequest,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    parameters: Query<OperatorParameters>,
    body: OptionalBody<OperatorBody>,
) -> Result<HttpResponse, Problem> {
    approve(caller, request, approvals, id, parameters, body).await
}

/// Do not let an agent do something, by its action
///
/// The same as `POST /agent/ops/actions/{id}/reject`.
#[utoipa::path(
    post, path = "/v1/agent/actions/{id}/reject", tag = "agent actions", operation_id = "reject_action_of_agent",
    params(("id" = String, Path, description = "The action's id."), OperatorParameters, CommandHeaders),
    request_body = Option<OperatorBody>,
    responses((status = 200, description = "Recorded.", body = AgentActionAnswer), CommandProblems)
)]
pub(super) async fn reject_action(
    caller: Allowed<AgentReject>,
    request: CommandRequest,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    parameters: Query<OperatorParameters>,
    body: OptionalBody<OperatorBody>,
) -> Result<HttpResponse, Problem> {
    reject(caller, request, approvals, id, parameters, body).await
}

struct Vote<'a> {
    caller: &'a Principal,
    request: &'a CommandRequest,
    approvals: &'a Approvals,
    id: &'a str,
}

impl Vote<'_> {
    async fn cast(
        &self,
        decision: Decision,
        body: OptionalBody<OperatorBody>,
        parameters: &OperatorParameters,
    ) -> Result<HttpResponse, Problem> {
        let context = self.request.context(self.caller, &body.bytes);
        let vote = operators_vote(self.caller, decision, body.value, parameters)?;
        must_be_an_agents(self.approvals, self.id).await?;
        answered_as_action(&self.approvals.vote(self.caller, self.id, vote, context).await?)
    }
}

/// Say who is to see to an agent's action
///
/// It gives no right to decide. `assignee_id` is taken from the body or the query; both and different is 400.
#[utoipa::path(
    post, path = "/v1/agent/ops/actions/{id}/assign", tag = "agent actions", operation_id = "assign_agent_action",
    params(("id" = String, Path, description = "The action's id."), AssignParameters, CommandHeaders),
    request_body = Option<AssignBody>,
    responses((status = 200, description = "Done.", body = AgentActionAnswer), CommandProblems)
)]
pub(super) async fn assign(
    caller: Allowed<AgentApprove>,
    request: CommandRequest,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    parameters: Query<AssignParameters>,
    body: OptionalBody<AssignBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let assignee = assignee(body.value, &parameters)?;
    must_be_an_agents(&approvals, &id).await?;
    answered_as_action(&approvals.assign(&caller, &id, assignee, context).await?)
}

/// Why an agent's action is brought before more people.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AgentEscalateBody)]
pub(super) struct EscalateBody {
    /// Why: at most 2,000 characters.
    pub reason: Option<String>,
}

/// The same as a query parameter.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EscalateParameters {
    /// Why; in the query or in the body.
    pub reason: Option<String>,
}

/// Bring an agent's action before more people
///
/// Before those whom the policy names next for escalation. `reason` is taken from the body or the query; both and
/// different is 400.
#[utoipa::path(
    post, path = "/v1/agent/ops/actions/{id}/escalate", tag = "agent actions", operation_id = "escalate_agent_action",
    params(("id" = String, Path, description = "The action's id."), EscalateParameters, CommandHeaders),
    request_body = Option<EscalateBody>,
    responses((status = 200, description = "Done.", body = AgentActionAnswer), CommandProblems)
)]
pub(super) async fn escalate(
    caller: Allowed<AgentApprove>,
    request: CommandRequest,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    parameters: Query<EscalateParameters>,
    body: OptionalBody<EscalateBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let reason = either("reason", body.value.reason, parameters.reason.clone())?;
    let reason = Reason::parse("/reason", reason.as_deref().unwrap_or(ESCALATED_WITHOUT_REASON)).map_err(invalid)?;
    must_be_an_agents(&approvals, &id).await?;
    answered_as_action(&approvals.escalate(&caller, &id, Vec::new(), None, reason, context).await?)
}

/// Comment on an agent's action
///
/// `comment` is taken from the body or the query; both and different is 400. What a person writes is recorded sealed with
/// that person's key.
#[utoipa::path(
    post, path = "/v1/agent/ops/actions/{id}/comment", tag = "agent actions", operation_id = "comment_on_agent_action",
    params(("id" = String, Path, description = "The action's id."), CommentParameters, CommandHeaders),
    request_body = Option<CommentBody>,
    responses((status = 200, description = "Done.", body = AgentActionAnswer), CommandProblems)
)]
pub(super) async fn comment(
    caller: Allowed<AgentApprove>,
    request: CommandRequest,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    parameters: Query<CommentParameters>,
    body: OptionalBody<CommentBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let (comment_id, text) = body::comment(body.value, &parameters, new_id("cmt", &context))?;
    must_be_an_agents(&approvals, &id).await?;
    answered_as_action(&approvals.comment(&caller, &id, comment_id, text, context).await?)
}

/// 404 where the request is for something else than what an agent wants to do.
async fn must_be_an_agents(approvals: &Approvals, id: &str) -> Result<(), Problem> {
    let found = match approvals.find(id).await {
        Err(problem) if problem.status() == 404 => return Err(no_such_action()),
        found => found?,
    };
    let is_agents = found.aggregate.action().is_some_and(|action| action.action.as_str().starts_with(AGENT_PREFIX));
    if is_agents { Ok(()) } else { Err(no_such_action()) }
}
