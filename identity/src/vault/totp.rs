//! Time-based one-time passwords (RFC 6238: SHA-1, six digits, thirty seconds, one step either way). A step that was
//! used is never accepted again.

use daybook_ledger::LedgerId;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use totp_rs::{Algorithm, TOTP};

use super::wrapping::{Place, random};
use super::{Vault, VaultError, id};
use crate::secret::Secret;

const TABLE: &str = "vault_totp";
const DIGITS: usize = 6;
const STEP_SECONDS: u64 = 30;
/// Steps accepted before and after the present one.
const SKEW_STEPS: i64 = 1;

/// What an authenticator application needs.
#[derive(Debug, Clone)]
pub struct TotpEnrolment {
    /// The factor's id.
    pub factor_id: String,
    /// The shared secret in base32, for typing.
    pub secret: Secret,
    /// The same as an `otpauth://totp/…` address, for a QR code.
    pub provisioning_uri: Secret,
}

/// A factor that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotpRow {
    /// The factor's id.
    pub factor_id: String,
    /// Since when, in microseconds since the epoch.
    pub confirmed_at: i64,
}

struct Candidate {
    factor_id: String,
    totp: TOTP,
    last_used_step: i64,
}

impl Candidate {
    /// The step `code` belongs to, if it is an acceptable one that was not used.
    fn step_of(&self, code: &str, now: i64) -> Option<i64> {
        let code = code.trim();
        let seconds = now.div_euclid(1_000_000);
        let present = seconds.div_euclid(30);
        let mut found = -1_i64;
        for step in present - SKEW_STEPS..=present + SKEW_STEPS {
            let Ok(time) = u64::try_from(step.saturating_mul(30)) else { continue };
            let same: Choice = self.totp.generate(time).as_bytes().ct_eq(code.as_bytes());
            let unused = Choice::from(u8::from(step > self.last_used_step));
            found.conditional_assign(&step, same & unused);
        }
        (found >= 0).then_some(found)
    }
}

fn totp(secret: Vec<u8>) -> Result<TOTP, VaultError> {
    TOTP::new(Algorithm::SHA1, DIGITS, 1, STEP_SECONDS, secret).map_err(|_| VaultError::Corrupt(TABLE))
}

