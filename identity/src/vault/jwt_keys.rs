//! The keys that sign access tokens: P-256, private halves wrapped.

use p256::ecdsa::SigningKey;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::wrapping::{Place, random};
use super::{Vault, VaultError};
use crate::secret::Secret;

const TABLE: &str = "vault_jwt_keys";
/// Tries to draw a key: nearly every 32 bytes are one.
const DRAWS: u32 = 8;

/// One key.
#[derive(Debug, Clone)]
pub struct JwtKeyRow {
    /// Its id in the header of a token.
    pub kid: String,
    /// The private key as PKCS#8 PEM.
    pub private_key: Secret,
    /// When it was made, in microseconds since the epoch.
    pub created_at: i64,
    /// Since when it signs no more. Tokens it signed before that are good until they expire.
    pub retired_at: Option<i64>,
}

impl Vault {
    /// All keys, the one that signs (or the newest of those) first.
    pub async fn jwt_keys(&self) -> Result<Vec<JwtKeyRow>, VaultError> {
        let sql = "select kid, private_key, created_at, retired_at from vault_jwt_keys \
             order by case when retired_at is null then 0 else 1 end, created_at desc, kid";
        let rows = sqlx::query(sql).fetch_all(self.database().readers()).await?;
        rows.iter().map(|row| self.read_jwt_key(row)).collect()
    }

    /// Makes the first key, if none signs. Of several processes that start at once one makes it.
    pub async fn ensure_jwt_key(&self, now: i64) -> Result<(), VaultError> {
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        self.lock_jwt_keys(connection).await?;
        let sql = "select kid from vault_jwt_keys where retired_at is null";
        if sqlx::query(sql).fetch_optional(&mut *connection).await?.is_none() {
            self.add_jwt_key(connection, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Lets a new key sign from now on and retires the others.
    pub async fn rotate_jwt_key(&self, now: i64) -> Result<JwtKeyRow, VaultError> {
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        self.lock_jwt_keys(connection).await?;
        let sql = "update vault_jwt_keys set retired_at = $1 where retired_at is null";
        sqlx::query(sql).bind(now).execute(&mut *connection).await?;
        let key = self.add_jwt_key(connection, now).await?;
        transaction.commit().await?;
        Ok(key)
    }

    /// One process at a time: on the row every vault has.
    async fn lock_jwt_keys(&self, connection: &mut AnyConnection) -> Result<(), VaultError> {
        let sql =
            format!("select value from vault_values where name = 'master_key_check'{}", self.database().for_update());
        sqlx::query(&sql).fetch_optional(connection).await?;
        Ok(())
    }

    async fn add_jwt_key(&self, connection: &mut AnyConnection, now: i64) -> Result<JwtKeyRow, VaultError> {
        let key = draw()?;
        let public = key.verifying_key().to_sec1_point(true);
        let kid = hex::encode(blake3::hash(public.as_bytes()).as_bytes().get(..12).unwrap_or_default());
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| VaultError::Corrupt(TABLE))?;
        let wrapped = self.wrapping().wrap(Place::new(TABLE, "", &kid), pem.as_bytes())?;
        let sql = "insert into vault_jwt_keys (kid, private_key, created_at) values ($1, $2, $3)";
        sqlx::query(sql).bind(&kid).bind(wrapped).bind(now).execute(connection).await?;
        Ok(JwtKeyRow { kid, private_key: Secret::new(pem.as_str()), created_at: now, retired_at: None })
    }

    fn read_jwt_key(&self, row: &AnyRow) -> Result<JwtKeyRow, VaultError> {
        let kid: String = row.try_get("kid")?;
        let pem = self.wrapping().unwrap(Place::new(TABLE, "", &kid), &row.try_get::<String, _>("private_key")?)?;
        let pem = std::str::from_utf8(&pem).map_err(|_| VaultError::Corrupt(TABLE))?;
        SigningKey::from_pkcs8_pem(pem).map_err(|_| VaultError::Corrupt(TABLE))?;
        Ok(JwtKeyRow {
            private_key: Secret::new(pem),
            created_at: row.try_get("created_at")?,
            retired_at: row.try_get("retired_at")?,
            kid,
        })
    }
}

fn draw() -> Result<SigningKey, VaultError> {
    for _ in 0..DRAWS {
        if let Ok(key) = SigningKey::from_slice(random::<32>()?.as_slice()) {
            return Ok(key);
        }
    }
    Err(VaultError::Random("they are no key of P-256".to_owned()))
}
