//! Erasures over HTTP: one person asks, another agrees, and it is performed.

use actix_web::{HttpResponse, web};
use daybook_approvals::Approvals;
use daybook_domain::approval::{Approval, ApprovalStatus, Decision};
use daybook_domain::erasure::{Erasure, ErasureCommand, ErasureError, Requested};
use daybook_domain::names::ErasureId;
use daybook_domain::text::{ActorId, Reason, SubjectId};
use daybook_domain::user::UserError;
use daybook_http_kit::answer::ReceiptView;
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, CreateProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::{ErasureApprove, ErasureRead, ErasureRequest};
use daybook_http_kit::{
    Allowed, Body, CommandRequest, Listing, NoQuery, OptionalBody, PageParameters, Principal, Problem, Query,
    with_position,
};
use daybook_identity::directory::{DirectoryState, ErasureRecord, ErasureStatus, UserStatus};
use daybook_ledger::commands::{CommandContext, Outcome};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::COLLECTION;
use super::approval::{Authority, Gate, REQUIRES_APPROVAL, ends, lapsed};
use super::perform::perform;
use super::view::ErasureView;
use crate::people::carried::{self, Answer, Done, done, execute, following, short_id};
use crate::people::operations::Doing;
use crate::people::rules::{is_owner_account, keep_an_owner};
use crate::people::view::known;
use crate::problems::{Faults, invalid, refused};
use crate::rbac::body::WhyBody;
use crate::rbac::guard::require_owner;
use crate::rbac::list::{Paged, one, page_of};
use crate::state::{IdentityState, OrganizationIdentity};

/// Hexadecimal digits of an erasure's id.
const ID_DIGITS: usize = 24;

/// Which erasures are listed.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ErasureFilter {
    /// `requested`, `approved`, `rejected`, `refused` or `performed`.
    pub status: Option<String>,
    /// Only those of the person of this id.
    pub subject: Option<String>,
    #[serde(flatten)]
    #[param(ignore)]
    pub page: PageParameters,
}

/// Whose data are to be erased.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestBody {
    /// The person's id.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    pub subject: String,
    /// Why: at most 2,000 characters.
    pub reason: String,
}

/// Why an erasure is not agreed to.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RejectBody {
    /// Why: at most 2,000 characters.
    pub reason: String,
}

/// The answer where others have to vote as well.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ErasureWaiting {
    /// What is waited for, in words.
    #[schema(example = "Erasure requires approval")]
    pub detail: String,
    /// The request for approval.
    #[schema(example = "apr_0193f3a17c0070008000000000000001")]
    pub approval_request_id: String,
    /// Always `pending`.
    #[schema(example = "pending")]
    pub status: &'static str,
    /// The erasure.
    pub erasure: ErasureView,
    /// Proof of the vote.
    pub receipt: ReceiptView,
}

/// List erasures
///
/// By id. Those that are approved and not performed are among them.
#[utoipa::path(
    get, path = "/v1/erasures", tag = "erasures", operation_id = "list_erasures",
    params(ErasureFilter, PageParameters, QueryHeaders),
    responses((status = 200, description = "Erasures.", body = Listing<ErasureView>), QueryProblems)
)]
pub(crate) async fn list(
    _caller: Allowed<ErasureRead>,
    identity: Scoped<OrganizationIdentity>,
    filter: Query<ErasureFilter>,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    let words = ["requested", "approved", "rejected", "refused", "performed"];
    if filter.status.as_deref().is_some_and(|word| !words.contains(&word)) {
        let detail = format!("must be one of {}", words.join(", "));
        return Err(Problem::bad_request("request.invalid_parameter", format!("query parameter status: {detail}"))
            .at("?status", detail));
    }
    let is_wanted = |erasure: &ErasureRecord| {
        filter.status.as_deref().is_none_or(|status| erasure.status.as_str() == status)
            && filter.subject.as_ref().is_none_or(|subject| erasure.subject == *subject)
    };
    let erasures =
        state.erasures.values().filter(|erasure| is_wanted(erasure)).map(|erasure| ErasureView::of(&state, erasure));
    page_of(&filter.page, state.position, erasures, |erasure| erasure.id.clone()).map(Paged::respond)
}

/// One erasure
#[utoipa::path(
    get, path = "/v1/erasures/{id}", tag = "erasures", operation_id = "get_erasure",
    params(("id" = String, Path, description = "The erasure's id."), QueryHeaders),
    responses((status = 200, description = "The erasure.", body = ErasureView), QueryProblems)
)]
pub(crate) async fn get(
    _caller: Allowed<ErasureRead>,
    identity: Scoped<OrganizationIdentity>,
    _: NoQuery,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    Ok(one(state.position, &ErasureView::found(&state, &id)?))
}

