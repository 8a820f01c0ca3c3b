//! An API key as answers show it: everything but its secret.

use std::collections::BTreeMap;

use daybook_domain::api_key::ApiKeyError;
use daybook_http_kit::Problem;
use daybook_identity::directory::{ApiKeyRecord, DirectoryState, KeyStatus};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problems::refused;
use crate::state::{IdentityState, OrganizationIdentity, vault_problem};
use daybook_ledger::keys::time::rfc3339;

/// An API key.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ApiKeyView {
    /// Its id.
    #[schema(example = "key_0123456789ab")]
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What the key itself begins with.
    #[schema(example = "dbk_0123456789ab")]
    pub prefix: String,
    /// The same.
    pub key_prefix: String,
    /// Permissions by name, or `read`, `write`, `admin`.
    pub scopes: Vec<String>,
    /// What it may really do: its scopes, as far as its maker held them.
    pub permissions: Vec<&'static str>,
    /// `live`, `expired`, `revoked`, or `orphaned` where whoever answers for it is not active.
    #[schema(example = "live")]
    pub status: &'static str,
    /// True where it is live.
    pub is_active: bool,
    /// Opaque id of who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: String,
    /// From when it is refused.
    pub expires_at: Option<String>,
    /// When it was last used, to the minute or so.
    pub last_used_at: Option<String>,
    /// When it was last given another secret.
    pub rotated_at: Option<String>,
    /// Until when the secret before that is accepted.
    pub old_valid_until: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// Its version, for `If-Match`.
    pub version: u64,
}

/// A key that was made or given another secret.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ApiKeyShown {
    /// The key.
    #[serde(flatten)]
    pub key: ApiKeyView,
    /// The whole key: shown this once, and null in the answer to a repeat.
    pub key_value: Option<String>,
    /// The same.
    pub api_key: Option<String>,
}

impl ApiKeyShown {
    /// With its value, if this is the one time that it is shown.
    pub(crate) fn of(key: ApiKeyView, value: Option<&str>) -> Self {
        Self { key, key_value: value.map(str::to_owned), api_key: value.map(str::to_owned) }
    }
}

/// The word for how a key stands.
pub(crate) fn status(state: &DirectoryState, record: &ApiKeyRecord, now: i64) -> &'static str {
    match state.access_of_key(&record.key_id, now).map(|access| access.status) {
        Some(KeyStatus::Live) => "live",
        Some(KeyStatus::Expired) => "expired",
        Some(KeyStatus::Orphaned) => "orphaned",
        Some(KeyStatus::Revoked) => "revoked",
        // Nobody is let in: see the directory.
        None if record.revoked_at.is_some() => "revoked",
        None => "orphaned",
    }
}

impl ApiKeyView {
    pub(crate) fn of(state: &DirectoryState, record: &ApiKeyRecord, last_used: Option<i64>, now: i64) -> Self {
        let prefix = format!("dbk_{}", record.key_id.strip_prefix("key_").unwrap_or(&record.key_id));
        let access = state.access_of_key(&record.key_id, now);
        let status = status(state, record, now);
        Self {
            id: record.key_id.clone(),
            name: record.name.clone(),
            description: record.description.clone(),
            key_prefix: prefix.clone(),
            prefix,
            scopes: record.scopes.clone(),
            permissions: access.map(|access| access.access.permissions.names().collect()).unwrap_or_default(),
            status,
            is_active: status == "live",
            created_by: record.created_by.clone(),
            created_at: rfc3339(record.place.created_at),
            expires_at: record.expires_at.map(rfc3339),
            last_used_at: last_used.map(rfc3339),
            rotated_at: record.rotated_at.map(rfc3339),
            old_valid_until: record.old_valid_until.map(rfc3339),
            revoked_at: record.revoked_at.map(rfc3339),
            version: record.place.version,
        }
    }

    /// The key of this id as the directory has it now; 404 where there is none.
    pub(crate) async fn found(
        installation: &IdentityState,
        identity: &OrganizationIdentity,
        id: &str,
    ) -> Result<Self, Problem> {
        let state = identity.directory.now();
        let record = known(&state, id)?;
        let row = installation.vault.api_key(id).await.map_err(vault_problem)?;
        Ok(Self::of(&state, record, row.and_then(|row| row.last_used_at), installation.now()))
    }
}

/// The record of a key; 404 where there is none of this id.
pub(crate) fn known<'a>(state: &'a DirectoryState, id: &str) -> Result<&'a ApiKeyRecord, Problem> {
    state.api_keys.get(id).map(AsRef::as_ref).ok_or_else(|| refused(&ApiKeyError::NotFound))
}

/// When the organisation's keys were last used.
pub(crate) async fn last_uses(
    installation: &IdentityState,
    identity: &OrganizationIdentity,
) -> Result<BTreeMap<String, i64>, Problem> {
    let uses = installation.vault.api_keys_last_used(&identity.id).await.map_err(vault_problem)?;
    Ok(uses.into_iter().collect())
}
