//! What is asked of the directory where something needs approval: the policy in force, delegations, open requests.

use std::sync::Arc;

use daybook_domain::Money;
use daybook_domain::approval::{ActionType, ApprovalError};
use daybook_domain::approval_policy::{PolicyInForce, Rule, built_in, in_force};
use daybook_domain::names::Label;

use super::approval_records::{ApprovalRecord, DelegationRecord, ExportToCollect};
use super::state::DirectoryState;

impl DirectoryState {
    /// The policy that holds for an action of this type, amount and label: the organisation's own, else what is built in.
    /// Refused where that depends on the amount and none is given in a currency that the policy names.
    pub fn policy_in_force(
        &self,
        action: &ActionType,
        amount: Option<Money>,
        label: Option<&Label>,
    ) -> Result<PolicyInForce, ApprovalError> {
        let (version, rules) = self.rules_of(action);
        in_force(version, &rules, amount, label)
    }

    /// The rules in force for an action type, and the version of the policy; 0 where the organisation never had one.
    pub fn rules_of(&self, action: &ActionType) -> (u64, Vec<Rule>) {
        let record = self.policies.get(action.as_str());
        let version = record.map_or(0, |record| record.version);
        let own = record.and_then(|record| record.rules.clone());
        (version, own.unwrap_or_else(|| built_in(action)))
    }

    /// The delegations in force at `now` by which an account stands in for others, whatever for.
    pub fn delegations_to(&self, account: &str, now: i64) -> Vec<Arc<DelegationRecord>> {
        let mine = |delegation: &&Arc<DelegationRecord>| {
            delegation.is_in_force(now) && delegation.to == account && !self.is_same_person(&delegation.from, account)
        };
        self.delegations.values().filter(mine).cloned().collect()
    }

    /// The delegations by which any account of a person stands in for others or ever did.
    pub fn delegations_ever_to(&self, person: &str) -> Vec<Arc<DelegationRecord>> {
        let accepted = self.delegations.values().filter(|delegation| delegation.accepted_at.is_some());
        accepted.filter(|delegation| self.is_same_person(&delegation.to, person)).cloned().collect()
    }

    /// The open requests of an account for exactly what `digest` (64 hexadecimal digits) says, the oldest first. Those of
    /// the person's other accounts are not among them.
    pub fn open_approvals_of(&self, account: &str, digest: &str) -> Vec<Arc<ApprovalRecord>> {
        let asked = |record: &&Arc<ApprovalRecord>| {
            let approval = &record.approval;
            approval.digest().is_some_and(|known| known.as_str() == digest)
                && approval.requester().is_some_and(|requester| requester.actor.as_str() == account)
        };
        let mut found: Vec<Arc<ApprovalRecord>> = self.approvals.values().filter(asked).cloned().collect();
        found.sort_by_key(|record| (record.place.created_at, record.place.position));
        found
    }

    /// How many requests of a person are open.
    pub fn open_approvals_count(&self, person: &str) -> usize {
        let is_theirs = |record: &&Arc<ApprovalRecord>| {
            let requester = record.approval.requester();
            requester.is_some_and(|requester| self.is_same_person(requester.person.as_str(), person))
        };
        self.approvals.values().filter(is_theirs).count()
    }

    /// The exports that an account asked for and may come back for, the newest first. Those of the person's other accounts
    /// are not among them.
    pub fn exports_to_collect_of(&self, account: &str) -> Vec<Arc<ExportToCollect>> {
        let mine = |export: &&Arc<ExportToCollect>| export.request.requested_by.as_str() == account;
        let mut found: Vec<Arc<ExportToCollect>> = self.exports_to_collect.values().filter(mine).cloned().collect();
        found.sort_by_key(|export| std::cmp::Reverse((export.place.created_at, export.place.position)));
        found
    }

    /// The newest export that `account` asked for with this digest (64 hexadecimal digits) and may come back for.
    pub fn export_to_collect(&self, account: &str, digest: &str) -> Option<Arc<ExportToCollect>> {
        self.exports_to_collect_of(account).into_iter().find(|export| export.request.digest.as_str() == digest)
    }
}
