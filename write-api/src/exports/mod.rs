//! Exports: asking for them, which takes somebody else's approval, and what becomes of the files: taken, delivered once
//! more, verified. Files are made and delivered elsewhere.

pub mod asking;
pub mod batch;
pub(crate) mod body;
pub mod collect;
pub mod compatible;
pub(crate) mod desk;
mod file;
pub mod handlers;
mod legacy;
mod made;
mod pack;
pub mod refused;
mod sent;
pub mod uploaded;
pub mod verify;
mod view;

use actix_web::web::{self, ServiceConfig};

pub use batch::{BatchAnswer, BatchItem};
pub use body::{CancelBody, RedeliverBody, RemoveBody, RequestBody};
pub use desk::ExportDesk;
pub use uploaded::UploadAnswer;
pub use verify::VerifyAnswer;
pub use view::{DeliveryView, ExportAnswer, ExportView, PendingAnswer};

/// Where exports are.
pub(crate) const COLLECTION: &str = "/exports";

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .route("/exports", web::post().to(handlers::request))
        // Before the routes with an id: `batch_verify` is not one.
        .route("/exports/batch_verify", web::post().to(batch::verify))
        .route("/exports/{id}", web::patch().to(refused::change))
        .route("/exports/{id}/cancel", web::post().to(handlers::cancel))
        .route("/exports/{id}/redeliver", web::post().to(handlers::redeliver))
        .route("/exports/{id}/remove", web::post().to(handlers::remove))
        .route("/exports/{id}/verify", web::post().to(verify::verify))
        .route("/verification/verify_export", web::post().to(uploaded::verify))
        .route("/transactions/export", web::get().to(compatible::transactions))
        .route("/incidents/export", web::get().to(compatible::incidents))
        .route("/users/export", web::get().to(compatible::users))
        .route("/audit/actions/export", web::get().to(compatible::agent_actions))
        .route("/api/audit_trail/export", web::get().to(compatible::audit_trail));
}
