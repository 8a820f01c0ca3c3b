//! Which terms held for a request: the first rule that fits of the version that was in force.

use std::collections::HashMap;

use super::payloads::{Action, Money, PolicyInForce, Rule, Terms};
use super::people::SETTLING;

#[derive(Debug)]
struct Version {
    number: u64,
    recorded_at: u64,
    /// None where the built-in rules hold.
    rules: Option<Vec<Rule>>,
}

/// The versions of all policies.
#[derive(Debug, Default)]
pub(super) struct Policies(HashMap<String, Vec<Version>>);

impl Policies {
    pub(super) fn set(&mut self, action: &str, number: u64, rules: Option<Vec<Rule>>, recorded_at: u64) {
        self.0.entry(action.to_owned()).or_default().push(Version { number, recorded_at, rules });
    }

    /// A later version of a policy that everybody must know of at that time.
    pub(super) fn later_than(&self, action: &str, version: u64, now: u64) -> Option<u64> {
        let versions = self.0.get(action).map(Vec::as_slice).unwrap_or_default();
        let later =
            versions.iter().find(|other| other.number > version && other.recorded_at.saturating_add(SETTLING) <= now);
        later.map(|later| later.number)
    }

    /// What is wrong with the policy that a request was recorded with, if anything is.
    pub(super) fn wrong(&self, action: &Action, policy: &PolicyInForce, now: u64) -> Option<String> {
        let versions = self.0.get(&action.action).map(Vec::as_slice).unwrap_or_default();
        if let Some(later) = self.later_than(&action.action, policy.version, now) {
            return Some(format!("it is under version {}, while version {later} held", policy.version));
        }
        let rules = match versions.iter().find(|version| version.number == policy.version) {
            Some(version) => version.rules.as_deref(),
            None if policy.version == 0 => None,
            None => return Some(format!("no version {} of the policy was defined before", policy.version)),
        };
        let Some(rules) = rules else {
            // What is built in is the program's; it never lets anything through without a vote.
            let asks = |terms: &Terms| terms.steps.iter().flat_map(|step| &step.clauses).any(|clause| clause.votes > 0);
            return (!asks(&policy.terms))
                .then(|| "it is under the built-in policy, and asks nobody: the built-in one always does".to_owned());
        };
        if let Some(why) = wants_an_amount(rules, action) {
            return Some(why);
        }
        let fitting = rules.iter().position(|rule| fits(rule, action));
        if fitting != Some(policy.rule) {
            return Some(format!(
                "it is under rule {} of version {}, which does not hold for it",
                policy.rule, policy.version
            ));
        }
        let same = rules.get(policy.rule).is_some_and(|rule| rule.terms == policy.terms);
        (!same).then(|| format!("its terms are not those of rule {} of version {}", policy.rule, policy.version))
    }
}

/// Where a rule depends on the amount, whoever says none, or one in another currency, would choose the rule.
fn wants_an_amount(rules: &[Rule], action: &Action) -> Option<String> {
    let mut limits = rules.iter().flat_map(|rule| [&rule.amount_at_least, &rule.amount_below]).flatten().peekable();
    limits.peek()?;
    let amount = action.amount.as_ref();
    let is_named = amount.is_some_and(|amount| limits.any(|limit| limit.currency == amount.currency));
    (!is_named).then(|| "its rules depend on an amount, and it states none in a currency that they name".to_owned())
}

fn fits(rule: &Rule, action: &Action) -> bool {
    let against = |limit: &Money| {
        let amount = action.amount.as_ref().filter(|amount| amount.currency == limit.currency)?;
        Some((units(&amount.amount)?.abs(), units(&limit.amount)?.abs()))
    };
    let at_least = |limit: &Money| against(limit).is_some_and(|(amount, limit)| amount >= limit);
    let below = |limit: &Money| against(limit).is_some_and(|(amount, limit)| amount < limit);
    rule.amount_at_least.as_ref().is_none_or(at_least)
        && rule.amount_below.as_ref().is_none_or(below)
        && rule.label.as_ref().is_none_or(|label| action.label.as_ref() == Some(label))
}

/// A decimal number in units of 10^-8. None where it has more digits than amounts have.
fn units(amount: &str) -> Option<i128> {
    let (whole, decimals) = amount.split_once('.').unwrap_or((amount, ""));
    if decimals.len() > 8 || whole.len() > 20 {
        return None;
    }
    format!("{whole}{decimals:0<8}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_compared_exactly() {
        assert_eq!(units("1.50"), units("1.5"));
        assert!(units("-999999999999999999.99999999") < units("0"));
        assert!(units("0.1") > units("0.09999999"));
        assert_eq!(units("1.123456789"), None);
        assert_eq!(units("x"), None);
    }
}
