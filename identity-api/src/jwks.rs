//! The public keys that access tokens are verified with, as a JSON Web Key Set (RFC 7517).

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, ServiceConfig};
use daybook_http_kit::{NoQuery, Problem};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::state::{IdentityState, token_problem};

/// The operations of this module.
#[derive(OpenApi)]
#[openapi(paths(list), components(schemas(JwkView)))]
pub(crate) struct Api;

pub(crate) fn configure(services: &mut ServiceConfig) {
    services.route("/.well-known/jwks.json", web::get().to(list));
}

/// Public keys as RFC 7517 has them.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeySet {
    keys: Vec<JwkView>,
}

/// A public key.
#[derive(Debug, Serialize, ToSchema)]
pub struct JwkView {
    /// Always `EC`.
    kty: String,
    /// Always `P-256`.
    crv: String,
    /// Coordinate, base64url.
    x: String,
    /// Coordinate, base64url.
    y: String,
    /// Always `ES256`.
    alg: String,
    /// Always `sig`.
    #[serde(rename = "use")]
    usage: String,
    /// Which key; access tokens name it in their header.
    kid: String,
}

/// List the keys of access tokens
///
/// The key that signs, and those it replaced for as long as a token of theirs may live. Needs no credentials.
#[utoipa::path(get, path = "/v1/.well-known/jwks.json", tag = "auth", operation_id = "list_token_keys",
    responses((status = 200, description = "JSON Web Key Set", body = KeySet)), security(()))]
pub(crate) async fn list(state: web::Data<IdentityState>, _: NoQuery) -> Result<HttpResponse, Problem> {
    let keys = state.tokens.jwks(state.now()).await.map_err(token_problem)?;
    // Verifiers may keep it for a while: a new key is published before any of its tokens is old enough to matter.
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "public, max-age=60")).json(keys))
}
