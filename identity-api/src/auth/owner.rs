//! The one-time link by which an organisation gets its first owner.

use daybook_identity::vault::{Purpose, VaultError};
use daybook_ledger::LedgerId;
use serde_json::Value;

use crate::state::{IdentityState, OrganizationIdentity};

/// How long the link of a start is good; the next start makes a new one.
const LIFETIME: i64 = 7 * 24 * 3_600 * 1_000_000;

impl IdentityState {
    /// A fresh one-time link for the organisation's first owner, in place of any earlier one; `None` where there is an
    /// active owner who can come in, or no such organisation in this process. Whoever opens it registers with the token
    /// behind the `#` (`POST /auth/register`) and is `owner`.
    ///
    /// The link is a secret: it is for the terminal of whoever starts the server, not for a log.
    pub async fn owner_link(&self, id: &LedgerId) -> Result<Option<String>, VaultError> {
        let Some(organization) = self.organizations.get(id) else { return Ok(None) };
        if self.has_owner(&organization).await? {
            return Ok(None);
        }
        self.vault.revoke_one_time_of_nobody(id, Purpose::OwnerLink).await?;
        let token = self.vault.issue_one_time(id, Purpose::OwnerLink, None, &Value::Null, LIFETIME, self.now()).await?;
        Ok(Some(self.settings.link("register", &token)))
    }

    /// Whether the organisation is open here and has no active owner who can come in.
    pub async fn needs_owner(&self, id: &LedgerId) -> Result<bool, VaultError> {
        match self.organizations.get(id) {
            Some(organization) => Ok(!self.has_owner(&organization).await?),
            None => Ok(false),
        }
    }

    /// Whether there is an active owner with a way to come in: a password, or a provider who vouches for him.
    pub(super) async fn has_owner(&self, organization: &OrganizationIdentity) -> Result<bool, VaultError> {
        let directory = organization.directory.now();
        for user_id in directory.owners(self.now()) {
            let vouched_for = directory.users.get(user_id.as_str()).is_some_and(|user| !user.identities.is_empty());
            let account = self.vault.account(&organization.id, &user_id).await?;
            if vouched_for || account.is_some_and(|account| account.password_hash.is_some()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
