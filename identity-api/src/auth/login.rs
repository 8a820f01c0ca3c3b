//! Coming in: a password, and a second factor where there is one.
//!
//! An unknown account, a wrong password, an account that is kept out and an organisation that does not exist are answered
//! alike and take the same time.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use daybook_domain::session::SessionMethod;
use daybook_http_kit::{Body, NoQuery, Problem};
use daybook_identity::directory::{UserRecord, UserStatus};
use daybook_identity::secret::Secret;
use daybook_identity::vault::{AccountRow, Purpose};
use daybook_ledger::LedgerId;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::client::Client;
use super::codes::{self, CodeKind};
use super::session::Seen;
use super::session::{self, TokenAnswer};
use super::throttle::{Attempt, forgive};
use crate::state::{IdentityState, OrganizationIdentity, password_problem, vault_problem};

const MINUTE: i64 = 60_000_000;
/// How long somebody may take to find his device.
const CHALLENGE_LIFETIME: i64 = 5 * MINUTE;
/// How long somebody may take to set a device up.
const ENROLMENT_LIFETIME: i64 = 15 * MINUTE;
/// In a challenge's payload: what it is for, and what was shown before it.
const FOR: &str = "for";
const FIRST: &str = "first";
const SEEN: &str = "seen";

/// An e-mail address and a password.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginBody {
    /// E-mail address.
    #[schema(example = "ann@example.com")]
    pub email: String,
    /// Password.
    #[schema(value_type = String, format = Password)]
    pub password: Secret,
    /// The organisation, `main` if it is named neither here nor in `X-Organization-ID`.
    pub organization_id: Option<String>,
}

/// A challenge and the code that answers it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecondFactorBody {
    /// `challenge` of the answer `auth.second_factor_required`.
    #[schema(value_type = String)]
    pub challenge: Secret,
    /// Six digits, or a recovery code.
    #[schema(value_type = String, example = "123456")]
    pub code: Secret,
}

/// Log in
///
/// 401 `auth.invalid_credentials` whatever of the two is wrong. 401 `auth.second_factor_required` with a `challenge` for
/// `POST /auth/login/second-factor` where there is a second factor; 403 `auth.second_factor_enrolment_required` with a
/// `challenge` for `POST /auth/totp/enrol` where the organisation wants one and there is none yet. 429 after too many
/// failures.
#[utoipa::path(post, path = "/v1/auth/login", tag = "auth", operation_id = "login", request_body = LoginBody,
    responses((status = 200, description = "Tokens.", body = TokenAnswer)), security(()))]
pub(crate) async fn login(
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<LoginBody>,
) -> Result<HttpResponse, Problem> {
    let LoginBody { email, password, organization_id } = body.value;
    let id = client.organization(organization_id.as_deref())?;
    Ok(HttpResponse::Ok().json(log_in(&state, &client, &id, &email, password).await?))
}

/// Log in with a second factor
///
/// The challenge is good for five minutes and until one code was right. A code is good once.
#[utoipa::path(post, path = "/v1/auth/login/second-factor", tag = "auth", operation_id = "login_with_second_factor",
    request_body = SecondFactorBody, responses((status = 200, description = "Tokens.", body = TokenAnswer)), security(()))]
pub(crate) async fn second_factor(
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<SecondFactorBody>,
) -> Result<HttpResponse, Problem> {
    let SecondFactorBody { challenge, code } = body.value;
    let challenged = peek_challenge(&state, &client, &challenge, Stage::Login).await?;
    let Challenged { organization, user, account, seen, .. } = &challenged;
    let attempt = Attempt::begin(&state, &client, &organization.id, account).await?;
    let Some(kind) = codes::verify(&state, &organization.id, &user.user_id, &code).await? else {
        attempt.failed().await?;
        state.recorder.login_failed(&organization.id, "auth.invalid_code", Some(&user.user_id));
        return Err(invalid_code());
    };
    take_challenge(&state, &client, &challenge).await?;
    attempt.succeeded().await?;
    drop(attempt);
    let second = match kind {
        CodeKind::Totp => SessionMethod::Totp,
        CodeKind::Recovery => SessionMethod::RecoveryCode,
    };
    let methods = vec![challenged.first.clone(), second];
    let answer = session::begin(&state, organization, &client, &user.user_id, methods, *seen);
    Ok(HttpResponse::Ok().json(answer.await?))
}

/// Everything that a login with a password comes to.
pub(super) async fn log_in(
    state: &IdentityState,
    client: &Client,
    id: &LedgerId,
    email: &str,
    password: Secret,
) -> Result<TokenAnswer, Problem> {
    let (organization, user, account) = by_password(state, client, id, email, password).await?;
    go_on(state, client, &organization, &user, &account, SessionMethod::Password).await
}

