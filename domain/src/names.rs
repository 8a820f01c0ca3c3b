//! Ids and names of people and of what they may do. All of them are opaque or public words: none can hold an address.

/// Most characters after the prefix of an id.
const MAX_ID_TAIL: usize = 64;
/// Most characters of a role's name.
const MAX_ROLE_NAME: usize = 63;
/// Most characters of a word.
const MAX_WORD: usize = 64;
/// Most characters of a permission's name.
const MAX_PERMISSION_NAME: usize = 100;

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.' | b'-')
}

/// A lower-case letter, then letters, digits, `_`, `.` and `-`.
fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(is_word_byte)
}

fn check_id(prefix: &str, text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    match text.strip_prefix(prefix) {
        Some(tail) if !tail.is_empty() && tail.len() <= MAX_ID_TAIL && tail.bytes().all(allowed) => Ok(()),
        _ => Err(format!("must be {prefix} and 1 to {MAX_ID_TAIL} lower-case letters, digits, _ and -")),
    }
}

fn check_role_name(text: &str) -> Result<(), String> {
    if text.len() > MAX_ROLE_NAME || !is_word(text) {
        return Err(format!(
            "must be a lower-case letter and then letters, digits, _, . and -, at most {MAX_ROLE_NAME} in all"
        ));
    }
    Ok(())
}

fn check_word(text: &str) -> Result<(), String> {
    if text.len() > MAX_WORD || !is_word(text) {
        return Err(format!(
            "must be a lower-case letter and then letters, digits, _, . and -, at most {MAX_WORD} in all"
        ));
    }
    Ok(())
}

fn check_permission_name(text: &str) -> Result<(), String> {
    let well_formed = match text.split_once(':') {
        Some((resource, action)) => is_word(resource) && is_word(action),
        None => is_word(text),
    };
    if text.len() > MAX_PERMISSION_NAME || !well_formed {
        return Err(format!(
            "must be a resource and an action such as incident:update, in at most {MAX_PERMISSION_NAME} characters"
        ));
    }
    Ok(())
}

/// Defines a type of text that is checked when it is made and again when it is read.
macro_rules! name_type {
    ($(#[$documentation:meta])* $name:ident, $check:expr) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the text that came at `pointer`.
            pub fn parse(
                pointer: &str,
                text: impl Into<String>,
            ) -> Result<Self, $crate::text::InvalidField> {
                let text = text.into();
                $check(&text).map_err(|detail: String| $crate::text::InvalidField::new(pointer, detail))?;
                Ok(Self(text))
            }

            /// As [`Self::parse`], for a field that may be absent.
            pub fn parse_optional(
                pointer: &str,
                text: Option<impl Into<String>>,
            ) -> Result<Option<Self>, $crate::text::InvalidField> {
                text.map(|text| Self::parse(pointer, text)).transpose()
            }

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::text::InvalidField;

            fn try_from(text: String) -> Result<Self, $crate::text::InvalidField> {
                Self::parse("", text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::text::InvalidField;

            fn from_str(text: &str) -> Result<Self, $crate::text::InvalidField> {
                Self::parse("", text)
            }
        }
    };
}

pub(crate) use name_type;

name_type!(
    /// The id of a person's account and of its stream: `usr_…`.
    UserId,
    |text: &str| check_id("usr_", text)
);
name_type!(
    /// The id of a department and of its stream: `dep_…`.
    DepartmentId,
    |text: &str| check_id("dep_", text)
);
name_type!(
    /// The public id of an API key and the id of its stream: `key_…`.
    ApiKeyId,
    |text: &str| check_id("key_", text)
);
name_type!(
    /// The id of a session and of its stream: `ses_…`.
    SessionId,
    |text: &str| check_id("ses_", text)
);
name_type!(
    /// The id of a legal hold and of its stream: `hld_…`.
    HoldId,
    |text: &str| check_id("hld_", text)
);
name_type!(
    /// The id of an erasure and of its stream: `era_…`.
    ErasureId,
    |text: &str| check_id("era_", text)
);
name_type!(
    /// The id of a request for approval and of its stream: `apr_…`.
    ApprovalId,
    |text: &str| check_id("apr_", text)
);
name_type!(
    /// The id of a delegation and of its stream: `dlg_…`.
    DelegationId,
    |text: &str| check_id("dlg_", text)
);
name_type!(
    /// The id of an export and of its stream: `exp_…`.
    ExportId,
    |text: &str| check_id("exp_", text)
);
name_type!(
    /// The id of a schedule of exports and of its stream: `sch_…`.
    ScheduleId,
    |text: &str| check_id("sch_", text)
);
name_type!(
    /// The id of one delivery of an export, and what a receiver knows its repetition by: `dlv_…`.
    DeliveryId,
    |text: &str| check_id("dlv_", text)
);
name_type!(
    /// The name of a place to which exports are delivered, as it is configured: `[a-z][a-z0-9_.-]{0,62}`.
    DestinationName,
    check_role_name
);
name_type!(
    /// One lower-case word, `[a-z][a-z0-9_.-]{0,63}`: what sort of thing a request is about.
    Word,
    check_word
);
name_type!(
    /// A mark on a thing that policies look at, `production`: `[a-z][a-z0-9_.-]{0,63}`.
    Label,
    check_word
);
name_type!(
    /// The name of a role and the id of its stream: `[a-z][a-z0-9_.-]{0,62}`.
    RoleName,
    check_role_name
);
name_type!(
    /// The name of a permission, `incident:update`, or of a scope that stands for several, `read`: at most 100
    /// characters, `[a-z][a-z0-9_.-]*` and the same again after a colon.
    PermissionName,
    check_permission_name
);

/// The roles that are code: they are in every organisation, cannot be changed, and their names cannot be taken.
/// `operator` is nobody's role: it is the name of whoever holds the operator's token.
pub const BUILT_IN_ROLES: &[&str] = &["owner", "admin", "compliance", "analyst", "viewer", "auditor", "operator"];

impl RoleName {
    /// `owner`: everything, and the organisation itself.
    pub fn owner() -> Self {
        Self("owner".to_owned())
    }

    /// `viewer`: what somebody may do who registered without being invited.
    pub fn viewer() -> Self {
        Self("viewer".to_owned())
    }

    /// Whether the role is code, see [`BUILT_IN_ROLES`].
    pub fn is_built_in(&self) -> bool {
        BUILT_IN_ROLES.contains(&self.as_str())
    }

    /// Whether it is `owner`.
    pub fn is_owner(&self) -> bool {
        self.as_str() == "owner"
    }

    /// Whether it is `auditor`, which is only ever granted for a time.
    pub fn is_auditor(&self) -> bool {
        self.as_str() == "auditor"
    }

    /// Whether it is `operator`, which nobody can be granted.
    pub fn is_operator(&self) -> bool {
        self.as_str() == "operator"
    }
}

#[cfg(test)]
mod tests;
