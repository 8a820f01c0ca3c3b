//! Where the data is, and opening it: files in the data folder, or a PostgreSQL database.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use daybook_auditor::Source;
use daybook_ledger::store::postgres::PostgresStore;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{LedgerReader, Store, StoreError};
use daybook_read_models::ReadDb;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::settings::Settings;
use crate::settings::hidden::Hidden;

/// Connections to PostgreSQL for reading the ledger, and again for the read tables.
const POSTGRES_CONNECTIONS: u32 = 8;

/// How long a checkpoint waits for readers.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(2);

/// A place where ledgers and read tables are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `ledger.db` and `read.db` in a folder.
    Embedded(PathBuf),
    /// Both in one PostgreSQL database.
    Postgres(Hidden),
}

impl Location {
    /// Where `settings` say it is.
    pub fn of(settings: &Settings) -> Self {
        match &settings.database_url {
            Some(url) => Self::Postgres(url.clone()),
            None => Self::Embedded(settings.data.clone()),
        }
    }

    /// The ledger's file, on the embedded store.
    pub fn ledger_file(&self) -> Option<PathBuf> {
        match self {
            Self::Embedded(folder) => Some(folder.join("ledger.db")),
            Self::Postgres(_) => None,
        }
    }

    /// The file of the read tables, on the embedded store.
    pub fn read_file(&self) -> Option<PathBuf> {
        match self {
            Self::Embedded(folder) => Some(folder.join("read.db")),
            Self::Postgres(_) => None,
        }
    }

    /// The file of credentials and keys, on the embedded store.
    pub fn vault_file(&self) -> Option<PathBuf> {
        match self {
            Self::Embedded(folder) => Some(folder.join("vault.db")),
            Self::Postgres(_) => None,
        }
    }

    /// For people. Never a password.
    pub fn describe(&self) -> String {
        match self {
            Self::Embedded(folder) => format!("embedded store in {}", folder.display()),
            Self::Postgres(url) => format!("PostgreSQL at {}", without_credentials(url.expose())),
        }
    }

    /// Opens the ledgers for appending; makes what is missing.
    pub async fn open_for_writing(&self) -> anyhow::Result<Arc<dyn Store>> {
        match self {
            Self::Embedded(folder) => {
                make_folder(folder)?;
                let store = SqliteStore::open(folder.join("ledger.db")).map_err(|error| self.failed(error))?;
                Ok(Arc::new(store))
            }
            Self::Postgres(url) => {
                let store = PostgresStore::open(url.expose(), POSTGRES_CONNECTIONS)
                    .await
                    .map_err(|error| self.failed(error))?;
                Ok(Arc::new(store))
            }
        }
    }

    /// Opens the ledgers for reading only, whoever writes to them.
    pub async fn open_for_reading(&self) -> anyhow::Result<Arc<dyn Store>> {
        match self {
            Self::Embedded(folder) => {
                let file = folder.join("ledger.db");
                if !file.is_file() {
                    bail!("there is no ledger in {}: {} is missing", folder.display(), file.display());
                }
                let store = SqliteStore::open_read_only(file).map_err(|error| self.failed(error))?;
                Ok(Arc::new(store))
            }
            Self::Postgres(url) => {
                let store = PostgresStore::connect(url.expose(), POSTGRES_CONNECTIONS)
                    .await
                    .map_err(|error| self.failed(error))?;
                Ok(Arc::new(store))
            }
        }
    }

    /// Opens the read tables; makes them where they are missing.
    pub async fn open_read_tables(&self) -> anyhow::Result<ReadDb> {
        let opened = match self {
            Self::Embedded(folder) => {
                make_folder(folder)?;
                let file = folder.join("read.db");
                set_aside_if_damaged(&file).await?;
                ReadDb::open_sqlite(file).await
            }
            Self::Postgres(url) => ReadDb::open_postgres(url.expose(), POSTGRES_CONNECTIONS).await,
        };
        opened.with_context(|| format!("cannot open the read tables of the {}", self.describe()))
    }

