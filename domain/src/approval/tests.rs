//! What was done before, a command, and the events or the refusal it leads to: every rule by its name.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod actions;
mod delegations;
mod emergencies;
mod escalations;
mod executing;
mod requesting;
mod signatures;
mod voting;

use std::collections::BTreeMap;

use super::*;
use crate::approval_policy::{BreakGlass, Clause, Electorate, EscalationRule, Step, Terms};
use crate::names::{DelegationId, Word};
use crate::testing::{actor, assert_state_survives_storing, line, microseconds_ahead, reason, role};
use crate::text::Line;

/// The time to decide, in seconds.
const DECIDE: u64 = 1_000;
/// How long a grant lasts, in seconds.
const GRANT: u64 = 500;

/// So many seconds after the request.
fn at(seconds: i64) -> Timestamp {
    microseconds_ahead(seconds * 1_000_000)
}

fn approval_id() -> ApprovalId {
    ApprovalId::parse("", "apr_1").unwrap()
}

fn export(currency: &str) -> Action {
    Action {
        parameters: BTreeMap::from([("currency".to_owned(), currency.to_owned())]),
        ..Action::plain(
            KnownAction::ExportTransactions.into(),
            Word::parse("", "transaction_export").unwrap(),
            line("exp_1"),
            line("Transactions"),
        )
    }
}

fn requester() -> Requester {
    Requester { actor: actor("key_program"), person: actor("usr_asks"), required_permissions: Vec::new() }
}

fn from(roles: &[&str]) -> Vec<Electorate> {
    roles.iter().map(|name| Electorate::Role(role(name))).collect()
}

fn clause(votes: u32, roles: &[&str]) -> Clause {
    Clause { votes, from: from(roles) }
}

fn terms(steps: Vec<Vec<Clause>>) -> Terms {
    Terms {
        steps: steps.into_iter().map(|clauses| Step { name: None, clauses }).collect(),
        distinct_persons: true,
        decide_within_seconds: DECIDE,
        grant_seconds: GRANT,
        escalation: Vec::new(),
        break_glass: None,
    }
}

/// One vote of an administrator.
fn one_vote() -> Terms {
    terms(vec![vec![clause(1, &["admin"])]])
}

/// Compliance first, then two administrators.
fn two_steps() -> Terms {
    terms(vec![vec![clause(1, &["compliance"])], vec![clause(2, &["admin"])]])
}

fn policy(terms: Terms) -> PolicyInForce {
    PolicyInForce { version: 3, rule: 0, terms }
}

/// A person with these roles.
fn voter(person: &str, roles: &[&str]) -> Voter {
    Voter {
        actor: actor(person),
        person: actor(person),
        accounts: Vec::new(),
        is_person: true,
        is_active: true,
        roles: roles.iter().map(|name| role(name)).collect(),
        departments: Vec::new(),
        stands_for: Vec::new(),
        is_delegate_of: Vec::new(),
        owed: Default::default(),
    }
}

fn admin(person: &str) -> Voter {
    voter(person, &["admin"])
}

fn delegator(person: &str, roles: &[&str]) -> Delegator {
    Delegator {
        delegation_id: DelegationId::parse("", "dlg_1").unwrap(),
        account: actor(person),
        is_barred: false,
        person: actor(person),
        accounts: Vec::new(),
        roles: roles.iter().map(|name| role(name)).collect(),
        departments: Vec::new(),
        owed: Default::default(),
    }
}

fn request(terms: Terms, submit: bool) -> ApprovalCommand {
    ApprovalCommand::Request {
        approval_id: approval_id(),
        action: Box::new(export("USD")),
        requester: requester(),
        reason: None,
        policy: policy(terms),
        submit,
        at: at(0),
    }
}

fn revise(currency: &str, terms: Terms, seconds: i64) -> ApprovalCommand {
    ApprovalCommand::Revise {
        action: Box::new(export(currency)),
        by: actor("usr_asks"),
        reason: None,
        policy: policy(terms),
        at: at(seconds),
    }
}

fn vote_at(voter: Voter, decision: Decision, seconds: i64) -> ApprovalCommand {
    let at = at(seconds);
    ApprovalCommand::Vote { voter, decision, reason: None, on_behalf_of: None, revision: None, signature: None, at }
}

fn approve(voter: Voter) -> ApprovalCommand {
    vote_at(voter, Decision::Approve, 10)
}

fn reject(voter: Voter) -> ApprovalCommand {
    vote_at(voter, Decision::Reject, 10)
}

fn withdraw_vote(person: &str) -> ApprovalCommand {
    ApprovalCommand::WithdrawVote { person: actor(person), at: at(11) }
}

/// The command of [`revise`] with a reason.
fn revise_because(text: &str, currency: &str, terms: Terms, seconds: i64) -> ApprovalCommand {
    let ApprovalCommand::Revise { action, by, policy, at, .. } = revise(currency, terms, seconds) else { panic!() };
    ApprovalCommand::Revise { action, by, reason: Some(reason(text)), policy, at }
}

fn withdraw(seconds: i64) -> ApprovalCommand {
    ApprovalCommand::Withdraw { by: actor("usr_asks"), reason: None, at: at(seconds) }
}

