//! What a command on a schedule is answered with.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{LINK, LOCATION};
use daybook_approvals::view::ExportScheduleView;
use daybook_domain::export_schedule::ExportSchedule;
use daybook_http_kit::answer::{ReceiptView, path_segment, proof_link};
use daybook_http_kit::idempotency::IDEMPOTENCY_REPLAYED;
use daybook_http_kit::{API_PREFIX, Problem, if_match, with_position};
use daybook_ledger::commands::Outcome;
use daybook_ledger::keys::time::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

use super::COLLECTION;
use crate::exports::desk::ExportDesk;

/// The answer to a command on a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ExportScheduleAnswer)]
pub struct ScheduleAnswer {
    /// The schedule as it is after the command.
    #[serde(flatten)]
    pub schedule: ExportScheduleView,
    /// The request for approval that somebody else decides on now; `null` where nobody has to.
    #[schema(example = "apr_0193f3a17c0070008000000000000001")]
    pub approval_request_id: Option<String>,
    /// What is waited for, in words; `null` where nothing is.
    #[schema(example = "Export requires approval")]
    pub detail: Option<&'static str>,
    /// When the command's last entry was recorded.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    pub recorded_at: String,
    /// Proof that it is in the ledger.
    pub receipt: ReceiptView,
}

/// A decision that is waited for.
pub(super) struct Waits {
    /// The request.
    pub approval_id: String,
    /// What is waited for, in words.
    pub detail: &'static str,
}

/// 201 where `is_new`, 202 where somebody else decides, else 200.
pub(super) fn answer(
    desk: &ExportDesk,
    outcome: &Outcome<ExportSchedule>,
    is_new: bool,
    waits: Option<Waits>,
) -> Result<HttpResponse, Problem> {
    let status = match (is_new, &waits) {
        (true, _) => StatusCode::CREATED,
        (false, Some(_)) => StatusCode::ACCEPTED,
        (false, None) => StatusCode::OK,
    };
    let (approval_request_id, detail) = waits.map(|waits| (waits.approval_id, waits.detail)).unzip();
    let body = ScheduleAnswer {
        schedule: desk.runs.approvals().schedule_view(&outcome.aggregate, outcome.version)?,
        approval_request_id,
        detail,
        recorded_at: rfc3339(outcome.recorded_at),
        receipt: ReceiptView::from(&outcome.receipt),
    };
    let mut answer = HttpResponse::build(status);
    answer.insert_header((LOCATION, format!("{API_PREFIX}{COLLECTION}/{}", path_segment(&outcome.id))));
    answer.insert_header((LINK, proof_link(&outcome.receipt)));
    answer.insert_header(if_match::entity_tag(outcome.version));
    if outcome.replayed {
        answer.insert_header((IDEMPOTENCY_REPLAYED, "true"));
    }
    Ok(with_position(answer.json(body), Some(outcome.receipt.position)))
}
