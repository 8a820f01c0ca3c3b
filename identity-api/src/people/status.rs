//! Keeping people out and letting them in again; their sessions and second factors.

use actix_web::{HttpResponse, web};
use daybook_domain::session::SessionEndReason;
use daybook_domain::text::StreamId;
use daybook_domain::user::{SecondFactorRemovedBy, User, UserCommand, UserError};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::{SessionManage, UserDelete, UserUpdate};
use daybook_http_kit::{Allowed, CommandRequest, Listing, NoQuery, OptionalBody, PageParameters, Problem, Query};
use daybook_identity::vault::{SessionRow, VaultError};
use daybook_ledger::commands::CommandError;
use serde::Serialize;
use utoipa::ToSchema;

use super::COLLECTION;
use super::carried::{self, Answer, Done, done, following};
use super::operations::Doing;
use super::rules::is_owner_account;
use super::view::{PersonView, known};
use crate::problems::{invalid, refusal, refused};
use crate::rbac::body::WhyBody;
use crate::rbac::guard::require_owner;
use crate::rbac::list::{Paged, page_of};
use crate::state::{IdentityState, OrganizationIdentity, TRIES, vault_problem};
use crate::view::{field, open};
use daybook_ledger::keys::time::rfc3339;

/// Deactivate a person
///
/// Every session ends at once, every API key that the person answers for is revoked. The organisation keeps an owner.
#[utoipa::path(
    post, path = "/v1/users/{id}/deactivate", tag = "people", operation_id = "deactivate_user",
    params(("id" = String, Path, description = "The person's id."), CommandHeaders), request_body = Option<WhyBody>,
    responses((status = 200, description = "Deactivated.", body = Answer<PersonView>), CommandProblems)
)]
pub(crate) async fn deactivate(
    caller: Allowed<UserDelete>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: OptionalBody<WhyBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let done = doing.deactivate(&id, body.value.reason()?, context).await?;
    let person = PersonView::found(&identity, &id, &caller, installation.now()).await?;
    Ok(carried::respond(&done, COLLECTION, person))
}

/// Reactivate a person
///
/// With the roles that they had, which nobody gives back who lacks what they permit. Sessions and API keys stay ended.
#[utoipa::path(
    post, path = "/v1/users/{id}/reactivate", tag = "people", operation_id = "reactivate_user",
    params(("id" = String, Path, description = "The person's id."), CommandHeaders), request_body = Option<WhyBody>,
    responses((status = 200, description = "Reactivated.", body = Answer<PersonView>), CommandProblems)
)]
pub(crate) async fn reactivate(
    caller: Allowed<UserDelete>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: OptionalBody<WhyBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let done = doing.reactivate(&id, body.value.reason()?, context).await?;
    let person = PersonView::found(&identity, &id, &caller, installation.now()).await?;
    Ok(carried::respond(&done, COLLECTION, person))
}

/// A session of a person.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PersonSessionView)]
pub(crate) struct SessionView {
    /// Its id.
    pub session_id: String,
    /// When it started.
    pub started_at: String,
    /// When a token of it was last renewed.
    pub last_used_at: String,
    /// When it is over whatever happens.
    pub expires_at: String,
    /// Address and program of the client; `erased` where it was erased.
    pub client: Option<String>,
}

impl SessionView {
    async fn of(identity: &OrganizationIdentity, row: &SessionRow) -> Result<Self, Problem> {
        Ok(Self {
            session_id: row.session_id.clone(),
            started_at: rfc3339(row.started_at),
            last_used_at: rfc3339(row.last_used_at),
            expires_at: rfc3339(row.expires_at),
            client: open(identity, row.client.as_ref(), field::CLIENT).await?,
        })
    }
}

/// The sessions of a person
///
/// Those that go on, the last used first; at most 500.
#[utoipa::path(
    get, path = "/v1/users/{id}/sessions", tag = "people", operation_id = "list_sessions_of_user",
    params(("id" = String, Path, description = "The person's id."), PageParameters, QueryHeaders),
    responses((status = 200, description = "Sessions.", body = Listing<SessionView>), QueryProblems)
)]
pub(crate) async fn sessions(
    _caller: Allowed<SessionManage>,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    page: Query<PageParameters>,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    known(&state, &id)?;
    let rows = installation.vault.sessions_of(&identity.id, &id, installation.now()).await.map_err(vault_problem)?;
    let rows = rows.into_iter().filter(|row| !state.session_ended(&row.session_id));
    let page = page_of(&page, state.position, rows, |row| row.session_id.clone())?;
    let mut views = Vec::with_capacity(page.listing.items.len());
    for row in &page.listing.items {
        views.push(SessionView::of(&identity, row).await?);
    }
    Ok(Paged::respond(page.with_items(views)))
}

