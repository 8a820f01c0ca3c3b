//! What is done to API keys. The fact comes first, then the vault: a secret without a fact opens nothing, and what the
//! directory says of a key holds whatever the vault has.

use daybook_domain::Patch;
use daybook_domain::api_key::{ApiKey, ApiKeyCommand, ApiKeyPatch, Created};
use daybook_domain::text::{ActorId, Description, Line, Reason};
use daybook_http_kit::Problem;
use daybook_http_kit::permission_set::PermissionSet;
use daybook_identity::api_keys::regenerate;
use daybook_ledger::commands::CommandContext;

use super::body::{ChangeKeyBody, CreateKeyBody, RotateBody, ends, scopes};
use super::view::{ApiKeyShown, ApiKeyView, known};
use crate::people::carried::{Done, done, execute, short_id};
use crate::people::operations::Doing;
use crate::problems::invalid;
use crate::rbac::guard::within_own;
use crate::state::vault_problem;

/// Hexadecimal digits of a key's id.
const ID_DIGITS: usize = 12;

/// Makes a key. Its value is there unless this is a repeat.
pub(super) async fn create(
    doing: &Doing<'_>,
    body: CreateKeyBody,
    context: CommandContext,
) -> Result<(Done, ApiKeyShown), Problem> {
    let (installation, identity) = (doing.installation, doing.identity);
    let at = installation.timestamp()?;
    let wish = body.wish(at)?;
    within_own(doing.caller, &wish.permissions, None)?;
    let id = short_id("key", ID_DIGITS, &context);
    let key = regenerate(&installation.vault, &id).map_err(vault_problem)?;
    let content = Box::new(Created {
        name: wish.name,
        description: wish.description,
        scopes: wish.scopes,
        expires_at: Some(wish.expires_at),
        created_by: ActorId::parse("", doing.caller.actor.id.as_str()).map_err(invalid)?,
    });
    let command = ApiKeyCommand::Create { content, at };
    let outcome = execute::<ApiKey>(identity, &identity.api_keys, &id, command, context).await?;
    let value = if outcome.replayed {
        None
    } else {
        let expires_at = Some(wish.expires_at.micros());
        let vault = &installation.vault;
        let added = vault.add_api_key(&identity.id, &id, &key.digest, expires_at, at.micros()).await;
        if !added.map_err(vault_problem)? {
            // The id is another organisation's: as unlikely as a guessed key, and this one must not open anything.
            tracing::error!(key_id = id, "the id of a new API key is taken");
            return Err(Problem::unavailable("api_key.id_taken", "the key could not be made; make another one", 1));
        }
        Some(key.token)
    };
    let view = ApiKeyView::found(installation, identity, &id).await?;
    Ok((done(outcome), ApiKeyShown::of(view, value.as_ref().map(|value| value.expose()))))
}

/// Changes a key. Whoever makes it permit or live more holds what it permits.
pub(super) async fn change(
    doing: &Doing<'_>,
    id: &str,
    body: ChangeKeyBody,
    context: CommandContext,
) -> Result<(Done, ApiKeyView), Problem> {
    let (installation, identity) = (doing.installation, doing.identity);
    let state = identity.directory.now();
    let record = known(&state, id)?;
    let at = installation.timestamp()?;
    if body.is_active == Some(false) {
        if body.name.is_some() || !body.description.is_keep() || body.scopes.is_some() || body.expires_in_days.is_some()
        {
            return Err(Problem::invalid("/is_active", "a key is either changed or revoked"));
        }
        return revoke(doing, id, None, context).await;
    }
    let new_scopes = body.scopes.map(scopes).transpose()?;
    let expires_at = body.expires_in_days.map(|days| ends(at, days)).transpose()?;
    if let Some((_, permissions)) = &new_scopes {
        within_own(doing.caller, permissions, None)?;
    } else if expires_at.is_some() {
        within_own(doing.caller, &permitted(&record.scopes), None)?;
    }
    let parsed = || {
        Ok(ApiKeyPatch {
            name: Line::parse_optional("/name", body.name)?,
            description: body.description.try_map(|text| Description::parse("/description", text))?,
            scopes: new_scopes.map(|(names, _)| names),
            expires_at: Patch::from(expires_at),
        })
    };
    let command = ApiKeyCommand::Change { patch: Box::new(parsed().map_err(invalid)?), at };
    let outcome = execute::<ApiKey>(identity, &identity.api_keys, id, command, context).await?;
    if let Some(expires_at) = expires_at {
        let vault = &installation.vault;
        vault.set_api_key_expiry(&identity.id, id, Some(expires_at.micros())).await.map_err(vault_problem)?;
    }
    Ok((done(outcome), ApiKeyView::found(installation, identity, id).await?))
}

/// Gives a key another secret, which nobody sees who could not have made the key.
pub(super) async fn rotate(
    doing: &Doing<'_>,
    id: &str,
    body: &RotateBody,
    context: CommandContext,
) -> Result<(Done, ApiKeyShown), Problem> {
    let (installation, identity) = (doing.installation, doing.identity);
    let state = identity.directory.now();
    let record = known(&state, id)?;
    within_own(doing.caller, &permitted(&record.scopes), None)?;
    let at = installation.timestamp()?;
    let old_valid_until = body.old_valid_until(at)?;
    let key = regenerate(&installation.vault, id).map_err(vault_problem)?;
    let expires_at = record.expires_at;
    let command = ApiKeyCommand::Rotate { old_valid_until, at };
    let outcome = execute::<ApiKey>(identity, &identity.api_keys, id, command, context).await?;
    let value = if outcome.replayed {
        None
    } else {
        let (vault, now) = (&installation.vault, at.micros());
        let until = old_valid_until.micros();
        let rotated = vault.rotate_api_key(&identity.id, id, &key.digest, until).await.map_err(vault_problem)?;
        // The fact of the key was recorded, and whoever made it was interrupted before the vault knew of it.
        if !rotated {
            vault.add_api_key(&identity.id, id, &key.digest, expires_at, now).await.map_err(vault_problem)?;
        }
        Some(key.token)
    };
    let view = ApiKeyView::found(installation, identity, id).await?;
    Ok((done(outcome), ApiKeyShown::of(view, value.as_ref().map(|value| value.expose()))))
}

/// Revokes a key: it opens nothing from the moment that the directory knows.
pub(super) async fn revoke(
    doing: &Doing<'_>,
    id: &str,
    reason: Option<Reason>,
    context: CommandContext,
) -> Result<(Done, ApiKeyView), Problem> {
    let (installation, identity) = (doing.installation, doing.identity);
    known(&identity.directory.now(), id)?;
    let command = ApiKeyCommand::Revoke { reason };
    let outcome = execute::<ApiKey>(identity, &identity.api_keys, id, command, context).await?;
    let view = ApiKeyView::found(installation, identity, id).await?;
    installation.vault.remove_api_key(&identity.id, id).await.map_err(vault_problem)?;
    Ok((done(outcome), view))
}

/// What scopes permit. A word that means nothing permits nothing.
fn permitted(scopes: &[String]) -> PermissionSet {
    let each = scopes.iter().filter_map(|scope| PermissionSet::from_scopes(&[scope]).ok());
    each.fold(PermissionSet::EMPTY, |all, scope| all.union(&scope))
}
