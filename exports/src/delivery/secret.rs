//! Secrets of destinations: where they are read from, and how they are kept from being shown.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// Most bytes of a file with a secret.
const MAX_SECRET_BYTES: usize = 64 * 1024;

/// A secret text. Wiped when it is dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Whoever takes it keeps it as secret as this.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Where a secret is: `{ file = "/run/secrets/key" }` or `{ environment = "NAME" }`. It does not stand in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// In a file, which may end with a line feed.
    File(PathBuf),
    /// In an environment variable.
    Environment(String),
}

impl SecretSource {
    /// Reads it. What is wrong is said without what was read.
    pub fn read(&self) -> Result<Secret, String> {
        let text = match self {
            Self::File(path) => {
                let bytes = crate::files::read_at_most(path, MAX_SECRET_BYTES)
                    .map_err(|error| format!("{}: {error}", path.display()))?
                    .map(Zeroizing::new)
                    .ok_or_else(|| format!("{} is too long for a secret", path.display()))?;
                let text = std::str::from_utf8(&bytes).map_err(|_| format!("{} is not UTF-8", path.display()))?;
                Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            Self::Environment(name) => {
                Zeroizing::new(std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))?)
            }
        };
        if text.trim().is_empty() {
            return Err("the secret is empty".to_owned());
        }
        Ok(Secret(text))
    }
}
