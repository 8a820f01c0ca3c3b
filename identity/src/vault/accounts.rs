//! Accounts: who may prove to be whom, by e-mail digest and password hash.

use daybook_ledger::LedgerId;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::wrapping::Digest;
use super::{Vault, VaultError, id};
use crate::passwords::PasswordHash;

const COLUMNS: &str = "user_id, email_digest, password_hash, password_changed_at, created_at, completed_at";

/// What became of the wish to have an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// The account is there now, incomplete.
    New,
    /// The address belongs to an account that was never completed: whoever repeats what was broken off goes on with
    /// this user id. It may be the id that was given.
    Pending(String),
    /// The address belongs to a complete account, or the user id to another address.
    Taken,
}

/// One account.
#[derive(Debug, Clone)]
pub struct AccountRow {
    /// The person.
    pub user_id: String,
    /// The digest of the address.
    pub email_digest: Digest,
    /// `None` until a password was chosen.
    pub password_hash: Option<PasswordHash>,
    /// When the password was chosen, in microseconds since the epoch.
    pub password_changed_at: Option<i64>,
    /// When the account was reserved.
    pub created_at: i64,
    /// When the ledger had its fact. Without it nobody logs in.
    pub completed_at: Option<i64>,
}

fn read(row: &AnyRow) -> Result<AccountRow, VaultError> {
    Ok(AccountRow {
        user_id: row.try_get("user_id")?,
        email_digest: digest(&row.try_get::<String, _>("email_digest")?)?,
        password_hash: row.try_get::<Option<String>, _>("password_hash")?.map(PasswordHash::from_stored),
        password_changed_at: row.try_get("password_changed_at")?,
        created_at: row.try_get("created_at")?,
        completed_at: row.try_get("completed_at")?,
    })
}

fn digest(text: &str) -> Result<Digest, VaultError> {
    let mut digest = [0_u8; 32];
    hex::decode_to_slice(text, &mut digest).map_err(|_| VaultError::Corrupt("vault_accounts"))?;
    Ok(digest)
}

impl Vault {
    /// What stands for an e-mail address within an organisation. Case and white space around it are no matter.
    pub fn email_digest(&self, ledger: &LedgerId, email: &str) -> Digest {
        self.wrapping().email(ledger, email)
    }

    /// Makes an incomplete account, unless the address or the user id has one.
    pub async fn reserve_account(
        &self,
        ledger: &LedgerId,
        user_id: &str,
        email_digest: &Digest,
        now: i64,
    ) -> Result<Reserved, VaultError> {
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let sql = "insert into vault_accounts (ledger_id, user_id, email_digest, created_at) values ($1, $2, $3, $4) \
             on conflict do nothing";
        let inserted = sqlx::query(sql)
            .bind(ledger.as_str())
            .bind(id(user_id))
            .bind(hex::encode(email_digest))
            .bind(now)
            .execute(&mut *connection)
            .await?
            .rows_affected();
        if inserted == 1 {
            transaction.commit().await?;
            return Ok(Reserved::New);
        }
        let sql = format!("select {COLUMNS} from vault_accounts where ledger_id = $1 and email_digest = $2");
        let row = sqlx::query(&sql)
            .bind(ledger.as_str())
            .bind(hex::encode(email_digest))
            .fetch_optional(&mut *connection)
            .await?;
        transaction.rollback().await?;
        Ok(match row.as_ref().map(read).transpose()? {
            Some(account) if account.completed_at.is_none() => Reserved::Pending(account.user_id),
            _ => Reserved::Taken,
        })
    }

    /// Gives an incomplete account of an address, reserved at `before` at the latest, to somebody else: with another user
    /// id and without the password that the one before may have chosen. `false` where it is complete, was taken over by
    /// somebody else, or is not there. Whoever was still at it finds no account any more.
    pub async fn take_over_account(
        &self,
        ledger: &LedgerId,
        pending: &str,
        user_id: &str,
        before: i64,
        now: i64,
    ) -> Result<bool, VaultError> {
        let sql = "update vault_accounts set user_id = $3, created_at = $5, password_hash = null, \
             password_changed_at = null where ledger_id = $1 and user_id = $2 and completed_at is null \
             and created_at <= $4 \
             and not exists (select 1 from vault_accounts taken where taken.ledger_id = $1 and taken.user_id = $3)";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(id(pending)).bind(id(user_id)).bind(before).bind(now);
        Ok(self.database().write(query).await? == 1)
    }

