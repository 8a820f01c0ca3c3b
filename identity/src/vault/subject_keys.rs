//! The keys of data subjects. Destroying one erases what was sealed with it, wherever that is.
//!
//! Unwrapped keys are cached. The vault counts destructions; a cached key is used while the count is the one it was
//! read at, and the count is at most [`KEY_CACHE_TRUST`] old. So a key destroyed by another process is out of use here
//! after that time, and one destroyed here at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use daybook_ledger::LedgerId;
use quick_cache::sync::Cache;
use sqlx::{AnyConnection, Row as _};
use zeroize::Zeroizing;

use super::wrapping::{Place, random};
use super::{Vault, VaultError, id};

/// How long a process goes on using cached keys without looking whether any was destroyed.
pub const KEY_CACHE_TRUST: Duration = Duration::from_millis(500);

const TABLE: &str = "vault_subject_keys";
const COUNT: &str = "destroyed_subjects";
/// Keys that are kept unwrapped.
const CACHED_KEYS: usize = 10_000;
/// Keys that are read with one query.
const KEYS_A_QUERY: usize = 200;

/// A subject's key, unwrapped.
pub(crate) type SubjectKey = Arc<Zeroizing<[u8; 32]>>;

/// What the vault knows about a subject.
#[derive(Clone)]
pub(crate) enum SubjectKeyState {
    /// It has a key.
    Present(SubjectKey),
    /// It had one, or would have got one.
    Destroyed,
}

#[derive(Clone)]
struct Cached {
    state: SubjectKeyState,
    destructions: u64,
}

#[derive(Default)]
struct Confirmed {
    destructions: u64,
    asked_at: Option<Instant>,
}

pub(super) struct KeyCache {
    keys: Cache<(String, String), Cached>,
    confirmed: Mutex<Confirmed>,
}

impl KeyCache {
    pub(super) fn new() -> Self {
        Self { keys: Cache::new(CACHED_KEYS), confirmed: Mutex::default() }
    }

    fn confirmed(&self) -> MutexGuard<'_, Confirmed> {
        self.confirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The count of destructions, if it was read a short while ago.
    fn recent(&self) -> Option<u64> {
        let confirmed = self.confirmed();
        confirmed.asked_at.filter(|asked_at| asked_at.elapsed() < KEY_CACHE_TRUST).map(|_| confirmed.destructions)
    }

    /// Takes note of a count that was asked for at `asked_at`; answers the highest one known.
    fn confirm(&self, destructions: u64, asked_at: Instant) -> u64 {
        let mut confirmed = self.confirmed();
        if destructions > confirmed.destructions {
            confirmed.destructions = destructions;
            self.keys.clear();
        }
        if destructions == confirmed.destructions {
            confirmed.asked_at = confirmed.asked_at.max(Some(asked_at));
        }
        confirmed.destructions
    }

    fn get(&self, ledger: &LedgerId, subject: &str, destructions: u64) -> Option<SubjectKeyState> {
        let cached = self.keys.get(&(ledger.as_str().to_owned(), subject.to_owned()))?;
        (cached.destructions == destructions).then_some(cached.state)
    }

    fn put(&self, ledger: &LedgerId, subject: &str, state: SubjectKeyState, destructions: u64) {
        let key = (ledger.as_str().to_owned(), subject.to_owned());
        self.keys.insert(key, Cached { state, destructions });
    }
}

impl Vault {
    /// Makes a key for a subject that has none; `false` if it has one. A destroyed one is never made again:
    /// [`VaultError::SubjectErased`].
    pub async fn create_subject_key(&self, ledger: &LedgerId, subject: &str) -> Result<bool, VaultError> {
        let key = random::<32>()?;
        let wrapped = self.wrapping().wrap(Place::new(TABLE, ledger.as_str(), subject), key.as_slice())?;
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        // Whoever destroys a key changes this row first: no key is made while one is destroyed.
        let sql = format!("select value from vault_values where name = $1{}", self.database().for_share());
        sqlx::query(&sql).bind(COUNT).fetch_optional(&mut *connection).await?;
        let sql = "select subject from vault_destroyed_subjects where ledger_id = $1 and subject = $2";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(id(subject));
        if query.fetch_optional(&mut *connection).await?.is_some() {
            return Err(VaultError::SubjectErased);
        }
        let sql = "insert into vault_subject_keys (ledger_id, subject, wrapped_key, created_at) \
             values ($1, $2, $3, $4) on conflict do nothing";
        let created = sqlx::query(sql)
            .bind(ledger.as_str())
            .bind(id(subject))
            .bind(wrapped)
            .bind(clock())
            .execute(&mut *connection)
            .await?
            .rows_affected();
        transaction.commit().await?;
        Ok(created == 1)
    }

