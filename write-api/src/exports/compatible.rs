//! Exports as predecessors' clients ask for them: one GET, repeated until it answers with the file.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use daybook_domain::InvalidField;
use daybook_domain::export::{ExportFormat, ExportKind};
use daybook_exports::kinds;
use daybook_http_kit::openapi::CommandProblems;
use daybook_http_kit::permission::ExportRequest;
use daybook_http_kit::{Allowed, CommandRequest, Principal, Problem, Query, Scoped};
use serde::Deserialize;
use utoipa::IntoParams;

use super::asking::Asked;
use super::collect::hand_out;
use super::desk::ExportDesk;
use super::view::PendingAnswer;

/// Which transactions.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TransactionParameters {
    /// `csv` (if it is absent), `json`, `ndjson` or `parquet`.
    format: Option<String>,
    /// `pending`, `completed`, `failed` or `reversed`.
    status: Option<String>,
    /// ISO 4217 code.
    currency: Option<String>,
    /// Refused with 422 `export.anomalies_not_recorded`: transactions have no such mark yet.
    is_anomaly: Option<String>,
    /// The earliest time, RFC 3339 or a date.
    start: Option<String>,
    /// The latest time; a date takes that day in.
    end: Option<String>,
}

/// Which incidents.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IncidentParameters {
    /// `csv` (if it is absent), `json`, `ndjson` or `parquet`.
    format: Option<String>,
    /// `open`, `acknowledged` (or `triaged`), `investigating`, `resolved` or `closed`.
    status: Option<String>,
    /// `low`, `medium`, `high` or `critical`.
    severity: Option<String>,
    /// Id of who has it.
    assigned_to: Option<String>,
    /// The earliest opening, RFC 3339 or a date.
    start: Option<String>,
    /// The latest opening; a date takes that day in.
    end: Option<String>,
}

/// Which people.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UserParameters {
    /// `csv` (if it is absent), `json`, `ndjson` or `parquet`.
    format: Option<String>,
    /// Only those with this role.
    role: Option<String>,
    /// Only those who may log in, or only the others.
    is_active: Option<String>,
    /// The earliest beginning of the account, RFC 3339 or a date.
    start: Option<String>,
    /// The latest beginning; a date takes that day in.
    end: Option<String>,
}

/// Which actions of agents.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActionParameters {
    /// `csv` (if it is absent), `json`, `ndjson` or `parquet`.
    format: Option<String>,
    /// `pending`, `approved`, `rejected` and so on.
    status: Option<String>,
    /// The action, for example `agent.triage`.
    action: Option<String>,
    /// Opaque id of who asked for it.
    submitted_by: Option<String>,
    /// Opaque id of whose vote approved it.
    approved_by: Option<String>,
    /// The earliest, RFC 3339 or a date.
    start: Option<String>,
    /// The latest; a date takes that day in.
    end: Option<String>,
}

/// Which entries of the audit trail.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TrailParameters {
    /// `csv` (if it is absent), `json`, `ndjson` or `parquet`.
    format: Option<String>,
    /// What it happened to: `transaction`, `incident` and so on.
    entity_type: Option<String>,
    /// What happened, for example `incident.opened`.
    event_type: Option<String>,
    /// Only the newest so many, the newest first; all of them, the oldest first, if it is absent.
    #[param(value_type = Option<u64>)]
    limit: Option<String>,
    /// The earliest, RFC 3339 or a date.
    start: Option<String>,
    /// The latest; a date takes that day in.
    end: Option<String>,
}

/// One call: what is asked for, by whom.
struct Call<'a> {
    kind: ExportKind,
    format: Option<&'a str>,
    filters: &'a [(&'static str, Option<&'a String>)],
}

impl Call<'_> {
    async fn answer(
        self,
        desk: &ExportDesk,
        caller: &Principal,
        request: &CommandRequest,
    ) -> Result<HttpResponse, Problem> {
        let format = self.format.unwrap_or("csv");
        let format = ExportFormat::parse("?format", format);
        let is_table = |format: &ExportFormat| self.kind.comes_as(*format);
        let none = InvalidField::new("?format", "must be csv, ndjson, json or parquet");
        let format = format.and_then(|format| Some(format).filter(is_table).ok_or(none)).map_err(|fault| {
            Problem::bad_request("request.invalid_parameter", format!("query parameter format: {}", fault.detail))
                .at("?format", fault.detail)
        })?;
        let given = self.filters.iter().filter_map(|(name, value)| Some(((*name).to_owned(), value.cloned()?)));
        let filters: BTreeMap<String, String> = given.filter(|(_, value)| !value.is_empty()).collect();
        let columns = columns_for(self.kind, caller);
        let asked = Asked::checked(self.kind, format, &filters, &columns, caller);
        let asked = asked.map_err(|fault| fault.at("?", "?columns"))?.collected();
        hand_out(desk, caller, &asked, request.context(caller, b"")).await
    }
}

/// Everything that the caller may see: predecessors' clients cannot name columns.
fn columns_for(kind: ExportKind, caller: &Principal) -> Vec<String> {
    let declared = kinds::declaration(kind).columns.iter();
    let visible = declared.filter(|column| column.permission.is_none_or(|permission| caller.holds(permission)));
    visible.map(|column| column.name.to_owned()).collect()
}

