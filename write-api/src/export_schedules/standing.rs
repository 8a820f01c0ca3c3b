//! Approvals of all runs of a schedule until a time: asking for one, and ending it.

use actix_web::{HttpResponse, web};
use daybook_approvals::{Gated, refused};
use daybook_domain::Timestamp;
use daybook_domain::approval::ApprovalStatus;
use daybook_domain::export_schedule::{ExportSchedule, ExportScheduleCommand, ExportScheduleError, StandingEnd};
use daybook_domain::names::ApprovalId;
use daybook_domain::text::Reason;
use daybook_http_kit::openapi::{BulkHeaders, CommandProblems};
use daybook_http_kit::permission::ExportRequest;
use daybook_http_kit::{Allowed, Body, CommandRequest, NoQuery, Principal, Problem, Scoped, new_id};
use daybook_ledger::commands::{CommandContext, Outcome};
use daybook_ledger::{CommandKey, Hash};

use super::body::StandingBody;
use super::handlers::{needed_by, own, stoppable};
use super::view::{ScheduleAnswer, Waits, answer};
use crate::exports::desk::{ExportDesk, actor};
use crate::problems::invalid;

/// What a call is answered with whose standing approval others decide on.
const REQUIRES_APPROVAL: &str = "A standing approval requires approval";

/// Ask for a standing approval
///
/// An approval of all runs of the schedule until `until`, under the policy for exports of its kind: 202 with the request,
/// 201 where the policy asks nobody. What is agreed to is everything that the schedule says: it ends with any change, when
/// the policy changes, and when whoever made the schedule may not ask any more. By whoever made it.
#[utoipa::path(
    post, path = "/v1/export-schedules/{id}/standing-approval", tag = "export schedules",
    operation_id = "request_standing_approval",
    params(("id" = String, Path, description = "The schedule's id."), BulkHeaders), request_body = StandingBody,
    responses(
        (status = 202, description = "Waits for somebody else's approval.", body = ScheduleAnswer),
        (status = 201, description = "Its runs are approved: nobody is asked.", body = ScheduleAnswer),
        CommandProblems,
    )
)]
pub async fn ask(
    caller: Allowed<ExportRequest>,
    request: CommandRequest,
    _: NoQuery,
    desk: Scoped<ExportDesk>,
    id: web::Path<String>,
    body: Body<StandingBody>,
) -> Result<HttpResponse, Problem> {
    // The schedule and its approval have no version in common.
    request.refuse_if_match()?;
    let (until, reason) = body.value.checked()?;
    let context = request.context(&caller, &body.bytes);
    let (outcome, waits) = ask_for(&desk, &caller, &id, until, reason, context).await?;
    answer(&desk, &outcome, waits.is_none(), waits)
}

/// Records that a standing approval is asked for, and opens the request for it. A repeat of the same command records nothing
/// and finds both.
pub(super) async fn ask_for(
    desk: &ExportDesk,
    caller: &Principal,
    id: &str,
    until: Timestamp,
    reason: Option<Reason>,
    context: CommandContext,
) -> Result<(Outcome<ExportSchedule>, Option<Waits>), Problem> {
    let schedule = own(desk, caller, id).await?;
    let action = schedule.action(until).map_err(invalid)?;
    let opening = opening(action.digest().as_str(), &context)?;
    let approval_id = ApprovalId::parse("/approval_id", new_id("apr", &opening)).map_err(invalid)?;
    let gated = Gated {
        action,
        required_permissions: needed_by(&schedule, caller)?,
        reason,
        execution_id: id.to_owned(),
        detail: REQUIRES_APPROVAL,
    };
    // What the gate refuses must not be recorded first: nobody would ever decide on it.
    desk.approvals.may_open(caller, gated.clone(), &opening).await?;
    let command = ExportScheduleCommand::RequestStanding { approval_id, until, by: actor(caller)?, at: desk.now()? };
    let requested = desk.runs.carry_out(id, command, context.clone()).await?;
    let approval = desk.approvals.open(caller, gated, opening).await?;
    let is_replaced = schedule.pending().is_some_and(|before| before.approval_id.as_str() != approval.id);
    if is_replaced {
        end_request(desk, caller, &schedule, None, context.clone()).await?;
    }
    let is_decided = matches!(approval.aggregate.status(), Some(ApprovalStatus::Approved | ApprovalStatus::Consumed));
    if !is_decided {
        let waits = Waits { approval_id: approval.id, detail: REQUIRES_APPROVAL };
        return Ok((requested, Some(waits)));
    }
    desk.runs.follow_standing(id, &context).await?;
    let now = desk.runs.find(id).await?;
    Ok((Outcome { replayed: requested.replayed, ..now }, None))
}

/// The context of the command that opens the request: its id is known beforehand, and a repeat opens no other.
fn opening(digest: &str, context: &CommandContext) -> Result<CommandContext, Problem> {
    let digest: Hash = digest.parse().map_err(|error| Problem::internal(&error))?;
    let id = format!("{}:approval", new_id("standing", context));
    Ok(CommandContext { command: Some(CommandKey { id, digest }), expected_version: None, ..context.clone() })
}

/// Ends the request for the standing approval that a schedule had pending: nobody is asked to decide on what nobody wants.
/// One that is over already stays as it is. A repeat of the call does what is left.
pub(super) async fn end_request(
    desk: &ExportDesk,
    caller: &Principal,
    before: &ExportSchedule,
    reason: Option<Reason>,
    context: CommandContext,
) -> Result<(), Problem> {
    let Some(pending) = before.pending() else { return Ok(()) };
    let context = CommandContext { command: None, expected_version: None, ..context };
    let id = pending.approval_id.as_str();
    let ended = match pending.by.as_str() == caller.actor.id {
        true => desk.approvals.withdraw(caller, id, reason, context).await.map(drop),
        false => desk.approvals.void_for_cancelled(id, &context).await,
    };
    match ended {
        // There is none, or it ended otherwise, or was decided on, in this very moment.
        Err(problem) if problem.status() < 500 => Ok(()),
        ended => ended,
    }
}

/// End a standing approval
///
/// The next runs take approvals of their own. A request for one that nobody has decided on ends as well. By whoever made the
/// schedule, or with `export:manage`.
#[utoipa::path(
    delete, path = "/v1/export-schedules/{id}/standing-approval", tag = "export schedules",
    operation_id = "end_standing_approval",
    params(("id" = String, Path, description = "The schedule's id."), BulkHeaders),
    responses((status = 200, description = "Ended.", body = ScheduleAnswer), CommandProblems)
)]
pub async fn end(
    caller: Allowed<ExportRequest>,
    request: CommandRequest,
    _: NoQuery,
    desk: Scoped<ExportDesk>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    request.refuse_if_match()?;
    let schedule = stoppable(&desk, &caller, &id).await?;
    let (pending, standing) = (schedule.pending(), schedule.standing());
    let pending = pending.map(|pending| (pending.approval_id.clone(), StandingEnd::Withdrawn));
    let standing = standing.map(|standing| (standing.approval_id.clone(), StandingEnd::Revoked));
    let mut last = None;
    for (approval_id, why) in pending.into_iter().chain(standing) {
        let context = request.item_context(&caller, b"", approval_id.as_str());
        let command = ExportScheduleCommand::EndStanding { approval_id, why, at: desk.now()? };
        last = Some(desk.runs.carry_out(&id, command, context).await?);
    }
    let outcome = last.ok_or_else(|| refused(&ExportScheduleError::NoStandingApproval))?;
    end_request(&desk, &caller, &schedule, None, request.context(&caller, b"")).await?;
    answer(&desk, &outcome, false, None)
}
