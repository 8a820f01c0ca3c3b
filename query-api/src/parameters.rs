//! Checking what the query string brings, so that nothing reaches SQL that it was not made for.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use daybook_http_kit::page::Start;
use daybook_http_kit::{PageParameters, Problem, query};
use daybook_read_models::PageRequest;
use daybook_read_models::amounts::parse_units;
use daybook_read_models::page::Cursor;
use serde::de::DeserializeOwned;

/// Most characters of a text filter.
pub const MAX_TEXT_CHARACTERS: usize = 1_000;
/// Most bytes of an id.
const MAX_ID_BYTES: usize = 200;

/// The parameters of [`PageParameters`].
const PAGE_NAMES: [&str; 6] = ["limit", "cursor", "offset", "page", "page_size", "count"];

/// The query of a list: its own filter, and the page.
///
/// The two are read apart, because a flattened page could not say which of its parameters is wrong.
#[derive(Debug)]
pub struct ListQuery<F> {
    /// What is looked for; denies unknown fields.
    pub filter: F,
    /// Which part of it.
    pub page: PageRequest,
}

impl<F: DeserializeOwned> FromRequest for ListQuery<F> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(split(request.query_string()))
    }
}

fn split<F: DeserializeOwned>(query_string: &str) -> Result<ListQuery<F>, Problem> {
    let (of_page, of_filter): (Vec<&str>, Vec<&str>) =
        query_string.split('&').partition(|pair| PAGE_NAMES.contains(&pair.split('=').next().unwrap_or_default()));
    let filter = query::parse(&of_filter.join("&"))?;
    let page = page(&query::parse(&of_page.join("&"))?)?;
    Ok(ListQuery { filter, page })
}

/// A 400 that names the parameter.
pub fn invalid(name: &str, detail: impl Into<String>) -> Problem {
    let detail = detail.into();
    Problem::bad_request("request.invalid_parameter", format!("query parameter {name}: {detail}"))
        .at(format!("?{name}"), detail)
}

/// A text filter. An empty one filters nothing, as the predecessors' forms expect.
pub fn text(name: &str, value: Option<String>) -> Result<Option<String>, Problem> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    if value.chars().count() > MAX_TEXT_CHARACTERS {
        return Err(invalid(name, format!("must have at most {MAX_TEXT_CHARACTERS} characters")));
    }
    // No SQL text can hold it.
    if value.contains('\0') {
        return Err(invalid(name, "must not have the character U+0000"));
    }
    Ok(Some(value))
}

/// A filter that takes one of a few words; `aliases` are further spellings of them.
pub fn word(
    name: &str,
    value: Option<String>,
    words: &[&str],
    aliases: &[(&str, &str)],
) -> Result<Option<String>, Problem> {
    let Some(value) = text(name, value)? else { return Ok(None) };
    let value = value.to_lowercase();
    let value = aliases.iter().find(|(alias, _)| *alias == value).map_or(value, |(_, meant)| (*meant).to_owned());
    if !words.contains(&value.as_str()) {
        return Err(invalid(name, format!("must be one of {}", words.join(", "))));
    }
    Ok(Some(value))
}

/// A filter that is true or false.
pub fn truth(name: &str, value: Option<String>) -> Result<Option<bool>, Problem> {
    let word = word(name, value, &["true", "false"], &[("1", "true"), ("0", "false")])?;
    Ok(word.map(|word| word == "true"))
}

/// An amount as a plain decimal number of at most 18 digits before the point and 8 after it.
pub fn amount(name: &str, value: Option<String>) -> Result<Option<String>, Problem> {
    let Some(value) = text(name, value)? else { return Ok(None) };
    let whole_digits = value.trim_start_matches('-').split('.').next().unwrap_or_default().len();
    if parse_units(&value).is_none() || whole_digits > 18 || value.ends_with('.') {
        return Err(invalid(name, "must be a decimal number such as 1234.50, with at most 18 digits and 8 decimals"));
    }
    Ok(Some(value))
}

/// The bounds of a range must not be the wrong way round.
pub fn ordered<T: PartialOrd>(name: &str, first: Option<T>, last: Option<T>) -> Result<(), Problem> {
    if let (Some(first), Some(last)) = (first, last)
        && last < first
    {
        return Err(invalid(name, "must not come before the start of the range"));
    }
    Ok(())
}

/// Checked page parameters, as the read models take them.
fn page(parameters: &PageParameters) -> Result<PageRequest, Problem> {
    let page = parameters.page()?;
    let cursor = match &page.start {
        Start::Offset(_) => None,
        Start::Cursor(text) => Some(text.parse::<Cursor>().map_err(|error| invalid("cursor", error.to_string()))?),
    };
    Ok(PageRequest { limit: page.limit, cursor, offset: page.offset(), count: page.count })
}

/// True for text that can be the id of something; what cannot be is nowhere to be found.
pub fn can_be_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID_BYTES && !id.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn given(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    #[test]
    fn empty_text_filters_nothing() {
        assert_eq!(text("q", given("")), Ok(None));
        assert_eq!(text("q", None), Ok(None));
    }

    #[test]
    fn sql_is_text_and_what_no_text_can_hold_is_refused() {
        assert_eq!(text("q", given("'; drop table x --")).unwrap(), given("'; drop table x --"));
        for bad in ["\0", "a\0b", &"x".repeat(1_001)] {
            let problem = text("q", given(bad)).unwrap_err();
            assert_eq!((problem.status(), problem.errors()[0].pointer.as_str()), (400, "?q"));
        }
    }

    #[test]
    fn words_are_known_or_refused() {
        let words = ["manual", "rule", "model"];
        assert_eq!(word("m", given("ML"), &words, &[("ml", "model")]).unwrap(), given("model"));
        assert_eq!(word("m", given("magic"), &words, &[]).unwrap_err().status(), 400);
    }

    #[test]
    fn amounts_are_exact_decimals() {
        for good in ["0", "1234.50", "-3.00000001", "999999999999999999.99999999"] {
            assert_eq!(amount("min_amount", given(good)).unwrap(), given(good));
        }
        for bad in ["1e5", "NaN", "1,000", "+1", "1.", "0x10", "1.123456789", "1000000000000000000", "--1", "1 or 1=1"]
        {
            assert_eq!(amount("min_amount", given(bad)).unwrap_err().status(), 400, "{bad}");
        }
    }
}
