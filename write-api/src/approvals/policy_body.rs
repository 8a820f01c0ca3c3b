//! The bodies with which policies and delegations are asked for.

use daybook_approvals::NewDelegation;
use daybook_domain::approval::ActionType;
use daybook_domain::approval_policy::{BreakGlass, Clause, Electorate, EscalationRule, Rule, Step, Terms};
use daybook_domain::names::{DepartmentId, Label, RoleName};
use daybook_domain::text::{ActorId, Line, Reason};
use daybook_domain::{InvalidField, Timestamp};
use daybook_http_kit::{ExactNumber, Problem};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::body::money;
use crate::faults::Faults;

/// Three days.
const DECIDE_WITHIN_SECONDS: u64 = 72 * 60 * 60;
/// One day.
const GRANT_SECONDS: u64 = 24 * 60 * 60;

/// Who has to agree to actions of a type.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalPolicyBody)]
pub struct PolicyBody {
    /// The rules in their order: the first that fits counts. The last one has no condition.
    #[schema(min_items = 1, max_items = 20)]
    pub rules: Vec<RuleBody>,
    /// Why: at most 2,000 characters.
    pub reason: String,
}

/// Why a policy is retired.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalPolicyRetireBody)]
pub struct RetireBody {
    /// Why: at most 2,000 characters.
    pub reason: Option<String>,
}

/// The same as a query parameter.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RetireParameters {
    /// Why; in the query or in the body.
    pub reason: Option<String>,
}

/// A rule: its conditions, and what it asks.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalRuleBody)]
pub struct RuleBody {
    /// It fits from this amount on.
    pub amount_at_least: Option<AmountBody>,
    /// It fits below this amount.
    pub amount_below: Option<AmountBody>,
    /// It fits what has this mark.
    pub label: Option<String>,
    /// What it asks.
    pub terms: TermsBody,
}

/// An amount.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalAmountBody)]
pub struct AmountBody {
    /// How much, as a string or a number.
    #[schema(value_type = String, example = "100000.00")]
    pub amount: ExactNumber,
    /// Of what.
    #[schema(example = "EUR")]
    pub currency: String,
}

/// What it takes until something may be done, and until when.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalTermsBody)]
pub struct TermsBody {
    /// At most 10 steps in their order. None: nobody is asked.
    #[schema(max_items = 10)]
    pub steps: Vec<StepBody>,
    /// Whether whoever voted in one step cannot vote in another. True where it is absent.
    pub distinct_persons: Option<bool>,
    /// How long there is to decide; 72 hours where it is absent.
    pub decide_within_seconds: Option<u64>,
    /// How long what was approved may be done; 24 hours where it is absent.
    pub grant_seconds: Option<u64>,
    /// Who may decide as well when nobody has: at most 10, in order.
    #[serde(default)]
    #[schema(value_type = Option<Vec<EscalationRuleBody>>, max_items = 10)]
    pub escalation: Vec<EscalationRuleBody>,
    /// Who may act before the votes are in; nobody where it is absent.
    pub break_glass: Option<BreakGlassBody>,
}

/// A step: all of its clauses must have their votes.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalStepBody)]
pub struct StepBody {
    /// What it is called.
    pub name: Option<String>,
    /// 1 to 10.
    #[schema(min_items = 1, max_items = 10)]
    pub clauses: Vec<ClauseBody>,
}

/// So many votes from among these.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalClauseBody)]
pub struct ClauseBody {
    /// 1 to 20.
    #[schema(minimum = 1, maximum = 20)]
    pub votes: u32,
    /// From whom: anybody of these, 1 to 20.
    #[schema(min_items = 1, max_items = 20)]
    pub from: Vec<ElectorateBody>,
}

/// Some of the organisation's people. Exactly one of the members is given.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalElectorateBody)]
pub struct ElectorateBody {
    /// Whoever has this role in the whole organisation.
    #[schema(example = "compliance")]
    pub role: Option<String>,
    /// Whoever has any role in the department of this id. Also taken as `group`.
    #[serde(alias = "group")]
    pub department: Option<String>,
    /// The person of this id.
    pub person: Option<String>,
}