    /// Gives up an account that nobody completed. It has nothing but the digest of an address.
    pub async fn release_reservation(&self, ledger: &LedgerId, user_id: &str) -> Result<(), VaultError> {
        let sql = "delete from vault_accounts where ledger_id = $1 and user_id = $2 and completed_at is null";
        self.database().write(sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id))).await?;
        Ok(())
    }

    /// Forgets the password of an account that is not complete yet. One that is complete keeps its own.
    pub async fn drop_pending_password(&self, ledger: &LedgerId, user_id: &str) -> Result<(), VaultError> {
        let sql = "update vault_accounts set password_hash = null, password_changed_at = null \
             where ledger_id = $1 and user_id = $2 and completed_at is null";
        self.database().write(sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id))).await?;
        Ok(())
    }

    /// Marks the account as one the ledger knows; `false` if there is none. A repeat changes nothing.
    pub async fn complete_account(&self, ledger: &LedgerId, user_id: &str, now: i64) -> Result<bool, VaultError> {
        let sql = "update vault_accounts set completed_at = coalesce(completed_at, $3) \
             where ledger_id = $1 and user_id = $2";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id)).bind(now);
        Ok(self.database().write(query).await? == 1)
    }

    /// The account of an address.
    pub async fn account_by_email(
        &self,
        ledger: &LedgerId,
        email_digest: &Digest,
    ) -> Result<Option<AccountRow>, VaultError> {
        let sql = format!("select {COLUMNS} from vault_accounts where ledger_id = $1 and email_digest = $2");
        let query = sqlx::query(&sql).bind(ledger.as_str()).bind(hex::encode(email_digest));
        query.fetch_optional(self.database().readers()).await?.as_ref().map(read).transpose()
    }

    /// The account of a person.
    pub async fn account(&self, ledger: &LedgerId, user_id: &str) -> Result<Option<AccountRow>, VaultError> {
        let sql = format!("select {COLUMNS} from vault_accounts where ledger_id = $1 and user_id = $2");
        let query = sqlx::query(&sql).bind(ledger.as_str()).bind(id(user_id));
        query.fetch_optional(self.database().readers()).await?.as_ref().map(read).transpose()
    }

    /// Puts a password in place; `false` if there is no such account. Sessions are the caller's business.
    pub async fn set_password(
        &self,
        ledger: &LedgerId,
        user_id: &str,
        hash: &PasswordHash,
        now: i64,
    ) -> Result<bool, VaultError> {
        let sql = "update vault_accounts set password_hash = $3, password_changed_at = $4 \
             where ledger_id = $1 and user_id = $2";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id)).bind(hash.as_stored()).bind(now);
        Ok(self.database().write(query).await? == 1)
    }

    /// Puts the same password in place with other parameters, if it is still that one; not a change of password.
    pub async fn replace_password_hash(
        &self,
        ledger: &LedgerId,
        user_id: &str,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, VaultError> {
        let sql = "update vault_accounts set password_hash = $4 \
             where ledger_id = $1 and user_id = $2 and password_hash = $3";
        let query =
            sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id)).bind(old.as_stored()).bind(new.as_stored());
        Ok(self.database().write(query).await? == 1)
    }

    /// Moves the account to another address; `false` if that has an account or there is none to move.
    pub async fn change_email(
        &self,
        ledger: &LedgerId,
        user_id: &str,
        email_digest: &Digest,
    ) -> Result<bool, VaultError> {
        let sql = "update vault_accounts set email_digest = $3 where ledger_id = $1 and user_id = $2";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id)).bind(hex::encode(email_digest));
        match self.database().write(query).await {
            Ok(changed) => Ok(changed == 1),
            Err(VaultError::Database(sqlx::Error::Database(error))) if error.is_unique_violation() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes everything of a person but the key of the sealed data: account, sessions with what their clients said,
    /// one-time tokens, factors, recovery codes, passkeys, logins elsewhere. `false` if there was no account (any more).
    /// Where it fails with [`VaultError::Busy`] the rows are gone and their bytes may not be: to be repeated.
    pub async fn delete_account(&self, ledger: &LedgerId, user_id: &str) -> Result<bool, VaultError> {
        const OF_PERSON: &[&str] = &[
            "vault_sessions",
            "vault_one_time_tokens",
            "vault_totp",
            "vault_recovery_codes",
            "vault_passkeys",
            "vault_identities",
        ];
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let sql = "delete from vault_refresh_tokens where ledger_id = $1 and session_id in \
             (select session_id from vault_sessions where ledger_id = $1 and user_id = $2)";
        sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id)).execute(&mut *connection).await?;
        for table in OF_PERSON {
            let sql = format!("delete from {table} where ledger_id = $1 and user_id = $2");
            sqlx::query(&sql).bind(ledger.as_str()).bind(id(user_id)).execute(&mut *connection).await?;
        }
        let sql = "delete from vault_accounts where ledger_id = $1 and user_id = $2";
        let deleted =
            sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id)).execute(&mut *connection).await?.rows_affected();
        transaction.commit().await?;
        self.database().scrub(OF_PERSON).await?;
        self.database().scrub(&["vault_accounts", "vault_refresh_tokens"]).await?;
        Ok(deleted == 1)
    }
}
