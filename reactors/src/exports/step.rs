//! The next step of one export, decided from the export itself and done.
//!
//! Every step ends with an entry in the ledger, or can be repeated: whoever comes after a crash finds in the export how far
//! it has come and does the next step, perhaps once more.

use daybook_approvals::{Grant, RedeemError};
use daybook_domain::approval::ApprovalStatus;
use daybook_domain::export::{
    Approved, Export, ExportCommand, ExportError, ExportStatus, GenerationFailed, GenerationStarted, RejectionCause,
    Requested,
};
use daybook_domain::text::Line;
use daybook_domain::{InvalidField, Timestamp};
use daybook_ledger::Actor;
use daybook_ledger::commands::{CommandContext, CommandError, Outcome};

use super::Driver;
use crate::lease::Fence;

/// Who drives exports, in the ledger.
const ACTOR: &str = "exports";
/// How often a command is decided again after a lost race.
const TRIES: u32 = 5;
/// What is said of an attempt that nobody ended.
const INTERRUPTED: &str = "it was interrupted: the process that made it ended, or lost its lease";

/// What becomes of an export that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// There is more to do at once.
    Again,
    /// There is something to do at this time, in microseconds.
    At(i64),
    /// It waits for what becomes of this approval.
    ApprovalOf(String),
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
    /// The clock says something that is no time.
    #[error("the clock is not in the years 1900 to 9999")]
    Clock,
    /// Files cannot be put in order.
    #[error("the folder of exports: {0}")]
    Files(String),
    /// The lease has ended; whoever has it now goes on.
    #[error("the lease has ended")]
    LeaseEnded,
    /// Somebody with a later lease is at it.
    #[error("it is made under a later lease than this process has")]
    Overtaken,
}

impl Driver {
    /// Looks at the export and does what is to be done next.
    pub(super) async fn step(&self, id: &str, fence: &Fence) -> Result<Next, StepError> {
        if !fence.is_held() {
            return Err(StepError::LeaseEnded);
        }
        let Some(Outcome { aggregate: export, .. }) = self.exports.load(id).await? else { return Ok(Next::Nothing) };
        let (Some(request), Some(status)) = (export.request(), export.status()) else { return Ok(Next::Nothing) };
        match status {
            ExportStatus::Requested => self.follow_approval(request).await,
            ExportStatus::Approved | ExportStatus::Generating => self.make(&export, request, fence).await,
            ExportStatus::Generated => self.deliver(&export, request, fence).await,
            ExportStatus::Failed | ExportStatus::Rejected | ExportStatus::Cancelled | ExportStatus::Removed => {
                // What an attempt may have left that was given up while it was under way.
                self.tidy(request, None).await?;
                Ok(Next::Nothing)
            }
        }
    }

    /// What the decision on the approval means for the export.
    async fn follow_approval(&self, request: &Requested) -> Result<Next, StepError> {
        let waits = || Ok(Next::ApprovalOf(request.approval_id.to_string()));
        let loaded = self.approvals.find(request.approval_id.as_str()).await;
        let status = match loaded {
            Ok(outcome) => outcome.aggregate.status(),
            Err(problem) if problem.status() == 404 => None,
            Err(problem) => return Err(StepError::Approval(problem.to_string())),
        };
        let why = match status {
            None | Some(ApprovalStatus::Draft | ApprovalStatus::Pending) => return waits(),
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
        let command = ExportCommand::Reject { approval_id: request.approval_id.clone(), why };
        self.record(request, command).await?;
        Ok(Next::Again)
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
            at: self.now()?,
        };
        self.record(request, ExportCommand::Approve(approved)).await?;
        Ok(Next::Again)
    }

    /// Begins the attempt that is due, and sees it to its end.
    async fn make(&self, export: &Export, request: &Requested, fence: &Fence) -> Result<Next, StepError> {
        let last = export.attempt();
        if last.is_some_and(|last| last.fence > fence.token()) {
            return Err(StepError::Overtaken);
        }
        let failure = export.last_failure().filter(|failure| last.is_some_and(|last| last.attempt == failure.attempt));
        match (last, failure) {
            // Nobody else may be at it: this process has the lease.
            (Some(last), None) => {
                if self.fail(request, last, INTERRUPTED, false).await? == Next::Nothing {
                    return Ok(Next::Again);
                }
            }
            (Some(last), Some(failure)) => {
                let due = failure.at.micros().saturating_add(self.settings.generation.pause_micros(last.attempt));
                if due > (self.clock)() {
                    return Ok(Next::At(due));
                }
            }
            (None, _) => {}
        }
        let started = GenerationStarted {
            attempt: last.map_or(0, |last| last.attempt).saturating_add(1),
            fence: fence.token(),
            at: self.now()?,
        };
        // One at a time: each takes a processor and a snapshot of the database.
        let Ok(_permit) = self.generating.acquire().await else { return Err(StepError::LeaseEnded) };
        let grant = match self.redeem(request).await? {
            Ok(grant) => grant,
            Err(error) => return Err(StepError::Approval(error.to_string())),
        };
        self.tidy(request, None).await?;
        let begun = self.record(request, ExportCommand::StartGeneration(started.clone())).await;
        let begun = match begun {
            // It was cancelled, or somebody else has begun: it has to be looked at again.
            Err(CommandError::Refused(_)) => return Ok(Next::Again),
            begun => begun?,
        };
        let generated = self.generate(grant, export, request, &started, begun.receipt.position + 1).await;
        if !fence.is_held() {
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
                    // Overtaken or cancelled: the file is not the export's, and goes when the export is looked at again.
                    Err(CommandError::Refused(why)) => {
                        tracing::warn!(export = %request.export_id, %why, "a file was made in vain");
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => {
                self.status.send_modify(|status| status.generation_failures += 1);
                let attempt = started.attempt;
                tracing::error!(export = %request.export_id, attempt, %error, "an export could not be made");
                self.fail(request, &started, &error.to_string(), error.is_permanent()).await?;
            }
        }
        Ok(Next::Again)
    }

    /// Records that an attempt came to nothing. `Next::Nothing` where it was the last.
    async fn fail(
        &self,
        request: &Requested,
        attempt: &GenerationStarted,
        why: &str,
        is_permanent: bool,
    ) -> Result<Next, StepError> {
        let is_final = is_permanent || attempt.attempt >= u64::from(self.settings.generation.attempts);
        let failed = GenerationFailed { attempt: attempt.attempt, why: Line::lenient(why), is_final, at: self.now()? };
        let command = ExportCommand::RecordGenerationFailed { fence: attempt.fence, failed };
        match self.record(request, command).await {
            Ok(_) if is_final => Ok(Next::Nothing),
            Ok(_) => Ok(Next::Again),
            // Cancelled meanwhile, or begun anew by another process: there is nothing to say of this attempt.
            Err(CommandError::Refused(_)) => Ok(Next::Nothing),
            Err(error) => Err(error.into()),
        }
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
