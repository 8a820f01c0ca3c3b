//! What needs approval, as a word with points in it: `export.transactions`, `external.wire_transfer`.

use crate::names::name_type;
use crate::text::InvalidField;
use crate::vocabulary::vocabulary;

/// Most characters of an action's type.
pub const MAX_ACTION_TYPE: usize = 64;
/// What the types of actions begin with that Daybook itself does not perform.
pub const EXTERNAL_PREFIX: &str = "external.";

name_type!(
    /// What needs approval: `[a-z][a-z0-9_]*(\.[a-z0-9_]+)*`, at most [`MAX_ACTION_TYPE`] characters. Also the id of the
    /// stream of the policy for it.
    ActionType,
    check_action_type
);

vocabulary! {
    /// The actions that Daybook performs itself, and none of them without a grant.
    KnownAction {
        /// An agent sorts incidents.
        AgentTriage = "agent.triage",
        /// An agent mends something.
        AgentRemediation = "agent.remediation",
        /// An agent judges whether rules were kept.
        AgentCompliance = "agent.compliance",
        /// An agent sums up the audit trail.
        AgentAuditSummary = "agent.audit_summary",
        /// Transactions leave the house.
        ExportTransactions = "export.transactions",
        /// Incidents leave the house.
        ExportIncidents = "export.incidents",
        /// Logs of compliance leave the house.
        ExportComplianceLogs = "export.compliance_logs",
        /// What is known about people leaves the house.
        ExportUsers = "export.users",
        /// Measurements of the system leave the house.
        ExportSystemMetrics = "export.system_metrics",
        /// What agents did leaves the house.
        ExportAgentActions = "export.agent_actions",
        /// The audit trail leaves the house.
        ExportAuditTrail = "export.audit_trail",
        /// Entries of the ledger leave the house.
        ExportEntries = "export.entries",
        /// All that there is on a matter leaves the house.
        ExportEvidencePack = "export.evidence_pack",
        /// Who must approve what becomes another.
        ApprovalPolicyChange = "approval_policy.change",
        /// A rule that opens incidents becomes another.
        RuleChange = "rule.change",
        /// The key of what is known about somebody is destroyed.
        ErasurePerform = "erasure.perform",
        /// Records are kept for longer, for ever.
        RetentionChange = "retention.change",
    }
}

impl KnownAction {
    /// What such an action is about, in the words of requests for approval.
    pub fn resource_type(self) -> &'static str {
        match self {
            Self::AgentTriage => "agentic_triage",
            Self::AgentRemediation => "agentic_remediation",
            Self::AgentCompliance => "agentic_compliance",
            Self::AgentAuditSummary => "agentic_audit_summary",
            Self::ExportTransactions => "transaction_export",
            Self::ExportIncidents => "incident_export",
            Self::ExportComplianceLogs => "compliance_export",
            Self::ExportUsers => "user_export",
            Self::ExportSystemMetrics => "system_metrics_export",
            Self::ExportAgentActions => "agent_action_export",
            Self::ExportAuditTrail => "audit_export",
            Self::ExportEntries => "entry_export",
            Self::ExportEvidencePack => "evidence_export",
            Self::ApprovalPolicyChange => "approval_policy",
            Self::RuleChange => "rule",
            Self::ErasurePerform => "erasure",
            Self::RetentionChange => "retention_rule",
        }
    }
}

impl From<KnownAction> for ActionType {
    fn from(known: KnownAction) -> Self {
        Self(known.as_str().to_owned())
    }
}

impl ActionType {
    /// Which of Daybook's own actions it is, if it is one.
    pub fn known(&self) -> Option<KnownAction> {
        KnownAction::ALL.iter().copied().find(|known| known.as_str() == self.0)
    }

    /// Whether there can be an action of this type: one of Daybook's own, or an external one.
    pub fn exists(&self) -> bool {
        self.known().is_some() || self.is_external()
    }

    /// Whether it is performed elsewhere: Daybook only says whether it was approved.
    pub fn is_external(&self) -> bool {
        self.0.starts_with(EXTERNAL_PREFIX)
    }

    /// What such an action is about: `transaction_export`; for an external one what follows the point.
    pub fn resource_type(&self) -> &str {
        match self.known() {
            Some(known) => known.resource_type(),
            None => self.0.strip_prefix(EXTERNAL_PREFIX).unwrap_or(&self.0),
        }
    }

    /// The action for a type of resource that came at `pointer`: one of Daybook's own, or an external one. Upper case
    /// becomes lower case; spaces and hyphens become underscores.
    pub fn from_resource_type(pointer: &str, resource_type: &str) -> Result<Self, InvalidField> {
        let word = resource_type.trim().to_ascii_lowercase().replace([' ', '-'], "_");
        if let Some(known) = KnownAction::ALL.iter().find(|known| known.resource_type() == word) {
            return Ok((*known).into());
        }
        Self::parse(pointer, format!("{EXTERNAL_PREFIX}{word}"))
    }
}

fn check_action_type(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins_well = text.starts_with(|first: char| first.is_ascii_lowercase());
    let parts_are_words = text.split('.').all(|part| !part.is_empty() && part.bytes().all(allowed));
    if text.len() > MAX_ACTION_TYPE || !begins_well || !parts_are_words {
        return Err(format!(
            "must be lower-case words such as export.transactions, at most {MAX_ACTION_TYPE} characters in all"
        ));
    }
    Ok(())
}
