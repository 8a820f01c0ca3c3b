//! The OpenAPI document of this crate's operations, generated from the handlers.
//!
//! What every operation has in common (problems, the position headers, security) is added here once, so that no handler
//! can forget it.

use actix_web::http::StatusCode;
use daybook_http_kit::Problem;
use daybook_http_kit::openapi::add_security;
use daybook_http_kit::problem::PROBLEM_JSON;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{OpenApi, Ref, RefOr};
use utoipa::{Modify, OpenApi as _};

use crate::{
    approvals, audit_trail, bundle, checkpoints, export_schedules, exports, health, incidents, keys, ledgers,
    projections, proofs, statistics, tiles, transactions, updates,
};

/// Tags of the operations that answer from read models.
const READ_MODEL_TAGS: [&str; 7] =
    ["transactions", "incidents", "approvals", "exports", "export schedules", "audit trail", "statistics"];
/// The operations that answer for ids that nobody has used: an incident without a timeline has an empty one.
const WITHOUT_404: [&str; 1] = ["get_incident_timeline"];

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Daybook",
        description = "An append-only, verifiable ledger of financial operations, and what can be read from it. \
            Every path also answers without the prefix `/v1`. Errors are RFC 9457 problems. Times are RFC 3339 UTC with \
            microseconds; amounts are decimal strings."
    ),
    paths(
        transactions::list, transactions::get,
        incidents::list, incidents::get, incidents::timeline,
        approvals::list, approvals::get, approvals::history, approvals::inbox::inbox, approvals::metrics::metrics,
        approvals::compatible::list, approvals::policies::list, approvals::policies::get, approvals::delegations::list,
        approvals::agents::list, approvals::agents::ops_list, approvals::agents::metrics, approvals::agents::history,
        exports::list, exports::get, exports::file::file, exports::file::manifest, exports::file::signature,
        export_schedules::list, export_schedules::get, export_schedules::runs,
        audit_trail::list, audit_trail::predecessor_list,
        statistics::summary, statistics::transactions, statistics::incidents,
        ledgers::list, ledgers::head, ledgers::entries, ledgers::entry, ledgers::stream,
        checkpoints::newest, checkpoints::list, checkpoints::sign,
        tiles::tile, tiles::entries,
        proofs::inclusion, proofs::consistency, proofs::file,
        keys::list, bundle::download::download,
        updates::stream,
        projections::list, projections::rebuild,
        health::about, health::health, health::live, health::ready, health::metrics,
    ),
    components(schemas(Problem, daybook_http_kit::FieldError, daybook_exports::bundle::EntryView)),
    tags(
        (name = "transactions", description = "Transactions as the ledger leaves them"),
        (name = "incidents", description = "Incidents and how they were dealt with"),
        (name = "approvals", description = "What waits for a decision, what was decided, and by what rules"),
        (name = "exports", description = "What leaves the house, and where it went"),
        (name = "export schedules", description = "Exports that are made again and again"),
        (name = "audit trail", description = "Who did what, in words"),
        (name = "statistics", description = "Figures, each with a link to the records behind it"),
        (name = "ledger", description = "Entries with their exact bytes, and heads to compare with"),
        (name = "proofs", description = "Checkpoints, tiles and proofs: what needs no trust in this server"),
        (name = "live", description = "What happens, as it happens"),
        (name = "projections", description = "The read models: how far they are, and building them anew"),
        (name = "health", description = "Is it there, and can it answer?"),
    ),
    modifiers(&Common)
)]
struct Document;

/// The document of this crate's operations. Merge the other API's into it for the whole.
pub fn openapi() -> OpenApi {
    Document::openapi()
}

struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut OpenApi) {
        env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
        add_security(document);
        for (path, item) in &mut document.paths.paths {
            for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
                complete(path, operation);
            }
        }
    }
}

/// Adds what follows from an operation's path, parameters, tag and security.
fn complete(path: &str, operation: &mut Operation) {
    let named = operation.operation_id.clone().unwrap_or_default();
    let has_id = path.contains('{') && !WITHOUT_404.contains(&named.as_str());
    let is_public = operation.security.is_some();
    let reads_model = operation.tags.iter().flatten().any(|tag| READ_MODEL_TAGS.contains(&tag.as_str()));
    if reads_model {
        let at_least = ParameterBuilder::new()
            .name("Daybook-At-Least")
            .parameter_in(ParameterIn::Header)
            .description(Some("Wait, 5 seconds at most, until the read model has seen this position"))
            .schema(Some(position_schema()))
            .build();
        operation.parameters.get_or_insert_default().push(RefOr::T(at_least));
    }
    if reads_model || operation.tags.iter().flatten().any(|tag| tag == "ledger") {
        position_header(operation);
    }
    // Probes come with parameters of their own; everywhere else an unknown one is refused.
    let is_lenient = operation.tags.iter().flatten().any(|tag| tag == "health");
    let mut problem = |status: &str, description: &str| {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| problem_response(status, description));
    };
    if !is_lenient {
        problem("400", "A parameter is unknown or not what it should be; `errors` names it");
    }
    if !is_public {
        problem("401", "Nobody is known to be asking");
        problem("403", "A permission is missing; `missing_permission` names it");
        problem("429", "Too many requests; `Retry-After` says when to come back");
        problem("503", "The store does not answer, or the read model has not seen the position asked for");
    }
    if has_id {
        problem("404", "There is no such thing");
    }
    match named.as_str() {
        "get_export_file" => {
            problem("409", "There is no file yet, or it is not what was recorded");
            problem("410", "The file was removed");
            problem("416", "The file has no such range");
        }
        "get_export_manifest" | "get_export_signature" => {
            problem("409", "There is no file yet");
            problem("410", "The file was removed");
        }
        "rebuild_projection" => problem("409", "It is being rebuilt already"),
        "sign_checkpoint" => problem("409", "The ledger does not extend the checkpoint signed last"),
        _ => {}
    }
}

fn position_schema() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).examples([serde_json::json!(41)])
}

fn position_header(operation: &mut Operation) {
    let Some(RefOr::T(response)) = operation.responses.responses.get_mut("200") else { return };
    let header = HeaderBuilder::new()
        .schema(Some(position_schema()))
        .description(Some("The last position that the answer takes into account"))
        .build();
    response.headers.insert("Daybook-Position".to_owned(), RefOr::T(header));
}

fn problem_response(status: &str, description: &str) -> RefOr<utoipa::openapi::Response> {
    let code = match status {
        "400" => "request.invalid_parameter",
        "401" => "identity.required",
        "403" => "permission.denied",
        "404" => "request.not_found",
        "409" => "request.conflict",
        "410" => "export.removed",
        "416" => "export.range_not_satisfiable",
        "429" => "request.rate_limited",
        _ => "store.unavailable",
    };
    let status = StatusCode::from_bytes(status.as_bytes()).unwrap_or_default();
    let example = serde_json::json!({
        "type": format!("/problems/{code}"),
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": description,
        "code": code,
        "request_id": "0193f3a17c007000800000000000002a",
    });
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).example(Some(example)).build();
    RefOr::T(ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build())
}