/// Ask for an erasure
///
/// Somebody else has to approve it: `approval_request_id` is the request for that. The organisation keeps an owner: 409
/// `user.last_owner`.
#[utoipa::path(
    post, path = "/v1/erasures", tag = "erasures", operation_id = "request_erasure",
    params(CommandHeaders), request_body = RequestBody,
    responses((status = 201, description = "Requested.", body = Answer<ErasureView>), CreateProblems)
)]
pub(crate) async fn request_erasure(
    caller: Allowed<ErasureRequest>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    approvals: Scoped<Approvals>,
    body: Body<RequestBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let id = short_id("era", ID_DIGITS, &identity.id, &context);
    let requested = requested(&id, body.value, &caller)?;
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let gate = Gate { doing, approvals: &approvals };
    let subject = requested.subject.as_str();
    let user = known(&identity.directory.now(), subject)?.clone();
    if user.status == UserStatus::Erased {
        return Err(refused(&UserError::Erased));
    }
    if let Some(open) = open_erasure(&identity.directory.now(), subject, &id) {
        let is_over = end_if_rejected(&gate, &open, &context).await?;
        if !is_over {
            return Err(Problem::conflict(
                "erasure.under_way",
                "there is an erasure of this person that is not finished",
            )
            .with_member("erasure_id", open));
        }
    }
    if is_owner_account(&user) {
        drop(keep_an_owner(&installation, &identity, subject).await?);
    }
    gate.may_be_asked(&requested, &following(&context, None)).await?;
    let command = ErasureCommand::Request(Box::new(requested.clone()));
    let outcome = execute::<Erasure>(&identity, &identity.erasures, &id, command, context.clone()).await?;
    if outcome.aggregate.status() == Some(ErasureStatus::Requested) {
        gate.deciding(&requested, &following(&context, Some(&outcome.receipt))).await?;
    }
    answer(&identity, done(outcome))
}

fn requested(id: &str, body: RequestBody, caller: &Principal) -> Result<Requested, Problem> {
    let mut faults = Faults::default();
    let erasure_id = faults.check(ErasureId::parse("/erasure_id", id));
    let subject = faults.check(SubjectId::parse("/subject", body.subject));
    let reason = faults.check(Reason::parse("/reason", body.reason));
    let requested_by = faults.check(ActorId::parse("", caller.actor.id.as_str()));
    match (erasure_id, subject, reason, requested_by) {
        (Some(erasure_id), Some(subject), Some(reason), Some(requested_by)) => {
            Ok(Requested { erasure_id, subject, reason, requested_by })
        }
        _ => Err(faults.problem()),
    }
}

/// Another erasure of the same person that is neither rejected nor performed.
fn open_erasure(state: &DirectoryState, subject: &str, but: &str) -> Option<String> {
    let is_open = |erasure: &ErasureRecord| {
        erasure.subject == subject
            && erasure.erasure_id != but
            && !matches!(erasure.status, ErasureStatus::Rejected | ErasureStatus::Performed)
    };
    state.erasures.values().find(|erasure| is_open(erasure)).map(|erasure| erasure.erasure_id.clone())
}

/// Takes in that somebody rejected it where requests for approval are decided, that its request ended otherwise or, of
/// somebody else's, that nobody decided on it in time; answers whether that was so.
async fn end_if_rejected(gate: &Gate<'_>, id: &str, context: &CommandContext) -> Result<bool, Problem> {
    let erasure = gate.erasure(id).await?;
    let (Some(request), Some(ErasureStatus::Requested)) = (erasure.aggregate.request(), erasure.aggregate.status())
    else {
        return Ok(false);
    };
    let approval = gate.deciding(request, &following(context, None)).await?;
    if !ends(&approval.aggregate) && !lapsed(&approval.aggregate) {
        return Ok(false);
    }
    gate.rejected(request, &approval.aggregate, following(context, Some(&approval.receipt))).await?;
    Ok(true)
}

