//! What a server process does: `all`, or some of `write`, `query`, `project`, `react`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// The parts of Daybook that one process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Roles {
    /// Takes commands.
    pub write: bool,
    /// Answers queries.
    pub query: bool,
    /// Folds entries into read tables.
    pub project: bool,
    /// Opens incidents by rule.
    pub react: bool,
}

impl Default for Roles {
    fn default() -> Self {
        Self { write: true, query: true, project: true, react: true }
    }
}

impl Roles {
    /// Whether the process appends to the ledger.
    pub fn appends(self) -> bool {
        self.write || self.react
    }

    /// Their names.
    pub fn names(self) -> Vec<&'static str> {
        [(self.write, "write"), (self.query, "query"), (self.project, "project"), (self.react, "react")]
            .into_iter()
            .filter_map(|(held, name)| held.then_some(name))
            .collect()
    }
}

impl FromStr for Roles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut roles = Self { write: false, query: false, project: false, react: false };
        for word in text.split(',').map(str::trim) {
            match word {
                "all" => roles = Self::default(),
                "write" => roles.write = true,
                "query" => roles.query = true,
                "project" => roles.project = true,
                "react" => roles.react = true,
                _ => return Err(format!("{word:?} is not a role: say all, or some of write,query,project,react")),
            }
        }
        Ok(roles)
    }
}

impl TryFrom<String> for Roles {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.names().join(","))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn roles_are_read_from_words() {
        assert_eq!("all".parse::<Roles>().unwrap(), Roles::default());
        assert_eq!("write, query".parse::<Roles>().unwrap().to_string(), "write,query");
        assert!("writer".parse::<Roles>().is_err());
        assert!("".parse::<Roles>().is_err());
    }
}
