//! Development headers: an address and a role that are believed, for trying things out and for the predecessors'
//! clients.
//!
//! An address of the organisation's people is that person, with the id of their account, and may claim no role that the
//! directory does not give them. Anybody else is made up on the spot, and holds what the role holds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use daybook_http_kit::{Access, PermissionSet, Principal, Problem};
use daybook_ledger::{Actor, LedgerId};
use quick_cache::sync::Cache;

use super::{IdentityService, no_such_organization, unavailable};
use crate::directory::UserStatus;
use crate::vault::{Digest, VaultError};

/// Addresses that are held in memory.
const HELD: usize = 4_096;
/// How long. An account that is made meanwhile is known by the directory's change.
const MOST_AGE: Duration = Duration::from_secs(1);

/// The account of an address, and until when that may be said without asking again.
#[derive(Clone)]
struct Known {
    user_id: Option<Arc<str>>,
    position: u64,
    read_at: Instant,
}

/// Addresses that were looked up lately, by their digests.
pub(super) struct KnownPeople(Cache<(LedgerId, Digest), Known>);

impl KnownPeople {
    pub fn new() -> Self {
        Self(Cache::new(HELD))
    }
}

impl IdentityService {
    pub(super) async fn developer(
        &self,
        email: &str,
        role: &str,
        organization: LedgerId,
    ) -> Result<Principal, Problem> {
        let Some(state) = self.state_of(&organization)? else { return Err(no_such_organization()) };
        let made_up = |role: &str| self.0.config.developer(email, role, organization.clone());
        if email.trim().is_empty() || role.trim().is_empty() {
            return made_up(role);
        }
        let known = self.known_person(&organization, email.trim()).await;
        let user_id = known.map_err(|error| unavailable(error.code(), "accounts cannot be looked up at the moment"))?;
        let Some(user_id) = user_id else { return made_up(role) };
        let now = (self.0.clock)();
        let refused = |code, detail| Problem::invalid_token(code, detail).of_organization(organization.clone());
        let known = state.access_of(&user_id, now);
        match known.map(|user| user.status) {
            // An account that the ledger does not know (yet) is nobody's.
            None | Some(UserStatus::Invited) => return made_up(role),
            Some(UserStatus::Deactivated | UserStatus::Erased) => {
                return Err(refused("identity.inactive", "the account is not active"));
            }
            Some(UserStatus::Active) => {}
        }
        let role = role.trim();
        if !state.holds_role(&user_id, role, now) {
            return Err(refused(
                "identity.role_mismatch",
                "the account does not have the role that x-user-role claims",
            ));
        }
        let names = state.permissions_of_role(role);
        let permissions = PermissionSet::from_names(names.iter().map(String::as_str));
        Ok(Principal {
            actor: Actor::human(user_id),
            organization,
            roles: Arc::from([role.to_owned()]),
            access: Arc::new(Access::everywhere(permissions)),
            via: daybook_http_kit::Via::DevHeaders,
            session_id: None,
        })
    }

    /// The id of the account with this address, where the vault has one.
    pub(super) async fn known_person(
        &self,
        organization: &LedgerId,
        email: &str,
    ) -> Result<Option<String>, VaultError> {
        let Some(directory) = self.0.directories.get(organization) else { return Ok(None) };
        let position = directory.now().changed_position();
        let key = (organization.clone(), self.0.vault.email_digest(organization, email));
        if let Some(known) = self.0.known_people.0.get(&key)
            && known.position == position
            && known.read_at.elapsed() < MOST_AGE
        {
            return Ok(known.user_id.as_deref().map(str::to_owned));
        }
        let account = self.0.vault.account_by_email(organization, &key.1).await?;
        let user_id = account.map(|account| account.user_id);
        let known = Known { user_id: user_id.as_deref().map(Arc::from), position, read_at: Instant::now() };
        self.0.known_people.0.insert(key, known);
        Ok(user_id)
    }
}
