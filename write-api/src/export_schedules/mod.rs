//! Schedules of exports: making and changing them, having them run, and asking once for the approval of all their runs.
//! What falls due is run elsewhere.

mod body;
pub mod handlers;
pub mod standing;
mod view;

use actix_web::web::{self, ServiceConfig};

/// Where schedules are.
pub(crate) const COLLECTION: &str = "/export-schedules";

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .route("/export-schedules", web::post().to(handlers::create))
        .route("/export-schedules/{id}", web::patch().to(handlers::change))
        .route("/export-schedules/{id}/pause", web::post().to(handlers::pause))
        .route("/export-schedules/{id}/resume", web::post().to(handlers::resume))
        .route("/export-schedules/{id}/run", web::post().to(handlers::run))
        .route("/export-schedules/{id}/end", web::post().to(handlers::end))
        .route("/export-schedules/{id}/standing-approval", web::post().to(standing::ask))
        .route("/export-schedules/{id}/standing-approval", web::delete().to(standing::end));
}
