//! API keys, by digest. What a key may do is in the directory.

use daybook_ledger::LedgerId;
use sqlx::{AnyConnection, Row as _};
use subtle::ConstantTimeEq as _;

use super::wrapping::Digest;
use super::{Vault, VaultError, id};

/// Most uses that are written in one go.
const MAX_TOUCHED: usize = 500;

/// One secret of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyDigest {
    /// The digest, see [`Vault::api_key_digest`].
    pub digest: Digest,
    /// Version of the key's stream at which it was made: of the fact that it goes with.
    pub version: u64,
    /// Until when it is good, in microseconds since the epoch; for ever without.
    pub valid_until: Option<i64>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// The key's id.
    pub key_id: String,
    /// The organisation it belongs to.
    pub ledger_id: LedgerId,
    /// Its secrets: two while a rotation overlaps.
    pub digests: Vec<ApiKeyDigest>,
    /// When it was made, in microseconds since the epoch.
    pub created_at: i64,
    /// When it stops being good.
    pub expires_at: Option<i64>,
    /// When it was last used, to the minute or so.
    pub last_used_at: Option<i64>,
}

/// What became of a rotation in the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRotation {
    /// The key has the new secret.
    Done,
    /// It had one of that fact or a later one; nothing was changed.
    Already,
    /// There is no such key.
    NoKey,
}

impl ApiKeyRow {
    /// Whether `digest` is that of a secret which is good now and was made at version `oldest` of the key's stream or
    /// later. All are compared, in constant time.
    pub fn accepts(&self, digest: &Digest, oldest: u64, now: i64) -> bool {
        let mut accepted = subtle::Choice::from(0);
        for known in &self.digests {
            let is_valid = known.version >= oldest && known.valid_until.is_none_or(|until| now < until);
            accepted |= known.digest.ct_eq(digest) & subtle::Choice::from(u8::from(is_valid));
        }
        bool::from(accepted) && self.expires_at.is_none_or(|until| now < until)
    }
}

impl Vault {
    /// What stands for the whole text of an API key.
    pub fn api_key_digest(&self, key: &str) -> Digest {
        self.wrapping().token("api_key", key)
    }

    /// Adds a key, with the secret of the fact that is version `version` of its stream; `false` if the id is taken.
    pub async fn add_api_key(
        &self,
        ledger: &LedgerId,
        key_id: &str,
        digest: &Digest,
        version: u64,
        expires_at: Option<i64>,
        now: i64,
    ) -> Result<bool, VaultError> {
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let sql = "insert into vault_api_keys (key_id, ledger_id, created_at, expires_at) values ($1, $2, $3, $4) \
             on conflict (key_id) do nothing";
        let added = sqlx::query(sql)
            .bind(id(key_id))
            .bind(ledger.as_str())
            .bind(now)
            .bind(expires_at)
            .execute(&mut *connection)
            .await?
            .rows_affected();
        if added == 0 {
            return Ok(false);
        }
        add_digest(connection, key_id, digest, version).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// A key by its id, whichever organisation it belongs to.
    pub async fn api_key(&self, key_id: &str) -> Result<Option<ApiKeyRow>, VaultError> {
        let sql = "select k.ledger_id, k.created_at, k.expires_at, k.last_used_at, d.digest, d.version, d.valid_until \
             from vault_api_keys k join vault_api_key_digests d on d.key_id = k.key_id where k.key_id = $1";
        let rows = sqlx::query(sql).bind(id(key_id)).fetch_all(self.database().readers()).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let corrupt = || VaultError::Corrupt("vault_api_keys");
        let mut digests = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut digest = [0_u8; 32];
            let text: String = row.try_get("digest")?;
            hex::decode_to_slice(text, &mut digest).map_err(|_| corrupt())?;
            let version = u64::try_from(row.try_get::<i64, _>("version")?).map_err(|_| corrupt())?;
            digests.push(ApiKeyDigest { digest, version, valid_until: row.try_get("valid_until")? });
        }
        Ok(Some(ApiKeyRow {
            key_id: key_id.to_owned(),
            ledger_id: first.try_get::<String, _>("ledger_id")?.parse().map_err(|_| corrupt())?,
            digests,
            created_at: first.try_get("created_at")?,
            expires_at: first.try_get("expires_at")?,
            last_used_at: first.try_get("last_used_at")?,
        }))
    }

