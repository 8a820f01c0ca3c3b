//! Approvals of all runs of a schedule until a time: asking for one, and ending it.

use actix_web::{HttpResponse, web};
use daybook_approvals::{Gated, refused};
use daybook_domain::Timestamp;
use daybook_domain::approval::ApprovalStatus;
use daybook_domain::export_schedule::{Created, ExportSchedule, ExportScheduleCommand, ExportScheduleError};
use daybook_domain::names::ApprovalId;
use daybook_domain::text::{ActorId, Reason};
use daybook_http_kit::openapi::{BulkHeaders, CommandProblems};
use daybook_http_kit::permission::ExportRequest;
use daybook_http_kit::{Allowed, Body, CommandRequest, NoQuery, Principal, Problem, Scoped, new_id};
use daybook_ledger::commands::{CommandContext, Outcome};
use daybook_ledger::{CommandKey, Hash};

use super::body::StandingBody;
use super::handlers::{found, needed_by, own, stoppable};
use super::view::{ScheduleAnswer, Waits, answer};
use crate::exports::desk::{ExportDesk, actor};
use crate::problems::invalid;

/// What a call is answered with whose standing approval others decide on.
const REQUIRES_APPROVAL: &str = "A standing approval requires approval";

/// Ask for a standing approval
///
/// An approval of all runs of the schedule until `until`, under the policy for exports of its kind: 202 with the request,
/// 201 where the policy asks nobody. What is agreed to is everything that the schedule says: it ends with any change, when
/// the policy changes, and when whoever made the schedule may not ask any more. By whoever made it, under the same account.
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

/// What is asked for: the request for approval, and what is said to the schedule.
struct Asking {
    gated: Gated,
    /// The context of the command that opens the request.
    opening: CommandContext,
    command: ExportScheduleCommand,
}

impl Asking {
    /// `key`: the id of the command that opens the request, from which the id of the request follows.
    fn of(
        desk: &ExportDesk,
        caller: &Principal,
        schedule: &ExportSchedule,
        until: Timestamp,
        reason: Option<Reason>,
        (key, context): (&str, &CommandContext),
    ) -> Result<Self, Problem> {
        let action = schedule.action(until).map_err(invalid)?;
        let opening = opening(key, action.digest().as_str(), context)?;
        let approval_id = ApprovalId::parse("/approval_id", new_id("apr", &opening)).map_err(invalid)?;
        let gated = Gated {
            action,
            required_permissions: needed_by(schedule, caller)?,
            reason,
            execution_id: schedule.id().map(ToString::to_string).unwrap_or_default(),
            detail: REQUIRES_APPROVAL,
        };
        let command =
            ExportScheduleCommand::RequestStanding { approval_id, until, by: actor(caller)?, at: desk.now()? };
        Ok(Self { gated, opening, command })
    }
}

/// Whether a standing approval could be asked for at once for a schedule that is to be made; else why not. Records nothing.
pub(super) async fn may_ask_for(
    desk: &ExportDesk,
    caller: &Principal,
    created: &Created,
    until: Timestamp,
    context: &CommandContext,
) -> Result<(), Problem> {
    let schedule = ExportSchedule::made(created.clone()).map_err(|refusal| refused(&refusal))?;
    let key = new_id("standing", context);
    let asking = Asking::of(desk, caller, &schedule, until, created.reason.clone(), (&key, context))?;
    schedule.decide(asking.command).map_err(|refusal| refused(&refusal))?;
    desk.approvals.may_open(caller, asking.gated, &asking.opening).await
}

