//! One incident at a time.

use actix_web::{HttpResponse, web};
use daybook_domain::incident::IncidentCommand;
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, CreateProblems};
use daybook_http_kit::permission::IncidentWrite;
use daybook_http_kit::sealer::INCIDENT_COMMENT;
use daybook_http_kit::{AllowedWithin, Body, CommandRequest, NoQuery, OptionalBody, Problem, Query, Scoped, new_id};
use daybook_ledger::commands::CommandContext;

use super::COLLECTION;
use super::body::{
    self, AssignBody, AssignParameters, CommentBody, CommentParameters, DetailsBody, EscalateBody, EscalateParameters,
    NoteBody, OpenBody, PriorityBody, ReasonBody, ReopenParameters, ResolveBody, ResolveParameters, SeverityBody,
};
use super::reach;
use super::view::IncidentAnswer;
use crate::personal;
use crate::problems::{invalid, refusal};
use crate::state::{TRIES, WriteState};
use daybook_http_kit::answer::respond;

/// Open an incident
///
/// Repeating an `incident_id` with the same content changes nothing and answers 200; with other content it is 409.
#[utoipa::path(
    post, path = "/v1/incidents", tag = "incidents", operation_id = "open_incident",
    params(CommandHeaders), request_body = OpenBody,
    responses(
        (status = 201, description = "Opened.", body = IncidentAnswer,
            headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "Its version."))),
        (status = 200, description = "Was opened before with the same content.", body = IncidentAnswer),
        CreateProblems,
    )
)]
pub async fn open(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    body: Body<OpenBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let open = body.value.command(new_id("inc", &context))?;
    reach::check_open(&caller, &state, &open).await?;
    let id = open.incident_id.to_string();
    let command = IncidentCommand::Open(Box::new(open));
    let outcome = state.incidents.execute_with_retry(&id, command, context, TRIES).await.map_err(refusal)?;
    Ok(respond(&outcome, COLLECTION, &IncidentAnswer::of(&outcome, "Incident opened")))
}

/// Acknowledge an incident
#[utoipa::path(
    post, path = "/v1/incidents/{id}/acknowledge", tag = "incidents", operation_id = "acknowledge_incident",
    params(("id" = String, Path, description = "The incident's id."), CommandHeaders),
    request_body = Option<NoteBody>,
    responses((status = 200, description = "Done.", body = IncidentAnswer), CommandProblems)
)]
pub async fn acknowledge(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    body: OptionalBody<NoteBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let command = IncidentCommand::Acknowledge { note: body.value.note().map_err(invalid)? };
    carry_out(&caller, &state, &id, command, context, "Incident acknowledged").await
}

/// Start to investigate an incident
#[utoipa::path(
    post, path = "/v1/incidents/{id}/investigate", tag = "incidents", operation_id = "investigate_incident",
    params(("id" = String, Path, description = "The incident's id."), CommandHeaders),
    request_body = Option<NoteBody>,
    responses((status = 200, description = "Done.", body = IncidentAnswer), CommandProblems)
)]
pub async fn investigate(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    body: OptionalBody<NoteBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let command = IncidentCommand::Investigate { note: body.value.note().map_err(invalid)? };
    carry_out(&caller, &state, &id, command, context, "Investigation started").await
}

/// Resolve an incident
///
/// `resolution` is taken from the body or the query; both and different is 400.
#[utoipa::path(
    post, path = "/v1/incidents/{id}/resolve", tag = "incidents", operation_id = "resolve_incident",
    params(("id" = String, Path, description = "The incident's id."), ResolveParameters, CommandHeaders),
    request_body = Option<ResolveBody>,
    responses((status = 200, description = "Done.", body = IncidentAnswer), CommandProblems)
)]
pub async fn resolve(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    parameters: Query<ResolveParameters>,
    body: OptionalBody<ResolveBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let command = body::resolve(body.value, &parameters)?;
    carry_out(&caller, &state, &id, command, context, "Incident resolved").await
}

/// Close a resolved incident
#[utoipa::path(
    post, path = "/v1/incidents/{id}/close", tag = "incidents", operation_id = "close_incident",
    params(("id" = String, Path, description = "The incident's id."), CommandHeaders),
    request_body = Option<NoteBody>,
    responses((status = 200, description = "Done.", body = IncidentAnswer), CommandProblems)
)]
pub async fn close(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    body: OptionalBody<NoteBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let command = IncidentCommand::Close { note: body.value.note().map_err(invalid)? };
    carry_out(&caller, &state, &id, command, context, "Incident closed").await
}

/// Reopen an incident
///
/// `reason` is required, in the body or in the query; both and different is 400.
#[utoipa::path(
    post, path = "/v1/incidents/{id}/reopen", tag = "incidents", operation_id = "reopen_incident",
    params(("id" = String, Path, description = "The incident's id."), ReopenParameters, CommandHeaders),
    request_body = Option<ReasonBody>,
    responses((status = 200, description = "Done.", body = IncidentAnswer), CommandProblems)
)]
pub async fn reopen(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    parameters: Query<ReopenParameters>,
    body: OptionalBody<ReasonBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let command = body::reopen(body.value, &parameters)?;
    carry_out(&caller, &state, &id, command, context, "Incident reopened").await
}

