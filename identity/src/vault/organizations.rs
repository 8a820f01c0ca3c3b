//! The list of organisations whose ledgers this installation keeps.

use daybook_ledger::LedgerId;
use sqlx::Row as _;

use super::{Vault, VaultError};

/// Whether an organisation is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrganizationStatus {
    /// It is.
    Active,
    /// Its data are kept and nobody is let in.
    Closed,
}

impl OrganizationStatus {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Closed => "closed",
        }
    }

    fn parse(text: &str) -> Result<Self, VaultError> {
        match text {
            "active" => Ok(Self::Active),
            "closed" => Ok(Self::Closed),
            _ => Err(VaultError::Corrupt("vault_organizations")),
        }
    }
}

/// One organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationRow {
    /// Its id, which is that of its ledger.
    pub ledger_id: LedgerId,
    /// When it was added, in microseconds since the epoch.
    pub created_at: i64,
    /// Whether it is served.
    pub status: OrganizationStatus,
}

impl Vault {
    /// All organisations, oldest first.
    pub async fn organizations(&self) -> Result<Vec<OrganizationRow>, VaultError> {
        let sql = "select ledger_id, status, created_at from vault_organizations order by created_at, ledger_id";
        let rows = sqlx::query(sql).fetch_all(self.database().readers()).await?;
        let read = |row: &sqlx::any::AnyRow| -> Result<OrganizationRow, VaultError> {
            let ledger_id: String = row.try_get("ledger_id")?;
            Ok(OrganizationRow {
                ledger_id: ledger_id.parse().map_err(|_| VaultError::Corrupt("vault_organizations"))?,
                created_at: row.try_get("created_at")?,
                status: OrganizationStatus::parse(&row.try_get::<String, _>("status")?)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Adds an organisation; `false` if it was there.
    pub async fn add_organization(&self, ledger: &LedgerId, now: i64) -> Result<bool, VaultError> {
        let sql = "insert into vault_organizations (ledger_id, status, created_at) values ($1, 'active', $2) \
             on conflict (ledger_id) do nothing";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(now);
        Ok(self.database().write(query).await? == 1)
    }

    /// Opens or closes an organisation; `false` if there is none.
    pub async fn set_organization_status(
        &self,
        ledger: &LedgerId,
        status: OrganizationStatus,
    ) -> Result<bool, VaultError> {
        let sql = "update vault_organizations set status = $2 where ledger_id = $1";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(status.as_str());
        Ok(self.database().write(query).await? == 1)
    }
}
