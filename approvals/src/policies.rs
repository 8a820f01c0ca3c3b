//! Defining and retiring policies. Who must approve what is itself changed only with approval: of exactly these rules, in
//! the place of exactly those that hold now.

use std::collections::BTreeMap;

use daybook_domain::approval::{Action, ActionType, Change, KnownAction, MAX_CHANGES};
use daybook_domain::approval_policy::{
    ApprovalPolicy, ApprovalPolicyCommand, ApprovalPolicyError, Rule, built_in, check_policy, check_rules,
};
use daybook_domain::names::Word;
use daybook_domain::text::{InvalidField, Line, Paragraph, Reason};
use daybook_http_kit::{Principal, Problem};
use daybook_ledger::append::CommandRecord;
use daybook_ledger::commands::{CommandContext, CommandError, Outcome};
use daybook_ledger::{Appended, CommandKey, StreamKey};
use serde_json::Value;

use crate::electorates::check_named;
use crate::facts::actor_id;
use crate::gate::{Blocked, Gated, Grant, Needed, Passage};
use crate::problems::{invalid, refusal, refused};
use crate::service::{Approvals, recorded};

/// The permission that a change of policy takes besides the approval.
const MANAGE: &str = "approval_policy:manage";
/// Most differences that are told one by one.
const MAX_TOLD: usize = MAX_CHANGES;
/// Most characters of a rule that are shown in one piece.
const PIECE: usize = 9_000;

/// What a change that needs approval came to.
#[derive(Debug)]
pub enum Changed<A> {
    /// It was made.
    Done(Outcome<A>),
    /// It waits for a decision; the same call again afterwards makes it.
    Blocked(Blocked),
}

/// A change of a policy as it was asked for, and what it was decided on.
struct PolicyChange {
    action: Action,
    /// Version of the policy's stream that it is a change of.
    expected_version: u64,
    /// The rules; `None`: the built-in ones.
    rules: Option<Vec<Rule>>,
}

impl Approvals {
    /// Gives an action type rules of the organisation's own, once that is approved. Where they hold already nothing happens.
    pub async fn define_policy(
        &self,
        principal: &Principal,
        action: ActionType,
        rules: Vec<Rule>,
        reason: Reason,
        context: CommandContext,
    ) -> Result<Changed<ApprovalPolicy>, Problem> {
        check_rules("/rules", &rules).map_err(invalid)?;
        check_policy(&action, &rules).map_err(|error| refused(&error))?;
        self.change_policy(principal, action, Some(rules), reason, context).await
    }

    /// Goes back to the built-in rules of an action type, once that is approved.
    pub async fn retire_policy(
        &self,
        principal: &Principal,
        action: ActionType,
        reason: Reason,
        context: CommandContext,
    ) -> Result<Changed<ApprovalPolicy>, Problem> {
        self.change_policy(principal, action, None, reason, context).await
    }

    async fn change_policy(
        &self,
        principal: &Principal,
        action: ActionType,
        rules: Option<Vec<Rule>>,
        reason: Reason,
        context: CommandContext,
    ) -> Result<Changed<ApprovalPolicy>, Problem> {
        self.check_key(&context).await?;
        let state = self.state().await?;
        if let Some(rules) = &rules {
            check_named(&state, rules, self.0.development)?;
        }
        let record = state.policies.get(action.as_str());
        if record.is_some_and(|record| record.rules == rules) {
            let found = self.0.policies.load(action.as_str()).await.map_err(refusal)?;
            return found.map(Changed::Done).ok_or_else(|| refused(&NOT_FOUND));
        }
        if record.is_none() && rules.is_none() {
            return Err(refused(&NOT_FOUND));
        }
        let (version, now) = state.rules_of(&action);
        let change = PolicyChange {
            action: gated_action(&action, version, &now, rules.as_deref()).map_err(invalid)?,
            expected_version: record.map_or(0, |record| record.place.version),
            rules,
        };
        let gated = Gated {
            action: change.action.clone(),
            required_permissions: vec![Needed::everywhere(MANAGE)],
            reason: Some(reason.clone()),
            execution_id: format!("{action}/{}", version.saturating_add(1)),
            detail: "A change of an approval policy requires approval",
        };
        match self.pass(principal, gated, &context).await? {
            Passage::Blocked(blocked) => {
                self.keep_key(&context, &blocked).await?;
                Ok(Changed::Blocked(blocked))
            }
            Passage::Granted(grant) => {
                self.put_in_force(grant, principal, action, change, reason, context).await.map(Changed::Done)
            }
        }
    }

    /// Refuses an idempotency key that came with something else before, also where that waits for approval only.
    pub async fn check_key(&self, context: &CommandContext) -> Result<(), Problem> {
        let Some(key) = &context.command else { return Ok(()) };
        let ledger = self.ledger();
        for id in [key.id.clone(), waiting(key)] {
            let known = ledger.store().command(ledger.id(), &id).await;
            let known = known.map_err(|error| Problem::store_unavailable(&error))?;
            if known.is_some_and(|known| known.digest != key.digest) {
                return Err(refusal::<ApprovalPolicyError>(CommandError::CommandMismatch));
            }
        }
        Ok(())
    }