/// Records that a standing approval is asked for, and opens the request for it. A repeat of the same command records nothing
/// and finds both; it opens nothing that was given up meanwhile.
pub(super) async fn ask_for(
    desk: &ExportDesk,
    caller: &Principal,
    id: &str,
    until: Timestamp,
    reason: Option<Reason>,
    context: CommandContext,
) -> Result<(Outcome<ExportSchedule>, Option<Waits>), Problem> {
    let schedule = own(desk, caller, id).await?;
    // It holds for what its owner asks for, who is one account.
    if schedule.created_by().map(ActorId::as_str) != Some(caller.actor.id.as_str()) {
        let detail = "a standing approval is asked for under the account that made the schedule";
        return Err(Problem::new(403, "export_schedule.not_yours", detail));
    }
    let key = new_id("standing", &context);
    let asking = Asking::of(desk, caller, &schedule, until, reason.clone(), (&key, &context))?;
    let approval_id = new_id("apr", &asking.opening);
    let opened = match &context.command {
        Some(_) => found(desk.approvals.find(&approval_id).await)?,
        None => None,
    };
    // What the gate refuses must not be recorded first: nobody would ever decide on it.
    if opened.is_none() {
        desk.approvals.may_open(caller, asking.gated, &asking.opening).await?;
    }
    let requested = desk.runs.carry_out(id, asking.command, context.clone()).await?;
    end_given_up(desk, caller, &requested.aggregate, None, context.clone()).await?;
    let approval = match opened {
        Some(opened) => opened,
        None => {
            // As it is by now: what is approved is what was recorded.
            let schedule = desk.runs.find(id).await?.aggregate;
            if !is_wanted(&schedule, &approval_id) {
                return Err(refused(&ExportScheduleError::ChangedMeanwhile));
            }
            let Asking { gated, opening, .. } = Asking::of(desk, caller, &schedule, until, reason, (&key, &context))?;
            desk.approvals.open(caller, gated, opening).await?
        }
    };
    let is_decided = matches!(approval.aggregate.status(), Some(ApprovalStatus::Approved | ApprovalStatus::Consumed));
    if is_decided {
        desk.runs.follow_standing(id, &context).await?;
        let now = desk.runs.find(id).await?;
        return Ok((Outcome { replayed: requested.replayed, ..now }, None));
    }
    // Whoever gave it up before it was opened found nothing to end.
    if !is_wanted(&desk.runs.find(id).await?.aggregate, &approval_id) {
        end_request(desk, caller, &approval_id, None, context).await?;
    }
    let waits = Waits { approval_id: approval.id, detail: REQUIRES_APPROVAL };
    Ok((requested, Some(waits)))
}

/// Whether a schedule waits for this approval, or has it.
fn is_wanted(schedule: &ExportSchedule, approval_id: &str) -> bool {
    let pending = schedule.pending().map(|pending| pending.approval_id.as_str());
    let standing = schedule.standing().map(|standing| standing.approval_id.as_str());
    [pending, standing].contains(&Some(approval_id))
}

/// The context of the command that opens the request: its id is known beforehand, and a repeat opens no other.
fn opening(key: &str, digest: &str, context: &CommandContext) -> Result<CommandContext, Problem> {
    let digest: Hash = digest.parse().map_err(|error| Problem::internal(&error))?;
    let id = format!("{key}:approval");
    Ok(CommandContext { command: Some(CommandKey { id, digest }), expected_version: None, ..context.clone() })
}

/// Ends the request for the standing approval that a schedule, as a command left it, has given up: nobody is asked to decide
/// on what nobody wants. A repeat of the call does what is left, and ends no newer request.
pub(super) async fn end_given_up(
    desk: &ExportDesk,
    caller: &Principal,
    schedule: &ExportSchedule,
    reason: Option<Reason>,
    context: CommandContext,
) -> Result<(), Problem> {
    match schedule.displaced() {
        Some(approval_id) => end_request(desk, caller, approval_id.as_str(), reason, context).await,
        None => Ok(()),
    }
}

/// Ends a request. One that is over already stays as it is.
async fn end_request(
    desk: &ExportDesk,
    caller: &Principal,
    id: &str,
    reason: Option<Reason>,
    context: CommandContext,
) -> Result<(), Problem> {
    let Some(approval) = found(desk.approvals.find(id).await)? else { return Ok(()) };
    let context = CommandContext { command: None, expected_version: None, ..context };
    let requester = approval.aggregate.requester().map(|requester| requester.actor.as_str());
    let ended = match requester == Some(caller.actor.id.as_str()) {
        true => desk.approvals.withdraw(caller, id, reason, context).await.map(drop),
        false => desk.approvals.void_for_cancelled(id, &context).await,
    };
    match ended {
        // It ended otherwise, or was decided on, in this very moment.
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
    stoppable(&desk, &caller, &id).await?;
    let context = request.context(&caller, b"");
    let command = ExportScheduleCommand::EndStandings { at: desk.now()? };
    let outcome = desk.runs.carry_out(&id, command, context.clone()).await?;
    end_given_up(&desk, &caller, &outcome.aggregate, None, context).await?;
    answer(&desk, &outcome, false, None)
}
