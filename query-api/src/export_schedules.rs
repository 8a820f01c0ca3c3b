//! Schedules of exports as they are now, from the directory, and their runs, which are exports.

use actix_web::{HttpResponse, web};
use daybook_approvals::Approvals;
use daybook_approvals::view::{ExportScheduleView, ListedSchedule};
use daybook_http_kit::{AtLeast, Listing, NoQuery, PageParameters, Problem, Scoped, if_match};
use daybook_read_models::exports::{self, ExportFilter, PROJECTOR};
use daybook_read_models::page::Cursor;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::answer::AnswerAt;
use crate::approvals::directory::current;
use crate::exports::reader::ExportReader;
use crate::exports::view::ExportRecord;
use crate::freshness::{self, failed};
use crate::parameters::{ListQuery, text, word};
use crate::state::QueryState;

const STATUSES: [&str; 3] = ["active", "paused", "ended"];

/// Which schedules. Everything given must match.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ScheduleParameters {
    /// `active`, `paused` or `ended`.
    #[param(example = "active")]
    status: Option<String>,
    /// What is exported.
    #[param(example = "transactions")]
    kind: Option<String>,
    /// Opaque id of the account that made it.
    created_by: Option<String>,
}

/// No filter at all.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoFilter {}

/// List schedules of exports
///
/// The newest first, of those that have ended the last 1,000 included: all of them for whoever holds `export:read`, their own
/// for whoever holds `export:request` only.
#[utoipa::path(get, path = "/v1/export-schedules", tag = "export schedules", operation_id = "list_export_schedules",
    params(ScheduleParameters, PageParameters),
    responses((status = 200, description = "A page of schedules", body = Listing<ExportScheduleView>)))]
pub async fn list(
    reader: ExportReader,
    at_least: AtLeast,
    query: ListQuery<ScheduleParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let status = word("status", query.filter.status, &STATUSES, &[])?;
    let kind = text("kind", query.filter.kind)?;
    let created_by = text("created_by", query.filter.created_by)?;
    let (approvals, seen) = current(&state, at_least).await?;
    let is_wanted = |schedule: &ListedSchedule| {
        may_see(&reader, approvals, &schedule.created_by, &schedule.person)
            && status.as_ref().is_none_or(|status| schedule.status == status.as_str())
            && kind.as_ref().is_none_or(|kind| schedule.kind == kind.as_str())
            && created_by.as_ref().is_none_or(|id| schedule.created_by == *id)
    };
    // In the order in which they were made, so that the number of each stays what it is. Where one is forgotten between two
    // pages, another is on both.
    let numbered = approvals.export_schedules().into_iter().zip(0_u64..);
    let mut wanted: Vec<_> = numbered.filter(|(schedule, _)| is_wanted(schedule)).collect();
    wanted.reverse();
    let total = query.page.count.then(|| u64::try_from(wanted.len()).ok()).flatten();
    let limit = usize::try_from(query.page.limit).unwrap_or(usize::MAX);
    let offset = usize::try_from(query.page.offset).unwrap_or(usize::MAX);
    let after = wanted.into_iter().filter(|(_, number)| query.page.cursor.is_none_or(|before| *number < before.0));
    let mut page: Vec<_> = after.skip(offset).take(limit.saturating_add(1)).collect();
    let has_more = page.len() > limit;
    page.truncate(limit);
    let next_cursor = page.last().filter(|_| has_more).map(|(_, number)| Cursor(*number).to_string());
    let mut items: Vec<ExportScheduleView> = Vec::with_capacity(page.len());
    for (listed, _) in page {
        items.extend(approvals.export_schedule(&listed.schedule_id).await?);
    }
    Ok(HttpResponse::Ok().position(seen).json(Listing { items, next_cursor, total }))
}

/// Read a schedule of exports
///
/// With its next five times, what approval its runs rest on, and its last run. `ETag` is its version, for `If-Match`.
#[utoipa::path(get, path = "/v1/export-schedules/{schedule_id}", tag = "export schedules",
    operation_id = "get_export_schedule",
    params(("schedule_id" = String, Path, description = "Id of the schedule", example = "sch_0193f3a17c0070008000000000000001")),
    responses((status = 200, description = "The schedule", body = ExportScheduleView,
        headers(("ETag" = String, description = "Its version in quotation marks")))))]
pub async fn get(
    reader: ExportReader,
    _: NoQuery,
    at_least: AtLeast,
    schedule_id: web::Path<String>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let (approvals, seen) = current(&state, at_least).await?;
    let schedule = known(&reader, approvals, &schedule_id).await?;
    let tag = if_match::entity_tag(schedule.version);
    Ok(HttpResponse::Ok().position(seen).insert_header(tag).json(schedule))
}

/// List the runs of a schedule
///
/// The exports that it had made or asked for, the newest first; the same as `GET /v1/exports?schedule_id=`.
#[utoipa::path(get, path = "/v1/export-schedules/{schedule_id}/runs", tag = "export schedules",
    operation_id = "list_export_schedule_runs",
    params(("schedule_id" = String, Path, description = "Id of the schedule"), PageParameters),
    responses((status = 200, description = "A page of exports", body = Listing<ExportRecord>)))]
pub async fn runs(
    reader: ExportReader,
    at_least: AtLeast,
    schedule_id: web::Path<String>,
    query: ListQuery<NoFilter>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let (approvals, _) = current(&state, at_least).await?;
    let schedule = known(&reader, approvals, &schedule_id).await?;
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let filter = ExportFilter { schedule_id: Some(schedule.schedule_id), ..ExportFilter::default() };
    let found = exports::list(&state.db, state.ledger_id(), &filter, &query.page).await.map_err(failed)?;
    Ok(HttpResponse::Ok().position(seen).json(Listing {
        items: found.items.into_iter().map(ExportRecord::from).collect::<Vec<_>>(),
        next_cursor: found.next_cursor.map(|cursor| cursor.to_string()),
        total: found.total,
    }))
}

/// The schedule, where the caller may see it; 404 where there is none.
async fn known(reader: &ExportReader, approvals: &Approvals, id: &str) -> Result<ExportScheduleView, Problem> {
    let is_seen = |one: &ExportScheduleView| may_see(reader, approvals, &one.created_by, &one.person);
    let found = approvals.export_schedule(id).await?.filter(is_seen);
    found.ok_or_else(|| Problem::not_found("export_schedule.not_found", "there is no schedule of that id"))
}

/// Whether a schedule is in reach: all of them, or those of the caller's person.
fn may_see(reader: &ExportReader, approvals: &Approvals, created_by: &str, person: &str) -> bool {
    let is_own = |own: String| own == created_by || approvals.directory().now().is_same_person(&own, person);
    reader.own_only().is_none_or(is_own)
}
