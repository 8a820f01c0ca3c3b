//! People of the organisation, and their grants.

use actix_web::web::ServiceConfig;
use utoipa::OpenApi;

/// The operations of this module.
#[derive(OpenApi)]
#[openapi(paths())]
pub(crate) struct Api;

pub(crate) fn configure(_services: &mut ServiceConfig) {}
