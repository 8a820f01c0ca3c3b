//! Performing an erasure: every trace of the person that can be taken away is, and the key that opens the rest is destroyed.
//!
//! Each step can be repeated, and `erasure.performed` comes last: whatever is interrupted is completed by performing it again.
//! The fact on the account comes first, so that nobody comes in while the rest is under way.

use daybook_domain::erasure::{Erasure, ErasureCommand, ErasureError, ErasureStatus};
use daybook_domain::names::{ErasureId, HoldId};
use daybook_domain::session::SessionEndReason;
use daybook_domain::text::Reason;
use daybook_domain::user::{User, UserCommand, UserError};
use daybook_domain::{InvalidField, Timestamp};
use daybook_http_kit::Problem;
use daybook_ledger::commands::{CommandContext, CommandError};
use serde_json::json;

use super::again::{patiently, remove_again};
use super::approval::Authority;
use super::standing::{Standing, holds_on};
use crate::exclusive::{Matter, exclusive};
use crate::letters::mail_problem;
use crate::people::carried::{Done, done, execute, following, up_to_date};
use crate::people::operations::Doing;
use crate::people::rules::{is_owner_account, keep_an_owner};
use crate::problems::{invalid, refusal, refused};
use crate::state::{TRIES, vault_problem};

/// Most characters of what a refusal says of the holds.
const MAX_DETAIL: usize = 1_900;

/// Performs an erasure that it is recorded of that it was approved, or completes one that was interrupted. One that was performed is so again where a vault from
/// before it was put back: that changes nothing in the ledger, and no hold covers what the ledger says is gone. 409 `erasure.held` where holds stand in the way.
pub(super) async fn perform(
    doing: &Doing<'_>,
    id: &str,
    _authority: Authority,
    context: &CommandContext,
) -> Result<Done, Problem> {
    let identity = doing.identity;
    let _custody = exclusive(doing.installation, &identity.id, Matter::Custody).await?;
    let state = up_to_date(identity).await?;
    let loaded = identity.erasures.load(id).await.map_err(refusal)?;
    let loaded = loaded.ok_or_else(|| refused(&ErasureError::NotFound))?;
    let subject = match (loaded.aggregate.status(), loaded.aggregate.subject()) {
        (Some(ErasureStatus::Performed), Some(subject)) => {
            let vault = &doing.installation.vault;
            let removed = remove_again(vault, identity, subject.as_str(), doing.installation.now()).await;
            removed.map_err(vault_problem)?;
            return Ok(done(loaded));
        }
        (Some(ErasureStatus::Approved | ErasureStatus::Refused), Some(subject)) => subject.as_str().to_owned(),
        (Some(status), _) => return Err(refused(&ErasureError::NotApproved { status })),
        (None, _) => return Err(refused(&ErasureError::NotFound)),
    };
    let standing = holds_on(&identity.ledger, &state, &subject).await?;
    if !standing.is_empty() {
        return Err(refuse(doing, id, &standing, context).await?);
    }
    let erasure_id = ErasureId::parse("", id).map_err(invalid)?;
    take_everything(doing, &subject, erasure_id, context).await?;
    let key_destroyed_at = destroy(doing, &subject).await?;
    doing.installation.mailer.forget(&subject).await.map_err(mail_problem)?;
    let command = ErasureCommand::RecordPerformed { key_destroyed_at };
    let outcome = execute::<Erasure>(identity, &identity.erasures, id, command, following(context, None)).await?;
    tracing::info!(erasure_id = id, position = outcome.receipt.position, "a person was erased");
    Ok(done(outcome))
}

/// Records that holds stand in the way, and answers with them.
async fn refuse(
    doing: &Doing<'_>,
    id: &str,
    standing: &[Standing],
    context: &CommandContext,
) -> Result<Problem, Problem> {
    let words: Vec<String> = standing.iter().map(|hold| format!("{} ({})", hold.hold_id, hold.matter)).collect();
    let detail: String = format!("covered by {}", words.join(", ")).chars().take(MAX_DETAIL).collect();
    let checked = || -> Result<_, InvalidField> {
        let holds =
            standing.iter().map(|hold| HoldId::parse("/holds", hold.hold_id.as_str())).collect::<Result<_, _>>()?;
        Ok((holds, Reason::parse("/detail", detail.as_str())?))
    };
    let (holds, reason) = checked().map_err(invalid)?;
    let command = ErasureCommand::RecordRefusal { holds, detail: reason };
    let identity = doing.identity;
    let outcome = execute::<Erasure>(identity, &identity.erasures, id, command, following(context, None)).await?;
    Ok(Problem::conflict("erasure.held", format!("a legal hold stands in the way: {detail}"))
        .with_member("holds", json!(standing))
        .with_member("position", outcome.receipt.position))
}

/// Closes the account for ever, ends what lets the person in, and removes what the vault knows.
async fn take_everything(
    doing: &Doing<'_>,
    subject: &str,
    erasure_id: ErasureId,
    context: &CommandContext,
) -> Result<(), Problem> {
    let (installation, identity) = (doing.installation, doing.identity);
    let state = identity.directory.now();
    if let Some(user) = state.users.get(subject) {
        let _guard = match is_owner_account(user) {
            true => Some(keep_an_owner(installation, identity, subject).await?),
            false => None,
        };
        let command = UserCommand::Erase { erasure_id };
        let context = following(context, None);
        match identity.users.execute_with_retry(subject, command, context.clone(), TRIES).await {
            Ok(outcome) => {
                identity.settle::<User>(&outcome).await?;
            }
            // By another erasure, which may have been interrupted as well.
            Err(CommandError::Refused(UserError::Erased)) => {}
            Err(error) => return Err(refusal(error)),
        }
        doing.end_access(subject, SessionEndReason::Revoked, &context).await?;
    }
    patiently(|| installation.vault.delete_account(&identity.id, subject)).await.map_err(vault_problem)?;
    Ok(())
}

/// Destroys the person's key; answers when it was.
async fn destroy(doing: &Doing<'_>, subject: &str) -> Result<Timestamp, Problem> {
    let (vault, identity, now) = (&doing.installation.vault, doing.identity, doing.installation.now());
    patiently(|| identity.personal.destroy(subject, now)).await.map_err(vault_problem)?;
    let at = vault.subject_destroyed_at(&identity.id, subject).await.map_err(vault_problem)?;
    match Timestamp::from_micros(at.unwrap_or(now)) {
        Some(at) => Ok(at),
        None => doing.installation.timestamp(),
    }
}
