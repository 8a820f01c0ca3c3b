//! What the rules ask about people, out of the directory: who is behind an account, which roles hold now, who stands in for
//! whom, and whether a requester is still somebody who may have it done.
//!
//! Rules compare persons. Two accounts may be declared one person's after they took part in a request: a voter comes with
//! every id that the person has or had. That only takes away: what a requester may do with a request, the account alone may
//! that made it.
//!
//! Nobody makes the voters for a request of his own: a role that the requester gave shortly before it, or at any time after
//! it, gives no seat on it, and an account that the requester brought in then has none.

use daybook_domain::approval::{Approval, ApprovalError, Delegator, Requester, RequiredPermission, VoteRecord, Voter};
use daybook_domain::approval_policy::Electorate;
use daybook_domain::names::{DelegationId, DepartmentId, PermissionName, RoleName};
use daybook_domain::text::ActorId;
use daybook_http_kit::{Access, Principal, Problem, Via};
use daybook_identity::directory::{DirectoryState, KeyStatus, OPERATOR, Seats, UserStatus};

use crate::gate::{Needed, is_met};
use crate::problems::{invalid, refused};

/// How long before a request a role must have been given, where the requester gave it, to count: in microseconds.
const SETTLED_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// The directory at a moment, asked for what the rules need.
pub(crate) struct Facts<'a> {
    /// The directory.
    pub state: &'a DirectoryState,
    /// The moment, in microseconds.
    pub now: i64,
    /// Whether there may be people whom the directory does not know: those of the development headers.
    pub development: bool,
}

/// What an account is, whoever it belongs to.
struct Account {
    actor: String,
    is_person: bool,
    is_active: bool,
    roles: Vec<String>,
    departments: Vec<String>,
}

