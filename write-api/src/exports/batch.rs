//! Verifying many exports at once: those that were made in a time, the newest first, each recorded as it is looked at.
//!
//! Which ones there are is read from the ledger itself, so that a file that somebody took away is missed. Each process reads
//! each entry for that once.

use actix_web::HttpResponse;
use daybook_domain::Timestamp;
use daybook_domain::export::{Export, ExportKind};
use daybook_http_kit::answer::ReceiptView;
use daybook_http_kit::openapi::{BulkHeaders, CommandProblems};
use daybook_http_kit::permission::ExportManage;
use daybook_http_kit::{Allowed, CommandRequest, Problem, Query, Scoped};
use daybook_ledger::commands::{CommandContext, Outcome};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::desk::{ExportDesk, actor};
use super::made::Made;
use super::verify::{is_file_right, is_signature_right, look_at, record, result_of, trusted_keys};

/// Most files of one request.
const MAX_FILES: usize = 100;

/// Which exports.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BatchParameters {
    /// Only those of this kind: `transactions`, `incidents`, `users`, `agent_actions`, `audit_trail` or `entries`.
    export_type: Option<String>,
    /// Made at this time or later, RFC 3339 or a date.
    start_date: Option<String>,
    /// Made at this time or earlier; a date takes that day in.
    end_date: Option<String>,
}

/// What came of them, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ExportBatchVerified)]
pub struct BatchAnswer {
    /// One an export.
    pub results: Vec<BatchItem>,
    /// False where there may be more: at most 100 files are looked at, and `end_date` with `looked_back_to` goes on from
    /// there; or `unread_entries` is above 0.
    pub is_complete: bool,
    /// When the oldest file that was looked at was recorded.
    pub looked_back_to: Option<String>,
    /// Entries of the ledger that this process has not read yet to find exports in them, which takes a process several calls
    /// in a large ledger, once. The same call goes on.
    pub unread_entries: u64,
}

/// What came of one export.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ExportBatchItem)]
pub struct BatchItem {
    /// Its id.
    pub id: String,
    /// Its file.
    pub file: Option<String>,
    /// Whether the file is the one that the manifest and the ledger speak of.
    pub hash_chain: bool,
    /// Whether the manifest is one that a key of this ledger signed.
    pub signature: bool,
    /// `verified`, `tampered` or `failed`.
    #[schema(example = "verified")]
    pub status: &'static str,
    /// What was found to be wrong.
    pub findings: Vec<String>,
    /// Proof that it is in the ledger; null where it could not be recorded.
    pub receipt: Option<ReceiptView>,
}

/// Verify many exports
///
/// The files of at most 100 exports are read again, as by `POST /exports/{id}/verify`, and each result is recorded. One that
/// is missing or changed does not stop the others.
#[utoipa::path(
    post, path = "/v1/exports/batch_verify", tag = "exports", operation_id = "verify_exports",
    params(BatchParameters, BulkHeaders),
    responses((status = 200, description = "One result an export.", body = BatchAnswer), CommandProblems)
)]
pub async fn verify(
    caller: Allowed<ExportManage>,
    request: CommandRequest,
    desk: Scoped<ExportDesk>,
    query: Query<BatchParameters>,
) -> Result<HttpResponse, Problem> {
    request.refuse_if_match()?;
    let wanted = Wanted::of(&query)?;
    let found = wanted.find(&desk).await?;
    let keys = trusted_keys(&desk).await?;
    let by = actor(&caller)?;
    let mut results = Vec::with_capacity(found.exports.len());
    for export in found.exports {
        let context = request.item_context(&caller, b"", &export.id);
        let verification = match look_at(&desk, &export.aggregate, keys.clone()).await {
            Ok(verification) => verification,
            // It was removed since; that is no fault of the file.
            Err(problem) if problem.code() == "export.no_file" => continue,
            Err(problem) => return Err(problem),
        };
        let recorded = record(&desk, &export.id, &verification, by.clone(), CommandContext { ..context }).await;
        results.push(BatchItem {
            file: export.aggregate.generated().map(|generated| generated.file.to_string()),
            hash_chain: is_file_right(&verification),
            signature: is_signature_right(&verification),
            status: result_of(&verification).as_str(),
            findings: verification.findings.iter().map(ToString::to_string).collect(),
            receipt: recorded.as_ref().ok().map(|outcome| ReceiptView::from(&outcome.receipt)),
            id: export.id,
        });
    }
    let looked_back_to = found.looked_back_to.map(daybook_ledger::keys::time::rfc3339);
    Ok(HttpResponse::Ok().json(BatchAnswer {
        results,
        is_complete: found.is_complete,
        looked_back_to,
        unread_entries: found.unread_entries,
    }))
}

/// Which exports are wanted; times in microseconds.
#[derive(Debug)]
struct Wanted {
    kind: Option<ExportKind>,
    start: Option<i64>,
    end: Option<i64>,
}

/// The exports that there are, and how far was looked.
#[derive(Default)]
struct Found {
    exports: Vec<Outcome<Export>>,
    is_complete: bool,
    looked_back_to: Option<i64>,
    unread_entries: u64,
}

impl Wanted {
    fn of(query: &BatchParameters) -> Result<Self, Problem> {
        let kind = query.export_type.as_deref().map(|word| ExportKind::parse("?export_type", word));
        let kind = kind.transpose().map_err(|fault| parameter("export_type", fault.detail))?;
        let start = time("start_date", query.start_date.as_deref(), "T00:00:00Z")?;
        let end = time("end_date", query.end_date.as_deref(), "T23:59:59.999999Z")?;
        Ok(Self { kind, start, end })
    }

    /// Reads what the ledger has got since the last call, and takes the newest.
    async fn find(&self, desk: &ExportDesk) -> Result<Found, Problem> {
        let (made, unread_entries) = {
            let mut made = desk.made.lock().await;
            let unread_entries = made.read_on(desk.ledger.reader()).await?;
            // One more than there can be: then it is not all.
            let found = made.newest_first().filter(|made| self.takes(made)).take(MAX_FILES + 1);
            (found.cloned().collect::<Vec<Made>>(), unread_entries)
        };
        let is_complete = made.len() <= MAX_FILES && unread_entries == 0;
        let mut found = Found { is_complete, unread_entries, ..Found::default() };
        for made in made.into_iter().take(MAX_FILES) {
            found.looked_back_to = Some(made.at);
            let export = desk.find(&made.id).await?;
            // It may have been removed in between.
            if export.aggregate.has_file() {
                found.exports.push(export);
            }
        }
        Ok(found)
    }

    fn takes(&self, made: &Made) -> bool {
        self.start.is_none_or(|start| made.at >= start)
            && self.end.is_none_or(|end| made.at <= end)
            && self.kind.is_none_or(|kind| made.kind.is_none_or(|of| of == kind))
    }
}

/// A time in microseconds; a bare date is the time of day that is given for it.
fn time(name: &'static str, text: Option<&str>, of_day: &str) -> Result<Option<i64>, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let is_date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let text = if is_date { format!("{text}{of_day}") } else { text.to_owned() };
    match Timestamp::parse("", &text) {
        Ok(time) => Ok(Some(time.micros())),
        Err(fault) => Err(parameter(name, fault.detail)),
    }
}

fn parameter(name: &str, detail: String) -> Problem {
    Problem::bad_request("request.invalid_parameter", format!("query parameter {name}: {detail}"))
        .at(format!("?{name}"), detail)
}
