//! Making and changing schedules, stopping them, and having one run now.

use actix_web::{HttpResponse, web};
use daybook_approvals::{Needed, refused};
use daybook_domain::approval::{ApprovalStatus, RequiredPermission};
use daybook_domain::export_schedule::{Created, ExportSchedule, ExportScheduleCommand, ExportScheduleError};
use daybook_domain::names::{PermissionName, ScheduleId};
use daybook_domain::text::{ActorId, Reason};
use daybook_http_kit::openapi::{BulkHeaders, CommandHeaders, CommandProblems, CreateProblems};
use daybook_http_kit::permission::{ExportManage, ExportRead, ExportRequest, MATRIX};
use daybook_http_kit::{Allowed, Body, CommandRequest, NoQuery, Principal, Problem, Scoped, new_id};
use tracing::Instrument;

use super::body::{ChangeBody, ReasonBody, ScheduleBody};
use super::standing::{ask_for, end_given_up, may_ask_for};
use super::view::{ScheduleAnswer, Waits, answer};
use crate::exports::asking::{Asked, REQUIRES_APPROVAL};
use crate::exports::desk::{ExportDesk, actor};
use crate::problems::invalid;

/// How often a change is made anew from what the schedule says, where others change it at the same time.
const MERGES: u32 = 5;
const CHANGED_MEANWHILE: &str = "export_schedule.changed_meanwhile";

/// Make a schedule of exports
///
/// At each of its times an export is asked for in the caller's name. It takes the permission to read what is to be in it,
/// then and now. Each run takes an approval of its own unless there is a standing one: `standing_until` asks for that at
/// once, and `approval_request_id` is the request for it.
#[utoipa::path(
    post, path = "/v1/export-schedules", tag = "export schedules", operation_id = "create_export_schedule",
    params(BulkHeaders), request_body = ScheduleBody,
    responses((status = 201, description = "Made.", body = ScheduleAnswer), CreateProblems)
)]
pub async fn create(
    caller: Allowed<ExportRequest>,
    request: CommandRequest,
    _: NoQuery,
    desk: Scoped<ExportDesk>,
    body: Body<ScheduleBody>,
) -> Result<HttpResponse, Problem> {
    // The schedule and its approval have no version in common.
    request.refuse_if_match()?;
    let wished = body.value.checked(&caller, &desk)?;
    let context = request.context(&caller, &body.bytes);
    let id = new_id("sch", &context);
    let schedule_id = ScheduleId::parse("/schedule_id", id.as_str()).map_err(invalid)?;
    let directory = desk.approvals.directory().now();
    let reason = wished.asked.reason.clone();
    let created = Created {
        schedule_id,
        name: wished.name,
        export: wished.export,
        required_permissions: required(&wished.asked)?,
        created_by: actor(&caller)?,
        person: ActorId::parse("", directory.person_of(&caller.actor.id)).map_err(invalid)?,
        reason: reason.clone(),
        at: desk.now()?,
    };
    let asking = request.item_context(&caller, &body.bytes, "standing");
    // What is refused of it must not leave a schedule behind.
    if let Some(until) = wished.standing_until
        && (context.command.is_none() || found(desk.runs.find(&id).await)?.is_none())
    {
        may_ask_for(&desk, &caller, &created, until, &asking).await.map_err(at_standing_until)?;
    }
    let outcome = desk.runs.make(created, context).await?;
    let Some(until) = wished.standing_until else { return answer(&desk, &outcome, true, None) };
    let (mut asked, waits) = ask_for(&desk, &caller, &id, until, reason, asking).await.map_err(at_standing_until)?;
    asked.replayed = outcome.replayed;
    answer(&desk, &asked, true, waits)
}

/// The fault of `until`, where the body has it.
fn at_standing_until(problem: Problem) -> Problem {
    if problem.code() != "export_schedule.until" {
        return problem;
    }
    let detail = problem.detail().to_owned();
    Problem::refused("export_schedule.until", detail.clone()).at("/standing_until", detail)
}

