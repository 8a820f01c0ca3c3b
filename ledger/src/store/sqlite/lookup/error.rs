//! What can go wrong with the lookup file.

use rusqlite::ErrorCode;
use rusqlite::types::FromSqlError;

use super::page::Damage;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub(super) enum LookupError {
    /// The file is not as it was written, or not of this ledger: it must be made anew.
    #[error("{0}")]
    Damaged(String),
    /// It cannot be used now.
    #[error("the lookup file: {0}")]
    Unavailable(String),
    /// The ledger itself cannot be read.
    #[error(transparent)]
    Ledger(#[from] StoreError),
}

impl From<rusqlite::Error> for LookupError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, QueryReturnedNoRows, SqliteFailure,
        };
        let damaged = match &error {
            // After a failed write or sync nobody knows what the file holds.
            SqliteFailure(failure, _) => matches!(
                failure.code,
                ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::TypeMismatch
                    | ErrorCode::ConstraintViolation
                    | ErrorCode::Unknown
            ),
            FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | QueryReturnedNoRows => true,
            _ => false,
        };
        if damaged { Self::Damaged(error.to_string()) } else { Self::Unavailable(error.to_string()) }
    }
}

impl From<FromSqlError> for LookupError {
    fn from(error: FromSqlError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<Damage> for LookupError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage.to_string())
    }
}

impl From<LookupError> for StoreError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Ledger(error) => error,
            other => Self::Unavailable(other.to_string()),
        }
    }
}
