//! Exports as they are now: how far each has come, where it went, and whether its file is still what was recorded.

pub mod file;
pub(crate) mod reader;
pub(crate) mod view;

use actix_web::{HttpRequest, HttpResponse, web};
use daybook_http_kit::{API_PREFIX, AtLeast, Listing, NoQuery, PageParameters, Problem, Scoped, if_match};
use daybook_read_models::exports::{self, ExportFilter, ExportRow, PROJECTOR};
use serde::Deserialize;
use utoipa::IntoParams;

use self::reader::ExportReader;
use self::view::{ExportDetail, ExportRecord};
use crate::answer::AnswerAt;
use crate::freshness::{self, failed};
use crate::parameters::{ListQuery, can_be_id, invalid, ordered, text, word};
use crate::state::QueryState;
use crate::time::{self, Edge};

const STATUSES: [&str; 8] =
    ["requested", "approved", "generating", "generated", "failed", "rejected", "cancelled", "removed"];
const DELIVERY_STATUSES: [&str; 5] = ["none", "pending", "delivered", "partial", "failed"];
const VERIFICATION_STATUSES: [&str; 4] = ["unverified", "verified", "tampered", "failed"];
const FORMATS: [&str; 5] = ["csv", "ndjson", "json", "parquet", "zip"];

/// Which exports. Everything given must match.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ExportParameters {
    /// What is exported.
    #[param(example = "transactions")]
    kind: Option<String>,
    /// The same as `kind`; not together with it.
    export_type: Option<String>,
    /// `csv`, `ndjson`, `json`, `parquet` or `zip`.
    #[param(example = "csv")]
    format: Option<String>,
    /// `requested`, `approved`, `generating`, `generated`, `failed`, `rejected`, `cancelled` or `removed`.
    #[param(example = "generated")]
    status: Option<String>,
    /// `none`, `pending`, `delivered`, `partial` or `failed`.
    delivery_status: Option<String>,
    /// `unverified`, `verified`, `tampered` or `failed`.
    verification_status: Option<String>,
    /// Opaque id of the account that asked, or of the person who answers for it.
    requested_by: Option<String>,
    /// Id of the request for approval.
    approval_id: Option<String>,
    /// Id of the schedule of which it is a run.
    schedule_id: Option<String>,
    /// Asked for at this time or later: RFC 3339, or a date.
    #[param(example = "2026-11-01")]
    start: Option<String>,
    /// Asked for at this time or earlier: RFC 3339, or a date, which includes that day.
    #[param(example = "2026-11-30")]
    end: Option<String>,
    /// The same as `start`; not together with it.
    start_date: Option<String>,
    /// The same as `end`; not together with it.
    end_date: Option<String>,
}

impl ExportParameters {
    fn filter(self) -> Result<ExportFilter, Problem> {
        let start = one_of("start", self.start, "start_date", self.start_date)?;
        let end = one_of("end", self.end, "end_date", self.end_date)?;
        let filter = ExportFilter {
            kind: text("kind", one_of("kind", self.kind, "export_type", self.export_type)?)?,
            format: word("format", self.format, &FORMATS, &[("jsonl", "ndjson")])?,
            statuses: word("status", self.status, &STATUSES, &[])?.into_iter().collect(),
            delivery_status: word("delivery_status", self.delivery_status, &DELIVERY_STATUSES, &[])?,
            verification_status: word("verification_status", self.verification_status, &VERIFICATION_STATUSES, &[])?,
            requested_by: text("requested_by", self.requested_by)?,
            approval_id: text("approval_id", self.approval_id)?,
            schedule_id: text("schedule_id", self.schedule_id)?,
            start: time::parameter("start", start.as_deref(), Edge::Start)?,
            end: time::parameter("end", end.as_deref(), Edge::End)?,
            ..ExportFilter::default()
        };
        ordered("end", filter.start, filter.end)?;
        Ok(filter)
    }
}

/// The one of two names for the same that was given.
fn one_of(
    name: &str,
    value: Option<String>,
    other_name: &str,
    other: Option<String>,
) -> Result<Option<String>, Problem> {
    match (value, other) {
        (Some(_), Some(_)) => Err(invalid(other_name, format!("is another name for {name}: only one can be given"))),
        (value, other) => Ok(value.or(other)),
    }
}

/// List exports
///
/// Exports, newest first: all of them for whoever holds `export:read`, their own for whoever holds `export:request` only.
/// Without the prefix `/v1` the answer is the bare list of `items`, in the shape that older clients read.
#[utoipa::path(get, path = "/v1/exports", tag = "exports", operation_id = "list_exports",
    params(ExportParameters, PageParameters),
    responses((status = 200, description = "A page of exports", body = Listing<ExportRecord>)))]
pub async fn list(
    reader: ExportReader,
    request: HttpRequest,
    at_least: AtLeast,
    query: ListQuery<ExportParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let filter = ExportFilter { only_of: reader.own_only(), ..query.filter.filter()? };
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let found = exports::list(&state.db, state.ledger_id(), &filter, &query.page).await.map_err(failed)?;
    let items: Vec<ExportRecord> = found.items.into_iter().map(ExportRecord::from).collect();
    let mut answer = HttpResponse::Ok();
    answer.position(seen);
    if !request.path().starts_with(API_PREFIX) {
        return Ok(answer.json(items));
    }
    let next_cursor = found.next_cursor.map(|cursor| cursor.to_string());
    Ok(answer.json(Listing { items, next_cursor, total: found.total }))
}

/// Read one export
///
/// One export with its deliveries and their attempts. `ETag` is its version, for `If-Match`.
#[utoipa::path(get, path = "/v1/exports/{export_id}", tag = "exports", operation_id = "get_export",
    params(("export_id" = String, Path, description = "Id of the export", example = "exp_0193f3a17c00700080000001")),
    responses((status = 200, description = "The export", body = ExportDetail,
        headers(("ETag" = String, description = "Its version in quotation marks")))))]
pub async fn get(
    reader: ExportReader,
    _: NoQuery,
    at_least: AtLeast,
    export_id: web::Path<String>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let row = known(&reader, &state, &export_id).await?;
    let (deliveries, total) =
        exports::deliveries(&state.db, state.ledger_id(), &row.export_id).await.map_err(failed)?;
    let progress = match row.status.as_str() {
        "generating" => exports::progress(&state.db, state.ledger_id(), &row.export_id).await.map_err(failed)?,
        _ => None,
    };
    let tag = if_match::entity_tag(row.version);
    let detail = ExportDetail::new(row, progress, deliveries, total)?;
    Ok(HttpResponse::Ok().position(seen).insert_header(tag).json(detail))
}

/// The row of an export that the caller may see; 404 where there is none.
async fn known(reader: &ExportReader, state: &QueryState, export_id: &str) -> Result<ExportRow, Problem> {
    let unknown = || Problem::not_found("export.not_found", "there is no export of that id");
    if !can_be_id(export_id) {
        return Err(unknown());
    }
    let row = exports::get(&state.db, state.ledger_id(), export_id).await.map_err(failed)?;
    row.filter(|row| reader.may_see(row)).ok_or_else(unknown)
}
