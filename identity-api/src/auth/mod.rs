//! Registration, login, tokens, sessions, second factors, the own profile.

use actix_web::web::ServiceConfig;
use utoipa::OpenApi;

/// The operations of this module.
#[derive(OpenApi)]
#[openapi(paths())]
pub(crate) struct Api;

pub(crate) fn configure(_services: &mut ServiceConfig) {}
