//! Witness policies (C2SP tlog-policy): which logs, which witnesses, and how many of them must have cosigned.

use std::collections::HashMap;

use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::verifier_key::{Algorithm, VerifierKey};

/// Most bytes a policy may have.
pub const MAX_POLICY_BYTES: usize = 1 << 20;
/// Most logs, witnesses and groups together.
pub const MAX_DEFINITIONS: usize = 1_000;

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Over the bounds.
    #[error("the policy is longer than {MAX_POLICY_BYTES} bytes or {MAX_DEFINITIONS} definitions")]
    TooLong,
    /// A line that does not hold.
    #[error("witness policy, line {line}: {detail}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        detail: String,
    },
    /// No quorum line.
    #[error("the witness policy has no quorum line")]
    NoQuorum,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Witness(Box<VerifierKey>),
    /// At least so many of the definitions at these places, all of which stand before this one.
    Group(usize, Vec<usize>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Definition {
    /// Opaque bytes; for people only.
    name: Vec<u8>,
    rule: Rule,
}

/// A policy whose references all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    definitions: Vec<Definition>,
    /// The definition that must have witnessed; none for `quorum none`.
    quorum: Option<usize>,
}

/// What a policy says about one checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Witnessed {
    /// The name on the quorum line.
    pub quorum: String,
    /// Whether it is reached.
    pub reached: bool,
    /// Every witness of the policy.
    pub witnesses: Vec<WitnessCheck>,
}

impl Witnessed {
    /// Witnesses in whose name a cosignature stands that does not verify.
    pub fn invalid(&self) -> impl Iterator<Item = &WitnessCheck> {
        self.witnesses.iter().filter(|witness| witness.invalid.is_some())
    }
}

/// What became of one witness's cosignature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WitnessCheck {
    /// Its name in the policy.
    pub witness: String,
    /// The name of its key.
    pub key_name: String,
    /// When it says it cosigned, in seconds since 1970-01-01T00:00:00Z. None where it did not.
    pub cosigned_at: Option<u64>,
    /// What is wrong with its cosignature.
    pub invalid: Option<String>,
}

impl Policy {
    /// Parses a policy file.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > MAX_POLICY_BYTES {
            return Err(PolicyError::TooLong);
        }
        let mut builder = Builder::default();
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let refuse = |detail: String| PolicyError::Line { line: index + 1, detail };
            if line.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
                return Err(refuse("control character".to_owned()));
            }
            let words: Vec<&[u8]> =
                line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty()).collect();
            if words.first().is_none_or(|word| word.starts_with(b"#")) {
                continue;
            }
            builder.line(&words).map_err(refuse)?;
            if builder.logs.len() + builder.definitions.len() > MAX_DEFINITIONS {
                return Err(PolicyError::TooLong);
            }
        }
        match builder.quorum {
            Some(quorum) => Ok(Self { logs: builder.logs, definitions: builder.definitions, quorum }),
            None => Err(PolicyError::NoQuorum),
        }
    }

    /// The logs that the policy accepts.
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// Whether enough witnesses cosigned a checkpoint.
    pub fn judge(&self, checkpoint: &Checkpoint) -> Witnessed {
        let mut held: Vec<bool> = Vec::with_capacity(self.definitions.len());
        let mut witnesses = Vec::new();
        for definition in &self.definitions {
            held.push(match &definition.rule {
                Rule::Witness(key) => {
                    let check = cosignature(checkpoint, key, &definition.name);
                    let cosigned = check.cosigned_at.is_some() && check.invalid.is_none();
                    witnesses.push(check);
                    cosigned
                }
                Rule::Group(needed, members) => {
                    members.iter().filter(|member| held.get(**member) == Some(&true)).count() >= *needed
                }
            });
        }
        let name = |place: usize| self.definitions.get(place).map(|definition| shown(&definition.name));
        Witnessed {
            quorum: self.quorum.map_or_else(|| Some("none".to_owned()), name).unwrap_or_default(),
            reached: self.quorum.is_none_or(|place| held.get(place) == Some(&true)),
            witnesses,
        }
    }
}

