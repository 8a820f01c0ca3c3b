//! Whether the process is there and can answer, what it is called, and its metrics. None of it needs credentials and
//! none of it says anything about people or records.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use daybook_http_kit::Problem;
use daybook_http_kit::telemetry::{self, Telemetry};
use serde::Serialize;
use utoipa::ToSchema;

use crate::docs;
use crate::freshness;
use crate::ledgers::head_of;
use crate::state::{ProjectorState, ProjectorStatus, QueryState};

/// That the process is there.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `healthy`.
    #[schema(example = "healthy")]
    status: &'static str,
}

/// Whether the process can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// `ready` or `not_ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// One line for everything that was looked at.
    checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, ToSchema)]
pub struct Check {
    /// What: `ledger`, `read_models`, or `projector:<name>`.
    #[schema(example = "projector:transactions")]
    name: String,
    /// Whether it is as it should be.
    ok: bool,
    /// In words.
    #[schema(example = "running, 0 entries behind")]
    detail: String,
}

/// What this is.
#[derive(Debug, Serialize, ToSchema)]
pub struct About {
    /// `Daybook`.
    #[schema(example = "Daybook")]
    name: &'static str,
    /// Version of the program.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// `running`.
    #[schema(example = "running")]
    status: &'static str,
    /// Where the documentation is.
    #[schema(example = "/docs")]
    docs: &'static str,
    /// Where the health is.
    #[schema(example = "/health")]
    health: &'static str,
    /// Where to start.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    endpoints: BTreeMap<&'static str, &'static str>,
}

/// Say what this is
///
/// Name, version and where things are.
#[utoipa::path(get, path = "/", tag = "health", operation_id = "about",
    responses((status = 200, description = "What this is", body = About)), security(()))]
pub async fn about() -> HttpResponse {
    let endpoints = BTreeMap::from([
        ("transactions", "/v1/transactions"),
        ("incidents", "/v1/incidents"),
        ("audit_trail", "/v1/audit-trail"),
        ("statistics", "/v1/stats/summary"),
        ("ledgers", "/v1/ledgers"),
        ("stream", "/v1/stream"),
        ("projections", "/v1/projections"),
        ("roles", "/v1/auth/roles"),
        ("metrics", "/metrics"),
        ("openapi", docs::DOCUMENT_PATH),
    ]);
    HttpResponse::Ok().json(About {
        name: "Daybook",
        version: env!("CARGO_PKG_VERSION"),
        status: "running",
        docs: docs::PAGE_PATH,
        health: "/health",
        endpoints,
    })
}

/// Is the process there?
///
/// Answers as long as the process does; looks at nothing else.
#[utoipa::path(get, path = "/v1/health", tag = "health", operation_id = "get_health",
    responses((status = 200, description = "It is", body = Health)), security(()))]
pub async fn health() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "healthy" })
}

/// Is the process alive?
///
/// The same for orchestrators that restart what does not answer.
#[utoipa::path(get, path = "/v1/health/live", tag = "health", operation_id = "get_liveness",
    responses((status = 200, description = "It is", body = Health)), security(()))]
pub async fn live() -> HttpResponse {
    health().await
}

/// Can the process do its work?
///
/// Looks at the ledger, the read models and the projectors. 503 where one of them is not as it should be; the body says
/// which in both cases.
#[utoipa::path(get, path = "/v1/health/ready", tag = "health", operation_id = "get_readiness",
    responses((status = 200, description = "It can", body = Readiness),
    (status = 503, description = "It cannot", body = Readiness)), security(()))]
pub async fn ready(state: web::Data<QueryState>) -> HttpResponse {
    let checks = check(&state).await;
    if checks.iter().all(|check| check.ok) {
        HttpResponse::Ok().json(Readiness { status: "ready", checks })
    } else {
        HttpResponse::ServiceUnavailable()
            .insert_header(("retry-after", 5))
            .json(Readiness { status: "not_ready", checks })
    }
}

async fn check(state: &QueryState) -> Vec<Check> {
    let (head, projectors) = futures::join!(head_of(&state.ledger), freshness::projectors(state));
    let size = head.as_ref().map_or(0, |head| head.size);
    let mut checks = vec![
        reached("ledger", head.map(|head| format!("{} entries", head.size))),
        reached("read_models", read_models(state, projectors.as_ref()).await),
    ];
    for projector in projectors.unwrap_or_default() {
        let lag = size.saturating_sub(projector.position);
        let (state_ok, doing) = match projector.state {
            ProjectorState::Running => (true, "running"),
            ProjectorState::Rebuilding => (true, "rebuilding"),
            ProjectorState::Elsewhere => (true, "not in this process"),
            ProjectorState::Stopped => (false, "stopped"),
        };
        checks.push(Check {
            name: format!("projector:{}", projector.name),
            ok: state_ok && lag <= state.max_lag,
            detail: format!("{doing}, {lag} entries behind (at most {})", state.max_lag),
        });
    }
    checks
}

/// The read tables can be reached and are there: a query before the first process that projects has made them fails.
async fn read_models(
    state: &QueryState,
    projectors: Result<&Vec<ProjectorStatus>, &Problem>,
) -> Result<String, Problem> {
    projectors.map_err(Clone::clone)?;
    let missing = freshness::without_tables(state).await?;
    if missing.is_empty() {
        return Ok("reachable".to_owned());
    }
    let detail = format!("no process has made the tables of {} yet", missing.join(", "));
    Err(Problem::unavailable("projection.missing", detail, 1))
}

fn reached(name: &str, outcome: Result<String, Problem>) -> Check {
    let (ok, detail) = match outcome {
        Ok(detail) => (true, detail),
        Err(problem) => (false, problem.detail().to_owned()),
    };
    Check { name: name.to_owned(), ok, detail }
}

/// Read the metrics
///
/// Counters, durations and positions in Prometheus text format. No labels name people or records.
#[utoipa::path(get, path = "/v1/metrics", tag = "health", operation_id = "get_metrics",
    responses((status = 200, description = "Metrics", body = String, content_type = "text/plain")), security(()))]
pub async fn metrics(telemetry: Option<web::Data<Telemetry>>) -> Result<HttpResponse, Problem> {
    let telemetry = telemetry
        .ok_or_else(|| Problem::not_found("metrics.not_found", "this process has been started without metrics"))?;
    Ok(telemetry::metrics(telemetry).await)
}
