//! Exactly what is to be done, and its digest: what people approve is what is done, or it is not done.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::action_type::ActionType;
use crate::money::Money;
use crate::names::{Label, Word};
use crate::text::{InvalidField, Line, Paragraph};

/// Most parameters of an action.
pub const MAX_PARAMETERS: usize = 64;
/// Most changes that an action states.
pub const MAX_CHANGES: usize = 100;
/// Most bytes of everything that an action says.
pub const MAX_ACTION_BYTES: usize = 64 * 1024;
/// Most bytes of a parameter's name.
pub const MAX_PARAMETER_NAME: usize = 200;

/// What the digest of an action is derived under, so that it is the digest of nothing else.
const DIGEST_CONTEXT: &str = "daybook 2026-11 approval action v1";

/// One value that is to become another, for people to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What.
    pub field: Line,
    /// What it is now; nothing if it is to be added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Paragraph>,
    /// What it is to be; nothing if it is to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Paragraph>,
}

/// What is to be done. Two actions are the same where their digests are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Action {
    /// What sort of action.
    pub action: ActionType,
    /// What sort of thing it is done to.
    pub resource_type: Word,
    /// Which of them; a word for all of them where there is not one.
    pub resource_id: Line,
    /// Everything it depends on: filters, columns, a format.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// What it changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// What it is, in a line, for people. Not part of the digest.
    pub summary: Line,
    /// How much is at stake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// A mark on the thing that policies look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
}

crate::approval_policy::checked_when_read!(Action);

/// The sort of thing that a standing approval is for.
pub(crate) const STANDING_RESOURCE: &str = "export_schedule";

impl Action {
    /// An action without parameters, changes, amount and label.
    pub fn plain(action: ActionType, resource_type: Word, resource_id: Line, summary: Line) -> Self {
        let (parameters, changes) = (BTreeMap::new(), Vec::new());
        Self { action, resource_type, resource_id, parameters, changes, summary, amount: None, label: None }
    }

    /// The action of these parts, if it keeps the bounds; see [`Self::check`].
    #[expect(clippy::too_many_arguments, reason = "they are its fields, in their order")]
    pub fn new(
        action: ActionType,
        resource_type: Word,
        resource_id: Line,
        parameters: BTreeMap<String, String>,
        changes: Vec<Change>,
        summary: Line,
        amount: Option<Money>,
        label: Option<Label>,
    ) -> Result<Self, InvalidField> {
        Self { action, resource_type, resource_id, parameters, changes, summary, amount, label }.checked()
    }

    /// Whether it is not one thing but whatever a schedule does until a time.
    pub fn is_standing(&self) -> bool {
        self.resource_type.as_str() == STANDING_RESOURCE
    }

    /// The action as it is, if it keeps the bounds; see [`Self::check`].
    pub fn checked(self) -> Result<Self, InvalidField> {
        self.check("")?;
        Ok(self)
    }

    /// Whether it keeps the bounds: [`MAX_PARAMETERS`], [`MAX_CHANGES`], [`MAX_ACTION_BYTES`].
    pub fn check(&self, pointer: &str) -> Result<(), InvalidField> {
        let refuse = |field: &str, detail: String| Err(InvalidField::new(format!("{pointer}{field}"), detail));
        if self.parameters.len() > MAX_PARAMETERS {
            return refuse("/parameters", format!("has more than {MAX_PARAMETERS} members"));
        }
        if self.changes.len() > MAX_CHANGES {
            return refuse("/changes", format!("has more than {MAX_CHANGES} members"));
        }
        for (name, value) in &self.parameters {
            if name.is_empty() || name.len() > MAX_PARAMETER_NAME {
                return refuse("/parameters", format!("has a name that is not 1 to {MAX_PARAMETER_NAME} bytes"));
            }
            // No SQL text can hold it.
            if name.contains('\0') || value.contains('\0') {
                return refuse("/parameters", "must not contain the character U+0000".to_owned());
            }
        }
        let bytes = self.texts().map(str::len).fold(0_usize, usize::saturating_add);
        if bytes > MAX_ACTION_BYTES {
            return refuse("", format!("has {bytes} bytes of text, at most {MAX_ACTION_BYTES} are allowed"));
        }
        Ok(())
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        let parameters = self.parameters.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let changes = self.changes.iter().flat_map(|change| {
            let values = [&change.before, &change.after].into_iter().flatten();
            std::iter::once(change.field.as_str()).chain(values.map(Paragraph::as_str))
        });
        [self.resource_id.as_str(), self.summary.as_str()].into_iter().chain(parameters).chain(changes)
    }

    /// The digest of everything but the summary: BLAKE3 derived for this purpose, over each part with its length before
    /// it, so that no two actions can be written alike. Amounts count by value: 1.5 is 1.50.
    pub fn digest(&self) -> ActionDigest {
        let mut hasher = blake3::Hasher::new_derive_key(DIGEST_CONTEXT);
        put_text(&mut hasher, self.action.as_str());
        put_text(&mut hasher, self.resource_type.as_str());
        put_text(&mut hasher, self.resource_id.as_str());
        put_count(&mut hasher, self.parameters.len());
        for (name, value) in &self.parameters {
            put_text(&mut hasher, name);
            put_text(&mut hasher, value);
        }
        put_count(&mut hasher, self.changes.len());
        for change in &self.changes {
            put_text(&mut hasher, change.field.as_str());
            put_optional(&mut hasher, change.before.as_ref().map(Paragraph::as_str));
            put_optional(&mut hasher, change.after.as_ref().map(Paragraph::as_str));
        }
        let amount = self.amount.map(|money| format!("{} {}", money.amount().decimal().normalize(), money.currency()));
        put_optional(&mut hasher, amount.as_deref());
        put_optional(&mut hasher, self.label.as_ref().map(Label::as_str));
        ActionDigest(hasher.finalize().to_hex().to_string())
    }
}

/// A length or a number of parts, as eight bytes, the least significant first.
fn put_count(hasher: &mut blake3::Hasher, count: usize) {
    hasher.update(&u64::try_from(count).unwrap_or(u64::MAX).to_le_bytes());
}

fn put_text(hasher: &mut blake3::Hasher, text: &str) {
    put_count(hasher, text.len());
    hasher.update(text.as_bytes());
}

fn put_optional(hasher: &mut blake3::Hasher, text: Option<&str>) {
    put_count(hasher, usize::from(text.is_some()));
    if let Some(text) = text {
        put_text(hasher, text);
    }
}

/// The digest of an [`Action`]: 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ActionDigest(String);

impl ActionDigest {
    /// Checks the text that came at `pointer`.
    pub fn parse(pointer: &str, text: impl Into<String>) -> Result<Self, InvalidField> {
        let text = text.into();
        let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        if text.len() != 64 || !text.bytes().all(is_digit) {
            return Err(InvalidField::new(pointer, "must be 64 lower-case hexadecimal digits"));
        }
        Ok(Self(text))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ActionDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<ActionDigest> for String {
    fn from(digest: ActionDigest) -> Self {
        digest.0
    }
}

impl TryFrom<String> for ActionDigest {
    type Error = InvalidField;

    fn try_from(text: String) -> Result<Self, InvalidField> {
        Self::parse("", text)
    }
}
