//! One-time tokens: links in letters and the half-way marks of logins.

use daybook_ledger::LedgerId;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::wrapping::{Place, random_token};
use super::{Vault, VaultError, id};
use crate::secret::Secret;

const PREFIX: &str = "dbo_";
const TABLE: &str = "vault_one_time_tokens";

/// `dbo_` and 43 characters.
pub type OneTimeToken = Secret;

/// What a one-time token is good for; for anything else it is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Becoming the first owner of an organisation.
    OwnerLink,
    /// Accepting an invitation.
    Invitation,
    /// Choosing a new password.
    PasswordReset,
    /// Presenting a second factor after the password.
    SecondFactorChallenge,
    /// Coming back from another provider.
    OidcState,
    /// Answering the challenge to a passkey.
    PasskeyChallenge,
    /// Confirming another e-mail address.
    EmailChange,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::OwnerLink => "owner_link",
            Self::Invitation => "invitation",
            Self::PasswordReset => "password_reset",
            Self::SecondFactorChallenge => "second_factor_challenge",
            Self::OidcState => "oidc_state",
            Self::PasskeyChallenge => "passkey_challenge",
            Self::EmailChange => "email_change",
        }
    }
}

/// What was remembered with a one-time token.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The organisation.
    pub ledger: LedgerId,
    /// The person, if it was made for one.
    pub user_id: Option<String>,
    /// What was given when it was made.
    pub payload: Value,
    /// When it would have expired, in microseconds since the epoch.
    pub expires_at: i64,
}

impl Vault {
    fn one_time_digest(&self, token: &str) -> String {
        hex::encode(self.wrapping().token("one_time", token))
    }

    /// Makes a token that is good until `now + ttl` microseconds. The payload is kept wrapped.
    pub async fn issue_one_time(
        &self,
        ledger: &LedgerId,
        purpose: Purpose,
        user_id: Option<&str>,
        payload: &Value,
        ttl: i64,
        now: i64,
    ) -> Result<OneTimeToken, VaultError> {
        let token = random_token(PREFIX)?;
        let digest = self.one_time_digest(token.expose());
        let payload =
            self.wrapping().wrap(Place::new(TABLE, ledger.as_str(), &digest), payload.to_string().as_bytes())?;
        let sql = "insert into vault_one_time_tokens (token_digest, ledger_id, purpose, user_id, payload, created_at, \
             expires_at) values ($1, $2, $3, $4, $5, $6, $7)";
        let query = sqlx::query(sql)
            .bind(&digest)
            .bind(ledger.as_str())
            .bind(purpose.as_str())
            .bind(user_id.map(id))
            .bind(payload)
            .bind(now)
            .bind(now.saturating_add(ttl));
        self.database().write(query).await?;
        Ok(token)
    }

    /// Uses a token up, in `ledger` or, without one, in whichever organisation it was made. Of several who do so at
    /// once one gets it. `None`: unknown, used, expired, or made for another purpose or organisation.
    pub async fn take_one_time(
        &self,
        ledger: Option<&LedgerId>,
        purpose: Purpose,
        token: &str,
        now: i64,
    ) -> Result<Option<Taken>, VaultError> {
        let digest = self.one_time_digest(token);
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let sql = "delete from vault_one_time_tokens where token_digest = $1 and purpose = $2 and expires_at > $3 \
             and ledger_id = coalesce($4, ledger_id) returning ledger_id, user_id, payload, expires_at";
        let row = sqlx::query(sql)
            .bind(&digest)
            .bind(purpose.as_str())
            .bind(now)
            .bind(ledger.map(|ledger| ledger.as_str().to_owned()))
            .fetch_optional(&mut *connection)
            .await?;
        transaction.commit().await?;
        row.map(|row| self.read_one_time(&digest, &row)).transpose()
    }

    /// Looks at a token without using it up: to show a form before it is sent.
    pub async fn peek_one_time(
        &self,
        ledger: Option<&LedgerId>,
        purpose: Purpose,
        token: &str,
        now: i64,
    ) -> Result<Option<Taken>, VaultError> {
        let digest = self.one_time_digest(token);
        let sql = "select ledger_id, user_id, payload, expires_at from vault_one_time_tokens where token_digest = $1 \
             and purpose = $2 and expires_at > $3 and ledger_id = coalesce($4, ledger_id)";
        let row = sqlx::query(sql)
            .bind(&digest)
            .bind(purpose.as_str())
            .bind(now)
            .bind(ledger.map(|ledger| ledger.as_str().to_owned()))
            .fetch_optional(self.database().readers())
            .await?;
        row.map(|row| self.read_one_time(&digest, &row)).transpose()
    }

    fn read_one_time(&self, digest: &str, row: &AnyRow) -> Result<Taken, VaultError> {
        let ledger: String = row.try_get("ledger_id")?;
        let payload =
            self.wrapping().unwrap(Place::new(TABLE, &ledger, digest), &row.try_get::<String, _>("payload")?)?;
        Ok(Taken {
            ledger: ledger.parse().map_err(|_| VaultError::Corrupt(TABLE))?,
            user_id: row.try_get("user_id")?,
            payload: serde_json::from_slice(&payload).map_err(|_| VaultError::Corrupt(TABLE))?,
            expires_at: row.try_get("expires_at")?,
        })
    }

    /// Withdraws the tokens of a person for a purpose; answers how many there were.
    pub async fn revoke_one_time(&self, ledger: &LedgerId, user_id: &str, purpose: Purpose) -> Result<u64, VaultError> {
        let sql = "delete from vault_one_time_tokens where ledger_id = $1 and user_id = $2 and purpose = $3";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id)).bind(purpose.as_str());
        self.database().write(query).await
    }

    /// Withdraws the tokens for a purpose that were made for nobody in particular: the link for the first owner.
    pub async fn revoke_one_time_of_nobody(&self, ledger: &LedgerId, purpose: Purpose) -> Result<u64, VaultError> {
        let sql = "delete from vault_one_time_tokens where ledger_id = $1 and user_id is null and purpose = $2";
        self.database().write(sqlx::query(sql).bind(ledger.as_str()).bind(purpose.as_str())).await
    }
}
