//! What the directory knows of approvals: the rules in force, who stands in for whom, the requests that are open, the
//! exports that wait for whoever asked to come back for them, and the schedules of exports.

use daybook_domain::approval::{ActionType, Approval};
use daybook_domain::approval_policy::Rule;
use daybook_domain::export::Requested;
use daybook_domain::export_schedule::ExportSchedule;
use serde::{Deserialize, Serialize};

use super::records::Place;

/// The policy that an organisation gave itself for an action type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// For which actions.
    pub action: ActionType,
    /// Its version. It counts up for ever, whether the policy is defined anew or retired.
    pub version: u64,
    /// The rules, the first that fits counts. `None` where the policy was retired: what is built in holds again.
    pub rules: Option<Vec<Rule>>,
    /// The approval of the last change.
    pub approval_id: Option<String>,
    /// Where it stands in the ledger.
    pub place: Place,
}

/// A delegation: somebody votes in the place of somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegationRecord {
    /// `dlg_…`.
    pub delegation_id: String,
    /// The person who is stood in for.
    pub from: String,
    /// The person who stands in.
    pub to: String,
    /// From when.
    pub starts_at: i64,
    /// From when no longer, as it was given.
    pub ends_at: i64,
    /// When whoever stands in agreed to. Before that it has no effect.
    pub accepted_at: Option<i64>,
    /// When it was ended before its time.
    pub ended_at: Option<i64>,
    /// For which actions; for all where there are none.
    pub actions: Vec<ActionType>,
    /// Why.
    pub reason: Option<String>,
    /// Who gave it.
    pub given_by: String,
    /// Where it stands in the ledger.
    pub place: Place,
}

impl DelegationRecord {
    /// From when it does not hold any more, whether its time is over or it was ended.
    pub fn over_at(&self) -> i64 {
        self.ended_at.map_or(self.ends_at, |ended_at| ended_at.min(self.ends_at))
    }

    /// From when it holds: not before it was accepted. `None` where it was not.
    pub fn in_force_from(&self) -> Option<i64> {
        self.accepted_at.map(|accepted_at| accepted_at.max(self.starts_at))
    }

    /// Whether it holds at `now`.
    pub fn is_in_force(&self, now: i64) -> bool {
        self.in_force_from().is_some_and(|from| (from..self.over_at()).contains(&now))
    }

    /// Whether it held at any moment from `since` up to `now`, both included.
    pub fn held_since(&self, since: i64, now: i64) -> bool {
        let over_at = self.over_at();
        self.in_force_from().is_some_and(|from| from <= now && over_at > since && from < over_at)
    }

    /// Whether it is about actions of this type.
    pub fn covers(&self, action: &ActionType) -> bool {
        self.actions.is_empty() || self.actions.contains(action)
    }
}

/// A request for approval that is open. What is over is not kept here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalRecord {
    /// `apr_…`.
    pub approval_id: String,
    /// The request, as its events make it.
    pub approval: Approval,
    /// Where it stands in the ledger.
    pub place: Place,
}

/// An export whose file is handed out when the same request is made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportToCollect {
    /// What exactly was asked for, and by whom.
    pub request: Requested,
    /// Whether the file is there.
    pub is_generated: bool,
    /// Where it stands in the ledger.
    pub place: Place,
}

/// Schedules that have ended of which the directory knows: those that ended last.
pub const MAX_ENDED_SCHEDULES: usize = 1_000;

/// A schedule of exports. Of one that has ended only the last run is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRecord {
    /// The schedule, as its events make it.
    pub schedule: ExportSchedule,
    /// Where it stands in the ledger.
    pub place: Place,
}
