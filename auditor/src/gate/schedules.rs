//! Exports that rest on the standing approval of a schedule: one approval, used up once for the schedule, and any number of
//! runs until its time is over.
//!
//! Each such export must be the one that a recorded run makes, of the schedule as it was agreed to, before the end of the
//! approval. The schedule's entries say all of that; what is approved is compared by its parameters, as ever.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::effects::{Effect, export_parameters, judge};
use super::payloads::{
    ExportApproved, ExportRequested, Moment, RestsOn, ScheduleCreated, ScheduleRun, ScheduledExport, ScheduledRun,
    StandingApproved, StandingEnded, StandingRequested,
};
use super::people::SETTLING;
use super::told::Context;
use super::{Gate, Read, context, parsed};
use crate::cell::Fields;
use crate::report::FindingKind;

impl Gate {
    pub(super) fn export_schedule(&mut self, fields: &Fields<'_>, payload: &[u8]) -> Read {
        let (id, recorded_at) = (fields.stream_id, fields.recorded_at);
        if fields.event_type == "export_schedule.created" {
            let event = parsed(payload)?;
            if self.room() {
                self.schedules.insert(id.to_owned(), Schedule::created(id, event));
            }
            return Ok(());
        }
        let has_room = fields.event_type != "export_schedule.run" || self.room();
        let Some(schedule) = self.schedules.get_mut(id).filter(|_| has_room) else {
            return if self.left_out > 0 { Ok(()) } else { Err("nobody made this schedule before".to_owned()) };
        };
        let context = &mut context(fields, &self.people, &self.policies, &mut self.told);
        match fields.event_type {
            "export_schedule.changed" => schedule.changed(parsed::<ScheduleCreated>(payload)?.export, recorded_at),
            "export_schedule.ended" => schedule.ended(recorded_at),
            "export_schedule.standing_requested" => schedule.standing_requested(parsed(payload)?),
            "export_schedule.standing_ended" => schedule.standing_ended(&parsed(payload)?, recorded_at),
            "export_schedule.run" => schedule.run(parsed(payload)?, context),
            "export_schedule.standing_approved" => {
                let event: StandingApproved = parsed(payload)?;
                let (digest, parameters) = schedule.agreed(&event);
                let effect = Effect {
                    what: format!("the standing approval of the schedule {id}"),
                    approval_id: &event.approval_id,
                    execution_id: &event.execution_id,
                    action: &schedule.action(),
                    resource_id: id,
                    digest: digest.as_deref(),
                    policy_version: Some(event.policy_version),
                    parameters,
                };
                judge(&effect, &mut self.trails, self.left_out > 0, context);
                schedule.standing_approved(event, recorded_at)?;
            }
            "export_schedule.paused" | "export_schedule.resumed" => {}
            _ => self.unknown += 1,
        }
        Ok(())
    }

    /// Judges an export that was let through by a standing approval.
    pub(super) fn run_of_schedule(
        &mut self,
        fields: &Fields<'_>,
        request: &ExportRequested,
        scheduled: &ScheduledRun,
        event: &ExportApproved,
    ) {
        let export_id = fields.stream_id;
        let context = &mut context(fields, &self.people, &self.policies, &mut self.told);
        context.told.counts.gated_actions += 1;
        match self.schedules.get_mut(&scheduled.schedule_id) {
            // Its run may be one of those that were left out.
            Some(schedule) if self.left_out > 0 && !schedule.runs.contains_key(export_id) => {}
            Some(schedule) => {
                let used = self.trails.get(&event.approval_id).and_then(|trail| trail.used.as_ref());
                if used.is_some_and(|used| used.is_taken_back) {
                    let detail =
                        format!("the export {export_id} rests on {}, whose use had been taken back", event.approval_id);
                    context.fault(FindingKind::ActionWithoutApproval, detail);
                }
                schedule.judge(export_id, request, scheduled, event, context);
            }
            None if self.left_out == 0 => {
                let detail = format!("the export {export_id} rests on a schedule that nobody made before");
                context.fault(FindingKind::ActionWithoutApproval, detail);
            }
            None => {}
        }
    }
}

/// How many standing approvals still carry what was under way when others took their place.
const MAX_REPLACED: usize = 10;

/// A standing approval.
#[derive(Debug)]
struct Standing {
    until: Moment,
    policy_version: u64,
    /// What exactly was agreed to.
    export: Arc<ScheduledExport>,
    /// When an entry was recorded that ended it.
    ended_at: Option<u64>,
}

