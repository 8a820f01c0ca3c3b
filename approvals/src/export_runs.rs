//! The runs of schedules of exports: each recorded once, and opened as an export with the approval that it rests on.
//!
//! Whoever has a schedule run, the clock or somebody who asks for it, does it here. The entry of the run comes first and
//! says everything that follows from it, the ids of the export and its approval among it; so whoever comes after a crash
//! opens the same export, and nobody opens it twice. No run is recorded before the one before it was opened: who records one
//! says which was seen opened, and the schedule refuses where that is not its last. A schedule whose last run waits for an
//! approval of its own asks for no other: what falls due meanwhile is one run, afterwards.

use std::sync::Arc;

use daybook_domain::InvalidField;
use daybook_domain::approval::{Approval, ApprovalStatus, VoidReason};
use daybook_domain::export::{Export, ExportCommand, ExportStatus, RestsOn};
use daybook_domain::export_schedule::{
    ExportSchedule, ExportScheduleCommand, ExportScheduleError, RunCause, ScheduleStatus, StandingApproved,
    StandingEnd, StandingRequested,
};
use daybook_domain::names::ApprovalId;
use daybook_domain::refusal::Refusal;
use daybook_domain::text::ActorId;
use daybook_http_kit::Problem;
use daybook_ledger::commands::{CommandContext, CommandError, Commands, Outcome};
use tokio::sync::Mutex;

use crate::gate::RedeemError;
use crate::held_up::HeldUp;
use crate::problems::{refusal, refused};
use crate::service::{Approvals, TRIES, commands, following, recorded};

/// How long a request for a standing approval may be missing, in microseconds. Whoever asks opens it at the same time.
const MISSING_AFTER_MICROS: i64 = 10 * 60 * 1_000_000;

/// The schedules of one organisation and what becomes of them. Cheap to clone.
#[derive(Clone)]
pub struct ExportRuns {
    approvals: Approvals,
    schedules: Commands<ExportSchedule>,
    exports: Commands<Export>,
    /// Held while somebody has one run: others wait their turn.
    asking: Arc<Mutex<()>>,
}

/// A run that was opened.
#[derive(Debug)]
pub struct OpenedRun {
    /// Its export.
    pub export: Outcome<Export>,
    /// The request for its own approval; `None` where it rests on the standing one, or was decided on before.
    pub approval: Option<Outcome<Approval>>,
}

/// What became of a time that was due.
#[derive(Debug)]
pub enum DueRun {
    /// It has run.
    Ran(Box<OpenedRun>),
    /// Nothing is due, or somebody else has run it.
    NothingDue,
    /// Something is in the way. What is due stays due.
    HeldUp(HeldUp),
    /// One is due, and waits until the approval of the last one was decided on.
    Waits(ApprovalId),
}

impl ExportRuns {
    /// Of the organisation whose approvals these are.
    pub fn new(approvals: Approvals) -> Self {
        let ledger = approvals.ledger().clone();
        Self {
            schedules: commands(&ledger, ExportSchedule::REDUCER_VERSION, ExportSchedule::HOLDS_PERSONAL_DATA),
            exports: commands(&ledger, Export::REDUCER_VERSION, Export::HOLDS_PERSONAL_DATA),
            asking: Arc::default(),
            approvals,
        }
    }

    /// Who has to agree.
    pub fn approvals(&self) -> &Approvals {
        &self.approvals
    }

    /// A schedule as the ledger has it now; 404 where there is none.
    pub async fn find(&self, id: &str) -> Result<Outcome<ExportSchedule>, Problem> {
        let found = self.schedules.load(id).await.map_err(refusal)?;
        found.ok_or_else(|| refused(&ExportScheduleError::not_found()))
    }

