//! What a command to a schedule leads to.

use super::calendar::Calendar;
use super::command::{ExportScheduleCommand, ExportScheduleError, MAX_STANDING_DAYS};
use super::event::{
    Changed, Created, Ended, ExportScheduleEvent, Paused, Resumed, Run, ScheduledExport, StandingApproved,
    StandingEnded, StandingRequested,
};
use super::state::State;
use super::words::{Period, RunCause, ScheduleStatus, StandingEnd};
use super::{END, ExportSchedule, START, run_ids};
use crate::approval::{MAX_REQUIRED_PERMISSIONS, RequiredPermission};
use crate::export::{MAX_FILTERS, RestsOn, check_parts, export_action};
use crate::names::{ApprovalId, ScheduleId};
use crate::text::{ActorId, InvalidField, Reason};
use crate::time::Timestamp;

const SECONDS_PER_DAY: u64 = 86_400;

type Decision = Result<Vec<ExportScheduleEvent>, ExportScheduleError>;

impl ExportSchedule {
    /// What the command leads to. No events: it asks for what is already so.
    pub fn decide(&self, command: ExportScheduleCommand) -> Decision {
        match (&self.state, command) {
            (None, ExportScheduleCommand::Create(created)) => {
                check(&created.schedule_id, &created.export, &created.required_permissions, created.at)?;
                Ok(vec![ExportScheduleEvent::Created(created)])
            }
            (None, _) => Err(ExportScheduleError::NotFound),
            (Some(state), ExportScheduleCommand::Create(created)) => {
                let fields = differing_fields(&state.created, &created);
                if fields.is_empty() { Ok(Vec::new()) } else { Err(ExportScheduleError::Exists { fields }) }
            }
            (Some(state), command) => state.decide(command),
        }
    }
}

impl State {
    fn decide(&self, command: ExportScheduleCommand) -> Decision {
        match (command, self.status) {
            (ExportScheduleCommand::End { .. }, ScheduleStatus::Ended) => Ok(Vec::new()),
            (ExportScheduleCommand::End { by, reason, at }, _) => {
                Ok(vec![ExportScheduleEvent::Ended(Ended { by, reason, displaces: self.pending_id(), at })])
            }
            // What was asked for before the end may come to an end after it.
            (ExportScheduleCommand::EndStanding { approval_id, why, at }, _) => self.end_standing(approval_id, why, at),
            (ExportScheduleCommand::EndStandings { at }, _) => self.end_standings(at),
            (_, ScheduleStatus::Ended) => Err(ExportScheduleError::Ended),
            (ExportScheduleCommand::Create(_), _) => Ok(Vec::new()),
            (ExportScheduleCommand::Change { export, required_permissions, revision, by, reason, at }, _) => {
                self.change(*export, required_permissions, revision, by, reason, at)
            }
            (ExportScheduleCommand::Pause { by, binds, reason, at }, _) => Ok(self.pause(by, binds, reason, at)),
            (ExportScheduleCommand::Resume { by, is_owner, at }, _) => self.resume(by, is_owner, at),
            (ExportScheduleCommand::RequestStanding { approval_id, until, by, at }, _) => {
                self.request_standing(approval_id, until, by, at)
            }
            (ExportScheduleCommand::ApproveStanding(approved), _) => self.approve_standing(approved),
            (ExportScheduleCommand::Run { opened, .. }, _) if opened != self.last_run() => {
                Err(ExportScheduleError::RanMeanwhile)
            }
            (ExportScheduleCommand::Run { cause, scheduled_for, rests_on, by, at, .. }, _) => {
                self.run(cause, scheduled_for, rests_on, by, at)
            }
        }
    }

    fn pending_id(&self) -> Option<ApprovalId> {
        self.pending.as_ref().map(|pending| pending.approval_id.clone())
    }

