//! Who the caller is.

use actix_web::HttpResponse;
use actix_web::web;
use daybook_http_kit::{NoQuery, Principal, Problem, Scoped, Via};
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::{IdentityState, OrganizationIdentity};
use crate::view::{GrantView, field, open};
use daybook_ledger::keys::time::rfc3339;

/// The caller.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MeView {
    /// Opaque id.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    pub id: String,
    /// `human`, `agent` or `system`.
    #[schema(example = "human")]
    pub kind: String,
    /// How the caller showed who it is: `session`, `api_key`, `operator_token` or `development_headers`.
    #[schema(example = "session")]
    pub via: &'static str,
    /// E-mail address; null where the caller has no account.
    pub email: Option<String>,
    /// Name; null where the caller has no account.
    pub full_name: Option<String>,
    /// The strongest role that holds everywhere; `none` where there is none.
    #[schema(example = "analyst")]
    pub role: String,
    /// All roles that hold everywhere, the strongest first.
    pub roles: Vec<String>,
    /// The organisation.
    #[schema(example = "main")]
    pub organization_id: String,
    /// What it is called.
    pub organization_name: String,
    /// The session; null where there is none.
    pub session_id: Option<String>,
    /// Roles given, and where they hold.
    pub grants: Vec<GrantView>,
    /// Kinds of second factors in use.
    pub second_factors: Vec<String>,
    /// When the account was first heard of; null where there is none.
    pub created_at: Option<String>,
    /// When the account last changed; null where there is none.
    pub updated_at: Option<String>,
}

/// Who am I
#[utoipa::path(get, path = "/v1/auth/me", tag = "auth", operation_id = "get_me",
    responses((status = 200, description = "The caller.", body = MeView)))]
pub(crate) async fn me(
    caller: Principal,
    organization: Scoped<OrganizationIdentity>,
    _: NoQuery,
    _state: web::Data<IdentityState>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(view(&caller, &organization).await?))
}

/// The caller, with what the account says.
pub(super) async fn view(caller: &Principal, organization: &OrganizationIdentity) -> Result<MeView, Problem> {
    let directory = organization.directory.now();
    let user = caller.user_id().and_then(|user_id| directory.users.get(user_id));
    Ok(MeView {
        id: caller.actor.id.clone(),
        kind: caller.actor.kind.as_str().to_owned(),
        via: match caller.via {
            Via::OperatorToken => "operator_token",
            Via::DevHeaders => "development_headers",
            Via::Session => "session",
            Via::ApiKey => "api_key",
        },
        email: open(organization, user.and_then(|user| user.email.as_ref()), field::EMAIL).await?,
        full_name: open(organization, user.and_then(|user| user.full_name.as_ref()), field::FULL_NAME).await?,
        role: caller.role().to_owned(),
        roles: caller.roles.to_vec(),
        organization_id: organization.id.to_string(),
        organization_name: directory.organization.name.clone(),
        session_id: caller.session_id.clone(),
        grants: user.map(|user| user.grants.iter().map(GrantView::from).collect()).unwrap_or_default(),
        second_factors: user
            .map(|user| user.second_factors.iter().map(|factor| factor.kind.clone()).collect())
            .unwrap_or_default(),
        created_at: user.map(|user| rfc3339(user.place.created_at)),
        updated_at: user.map(|user| rfc3339(user.place.changed_at)),
    })
}