/// Vote for an erasure, and perform it
///
/// The caller's vote on its request for approval. Once that has all the votes that it needs the erasure is performed; until
/// then the answer is 202. Not by whoever asked, nor with a key of his, nor with another account of his (422
/// `erasure.self_approval`); an owner's by an owner. Where a legal hold or a retention rule stands in the way the approval
/// is kept, the answer is 409 `erasure.held` or `erasure.retained` and names all of them; `POST /erasures/{id}/perform` tries again.
#[utoipa::path(
    post, path = "/v1/erasures/{id}/approve", tag = "erasures", operation_id = "approve_erasure",
    params(("id" = String, Path, description = "The erasure's id."), CommandHeaders), request_body = Option<WhyBody>,
    responses(
        (status = 200, description = "Performed.", body = Answer<ErasureView>),
        (status = 202, description = "Others have to vote as well.", body = ErasureWaiting),
        CommandProblems,
    )
)]
#[expect(clippy::too_many_arguments, reason = "each is an extractor")]
pub(crate) async fn approve(
    caller: Allowed<ErasureApprove>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    body: OptionalBody<WhyBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let gate = Gate { doing, approvals: &approvals };
    may_decide(&doing, &id)?;
    must_be_another(&doing, &id)?;
    let reason = body.value.reason()?;
    let erasure = gate.erasure(&id).await?;
    let Some(wanted) = erasure.aggregate.request() else { return Err(refused(&ErasureError::NotFound)) };
    let approved = match erasure.aggregate.status() {
        Some(ErasureStatus::Requested) => {
            expect_version(&context, erasure.version)?;
            let approval = gate.deciding(wanted, &context).await?;
            let approval = gate.vote(approval, Decision::Approve, reason, &context).await?;
            match approval.aggregate.status() {
                Some(ApprovalStatus::Pending) => return waiting(&gate, &id, &approval),
                _ if lapsed(&approval.aggregate) => return Err(expired()),
                _ if ends(&approval.aggregate) => {
                    gate.rejected(wanted, &approval.aggregate, following(&context, None)).await?;
                    return Err(refused(&ErasureError::AlreadyDecided { status: ErasureStatus::Rejected }));
                }
                _ => gate.approved(wanted, &approval, context.clone()).await?,
            }
        }
        status => again(&gate, &erasure, status, context.clone()).await?,
    };
    let authority = Authority::of(&approved.aggregate)?;
    let done = perform(&gate, &id, authority, &following(&context, Some(&approved.receipt))).await?;
    answer(&identity, done)
}

/// A repeat of the command that was carried out; everybody else is told that it was decided.
async fn again(
    gate: &Gate<'_>,
    erasure: &Outcome<Erasure>,
    status: Option<ErasureStatus>,
    context: CommandContext,
) -> Result<Outcome<Erasure>, Problem> {
    let Some(status) = status else { return Err(refused(&ErasureError::NotFound)) };
    let (Some(by), Some(approval_id)) = (erasure.aggregate.approved_by(), erasure.aggregate.approval_id()) else {
        return Err(refused(&ErasureError::AlreadyDecided { status }));
    };
    let command = ErasureCommand::Approve { by: by.clone(), reason: None, approval_id: approval_id.clone() };
    let identity = gate.doing.identity;
    execute::<Erasure>(identity, &identity.erasures, &erasure.id, command, context).await
}

/// The version of `If-Match`, looked at before anybody votes.
fn expect_version(context: &CommandContext, version: u64) -> Result<(), Problem> {
    match context.expected_version {
        Some(expected) if expected != version => Err(Problem::precondition_failed(version)),
        _ => Ok(()),
    }
}

/// 202: the vote counts, and others are needed as well.
fn waiting(gate: &Gate<'_>, id: &str, approval: &Outcome<Approval>) -> Result<HttpResponse, Problem> {
    let erasure = ErasureView::found(&gate.doing.identity.directory.now(), id)?;
    let body = ErasureWaiting {
        detail: gate.approvals.blocked(approval, REQUIRES_APPROVAL).detail,
        approval_request_id: approval.id.clone(),
        status: "pending",
        erasure,
        receipt: ReceiptView::from(&approval.receipt),
    };
    Ok(with_position(HttpResponse::Accepted().json(body), Some(approval.receipt.position)))
}

