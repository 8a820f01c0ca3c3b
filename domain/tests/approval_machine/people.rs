//! The people of the model: accounts, which of them are one person's, what persons may do, and who stands in for whom.
//! Kept as plain lists. From it comes what a command says about a voter, and what the model holds against it.

use std::collections::BTreeSet;

use daybook_domain::approval::{Delegator, LostSeat, Owed, Voter};
use daybook_domain::approval_policy::Electorate;
use daybook_domain::text::ActorId;
use daybook_domain::{DelegationId, DepartmentId, RoleName, Timestamp};
use rand::Rng;
use rand::seq::{IndexedMutRandom, IndexedRandom};
use rand_chacha::ChaCha8Rng;

pub const ROLES: &[&str] = &["owner", "admin", "compliance", "analyst", "viewer"];
pub const DEPARTMENTS: &[&str] = &["dep_rates", "dep_credit"];
/// 2026-11-21T10:00:00Z in seconds.
const START: i64 = 1_795_255_200;
const PEOPLE: usize = 12;
/// Of these people, so many have a second account that nobody knows of at first, and so many a program.
const SECOND_ACCOUNTS: usize = 6;
const PROGRAMS: usize = 3;

/// Seconds of the model's clock, as the aggregate takes them.
pub fn time(second: u64) -> Timestamp {
    Timestamp::from_micros((START + i64::try_from(second).unwrap()) * 1_000_000).unwrap()
}

/// What commands may say wrongly about voters, to see that the model notices what comes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lie {
    /// Every account is a person of its own.
    NobodyHasTwoAccounts,
    /// Nobody ever stood in for anybody.
    NobodyStoodIn,
    /// Everybody who gave a delegation could vote.
    NobodyIsBarred,
    /// Programs are people.
    ProgramsArePeople,
    /// Every account may act.
    EverybodyIsActive,
    /// Everybody has every role.
    EverybodyIsEverything,
}

#[derive(Debug)]
pub struct Account {
    pub id: ActorId,
    /// The person whose it is, as far as is known: an index into the persons.
    pub person: usize,
    pub is_program: bool,
    pub active: bool,
    /// The account that let it in of late, where one did: on requests of that person it has no seat.
    pub let_in_by: Option<usize>,
}

#[derive(Debug, Clone)]
pub struct Person {
    /// The id under which the person is compared.
    pub id: ActorId,
    pub roles: BTreeSet<&'static str>,
    pub departments: BTreeSet<&'static str>,
}

#[derive(Debug)]
pub struct StandIn {
    pub id: DelegationId,
    pub from: usize,
    pub to: usize,
    pub starts: u64,
    pub ends: u64,
}

#[derive(Debug)]
pub struct People {
    pub accounts: Vec<Account>,
    pub persons: Vec<Person>,
    pub stand_ins: Vec<StandIn>,
    given: u64,
    pub lie: Option<Lie>,
}

impl People {
    pub fn new(rng: &mut ChaCha8Rng) -> Self {
        let mut people = Self { accounts: Vec::new(), persons: Vec::new(), stand_ins: Vec::new(), given: 0, lie: None };
        for number in 0..PEOPLE {
            people.add_person(format!("usr_{number}"), rng);
        }
        for number in 0..SECOND_ACCOUNTS {
            people.add_person(format!("usr_{number}_second"), rng);
        }
        for number in 0..PROGRAMS {
            let id = ActorId::parse("", format!("key_{number}")).unwrap();
            let program = Account { id, person: number, is_program: true, active: true, let_in_by: None };
            people.accounts.push(program);
        }
        people
    }

    fn add_person(&mut self, id: String, rng: &mut ChaCha8Rng) {
        let id = ActorId::parse("", id).unwrap();
        let number = self.persons.len();
        // Every fourth was let in by the one before it.
        let let_in_by = (number % 4 == 3).then(|| number - 1);
        self.accounts.push(Account { id: id.clone(), person: number, is_program: false, active: true, let_in_by });
        self.persons.push(Person { id, roles: BTreeSet::new(), departments: BTreeSet::new() });
        let person = self.persons.len() - 1;
        for _ in 0..2 {
            self.change_role(person, rng);
        }
        self.change_department(person, rng);
    }

