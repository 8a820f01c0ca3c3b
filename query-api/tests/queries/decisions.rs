//! Requests for approval in a world, decided by whom a test says.

use daybook_domain::Timestamp;
use daybook_domain::approval::{
    Action, ActionType, Approval, ApprovalCommand, Decision, KnownAction, Requester, Voter,
};
use daybook_domain::approval_policy::{PolicyInForce, built_in, in_force};
use daybook_domain::names::{ApprovalId, RoleName, Word};
use daybook_domain::text::{ActorId, Line, Reason};
use daybook_http_kit::IdentityConfig;
use daybook_ledger::commands::{CommandContext, Commands};
use daybook_ledger::cqrs::StreamPolicy;
use daybook_ledger::{Actor, LedgerId};

use crate::world::{STARTED_US, World};

pub const HOUR: i64 = 3_600_000_000;

/// So many hours after the world's clock started.
pub fn at(hours: i64) -> Timestamp {
    Timestamp::from_micros(STARTED_US + hours * HOUR).unwrap()
}

pub fn actor(id: &str) -> ActorId {
    ActorId::parse("", id).unwrap()
}

/// The id under which somebody of the development headers acts.
pub fn developer(email: &str) -> String {
    IdentityConfig::new(None, true).developer(email, "admin", LedgerId::main()).unwrap().actor.id
}

pub struct Decisions<'w> {
    world: &'w World,
    commands: Commands<Approval>,
}

impl<'w> Decisions<'w> {
    pub fn of(world: &'w World) -> Self {
        let policy = StreamPolicy { holds_personal_data: true, ..StreamPolicy::default() };
        Self { world, commands: Commands::new(world.ledger.clone(), policy) }
    }

    pub async fn execute(&self, id: &str, by: &str, command: ApprovalCommand) -> u64 {
        let outcome = self.commands.execute(id, command, CommandContext::new(Actor::human(by))).await.unwrap();
        self.world.catch_up().await;
        outcome.receipt.position
    }

    /// Asks for approval under the built-in policy.
    pub async fn open(&self, id: &str, known: KnownAction, by: &str, hours: i64) -> u64 {
        self.open_under(id, known, by, hours, |_| {}).await
    }

    /// Asks for approval under the built-in policy with a change.
    pub async fn open_under(
        &self,
        id: &str,
        known: KnownAction,
        by: &str,
        hours: i64,
        change: impl FnOnce(&mut PolicyInForce),
    ) -> u64 {
        let action = ActionType::from(known);
        let word = Word::parse("", action.resource_type()).unwrap();
        let line = |text: &str| Line::parse("", text).unwrap();
        let mut policy = in_force(0, &built_in(&action), None, None).unwrap();
        change(&mut policy);
        let mut action = Action::plain(action, word, line(&format!("of-{id}")), line("What is to be done"));
        action.parameters.insert("format".to_owned(), "csv".to_owned());
        let command = ApprovalCommand::Request {
            approval_id: ApprovalId::parse("", id).unwrap(),
            action: Box::new(action),
            requester: Requester { actor: actor(by), person: actor(by), required_permissions: Vec::new() },
            reason: Some(Reason::parse("", "For the audit").unwrap()),
            policy,
            submit: true,
            at: at(hours),
        };
        self.execute(id, by, command).await
    }

    /// Votes as an administrator.
    pub async fn vote(&self, id: &str, by: &str, decision: Decision, hours: i64) -> u64 {
        let command = ApprovalCommand::Vote {
            voter: voter(by),
            decision,
            reason: Some(Reason::parse("", "Because").unwrap()),
            on_behalf_of: None,
            revision: None,
            signature: None,
            at: at(hours),
        };
        self.execute(id, by, command).await
    }
}

pub fn voter(id: &str) -> Voter {
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
