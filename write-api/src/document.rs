//! The OpenAPI document of the commands.

use daybook_http_kit::openapi::add_security;
use daybook_http_kit::{FieldError, Problem};
use utoipa::OpenApi;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::approvals;
use crate::export_schedules;
use crate::exports;
use crate::incidents::{self, bulk};
use crate::transactions::{self, batch};
use daybook_http_kit::answer::{ReceiptView, Recorded};

#[derive(OpenApi)]
#[openapi(
    info(title = "Daybook", description = "Commands and queries of Daybook."),
    paths(
        transactions::handlers::record,
        transactions::batch::record_batch,
        transactions::handlers::change_status,
        transactions::handlers::patch_status,
        transactions::handlers::correct,
        transactions::handlers::add_note,
        incidents::handlers::open,
        incidents::compatible::patch_status,
        incidents::handlers::acknowledge,
        incidents::handlers::investigate,
        incidents::handlers::resolve,
        incidents::handlers::close,
        incidents::handlers::reopen,
        incidents::handlers::assign,
        incidents::handlers::escalate,
        incidents::handlers::comment,
        incidents::handlers::change_severity,
        incidents::handlers::change_priority,
        incidents::handlers::update_details,
        incidents::bulk::resolve,
        incidents::bulk::escalate,
        incidents::bulk::assign,
        incidents::bulk::triage,
        exports::handlers::request,
        exports::handlers::cancel,
        exports::handlers::redeliver,
        exports::handlers::remove,
        exports::refused::change,
        exports::verify::verify,
        exports::batch::verify,
        exports::uploaded::verify,
        exports::compatible::transactions,
        exports::compatible::incidents,
        exports::compatible::users,
        exports::compatible::agent_actions,
        exports::compatible::audit_trail,
        export_schedules::handlers::create,
        export_schedules::handlers::change,
        export_schedules::handlers::pause,
        export_schedules::handlers::resume,
        export_schedules::handlers::run,
        export_schedules::handlers::end,
        export_schedules::standing::ask,
        export_schedules::standing::end,
    ),
    components(schemas(
        Problem,
        FieldError,
        ReceiptView,
        Recorded,
        batch::ItemAnswer,
        batch::ItemProblem,
        batch::SummaryLine,
        batch::Summary,
        bulk::BulkResult,
    )),
    tags(
        (name = "transactions", description = "Record transactions, settle them, correct them in the open."),
        (name = "incidents", description = "Open incidents and work on them."),
        (name = "exports", description = "Have records leave the house: asked for, approved, signed, delivered, verified."),
        (name = "export schedules", description = "Have exports made again and again."),
    )
)]
struct Document;

/// The document: every command under `/v1`. The same commands answer without the prefix.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    document.merge(approvals::Api::openapi());
    add_security(&mut document);
    allow_other_names(&mut document);
    link_to_proofs(&mut document);
    document
}

/// Requests with several commands: their receipts are in the lines of the answer, and no header leads to all of them.
const SEVERAL_RECEIPTS: [&str; 3] = ["/batch", "/bulk", "/decisions"];

/// Every answer with one receipt says where it is proved.
fn link_to_proofs(document: &mut utoipa::openapi::OpenApi) {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .examples([serde_json::json!("</v1/ledgers/main/proofs/42.tlog-proof>; rel=\"proof\"")])
        .build();
    let header = HeaderBuilder::new()
        .schema(Some(schema))
        .description(Some("Where the receipt is proved, as soon as a checkpoint covers it"))
        .build();
    for (path, item) in &mut document.paths.paths {
        if SEVERAL_RECEIPTS.iter().any(|part| path.contains(part)) {
            continue;
        }
        for operation in [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten() {
            for (status, response) in &mut operation.responses.responses {
                // 202: nothing was done yet.
                let has_receipt = status.starts_with('2') && status != "202";
                if let (true, RefOr::T(response)) = (has_receipt, response) {
                    response.headers.insert("Link".to_owned(), RefOr::T(header.clone()));
                }
            }
        }
    }
}

/// Members of bodies that are also taken under other names (`#[serde(alias)]`): schema, name, other names.
const OTHER_NAMES: [(&str, &str, &[&str]); 15] = [
    ("RecordBody", "type", &["transaction_type"]),
    ("CorrectBody", "type", &["transaction_type"]),
    ("OpenBody", "type", &["incident_type"]),
    ("DetailsBody", "type", &["incident_type"]),
    ("IncidentNoteBody", "note", &["notes", "reason"]),
    ("ResolveBody", "resolution", &["notes", "reason"]),
    ("ReasonBody", "reason", &["notes"]),
    ("CommentBody", "comment", &["text"]),
    ("EscalateBody", "reason", &["notes"]),
    ("ApprovalCommentBody", "comment", &["text"]),
    ("ApprovalAssignBody", "assignee", &["assignee_id", "assigned_to"]),
    ("ApprovalDecisionBody", "decision_reason", &["reason"]),
    ("AgentDecisionBody", "operator", &["approved_by"]),
    ("AgentDecisionBody", "comment", &["reason"]),
    ("ApprovalElectorateBody", "department", &["group"]),
];

/// Bodies deny members that the document does not list, so the other names are listed too. A member that may come under
/// another name is not required under this one.
fn allow_other_names(document: &mut utoipa::openapi::OpenApi) {
    let Some(components) = &mut document.components else { return };
    for (schema, name, other_names) in OTHER_NAMES {
        let Some(RefOr::T(Schema::Object(body))) = components.schemas.get_mut(schema) else { continue };
        let Some(mut member) = body.properties.get(name).cloned() else { continue };
        if let RefOr::T(Schema::Object(member)) = &mut member {
            member.description = Some(format!("The same as `{name}`, of which one is taken."));
        }
        body.required.retain(|required| required != name);
        for other_name in other_names {
            body.properties.insert((*other_name).to_owned(), member.clone());
        }
    }
}
