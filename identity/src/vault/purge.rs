//! Forgetting what is over, a bounded number of rows at a time.

use super::{Vault, VaultError};

const DAY: i64 = 86_400_000_000;
/// How long a session that is over is kept: uses of its refresh tokens are told from inventions until then.
const SESSIONS_KEPT: i64 = 30 * DAY;
/// How long counters of failures are kept after the last one.
const THROTTLE_KEPT: i64 = 2 * DAY;
/// How long a retired signing key is kept: far longer than any token it signed.
const JWT_KEYS_KEPT: i64 = DAY;

/// How many rows were removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// One-time tokens that expired.
    pub one_time_tokens: u64,
    /// Refresh tokens of sessions long over.
    pub refresh_tokens: u64,
    /// Sessions long over.
    pub sessions: u64,
    /// Counters of failures long ago.
    pub throttles: u64,
    /// Signing keys retired long ago.
    pub jwt_keys: u64,
    /// Secrets of API keys that a rotation replaced.
    pub api_key_digests: u64,
}

impl Purged {
    /// All of them.
    pub fn total(&self) -> u64 {
        [self.one_time_tokens, self.refresh_tokens, self.sessions, self.throttles, self.jwt_keys, self.api_key_digests]
            .iter()
            .sum()
    }
}

impl Vault {
    /// Removes what is over, at most `limit` rows of each kind. To be called again, at once where anything reached the
    /// limit and otherwise after minutes. Any process may.
    pub async fn purge(&self, now: i64, limit: u32) -> Result<Purged, VaultError> {
        let limit = i64::from(limit.max(1));
        let sessions_over = now.saturating_sub(SESSIONS_KEPT);
        Ok(Purged {
            one_time_tokens: self
                .remove(
                    "delete from vault_one_time_tokens where token_digest in \
                     (select token_digest from vault_one_time_tokens where expires_at <= $1 limit $2)",
                    now,
                    limit,
                )
                .await?,
            refresh_tokens: self
                .remove(
                    "delete from vault_refresh_tokens where token_digest in \
                     (select t.token_digest from vault_refresh_tokens t join vault_sessions s \
                     on s.ledger_id = t.ledger_id and s.session_id = t.session_id \
                     where s.expires_at <= $1 or s.ended_at <= $1 limit $2)",
                    sessions_over,
                    limit,
                )
                .await?,
            sessions: self
                .remove(
                    "delete from vault_sessions where (ledger_id, session_id) in \
                     (select s.ledger_id, s.session_id from vault_sessions s where (s.expires_at <= $1 \
                     or s.ended_at <= $1) and not exists (select 1 from vault_refresh_tokens t \
                     where t.ledger_id = s.ledger_id and t.session_id = s.session_id) limit $2)",
                    sessions_over,
                    limit,
                )
                .await?,
            throttles: self
                .remove(
                    "delete from vault_throttle where key_digest in (select key_digest from vault_throttle \
                     where updated_at <= $1 and (locked_until is null or locked_until <= $1) limit $2)",
                    now.saturating_sub(THROTTLE_KEPT),
                    limit,
                )
                .await?,
            jwt_keys: self
                .remove(
                    "delete from vault_jwt_keys where kid in \
                     (select kid from vault_jwt_keys where retired_at <= $1 limit $2)",
                    now.saturating_sub(JWT_KEYS_KEPT),
                    limit,
                )
                .await?,
            api_key_digests: self
                .remove(
                    "delete from vault_api_key_digests where (key_id, digest) in \
                     (select key_id, digest from vault_api_key_digests where valid_until <= $1 limit $2)",
                    now,
                    limit,
                )
                .await?,
        })
    }

    async fn remove(&self, sql: &'static str, until: i64, limit: i64) -> Result<u64, VaultError> {
        self.database().write(sqlx::query(sql).bind(until).bind(limit)).await
    }
}
