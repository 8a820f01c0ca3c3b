//! The approval machine against a model of it: random commands from random people who change what they are, under
//! policies that change, while time passes. After every step nothing that must never happen has happened.
//!
//! `DAYBOOK_MACHINE_SEED` chooses another run; the seed is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod driver;
mod follow;
mod model;
mod people;
mod policies;

use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::Aggregate;
use daybook_domain::approval::{ApprovalCommand, Decision};
use daybook_domain::{Approval, ApprovalError, ApprovalEvent, ApprovalStatus, Refusal};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::driver::{ACTIONS, Attempt, Scene};
use crate::model::{Model, Status};
use crate::people::{Lie, People, time};
use crate::policies::Policy;

const STEPS: usize = 100_000;
const REQUESTS: usize = 10;

/// Refusals that this driver does not provoke, and why.
const NOT_PROVOKED: &[(&str, &str)] = &[
    ("approval.too_many_votes", "needs 500 votes on one request, of more people than there are here"),
    ("approval.too_many_permissions", "every request of this driver depends on none"),
    ("approval.amount_required", "is said where the policy is looked up, before there is a request"),
    ("approval.too_many_comments", "needs 1,000 comments on one request"),
    ("approval.too_many_escalations", "needs 50 escalations of one revision"),
    ("approval.too_many_revisions", "needs 1,000 revisions of one request"),
];

/// A request, all that was recorded of it, and what the model knows.
#[derive(Default)]
struct Request {
    approval: Approval,
    events: Vec<ApprovalEvent>,
    model: Option<Model>,
    first_content: u32,
}

struct Run {
    rng: ChaCha8Rng,
    now: u64,
    people: People,
    policies: Vec<Policy>,
    requests: Vec<Request>,
    statuses: BTreeSet<&'static str>,
    refusals: BTreeMap<&'static str, usize>,
    events: BTreeMap<&'static str, usize>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let people = People::new(&mut rng);
        let policies = (0..ACTIONS.len()).map(|_| Policy::random(1, &people, &mut rng)).collect();
        let requests = (0..REQUESTS).map(|_| Request::default()).collect();
        let (statuses, refusals, events) = Default::default();
        Self { rng, now: 0, people, policies, requests, statuses, refusals, events }
    }

    fn step(&mut self) {
        self.now +=
            if self.rng.random_bool(0.01) { self.rng.random_range(0..400) } else { self.rng.random_range(0..4) };
        if self.rng.random_bool(0.1) {
            self.people.change(self.now, &mut self.rng);
        }
        if self.rng.random_bool(0.005) {
            let index = self.rng.random_range(0..self.policies.len());
            let version = self.policies[index].version + 1;
            self.policies[index] = Policy::random(version, &self.people, &mut self.rng);
        }
        let index = self.rng.random_range(0..self.requests.len());
        let mut request = std::mem::take(&mut self.requests[index]);
        self.command(&mut request);
        let is_over = request.model.as_ref().is_some_and(|model| !model.is_open());
        if self.rng.random_bool(if is_over { 0.1 } else { 0.002 }) {
            assert_history_gives_the_state(&request);
            request = Request::default();
        }
        self.requests[index] = request;
    }

    fn command(&mut self, request: &mut Request) {
        let scene = Scene { people: &self.people, policies: &self.policies, now: self.now };
        let Some(model) = &request.model else {
            let (command, model) = scene.request(&mut self.rng);
            if self.rng.random_bool(0.2) {
                // Nothing can be asked of what is not there.
                let stray = scene.command(&model, 0, &mut self.rng).command;
                if !matches!(stray, ApprovalCommand::Request { .. }) {
                    self.refused(&request.approval.decide(stray).unwrap_err());
                }
            }
            request.first_content = model.content;
            request.model = Some(model);
            let facts = follow::Facts::at(self.now);
            self.give(request, Attempt { command, facts, succeeds: true });
            return;
        };
        let attempt = scene.command(model, request.first_content, &mut self.rng);
        self.give(request, attempt);
    }

    /// Gives the command to the aggregate, has the model follow it, and compares the two.
    fn give(&mut self, request: &mut Request, attempt: Attempt) {
        let Attempt { command, facts, succeeds } = attempt;
        let model = request.model.as_mut().unwrap();
        let is_tick = matches!(command, ApprovalCommand::Tick { .. });
        let is_due = model.due().is_some_and(|due| due <= self.now);
        let revised = facts.revision.as_ref().map(|(content, policy)| model.is_written(*content, policy));
        let before = request.approval.clone();
        let decided = request.approval.decide(command.clone());
        assert_eq!(request.approval, before, "deciding changed the state");
        if self.people.lie.is_none() {
            assert_eq!(decided.is_ok(), succeeds, "{command:?}\nled to {decided:?}\nand the model is\n{model:?}");
        }
        match decided {
            Err(refusal) => self.refused(&refusal),
            Ok(events) => {
                let is_nothing_new = revised.is_none_or(|is_written| is_written == events.is_empty());
                assert!(is_nothing_new, "a revision to something else was lost");
                assert!(!is_tick || is_due != events.is_empty(), "a tick did not do what was due");
                for event in events {
                    *self.events.entry(event.name()).or_default() += 1;
                    model.follow(&event, &facts, &self.people);
                    request.approval.apply(event.clone());
                    request.events.push(event);
                }
            }
        }
        self.statuses.insert(compare(&request.approval, model).as_str());
    }

    fn refused(&mut self, refusal: &ApprovalError) {
        *self.refusals.entry(refusal.code()).or_default() += 1;
    }
}

