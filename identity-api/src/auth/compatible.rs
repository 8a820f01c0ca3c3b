//! The predecessors' paths below `/api/auth`, answered as `{success, message, data}` from the same functions. What fails is
//! answered with a problem.
//!
//! `register` also logs in, as it did there: with an invitation's `token`, or where registration is open.

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use daybook_http_kit::authenticator::Credentials;
use daybook_http_kit::{Body, NoQuery, OptionalBody, Principal, Problem, Scoped};
use daybook_identity::secret::Secret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::account::{Account, Claimant};
use super::client::Client;
use super::health::{self, AuthHealth};
use super::login::log_in;
use super::me::{self, MeView};
use super::password::PasswordAnswer;
use super::profile::{self, ProfileBody, ProfileView};
use super::refresh::{LogoutAnswer, leave, rotate};
use super::register::{self, Wish};
use super::reset::{self, ResetAnswer, ResetBody};
use super::session::TokenAnswer;
use crate::people::carried::Enveloped;
use crate::state::{IdentityState, OrganizationIdentity};

pub(super) fn configure(services: &mut ServiceConfig) {
    services
        .route("/api/auth/register", web::post().to(register))
        .route("/api/auth/login", web::post().to(login))
        .route("/api/auth/refresh", web::post().to(refresh))
        .route("/api/auth/logout", web::post().to(logout))
        .route("/api/auth/me", web::get().to(get_me))
        .route("/api/auth/profile", web::get().to(get_profile))
        .route("/api/auth/profile", web::put().to(put_profile))
        .route("/api/auth/reset-password", web::post().to(reset_password))
        .route("/api/auth/reset-password/confirm", web::post().to(confirm_reset))
        .route("/api/auth/health", web::get().to(get_health));
}

/// Somebody who wants an account, in the predecessors' words.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompatibleRegisterBody {
    /// E-mail address.
    pub email: String,
    /// Password, 12 to 256 characters.
    #[schema(value_type = String, format = Password)]
    pub password: Secret,
    /// Name; the address's name where it is left out.
    #[serde(alias = "full_name")]
    pub name: Option<String>,
    /// The token of an invitation or of the owner's link.
    #[schema(value_type = Option<String>)]
    pub token: Option<Secret>,
}

/// An e-mail address and a password.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompatibleLoginBody {
    /// E-mail address.
    pub email: String,
    /// Password.
    #[schema(value_type = String, format = Password)]
    pub password: Secret,
}

/// A refresh token; it may also be the bearer of the request.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompatibleRefreshBody {
    /// The newest refresh token of the session.
    #[schema(value_type = Option<String>)]
    pub refresh_token: Option<Secret>,
}

/// The token of the letter, and the password from now on.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompatibleResetConfirmBody {
    /// What stands behind `#token=` in the letter's link.
    #[schema(value_type = String)]
    pub token: Secret,
    /// The password from now on, 12 to 256 characters.
    #[schema(value_type = String, format = Password)]
    pub new_password: Secret,
}

/// What is to be another, in the predecessors' words. `first_time` is taken and without effect.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompatibleProfileBody {
    /// Name.
    #[serde(alias = "full_name")]
    pub name: Option<String>,
    /// A picture's address; null for none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub picture_url: daybook_domain::patch::Patch<String>,
    /// Without effect: the answer derives it from the account.
    #[serde(rename = "first_time")]
    #[schema(rename = "first_time")]
    pub _first_time: Option<bool>,
}

/// An account, in the predecessors' words.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CompatibleProfile {
    /// Name, once more.
    pub name: Option<String>,
    /// True while nothing of the account was ever changed.
    pub first_time: bool,
    /// The account.
    #[serde(flatten)]
    pub profile: ProfileView,
}

impl From<ProfileView> for CompatibleProfile {
    fn from(profile: ProfileView) -> Self {
        Self { name: profile.full_name.clone(), first_time: profile.created_at == profile.updated_at, profile }
    }
}

/// Register and log in (compatible)
#[utoipa::path(post, path = "/v1/api/auth/register", tag = "auth", operation_id = "compatible_register",
    request_body = CompatibleRegisterBody,
    responses((status = 201, description = "Tokens.", body = Enveloped<TokenAnswer>)), security(()))]
pub(crate) async fn register(
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<CompatibleRegisterBody>,
) -> Result<HttpResponse, Problem> {
    let CompatibleRegisterBody { email, password, name, token } = body.value;
    let full_name = name.or_else(|| email.split('@').next().map(str::to_owned));
    let wish =
        Wish { email: Some(email.clone()), password: Some(password.clone()), full_name, token, organization_id: None };
    let made = register::make(&state, &client, wish).await?;
    let id =
        made.organization_id.parse().map_err(|_| Problem::invalid("/organization_id", "must match [a-z0-9-]{1,63}"))?;
    let tokens = log_in(&state, &client, &id, &email, password).await?;
    Ok(HttpResponse::Created().json(Enveloped::of(tokens, "User registered successfully")))
}

/// Log in (compatible)
#[utoipa::path(post, path = "/v1/api/auth/login", tag = "auth", operation_id = "compatible_login",
    request_body = CompatibleLoginBody,
    responses((status = 200, description = "Tokens.", body = Enveloped<TokenAnswer>)), security(()))]
pub(crate) async fn login(
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<CompatibleLoginBody>,
) -> Result<HttpResponse, Problem> {
    let CompatibleLoginBody { email, password } = body.value;
    let id = client.organization(None)?;
    let tokens = log_in(&state, &client, &id, &email, password).await?;
    Ok(HttpResponse::Ok().json(Enveloped::of(tokens, "Login successful")))
}

