//! Snapshots of the directory, so that a start reads only the tail of the ledger. Wrapped: whoever could write one
//! could grant roles.

use daybook_ledger::LedgerId;
use sqlx::{AnyConnection, Row as _};
use zeroize::Zeroizing;

use super::wrapping::Place;
use super::{Vault, VaultError};

const TABLE: &str = "vault_directory_snapshots";

/// A directory as it was.
#[derive(Clone)]
pub struct DirectorySnapshot {
    /// Number of entries that are folded into it.
    pub position: u64,
    /// As it was given.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for DirectorySnapshot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "DirectorySnapshot({} bytes at {})", self.bytes.len(), self.position)
    }
}

/// What a snapshot is bound to: its position, too, so that an old one does not pass for a new one.
fn row_name(version: u32, position: i64) -> String {
    format!("{version}/{position}")
}

impl Vault {
    /// Keeps the directory as it is after `position` entries, unless a later one is there. Snapshots of lower versions
    /// of the fold are removed.
    pub async fn save_snapshot(
        &self,
        ledger: &LedgerId,
        version: u32,
        position: u64,
        bytes: &[u8],
        now: i64,
    ) -> Result<(), VaultError> {
        let position = i64::try_from(position).map_err(|_| VaultError::Corrupt(TABLE))?;
        let row = row_name(version, position);
        let text = self.wrapping().wrap(Place::new(TABLE, ledger.as_str(), &row), bytes)?;
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let sql = "insert into vault_directory_snapshots (ledger_id, version, position, snapshot, saved_at) \
             values ($1, $2, $3, $4, $5) on conflict (ledger_id, version) do update set position = excluded.position, \
             snapshot = excluded.snapshot, saved_at = excluded.saved_at \
             where excluded.position > vault_directory_snapshots.position";
        sqlx::query(sql)
            .bind(ledger.as_str())
            .bind(i64::from(version))
            .bind(position)
            .bind(text)
            .bind(now)
            .execute(&mut *connection)
            .await?;
        let sql = "delete from vault_directory_snapshots where ledger_id = $1 and version < $2";
        sqlx::query(sql).bind(ledger.as_str()).bind(i64::from(version)).execute(&mut *connection).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The directory as a fold of this version last saved it.
    pub async fn snapshot(&self, ledger: &LedgerId, version: u32) -> Result<Option<DirectorySnapshot>, VaultError> {
        let sql = "select position, snapshot from vault_directory_snapshots where ledger_id = $1 and version = $2";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(i64::from(version));
        let Some(row) = query.fetch_optional(self.database().readers()).await? else { return Ok(None) };
        let position: i64 = row.try_get("position")?;
        let name = row_name(version, position);
        let bytes = self
            .wrapping()
            .unwrap(Place::new(TABLE, ledger.as_str(), &name), &row.try_get::<String, _>("snapshot")?)?;
        let position = u64::try_from(position).map_err(|_| VaultError::Corrupt(TABLE))?;
        Ok(Some(DirectorySnapshot { position, bytes }))
    }

    /// Removes the snapshots of an organisation: the next start folds its ledger from the beginning.
    pub async fn discard_snapshots(&self, ledger: &LedgerId) -> Result<u64, VaultError> {
        let sql = "delete from vault_directory_snapshots where ledger_id = $1";
        self.database().write(sqlx::query(sql).bind(ledger.as_str())).await
    }
}
