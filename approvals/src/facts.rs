//! What the rules ask about people, out of the directory: who is behind an account, which roles hold now, who stands in for
//! whom, and whether a requester is still somebody who may have it done.
//!
//! Rules compare persons. Two accounts may be declared one person's after they took part in a request: a voter comes with
//! every id that the person has or had. That only takes away: what a requester may do with a request, the account alone may
//! that made it.

use std::collections::BTreeSet;

use daybook_domain::approval::{Approval, ApprovalError, Requester, RequiredPermission, VoteRecord, Voter};
use daybook_domain::export_schedule::ExportSchedule;
use daybook_domain::names::PermissionName;
use daybook_domain::text::ActorId;
use daybook_http_kit::{Access, Principal, Problem};
use daybook_identity::directory::{DirectoryState, KeyStatus, OPERATOR, UserStatus};

use crate::gate::{Needed, is_met};
use crate::problems::{invalid, refused};
use crate::voters::Candidate;

/// The filter of exports that keeps them to departments, by their names: a list in JSON.
const DESKS: &str = "desks";

/// The directory at a moment, asked for what the rules need.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// The directory.
    pub state: &'a DirectoryState,
    /// The moment, in microseconds.
    pub now: i64,
    /// Whether there may be people whom the directory does not know: those of the development headers.
    pub development: bool,
}

