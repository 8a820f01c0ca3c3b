//! Random commands from random people, and whether the model says that they succeed.

use std::collections::BTreeMap;

use daybook_domain::approval::{
    Action, ApprovalCommand, Decision, KnownAction, Requester, SYSTEM, SignatureAlgorithm, VoidReason, VoteSignature,
};
use daybook_domain::names::Word;
use daybook_domain::personal::PersonalText;
use daybook_domain::text::{ActorId, Line, Paragraph, Reason, RemarkId};
use daybook_domain::{ActionType, ApprovalId};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::follow::Facts;
use crate::model::{Ballot, Model, Status};
use crate::people::{People, time};
use crate::policies::{Policy, electorates, includes, some};

pub const ACTIONS: &[KnownAction] =
    &[KnownAction::ExportTransactions, KnownAction::AgentRemediation, KnownAction::ErasurePerform];
const CONTENTS: u32 = 9;

/// Everything that a random command is made of.
pub struct Scene<'a> {
    pub people: &'a People,
    /// The policy of each of [`ACTIONS`].
    pub policies: &'a [Policy],
    pub now: u64,
}

/// A command, what the model needs to follow it, and whether it says that the command succeeds.
pub struct Attempt {
    pub command: ApprovalCommand,
    pub facts: Facts,
    pub succeeds: bool,
}

fn reason() -> Reason {
    Reason::parse("", "Because").unwrap()
}

fn kind_of(content: u32) -> usize {
    usize::try_from(content).unwrap() % ACTIONS.len()
}

pub fn action(content: u32) -> Action {
    let parameters = BTreeMap::from([("content".to_owned(), content.to_string())]);
    let kind: ActionType = ACTIONS[kind_of(content)].into();
    let about = Word::parse("", kind.resource_type()).unwrap();
    let one = Line::parse("", "one").unwrap();
    Action { parameters, ..Action::plain(kind, about, one.clone(), one) }
}

