//! Leaving for a provider.

use actix_web::http::header::{LOCATION, SET_COOKIE};
use actix_web::{HttpResponse, web};
use daybook_http_kit::{API_PREFIX, Problem, Query};
use daybook_identity::oidc::Remembered;
use serde::Deserialize;
use utoipa::IntoParams;

use super::browser::{Cookie, fresh, is_own_path};
use super::problem::{oidc_problem, unknown_provider};
use super::waiting::Waiting;
use crate::auth::{Client, count_beginning};
use crate::state::{IdentitySettings, IdentityState};

/// Where the login ends.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StartParameters {
    /// Path of this installation to be sent to in the end, with `#login_code=…`. Without it the callback answers the tokens.
    #[param(example = "/app/")]
    pub return_to: Option<String>,
}

/// Where a provider sends people back to.
pub(super) fn redirect_uri(settings: &IdentitySettings, provider: &str) -> String {
    format!("{}{API_PREFIX}/auth/oidc/{provider}/callback", settings.public_url.trim_end_matches('/'))
}

/// Log in at a provider
///
/// For browsers: sends them to the provider, with a cookie that the callback wants to see again. 503
/// `oidc.provider_unavailable` where the provider does not answer.
#[utoipa::path(get, path = "/v1/auth/oidc/{provider}/start", tag = "auth", operation_id = "start_oidc_login",
    params(("provider" = String, Path, description = "The provider's name."), StartParameters),
    responses((status = 302, description = "To the provider.")), security(()))]
pub(crate) async fn start(
    client: Client,
    state: web::Data<IdentityState>,
    name: web::Path<String>,
    parameters: Query<StartParameters>,
) -> Result<HttpResponse, Problem> {
    let provider = state.settings.oidc.get(&name).ok_or_else(unknown_provider)?;
    let return_to = parameters.0.return_to;
    if return_to.as_deref().is_some_and(|path| !is_own_path(path)) {
        return Err(Problem::bad_request("request.invalid_parameter", "return_to must be a path of this server")
            .at("?return_to", "must begin with one / and have no #"));
    }
    count_beginning(&state, &client, "oidc.start").await?;
    let failed = |error| oidc_problem(provider.name(), &error);
    provider.reach().await.map_err(failed)?;
    let (remembered, browser) = (Remembered::new(), fresh());
    let waiting = Waiting::Away {
        provider: provider.name().to_owned(),
        remembered: remembered.clone(),
        browser: browser.expose().to_owned(),
        return_to,
    };
    let token = waiting.issue(&state, &provider.settings().organization, None).await?;
    let redirect_uri = redirect_uri(&state.settings, provider.name());
    let url = provider.authorization_url(&remembered, &token, &redirect_uri).await.map_err(failed)?;
    Ok(HttpResponse::Found()
        .insert_header((LOCATION, url))
        .insert_header((SET_COOKIE, Cookie::of(&state.settings).set(&browser)))
        .finish())
}
