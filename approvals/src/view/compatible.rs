//! Requests for approval as the predecessors' clients know them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::ApprovalView;

/// What the types of agents' actions begin with.
pub const AGENT_PREFIX: &str = "agent.";

/// A request for approval in a predecessor's shape.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ApprovalRequest)]
pub struct ApprovalRequestView {
    /// Its id.
    #[schema(example = "apr_019f0c5d2b4a59687786950413aa01ff")]
    pub id: String,
    /// What sort of thing it is done to.
    #[schema(example = "transaction_export")]
    pub resource_type: String,
    /// Which of them.
    pub resource_id: String,
    /// Opaque id of who asks.
    pub requested_by: String,
    /// `pending`, `escalated` (pending, and others were turned to), `approved` (used or not), `rejected`; and `draft`,
    /// `withdrawn`, `expired` or `voided`.
    #[schema(example = "pending")]
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// Opaque id of whose vote decided it.
    pub decision_by: Option<String>,
    /// Why it was decided so.
    pub decision_reason: Option<String>,
    /// When it was asked for.
    pub created_at: Option<String>,
    /// When it was decided.
    pub decided_at: Option<String>,
    /// What more there is to it: `action`, `state`, `revision`, `digest`, `summary` and `parameters`.
    #[schema(value_type = Object)]
    pub meta: Map<String, Value>,
}

impl From<&ApprovalView> for ApprovalRequestView {
    fn from(approval: &ApprovalView) -> Self {
        let status = match approval.status.as_str() {
            "pending" if approval.is_escalated => "escalated",
            "consumed" => "approved",
            status => status,
        };
        let mut meta = Map::new();
        meta.insert("action".to_owned(), json!(approval.action));
        meta.insert("state".to_owned(), json!(approval.status));
        meta.insert("revision".to_owned(), json!(approval.revision));
        meta.insert("digest".to_owned(), json!(approval.digest));
        meta.insert("summary".to_owned(), json!(approval.summary));
        meta.insert("parameters".to_owned(), json!(approval.parameters));
        Self {
            id: approval.approval_id.clone(),
            resource_type: approval.resource_type.clone(),
            resource_id: approval.resource_id.clone(),
            requested_by: approval.requested_by.clone(),
            status: status.to_owned(),
            reason: approval.reason.clone(),
            decision_by: approval.decided_by.clone(),
            decision_reason: approval.decision_reason.clone(),
            created_at: approval.requested_at.clone(),
            decided_at: approval.decided_at.clone(),
            meta,
        }
    }
}

/// An agent's action in a predecessor's shape: the request for approval of it. Members that mean nothing here are `null`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = AgentAction)]
pub struct AgentActionView {
    /// The id of the request for approval.
    #[schema(example = "apr_019f0c5d2b4a59687786950413aa01ff")]
    pub id: String,
    /// The workflow that it belongs to, where the request says so.
    pub workflow_id: Option<String>,
    /// The action that led to it, where the request says so.
    pub parent_action_id: Option<String>,
    /// The incident that it is about, where it is about one.
    pub incident_id: Option<String>,
    /// What the agent wants to do.
    #[schema(example = "remediation")]
    pub action: String,
    /// What came of it. Always `null` before it is done.
    pub agent_result: Option<String>,
    /// `pending`, `approved`, `rejected`, `executed`; and `draft`, `withdrawn`, `expired` or `voided`.
    #[schema(example = "pending")]
    pub status: String,
    /// True where the policy asked nobody.
    pub auto_approved: bool,
    /// Opaque id of who asks.
    pub submitted_by: String,
    /// Opaque id of whose vote completed the approval.
    pub approved_by: Option<String>,
    /// When it was asked for.
    pub created_at: Option<String>,
    /// When it was approved.
    pub approved_at: Option<String>,
    /// What it depends on.
    #[schema(value_type = Object)]
    pub meta: BTreeMap<String, String>,
    /// Opaque id of who looks after it.
    pub assigned_to: Option<String>,
    /// Whether others were turned to.
    pub is_escalated: bool,
    /// When, the last time.
    pub escalated_at: Option<String>,
    /// Why, the last time.
    pub escalation_reason: Option<String>,
    /// How many votes it takes in all.
    pub approvals_required: u32,
    /// Opaque ids of whoever agreed so far.
    pub approvals: Vec<String>,
    /// Whether it has them all.
    pub is_fully_approved: bool,
    /// Since when.
    pub fully_approved_at: Option<String>,
    /// The roles whose votes count, over all steps.
    pub approval_roles: Vec<String>,
    /// What the steps are called, in their order.
    pub approval_order: Vec<String>,
    /// The step that is to be decided, counted from 0; behind the last one where it is approved.
    pub current_approval_index: u32,
    /// How the agent explains itself, where the request says so.
    pub ai_explanation: Option<String>,
    /// What the agent was given. Always `null`.
    pub agent_input: Option<String>,
    /// What the agent answered. Always `null`.
    pub agent_output: Option<String>,
    /// Which agent, where the request says so.
    pub agent_version: Option<String>,
    /// `human`, `agent` (an API key) or `system` (the operator): who asks.
    #[schema(example = "agent")]
    pub actor_type: String,
    /// Always `null`: no decision is overridden.
    pub override_type: Option<String>,
    /// Whether it is only tried out, where the request says so.
    pub is_simulation: bool,
}