/// How a login goes on for somebody who has shown one factor, `first`: a session, or the challenge to show another. `account`
/// is as it was when the factor was looked at.
///
/// Guesses are forgotten where a session begins and not before: else who knows the password could have them forgotten, and
/// guess at the second factor for ever.
pub(crate) async fn go_on(
    state: &IdentityState,
    client: &Client,
    organization: &Arc<OrganizationIdentity>,
    user: &UserRecord,
    account: &AccountRow,
    first: SessionMethod,
) -> Result<TokenAnswer, Problem> {
    let seen = Seen::of(account);
    let directory = organization.directory.now();
    let totp = state.vault.totp(&organization.id, &user.user_id).await.map_err(vault_problem)?;
    let mut kinds: Vec<&str> = user.second_factors.iter().map(|factor| factor.kind.as_str()).collect();
    if totp.is_some() && !kinds.contains(&"totp") {
        kinds.push("totp");
    }
    if !kinds.is_empty() {
        kinds.push("recovery_code");
        kinds.sort_unstable();
        kinds.dedup();
        let challenge = issue_challenge(state, &organization.id, &user.user_id, Stage::Login, &first, seen).await?;
        return Err(Problem::unauthorized("auth.second_factor_required", "a second factor is needed")
            .with_member("challenge", challenge.expose())
            .with_member("methods", kinds));
    }
    if directory.organization.settings.require_second_factor.unwrap_or(false) {
        let challenge = issue_challenge(state, &organization.id, &user.user_id, Stage::Enrolment, &first, seen).await?;
        return Err(Problem::new(
            403,
            "auth.second_factor_enrolment_required",
            "the organisation wants a second factor and there is none yet; enrol one with the challenge",
        )
        .with_member("challenge", challenge.expose()));
    }
    forgive(state, &organization.id, &account.email_digest).await?;
    session::begin(state, organization, client, &user.user_id, vec![first], seen).await
}

/// The person whose address and password these are, and the account whose password was compared.
async fn by_password(
    state: &IdentityState,
    client: &Client,
    id: &LedgerId,
    email: &str,
    password: Secret,
) -> Result<(Arc<OrganizationIdentity>, Arc<UserRecord>, AccountRow), Problem> {
    state.open_organization(id)?;
    let digest = state.vault.email_digest(id, email);
    let account = state.vault.account_by_email(id, &digest).await.map_err(vault_problem)?;
    let user_id = account.as_ref().map(|account| account.user_id.as_str());
    let attempt = Attempt::begin_unknown(state, client, id, &digest, user_id).await?;
    // Once more now that it is this attempt's turn: what it waited for may have changed the password.
    let account = state.vault.account_by_email(id, &digest).await.map_err(vault_problem)?;
    let organization = state.organizations.get(id);
    let hash = account.as_ref().and_then(|account| account.password_hash.as_ref());
    let verified = state.passwords.verify(password.clone(), hash).await.map_err(password_problem)?;
    let known = organization.zip(account.as_ref()).and_then(|(organization, account)| {
        let user = organization.directory.now().users.get(account.user_id.as_str()).cloned()?;
        Some((organization, user))
    });
    let active = known.filter(|(_, user)| user.status == UserStatus::Active);
    let (Some((organization, user)), Some(account), true) = (active, account.as_ref(), verified.is_right()) else {
        attempt.failed().await?;
        let reason = if user_id.is_some() { "auth.invalid_credentials" } else { "auth.unknown_account" };
        state.recorder.login_failed(&attempt.recorded_in(), reason, user_id);
        return Err(invalid_credentials());
    };
    complete(state, id, account).await?;
    if matches!(verified, daybook_identity::passwords::Verified::Right { is_outdated: true }) {
        renew_hash(state, id, account, password).await;
    }
    Ok((organization, user, account.clone()))
}

/// A process may have stopped between the ledger's fact and the vault's mark; the ledger has the fact.
pub(crate) async fn complete(state: &IdentityState, id: &LedgerId, account: &AccountRow) -> Result<(), Problem> {
    if account.completed_at.is_none() {
        state.vault.complete_account(id, &account.user_id, state.now()).await.map_err(vault_problem)?;
    }
    Ok(())
}

