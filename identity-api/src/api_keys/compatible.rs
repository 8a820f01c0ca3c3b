//! The predecessors' `/api/admin/api-keys`, in their envelope.

use actix_web::{HttpResponse, web};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, CreateProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::ApiKeyManage;
use daybook_http_kit::{Allowed, Body, CommandRequest, NoQuery, OptionalBody, PageParameters, Problem, Query};

use super::COLLECTION;
use super::body::{ChangeKeyBody, CreateKeyBody, KeyFilter};
use super::handlers::paged;
use super::operations;
use super::view::{ApiKeyShown, ApiKeyView};
use crate::people::carried::{Answer, Enveloped, envelop};
use crate::people::operations::Doing;
use crate::rbac::body::WhyBody;
use crate::state::{IdentityState, OrganizationIdentity};

/// List API keys
#[utoipa::path(
    get, path = "/v1/api/admin/api-keys", tag = "compatible", operation_id = "compatible_list_api_keys",
    params(KeyFilter, PageParameters, QueryHeaders),
    responses((status = 200, description = "Keys.", body = Enveloped<Vec<ApiKeyView>>), QueryProblems)
)]
pub(crate) async fn list(
    _caller: Allowed<ApiKeyManage>,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    filter: Query<KeyFilter>,
) -> Result<HttpResponse, Problem> {
    let page = paged(&installation, &identity, &filter).await?;
    Ok(HttpResponse::Ok().json(Enveloped::of(page.listing.items, "API keys")))
}

/// Make an API key
#[utoipa::path(
    post, path = "/v1/api/admin/api-keys", tag = "compatible", operation_id = "compatible_create_api_key",
    params(CommandHeaders), request_body = CreateKeyBody,
    responses((status = 201, description = "Made.", body = Enveloped<Answer<ApiKeyShown>>), CreateProblems)
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
    Ok(envelop(&done, COLLECTION, "API key created", shown))
}

/// Change an API key
#[utoipa::path(
    put, path = "/v1/api/admin/api-keys/{id}", tag = "compatible", operation_id = "compatible_change_api_key",
    params(("id" = String, Path, description = "The key's id."), CommandHeaders), request_body = ChangeKeyBody,
    responses((status = 200, description = "Changed.", body = Enveloped<Answer<ApiKeyView>>), CommandProblems)
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
    Ok(envelop(&done, COLLECTION, "API key updated", key))
}

/// Revoke an API key
#[utoipa::path(
    delete, path = "/v1/api/admin/api-keys/{id}", tag = "compatible", operation_id = "compatible_delete_api_key",
    params(("id" = String, Path, description = "The key's id."), CommandHeaders), request_body = Option<WhyBody>,
    responses((status = 200, description = "Revoked.", body = Enveloped<Answer<ApiKeyView>>), CommandProblems)
)]
pub(crate) async fn delete(
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
    Ok(envelop(&done, COLLECTION, "API key revoked", key))
}
