//! The witnesses of a policy file (C2SP tlog-policy): those that have a URL can be asked.
//!
//! What the file says of quorums is for verifiers; a ledger has every witness sign that it can reach.

use super::{Witness, WitnessKey};

/// Most bytes of a policy file.
const MOST_BYTES: usize = 1024 * 1024;

/// A policy file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessPolicyError {
    /// No policy is that long.
    #[error("it has more than {MOST_BYTES} bytes")]
    TooLong,
    /// A line that is not understood.
    #[error("line {line}: {why}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// The witnesses with a URL that a policy file names, in order.
pub fn witnesses_of_policy(text: &str) -> Result<Vec<Witness>, WitnessPolicyError> {
    if text.len() > MOST_BYTES {
        return Err(WitnessPolicyError::TooLong);
    }
    let mut witnesses = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        let refuse = |why: String| WitnessPolicyError::Line { line: index + 1, why };
        let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            ["log" | "group" | "quorum", _, ..] => {}
            ["witness", _, key, url @ ..] if url.len() <= 1 => {
                let key: WitnessKey = key.parse().map_err(|error| refuse(format!("{error}")))?;
                if let [url] = url {
                    witnesses.push(Witness::new(url, key).map_err(|error| refuse(error.to_string()))?);
                }
            }
            [first, ..] => return Err(refuse(format!("{first:?} begins no line of a policy, or words are missing"))),
        }
    }
    Ok(witnesses)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use ed25519_dalek::SigningKey;

    use super::*;

    #[test]
    fn witnesses_with_a_url_are_found() {
        let key = |name: &str, seed: u8| {
            WitnessKey::new(name, SigningKey::from_bytes(&[seed; 32]).verifying_key()).unwrap().to_string()
        };
        let text = format!(
            "# ours\nlog example.com/main+00000000+AQ==\nwitness one {} https://one.example/\n\
             witness\ttwo {}\n\ngroup both all one two\nquorum both\n",
            key("one.example", 1),
            key("two.example", 2)
        );
        let found = witnesses_of_policy(&text).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name(), found[0].url.as_str()), ("one.example", "https://one.example/add-checkpoint"));
    }

    #[test]
    fn misspelt_lines_are_refused_with_their_number() {
        for text in ["# a\nwitnes x", "\nwitness x", "\nwitness x key", "\nquorum"] {
            assert!(matches!(witnesses_of_policy(text), Err(WitnessPolicyError::Line { line: 2, .. })), "{text:?}");
        }
    }
}
