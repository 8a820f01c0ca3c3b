//! What is known of a schedule that came into being.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::MAX_RECENT_RUNS;
use super::event::{
    Created, ExportScheduleEvent, Paused, Run, ScheduledExport, StandingApproved, StandingEnded, StandingRequested,
};
use super::words::{RunCause, ScheduleStatus};
use crate::approval::RequiredPermission;
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
    pub(super) last_standing_ended: Option<StandingEnded>,
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
            last_standing_ended: None,
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
                self.reference = event.at.max(self.reference);
                // What was agreed to, or was to be, was something else.
                (self.pending, self.standing) = (None, None);
            }
            ExportScheduleEvent::Paused(event) => {
                self.status = ScheduleStatus::Paused;
                self.paused = Some(event);
            }
            ExportScheduleEvent::Resumed(event) => {
                self.status = ScheduleStatus::Active;
                self.reference = event.at.max(self.reference);
                self.paused = None;
            }
            ExportScheduleEvent::Ended(_) => {
                self.status = ScheduleStatus::Ended;
                (self.pending, self.standing) = (None, None);
            }
            ExportScheduleEvent::StandingRequested(event) => self.pending = Some(event),
            ExportScheduleEvent::StandingApproved(event) => {
                self.pending = None;
                self.standing = Some(event);
            }
            ExportScheduleEvent::StandingEnded(event) => {
                self.pending.take_if(|pending| pending.approval_id == event.approval_id);
                self.standing.take_if(|standing| standing.approval_id == event.approval_id);
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
}