/// Get fresh tokens (compatible)
///
/// The refresh token comes in the body or as the bearer of the request.
#[utoipa::path(post, path = "/v1/api/auth/refresh", tag = "auth", operation_id = "compatible_refresh",
    request_body = Option<CompatibleRefreshBody>,
    responses((status = 200, description = "Fresh tokens.", body = Enveloped<TokenAnswer>)), security(()))]
pub(crate) async fn refresh(
    request: HttpRequest,
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: OptionalBody<CompatibleRefreshBody>,
) -> Result<HttpResponse, Problem> {
    let token = match body.value.refresh_token {
        Some(token) => token,
        None => {
            let bearer = Credentials::of_headers(request.headers())?.bearer;
            Secret::new(bearer.ok_or_else(|| Problem::invalid("/refresh_token", "is required"))?)
        }
    };
    Ok(HttpResponse::Ok().json(Enveloped::of(rotate(&state, &client, &token).await?, "Token refreshed")))
}

/// Log out (compatible)
#[utoipa::path(post, path = "/v1/api/auth/logout", tag = "auth", operation_id = "compatible_logout",
    responses((status = 200, description = "The session is over.", body = Enveloped<LogoutAnswer>)))]
pub(crate) async fn logout(
    caller: Principal,
    organization: Scoped<OrganizationIdentity>,
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
) -> Result<HttpResponse, Problem> {
    let left = leave(&state, &organization, &client, &caller).await?;
    Ok(HttpResponse::Ok().json(Enveloped::of(left, "Logged out successfully")))
}

/// Who am I (compatible)
#[utoipa::path(get, path = "/v1/api/auth/me", tag = "auth", operation_id = "compatible_me",
    responses((status = 200, description = "The caller.", body = Enveloped<MeView>)))]
pub(crate) async fn get_me(
    caller: Principal,
    organization: Scoped<OrganizationIdentity>,
    _: NoQuery,
) -> Result<HttpResponse, Problem> {
    let view = me::view(&caller, &organization).await?;
    Ok(HttpResponse::Ok().json(Enveloped::of(view, "User retrieved successfully")))
}

/// Read one's own profile (compatible)
#[utoipa::path(get, path = "/v1/api/auth/profile", tag = "auth", operation_id = "compatible_get_profile",
    responses((status = 200, description = "The profile.", body = Enveloped<CompatibleProfile>)))]
pub(crate) async fn get_profile(
    account: Account,
    _: NoQuery,
    state: web::Data<IdentityState>,
) -> Result<HttpResponse, Problem> {
    let view = profile::view(&state, &account.organization, account.id(), false, None).await?;
    Ok(HttpResponse::Ok().json(Enveloped::of(CompatibleProfile::from(view), "Profile retrieved successfully")))
}

/// Change one's own profile (compatible)
#[utoipa::path(put, path = "/v1/api/auth/profile", tag = "auth", operation_id = "compatible_change_profile",
    request_body = CompatibleProfileBody,
    responses((status = 200, description = "The profile.", body = Enveloped<CompatibleProfile>)))]
pub(crate) async fn put_profile(
    caller: Claimant,
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<CompatibleProfileBody>,
) -> Result<HttpResponse, Problem> {
    let account = caller.account()?;
    let CompatibleProfileBody { name, picture_url, _first_time: _ } = body.value;
    let change = ProfileBody { full_name: name, picture_url, ..ProfileBody::default() };
    let view = profile::change(&state, &client, &account, change, account.context(&client)).await?;
    Ok(HttpResponse::Ok().json(Enveloped::of(CompatibleProfile::from(view), "Profile updated successfully")))
}

/// Ask for a new password (compatible)
#[utoipa::path(post, path = "/v1/api/auth/reset-password", tag = "auth", operation_id = "compatible_request_reset",
    request_body = ResetBody,
    responses((status = 202, description = "Perhaps a letter is on its way.", body = Enveloped<ResetAnswer>)),
    security(()))]
pub(crate) async fn reset_password(
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<ResetBody>,
) -> Result<HttpResponse, Problem> {
    let ResetBody { email, organization_id } = body.value;
    let id = client.organization(organization_id.as_deref())?;
    let asked = reset::ask(&state, client, id, email).await?;
    Ok(HttpResponse::Accepted().json(Enveloped::of(asked, "Password reset requested")))
}

/// Choose a new password (compatible)
#[utoipa::path(post, path = "/v1/api/auth/reset-password/confirm", tag = "auth",
    operation_id = "compatible_confirm_reset", request_body = CompatibleResetConfirmBody,
    responses((status = 200, description = "Changed.", body = Enveloped<PasswordAnswer>)), security(()))]
pub(crate) async fn confirm_reset(
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<CompatibleResetConfirmBody>,
) -> Result<HttpResponse, Problem> {
    let CompatibleResetConfirmBody { token, new_password } = body.value;
    let changed = reset::choose(&state, &client, &token, new_password).await?;
    Ok(HttpResponse::Ok().json(Enveloped::of(changed, "Password reset successfully")))
}

/// Is it possible to log in? (compatible)
#[utoipa::path(get, path = "/v1/api/auth/health", tag = "auth", operation_id = "compatible_auth_health",
    responses((status = 200, description = "The vault answers.", body = AuthHealth)), security(()))]
pub(crate) async fn get_health(state: web::Data<IdentityState>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(health::check(&state).await?))
}
