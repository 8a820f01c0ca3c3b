//! Reading JSON bodies strictly: right content type, bounded size, valid UTF-8, known fields, right types.
//!
//! What cannot be read as JSON is `request.malformed` with line and column; JSON of the wrong shape is
//! `request.invalid` with a pointer to the place. Both are 400. Types that are read here deny unknown fields. The depth
//! of nesting is bounded by serde_json (128).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{FromRequest, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use crate::problem::Problem;

/// Most bytes of a body where the app says nothing else.
pub const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;
/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Most bytes of a body; put it into the app's or a scope's data to change it.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit(pub usize);

/// A JSON body.
#[derive(Debug, Clone)]
pub struct Body<T> {
    /// What it says.
    pub value: T,
    /// The bytes it was read from, for the digest of the command.
    pub bytes: Bytes,
}

/// A JSON body that may be left out altogether; then it is `T::default()`.
#[derive(Debug, Clone)]
pub struct OptionalBody<T> {
    /// What it says.
    pub value: T,
    /// The bytes it was read from.
    pub bytes: Bytes,
}

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (checked, limit) = (check_content_type(request), limit(request));
        let (length, payload) = (content_length(request), payload.take());
        Box::pin(async move {
            checked?;
            let bytes = read_body(length, payload, limit).await?;
            Ok(Self { value: parse(&bytes)?, bytes })
        })
    }
}

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalBody<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (checked, limit) = (check_content_type(request), limit(request));
        let (length, payload) = (content_length(request), payload.take());
        Box::pin(async move {
            let bytes = read_body(length, payload, limit).await?;
            if bytes.iter().all(u8::is_ascii_whitespace) {
                return Ok(Self { value: T::default(), bytes });
            }
            checked?;
            Ok(Self { value: parse(&bytes)?, bytes })
        })
    }
}

fn limit(request: &HttpRequest) -> usize {
    request.app_data::<BodyLimit>().map_or(DEFAULT_BODY_LIMIT, |limit| limit.0)
}

fn content_length(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The content type without parameters, in lower case.
pub fn media_type(request: &HttpRequest) -> Option<String> {
    let text = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Refuses a body that is compressed: its size would not be bounded by what was read.
pub fn check_content_encoding(request: &HttpRequest) -> Result<(), Problem> {
    match request.headers().get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"identity" | b"") => Ok(()),
        Some(_) => Err(Problem::new(415, "request.unsupported_content_encoding", "the body must not be encoded")),
    }
}

fn check_content_type(request: &HttpRequest) -> Result<(), Problem> {
    check_content_encoding(request)?;
    let media_type = media_type(request).unwrap_or_default();
    let is_json = media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.len() > 17 && media_type.ends_with("+json"));
    if is_json { Ok(()) } else { Err(Problem::unsupported_media_type("application/json")) }
}

async fn read_body(length: Option<usize>, mut payload: Payload, limit: usize) -> Result<Bytes, Problem> {
    if length.is_some_and(|length| length > limit) {
        return Err(Problem::too_large(limit));
    }
    let read = async {
        let mut body = BytesMut::with_capacity(length.unwrap_or(0).min(limit));
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| payload_problem(&error))?;
            if body.len() + chunk.len() > limit {
                return Err(Problem::too_large(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(BODY_TIMEOUT, read)
        .await
        .unwrap_or_else(|_| Err(Problem::new(408, "request.timeout", "the body took too long to arrive")))
}

/// A body that broke off or was not HTTP is the client's fault, in whatever words.
pub fn payload_problem(error: &actix_web::error::PayloadError) -> Problem {
    Problem::bad_request("request.incomplete", format!("the body could not be read: {error}"))
}

/// Reads a JSON object, or says what is wrong with it and where.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if let Err(error) = std::str::from_utf8(bytes) {
        let detail = format!("not UTF-8 at byte {}", error.valid_up_to());
        return Err(Problem::bad_request("request.malformed", detail));
    }
    check_is_object(bytes)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().clone();
        problem(&path, &error.into_inner())
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// Structs could also be read from arrays, field by field in order: names would not be checked and nothing would say what
/// a value means.
fn check_is_object(bytes: &[u8]) -> Result<(), Problem> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
        return Ok(());
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).map_err(|error| malformed(&error))?;
    let detail = "must be a JSON object";
    Err(Problem::bad_request("request.invalid", detail).at("", detail))
}

