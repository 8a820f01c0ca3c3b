//! What a command came to, and the two ways to say so: the answer of this API, and the predecessors' envelope.
//!
//! A command is answered after the directory has seen what was recorded, so that whoever asks next is answered from it.

use std::sync::Arc;

use actix_web::HttpResponse;
use cqrs_es::Aggregate;
use daybook_domain::refusal::Refusal;
use daybook_http_kit::Problem;
use daybook_identity::directory::DirectoryState;
use daybook_ledger::commands::{CommandContext, CommandError, Commands, Outcome};
use daybook_ledger::keys::time::rfc3339;
use daybook_ledger::{LedgerId, Receipt};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problems::refusal;
use crate::state::{OrganizationIdentity, TRIES};
use daybook_http_kit::answer::{self, ReceiptView};

/// A resource as it is after a command, with the proof of the command.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Answer<T> {
    /// The resource.
    #[serde(flatten)]
    pub(crate) resource: T,
    /// When the entry was recorded, RFC 3339 UTC with microseconds.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    pub(crate) recorded_at: String,
    /// Proof that it is in the ledger.
    pub(crate) receipt: ReceiptView,
}

/// The predecessors' envelope.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Enveloped<T> {
    /// Always true: what fails is answered with a problem.
    success: bool,
    /// What happened, in words.
    message: &'static str,
    /// The resource.
    data: T,
}

impl<T> Enveloped<T> {
    /// `data`, with a word on it.
    pub(crate) fn of(data: T, message: &'static str) -> Self {
        Self { success: true, message, data }
    }
}

/// What a command came to, whatever it was about.
pub(crate) type Done = Outcome<()>;

/// Forgets what the aggregate became: handlers answer from the directory.
pub(crate) fn done<A>(outcome: Outcome<A>) -> Done {
    Outcome {
        id: outcome.id,
        aggregate: (),
        version: outcome.version,
        receipt: outcome.receipt,
        recorded_at: outcome.recorded_at,
        created: outcome.created,
        replayed: outcome.replayed,
        unchanged: outcome.unchanged,
    }
}

fn with_proof<T>(done: &Done, resource: T) -> Answer<T> {
    Answer { resource, recorded_at: rfc3339(done.recorded_at), receipt: ReceiptView::from(&done.receipt) }
}

/// The answer of this API.
pub(crate) fn respond(done: &Done, collection: &str, resource: impl Serialize) -> HttpResponse {
    answer::respond(done, collection, &with_proof(done, resource))
}

/// The same in the predecessors' envelope.
pub(crate) fn envelop(done: &Done, collection: &str, message: &'static str, resource: impl Serialize) -> HttpResponse {
    answer::respond(done, collection, &Enveloped::of(with_proof(done, resource), message))
}

/// Carries out one command and waits until the directory knows of it.
pub(crate) async fn execute<A>(
    identity: &OrganizationIdentity,
    commands: &Commands<A>,
    id: &str,
    command: A::Command,
    context: CommandContext,
) -> Result<Outcome<A>, Problem>
where
    A: Aggregate + Clone + 'static,
    A::Services: Default,
    A::Command: Clone + Send,
    A::Error: Refusal,
{
    let outcome = recorded(commands, id, command, context).await.map_err(refusal)?;
    identity.settle(&outcome).await?;
    Ok(outcome)
}

/// Carries out one command; the directory may not know of it yet.
pub(crate) async fn recorded<A>(
    commands: &Commands<A>,
    id: &str,
    command: A::Command,
    context: CommandContext,
) -> Result<Outcome<A>, CommandError<A::Error>>
where
    A: Aggregate + Clone + 'static,
    A::Services: Default,
    A::Command: Clone + Send,
{
    // A version that the caller saw is compared once; without one, deciding anew is what the caller means.
    let tries = if context.expected_version.is_some() { 1 } else { TRIES };
    commands.execute_with_retry(id, command, context, tries).await
}

/// The context of a command that follows from another: no key of its own, and caused by the entry of `cause`.
pub(crate) fn following(context: &CommandContext, cause: Option<&Receipt>) -> CommandContext {
    let cause = cause.map(|receipt| format!("{}/{}", receipt.ledger_id, receipt.position));
    CommandContext {
        command: None,
        expected_version: None,
        causation_id: cause.or_else(|| context.causation_id.clone()),
        ..context.clone()
    }
}

/// Waits until the directory has seen all that the ledger had when this was called: for rules over several things.
pub(crate) async fn up_to_date(identity: &OrganizationIdentity) -> Result<Arc<DirectoryState>, Problem> {
    identity.directory.up_to_date().await
}

/// The last digits of a fresh id: random, or derived from the command's key. A key is its organisation's own, and the
/// vault has the ids of all: under the same key, two organisations get two ids.
pub(crate) fn short_id(prefix: &str, digits: usize, organization: &LedgerId, context: &CommandContext) -> String {
    let mut context = context.clone();
    if let Some(command) = &mut context.command {
        command.id = format!("{organization}:{}", command.id);
    }
    let id = daybook_http_kit::new_id(prefix, &context);
    let tail = id.len().saturating_sub(digits);
    format!("{prefix}_{}", id.get(tail..).unwrap_or_default())
}
