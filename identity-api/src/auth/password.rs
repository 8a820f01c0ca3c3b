//! Changing the password by who knows it.

use actix_web::{HttpResponse, web};
use daybook_domain::session::SessionEndReason;
use daybook_domain::user::{PasswordChangedBy, UserCommand};
use daybook_http_kit::{Body, NoQuery, Problem};
use daybook_identity::secret::Secret;
use daybook_identity::vault::Purpose;
use daybook_ledger::commands::CommandContext;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::account::Claimant;
use super::client::Client;
use super::proof::{self, Proof};
use super::session;
use crate::letters;
use crate::problems::refusal;
use crate::state::{IdentityState, OrganizationIdentity, TRIES, password_problem, password_refusal, vault_problem};
use crate::view::{field, open_text};
use daybook_http_kit::answer::Recorded;

/// The password and the one after it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordBody {
    /// The password until now.
    #[schema(value_type = String, format = Password)]
    pub current_password: Secret,
    /// The password from now on, 12 to 256 characters.
    #[schema(value_type = String, format = Password)]
    pub new_password: Secret,
}

/// A password that was changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PasswordAnswer {
    /// What happened, in words.
    #[schema(example = "Password changed")]
    pub detail: &'static str,
    /// How many other sessions ended.
    pub sessions_ended: usize,
    /// Version, time and proof of the entry.
    #[serde(flatten)]
    pub recorded: Recorded,
}

/// Change one's own password
///
/// All other sessions end.
#[utoipa::path(post, path = "/v1/auth/password", tag = "auth", operation_id = "change_own_password",
    request_body = PasswordBody, responses((status = 200, description = "Changed.", body = PasswordAnswer)))]
pub(crate) async fn change(
    caller: Claimant,
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<PasswordBody>,
) -> Result<HttpResponse, Problem> {
    let account = caller.account()?;
    let PasswordBody { current_password, new_password } = body.value;
    let proof = Proof { password: Some(current_password.clone()), code: None };
    proof::check(&state, &client, &account, proof).await?;
    if new_password.matches(current_password.expose()) {
        let detail = "the new password must be another";
        return Err(Problem::refused("password.unchanged", detail).at("/new_password", detail));
    }
    let context = account.context(&client);
    let change = Change {
        user_id: account.id(),
        password: new_password,
        pointer: "/new_password",
        by: PasswordChangedBy::OneSelf,
        keep: account.principal.session_id.as_deref(),
    };
    Ok(HttpResponse::Ok().json(replace(&state, &account.organization, change, context).await?))
}

/// A password that is to be another.
pub(super) struct Change<'a> {
    pub(super) user_id: &'a str,
    pub(super) password: Secret,
    /// Where the password stands in the request.
    pub(super) pointer: &'a str,
    pub(super) by: PasswordChangedBy,
    /// The session that goes on.
    pub(super) keep: Option<&'a str>,
}

/// Whether the password may be chosen by this person; answers the address, where it can be read.
pub(super) async fn check(
    state: &IdentityState,
    organization: &OrganizationIdentity,
    user_id: &str,
    password: &Secret,
    pointer: &str,
) -> Result<Option<String>, Problem> {
    let directory = organization.directory.now();
    let sealed = directory.users.get(user_id).and_then(|user| user.email.clone());
    let email = open_text(organization, sealed.as_ref(), field::EMAIL).await?;
    let refused = state.passwords.check(password, email.as_deref().unwrap_or_default());
    refused.map_err(|refusal| password_refusal(refusal, pointer))?;
    Ok(email)
}

/// Fact, password, end of the other sessions, and of the links by which the password could be changed again.
pub(super) async fn replace(
    state: &IdentityState,
    organization: &OrganizationIdentity,
    change: Change<'_>,
    context: CommandContext,
) -> Result<PasswordAnswer, Problem> {
    let Change { user_id, password, pointer, by, keep } = change;
    let email = check(state, organization, user_id, &password, pointer).await?;
    let hash = state.passwords.hash(password).await.map_err(password_problem)?;
    let command = UserCommand::RecordPasswordChange { by };
    let outcome = organization.users.execute_with_retry(user_id, command, context.clone(), TRIES).await;
    let outcome = outcome.map_err(refusal)?;
    let (vault, id) = (&state.vault, &organization.id);
    vault.set_password(id, user_id, &hash, state.now()).await.map_err(vault_problem)?;
    vault.revoke_one_time(id, user_id, Purpose::PasswordReset).await.map_err(vault_problem)?;
    vault.revoke_one_time(id, user_id, Purpose::SecondFactorChallenge).await.map_err(vault_problem)?;
    let reason = SessionEndReason::PasswordChanged;
    let sessions_ended = session::end_all(state, organization, user_id, keep, reason, &context).await?;
    organization.settle(&outcome).await?;
    if let Some(email) = email.filter(|_| state.mailer.is_configured())
        && let Err(error) = state.mailer.send(letters::password_changed(user_id, &email)).await
    {
        tracing::warn!(user_id, %error, "a letter about a changed password could not be taken");
    }
    Ok(PasswordAnswer { detail: "Password changed", sessions_ended, recorded: Recorded::of(&outcome) })
}