/// Assign an incident
///
/// `assigned_to` is taken from the body or the query; both and different is 400.
#[utoipa::path(
    post, path = "/v1/incidents/{id}/assign", tag = "incidents", operation_id = "assign_incident",
    params(("id" = String, Path, description = "The incident's id."), AssignParameters, CommandHeaders),
    request_body = Option<AssignBody>,
    responses((status = 200, description = "Done.", body = IncidentAnswer), CommandProblems)
)]
pub async fn assign(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    parameters: Query<AssignParameters>,
    body: OptionalBody<AssignBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let command = body::assign(body.value, &parameters)?;
    carry_out(&caller, &state, &id, command, context, "Incident assigned").await
}

/// Escalate an incident
///
/// Raises the escalation level by one, at most to 5. The status stays. `reason` and `to` are taken from the body or the
/// query; both and different is 400.
#[utoipa::path(
    post, path = "/v1/incidents/{id}/escalate", tag = "incidents", operation_id = "escalate_incident",
    params(("id" = String, Path, description = "The incident's id."), EscalateParameters, CommandHeaders),
    request_body = Option<EscalateBody>,
    responses((status = 200, description = "Done.", body = IncidentAnswer), CommandProblems)
)]
pub async fn escalate(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    parameters: Query<EscalateParameters>,
    body: OptionalBody<EscalateBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let command = body::escalate(body.value, &parameters)?;
    carry_out(&caller, &state, &id, command, context, "Incident escalated").await
}

/// Comment on an incident
///
/// `comment` is taken from the body or the query; both and different is 400. What a person writes is recorded sealed with
/// that person's key.
#[utoipa::path(
    post, path = "/v1/incidents/{id}/comment", tag = "incidents", operation_id = "comment_on_incident",
    params(("id" = String, Path, description = "The incident's id."), CommentParameters, CommandHeaders),
    request_body = Option<CommentBody>,
    responses((status = 200, description = "Done.", body = IncidentAnswer), CommandProblems)
)]
pub async fn comment(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    parameters: Query<CommentParameters>,
    body: OptionalBody<CommentBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let (comment_id, text) = body::comment(body.value, &parameters, new_id("cmt", &context))?;
    let text = personal::as_recorded(&caller, &state, INCIDENT_COMMENT, text).await?;
    let command = IncidentCommand::Comment { comment_id, text };
    reach::check(&caller, &state, &id, &command).await?;
    // Comments do not depend on what else happens to the incident.
    let outcome = state.incidents.execute_with_retry(&id, command, context, TRIES).await.map_err(refusal)?;
    Ok(respond(&outcome, COLLECTION, &IncidentAnswer::of(&outcome, "Comment added")))
}

/// Change how severe an incident is
///
/// The priority stays.
#[utoipa::path(
    post, path = "/v1/incidents/{id}/severity", tag = "incidents", operation_id = "change_incident_severity",
    params(("id" = String, Path, description = "The incident's id."), CommandHeaders),
    request_body = SeverityBody,
    responses((status = 200, description = "Done.", body = IncidentAnswer), CommandProblems)
)]
pub async fn change_severity(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    body: Body<SeverityBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let command = body.value.command().map_err(invalid)?;
    carry_out(&caller, &state, &id, command, context, "Severity changed").await
}

/// Change an incident's priority
#[utoipa::path(
    post, path = "/v1/incidents/{id}/priority", tag = "incidents", operation_id = "change_incident_priority",
    params(("id" = String, Path, description = "The incident's id."), CommandHeaders),
    request_body = PriorityBody,
    responses((status = 200, description = "Done.", body = IncidentAnswer), CommandProblems)
)]
pub async fn change_priority(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    body: Body<PriorityBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let command = body.value.command().map_err(invalid)?;
    carry_out(&caller, &state, &id, command, context, "Priority changed").await
}

/// Change what is known about an incident
///
/// The old values stay in the ledger beside the new ones.
#[utoipa::path(
    post, path = "/v1/incidents/{id}/details", tag = "incidents", operation_id = "update_incident_details",
    params(("id" = String, Path, description = "The incident's id."), CommandHeaders),
    request_body = DetailsBody,
    responses((status = 200, description = "Done.", body = IncidentAnswer), CommandProblems)
)]
pub async fn update_details(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    body: Body<DetailsBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let command = body.value.command()?;
    carry_out(&caller, &state, &id, command, context, "Details changed").await
}

async fn carry_out(
    caller: &AllowedWithin<IncidentWrite>,
    state: &WriteState,
    id: &str,
    command: IncidentCommand,
    context: CommandContext,
    detail: &'static str,
) -> Result<HttpResponse, Problem> {
    reach::check(caller, state, id, &command).await?;
    let outcome = state.incidents.execute(id, command, context).await.map_err(refusal)?;
    Ok(respond(&outcome, COLLECTION, &IncidentAnswer::of(&outcome, detail)))
}
