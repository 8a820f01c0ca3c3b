//! Commands on transactions.

pub mod batch;
mod body;
pub mod handlers;
mod view;

use actix_web::web::{self, ServiceConfig};

pub use body::{CorrectBody, NoteBody, RecordBody, StatusBody};
pub use view::{TransactionAnswer, TransactionView};

/// Where transactions are.
pub(crate) const COLLECTION: &str = "/transactions";

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .route("/transactions", web::post().to(handlers::record))
        .route("/transactions/batch", web::post().to(batch::record_batch))
        .route("/transactions/{id}/status", web::post().to(handlers::change_status))
        .route("/transactions/{id}/status", web::patch().to(handlers::patch_status))
        .route("/transactions/{id}/correct", web::post().to(handlers::correct))
        .route("/transactions/{id}/notes", web::post().to(handlers::add_note));
}
