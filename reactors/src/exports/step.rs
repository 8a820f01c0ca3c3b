//! The next step of one export, decided from the export itself and done.
//!
//! Every step ends with an entry in the ledger, or can be repeated: whoever comes after a crash finds in the export how far
//! it has come and does the next step, perhaps once more.

use std::time::Duration;

use daybook_approvals::{Grant, RedeemError};
use daybook_domain::approval::ApprovalStatus;
use daybook_domain::export::{
    Approved, Export, ExportCommand, ExportError, ExportStatus, GenerationFailed, GenerationStarted, RejectionCause,
    Requested, RestsOn,
};
use daybook_domain::text::Line;
use daybook_domain::{InvalidField, Timestamp};
use daybook_ledger::commands::{CommandContext, CommandError, Outcome};
use daybook_ledger::{Actor, StoreError, StreamKey};

use super::agenda::Phase;
use super::{Driver, pacing};
use crate::lease::Fence;

/// Who drives exports, in the ledger.
pub(super) const ACTOR: &str = "exports";
/// How often a command is decided again after a lost race.
const TRIES: u32 = 5;
/// Interruptions after which an export is given up: they say nothing against it, but one that ends the process each time must
/// not do so for ever.
const MAX_INTERRUPTIONS: u64 = 100;
/// Interruptions after which there is a pause before the next attempt.
const UNPAUSED_INTERRUPTIONS: u64 = 10;
/// How long after it was asked for an export waits for an approval that is not there. Whoever asks opens it at the same time.
const MISSING_AFTER: Duration = Duration::from_secs(10 * 60);
/// What is said of an attempt that nobody ended.
const INTERRUPTED: &str = "it was interrupted: the process that made it ended, or lost its lease";

/// What becomes of an export that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// There is more to do at once.
    Again,
    /// Its file is to be made.
    Make,
    /// It is to be brought to where it is wanted.
    Deliver,
    /// There is something to do at this time, in microseconds.
    At(i64),
    /// It waits for what becomes of an approval.
    ApprovalOf {
        /// Which.
        approval: String,
        /// When it is looked at in any case, in microseconds.
        due: Option<i64>,
    },
    /// There is nothing left to do but to remove its file one day.
    Kept {
        /// When it is looked at, in microseconds; when a hold is released, where there is none.
        until: Option<i64>,
    },
    /// There is nothing left to do.
    Nothing,
}

