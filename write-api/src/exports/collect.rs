//! Exports that are taken by asking the same again, as predecessors' clients do: the first call asks for approval, a call
//! after the decision waits for the file and takes it.

use std::time::Duration;

use actix_web::HttpResponse;
use daybook_domain::approval::ApprovalStatus;
use daybook_domain::export::{Collected, Export, ExportCommand, ExportError, ExportStatus, Removed, Requested};
use daybook_domain::text::Reason;
use daybook_http_kit::{Principal, Problem};
use daybook_ledger::commands::{CommandContext, Outcome};
use tokio::time::{Instant, timeout_at};

use super::asking::{Asked, REQUIRES_APPROVAL};
use super::desk::{ExportDesk, actor};
use super::file;
use super::handlers::{pending, waiting};
use super::verify::{look_at, record, trusted_keys};
use crate::problems::invalid;

/// How long a call waits for a file that is being made.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a file waits to be taken where its approval does not say: a day.
const DAY_MICROS: i64 = 86_400_000_000;
/// Why an export is recorded to be removed whose file is not there any more.
const LOST: &str = "lost: the file was not in its place when it was to be handed out";

/// How far the export that the caller comes for has come.
enum Standing {
    /// Nobody asked for it, or what was asked for came to nothing.
    Nothing,
    /// Somebody has to decide.
    Pending(Box<Outcome<Export>>),
    /// It is there, or will be.
    Coming(Box<Outcome<Export>>),
}

/// Answers a call: asks for the export, says what is waited for, or hands the file out, once.
pub(super) async fn hand_out(
    desk: &ExportDesk,
    caller: &Principal,
    asked: &Asked,
    context: CommandContext,
) -> Result<HttpResponse, Problem> {
    // The call is the same each time and its answer is not: it is no command that a key could repeat.
    let context = CommandContext { command: None, expected_version: None, ..context };
    let export = {
        // Two calls at once ask for one export.
        let _turn = desk.asking.lock().await;
        match standing(desk, caller, asked, &context).await? {
            Standing::Pending(export) => return Ok(is_pending(&export)),
            Standing::Coming(export) => *export,
            Standing::Nothing => {
                let opened = asked.open(desk, caller, context.clone()).await?;
                if !opened.is_approved() {
                    return Ok(pending(desk, &opened));
                }
                opened.export
            }
        }
    };
    let Some(export) = made(desk, &export.id).await? else { return Err(gone(asked)) };
    if !export.aggregate.has_file() {
        let approval = approval_of(&export);
        return Ok(waiting(&export, approval, "Export is being generated".to_owned(), "generating"));
    }
    take(desk, caller, &export, context).await
}

fn is_pending(export: &Outcome<Export>) -> HttpResponse {
    waiting(export, approval_of(export), REQUIRES_APPROVAL.to_owned(), "pending")
}

fn approval_of(export: &Outcome<Export>) -> String {
    export.aggregate.request().map(|request| request.approval_id.to_string()).unwrap_or_default()
}

/// What there is of the caller's own for exactly this. Asked of the ledger, never of a read table.
async fn standing(
    desk: &ExportDesk,
    caller: &Principal,
    asked: &Asked,
    context: &CommandContext,
) -> Result<Standing, Problem> {
    let state = desk.approvals.directory().up_to_date().await?;
    let mine = state.exports_to_collect_of(caller.actor.id.as_str());
    for found in mine.iter().filter(|found| asked.is_asked_by(&found.request)) {
        let export = Box::new(desk.find(found.request.export_id.as_str()).await?);
        match export.aggregate.status() {
            Some(ExportStatus::Requested) => match decision(desk, caller, asked, &found.request, context).await? {
                Some(ApprovalStatus::Draft | ApprovalStatus::Pending) => return Ok(Standing::Pending(export)),
                Some(ApprovalStatus::Approved | ApprovalStatus::Consumed) => return Ok(Standing::Coming(export)),
                // It ended; that is recorded in the export as well, soon.
                _ => {}
            },
            Some(ExportStatus::Approved | ExportStatus::Generating) => return Ok(Standing::Coming(export)),
            Some(ExportStatus::Generated) if is_to_be_had(desk, caller, &export, context).await? => {
                return Ok(Standing::Coming(export));
            }
            _ => {}
        }
    }
    Ok(Standing::Nothing)
}

/// Whether a file that was made can still be handed out: not for longer than its approval would have lasted, and not where
/// it is lost, which is recorded unless it must be kept: what must be is never said to be removed. Else the caller asks anew.
async fn is_to_be_had(
    desk: &ExportDesk,
    caller: &Principal,
    export: &Outcome<Export>,
    context: &CommandContext,
) -> Result<bool, Problem> {
    let Some(generated) = export.aggregate.generated() else { return Ok(false) };
    let until = generated.at.micros().saturating_add(lifetime(desk, export).await?);
    if until < desk.now()?.micros() {
        return Ok(false);
    }
    if file::is_there(desk, generated).await? {
        return Ok(true);
    }
    tracing::error!(export_id = export.id, "the file of an export is lost; it is asked for anew");
    let custody = desk.approvals.custody_of_export(&export.id).await?;
    if custody.kept(desk.now()?.micros()).is_some() {
        tracing::error!(export_id = export.id, "a legal hold or a retention rule keeps the file that is lost");
        return Ok(false);
    }
    let why = Reason::parse("", LOST).map_err(invalid)?;
    let removed = Removed { by: actor(caller)?, why, at: desk.now()? };
    let outcome = desk.execute(&export.id, ExportCommand::Remove(removed), context.clone()).await?;
    desk.approvals.directory().settle_at(outcome.receipt.position).await?;
    Ok(false)
}

