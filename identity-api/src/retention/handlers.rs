//! Retention over HTTP.

use actix_web::{HttpResponse, web};
use daybook_approvals::{Approvals, Changed};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::{HoldRead, RetentionManage, RetentionRead};
use daybook_http_kit::{Allowed, Body, CommandRequest, NoQuery, Problem};
use daybook_identity::custody::Keeping;
use daybook_ledger::StreamKey;
use serde::Serialize;
use utoipa::ToSchema;

use super::COLLECTION;
use super::body::{RuleBody, record_type};
use super::setting::{Wanted, set as set_rule};
use super::view::{RecordView, RetentionView, RuleView};
use crate::people::carried::{self, Answer, done};
use crate::people::operations::Doing;
use crate::rbac::list::one;
use crate::state::{IdentityState, OrganizationIdentity};

/// What a change is answered that waits for an approval.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RetentionChangeRequired)]
pub(crate) struct Waiting {
    /// What is missing, in words.
    #[schema(example = "A change of a retention rule requires approval")]
    pub detail: String,
    /// The request for approval.
    #[schema(example = "apr_0193f3a17c0070008000000000000001")]
    pub approval_request_id: String,
    /// How far that is.
    #[schema(example = "pending")]
    pub status: String,
}

/// How long records are kept
///
/// The classes that rules rest on, the types of records that they can be about, and the rules.
#[utoipa::path(
    get, path = "/v1/retention", tag = "retention", operation_id = "get_retention",
    params(QueryHeaders),
    responses((status = 200, description = "Classes and rules.", body = RetentionView), QueryProblems)
)]
pub(crate) async fn list(
    _caller: Allowed<RetentionRead>,
    identity: Scoped<OrganizationIdentity>,
    _: NoQuery,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    Ok(one(state.position, &RetentionView::of(&state)))
}

/// How long records of one type are kept
#[utoipa::path(
    get, path = "/v1/retention/{record_type}", tag = "retention", operation_id = "get_retention_rule",
    params(("record_type" = String, Path, description = "The type of the records: `transaction`."), QueryHeaders),
    responses((status = 200, description = "The rule.", body = RuleView), QueryProblems)
)]
pub(crate) async fn get(
    _caller: Allowed<RetentionRead>,
    identity: Scoped<OrganizationIdentity>,
    _: NoQuery,
    word: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    Ok(one(state.position, &RuleView::found(&state, record_type(&word)?)?))
}

/// Keep records of one type for longer
///
/// Answers 202 until the change is approved; the same call again then makes it. Whatever was approved, a rule is never made
/// shorter (422 `retention_rule.shortening`), never lets go of who acted (422 `retention_rule.dropping_identities`), and never
/// keeps for less than its class says (422 `retention_rule.below_floor`). What holds already changes nothing and answers 200.
#[utoipa::path(
    put, path = "/v1/retention/{record_type}", tag = "retention", operation_id = "set_retention_rule",
    params(("record_type" = String, Path, description = "The type of the records: `transaction`."), CommandHeaders),
    request_body = RuleBody,
    responses(
        (status = 200, description = "It holds.", body = Answer<RuleView>),
        (status = 201, description = "It holds; there was no rule about these records before.", body = Answer<RuleView>),
        (status = 202, description = "Waits for approval.", body = Waiting),
        CommandProblems,
    )
)]
#[expect(clippy::too_many_arguments, reason = "each is an extractor")]
pub(crate) async fn set(
    caller: Allowed<RetentionManage>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    approvals: Scoped<Approvals>,
    word: web::Path<String>,
    body: Body<RuleBody>,
) -> Result<HttpResponse, Problem> {
    // The change and its approval have no version in common.
    request.refuse_if_match()?;
    let context = request.context(&caller, &body.bytes);
    let record_type = record_type(&word)?;
    let (retention, reason) = body.value.checked()?;
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    match set_rule(&doing, &approvals, Wanted { record_type, retention, reason }, context).await? {
        Changed::Blocked(blocked) => Ok(blocked.respond()),
        Changed::Done(outcome) => {
            let view = RuleView::found(&identity.directory.now(), record_type)?;
            Ok(carried::respond(&done(outcome), COLLECTION, view))
        }
    }
}

/// What is said of keeping one record
///
/// The rule about records of its type, until when it is kept by that, every hold that covers it, and whether anything of it
/// may be taken away. Of an account (`user`) it says what an erasure of the person would meet with: every hold that covers the
/// person, and the records that keep the person known. Takes `hold:read` as well.
#[utoipa::path(
    get, path = "/v1/retention/records/{stream_type}/{stream_id}", tag = "retention",
    operation_id = "get_retention_of_record",
    params(
        ("stream_type" = String, Path, description = "The record's type: `transaction`."),
        ("stream_id" = String, Path, description = "The record's id."),
        QueryHeaders,
    ),
    responses((status = 200, description = "What is said of it.", body = RecordView), QueryProblems)
)]
pub(crate) async fn record(
    caller: Allowed<RetentionRead>,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    _: NoQuery,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    caller.require::<HoldRead>()?;
    let (stream_type, stream_id) = path.into_inner();
    let not_found = || Problem::not_found("retention.record_not_found", "there is no record of this type and id");
    let stream = StreamKey::new(stream_type, stream_id).map_err(|_| not_found())?;
    let state = identity.directory.up_to_date().await?;
    let now = installation.now();
    let keeping = Keeping::in_view_of_disposal(identity.ledger.reader(), &state, &stream, now).await?;
    let keeping = keeping.ok_or_else(not_found)?;
    Ok(one(state.position, &RecordView::of(stream, &keeping, now)))
}
