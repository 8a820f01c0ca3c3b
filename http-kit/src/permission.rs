//! Permissions as types: a handler that names one in its signature cannot be reached without it.
//!
//! The first 25 and their holders are the predecessors', with the auditor added to those that read; the rows below them
//! cover what the predecessors left open. How a handler asks for one is [`crate::allowed`]'s business.

use crate::role::Role;

/// Something a role may do.
pub trait Permission: 'static {
    /// Its name, `thing:verb`. Names are kept for ever.
    const NAME: &'static str;
    /// The built-in roles that hold it. The operator holds all and is not listed; the owner holds what the
    /// administrator holds and is only listed where he alone does.
    const HOLDERS: &'static [Role];
    /// Its place in [`MATRIX`].
    const INDEX: usize;
}

/// One row of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermissionRow {
    /// Its name.
    pub name: &'static str,
    /// Who holds it besides the operator.
    pub holders: &'static [Role],
}

impl PermissionRow {
    /// True where `role` holds it.
    pub const fn held_by(&self, role: Role) -> bool {
        role.is_among(self.holders)
    }
}

const O: Role = Role::Owner;
const A: Role = Role::Admin;
const C: Role = Role::Compliance;
const N: Role = Role::Analyst;
const V: Role = Role::Viewer;
const U: Role = Role::Auditor;

macro_rules! permissions {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, [$($holder:ident),*];)+) => {
        /// Numbers the permissions in the order of this file.
        #[derive(Clone, Copy)]
        enum Place { $($kind),+ }

        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $kind;

            impl Permission for $kind {
                const NAME: &'static str = $name;
                const HOLDERS: &'static [Role] = &[$($holder),*];
                const INDEX: usize = Place::$kind as usize;
            }
        )+

        /// Every permission, in the order of this file.
        pub const MATRIX: &[PermissionRow] = &[$(PermissionRow { name: $name, holders: &[$($holder),*] }),+];
    };
}