/// `otpauth://totp/issuer:account?…` as authenticator applications read it.
fn provisioning_uri(issuer: &str, account: &str, secret: &str) -> String {
    let issuer = percent_encoded(issuer);
    format!(
        "otpauth://totp/{issuer}:{}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}",
        percent_encoded(account)
    )
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

impl Vault {
    /// Begins an enrolment, in place of one that was not confirmed. `issuer` and `account` are what the application
    /// shows; they are not kept. The factor in force stays so until the new one is confirmed.
    pub async fn start_totp(
        &self,
        ledger: &LedgerId,
        user_id: &str,
        issuer: &str,
        account: &str,
        now: i64,
    ) -> Result<TotpEnrolment, VaultError> {
        let secret = random::<20>()?;
        let factor_id = format!("fac_{}", hex::encode(random::<12>()?.as_slice()));
        let place = row_name(user_id, &factor_id);
        let wrapped = self.wrapping().wrap(Place::new(TABLE, ledger.as_str(), &place), secret.as_slice())?;
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let sql = "delete from vault_totp where ledger_id = $1 and user_id = $2 and confirmed_at is null";
        sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id)).execute(&mut *connection).await?;
        let sql = "insert into vault_totp (ledger_id, user_id, factor_id, secret, last_used_step, created_at) \
             values ($1, $2, $3, $4, -1, $5)";
        sqlx::query(sql)
            .bind(ledger.as_str())
            .bind(id(user_id))
            .bind(&factor_id)
            .bind(wrapped)
            .bind(now)
            .execute(&mut *connection)
            .await?;
        transaction.commit().await?;
        let secret = Secret::new(totp(secret.to_vec())?.get_secret_base32());
        let provisioning_uri = Secret::new(provisioning_uri(issuer, account, secret.expose()));
        Ok(TotpEnrolment { factor_id, secret, provisioning_uri })
    }

    /// Puts the enrolment in force if `code` is one of it, in place of an earlier factor; answers the factor's id.
    pub async fn confirm_totp(
        &self,
        ledger: &LedgerId,
        user_id: &str,
        code: &str,
        now: i64,
    ) -> Result<Option<String>, VaultError> {
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let Some(candidate) = self.candidate(connection, ledger, user_id, "is null").await? else { return Ok(None) };
        let Some(step) = candidate.step_of(code, now) else { return Ok(None) };
        let sql = "delete from vault_totp where ledger_id = $1 and user_id = $2 and factor_id <> $3";
        sqlx::query(sql)
            .bind(ledger.as_str())
            .bind(id(user_id))
            .bind(&candidate.factor_id)
            .execute(&mut *connection)
            .await?;
        let sql = "update vault_totp set confirmed_at = $4, last_used_step = $5 \
             where ledger_id = $1 and user_id = $2 and factor_id = $3 and confirmed_at is null";
        let confirmed = sqlx::query(sql)
            .bind(ledger.as_str())
            .bind(id(user_id))
            .bind(&candidate.factor_id)
            .bind(now)
            .bind(step)
            .execute(&mut *connection)
            .await?
            .rows_affected();
        transaction.commit().await?;
        Ok((confirmed == 1).then_some(candidate.factor_id))
    }

    /// Whether `code` is one of the factor in force. Each code is good once, however many ask at once.
    pub async fn verify_totp(
        &self,
        ledger: &LedgerId,
        user_id: &str,
        code: &str,
        now: i64,
    ) -> Result<bool, VaultError> {
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let Some(candidate) = self.candidate(connection, ledger, user_id, "is not null").await? else {
            return Ok(false);
        };
        let Some(step) = candidate.step_of(code, now) else { return Ok(false) };
        let sql = "update vault_totp set last_used_step = $4 \
             where ledger_id = $1 and user_id = $2 and factor_id = $3 and last_used_step < $4";
        let used = sqlx::query(sql)
            .bind(ledger.as_str())
            .bind(id(user_id))
            .bind(&candidate.factor_id)
            .bind(step)
            .execute(&mut *connection)
            .await?
            .rows_affected();
        transaction.commit().await?;
        Ok(used == 1)
    }

    /// The factor in force.
    pub async fn totp(&self, ledger: &LedgerId, user_id: &str) -> Result<Option<TotpRow>, VaultError> {
        let sql = "select factor_id, confirmed_at from vault_totp \
             where ledger_id = $1 and user_id = $2 and confirmed_at is not null";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id));
        let read = |row: AnyRow| -> Result<TotpRow, VaultError> {
            Ok(TotpRow { factor_id: row.try_get("factor_id")?, confirmed_at: row.try_get("confirmed_at")? })
        };
        query.fetch_optional(self.database().readers()).await?.map(read).transpose()
    }

    /// Removes factor and enrolment; answers the id of the factor that was in force.
    pub async fn remove_totp(&self, ledger: &LedgerId, user_id: &str) -> Result<Option<String>, VaultError> {
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let sql = "delete from vault_totp where ledger_id = $1 and user_id = $2 returning factor_id, confirmed_at";
        let rows = sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id)).fetch_all(&mut *connection).await?;
        transaction.commit().await?;
        for row in rows {
            if row.try_get::<Option<i64>, _>("confirmed_at")?.is_some() {
                return Ok(Some(row.try_get("factor_id")?));
            }
        }
        Ok(None)
    }

    async fn candidate(
        &self,
        connection: &mut AnyConnection,
        ledger: &LedgerId,
        user_id: &str,
        confirmed: &'static str,
    ) -> Result<Option<Candidate>, VaultError> {
        let sql = format!(
            "select factor_id, secret, last_used_step from vault_totp where ledger_id = $1 and user_id = $2 \
             and confirmed_at {confirmed}{}",
            self.database().for_update()
        );
        let query = sqlx::query(&sql).bind(ledger.as_str()).bind(id(user_id));
        let Some(row) = query.fetch_optional(connection).await? else { return Ok(None) };
        let factor_id: String = row.try_get("factor_id")?;
        let place = row_name(user_id, &factor_id);
        let wrapped: String = row.try_get("secret")?;
        let secret = self.wrapping().unwrap(Place::new(TABLE, ledger.as_str(), &place), &wrapped)?;
        Ok(Some(Candidate { factor_id, totp: totp(secret.to_vec())?, last_used_step: row.try_get("last_used_step")? }))
    }
}

fn row_name(user_id: &str, factor_id: &str) -> String {
    format!("{user_id}/{factor_id}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// The secret of RFC 6238, appendix B.
    fn candidate() -> Candidate {
        let totp = totp(b"12345678901234567890".to_vec()).unwrap();
        Candidate { factor_id: String::new(), totp, last_used_step: -1 }
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // The last six of the RFC's eight digits.
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            assert_eq!(candidate().step_of(code, seconds * 1_000_000), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn a_code_is_good_one_step_either_way_and_not_two() {
        let at = |seconds: i64| candidate().step_of("287082", seconds * 1_000_000);
        // The code of step 1, which is 30 to 59 seconds after the epoch.
        assert_eq!(at(0), Some(1));
        assert_eq!(at(89), Some(1));
        assert_eq!(at(90), None);
        assert_eq!(candidate().step_of("081804", (1_111_111_109 - 60) * 1_000_000), None);
    }

    #[test]
    fn a_used_step_and_those_before_it_are_refused() {
        let mut candidate = candidate();
        candidate.last_used_step = 1;
        assert_eq!(candidate.step_of("287082", 59_000_000), None);
        candidate.last_used_step = 0;
        assert_eq!(candidate.step_of("287082", 59_000_000), Some(1));
        assert_eq!(candidate.step_of("28708", 59_000_000), None);
        assert_eq!(candidate.step_of("", 59_000_000), None);
    }

    #[test]
    fn the_provisioning_address_is_escaped() {
        assert_eq!(
            provisioning_uri("Day Book", "ada@example.org", "ABC"),
            "otpauth://totp/Day%20Book:ada%40example.org?secret=ABC&issuer=Day%20Book&algorithm=SHA1&digits=6&period=30"
        );
    }
}
