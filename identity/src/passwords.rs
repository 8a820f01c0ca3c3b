//! Passwords: Argon2id, off the threads that answer requests and a bounded number at once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio::sync::Semaphore;

use crate::secret::Secret;
use crate::vault::VaultError;
use crate::vault::wrapping::random;

/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most memory a stored hash may ask for.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
/// Most passes a stored hash may ask for.
const MAX_ITERATIONS: u32 = 64;

/// Common passwords that are long enough to pass otherwise, one a line, in lower case.
const COMMON: &str = include_str!("passwords/common.txt");
/// Rows of keys and alphabets: a password that is a stretch of one, repeated or not, is no secret.
const SEQUENCES: &[&str] =
    &["01234567890123456789", "98765432109876543210", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm"];

/// How passwords are hashed, and which are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// Memory of Argon2id in KiB.
    pub memory_kib: u32,
    /// Passes of Argon2id.
    pub iterations: u32,
    /// Lanes of Argon2id.
    pub parallelism: u32,
    /// Fewest characters of a new password.
    pub min_characters: usize,
    /// Most characters of a password.
    pub max_characters: usize,
    /// How many are hashed at once; `None`: two a processor.
    pub at_once: Option<usize>,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
            min_characters: 12,
            max_characters: 256,
            at_once: None,
        }
    }
}

/// Why a password is not taken as a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefusal {
    /// Too few characters.
    #[error("a password needs at least {0} characters")]
    TooShort(usize),
    /// Too many characters.
    #[error("a password has at most {0} characters")]
    TooLong(usize),
    /// It is the e-mail address or the name in it.
    #[error("a password must not be the e-mail address")]
    IsEmail,
    /// It is among the first that anybody tries.
    #[error("this password is too common")]
    TooCommon,
}

impl PasswordRefusal {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooShort(_) => "password.too_short",
            Self::TooLong(_) => "password.too_long",
            Self::IsEmail => "password.is_email",
            Self::TooCommon => "password.too_common",
        }
    }
}

/// Why a password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many wait for their turn.
    #[error("too many passwords are being checked")]
    Busy,
    /// The parameters are none of Argon2id.
    #[error("the parameters of the password hash: {0}")]
    Parameters(String),
    /// The stored hash is malformed.
    #[error("a stored password hash is corrupt")]
    Corrupt,
    /// The system failed.
    #[error("hashing failed: {0}")]
    Failed(String),
}

/// A password's hash as a PHC string.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// As the vault has it.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// For the vault.
    pub(crate) fn as_stored(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(…)")
    }
}

/// What a check said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// The password is right.
    Right {
        /// Its hash has other parameters than new ones get: hash it again while the password is at hand.
        is_outdated: bool,
    },
    /// It is wrong, or there was nothing to compare it with.
    Wrong,
}

impl Verified {
    /// Whether the password is right.
    pub fn is_right(self) -> bool {
        matches!(self, Self::Right { .. })
    }
}

/// Hashes and checks passwords. Cheap to clone; all clones share the bound.
#[derive(Clone)]
pub struct Passwords(Arc<Inner>);

struct Inner {
    policy: PasswordPolicy,
    params: Params,
    permits: Arc<Semaphore>,
    /// Checked where there is no hash, so that it takes the same time. No password has it.
    dummy: PasswordHash,
}

impl Passwords {
    /// With the parameters of a policy.
    pub fn new(policy: PasswordPolicy) -> Result<Self, PasswordError> {
        let params = Params::new(policy.memory_kib, policy.iterations, policy.parallelism, None)
            .map_err(|error| PasswordError::Parameters(error.to_string()))?;
        if policy.memory_kib > MAX_MEMORY_KIB || policy.iterations > MAX_ITERATIONS {
            return Err(PasswordError::Parameters("more memory or passes than a login may cost".to_owned()));
        }
        let failed = |error: VaultError| PasswordError::Failed(error.to_string());
        let salt = random::<16>().map_err(failed)?;
        let output = random::<32>().map_err(failed)?;
        let dummy = format!(
            "$argon2id$v=19$m={},t={},p={}${}${}",
            policy.memory_kib,
            policy.iterations,
            policy.parallelism,
            STANDARD_NO_PAD.encode(salt.as_slice()),
            STANDARD_NO_PAD.encode(output.as_slice()),
        );
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let at_once = policy.at_once.unwrap_or(processors.saturating_mul(2)).clamp(1, 1_000);
        let permits = Arc::new(Semaphore::new(at_once));
        Ok(Self(Arc::new(Inner { policy, params, permits, dummy: PasswordHash(dummy) })))
    }