permissions! {
    /// Create people.
    UserCreate = "user:create", [A];
    /// Change people.
    UserUpdate = "user:update", [A];
    /// Deactivate people.
    UserDelete = "user:delete", [A];
    /// Give roles.
    UserRoleAssign = "user:role_assign", [A];
    /// See people.
    UserList = "user:list", [A, C, U];
    /// See compliance logs.
    ComplianceRead = "compliance:read", [A, C, N, V, U];
    /// Resolve compliance logs.
    ComplianceResolve = "compliance:resolve", [A, C];
    /// Export compliance logs.
    ComplianceExport = "compliance:export", [A, C, U];
    /// See agents' actions.
    AgentRead = "agent:read", [A, C, N, U];
    /// Approve agents' actions.
    AgentApprove = "agent:approve", [A, C];
    /// Reject agents' actions.
    AgentReject = "agent:reject", [A, C];
    /// Have agents triage.
    AgentTriage = "agent:triage", [A, C];
    /// See models.
    ModelRead = "model:read", [A, C, N, V, U];
    /// Check models for drift.
    ModelDriftCheck = "model:drift_check", [A, C];
    /// Train models anew.
    ModelRetrain = "model:retrain", [A];
    /// Configure models.
    ModelConfig = "model:config", [A];
    /// See transactions.
    TransactionRead = "transaction:read", [A, C, N, V, U];
    /// Record transactions.
    TransactionCreate = "transaction:create", [A];
    /// See anomalies.
    AnomalyRead = "anomaly:read", [A, C, N, U];
    /// Train anomaly detection.
    AnomalyTrain = "anomaly:train", [A];
    /// See the system's metrics.
    SystemMetricsRead = "system:metrics_read", [A, C, N, V, U];
    /// Configure the system.
    SystemConfig = "system:config", [A];
    /// See the audit trail.
    AuditRead = "audit:read", [A, C, N, U];
    /// See explanations.
    ExplainRead = "explain:read", [A, C, N, U];
    /// Explain many at once.
    ExplainBatch = "explain:batch", [A, C];
    /// Change the status of transactions, correct them, note on them.
    TransactionUpdate = "transaction:update", [A, C];
    /// See incidents.
    IncidentRead = "incident:read", [A, C, N, V, U];
    /// Open incidents and work on them.
    IncidentWrite = "incident:write", [A, C, N];
    /// See the ledger's entries with their payloads.
    LedgerRead = "ledger:read", [A, C, N, U];
    /// See the ledger's head, checkpoints and proofs: hashes, no content.
    LedgerVerify = "ledger:verify", [A, C, N, V, U];
    /// Have a checkpoint signed now.
    LedgerSeal = "ledger:seal", [A];
    /// See figures over everything.
    StatsRead = "stats:read", [A, C, N, V, U];
    /// See how far the projectors are.
    ProjectionRead = "projection:read", [A, C, N, U];
    /// Rebuild a read model.
    ProjectionRebuild = "projection:rebuild", [A];
    /// See the organisation and its settings.
    OrganizationRead = "organization:read", [A, C, N, V, U];
    /// Change the organisation's name and settings.
    OrganizationUpdate = "organization:update", [A];
    /// Make an organisation. The operator's alone.
    OrganizationCreate = "organization:create", [];
    /// Hand the organisation on to another owner.
    OrganizationTransfer = "organization:transfer", [O];
    /// See departments.
    DepartmentRead = "department:read", [A, C, N, V, U];
    /// Make, change and close departments.
    DepartmentManage = "department:manage", [A];
    /// See roles and what they permit.
    RoleRead = "role:read", [A, C, N, V, U];
    /// Make, change and retire roles.
    RoleManage = "admin.role:manage", [A];
    /// Make, rotate and revoke API keys.
    ApiKeyManage = "admin.api_key:manage", [A];
    /// See and end the sessions of others.
    SessionManage = "session:manage", [A];
    /// See legal holds.
    HoldRead = "hold:read", [A, C, U];
    /// Place, extend and release legal holds.
    HoldManage = "hold:manage", [A, C];
    /// See erasures.
    ErasureRead = "erasure:read", [A, C, U];
    /// Ask for an erasure.
    ErasureRequest = "erasure:request", [A, C];
    /// Decide on an erasure that somebody else asked for.
    ErasureApprove = "erasure:approve", [A, C];
    /// See e-mail addresses of others.
    UserReadContact = "user:read_contact", [A, C, U];
    /// See requests for approval, their votes and their history.
    ApprovalRead = "approval:read", [A, C, N, U];
    /// Ask for an approval.
    ApprovalRequest = "approval:request", [A, C, N];
    /// Vote on requests of others, where the policy names the voter. Holding it decides nothing by itself.
    ApprovalDecide = "approval:decide", [A, C, N];
    /// Act before the votes are in, where the policy allows it; what was done is reviewed afterwards.
    ApprovalBreakGlass = "approval:break_glass", [A];
    /// See who has to agree to what.
    ApprovalPolicyRead = "approval_policy:read", [A, C, N, U];
    /// Ask for a change of who has to agree to what.
    ApprovalPolicyManage = "approval_policy:manage", [A];
    /// Give and end delegations of others. One's own need no permission.
    DelegationManage = "delegation:manage", [A];
    /// See exports and fetch their files.
    ExportRead = "export:read", [A, C, U];
    /// Ask for an export. What is in it takes the permission to read that.
    ExportRequest = "export:request", [A, C, N, U];
    /// Cancel, deliver again and verify exports.
    ExportManage = "export:manage", [A, C];
    /// See how long records are kept.
    RetentionRead = "retention:read", [A, C, U];
    /// Ask that records be kept for longer.
    RetentionManage = "retention:manage", [A, C];
}

/// The names of the permissions that `role` holds.
pub fn held_by(role: Role) -> impl Iterator<Item = &'static str> {
    MATRIX.iter().filter(move |row| row.held_by(role)).map(|row| row.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predecessors_matrix_keeps_its_counts() {
        let count = |role| MATRIX.iter().take(25).filter(|row| row.held_by(role)).count();
        assert_eq!(
            (count(Role::Admin), count(Role::Compliance), count(Role::Analyst), count(Role::Viewer)),
            (25, 16, 8, 4)
        );
        assert_eq!(count(Role::Owner), 25);
    }

    #[test]
    fn names_are_unique_and_operator_holds_all() {
        let mut names: Vec<_> = held_by(Role::Operator).collect();
        assert_eq!(names.len(), MATRIX.len());
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), MATRIX.len());
    }

    #[test]
    fn permission_knows_its_place() {
        assert_eq!(MATRIX.get(UserCreate::INDEX).map(|row| row.name), Some(UserCreate::NAME));
        assert_eq!(MATRIX.get(UserReadContact::INDEX).map(|row| row.name), Some(UserReadContact::NAME));
        assert_eq!(MATRIX.get(ExportManage::INDEX).map(|row| row.name), Some(ExportManage::NAME));
    }

    #[test]
    fn organisations_are_made_by_the_operator_alone() {
        let holders: Vec<_> = MATRIX.iter().filter(|row| row.holders.is_empty()).map(|row| row.name).collect();
        assert_eq!(holders, [OrganizationCreate::NAME]);
    }

    #[test]
    fn viewer_sees_no_payloads_and_changes_nothing() {
        let held: Vec<_> = held_by(Role::Viewer).collect();
        assert!(!held.contains(&"ledger:read"));
        assert!(held.iter().all(|name| name.ends_with("read") || name.ends_with("verify")), "{held:?}");
    }
}
