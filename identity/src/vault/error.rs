//! Why the vault does not answer.

use std::path::PathBuf;

/// Why the vault does not answer. No variant carries a secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The database cannot be reached or refused the statement.
    #[error("the vault is unavailable: {0}")]
    Database(#[from] sqlx::Error),
    /// The vault was made with another master key.
    #[error("the master key is not the one this vault was made with")]
    WrongMasterKey,
    /// The master key itself is malformed.
    #[error("a master key is 64 hexadecimal digits")]
    MalformedMasterKey,
    /// A file of the vault cannot be used.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A value of the vault is not what was written there.
    #[error("the vault's {0} is corrupt or was altered")]
    Corrupt(&'static str),
    /// The tables are those of a newer Daybook.
    #[error("the vault has schema version {found}, this program knows up to {known}")]
    Newer {
        /// The version of the tables.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// The system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(String),
    /// The subject's key was destroyed: nothing of it can be sealed any more.
    #[error("the data subject was erased")]
    SubjectErased,
    /// The text is longer than a sealed value may be.
    #[error("a personal text may have at most {limit} bytes")]
    TooLong {
        /// The bound in bytes.
        limit: usize,
    },
    /// Others keep the old contents of the vault's file in use; to be tried again.
    #[error("the vault is busy: {0}")]
    Busy(&'static str),
}

impl VaultError {
    /// A stable code for answers and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Database(_) | Self::Random(_) | Self::File { .. } => "vault.unavailable",
            Self::WrongMasterKey | Self::MalformedMasterKey => "vault.wrong_master_key",
            Self::Corrupt(_) => "vault.corrupt",
            Self::Newer { .. } => "vault.newer",
            Self::SubjectErased => "vault.subject_erased",
            Self::TooLong { .. } => "vault.too_long",
            Self::Busy(_) => "vault.busy",
        }
    }
}
