//! Reading query parameters strictly: unknown and repeated ones are errors, not ignored.

use std::collections::HashSet;
use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// Most bytes of a query string.
const MAX_QUERY_BYTES: usize = 8 * 1024;

/// Query parameters as a type that denies unknown fields (`#[serde(deny_unknown_fields)]`).
///
/// A parameter without a value (`?status=`) counts as given and empty.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(parse(request.query_string()).map(Self))
    }
}

/// No query parameter at all: the first one that is given is `request.unknown_parameter`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoQuery;

impl FromRequest for NoQuery {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(match form_pairs(request.query_string()).next() {
            None => Ok(Self),
            Some((name, _)) => Err(unknown(&name)),
        })
    }
}

/// What body and query say together of `name`; both and different is `request.contradiction`.
pub fn either(name: &str, body: Option<String>, query: Option<String>) -> Result<Option<String>, Problem> {
    match (body, query) {
        (Some(body), Some(query)) if body != query => Err(Problem::contradiction(name)),
        (body, query) => Ok(body.or(query)),
    }
}

/// Reads a query string, or says which parameter is wrong.
pub fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    if query.len() > MAX_QUERY_BYTES {
        let detail = format!("the query must have at most {MAX_QUERY_BYTES} bytes");
        return Err(Problem::bad_request("request.query_too_long", detail));
    }
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
        .map_err(|error| Problem::bad_request("request.invalid_query", format!("unreadable query: {error}")))?;
    let mut seen = HashSet::new();
    if let Some((name, _)) = pairs.iter().find(|(name, _)| !seen.insert(name.as_str())) {
        return Err(fault("request.repeated_parameter", name, "is given more than once"));
    }
    let deserializer = serde_urlencoded::Deserializer::new(form_pairs(query));
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let name = error.path().iter().next().map(ToString::to_string).unwrap_or_default();
        let detail: String = error.inner().to_string().chars().take(300).collect();
        if let Some(name) = named(&detail, "unknown field `") {
            return unknown(name);
        }
        if let Some(name) = named(&detail, "missing field `") {
            return fault("request.missing_parameter", name, "is required");
        }
        fault("request.invalid_parameter", &name, &detail)
    })
}

fn form_pairs(query: &str) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(query.as_bytes())
}

fn named<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.split('`').next()
}

fn unknown(name: &str) -> Problem {
    fault("request.unknown_parameter", name, "is not a parameter of this request")
}

fn fault(code: &'static str, name: &str, detail: &str) -> Problem {
    let name: String = name.chars().take(100).collect();
    Problem::bad_request(code, format!("query parameter {name}: {detail}")).at(format!("?{name}"), detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde::Deserialize;

    use super::*;
    use crate::page::PageParameters;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Filter {
        status: Option<String>,
        #[serde(flatten)]
        page: PageParameters,
    }

    #[test]
    fn any_parameter_is_one_too_many_for_no_query() {
        let read = |uri| {
            let request = actix_web::test::TestRequest::with_uri(uri).to_http_request();
            NoQuery::from_request(&request, &mut Payload::None).into_inner()
        };
        assert_eq!(read("/x"), Ok(NoQuery));
        assert_eq!(read("/x?"), Ok(NoQuery));
        for (uri, pointer) in [("/x?to=boss", "?to"), ("/x?y", "?y"), ("/x?a%20b=1&c=2", "?a b"), ("/x?=1", "?")] {
            let problem = read(uri).unwrap_err();
            assert_eq!((problem.status(), problem.code()), (400, "request.unknown_parameter"));
            assert_eq!(problem.errors()[0].pointer, pointer);
        }
    }

    #[test]
    fn known_parameters_are_read() {
        let filter: Filter = parse("status=open%20now&limit=7").unwrap();
        assert_eq!(filter.status.as_deref(), Some("open now"));
        assert_eq!(filter.page.page().unwrap().limit, 7);
    }

    #[test]
    fn unknown_repeated_and_wrong_parameters_are_named() {
        for (query, code, pointer) in [
            ("stauts=open", "request.unknown_parameter", "?stauts"),
            ("limit=5&limit=6", "request.repeated_parameter", "?limit"),
        ] {
            let problem = parse::<Filter>(query).unwrap_err();
            assert_eq!(problem.code(), code, "{query}");
            assert_eq!(problem.errors()[0].pointer, pointer);
        }
        assert_eq!(parse::<Filter>("limit=abc").unwrap_err().status(), 400);
        assert_eq!(parse::<Filter>("limit=0").unwrap().page.page().unwrap_err().status(), 400);
        assert_eq!(parse::<Filter>("limit=501").unwrap().page.page().unwrap_err().status(), 400);
    }
}