impl Facts<'_> {
    /// The person behind an actor.
    pub fn person(&self, actor: &str) -> Result<ActorId, Problem> {
        actor_id(self.state.person_of(actor))
    }

    /// The caller as somebody who asks for approval.
    pub fn requester(&self, principal: &Principal, needed: &[Needed]) -> Result<Requester, Problem> {
        let required = |needed: &Needed| {
            let name = PermissionName::parse("/required_permissions", needed.name).map_err(invalid)?;
            Ok(RequiredPermission { name, department: needed.department.clone() })
        };
        Ok(Requester {
            actor: actor_id(&principal.actor.id)?,
            person: self.person(&principal.actor.id)?,
            required_permissions: needed.iter().map(required).collect::<Result<_, Problem>>()?,
        })
    }

    /// The caller as somebody who votes on `approval`.
    pub fn voter(&self, principal: &Principal, approval: &Approval) -> Result<Voter, Problem> {
        Ok(Candidate::caller(*self, principal)?.on(approval))
    }

    /// Whether another emergency is not reviewed yet that `voter`, or whoever asks in `approval`, broke the glass in or asked for.
    pub fn has_open_review(&self, voter: &Voter, approval: &Approval) -> bool {
        let requester = approval.requester().map(|requester| &requester.person);
        let persons: Vec<&str> = requester.into_iter().chain([&voter.person]).map(ActorId::as_str).collect();
        let mut others = self.state.approvals.values().filter(|record| record.approval.id() != approval.id());
        others.any(|record| {
            let Some(review) = record.approval.review().filter(|review| review.is_open()) else { return false };
            let asked = record.approval.requester().map(|requester| &requester.person);
            let mut theirs = asked.into_iter().chain([&review.person]);
            theirs.any(|id| persons.iter().any(|person| self.state.is_same_person(id.as_str(), person)))
        })
    }

    /// The caller as whoever asked in `approval`. Only the account that asked is that; an account that was declared the same
    /// person's is not.
    pub fn as_requester(&self, principal: &Principal, approval: &Approval) -> Result<ActorId, Problem> {
        let requester = approval.requester().ok_or_else(|| refused(&ApprovalError::NotFound))?;
        match requester.actor.as_str() == principal.actor.id {
            true => Ok(requester.actor.clone()),
            false => Err(refused(&ApprovalError::NotYours)),
        }
    }

    /// The name under which `approval` knows a person: that under which they took part in it already, else their own.
    pub fn known_as(&self, person: &str, approval: &Approval) -> Result<ActorId, Problem> {
        let mut taking_part = participants(approval);
        match taking_part.find(|known| self.state.is_same_person(known.as_str(), person)) {
            Some(known) => Ok(known.clone()),
            None => actor_id(person),
        }
    }

    /// Whether those whose votes made a decision are still distinct persons, none of them is the requester, and none of them
    /// votes by the requester's making: accounts may have been declared one person's since.
    pub fn votes_are_of_distinct_others(&self, approval: &Approval) -> bool {
        let Some(asked) = approval.requester() else { return false };
        let requester = self.state.person_of(asked.person.as_str());
        let distinct = approval.policy().is_none_or(|policy| policy.terms.distinct_persons);
        let mut seen: Vec<(u32, &str)> = Vec::new();
        for vote in approval.votes() {
            if !self.is_independent(vote, asked) {
                return false;
            }
            for person in std::iter::once(&vote.person).chain(&vote.on_behalf_of) {
                let person = self.state.person_of(person.as_str());
                let again = seen.iter().any(|(step, other)| *other == person && (distinct || *step == vote.step));
                if person == requester || again {
                    return false;
                }
                seen.push((vote.step, person));
            }
        }
        true
    }

    /// Whether a vote, as it was cast, is owed neither to the requester nor to whoever cast it, as is known by now. What it rested
    /// on is in the vote: that a role was taken since, or given anew by another, hides nothing.
    fn is_independent(&self, vote: &VoteRecord, requester: &Requester) -> bool {
        let own = [&requester.actor, &requester.person, &vote.actor, &vote.person];
        let mut own = own.into_iter().chain(&vote.on_behalf_of);
        !own.any(|id| vote.owed_to.iter().any(|giver| self.state.is_same_person(giver.as_str(), id.as_str())))
    }

    /// Whether whoever asked may still have done what the approval is for.
    pub fn requester_may(&self, approval: &Approval, requester: &Requester, present: Option<&Principal>) -> bool {
        let desks = approval.action().and_then(|action| action.parameters.get(&format!("filter.{DESKS}")));
        self.requester_allowed(requester, present) && self.has_departments_named(requester, desks)
    }

    /// Whether the owner of a schedule may still have done what it does.
    pub fn owner_may(&self, schedule: &ExportSchedule, owner: &Requester) -> bool {
        let desks = schedule.export().and_then(|export| export.filters.get(DESKS));
        self.requester_allowed(owner, None) && self.has_departments_named(owner, desks)
    }

    /// Whether the departments that the requester must be allowed something in are still those that an export is kept to by
    /// their names: a name may be another department's by now.
    fn has_departments_named(&self, requester: &Requester, desks: Option<&String>) -> bool {
        let required = requester.required_permissions.iter().filter_map(|required| required.department.as_ref());
        let required: Vec<_> = required.map(|id| self.state.departments.get(id.as_str())).collect();
        let Some(desks) = desks.filter(|_| !required.is_empty()) else { return true };
        let names: Option<BTreeSet<String>> =
            required.into_iter().map(|department| Some(department?.name.to_lowercase())).collect();
        let kept_to = serde_json::from_str::<Vec<String>>(desks).ok();
        let kept_to = kept_to.map(|kept_to| kept_to.iter().map(|name| name.to_lowercase()).collect());
        names.is_some() && names == kept_to
    }

    /// Whether whoever asked may still have it done: the account is in use, and holds the permission that it takes.
    fn requester_allowed(&self, requester: &Requester, present: Option<&Principal>) -> bool {
        let id = requester.actor.as_str();
        if id == OPERATOR {
            return true;
        }
        let holds = |access: &Access| {
            let mut required = requester.required_permissions.iter();
            required.all(|needed| is_met(access, needed.name.as_str(), needed.department.as_ref()))
        };
        if let Some(key) = self.state.access_of_key(id, self.now) {
            return key.status == KeyStatus::Live && holds(&key.access);
        }
        if let Some(user) = self.state.access_of(id, self.now) {
            return user.status == UserStatus::Active && holds(&user.access);
        }
        // Somebody of the development headers: nothing is known of them but what they claim when they are here.
        let here = present.filter(|principal| principal.actor.id == id);
        self.development && here.is_none_or(|principal| holds(&principal.access))
    }
}

/// Everybody who took part in a request: whoever asked, voted, or was voted for.
fn participants(approval: &Approval) -> impl Iterator<Item = &ActorId> {
    let requester = approval.requester().map(|requester| &requester.person);
    let votes = approval.votes().iter();
    requester.into_iter().chain(votes.flat_map(|vote| std::iter::once(&vote.person).chain(&vote.on_behalf_of)))
}

/// An id of an actor, as the domain has it. Ids in the directory came from there.
pub(crate) fn actor_id(text: &str) -> Result<ActorId, Problem> {
    ActorId::parse("", text).map_err(|error| Problem::internal(&error))
}
