//! What is remembered of a login that is under way, in one-time tokens: while the browser is at the provider, and until a
//! page has fetched the tokens.

use daybook_domain::session::SessionMethod;
use daybook_http_kit::Problem;
use daybook_identity::oidc::Remembered;
use daybook_identity::secret::Secret;
use daybook_identity::vault::Purpose;
use daybook_ledger::LedgerId;
use serde::{Deserialize, Serialize};

use crate::state::{IdentityState, vault_problem};

const MINUTE: i64 = 60_000_000;
/// How long somebody may take at the provider.
const AWAY_LIFETIME: i64 = 10 * MINUTE;
/// How long a page may take to fetch the tokens.
const CODE_LIFETIME: i64 = 2 * MINUTE;

/// A login that is under way.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub(super) enum Waiting {
    /// The browser is at the provider.
    Away {
        /// Which.
        provider: String,
        /// What the provider's answer is checked with.
        remembered: Remembered,
        /// The cookie of the browser.
        browser: String,
        /// Where it is to be sent in the end.
        return_to: Option<String>,
    },
    /// Somebody has come back, and the page has yet to fetch the tokens.
    Back {
        /// How he came.
        method: SessionMethod,
        /// Whether the provider has seen more than one factor.
        has_multiple_factors: bool,
        /// The cookie of the browser.
        browser: String,
    },
}

impl Waiting {
    /// A token for it, of `organization` and, once it is known, of a person.
    pub(super) async fn issue(
        &self,
        state: &IdentityState,
        organization: &LedgerId,
        user_id: Option<&str>,
    ) -> Result<Secret, Problem> {
        let payload = serde_json::to_value(self).map_err(|error| Problem::internal(&error))?;
        let lifetime = match self {
            Self::Away { .. } => AWAY_LIFETIME,
            Self::Back { .. } => CODE_LIFETIME,
        };
        let issued =
            state.vault.issue_one_time(organization, Purpose::OidcState, user_id, &payload, lifetime, state.now());
        issued.await.map_err(vault_problem)
    }

    /// Uses a token up.
    pub(super) async fn take(state: &IdentityState, token: &str) -> Result<Option<Taken>, Problem> {
        let taken =
            state.vault.take_one_time(None, Purpose::OidcState, token, state.now()).await.map_err(vault_problem)?;
        let Some(taken) = taken else { return Ok(None) };
        let waiting = serde_json::from_value(taken.payload).map_err(|error| Problem::internal(&error))?;
        Ok(Some(Taken { organization: taken.ledger, user_id: taken.user_id, waiting }))
    }
}

/// What a token was for.
pub(super) struct Taken {
    pub(super) organization: LedgerId,
    pub(super) user_id: Option<String>,
    pub(super) waiting: Waiting,
}
