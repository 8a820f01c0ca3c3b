//! What predecessors' clients did to records of exports and nobody does here: they are facts, recorded as they happen.

use actix_web::{HttpResponse, web};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems};
use daybook_http_kit::permission::ExportManage;
use daybook_http_kit::{Allowed, Problem, Query, Scoped};
use serde::Deserialize;
use utoipa::IntoParams;

use super::desk::ExportDesk;

/// What predecessors' clients set.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "none of it is ever set")]
pub struct ChangeParameters {
    /// Recorded as deliveries come to something.
    delivery_status: Option<String>,
    /// Recorded as files are verified.
    verification_status: Option<String>,
    /// Recorded as deliveries come to something.
    delivered_at: Option<String>,
    /// Recorded as files are verified.
    verified_at: Option<String>,
}

/// Change the record of an export: refused
///
/// 422 `export.facts`: whether an export was delivered and verified are facts, recorded when it happens. `POST
/// /exports/{id}/redeliver` and `POST /exports/{id}/verify` have it happen.
#[utoipa::path(
    patch, path = "/v1/exports/{id}", tag = "exports", operation_id = "change_export",
    params(("id" = String, Path, description = "The export's id."), ChangeParameters, CommandHeaders),
    responses(CommandProblems)
)]
pub async fn change(
    _caller: Allowed<ExportManage>,
    desk: Scoped<ExportDesk>,
    id: web::Path<String>,
    _: Query<ChangeParameters>,
) -> Result<HttpResponse, Problem> {
    desk.find(&id).await?;
    Err(Problem::refused(
        "export.facts",
        "what happened to an export is recorded when it happens and cannot be set: POST redeliver or verify has it happen",
    ))
}