fn problem(path: &Path, error: &serde_json::Error) -> Problem {
    match error.classify() {
        Category::Data => {
            let detail = without_place(&error.to_string());
            Problem::invalid(pointer(path, &detail), detail)
        }
        _ => malformed(error),
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    let detail =
        format!("not JSON at line {}, column {}: {}", error.line(), error.column(), without_place(&error.to_string()));
    Problem::bad_request("request.malformed", detail)
        .with_member("line", error.line())
        .with_member("column", error.column())
}

/// serde_json ends its messages with the place; that is a member of its own here.
fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(text, _)| text).chars().take(300).collect()
}

/// The JSON pointer (RFC 6901) of a path, led on to the field that a message names.
fn pointer(path: &Path, message: &str) -> String {
    let mut pointer = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => push_key(&mut pointer, key),
            Segment::Enum { variant } => push_key(&mut pointer, variant),
            Segment::Unknown => {}
        }
    }
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .into_iter()
        .find_map(|start| message.strip_prefix(start)?.split('`').next());
    if let Some(key) = named {
        let mut tail = String::new();
        push_key(&mut tail, key);
        if !pointer.ends_with(&tail) {
            pointer.push_str(&tail);
        }
    }
    pointer
}

fn push_key(pointer: &mut String, key: &str) {
    pointer.push('/');
    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde::Deserialize;

    use super::*;
    use crate::number::ExactNumber;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "values")]
        _values: Vec<u8>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        amount: ExactNumber,
        #[serde(default, rename = "inner")]
        _inner: Option<Inner>,
    }

    fn fault(text: &str) -> (String, String) {
        let problem = parse::<Outer>(text.as_bytes()).unwrap_err();
        assert_eq!(problem.status(), 400);
        let pointer = problem.errors().first().map(|error| error.pointer.clone()).unwrap_or_default();
        (problem.code().to_owned(), pointer)
    }

    #[test]
    fn pointer_leads_to_the_fault() {
        let invalid = "request.invalid".to_owned();
        assert_eq!(fault(r#"{"amount":1,"inner":{"values":[1,"x"]}}"#), (invalid.clone(), "/inner/values/1".into()));
        assert_eq!(fault(r#"{"amount":1,"inner":{}}"#), (invalid.clone(), "/inner/values".into()));
        assert_eq!(fault(r#"{"amount":1,"other":2}"#), (invalid.clone(), "/other".into()));
        assert_eq!(fault(r#"{}"#), (invalid.clone(), "/amount".into()));
        assert_eq!(fault(r#"{"amount":true}"#), (invalid.clone(), "/amount".into()));
        assert_eq!(fault(r#"{"amount":1,"amount":2}"#), (invalid, "/amount".into()));
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        let deep = "[".repeat(10_000);
        for text in ["", "{", "{\"amount\":NaN}", "{\"amount\":1}x", "{\"amount\":01}", "nope", deep.as_str()] {
            assert_eq!(fault(text).0, "request.malformed", "{text:.20}");
        }
        assert_eq!(parse::<Outer>(b"{\"amount\":\"\xff\"}").unwrap_err().code(), "request.malformed");
    }

    #[test]
    fn values_without_names_are_not_an_object() {
        for text in ["[]", " [\"1.5\"]", "[\"1.5\",null]", "7", "null", "\"text\"", "true"] {
            assert_eq!(fault(text), ("request.invalid".to_owned(), String::new()), "{text}");
        }
        assert!(parse::<Outer>(b" \n{\"amount\":1}").is_ok());
    }

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(parse::<Outer>(br#"{"amount":0.10}"#).unwrap().amount.as_str(), "0.10");
    }
}
