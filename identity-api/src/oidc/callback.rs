//! Coming back from a provider, and fetching the tokens.

use std::sync::Arc;

use actix_web::http::header::{LOCATION, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse, web};
use daybook_domain::session::SessionMethod;
use daybook_http_kit::{Body, NoQuery, Problem, Query};
use daybook_identity::directory::{UserRecord, UserStatus};
use daybook_identity::oidc::{Provider, Remembered};
use daybook_identity::secret::Secret;
use daybook_ledger::LedgerId;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::browser::Cookie;
use super::people;
use super::problem::{denied, oidc_problem, other_browser, state_invalid, unknown_provider, wrong_issuer};
use super::start::redirect_uri;
use super::waiting::{Taken, Waiting};
use crate::auth::{Client, Seen, TokenAnswer, begin, go_on};
use crate::state::{IdentityState, OrganizationIdentity, vault_problem};

/// What a provider sends along. Providers add parameters of their own, which are not looked at.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CallbackParameters {
    /// The code that is exchanged at the provider.
    #[param(value_type = Option<String>)]
    pub code: Option<Secret>,
    /// What was sent along when leaving.
    #[param(value_type = Option<String>)]
    pub state: Option<Secret>,
    /// Why the provider lets nobody in.
    pub error: Option<String>,
    /// Which provider answers (RFC 9207).
    pub iss: Option<String>,
}

/// A code that came behind the `#`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeBody {
    /// What stands behind `#login_code=`.
    #[schema(value_type = String)]
    pub code: Secret,
}

/// Come back from a provider
///
/// For browsers, which have the cookie of the start. Answers the tokens, or sends to `return_to` with `#login_code=…` for
/// `POST /auth/oidc/exchange`. 401 with a code that says what was wrong; 403 where the organisation does not let the person
/// in; 503 `oidc.provider_unavailable`.
#[utoipa::path(get, path = "/v1/auth/oidc/{provider}/callback", tag = "auth", operation_id = "finish_oidc_login",
    params(("provider" = String, Path, description = "The provider's name."), CallbackParameters),
    responses((status = 200, description = "Tokens.", body = TokenAnswer), (status = 303, description = "To `return_to`.")),
    security(()))]
pub(crate) async fn callback(
    client: Client,
    state: web::Data<IdentityState>,
    name: web::Path<String>,
    parameters: Query<CallbackParameters>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let provider = state.settings.oidc.get(&name).ok_or_else(unknown_provider)?;
    let cookie = Cookie::of(&state.settings);
    let begun = begun(&state, &client, provider, &parameters, cookie.read(&request)).await?;
    let organization_id = &provider.settings().organization;
    let refused = |problem: Problem| {
        state.recorder.login_failed(organization_id, problem.code(), None);
        problem
    };
    if !provider.is_issuer(parameters.iss.as_deref()).await.map_err(|error| oidc_problem(provider.name(), &error))? {
        return Err(refused(wrong_issuer()));
    }
    if let Some(code) = &parameters.error {
        return Err(refused(denied(code)));
    }
    let code = parameters.code.as_ref().ok_or_else(|| refused(state_invalid()))?;
    let redirect_uri = redirect_uri(&state.settings, provider.name());
    let person = provider.exchange(code, &begun.remembered, &redirect_uri, state.now()).await;
    let person = person.map_err(|error| refused(oidc_problem(provider.name(), &error)))?;
    let organization = state.organizations.get(organization_id).ok_or_else(unavailable)?;
    let user = people::find(&state, &client, &organization, provider, &person).await?;
    let method = SessionMethod::Oidc(provider.settings().name.clone());
    let Some(path) = begun.return_to else {
        let answer = come_in(&state, &client, &organization, &user, method, person.has_multiple_factors).await?;
        return Ok(HttpResponse::Ok().insert_header((SET_COOKIE, cookie.clear())).json(answer));
    };
    let has_multiple_factors = person.has_multiple_factors;
    let back = Waiting::Back { method, has_multiple_factors, browser: begun.browser };
    let login_code = back.issue(&state, organization_id, Some(&user.user_id)).await?;
    let location = format!("{path}#login_code={}", login_code.expose());
    Ok(HttpResponse::SeeOther().insert_header((LOCATION, location)).finish())
}

