//! Logins at other providers, by the digest of the subject the provider names.

use daybook_ledger::LedgerId;
use sqlx::Row as _;

use super::{Vault, VaultError, id};

impl Vault {
    /// Lets a provider's subject log in as a person; `false` if that subject already belongs to somebody.
    pub async fn link_identity(
        &self,
        ledger: &LedgerId,
        provider: &str,
        subject: &str,
        user_id: &str,
        now: i64,
    ) -> Result<bool, VaultError> {
        let digest = self.wrapping().identity(ledger, provider, subject);
        let sql = "insert into vault_identities (ledger_id, provider, subject_digest, user_id, linked_at) \
             values ($1, $2, $3, $4, $5) on conflict do nothing";
        let query = sqlx::query(sql)
            .bind(ledger.as_str())
            .bind(id(provider))
            .bind(hex::encode(digest))
            .bind(id(user_id))
            .bind(now);
        Ok(self.database().write(query).await? == 1)
    }

    /// The person a provider's subject logs in as.
    pub async fn identity(
        &self,
        ledger: &LedgerId,
        provider: &str,
        subject: &str,
    ) -> Result<Option<String>, VaultError> {
        let digest = self.wrapping().identity(ledger, provider, subject);
        let sql = "select user_id from vault_identities where ledger_id = $1 and provider = $2 and subject_digest = $3";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(id(provider)).bind(hex::encode(digest));
        let row = query.fetch_optional(self.database().readers()).await?;
        Ok(row.map(|row| row.try_get("user_id")).transpose()?)
    }

    /// Whether some subject of a provider logs in as the person.
    pub async fn has_identity(&self, ledger: &LedgerId, provider: &str, user_id: &str) -> Result<bool, VaultError> {
        let sql =
            "select user_id from vault_identities where ledger_id = $1 and user_id = $2 and provider = $3 limit 1";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id)).bind(id(provider));
        Ok(query.fetch_optional(self.database().readers()).await?.is_some())
    }

    /// Takes a provider's login away from a person; `false` if there was none.
    pub async fn unlink_identity(&self, ledger: &LedgerId, provider: &str, user_id: &str) -> Result<bool, VaultError> {
        let sql = "delete from vault_identities where ledger_id = $1 and provider = $2 and user_id = $3";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(id(provider)).bind(id(user_id));
        Ok(self.database().write(query).await? > 0)
    }
}