    pub fn person_of(&self, account: usize) -> &Person {
        &self.persons[self.accounts[account].person]
    }

    pub fn any_account(&self, rng: &mut ChaCha8Rng) -> usize {
        rng.random_range(0..self.accounts.len())
    }

    /// Which account has this id.
    pub fn account_of(&self, id: &ActorId) -> usize {
        self.accounts.iter().position(|account| account.id == *id).unwrap()
    }

    /// Every id of a person.
    pub fn ids_of(&self, person: usize) -> Vec<ActorId> {
        let own = self.accounts.iter().filter(|account| account.person == person && !account.is_program);
        own.map(|account| account.id.clone()).collect()
    }

    /// Something changes among people.
    pub fn change(&mut self, now: u64, rng: &mut ChaCha8Rng) {
        let account = self.any_account(rng);
        let person = self.accounts[account].person;
        match rng.random_range(0..100) {
            0..35 => self.change_role(person, rng),
            35..45 => self.change_department(person, rng),
            45..70 => self.accounts[account].active = rng.random_bool(0.85),
            70..92 => self.give_delegation(account, now, rng),
            92..99 => {
                if let Some(stand_in) = self.stand_ins.choose_mut(rng) {
                    stand_in.ends = stand_in.ends.min(now);
                }
            }
            _ => self.find_same_person(rng),
        }
        // Delegations that nobody can ask about any more.
        self.stand_ins.retain(|stand_in| stand_in.ends + 20_000 > now);
    }

    fn change_role(&mut self, person: usize, rng: &mut ChaCha8Rng) {
        let role = ROLES.choose(rng).unwrap();
        let roles = &mut self.persons[person].roles;
        if !roles.remove(role) {
            roles.insert(role);
        }
    }

    fn change_department(&mut self, person: usize, rng: &mut ChaCha8Rng) {
        let department = DEPARTMENTS.choose(rng).unwrap();
        let departments = &mut self.persons[person].departments;
        if !departments.remove(department) {
            departments.insert(department);
        }
    }

    fn give_delegation(&mut self, from: usize, now: u64, rng: &mut ChaCha8Rng) {
        let to = self.any_account(rng);
        let are_people = !self.accounts[from].is_program && !self.accounts[to].is_program;
        if are_people && self.accounts[from].person != self.accounts[to].person {
            self.given += 1;
            let id = DelegationId::parse("", format!("dlg_{}", self.given)).unwrap();
            let starts = now + rng.random_range(0..100);
            let ends = starts + rng.random_range(1..800);
            self.stand_ins.push(StandIn { id, from, to, starts, ends });
        }
    }

    /// A second account is found to be the same person's as the first, or the first as the second.
    fn find_same_person(&mut self, rng: &mut ChaCha8Rng) {
        let number = rng.random_range(0..SECOND_ACCOUNTS);
        let [first, second] = [number, PEOPLE + number].map(|account| self.accounts[account].person);
        let [from, to] = if rng.random_bool(0.5) { [first, second] } else { [second, first] };
        if from == to {
            return;
        }
        let gone = self.persons[from].clone();
        self.persons[to].roles.extend(gone.roles);
        self.persons[to].departments.extend(gone.departments);
        self.accounts.iter_mut().filter(|account| account.person == from).for_each(|account| account.person = to);
    }

    /// The delegations to a person from others that held at any time between these two, both included.
    pub fn stand_ins_of(&self, person: usize, since: u64, now: u64) -> impl Iterator<Item = &StandIn> {
        self.stand_ins.iter().filter(move |stand_in| {
            let [from, to] = [stand_in.from, stand_in.to].map(|account| self.accounts[account].person);
            let held = stand_in.starts < stand_in.ends && stand_in.starts <= now && since < stand_in.ends;
            to == person && from != person && held
        })
    }

    /// For whom a person may vote now: those who gave a delegation that holds, and whose accounts may act.
    pub fn absent_for(&self, person: usize, now: u64) -> Vec<&StandIn> {
        self.stand_ins_of(person, now, now).filter(|stand_in| self.accounts[stand_in.from].active).collect()
    }

