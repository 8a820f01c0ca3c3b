//! What is known of a schedule that came into being.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::event::{
    Created, ExportScheduleEvent, Paused, Run, ScheduledExport, StandingApproved, StandingEnded, StandingRequested,
};
use super::words::{Period, RunCause, ScheduleStatus, StandingEnd};
use super::{MAX_RECENT_RUNS, MAX_REPLACED};
use crate::approval::RequiredPermission;
use crate::names::ApprovalId;
use crate::text::Reason;
use crate::time::Timestamp;

/// A schedule that came into being.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) created: Created,
    /// What it exports now.
    pub(super) export: ScheduledExport,
    pub(super) required_permissions: Vec<RequiredPermission>,
    pub(super) reason: Option<Reason>,
    pub(super) revision: u64,
    pub(super) status: ScheduleStatus,
    /// What is due counts after this.
    pub(super) reference: Timestamp,
    /// To when a run has covered what happened.
    pub(super) covered_to: Option<Timestamp>,
    /// The newest runs, the last one last.
    pub(super) runs: VecDeque<Run>,
    /// What the last run exports, where the schedule was changed after it.
    pub(super) export_of_last_run: Option<Box<ScheduledExport>>,
    pub(super) pending: Option<StandingRequested>,
    pub(super) standing: Option<StandingApproved>,
    /// Those that another took the place of, the newest last.
    pub(super) replaced: VecDeque<StandingApproved>,
    pub(super) last_standing_ended: Option<StandingEnded>,
    /// The request for a standing approval that was given up last.
    #[serde(default)]
    pub(super) displaced: Option<ApprovalId>,
    pub(super) paused: Option<Paused>,
}

impl State {
    pub(super) fn new(created: Created) -> Self {
        Self {
            export: created.export.clone(),
            required_permissions: created.required_permissions.clone(),
            reason: created.reason.clone(),
            revision: 1,
            status: ScheduleStatus::Active,
            reference: created.at,
            covered_to: None,
            runs: VecDeque::new(),
            export_of_last_run: None,
            pending: None,
            standing: None,
            replaced: VecDeque::new(),
            last_standing_ended: None,
            displaced: None,
            paused: None,
            created,
        }
    }

    pub(super) fn fold(&mut self, event: ExportScheduleEvent) {
        match event {
            ExportScheduleEvent::Created(_) => {}
            ExportScheduleEvent::Changed(event) => {
                let before = std::mem::replace(&mut self.export, event.export);
                if !self.runs.is_empty() {
                    self.export_of_last_run.get_or_insert_with(|| Box::new(before));
                }
                self.required_permissions = event.required_permissions;
                self.reason = event.reason.or(self.reason.take());
                self.revision = event.revision;
                self.begin_anew(event.at);
                self.displaced = event.displaces.or(self.displaced.take());
                // What was agreed to, or was to be, was something else.
                self.pending = None;
                self.end_all_standing();
            }
            ExportScheduleEvent::Paused(event) => {
                self.status = ScheduleStatus::Paused;
                self.paused = Some(event);
            }
            ExportScheduleEvent::Resumed(event) => {
                self.status = ScheduleStatus::Active;
                self.begin_anew(event.at);
                self.paused = None;
            }
            ExportScheduleEvent::Ended(event) => {
                self.displaced = event.displaces.or(self.displaced.take());
                self.status = ScheduleStatus::Ended;
                self.pending = None;
                self.end_all_standing();
            }
            ExportScheduleEvent::StandingRequested(event) => {
                self.displaced = event.displaces.clone().or(self.displaced.take());
                self.pending = Some(event);
            }
            ExportScheduleEvent::StandingApproved(event) => {
                self.pending = None;
                self.replaced.extend(self.standing.replace(event));
                if self.replaced.len() > MAX_REPLACED {
                    self.replaced.pop_front();
                }
            }
            ExportScheduleEvent::StandingEnded(event) => {
                let pending = self.pending.take_if(|pending| pending.approval_id == event.approval_id);
                if let Some(given_up) = pending.filter(|_| event.why == StandingEnd::Withdrawn) {
                    self.displaced = Some(given_up.approval_id);
                }
                if self.standing.as_ref().is_some_and(|standing| standing.approval_id == event.approval_id) {
                    self.end_all_standing();
                }
                self.last_standing_ended = Some(event);
            }
            ExportScheduleEvent::Run(event) => {
                if event.cause == RunCause::Due {
                    self.reference = event.scheduled_for.max(self.reference);
                }
                self.covered_to = self.covered_to.max(event.to);
                self.export_of_last_run = None;
                self.runs.push_back(event);
                if self.runs.len() > MAX_RECENT_RUNS {
                    self.runs.pop_front();
                }
            }
        }
    }

    /// The number of the last run; 0 where there is none.
    pub(super) fn last_run(&self) -> u64 {
        self.runs.back().map_or(0, |last| last.run)
    }

    /// Nothing is due that comes before this, whatever the clock says.
    pub(super) fn counts_from(&self) -> Timestamp {
        match self.export.period {
            Period::SincePrevious => self.covered_to.map_or(self.reference, |to| to.max(self.reference)),
            _ => self.reference,
        }
    }

    /// What is due counts from `at` on, also where a clock was ahead before: somebody has looked at it now.
    fn begin_anew(&mut self, at: Timestamp) {
        self.reference = at;
        if self.covered_to.unwrap_or(self.created.at) > at {
            self.covered_to = Some(at);
        }
    }

    /// Nothing rests on the standing approval any more, nor on those that it took the place of.
    fn end_all_standing(&mut self) {
        self.standing = None;
        self.replaced.clear();
    }
}
