//! Whether the process is there and can answer, what it is called, and its metrics. Of it only the metrics may
//! need credentials, and none of it says anything about people or records.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use daybook_http_kit::telemetry::{self, Telemetry};
use daybook_http_kit::{Organizations, Problem};
use daybook_ledger::checkpoint::CheckpointStatus;
use daybook_ledger::writing::{Obstacle, WritingStatus};
use futures::StreamExt;
use serde::Serialize;
use utoipa::ToSchema;

use crate::docs;
use crate::freshness;
use crate::ledgers::head_of;
use crate::state::{ProjectorState, ProjectorStatus, QueryState};
use crate::time::rfc3339;

/// Name of the one check without which the process still does its work.
const CHECKPOINTS: &str = "checkpoints";

/// Organisations that are looked at beside each other.
const CHECKED_AT_ONCE: usize = 8;
/// A refusal by the store counts so long, where nothing was appended since. Then it is time to try again, and only a
/// process that is ready is sent commands to try with.
const TROUBLE_COUNTS: Duration = Duration::from_secs(30);

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
    /// `ready`, `not_ready`, or `degraded` where everything is answered but no checkpoint is signed.
    #[schema(example = "ready")]
    status: &'static str,
    /// One line for everything that was looked at.
    checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, ToSchema)]
pub struct Check {
    /// What: `ledger`, `writing`, `clock` while it is behind the ledger, `read_models`, `checkpoints`, or
    /// `projector:<name>`.
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
/// Looks at the ledger, the read models, the checkpoints and the projectors. 503 where one of them is not as it should
/// be; the body says which in both cases. Checkpoints are an exception: commands and queries go on without them, so the
/// answer stays 200, and the status is `degraded`.
#[utoipa::path(get, path = "/v1/health/ready", tag = "health", operation_id = "get_readiness",
    responses((status = 200, description = "It can", body = Readiness),
    (status = 503, description = "It cannot", body = Readiness)), security(()))]
pub async fn ready(organizations: web::Data<Organizations<QueryState>>) -> HttpResponse {
    let checks = check_all(&organizations).await;
    if checks.iter().all(|check| check.ok) {
        HttpResponse::Ok().json(Readiness { status: "ready", checks })
    } else if checks.iter().all(|check| check.ok || check.name == CHECKPOINTS) {
        HttpResponse::Ok().json(Readiness { status: "degraded", checks })
    } else {
        HttpResponse::ServiceUnavailable()
            .insert_header(("retry-after", 5))
            .json(Readiness { status: "not_ready", checks })
    }
}

/// What was signed last; not as it should be while nothing can be signed.
fn checkpoints(status: &CheckpointStatus) -> Check {
    let detail = match (&status.error, &status.last) {
        // The reason names roots and files; whoever may know them finds it in the log and in `daybook status`.
        (Some(_), _) if status.is_refused => {
            "refused because of the checkpoint signed last; the log says why".to_owned()
        }
        (Some(_), _) => "the last attempt to sign one failed".to_owned(),
        (None, Some(last)) => format!("the latest covers {} entries, signed at {}", last.size, rfc3339(last.signed_at)),
        (None, None) => "none was signed yet".to_owned(),
    };
    Check { name: CHECKPOINTS.to_owned(), ok: status.error.is_none(), detail }
}

/// Whether the store takes entries. The reason in full is in the log: it may name files and hosts.
fn writing(status: &WritingStatus) -> Check {
    let (ok, detail) = match &status.trouble {
        None => (true, "the store takes entries"),
        Some(trouble) => {
            let detail = match trouble.obstacle {
                Obstacle::Full => "the disk is full: commands are refused until there is room",
                Obstacle::Unavailable => "the store did not take the last entries; the log says why",
                Obstacle::Failed => "the store has failed: this process has to be started again; the log says why",
            };
            (trouble.obstacle != Obstacle::Failed && trouble.at.elapsed() >= TROUBLE_COUNTS, detail)
        }
    };
    Check { name: "writing".to_owned(), ok, detail: detail.to_owned() }
}

/// A clock that was set back. Nothing stops because of it, but somebody should know.
fn clock(status: &WritingStatus) -> Option<Check> {
    let seconds = status.clock_behind / 1_000_000;
    let detail =
        format!("the clock is {seconds} s behind the newest entry, whose time new entries get until it has caught up");
    (seconds > 0).then(|| Check { name: "clock".to_owned(), ok: true, detail })
}

/// Everything that was looked at. Where there are several organisations, none of them shows in the answer.
async fn check_all(organizations: &Organizations<QueryState>) -> Vec<Check> {
    let all = organizations.all();
    if all.is_empty() {
        return vec![Check { name: "organizations".to_owned(), ok: false, detail: "none is open yet".to_owned() }];
    }
    let is_one = all.len() == 1;
    let states = futures::stream::iter(all).map(|(_, state)| async move { check(&state).await });
    let mut checks = states.buffered(CHECKED_AT_ONCE).concat().await;
    if is_one {
        return checks;
    }
    // Each check once: as it should be where it is so for all of them.
    let mut together: Vec<Check> = Vec::new();
    for check in checks.drain(..) {
        match together.iter_mut().find(|known| known.name == check.name) {
            Some(known) => known.ok &= check.ok,
            None => together.push(check),
        }
    }
    for check in &mut together {
        let detail = if check.ok { "as it should be" } else { "not as it should be; the log says more" };
        detail.clone_into(&mut check.detail);
    }
    together
}

async fn check(state: &QueryState) -> Vec<Check> {
    let (head, projectors) = futures::join!(head_of(&state.ledger), freshness::projectors(state));
    let size = head.as_ref().map_or(0, |head| head.size);
    let mut checks = vec![
        reached("ledger", head.map(|head| format!("{} entries", head.size))),
        reached("read_models", read_models(state, projectors.as_ref()).await),
    ];
    if let Some(status) = state.ledger.writing() {
        let status = status.borrow();
        checks.push(writing(&status));
        checks.extend(clock(&status));
    }
    if let Some(status) = &state.checkpoints.status {
        checks.push(checkpoints(&status.borrow()));
    }
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
/// Counters, durations and positions in Prometheus text format. No labels name people or records. The operator sees
/// everything, others with `system:metrics_read` what is their organisation's. Without credentials it is answered where
/// the settings say so.
#[utoipa::path(get, path = "/v1/metrics", tag = "health", operation_id = "get_metrics",
    responses((status = 200, description = "Metrics", body = String, content_type = "text/plain"),
    (status = 401, description = "Nobody known is asking, and the metrics are not open", body = Problem,
        content_type = "application/problem+json"),
    (status = 403, description = "`system:metrics_read` is missing", body = Problem,
        content_type = "application/problem+json")), security((), ("access_token" = []), ("api_key" = []),
    ("operator_token" = [])))]
pub async fn metrics(request: HttpRequest, telemetry: Option<web::Data<Telemetry>>) -> Result<HttpResponse, Problem> {
    let telemetry = telemetry
        .ok_or_else(|| Problem::not_found("metrics.not_found", "this process has been started without metrics"))?;
    telemetry::metrics(request, telemetry).await
}