/// What was begun, and belongs to this browser.
struct Begun {
    remembered: Remembered,
    browser: String,
    return_to: Option<String>,
}

/// Uses the state up, whatever comes of it.
async fn begun(
    state: &IdentityState,
    client: &Client,
    at: &Provider,
    parameters: &CallbackParameters,
    cookie: Option<Secret>,
) -> Result<Begun, Problem> {
    let refused = |organization: Option<&LedgerId>, problem: Problem| {
        client.record_refusal(state, organization, problem.code());
        problem
    };
    let token = parameters.state.as_ref().ok_or_else(|| refused(None, state_invalid()))?;
    let taken = Waiting::take(state, token.expose()).await?;
    let Some(Taken { organization, waiting, .. }) = taken else { return Err(refused(None, state_invalid())) };
    match waiting {
        Waiting::Away { provider, remembered, browser, return_to } if provider == at.name() => {
            if cookie.is_some_and(|cookie| cookie.matches(&browser)) {
                Ok(Begun { remembered, browser, return_to })
            } else {
                Err(refused(Some(&organization), other_browser()))
            }
        }
        Waiting::Away { .. } | Waiting::Back { .. } => Err(refused(Some(&organization), state_invalid())),
    }
}

/// Fetch the tokens of a login at a provider
///
/// With the code that came behind the `#` and the cookie of the start; good once, for two minutes. Answers as
/// `POST /auth/login` does, the challenge to show a second factor included.
#[utoipa::path(post, path = "/v1/auth/oidc/exchange", tag = "auth", operation_id = "exchange_oidc_login",
    request_body = ExchangeBody, responses((status = 200, description = "Tokens.", body = TokenAnswer)), security(()))]
pub(crate) async fn exchange(
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    request: HttpRequest,
    body: Body<ExchangeBody>,
) -> Result<HttpResponse, Problem> {
    let cookie = Cookie::of(&state.settings);
    let refused = |organization: Option<&LedgerId>, problem: Problem| {
        client.record_refusal(&state, organization, problem.code());
        problem
    };
    let taken = Waiting::take(&state, body.value.code.expose()).await?;
    let Some(Taken { organization: id, user_id: Some(user_id), waiting }) = taken else {
        return Err(refused(None, state_invalid()));
    };
    let Waiting::Back { method, has_multiple_factors, browser } = waiting else {
        return Err(refused(Some(&id), state_invalid()));
    };
    if !cookie.read(&request).is_some_and(|cookie| cookie.matches(&browser)) {
        return Err(refused(Some(&id), other_browser()));
    }
    let organization = state.organizations.get(&id).ok_or_else(unavailable)?;
    let user = organization.directory.now().users.get(user_id.as_str()).cloned();
    let user = user.filter(|user| user.status == UserStatus::Active);
    let user = user.ok_or_else(|| refused(Some(&id), state_invalid()))?;
    let answer = come_in(&state, &client, &organization, &user, method, has_multiple_factors).await?;
    Ok(HttpResponse::Ok().insert_header((SET_COOKIE, cookie.clear())).json(answer))
}

/// A session at once for whoever has shown more than one factor at the provider; else as after a password.
async fn come_in(
    state: &IdentityState,
    client: &Client,
    organization: &Arc<OrganizationIdentity>,
    user: &UserRecord,
    method: SessionMethod,
    has_multiple_factors: bool,
) -> Result<TokenAnswer, Problem> {
    let account = state.vault.account(&organization.id, &user.user_id).await.map_err(vault_problem)?;
    let account = account.ok_or_else(|| {
        client.record_refusal(state, Some(&organization.id), "oidc.no_account");
        state_invalid()
    })?;
    if has_multiple_factors {
        let seen = Seen::of(&account);
        return begin(state, organization, client, &user.user_id, vec![method], seen).await;
    }
    go_on(state, client, organization, user, &account, method).await
}

/// 503: the organisation is not open in this process (yet).
fn unavailable() -> Problem {
    Problem::unavailable("organization.unavailable", "the organisation is not available here", 1)
}