/// Export transactions
///
/// The first call asks for approval and answers 202 with the request; so does every further one until somebody else has
/// decided. Then a call waits up to 30 seconds for the file and takes it, once; 202 with status `generating` where it takes
/// longer. After a rejection the next call asks anew. `X-Content-SHA256` is the file's SHA-256, `X-Content-Signature` the
/// signature of its manifest (ECDSA P-256, DER in base64).
#[utoipa::path(
    get, path = "/v1/transactions/export", tag = "exports", operation_id = "export_transactions",
    params(TransactionParameters),
    responses(
        (status = 200, description = "The file.", content_type = "application/octet-stream"),
        (status = 202, description = "Waits for approval, or is being generated.", body = PendingAnswer),
        CommandProblems,
    )
)]
pub async fn transactions(
    caller: Allowed<ExportRequest>,
    request: CommandRequest,
    desk: Scoped<ExportDesk>,
    query: Query<TransactionParameters>,
) -> Result<HttpResponse, Problem> {
    // To leave it out would hand out other transactions than were asked for.
    if query.is_anomaly.as_ref().is_some_and(|value| !value.trim().is_empty()) {
        let detail = "it is not recorded yet whether a transaction is an anomaly; leave is_anomaly out";
        return Err(Problem::refused("export.anomalies_not_recorded", detail).at("?is_anomaly", "is not recorded yet"));
    }
    let filters = [
        ("status", query.status.as_ref()),
        ("currency", query.currency.as_ref()),
        ("start", query.start.as_ref()),
        ("end", query.end.as_ref()),
    ];
    Call { kind: ExportKind::Transactions, format: query.format.as_deref(), filters: &filters }
        .answer(&desk, &caller, &request)
        .await
}

/// Export incidents
///
/// As `GET /transactions/export`.
#[utoipa::path(
    get, path = "/v1/incidents/export", tag = "exports", operation_id = "export_incidents",
    params(IncidentParameters),
    responses(
        (status = 200, description = "The file.", content_type = "application/octet-stream"),
        (status = 202, description = "Waits for approval, or is being generated.", body = PendingAnswer),
        CommandProblems,
    )
)]
pub async fn incidents(
    caller: Allowed<ExportRequest>,
    request: CommandRequest,
    desk: Scoped<ExportDesk>,
    query: Query<IncidentParameters>,
) -> Result<HttpResponse, Problem> {
    let filters = [
        ("status", query.status.as_ref()),
        ("severity", query.severity.as_ref()),
        ("assigned_to", query.assigned_to.as_ref()),
        ("start", query.start.as_ref()),
        ("end", query.end.as_ref()),
    ];
    Call { kind: ExportKind::Incidents, format: query.format.as_deref(), filters: &filters }
        .answer(&desk, &caller, &request)
        .await
}

/// Export people
///
/// As `GET /transactions/export`. Names and addresses only for callers with `user:read_contact`.
#[utoipa::path(
    get, path = "/v1/users/export", tag = "exports", operation_id = "export_users",
    params(UserParameters),
    responses(
        (status = 200, description = "The file.", content_type = "application/octet-stream"),
        (status = 202, description = "Waits for approval, or is being generated.", body = PendingAnswer),
        CommandProblems,
    )
)]
pub async fn users(
    caller: Allowed<ExportRequest>,
    request: CommandRequest,
    desk: Scoped<ExportDesk>,
    query: Query<UserParameters>,
) -> Result<HttpResponse, Problem> {
    let filters = [
        ("role", query.role.as_ref()),
        ("is_active", query.is_active.as_ref()),
        ("start", query.start.as_ref()),
        ("end", query.end.as_ref()),
    ];
    Call { kind: ExportKind::Users, format: query.format.as_deref(), filters: &filters }
        .answer(&desk, &caller, &request)
        .await
}

/// Export the actions of agents
///
/// As `GET /transactions/export`.
#[utoipa::path(
    get, path = "/v1/audit/actions/export", tag = "exports", operation_id = "export_agent_actions",
    params(ActionParameters),
    responses(
        (status = 200, description = "The file.", content_type = "application/octet-stream"),
        (status = 202, description = "Waits for approval, or is being generated.", body = PendingAnswer),
        CommandProblems,
    )
)]
pub async fn agent_actions(
    caller: Allowed<ExportRequest>,
    request: CommandRequest,
    desk: Scoped<ExportDesk>,
    query: Query<ActionParameters>,
) -> Result<HttpResponse, Problem> {
    let filters = [
        ("status", query.status.as_ref()),
        ("action", query.action.as_ref()),
        ("requested_by", query.submitted_by.as_ref()),
        ("start", query.start.as_ref()),
        ("approved_by", query.approved_by.as_ref()),
        ("end", query.end.as_ref()),
    ];
    Call { kind: ExportKind::AgentActions, format: query.format.as_deref(), filters: &filters }
        .answer(&desk, &caller, &request)
        .await
}

/// Export the audit trail
///
/// As `GET /transactions/export`.
#[utoipa::path(
    get, path = "/v1/api/audit_trail/export", tag = "exports", operation_id = "export_audit_trail",
    params(TrailParameters),
    responses(
        (status = 200, description = "The file.", content_type = "application/octet-stream"),
        (status = 202, description = "Waits for approval, or is being generated.", body = PendingAnswer),
        CommandProblems,
    )
)]
pub async fn audit_trail(
    caller: Allowed<ExportRequest>,
    request: CommandRequest,
    desk: Scoped<ExportDesk>,
    query: Query<TrailParameters>,
) -> Result<HttpResponse, Problem> {
    let filters = [
        ("entity_type", query.entity_type.as_ref()),
        ("event_type", query.event_type.as_ref()),
        ("start", query.start.as_ref()),
        ("end", query.end.as_ref()),
        (kinds::LIMIT, query.limit.as_ref()),
    ];
    Call { kind: ExportKind::AuditTrail, format: query.format.as_deref(), filters: &filters }
        .answer(&desk, &caller, &request)
        .await
}
