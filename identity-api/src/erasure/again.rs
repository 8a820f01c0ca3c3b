//! Erased people who are back, because a vault from before the erasure was put back: they are removed again.
//!
//! The ledger says who was erased; the vault has to follow it.

use std::time::Duration;

use daybook_identity::directory::ErasureStatus;
use daybook_identity::vault::{Vault, VaultError};

use crate::state::OrganizationIdentity;

/// How often something is removed while others keep the vault's file busy.
const TRIES: u32 = 10;
/// How long is waited in between.
const PAUSE: Duration = Duration::from_millis(200);

/// Removes again whatever the vault has of people whom the ledger says were erased; answers how many there were. To be called
/// when an organisation opens, before anybody is answered. `now` is in microseconds.
pub async fn reconcile(vault: &Vault, identity: &OrganizationIdentity, now: i64) -> Result<usize, VaultError> {
    let state = identity.directory.now();
    let performed = state.erasures.values().filter(|erasure| erasure.status == ErasureStatus::Performed);
    let mut found = 0_usize;
    for erasure in performed {
        match remove_again(vault, identity, &erasure.subject, now).await {
            Ok(false) => {}
            Ok(true) => found = found.saturating_add(1),
            // Nothing can be read any more; the old bytes are overwritten in time.
            Err(VaultError::Busy(why)) => {
                found = found.saturating_add(1);
                tracing::warn!(
                    subject = erasure.subject,
                    why,
                    "what was removed again may still be in the vault's file"
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Removes account and key of an erased person where there are any; answers whether there were.
pub(super) async fn remove_again(
    vault: &Vault,
    identity: &OrganizationIdentity,
    subject: &str,
    now: i64,
) -> Result<bool, VaultError> {
    let id = &identity.id;
    let is_destroyed = identity.personal.is_erased(subject).await?;
    if is_destroyed && vault.account(id, subject).await?.is_none() {
        return Ok(false);
    }
    tracing::error!(
        organization = %id,
        subject,
        "the vault has data of somebody who was erased: a copy from before the erasure was put back; they are removed again"
    );
    // The key first: what was erased could be read until now.
    patiently(|| identity.personal.destroy(subject, now)).await?;
    patiently(|| vault.delete_account(id, subject)).await?;
    Ok(true)
}

/// Repeats what cannot be completed while others use the vault's file.
pub(super) async fn patiently<T, F>(attempt: impl Fn() -> F) -> Result<T, VaultError>
where
    F: Future<Output = Result<T, VaultError>>,
{
    let mut tries = 1;
    loop {
        match attempt().await {
            Err(VaultError::Busy(_)) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}
