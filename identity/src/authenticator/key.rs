//! Programs with API keys.

use std::sync::Arc;

use daybook_http_kit::{Principal, Problem, Via};
use daybook_ledger::{Actor, LedgerId};

use super::{IdentityService, unavailable};
use crate::api_keys::HeldKey;
use crate::directory::{Directory, KeyStatus};
use crate::vault::VaultError;

/// The role that a key is said to have: it has scopes instead.
const KEY_ROLE: &str = "api_key";

impl IdentityService {
    /// The key `key_id`, where `token` is it and good. The vault is not asked about a key that no directory has, or that
    /// was revoked: the one is the only thing told to whoever does not have the secret.
    pub(super) async fn key(&self, key_id: &str, token: &str) -> Result<Principal, Problem> {
        let (now, keys) = ((self.0.clock)(), &self.0.keys);
        let organization = self.organization_of_key(key_id).await?.ok_or_else(unknown)?;
        let refused = |problem: Problem| problem.of_organization(organization.clone());
        let state = self.state_of(&organization)?.ok_or_else(|| refused(unknown()))?;
        let key = state.access_of_key(key_id, now).ok_or_else(|| refused(unknown()))?;
        if key.status == KeyStatus::Revoked {
            return Err(refused(revoked()));
        }
        let held = keys.row(key_id, key.record.place.version).await.map_err(vault_unavailable)?;
        let held = held.filter(|held| held.row.ledger_id == organization).ok_or_else(|| refused(unknown()))?;
        let accepts = |held: &HeldKey| keys.accepts(held, token, &key.record, now);
        if !accepts(&held) {
            let newer = keys.newer_row(&held).await.map_err(vault_unavailable)?;
            if !newer.is_some_and(|newer| accepts(&newer)) {
                return Err(refused(unknown()));
            }
        }
        let problem = match key.status {
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
            KeyStatus::Expired => Problem::invalid_token("api_key.expired", "the API key has expired"),
            KeyStatus::Revoked => revoked(),
            KeyStatus::Orphaned => {
                Problem::invalid_token("api_key.orphaned", "whoever answers for the API key is not active any more")
            }
        };
        Err(refused(problem))
    }

    /// The organisation whose directory has the key. Where several have one of that id, or none that is open here while
    /// others are not, the vault says whose it is.
    async fn organization_of_key(&self, key_id: &str) -> Result<Option<LedgerId>, Problem> {
        let keys = &self.0.keys;
        if let Some(organization) = keys.held_organization(key_id) {
            return Ok(Some(organization));
        }
        let has_key = |directory: &Directory| directory.now().api_keys.contains_key(key_id);
        let mut known = self.0.directories.all();
        known.retain(|(_, directory)| has_key(directory));
        Ok(match known.len() {
            0 if !self.0.directories.is_any_unavailable() => None,
            1 => known.pop().map(|(organization, _)| organization),
            _ => keys.row(key_id, 0).await.map_err(vault_unavailable)?.map(|held| held.row.ledger_id.clone()),
        })
    }
}

fn revoked() -> Problem {
    Problem::invalid_token("api_key.revoked", "the API key was revoked")
}

fn unknown() -> Problem {
    Problem::invalid_token("api_key.unknown", "the API key is not known")
}

fn vault_unavailable(error: VaultError) -> Problem {
    tracing::error!(%error, "an API key cannot be looked up");
    unavailable(error.code(), "API keys cannot be checked at the moment")
}
