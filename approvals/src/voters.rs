//! Somebody who may want to vote: what the directory says of them, asked once, and how it counts on one request or another.
//!
//! Nobody makes the voters for a request of his own. What the requester did shortly before it, or at any time after it, by
//! which somebody has a seat, gives none: a role, or more time for it, an invitation, an account reactivated or made
//! accessible, a role that allowed nothing filled, a department put below another. Neither does what is done by those whom
//! the requester let in or gave a role in that time, nor what somebody so gives himself. Whose doing else it is goes into
//! the vote: it may turn out to have been the requester's.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use daybook_domain::Timestamp;
use daybook_domain::approval::{Approval, Delegator, LostSeat, Owed, Voter};
use daybook_domain::approval_policy::Electorate;
use daybook_domain::names::{DelegationId, DepartmentId, RoleName};
use daybook_domain::text::ActorId;
use daybook_http_kit::{Principal, Problem, Via};
use daybook_identity::directory::{DelegationRecord, DirectoryState, Gift, SETTLED_MICROS, Seat, SeatOf, Seats};

use crate::facts::{Facts, actor_id};
use crate::problems::invalid;

/// To how many accounts a seat may be owed: where it is more, it does not count.
const MAX_OWED: usize = 100;

/// Somebody who may want to vote, as the directory has them at a moment.
pub(crate) struct Candidate<'a> {
    facts: Facts<'a>,
    account: Account,
    person: Person,
    /// For whom the account stands in now.
    absent: Vec<Absent>,
    owed: OwedSoFar,
}

/// Whose doing something is, and when each of them did their part last.
type Givers = Rc<[(ActorId, i64)]>;

/// Whose doing something is, as it was worked out before: by where what was done stands in memory, and how much was done in
/// the time that a request looks back to. `None` where that is too many.
type OwedSoFar = RefCell<HashMap<(*const Arc<Gift>, usize), Option<Givers>>>;

/// Whether something counts on a request.
enum Standing {
    /// It does, and is these people's doing.
    Counts(Givers),
    /// It is the doing of somebody whose doing it must not be.
    Lost(Lost),
    /// It is the doing of too many.
    TooMany,
}

/// Whose doing something must not be, and when they did it last.
#[derive(Clone)]
struct Lost {
    by: ActorId,
    at: i64,
}

/// One request, and what of the directory it looks back to.
struct Look<'a> {
    facts: Facts<'a>,
    approval: &'a Approval,
    since: i64,
    /// How much was done since.
    done: usize,
    so_far: &'a OwedSoFar,
}

/// An account, whoever it belongs to.
struct Account {
    actor: ActorId,
    is_person: bool,
    /// What it brings; `None` where it may not act.
    seats: Option<Seats>,
}

/// A person.
struct Person {
    id: ActorId,
    /// Every id that they have or had.
    ids: Vec<ActorId>,
    /// The delegations by which they stand in for others or ever did, each with every id of whoever gave it.
    stands_in: Vec<(Arc<DelegationRecord>, Vec<ActorId>)>,
}

/// Somebody who is away.
struct Absent {
    delegation: Arc<DelegationRecord>,
    delegation_id: DelegationId,
    account: Account,
    person: Person,
}

/// What of an account counts on one request; where the account itself does not, nothing but why.
#[derive(Default)]
struct Counted {
    roles: Vec<RoleName>,
    departments: Vec<DepartmentId>,
    owed: Owed,
}

impl<'a> Candidate<'a> {
    /// The caller. Whoever comes with development headers has the role that they claim and no other.
    pub fn caller(facts: Facts<'a>, principal: &Principal) -> Result<Self, Problem> {
        let id = principal.actor.id.as_str();
        let mut account = Account::known(&facts, id)?;
        match principal.via {
            Via::Session => {}
            Via::DevHeaders => {
                if !facts.state.users.contains_key(id) {
                    account.seats.get_or_insert_default();
                }
                if let Some(Seats { seats, .. }) = &mut account.seats {
                    seats.retain(|seat| matches!(seat.of, SeatOf::Department(_)));
                    let claimed = principal.roles.iter().cloned().map(SeatOf::Role);
                    seats.extend(claimed.map(|of| Seat { of, gifts: Vec::new() }));
                }
            }
            Via::OperatorToken | Via::ApiKey => account.seats = Some(Seats::default()),
        }
        account.is_person = principal.is_person() && matches!(principal.via, Via::Session | Via::DevHeaders);
        Self::of(facts, account)
    }

    /// One of the organisation's people.
    pub fn known(facts: Facts<'a>, user_id: &str) -> Result<Self, Problem> {
        let account = Account::known(&facts, user_id)?;
        Self::of(facts, account)
    }

