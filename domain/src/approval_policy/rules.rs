//! Which terms hold for one request: the first rule that fits, of those that an organisation defined or those that are
//! built in.

use super::ApprovalPolicyError;
use super::terms::{BreakGlass, Clause, Electorate, EscalationRule, MAX_RULES, PolicyInForce, Rule, Step, Terms};
use crate::approval::{ActionType, ApprovalError, KnownAction};
use crate::money::Money;
use crate::names::{Label, RoleName};
use crate::text::InvalidField;

const HOUR: u64 = 60 * 60;
/// Roles that decide on what is nobody's secret.
const MANY: &[&str] = &["owner", "admin", "compliance", "analyst"];
/// Roles that decide on what is about people, about rules, or cannot be undone.
const FEW: &[&str] = &["owner", "admin", "compliance"];
/// Roles to which everything is escalated, and which may break the glass.
const LEADERS: &[&str] = &["owner", "admin"];
/// The label of an erasure of somebody who owns the organisation.
const OWNER_LABEL: &str = "owner";

/// Whether a policy may have these rules: each keeps the bounds, and the last holds for everything that no other does.
pub fn check_rules(pointer: &str, rules: &[Rule]) -> Result<(), InvalidField> {
    if rules.is_empty() || rules.len() > MAX_RULES {
        return Err(InvalidField::new(pointer, format!("must be 1 to {MAX_RULES} rules")));
    }
    for (index, rule) in rules.iter().enumerate() {
        let rule_pointer = format!("{pointer}/{index}");
        rule.terms.check(&format!("{rule_pointer}/terms"))?;
        if let (Some(least), Some(below)) = (&rule.amount_at_least, &rule.amount_below) {
            let is_band = least.currency() == below.currency() && size(least) < size(below);
            if !is_band {
                let detail = "must be more than amount_at_least, in the same currency";
                return Err(InvalidField::new(format!("{rule_pointer}/amount_below"), detail));
            }
        }
        let is_last = index + 1 == rules.len();
        if is_last && rule.has_condition() {
            return Err(InvalidField::new(rule_pointer, "is the last rule and must hold without a condition"));
        }
    }
    Ok(())
}

/// What every policy of an action that is about the rules themselves, or cannot be undone, keeps to: somebody is asked,
/// nobody does it alone, and about an owner's erasure an owner is asked.
pub(super) fn check_guarded(action: &ActionType, rules: &[Rule]) -> Result<(), ApprovalPolicyError> {
    let known = action.known();
    let guarded = [
        KnownAction::ApprovalPolicyChange,
        KnownAction::RuleChange,
        KnownAction::ErasurePerform,
        KnownAction::RetentionChange,
    ];
    if !known.is_some_and(|known| guarded.contains(&known)) {
        return Ok(());
    }
    if rules.iter().any(|rule| rule.terms.steps.is_empty()) {
        return Err(ApprovalPolicyError::StepRequired { action: action.clone() });
    }
    if rules.iter().any(|rule| rule.terms.break_glass.is_some()) {
        return Err(ApprovalPolicyError::NoBreakGlass { action: action.clone() });
    }
    // What has no amount could not be asked for any more, the policy's own change included.
    if rules.iter().any(|rule| rule.amount_at_least.is_some() || rule.amount_below.is_some()) {
        return Err(ApprovalPolicyError::NoAmount { action: action.clone() });
    }
    let owner = Electorate::Role(RoleName::owner());
    let is_of_owners = |rule: &Rule| {
        let mut called = rule.terms.escalation.iter().flat_map(|link| &link.to);
        let is_labelled = rule.label.as_ref().is_some_and(|label| label.as_str() == OWNER_LABEL);
        is_labelled && rule.terms.steps.iter().all(asks_an_owner) && called.all(|electorate| *electorate == owner)
    };
    if known == Some(KnownAction::ErasurePerform) && !rules.first().is_some_and(is_of_owners) {
        return Err(ApprovalPolicyError::OwnerRule);
    }
    Ok(())
}

/// Whether a clause of the step can be fulfilled by owners alone.
fn asks_an_owner(step: &Step) -> bool {
    let owner = Electorate::Role(RoleName::owner());
    step.clauses.iter().any(|clause| clause.from.iter().all(|electorate| *electorate == owner))
}

