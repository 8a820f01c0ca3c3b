//! Random policies, as the model holds them and as the aggregate takes them.

use daybook_domain::approval_policy::{BreakGlass, Clause, Electorate, EscalationRule, PolicyInForce, Step, Terms};
use daybook_domain::{DepartmentId, RoleName};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::people::{DEPARTMENTS, People, ROLES};

/// People of whom any can vote.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Who {
    Role(&'static str),
    Department(&'static str),
    Account(usize),
}

#[derive(Debug, Clone)]
pub struct Link {
    pub after: u64,
    pub to: Vec<Who>,
    pub repeat_from: Option<u32>,
}

#[derive(Debug, Clone)]
pub struct Glass {
    pub who: Vec<Who>,
    pub grant: u64,
    pub review_within: u64,
}

/// Every step is a list of clauses; a clause is a number of votes and of whom.
#[derive(Debug, Clone)]
pub struct Policy {
    pub version: u64,
    pub steps: Vec<Vec<(u32, Vec<Who>)>>,
    pub distinct: bool,
    pub decide_within: u64,
    pub grant: u64,
    pub chain: Vec<Link>,
    pub glass: Option<Glass>,
}

impl Policy {
    pub fn random(version: u64, people: &People, rng: &mut ChaCha8Rng) -> Self {
        let count = *[0, 1, 1, 1, 2, 2, 3].choose(rng).unwrap();
        let steps: Vec<Vec<(u32, Vec<Who>)>> = (0..count)
            .map(|_| {
                let clauses = rng.random_range(1..=3);
                (0..clauses).map(|_| (rng.random_range(1..=2), some(people, rng))).collect()
            })
            .collect();
        let links = if steps.is_empty() { 0 } else { rng.random_range(0..=2) };
        let chain = (0..links).map(|_| Link {
            after: rng.random_range(20..300),
            to: some(people, rng),
            repeat_from: rng.random_bool(0.3).then(|| rng.random_range(1..=count)),
        });
        let chain = chain.collect();
        let glass = rng.random_bool(0.5).then(|| Glass {
            who: some(people, rng),
            grant: rng.random_range(20..200),
            review_within: rng.random_range(50..500),
        });
        Self {
            version,
            steps,
            distinct: rng.random_bool(0.8),
            decide_within: rng.random_range(100..1_500),
            grant: rng.random_range(30..600),
            chain,
            glass,
        }
    }

    pub fn in_force(&self, people: &People) -> PolicyInForce {
        let steps = self.steps.iter().map(|clauses| Step {
            name: None,
            clauses: clauses
                .iter()
                .map(|(votes, from)| Clause { votes: *votes, from: electorates(from, people) })
                .collect(),
        });
        let escalation = self.chain.iter().map(|link| EscalationRule {
            after_seconds: link.after,
            to: electorates(&link.to, people),
            repeat_from: link.repeat_from,
        });
        let terms = Terms {
            steps: steps.collect(),
            distinct_persons: self.distinct,
            decide_within_seconds: self.decide_within,
            grant_seconds: self.grant,
            escalation: escalation.collect(),
            break_glass: self.glass.as_ref().map(|glass| BreakGlass {
                who: electorates(&glass.who, people),
                grant_seconds: glass.grant,
                review_within_seconds: glass.review_within,
            }),
        };
        terms.check("").unwrap();
        PolicyInForce { version: self.version, rule: 0, terms }
    }
}

/// One to three random electorates.
pub fn some(people: &People, rng: &mut ChaCha8Rng) -> Vec<Who> {
    let count = rng.random_range(1..=3);
    let mut chosen: Vec<Who> = (0..count)
        .map(|_| match rng.random_range(0..10) {
            0..7 => Who::Role(ROLES.choose(rng).unwrap()),
            7..9 => Who::Department(DEPARTMENTS.choose(rng).unwrap()),
            _ => Who::Account(people.any_account(rng)),
        })
        .collect();
    // Nobody is named twice.
    let mut seen: Vec<Who> = Vec::new();
    chosen.retain(|one| {
        !seen.contains(one) && {
            seen.push(*one);
            true
        }
    });
    chosen
}

pub fn electorates(who: &[Who], people: &People) -> Vec<Electorate> {
    who.iter()
        .map(|one| match one {
            Who::Role(name) => Electorate::Role(RoleName::parse("", *name).unwrap()),
            Who::Department(id) => Electorate::Department(DepartmentId::parse("", *id).unwrap()),
            Who::Account(account) => Electorate::Person(people.accounts[*account].id.clone()),
        })
        .collect()
}

/// Whether whoever has this account is one of these: by a role or a department of the person's, or by this very account.
pub fn includes(who: &[Who], account: usize, people: &People) -> bool {
    let own = people.person_of(account);
    who.iter().any(|one| match one {
        Who::Role(name) => own.roles.contains(name),
        Who::Department(id) => own.departments.contains(id),
        Who::Account(named) => *named == account,
    })
}
