//! The caller's own sessions: which there are, and ending them.

use actix_web::{HttpResponse, web};
use daybook_domain::session::SessionEndReason;
use daybook_http_kit::{NoQuery, Problem};
use daybook_identity::vault::SessionRow;
use serde::Serialize;
use utoipa::ToSchema;

use super::account::Account;
use super::client::Client;
use super::session;
use crate::state::{IdentityState, OrganizationIdentity, vault_problem};
use crate::view::{field, open};
use daybook_http_kit::answer::ReceiptView;
use daybook_ledger::keys::time::rfc3339;

/// A session that goes on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SessionView {
    /// Its id.
    #[schema(example = "ses_0193f3a17c007000800000000000002a")]
    pub session_id: String,
    /// When it began.
    pub created_at: String,
    /// When it was last refreshed.
    pub last_seen_at: String,
    /// When it is over whatever happens.
    pub expires_at: String,
    /// Address and program of whoever began it.
    pub client: Option<String>,
    /// True for the session of this request.
    pub current: bool,
}

impl SessionView {
    /// Opens what the client said.
    pub async fn of(
        organization: &OrganizationIdentity,
        row: &SessionRow,
        current: Option<&str>,
    ) -> Result<Self, Problem> {
        Ok(Self {
            session_id: row.session_id.clone(),
            created_at: rfc3339(row.started_at),
            last_seen_at: rfc3339(row.last_used_at),
            expires_at: rfc3339(row.expires_at),
            client: open(organization, row.client.as_ref(), field::CLIENT).await?,
            current: current == Some(row.session_id.as_str()),
        })
    }
}

/// Sessions that go on, the last used first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SessionList {
    /// At most 500.
    pub items: Vec<SessionView>,
    /// How many they are.
    pub total: usize,
}

/// Sessions that are over.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RevokedAnswer {
    /// What happened, in words.
    pub detail: &'static str,
    /// How many sessions ended.
    pub ended: usize,
    /// Proof of the one that was named; null where several were meant or nothing had to be done.
    pub receipt: Option<ReceiptView>,
}

/// List one's own sessions
#[utoipa::path(get, path = "/v1/auth/sessions", tag = "auth", operation_id = "list_own_sessions",
    responses((status = 200, description = "Sessions that go on.", body = SessionList)))]
pub(crate) async fn list(
    account: Account,
    _: NoQuery,
    state: web::Data<IdentityState>,
) -> Result<HttpResponse, Problem> {
    let organization = &account.organization;
    let rows = state.vault.sessions_of(&organization.id, account.id(), state.now()).await.map_err(vault_problem)?;
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        items.push(SessionView::of(organization, row, account.principal.session_id.as_deref()).await?);
    }
    Ok(HttpResponse::Ok().json(SessionList { total: items.len(), items }))
}

/// End one of one's own sessions
///
/// Its tokens are refused at once. Somebody else's session is a 404; ending one again ends nothing.
#[utoipa::path(delete, path = "/v1/auth/sessions/{id}", tag = "auth", operation_id = "revoke_own_session",
    params(("id" = String, Path, description = "The session's id.")),
    responses((status = 200, description = "It is over.", body = RevokedAnswer)))]
pub(crate) async fn revoke(
    account: Account,
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let organization = &account.organization;
    let row = state.vault.session(&organization.id, &id).await.map_err(vault_problem)?;
    // One that is over for the vault may not be so for the ledger, which a repeat puts right.
    let row = row.filter(|row| row.user_id == account.id());
    let row = row.ok_or_else(|| Problem::not_found("session.not_found", "there is no such session"))?;
    let (reason, context) = (SessionEndReason::Revoked, account.context(&client));
    let receipt = session::end(&state, organization, &row.session_id, reason, context).await?;
    if let Some(receipt) = &receipt {
        organization.settle_at(receipt.position).await?;
    }
    let ended = usize::from(receipt.is_some() || row.is_live(state.now()));
    let receipt = receipt.as_ref().map(ReceiptView::from);
    Ok(HttpResponse::Ok().json(RevokedAnswer { detail: "The session has ended", ended, receipt }))
}

/// End all of one's own sessions but this one
#[utoipa::path(post, path = "/v1/auth/sessions/revoke-others", tag = "auth", operation_id = "revoke_other_sessions",
    responses((status = 200, description = "They are over.", body = RevokedAnswer)))]
pub(crate) async fn revoke_others(
    account: Account,
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
) -> Result<HttpResponse, Problem> {
    let current = account.session_id()?;
    let (reason, context) = (SessionEndReason::Revoked, account.context(&client));
    let ended = session::end_all(&state, &account.organization, account.id(), Some(current), reason, &context).await?;
    Ok(HttpResponse::Ok().json(RevokedAnswer { detail: "The other sessions have ended", ended, receipt: None }))
}