/// The terms for an action with this amount and label: those of the first rule that fits. Where a rule depends on the
/// amount, the action must have one, in a currency that a rule names: else nobody could say which of them fits, and
/// whoever asks would choose the weakest.
pub fn in_force(
    version: u64,
    rules: &[Rule],
    amount: Option<Money>,
    label: Option<&Label>,
) -> Result<PolicyInForce, ApprovalError> {
    let limits: Vec<&Money> =
        rules.iter().flat_map(|rule| [&rule.amount_at_least, &rule.amount_below]).flatten().collect();
    let is_named = |amount: Money| limits.iter().any(|limit| limit.currency() == amount.currency());
    if !limits.is_empty() && !amount.is_some_and(is_named) {
        return Err(ApprovalError::AmountRequired);
    }
    Ok(first_fitting(version, rules, amount, label))
}

fn first_fitting(version: u64, rules: &[Rule], amount: Option<Money>, label: Option<&Label>) -> PolicyInForce {
    let fitting = (0..).zip(rules).find(|(_, rule)| rule.fits(amount, label));
    match fitting {
        Some((index, rule)) => PolicyInForce { version, rule: index, terms: rule.terms.clone() },
        // Rules that fit nothing were never accepted. If there were such, the strictest terms that are built in hold.
        None => PolicyInForce { version, rule: u32::MAX, terms: one_vote(&[OWNER_LABEL]) },
    }
}

/// The rules for an action for which none were defined.
pub fn built_in(action: &ActionType) -> Vec<Rule> {
    let emergency =
        Some(BreakGlass { who: electorates(LEADERS), grant_seconds: HOUR, review_within_seconds: 72 * HOUR });
    let always = |terms: Terms| Rule { amount_at_least: None, amount_below: None, label: None, terms };
    match action.known() {
        Some(KnownAction::ErasurePerform) => {
            let owner_only = Label::parse("", OWNER_LABEL).ok();
            // Nobody else is called in their place.
            let of_owners = Terms { escalation: Vec::new(), ..one_vote(&[OWNER_LABEL]) };
            vec![Rule { label: owner_only, ..always(of_owners) }, always(one_vote(FEW))]
        }
        Some(KnownAction::ApprovalPolicyChange | KnownAction::RuleChange | KnownAction::RetentionChange) => {
            vec![always(one_vote(FEW))]
        }
        Some(KnownAction::ExportUsers | KnownAction::ExportEntries | KnownAction::ExportEvidencePack) => {
            vec![always(Terms { break_glass: emergency, ..one_vote(FEW) })]
        }
        _ => vec![always(Terms { break_glass: emergency, ..one_vote(MANY) })],
    }
}

/// One vote of somebody with one of these roles, and nothing for emergencies.
fn one_vote(roles: &[&str]) -> Terms {
    Terms {
        steps: vec![Step { name: None, clauses: vec![Clause { votes: 1, from: electorates(roles) }] }],
        distinct_persons: true,
        decide_within_seconds: 72 * HOUR,
        grant_seconds: 24 * HOUR,
        escalation: vec![EscalationRule { after_seconds: 24 * HOUR, to: electorates(LEADERS), repeat_from: None }],
        break_glass: None,
    }
}

fn electorates(roles: &[&str]) -> Vec<Electorate> {
    roles.iter().filter_map(|role| RoleName::parse("", *role).ok()).map(Electorate::Role).collect()
}

/// How much is at stake, whatever the sign.
fn size(money: &Money) -> rust_decimal::Decimal {
    money.amount().decimal().abs()
}

impl Rule {
    fn has_condition(&self) -> bool {
        self.amount_at_least.is_some() || self.amount_below.is_some() || self.label.is_some()
    }

    fn fits(&self, amount: Option<Money>, label: Option<&Label>) -> bool {
        let in_currency = |limit: &Money| amount.filter(|amount| amount.currency() == limit.currency());
        let at_least = |limit: &Money| in_currency(limit).is_some_and(|amount| size(&amount) >= size(limit));
        let below = |limit: &Money| in_currency(limit).is_some_and(|amount| size(&amount) < size(limit));
        self.amount_at_least.as_ref().is_none_or(at_least)
            && self.amount_below.as_ref().is_none_or(below)
            && self.label.as_ref().is_none_or(|wanted| label == Some(wanted))
    }
}