/// The aggregate and the model say the same of a request.
fn compare(approval: &Approval, model: &Model) -> ApprovalStatus {
    let status = approval.status().unwrap();
    let of_model = match model.status {
        Status::Draft => ApprovalStatus::Draft,
        Status::Pending => ApprovalStatus::Pending,
        Status::Approved => ApprovalStatus::Approved,
        Status::Rejected => ApprovalStatus::Rejected,
        Status::Withdrawn => ApprovalStatus::Withdrawn,
        Status::Expired => ApprovalStatus::Expired,
        Status::Consumed => ApprovalStatus::Consumed,
        Status::Voided => ApprovalStatus::Voided,
    };
    assert_eq!(status, of_model);
    assert_eq!(approval.revision(), model.revision);
    assert_eq!(approval.digest().unwrap(), &driver::action(model.content).digest());
    assert_eq!(approval.due(), model.due().map(time));
    assert_eq!(approval.is_open(), model.is_open());
    assert_eq!(approval.escalation_level(), u32::try_from(model.calls.len()).unwrap());
    let approving = approval.votes().iter().filter(|vote| vote.decision == Decision::Approve);
    assert_eq!(approving.count(), model.votes.len());
    let approved = model.grant_until.is_some() && model.emergency.is_none();
    assert_eq!(approval.approvers().len(), if approved { model.votes.len() } else { 0 });
    let step = match (&model.emergency, model.status) {
        (_, Status::Pending) => model.current_step(&model.votes),
        (Some(emergency), _) if emergency.accepted.is_none() => model.current_step(&emergency.votes),
        _ => None,
    };
    assert_eq!(approval.current_step(), step);
    assert_eq!(approval.review().is_some_and(|review| review.is_open()), model.has_open_review());
    status
}

/// What was recorded, written and read again, gives the state from the beginning.
fn assert_history_gives_the_state(request: &Request) {
    let mut folded = Approval::default();
    for event in &request.events {
        let text = serde_json::to_string(event).unwrap();
        folded.apply(serde_json::from_str(&text).unwrap());
    }
    assert_eq!(folded, request.approval);
}

/// The seeds of the runs: one that was asked for, or these.
fn seeds() -> Vec<u64> {
    match std::env::var("DAYBOOK_MACHINE_SEED") {
        Ok(text) => vec![text.parse().unwrap()],
        Err(_) => vec![20_261_121, 1, 2, 3],
    }
}

fn run(seed: u64, lie: Option<Lie>) -> Run {
    println!("DAYBOOK_MACHINE_SEED={seed}");
    let mut run = Run::new(seed);
    run.people.lie = lie;
    for _ in 0..STEPS {
        run.step();
    }
    run.requests.iter().for_each(assert_history_gives_the_state);
    run
}

#[test]
fn nothing_that_must_never_happen_happens_in_100_000_steps() {
    for seed in seeds() {
        assert_everything_was_seen(&run(seed, None));
    }
}

fn assert_everything_was_seen(run: &Run) {
    let statuses: BTreeSet<&str> = ApprovalStatus::WORDS.iter().copied().collect();
    assert_eq!(run.statuses, statuses, "a status was not reached");
    let refusals: BTreeSet<&str> = run.refusals.keys().copied().collect();
    let not_provoked: BTreeSet<&str> = NOT_PROVOKED.iter().map(|(code, _)| *code).collect();
    let provoked: BTreeSet<&str> =
        ApprovalError::CODES.iter().copied().filter(|code| !not_provoked.contains(code)).collect();
    assert_eq!(refusals, provoked, "a refusal was not seen, or is said not to be");
    let happened: BTreeSet<&str> = run.events.keys().copied().collect();
    let described = daybook_domain::catalogue().iter().filter(|event| event.stream_type == Approval::TYPE);
    assert_eq!(happened, described.map(|event| event.event_type).collect(), "an event never happened");
    // A run in which little comes to its end shows little.
    for event in ["approval.approved", "approval.consumed", "approval.glass_broken", "approval.review_closed"] {
        assert!(run.events[event] > 50, "{event} happened too seldom");
    }
}

/// The checks can fail: where commands lie about people, the model sees what must never happen.
#[test]
fn the_model_notices_what_comes_of_lies_about_people() {
    for (lie, noticed) in [
        (Lie::NobodyHasTwoAccounts, "whoever asks or broke the glass voted|somebody is counted twice"),
        (Lie::NobodyStoodIn, "a delegate of whoever asks or broke the glass voted"),
        (Lie::NobodyIsBarred, "a vote was handed on by a delegate of whoever asks or broke the glass"),
        (Lie::ProgramsArePeople, "a program or an inactive account voted"),
        (Lie::EverybodyIsActive, "a program or an inactive account voted"),
        (
            Lie::EverybodyIsEverything,
            "a vote that the model does not allow|a vote in another seat|broken without a right to",
        ),
    ] {
        let panic = std::panic::catch_unwind(|| run(7, Some(lie)).now).expect_err("the lie was not noticed");
        let message = panic.downcast_ref::<String>().cloned();
        let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap();
        assert!(noticed.split('|').any(|text| message.contains(text)), "{lie:?}: {message}");
    }
}
