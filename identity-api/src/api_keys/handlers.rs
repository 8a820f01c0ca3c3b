//! API keys over HTTP.

use actix_web::{HttpResponse, web};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, CreateProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::ApiKeyManage;
use daybook_http_kit::{Allowed, Body, CommandRequest, Listing, NoQuery, OptionalBody, PageParameters, Problem, Query};

use super::COLLECTION;
use super::body::{ChangeKeyBody, CreateKeyBody, KeyFilter, RotateBody};
use super::operations;
use super::view::{ApiKeyShown, ApiKeyView, last_uses, status};
use crate::people::carried::{self, Answer};
use crate::people::operations::Doing;
use crate::rbac::body::WhyBody;
use crate::rbac::list::{Paged, one, page_of};
use crate::state::{IdentityState, OrganizationIdentity};

/// List API keys
///
/// By id, expired and revoked ones included.
#[utoipa::path(
    get, path = "/v1/api-keys", tag = "api keys", operation_id = "list_api_keys",
    params(KeyFilter, PageParameters, QueryHeaders),
    responses((status = 200, description = "Keys without their secrets.", body = Listing<ApiKeyView>), QueryProblems)
)]
pub(crate) async fn list(
    _caller: Allowed<ApiKeyManage>,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    filter: Query<KeyFilter>,
) -> Result<HttpResponse, Problem> {
    paged(&installation, &identity, &filter).await.map(Paged::respond)
}

pub(super) async fn paged(
    installation: &IdentityState,
    identity: &OrganizationIdentity,
    filter: &KeyFilter,
) -> Result<Paged<ApiKeyView>, Problem> {
    let (state, now) = (identity.directory.now(), installation.now());
    let wanted = filter.status()?;
    let is_wanted = |record: &&std::sync::Arc<daybook_identity::directory::ApiKeyRecord>| {
        wanted.is_none_or(|wanted| status(&state, record, now) == wanted)
    };
    let records = state.api_keys.values().filter(is_wanted);
    let page = page_of(&filter.page, state.position, records, |record| record.key_id.clone())?;
    let uses = last_uses(installation, identity).await?;
    Ok(page.map(|record| ApiKeyView::of(&state, record, uses.get(&record.key_id).copied(), now)))
}

/// One API key
#[utoipa::path(
    get, path = "/v1/api-keys/{id}", tag = "api keys", operation_id = "get_api_key",
    params(("id" = String, Path, description = "The key's id."), QueryHeaders),
    responses((status = 200, description = "The key without its secret.", body = ApiKeyView), QueryProblems)
)]
pub(crate) async fn get(
    _caller: Allowed<ApiKeyManage>,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let position = identity.directory.now().position;
    Ok(one(position, &ApiKeyView::found(&installation, &identity, &id).await?))
}

/// Make an API key
///
/// The answer shows the key, this once: a repeat with the same `Idempotency-Key` answers without it. Nobody makes a key that
/// permits more than he may himself: 403 `rbac.exceeds_own`.
#[utoipa::path(
    post, path = "/v1/api-keys", tag = "api keys", operation_id = "create_api_key",
    params(CommandHeaders), request_body = CreateKeyBody,
    responses((status = 201, description = "Made.", body = Answer<ApiKeyShown>), CreateProblems)
)]
pub(crate) async fn create(
    caller: Allowed<ApiKeyManage>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    body: Body<CreateKeyBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let (done, shown) = operations::create(&doing, body.value, context).await?;
    Ok(carried::respond(&done, COLLECTION, shown))
}

/// Change an API key
///
/// It never permits more than its maker held. `is_active: false` revokes it.
#[utoipa::path(
    put, path = "/v1/api-keys/{id}", tag = "api keys", operation_id = "change_api_key",
    params(("id" = String, Path, description = "The key's id."), CommandHeaders), request_body = ChangeKeyBody,
    responses((status = 200, description = "Changed.", body = Answer<ApiKeyView>), CommandProblems)
)]
pub(crate) async fn change(
    caller: Allowed<ApiKeyManage>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: Body<ChangeKeyBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let (done, key) = operations::change(&doing, &id, body.value, context).await?;
    Ok(carried::respond(&done, COLLECTION, key))
}

/// Give an API key another secret
///
/// Under the same id. The old secret goes on for `overlap_seconds`. The answer shows the new key, this once.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/rotate", tag = "api keys", operation_id = "rotate_api_key",
    params(("id" = String, Path, description = "The key's id."), CommandHeaders), request_body = Option<RotateBody>,
    responses((status = 200, description = "Done.", body = Answer<ApiKeyShown>), CommandProblems)
)]
pub(crate) async fn rotate(
    caller: Allowed<ApiKeyManage>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: OptionalBody<RotateBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let (done, shown) = operations::rotate(&doing, &id, &body.value, context).await?;
    Ok(carried::respond(&done, COLLECTION, shown))
}

/// Revoke an API key
///
/// It is refused at once, for good.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/revoke", tag = "api keys", operation_id = "revoke_api_key",
    params(("id" = String, Path, description = "The key's id."), CommandHeaders), request_body = Option<WhyBody>,
    responses((status = 200, description = "Revoked.", body = Answer<ApiKeyView>), CommandProblems)
)]
pub(crate) async fn revoke(
    caller: Allowed<ApiKeyManage>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: OptionalBody<WhyBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let (done, key) = operations::revoke(&doing, &id, body.value.reason()?, context).await?;
    Ok(carried::respond(&done, COLLECTION, key))
}

/// Revoke an API key
///
/// The same as `POST /api-keys/{id}/revoke`: what happened with it stays.
#[utoipa::path(
    delete, path = "/v1/api-keys/{id}", tag = "api keys", operation_id = "delete_api_key",
    params(("id" = String, Path, description = "The key's id."), CommandHeaders), request_body = Option<WhyBody>,
    responses((status = 200, description = "Revoked.", body = Answer<ApiKeyView>), CommandProblems)
)]
pub(crate) async fn delete(
    caller: Allowed<ApiKeyManage>,
    request: CommandRequest,
    no_query: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: OptionalBody<WhyBody>,
) -> Result<HttpResponse, Problem> {
    revoke(caller, request, no_query, installation, identity, id, body).await
}
