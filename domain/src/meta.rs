//! The client's own further fields of a record: a bounded JSON object that Daybook keeps and does not interpret.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::text::InvalidField;

/// Most bytes the object may have when written as JSON.
pub const MAX_META_BYTES: usize = 16 * 1024;
/// Most levels of objects and arrays, the outermost included.
pub const MAX_META_DEPTH: usize = 8;

/// A client's further fields: at most [`MAX_META_BYTES`] and [`MAX_META_DEPTH`], no NUL characters (which no SQL text
/// can hold). Compared as JSON values: the order of keys means nothing.
///
/// Whole numbers are exact in the range of `i64` and `u64`, larger ones are refused; fractions are IEEE doubles, read to the nearest one
/// (`serde_json`'s `float_roundtrip`), so that what was stored reads back as it was. Money does not belong here.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct Meta(Map<String, Value>);

impl Meta {
    /// Checks the object that came at `pointer`.
    pub fn parse(pointer: &str, fields: Map<String, Value>) -> Result<Self, InvalidField> {
        let refuse = |detail: String| InvalidField::new(pointer, detail);
        for (key, value) in &fields {
            check_key(key).map_err(refuse)?;
            check_value(value, 2).map_err(refuse)?;
        }
        let bytes = serde_json::to_vec(&fields).map_err(|error| refuse(error.to_string()))?.len();
        if bytes > MAX_META_BYTES {
            return Err(refuse(format!("has {bytes} bytes as JSON, at most {MAX_META_BYTES} are allowed")));
        }
        Ok(Self(fields))
    }

    /// A few fields of ours, without fractions.
    pub(crate) fn composed<const N: usize>(fields: [(&str, Value); N]) -> Self {
        Self(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// The fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn check_text(text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err("must not contain the character U+0000".to_owned());
    }
    Ok(())
}

/// Names that the JSON library gives a meaning of its own: an object that has one could not be read back.
fn check_key(key: &str) -> Result<(), String> {
    if key.starts_with("$serde_json::private::") {
        return Err("must not contain a reserved name".to_owned());
    }
    check_text(key)
}

/// Checks the nesting and the texts of one value at `depth`.
fn check_value(value: &Value, depth: usize) -> Result<(), String> {
    if depth > MAX_META_DEPTH && (value.is_object() || value.is_array()) {
        return Err(format!("is nested deeper than {MAX_META_DEPTH} levels"));
    }
    match value {
        Value::String(text) => check_text(text),
        Value::Array(items) => items.iter().try_for_each(|item| check_value(item, depth + 1)),
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            check_key(key)?;
            check_value(value, depth + 1)
        }),
        Value::Number(number) => check_number(number),
        Value::Null | Value::Bool(_) => Ok(()),
    }
}

/// Beyond 2⁵³ doubles skip whole numbers, so that two different ones could become the same.
fn check_number(number: &Number) -> Result<(), String> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.is_f64() && number.as_f64().is_none_or(|value| value.abs() >= EXACT) {
        return Err("has a number too large to be kept exactly: send it as text".to_owned());
    }
    Ok(())
}

impl TryFrom<Map<String, Value>> for Meta {
    type Error = InvalidField;

    fn try_from(fields: Map<String, Value>) -> Result<Self, InvalidField> {
        Self::parse("/meta", fields)
    }
}

impl From<Meta> for Map<String, Value> {
    fn from(meta: Meta) -> Self {
        meta.0
    }
}

#[cfg(test)]
mod tests;
