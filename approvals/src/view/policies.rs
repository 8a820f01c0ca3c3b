//! Policies as answers show them: for each type of action, the rules that hold now.

use std::collections::BTreeSet;

use daybook_domain::approval::{ActionType, KnownAction};
use daybook_identity::directory::DirectoryState;
use serde::Serialize;
use utoipa::ToSchema;

use super::RuleView;

/// Who must agree to actions of a type, as it holds now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ApprovalPolicyState)]
pub struct PolicyView {
    /// For which type of action.
    #[schema(example = "export.transactions")]
    pub action: String,
    /// What such actions are done to, in the words of older clients.
    #[schema(example = "transaction_export")]
    pub resource_type: String,
    /// The version of the policy that holds; 0 where the organisation never had one of its own.
    #[schema(example = 0)]
    pub policy_version: u64,
    /// Whether what is built in holds.
    pub is_built_in: bool,
    /// The rules; the first that fits counts.
    pub rules: Vec<RuleView>,
}

impl PolicyView {
    /// The policy that holds for actions of a type; `None` where nothing can be of that type.
    pub fn of(state: &DirectoryState, action: &str) -> Option<Self> {
        ActionType::parse("/action", action).ok().filter(ActionType::exists).map(|action| Self::holding(state, &action))
    }

    /// The policies of every type that Daybook itself performs and of those that the organisation has policies for, in the
    /// order of their types.
    pub fn all(state: &DirectoryState) -> Vec<Self> {
        let known = KnownAction::ALL.iter().map(|known| ActionType::from(*known));
        let own = state.policies.values().map(|record| record.action.clone());
        let actions: BTreeSet<ActionType> = known.chain(own).collect();
        actions.iter().map(|action| Self::holding(state, action)).collect()
    }

    fn holding(state: &DirectoryState, action: &ActionType) -> Self {
        let (policy_version, rules) = state.rules_of(action);
        Self {
            action: action.to_string(),
            resource_type: action.resource_type().to_owned(),
            policy_version,
            is_built_in: state.policies.get(action.as_str()).is_none_or(|record| record.rules.is_none()),
            rules: rules.iter().map(RuleView::from).collect(),
        }
    }
}
