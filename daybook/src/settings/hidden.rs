//! Text from flags, environment or file that is never printed: tokens, passwords, keys.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use zeroize::Zeroizing;

/// A secret as it was configured. Wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Hidden(Zeroizing<String>);

impl Hidden {
    /// The text itself. Whoever takes it keeps it as secret as this.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True where nothing was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Hidden {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl FromStr for Hidden {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hidden(…)")
    }
}

/// The environment variable `name` as a secret, where it is set and not empty.
pub fn from_environment(name: &str) -> Option<Hidden> {
    std::env::var(name).ok().map(Hidden::from).filter(|secret| !secret.expose().trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_not_printed() {
        let secret = Hidden::from("hunter2");
        assert_eq!((format!("{secret:?}").as_str(), secret.expose()), ("Hidden(…)", "hunter2"));
    }
}