    /// Carries out one command on a schedule and waits until the directory knows of it.
    pub async fn carry_out(
        &self,
        id: &str,
        command: ExportScheduleCommand,
        context: CommandContext,
    ) -> Result<Outcome<ExportSchedule>, Problem> {
        let outcome = recorded(&self.schedules, id, command, context).await.map_err(refusal)?;
        self.approvals.directory().settle_at(outcome.receipt.position).await?;
        Ok(outcome)
    }

    /// As [`Self::carry_out`]; `None` where the schedule refuses: things are not any more as they were when it was looked at.
    async fn try_out(
        &self,
        id: &str,
        command: ExportScheduleCommand,
        context: &CommandContext,
    ) -> Result<Option<Outcome<ExportSchedule>>, Problem> {
        match recorded(&self.schedules, id, command, following(context)).await {
            Ok(outcome) => {
                self.approvals.directory().settle_at(outcome.receipt.position).await?;
                Ok(Some(outcome))
            }
            Err(CommandError::Refused(_)) => Ok(None),
            Err(error) => Err(refusal(error)),
        }
    }

    /// Opens what the last run opens, as far as it is not there. `None` where it has not run yet.
    pub async fn open_last(
        &self,
        schedule: &ExportSchedule,
        context: &CommandContext,
    ) -> Result<Option<OpenedRun>, Problem> {
        let Some(run) = schedule.last_run() else { return Ok(None) };
        let requested = schedule.requested_of(run).map_err(|error| unusable(&error))?;
        let context = CommandContext { correlation_id: Some(run.export_id.to_string()), ..following(context) };
        // The export comes first: once somebody approves, it is there to be made.
        let export = match self.exports.load(run.export_id.as_str()).await.map_err(refusal)? {
            Some(export) => export,
            None => {
                let command = ExportCommand::Request(Box::new(requested.clone()));
                let export = recorded(&self.exports, run.export_id.as_str(), command, context.clone()).await;
                export.map_err(refusal)?
            }
        };
        let is_undecided = export.aggregate.status() == Some(ExportStatus::Requested);
        let approval = match run.rests_on {
            RestsOn::Own if is_undecided => {
                Some(self.approvals.open_for_schedule(schedule, &requested, &context).await?)
            }
            RestsOn::Own | RestsOn::Standing => None,
        };
        Ok(Some(OpenedRun { export, approval }))
    }

    /// Runs a schedule that is due.
    pub async fn run_due(&self, id: &str, context: &CommandContext) -> Result<DueRun, Problem> {
        let schedule = self.find(id).await?.aggregate;
        if schedule.status() != Some(ScheduleStatus::Active) {
            return Ok(DueRun::NothingDue);
        }
        let at = self.approvals.timestamp()?;
        if let Some(why) = self.approvals.held_up_by(&schedule, at).await? {
            return Ok(DueRun::HeldUp(why));
        }
        let Some(due) = schedule.due(at) else { return Ok(DueRun::NothingDue) };
        let last = match self.open_last(&schedule, context).await {
            Ok(last) => last,
            Err(problem) => return held_up(problem),
        };
        let rests_on = self.what_it_rests_on(id, &schedule, context).await?;
        if rests_on == RestsOn::Own {
            if let Some(undecided) = last.and_then(|last| last.approval).filter(is_undecided) {
                let approval_id = ApprovalId::parse("", undecided.id).map_err(|error| unusable(&error))?;
                return Ok(DueRun::Waits(approval_id));
            }
            if let Err(problem) = self.approvals.owner_may_ask(&schedule).await {
                return held_up(problem);
            }
        }
        let command = ExportScheduleCommand::Run {
            cause: RunCause::Due,
            scheduled_for: Some(due.scheduled_for),
            rests_on,
            opened: schedule.runs(),
            by: None,
            at,
        };
        // Refused: another process has run it, or it was paused, changed or lost its approval in this very moment.
        let Some(ran) = self.try_out(id, command, context).await? else { return Ok(DueRun::NothingDue) };
        let opened = self.open_last(&ran.aggregate, context).await?;
        Ok(opened.map_or(DueRun::NothingDue, |opened| DueRun::Ran(Box::new(opened))))
    }