/// Why a step could not be done. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    /// The export's commands failed.
    #[error(transparent)]
    Export(#[from] CommandError<ExportError>),
    /// The approval cannot be asked.
    #[error("its approval cannot be used: {0}")]
    Approval(String),
    /// What was recorded cannot be used.
    #[error("what was recorded of it cannot be used: {0}")]
    Recorded(#[from] InvalidField),
    /// The ledger cannot be read.
    #[error("the ledger cannot be read: {0}")]
    Ledger(#[from] StoreError),
    /// The clock says something that is no time.
    #[error("the clock is not in the years 1900 to 9999")]
    Clock,
    /// Files cannot be put in order.
    #[error("the folder of exports: {0}")]
    Files(String),
    /// It cannot be said whether a file must be kept.
    #[error("whether its file must be kept: {0}")]
    Custody(String),
    /// The lease has ended; whoever has it now goes on.
    #[error("the lease has ended")]
    LeaseEnded,
    /// Somebody with a later lease is at it.
    #[error("it is made under a later lease than this process has")]
    Overtaken,
}

impl Driver {
    /// Looks at the export and does what is to be done next. What belongs to another phase is only named.
    pub(super) async fn step(&self, id: &str, fence: &Fence, phase: Phase) -> Result<Next, StepError> {
        if !fence.is_held() {
            return Err(StepError::LeaseEnded);
        }
        let Some(Outcome { aggregate: export, .. }) = self.exports.load(id).await? else { return Ok(Next::Nothing) };
        let (Some(request), Some(status)) = (export.request(), export.status()) else { return Ok(Next::Nothing) };
        match status {
            ExportStatus::Requested => self.follow_approval(request).await,
            ExportStatus::Approved | ExportStatus::Generating => self.make(&export, request, fence, phase).await,
            ExportStatus::Generated => match self.deliver(&export, request, fence, phase).await? {
                Next::Nothing => self.remove_when_due(&export, request, fence).await,
                next => Ok(next),
            },
            ExportStatus::Failed | ExportStatus::Rejected | ExportStatus::Cancelled | ExportStatus::Removed => {
                // What an attempt may have left that was given up while it was under way, and a file that was removed.
                self.remove_files(&export, request).await?;
                Ok(Next::Nothing)
            }
        }
    }

    /// What the decision on the approval means for the export.
    async fn follow_approval(&self, request: &Requested) -> Result<Next, StepError> {
        let waits = |due| Ok(Next::ApprovalOf { approval: request.approval_id.to_string(), due });
        let loaded = self.approvals.find(request.approval_id.as_str()).await;
        let status = match loaded {
            Ok(outcome) => outcome.aggregate.status(),
            Err(problem) if problem.status() == 404 => None,
            Err(problem) => return Err(StepError::Approval(problem.to_string())),
        };
        let why = match status {
            None => {
                let patience = pacing::micros(MISSING_AFTER);
                // Whoever drives schedules opens that of a run, however long nobody was there to do so.
                if request.schedule.is_some() {
                    return waits(Some((self.clock)().saturating_add(patience)));
                }
                let due = self.requested_at(request).await?.saturating_add(patience);
                if due > (self.clock)() {
                    return waits(Some(due));
                }
                RejectionCause::Missing
            }
            Some(ApprovalStatus::Draft | ApprovalStatus::Pending) => return waits(None),
            Some(ApprovalStatus::Approved | ApprovalStatus::Consumed) => match self.redeem(request).await? {
                Ok(grant) => return self.approve(request, &grant).await,
                Err(RedeemError::Unavailable(problem)) => return Err(StepError::Approval(problem.to_string())),
                Err(RedeemError::Ended(why) | RedeemError::Refused(why)) => self.ended_as(request, &why).await?,
            },
            Some(ApprovalStatus::Rejected) => RejectionCause::Rejected,
            Some(ApprovalStatus::Withdrawn) => RejectionCause::Withdrawn,
            Some(ApprovalStatus::Expired) => RejectionCause::Expired,
            Some(ApprovalStatus::Voided) => RejectionCause::Voided,
        };
        self.reject(request, why).await
    }

    /// Records that it may not be made.
    async fn reject(&self, request: &Requested, why: RejectionCause) -> Result<Next, StepError> {
        let command = ExportCommand::Reject { approval_id: request.approval_id.clone(), why };
        match self.record(request, command).await {
            // Over already: cancelled, perhaps.
            Ok(_) | Err(CommandError::Refused(_)) => Ok(Next::Again),
            Err(error) => Err(error.into()),
        }
    }

    /// The approval was refused when it was to be used; what it is now says why.
    async fn ended_as(
        &self,
        request: &Requested,
        why: &daybook_domain::approval::ApprovalError,
    ) -> Result<RejectionCause, StepError> {
        tracing::warn!(export = %request.export_id, approval = %request.approval_id, %why, "an approval does not hold any more");
        let now = self.approvals.find(request.approval_id.as_str()).await;
        let now = now.map_err(|problem| StepError::Approval(problem.to_string()))?;
        match now.aggregate.status() {
            Some(ApprovalStatus::Expired) => Ok(RejectionCause::Expired),
            Some(ApprovalStatus::Withdrawn) => Ok(RejectionCause::Withdrawn),
            Some(ApprovalStatus::Rejected) => Ok(RejectionCause::Rejected),
            // Revised since it was looked at: it is decided anew.
            Some(ApprovalStatus::Draft | ApprovalStatus::Pending) => {
                Err(StepError::Approval("it was opened again while it was to be used".to_owned()))
            }
            // Used up for something else, or approved for something else: never for this.
            _ => Ok(RejectionCause::Voided),
        }
    }

    /// The right to make exactly this, from the one place that hands it out; again after a crash.
    async fn redeem(&self, request: &Requested) -> Result<Result<Grant, RedeemError>, StepError> {
        if request.schedule.as_ref().is_some_and(|run| run.rests_on == RestsOn::Standing) {
            return Ok(self.approvals.redeem_standing(request, &context(request)).await);
        }
        let digest = request.action()?.digest();
        let execution = request.export_id.as_str();
        Ok(self.approvals.redeem(&request.approval_id, &digest, execution, &context(request)).await)
    }

    async fn approve(&self, request: &Requested, grant: &Grant) -> Result<Next, StepError> {
        let approved = Approved {
            approval_id: grant.approval_id().clone(),
            execution_id: grant.execution_id().clone(),
            policy_version: grant.policy_version(),
            approved_by: grant.approvers().to_vec(),
            broken_glass_by: grant.broken_by().cloned(),
            at: self.now()?,
        };
        self.record(request, ExportCommand::Approve(approved)).await?;
        Ok(Next::Again)
    }

    /// Begins the attempt that is due, and sees it to its end.
    async fn make(&self, export: &Export, request: &Requested, fence: &Fence, phase: Phase) -> Result<Next, StepError> {
        if let Some(next) = self.before_attempt(export, request, fence).await? {
            return Ok(next);
        }
        if phase != Phase::Make {
            return Ok(Next::Make);
        }
        // All organisations of this process share a few: each takes a processor and a snapshot of the database.
        let Some(_place) = self.database.snapshot_place().await else { return Err(StepError::LeaseEnded) };
        // What was agreed to is looked at again before each attempt, however long ago it was let through.
        let grant = match self.redeem(request).await? {
            Ok(grant) => grant,
            Err(RedeemError::Unavailable(problem)) => return Err(StepError::Approval(problem.to_string())),
            Err(RedeemError::Ended(why) | RedeemError::Refused(why)) => {
                let why = self.ended_as(request, &why).await?;
                return self.reject(request, why).await;
            }
        };
        if !fence.is_held() {
            return Err(StepError::LeaseEnded);
        }
        let started = GenerationStarted {
            attempt: export.attempt().map_or(0, |last| last.attempt).saturating_add(1),
            fence: fence.token(),
            at: self.now()?,
        };
        let begun = self.record(request, ExportCommand::StartGeneration(started.clone())).await;
        let begun = match begun {
            // It was cancelled, or somebody else has begun: it has to be looked at again.
            Err(CommandError::Refused(_)) => return Ok(Next::Again),
            begun => begun?,
        };
        // Only now is it certain that nobody has recorded one of them.
        self.tidy(request, 1..started.attempt).await?;
        let own = started.attempt..started.attempt.saturating_add(1);
        let generated = self.generate(grant, export, request, &started, begun.receipt.position + 1).await;
        if !fence.is_held() {
            self.tidy(request, own).await?;
            return Err(StepError::LeaseEnded);
        }
        match generated {
            Ok(generated) => {
                let rows = generated.rows;
                let command = ExportCommand::RecordGenerated { fence: started.fence, generated: Box::new(generated) };
                match self.record(request, command).await {
                    Ok(_) => {
                        self.status.send_modify(|status| status.generated += 1);
                        tracing::info!(export = %request.export_id, rows, "an export is there");
                    }
                    // Overtaken or cancelled: the file is not the export's, and never will be.
                    Err(CommandError::Refused(why)) => {
                        tracing::warn!(export = %request.export_id, %why, "a file was made in vain");
                        self.tidy(request, own).await?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => {
                self.status.send_modify(|status| status.generation_failures += 1);
                let attempt = started.attempt;
                tracing::error!(export = %request.export_id, attempt, %error, "an export could not be made");
                let is_final = error.is_permanent()
                    || export.failures().saturating_add(1) >= u64::from(self.settings.generation.attempts);
                self.fail(request, &started, &error.to_string(), is_final, false).await?;
            }
        }
        Ok(Next::Again)
    }

    /// What comes before the next attempt: the end of one that nobody ended, or a pause. `None` where it is due.
    async fn before_attempt(
        &self,
        export: &Export,
        request: &Requested,
        fence: &Fence,
    ) -> Result<Option<Next>, StepError> {
        let Some(last) = export.attempt() else { return Ok(None) };
        if last.fence > fence.token() {
            return Err(StepError::Overtaken);
        }
        let Some(failure) = export.last_failure().filter(|failure| failure.attempt == last.attempt) else {
            // Nobody else may be at it: this process has the lease.
            let is_final = export.interruptions().saturating_add(1) >= MAX_INTERRUPTIONS;
            self.fail(request, last, INTERRUPTED, is_final, true).await?;
            return Ok(Some(Next::Again));
        };
        let pause = match failure.is_interruption {
            false => self.settings.generation.pause_micros(export.failures()),
            true => match export.interruptions().saturating_sub(UNPAUSED_INTERRUPTIONS) {
                0 => 0,
                number => self.settings.generation.pause_micros(number),
            },
        };
        let due = failure.at.micros().saturating_add(pause);
        Ok((due > (self.clock)()).then_some(Next::At(due)))
    }

    /// Records that an attempt came to nothing.
    async fn fail(
        &self,
        request: &Requested,
        attempt: &GenerationStarted,
        why: &str,
        is_final: bool,
        is_interruption: bool,
    ) -> Result<(), StepError> {
        let (attempt, fence, why) = (attempt.attempt, attempt.fence, Line::lenient(why));
        let failed = GenerationFailed { attempt, why, is_final, is_interruption, at: self.now()? };
        match self.record(request, ExportCommand::RecordGenerationFailed { fence, failed }).await {
            // Refused: cancelled meanwhile, or begun anew by another process. There is nothing to say of this attempt.
            Ok(_) | Err(CommandError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// When it was asked for, in microseconds; 0 where the ledger does not say.
    pub(super) async fn requested_at(&self, request: &Requested) -> Result<i64, StoreError> {
        let stream = StreamKey::new("export", request.export_id.as_str())
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let requested = self.reader.stream(&stream, 1, 1).await?.into_iter().next();
        Ok(requested.map_or(0, |entry| entry.recorded_at))
    }

    /// Carries out a command to the export.
    pub(super) async fn record(
        &self,
        request: &Requested,
        command: ExportCommand,
    ) -> Result<Outcome<Export>, CommandError<ExportError>> {
        self.exports.execute_with_retry(request.export_id.as_str(), command, context(request), TRIES).await
    }

    pub(super) fn now(&self) -> Result<Timestamp, StepError> {
        Timestamp::from_micros((self.clock)()).ok_or(StepError::Clock)
    }
}

/// What entries of the driver say of themselves.
fn context(request: &Requested) -> CommandContext {
    CommandContext { correlation_id: Some(request.export_id.to_string()), ..CommandContext::new(Actor::system(ACTOR)) }
}
