//! Passkeys: making one, coming in with one, one's own. Each ceremony has two steps; what belongs to both waits in the vault
//! under a challenge that is good once.
//!
//! A passkey is used after the authenticator has made sure who uses it, and so counts as two factors.

mod login;
mod own;
mod register;

use actix_web::web::{self, ServiceConfig};
use daybook_http_kit::Problem;
use daybook_identity::passkeys::{PasskeyError, RelyingParty};
use daybook_identity::secret::Secret;
use daybook_identity::vault::{Purpose, Taken};
use daybook_ledger::LedgerId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{OpenApi, ToSchema};

use crate::auth::exposed;
use crate::state::{IdentityState, vault_problem};

/// How long somebody may take to find the authenticator, in microseconds.
const CHALLENGE_LIFETIME: i64 = 5 * 60_000_000;
/// In a challenge's payload: which ceremony it is of, and what was remembered.
const FOR: &str = "for";
const REMEMBERED: &str = "remembered";

/// The operations of this module.
#[derive(OpenApi)]
#[openapi(paths(register::options, register::register, login::options, login::login, own::list, own::remove,))]
pub(crate) struct Api;

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .route("/auth/passkeys", web::get().to(own::list))
        .route("/auth/passkeys/register/options", web::post().to(register::options))
        .route("/auth/passkeys/register", web::post().to(register::register))
        .route("/auth/passkeys/login/options", web::post().to(login::options))
        .route("/auth/passkeys/login", web::post().to(login::login))
        .route("/auth/passkeys/{id}", web::delete().to(own::remove));
}

/// The first step of a ceremony.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OptionsAnswer {
    /// For the second step. Good once, for five minutes.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    pub challenge: Secret,
    /// For `navigator.credentials`, with `publicKey.challenge` and ids in base64url as
    /// `PublicKeyCredential.parseCreationOptionsFromJSON` and `parseRequestOptionsFromJSON` take them.
    #[schema(value_type = Object)]
    pub options: Value,
}

/// Which ceremony a challenge is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ceremony {
    Registration,
    Login,
}

/// This installation, as authenticators know it; 503 where browsers would offer no passkeys for it.
fn relying_party(state: &IdentityState) -> Result<RelyingParty, Problem> {
    RelyingParty::of(&state.settings.public_url).map_err(problem)
}

async fn issue(
    state: &IdentityState,
    organization: &LedgerId,
    user_id: Option<&str>,
    ceremony: Ceremony,
    remembered: Value,
) -> Result<Secret, Problem> {
    let payload = json!({ FOR: ceremony, REMEMBERED: remembered });
    let issued = state.vault.issue_one_time(
        organization,
        Purpose::PasskeyChallenge,
        user_id,
        &payload,
        CHALLENGE_LIFETIME,
        state.now(),
    );
    issued.await.map_err(vault_problem)
}

/// Uses a challenge up, whatever comes of it. `None`: unknown, used, expired, or of the other ceremony.
async fn take(
    state: &IdentityState,
    organization: Option<&LedgerId>,
    challenge: &Secret,
    ceremony: Ceremony,
) -> Result<Option<(Taken, Value)>, Problem> {
    let taken = state.vault.take_one_time(organization, Purpose::PasskeyChallenge, challenge.expose(), state.now());
    let Some(mut taken) = taken.await.map_err(vault_problem)? else { return Ok(None) };
    if taken.payload.get(FOR) != Some(&json!(ceremony)) {
        return Ok(None);
    }
    let remembered = taken.payload.get_mut(REMEMBERED).map(Value::take).unwrap_or_default();
    Ok(Some((taken, remembered)))
}

/// 401: the challenge is not good.
fn challenge_invalid() -> Problem {
    Problem::unauthorized("passkey.challenge_invalid", "the challenge is unknown, used or expired; begin again")
}

/// 503 where there are no passkeys, 500 where what was kept is broken, else 401 with a code that says what was wrong.
fn problem(error: PasskeyError) -> Problem {
    match &error {
        PasskeyError::NoSite => Problem::new(503, error.code(), error.to_string()),
        PasskeyError::Remembered(_) | PasskeyError::NoCounter => Problem::internal(&error),
        PasskeyError::Unreadable(detail) => {
            let detail: String = detail.chars().take(300).collect();
            Problem::bad_request(error.code(), "the credential cannot be read").at("/credential", detail)
        }
        _ => Problem::unauthorized(error.code(), error.to_string()),
    }
}
