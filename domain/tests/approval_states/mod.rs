//! Runs the approval machine through everything that a few people can do to one request, and notes where that leads.

use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::Aggregate;
use daybook_domain::approval::{Action, ApprovalCommand, Decision, KnownAction, Requester, VoidReason, Voter};
use daybook_domain::approval_policy::{BreakGlass, Clause, Electorate, EscalationRule, PolicyInForce, Step, Terms};
use daybook_domain::personal::PersonalText;
use daybook_domain::text::{ActorId, Line, Paragraph, Reason, RemarkId};
use daybook_domain::{Approval, ApprovalId, ApprovalStatus, Refusal, RoleName, Timestamp, Word};

/// Longest row of commands that is tried. Every status, and every one with an open review, is fewer steps away.
const DEPTH: usize = 6;

/// A command that did something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Transition {
    pub from: Option<ApprovalStatus>,
    pub command: &'static str,
    pub events: Vec<&'static str>,
    pub to: ApprovalStatus,
}

#[derive(Debug, Default)]
pub struct Explored {
    pub transitions: BTreeSet<Transition>,
    pub accepted: BTreeSet<(&'static str, ApprovalStatus)>,
    pub refusals: BTreeMap<(&'static str, ApprovalStatus), BTreeSet<&'static str>>,
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_795_255_200 + seconds) * 1_000_000).unwrap()
}

fn actor(id: &str) -> ActorId {
    ActorId::parse("", id).unwrap()
}

fn line(text: &str) -> Line {
    Line::parse("", text).unwrap()
}

fn admins() -> Vec<Electorate> {
    vec![Electorate::Role(RoleName::parse("", "admin").unwrap())]
}

/// Two votes of administrators, one link of escalation, and a glass to break; or nobody is asked.
fn policy(asks_nobody: bool) -> PolicyInForce {
    let step = Step { name: None, clauses: vec![Clause { votes: 2, from: admins() }] };
    let terms = Terms {
        steps: if asks_nobody { Vec::new() } else { vec![step] },
        distinct_persons: true,
        decide_within_seconds: 200,
        grant_seconds: 1_000,
        escalation: vec![EscalationRule { after_seconds: 100, to: admins(), repeat_from: None }],
        break_glass: Some(BreakGlass { who: admins(), grant_seconds: 1_000, review_within_seconds: 5_000 }),
    };
    PolicyInForce { version: 1, rule: 0, terms }
}

fn action(about: &str) -> Action {
    let word = Word::parse("", "transaction_export").unwrap();
    Action::plain(KnownAction::ExportTransactions.into(), word, line(about), line("Transactions"))
}

fn admin(id: &str) -> Voter {
    Voter {
        actor: actor(id),
        person: actor(id),
        accounts: Vec::new(),
        is_person: true,
        is_active: true,
        roles: vec![RoleName::parse("", "admin").unwrap()],
        departments: Vec::new(),
        stands_for: Vec::new(),
        is_delegate_of: Vec::new(),
        owed: Default::default(),
    }
}

fn request(submit: bool, asks_nobody: bool) -> ApprovalCommand {
    ApprovalCommand::Request {
        approval_id: ApprovalId::parse("", "apr_1").unwrap(),
        action: Box::new(action("first")),
        requester: Requester { actor: actor("usr_asks"), person: actor("usr_asks"), required_permissions: Vec::new() },
        reason: None,
        policy: policy(asks_nobody),
        submit,
        at: time(0),
    }
}

