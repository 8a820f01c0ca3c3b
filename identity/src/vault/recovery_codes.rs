//! Recovery codes: for those who lost their second factor. Each is good once.

use daybook_ledger::LedgerId;
use sqlx::{AnyConnection, Row as _};
use zeroize::Zeroizing;

use super::wrapping::random;
use super::{Vault, VaultError, id};
use crate::secret::Secret;

/// How many a person gets at once.
const CODES: usize = 10;
const CHARACTERS: usize = 12;
/// Crockford's base32 in lower case: nothing that is mistaken for something else. 32 of them: five bits each.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// `xxxx-xxxx-xxxx`, 60 random bits.
fn new_code() -> Result<Secret, VaultError> {
    let bytes = random::<CHARACTERS>()?;
    let mut code = Zeroizing::new(String::with_capacity(CHARACTERS + 2));
    for (place, byte) in bytes.iter().enumerate() {
        if place > 0 && place % 4 == 0 {
            code.push('-');
        }
        let letter = ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or(b'0');
        code.push(char::from(letter));
    }
    Ok(Secret::new(code.as_str()))
}

/// As people type it: case, hyphens and spaces are no matter, and look-alikes are what they look like.
fn normalised(code: &str) -> Zeroizing<String> {
    let letters = code.chars().filter(|character| !matches!(character, '-' | ' ')).take(CHARACTERS + 1);
    let letters = letters.map(|character| match character.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    });
    Zeroizing::new(letters.collect())
}

impl Vault {
    /// Gives a person new recovery codes in place of all earlier ones. They are shown now and never again.
    pub async fn replace_recovery_codes(
        &self,
        ledger: &LedgerId,
        user_id: &str,
        now: i64,
    ) -> Result<Vec<Secret>, VaultError> {
        let codes = (0..CODES).map(|_| new_code()).collect::<Result<Vec<_>, _>>()?;
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let sql = "delete from vault_recovery_codes where ledger_id = $1 and user_id = $2";
        sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id)).execute(&mut *connection).await?;
        for code in &codes {
            let digest = self.wrapping().recovery(ledger, user_id, &normalised(code.expose()));
            let sql = "insert into vault_recovery_codes (ledger_id, user_id, code_digest, created_at) \
                 values ($1, $2, $3, $4)";
            sqlx::query(sql)
                .bind(ledger.as_str())
                .bind(id(user_id))
                .bind(hex::encode(digest))
                .bind(now)
                .execute(&mut *connection)
                .await?;
        }
        transaction.commit().await?;
        Ok(codes)
    }

    /// Uses a recovery code up; `false` if it is none of the person's, or was used.
    pub async fn use_recovery_code(&self, ledger: &LedgerId, user_id: &str, code: &str) -> Result<bool, VaultError> {
        let digest = self.wrapping().recovery(ledger, user_id, &normalised(code));
        let sql = "delete from vault_recovery_codes where ledger_id = $1 and user_id = $2 and code_digest = $3";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id)).bind(hex::encode(digest));
        Ok(self.database().write(query).await? == 1)
    }

    /// How many codes a person has left.
    pub async fn recovery_codes_left(&self, ledger: &LedgerId, user_id: &str) -> Result<u64, VaultError> {
        let sql = "select count(*) as codes from vault_recovery_codes where ledger_id = $1 and user_id = $2";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id));
        let codes: i64 = query.fetch_one(self.database().readers()).await?.try_get("codes")?;
        Ok(u64::try_from(codes).unwrap_or(0))
    }

    /// Takes all codes of a person away.
    pub async fn remove_recovery_codes(&self, ledger: &LedgerId, user_id: &str) -> Result<u64, VaultError> {
        let sql = "delete from vault_recovery_codes where ledger_id = $1 and user_id = $2";
        self.database().write(sqlx::query(sql).bind(ledger.as_str()).bind(id(user_id))).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = new_code().unwrap();
        let text = code.expose();
        assert_eq!(text.len(), 14);
        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [4, 4, 4]);
        assert_eq!(*normalised(&text.to_uppercase().replace('-', " ")), *normalised(text));
        assert_eq!(*normalised("OIL0-1111-1111"), "011011111111");
    }
}