    /// Runs a schedule once because somebody wants it. A repeat of the command runs nothing again. Whoever calls sees to it
    /// that it comes to its end: where it is given up, a run that was recorded is opened only by whoever comes next.
    pub async fn run_asked(
        &self,
        id: &str,
        by: ActorId,
        context: &CommandContext,
    ) -> Result<(Outcome<ExportSchedule>, OpenedRun), Problem> {
        let _turn = self.asking.lock().await;
        for _ in 1..TRIES {
            match self.run_once(id, by.clone(), context).await {
                // In another process, or because it was due: that run is opened first.
                Err(problem) if problem.code() == ExportScheduleError::RanMeanwhile.code() => {}
                done => return done,
            }
        }
        self.run_once(id, by, context).await
    }

    async fn run_once(
        &self,
        id: &str,
        by: ActorId,
        context: &CommandContext,
    ) -> Result<(Outcome<ExportSchedule>, OpenedRun), Problem> {
        let schedule = self.find(id).await?.aggregate;
        if !self.approvals.owner_may(&schedule).await? {
            let detail = "whoever made the schedule, in whose name its exports are asked for, may not ask for them now";
            return Err(Problem::refused("export_schedule.owner_not_allowed", detail));
        }
        self.open_last(&schedule, context).await?;
        let rests_on = self.what_it_rests_on(id, &schedule, context).await?;
        if rests_on == RestsOn::Own {
            self.approvals.owner_may_ask(&schedule).await?;
        }
        let (cause, by, opened, at) = (RunCause::Asked, Some(by), schedule.runs(), self.approvals.timestamp()?);
        let command = ExportScheduleCommand::Run { cause, scheduled_for: None, rests_on, opened, by, at };
        let ran = self.carry_out(id, command, context.clone()).await?;
        let opened = self.open_last(&ran.aggregate, context).await?;
        let opened = opened.ok_or_else(|| refused(&ExportScheduleError::not_found()))?;
        Ok((ran, opened))
    }

    /// Whether the next run rests on the standing approval. One that does not hold any more is ended.
    async fn what_it_rests_on(
        &self,
        id: &str,
        schedule: &ExportSchedule,
        context: &CommandContext,
    ) -> Result<RestsOn, Problem> {
        let is_over = self.end_standing_that_is_over(id, schedule, context).await?;
        Ok(if schedule.standing().is_some() && !is_over { RestsOn::Standing } else { RestsOn::Own })
    }

    /// Looks at the standing approval, and records that it has ended where it does not hold any more. Answers whether that
    /// is so.
    pub async fn end_standing_that_is_over(
        &self,
        id: &str,
        schedule: &ExportSchedule,
        context: &CommandContext,
    ) -> Result<bool, Problem> {
        let Some(standing) = schedule.standing() else { return Ok(false) };
        let Err(why) = self.approvals.standing_holds(schedule).await? else { return Ok(false) };
        tracing::info!(schedule = id, approval = %standing.approval_id, %why, "a standing approval does not hold any more");
        self.end_standing(id, standing.approval_id.clone(), why, context).await?;
        Ok(true)
    }

    async fn end_standing(
        &self,
        id: &str,
        approval_id: ApprovalId,
        why: StandingEnd,
        context: &CommandContext,
    ) -> Result<(), Problem> {
        let command = ExportScheduleCommand::EndStanding { approval_id, why, at: self.approvals.timestamp()? };
        self.try_out(id, command, context).await.map(drop)
    }