    /// The policy.
    pub fn policy(&self) -> &PasswordPolicy {
        &self.0.policy
    }

    /// Whether a password may be chosen by the person with this address.
    pub fn check(&self, password: &Secret, email: &str) -> Result<(), PasswordRefusal> {
        let policy = &self.0.policy;
        let characters = password.expose().chars().count();
        if characters < policy.min_characters {
            return Err(PasswordRefusal::TooShort(policy.min_characters));
        }
        if characters > policy.max_characters {
            return Err(PasswordRefusal::TooLong(policy.max_characters));
        }
        let lower = Secret::new(password.expose().trim().to_lowercase());
        let email = email.trim().to_lowercase();
        let name = email.split('@').next().unwrap_or_default();
        if lower.expose() == email || (!name.is_empty() && lower.expose() == name) {
            return Err(PasswordRefusal::IsEmail);
        }
        if is_common(lower.expose()) {
            return Err(PasswordRefusal::TooCommon);
        }
        Ok(())
    }

    /// Hashes a password that [`Passwords::check`] took.
    pub async fn hash(&self, password: Secret) -> Result<PasswordHash, PasswordError> {
        let argon2 = self.argon2();
        self.aside(move || {
            let hash: phc::PasswordHash = argon2
                .hash_password(password.expose().as_bytes())
                .map_err(|error| PasswordError::Failed(error.to_string()))?;
            Ok(PasswordHash(hash.to_string()))
        })
        .await
    }

    /// Compares a password with a hash. Without one it takes the same time and is wrong.
    pub async fn verify(&self, password: Secret, hash: Option<&PasswordHash>) -> Result<Verified, PasswordError> {
        let argon2 = self.argon2();
        let is_known = hash.is_some();
        let hash = hash.unwrap_or(&self.0.dummy).clone();
        let policy = self.0.policy;
        if password.expose().chars().nth(policy.max_characters.saturating_mul(4)).is_some() {
            return Ok(Verified::Wrong);
        }
        self.aside(move || {
            let hash = phc::PasswordHash::new(hash.as_stored()).map_err(|_| PasswordError::Corrupt)?;
            let params = Params::try_from(&hash).map_err(|_| PasswordError::Corrupt)?;
            if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_ITERATIONS {
                return Err(PasswordError::Corrupt);
            }
            let is_right = argon2.verify_password(password.expose().as_bytes(), &hash).is_ok();
            if !(is_right && is_known) {
                return Ok(Verified::Wrong);
            }
            let is_outdated = hash.algorithm.as_str() != Algorithm::Argon2id.as_str()
                || (params.m_cost(), params.t_cost(), params.p_cost())
                    != (policy.memory_kib, policy.iterations, policy.parallelism);
            Ok(Verified::Right { is_outdated })
        })
        .await
    }

    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.0.params.clone())
    }

    /// Waits for its turn and works on a thread of its own. The turn lasts as long as the work, also where nobody
    /// waits for it any more.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.0.permits).acquire_owned()).await;
        let permit = turn.map_err(|_| PasswordError::Busy)?.map_err(|_| PasswordError::Busy)?;
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        })
        .await
        .map_err(|error| PasswordError::Failed(error.to_string()))?
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Passwords({:?})", self.0.policy)
    }
}

/// Whether a password in lower case is on the list, one short piece again and again, or a row of keys.
fn is_common(password: &str) -> bool {
    let characters: Vec<char> = password.chars().collect();
    let is_repeated = (1..=characters.len() / 3).any(|length| {
        characters.len().is_multiple_of(length) && characters.chunks(length).all(|piece| characters.starts_with(piece))
    });
    COMMON.lines().any(|common| common == password)
        || is_repeated
        || SEQUENCES.iter().any(|sequence| sequence.contains(password))
}

#[cfg(test)]
mod tests;
