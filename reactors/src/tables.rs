//! Making the tables in which reactions keep what they have to remember.

use daybook_read_models::{ReadDb, ReadError, StoreKind};
use sqlx::{AnyConnection, Executor};

/// Key of the advisory lock under which tables are made.
const SETUP_LOCK: i64 = 0x6461_7962_7265_6163;

/// Makes the tables of `schema` where they are missing.
pub(crate) async fn make(database: &ReadDb, schema: &str) -> Result<(), ReadError> {
    let mut transaction = database.begin().await?;
    let connection: &mut AnyConnection = &mut transaction;
    if database.kind() == StoreKind::Postgres {
        // "if not exists" is no protection from another process, or another task, that makes the table at this moment.
        sqlx::query("select pg_advisory_xact_lock($1)").bind(SETUP_LOCK).execute(&mut *connection).await?;
    }
    connection.execute(schema).await?;
    transaction.commit().await?;
    Ok(())
}
