//! Credentials and keys: what must be kept, and must not be in a ledger.
//!
//! Nothing here is a fact. Whatever can be checked by a digest is kept as a digest; what must be read again is wrapped
//! with a key derived from the master key and bound to its table, ledger and row. No e-mail address is kept. Times are
//! microseconds since the epoch and are given by the caller.

mod accounts;
mod api_keys;
mod database;
mod error;
mod identities;
mod jwt_keys;
mod locks;
mod master;
mod one_time;
mod organizations;
mod passkeys;
mod purge;
mod recovery_codes;
mod refresh;
mod sessions;
mod snapshots;
mod subject_keys;
mod throttle;
mod totp;
pub(crate) mod wrapping;

use std::path::Path;
use std::sync::Arc;

use sqlx::{AnyConnection, Row as _};

pub use self::accounts::{AccountRow, Reserved};
pub use self::api_keys::{ApiKeyDigest, ApiKeyRow, KeyRotation};
pub use self::error::VaultError;
pub use self::jwt_keys::JwtKeyRow;
pub use self::locks::Guard;
pub use self::master::MasterKey;
pub use self::one_time::{OneTimeToken, Purpose, Taken};
pub use self::organizations::{OrganizationRow, OrganizationStatus};
pub use self::passkeys::{NewPasskey, PasskeyRow};
pub use self::purge::Purged;
pub use self::refresh::{RefreshToken, Rotated};
pub use self::sessions::{NewSession, SessionRow};
pub use self::snapshots::DirectorySnapshot;
pub use self::subject_keys::KEY_CACHE_TRUST;
pub(crate) use self::subject_keys::SubjectKeyState;
pub use self::throttle::{ThrottleKey, ThrottlePolicy};
pub use self::totp::{TotpEnrolment, TotpRow};
pub use self::wrapping::Digest;

use self::database::Database;
use self::subject_keys::KeyCache;
use self::wrapping::{Place, Wrapping};

/// What the check of the master key holds in clear.
const CHECKED: &[u8] = b"daybook vault";

/// The vault. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    database: Database,
    wrapping: Wrapping,
    keys: KeyCache,
}

impl Vault {
    /// Opens or makes the file (mode 0600). Several processes may have it open.
    ///
    /// Fails with [`VaultError::WrongMasterKey`] where it was made with another master key.
    pub async fn open_sqlite(path: impl AsRef<Path>, master: MasterKey) -> Result<Self, VaultError> {
        Self::new(Database::open_sqlite(path.as_ref()).await?, &master).await
    }

    /// Opens or makes the tables `vault_…` in the schema the URL chooses. Several processes may do so at once.
    ///
    /// Fails with [`VaultError::WrongMasterKey`] where they were made with another master key.
    pub async fn open_postgres(url: &str, max_connections: u32, master: MasterKey) -> Result<Self, VaultError> {
        Self::new(Database::open_postgres(url, max_connections).await?, &master).await
    }

    async fn new(database: Database, master: &MasterKey) -> Result<Self, VaultError> {
        let vault = Self(Arc::new(Inner { database, wrapping: Wrapping::new(master), keys: KeyCache::new() }));
        if let Err(error) = vault.check_master_key().await {
            vault.close().await;
            return Err(error);
        }
        Ok(vault)
    }

    /// What the digests of commands are keyed with: the same in all processes, because their master key is.
    pub fn command_digest_key(&self) -> [u8; 32] {
        self.wrapping().command_digest_key()
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.database().close().await;
    }

    /// Compares with a value that the first opening left behind.
    async fn check_master_key(&self) -> Result<(), VaultError> {
        let place = Place::new("vault_values", "", "master_key_check");
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let sql = "insert into vault_values (name, value) values ($1, $2) on conflict (name) do nothing";
        let wrapped = self.wrapping().wrap(place, CHECKED)?;
        sqlx::query(sql).bind(place.row).bind(wrapped).execute(&mut *connection).await?;
        // The count of destroyed keys, which those who make keys lock.
        let zero = "insert into vault_values (name, value) values ('destroyed_subjects', '0') on conflict do nothing";
        sqlx::query(zero).execute(&mut *connection).await?;
        let sql = "select value from vault_values where name = $1";
        let row = sqlx::query(sql).bind(place.row).fetch_one(&mut *connection).await?;
        let wrapped: String = row.try_get("value")?;
        transaction.commit().await?;
        match self.wrapping().unwrap(place, &wrapped) {
            Ok(clear) if clear.as_slice() == CHECKED => Ok(()),
            _ => Err(VaultError::WrongMasterKey),
        }
    }

    fn database(&self) -> &Database {
        &self.0.database
    }

    fn wrapping(&self) -> &Wrapping {
        &self.0.wrapping
    }

    fn keys(&self) -> &KeyCache {
        &self.0.keys
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Vault(…)")
    }
}

/// A text from outside as it is compared with ids: no id holds a NUL character and PostgreSQL refuses one.
fn id(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
