//! What a server process answers: the operations of its roles, mounted at the root and under `/v1`.

use std::sync::Arc;

use actix_web::web::{self, Data, ServiceConfig};
use daybook_approvals::Approvals;
use daybook_http_kit::{MetricsAccess, Organizations, RouteTable, Telemetry};
use daybook_identity_api::{IdentityState, OrganizationIdentity};
use daybook_query_api::QueryState;
use daybook_write_api::WriteState;
use daybook_write_api::exports::ExportDesk;

use crate::runtime::roles::Roles;

/// What is mounted into each worker's app. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// What the process does.
    pub roles: Roles,
    /// Commands, of each organisation.
    pub commands: Organizations<WriteState>,
    /// What waits for a decision, of each organisation.
    pub approvals: Organizations<Approvals>,
    /// Commands on exports, of each organisation.
    pub exports: Organizations<ExportDesk>,
    /// Queries, of each organisation.
    pub queries: Organizations<QueryState>,
    /// People, of each organisation.
    pub identities: Organizations<OrganizationIdentity>,
    /// People, of all.
    pub identity: Arc<IdentityState>,
    /// Metrics.
    pub telemetry: Telemetry,
    /// Who may see them.
    pub metrics_access: MetricsAccess,
}

impl Services {
    /// Mounts everything.
    pub fn mount(&self, app: &mut ServiceConfig) {
        app.app_data(Data::new(self.commands.clone()))
            .app_data(Data::new(self.approvals.clone()))
            .app_data(Data::new(self.exports.clone()))
            .app_data(Data::new(self.queries.clone()))
            .app_data(Data::new(self.identities.clone()))
            .app_data(Data::from(Arc::clone(&self.identity)))
            .app_data(Data::new(self.telemetry.clone()))
            .app_data(Data::new(self.metrics_access));
        app.service(web::scope(daybook_http_kit::API_PREFIX).configure(|scope| self.routes(scope)));
        self.routes(app);
    }

    fn routes(&self, app: &mut ServiceConfig) {
        if self.roles.write {
            daybook_write_api::configure(app);
        }
        if has_people(self.roles) {
            daybook_identity_api::configure(app);
        }
        if self.roles.query {
            daybook_query_api::configure(app);
        } else {
            operational(app);
        }
    }
}

/// People talk to processes that take commands or answer queries; either takes their logins, invitations and the like.
fn has_people(roles: Roles) -> bool {
    roles.write || roles.query
}

/// What every process answers, whatever it does: its health, its metrics, how far the ledger and its projectors are, and
/// checkpoints, which a process that only writes is asked for.
const OPERATIONAL: [&str; 20] = [
    "/",
    "/v1/health",
    "/v1/health/live",
    "/v1/health/ready",
    "/v1/metrics",
    "/v1/ledgers",
    "/v1/ledgers/{ledger_id}/head",
    "/v1/ledgers/{ledger_id}/checkpoint",
    "/v1/ledgers/{ledger_id}/checkpoints",
    "/v1/ledgers/{ledger_id}/tile/{level}/{index}",
    "/v1/ledgers/{ledger_id}/tile/entries/{index}",
    "/v1/ledgers/{ledger_id}/proofs/inclusion",
    "/v1/ledgers/{ledger_id}/proofs/consistency",
    "/v1/ledgers/{ledger_id}/proofs/{position}.tlog-proof",
    "/v1/ledgers/{ledger_id}/keys",
    "/v1/ledgers/{ledger_id}/bundle",
    "/v1/ledgers/{ledger_id}/entries",
    "/v1/ledgers/{ledger_id}/entries/{position}",
    "/v1/projections",
    "/v1/projections/{name}/rebuild",
];

/// Mounts the paths of [`OPERATIONAL`].
fn operational(app: &mut ServiceConfig) {
    use daybook_query_api::{health, ledgers, projections};
    app.route("", web::get().to(health::about))
        .route("/", web::get().to(health::about))
        .route("/health", web::get().to(health::health))
        .route("/health/live", web::get().to(health::live))
        .route("/health/ready", web::get().to(health::ready))
        .route("/metrics", web::get().to(health::metrics))
        .route("/ledgers", web::get().to(ledgers::list))
        .route("/ledgers/{ledger_id}/head", web::get().to(ledgers::head))
        .configure(daybook_query_api::configure_proofs)
        .route("/ledgers/{ledger_id}/entries", web::get().to(ledgers::entries))
        .route("/ledgers/{ledger_id}/entries/{position}", web::get().to(ledgers::entry))
        .route("/projections", web::get().to(projections::list))
        .route("/projections/{name}/rebuild", web::post().to(projections::rebuild));
}

/// The paths and methods that a process with these roles answers.
pub fn route_table(roles: Roles) -> RouteTable {
    let mut queries = daybook_query_api::openapi();
    if !roles.query {
        queries.paths.paths.retain(|path, _| OPERATIONAL.contains(&path.as_str()));
    }
    let commands = roles.write.then(daybook_write_api::openapi);
    let people = has_people(roles).then(daybook_identity_api::openapi);
    RouteTable::new(std::iter::once(&queries).chain(&commands).chain(&people))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn process_names_only_the_methods_it_answers() {
        let writer = route_table("write".parse().unwrap());
        assert!(writer.methods("/stats/summary").is_empty());
        assert_eq!(writer.methods("/transactions").into_iter().collect::<Vec<_>>(), ["POST"]);
        assert!(writer.methods("/v1/health").contains("GET"));
        assert_eq!(route_table(Roles::default()).methods("/transactions").len(), 2);
    }

    #[test]
    fn people_are_answered_where_commands_or_queries_are() {
        for (roles, answered) in [("write", true), ("query", true), ("project,react", false)] {
            let table = route_table(roles.parse().unwrap());
            assert_eq!(table.methods("/v1/auth/login").contains("POST"), answered, "{roles}");
        }
    }

    #[test]
    fn operational_paths_are_documented() {
        let documented = daybook_query_api::openapi();
        for path in OPERATIONAL {
            assert!(documented.paths.paths.contains_key(path), "{path}");
        }
    }
}
