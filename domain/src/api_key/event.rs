//! What happened to an API key, as it is stored. The key itself, and its digest, are nowhere in it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::names::PermissionName;
use crate::stream::events;
use crate::text::{ActorId, Description, Line, Reason};
use crate::time::Timestamp;

events! {
    /// An event of an API key.
    ApiKeyEvent {
        /// It was made, and shown once.
        Created(Created) = "api_key.created",
        /// What is known about it, or what it may do, changed.
        Changed(Changed) = "api_key.changed",
        /// It has another secret.
        Rotated(Rotated) = "api_key.rotated",
        /// It opens nothing any more.
        Revoked(Revoked) = "api_key.revoked",
    }
}

/// Payload of `api_key.created`, and the state that changes change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// What it is called.
    pub name: Line,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// What it may do: permissions, or `read`, `write` and `admin`.
    pub scopes: BTreeSet<PermissionName>,
    /// Until when; for ever if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Who made it.
    pub created_by: ActorId,
}

impl Created {
    /// Takes over the new value of a change.
    pub fn apply(&mut self, change: &ApiKeyChange) {
        match change.clone() {
            ApiKeyChange::Name { new, .. } => self.name = new,
            ApiKeyChange::Description { new, .. } => self.description = new,
            ApiKeyChange::Scopes { new, .. } => self.scopes = new,
            ApiKeyChange::ExpiresAt { new, .. } => self.expires_at = new,
        }
    }
}

/// Payload of `api_key.changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// One item a field that changed; never empty.
    pub changes: Vec<ApiKeyChange>,
}

/// Payload of `api_key.rotated`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotated {
    /// Until when the secret before this one opens as well.
    pub old_valid_until: Timestamp,
}

/// Payload of `api_key.revoked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// One changed field. As JSON: `{"field": "name", "old": "ci", "new": "Continuous integration"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "field", rename_all = "snake_case")]
#[expect(missing_docs, reason = "every variant holds the value before and the value after")]
pub enum ApiKeyChange {
    /// What it is called.
    Name { old: Line, new: Line },
    /// What it is for.
    Description { old: Option<Description>, new: Option<Description> },
    /// What it may do.
    Scopes { old: BTreeSet<PermissionName>, new: BTreeSet<PermissionName> },
    /// Until when.
    ExpiresAt { old: Option<Timestamp>, new: Option<Timestamp> },
}

impl ApiKeyChange {
    /// The name of the field, as in JSON.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Name { .. } => "name",
            Self::Description { .. } => "description",
            Self::Scopes { .. } => "scopes",
            Self::ExpiresAt { .. } => "expires_at",
        }
    }

    pub(super) fn changes_something(&self) -> bool {
        match self {
            Self::Name { old, new } => old != new,
            Self::Description { old, new } => old != new,
            Self::Scopes { old, new } => old != new,
            Self::ExpiresAt { old, new } => old != new,
        }
    }
}
