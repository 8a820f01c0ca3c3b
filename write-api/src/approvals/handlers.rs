//! Asking for approval, and what is done with a request besides voting.

use actix_web::{HttpRequest, HttpResponse, web};
use daybook_approvals::{Approvals, Gated, Needed};
use daybook_domain::approval::{ActionDigest, Approval};
use daybook_domain::text::{ActorId, Line, Reason};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, CreateProblems};
use daybook_http_kit::permission::{ApprovalBreakGlass, ApprovalDecide, ApprovalRequest};
use daybook_http_kit::query::either;
use daybook_http_kit::{
    Allowed, Body, CommandRequest, NoQuery, OptionalBody, Principal, Problem, Query, Scoped, Telemetry, new_id,
};
use daybook_ledger::commands::{CommandContext, Outcome};
use serde::Deserialize;
use utoipa::ToSchema;

use super::answer::{ApprovalAnswer, answered};
use super::body::{
    self, AssignBody, AssignParameters, CommentBody, CommentParameters, ConsumeBody, OpenBody, WhyBody, required,
};
use super::participant::Participant;
use super::policy_body::{ElectorateBody, electorates};
use crate::faults::Faults;
use crate::incidents::TextOrNumber;
use crate::problems::invalid;

/// Ask for approval
///
/// For something that is done elsewhere; the answer to `POST /approvals/{id}/consume` then says that it may be done. For
/// Daybook's own exports and agents only `resource_id` and `reason` are taken. Policies, rules and erasures are asked for
/// by asking for the thing itself.
#[utoipa::path(
    post, path = "/v1/approvals", tag = "approvals", operation_id = "request_approval",
    params(CommandHeaders), request_body = OpenBody,
    responses(
        (status = 201, description = "Asked for.", body = ApprovalAnswer,
            headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "Its version."))),
        CreateProblems,
    )
)]
pub(super) async fn open(
    caller: Allowed<ApprovalRequest>,
    request: CommandRequest,
    _: NoQuery,
    approvals: Scoped<Approvals>,
    body: Body<OpenBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let opening = body.value.opening()?;
    let outcome = opened(&approvals, &caller, opening, context).await?;
    answered(&outcome, "Approval requested")
}

/// Opens a request, or a draft of one.
pub(super) async fn opened(
    approvals: &Approvals,
    caller: &Principal,
    opening: body::Opening,
    context: CommandContext,
) -> Result<Outcome<Approval>, Problem> {
    let body::Opening { action, required_permission, reason, submit } = opening;
    // What is asked for by hand is executed by nothing of Daybook: whoever uses it says what for.
    let required_permissions = required_permission.map(Needed::everywhere).into_iter().collect();
    let gated =
        Gated { action, required_permissions, reason, execution_id: String::new(), detail: "Approval required" };
    if submit { approvals.open(caller, gated, context).await } else { approvals.draft(caller, gated, context).await }
}

/// Have a draft decided
#[utoipa::path(
    post, path = "/v1/approvals/{id}/submit", tag = "approvals", operation_id = "submit_approval",
    params(("id" = String, Path, description = "The request's id."), CommandHeaders),
    responses((status = 200, description = "Done.", body = ApprovalAnswer), CommandProblems)
)]
pub(super) async fn submit(
    caller: Allowed<ApprovalRequest>,
    request: CommandRequest,
    _: NoQuery,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, b"");
    let outcome = approvals.submit(&caller, &id, context).await?;
    answered(&outcome, "Approval submitted")
}