    /// Opens the read tables for reading only; `None` where there are none yet.
    pub async fn open_read_tables_for_reading(&self) -> anyhow::Result<Option<ReadDb>> {
        let opened = match self {
            Self::Embedded(folder) => {
                let file = folder.join("read.db");
                if !file.is_file() {
                    return Ok(None);
                }
                ReadDb::open_sqlite_read_only(file).await
            }
            Self::Postgres(url) => ReadDb::open_postgres(url.expose(), 2).await,
        };
        opened.map(Some).with_context(|| format!("cannot open the read tables of the {}", self.describe()))
    }

    /// What the auditor reads.
    pub fn source(&self) -> Source {
        match self {
            Self::Embedded(folder) => Source::Sqlite(folder.join("ledger.db")),
            Self::Postgres(url) => Source::Postgres(url.expose().to_owned()),
        }
    }

    fn failed(&self, error: StoreError) -> anyhow::Error {
        match error {
            StoreError::InUse(file) => anyhow!(
                "{file} is in use by another process that writes to it: stop that one first, or talk to it with --url"
            ),
            other => anyhow::Error::new(other).context(format!("cannot open the {}", self.describe())),
        }
    }
}

/// A reader of the ledger that `settings` name, on a store opened for reading.
pub async fn reader(settings: &Settings) -> anyhow::Result<LedgerReader> {
    let store = Location::of(settings).open_for_reading().await?;
    LedgerReader::open(store, settings.ledger()).await.context("cannot read the ledger")
}

/// Moves what is in a SQLite file's write-ahead log into the file, so that the file alone is the whole ledger: people copy it.
pub async fn checkpoint(file: &Path) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(CHECKPOINT_PATIENCE);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let busy: i64 = sqlx::query_scalar("pragma wal_checkpoint(truncate)").fetch_one(&mut connection).await?;
    connection.close().await?;
    ensure!(busy == 0, "somebody reads it");
    Ok(())
}

/// Read tables that SQLite cannot read are put aside and folded anew: everything in them is in the ledger.
async fn set_aside_if_damaged(file: &Path) -> anyhow::Result<()> {
    if !file.is_file() || looked_into(file).await.is_ok_and(|readable| readable) {
        return Ok(());
    }
    let with_ending = |ending: &str| {
        let mut path = file.as_os_str().to_owned();
        path.push(ending);
        PathBuf::from(path)
    };
    let aside = with_ending(".damaged");
    tracing::error!(file = %file.display(), aside = %aside.display(), "the read tables are damaged and are folded anew");
    std::fs::rename(file, &aside).with_context(|| format!("cannot put {} aside", file.display()))?;
    for ending in ["-wal", "-shm"] {
        match std::fs::remove_file(with_ending(ending)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", with_ending(ending).display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// False where SQLite says that the file is malformed or none of its own; whatever else is wrong is said when it is opened.
async fn looked_into(file: &Path) -> anyhow::Result<bool> {
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(CHECKPOINT_PATIENCE);
    let read = async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let _: i64 = sqlx::query_scalar("select count(*) from sqlite_schema").fetch_one(&mut connection).await?;
        connection.close().await
    };
    match read.await {
        Err(sqlx::Error::Database(error)) => Ok(!matches!(error.code().as_deref(), Some("11" | "26" | "267"))),
        _ => Ok(true),
    }
}

/// Makes the data folder, for its owner alone.
pub fn make_folder(folder: &Path) -> anyhow::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// A database URL without what lets one in: no user, no password, no parameters.
pub fn without_credentials(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
            format!("{scheme}://{place}")
        }
        None => "(a database)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let location = Location::Postgres("postgres://u:p@ss@db:5432/daybook?password=x".into());
        assert!(!format!("{location:?}").contains("p@ss"));
        assert_eq!(location.describe(), "PostgreSQL at postgres://db:5432/daybook");
    }
}
