//! What a command on a schedule is answered with.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{LINK, LOCATION};
use daybook_approvals::view::ExportScheduleView;
use daybook_domain::Timestamp;
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
    /// What of its times may not be meant: where a whole day, week or month would be in several runs or in none.
    pub warnings: Vec<&'static str>,
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

/// Where periods and times do not fit each other.
fn warnings(schedule: &ExportSchedule, now: Timestamp) -> Vec<&'static str> {
    let Err(misfit) = schedule.periods_meet(now) else { return Vec::new() };
    let repeats = "cron comes several times in a period: some runs export the same period as the one before";
    let leaves_out = "cron does not come in every period: some periods are in no run";
    let found = [(misfit.repeats, repeats), (misfit.leaves_out, leaves_out)];
    found.into_iter().filter_map(|(is_so, text)| is_so.then_some(text)).collect()
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
        warnings: warnings(&outcome.aggregate, desk.now()?),
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