/// Change what is to be approved
///
/// The whole of it is stated anew. Votes on what it was are void, and it is pending again. Only for what is done
/// elsewhere: Daybook's own actions are asked for anew. `submit` is not taken here.
#[utoipa::path(
    post, path = "/v1/approvals/{id}/revise", tag = "approvals", operation_id = "revise_approval",
    params(("id" = String, Path, description = "The request's id."), CommandHeaders), request_body = OpenBody,
    responses((status = 200, description = "Done.", body = ApprovalAnswer), CommandProblems)
)]
pub(super) async fn revise(
    caller: Allowed<ApprovalRequest>,
    request: CommandRequest,
    _: NoQuery,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    body: Body<OpenBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    if body.value.submit.is_some() {
        return Err(Problem::invalid("/submit", "cannot be taken here: a draft is submitted with /submit"));
    }
    let opening = body.value.opening()?;
    let current = approvals.find(&id).await?;
    let was_external = current.aggregate.action().is_some_and(|action| action.action.is_external());
    if !was_external || !opening.action.action.is_external() {
        let detail = "what Daybook does itself is described by Daybook: ask for it anew";
        return Err(Problem::refused("approval.not_external", detail));
    }
    let outcome = approvals.revise(&caller, &id, opening.action, opening.reason, context).await?;
    answered(&outcome, "Approval revised")
}

/// Take back a request
///
/// By whoever asked.
#[utoipa::path(
    post, path = "/v1/approvals/{id}/withdraw", tag = "approvals", operation_id = "withdraw_approval",
    params(("id" = String, Path, description = "The request's id."), CommandHeaders),
    request_body = Option<WhyBody>,
    responses((status = 200, description = "Done.", body = ApprovalAnswer), CommandProblems)
)]
pub(super) async fn withdraw(
    caller: Allowed<ApprovalRequest>,
    request: CommandRequest,
    _: NoQuery,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    body: OptionalBody<WhyBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let reason = body.value.reason()?;
    let outcome = approvals.withdraw(&caller, &id, reason, context).await?;
    answered(&outcome, "Approval withdrawn")
}

/// Use what was approved
///
/// Once, by whoever asked, and only for what is done elsewhere. Everything is looked at again: what it is, the time, the
/// policy and the requester. The same `execution_id` again changes nothing and answers 200.
#[utoipa::path(
    post, path = "/v1/approvals/{id}/consume", tag = "approvals", operation_id = "consume_approval",
    params(("id" = String, Path, description = "The request's id."), CommandHeaders), request_body = ConsumeBody,
    responses((status = 200, description = "It may be done now.", body = ApprovalAnswer), CommandProblems)
)]
pub(super) async fn consume(
    caller: Allowed<ApprovalRequest>,
    request: CommandRequest,
    _: NoQuery,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    body: Body<ConsumeBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let mut faults = Faults::default();
    let execution_id = faults.check(Line::parse("/execution_id", body.value.execution_id));
    let digest = body.value.digest.map(|digest| ActionDigest::parse("/digest", digest)).transpose();
    let digest = faults.check(digest);
    let (Some(execution_id), Some(digest)) = (execution_id, digest) else { return Err(faults.problem()) };
    let outcome = approvals.consume_external(&caller, &id, execution_id, digest, context).await?;
    answered(&outcome, "Approval used")
}

/// Act before the votes are in
///
/// In an emergency, where the policy allows it. It is logged as a warning, counted, and reviewed afterwards by those who
/// would have voted, without the requester and whoever did this; `review` in the answer is open until they did.
#[utoipa::path(
    post, path = "/v1/approvals/{id}/break-glass", tag = "approvals", operation_id = "break_glass",
    params(("id" = String, Path, description = "The request's id."), CommandHeaders), request_body = WhyBody,
    responses((status = 200, description = "It may be done now.", body = ApprovalAnswer), CommandProblems)
)]
pub(super) async fn break_glass(
    caller: Allowed<ApprovalBreakGlass>,
    request: CommandRequest,
    _: NoQuery,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    raw: HttpRequest,
    body: Body<WhyBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let reason = body.value.required()?;
    let outcome = approvals.break_glass(&caller, &id, reason, context).await?;
    if !outcome.replayed && !outcome.unchanged {
        tracing::warn!(
            organization = %caller.organization,
            approval_id = outcome.id,
            by = caller.actor.id,
            action = outcome.aggregate.action().map(|action| action.action.as_str()),
            "the glass was broken: an action was granted without the votes that it takes; its review is open"
        );
        if let Some(telemetry) = raw.app_data::<web::Data<Telemetry>>() {
            telemetry.count_glass_broken(&caller.organization);
        }
    }
    answered(&outcome, "Granted in an emergency; the review of it is open")
}