    fn of(facts: Facts<'a>, account: Account) -> Result<Self, Problem> {
        let mut absent = Vec::new();
        for delegation in facts.state.delegations_to(account.actor.as_str(), facts.now) {
            absent.push(Absent {
                delegation_id: DelegationId::parse("", delegation.delegation_id.as_str()).map_err(invalid)?,
                // What the account has that gave it: another one that was declared the same person's adds nothing.
                account: Account::known(&facts, &delegation.from)?,
                person: Person::of(facts.state, &delegation.from)?,
                delegation,
            });
        }
        let person = Person::of(facts.state, account.actor.as_str())?;
        Ok(Self { facts, account, person, absent, owed: RefCell::default() })
    }

    /// As somebody who votes on `approval`.
    pub fn on(&self, approval: &Approval) -> Voter {
        let since = approval.requested_at().map_or(i64::MAX, |at| at.micros().saturating_sub(SETTLED_MICROS));
        let done = self.facts.state.gifts_since(since);
        let look = Look { facts: self.facts, approval, since, done, so_far: &self.owed };
        let counted = self.account.on(&look);
        let is_active = counted.is_some();
        let Counted { roles, departments, owed } = counted.unwrap_or_default();
        Voter {
            actor: self.account.actor.clone(),
            person: self.person.id.clone(),
            accounts: self.person.ids.clone(),
            is_person: self.account.is_person,
            is_active,
            roles,
            departments,
            stands_for: self.absent.iter().filter_map(|absent| absent.on(&look)).collect(),
            is_delegate_of: self.person.stood_in_for(&self.facts, approval).cloned().collect(),
            owed,
        }
    }
}

impl Account {
    fn known(facts: &Facts<'_>, user_id: &str) -> Result<Self, Problem> {
        let seats = facts.state.seats_of(user_id, facts.now);
        Ok(Self { actor: actor_id(user_id)?, is_person: true, seats })
    }

    /// What of it counts on a request; nothing where it may not act.
    fn on(&self, look: &Look<'_>) -> Option<Counted> {
        let Seats { gifts, seats } = self.seats.as_ref()?;
        let mut counted = Counted::default();
        let lost = match self.owed(look, gifts) {
            Standing::Counts(by) => {
                counted.owed.account = ids_of(&by);
                None
            }
            Standing::Lost(lost) => Some(lost),
            Standing::TooMany => return None,
        };
        // Of several ways to a seat, the one that is owed to the fewest; of several that do not count, the first to be settled.
        let mut best: BTreeMap<&SeatOf, Givers> = BTreeMap::new();
        let mut gone: BTreeMap<&SeatOf, Lost> = BTreeMap::new();
        for Seat { of, gifts } in seats {
            let why = match (self.owed(look, gifts), &lost) {
                (Standing::Counts(by), None) => {
                    match best.get_mut(of) {
                        Some(known) if known.len() <= by.len() => {}
                        Some(known) => *known = by,
                        None => drop(best.insert(of, by)),
                    }
                    continue;
                }
                (Standing::Counts(_), Some(account)) => account.clone(),
                (Standing::Lost(seat), Some(account)) if account.at > seat.at => account.clone(),
                (Standing::Lost(seat), _) => seat,
                (Standing::TooMany, _) => continue,
            };
            match gone.get_mut(of) {
                Some(known) if known.at <= why.at => {}
                Some(known) => *known = why,
                None => drop(gone.insert(of, why)),
            }
        }
        for (of, by) in &best {
            let Some(electorate) = counted.take(of) else { continue };
            if !by.is_empty() {
                counted.owed.seats.push((electorate, ids_of(by)));
            }
        }
        let gone = gone.into_iter().filter(|(of, _)| !best.contains_key(of));
        let gone = gone.filter_map(|(of, why)| Some((electorate(of)?, why)));
        // A policy may name the very account.
        let itself = lost.iter().map(|why| (Electorate::Person(self.actor.clone()), why.clone()));
        counted.owed.lost = gone.chain(itself).filter_map(|(seat, why)| why.of(seat)).collect();
        counted.owed.is_lost = lost.is_some();
        Some(counted)
    }

    /// Whose doing these are, as far as the request looks back. They do not count where that is the doing of whoever asks, of
    /// whoever broke the glass where that is reviewed, or of the very account.
    fn owed(&self, look: &Look<'_>, gifts: &[Arc<Gift>]) -> Standing {
        let Look { facts, approval, .. } = look;
        let Some(requester) = approval.requester() else { return Standing::Counts(Rc::default()) };
        let Some(givers) = look.givers(gifts) else { return Standing::TooMany };
        let reviewed = approval.review().filter(|review| review.is_open()).map(|review| &review.person);
        let own: Vec<&ActorId> =
            [&requester.actor, &requester.person, &self.actor].into_iter().chain(reviewed).collect();
        let is_own = |giver: &str| own.iter().any(|id| facts.state.is_same_person(giver, id.as_str()));
        let lost = givers.iter().filter(|(giver, _)| is_own(giver.as_str())).max_by_key(|(_, at)| *at);
        match lost {
            Some((by, at)) => Standing::Lost(Lost { by: by.clone(), at: *at }),
            None => Standing::Counts(givers),
        }
    }
}