    /// Destroys the key of a subject, for good; `false` if it was destroyed before. On SQLite no byte of the wrapped
    /// key is in the files afterwards. Where it fails with [`VaultError::Busy`] the key is gone and its bytes may not
    /// be: to be repeated.
    pub async fn destroy_subject_key(&self, ledger: &LedgerId, subject: &str, now: i64) -> Result<bool, VaultError> {
        let asked_at = Instant::now();
        let mut transaction = self.database().begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let sql = "insert into vault_values (name, value) values ($1, '1') on conflict (name) do update \
             set value = cast(cast(vault_values.value as bigint) + 1 as text) returning value";
        let row = sqlx::query(sql).bind(COUNT).fetch_one(&mut *connection).await?;
        let destructions = parse_count(&row.try_get::<String, _>("value")?)?;
        // The place is overwritten before it is given up.
        let noise = self.wrapping().wrap(Place::new(TABLE, "", ""), random::<32>()?.as_slice())?;
        let sql = "update vault_subject_keys set wrapped_key = $3 where ledger_id = $1 and subject = $2";
        sqlx::query(sql).bind(ledger.as_str()).bind(id(subject)).bind(noise).execute(&mut *connection).await?;
        let sql = "delete from vault_subject_keys where ledger_id = $1 and subject = $2";
        sqlx::query(sql).bind(ledger.as_str()).bind(id(subject)).execute(&mut *connection).await?;
        let sql = "insert into vault_destroyed_subjects (ledger_id, subject, destroyed_at) values ($1, $2, $3) \
             on conflict do nothing";
        let destroyed = sqlx::query(sql)
            .bind(ledger.as_str())
            .bind(id(subject))
            .bind(now)
            .execute(&mut *connection)
            .await?
            .rows_affected();
        transaction.commit().await?;
        self.keys().confirm(destructions, asked_at);
        self.database().scrub(&[TABLE]).await?;
        Ok(destroyed == 1)
    }

    /// When the key of a subject was destroyed, in microseconds since the epoch.
    pub async fn subject_destroyed_at(&self, ledger: &LedgerId, subject: &str) -> Result<Option<i64>, VaultError> {
        let sql = "select destroyed_at from vault_destroyed_subjects where ledger_id = $1 and subject = $2";
        let query = sqlx::query(sql).bind(ledger.as_str()).bind(id(subject));
        let row = query.fetch_optional(self.database().readers()).await?;
        Ok(row.map(|row| row.try_get("destroyed_at")).transpose()?)
    }

    /// The key of a subject, made if there is none.
    pub(crate) async fn key_for_sealing(&self, ledger: &LedgerId, subject: &str) -> Result<SubjectKey, VaultError> {
        let mut is_created = false;
        loop {
            match self.subject_keys(ledger, &[subject]).await?.remove(subject) {
                Some(SubjectKeyState::Present(key)) => return Ok(key),
                Some(SubjectKeyState::Destroyed) => return Err(VaultError::SubjectErased),
                None if is_created => return Err(VaultError::Corrupt(TABLE)),
                None => {
                    self.create_subject_key(ledger, subject).await?;
                    is_created = true;
                }
            }
        }
    }

    /// The keys of many subjects; one that never had a key is missing from the answer.
    pub(crate) async fn subject_keys(
        &self,
        ledger: &LedgerId,
        subjects: &[&str],
    ) -> Result<HashMap<String, SubjectKeyState>, VaultError> {
        let destructions = self.destructions().await?;
        let mut known = HashMap::with_capacity(subjects.len());
        let mut unknown: Vec<&str> = Vec::new();
        for subject in subjects {
            match self.keys().get(ledger, subject, destructions) {
                Some(state) => drop(known.insert((*subject).to_owned(), state)),
                None => unknown.push(subject),
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        for chunk in unknown.chunks(KEYS_A_QUERY) {
            for (subject, state) in self.read_subject_keys(ledger, chunk).await? {
                self.keys().put(ledger, &subject, state.clone(), destructions);
                known.insert(subject, state);
            }
        }
        Ok(known)
    }

    async fn read_subject_keys(
        &self,
        ledger: &LedgerId,
        subjects: &[&str],
    ) -> Result<Vec<(String, SubjectKeyState)>, VaultError> {
        let places: Vec<String> = (2..subjects.len().saturating_add(2)).map(|number| format!("${number}")).collect();
        let places = places.join(", ");
        let sql = format!(
            "select subject, wrapped_key from vault_subject_keys where ledger_id = $1 and subject in ({places}) \
             union all select subject, null from vault_destroyed_subjects where ledger_id = $1 and subject in ({places})"
        );
        let query =
            subjects.iter().fold(sqlx::query(&sql).bind(ledger.as_str()), |query, subject| query.bind(id(subject)));
        let rows = query.fetch_all(self.database().readers()).await?;
        let mut states = Vec::with_capacity(rows.len());
        for row in rows {
            let subject: String = row.try_get("subject")?;
            let state = match row.try_get::<Option<String>, _>("wrapped_key")? {
                None => SubjectKeyState::Destroyed,
                Some(wrapped) => {
                    let clear = self.wrapping().unwrap(Place::new(TABLE, ledger.as_str(), &subject), &wrapped)?;
                    let mut key = Zeroizing::new([0_u8; 32]);
                    if clear.len() != key.len() {
                        return Err(VaultError::Corrupt(TABLE));
                    }
                    key.copy_from_slice(&clear);
                    SubjectKeyState::Present(Arc::new(key))
                }
            };
            states.push((subject, state));
        }
        Ok(states)
    }

    /// How many keys were ever destroyed, at most [`KEY_CACHE_TRUST`] ago.
    async fn destructions(&self) -> Result<u64, VaultError> {
        if let Some(destructions) = self.keys().recent() {
            return Ok(destructions);
        }
        let asked_at = Instant::now();
        let sql = "select value from vault_values where name = $1";
        let row = sqlx::query(sql).bind(COUNT).fetch_optional(self.database().readers()).await?;
        let destructions = match row {
            None => 0,
            Some(row) => parse_count(&row.try_get::<String, _>("value")?)?,
        };
        Ok(self.keys().confirm(destructions, asked_at))
    }
}

fn parse_count(text: &str) -> Result<u64, VaultError> {
    text.parse().map_err(|_| VaultError::Corrupt("vault_values"))
}

/// When a key was made matters to nobody but an administrator who looks: the system's clock is good enough.
fn clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
