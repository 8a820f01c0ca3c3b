//! One optional field of a partial change: leave it, clear it, or set it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a partial change asks for one field. As JSON: absent keeps, `null` clears, a value sets
/// (with `#[serde(default)]` on the field).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Leave the field as it is.
    #[default]
    Keep,
    /// Make the field empty.
    Clear,
    /// Give the field this value.
    Set(T),
}

impl<T> Patch<T> {
    /// Whether the field is left as it is.
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// Converts the value, if there is one; for turning text from a request into a checked type.
    pub fn try_map<U, E>(self, convert: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(convert(value)?),
        })
    }

    /// The value the field is to have, or nothing if the field stays.
    pub fn requested(self) -> Option<Option<T>> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }
}

impl<T> From<Option<T>> for Patch<T> {
    /// A value sets, nothing keeps.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Keep, Self::Set)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    /// The reverse; a field that is kept is to be left out with `skip_serializing_if = "Patch::is_keep"`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep | Self::Clear => serializer.serialize_none(),
            Self::Set(value) => serializer.serialize_some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Body {
        #[serde(default, skip_serializing_if = "Patch::is_keep")]
        desk: Patch<String>,
    }

    fn desk(json: &str) -> Patch<String> {
        serde_json::from_str::<Body>(json).unwrap().desk
    }

    #[test]
    fn absent_keeps_null_clears_and_a_value_sets() {
        assert_eq!(desk("{}"), Patch::Keep);
        assert_eq!(desk(r#"{"desk":null}"#), Patch::Clear);
        assert_eq!(desk(r#"{"desk":"rates"}"#), Patch::Set("rates".to_owned()));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for json in ["{}", r#"{"desk":null}"#, r#"{"desk":"rates"}"#] {
            assert_eq!(serde_json::to_string(&Body { desk: desk(json) }).unwrap(), json);
        }
    }
}
