//! Pages of lists: newest first, found again by the position of the last item rather than by counting.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Items of a page where nothing is said.
pub const DEFAULT_LIMIT: u32 = 50;
/// Most items of a page.
pub const MAX_LIMIT: u32 = 500;
/// Most items that an offset skips; cursors reach everything.
pub const MAX_OFFSET: u64 = 1_000_000;
/// Most items that are counted for [`Page::total`].
pub const MAX_COUNTED: u64 = 1_000_000;

/// A place in a list: the items after it have smaller positions. Independent of the filter.
///
/// Prints and parses as opaque base64url text; serialises as the plain number for callers with their own encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub u64);

/// A text that is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this list")]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&URL_SAFE_NO_PAD.encode(format!("p{}", self.0)))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if text.len() > 64 {
            return Err(InvalidCursor);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let place = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_prefix('p')).ok_or(InvalidCursor)?;
        if !place.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidCursor);
        }
        place.parse().map(Cursor).map_err(|_| InvalidCursor)
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Most items; brought into 1 to [`MAX_LIMIT`].
    pub limit: u32,
    /// Only what comes after this place.
    pub cursor: Option<Cursor>,
    /// Items to skip from there; at most [`MAX_OFFSET`].
    pub offset: u64,
    /// True to have all matching items counted.
    pub count: bool,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: DEFAULT_LIMIT, cursor: None, offset: 0, count: false }
    }
}

impl PageRequest {
    pub(crate) fn bounded_limit(&self) -> u32 {
        self.limit.clamp(1, MAX_LIMIT)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page<T> {
    /// The items, newest first.
    pub items: Vec<T>,
    /// Where the next page starts; `None` where this is the last.
    #[serde(serialize_with = "as_text")]
    pub next_cursor: Option<Cursor>,
    /// How many items match in all, cursor and offset aside. `None` where it was not asked for or is more than
    /// [`MAX_COUNTED`].
    pub total: Option<u64>,
}

fn as_text<S: serde::Serializer>(cursor: &Option<Cursor>, serializer: S) -> Result<S::Ok, S::Error> {
    match cursor {
        Some(cursor) => serializer.collect_str(cursor),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_comes_back_as_it_went_and_nothing_else_is_one() {
        for place in [0, 17, u64::MAX] {
            assert_eq!(Cursor(place).to_string().parse(), Ok(Cursor(place)));
        }
        for text in ["", "17", "%%%", "cA", "cC0x", "cDE4NDQ2NzQ0MDczNzA5NTUxNjE2", &"A".repeat(2_000)] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
    }
}
