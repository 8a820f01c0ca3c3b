//! How long records are kept: classes of law, a rule for each type of records, and what is said of one record.
//!
//! Rules are changed with approval, and only ever to keep for longer.

mod body;
mod handlers;
mod setting;
mod view;

use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;

pub(crate) use self::view::RetainedView;

/// Where rules are.
pub(crate) const COLLECTION: &str = "/retention";

/// The operations of this module.
#[derive(OpenApi)]
#[openapi(
    paths(handlers::list, handlers::get, handlers::set, handlers::record),
    tags((name = "retention", description = "How long records are kept."))
)]
pub(crate) struct Api;

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .route("/retention", web::get().to(handlers::list))
        // Before the route with a type: `records` is none.
        .route("/retention/records/{stream_type}/{stream_id}", web::get().to(handlers::record))
        .route("/retention/{record_type}", web::get().to(handlers::get))
        .route("/retention/{record_type}", web::put().to(handlers::set));
}