impl Scene<'_> {
    fn facts(&self) -> Facts {
        Facts::at(self.now)
    }

    fn attempt(&self, command: ApprovalCommand, succeeds: bool) -> Attempt {
        Attempt { command, facts: self.facts(), succeeds }
    }

    /// A request that is new to the model.
    pub fn request(&self, rng: &mut ChaCha8Rng) -> (ApprovalCommand, Model) {
        let content = rng.random_range(0..CONTENTS);
        let requester = self.people.any_account(rng);
        let policy = self.policies[kind_of(content)].clone();
        let model = Model {
            requester,
            requester_person: self.people.account_of(&self.people.person_of(requester).id),
            content,
            revision: 1,
            policy,
            status: Status::Draft,
            made: self.now,
            written: self.now,
            submitted: 0,
            decide_by: 0,
            grant_until: None,
            votes: Vec::new(),
            calls: Vec::new(),
            emergency: None,
            execution: None,
            comments: Vec::new(),
        };
        (self.request_of(&model, content, rng.random_bool(0.85)), model)
    }

    fn request_of(&self, model: &Model, content: u32, submit: bool) -> ApprovalCommand {
        ApprovalCommand::Request {
            approval_id: ApprovalId::parse("", "apr_1").unwrap(),
            action: Box::new(action(content)),
            requester: Requester {
                actor: self.people.accounts[model.requester].id.clone(),
                person: self.people.accounts[model.requester_person].id.clone(),
                required_permissions: Vec::new(),
            },
            reason: None,
            policy: model.policy.in_force(self.people),
            submit,
            at: time(self.now),
        }
    }

    /// Any command to a request that was made.
    pub fn command(&self, model: &Model, first_content: u32, rng: &mut ChaCha8Rng) -> Attempt {
        if model.status == Status::Draft && rng.random_bool(0.3) {
            return self.submit(model, rng);
        }
        if model.has_open_review() && rng.random_bool(0.4) {
            return self.review(model, rng);
        }
        match rng.random_range(0..100) {
            0..40 => self.vote(model, rng),
            40..44 => self.withdraw_vote(model, rng),
            44..47 => self.comment(model, rng),
            47..49 => self.assign(model, rng),
            49..53 => self.escalate(model, rng),
            53..55 => self.withdraw(model, rng),
            55..69 => self.attempt(ApprovalCommand::Tick { at: time(self.now) }, true),
            69..83 => self.consume(model, rng),
            83..84 => self.void(model, rng),
            84..90 => self.break_glass(model, rng),
            90..93 => self.revise(model, rng),
            93..94 => self.submit(model, rng),
            94..96 => self.review(model, rng),
            _ => {
                let content = if rng.random_bool(0.5) { first_content } else { rng.random_range(0..CONTENTS) };
                self.attempt(self.request_of(model, content, true), content == first_content)
            }
        }
    }

    /// An account that could vote as the model sees it, or any.
    fn voting_account(&self, model: &Model, review: bool, rng: &mut ChaCha8Rng) -> usize {
        let accounts: Vec<usize> = (0..self.people.accounts.len()).collect();
        let may = |account: &&usize| model.seat(**account, None, review, self.people, self.now).is_some();
        let able: Vec<&usize> = if rng.random_bool(0.4) { accounts.iter().filter(may).collect() } else { Vec::new() };
        able.choose(rng).map_or_else(|| self.people.any_account(rng), |account| **account)
    }

    fn vote(&self, model: &Model, rng: &mut ChaCha8Rng) -> Attempt {
        let account = self.voting_account(model, false, rng);
        let absent = self.people.absent_for(self.people.accounts[account].person, self.now);
        let behalf = if !rng.random_bool(0.2) {
            None
        } else {
            Some(absent.choose(rng).map_or_else(|| self.people.any_account(rng), |stand_in| stand_in.from))
        };
        let revision = match rng.random_range(0..10) {
            0..4 => None,
            4..9 => Some(model.revision),
            _ => Some(model.revision.saturating_sub(1)),
        };
        let seat = model.seat(account, behalf, false, self.people, self.now);
        let succeeds = seat.is_some() && revision.is_none_or(|revision| revision == model.revision);
        let command = ApprovalCommand::Vote {
            voter: self.people.voter(account, &model.kept_out(false), model.made, self.now),
            decision: if rng.random_bool(0.9) { Decision::Approve } else { Decision::Reject },
            reason: None,
            on_behalf_of: behalf.map(|account| self.people.accounts[account].id.clone()),
            revision,
            signature: rng.random_bool(0.1).then(signature),
            at: time(self.now),
        };
        Attempt { command, facts: Facts { seat, ..self.facts() }, succeeds }
    }

    fn review(&self, model: &Model, rng: &mut ChaCha8Rng) -> Attempt {
        let account = self.voting_account(model, true, rng);
        let seat = model.seat(account, None, true, self.people, self.now);
        let command = ApprovalCommand::Review {
            voter: self.people.voter(account, &model.kept_out(true), model.made, self.now),
            decision: if rng.random_bool(0.8) { Decision::Approve } else { Decision::Reject },
            reason: None,
            at: time(self.now),
        };
        let succeeds = seat.is_some();
        Attempt { command, facts: Facts { seat, ..self.facts() }, succeeds }
    }

    fn is_pending(&self, model: &Model) -> bool {
        model.status == Status::Pending && self.now < model.decide_by
    }

    /// Whether it is a draft, pending or approved, and in time.
    fn is_undone(&self, model: &Model) -> bool {
        let granted = model.status == Status::Approved && model.grant_until.is_some_and(|until| self.now < until);
        self.is_live_draft(model) || self.is_pending(model) || granted
    }

    fn is_live_draft(&self, model: &Model) -> bool {
        model.status == Status::Draft && self.now < model.submit_until()
    }

    fn withdraw_vote(&self, model: &Model, rng: &mut ChaCha8Rng) -> Attempt {
        let any = self.people.person_of(self.people.any_account(rng)).id.clone();
        let person = model.votes.choose(rng).map_or(any, |vote| vote.recorded.clone());
        let has_vote = |vote: &Ballot| vote.recorded == person;
        let succeeds = self.is_pending(model) && model.votes.iter().any(has_vote);
        self.attempt(ApprovalCommand::WithdrawVote { person, at: time(self.now) }, succeeds)
    }

    fn comment(&self, model: &Model, rng: &mut ChaCha8Rng) -> Attempt {
        let number = rng.random_range(0..10);
        let command = ApprovalCommand::Comment {
            comment_id: RemarkId::parse("", number.to_string()).unwrap(),
            by: self.people.accounts[self.people.any_account(rng)].id.clone(),
            text: PersonalText::Clear(Paragraph::parse("", "Hm").unwrap()),
        };
        self.attempt(command, !model.comments.contains(&number))
    }

    fn assign(&self, model: &Model, rng: &mut ChaCha8Rng) -> Attempt {
        let [assignee, by] = [(); 2].map(|()| self.people.accounts[self.people.any_account(rng)].id.clone());
        self.attempt(ApprovalCommand::Assign { assignee, by, at: time(self.now) }, model.is_open())
    }

    fn escalate(&self, model: &Model, rng: &mut ChaCha8Rng) -> Attempt {
        let to = if rng.random_bool(0.9) { some(self.people, rng) } else { Vec::new() };
        let repeat_from = rng.random_bool(0.3).then(|| rng.random_range(0..4));
        let steps = u32::try_from(model.policy.steps.len()).unwrap();
        let is_step = repeat_from.is_none_or(|step| (1..=steps).contains(&step));
        let account = self.voting_account(model, false, rng);
        let voter = self.people.voter(account, &model.kept_out(false), model.made, self.now);
        let is_given = rng.random_bool(0.9);
        let widens = is_given && model.seat(account, None, false, self.people, self.now).is_some();
        let command = ApprovalCommand::Escalate {
            by: self.people.accounts[account].id.clone(),
            voter: is_given.then(|| Box::new(voter)),
            to: electorates(&to, self.people),
            repeat_from,
            reason: reason(),
            at: time(self.now),
        };
        let succeeds = self.is_pending(model) && !to.is_empty() && is_step;
        Attempt { command, facts: Facts { to, widens, ..self.facts() }, succeeds }
    }

    /// Somebody, mostly the requester; and whether it is.
    fn mostly_requester(&self, model: &Model, rng: &mut ChaCha8Rng) -> (ActorId, bool) {
        let account = if rng.random_bool(0.8) { model.requester_person } else { self.people.any_account(rng) };
        let is_requester = account == model.requester || account == model.requester_person;
        (self.people.accounts[account].id.clone(), is_requester)
    }

    fn withdraw(&self, model: &Model, rng: &mut ChaCha8Rng) -> Attempt {
        let (by, is_requester) = self.mostly_requester(model, rng);
        let succeeds = is_requester && (model.status == Status::Withdrawn || self.is_undone(model));
        self.attempt(ApprovalCommand::Withdraw { by, reason: None, at: time(self.now) }, succeeds)
    }

    fn submit(&self, model: &Model, rng: &mut ChaCha8Rng) -> Attempt {
        let (by, is_requester) = self.mostly_requester(model, rng);
        let succeeds = is_requester && (self.is_live_draft(model) || model.status == Status::Pending);
        self.attempt(ApprovalCommand::Submit { by, at: time(self.now) }, succeeds)
    }

    fn revise(&self, model: &Model, rng: &mut ChaCha8Rng) -> Attempt {
        let (by, is_requester) = self.mostly_requester(model, rng);
        let content = rng.random_range(0..CONTENTS);
        let policy = self.policies[kind_of(content)].clone();
        let command = ApprovalCommand::Revise {
            action: Box::new(action(content)),
            by,
            reason: None,
            policy: policy.in_force(self.people),
            at: time(self.now),
        };
        let succeeds = is_requester && self.is_undone(model) && model.emergency.is_none();
        Attempt { command, facts: Facts { revision: Some((content, policy)), ..self.facts() }, succeeds }
    }

    /// What is about to be done is what was approved, or not quite.
    fn consume(&self, model: &Model, rng: &mut ChaCha8Rng) -> Attempt {
        let content = if rng.random_bool(0.9) { model.content } else { rng.random_range(0..CONTENTS) };
        // The version that holds now, which may not be the one that was fulfilled.
        let version = self.policies[kind_of(model.content)].version;
        let allowed = rng.random_bool(0.9);
        let execution = rng.random_range(1..4);
        let (by, mut may) = self.mostly_requester(model, rng);
        let is_system = rng.random_bool(0.3);
        let by = if is_system { ActorId::parse("", SYSTEM).unwrap() } else { by };
        may |= is_system;
        let command = ApprovalCommand::Consume {
            digest: action(content).digest(),
            policy_version: version,
            requester_allowed: allowed,
            execution_id: Line::parse("", execution.to_string()).unwrap(),
            by,
            at: time(self.now),
        };
        let succeeds = may
            && match model.execution.filter(|_| model.status == Status::Consumed) {
                Some(before) => before == execution && content == model.content,
                None => {
                    let granted = model.status == Status::Approved && self.is_undone(model);
                    granted && content == model.content && version == model.policy.version && allowed
                }
            };
        Attempt {
            command,
            facts: Facts { execution: Some((content, version, allowed, execution)), ..self.facts() },
            succeeds,
        }
    }

    fn void(&self, model: &Model, rng: &mut ChaCha8Rng) -> Attempt {
        let why = *VoidReason::ALL.choose(rng).unwrap();
        let is_taken_back = model.status == Status::Consumed && why == VoidReason::BasisChanged;
        let is_undone = matches!(model.status, Status::Draft | Status::Pending | Status::Approved);
        let succeeds = is_undone || is_taken_back || model.status == Status::Voided;
        self.attempt(ApprovalCommand::Void { why, at: time(self.now) }, succeeds)
    }

    fn break_glass(&self, model: &Model, rng: &mut ChaCha8Rng) -> Attempt {
        let account = self.people.any_account(rng);
        let acting = &self.people.accounts[account];
        let glass = model.policy.glass.as_ref();
        let kept_out = model.kept_out(true);
        let may = glass.is_some_and(|glass| includes(&glass.who, account, self.people))
            && !self.people.is_let_in_by(account, &kept_out);
        let open_review = rng.random_bool(0.1);
        let succeeds = may && !open_review && !acting.is_program && acting.active && self.is_pending(model);
        let voter = self.people.voter(account, &kept_out, model.made, self.now);
        let at = time(self.now);
        let command = ApprovalCommand::BreakGlass { voter, has_open_review: open_review, reason: reason(), at };
        Attempt { command, facts: Facts { open_review, ..self.facts() }, succeeds }
    }
}

fn signature() -> VoteSignature {
    VoteSignature {
        algorithm: SignatureAlgorithm::Es256,
        public_key: "AAAA".to_owned(),
        signature: "AAAA".to_owned(),
        client_data: None,
        authenticator_data: None,
        credential_id: None,
    }
}
