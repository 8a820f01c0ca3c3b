//! Sessions: from a login until a logout, an expiry or an end that somebody else decides.

use daybook_ledger::LedgerId;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::refresh::RefreshToken;
use super::{Vault, VaultError, id};
use crate::personal::Personal;

pub(super) const COLUMNS: &str =
    "ledger_id, session_id, user_id, started_at, last_used_at, expires_at, ended_at, client";
/// Most sessions of one person that are listed.
const MAX_LISTED: u32 = 500;

/// What a session starts with.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The organisation.
    pub ledger: LedgerId,
    /// The person.
    pub user_id: String,
    /// The session's id, `ses_…`.
    pub session_id: String,
    /// When it is over whatever happens, in microseconds since the epoch.
    pub expires_at: i64,
    /// Address and user agent, sealed with the person's key: the value the ledger's `session.started` has, too.
    pub client: Option<Personal>,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// The organisation.
    pub ledger_id: LedgerId,
    /// The session's id.
    pub session_id: String,
    /// The person.
    pub user_id: String,
    /// When it started, in microseconds since the epoch.
    pub started_at: i64,
    /// When a refresh token of it was last used.
    pub last_used_at: i64,
    /// When it is over whatever happens.
    pub expires_at: i64,
    /// When it was ended before that.
    pub ended_at: Option<i64>,
    /// Address and user agent.
    pub client: Option<Personal>,
}

impl SessionRow {
    /// Whether it goes on.
    pub fn is_live(&self, now: i64) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

pub(super) fn read(row: &AnyRow) -> Result<SessionRow, VaultError> {
    let corrupt = || VaultError::Corrupt("vault_sessions");
    let client: Option<String> = row.try_get("client")?;
    Ok(SessionRow {
        ledger_id: row.try_get::<String, _>("ledger_id")?.parse().map_err(|_| corrupt())?,
        session_id: row.try_get("session_id")?,
        user_id: row.try_get("user_id")?,
        started_at: row.try_get("started_at")?,
        last_used_at: row.try_get("last_used_at")?,
        expires_at: row.try_get("expires_at")?,
        ended_at: row.try_get("ended_at")?,
        client: client.map(|client| serde_json::from_str(&client).map_err(|_| corrupt())).transpose()?,
    })
}

/// Ends a session; answers whether it went on until now.
pub(super) async fn end(
    connection: &mut AnyConnection,
    ledger: &LedgerId,
    session_id: &str,
    now: i64,
) -> Result<bool, VaultError> {
    let sql = "update vault_sessions set ended_at = $3 where ledger_id = $1 and session_id = $2 and ended_at is null";
    let query = sqlx::query(sql).bind(ledger.as_str()).bind(id(session_id)).bind(now);
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

impl Vault {
    /// Starts a session and answers its first refresh token.
    pub async fn start_session(&self, session: &NewSession, now: i64) -> Result<RefreshToken, VaultError> {
        let client = session.client.as_ref().map(serde_json::to_string).transpose();
        let client = client.map_err(|_| VaultError::Corrupt("client of a session"))?;
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let sql = "insert into vault_sessions (ledger_id, session_id, user_id, started_at, last_used_at, expires_at, \
             client) values ($1, $2, $3, $4, $4, $5, $6)";
        sqlx::query(sql)
            .bind(session.ledger.as_str())
            .bind(id(&session.session_id))
            .bind(id(&session.user_id))
            .bind(now)
            .bind(session.expires_at)
            .bind(client)
            .execute(&mut *connection)
            .await?;
        let token =
            self.issue_refresh(connection, &session.ledger, &session.session_id, session.expires_at, now).await?;
        transaction.commit().await?;
        Ok(token)
    }

    /// Ends a session; `false` if it was over or there is none.
    pub async fn end_session(&self, ledger: &LedgerId, session_id: &str, now: i64) -> Result<bool, VaultError> {
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let ended = end(connection, ledger, session_id, now).await?;
        transaction.commit().await?;
        Ok(ended)
    }

    /// Ends the sessions of a person, but for `except`; answers the ids of those that went on until now.
    pub async fn end_sessions_of(
        &self,
        ledger: &LedgerId,
        user_id: &str,
        except: Option<&str>,
        now: i64,
    ) -> Result<Vec<String>, VaultError> {
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let sql = "update vault_sessions set ended_at = $3 where ledger_id = $1 and user_id = $2 and ended_at is null \
             and expires_at > $3 and session_id <> $4 returning session_id";
        let rows = sqlx::query(sql)
            .bind(ledger.as_str())
            .bind(id(user_id))
            .bind(now)
            .bind(id(except.unwrap_or_default()))
            .fetch_all(&mut *connection)
            .await?;
        transaction.commit().await?;
        Ok(rows.iter().map(|row| row.try_get("session_id")).collect::<Result<_, _>>()?)
    }

    /// The sessions of a person that go on, the last used first.
    pub async fn sessions_of(&self, ledger: &LedgerId, user_id: &str, now: i64) -> Result<Vec<SessionRow>, VaultError> {
        let sql = format!(
            "select {COLUMNS} from vault_sessions where ledger_id = $1 and user_id = $2 and ended_at is null \
             and expires_at > $3 order by last_used_at desc, session_id limit {MAX_LISTED}"
        );
        let query = sqlx::query(&sql).bind(ledger.as_str()).bind(id(user_id)).bind(now);
        query.fetch_all(self.database().readers()).await?.iter().map(read).collect()
    }

    /// One session, over or not.
    pub async fn session(&self, ledger: &LedgerId, session_id: &str) -> Result<Option<SessionRow>, VaultError> {
        let sql = format!("select {COLUMNS} from vault_sessions where ledger_id = $1 and session_id = $2");
        let query = sqlx::query(&sql).bind(ledger.as_str()).bind(id(session_id));
        query.fetch_optional(self.database().readers()).await?.as_ref().map(read).transpose()
    }
}
