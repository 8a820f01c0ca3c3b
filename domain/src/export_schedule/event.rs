//! What happened to a schedule, as it is stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::words::{Period, RunCause, StandingEnd};
use crate::approval::{ActionDigest, RequiredPermission};
use crate::export::{ExportFormat, ExportKind, RestsOn};
use crate::names::{ApprovalId, DestinationName, ExportId, ScheduleId};
use crate::stream::events;
use crate::text::{ActorId, Line, Reason, ShortName};
use crate::time::Timestamp;

events! {
    /// An event of a schedule of exports.
    ExportScheduleEvent {
        /// It came into being.
        Created(Box<Created>) = "export_schedule.created",
        /// It exports something else, elsewhere or at other times. That ends the standing approval.
        Changed(Box<Changed>) = "export_schedule.changed",
        /// It makes no exports for now.
        Paused(Paused) = "export_schedule.paused",
        /// It makes exports again.
        Resumed(Resumed) = "export_schedule.resumed",
        /// It makes no exports any more.
        Ended(Ended) = "export_schedule.ended",
        /// Somebody asked that its runs be agreed to once and for all, for a time.
        StandingRequested(StandingRequested) = "export_schedule.standing_requested",
        /// Its runs are agreed to, for a time.
        StandingApproved(StandingApproved) = "export_schedule.standing_approved",
        /// They are not any more, or will not be.
        StandingEnded(StandingEnded) = "export_schedule.standing_ended",
        /// An export is to be made.
        Run(Run) = "export_schedule.run",
    }
}

/// What is exported, where to and when: what is agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledExport {
    /// What.
    pub kind: ExportKind,
    /// In which form.
    pub format: ExportFormat,
    /// Which of it: names and values of the filters, as they were understood. Without `start` and `end` unless the period is
    /// `none`: those are the period's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub filters: BTreeMap<String, String>,
    /// Which columns, in this order. Empty: all that this kind has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Where it goes, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliver_to: Vec<DestinationName>,
    /// When: a cron expression of five fields.
    pub cron: Line,
    /// In which time zone of the IANA database.
    pub time_zone: ShortName,
    /// Which period each run covers.
    pub period: Period,
}

/// Payload of `export_schedule.created`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Its id.
    pub schedule_id: ScheduleId,
    /// What people call it.
    pub name: Line,
    /// What it exports.
    pub export: ScheduledExport,
    /// What its owner must be allowed whenever it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_permissions: Vec<RequiredPermission>,
    /// The account that it belongs to, in whose name it runs.
    pub created_by: ActorId,
    /// The person who answers for that account.
    pub person: ActorId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When.
    pub at: Timestamp,
}

/// Payload of `export_schedule.changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The number of the change; it came into being as 1.
    pub revision: u64,
    /// What it exports now.
    pub export: ScheduledExport,
    /// What its owner must be allowed whenever it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_permissions: Vec<RequiredPermission>,
    /// Who changed it.
    pub by: ActorId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The request for a standing approval that was pending: nobody wants it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displaces: Option<ApprovalId>,
    /// When.
    pub at: Timestamp,
}

/// Payload of `export_schedule.paused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Who paused it.
    pub by: ActorId,
    /// Why.
    pub reason: Reason,
    /// Whether that is somebody else than its owner: the owner cannot resume it then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub binds: bool,
    /// When.
    pub at: Timestamp,
}

/// Payload of `export_schedule.resumed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// Who had it go on.
    pub by: ActorId,
    /// When.
    pub at: Timestamp,
}

/// Payload of `export_schedule.ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Who ended it.
    pub by: ActorId,
    /// Why.
    pub reason: Reason,
    /// The request for a standing approval that was pending: nobody wants it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displaces: Option<ApprovalId>,
    /// When.
    pub at: Timestamp,
}

/// Payload of `export_schedule.standing_requested`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingRequested {
    /// The approval that decides.
    pub approval_id: ApprovalId,
    /// Until when runs are to be agreed to.
    pub until: Timestamp,
    /// The digest of exactly what is approved.
    pub digest: ActionDigest,
    /// Who asked.
    pub by: ActorId,
    /// The request that was pending before: nobody wants it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displaces: Option<ApprovalId>,
    /// When.
    pub at: Timestamp,
}

/// Payload of `export_schedule.standing_approved`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingApproved {
    /// The approval that was used up.
    pub approval_id: ApprovalId,
    /// For which execution: the id of the schedule.
    pub execution_id: Line,
    /// The version of the policy it was decided under.
    pub policy_version: u64,
    /// Who agreed. Empty where the policy asks nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<ActorId>,
    /// From when it does not hold any more.
    pub until: Timestamp,
    /// When.
    pub at: Timestamp,
}

/// Payload of `export_schedule.standing_ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingEnded {
    /// The approval that ended.
    pub approval_id: ApprovalId,
    /// How.
    pub why: StandingEnd,
    /// When.
    pub at: Timestamp,
}

/// Payload of `export_schedule.run`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its number, counted from 1.
    pub run: u64,
    /// The revision of the schedule that it is of.
    pub revision: u64,
    /// Why there is one.
    pub cause: RunCause,
    /// The time that it was due at, or was asked for at.
    pub scheduled_for: Timestamp,
    /// How many times before that it was due and not run, counted to [`MAX_MISSED`](super::MAX_MISSED): this run is for them
    /// as well.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missed: u64,
    /// From when on it covers what happened; only where the schedule has periods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// To when, itself not included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// The export that is made.
    pub export_id: ExportId,
    /// The approval that decides on it.
    pub approval_id: ApprovalId,
    /// Which sort of approval that is.
    pub rests_on: RestsOn,
    /// Who asked for it, where somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ActorId>,
    /// When.
    pub at: Timestamp,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