/// A run under a standing approval, whose export was not let through yet.
#[derive(Debug)]
struct Run {
    recorded: ScheduleRun,
    export: Arc<ScheduledExport>,
    /// Whether another standing approval had taken the place of its own before it was recorded.
    is_replaced: bool,
}

/// One schedule, followed from entry to entry.
#[derive(Debug)]
pub(super) struct Schedule {
    id: String,
    export: Arc<ScheduledExport>,
    pending: Option<StandingRequested>,
    standings: HashMap<String, Standing>,
    /// The standing approval in force.
    in_force: Option<String>,
    /// Those that another took the place of and that have not ended otherwise, the newest last: they carry the runs that were
    /// recorded under them.
    replaced: VecDeque<String>,
    /// The number of the last run.
    last_run: u64,
    /// Runs by the ids of their exports.
    runs: HashMap<String, Run>,
}

impl Schedule {
    pub(super) fn created(id: &str, event: ScheduleCreated) -> Self {
        Self {
            id: id.to_owned(),
            export: Arc::new(event.export),
            pending: None,
            standings: HashMap::new(),
            in_force: None,
            replaced: VecDeque::new(),
            last_run: 0,
            runs: HashMap::new(),
        }
    }

    pub(super) fn changed(&mut self, export: ScheduledExport, recorded_at: u64) {
        self.export = Arc::new(export);
        self.ended(recorded_at);
    }

    /// Nothing that was agreed to holds any more.
    pub(super) fn ended(&mut self, recorded_at: u64) {
        self.pending = None;
        self.end_standings(recorded_at);
    }

    fn end_standings(&mut self, recorded_at: u64) {
        self.in_force = None;
        self.replaced.clear();
        for standing in self.standings.values_mut() {
            standing.ended_at.get_or_insert(recorded_at);
        }
    }

    pub(super) fn standing_requested(&mut self, event: StandingRequested) {
        self.pending = Some(event);
    }

    /// The digest under which it was asked for, and the parameters that the approved action must have.
    pub(super) fn agreed(&self, event: &StandingApproved) -> (Option<String>, BTreeMap<String, String>) {
        let pending = self.pending.as_ref().filter(|pending| pending.approval_id == event.approval_id);
        let ScheduledExport { kind, format, filters, columns, deliver_to, cron, time_zone, period } = &*self.export;
        let fixed = [
            ("kind", kind.clone()),
            ("format", format.clone()),
            ("columns", columns.join(",")),
            ("deliver_to", deliver_to.join(",")),
            ("cron", cron.clone()),
            ("time_zone", time_zone.clone()),
            ("period", period.clone()),
            ("until", event.until.clone()),
            ("run_now", "true".to_owned()),
        ];
        let filters = filters.iter().map(|(name, value)| (format!("filter.{name}"), value.clone()));
        let parameters = fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(filters).collect();
        (pending.map(|pending| pending.digest.clone()), parameters)
    }

    /// The type of the action that is approved.
    pub(super) fn action(&self) -> String {
        format!("export.{}", self.export.kind)
    }

    /// In the place of the one before, which carries what is under way to its end.
    pub(super) fn standing_approved(&mut self, event: StandingApproved, recorded_at: u64) -> Result<(), String> {
        let until = Moment::parse(&event.until)?;
        self.pending = None;
        self.replaced.extend(self.in_force.replace(event.approval_id.clone()));
        if self.replaced.len() > MAX_REPLACED
            && let Some(standing) = self.replaced.pop_front().and_then(|id| self.standings.get_mut(&id))
        {
            standing.ended_at.get_or_insert(recorded_at);
        }
        let export = Arc::clone(&self.export);
        let standing = Standing { until, policy_version: event.policy_version, export, ended_at: None };
        self.standings.insert(event.approval_id, standing);
        Ok(())
    }

    pub(super) fn standing_ended(&mut self, event: &StandingEnded, recorded_at: u64) {
        self.pending.take_if(|pending| pending.approval_id == event.approval_id);
        // The end of the one in force ends those that it took the place of.
        if self.standings.contains_key(&event.approval_id) {
            self.end_standings(recorded_at);
        }
    }

