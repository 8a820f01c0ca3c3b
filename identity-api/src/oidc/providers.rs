//! Which providers there are.

use actix_web::{HttpResponse, web};
use daybook_http_kit::{API_PREFIX, NoQuery, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Client;
use crate::state::IdentityState;

/// A provider that people may log in at.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProviderView {
    /// What it is called here.
    #[schema(example = "corporate")]
    pub name: String,
    /// Where a browser begins; `?return_to=/path` says where it is to end.
    #[schema(example = "/v1/auth/oidc/corporate/start")]
    pub start: String,
}

/// Providers of an organisation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProviderList {
    /// In the order of the settings.
    pub items: Vec<ProviderView>,
}

/// List the providers to log in at
///
/// Those of the organisation that `X-Organization-ID` names, `main` without it.
#[utoipa::path(get, path = "/v1/auth/oidc", tag = "auth", operation_id = "list_oidc_providers",
    responses((status = 200, description = "Providers.", body = ProviderList)), security(()))]
pub(crate) async fn list(client: Client, _: NoQuery, state: web::Data<IdentityState>) -> Result<HttpResponse, Problem> {
    let organization = client.organization(None)?;
    let items = state.settings.oidc.of(&organization).map(|provider| ProviderView {
        name: provider.name().to_owned(),
        start: format!("{API_PREFIX}/auth/oidc/{}/start", provider.name()),
    });
    Ok(HttpResponse::Ok().json(ProviderList { items: items.collect() }))
}
