//! Codes that somebody types beside a password: six digits of a device, or one of the recovery codes.

use daybook_http_kit::Problem;
use daybook_identity::secret::Secret;
use daybook_ledger::LedgerId;

use crate::state::{IdentityState, vault_problem};

/// Longest code that is looked at.
const MAX_CODE_BYTES: usize = 64;

/// Which kind of code was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeKind {
    /// Six digits of a device.
    Totp,
    /// A recovery code; it is used up.
    Recovery,
}

/// Which of the person's codes it is; `None` where it is none, or was used before.
pub(crate) async fn verify(
    state: &IdentityState,
    organization: &LedgerId,
    user_id: &str,
    code: &Secret,
) -> Result<Option<CodeKind>, Problem> {
    let text = code.expose().trim();
    if text.len() > MAX_CODE_BYTES {
        return Ok(None);
    }
    let digits: String = text.chars().filter(|character| *character != ' ').collect();
    if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let is_right =
            state.vault.verify_totp(organization, user_id, &digits, state.now()).await.map_err(vault_problem)?;
        return Ok(is_right.then_some(CodeKind::Totp));
    }
    let is_right = state.vault.use_recovery_code(organization, user_id, text).await.map_err(vault_problem)?;
    Ok(is_right.then_some(CodeKind::Recovery))
}