fn cosignature(checkpoint: &Checkpoint, key: &VerifierKey, name: &[u8]) -> WitnessCheck {
    let mut check =
        WitnessCheck { witness: shown(name), key_name: key.name().to_owned(), cosigned_at: None, invalid: None };
    for line in checkpoint.note().signatures().iter().filter(|line| key.matches(line)) {
        match key.verify(checkpoint.note().body(), &line.signature) {
            Ok(time) => check.cosigned_at = check.cosigned_at.max(time),
            Err(error) => check.invalid = Some(error.to_string()),
        }
    }
    check
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[derive(Default)]
struct Builder {
    logs: Vec<VerifierKey>,
    definitions: Vec<Definition>,
    places: HashMap<Vec<u8>, usize>,
    /// Places that are already a member of a group: a witness counts in one way only.
    grouped: Vec<usize>,
    /// Some once there was a quorum line.
    quorum: Option<Option<usize>>,
}

impl Builder {
    fn line(&mut self, words: &[&[u8]]) -> Result<(), String> {
        match words {
            [b"log", key] | [b"log", key, _] => {
                let key = parse_key(key)?;
                if key.algorithm() == Algorithm::CosignatureV1 {
                    return Err("a witness's key cannot sign for a log".to_owned());
                }
                if self.logs.iter().any(|known| known.public_key() == key.public_key()) {
                    return Err("the log's key stands twice".to_owned());
                }
                self.logs.push(key);
                Ok(())
            }
            [b"witness", name, key] | [b"witness", name, key, _] => {
                let key = parse_key(key)?;
                if key.algorithm() != Algorithm::CosignatureV1 {
                    return Err("a witness needs a key of signature type 0x04".to_owned());
                }
                let same = |known: &Definition| {
                    matches!(&known.rule, Rule::Witness(witness)
                    if witness.public_key() == key.public_key())
                };
                if self.definitions.iter().any(same) {
                    return Err("the witness's key stands twice".to_owned());
                }
                self.define(name, Rule::Witness(Box::new(key)))
            }
            [b"group", name, threshold, members @ ..] if !members.is_empty() => {
                let mut places = Vec::with_capacity(members.len());
                for member in members {
                    let place = self.place(member)?;
                    if self.grouped.contains(&place) {
                        return Err(format!("{:?} is already a member of a group", shown(member)));
                    }
                    self.grouped.push(place);
                    places.push(place);
                }
                let needed = threshold_of(threshold, places.len())?;
                self.define(name, Rule::Group(needed, places))
            }
            [b"quorum", name] => {
                let quorum = if *name == b"none" { None } else { Some(self.place(name)?) };
                match self.quorum.replace(quorum) {
                    Some(_) => Err("a second quorum line".to_owned()),
                    None => Ok(()),
                }
            }
            _ => Err("not a log, witness, group or quorum line".to_owned()),
        }
    }

    fn define(&mut self, name: &[u8], rule: Rule) -> Result<(), String> {
        if name == b"none" || self.places.insert(name.to_vec(), self.definitions.len()).is_some() {
            return Err(format!("the name {:?} is taken", shown(name)));
        }
        self.definitions.push(Definition { name: name.to_vec(), rule });
        Ok(())
    }

    fn place(&self, name: &[u8]) -> Result<usize, String> {
        self.places.get(name).copied().ok_or_else(|| format!("{:?} is not defined above", shown(name)))
    }
}

fn parse_key(word: &[u8]) -> Result<VerifierKey, String> {
    let text = std::str::from_utf8(word).map_err(|_| "the key is not UTF-8".to_owned())?;
    VerifierKey::parse(text).map_err(|error| error.to_string())
}

fn threshold_of(word: &[u8], members: usize) -> Result<usize, String> {
    let needed = match word {
        b"any" => Some(1),
        b"all" => Some(members),
        number => std::str::from_utf8(number)
            .ok()
            .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|number| number.parse().ok()),
    };
    needed
        .filter(|needed| (1..=members).contains(needed))
        .ok_or_else(|| "the group's number is out of range".to_owned())
}