/// Who may decide as well when nobody has.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalEscalationRuleBody)]
pub struct EscalationRuleBody {
    /// How long after submission, or after the escalation before it.
    pub after_seconds: u64,
    /// Who: 1 to 20.
    #[schema(min_items = 1, max_items = 20)]
    pub to: Vec<ElectorateBody>,
    /// The step that is done again, counted from 1.
    pub repeat_from: Option<u32>,
}

/// Who may act before the votes are in.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalBreakGlassBody)]
pub struct BreakGlassBody {
    /// Who: 1 to 20.
    #[schema(min_items = 1, max_items = 20)]
    pub who: Vec<ElectorateBody>,
    /// How long the grant is good for.
    pub grant_seconds: u64,
    /// How soon it must be reviewed.
    pub review_within_seconds: u64,
}

impl PolicyBody {
    /// The rules and why. Whether the rules make a policy, such as that the last one fits everything, the domain says.
    pub(super) fn policy(self) -> Result<(Vec<Rule>, Reason), Problem> {
        let mut faults = Faults::default();
        let mut checked = Vec::with_capacity(self.rules.len());
        for (index, body) in self.rules.into_iter().enumerate() {
            checked.extend(rule(&mut faults, &format!("/rules/{index}"), body));
        }
        let reason = faults.check(Reason::parse("/reason", self.reason));
        faults.none()?;
        reason.map(|reason| (checked, reason)).ok_or_else(|| faults.problem())
    }
}

fn rule(faults: &mut Faults, pointer: &str, body: RuleBody) -> Option<Rule> {
    let mut amount = |name: &str, body: Option<AmountBody>| {
        let mut own = Faults::default();
        let read = body.and_then(|body| money(&mut own, Some(body.amount), Some(body.currency)));
        faults.take_below(&format!("{pointer}/{name}"), own);
        read
    };
    let amount_at_least = amount("amount_at_least", body.amount_at_least);
    let amount_below = amount("amount_below", body.amount_below);
    let label = faults.check(Label::parse_optional(&format!("{pointer}/label"), body.label));
    let terms = terms(faults, &format!("{pointer}/terms"), body.terms);
    Some(Rule { amount_at_least, amount_below, label: label?, terms })
}

fn terms(faults: &mut Faults, pointer: &str, body: TermsBody) -> Terms {
    let steps = body.steps.into_iter().enumerate();
    let steps = steps.filter_map(|(index, body)| step(faults, &format!("{pointer}/steps/{index}"), body)).collect();
    let escalation = body.escalation.into_iter().enumerate();
    let escalation = escalation
        .map(|(index, body)| EscalationRule {
            after_seconds: body.after_seconds,
            to: electorates(faults, &format!("{pointer}/escalation/{index}/to"), body.to),
            repeat_from: body.repeat_from,
        })
        .collect();
    let break_glass = body.break_glass.map(|body| BreakGlass {
        who: electorates(faults, &format!("{pointer}/break_glass/who"), body.who),
        grant_seconds: body.grant_seconds,
        review_within_seconds: body.review_within_seconds,
    });
    Terms {
        steps,
        distinct_persons: body.distinct_persons.unwrap_or(true),
        decide_within_seconds: body.decide_within_seconds.unwrap_or(DECIDE_WITHIN_SECONDS),
        grant_seconds: body.grant_seconds.unwrap_or(GRANT_SECONDS),
        escalation,
        break_glass,
    }
}

fn step(faults: &mut Faults, pointer: &str, body: StepBody) -> Option<Step> {
    let name = faults.check(Line::parse_optional(&format!("{pointer}/name"), body.name));
    let clauses = body.clauses.into_iter().enumerate();
    let clauses = clauses
        .map(|(index, body)| Clause {
            votes: body.votes,
            from: electorates(faults, &format!("{pointer}/clauses/{index}/from"), body.from),
        })
        .collect();
    Some(Step { name: name?, clauses })
}

/// The electorates at `pointer`. What is wrong with them is kept in `faults`.
pub(super) fn electorates(faults: &mut Faults, pointer: &str, bodies: Vec<ElectorateBody>) -> Vec<Electorate> {
    let bodies = bodies.into_iter().enumerate();
    bodies.filter_map(|(index, body)| faults.check(electorate(&format!("{pointer}/{index}"), body))).collect()
}

