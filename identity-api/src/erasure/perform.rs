//! Performing an erasure: every trace of the person that can be taken away is, and the key that opens the rest is destroyed.
//!
//! Each step can be repeated, and `erasure.performed` comes last: whatever is interrupted is completed by performing it again.
//! The fact on the account comes first, so that nobody comes in while the rest is under way. What stands in the way is looked
//! at as long as there is something to keep: once the key is destroyed, the erasure is completed, whatever came since.

use daybook_domain::erasure::{Erasure, ErasureCommand, ErasureError, ErasureStatus, Refused, Retained};
use daybook_domain::names::HoldId;
use daybook_domain::session::SessionEndReason;
use daybook_domain::text::Reason;
use daybook_domain::user::{User, UserCommand, UserError};
use daybook_domain::{InvalidField, Timestamp};
use daybook_http_kit::Problem;
use daybook_identity::custody::{Custody, Deeds, HoldInForce, holds_on_person};
use daybook_identity::directory::{DirectoryState, UserStatus};
use daybook_ledger::commands::{CommandContext, CommandError};
use serde_json::json;

use super::again::{patiently, remove_again};
use super::approval::{Authority, Gate};
use crate::letters::mail_problem;
use crate::people::carried::{Done, done, execute, following, up_to_date};
use crate::people::operations::Doing;
use crate::people::rules::{is_owner_account, keep_an_owner};
use crate::problems::{invalid, refusal, refused};
use crate::rbac::guard::require_owner;
use crate::retention::RetainedView;
use crate::state::{TRIES, vault_problem};

/// Most characters of what a refusal says of the holds.
const MAX_DETAIL: usize = 1_900;

/// Performs an erasure that it is recorded of that it was approved, or completes one that was interrupted. One that was performed is so again where a vault from
/// before it was put back: that changes nothing in the ledger, and no hold covers what the ledger says is gone. 409 `erasure.held` where holds stand in the way, `erasure.retained` where only retention rules do,
/// `erasure.owner_changed` where the person became an owner since it was agreed to, or is none any more.
pub(super) async fn perform(
    gate: &Gate<'_>,
    id: &str,
    _authority: Authority,
    context: &CommandContext,
) -> Result<Done, Problem> {
    let doing = &gate.doing;
    let identity = doing.identity;
    let known = deeds_before(doing, id).await?;
    let custody = identity.directory.custody().await?;
    let loaded = identity.erasures.load(id).await.map_err(refusal)?;
    let loaded = loaded.ok_or_else(|| refused(&ErasureError::NotFound))?;
    let subject = match (loaded.aggregate.status(), loaded.aggregate.subject()) {
        (Some(ErasureStatus::Performed), Some(subject)) => {
            let vault = &doing.installation.vault;
            let removed = remove_again(vault, identity, subject.as_str(), doing.installation.now()).await;
            removed.map_err(vault_problem)?;
            forget_letters_left(doing, subject.as_str()).await?;
            return Ok(done(loaded));
        }
        (Some(ErasureStatus::Approved | ErasureStatus::Refused), Some(subject)) => subject.as_str().to_owned(),
        (Some(status), _) => return Err(refused(&ErasureError::NotApproved { status })),
        (None, _) => return Err(refused(&ErasureError::NotFound)),
    };
    // Destroyed, and not recorded yet: there is nothing left to be kept, and the ledger has to say so.
    if !identity.personal.is_erased(&subject).await.map_err(vault_problem)? {
        let state = up_to_date(identity).await?;
        if !is_closed(&state, &subject) {
            gate.must_be_as_agreed(&loaded.aggregate, context).await?;
        }
        let obstacles = Obstacles::to(doing, &custody, &subject, known).await?;
        if !obstacles.holds.is_empty() || !obstacles.retained.is_empty() {
            return Err(refuse(doing, id, obstacles, context).await?);
        }
        // While nothing was taken: where letters cannot be removed, nothing is.
        doing.installation.mailer.forget(&subject).await.map_err(mail_problem)?;
    }
    take_everything(gate, &subject, &loaded.aggregate, context).await?;
    let key_destroyed_at = destroy(doing, &subject).await?;
    let command = ErasureCommand::RecordPerformed { key_destroyed_at };
    let outcome = execute::<Erasure>(identity, &identity.erasures, id, command, following(context, None)).await?;
    tracing::info!(erasure_id = id, position = outcome.receipt.position, "a person was erased");
    // Such as were asked for while the account was being closed.
    forget_letters_left(doing, &subject).await?;
    Ok(done(outcome))
}

/// Removes letters that there still are to somebody who was erased. Performing the erasure again does the same.
async fn forget_letters_left(doing: &Doing<'_>, subject: &str) -> Result<(), Problem> {
    doing.installation.mailer.forget(subject).await.map(drop).map_err(|error| {
        tracing::error!(%error, subject, "letters to somebody who was erased may still be there");
        let detail = "the erasure is performed, but letters to the person may still be there; perform it again";
        Problem::unavailable("mail.unavailable", detail, 30)
    })
}

/// Whether the account was closed by an erasure.
fn is_closed(state: &DirectoryState, subject: &str) -> bool {
    state.users.get(subject).is_some_and(|user| user.status == UserStatus::Erased)
}

