//! What happened to an organisation, as it is stored.

use serde::{Deserialize, Serialize};

use super::SessionHours;
use crate::stream::events;
use crate::text::{Line, ShortName};

events! {
    /// An event of an organisation.
    OrganizationEvent {
        /// It came into being.
        Created(Created) = "organization.created",
        /// It is called something else.
        Renamed(Renamed) = "organization.renamed",
        /// Settings have other values.
        SettingsChanged(SettingsChanged) = "organization.settings_changed",
    }
}

/// Payload of `organization.created`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// What it is called.
    pub name: Line,
    /// What it has subscribed to.
    pub tier: ShortName,
}

/// Payload of `organization.renamed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renamed {
    /// What it was called.
    pub from: Line,
    /// What it is called now.
    pub to: Line,
}

/// Payload of `organization.settings_changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsChanged {
    /// One item a setting that changed; never empty.
    pub changes: Vec<SettingChange>,
}

/// One changed setting. As JSON: `{"field": "session_hours", "old": 168, "new": 12}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "field", rename_all = "snake_case")]
#[expect(missing_docs, reason = "every variant holds the value before and the value after")]
pub enum SettingChange {
    /// Whether anybody may register.
    OpenRegistration { old: bool, new: bool },
    /// Whether everybody needs a second factor.
    RequireSecondFactor { old: bool, new: bool },
    /// How long a session may last.
    SessionHours { old: SessionHours, new: SessionHours },
}

impl SettingChange {
    /// The name of the setting, as in JSON.
    pub fn field(&self) -> &'static str {
        match self {
            Self::OpenRegistration { .. } => "open_registration",
            Self::RequireSecondFactor { .. } => "require_second_factor",
            Self::SessionHours { .. } => "session_hours",
        }
    }
}