/// Hashes the password as new ones are, while it is at hand. Coming in does not depend on it.
async fn renew_hash(state: &IdentityState, id: &LedgerId, account: &AccountRow, password: Secret) {
    let Some(old) = &account.password_hash else { return };
    let Ok(new) = state.passwords.hash(password).await else { return };
    if let Err(error) = state.vault.replace_password_hash(id, &account.user_id, old, &new).await {
        tracing::warn!(%error, "a password hash with old parameters could not be replaced");
    }
}

/// How far a login is that was broken off for a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The person has a second factor and is to show it.
    Login,
    /// The person has none and is to enrol one.
    Enrolment,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Enrolment => "enrolment",
        }
    }

    fn lifetime(self) -> i64 {
        match self {
            Self::Login => CHALLENGE_LIFETIME,
            Self::Enrolment => ENROLMENT_LIFETIME,
        }
    }
}

/// Whom a challenge is for.
pub(super) struct Challenged {
    pub(super) organization: Arc<OrganizationIdentity>,
    pub(super) user: Arc<UserRecord>,
    pub(super) account: AccountRow,
    /// What was shown already.
    pub(super) first: SessionMethod,
    /// The account as it was then.
    pub(super) seen: Seen,
}

async fn issue_challenge(
    state: &IdentityState,
    id: &LedgerId,
    user_id: &str,
    stage: Stage,
    first: &SessionMethod,
    seen: Seen,
) -> Result<Secret, Problem> {
    let payload = json!({ FOR: stage.as_str(), FIRST: first, SEEN: seen });
    let (purpose, now) = (Purpose::SecondFactorChallenge, state.now());
    state.vault.issue_one_time(id, purpose, Some(user_id), &payload, stage.lifetime(), now).await.map_err(vault_problem)
}

/// Looks at a challenge: it stays good, so that a slip of the finger does not lead back to the password.
pub(super) async fn peek_challenge(
    state: &IdentityState,
    client: &Client,
    challenge: &Secret,
    stage: Stage,
) -> Result<Challenged, Problem> {
    let purpose = Purpose::SecondFactorChallenge;
    let peeked =
        state.vault.peek_one_time(None, purpose, challenge.expose(), state.now()).await.map_err(vault_problem)?;
    let taken = peeked.filter(|taken| taken.payload.get(FOR).and_then(|of| of.as_str()) == Some(stage.as_str()));
    let refused = |organization: Option<&LedgerId>| {
        client.record_refusal(state, organization, "auth.challenge_invalid");
        challenge_invalid()
    };
    let Some(taken) = taken else { return Err(refused(None)) };
    let first = taken.payload.get(FIRST).and_then(|first| serde_json::from_value(first.clone()).ok());
    let seen = taken.payload.get(SEEN).and_then(|seen| serde_json::from_value::<Seen>(seen.clone()).ok());
    let (Some(first), Some(seen)) = (first, seen) else { return Err(refused(Some(&taken.ledger))) };
    let (Some(organization), Some(user_id)) = (state.open_organization(&taken.ledger)?, taken.user_id) else {
        return Err(refused(Some(&taken.ledger)));
    };
    let user = organization.directory.now().users.get(user_id.as_str()).cloned();
    let user = user.filter(|user| user.status == UserStatus::Active);
    let account = state.vault.account(&organization.id, &user_id).await.map_err(vault_problem)?;
    // A challenge that was given for a former password is worth as much as that password.
    let account = account.filter(|account| Seen::of(account) == seen);
    match (user, account) {
        (Some(user), Some(account)) => Ok(Challenged { organization, user, account, first, seen }),
        _ => Err(refused(Some(&taken.ledger))),
    }
}

/// Uses a challenge up. Of several who do so at once one gets it.
pub(super) async fn take_challenge(state: &IdentityState, client: &Client, challenge: &Secret) -> Result<(), Problem> {
    let purpose = Purpose::SecondFactorChallenge;
    let taken =
        state.vault.take_one_time(None, purpose, challenge.expose(), state.now()).await.map_err(vault_problem)?;
    if taken.is_none() {
        client.record_refusal(state, None, "auth.challenge_invalid");
        return Err(challenge_invalid());
    }
    Ok(())
}

fn challenge_invalid() -> Problem {
    Problem::unauthorized("auth.challenge_invalid", "the challenge is unknown, used or expired; log in again")
}

/// 401: one answer for everything that can be wrong with an address and a password.
pub(super) fn invalid_credentials() -> Problem {
    Problem::unauthorized("auth.invalid_credentials", "e-mail address or password is wrong")
}

/// 401: the code is wrong, or was used.
pub(super) fn invalid_code() -> Problem {
    Problem::unauthorized("auth.invalid_code", "the code is wrong or was used before")
}
