//! The keys behind the tokens: kept in the vault, held in memory, read again when another process may have changed
//! them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::DecodePrivateKey as _;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{IssueError, RETIRED_KEY_GRACE, TokenRefusal};
use crate::vault::{JwtKeyRow, Vault, VaultError};

/// How old the keys in memory may grow. A key that another process made is signed with after that long.
const MOST_AGE: Duration = Duration::from_secs(30);
/// Tokens with keys that are not known make the keys be read again at most this often.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// What signs.
pub(super) struct SigningKey {
    pub kid: String,
    pub key: EncodingKey,
}

/// What verifies.
pub(super) struct VerifyingKey {
    key: DecodingKey,
    jwk: Value,
    created_at: i64,
    retired_at: Option<i64>,
}

impl VerifyingKey {
    /// True where `signature` (base64url) is this key's ES256 signature of `message`.
    pub fn verifies(&self, message: &str, signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.key, Algorithm::ES256).unwrap_or(false)
    }

    fn is_good(&self, now: i64) -> bool {
        let grace = i64::try_from(RETIRED_KEY_GRACE.as_micros()).unwrap_or(i64::MAX);
        self.retired_at.is_none_or(|retired_at| now < retired_at.saturating_add(grace))
    }
}

#[derive(Default)]
struct KeySet {
    verifying: HashMap<String, Arc<VerifyingKey>>,
    signing: Option<Arc<SigningKey>>,
    loaded_at: Option<Instant>,
}

impl KeySet {
    fn is_fresh(&self) -> bool {
        self.loaded_at.is_some_and(|loaded_at| loaded_at.elapsed() < MOST_AGE)
    }

    fn read(rows: &[JwtKeyRow]) -> Self {
        let mut set = Self { loaded_at: Some(Instant::now()), ..Self::default() };
        let mut newest: Option<&JwtKeyRow> = None;
        for row in rows {
            let Some(key) = verifying_key(row) else {
                tracing::error!(kid = row.kid, "a token key of the vault is not a P-256 key in PKCS#8");
                continue;
            };
            set.verifying.insert(row.kid.clone(), Arc::new(key));
            let is_newer = newest.is_none_or(|other| (other.created_at, &other.kid) < (row.created_at, &row.kid));
            if row.retired_at.is_none() && is_newer {
                newest = Some(row);
            }
        }
        set.signing = newest.and_then(|row| {
            let pem = row.private_key.expose().as_bytes();
            EncodingKey::from_ec_pem(pem).ok().map(|key| Arc::new(SigningKey { kid: row.kid.clone(), key }))
        });
        set
    }
}

fn verifying_key(row: &JwtKeyRow) -> Option<VerifyingKey> {
    let secret = p256::SecretKey::from_pkcs8_pem(row.private_key.expose()).ok()?;
    let point = secret.public_key().to_sec1_point(false);
    let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (x, y) = (coordinate(point.x()?), coordinate(point.y()?));
    Some(VerifyingKey {
        key: DecodingKey::from_ec_der(point.as_bytes()),
        jwk: json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": row.kid, "x": x, "y": y }),
        created_at: row.created_at,
        retired_at: row.retired_at,
    })
}

/// The keys of one installation.
pub(super) struct Keys {
    vault: Vault,
    set: ArcSwap<KeySet>,
    /// Held while the vault is read; when that was last tried.
    loading: Mutex<Option<Instant>>,
}

impl Keys {
    pub fn new(vault: Vault) -> Self {
        Self { vault, set: ArcSwap::default(), loading: Mutex::default() }
    }

    /// The key to sign with; makes the first one.
    pub async fn signing(&self, now: i64) -> Result<Arc<SigningKey>, IssueError> {
        self.refresh().await?;
        if let Some(key) = &self.set.load().signing {
            return Ok(Arc::clone(key));
        }
        let mut last_try = self.loading.lock().await;
        self.vault.ensure_jwt_key(now).await?;
        self.load(&mut last_try).await?;
        let set = self.set.load();
        set.signing.clone().ok_or_else(|| IssueError::Key("the vault kept no usable key".to_owned()))
    }

    /// The key with this id where it may still verify at `now`.
    pub async fn verifying(&self, kid: &str, now: i64) -> Result<Option<Arc<VerifyingKey>>, TokenRefusal> {
        let known = self.set.load().verifying.get(kid).cloned();
        let refreshed = match &known {
            Some(_) => self.refresh().await,
            None => self.look_again().await,
        };
        if let Err(error) = refreshed {
            tracing::error!(%error, "token keys cannot be read");
            // A key that was good does not become bad because the vault does not answer.
            if known.is_none() {
                return Err(TokenRefusal::Unavailable);
            }
        }
        Ok(self.set.load().verifying.get(kid).filter(|key| key.is_good(now)).cloned())
    }

    /// The public keys that verify at `now`, newest first.
    pub async fn published(&self, now: i64) -> Result<Vec<Value>, IssueError> {
        self.signing(now).await?;
        let set = self.set.load();
        let mut keys: Vec<_> = set.verifying.values().filter(|key| key.is_good(now)).collect();
        keys.sort_by_key(|key| std::cmp::Reverse(key.created_at));
        Ok(keys.into_iter().map(|key| key.jwk.clone()).collect())
    }

    /// Makes a new key and retires the others.
    pub async fn rotate(&self, now: i64) -> Result<String, IssueError> {
        let mut last_try = self.loading.lock().await;
        let kid = self.vault.rotate_jwt_key(now).await?.kid;
        tracing::info!(kid, "a new key signs access tokens");
        self.load(&mut last_try).await?;
        Ok(kid)
    }

    /// Reads the keys where they have grown old. One caller does; the others go on with what there is.
    async fn refresh(&self) -> Result<(), VaultError> {
        let set = self.set.load();
        if set.is_fresh() {
            return Ok(());
        }
        let mut last_try = match (self.loading.try_lock(), set.loaded_at) {
            (Ok(guard), _) => guard,
            (Err(_), Some(_)) => return Ok(()),
            (Err(_), None) => self.loading.lock().await,
        };
        if self.set.load().is_fresh() { Ok(()) } else { self.load(&mut last_try).await }
    }

    /// Reads the keys for one that is not known, unless that was done a moment ago.
    async fn look_again(&self) -> Result<(), VaultError> {
        let mut last_try = self.loading.lock().await;
        if last_try.is_some_and(|last_try| last_try.elapsed() < LEAST_PAUSE) {
            return Ok(());
        }
        self.load(&mut last_try).await
    }

    async fn load(&self, last_try: &mut Option<Instant>) -> Result<(), VaultError> {
        // Only an answer counts: after a failure the next one who needs the keys asks again.
        *last_try = None;
        let rows = self.vault.jwt_keys().await?;
        *last_try = Some(Instant::now());
        self.set.store(Arc::new(KeySet::read(&rows)));
        Ok(())
    }
}
