//! Whether people can come in: the vault answers.

use actix_web::{HttpResponse, web};
use daybook_http_kit::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::{IdentityState, vault_problem};
use daybook_ledger::keys::time::rfc3339;

/// That it works.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuthHealth {
    /// Always `healthy`: otherwise the answer is a problem.
    #[schema(example = "healthy")]
    pub status: &'static str,
    /// Always `auth`.
    pub service: &'static str,
    /// Which Daybook.
    pub version: &'static str,
    /// When this was looked at.
    pub timestamp: String,
}

/// Is it possible to log in?
///
/// 503 where the vault does not answer.
#[utoipa::path(get, path = "/v1/auth/health", tag = "auth", operation_id = "get_auth_health",
    responses((status = 200, description = "The vault answers.", body = AuthHealth)), security(()))]
pub(crate) async fn health(state: web::Data<IdentityState>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(check(&state).await?))
}

/// Asks the vault something small.
pub(super) async fn check(state: &IdentityState) -> Result<AuthHealth, Problem> {
    state.vault.organizations().await.map_err(vault_problem)?;
    Ok(AuthHealth {
        status: "healthy",
        service: "auth",
        version: env!("CARGO_PKG_VERSION"),
        timestamp: rfc3339(state.now()),
    })
}
