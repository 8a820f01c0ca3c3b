//! Who is calling: the operator, a person in a session, an API key, or, where that is switched on, whoever the
//! development headers name.
//!
//! Credentials say who somebody is; what they may do is asked of the directory at each request, so that a change there
//! is felt by the next one. Refusals are answers with stable codes; that they are recorded is the middleware's
//! business.
//!
//! An access token is good in the organisation that it names and nowhere else. `X-Organization-ID` with another one is
//! answered as an organisation that there is not, whether or not there is.

mod development;
mod key;
mod session;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daybook_http_kit::{Authenticator, Credentials, IdentityConfig, Organizations, Principal, Problem};
use daybook_ledger::LedgerId;
use daybook_ledger::sequencer::Clock;
use tokio::sync::watch;

use self::development::KnownPeople;
use crate::api_keys::{ApiKeys, key_id_of};
use crate::directory::{Directory, DirectoryState};
use crate::tokens::Tokens;
use crate::vault::Vault;

/// How long a directory may be out of touch with its ledger before people and keys are not let in any more: somebody
/// may have been locked out meanwhile.
pub const MOST_STALE: Duration = Duration::from_secs(30);
/// How often the last use of keys is written down.
const USES_INTERVAL: Duration = Duration::from_secs(10);

/// What says who is calling. Cheap to clone.
#[derive(Clone)]
pub struct IdentityService(Arc<Inner>);

struct Inner {
    config: IdentityConfig,
    vault: Vault,
    tokens: Tokens,
    keys: ApiKeys,
    directories: Organizations<Directory>,
    known_people: KnownPeople,
    clock: Clock,
}

impl IdentityService {
    /// With the directories of the organisations that are open here; those that are inserted later count as well.
    pub fn new(
        config: IdentityConfig,
        vault: Vault,
        tokens: Tokens,
        directories: Organizations<Directory>,
        clock: Clock,
    ) -> Self {
        Self(Arc::new(Inner {
            config,
            keys: ApiKeys::new(vault.clone()),
            known_people: KnownPeople::new(),
            vault,
            tokens,
            directories,
            clock,
        }))
    }

    /// Writes down, now and then, when API keys were used, until `shutdown` is true or its sender is gone.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        loop {
            let stopping = tokio::time::timeout(USES_INTERVAL, shutdown.wait_for(|stop| *stop)).await.is_ok();
            if let Err(error) = self.0.keys.write_uses().await {
                tracing::warn!(%error, "when API keys were used cannot be written down");
            }
            if stopping {
                return;
            }
        }
    }

    /// The state of an organisation's directory, where it is open here and to be relied on.
    fn state_of(&self, organization: &LedgerId) -> Result<Option<Arc<DirectoryState>>, Problem> {
        let Some(directory) = self.0.directories.get(organization) else {
            if self.0.directories.is_unavailable(organization) {
                return Err(unavailable("organization.unavailable", "the organisation is not open here at the moment"));
            }
            return Ok(None);
        };
        if !directory.is_current(MOST_STALE) {
            return Err(unavailable("directory.stale", "who may do what is not known for sure at the moment"));
        }
        let state = directory.now();
        if state.not_understood.is_some() {
            return Err(unavailable(
                "directory.not_understood",
                "this organisation has entries that a newer program wrote; only the operator is let in",
            ));
        }
        Ok(Some(state))
    }

    /// The organisation that a request names, or that of those which name none.
    fn or_default(&self, named: Option<LedgerId>) -> LedgerId {
        named.unwrap_or_else(|| self.0.config.default_organization().clone())
    }

    async fn bearer(&self, token: &str, credentials: &Credentials<'_>) -> Result<Principal, Problem> {
        let named = credentials.organization_id()?;
        if let Some(operator) = self.0.config.operator(token, self.or_default(named.clone())) {
            return Ok(operator);
        }
        let principal = match key_id_of(token) {
            Some(key_id) => self.key(&key_id, token).await?,
            // Tokens have two dots, which no other credential of ours has.
            None if token.contains('.') => self.session(token).await?,
            None => {
                return Err(Problem::invalid_token("identity.invalid_token", "the credentials are not known"));
            }
        };
        if named.is_some_and(|named| named != principal.organization) {
            return Err(no_such_organization());
        }
        Ok(principal)
    }
}

#[async_trait]
impl Authenticator for IdentityService {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Principal>, Problem> {
        match (credentials.bearer, credentials.dev) {
            (Some(token), _) => self.bearer(token, &credentials).await.map(Some),
            (None, Some((email, role))) if self.0.config.dev_auth() => {
                let organization = self.or_default(credentials.organization_id()?);
                self.developer(email, role, organization).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn person_id(&self, organization: &LedgerId, email: &str) -> Option<String> {
        match self.known_person(organization, email).await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(code = error.code(), "the account of an address cannot be looked up");
                None
            }
        }
    }
}

/// As an organisation that there is not, and as one that is not this caller's.
fn no_such_organization() -> Problem {
    Problem::not_found("organization.not_found", "there is no organisation of that id")
}

fn unavailable(code: &'static str, detail: &'static str) -> Problem {
    Problem::unavailable(code, detail, 1)
}