fn tick(seconds: i64) -> ApprovalCommand {
    ApprovalCommand::Tick { at: at(seconds) }
}

fn execution() -> Line {
    line("exp_1")
}

fn consume(currency: &str, seconds: i64) -> ApprovalCommand {
    ApprovalCommand::Consume {
        digest: export(currency).digest(),
        policy_version: 3,
        requester_allowed: true,
        execution_id: execution(),
        by: actor("usr_asks"),
        at: at(seconds),
    }
}

/// A request, and everything that happened to it.
#[derive(Clone)]
struct Story {
    approval: Approval,
    events: Vec<ApprovalEvent>,
}

impl Story {
    fn new() -> Self {
        Self { approval: Approval::default(), events: Vec::new() }
    }

    fn pending(terms: Terms) -> Self {
        Self::new().after(request(terms, true))
    }

    /// Gives the command, which must not be refused.
    fn after(mut self, command: ApprovalCommand) -> Self {
        let events = self.approval.decide(command.clone()).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        events.iter().cloned().for_each(|event| self.approval.fold(event));
        self.events.extend(events);
        assert_state_survives_storing(&self.approval);
        self
    }

    /// The names of the events that the command leads to, without the word before the point.
    fn leads_to(&self, command: ApprovalCommand) -> Vec<&'static str> {
        let events = self.approval.decide(command).unwrap();
        events.iter().map(|event| event.name().split_once('.').unwrap().1).collect()
    }

    #[track_caller]
    fn refuses(&self, command: ApprovalCommand, refusal: ApprovalError) {
        assert_eq!(self.approval.decide(command), Err(refusal));
    }

    fn status(&self) -> ApprovalStatus {
        self.approval.status().unwrap()
    }

    fn voters(&self) -> Vec<&str> {
        self.approval.votes().iter().map(|vote| vote.person.as_str()).collect()
    }
}

/// One request in every status, by its shortest way.
fn in_every_status() -> Vec<(ApprovalStatus, Story)> {
    let approved = Story::pending(one_vote()).after(approve(admin("usr_a")));
    let void = ApprovalCommand::Void { why: VoidReason::PolicyChanged, at: at(12) };
    vec![
        (ApprovalStatus::Draft, Story::new().after(request(one_vote(), false))),
        (ApprovalStatus::Pending, Story::pending(one_vote())),
        (ApprovalStatus::Approved, approved.clone()),
        (ApprovalStatus::Rejected, Story::pending(one_vote()).after(reject(admin("usr_a")))),
        (ApprovalStatus::Withdrawn, Story::pending(one_vote()).after(withdraw(5))),
        (ApprovalStatus::Expired, Story::pending(one_vote()).after(tick(1_000))),
        (ApprovalStatus::Consumed, approved.clone().after(consume("USD", 20))),
        (ApprovalStatus::Voided, approved.after(void)),
    ]
}

#[test]
fn every_status_is_reached_and_told_as_it_is() {
    let mut reached: Vec<ApprovalStatus> = Vec::new();
    for (status, story) in in_every_status() {
        assert_eq!(story.status(), status);
        let is_open = matches!(status, ApprovalStatus::Draft | ApprovalStatus::Pending | ApprovalStatus::Approved);
        assert_eq!(story.approval.is_open(), is_open, "{status}");
        reached.push(status);
    }
    assert_eq!(reached, ApprovalStatus::ALL);
}

#[test]
fn nothing_can_be_asked_of_a_request_that_is_not_there() {
    let story = Story::new();
    for command in [approve(admin("usr_a")), withdraw(1), tick(1), consume("USD", 1), withdraw_vote("usr_a")] {
        story.refuses(command, ApprovalError::NotFound);
    }
    assert_eq!(story.approval.eligibility(&admin("usr_a"), at(1)), Err(ApprovalError::NotFound));
    assert_eq!(story.approval.review_eligibility(&admin("usr_a")), Err(ApprovalError::NotFound));
    let events = Story::pending(one_vote()).after(approve(admin("usr_a"))).events;
    let strays: Vec<_> = events.into_iter().skip(1).collect();
    assert_eq!(crate::testing::fold::<Approval>(strays), Approval::default());
}

#[test]
fn a_second_request_among_the_events_changes_nothing() {
    let story = Story::pending(one_vote()).after(approve(admin("usr_a")));
    let mut approval = story.approval.clone();
    approval.fold(story.events[0].clone());
    assert_eq!(approval, story.approval);
}

#[test]
fn every_event_is_written_and_read_as_it_was() {
    for (_, story) in in_every_status() {
        for event in story.events {
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<ApprovalEvent>(&text).unwrap(), event);
        }
    }
}

fn with_glass(terms: Terms) -> Terms {
    let break_glass = BreakGlass { who: from(&["owner"]), grant_seconds: 60, review_within_seconds: 600 };
    Terms { break_glass: Some(break_glass), ..terms }
}

fn with_chain(terms: Terms, links: &[(u64, &[&str], Option<u32>)]) -> Terms {
    let escalation = links
        .iter()
        .map(|(after_seconds, to, repeat_from)| EscalationRule {
            after_seconds: *after_seconds,
            to: from(to),
            repeat_from: *repeat_from,
        })
        .collect();
    Terms { escalation, ..terms }
}
