//! Going on with a session, and leaving it.

use actix_web::{HttpResponse, web};
use daybook_domain::session::SessionEndReason;
use daybook_http_kit::{Body, NoQuery, Principal, Problem, Scoped};
use daybook_identity::directory::UserStatus;
use daybook_identity::secret::Secret;
use daybook_identity::vault::{Rotated, SessionRow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::account::no_session;
use super::client::Client;
use super::session::{self, TokenAnswer, authentication};
use crate::state::{IdentityState, OrganizationIdentity, organization_unavailable, vault_problem};
use daybook_http_kit::answer::ReceiptView;

/// A refresh token.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshBody {
    /// The newest refresh token of the session.
    #[schema(value_type = String)]
    pub refresh_token: Secret,
}

/// A session that is over.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LogoutAnswer {
    /// What happened, in words.
    #[schema(example = "Logged out")]
    pub detail: &'static str,
    /// The session.
    pub session_id: String,
    /// Proof that its end is in the ledger; null where that was there before.
    pub receipt: Option<ReceiptView>,
}

/// Get fresh tokens
///
/// A refresh token is good once. One that comes a second time was stolen, or its successor was: the session ends
/// (401 `auth.refresh_reused`).
#[utoipa::path(post, path = "/v1/auth/refresh", tag = "auth", operation_id = "refresh_tokens", request_body = RefreshBody,
    responses((status = 200, description = "Fresh tokens.", body = TokenAnswer)), security(()))]
pub(crate) async fn refresh(
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<RefreshBody>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(rotate(&state, &client, &body.value.refresh_token).await?))
}

/// Log out
///
/// Ends the session of the access token: its tokens are refused at once.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "auth", operation_id = "logout",
    responses((status = 200, description = "The session is over.", body = LogoutAnswer)))]
pub(crate) async fn logout(
    caller: Principal,
    organization: Scoped<OrganizationIdentity>,
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(leave(&state, &organization, &client, &caller).await?))
}

/// Everything that a refresh comes to.
///
/// All that may fail for a while comes before the token is used up: who is answered 503 and tries again as told must not
/// be taken for a thief.
pub(super) async fn rotate(state: &IdentityState, client: &Client, token: &Secret) -> Result<TokenAnswer, Problem> {
    let peeked = state.vault.peek_refresh(token.expose()).await.map_err(vault_problem)?;
    let prepared = match &peeked {
        Some(session) => prepare(state, session).await?,
        None => None,
    };
    match state.vault.rotate_refresh(token.expose(), state.now()).await.map_err(vault_problem)? {
        Rotated::New { session, token } => match prepared {
            Some(answer) => Ok(TokenAnswer { refresh_token: token, ..answer }),
            None => {
                client.record_refusal(state, Some(&session.ledger_id), "auth.session_ended");
                end(state, client, &session, SessionEndReason::Deactivated).await?;
                Err(session_ended())
            }
        },
        Rotated::Reused { session, .. } => {
            client.record_refusal(state, Some(&session.ledger_id), "auth.refresh_reused");
            end(state, client, &session, SessionEndReason::RefreshReuse).await?;
            Err(Problem::unauthorized(
                "auth.refresh_reused",
                "the refresh token was used before; the session has ended",
            ))
        }
        Rotated::Expired { session } => {
            if session.ended_at.is_none() {
                end(state, client, &session, SessionEndReason::Expired).await?;
            }
            Err(session_ended())
        }
        Rotated::Unknown => {
            client.record_refusal(state, None, "auth.refresh_unknown");
            Err(Problem::unauthorized("auth.refresh_unknown", "the refresh token is not known"))
        }
    }
}

/// The answer but for its refresh token; `None` where the session does not go on. 503 where that cannot be said now.
async fn prepare(state: &IdentityState, session: &SessionRow) -> Result<Option<TokenAnswer>, Problem> {
    // There is a session, so there is an organisation.
    let organization = state.organizations.get(&session.ledger_id).ok_or_else(organization_unavailable)?;
    let directory = organization.directory.now();
    let user = directory.users.get(session.user_id.as_str());
    let is_active = user.is_some_and(|user| user.status == UserStatus::Active);
    if !is_active || !session.is_live(state.now()) || directory.session_ended(&session.session_id) {
        return Ok(None);
    }
    let (user_id, session_id) = (&session.user_id, &session.session_id);
    let none_yet = Secret::new(String::new());
    session::answer(state, &organization, user_id, session_id, none_yet, None).await.map(Some)
}

async fn end(
    state: &IdentityState,
    client: &Client,
    session: &SessionRow,
    reason: SessionEndReason,
) -> Result<(), Problem> {
    // Where the organisation is not open, the vault has ended it and the fact is recorded at the next attempt.
    let Some(organization) = state.organizations.get(&session.ledger_id) else { return Ok(()) };
    let context = client.context(authentication());
    if let Some(receipt) = session::end(state, &organization, &session.session_id, reason, context).await? {
        organization.settle_at(receipt.position).await?;
    }
    Ok(())
}

/// Ends the caller's session.
pub(super) async fn leave(
    state: &IdentityState,
    organization: &OrganizationIdentity,
    client: &Client,
    caller: &Principal,
) -> Result<LogoutAnswer, Problem> {
    let session_id = caller.session_id.as_deref().ok_or_else(no_session)?;
    let context = client.context(caller.actor.clone());
    let receipt = session::end(state, organization, session_id, SessionEndReason::Logout, context).await?;
    if let Some(receipt) = &receipt {
        organization.settle_at(receipt.position).await?;
    }
    let receipt = receipt.as_ref().map(ReceiptView::from);
    Ok(LogoutAnswer { detail: "Logged out", session_id: session_id.to_owned(), receipt })
}

fn session_ended() -> Problem {
    Problem::unauthorized("auth.session_ended", "the session is over; log in again")
}