/// How long a grant of the policy lasts under which the export was approved, in microseconds.
async fn lifetime(desk: &ExportDesk, export: &Outcome<Export>) -> Result<i64, Problem> {
    let approval = match desk.approvals.find(&approval_of(export)).await {
        Ok(approval) => approval.aggregate,
        Err(problem) if problem.status() == 404 => return Ok(DAY_MICROS),
        Err(problem) => return Err(problem),
    };
    let seconds = approval.policy().map(|policy| policy.terms.grant_seconds);
    let micros = seconds.map(|seconds| i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX));
    Ok(micros.unwrap_or(DAY_MICROS))
}

/// How far the approval has come. Where the request for it was never opened, because the process died in between, it is
/// opened now.
async fn decision(
    desk: &ExportDesk,
    caller: &Principal,
    asked: &Asked,
    request: &Requested,
    context: &CommandContext,
) -> Result<Option<ApprovalStatus>, Problem> {
    match desk.approvals.find(request.approval_id.as_str()).await {
        Ok(approval) => Ok(approval.aggregate.status()),
        Err(problem) if problem.status() == 404 => {
            Ok(asked.open_approval(desk, caller, request, context).await?.aggregate.status())
        }
        Err(problem) => Err(problem),
    }
}

/// The export once its file is there, or as it is when patience ends; `None` where it came to nothing meanwhile. The
/// directory is told of every entry, and knows what is still to be made.
async fn made(desk: &ExportDesk, id: &str) -> Result<Option<Outcome<Export>>, Problem> {
    let deadline = Instant::now() + PATIENCE;
    let directory = desk.approvals.directory();
    let mut moved = directory.positions();
    loop {
        moved.borrow_and_update();
        let is_coming = directory.now().exports_to_collect.get(id).is_some_and(|export| !export.is_generated);
        if !is_coming {
            let export = desk.find(id).await?;
            match export.aggregate.status() {
                Some(ExportStatus::Requested | ExportStatus::Approved | ExportStatus::Generating) => {}
                Some(ExportStatus::Generated) => return Ok(Some(export)),
                Some(ExportStatus::Failed) => return Err(failed(&export)),
                _ => return Ok(None),
            }
        }
        if timeout_at(deadline, moved.changed()).await.is_err() {
            return desk.find(id).await.map(Some);
        }
    }
}

fn failed(export: &Outcome<Export>) -> Problem {
    let why = export.aggregate.last_failure().map(|failure| failure.why.to_string()).unwrap_or_default();
    Problem::refused("export.failed", format!("the export could not be made: {why}"))
        .with_member("export_id", export.id.as_str())
}

fn gone(asked: &Asked) -> Problem {
    let detail =
        format!("the export of {} was rejected, cancelled or removed; the same call asks for it anew", asked.kind);
    Problem::conflict("export.ended", detail)
}

/// Compares the file with what was recorded, records that it is taken, then streams it: nothing leaves the house unrecorded,
/// or other than it was approved. A download that breaks off is repeated with `GET /exports/{id}/file`.
async fn take(
    desk: &ExportDesk,
    caller: &Principal,
    export: &Outcome<Export>,
    context: CommandContext,
) -> Result<HttpResponse, Problem> {
    let (Some(request), Some(generated)) = (export.aggregate.request(), export.aggregate.generated()) else {
        return Err(daybook_approvals::refused(&ExportError::NotFound));
    };
    let caller = actor(caller)?;
    let (opened, is_right) = file::open_and_compare(desk, generated).await?;
    if !is_right {
        tracing::error!(export_id = export.id, "the file of an export is not what was recorded");
        let verification = look_at(desk, &export.aggregate, trusted_keys(desk).await?).await?;
        // It may have been put right in between: then there is nothing to be recorded.
        if !verification.is_verified() {
            record(desk, &export.id, &verification, caller, context).await?;
        }
        return Err(Problem::conflict("export.tampered", "the file is not what was recorded: it is not handed out"));
    }
    // Another account of the same person takes it in that person's name.
    let by = if caller == request.requested_by { caller } else { request.person.clone() };
    let command = ExportCommand::Collect(Collected { by, at: desk.now()? });
    let collected = desk.execute(&export.id, command, context).await?;
    desk.approvals.directory().settle_at(collected.receipt.position).await?;
    Ok(file::answer(opened, request.format, generated))
}
