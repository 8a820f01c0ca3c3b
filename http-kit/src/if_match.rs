//! `If-Match: "<version>"`: carry the command out only on the version the caller has seen.

use actix_web::http::header::{ETAG, HeaderMap, HeaderName, IF_MATCH};

use crate::problem::Problem;

/// The version that the caller expects; `None` without the header or with `*`. Anything malformed is a 400.
pub fn expected_version(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut values = headers.get_all(IF_MATCH);
    let Some(value) = values.next() else { return Ok(None) };
    let malformed = || Problem::invalid("If-Match", "must be one version in quotation marks, for example \"3\"");
    if values.next().is_some() {
        return Err(malformed());
    }
    let text = value.to_str().map_err(|_| malformed())?.trim();
    if text == "*" {
        return Ok(None);
    }
    let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).ok_or_else(malformed)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    digits.parse().map(Some).map_err(|_| malformed())
}

/// The `ETag` header that `If-Match` is taken from.
pub fn entity_tag(version: u64) -> (HeaderName, String) {
    (ETAG, format!("\"{version}\""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use actix_web::http::header::HeaderValue;

    use super::*;

    fn read(text: &str) -> Result<Option<u64>, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, HeaderValue::from_str(text).unwrap());
        expected_version(&headers)
    }

    #[test]
    fn quoted_version_is_read() {
        assert_eq!(read("\"17\""), Ok(Some(17)));
        assert_eq!(read("*"), Ok(None));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["17", "\"\"", "\"-1\"", "\"+1\"", "W/\"1\"", "\"1\", \"2\"", "\"99999999999999999999\""] {
            assert_eq!(read(bad).unwrap_err().status(), 400, "{bad}");
        }
    }
}
