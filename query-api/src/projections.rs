//! The projectors: how far each one is, and building one anew.

use actix_web::{HttpResponse, web};
use daybook_http_kit::permission::{ProjectionRead, ProjectionRebuild};
use daybook_http_kit::{Allowed, NoQuery, Problem, Scoped};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::AnswerAt;
use crate::freshness;
use crate::ledgers::head_of;
use crate::state::{ProjectorStatus, QueryState, RebuildRefused};

/// A projector and how far it is behind.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProjectorView {
    /// What it is doing and how far it is.
    #[serde(flatten)]
    status: ProjectorStatus,
    /// Entries of the ledger that it has yet to fold.
    #[schema(example = 0)]
    lag: u64,
}

/// Every projector.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProjectorList {
    /// Number of entries in the ledger.
    #[schema(example = 1200)]
    ledger_size: u64,
    /// The projectors.
    items: Vec<ProjectorView>,
}

/// A rebuild that has begun.
#[derive(Debug, Serialize, ToSchema)]
pub struct RebuildStarted {
    /// The projector.
    #[schema(example = "transactions")]
    name: String,
    /// Where to see how it goes.
    #[schema(example = "/v1/projections")]
    status_url: &'static str,
    /// In words.
    detail: &'static str,
}

/// Read the projectors' status
///
/// How far each read model is: its position, its lag, and why it stopped where it did.
#[utoipa::path(get, path = "/v1/projections", tag = "projections", operation_id = "list_projections",
    responses((status = 200, description = "Every projector", body = ProjectorList)))]
pub async fn list(_: Allowed<ProjectionRead>, _: NoQuery, state: Scoped<QueryState>) -> Result<HttpResponse, Problem> {
    let ledger_size = head_of(&state.ledger).await?.size;
    let items = freshness::projectors(&state)
        .await?
        .into_iter()
        .map(|status| ProjectorView { lag: ledger_size.saturating_sub(status.position), status })
        .collect();
    Ok(HttpResponse::Ok().position(ledger_size).json(ProjectorList { ledger_size, items }))
}

/// Rebuild a read model
///
/// Builds a read model anew from the ledger, beside the old one, which goes on answering until the new one takes its
/// place. The answer comes at once; the status shows how far it is.
#[utoipa::path(post, path = "/v1/projections/{name}/rebuild", tag = "projections", operation_id = "rebuild_projection",
    params(("name" = String, Path, description = "Name of the projector", example = "transactions")),
    responses((status = 202, description = "The rebuild has begun", body = RebuildStarted)))]
pub async fn rebuild(
    caller: Allowed<ProjectionRebuild>,
    _: NoQuery,
    name: web::Path<String>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let name = name.into_inner();
    let control = state.projections.as_ref().ok_or_else(|| {
        Problem::unavailable("projection.not_here", "this process has no projectors; ask one that has", 60)
    })?;
    control.rebuild(&name).map_err(|refused| match refused {
        RebuildRefused::Unknown => Problem::not_found("projection.not_found", "no projector has that name"),
        RebuildRefused::Running => {
            Problem::conflict("projection.rebuild_running", "the projector is being rebuilt already")
        }
    })?;
    tracing::info!(projector = %name, actor = %caller.principal().actor.id, "a rebuild begins");
    Ok(HttpResponse::Accepted().json(RebuildStarted {
        name,
        status_url: "/v1/projections",
        detail: "the rebuild has begun; the status shows how far it is",
    }))
}
