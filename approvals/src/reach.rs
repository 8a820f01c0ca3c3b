//! Whose business a request is: for callers who may not see every one.

use daybook_domain::approval::Approval;
use daybook_domain::approval_policy::Electorate;
use daybook_http_kit::{Principal, Problem};

use crate::service::Approvals;

impl Approvals {
    /// Whether the caller asked for it, took part in it, or belongs to those whom its policy asks or asked, whether or not
    /// there is anything left to decide. From the directory as it is.
    pub fn concerns(&self, principal: &Principal, approval: &Approval) -> Result<bool, Problem> {
        let state = self.directory().now();
        let voter = self.facts(&state).voter(principal, approval)?;
        let asked = approval.requester().is_some_and(|asker| voter.is(&asker.actor) || voter.is(&asker.person));
        let voted = approval.votes().iter().any(|vote| voter.is(&vote.actor) || voter.is(&vote.person));
        if asked || voted {
            return Ok(true);
        }
        let Some(policy) = approval.policy() else { return Ok(false) };
        let terms = &policy.terms;
        let steps = terms.steps.iter().flat_map(|step| &step.clauses).flat_map(|clause| &clause.from);
        // Those further along the chain are asked once it gets to them.
        let called = approval.escalations().iter().flat_map(|escalation| &escalation.to);
        let mut electorates = steps.chain(called);
        let belongs = |electorate: &Electorate| {
            voter.belongs_to(electorate) || voter.stands_for.iter().any(|other| other.belongs_to(electorate))
        };
        Ok(electorates.any(belongs))
    }
}
