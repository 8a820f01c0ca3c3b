//! Delegations as answers show them.

use daybook_domain::delegation::Delegation;
use serde::Serialize;
use utoipa::ToSchema;

/// That somebody votes in the place of somebody else for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DelegationState)]
pub struct DelegationView {
    /// Its id.
    #[schema(example = "dlg_019f0c5d2b4a59687786950413aa01ff")]
    pub delegation_id: String,
    /// The person who is stood in for.
    pub from: String,
    /// The person who stands in.
    pub to: String,
    /// From when on.
    pub starts_at: String,
    /// Until when, as it was given.
    pub ends_at: String,
    /// When whoever stands in accepted it. It has no effect before that.
    pub accepted_at: Option<String>,
    /// When it was ended before that.
    pub ended_at: Option<String>,
    /// For which types of actions; for all where there are none.
    pub actions: Vec<String>,
    /// Why.
    pub reason: Option<String>,
    /// Who gave it.
    pub given_by: String,
}

impl DelegationView {
    /// A delegation as it is; `None` where it was never given.
    pub fn of(delegation: &Delegation) -> Option<Self> {
        let given = delegation.content()?;
        Some(Self {
            delegation_id: given.delegation_id.to_string(),
            from: given.from.to_string(),
            to: given.to.to_string(),
            starts_at: given.starts_at.to_string(),
            ends_at: given.ends_at.to_string(),
            accepted_at: delegation.accepted_at().map(|at| at.to_string()),
            ended_at: delegation.ended_at().map(|at| at.to_string()),
            actions: given.actions.iter().map(ToString::to_string).collect(),
            reason: given.reason.as_ref().map(ToString::to_string),
            given_by: given.by.to_string(),
        })
    }
}
