//! Commands on requests for approval, on the policies that say who must agree, and on delegations.
//!
//! Handlers read what came and call [`daybook_approvals::Approvals`], which knows who people are and decides nothing that
//! the domain does not.

mod agents;
mod answer;
mod batch;
mod body;
mod compatible;
mod decision;
mod delegations;
mod handlers;
mod participant;
mod policies;
mod policy_body;
mod votes;

use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;

pub use batch::BatchResult;

/// Where requests for approval are.
pub(crate) const COLLECTION: &str = "/approvals";

/// The operations of this module.
#[derive(OpenApi)]
#[openapi(
    paths(
        handlers::open,
        handlers::submit,
        handlers::revise,
        handlers::withdraw,
        handlers::consume,
        handlers::break_glass,
        handlers::comment,
        handlers::assign,
        handlers::escalate,
        votes::vote,
        votes::withdraw_vote,
        votes::review,
        batch::decide_many,
        compatible::open,
        compatible::decide,
        agents::approve,
        agents::reject,
        agents::assign,
        agents::escalate,
        agents::comment,
        agents::approve_action,
        agents::reject_action,
        policies::define,
        policies::retire,
        delegations::give,
        delegations::accept,
        delegations::end,
    ),
    components(schemas(BatchResult)),
    tags(
        (name = "approvals", description = "Requests for approval: ask, vote, escalate, use what was approved."),
        (name = "agent actions", description = "What agents want to do, and who lets them."),
        (name = "approval policies", description = "Who must agree to what. A change takes an approval itself."),
        (name = "delegations", description = "Who votes in whose place, for a time."),
    )
)]
pub(crate) struct Api;

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        // Before the routes with an id: `decisions` is not one.
        .route("/approvals/decisions", web::post().to(batch::decide_many))
        .route("/approvals", web::post().to(handlers::open))
        .route("/approvals/{id}/submit", web::post().to(handlers::submit))
        .route("/approvals/{id}/revise", web::post().to(handlers::revise))
        .route("/approvals/{id}/withdraw", web::post().to(handlers::withdraw))
        .route("/approvals/{id}/consume", web::post().to(handlers::consume))
        .route("/approvals/{id}/break-glass", web::post().to(handlers::break_glass))
        .route("/approvals/{id}/comment", web::post().to(handlers::comment))
        .route("/approvals/{id}/assign", web::post().to(handlers::assign))
        .route("/approvals/{id}/escalate", web::post().to(handlers::escalate))
        .route("/approvals/{id}/vote", web::post().to(votes::vote))
        .route("/approvals/{id}/withdraw-vote", web::post().to(votes::withdraw_vote))
        .route("/approvals/{id}/review", web::post().to(votes::review))
        .route("/approval", web::post().to(compatible::open))
        .route("/approval/{id}/decision", web::post().to(compatible::decide))
        .route("/agent/ops/actions/{id}/approve", web::post().to(agents::approve))
        .route("/agent/ops/actions/{id}/reject", web::post().to(agents::reject))
        .route("/agent/ops/actions/{id}/assign", web::post().to(agents::assign))
        .route("/agent/ops/actions/{id}/escalate", web::post().to(agents::escalate))
        .route("/agent/ops/actions/{id}/comment", web::post().to(agents::comment))
        .route("/agent/actions/{id}/approve", web::post().to(agents::approve_action))
        .route("/agent/actions/{id}/reject", web::post().to(agents::reject_action))
        .route("/approval-policies/{action}", web::put().to(policies::define))
        .route("/approval-policies/{action}", web::delete().to(policies::retire))
        .route("/delegations", web::post().to(delegations::give))
        .route("/delegations/{id}/accept", web::post().to(delegations::accept))
        .route("/delegations/{id}/end", web::post().to(delegations::end));
}
