#![doc = include_str!("../README.md")]

pub mod answer;
pub mod approvals;
pub mod audit_trail;
pub mod bundle;
pub mod checkpoints;
pub mod docs;
pub mod export_schedules;
pub mod exports;
pub mod free_text;
mod freshness;
pub mod health;
pub mod incidents;
pub mod keys;
pub mod ledgers;
pub mod live;
mod openapi;
pub mod parameters;
pub mod projections;
pub mod proofs;
pub mod state;
pub mod statistics;
pub mod tiles;
pub mod time;
pub mod tlog_proof;
pub mod transactions;
pub mod updates;

use actix_web::web::{self, ServiceConfig};

pub use docs::docs;
pub use live::LiveStreams;
pub use openapi::openapi;
pub use state::{Checkpoints, ProjectionControl, ProjectorState, ProjectorStatus, QueryState, RebuildRefused};

/// Mounts every query. Call it once for the root and once inside the scope `/v1`; both are the same API.
///
/// Expects `web::Data<Organizations<QueryState>>`, the app of [`daybook_http_kit::app()`], and `web::Data<Telemetry>` for the metrics.
/// Each route has its method as a guard, so that another crate may register other methods on the same path.
pub fn configure(app: &mut ServiceConfig) {
    app.route("", web::get().to(health::about))
        .route("/", web::get().to(health::about))
        .route("/health", web::get().to(health::health))
        .route("/health/live", web::get().to(health::live))
        .route("/health/ready", web::get().to(health::ready))
        .route("/metrics", web::get().to(health::metrics))
        .route("/transactions", web::get().to(transactions::list))
        .route("/transactions/{transaction_id}", web::get().to(transactions::get))
        .route("/incidents", web::get().to(incidents::list))
        .route("/incidents/{incident_id}", web::get().to(incidents::get))
        .route("/incidents/{incident_id}/timeline", web::get().to(incidents::timeline))
        .configure(configure_approvals)
        .configure(configure_exports)
        .route("/audit-trail", web::get().to(audit_trail::list))
        .route("/api/audit_trail", web::get().to(audit_trail::predecessor_list))
        .route("/stats/summary", web::get().to(statistics::summary))
        .route("/stats/transactions", web::get().to(statistics::transactions))
        .route("/stats/incidents", web::get().to(statistics::incidents))
        .route("/ledgers", web::get().to(ledgers::list))
        .route("/ledgers/{ledger_id}/head", web::get().to(ledgers::head))
        .route("/ledgers/{ledger_id}/entries", web::get().to(ledgers::entries))
        .route("/ledgers/{ledger_id}/entries/{position}", web::get().to(ledgers::entry))
        .route("/ledgers/{ledger_id}/streams/{stream_type}/{stream_id}", web::get().to(ledgers::stream))
        .configure(configure_proofs)
        .route("/stream", web::get().to(updates::stream))
        .route("/projections", web::get().to(projections::list))
        .route("/projections/{name}/rebuild", web::post().to(projections::rebuild));
}

/// What waits for a decision, what was decided, and by what rules.
fn configure_approvals(app: &mut ServiceConfig) {
    app.route("/approvals", web::get().to(approvals::list))
        .route("/approvals/inbox", web::get().to(approvals::inbox::inbox))
        .route("/approvals/metrics", web::get().to(approvals::metrics::metrics))
        .route("/approvals/{approval_id}", web::get().to(approvals::get))
        .route("/approvals/{approval_id}/history", web::get().to(approvals::history))
        .route("/approval", web::get().to(approvals::compatible::list))
        .route("/approval-policies", web::get().to(approvals::policies::list))
        .route("/approval-policies/{action}", web::get().to(approvals::policies::get))
        .route("/delegations", web::get().to(approvals::delegations::list))
        .route("/agent/actions", web::get().to(approvals::agents::list))
        .route("/agent/ops/actions", web::get().to(approvals::agents::ops_list))
        .route("/agent/ops/actions/metrics", web::get().to(approvals::agents::metrics))
        .route("/agent/ops/actions/{action_id}/history", web::get().to(approvals::agents::history));
}

/// Exports and their files.
fn configure_exports(app: &mut ServiceConfig) {
    app.route("/exports", web::get().to(exports::list))
        .route("/exports/{export_id}", web::get().to(exports::get))
        .route("/exports/{export_id}/file", web::get().to(exports::file::file))
        .route("/exports/{export_id}/manifest", web::get().to(exports::file::manifest))
        .route("/exports/{export_id}/signature", web::get().to(exports::file::signature))
        .route("/export-schedules", web::get().to(export_schedules::list))
        .route("/export-schedules/{schedule_id}", web::get().to(export_schedules::get))
        .route("/export-schedules/{schedule_id}/runs", web::get().to(export_schedules::runs));
}

/// Mounts checkpoints, tiles, proofs, keys and bundles: what every process answers, whatever it does.
pub fn configure_proofs(app: &mut ServiceConfig) {
    app.route("/ledgers/{ledger_id}/checkpoint", web::get().to(checkpoints::newest))
        .route("/ledgers/{ledger_id}/checkpoints", web::get().to(checkpoints::list))
        .route("/ledgers/{ledger_id}/checkpoints", web::post().to(checkpoints::sign))
        .route("/ledgers/{ledger_id}/tile/entries/{index:.*}", web::get().to(tiles::entries))
        .route("/ledgers/{ledger_id}/tile/{level}/{index:.*}", web::get().to(tiles::tile))
        .route("/ledgers/{ledger_id}/proofs/inclusion", web::get().to(proofs::inclusion))
        .route("/ledgers/{ledger_id}/proofs/consistency", web::get().to(proofs::consistency))
        .route("/ledgers/{ledger_id}/proofs/{position}.tlog-proof", web::get().to(proofs::file))
        .route("/ledgers/{ledger_id}/keys", web::get().to(keys::list))
        .route("/ledgers/{ledger_id}/bundle", web::get().to(bundle::download::download));
}