fn electorate(pointer: &str, body: ElectorateBody) -> Result<Electorate, InvalidField> {
    match (body.role, body.department, body.person) {
        (Some(role), None, None) => Ok(Electorate::Role(RoleName::parse(&format!("{pointer}/role"), role)?)),
        (None, Some(id), None) => {
            Ok(Electorate::Department(DepartmentId::parse(&format!("{pointer}/department"), id)?))
        }
        (None, None, Some(id)) => Ok(Electorate::Person(ActorId::parse(&format!("{pointer}/person"), id)?)),
        _ => Err(InvalidField::new(pointer, "must have exactly one of role, department and person")),
    }
}

/// That somebody votes in the place of somebody else for a time.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DelegationBody)]
pub struct DelegationBody {
    /// Opaque id of who is stood in for: the caller, whether named or not.
    pub from: Option<String>,
    /// Opaque id of who stands in.
    pub to: String,
    /// From when, RFC 3339; at once where it is absent.
    pub starts_at: Option<String>,
    /// Until when, RFC 3339: at most 366 days.
    #[schema(example = "2026-12-31T00:00:00Z")]
    pub ends_at: String,
    /// For which types of actions; for all where there are none.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["export.transactions"]))]
    pub actions: Vec<String>,
    /// Why: at most 2,000 characters.
    pub reason: Option<String>,
}

impl DelegationBody {
    /// The delegation as it is to be given.
    pub(super) fn delegation(self) -> Result<NewDelegation, Problem> {
        let mut faults = Faults::default();
        let from = faults.check(ActorId::parse_optional("/from", self.from));
        let to = faults.check(ActorId::parse("/to", self.to));
        let starts_at = faults.check(Timestamp::parse_optional("/starts_at", self.starts_at.as_deref()));
        let ends_at = faults.check(Timestamp::parse("/ends_at", &self.ends_at));
        let actions = self.actions.into_iter().enumerate();
        let actions = actions
            .filter_map(|(index, word)| faults.check(ActionType::parse(&format!("/actions/{index}"), word)))
            .collect();
        let reason = faults.check(Reason::parse_optional("/reason", self.reason));
        faults.none()?;
        match (from, to, starts_at, ends_at, reason) {
            (Some(from), Some(to), Some(starts_at), Some(ends_at), Some(reason)) => {
                Ok(NewDelegation { from, to, starts_at, ends_at, actions, reason })
            }
            _ => Err(faults.problem()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde_json::json;

    use super::*;

    fn rules(rules: serde_json::Value) -> Result<Vec<Rule>, Problem> {
        let body = json!({"rules": rules, "reason": "as agreed"});
        let body: PolicyBody = daybook_http_kit::json::parse(body.to_string().as_bytes())?;
        body.policy().map(|(rules, _)| rules)
    }

    #[test]
    fn what_is_left_out_is_three_days_to_decide_and_one_to_act() {
        let read =
            rules(json!([{"terms": {"steps": [{"clauses": [{"votes": 1, "from": [{"role": "admin"}]}]}]}}])).unwrap();
        let terms = &read.first().unwrap().terms;
        assert_eq!((terms.decide_within_seconds, terms.grant_seconds), (259_200, 86_400));
        assert!(terms.distinct_persons && terms.break_glass.is_none() && terms.escalation.is_empty());
    }

    #[test]
    fn every_fault_of_a_policy_is_named_where_it_is() {
        let refusal = rules(json!([{
            "amount_at_least": {"amount": "1", "currency": "EURO"},
            "label": "No Word",
            "terms": {"steps": [{"name": "", "clauses": [
                {"votes": 1, "from": [{"role": "admin", "person": "usr_1"}, {}, {"department": "rates"}]},
            ]}]},
        }]))
        .unwrap_err();
        let pointers: Vec<_> = refusal.errors().iter().map(|error| error.pointer.as_str()).collect();
        let from = "/rules/0/terms/steps/0/clauses/0/from";
        assert_eq!(
            pointers,
            [
                "/rules/0/amount_at_least/currency".to_owned(),
                "/rules/0/label".to_owned(),
                "/rules/0/terms/steps/0/name".to_owned(),
                format!("{from}/0"),
                format!("{from}/1"),
                format!("{from}/2/department"),
            ]
        );
    }
}
