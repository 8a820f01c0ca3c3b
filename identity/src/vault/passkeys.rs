//! Passkeys: the public halves, with what their library needs to remember. Nothing in them is secret.

use daybook_ledger::LedgerId;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Vault, VaultError, id};

const COLUMNS: &str = "credential_id, user_id, factor_id, public_key, sign_count, created_at, last_used_at";
/// Most passkeys of one person.
const MAX_A_PERSON: i64 = 50;

/// A passkey to be added.
#[derive(Debug, Clone)]
pub struct NewPasskey {
    /// The credential's id, base64url.
    pub credential_id: String,
    /// The person.
    pub user_id: String,
    /// The factor's id, as events have it.
    pub factor_id: String,
    /// What the library keeps of the public key, JSON.
    pub public_key: String,
    /// The authenticator's counter.
    pub sign_count: u32,
}

/// A passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRow {
    /// The credential's id, base64url.
    pub credential_id: String,
    /// The person.
    pub user_id: String,
    /// The factor's id, as events have it.
    pub factor_id: String,
    /// What the library keeps of the public key, JSON.
    pub public_key: String,
    /// The authenticator's counter when it was last used.
    pub sign_count: u32,
    /// When it was added, in microseconds since the epoch.
    pub created_at: i64,
    /// When it was last used.
    pub last_used_at: Option<i64>,
}

fn read(row: &AnyRow) -> Result<PasskeyRow, VaultError> {
    Ok(PasskeyRow {
        credential_id: row.try_get("credential_id")?,
        user_id: row.try_get("user_id")?,
        factor_id: row.try_get("factor_id")?,
        public_key: row.try_get("public_key")?,
        sign_count: u32::try_from(row.try_get::<i64, _>("sign_count")?)
            .map_err(|_| VaultError::Corrupt("vault_passkeys"))?,
        created_at: row.try_get("created_at")?,
        last_used_at: row.try_get("last_used_at")?,
    })
}

impl Vault {
    /// Adds a passkey; `false` if the credential is there or the person has as many as one may have.
    pub async fn add_passkey(&self, ledger: &LedgerId, passkey: &NewPasskey, now: i64) -> Result<bool, VaultError> {
        let sql = format!(
            "insert into vault_passkeys (ledger_id, credential_id, user_id, factor_id, public_key, sign_count, \
             created_at) select $1, $2, $3, $4, $5, $6, $7 where (select count(*) from vault_passkeys \
             where ledger_id = $1 and user_id = $3) < {MAX_A_PERSON} on conflict do nothing"
        );
        let query = sqlx::query(&sql)
            .bind(ledger.as_str())
            .bind(id(&passkey.credential_id))
            .bind(id(&passkey.user_id))
            .bind(id(&passkey.factor_id))
            .bind(&passkey.public_key)
            .bind(i64::from(passkey.sign_count))
            .bind(now);
        Ok(self.database().write(query).await? == 1)
    }

    /// The passkeys of a person, oldest first.
    pub async fn passkeys_of(&self, ledger: &LedgerId, user_id: &str) -> Result<Vec<PasskeyRow>, VaultError> {
        let sql = format!(
            "select {COLUMNS} from vault_passkeys where ledger_id = $1 and user_id = $2 \
             order by created_at, credential_id"
        );
        let query = sqlx::query(&sql).bind(ledger.as_str()).bind(id(user_id));
        query.fetch_all(self.database().readers()).await?.iter().map(read).collect()
    }

    /// The passkey of a credential.
    pub async fn passkey(&self, ledger: &LedgerId, credential_id: &str) -> Result<Option<PasskeyRow>, VaultError> {
        let sql = format!("select {COLUMNS} from vault_passkeys where ledger_id = $1 and credential_id = $2");
        let query = sqlx::query(&sql).bind(ledger.as_str()).bind(id(credential_id));
        query.fetch_optional(self.database().readers()).await?.as_ref().map(read).transpose()
    }

    /// Remembers a use. `false` if the counter does not go up: the passkey may have been copied. Authenticators without
    /// a counter say 0 each time.
    pub async fn use_passkey(
        &self,
        ledger: &LedgerId,
        credential_id: &str,
        public_key: &str,
        sign_count: u32,
        now: i64,
    ) -> Result<bool, VaultError> {
        let sql = "update vault_passkeys set public_key = $3, sign_count = $4, last_used_at = $5 \
             where ledger_id = $1 and credential_id = $2 and (sign_count < $4 or (sign_count = 0 and $4 = 0))";
        let query = sqlx::query(sql)
            .bind(ledger.as_str())
            .bind(id(credential_id))
            .bind(public_key)
            .bind(i64::from(sign_count))
            .bind(now);
        Ok(self.database().write(query).await? == 1)
    }

    /// Removes a passkey of a person by its factor id; `false` if there is none.
    pub async fn remove_passkey(&self, ledger: &LedgerId, user_id: &str, factor_id: &str) -> Result<bool, VaultError> {
        let sql = "delete from vault_passkeys where ledger_id = $1 and user_id = $2 and factor_id = $3";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id)).bind(id(factor_id));
        Ok(self.database().write(query).await? > 0)
    }
}
