//! What is done to API keys. The fact comes first, then the vault: a secret without a fact opens nothing, and what the
//! directory says of a key holds whatever the vault has.

use daybook_domain::api_key::{ApiKey, ApiKeyCommand, ApiKeyPatch, Created};
use daybook_domain::text::{ActorId, Description, Line, Reason};
use daybook_domain::{Patch, Timestamp};
use daybook_http_kit::Problem;
use daybook_http_kit::permission_set::PermissionSet;
use daybook_identity::api_keys::{NewApiKey, regenerate};
use daybook_identity::directory::ApiKeyRecord;
use daybook_identity::vault::KeyRotation;
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

/// Makes a key. Its value is there unless this is a repeat, and the first was not interrupted.
pub(super) async fn create(
    doing: &Doing<'_>,
    body: CreateKeyBody,
    context: CommandContext,
) -> Result<(Done, ApiKeyShown), Problem> {
    let (installation, identity) = (doing.installation, doing.identity);
    let at = installation.timestamp()?;
    let wish = body.wish(at)?;
    within_own(doing.caller, &wish.permissions, None)?;
    let id = short_id("key", ID_DIGITS, &identity.id, &context);
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
    let state = identity.directory.now();
    let record = known(&state, &id)?;
    // What came after the fact that is repeated has settled the matter.
    let is_open = record.revoked_at.is_none() && record.rotations.is_empty();
    let is_added = is_open && add(doing, record, &key, outcome.version, at).await?;
    let value = is_added.then_some(key.token);
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
    let command = ApiKeyCommand::Rotate { old_valid_until, at };
    let outcome = execute::<ApiKey>(identity, &identity.api_keys, id, command, context).await?;
    let state = identity.directory.now();
    let record = known(&state, id)?;
    let (vault, version) = (&installation.vault, outcome.version);
    // A repeat completes what was interrupted, as it was recorded. A later rotation has settled the matter.
    let current = record.rotations.last().filter(|last| last.version == version && record.revoked_at.is_none());
    let is_rotated = match current {
        None => false,
        Some(current) => {
            let until = current.old_valid_until;
            let rotated = vault.rotate_api_key(&identity.id, id, &key.digest, version, until).await;
            match rotated.map_err(vault_problem)? {
                KeyRotation::Done => true,
                KeyRotation::Already => false,
                // Whoever made the key was interrupted before the vault knew of it.
                KeyRotation::NoKey => add(doing, record, &key, version, at).await?,
            }
        }
    };
    let value = is_rotated.then_some(key.token);
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

/// Puts a key into the vault with its first secret, of the fact that is version `version` of its stream. False where
/// somebody else has carried out the same command meanwhile; 503 where the id is another organisation's.
async fn add(
    doing: &Doing<'_>,
    record: &ApiKeyRecord,
    key: &NewApiKey,
    version: u64,
    at: Timestamp,
) -> Result<bool, Problem> {
    let (vault, organization) = (&doing.installation.vault, &doing.identity.id);
    let (id, expires_at) = (record.key_id.as_str(), record.expires_at);
    let added = vault.add_api_key(organization, id, &key.digest, version, expires_at, at.micros()).await;
    if added.map_err(vault_problem)? {
        return Ok(true);
    }
    let row = vault.api_key(id).await.map_err(vault_problem)?;
    if row.is_some_and(|row| row.ledger_id == *organization) {
        return Ok(false);
    }
    // As unlikely as a guessed key, and this one must not open anything.
    tracing::error!(key_id = id, "the id of an API key is taken");
    Err(Problem::unavailable("api_key.id_taken", "the key could not be made; make another one", 1))
}

/// What scopes permit. A word that means nothing permits nothing.
fn permitted(scopes: &[String]) -> PermissionSet {
    let each = scopes.iter().filter_map(|scope| PermissionSet::from_scopes(&[scope]).ok());
    each.fold(PermissionSet::EMPTY, |all, scope| all.union(&scope))
}