/// Vote against an erasure
///
/// The caller's vote on its request for approval. Once that is rejected the erasure ends there; until then the answer is
/// 202. Not by whoever asked.
#[utoipa::path(
    post, path = "/v1/erasures/{id}/reject", tag = "erasures", operation_id = "reject_erasure",
    params(("id" = String, Path, description = "The erasure's id."), CommandHeaders), request_body = RejectBody,
    responses(
        (status = 200, description = "Rejected.", body = Answer<ErasureView>),
        (status = 202, description = "Others have to vote as well.", body = ErasureWaiting),
        CommandProblems,
    )
)]
#[expect(clippy::too_many_arguments, reason = "each is an extractor")]
pub(crate) async fn reject(
    caller: Allowed<ErasureApprove>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    body: Body<RejectBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let gate = Gate { doing, approvals: &approvals };
    must_be_another(&doing, &id)?;
    let reason = Reason::parse("/reason", body.value.reason).map_err(invalid)?;
    let erasure = gate.erasure(&id).await?;
    let Some(wanted) = erasure.aggregate.request() else { return Err(refused(&ErasureError::NotFound)) };
    if erasure.aggregate.status() == Some(ErasureStatus::Requested) {
        expect_version(&context, erasure.version)?;
        let approval = gate.deciding(wanted, &context).await?;
        if approval.aggregate.status() == Some(ApprovalStatus::Approved) {
            return Err(refused(&ErasureError::AlreadyDecided { status: ErasureStatus::Approved }));
        }
        let approval = gate.vote(approval, Decision::Reject, Some(reason), &context).await?;
        return match approval.aggregate.status() {
            _ if ends(&approval.aggregate) => {
                answer(&identity, done(gate.rejected(wanted, &approval.aggregate, context).await?))
            }
            Some(ApprovalStatus::Pending) => waiting(&gate, &id, &approval),
            _ if lapsed(&approval.aggregate) => Err(expired()),
            _ => Err(refused(&ErasureError::AlreadyDecided { status: ErasureStatus::Approved })),
        };
    }
    // A repeat of the command that was carried out, or too late.
    let by = ActorId::parse("", caller.actor.id.as_str()).map_err(invalid)?;
    let command = ErasureCommand::Reject { by, reason };
    answer(&identity, done(execute::<Erasure>(&identity, &identity.erasures, &id, command, context).await?))
}

/// Perform an approved erasure
///
/// After a hold was released, where performing it was interrupted, or where its last vote was cast elsewhere. Performing it
/// again changes nothing, unless a copy of the vault from before it was put back: then account and key are removed again.
#[utoipa::path(
    post, path = "/v1/erasures/{id}/perform", tag = "erasures", operation_id = "perform_erasure",
    params(("id" = String, Path, description = "The erasure's id."), CommandHeaders),
    responses((status = 200, description = "Performed.", body = Answer<ErasureView>), CommandProblems)
)]
pub(crate) async fn perform_again(
    caller: Allowed<ErasureApprove>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    request.refuse_if_match()?;
    // Every step can be repeated: it needs no key of its own.
    let context = following(&request.context(&caller, b""), None);
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let gate = Gate { doing, approvals: &approvals };
    may_decide(&doing, &id)?;
    let erasure = gate.erasure(&id).await?;
    let erasure = match (erasure.aggregate.status(), erasure.aggregate.request()) {
        (Some(ErasureStatus::Requested), Some(wanted)) => {
            let approval = gate.deciding(wanted, &context).await?;
            match approval.aggregate.status() {
                Some(ApprovalStatus::Approved | ApprovalStatus::Consumed) => {
                    gate.approved(wanted, &approval, context.clone()).await?
                }
                _ if lapsed(&approval.aggregate) => return Err(expired()),
                _ if ends(&approval.aggregate) => gate.rejected(wanted, &approval.aggregate, context.clone()).await?,
                _ => erasure,
            }
        }
        _ => erasure,
    };
    let authority = Authority::of(&erasure.aggregate)?;
    answer(&identity, perform(&gate, &id, authority, &context).await?)
}

/// Whoever asked does not decide, whatever he shows: a key is whoever answers for it, and an account that was declared the
/// same person's is that person. 422 `erasure.self_approval`.
fn must_be_another(doing: &Doing<'_>, id: &str) -> Result<(), Problem> {
    let state = doing.identity.directory.now();
    let asked = ErasureView::found(&state, id)?.requested_by;
    if state.is_same_person(&asked, doing.caller.actor.id.as_str()) {
        return Err(refused(&ErasureError::SelfApproval));
    }
    Ok(())
}

/// Nobody votes on what nobody decided in time.
fn expired() -> Problem {
    let detail = "nobody decided on its approval in time; whoever asked for the erasure asks anew by performing it";
    Problem::conflict("erasure.approval_expired", detail)
}

/// Owners are erased with an owner's consent.
fn may_decide(doing: &Doing<'_>, id: &str) -> Result<(), Problem> {
    let state = doing.identity.directory.now();
    let subject = ErasureView::found(&state, id)?.subject;
    match state.users.get(subject.as_str()) {
        Some(user) if is_owner_account(user) => require_owner(doing.caller),
        _ => Ok(()),
    }
}

fn answer(identity: &OrganizationIdentity, done: Done) -> Result<HttpResponse, Problem> {
    let view = ErasureView::found(&identity.directory.now(), &done.id)?;
    Ok(carried::respond(&done, COLLECTION, view))
}