    /// One run after the other, each with an export of its own.
    pub(super) fn run(&mut self, event: ScheduleRun, context: &mut Context<'_>) {
        let is_known = self.runs.contains_key(&event.export_id);
        if is_known || event.run != self.last_run.saturating_add(1) {
            let detail = format!(
                "run {} of the schedule {}, which makes the export {}, comes after its run {}",
                event.run, self.id, event.export_id, self.last_run
            );
            context.fault(FindingKind::ApprovalReused, detail);
        }
        self.last_run = self.last_run.max(event.run);
        // One with an approval of its own is judged by that.
        if !is_known && event.rests_on == RestsOn::Standing {
            let export = Arc::clone(&self.export);
            let is_replaced = self.replaced.contains(&event.approval_id);
            self.runs.insert(event.export_id.clone(), Run { recorded: event, export, is_replaced });
        }
    }

    /// Judges an export that was let through by the standing approval. Each run lets one through.
    pub(super) fn judge(
        &mut self,
        export_id: &str,
        request: &ExportRequested,
        scheduled: &ScheduledRun,
        event: &ExportApproved,
        context: &mut Context<'_>,
    ) {
        let (id, approval) = (self.id.as_str(), event.approval_id.as_str());
        let Some(run) = self.runs.remove(export_id) else {
            let detail = format!("the export {export_id} says that it is a run of {id}, which has none that makes it");
            return context.fault(FindingKind::ActionWithoutApproval, detail);
        };
        if run.recorded.run != scheduled.run || run.recorded.approval_id != approval {
            let detail = format!(
                "the export {export_id} says that it is run {} of {id} under {approval}, and was recorded as run {} under {}",
                scheduled.run, run.recorded.run, run.recorded.approval_id
            );
            context.fault(FindingKind::ApprovalExecutionMismatch, detail);
        }
        let Some(standing) = self.standings.get(approval) else {
            let detail = format!("the export {export_id} rests on {approval}, which the schedule {id} never had");
            return context.fault(FindingKind::ActionWithoutApproval, detail);
        };
        if event.at >= standing.until {
            let detail = format!("the export {export_id} rests on {approval}, whose time was over");
            context.fault(FindingKind::ApprovalExpired, detail);
        }
        // Whoever let it through may not have seen what was recorded a moment before.
        let has_ended = standing.ended_at.is_some_and(|ended| ended.saturating_add(SETTLING) <= context.recorded_at);
        if has_ended || run.is_replaced {
            let detail = format!("the export {export_id} rests on {approval}, which the schedule {id} had no more");
            context.fault(FindingKind::ActionWithoutApproval, detail);
        }
        let is_what_was_agreed = *standing.export == *run.export && run.makes(request);
        if !is_what_was_agreed {
            let detail = format!("the export {export_id} is not what the schedule {id} makes under {approval}");
            context.fault(FindingKind::ApprovalDigestMismatch, detail);
        }
        let later = context.policies.later_than(&self.action(), standing.policy_version, context.recorded_at);
        if event.policy_version != standing.policy_version || later.is_some() {
            let detail = format!(
                "the export {export_id} was let through under version {} of the policy; {approval} was given under {}, and {}",
                event.policy_version,
                standing.policy_version,
                later.map_or_else(|| "that still held".to_owned(), |later| format!("version {later} held"))
            );
            context.fault(FindingKind::ApprovalPolicyMismatch, detail);
        }
    }
}

impl Run {
    /// Whether the export is the run's: what the schedule says, over the run's period and nothing else.
    fn makes(&self, request: &ExportRequested) -> bool {
        let ScheduledExport { kind, format, columns, deliver_to, filters, .. } = &*self.export;
        let mut expected = ExportRequested {
            kind: kind.clone(),
            format: format.clone(),
            filters: filters.clone(),
            columns: columns.clone(),
            approval_id: String::new(),
            deliver_to: deliver_to.clone(),
            collect: false,
            digest: String::new(),
            schedule: None,
        };
        if let (Some(from), Some(to)) = (self.recorded.from, self.recorded.to) {
            // Ends are included: the period ends a microsecond before the next begins.
            let ends = [("start", from.0), ("end", to.0.saturating_sub(1))];
            for (name, micros) in ends {
                let stated = request.filters.get(name).map(|text| Moment::parse(text));
                if stated != Some(Ok(Moment(micros))) {
                    return false;
                }
                let text = request.filters.get(name).cloned().unwrap_or_default();
                expected.filters.insert(name.to_owned(), text);
            }
        }
        export_parameters(&expected) == export_parameters(request)
    }
}