impl AgentActionView {
    /// The action behind a request; `None` where it is no agent's.
    pub fn of(approval: &ApprovalView) -> Option<Self> {
        let action = approval.action.strip_prefix(AGENT_PREFIX)?;
        let said = |name: &str| approval.parameters.get(name).cloned();
        let is_about_an_incident = matches!(action, "triage" | "remediation");
        let steps = &approval.policy.terms.steps;
        let is_approved = matches!(approval.status.as_str(), "approved" | "consumed");
        let status = if approval.status == "consumed" { "executed" } else { approval.status.as_str() };
        let mut approval_roles: Vec<String> = Vec::new();
        for electorate in steps.iter().flat_map(|step| &step.clauses).flat_map(|clause| &clause.from) {
            if let Some(role) = electorate.role.as_ref().filter(|role| !approval_roles.contains(role)) {
                approval_roles.push(role.clone());
            }
        }
        let all_steps = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        let name = |index: usize, name: &Option<String>| name.clone().unwrap_or_else(|| format!("step {}", index + 1));
        Some(Self {
            id: approval.approval_id.clone(),
            workflow_id: said("workflow_id"),
            parent_action_id: said("parent_action_id"),
            incident_id: said("incident_id").or_else(|| is_about_an_incident.then(|| approval.resource_id.clone())),
            action: action.to_owned(),
            agent_result: None,
            status: status.to_owned(),
            auto_approved: is_approved && steps.is_empty(),
            submitted_by: approval.requested_by.clone(),
            approved_by: approval.decided_by.clone().filter(|_| is_approved),
            created_at: approval.requested_at.clone(),
            approved_at: approval.decided_at.clone().filter(|_| is_approved),
            meta: approval.parameters.clone(),
            assigned_to: approval.assigned_to.clone(),
            is_escalated: approval.is_escalated,
            escalated_at: approval.escalated_at.clone(),
            escalation_reason: approval.escalation_reason.clone(),
            approvals_required: steps
                .iter()
                .flat_map(|step| &step.clauses)
                .fold(0, |sum: u32, clause| sum.saturating_add(clause.votes)),
            approvals: approval.votes.iter().filter(|vote| vote.approves()).map(|vote| vote.actor.clone()).collect(),
            is_fully_approved: is_approved,
            fully_approved_at: approval.decided_at.clone().filter(|_| is_approved),
            approval_roles,
            approval_order: steps.iter().enumerate().map(|(index, step)| name(index, &step.name)).collect(),
            current_approval_index: match approval.current_step {
                Some(step) => step.saturating_sub(1),
                None if is_approved => all_steps,
                None => 0,
            },
            ai_explanation: said("ai_explanation"),
            agent_input: None,
            agent_output: None,
            agent_version: said("agent_version"),
            actor_type: actor_type(&approval.requested_by).to_owned(),
            override_type: None,
            is_simulation: said("is_simulation").is_some_and(|word| word == "true"),
        })
    }
}

/// What sort of actor an id is of.
fn actor_type(actor: &str) -> &'static str {
    match actor {
        "operator" | "system" => "system",
        key if key.starts_with("key_") => "agent",
        _ => "human",
    }
}