/// Comment on a request
///
/// By whoever may ask for approvals or decide on them. `comment` is taken from the body or the query; both and different
/// is 400. What a person writes is recorded sealed with that person's key.
#[utoipa::path(
    post, path = "/v1/approvals/{id}/comment", tag = "approvals", operation_id = "comment_on_approval",
    params(("id" = String, Path, description = "The request's id."), CommentParameters, CommandHeaders),
    request_body = Option<CommentBody>,
    responses((status = 200, description = "Done.", body = ApprovalAnswer), CommandProblems)
)]
pub(super) async fn comment(
    caller: Participant,
    request: CommandRequest,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    parameters: Query<CommentParameters>,
    body: OptionalBody<CommentBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let (comment_id, text) = body::comment(body.value, &parameters, new_id("cmt", &context))?;
    let outcome = approvals.comment(&caller, &id, comment_id, text, context).await?;
    answered(&outcome, "Comment added")
}

/// Say who is to see to a request
///
/// It gives no right to decide. `assignee` is taken from the body or, as `assignee_id`, from the query; both and
/// different is 400.
#[utoipa::path(
    post, path = "/v1/approvals/{id}/assign", tag = "approvals", operation_id = "assign_approval",
    params(("id" = String, Path, description = "The request's id."), AssignParameters, CommandHeaders),
    request_body = Option<AssignBody>,
    responses((status = 200, description = "Done.", body = ApprovalAnswer), CommandProblems)
)]
pub(super) async fn assign(
    caller: Participant,
    request: CommandRequest,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    parameters: Query<AssignParameters>,
    body: OptionalBody<AssignBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let assignee = assignee(body.value, &parameters)?;
    let outcome = approvals.assign(&caller, &id, assignee, context).await?;
    answered(&outcome, "Approval assigned")
}

/// Who is named in body or query.
pub(super) fn assignee(body: AssignBody, parameters: &AssignParameters) -> Result<ActorId, Problem> {
    let assignee = body.assignee.map(TextOrNumber::into_text);
    let assignee = required("assignee", either("assignee", assignee, parameters.assignee_id.clone())?)?;
    ActorId::parse("/assignee", assignee).map_err(invalid)
}

/// To whom a request is brought as well.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalEscalateBody)]
pub(super) struct EscalateBody {
    /// To whom: of those that the policy names for escalation. The policy's next ones where it is absent.
    #[serde(default)]
    #[schema(value_type = Option<Vec<ElectorateBody>>, max_items = 20)]
    pub to: Vec<ElectorateBody>,
    /// The step to be done again, counted from 1: votes from it on are void.
    pub repeat_from: Option<u32>,
    /// Why: at most 2,000 characters.
    pub reason: String,
}

/// Bring a request before more people
///
/// Those of them whom the policy names may decide as well, in this step and the later ones. To have a step done again takes
/// `approval:decide`: it voids votes.
#[utoipa::path(
    post, path = "/v1/approvals/{id}/escalate", tag = "approvals", operation_id = "escalate_approval",
    params(("id" = String, Path, description = "The request's id."), CommandHeaders), request_body = EscalateBody,
    responses((status = 200, description = "Done.", body = ApprovalAnswer), CommandProblems)
)]
pub(super) async fn escalate(
    caller: Participant,
    request: CommandRequest,
    _: NoQuery,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    body: Body<EscalateBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let mut faults = Faults::default();
    if body.value.repeat_from.is_some() {
        caller.require::<ApprovalDecide>()?;
    }
    let to = electorates(&mut faults, "/to", body.value.to);
    let reason = faults.check(Reason::parse("/reason", body.value.reason));
    let Some(reason) = reason.filter(|_| faults.none().is_ok()) else { return Err(faults.problem()) };
    let outcome = approvals.escalate(&caller, &id, to, body.value.repeat_from, reason, context).await?;
    answered(&outcome, "Approval escalated")
}