/// What was looked for, where it is there.
pub(super) fn found<T>(looked: Result<T, Problem>) -> Result<Option<T>, Problem> {
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(problem) if problem.status() == 404 => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// What whoever asked must be allowed, as it is recorded.
fn required(asked: &Asked) -> Result<Vec<RequiredPermission>, Problem> {
    let required = |needed: &Needed| {
        let name = PermissionName::parse("/required_permissions", needed.name).map_err(invalid)?;
        Ok(RequiredPermission { name, department: needed.department.clone() })
    };
    asked.required_permissions.iter().map(required).collect()
}

/// What the owner must be allowed, as it was recorded. 403 where the caller is not.
pub(super) fn needed_by(schedule: &ExportSchedule, caller: &Principal) -> Result<Vec<Needed>, Problem> {
    let needed = |required: &RequiredPermission| {
        let known = MATRIX.iter().find(|row| row.name == required.name.as_str());
        // One that this program does not know nobody holds here.
        let unknown = || Problem::new(403, "permission.denied", format!("this takes {}", required.name));
        let known = known.ok_or_else(unknown)?;
        let needed = Needed { name: known.name, department: required.department.clone() };
        if needed.is_met_by(&caller.access) { Ok(needed) } else { Err(Problem::forbidden(known.name)) }
    };
    schedule.required_permissions().iter().map(needed).collect()
}

/// Whether the caller, or somebody who is the same person, made it.
pub(super) fn is_own(desk: &ExportDesk, caller: &Principal, schedule: &ExportSchedule) -> bool {
    let state = desk.approvals.directory().now();
    let (Some(owner), Some(person)) = (schedule.created_by(), schedule.person()) else { return false };
    owner.as_str() == caller.actor.id || state.is_same_person(person.as_str(), &caller.actor.id)
}

/// The caller's own schedule: 404 where there is none or the caller may not know of it, 403 where it is somebody else's.
pub(super) async fn own(desk: &ExportDesk, caller: &Principal, id: &str) -> Result<ExportSchedule, Problem> {
    let found = desk.runs.find(id).await?.aggregate;
    if is_own(desk, caller, &found) {
        return Ok(found);
    }
    let detail = "whoever made a schedule changes it and has it run: its exports are asked for in their name";
    match caller.access.allows::<ExportRead>() {
        true => Err(Problem::new(403, "export_schedule.not_yours", detail)),
        false => Err(refused(&ExportScheduleError::NotFound)),
    }
}

/// A schedule that the caller may stop, and whether it is theirs: their own, or any with `export:manage`. 404 where there is
/// none or the caller may not know of it.
pub(super) async fn stoppable(desk: &ExportDesk, caller: &Principal, id: &str) -> Result<bool, Problem> {
    let schedule = desk.runs.find(id).await?.aggregate;
    if is_own(desk, caller, &schedule) {
        return Ok(true);
    }
    match caller.require::<ExportManage>() {
        Err(_) if !caller.access.allows::<ExportRead>() => Err(refused(&ExportScheduleError::NotFound)),
        checked => checked.map(|_| false),
    }
}

/// Change a schedule of exports
///
/// What is exported, where to and when; what is absent stays, also where somebody else changes it at the same time: 409 where
/// that does not come to rest. By whoever made it. A standing approval ends with the change, and times that have passed
/// without a run are not made up for.
#[utoipa::path(
    patch, path = "/v1/export-schedules/{id}", tag = "export schedules", operation_id = "change_export_schedule",
    params(("id" = String, Path, description = "The schedule's id."), CommandHeaders), request_body = ChangeBody,
    responses((status = 200, description = "Changed.", body = ScheduleAnswer), CommandProblems)
)]
pub async fn change(
    caller: Allowed<ExportRequest>,
    request: CommandRequest,
    _: NoQuery,
    desk: Scoped<ExportDesk>,
    id: web::Path<String>,
    body: Body<ChangeBody>,
) -> Result<HttpResponse, Problem> {
    if body.value.says_nothing() {
        let detail = "name what of the schedule is to change: a reason alone changes nothing";
        return Err(Problem::refused("export_schedule.nothing_to_change", detail));
    }
    let context = request.context(&caller, &body.bytes);
    let mut tries = 1;
    let outcome = loop {
        let schedule = own(&desk, &caller, &id).await?;
        let before = schedule.export().ok_or_else(|| refused(&ExportScheduleError::NotFound))?;
        let (export, asked) = body.value.clone().checked(before, &caller, &desk)?;
        let command = ExportScheduleCommand::Change {
            export: Box::new(export),
            required_permissions: required(&asked)?,
            revision: schedule.revision(),
            by: actor(&caller)?,
            reason: asked.reason,
            at: desk.now()?,
        };
        match desk.runs.carry_out(&id, command, context.clone()).await {
            Err(problem) if problem.code() == CHANGED_MEANWHILE && tries < MERGES => tries += 1,
            done => break done?,
        }
    };
    end_given_up(&desk, &caller, &outcome.aggregate, None, context).await?;
    answer(&desk, &outcome, false, None)
}