    /// Whether a person could not vote where these accounts are kept out: as one of them, or standing in for one.
    fn is_barred(&self, person: usize, kept_out: &[usize], since: u64, now: u64) -> bool {
        let absent = self.stand_ins_of(person, since, now).map(|stand_in| self.accounts[stand_in.from].person);
        let ids: Vec<usize> = absent.chain([person]).collect();
        kept_out.iter().any(|other| ids.contains(&self.accounts[*other].person))
    }

    /// Whether an account may act by the doing of one of the persons who are kept out.
    pub fn is_let_in_by(&self, account: usize, kept_out: &[usize]) -> bool {
        let by = self.accounts[account].let_in_by.map(|by| self.accounts[by].person);
        by.is_some_and(|by| kept_out.iter().any(|other| self.accounts[*other].person == by))
    }

    fn owed(&self, account: usize, kept_out: &[usize]) -> Owed {
        let Some(by) = self.accounts[account].let_in_by.map(|by| self.accounts[by].id.clone()) else {
            return Owed::default();
        };
        if !self.is_let_in_by(account, kept_out) {
            return Owed { account: vec![by], ..Owed::default() };
        }
        let person = self.person_of(account);
        let seats = roles(person).into_iter().map(Electorate::Role);
        let seats = seats.chain(departments(person).into_iter().map(Electorate::Department));
        let lost = seats.map(|seat| LostSeat { seat, by: by.clone(), settled_at: time(0) }).collect();
        Owed { lost, is_lost: true, ..Owed::default() }
    }

    /// What a command says about whoever acts with this account, where others are kept out of the decision.
    pub fn voter(&self, account: usize, kept_out: &[usize], since: u64, now: u64) -> Voter {
        let Account { id, person, is_program, active, .. } = &self.accounts[account];
        let stands_for = self.absent_for(*person, now).into_iter().map(|stand_in| {
            let absent = self.accounts[stand_in.from].person;
            Delegator {
                delegation_id: stand_in.id.clone(),
                account: self.accounts[stand_in.from].id.clone(),
                is_barred: self.is_barred(absent, kept_out, since, now),
                person: self.persons[absent].id.clone(),
                accounts: self.ids_of(absent),
                roles: roles(&self.persons[absent]),
                departments: departments(&self.persons[absent]),
                owed: Owed::default(),
            }
        });
        let since_the_request = self.stand_ins_of(*person, since, now);
        let is_delegate_of =
            since_the_request.flat_map(|stand_in| self.ids_of(self.accounts[stand_in.from].person)).collect();
        let mut voter = Voter {
            actor: id.clone(),
            person: self.persons[*person].id.clone(),
            accounts: self.ids_of(*person),
            is_person: !is_program,
            is_active: *active,
            roles: roles(&self.persons[*person]),
            departments: departments(&self.persons[*person]),
            stands_for: stands_for.collect(),
            is_delegate_of,
            owed: self.owed(account, kept_out),
        };
        match self.lie {
            None => {}
            Some(Lie::NobodyHasTwoAccounts) => {
                voter.person = voter.actor.clone();
                voter.accounts.clear();
            }
            Some(Lie::NobodyStoodIn) => voter.is_delegate_of.clear(),
            Some(Lie::NobodyIsBarred) => voter.stands_for.iter_mut().for_each(|absent| absent.is_barred = false),
            Some(Lie::ProgramsArePeople) => voter.is_person = true,
            Some(Lie::EverybodyIsActive) => voter.is_active = true,
            Some(Lie::EverybodyIsEverything) => {
                voter.roles = ROLES.iter().map(|name| RoleName::parse("", *name).unwrap()).collect();
            }
        }
        voter
    }
}

fn roles(person: &Person) -> Vec<RoleName> {
    person.roles.iter().map(|name| RoleName::parse("", *name).unwrap()).collect()
}

fn departments(person: &Person) -> Vec<DepartmentId> {
    person.departments.iter().map(|id| DepartmentId::parse("", *id).unwrap()).collect()
}
