//! Standing approvals: one decision for all runs of a schedule of exports, until a time.
//!
//! Such an approval is used up once, by [`Approvals::redeem`] for the schedule itself. That lets nothing out by itself: each
//! export of a run has to come here for its grant, and gets one only while everything still holds that it rests on. The
//! schedule is the one that was agreed to and has that approval now, or had it when the run was recorded and another has
//! taken its place since; its time is not over, the run was recorded with this export, the export is exactly the one that
//! the run makes, the policy has the version that was fulfilled, its owner may still have it done, and nobody who voted has
//! turned out to be somebody else.

use daybook_domain::approval::{Action, Approval, ApprovalCommand, ApprovalError, ApprovalStatus, Requester};
use daybook_domain::export::{Requested, RestsOn};
use daybook_domain::export_schedule::{ExportSchedule, StandingApproved, StandingEnd};
use daybook_domain::text::Line;
use daybook_http_kit::Problem;
use daybook_identity::directory::DirectoryState;
use daybook_ledger::commands::{CommandContext, Outcome};

use super::{Grant, RedeemError};
use crate::problems::{invalid, refusal, refused};
use crate::requests::{may_have_another, policy_of};
use crate::service::{Approvals, following};

/// What a standing approval is worth now: why not, where it is worth nothing.
type Worth = Result<(), (StandingEnd, ApprovalError)>;

impl Approvals {
    /// The right to make the export of a run that rests on the standing approval of its schedule. The approval stays what it
    /// is: it is asked for again by the next run, and before each attempt to make the file.
    pub async fn redeem_standing(&self, request: &Requested, context: &CommandContext) -> Result<Grant, RedeemError> {
        let scheduled = request.schedule.as_ref().filter(|scheduled| scheduled.rests_on == RestsOn::Standing);
        let Some(scheduled) = scheduled else { return Err(RedeemError::Refused(ApprovalError::DigestMismatch)) };
        let state = self.state().await?;
        let schedule = self.schedule(scheduled.schedule_id.as_str()).await?;
        let approval = self.standing_approval(request.approval_id.as_str()).await?;
        let action = match exactly(&schedule, request) {
            Ok(action) => action,
            Err(why) => {
                tracing::warn!(export = %request.export_id, schedule = %scheduled.schedule_id, actor = %context.actor.id,
                    %why, "an export does not rest on the standing approval that it names");
                return Err(RedeemError::Refused(why));
            }
        };
        // The run was recorded under it: one that was renewed since carries what is under way to its end.
        let standing = schedule.standing_of(&request.approval_id);
        let standing = standing.ok_or(RedeemError::Refused(not_in_force(&approval.aggregate)))?;
        self.worth(&state, &schedule, standing, &approval.aggregate)?.map_err(|(_, why)| RedeemError::Ended(why))?;
        let approved = &approval.aggregate;
        Ok(Grant {
            approval_id: request.approval_id.clone(),
            execution_id: Line::parse("/export_id", request.export_id.as_str()).map_err(invalid)?,
            digest: action.digest(),
            policy_version: approved.policy().map_or(0, |policy| policy.version),
            approvers: approved.approvers().iter().map(|vote| vote.actor.clone()).collect(),
            // No emergency gives a standing approval.
            broken_by: None,
            receipt: approval.receipt,
            is_resumed: true,
        })
    }

    /// Whether the standing approval of a schedule is worth anything now; else how it ended. A schedule without one has none
    /// that was revoked.
    pub async fn standing_holds(&self, schedule: &ExportSchedule) -> Result<Result<(), StandingEnd>, Problem> {
        let state = self.state().await?;
        let Some(standing) = schedule.standing() else { return Ok(Err(StandingEnd::Revoked)) };
        let approval = self.find(standing.approval_id.as_str()).await?.aggregate;
        Ok(self.worth(&state, schedule, standing, &approval)?.map_err(|(end, _)| end))
    }

    /// Whether the owner of a schedule may still do what it does.
    pub async fn owner_may(&self, schedule: &ExportSchedule) -> Result<bool, Problem> {
        let state = self.state().await?;
        Ok(self.facts(&state).owner_may(schedule, &owner(schedule)?))
    }

    /// Whether the owner of a schedule may have another request for approval open.
    pub(crate) async fn owner_may_ask(&self, schedule: &ExportSchedule) -> Result<(), Problem> {
        let state = self.state().await?;
        may_have_another(&state, state.person_of(owner(schedule)?.actor.as_str()))
    }

