//! Programs with API keys.

use std::sync::Arc;

use daybook_http_kit::{Principal, Problem, Via};
use daybook_ledger::Actor;

use super::{IdentityService, unavailable};
use crate::directory::KeyStatus;
use crate::vault::VaultError;

/// The role that a key is said to have: it has scopes instead.
const KEY_ROLE: &str = "api_key";

impl IdentityService {
    /// The key `key_id`, where `token` is it and good. What is wrong with a key is told only to whoever has its secret.
    pub(super) async fn key(&self, key_id: &str, token: &str) -> Result<Principal, Problem> {
        let (now, keys) = ((self.0.clock)(), &self.0.keys);
        // The version is known only once the organisation is.
        let held = keys.row(key_id, 0).await.map_err(vault_unavailable)?.ok_or_else(unknown)?;
        let organization = held.row.ledger_id.clone();
        let refused = |problem: Problem| problem.of_organization(organization.clone());
        let state = self.state_of(&organization)?.ok_or_else(|| refused(unknown()))?;
        let key = state.access_of_key(key_id, now).ok_or_else(|| refused(unknown()))?;
        let held = keys.row(key_id, key.record.place.version).await.map_err(vault_unavailable)?;
        let held = held.ok_or_else(|| refused(unknown()))?;
        if !keys.accepts(&held, token, now) {
            let newer = keys.newer_row(&held).await.map_err(vault_unavailable)?;
            if !newer.is_some_and(|newer| keys.accepts(&newer, token, now)) {
                return Err(refused(unknown()));
            }
        }
        let (code, detail) = match key.status {
            KeyStatus::Live => {
                keys.used(key_id, now);
                return Ok(Principal {
                    actor: Actor::system(key_id),
                    organization,
                    roles: Arc::from([KEY_ROLE.to_owned()]),
                    access: key.access,
                    via: Via::ApiKey,
                    session_id: None,
                });
            }
            KeyStatus::Expired => ("api_key.expired", "the API key has expired"),
            KeyStatus::Revoked => ("api_key.revoked", "the API key was revoked"),
            KeyStatus::Orphaned => ("api_key.orphaned", "whoever answers for the API key is not active any more"),
        };
        Err(refused(Problem::invalid_token(code, detail)))
    }
}

fn unknown() -> Problem {
    Problem::invalid_token("api_key.unknown", "the API key is not known")
}

fn vault_unavailable(error: VaultError) -> Problem {
    tracing::error!(%error, "an API key cannot be looked up");
    unavailable(error.code(), "API keys cannot be checked at the moment")
}