    /// Gives a key the secret of the rotation that is version `version` of its stream. Those it has are good until
    /// `old_valid_until` at the latest. A repeat changes nothing.
    pub async fn rotate_api_key(
        &self,
        ledger: &LedgerId,
        key_id: &str,
        digest: &Digest,
        version: u64,
        old_valid_until: i64,
    ) -> Result<KeyRotation, VaultError> {
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let sql = format!(
            "select key_id from vault_api_keys where key_id = $1 and ledger_id = $2{}",
            self.database().for_update()
        );
        let key = sqlx::query(&sql).bind(id(key_id)).bind(ledger.as_str()).fetch_optional(&mut *connection).await?;
        if key.is_none() {
            return Ok(KeyRotation::NoKey);
        }
        let sql = "select digest from vault_api_key_digests where key_id = $1 and version >= $2 limit 1";
        let known = sqlx::query(sql).bind(id(key_id)).bind(stored(version)?);
        if known.fetch_optional(&mut *connection).await?.is_some() {
            return Ok(KeyRotation::Already);
        }
        let sql = "update vault_api_key_digests set valid_until = $2 \
             where key_id = $1 and (valid_until is null or valid_until > $2)";
        sqlx::query(sql).bind(id(key_id)).bind(old_valid_until).execute(&mut *connection).await?;
        add_digest(connection, key_id, digest, version).await?;
        transaction.commit().await?;
        Ok(KeyRotation::Done)
    }

    /// Changes when a key stops being good; `false` if there is no such key.
    pub async fn set_api_key_expiry(
        &self,
        ledger: &LedgerId,
        key_id: &str,
        expires_at: Option<i64>,
    ) -> Result<bool, VaultError> {
        let sql = "update vault_api_keys set expires_at = $3 where key_id = $1 and ledger_id = $2";
        let query = sqlx::query(sql).bind(id(key_id)).bind(ledger.as_str()).bind(expires_at);
        Ok(self.database().write(query).await? == 1)
    }

    /// Removes a key and all its secrets; `false` if there is no such key.
    pub async fn remove_api_key(&self, ledger: &LedgerId, key_id: &str) -> Result<bool, VaultError> {
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let sql = "delete from vault_api_keys where key_id = $1 and ledger_id = $2";
        let removed =
            sqlx::query(sql).bind(id(key_id)).bind(ledger.as_str()).execute(&mut *connection).await?.rows_affected();
        if removed == 1 {
            let sql = "delete from vault_api_key_digests where key_id = $1";
            sqlx::query(sql).bind(id(key_id)).execute(&mut *connection).await?;
        }
        transaction.commit().await?;
        Ok(removed == 1)
    }

    /// Remembers when keys were used; an earlier time than the one known changes nothing.
    pub async fn touch_api_keys(&self, uses: &[(String, i64)]) -> Result<(), VaultError> {
        for chunk in uses.chunks(MAX_TOUCHED) {
            // In one order everywhere, so that two processes never wait for each other.
            let mut sorted: Vec<&(String, i64)> = chunk.iter().collect();
            sorted.sort();
            let mut transaction = self.database().begin().await?;
            let connection: &mut AnyConnection = &mut transaction;
            for (key_id, at) in sorted {
                let sql = "update vault_api_keys set last_used_at = $2 \
                     where key_id = $1 and (last_used_at is null or last_used_at < $2)";
                sqlx::query(sql).bind(id(key_id)).bind(*at).execute(&mut *connection).await?;
            }
            transaction.commit().await?;
        }
        Ok(())
    }

    /// When the keys of an organisation were last used; those that never were are missing.
    pub async fn api_keys_last_used(&self, ledger: &LedgerId) -> Result<Vec<(String, i64)>, VaultError> {
        let sql = "select key_id, last_used_at from vault_api_keys \
             where ledger_id = $1 and last_used_at is not null order by key_id";
        let rows = sqlx::query(sql).bind(ledger.as_str()).fetch_all(self.database().readers()).await?;
        let read = |row: &sqlx::any::AnyRow| -> Result<(String, i64), VaultError> {
            Ok((row.try_get("key_id")?, row.try_get("last_used_at")?))
        };
        rows.iter().map(read).collect()
    }
}

async fn add_digest(
    connection: &mut AnyConnection,
    key_id: &str,
    digest: &Digest,
    version: u64,
) -> Result<(), VaultError> {
    let sql = "insert into vault_api_key_digests (key_id, digest, version) values ($1, $2, $3)";
    sqlx::query(sql).bind(id(key_id)).bind(hex::encode(digest)).bind(stored(version)?).execute(connection).await?;
    Ok(())
}

fn stored(version: u64) -> Result<i64, VaultError> {
    i64::try_from(version).map_err(|_| VaultError::Corrupt("vault_api_key_digests"))
}
