//! What one process does at a time, of all that share a vault.
//!
//! On PostgreSQL several processes append to one ledger. An embedded ledger has one process that appends: its own mutexes do,
//! and nothing is locked here.

use daybook_ledger::LedgerId;
use sqlx::{Any, AnyConnection, Executor as _, Transaction};

use super::{Vault, VaultError};

/// Longest that a lock is waited for; and it is held for as long as the deciding takes.
const PATIENCE: &str = "set local lock_timeout = '10s'; set local idle_in_transaction_session_timeout = 0";
/// PostgreSQL's code for a lock that was not to be had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Held until it is dropped: on PostgreSQL a transaction, and one of the vault's connections with it.
#[must_use = "the lock is given up when it is dropped"]
pub struct Guard {
    _transaction: Option<Transaction<'static, Any>>,
}

impl Vault {
    /// Waits until no other process holds `what` of the organisation; [`VaultError::Busy`] after ten seconds. Within one
    /// process callers wait for each other first, so that they do not use up the connections.
    pub async fn exclusive(&self, ledger: &LedgerId, what: &'static str) -> Result<Guard, VaultError> {
        if !self.database().is_server() {
            return Ok(Guard { _transaction: None });
        }
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        connection.execute(PATIENCE).await?;
        // Ledgers of the same name in other schemas are others.
        let sql = "select pg_advisory_xact_lock(hashtextextended(current_schema()::text || '/' || $1::text, 0))";
        let locked = sqlx::query(sql).bind(format!("{ledger}/{what}")).execute(&mut *connection).await;
        match locked {
            Ok(_) => Ok(Guard { _transaction: Some(transaction) }),
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(LOCK_NOT_AVAILABLE) => {
                Err(VaultError::Busy("another process is deciding the same matter"))
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Guard(…)")
    }
}
