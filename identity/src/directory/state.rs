//! The directory's state: what an organisation's identity streams come to, entry after entry.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use daybook_ledger::Entry;
use serde::{Deserialize, Serialize};

use super::access::AccessCache;
use super::approval_records::{ApprovalRecord, DelegationRecord, ExportToCollect, PolicyRecord, ScheduleRecord};
use super::gifts::Gifts;
use super::records::{
    ApiKeyRecord, DepartmentRecord, ErasureRecord, ErasureStatus, HoldCover, HoldRecord, OrganizationRecord,
    PermissionRecord, Records, RetentionRuleRecord, RoleRecord, UserRecord, UserStatus,
};

/// How long a session that ended is remembered: an access token's life, and as much as clocks may disagree.
pub const ENDED_SESSION_MEMORY_MICROS: i64 = (15 + 5) * 60 * 1_000_000;

/// An entry of a stream of the directory's that this program does not understand. While a state has one about people,
/// nobody but the operator is let in: the entry may have taken rights away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotUnderstood {
    /// Where it stands.
    pub position: u64,
    /// Its stream's type.
    pub stream_type: String,
    /// Its type.
    pub event_type: String,
    /// Its schema version.
    pub schema_version: u64,
    /// What is wrong with it; nothing of its content.
    pub why: String,
}

/// Who is who in an organisation, and what they may do. Cloning shares everything that is not changed afterwards.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct DirectoryState {
    /// How many entries of the ledger are folded in: the position of the next one.
    pub position: u64,
    /// The organisation.
    pub organization: Arc<OrganizationRecord>,
    /// People by id.
    pub users: Records<UserRecord>,
    /// Custom roles by name. The built-in ones are code.
    pub roles: Records<RoleRecord>,
    /// The organisation's own permissions by name.
    pub permissions: Records<PermissionRecord>,
    /// Departments by id, closed ones included.
    pub departments: Records<DepartmentRecord>,
    /// API keys by id, revoked ones included.
    pub api_keys: Records<ApiKeyRecord>,
    /// Legal holds by id, released ones included.
    pub holds: Records<HoldRecord>,
    /// Erasures by id.
    pub erasures: Records<ErasureRecord>,
    /// How long records are kept, by their type.
    pub retention_rules: Records<RetentionRuleRecord>,
    /// The approval policies that the organisation gave itself, by action type; retired ones included.
    pub policies: Records<PolicyRecord>,
    /// Delegations by id, those that are over included.
    pub delegations: Records<DelegationRecord>,
    /// Requests for approval that are open, by id.
    pub approvals: Records<ApprovalRecord>,
    /// Exports that are handed out when the same request is made again, by id.
    pub exports_to_collect: Records<ExportToCollect>,
    /// Schedules of exports by id, and those that ended last.
    pub export_schedules: Records<ScheduleRecord>,
    /// The first entry about people and what they may do that was not understood.
    pub not_understood: Option<NotUnderstood>,
    /// The first entry about approvals, their policies, delegations, exports or retention that was not understood: nothing is
    /// approved or taken away while there is one, and people are let in as ever.
    pub approvals_not_understood: Option<NotUnderstood>,
    /// What was done of late by which people came to the seats that they have.
    pub(super) gifts: Gifts,
    /// From an account to the one that stands for both, where they were declared to be the same person's.
    pub(super) same_persons: Records<str>,
    /// When sessions ended that tokens may still name.
    pub(super) ended_sessions: Arc<BTreeMap<Arc<str>, i64>>,
    /// Position of the last entry that changed what roles and departments are.
    pub(super) structure_position: u64,
    /// Position of the last entry that changed anything here.
    pub(super) changed_position: u64,
    /// Who answers for the operator's token. Shared by the states that follow one another; a setting, not a fact.
    #[serde(skip)]
    pub(super) operator_person: Arc<OnceLock<Box<str>>>,
    #[serde(skip)]
    pub(super) cache: Arc<AccessCache>,
}

impl DirectoryState {
    /// Takes the ledger's next entry in. Says whether it changed anything but the position. Entries must come in order.
    pub fn fold(&mut self, entry: &Entry) -> bool {
        self.position = entry.position + 1;
        let changed = super::fold::fold(self, entry);
        if changed {
            self.changed_position = entry.position;
        }
        changed
    }

    /// Position of the last entry that changed anything here but the position.
    pub fn changed_position(&self) -> u64 {
        self.changed_position
    }

    /// Whether a session has ended. Sessions that ended longer ago than a token lives are forgotten.
    pub fn session_ended(&self, session_id: &str) -> bool {
        self.ended_sessions.contains_key(session_id)
    }

    /// Forgets sessions that ended before any token that is still good at `now` (microseconds) was issued.
    pub fn forget_ended_sessions(&mut self, now: i64) {
        let oldest = now.saturating_sub(ENDED_SESSION_MEMORY_MICROS);
        if self.ended_sessions.values().any(|ended_at| *ended_at < oldest) {
            Arc::make_mut(&mut self.ended_sessions).retain(|_, ended_at| *ended_at >= oldest);
        }
    }

    /// The active people who hold `owner` everywhere at `now`. The last of them can be neither revoked nor deactivated.
    pub fn owners(&self, now: i64) -> Vec<String> {
        let is_owner = |user: &UserRecord| {
            let mut grants = user.grants.iter();
            user.status == UserStatus::Active
                && grants.any(|grant| grant.role == "owner" && grant.department_id.is_none() && grant.is_current(now))
        };
        self.users.values().filter(|user| is_owner(user)).map(|user| user.user_id.clone()).collect()
    }

    /// The holds that are in force and cover a person as such.
    pub fn holds_on_subject(&self, subject: &str) -> Vec<Arc<HoldRecord>> {
        self.holds_that_cover(|cover| matches!(cover, HoldCover::Subject { id } if id == subject))
    }

    /// The holds that are in force and cover a stream.
    pub fn holds_on_stream(&self, stream_type: &str, stream_id: &str) -> Vec<Arc<HoldRecord>> {
        self.holds_that_cover(|cover| {
            matches!(cover, HoldCover::Stream { stream_type: kind, stream_id: id }
                if kind == stream_type && id == stream_id)
        })
    }

    fn holds_that_cover(&self, covers: impl Fn(&HoldCover) -> bool) -> Vec<Arc<HoldRecord>> {
        let in_force = self.holds.values().filter(|hold| hold.released_at.is_none());
        in_force.filter(|hold| hold.covers.iter().any(&covers)).cloned().collect()
    }

    /// Whether a subject's key was destroyed.
    pub fn is_erased(&self, subject: &str) -> bool {
        let performed = |erasure: &ErasureRecord| erasure.status == ErasureStatus::Performed;
        self.erasures.values().any(|erasure| erasure.subject == subject && performed(erasure))
    }
}

impl std::fmt::Debug for DirectoryState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("DirectoryState")
            .field("position", &self.position)
            .field("users", &self.users.len())
            .field("roles", &self.roles.len())
            .field("departments", &self.departments.len())
            .field("api_keys", &self.api_keys.len())
            .field("not_understood", &self.not_understood)
            .finish_non_exhaustive()
    }
}
