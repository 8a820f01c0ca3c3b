//! Pages of lists: how much, from where, and what is answered.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;

/// Items of a page where the client says nothing.
pub const DEFAULT_LIMIT: u32 = 50;
/// Most items of a page.
pub const MAX_LIMIT: u32 = 500;
/// Furthest that `offset` or `page` may skip; cursors reach everything.
pub const MAX_OFFSET: u64 = 1_000_000;
/// Most bytes of a cursor.
const MAX_CURSOR_BYTES: usize = 1_024;

/// The query parameters of a list. Flatten it into a list's own parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParameters {
    /// Most items to answer: 1 to 500, default 50.
    #[serde(default, deserialize_with = "number")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, example = 50)]
    pub limit: Option<u64>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Items to skip; not together with `cursor` or `page`.
    #[serde(default, deserialize_with = "number")]
    pub offset: Option<u64>,
    /// 1-based page; not together with `cursor` or `offset`.
    #[serde(default, deserialize_with = "number")]
    #[param(minimum = 1)]
    pub page: Option<u64>,
    /// Another name for `limit`, used with `page`.
    #[serde(default, deserialize_with = "number")]
    #[param(minimum = 1, maximum = 500)]
    pub page_size: Option<u64>,
    /// True to have all matching items counted in `total`.
    #[serde(default, deserialize_with = "truth")]
    #[param(value_type = Option<bool>)]
    pub count: bool,
}

/// Where a page starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// So many items in.
    Offset(u64),
    /// After the place of this cursor.
    Cursor(String),
}

/// Checked page parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Most items: 1 to 500.
    pub limit: u32,
    /// Where it starts.
    pub start: Start,
    /// True where `total` is asked for.
    pub count: bool,
}

impl PageParameters {
    /// Checks bounds and combinations; 400 names the parameter.
    pub fn page(&self) -> Result<Page, Problem> {
        let limit = match (self.limit, self.page_size) {
            (Some(limit), Some(size)) if limit != size => {
                return Err(fault("page_size", "must not differ from limit"));
            }
            (Some(limit), _) => bounded("limit", limit)?,
            (None, Some(size)) => bounded("page_size", size)?,
            (None, None) => DEFAULT_LIMIT,
        };
        let start = match (&self.cursor, self.offset, self.page) {
            (None, None, None) => Start::Offset(0),
            (Some(cursor), None, None) => Start::Cursor(cursor.clone()),
            (None, Some(offset), None) => Start::Offset(skipped("offset", offset)?),
            (None, None, Some(0)) => return Err(fault("page", "must be at least 1")),
            (None, None, Some(page)) => Start::Offset(skipped("page", (page - 1).saturating_mul(u64::from(limit)))?),
            _ => return Err(fault("cursor", "only one of cursor, offset and page can be given")),
        };
        Ok(Page { limit, start, count: self.count })
    }
}

impl Page {
    /// The place that the cursor stands for, if there is one; 400 where it is not one of ours.
    pub fn cursor<T: DeserializeOwned>(&self) -> Result<Option<T>, Problem> {
        match &self.start {
            Start::Offset(_) => Ok(None),
            Start::Cursor(cursor) => decode_cursor(cursor).map(Some),
        }
    }

    /// Items to skip; 0 with a cursor.
    pub fn offset(&self) -> u64 {
        match self.start {
            Start::Offset(offset) => offset,
            Start::Cursor(_) => 0,
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Listing<T> {
    /// The items.
    pub items: Vec<T>,
    /// Pass it as `cursor` for the next page; null where this is the last.
    pub next_cursor: Option<String>,
    /// How many items match in all, where it is cheap or asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// Writes a place in a list as an opaque cursor.
pub fn encode_cursor<T: Serialize>(place: &T) -> Result<String, Problem> {
    serde_json::to_vec(place).map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|error| Problem::internal(&error))
}

/// Reads a cursor back; 400 where it is not one of ours.
pub fn decode_cursor<T: DeserializeOwned>(cursor: &str) -> Result<T, Problem> {
    let malformed = || fault("cursor", "is not a cursor of this list");
    if cursor.len() > MAX_CURSOR_BYTES {
        return Err(malformed());
    }
    let json = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| malformed())?;
    serde_json::from_slice(&json).map_err(|_| malformed())
}

fn bounded(name: &'static str, value: u64) -> Result<u32, Problem> {
    u32::try_from(value)
        .ok()
        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
        .ok_or_else(|| fault(name, &format!("must be 1 to {MAX_LIMIT}")))
}

fn skipped(name: &'static str, offset: u64) -> Result<u64, Problem> {
    if offset > MAX_OFFSET {
        return Err(fault(name, &format!("must not skip more than {MAX_OFFSET} items; use cursor")));
    }
    Ok(offset)
}

fn fault(name: &str, detail: &str) -> Problem {
    let detail = detail.to_owned();
    Problem::bad_request("request.invalid_parameter", format!("query parameter {name}: {detail}"))
        .at(format!("?{name}"), detail)
}

/// Below `flatten` every parameter is text, so numbers are read from it here.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten().map(Some).ok_or_else(|| D::Error::custom("must be a whole number"))
}

fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(D::Error::custom("must be true or false")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn page_and_page_size_become_an_offset() {
        let parameters = PageParameters { page: Some(3), page_size: Some(20), ..Default::default() };
        assert_eq!(parameters.page().unwrap(), Page { limit: 20, start: Start::Offset(40), count: false });
    }

    #[test]
    fn contradicting_parameters_are_refused() {
        let parameters = PageParameters { page: Some(1), offset: Some(0), ..Default::default() };
        assert_eq!(parameters.page().unwrap_err().status(), 400);
        let parameters = PageParameters { limit: Some(1), page_size: Some(2), ..Default::default() };
        assert_eq!(parameters.page().unwrap_err().status(), 400);
        let parameters = PageParameters { page: Some(u64::MAX), ..Default::default() };
        assert_eq!(parameters.page().unwrap_err().status(), 400);
    }

    #[test]
    fn cursor_comes_back_as_it_went() {
        let cursor = encode_cursor(&(17_i64, "txn_1")).unwrap();
        assert_eq!(decode_cursor::<(i64, String)>(&cursor).unwrap(), (17, "txn_1".to_owned()));
        for bad in ["", "%%%", "bm9wZQ", &"A".repeat(2_000)] {
            assert_eq!(decode_cursor::<(i64, String)>(bad).unwrap_err().status(), 400);
        }
    }
}
