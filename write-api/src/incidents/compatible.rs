//! Setting a status by name, as the predecessors' clients do.

use actix_web::{HttpResponse, web};
use daybook_domain::incident::IncidentError;
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems};
use daybook_http_kit::permission::IncidentWrite;
use daybook_http_kit::{AllowedWithin, Body, CommandRequest, NoQuery, Problem, Scoped};
use daybook_ledger::commands::CommandError;

use super::COLLECTION;
use super::body::PatchStatusBody;
use super::reach;
use super::view::IncidentAnswer;
use crate::problems::{invalid, refusal};
use crate::state::WriteState;
use daybook_http_kit::answer::respond;

/// Set an incident's status
///
/// `open` reopens, `acknowledged` (or `triaged`) acknowledges, `investigating`, `resolved` and `closed` are the steps of
/// these names, and `escalated` escalates. A status that it already has changes nothing and answers 200.
#[utoipa::path(
    patch, path = "/v1/incidents/{id}/status", tag = "incidents", operation_id = "patch_incident_status",
    params(("id" = String, Path, description = "The incident's id."), CommandHeaders), request_body = PatchStatusBody,
    responses((status = 200, description = "Done.", body = IncidentAnswer), CommandProblems)
)]
pub async fn patch_status(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    body: Body<PatchStatusBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let notes = body.value.notes.clone();
    let (target, command) = body.value.command().map_err(invalid)?;
    reach::check(&caller, &state, &id, &command).await?;
    let outcome = match state.incidents.execute(&id, command, context).await {
        Err(CommandError::Refused(IncidentError::StatusTransition { from, to })) if Some(from) == target => {
            let current = state.incidents.load(&id).await.map_err(refusal)?;
            current.ok_or_else(|| refusal(CommandError::Refused(IncidentError::StatusTransition { from, to })))?
        }
        done => done.map_err(refusal)?,
    };
    let answer = IncidentAnswer { notes, ..IncidentAnswer::of(&outcome, "Incident status set") };
    Ok(respond(&outcome, COLLECTION, &answer))
}
