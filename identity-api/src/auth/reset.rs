//! A new password for who has forgotten the old one, by a one-time link in a letter.
//!
//! Whether an address has an account is not said, neither in words nor by the time it takes: the work is done after the
//! answer, and at most so much of it at once.

use std::sync::LazyLock;

use actix_web::{HttpResponse, web};
use daybook_domain::user::{PasswordChangedBy, UserCommand};
use daybook_http_kit::{Body, NoQuery, Problem};
use daybook_identity::directory::UserStatus;
use daybook_identity::mail::is_address;
use daybook_identity::secret::Secret;
use daybook_identity::vault::Purpose;
use daybook_ledger::{Actor, LedgerId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::client::Client;
use super::password::{self, Change, PasswordAnswer};
use super::register::token_invalid;
use super::session::authentication;
use super::throttle::{count_request, forgive, may_send_letter};
use crate::letters::{self, mail_problem};
use crate::problems::refusal;
use crate::state::{IdentityState, TRIES, vault_problem};

/// How long the link is good.
const LIFETIME: i64 = 30 * 60_000_000;
/// Most letters that are being prepared at once.
const AT_ONCE: usize = 64;

static UNDER_WAY: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(AT_ONCE));

/// Somebody who has forgotten the password.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetBody {
    /// E-mail address of the account. The letter goes there.
    #[schema(example = "ann@example.com")]
    pub email: String,
    /// The organisation, `main` if it is named neither here nor in `X-Organization-ID`.
    pub organization_id: Option<String>,
}

/// The token of the letter, and the password from now on.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetConfirmBody {
    /// What stands behind `#token=` in the letter's link.
    #[schema(value_type = String)]
    pub token: Secret,
    /// The password from now on, 12 to 256 characters.
    #[schema(value_type = String, format = Password)]
    pub new_password: Secret,
}

/// The same for everybody.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ResetAnswer {
    /// What may happen, in words.
    #[schema(example = "If there is such an account, a letter is on its way")]
    pub detail: &'static str,
}

/// Ask for a new password
///
/// The answer is the same whether there is such an account or not. 503 `mail.not_configured` where the installation sends
/// no letters to anybody.
#[utoipa::path(post, path = "/v1/auth/reset-password", tag = "auth", operation_id = "request_password_reset",
    request_body = ResetBody,
    responses((status = 202, description = "If there is such an account, a letter is on its way.", body = ResetAnswer)),
    security(()))]
pub(crate) async fn request(
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<ResetBody>,
) -> Result<HttpResponse, Problem> {
    let ResetBody { email, organization_id } = body.value;
    let id = client.organization(organization_id.as_deref())?;
    Ok(HttpResponse::Accepted().json(ask(&state, client, id, email).await?))
}

/// Choose a new password
///
/// The token is good once and for 30 minutes. All sessions of the account end.
#[utoipa::path(post, path = "/v1/auth/reset-password/confirm", tag = "auth", operation_id = "confirm_password_reset",
    request_body = ResetConfirmBody, responses((status = 200, description = "Changed.", body = PasswordAnswer)),
    security(()))]
pub(crate) async fn confirm(
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<ResetConfirmBody>,
) -> Result<HttpResponse, Problem> {
    let ResetConfirmBody { token, new_password } = body.value;
    Ok(HttpResponse::Ok().json(choose(&state, &client, &token, new_password).await?))
}

/// Answers at once and leaves the rest to a task.
pub(super) async fn ask(
    state: &web::Data<IdentityState>,
    client: Client,
    id: LedgerId,
    email: String,
) -> Result<ResetAnswer, Problem> {
    if !state.mailer.is_configured() {
        return Err(letters::not_configured());
    }
    if !is_address(email.trim()) {
        return Err(Problem::invalid("/email", "is not an e-mail address"));
    }
    state.open_organization(&id)?;
    count_request(state, &client, "reset.address").await?;
    match UNDER_WAY.try_acquire() {
        Ok(permit) => {
            let state = state.clone();
            actix_web::rt::spawn(async move {
                if let Err(problem) = send_link(&state, &client, &id, &email).await {
                    tracing::warn!(code = problem.code(), "a letter for a new password was not sent");
                }
                drop(permit);
            });
        }
        Err(_) => tracing::warn!("too many letters for new passwords at once: one was not prepared"),
    }
    Ok(ResetAnswer { detail: "If there is such an account, a letter is on its way" })
}

/// The letter, where there is somebody to write to.
async fn send_link(state: &IdentityState, client: &Client, id: &LedgerId, email: &str) -> Result<(), Problem> {
    let Some(organization) = state.organizations.get(id) else { return Ok(()) };
    let digest = state.vault.email_digest(id, email);
    let Some(account) = state.vault.account_by_email(id, &digest).await.map_err(vault_problem)? else { return Ok(()) };
    let user_id = account.user_id.as_str();
    let directory = organization.directory.now();
    let is_active = directory.users.get(user_id).is_some_and(|user| user.status == UserStatus::Active);
    if !is_active || !may_send_letter(state, id, user_id).await? {
        return Ok(());
    }
    let command = UserCommand::RecordPasswordResetRequest;
    let context = client.context(authentication());
    organization.users.execute_with_retry(user_id, command, context, TRIES).await.map_err(refusal)?;
    let purpose = Purpose::PasswordReset;
    state.vault.revoke_one_time(id, user_id, purpose).await.map_err(vault_problem)?;
    let token = state.vault.issue_one_time(id, purpose, Some(user_id), &Value::Null, LIFETIME, state.now()).await;
    let link = state.settings.link("reset-password", &token.map_err(vault_problem)?);
    state.mailer.send(letters::password_reset(user_id, email.trim(), &link)).await.map_err(mail_problem)
}

/// A new password for whoever has the token.
pub(super) async fn choose(
    state: &IdentityState,
    client: &Client,
    token: &Secret,
    new_password: Secret,
) -> Result<PasswordAnswer, Problem> {
    let refused = |id: Option<&LedgerId>| {
        client.record_refusal(state, id, "auth.token_invalid");
        token_invalid()
    };
    let purpose = Purpose::PasswordReset;
    let peeked = state.vault.peek_one_time(None, purpose, token.expose(), state.now()).await.map_err(vault_problem)?;
    let Some(peeked) = peeked else { return Err(refused(None)) };
    let id = &peeked.ledger;
    let (Some(organization), Some(user_id)) = (state.open_organization(id)?, peeked.user_id.as_deref()) else {
        return Err(refused(Some(id)));
    };
    let account = state.vault.account(id, user_id).await.map_err(vault_problem)?;
    let directory = organization.directory.now();
    let is_active = directory.users.get(user_id).is_some_and(|user| user.status == UserStatus::Active);
    let Some(account) = account.filter(|_| is_active) else { return Err(refused(Some(id))) };
    // A password that cannot be chosen does not use the token up.
    password::check(state, &organization, user_id, &new_password, "/new_password").await?;
    let taken =
        state.vault.take_one_time(Some(id), purpose, token.expose(), state.now()).await.map_err(vault_problem)?;
    if taken.is_none() {
        return Err(refused(Some(id)));
    }
    let change =
        Change { user_id, password: new_password, pointer: "/new_password", by: PasswordChangedBy::Reset, keep: None };
    let context = client.context(Actor::human(user_id));
    let answer = password::replace(state, &organization, change, context).await?;
    // Where there is a second factor, a letter alone must not make room for more guesses at it.
    if directory.users.get(user_id).is_some_and(|user| user.second_factors.is_empty()) {
        forgive(state, id, &account.email_digest).await?;
    }
    Ok(answer)
}
