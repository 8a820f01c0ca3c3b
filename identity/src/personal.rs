//! Personal fields, sealed with a key for each data subject.
//!
//! A sealed value is bound to organisation, subject and field: moved to another place it does not open. When the
//! subject's key is destroyed, all that was sealed with it says nothing any more.

pub use daybook_domain::personal::Personal;
use daybook_domain::personal::SEALED_PREFIX;
use daybook_ledger::LedgerId;

use crate::vault::{SubjectKeyState, Vault, VaultError, wrapping};

/// What sealed values are bound to besides organisation, subject and field.
const PURPOSE: &str = "daybook personal data v1";
/// Most bytes of a text that is sealed.
pub const MAX_PERSONAL_BYTES: usize = 48_000;
/// What is shown in place of an erased text.
pub const ERASED: &str = "erased";
/// What is shown in place of a text that does not open.
pub const UNREADABLE: &str = "unreadable";

/// What a sealed value says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The text.
    Text(String),
    /// Nothing any more: the subject's key was destroyed.
    Erased,
    /// Nothing, though its key was not destroyed: it was altered, stands in a field it was not made for, or the vault
    /// has lost the key.
    Unreadable,
}

impl Opened {
    /// The text, or a word that stands for its absence.
    pub fn shown(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Erased => ERASED,
            Self::Unreadable => UNREADABLE,
        }
    }

    /// [`Opened::shown`], owned.
    pub fn into_shown(self) -> String {
        match self {
            Self::Text(text) => text,
            other => other.shown().to_owned(),
        }
    }

    /// The text, if there is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Erased | Self::Unreadable => None,
        }
    }
}

/// Seals and opens the personal data of one organisation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PersonalData {
    vault: Vault,
    ledger: LedgerId,
}

impl PersonalData {
    /// For one organisation.
    pub fn new(vault: Vault, ledger: LedgerId) -> Self {
        Self { vault, ledger }
    }

    /// The organisation.
    pub fn ledger(&self) -> &LedgerId {
        &self.ledger
    }

    /// Seals a text about `subject` that is to stand in `field` (`user.email`, `session.client`): in no other will it
    /// open. Makes the subject's key if there is none; fails with [`VaultError::SubjectErased`] where it was destroyed.
    pub async fn seal(&self, subject: &str, field: &str, text: &str) -> Result<Personal, VaultError> {
        if text.len() > MAX_PERSONAL_BYTES {
            return Err(VaultError::TooLong { limit: MAX_PERSONAL_BYTES });
        }
        let key = self.vault.key_for_sealing(&self.ledger, subject).await?;
        let sealed = wrapping::seal(&key, &self.place(subject, field), text.as_bytes())?;
        Ok(Personal { subject: subject.to_owned(), sealed: format!("{SEALED_PREFIX}{sealed}") })
    }

    /// Opens one value.
    pub async fn open(&self, value: &Personal, field: &str) -> Result<Opened, VaultError> {
        let opened = self.open_many(&[(value, field)]).await?;
        Ok(opened.into_iter().next().unwrap_or(Opened::Unreadable))
    }

    /// Opens many values, each with its field; answers in their order. Keys that are not cached are read together.
    pub async fn open_many(&self, values: &[(&Personal, &str)]) -> Result<Vec<Opened>, VaultError> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let mut subjects: Vec<&str> = values.iter().map(|(value, _)| value.subject.as_str()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let keys = self.vault.subject_keys(&self.ledger, &subjects).await?;
        let open = |(value, field): &(&Personal, &str)| match keys.get(&value.subject) {
            Some(SubjectKeyState::Destroyed) => Opened::Erased,
            Some(SubjectKeyState::Present(key)) => self.open_with(key, value, field),
            None => {
                tracing::warn!(subject = %value.subject, field, "the vault has no key for a sealed text");
                Opened::Unreadable
            }
        };
        Ok(values.iter().map(open).collect())
    }

    fn open_with(&self, key: &[u8; 32], value: &Personal, field: &str) -> Opened {
        let text = value
            .sealed
            .strip_prefix(SEALED_PREFIX)
            .and_then(|sealed| wrapping::open(key, &self.place(&value.subject, field), sealed))
            .and_then(|clear| String::from_utf8(clear.to_vec()).ok());
        match text {
            Some(text) => Opened::Text(text),
            None => {
                tracing::warn!(subject = %value.subject, field, "a sealed text does not open");
                Opened::Unreadable
            }
        }
    }

    /// Destroys the key of a subject: see [`Vault::destroy_subject_key`].
    pub async fn destroy(&self, subject: &str, now: i64) -> Result<bool, VaultError> {
        self.vault.destroy_subject_key(&self.ledger, subject, now).await
    }

    /// Whether the subject's key was destroyed.
    pub async fn is_erased(&self, subject: &str) -> Result<bool, VaultError> {
        Ok(self.vault.subject_destroyed_at(&self.ledger, subject).await?.is_some())
    }

    fn place<'a>(&'a self, subject: &'a str, field: &'a str) -> [&'a str; 4] {
        [PURPOSE, self.ledger.as_str(), subject, field]
    }
}