    /// A pause by somebody else takes the place of the owner's, and not the other way round.
    fn pause(&self, by: ActorId, binds: bool, reason: Reason, at: Timestamp) -> Vec<ExportScheduleEvent> {
        let is_paused = self.paused.as_ref().is_some_and(|paused| paused.binds || !binds);
        if is_paused { Vec::new() } else { vec![ExportScheduleEvent::Paused(Paused { by, reason, binds, at })] }
    }

    fn resume(&self, by: ActorId, is_owner: bool, at: Timestamp) -> Decision {
        match &self.paused {
            None => Ok(Vec::new()),
            Some(paused) if paused.binds && is_owner => {
                Err(ExportScheduleError::PausedByOther { by: paused.by.clone() })
            }
            Some(_) => Ok(vec![ExportScheduleEvent::Resumed(Resumed { by, at })]),
        }
    }

    fn change(
        &self,
        export: ScheduledExport,
        required_permissions: Vec<RequiredPermission>,
        made_from: u64,
        by: ActorId,
        reason: Option<Reason>,
        at: Timestamp,
    ) -> Decision {
        if self.export == export && self.required_permissions == required_permissions {
            return Ok(Vec::new());
        }
        if made_from != self.revision {
            return Err(ExportScheduleError::ChangedMeanwhile);
        }
        check(&self.created.schedule_id, &export, &required_permissions, at)?;
        let revision = self.revision.saturating_add(1);
        let displaces = self.pending_id();
        let changed = Changed { revision, export, required_permissions, by, reason, displaces, at };
        Ok(vec![ExportScheduleEvent::Changed(Box::new(changed))])
    }

    fn request_standing(&self, approval_id: ApprovalId, until: Timestamp, by: ActorId, at: Timestamp) -> Decision {
        if self.pending.as_ref().is_some_and(|pending| pending.approval_id == approval_id && pending.until == until) {
            return Ok(Vec::new());
        }
        if until <= at || until > at.plus_seconds(MAX_STANDING_DAYS * SECONDS_PER_DAY) {
            return Err(ExportScheduleError::Until);
        }
        let is_known = [
            self.pending.as_ref().map(|pending| &pending.approval_id),
            self.standing.as_ref().map(|standing| &standing.approval_id),
            self.last_standing_ended.as_ref().map(|ended| &ended.approval_id),
        ]
        .contains(&Some(&approval_id));
        if is_known || self.replaced.iter().any(|before| before.approval_id == approval_id) {
            return Err(ExportScheduleError::OtherApproval);
        }
        let action = super::action::action(&self.created.schedule_id, &self.export, until);
        let digest = action.map_err(|_| ExportScheduleError::TooLong)?.digest();
        let displaces = self.pending_id();
        let requested = StandingRequested { approval_id, until, digest, by, displaces, at };
        Ok(vec![ExportScheduleEvent::StandingRequested(requested)])
    }

    fn approve_standing(&self, approved: StandingApproved) -> Decision {
        if self.standing.as_ref().is_some_and(|standing| standing.approval_id == approved.approval_id) {
            return Ok(Vec::new());
        }
        let pending = self.pending.as_ref().filter(|pending| {
            pending.approval_id == approved.approval_id
                && pending.until == approved.until
                && approved.execution_id.as_str() == self.created.schedule_id.as_str()
        });
        match pending {
            None => Err(ExportScheduleError::OtherApproval),
            Some(pending) if pending.until <= approved.at => Err(ExportScheduleError::Until),
            Some(_) => Ok(vec![ExportScheduleEvent::StandingApproved(approved)]),
        }
    }

    fn end_standings(&self, at: Timestamp) -> Decision {
        let ended = |approval_id: &ApprovalId, why| {
            ExportScheduleEvent::StandingEnded(StandingEnded { approval_id: approval_id.clone(), why, at })
        };
        let pending = self.pending.iter().map(|pending| ended(&pending.approval_id, StandingEnd::Withdrawn));
        let standing = self.standing.iter().map(|standing| ended(&standing.approval_id, StandingEnd::Revoked));
        let events: Vec<_> = pending.chain(standing).collect();
        if events.is_empty() { Err(ExportScheduleError::NoStandingApproval) } else { Ok(events) }
    }

