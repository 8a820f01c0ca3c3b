//! Permissions as types: a handler that names one in its signature cannot be reached without it.
//!
//! The first 25 and their holders are the predecessors'; those below them cover what the predecessors left open.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::identity::{Principal, Role};
use crate::problem::Problem;

/// Something a role may do.
pub trait Permission: 'static {
    /// Its name, `thing:verb`.
    const NAME: &'static str;
    /// The roles that hold it. The operator holds all and is not listed.
    const HOLDERS: &'static [Role];
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
    pub fn held_by(&self, role: Role) -> bool {
        role == Role::Operator || self.holders.contains(&role)
    }
}

const A: Role = Role::Admin;
const C: Role = Role::Compliance;
const N: Role = Role::Analyst;
const V: Role = Role::Viewer;

macro_rules! permissions {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, [$($holder:ident),+];)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $kind;

            impl Permission for $kind {
                const NAME: &'static str = $name;
                const HOLDERS: &'static [Role] = &[$($holder),+];
            }
        )+

        /// Every permission, in the order of this file.
        pub const MATRIX: &[PermissionRow] = &[$(PermissionRow { name: $name, holders: &[$($holder),+] }),+];
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
    UserList = "user:list", [A, C];
    /// See compliance logs.
    ComplianceRead = "compliance:read", [A, C, N, V];
    /// Resolve compliance logs.
    ComplianceResolve = "compliance:resolve", [A, C];
    /// Export compliance logs.
    ComplianceExport = "compliance:export", [A, C];
    /// See agents' actions.
    AgentRead = "agent:read", [A, C, N];
    /// Approve agents' actions.
    AgentApprove = "agent:approve", [A, C];
    /// Reject agents' actions.
    AgentReject = "agent:reject", [A, C];
    /// Have agents triage.
    AgentTriage = "agent:triage", [A, C];
    /// See models.
    ModelRead = "model:read", [A, C, N, V];
    /// Check models for drift.
    ModelDriftCheck = "model:drift_check", [A, C];
    /// Train models anew.
    ModelRetrain = "model:retrain", [A];
    /// Configure models.
    ModelConfig = "model:config", [A];
    /// See transactions.
    TransactionRead = "transaction:read", [A, C, N, V];
    /// Record transactions.
    TransactionCreate = "transaction:create", [A];
    /// See anomalies.
    AnomalyRead = "anomaly:read", [A, C, N];
    /// Train anomaly detection.
    AnomalyTrain = "anomaly:train", [A];
    /// See the system's metrics.
    SystemMetricsRead = "system:metrics_read", [A, C, N, V];
    /// Configure the system.
    SystemConfig = "system:config", [A];
    /// See the audit trail.
    AuditRead = "audit:read", [A, C, N];
    /// See explanations.
    ExplainRead = "explain:read", [A, C, N];
    /// Explain many at once.
    ExplainBatch = "explain:batch", [A, C];
    /// Change the status of transactions, correct them, note on them.
    TransactionUpdate = "transaction:update", [A, C];
    /// See incidents.
    IncidentRead = "incident:read", [A, C, N, V];
    /// Open incidents and work on them.
    IncidentWrite = "incident:write", [A, C, N];
    /// See the ledger's entries with their payloads.
    LedgerRead = "ledger:read", [A, C, N];
    /// See the ledger's head, checkpoints and proofs: hashes, no content.
    LedgerVerify = "ledger:verify", [A, C, N, V];
    /// Have a checkpoint signed now.
    LedgerSeal = "ledger:seal", [A];
    /// See figures over everything.
    StatsRead = "stats:read", [A, C, N, V];
    /// See how far the projectors are.
    ProjectionRead = "projection:read", [A, C, N];
    /// Rebuild a read model.
    ProjectionRebuild = "projection:rebuild", [A];
}

/// The names of the permissions that `role` holds.
pub fn held_by(role: Role) -> impl Iterator<Item = &'static str> {
    MATRIX.iter().filter(move |row| row.held_by(role)).map(|row| row.name)
}

/// A caller that holds `P`. Extracting it answers 401 to the unknown and 403 to those without the permission.
#[derive(Debug)]
pub struct Allowed<P: Permission> {
    principal: Principal,
    permission: PhantomData<P>,
}

impl<P: Permission> Allowed<P> {
    /// The caller.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

impl<P: Permission> Deref for Allowed<P> {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.principal
    }
}

impl<P: Permission> FromRequest for Allowed<P> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(Principal::of(request).and_then(|principal| {
            if principal.role == Role::Operator || P::HOLDERS.contains(&principal.role) {
                Ok(Self { principal, permission: PhantomData })
            } else {
                Err(Problem::forbidden(P::NAME))
            }
        }))
    }
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
    fn viewer_sees_no_payloads_and_changes_nothing() {
        let held: Vec<_> = held_by(Role::Viewer).collect();
        assert!(!held.contains(&"ledger:read"));
        assert!(held.iter().all(|name| name.ends_with("read") || name.ends_with("verify")), "{held:?}");
    }
}