    /// Remembers what an idempotency key came with while that waits for approval. The key itself is for the change.
    pub async fn keep_key(&self, context: &CommandContext, blocked: &Blocked) -> Result<(), Problem> {
        let Some(key) = &context.command else { return Ok(()) };
        let approval = self.find(&blocked.approval_id).await?;
        let record = CommandRecord {
            digest: key.digest,
            stream: StreamKey::new("approval", approval.id.as_str()).map_err(|error| Problem::internal(&error))?,
            appended: Appended {
                first_position: approval.receipt.position.saturating_add(1),
                version: approval.version,
                receipt: approval.receipt,
                recorded_at: approval.recorded_at,
                replayed: true,
            },
        };
        let ledger = self.ledger();
        let kept = ledger.store().remember(ledger.id(), &waiting(key), record).await;
        kept.map_err(|error| Problem::store_unavailable(&error))
    }

    /// Makes the change that the grant is for.
    async fn put_in_force(
        &self,
        grant: Grant,
        principal: &Principal,
        action: ActionType,
        change: PolicyChange,
        reason: Reason,
        context: CommandContext,
    ) -> Result<Outcome<ApprovalPolicy>, Problem> {
        if !grant.covers(&change.action) {
            return Err(Problem::conflict("approval.digest_mismatch", "what is to be done is not what was approved"));
        }
        let by = actor_id(&principal.actor.id)?;
        let approval_id = grant.approval_id().clone();
        let id = action.as_str().to_owned();
        let command = match change.rules {
            Some(rules) => ApprovalPolicyCommand::Define { action, rules, by, reason, approval_id },
            None => ApprovalPolicyCommand::Retire { by, reason, approval_id },
        };
        let context = CommandContext { expected_version: Some(change.expected_version), ..context };
        let outcome = recorded(&self.0.policies, &id, command, context).await.map_err(refusal)?;
        self.0.directory.settle_at(outcome.receipt.position).await?;
        Ok(outcome)
    }
}

const NOT_FOUND: ApprovalPolicyError = ApprovalPolicyError::NotFound;

/// Under which id it is remembered what a key came with that waits for approval.
fn waiting(key: &CommandKey) -> String {
    format!("{}:approval", key.id)
}

/// What is approved: the rules as they will be, the version that they follow, and the difference for people to read.
fn gated_action(
    action: &ActionType,
    version: u64,
    now: &[Rule],
    rules: Option<&[Rule]>,
) -> Result<Action, InvalidField> {
    let kind = KnownAction::ApprovalPolicyChange;
    let summary = match rules {
        Some(_) => format!("Change who must approve {action}"),
        None => format!("Go back to the built-in policy of {action}"),
    };
    let after = rules.map_or_else(|| built_in(action), <[Rule]>::to_vec);
    let text =
        |rules: &[Rule]| serde_json::to_value(rules).map_err(|error| InvalidField::new("/rules", error.to_string()));
    let parameters = BTreeMap::from([
        ("action".to_owned(), action.to_string()),
        ("follows_version".to_owned(), version.to_string()),
        ("rules".to_owned(), if rules.is_some() { text(&after)?.to_string() } else { "built in".to_owned() }),
    ]);
    Action::new(
        kind.into(),
        Word::parse("/resource_type", kind.resource_type())?,
        Line::parse("/resource_id", action.as_str())?,
        parameters,
        changes(&text(now)?, &text(&after)?)?,
        Line::parse("/summary", summary)?,
        None,
        None,
    )
}

/// The differences between two lists of rules, one a value: `rule 1, steps 1, clauses 1, votes: 1 → 2`. Where there are too
/// many of them, every rule that differs as a whole. None is left out.
fn changes(before: &Value, after: &Value) -> Result<Vec<Change>, InvalidField> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    flatten("rule", before, &mut old);
    flatten("rule", after, &mut new);
    let mut fields: Vec<&String> = old.keys().chain(new.keys()).collect();
    fields.sort_unstable();
    fields.dedup();
    fields.retain(|field| old.get(*field) != new.get(*field));
    if fields.len() > MAX_TOLD {
        return whole_rules(before, after);
    }
    fields.iter().map(|field| change(field, old.get(*field), new.get(*field))).collect()
}

/// Every rule that differs, before and after, in as many pieces as it takes.
fn whole_rules(before: &Value, after: &Value) -> Result<Vec<Change>, InvalidField> {
    let rule = |rules: &Value, index: usize| rules.get(index).map(|rule| pieces(&rule.to_string())).unwrap_or_default();
    let count = |rules: &Value| rules.as_array().map_or(0, Vec::len);
    let mut told = Vec::new();
    for index in 0..count(before).max(count(after)) {
        let (old, new) = (rule(before, index), rule(after, index));
        if old == new {
            continue;
        }
        let of = old.len().max(new.len());
        for piece in 0..of {
            let part = if of > 1 { format!(", part {} of {of}", piece + 1) } else { String::new() };
            let field = format!("rule {}{part}", index + 1);
            told.push(change(&field, old.get(piece), new.get(piece))?);
        }
    }
    Ok(told)
}

fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(PIECE).map(|piece| piece.iter().collect()).collect()
}

fn change(field: &str, before: Option<&String>, after: Option<&String>) -> Result<Change, InvalidField> {
    Ok(Change {
        field: Line::parse("/changes", field)?,
        before: Paragraph::parse_optional("/changes", before.map(String::as_str))?,
        after: Paragraph::parse_optional("/changes", after.map(String::as_str))?,
    })
}

/// Every value that is not made of others, under the way to it. Places in lists count from 1.
fn flatten(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{path} {}", index + 1), item, found);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                flatten(&format!("{path}, {name}"), member, found);
            }
        }
        Value::String(text) => {
            found.insert(path.to_owned(), text.clone());
        }
        Value::Bool(_) | Value::Number(_) => {
            found.insert(path.to_owned(), value.to_string());
        }
    }
}
