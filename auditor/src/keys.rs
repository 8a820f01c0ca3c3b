//! The auditor's own list of keys: whose signatures count, and from when until when.
//!
//! One verifier key a line, with an optional ` from=<RFC 3339>` and ` until=<RFC 3339>`; lines that begin with `#` and
//! empty lines are passed over; a PEM block `PUBLIC KEY` stands for a key whose name is the origin of the checkpoint it
//! is used on. A key that is not in this list is never trusted, whatever the ledger says of it.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::verifier_key::{Algorithm, KeyError, PublicKey, VerifierKey};

/// Most bytes a keys file may have.
pub const MAX_KEYS_BYTES: usize = 1 << 20;
/// Most keys in a keys file.
pub const MAX_KEYS: usize = 1_000;
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";

/// Why a keys file cannot be used. A file with one bad line is refused as a whole: half a list of keys is another list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Not UTF-8.
    #[error("the keys file is not UTF-8")]
    NotUtf8,
    /// Over the bounds.
    #[error("the keys file is longer than {MAX_KEYS_BYTES} bytes or {MAX_KEYS} keys")]
    TooLong,
    /// A line that is no key.
    #[error("keys file, line {line}: {error}")]
    Key {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        error: KeyError,
    },
    /// A line with something after the key that is neither `from=` nor `until=` with a time.
    #[error("keys file, line {line}: {detail}")]
    Option {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        detail: String,
    },
    /// There is no key in it.
    #[error("the keys file holds no key")]
    Empty,
}

/// When a key's signatures count. Microseconds since 1970-01-01T00:00:00Z; `from` counts, `until` does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Validity {
    /// First moment.
    pub from: Option<i64>,
    /// First moment after.
    pub until: Option<i64>,
}

impl Validity {
    /// Whether its signatures cease to count: then one of unknown time says nothing. A beginning alone is none: whoever
    /// has the key now could have signed since.
    pub fn ends(&self) -> bool {
        self.until.is_some()
    }

    /// Whether a moment lies within.
    pub fn covers(&self, moment: i64) -> bool {
        self.from.is_none_or(|from| moment >= from) && self.until.is_none_or(|until| moment < until)
    }
}

/// A key the auditor trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    name: Option<String>,
    public: PublicKey,
    /// When its signatures count.
    pub validity: Validity,
}

impl TrustedKey {
    /// The key as the signer of checkpoints of this origin, if it may sign them.
    pub fn for_origin(&self, origin: &str) -> Option<VerifierKey> {
        match &self.name {
            Some(name) if name != origin => None,
            _ => Some(VerifierKey::of_log(origin, self.public.clone())),
        }
    }

    /// The name it is bound to, none for a key given as PEM.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// All keys the auditor trusts to sign checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedKeys {
    keys: Vec<TrustedKey>,
}

impl TrustedKeys {
    /// Parses a keys file.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeysError> {
        if bytes.len() > MAX_KEYS_BYTES {
            return Err(KeysError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| KeysError::NotUtf8)?;
        let mut keys = Vec::new();
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            let (number, line) = (index + 1, line.trim());
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if keys.len() >= MAX_KEYS {
                return Err(KeysError::TooLong);
            }
            if line == PEM_BEGIN {
                let mut pem = format!("{PEM_BEGIN}\n");
                for (_, line) in lines.by_ref() {
                    pem.push_str(line.trim());
                    pem.push('\n');
                    if line.trim() == PEM_END {
                        break;
                    }
                }
                let public = PublicKey::from_pem(&pem).map_err(|error| KeysError::Key { line: number, error })?;
                keys.push(TrustedKey { name: None, public, validity: Validity::default() });
                continue;
            }
            keys.push(key_line(line, number)?);
        }
        if keys.is_empty() { Err(KeysError::Empty) } else { Ok(Self { keys }) }
    }

    /// Adds a log's key without limits, as a witness policy names one.
    pub fn add(&mut self, key: &VerifierKey) {
        let added = TrustedKey {
            name: Some(key.name().to_owned()),
            public: key.public_key().clone(),
            validity: Validity::default(),
        };
        // A key that is listed with limits keeps them.
        if !self.keys.iter().any(|known| known.public == added.public && known.name == added.name) {
            self.keys.push(added);
        }
    }

    /// Takes over another file's keys.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
    }

    /// All of them.
    pub fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }

    /// Those that may sign checkpoints of this origin.
    pub fn for_origin(&self, origin: &str) -> Vec<(VerifierKey, Validity)> {
        self.keys.iter().filter_map(|key| Some((key.for_origin(origin)?, key.validity))).collect()
    }

    /// The file again, one line a key that has a name.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for key in &self.keys {
            let Some(verifier) = key.name.as_deref().and_then(|name| key.for_origin(name)) else { continue };
            text.push_str(&verifier.to_string());
            for (option, moment) in [("from", key.validity.from), ("until", key.validity.until)] {
                if let Some(moment) = moment.and_then(DateTime::<Utc>::from_timestamp_micros) {
                    text.push_str(&format!(" {option}={}", moment.to_rfc3339_opts(SecondsFormat::Micros, true)));
                }
            }
            text.push('\n');
        }
        text
    }
}

fn key_line(line: &str, number: usize) -> Result<TrustedKey, KeysError> {
    let refuse = |detail: String| KeysError::Option { line: number, detail };
    let mut words = line.split_ascii_whitespace();
    let key =
        VerifierKey::parse(words.next().unwrap_or_default()).map_err(|error| KeysError::Key { line: number, error })?;
    if key.algorithm() == Algorithm::CosignatureV1 {
        return Err(refuse("this is a witness's key: it belongs in the witness policy".to_owned()));
    }
    let mut validity = Validity::default();
    for word in words {
        let (option, value) = word.split_once('=').ok_or_else(|| refuse(format!("unknown option {word:?}")))?;
        let slot = match option {
            "from" => &mut validity.from,
            "until" => &mut validity.until,
            _ => return Err(refuse(format!("unknown option {option:?}"))),
        };
        let moment = DateTime::parse_from_rfc3339(value)
            .map_err(|_| refuse(format!("{option}={value:?} is not an RFC 3339 time")))?;
        if slot.replace(moment.timestamp_micros()).is_some() {
            return Err(refuse(format!("{option} stands twice")));
        }
    }
    if let (Some(from), Some(until)) = (validity.from, validity.until)
        && from >= until
    {
        return Err(refuse("until is not after from".to_owned()));
    }
    Ok(TrustedKey { name: Some(key.name().to_owned()), public: key.public_key().clone(), validity })
}
