//! Showing again who one is, before something that a stolen session must not be able to do.

use daybook_http_kit::Problem;
use daybook_identity::secret::Secret;

use super::account::Account;
use super::client::Client;
use super::codes::{self, CodeKind};
use super::throttle::Attempt;
use crate::state::{IdentityState, password_problem, vault_problem};

/// What somebody shows: the password, or a code.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proof {
    pub(crate) password: Option<Secret>,
    pub(crate) code: Option<Secret>,
}

/// By what somebody has shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProvedBy {
    /// The password.
    Password,
    /// A code of the device.
    Code,
    /// A recovery code, which is used up.
    RecoveryCode,
    /// There is nothing to show: the account has neither password nor device.
    Session,
}

/// Checks it; counted and slowed down as a login is. 400 where nothing is shown, 403 `auth.proof_refused` where it is wrong.
pub(crate) async fn check(
    state: &IdentityState,
    client: &Client,
    account: &Account,
    proof: Proof,
) -> Result<ProvedBy, Problem> {
    let (id, user_id) = (&account.organization.id, account.id());
    let row = state.vault.account(id, user_id).await.map_err(vault_problem)?;
    let Some(row) = row else { return Err(no_credentials()) };
    let has_device = state.vault.totp(id, user_id).await.map_err(vault_problem)?.is_some();
    let attempt = Attempt::begin(state, client, id, &row).await?;
    // The turn may have been waited for: the password may be another one by now.
    let Some(row) = state.vault.account(id, user_id).await.map_err(vault_problem)? else {
        return Err(no_credentials());
    };
    let proved = match (proof.password, proof.code) {
        (None, None) if row.password_hash.is_none() && !has_device => return Ok(ProvedBy::Session),
        (None, None) => {
            return Err(Problem::invalid("/password", "is required, or a code of the second factor in its place"));
        }
        (Some(password), _) => {
            let verified = state.passwords.verify(password, row.password_hash.as_ref()).await;
            verified.map_err(password_problem)?.is_right().then_some(ProvedBy::Password)
        }
        (None, Some(code)) => codes::verify(state, id, user_id, &code).await?.map(|kind| match kind {
            CodeKind::Totp => ProvedBy::Code,
            CodeKind::Recovery => ProvedBy::RecoveryCode,
        }),
    };
    match proved {
        Some(proved) => {
            attempt.succeeded().await?;
            Ok(proved)
        }
        None => {
            attempt.failed().await?;
            state.recorder.login_failed(id, "auth.proof_refused", Some(user_id));
            Err(Problem::new(403, "auth.proof_refused", "the password or code is wrong"))
        }
    }
}

/// 403: the account is known to the ledger but has no way to show who it is.
fn no_credentials() -> Problem {
    Problem::new(403, "auth.account_required", "this account has no credentials here")
}
