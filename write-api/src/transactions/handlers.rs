//! One transaction at a time: record it, change its status, correct it, note on it.

use actix_web::{HttpResponse, web};
use daybook_domain::transaction::{AddNote, TransactionCommand};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, CreateProblems};
use daybook_http_kit::permission::{TransactionCreate, TransactionUpdate};
use daybook_http_kit::sealer::TRANSACTION_NOTE;
use daybook_http_kit::{Allowed, Body, CommandRequest, NoQuery, Permission, Problem, Scoped, new_id};

use super::COLLECTION;
use super::body::{CorrectBody, NoteBody, RecordBody, StatusBody};
use super::view::TransactionAnswer;
use crate::personal;
use crate::problems::{invalid, refusal};
use crate::state::{TRIES, WriteState};
use daybook_http_kit::answer::respond;

/// Record a transaction
///
/// Repeating a `transaction_id` with the same content changes nothing and answers 200 with the receipt of the
/// transaction's newest entry; with other content it is 409 and names the fields that differ.
#[utoipa::path(
    post, path = "/v1/transactions", tag = "transactions", operation_id = "record_transaction",
    params(CommandHeaders), request_body = RecordBody,
    responses(
        (status = 201, description = "Recorded.", body = TransactionAnswer,
            headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "Its version."))),
        (status = 200, description = "Was recorded before with the same content.", body = TransactionAnswer),
        CreateProblems,
    )
)]
pub async fn record(
    caller: Allowed<TransactionCreate>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    body: Body<RecordBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let record = body.value.command(new_id("txn", &context), state.now()?)?;
    let id = record.transaction_id.to_string();
    let command = TransactionCommand::Record(Box::new(record));
    let outcome = state.transactions.execute_with_retry(&id, command, context, TRIES).await.map_err(refusal)?;
    Ok(respond(&outcome, COLLECTION, &TransactionAnswer::of(&outcome)))
}

/// Change a transaction's status
///
/// Only a pending transaction can change its status.
#[utoipa::path(
    post, path = "/v1/transactions/{id}/status", tag = "transactions", operation_id = "change_transaction_status",
    params(("id" = String, Path, description = "The transaction's id."), CommandHeaders), request_body = StatusBody,
    responses((status = 200, description = "Changed.", body = TransactionAnswer), CommandProblems)
)]
pub async fn change_status(
    caller: Allowed<TransactionUpdate>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    body: Body<StatusBody>,
) -> Result<HttpResponse, Problem> {
    let command = body.value.command().map_err(invalid)?;
    carry_out(&caller, &request, &state, &id, command, &body.bytes).await
}

/// Change a transaction's status
///
/// The same as `POST`.
#[utoipa::path(
    patch, path = "/v1/transactions/{id}/status", tag = "transactions", operation_id = "patch_transaction_status",
    params(("id" = String, Path, description = "The transaction's id."), CommandHeaders), request_body = StatusBody,
    responses((status = 200, description = "Changed.", body = TransactionAnswer), CommandProblems)
)]
pub async fn patch_status(
    caller: Allowed<TransactionUpdate>,
    request: CommandRequest,
    no_query: NoQuery,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    body: Body<StatusBody>,
) -> Result<HttpResponse, Problem> {
    change_status(caller, request, no_query, state, id, body).await
}

/// Correct a transaction
///
/// The old values stay in the ledger beside the new ones and the reason. A correction that changes nothing is 422.
#[utoipa::path(
    post, path = "/v1/transactions/{id}/correct", tag = "transactions", operation_id = "correct_transaction",
    params(("id" = String, Path, description = "The transaction's id."), CommandHeaders), request_body = CorrectBody,
    responses((status = 200, description = "Corrected.", body = TransactionAnswer), CommandProblems)
)]
pub async fn correct(
    caller: Allowed<TransactionUpdate>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    body: Body<CorrectBody>,
) -> Result<HttpResponse, Problem> {
    let command = body.value.command()?;
    carry_out(&caller, &request, &state, &id, command, &body.bytes).await
}

/// Add a note to a transaction
///
/// What a person writes is recorded sealed with that person's key.
#[utoipa::path(
    post, path = "/v1/transactions/{id}/notes", tag = "transactions", operation_id = "add_transaction_note",
    params(("id" = String, Path, description = "The transaction's id."), CommandHeaders), request_body = NoteBody,
    responses((status = 200, description = "Noted.", body = TransactionAnswer), CommandProblems)
)]
pub async fn add_note(
    caller: Allowed<TransactionUpdate>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    id: web::Path<String>,
    body: Body<NoteBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let (note_id, text) = body.value.checked(new_id("note", &context)).map_err(invalid)?;
    let text = personal::as_recorded(&caller, &state, TRANSACTION_NOTE, text).await?;
    let command = TransactionCommand::AddNote(AddNote { note_id, text });
    // Notes do not depend on what else happens to the transaction.
    let outcome = state.transactions.execute_with_retry(&id, command, context, TRIES).await.map_err(refusal)?;
    Ok(respond(&outcome, COLLECTION, &TransactionAnswer::of(&outcome)))
}

async fn carry_out<P: Permission>(
    caller: &Allowed<P>,
    request: &CommandRequest,
    state: &WriteState,
    id: &str,
    command: TransactionCommand,
    body: &[u8],
) -> Result<HttpResponse, Problem> {
    let context = request.context(caller, body);
    let outcome = state.transactions.execute(id, command, context).await.map_err(refusal)?;
    Ok(respond(&outcome, COLLECTION, &TransactionAnswer::of(&outcome)))
}