/// What is tried in every state, by the name of the command. All of it happens ten seconds after the request, but ticks.
fn commands() -> Vec<(&'static str, ApprovalCommand)> {
    let (by, at, reason) = (actor("usr_asks"), time(10), None);
    let because = Reason::parse("", "Because").unwrap();
    let revise = |asks_nobody| ApprovalCommand::Revise {
        action: Box::new(action("second")),
        by: by.clone(),
        reason: None,
        policy: policy(asks_nobody),
        at,
    };
    let vote = |id: &str, decision| ApprovalCommand::Vote {
        voter: admin(id),
        decision,
        reason: None,
        on_behalf_of: None,
        revision: None,
        signature: None,
        at,
    };
    let review = |id: &str, decision| ApprovalCommand::Review { voter: admin(id), decision, reason: None, at };
    let consume = |about: &str| ApprovalCommand::Consume {
        digest: action(about).digest(),
        policy_version: 1,
        requester_allowed: true,
        execution_id: line("one"),
        by: by.clone(),
        at,
    };
    let text = PersonalText::Clear(Paragraph::parse("", "Hm").unwrap());
    let comment_id = RemarkId::parse("", "cmt_1").unwrap();
    vec![
        ("Request", request(false, false)),
        ("Request", request(true, false)),
        ("Request", request(true, true)),
        ("Revise", revise(false)),
        ("Revise", revise(true)),
        ("Submit", ApprovalCommand::Submit { by: by.clone(), at }),
        ("Vote", vote("usr_a", Decision::Approve)),
        ("Vote", vote("usr_b", Decision::Approve)),
        ("Vote", vote("usr_b", Decision::Reject)),
        ("WithdrawVote", ApprovalCommand::WithdrawVote { person: actor("usr_a"), at }),
        ("Comment", ApprovalCommand::Comment { comment_id, by: by.clone(), text }),
        ("Assign", ApprovalCommand::Assign { assignee: actor("usr_a"), by: by.clone(), at }),
        (
            "Escalate",
            ApprovalCommand::Escalate {
                by: by.clone(),
                voter: None,
                to: admins(),
                repeat_from: None,
                reason: because.clone(),
                at,
            },
        ),
        ("Withdraw", ApprovalCommand::Withdraw { by: by.clone(), reason, at }),
        ("Tick", ApprovalCommand::Tick { at: time(150) }),
        ("Tick", ApprovalCommand::Tick { at: time(3_000) }),
        ("Tick", ApprovalCommand::Tick { at: time(9_000) }),
        ("Consume", consume("first")),
        ("Consume", consume("second")),
        ("Void", ApprovalCommand::Void { why: VoidReason::PolicyChanged, at }),
        ("Void", ApprovalCommand::Void { why: VoidReason::BasisChanged, at }),
        (
            "BreakGlass",
            ApprovalCommand::BreakGlass { voter: admin("usr_glass"), has_open_review: false, reason: because, at },
        ),
        ("Review", review("usr_a", Decision::Approve)),
        ("Review", review("usr_b", Decision::Approve)),
        ("Review", review("usr_b", Decision::Reject)),
    ]
}

/// From nothing, everything that [`commands`] can do in a row of [`DEPTH`].
pub fn explore() -> Explored {
    let mut explored = Explored::default();
    let mut seen = BTreeSet::new();
    let mut frontier = vec![Approval::default()];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for approval in &frontier {
            for (name, command) in commands() {
                next.extend(try_command(approval, name, command, &mut explored));
            }
        }
        // What was edited, said or escalated once is enough; more of it leads nowhere else.
        next.retain(|approval: &Approval| approval.revision() <= 2 && approval.escalation_level() <= 2);
        next.retain(|approval| seen.insert(serde_json::to_string(approval).unwrap()));
        frontier = next;
    }
    explored
}

/// The state after the command, if it did something that goes on from there.
fn try_command(
    approval: &Approval,
    name: &'static str,
    command: ApprovalCommand,
    explored: &mut Explored,
) -> Option<Approval> {
    let from = approval.status();
    let events = match approval.decide(command) {
        Ok(events) => events,
        Err(refusal) => {
            if let Some(status) = from {
                explored.refusals.entry((name, status)).or_default().insert(refusal.code());
            }
            return None;
        }
    };
    if events.is_empty() {
        return None;
    }
    let names = events.iter().map(|event| event.name()).collect();
    let mut after = approval.clone();
    events.into_iter().for_each(|event| after.apply(event));
    let to = after.status().unwrap();
    explored.transitions.insert(Transition { from, command: name, events: names, to });
    if let Some(status) = from {
        explored.accepted.insert((name, status));
    }
    // What is said about a request does not change what can be done with it.
    (!matches!(name, "Comment" | "Assign")).then_some(after)
}
