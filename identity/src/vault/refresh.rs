//! Refresh tokens: each is used once, and a second use ends the session, because one of the two users is a thief.

use daybook_ledger::LedgerId;
use sqlx::{AnyConnection, Row as _};

use super::sessions::{self, SessionRow};
use super::wrapping::random_token;
use super::{Vault, VaultError, id};
use crate::secret::Secret;

const PREFIX: &str = "dbr_";

/// `dbr_` and 43 characters.
pub type RefreshToken = Secret;

/// What became of a refresh token.
#[derive(Debug)]
pub enum Rotated {
    /// It was good; this one takes its place.
    New {
        /// The session it belongs to.
        session: SessionRow,
        /// The next token.
        token: RefreshToken,
    },
    /// It had been used before. The session is ended.
    Reused {
        /// The session it belonged to.
        session: SessionRow,
        /// Whether this use ended the session, rather than an earlier one.
        ended_now: bool,
    },
    /// Its session is over.
    Expired {
        /// The session it belonged to.
        session: SessionRow,
    },
    /// Nobody was given it, or its session was forgotten long ago.
    Unknown,
}

impl Vault {
    pub(super) async fn issue_refresh(
        &self,
        connection: &mut AnyConnection,
        ledger: &LedgerId,
        session_id: &str,
        expires_at: i64,
        now: i64,
    ) -> Result<RefreshToken, VaultError> {
        let token = random_token(PREFIX)?;
        let sql = "insert into vault_refresh_tokens (token_digest, ledger_id, session_id, issued_at, expires_at) \
             values ($1, $2, $3, $4, $5)";
        sqlx::query(sql)
            .bind(hex::encode(self.wrapping().token("refresh", token.expose())))
            .bind(ledger.as_str())
            .bind(id(session_id))
            .bind(now)
            .bind(expires_at)
            .execute(connection)
            .await?;
        Ok(token)
    }

    /// The session that a refresh token belongs to, used or not; uses nothing up.
    pub async fn peek_refresh(&self, token: &str) -> Result<Option<SessionRow>, VaultError> {
        let digest = hex::encode(self.wrapping().token("refresh", token));
        let sql = format!(
            "select {} from vault_sessions where (ledger_id, session_id) in \
             (select ledger_id, session_id from vault_refresh_tokens where token_digest = $1)",
            sessions::COLUMNS
        );
        let row = sqlx::query(&sql).bind(&digest).fetch_optional(self.database().readers()).await?;
        row.as_ref().map(sessions::read).transpose()
    }

    /// Uses a refresh token up. Of several who do so at once one gets the next token; the others count as a second use.
    pub async fn rotate_refresh(&self, token: &str, now: i64) -> Result<Rotated, VaultError> {
        let digest = hex::encode(self.wrapping().token("refresh", token));
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let sql = format!(
            "select ledger_id, session_id, used_at from vault_refresh_tokens where token_digest = $1{}",
            self.database().for_update()
        );
        let Some(row) = sqlx::query(&sql).bind(&digest).fetch_optional(&mut *connection).await? else {
            return Ok(Rotated::Unknown);
        };
        let ledger: String = row.try_get("ledger_id")?;
        let session_id: String = row.try_get("session_id")?;
        let used_at: Option<i64> = row.try_get("used_at")?;
        let sql = format!(
            "select {} from vault_sessions where ledger_id = $1 and session_id = $2{}",
            sessions::COLUMNS,
            self.database().for_update()
        );
        let row = sqlx::query(&sql).bind(&ledger).bind(&session_id).fetch_optional(&mut *connection).await?;
        let Some(mut session) = row.as_ref().map(sessions::read).transpose()? else {
            return Ok(Rotated::Unknown);
        };
        if used_at.is_some() {
            let ended_now =
                session.is_live(now) && sessions::end(&mut *connection, &session.ledger_id, &session_id, now).await?;
            if ended_now {
                session.ended_at = Some(now);
            }
            transaction.commit().await?;
            return Ok(Rotated::Reused { session, ended_now });
        }
        if !session.is_live(now) {
            return Ok(Rotated::Expired { session });
        }
        let sql = "update vault_refresh_tokens set used_at = $2 where token_digest = $1";
        sqlx::query(sql).bind(&digest).bind(now).execute(&mut *connection).await?;
        let sql = "update vault_sessions set last_used_at = $3 where ledger_id = $1 and session_id = $2";
        sqlx::query(sql).bind(&ledger).bind(&session_id).bind(now).execute(&mut *connection).await?;
        session.last_used_at = now;
        let expires_at = session.expires_at;
        let token = self.issue_refresh(connection, &session.ledger_id, &session_id, expires_at, now).await?;
        transaction.commit().await?;
        Ok(Rotated::New { session, token })
    }
}