/// What the person did whom an erasure is about, as far as it matters: read before the turn in which it is performed, so that
/// others wait only for what comes since. `None` where it is not to be performed, or no rule asks.
async fn deeds_before(doing: &Doing<'_>, id: &str) -> Result<Option<Deeds>, Problem> {
    let identity = doing.identity;
    let loaded = identity.erasures.load(id).await.map_err(refusal)?;
    let Some(erasure) = loaded.map(|loaded| loaded.aggregate) else { return Ok(None) };
    let (Some(ErasureStatus::Approved | ErasureStatus::Refused), Some(subject)) = (erasure.status(), erasure.subject())
    else {
        return Ok(None);
    };
    let state = up_to_date(identity).await?;
    Deeds::of(&identity.ledger, &state, subject.as_str(), doing.installation.now(), None).await
}

/// What stands in the way of an erasure: all of it.
struct Obstacles {
    holds: Vec<HoldInForce>,
    retained: Vec<Retained>,
}

impl Obstacles {
    async fn to(doing: &Doing<'_>, custody: &Custody, subject: &str, known: Option<Deeds>) -> Result<Self, Problem> {
        Ok(Self {
            holds: holds_on_person(&doing.identity.ledger, custody.state(), subject).await?,
            retained: custody.retained(subject, doing.installation.now(), known).await?,
        })
    }

    /// In words, holds first.
    fn detail(&self) -> String {
        let holds: Vec<String> = self.holds.iter().map(|hold| format!("{} ({})", hold.hold_id, hold.matter)).collect();
        let retained = self.retained.iter().map(|kept| {
            let (of, years, until) = (kept.record_type, kept.years, kept.until);
            format!("acted in records of the type {of}, which are kept with names for {years} years, until {until}")
        });
        let held = (!holds.is_empty()).then(|| format!("covered by {}", holds.join(", ")));
        let words: Vec<String> = held.into_iter().chain(retained).collect();
        words.join("; ").chars().take(MAX_DETAIL).collect()
    }
}

/// Records what stands in the way, and answers with it.
async fn refuse(
    doing: &Doing<'_>,
    id: &str,
    obstacles: Obstacles,
    context: &CommandContext,
) -> Result<Problem, Problem> {
    let detail = obstacles.detail();
    let Obstacles { holds: standing, retained } = obstacles;
    let checked = || -> Result<_, InvalidField> {
        let holds =
            standing.iter().map(|hold| HoldId::parse("/holds", hold.hold_id.as_str())).collect::<Result<_, _>>()?;
        Ok(Refused { holds, retained: retained.clone(), detail: Reason::parse("/detail", detail.as_str())? })
    };
    let command = ErasureCommand::RecordRefusal(checked().map_err(invalid)?);
    let identity = doing.identity;
    let outcome = execute::<Erasure>(identity, &identity.erasures, id, command, following(context, None)).await?;
    let (code, what) = match standing.is_empty() {
        false => ("erasure.held", "a legal hold stands in the way"),
        true => ("erasure.retained", "a retention rule stands in the way"),
    };
    let retained: Vec<RetainedView> = retained.iter().map(RetainedView::from).collect();
    Ok(Problem::conflict(code, format!("{what}: {detail}"))
        .with_member("holds", json!(standing))
        .with_member("retained", json!(retained))
        .with_member("position", outcome.receipt.position))
}

/// Closes the account for ever, ends what lets the person in, and removes what the vault knows.
async fn take_everything(
    gate: &Gate<'_>,
    subject: &str,
    erasure: &Erasure,
    context: &CommandContext,
) -> Result<(), Problem> {
    let doing = &gate.doing;
    let (installation, identity) = (doing.installation, doing.identity);
    if identity.directory.now().users.contains_key(subject) {
        let context = following(context, None);
        close_account(gate, subject, erasure, &context).await?;
        doing.end_access(subject, SessionEndReason::Revoked, &context).await?;
    }
    patiently(|| installation.vault.delete_account(&identity.id, subject)).await.map_err(vault_problem)?;
    Ok(())
}

/// Closes the account as it was looked at, and not as it may have become since: giving somebody a role waits for no turn.
async fn close_account(
    gate: &Gate<'_>,
    subject: &str,
    erasure: &Erasure,
    context: &CommandContext,
) -> Result<(), Problem> {
    let Doing { installation, identity, caller } = gate.doing;
    let erasure_id = erasure.request().map(|request| request.erasure_id.clone());
    let erasure_id = erasure_id.ok_or_else(|| refused(&ErasureError::NotFound))?;
    for tries in 1.. {
        let state = up_to_date(identity).await?;
        let Some(user) = state.users.get(subject).filter(|_| !is_closed(&state, subject)) else { return Ok(()) };
        gate.must_be_as_agreed(erasure, context).await?;
        let is_owner = is_owner_account(user);
        if is_owner {
            require_owner(caller)?;
        }
        let _guard = match is_owner {
            true => Some(keep_an_owner(installation, identity, subject).await?),
            false => None,
        };
        let command = UserCommand::Erase { erasure_id: erasure_id.clone() };
        let context = CommandContext { expected_version: Some(user.place.version), ..context.clone() };
        match identity.users.execute(subject, command, context).await {
            Ok(outcome) => return identity.settle::<User>(&outcome).await.map(drop),
            // By another erasure, which may have been interrupted as well.
            Err(CommandError::Refused(UserError::Erased)) => return Ok(()),
            Err(CommandError::Conflict { .. }) if tries < TRIES => {}
            Err(error) => return Err(refusal(error)),
        }
    }
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