/// How many sessions ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SessionsEnded {
    /// The person.
    pub user_id: String,
    /// How many went on until now.
    pub ended: usize,
}

/// End the sessions of a person
///
/// Their tokens are refused at once. Each end is an entry of its own.
#[utoipa::path(
    delete, path = "/v1/users/{id}/sessions", tag = "people", operation_id = "end_sessions_of_user",
    params(("id" = String, Path, description = "The person's id."), CommandHeaders),
    responses((status = 200, description = "Ended.", body = SessionsEnded), CommandProblems)
)]
pub(crate) async fn end_sessions(
    caller: Allowed<SessionManage>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    request.refuse_if_match()?;
    known(&identity.directory.now(), &id)?;
    // Whoever repeats it finds nothing left to end: it needs no key of its own.
    let context = following(&request.context(&caller, b""), None);
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let ended = doing.end_sessions(&id, SessionEndReason::Revoked, &context).await?;
    Ok(HttpResponse::Ok().json(SessionsEnded { user_id: id.into_inner(), ended }))
}

/// Remove the second factors of a person
///
/// For somebody who lost them; they come in with the password and enrol again. Sessions end.
#[utoipa::path(
    delete, path = "/v1/users/{id}/second-factors", tag = "people", operation_id = "remove_second_factors",
    params(("id" = String, Path, description = "The person's id."), CommandHeaders),
    responses((status = 200, description = "Removed.", body = Answer<PersonView>), CommandProblems)
)]
pub(crate) async fn remove_second_factors(
    caller: Allowed<UserUpdate>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    request.refuse_if_match()?;
    let state = identity.directory.now();
    let user = known(&state, &id)?;
    if is_owner_account(user) {
        require_owner(&caller)?;
    }
    let context = following(&request.context(&caller, b""), None);
    let mut last: Option<Done> = None;
    for factor in &user.second_factors {
        let factor_id = StreamId::parse("", factor.factor_id.as_str()).map_err(invalid)?;
        let command = UserCommand::RemoveSecondFactor { factor_id, by: SecondFactorRemovedBy::Administrator };
        match identity.users.execute_with_retry(&id, command, context.clone(), TRIES).await {
            Ok(outcome) => last = Some(done(outcome)),
            Err(CommandError::Refused(UserError::SecondFactorNotFound { .. })) => {}
            Err(error) => return Err(refusal(error)),
        }
    }
    forget_factors(&installation, &identity, &id).await.map_err(vault_problem)?;
    let done = match last {
        Some(done) => done,
        None => unchanged(&identity, &id).await?,
    };
    identity.settle_at(done.receipt.position).await?;
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    doing.end_sessions(&id, SessionEndReason::Revoked, &following(&context, Some(&done.receipt))).await?;
    let person = PersonView::found(&identity, &id, &caller, installation.now()).await?;
    Ok(carried::respond(&done, COLLECTION, person))
}

/// Removes from the vault whatever could be presented beside the password.
async fn forget_factors(
    installation: &IdentityState,
    identity: &OrganizationIdentity,
    id: &str,
) -> Result<(), VaultError> {
    let vault = &installation.vault;
    vault.remove_totp(&identity.id, id).await?;
    vault.remove_recovery_codes(&identity.id, id).await?;
    for passkey in vault.passkeys_of(&identity.id, id).await? {
        vault.remove_passkey(&identity.id, id, &passkey.factor_id).await?;
    }
    Ok(())
}

async fn unchanged(identity: &OrganizationIdentity, id: &str) -> Result<Done, Problem> {
    let current = identity.users.load(id).await.map_err(refusal::<<User as cqrs_es::Aggregate>::Error>)?;
    current.map(done).ok_or_else(|| refused(&UserError::NotFound))
}