impl Account {
    fn belongs_to(&self, electorate: &Electorate) -> bool {
        match electorate {
            Electorate::Role(role) => self.roles.iter().any(|held| held == role.as_str()),
            Electorate::Department(department) => self.departments.iter().any(|held| held == department.as_str()),
            Electorate::Person(id) => self.is_active && self.actor == id.as_str(),
        }
    }
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
        self.voter_of(&self.account_of(principal, approval), approval)
    }

    /// Somebody of the organisation's people as one who votes on `approval`.
    pub fn voter_by_id(&self, user_id: &str, approval: &Approval) -> Result<Voter, Problem> {
        self.voter_of(&self.known_account(user_id, Some(approval)), approval)
    }

    /// An account as it counts on `approval`; as it is where none is given.
    fn known_account(&self, user_id: &str, approval: Option<&Approval>) -> Account {
        // What somebody has just given himself rests on what he was given just before.
        let is_own = |by: &str, at: i64| {
            approval.is_some_and(|approval| {
                self.is_of_requester(approval, by, at) || by == user_id && is_too_late(approval, at)
            })
        };
        let seats = self.state.seats_of(user_id, self.now, |grant| !is_own(&grant.granted_by, grant.granted_at));
        let is_active = seats.is_some() && !approval.is_some_and(|approval| self.was_brought_in(user_id, approval));
        let Seats { roles, departments } = seats.filter(|_| is_active).unwrap_or_default();
        Account { actor: user_id.to_owned(), is_person: true, is_active, roles, departments }
    }

    /// Whether what `by` did at `at` was done by the person who asks in `approval`, too late to count.
    fn is_of_requester(&self, approval: &Approval, by: &str, at: i64) -> bool {
        let Some(requester) = approval.requester() else { return false };
        is_too_late(approval, at)
            && (self.state.is_same_person(by, requester.person.as_str()) || by == requester.actor.as_str())
    }

    /// Whether an account was invited by the person who asks in `approval`, too late to count.
    fn was_brought_in(&self, user_id: &str, approval: &Approval) -> bool {
        let invited = self.state.users.get(user_id).and_then(|user| user.invited.as_ref());
        invited.is_some_and(|invited| self.is_of_requester(approval, &invited.by, invited.at))
    }

    /// Whoever comes with development headers has the role that they claim and no other.
    fn account_of(&self, principal: &Principal, approval: &Approval) -> Account {
        let id = principal.actor.id.as_str();
        let mut account = self.known_account(id, Some(approval));
        match principal.via {
            Via::Session => {}
            Via::DevHeaders => {
                account.is_active = !self.state.users.contains_key(id) || account.is_active;
                account.roles = principal.roles.to_vec();
            }
            Via::OperatorToken | Via::ApiKey => account.is_active = true,
        }
        account.is_person = principal.is_person() && matches!(principal.via, Via::Session | Via::DevHeaders);
        account
    }

    fn voter_of(&self, account: &Account, approval: &Approval) -> Result<Voter, Problem> {
        let person = self.state.person_of(&account.actor);
        let since = approval.requested_at().map_or(self.now, |at| at.micros());
        let delegators = self.state.delegators_since(person, since, self.now);
        let mut is_delegate_of = Vec::new();
        for from in &delegators {
            is_delegate_of.extend(self.ids(from)?);
        }
        Ok(Voter {
            actor: actor_id(&account.actor)?,
            person: actor_id(person)?,
            accounts: self.ids(person)?,
            is_person: account.is_person,
            is_active: account.is_active,
            roles: role_names(&account.roles),
            departments: department_ids(&account.departments),
            stands_for: self.stands_for(&account.actor, approval)?,
            is_delegate_of,
        })
    }

    /// Whom a person stands in for now, with what each of them has. Whoever is not active has nothing to hand on.
    fn stands_for(&self, user_id: &str, approval: &Approval) -> Result<Vec<Delegator>, Problem> {
        let Some(action) = approval.action() else { return Ok(Vec::new()) };
        let mut found: Vec<Delegator> = Vec::new();
        for delegation in self.state.delegations_to(user_id, &action.action, self.now) {
            let from = self.state.person_of(&delegation.from);
            // What the account has that gave it: another one that was declared the same person's adds nothing.
            let account = self.known_account(&delegation.from, Some(approval));
            if !account.is_active {
                continue;
            }
            let delegation_id = DelegationId::parse("", delegation.delegation_id.as_str()).map_err(invalid)?;
            found.push(Delegator {
                delegation_id,
                account: actor_id(&delegation.from)?,
                is_barred: self.is_barred(from, approval),
                person: actor_id(from)?,
                accounts: self.ids(from)?,
                roles: role_names(&account.roles),
                departments: department_ids(&account.departments),
            });
        }
        Ok(found)
    }

    /// Whether a person could not vote on `approval` either, and so has no vote to hand on: that is whoever asks or broke the
    /// glass, or stands in for one of them, or did since.
    fn is_barred(&self, person: &str, approval: &Approval) -> bool {
        let since = approval.requested_at().map_or(self.now, |at| at.micros());
        let requester = approval.requester().map(|requester| requester.person.as_str());
        let breaker = approval.review().filter(|review| review.is_open()).map(|review| review.person.as_str());
        let mut ids = self.state.delegators_since(person, since, self.now);
        ids.push(person.to_owned());
        let mut kept_out = requester.into_iter().chain(breaker);
        kept_out.any(|other| ids.iter().any(|id| self.state.is_same_person(id, other)))
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

    /// Every id of a person.
    fn ids(&self, person: &str) -> Result<Vec<ActorId>, Problem> {
        self.state.ids_of(person).into_iter().map(actor_id).collect()
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
        let Some(requester) = approval.requester() else { return false };
        let requester = self.state.person_of(requester.person.as_str());
        let distinct = approval.policy().is_none_or(|policy| policy.terms.distinct_persons);
        let mut seen: Vec<(u32, &str)> = Vec::new();
        for vote in approval.votes() {
            if !self.has_a_seat_of_its_own(vote, approval) {
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

    /// Whether a vote does not rest on what the requester gave the voter. A role that is gone by now was looked at when it
    /// was voted.
    fn has_a_seat_of_its_own(&self, vote: &VoteRecord, approval: &Approval) -> bool {
        if self.was_brought_in(vote.actor.as_str(), approval) {
            return false;
        }
        let Some(terms) = approval.policy().map(|policy| &policy.terms) else { return true };
        let accounts: Vec<&str> = match &vote.on_behalf_of {
            Some(person) => self.state.accounts_of(person.as_str()).collect(),
            None => vec![vote.actor.as_str()],
        };
        let nth = |number: u32| usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let step = nth(vote.step).and_then(|index| terms.steps.get(index));
        vote.clauses.iter().all(|number| {
            let clause = step.zip(nth(*number)).and_then(|(step, index)| step.clauses.get(index));
            let called = terms.escalation.iter().flat_map(|link| &link.to);
            let of: Vec<&Electorate> = clause.into_iter().flat_map(|clause| &clause.from).chain(called).collect();
            let sits = |approval: Option<&Approval>| {
                let mut accounts = accounts.iter().map(|id| self.known_account(id, approval));
                accounts.any(|account| of.iter().any(|electorate| account.belongs_to(electorate)))
            };
            sits(Some(approval)) || !sits(None)
        })
    }

    /// Whether whoever asked may still have it done: the account is in use, and holds the permission that it takes.
    pub fn requester_allowed(&self, requester: &Requester, present: Option<&Principal>) -> bool {
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

/// Whether it was within a day of the request or after it.
fn is_too_late(approval: &Approval, at: i64) -> bool {
    approval.requested_at().is_some_and(|requested_at| at > requested_at.micros().saturating_sub(SETTLED_MICROS))
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

fn role_names(names: &[String]) -> Vec<RoleName> {
    names.iter().filter_map(|name| RoleName::parse("", name.as_str()).ok()).collect()
}

fn department_ids(ids: &[String]) -> Vec<DepartmentId> {
    ids.iter().filter_map(|id| DepartmentId::parse("", id.as_str()).ok()).collect()
}
