//! Who must agree, as answers show it.

use daybook_domain::Money;
use daybook_domain::approval_policy::{
    BreakGlass, Clause, Electorate, EscalationRule, PolicyInForce, Rule, Step, Terms,
};
use serde::Serialize;
use utoipa::ToSchema;

/// Some of the organisation's people: exactly one of the members is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalElectorate)]
pub struct ElectorateView {
    /// Whoever has this role in the whole organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "compliance")]
    pub role: Option<String>,
    /// Whoever has any role in the department of this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// The person of this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
}

impl From<&Electorate> for ElectorateView {
    fn from(electorate: &Electorate) -> Self {
        match electorate {
            Electorate::Role(role) => Self { role: Some(role.to_string()), ..Self::default() },
            Electorate::Department(id) => Self { department: Some(id.to_string()), ..Self::default() },
            Electorate::Person(id) => Self { person: Some(id.to_string()), ..Self::default() },
        }
    }
}

/// So many votes from among these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalClause)]
pub struct ClauseView {
    /// How many votes.
    #[schema(example = 1)]
    pub votes: u32,
    /// From whom: anybody of these.
    pub from: Vec<ElectorateView>,
}

impl From<&Clause> for ClauseView {
    fn from(clause: &Clause) -> Self {
        Self { votes: clause.votes, from: clause.from.iter().map(ElectorateView::from).collect() }
    }
}

/// A step: all of its clauses must have their votes before the next step begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalStep)]
pub struct StepView {
    /// What it is called.
    pub name: Option<String>,
    /// What it takes.
    pub clauses: Vec<ClauseView>,
}

impl From<&Step> for StepView {
    fn from(step: &Step) -> Self {
        Self {
            name: step.name.as_ref().map(ToString::to_string),
            clauses: step.clauses.iter().map(ClauseView::from).collect(),
        }
    }
}

/// Who may decide as well when nobody has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalEscalationRule)]
pub struct EscalationRuleView {
    /// How long after submission, or after the escalation before it.
    #[schema(example = 86_400)]
    pub after_seconds: u64,
    /// Who.
    pub to: Vec<ElectorateView>,
    /// The step that is done again, counted from 1.
    pub repeat_from: Option<u32>,
}

impl From<&EscalationRule> for EscalationRuleView {
    fn from(rule: &EscalationRule) -> Self {
        Self {
            after_seconds: rule.after_seconds,
            to: rule.to.iter().map(ElectorateView::from).collect(),
            repeat_from: rule.repeat_from,
        }
    }
}

/// Who may act before the votes are in, and until when that is reviewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalBreakGlass)]
pub struct BreakGlassView {
    /// Who.
    pub who: Vec<ElectorateView>,
    /// How long the grant is good for.
    #[schema(example = 3_600)]
    pub grant_seconds: u64,
    /// How soon it must be reviewed.
    #[schema(example = 259_200)]
    pub review_within_seconds: u64,
}

impl From<&BreakGlass> for BreakGlassView {
    fn from(glass: &BreakGlass) -> Self {
        Self {
            who: glass.who.iter().map(ElectorateView::from).collect(),
            grant_seconds: glass.grant_seconds,
            review_within_seconds: glass.review_within_seconds,
        }
    }
}

/// What it takes until something may be done, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalTerms)]
pub struct TermsView {
    /// The steps in their order. None: nobody is asked.
    pub steps: Vec<StepView>,
    /// Whether whoever voted in one step cannot vote in another.
    pub distinct_persons: bool,
    /// How long there is to decide.
    #[schema(example = 259_200)]
    pub decide_within_seconds: u64,
    /// How long what was approved may be done.
    #[schema(example = 86_400)]
    pub grant_seconds: u64,
    /// Who may decide as well when nobody has, in order.
    pub escalation: Vec<EscalationRuleView>,
    /// Who may act before the votes are in; `null`: nobody.
    pub break_glass: Option<BreakGlassView>,
}

impl From<&Terms> for TermsView {
    fn from(terms: &Terms) -> Self {
        Self {
            steps: terms.steps.iter().map(StepView::from).collect(),
            distinct_persons: terms.distinct_persons,
            decide_within_seconds: terms.decide_within_seconds,
            grant_seconds: terms.grant_seconds,
            escalation: terms.escalation.iter().map(EscalationRuleView::from).collect(),
            break_glass: terms.break_glass.as_ref().map(BreakGlassView::from),
        }
    }
}

/// The policy that a request is decided under. It stays this one, whatever the policy becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalPolicyInForce)]
pub struct PolicyInForceView {
    /// Its version; 0 is what is built in.
    pub version: u64,
    /// Which of its rules fitted, counted from 0.
    pub rule: u32,
    /// What it asks.
    pub terms: TermsView,
}

impl From<&PolicyInForce> for PolicyInForceView {
    fn from(policy: &PolicyInForce) -> Self {
        Self { version: policy.version, rule: policy.rule, terms: TermsView::from(&policy.terms) }
    }
}

/// An amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalAmount)]
pub struct AmountView {
    /// How much, as a decimal string.
    #[schema(example = "100000.00")]
    pub amount: String,
    /// Of what.
    #[schema(example = "EUR")]
    pub currency: String,
}

impl From<&Money> for AmountView {
    fn from(money: &Money) -> Self {
        Self { amount: money.amount().to_string(), currency: money.currency().to_string() }
    }
}

/// A rule of a policy: the first that fits counts, and the last one always fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalRule)]
pub struct RuleView {
    /// It fits from this amount on.
    pub amount_at_least: Option<AmountView>,
    /// It fits below this amount.
    pub amount_below: Option<AmountView>,
    /// It fits what has this mark.
    pub label: Option<String>,
    /// What it asks.
    pub terms: TermsView,
}

impl From<&Rule> for RuleView {
    fn from(rule: &Rule) -> Self {
        Self {
            amount_at_least: rule.amount_at_least.as_ref().map(AmountView::from),
            amount_below: rule.amount_below.as_ref().map(AmountView::from),
            label: rule.label.as_ref().map(ToString::to_string),
            terms: TermsView::from(&rule.terms),
        }
    }
}
