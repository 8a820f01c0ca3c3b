//! Counting failures, so that guessing gets slower: for all processes together.

use daybook_ledger::LedgerId;
use sqlx::{AnyConnection, Row as _};

use super::wrapping::Digest;
use super::{Vault, VaultError};

/// What failures are counted for: an account, an address. The value itself is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThrottleKey(Digest);

/// When to lock and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottlePolicy {
    /// Failures within the window that lock.
    pub failures: u32,
    /// The window in microseconds, from the first failure in it.
    pub window: i64,
    /// The first lock in microseconds; each further one is twice as long.
    pub first_lock: i64,
    /// The longest lock in microseconds. After as long a time without failures the first lock is the next.
    pub longest_lock: i64,
}

impl Default for ThrottlePolicy {
    /// Five failures in fifteen minutes lock for one minute, then two, and so on up to an hour.
    fn default() -> Self {
        const MINUTE: i64 = 60_000_000;
        Self { failures: 5, window: 15 * MINUTE, first_lock: MINUTE, longest_lock: 60 * MINUTE }
    }
}

impl ThrottlePolicy {
    /// How long the lock after `lockouts` earlier ones is.
    fn lock(&self, lockouts: i64) -> i64 {
        let doublings = u32::try_from(lockouts.clamp(0, 62)).unwrap_or(62);
        let factor = 1_i64.checked_shl(doublings).unwrap_or(i64::MAX);
        self.first_lock.saturating_mul(factor).min(self.longest_lock)
    }
}

/// The counters of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counters {
    failures: i64,
    window_started_at: i64,
    lockouts: i64,
    locked_until: Option<i64>,
    updated_at: i64,
}

impl Counters {
    fn after_failure(self, now: i64, policy: &ThrottlePolicy) -> Self {
        let lock = self.locked_until.filter(|until| now < *until);
        if lock.is_some() {
            // Guesses while it is locked were not looked at and count for nothing.
            return self;
        }
        let quiet_since = self.locked_until.unwrap_or(self.updated_at).max(self.updated_at);
        let lockouts = if now.saturating_sub(quiet_since) >= policy.longest_lock { 0 } else { self.lockouts };
        let is_in_window = self.failures > 0 && now.saturating_sub(self.window_started_at) < policy.window;
        let failures = if is_in_window { self.failures.saturating_add(1) } else { 1 };
        let window_started_at = if is_in_window { self.window_started_at } else { now };
        if failures < i64::from(policy.failures.max(1)) {
            return Self { failures, window_started_at, lockouts, locked_until: None, updated_at: now };
        }
        Self {
            failures: 0,
            window_started_at: now,
            lockouts: lockouts.saturating_add(1),
            locked_until: Some(now.saturating_add(policy.lock(lockouts))),
            updated_at: now,
        }
    }
}

impl Vault {
    /// What failures of `what` (`login.account`, `login.address`) with `value` are counted under.
    pub fn throttle_key(&self, what: &str, ledger: &LedgerId, value: &str) -> ThrottleKey {
        ThrottleKey(self.wrapping().throttle(what, ledger, value))
    }

    /// Counts a failure; answers until when the key is locked, if it is now.
    pub async fn failure(
        &self,
        key: &ThrottleKey,
        now: i64,
        policy: &ThrottlePolicy,
    ) -> Result<Option<i64>, VaultError> {
        let digest = hex::encode(key.0);
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        // The row is made first, so that there is one to lock.
        let sql = "insert into vault_throttle (key_digest, failures, window_started_at, lockouts, updated_at) \
             values ($1, 0, $2, 0, $2) on conflict (key_digest) do nothing";
        sqlx::query(sql).bind(&digest).bind(now).execute(&mut *connection).await?;
        let sql = format!(
            "select failures, window_started_at, lockouts, locked_until, updated_at from vault_throttle \
             where key_digest = $1{}",
            self.database().for_update()
        );
        let row = sqlx::query(&sql).bind(&digest).fetch_one(&mut *connection).await?;
        let counters = Counters {
            failures: row.try_get("failures")?,
            window_started_at: row.try_get("window_started_at")?,
            lockouts: row.try_get("lockouts")?,
            locked_until: row.try_get("locked_until")?,
            updated_at: row.try_get("updated_at")?,
        };
        let counters = counters.after_failure(now, policy);
        let sql = "update vault_throttle set failures = $2, window_started_at = $3, lockouts = $4, locked_until = $5, \
             updated_at = $6 where key_digest = $1";
        sqlx::query(sql)
            .bind(&digest)
            .bind(counters.failures)
            .bind(counters.window_started_at)
            .bind(counters.lockouts)
            .bind(counters.locked_until)
            .bind(counters.updated_at)
            .execute(&mut *connection)
            .await?;
        transaction.commit().await?;
        Ok(counters.locked_until)
    }

    /// Forgets the failures. For what belongs to one person only: an address has others behind it.
    pub async fn success(&self, key: &ThrottleKey) -> Result<(), VaultError> {
        // Nearly always there is nothing to forget, and looking costs less than writing.
        let sql = "select key_digest from vault_throttle where key_digest = $1";
        let digest = hex::encode(key.0);
        if sqlx::query(sql).bind(&digest).fetch_optional(self.database().readers()).await?.is_some() {
            let sql = "delete from vault_throttle where key_digest = $1";
            self.database().write(sqlx::query(sql).bind(&digest)).await?;
        }
        Ok(())
    }

    /// Until when the key is locked, if it is.
    pub async fn locked_until(&self, key: &ThrottleKey, now: i64) -> Result<Option<i64>, VaultError> {
        let sql = "select locked_until from vault_throttle where key_digest = $1 and locked_until > $2";
        let query = sqlx::query(sql).bind(hex::encode(key.0)).bind(now);
        let row = query.fetch_optional(self.database().readers()).await?;
        Ok(row.map(|row| row.try_get("locked_until")).transpose()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: ThrottlePolicy = ThrottlePolicy { failures: 3, window: 100, first_lock: 10, longest_lock: 1_000 };

    #[test]
    fn the_last_failure_allowed_in_the_window_locks_and_the_next_lock_is_twice_as_long() {
        let mut counters = Counters::default();
        let mut locks = Vec::new();
        let mut now = 5_000;
        for _ in 0..9 {
            counters = counters.after_failure(now, &POLICY);
            if let Some(until) = counters.locked_until {
                locks.push(until - now);
                now = until;
            } else {
                now += 1;
            }
        }
        assert_eq!(locks, [10, 20, 40]);
    }

    #[test]
    fn failures_outside_the_window_are_forgotten() {
        let mut counters = Counters::default();
        for now in [1_000, 1_050, 1_100, 1_199] {
            counters = counters.after_failure(now, &POLICY);
            assert_eq!(counters.locked_until, None, "at {now}");
        }
        assert_eq!(counters.after_failure(1_199, &POLICY).locked_until, Some(1_209));
    }

    #[test]
    fn a_lock_is_not_made_longer_by_guesses_during_it_and_never_longer_than_the_longest() {
        let locked =
            Counters { lockouts: 40, failures: 2, window_started_at: 5_000, updated_at: 5_000, ..Counters::default() };
        let locked = locked.after_failure(5_000, &POLICY);
        assert_eq!(locked.locked_until, Some(6_000));
        assert_eq!(locked.after_failure(5_500, &POLICY), locked);
        let later = locked.after_failure(7_000, &POLICY);
        assert_eq!((later.lockouts, later.locked_until), (0, None));
    }
}