    /// Opens the request for approval of a run that rests on no standing one, in the name of the schedule's owner and under
    /// the id that the export names. One that is there already is answered as it is.
    pub async fn open_for_schedule(
        &self,
        schedule: &ExportSchedule,
        request: &Requested,
        context: &CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let is_own = request.schedule.as_ref().is_some_and(|scheduled| scheduled.rests_on == RestsOn::Own);
        if !is_own {
            return Err(refused(&ApprovalError::DigestMismatch));
        }
        let id = request.approval_id.as_str();
        if let Some(found) = self.0.approvals.load(id).await.map_err(refusal)? {
            return Ok(found);
        }
        let state = self.state().await?;
        let requester = owner(schedule)?;
        if !self.facts(&state).owner_may(schedule, &requester) {
            return Err(refused(&ApprovalError::RequesterNotAllowed));
        }
        may_have_another(&state, state.person_of(requester.actor.as_str()))?;
        let action = exactly(schedule, request).map_err(|why| refused(&why))?;
        let command = ApprovalCommand::Request {
            approval_id: request.approval_id.clone(),
            requester,
            policy: policy_of(&state, &action)?,
            action: Box::new(action),
            reason: request.reason.clone(),
            submit: true,
            at: self.timestamp()?,
        };
        self.carry_out(id, command, following(context)).await
    }

    async fn schedule(&self, id: &str) -> Result<ExportSchedule, RedeemError> {
        let found = self.0.schedules.load(id).await.map_err(refusal)?;
        found.map(|found| found.aggregate).ok_or_else(|| RedeemError::Refused(ApprovalError::NotFound))
    }

    async fn standing_approval(&self, id: &str) -> Result<Outcome<Approval>, RedeemError> {
        let found = self.0.approvals.load(id).await.map_err(refusal)?;
        found.ok_or_else(|| RedeemError::Refused(ApprovalError::NotFound))
    }

    /// Everything that a standing approval rests on, at this moment.
    fn worth(
        &self,
        state: &DirectoryState,
        schedule: &ExportSchedule,
        standing: &StandingApproved,
        approval: &Approval,
    ) -> Result<Worth, Problem> {
        let ended = |end, why| Ok(Err((end, why)));
        match approval.status() {
            Some(ApprovalStatus::Consumed) => {}
            _ => return ended(StandingEnd::Voided, not_in_force(approval)),
        }
        let agreed = schedule.action(standing.until).map_err(invalid)?.digest();
        let is_owners = approval.requester().is_some_and(|asked| Some(&asked.actor) == schedule.created_by());
        let used_for_this = is_owners
            && approval.consumed().is_some_and(|consumed| {
                let id = schedule.id().map(|id| id.as_str());
                Some(consumed.execution_id.as_str()) == id && consumed.digest == agreed
            });
        if !used_for_this {
            return ended(StandingEnd::Voided, ApprovalError::DigestMismatch);
        }
        if self.timestamp()? >= standing.until {
            return ended(StandingEnd::Expired, ApprovalError::GrantExpired);
        }
        let (current, allowed) = self.basis(state, approval, None)?;
        let approved = approval.policy().map_or(0, |policy| policy.version);
        if current != approved {
            return ended(StandingEnd::PolicyChanged, ApprovalError::PolicyChanged { approved, current });
        }
        if !allowed || !self.facts(state).owner_may(schedule, &owner(schedule)?) {
            return ended(StandingEnd::RequesterNotAllowed, ApprovalError::RequesterNotAllowed);
        }
        Ok(Ok(()))
    }
}

/// What the schedule runs at the moment is the export that is asked for, to the letter; else it is refused.
fn exactly(schedule: &ExportSchedule, request: &Requested) -> Result<Action, ApprovalError> {
    let mismatch = |_| ApprovalError::DigestMismatch;
    let run = schedule.run_of(&request.export_id).ok_or(ApprovalError::DigestMismatch)?;
    let made = schedule.requested_of(run).map_err(mismatch)?;
    let action = request.action().map_err(mismatch)?;
    let is_same = made.schedule == request.schedule
        && made.approval_id == request.approval_id
        && made.requested_by == request.requested_by
        && made.person == request.person
        && made.action().map_err(mismatch)?.digest() == action.digest();
    if is_same { Ok(action) } else { Err(ApprovalError::DigestMismatch) }
}

/// The refusal of an approval that no schedule has now.
fn not_in_force(approval: &Approval) -> ApprovalError {
    match approval.status() {
        Some(ApprovalStatus::Consumed) | None => ApprovalError::GrantExpired,
        Some(status) => ApprovalError::NotApproved { status },
    }
}

/// In whose name a schedule runs.
pub(crate) fn owner(schedule: &ExportSchedule) -> Result<Requester, Problem> {
    let not_found = || refused(&ApprovalError::NotFound);
    Ok(Requester {
        actor: schedule.created_by().ok_or_else(not_found)?.clone(),
        person: schedule.person().ok_or_else(not_found)?.clone(),
        required_permissions: schedule.required_permissions().to_vec(),
    })
}