/// Pause a schedule
///
/// It does not run until it is resumed; what falls due meanwhile is not made up for. By whoever made it, or with
/// `export:manage`: then whoever made it can neither resume nor run it.
#[utoipa::path(
    post, path = "/v1/export-schedules/{id}/pause", tag = "export schedules", operation_id = "pause_export_schedule",
    params(("id" = String, Path, description = "The schedule's id."), CommandHeaders), request_body = ReasonBody,
    responses((status = 200, description = "Paused.", body = ScheduleAnswer), CommandProblems)
)]
pub async fn pause(
    caller: Allowed<ExportRequest>,
    request: CommandRequest,
    _: NoQuery,
    desk: Scoped<ExportDesk>,
    id: web::Path<String>,
    body: Body<ReasonBody>,
) -> Result<HttpResponse, Problem> {
    let binds = !stoppable(&desk, &caller, &id).await?;
    let reason = Reason::parse("/reason", body.value.reason).map_err(invalid)?;
    let command = ExportScheduleCommand::Pause { by: actor(&caller)?, binds, reason, at: desk.now()? };
    let outcome = desk.runs.carry_out(&id, command, request.context(&caller, &body.bytes)).await?;
    answer(&desk, &outcome, false, None)
}

/// Resume a schedule
///
/// It runs at its next time. By whoever made it, unless somebody else has paused it, or with `export:manage`.
#[utoipa::path(
    post, path = "/v1/export-schedules/{id}/resume", tag = "export schedules", operation_id = "resume_export_schedule",
    params(("id" = String, Path, description = "The schedule's id."), CommandHeaders),
    responses((status = 200, description = "It runs again.", body = ScheduleAnswer), CommandProblems)
)]
pub async fn resume(
    caller: Allowed<ExportRequest>,
    request: CommandRequest,
    _: NoQuery,
    desk: Scoped<ExportDesk>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let is_owner = stoppable(&desk, &caller, &id).await?;
    let command = ExportScheduleCommand::Resume { by: actor(&caller)?, is_owner, at: desk.now()? };
    let outcome = desk.runs.carry_out(&id, command, request.context(&caller, b"")).await?;
    answer(&desk, &outcome, false, None)
}

/// Run a schedule now
///
/// Once, besides its times: 200 where the standing approval covers it or nobody is asked, and `last_run` names the export;
/// 202 with the request for approval where somebody else decides. Its period is as if it were due now. By whoever made it.
#[utoipa::path(
    post, path = "/v1/export-schedules/{id}/run", tag = "export schedules", operation_id = "run_export_schedule",
    params(("id" = String, Path, description = "The schedule's id."), CommandHeaders),
    responses(
        (status = 200, description = "Its export is being made.", body = ScheduleAnswer),
        (status = 202, description = "Its export waits for somebody else's approval.", body = ScheduleAnswer),
        CommandProblems,
    )
)]
pub async fn run(
    caller: Allowed<ExportRequest>,
    request: CommandRequest,
    _: NoQuery,
    desk: Scoped<ExportDesk>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let schedule = own(&desk, &caller, &id).await?;
    needed_by(&schedule, &caller)?;
    if let Some(paused) = schedule.paused().filter(|paused| paused.binds) {
        return Err(refused(&ExportScheduleError::PausedByOther { by: paused.by.clone() }));
    }
    let (runs, by, context) = (desk.runs.clone(), actor(&caller)?, request.context(&caller, b""));
    // It comes to its end whether or not the caller waits for that: what is recorded has its export.
    let running = async move { runs.run_asked(&id, by, &context).await };
    let ran = tokio::spawn(running.in_current_span()).await;
    let (ran, opened) = ran.map_err(|error| Problem::internal(&error))??;
    let waits = opened.approval.filter(|approval| {
        !matches!(approval.aggregate.status(), Some(ApprovalStatus::Approved | ApprovalStatus::Consumed))
    });
    let waits = waits.map(|approval| Waits { approval_id: approval.id, detail: REQUIRES_APPROVAL });
    answer(&desk, &ran, false, waits)
}

/// End a schedule
///
/// For good; what it made stays. A request for a standing approval ends with it. By whoever made it, or with
/// `export:manage`.
#[utoipa::path(
    post, path = "/v1/export-schedules/{id}/end", tag = "export schedules", operation_id = "end_export_schedule",
    params(("id" = String, Path, description = "The schedule's id."), CommandHeaders), request_body = ReasonBody,
    responses((status = 200, description = "Ended.", body = ScheduleAnswer), CommandProblems)
)]
pub async fn end(
    caller: Allowed<ExportRequest>,
    request: CommandRequest,
    _: NoQuery,
    desk: Scoped<ExportDesk>,
    id: web::Path<String>,
    body: Body<ReasonBody>,
) -> Result<HttpResponse, Problem> {
    stoppable(&desk, &caller, &id).await?;
    let reason = Reason::parse("/reason", body.value.reason).map_err(invalid)?;
    let command = ExportScheduleCommand::End { by: actor(&caller)?, reason: reason.clone(), at: desk.now()? };
    let context = request.context(&caller, &body.bytes);
    let outcome = desk.runs.carry_out(&id, command, context.clone()).await?;
    end_given_up(&desk, &caller, &outcome.aggregate, Some(reason), context).await?;
    answer(&desk, &outcome, false, None)
}
