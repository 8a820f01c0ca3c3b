//! Commands on incidents.

mod body;
pub mod bulk;
pub mod compatible;
pub mod handlers;
mod reach;
mod view;

use actix_web::web::{self, ServiceConfig};

pub use body::{
    AssignBody, AssignParameters, CommentBody, CommentParameters, DetailsBody, EscalateBody, EscalateParameters,
    NoteBody, OpenBody, PatchStatusBody, PriorityBody, ReasonBody, ReopenParameters, ResolveBody, ResolveParameters,
    SeverityBody, TextOrNumber,
};
pub use view::{IncidentAnswer, IncidentView};

/// Where incidents are.
pub(crate) const COLLECTION: &str = "/incidents";

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        // Before the routes with an id: `bulk` is not one.
        .route("/incidents/bulk/resolve", web::post().to(bulk::resolve))
        .route("/incidents/bulk/escalate", web::post().to(bulk::escalate))
        .route("/incidents/bulk/assign", web::post().to(bulk::assign))
        .route("/incidents/bulk/triage", web::post().to(bulk::triage))
        .route("/incidents", web::post().to(handlers::open))
        .route("/incidents/{id}/status", web::patch().to(compatible::patch_status))
        .route("/incidents/{id}/acknowledge", web::post().to(handlers::acknowledge))
        .route("/incidents/{id}/investigate", web::post().to(handlers::investigate))
        .route("/incidents/{id}/resolve", web::post().to(handlers::resolve))
        .route("/incidents/{id}/close", web::post().to(handlers::close))
        .route("/incidents/{id}/reopen", web::post().to(handlers::reopen))
        .route("/incidents/{id}/assign", web::post().to(handlers::assign))
        .route("/incidents/{id}/escalate", web::post().to(handlers::escalate))
        .route("/incidents/{id}/comment", web::post().to(handlers::comment))
        .route("/incidents/{id}/severity", web::post().to(handlers::change_severity))
        .route("/incidents/{id}/priority", web::post().to(handlers::change_priority))
        .route("/incidents/{id}/details", web::post().to(handlers::update_details));
}
