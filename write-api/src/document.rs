//! The OpenAPI document of the commands.

use daybook_http_kit::openapi::add_security;
use daybook_http_kit::{FieldError, Problem};
use utoipa::OpenApi;

use crate::answer::{ReceiptView, Recorded};
use crate::incidents::{self, bulk};
use crate::transactions::{self, batch};

#[derive(OpenApi)]
#[openapi(
    info(title = "Daybook", description = "Commands and queries of Daybook."),
    paths(
        transactions::handlers::record,
        transactions::batch::record_batch,
        transactions::handlers::change_status,
        transactions::handlers::patch_status,
        transactions::handlers::correct,
        transactions::handlers::add_note,
        incidents::handlers::open,
        incidents::compatible::patch_status,
        incidents::handlers::acknowledge,
        incidents::handlers::investigate,
        incidents::handlers::resolve,
        incidents::handlers::close,
        incidents::handlers::reopen,
        incidents::handlers::assign,
        incidents::handlers::escalate,
        incidents::handlers::comment,
        incidents::handlers::change_severity,
        incidents::handlers::change_priority,
        incidents::handlers::update_details,
        incidents::bulk::resolve,
        incidents::bulk::escalate,
        incidents::bulk::assign,
        incidents::bulk::triage,
    ),
    components(schemas(
        Problem,
        FieldError,
        ReceiptView,
        Recorded,
        batch::ItemAnswer,
        batch::ItemProblem,
        batch::SummaryLine,
        batch::Summary,
        bulk::BulkResult,
    )),
    tags(
        (name = "transactions", description = "Record transactions, settle them, correct them in the open."),
        (name = "incidents", description = "Open incidents and work on them."),
    )
)]
struct Document;

/// The document: every command under `/v1`. The same commands answer without the prefix.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    add_security(&mut document);
    document
}
