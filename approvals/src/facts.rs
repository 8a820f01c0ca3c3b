//! What the rules ask about people, out of the directory: who is behind an account, which roles hold now, who stands in for
//! whom, and whether a requester is still somebody who may have it done.
//!
//! Rules compare persons. Two accounts may be declared one person's after they took part in a request: a voter comes with
//! every id that the person has or had, and whoever acts on a request of theirs is known to it under the one that they took
//! part under.

use daybook_domain::approval::{Approval, Delegator, Requester, Voter};
use daybook_domain::names::{DelegationId, DepartmentId, PermissionName, RoleName};
use daybook_domain::text::ActorId;
use daybook_http_kit::{Principal, Problem, Via};
use daybook_identity::directory::{DirectoryState, KeyStatus, OPERATOR, UserStatus};

use crate::problems::invalid;

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

impl Facts<'_> {
    /// The person behind an actor.
    pub fn person(&self, actor: &str) -> Result<ActorId, Problem> {
        actor_id(self.state.person_of(actor))
    }

    /// The caller as somebody who asks for approval.
    pub fn requester(&self, principal: &Principal, permission: Option<&str>) -> Result<Requester, Problem> {
        Ok(Requester {
            actor: actor_id(&principal.actor.id)?,
            person: self.person(&principal.actor.id)?,
            required_permission: PermissionName::parse_optional("/required_permission", permission).map_err(invalid)?,
        })
    }

    /// The caller as somebody who votes on `approval`.
    pub fn voter(&self, principal: &Principal, approval: &Approval) -> Result<Voter, Problem> {
        self.voter_of(&self.account_of(principal), approval)
    }

    /// Somebody of the organisation's people as one who votes on `approval`.
    pub fn voter_by_id(&self, user_id: &str, approval: &Approval) -> Result<Voter, Problem> {
        self.voter_of(&self.known_account(user_id), approval)
    }

    fn known_account(&self, user_id: &str) -> Account {
        let standing = self.state.standing_of(user_id, self.now);
        let is_active = standing.is_some();
        let (roles, departments) =
            standing.map(|(roles, departments)| (roles.to_vec(), departments)).unwrap_or_default();
        Account { actor: user_id.to_owned(), is_person: true, is_active, roles, departments }
    }

    /// Whoever comes with development headers has the role that they claim and no other.
    fn account_of(&self, principal: &Principal) -> Account {
        let id = principal.actor.id.as_str();
        let mut account = self.known_account(id);
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
            stands_for: self.stands_for(person, approval)?,
            is_delegate_of,
        })
    }

    /// Whom a person stands in for now, with what each of them has. Whoever is not active has nothing to hand on.
    fn stands_for(&self, person: &str, approval: &Approval) -> Result<Vec<Delegator>, Problem> {
        let Some(action) = approval.action() else { return Ok(Vec::new()) };
        let mut found: Vec<Delegator> = Vec::new();
        for delegation in self.state.delegations_to(person, &action.action, self.now) {
            let from = self.state.person_of(&delegation.from);
            let (mut roles, mut departments) = (Vec::new(), Vec::new());
            for account in self.state.accounts_of(from) {
                let account = self.known_account(account);
                roles.extend(role_names(&account.roles));
                departments.extend(department_ids(&account.departments));
            }
            if self.state.accounts_of(from).next().is_none() {
                continue;
            }
            let delegation_id = DelegationId::parse("", delegation.delegation_id.as_str()).map_err(invalid)?;
            found.push(Delegator {
                delegation_id,
                person: actor_id(from)?,
                accounts: self.ids(from)?,
                roles,
                departments,
            });
        }
        Ok(found)
    }

    /// Every id of a person.
    fn ids(&self, person: &str) -> Result<Vec<ActorId>, Problem> {
        self.state.ids_of(person).into_iter().map(actor_id).collect()
    }

    /// The name under which `approval` knows a person: that under which they took part in it already, else their own.
    pub fn known_as(&self, person: &str, approval: &Approval) -> Result<ActorId, Problem> {
        let mut taking_part = participants(approval);
        match taking_part.find(|known| self.state.is_same_person(known.as_str(), person)) {
            Some(known) => Ok(known.clone()),
            None => actor_id(person),
        }
    }

    /// Whether those whose votes made a decision are still distinct persons and none of them is the requester: accounts
    /// may have been declared one person's since.
    pub fn votes_are_of_distinct_others(&self, approval: &Approval) -> bool {
        let Some(requester) = approval.requester() else { return false };
        let requester = self.state.person_of(requester.person.as_str());
        let distinct = approval.policy().is_none_or(|policy| policy.terms.distinct_persons);
        let mut seen: Vec<(u32, &str)> = Vec::new();
        for vote in approval.votes() {
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

    /// Whether whoever asked may still have it done: the account is in use, and holds the permission that it takes.
    pub fn requester_allowed(&self, requester: &Requester, present: Option<&Principal>) -> bool {
        let id = requester.actor.as_str();
        if id == OPERATOR {
            return true;
        }
        let needed = requester.required_permission.as_ref().map(PermissionName::as_str);
        if let Some(key) = self.state.access_of_key(id, self.now) {
            return key.status == KeyStatus::Live
                && needed.is_none_or(|name| key.access.permissions.contains_name(name));
        }
        if let Some(user) = self.state.access_of(id, self.now) {
            return user.status == UserStatus::Active
                && needed.is_none_or(|name| user.access.permissions.contains_name(name));
        }
        // Somebody of the development headers: nothing is known of them but what they claim when they are here.
        let here = present.filter(|principal| principal.actor.id == id);
        self.development && here.is_none_or(|principal| needed.is_none_or(|name| principal.holds(name)))
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

fn role_names(names: &[String]) -> Vec<RoleName> {
    names.iter().filter_map(|name| RoleName::parse("", name.as_str()).ok()).collect()
}

fn department_ids(ids: &[String]) -> Vec<DepartmentId> {
    ids.iter().filter_map(|id| DepartmentId::parse("", id.as_str()).ok()).collect()
}