    fn end_standing(&self, approval_id: ApprovalId, why: StandingEnd, at: Timestamp) -> Decision {
        let pending = self.pending.as_ref().is_some_and(|pending| pending.approval_id == approval_id);
        let standing = self.standing.as_ref().is_some_and(|standing| standing.approval_id == approval_id);
        if pending || standing {
            return Ok(vec![ExportScheduleEvent::StandingEnded(StandingEnded { approval_id, why, at })]);
        }
        match &self.last_standing_ended {
            Some(ended) if ended.approval_id == approval_id => Ok(Vec::new()),
            _ => Err(ExportScheduleError::NoStandingApproval),
        }
    }

    /// One run for each time: what is due is due until it was run, and not any more.
    fn run(
        &self,
        cause: RunCause,
        scheduled_for: Option<Timestamp>,
        rests_on: RestsOn,
        by: Option<ActorId>,
        at: Timestamp,
    ) -> Decision {
        let due = self.due(at);
        let found = match cause {
            RunCause::Due => due.filter(|due| Some(due.scheduled_for) == scheduled_for),
            RunCause::Asked if due.is_some() => return Err(ExportScheduleError::RunIsDue),
            RunCause::Asked => Some(self.asked(at)?),
        };
        let found = found.ok_or(ExportScheduleError::NotDue)?;
        let run = self.last_run().saturating_add(1);
        let (export_id, approval_id) = self.ids_of(run, rests_on, at)?;
        Ok(vec![ExportScheduleEvent::Run(Run {
            run,
            revision: self.revision,
            cause,
            scheduled_for: found.scheduled_for,
            missed: found.missed,
            from: found.from,
            to: found.to,
            export_id,
            approval_id,
            rests_on,
            by: by.filter(|_| cause == RunCause::Asked),
            at,
        })])
    }
}

fn check(
    schedule_id: &ScheduleId,
    export: &ScheduledExport,
    required_permissions: &[RequiredPermission],
    at: Timestamp,
) -> Result<(), ExportScheduleError> {
    Calendar::new(export.cron.as_str(), export.time_zone.as_str())?;
    let has_period = export.period != Period::None;
    if has_period && [START, END].iter().any(|name| export.filters.contains_key(*name)) {
        return Err(ExportScheduleError::PeriodFilters);
    }
    if export.filters.len() + if has_period { 2 } else { 0 } > MAX_FILTERS {
        return Err(ExportScheduleError::Filters);
    }
    check_parts(export.kind, export.format, &export.filters, &export.columns, &export.deliver_to)?;
    if required_permissions.len() > MAX_REQUIRED_PERMISSIONS {
        return Err(ExportScheduleError::Permissions);
    }
    can_be_approved(schedule_id, export, at).map_err(|_| ExportScheduleError::TooLong)
}

/// Whether a standing approval can be asked for, and an approval for a run: all runs are as long as each other.
fn can_be_approved(schedule_id: &ScheduleId, export: &ScheduledExport, at: Timestamp) -> Result<(), InvalidField> {
    super::action::action(schedule_id, export, at)?;
    let period = (export.period != Period::None).then_some(at);
    let ScheduledExport { kind, format, columns, deliver_to, .. } = export;
    let (export_id, _) = run_ids(schedule_id, 1)?;
    export_action(&export_id, *kind, *format, &export.filters_of(period, period), columns, deliver_to, false).map(drop)
}

fn differing_fields(before: &Created, created: &Created) -> Vec<&'static str> {
    [
        ("schedule_id", before.schedule_id == created.schedule_id),
        ("name", before.name == created.name),
        ("export", before.export == created.export),
        ("required_permissions", before.required_permissions == created.required_permissions),
        ("created_by", before.created_by == created.created_by),
        ("person", before.person == created.person),
        ("reason", before.reason == created.reason),
    ]
    .into_iter()
    .filter_map(|(field, same)| (!same).then_some(field))
    .collect()
}