    /// Follows the request for a standing approval: uses it up for the schedule once it is approved, and records how it
    /// ended where it was not. Answers whether it is settled.
    pub async fn follow_standing(&self, id: &str, context: &CommandContext) -> Result<bool, Problem> {
        let schedule = self.find(id).await?.aggregate;
        let Some(pending) = schedule.pending() else { return Ok(true) };
        let found = match self.approvals.find(pending.approval_id.as_str()).await {
            Ok(found) => found.aggregate,
            Err(problem) if problem.status() == 404 => {
                let is_late = pending.at.micros().saturating_add(MISSING_AFTER_MICROS) < self.approvals.now();
                if is_late {
                    self.end_standing(id, pending.approval_id.clone(), StandingEnd::Voided, context).await?;
                }
                return Ok(is_late);
            }
            Err(problem) => return Err(problem),
        };
        let why = match found.status() {
            None | Some(ApprovalStatus::Draft | ApprovalStatus::Pending) => return Ok(false),
            Some(ApprovalStatus::Approved | ApprovalStatus::Consumed) => {
                match self.use_up(id, &schedule, pending, context).await? {
                    None => return Ok(true),
                    Some(why) => why,
                }
            }
            Some(_) => how_it_ended(&found),
        };
        self.end_standing(id, pending.approval_id.clone(), why, context).await?;
        Ok(true)
    }

    /// Uses an approval up for the schedule; else says how it has ended.
    async fn use_up(
        &self,
        id: &str,
        schedule: &ExportSchedule,
        pending: &StandingRequested,
        context: &CommandContext,
    ) -> Result<Option<StandingEnd>, Problem> {
        let digest = schedule.action(pending.until).map_err(|error| unusable(&error))?.digest();
        let context = CommandContext { correlation_id: Some(id.to_owned()), ..following(context) };
        let grant = match self.approvals.redeem(&pending.approval_id, &digest, id, &context).await {
            Ok(grant) => grant,
            Err(RedeemError::Unavailable(problem)) => return Err(problem),
            Err(RedeemError::Ended(_) | RedeemError::Refused(_)) => {
                let found = self.approvals.find(pending.approval_id.as_str()).await?.aggregate;
                return Ok(Some(how_it_ended(&found)));
            }
        };
        let approved = StandingApproved {
            approval_id: grant.approval_id().clone(),
            execution_id: grant.execution_id().clone(),
            policy_version: grant.policy_version(),
            approved_by: grant.approvers().to_vec(),
            until: pending.until,
            at: self.approvals.timestamp()?,
        };
        let accepted = self.try_out(id, ExportScheduleCommand::ApproveStanding(approved), &context).await?;
        // Refused: it was changed, ended or asked for anew meanwhile, or the time until which it was to be is over.
        Ok(accepted.is_none().then_some(StandingEnd::Expired))
    }
}

/// What became of a time that is due where the request for its approval, or that of the last run, was refused.
fn held_up(problem: Problem) -> Result<DueRun, Problem> {
    HeldUp::of(&problem).map(DueRun::HeldUp).ok_or(problem)
}

/// Whether others still decide on a request.
fn is_undecided(approval: &Outcome<Approval>) -> bool {
    matches!(approval.aggregate.status(), None | Some(ApprovalStatus::Draft | ApprovalStatus::Pending))
}

/// How a request ended that is not to be used any more.
fn how_it_ended(approval: &Approval) -> StandingEnd {
    match (approval.status(), approval.voided()) {
        (Some(ApprovalStatus::Rejected), _) => StandingEnd::Rejected,
        (Some(ApprovalStatus::Expired), _) => StandingEnd::Expired,
        (Some(ApprovalStatus::Withdrawn), _) => StandingEnd::Withdrawn,
        (_, Some(VoidReason::PolicyChanged)) => StandingEnd::PolicyChanged,
        (_, Some(VoidReason::RequesterNotAllowed)) => StandingEnd::RequesterNotAllowed,
        _ => StandingEnd::Voided,
    }
}

/// What was recorded cannot be used: a fault of the program.
fn unusable(error: &InvalidField) -> Problem {
    Problem::internal(error)
}