impl Look<'_> {
    /// Whose doing these are; `None` where they are too many.
    fn givers(&self, gifts: &[Arc<Gift>]) -> Option<Givers> {
        if self.done == 0 || gifts.is_empty() {
            return Some(Rc::default());
        }
        let mut so_far = self.so_far.borrow_mut();
        let known = so_far.entry((gifts.as_ptr(), self.done)).or_insert_with(|| {
            let givers = self.facts.state.givers(gifts, self.since);
            let few = givers.len() <= MAX_OWED;
            let each = |(giver, at)| Some((actor_id(giver).ok()?, at));
            few.then(|| givers.into_iter().map(each).collect::<Option<_>>()).flatten()
        });
        known.clone()
    }
}

impl Counted {
    /// Takes a seat in, and answers with it as policies name it. What no policy can name is none.
    fn take(&mut self, of: &SeatOf) -> Option<Electorate> {
        let electorate = electorate(of)?;
        match &electorate {
            Electorate::Role(role) => self.roles.push(role.clone()),
            Electorate::Department(department) => self.departments.push(department.clone()),
            Electorate::Person(_) => {}
        }
        Some(electorate)
    }
}

impl Lost {
    /// As what a voter is told of a seat. A request that is made a day later does not look back to it.
    fn of(self, seat: Electorate) -> Option<LostSeat> {
        let settled_at = Timestamp::from_micros(self.at.saturating_add(SETTLED_MICROS))?;
        Some(LostSeat { seat, by: self.by, settled_at })
    }
}

/// A seat as policies name it.
fn electorate(of: &SeatOf) -> Option<Electorate> {
    match of {
        SeatOf::Role(name) => RoleName::parse("", name.as_str()).ok().map(Electorate::Role),
        SeatOf::Department(id) => DepartmentId::parse("", id.as_str()).ok().map(Electorate::Department),
    }
}

fn ids_of(givers: &[(ActorId, i64)]) -> Vec<ActorId> {
    givers.iter().map(|(giver, _)| giver.clone()).collect()
}

impl Person {
    fn of(state: &DirectoryState, account: &str) -> Result<Self, Problem> {
        let id = state.person_of(account);
        let mut stands_in = Vec::new();
        for delegation in state.delegations_ever_to(id) {
            let ids = ids(state, state.person_of(&delegation.from))?;
            stands_in.push((delegation, ids));
        }
        Ok(Self { id: actor_id(id)?, ids: ids(state, id)?, stands_in })
    }

    /// Every id of everybody whom they stand in for or did at any time since the request was made.
    fn stood_in_for<'a>(&'a self, facts: &Facts<'_>, approval: &Approval) -> impl Iterator<Item = &'a ActorId> {
        let now = facts.now;
        let since = approval.requested_at().map_or(now, |at| at.micros());
        let held = self.stands_in.iter().filter(move |(delegation, _)| delegation.held_since(since, now));
        held.flat_map(|(_, ids)| ids)
    }
}

impl Absent {
    /// As somebody for whom one votes on `approval`. Whoever is not active has nothing to hand on.
    fn on(&self, look: &Look<'_>) -> Option<Delegator> {
        let Look { facts, approval, .. } = look;
        let action = approval.action()?;
        let counted = self.account.on(look).filter(|counted| !counted.owed.is_lost);
        let Counted { roles, departments, owed } = counted?;
        self.delegation.covers(&action.action).then(|| Delegator {
            delegation_id: self.delegation_id.clone(),
            account: self.account.actor.clone(),
            is_barred: self.is_barred(facts, approval),
            person: self.person.id.clone(),
            accounts: self.person.ids.clone(),
            roles,
            departments,
            owed,
        })
    }

    /// Whether the person could not vote on `approval` either, and so has no vote to hand on: that is whoever asks or broke the
    /// glass, or stands in for one of them, or did since.
    fn is_barred(&self, facts: &Facts<'_>, approval: &Approval) -> bool {
        let requester = approval.requester().map(|requester| &requester.person);
        let breaker = approval.review().filter(|review| review.is_open()).map(|review| &review.person);
        let kept_out: Vec<&ActorId> = requester.into_iter().chain(breaker).collect();
        let mut ids = self.person.stood_in_for(facts, approval).chain([&self.person.id]);
        ids.any(|id| kept_out.iter().any(|other| facts.state.is_same_person(id.as_str(), other.as_str())))
    }
}

/// Every id of a person.
fn ids(state: &DirectoryState, person: &str) -> Result<Vec<ActorId>, Problem> {
    state.ids_of(person).into_iter().map(actor_id).collect()
}
