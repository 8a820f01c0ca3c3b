//! Error answers as RFC 9457 problem details.
//!
//! Every error that leaves an API is a [`Problem`]. What went wrong inside stays inside: a 5xx problem says that it
//! happened, the log says why, once, where the problem is made.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use daybook_ledger::LedgerId;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, schema::Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::context::RequestContext;

/// Content type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// How to authenticate (RFC 6750).
const CHALLENGE: &str = r#"Bearer realm="daybook""#;

/// One thing that is wrong with the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where: a JSON pointer into the body (`/amount`), `?name` for a query parameter, or a header's name.
    #[schema(example = "/amount")]
    pub pointer: String,
    /// What is wrong there.
    #[schema(example = "must be a decimal number")]
    pub detail: String,
}

impl FieldError {
    /// A fault at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// An error answer. Its members are on the heap: errors are rare, and results that carry them are not.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<Members>);

/// An error answer (RFC 9457, `application/problem+json`). Further members may follow, such as `current_version`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct Members {
    /// Relative URI that names the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "/problems/transaction.conflict")]
    kind: String,
    /// The kind of problem in words.
    #[schema(example = "Conflict", value_type = String)]
    title: Cow<'static, str>,
    /// The HTTP status.
    #[schema(example = 409)]
    status: u16,
    /// This occurrence in words.
    #[schema(value_type = String)]
    detail: Cow<'static, str>,
    /// Stable dotted code.
    #[schema(example = "transaction.conflict", value_type = String)]
    code: Cow<'static, str>,
    /// What exactly is wrong with the request, where that is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// The request's id, as in `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    further: Map<String, Value>,
    #[serde(skip)]
    #[schema(ignore)]
    headers: Vec<(header::HeaderName, String)>,
    /// For the record of what was denied; the body says it in `further`.
    #[serde(skip)]
    #[schema(ignore)]
    missing_permission: Option<&'static str>,
    /// For the record of what was refused. Never part of the answer.
    #[serde(skip)]
    #[schema(ignore)]
    organization: Option<LedgerId>,
}

impl Problem {
    /// A problem of any status. Codes below 400 are not problems and become 500.
    pub fn new(status: u16, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| status.is_client_error() || status.is_server_error())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let code = code.into();
        Self(Box::new(Members {
            kind: format!("/problems/{code}"),
            title: Cow::Borrowed(status.canonical_reason().unwrap_or("Error")),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            errors: Vec::new(),
            request_id: None,
            further: Map::new(),
            headers: Vec::new(),
            missing_permission: None,
            organization: None,
        }))
    }

    /// 400: the request cannot be read.
    pub fn bad_request(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, code, detail)
    }

    /// 400 `request.contradiction`: body and query say different things of `name`.
    pub fn contradiction(name: &str) -> Self {
        Self::bad_request("request.contradiction", format!("{name} differs between query and body"))
            .at(format!("/{name}"), "differs from the query parameter")
    }

    /// 400 `request.invalid`: one part of the request is not what it should be.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let error = FieldError::new(pointer, detail);
        Self::new(400, "request.invalid", format!("{}: {}", error.pointer, error.detail)).with_error(error)
    }

    /// 401: nobody is known to be asking.
    pub fn unauthorized(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(401, code, detail).with_header(header::WWW_AUTHENTICATE, CHALLENGE)
    }

    /// 401: the credentials are refused. The challenge says so as RFC 6750 wants; why exactly, the code says.
    pub fn invalid_token(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(401, code, detail)
            .with_header(header::WWW_AUTHENTICATE, format!(r#"{CHALLENGE}, error="invalid_token""#))
    }

    /// 403: the caller lacks `permission`.
    pub fn forbidden(permission: &'static str) -> Self {
        let challenge = format!(r#"{CHALLENGE}, error="insufficient_scope", scope="{permission}""#);
        let mut problem = Self::new(403, "permission.denied", format!("permission {permission} is required"))
            .with_member("missing_permission", permission)
            .with_header(header::WWW_AUTHENTICATE, challenge);
        problem.0.missing_permission = Some(permission);
        problem
    }

    /// 403 by a rule of its own: for this one thing the caller lacks `permission`.
    pub fn forbidden_here(
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
        permission: &'static str,
    ) -> Self {
        let mut problem = Self::new(403, code, detail).with_member("missing_permission", permission);
        problem.0.missing_permission = Some(permission);
        problem
    }

    /// 404: there is no such thing.
    pub fn not_found(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(404, code, detail)
    }

    /// 409: the state of things stands against it.
    pub fn conflict(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(409, code, detail)
    }

    /// 412: the aggregate does not have the version of `If-Match`.
    pub fn precondition_failed(current_version: u64) -> Self {
        Self::new(412, "request.precondition_failed", "the version in If-Match is not the current one")
            .with_member("current_version", current_version)
    }

    /// 413: more than `most_bytes` bytes.
    pub fn too_large(most_bytes: usize) -> Self {
        Self::new(413, "request.too_large", format!("the body must have at most {most_bytes} bytes"))
    }

    /// 415: not a content type that is read here.
    pub fn unsupported_media_type(expected: &'static str) -> Self {
        Self::new(415, "request.unsupported_media_type", format!("the content type must be {expected}"))
    }

    /// 422: a rule refuses it.
    pub fn refused(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(422, code, detail)
    }

    /// 503: not now; come back after so many seconds.
    pub fn unavailable(
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
        retry_after_seconds: u32,
    ) -> Self {
        Self::new(503, code, detail).with_retry_after(retry_after_seconds)
    }

    /// 500: a fault of ours. Logs the error with its chain; the body says nothing of it.
    pub fn internal(error: &(dyn StdError + 'static)) -> Self {
        log_fault("internal.error", error);
        Self::new(500, "internal.error", "an unexpected error occurred; the request id names it in the log")
    }

    /// 503 for a store that does not answer. Logs the error with its chain; the body says nothing of it.
    pub fn store_unavailable(error: &(dyn StdError + 'static)) -> Self {
        log_fault("store.unavailable", error);
        Self::unavailable("store.unavailable", "the store does not answer at the moment", 5)
    }

    /// Adds one fault to `errors`.
    #[must_use]
    pub fn with_error(mut self, error: FieldError) -> Self {
        self.0.errors.push(error);
        self
    }

    /// Adds a fault at `pointer` to `errors`.
    #[must_use]
    pub fn at(self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.with_error(FieldError::new(pointer, detail))
    }

    /// Adds a member of its own, for example `current_version`.
    #[must_use]
    pub fn with_member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.further.insert(name.to_owned(), value.into());
        self
    }

    /// Names the request, where the problem is answered outside of its task.
    #[must_use]
    pub fn with_request_id(mut self, request_id: String) -> Self {
        self.0.request_id = Some(request_id);
        self
    }

    /// Names the organisation whose credentials are refused, for the record. The answer does not say it.
    #[must_use]
    pub fn of_organization(mut self, organization: LedgerId) -> Self {
        self.0.organization = Some(organization);
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn with_header(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn with_retry_after(self, seconds: u32) -> Self {
        self.with_header(header::RETRY_AFTER, seconds.to_string())
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The occurrence in words.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The faults.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The permission that the caller lacks, of a 403.
    pub fn missing_permission(&self) -> Option<&'static str> {
        self.0.missing_permission
    }

    /// The organisation whose credentials are refused, where that is known.
    pub fn organization(&self) -> Option<&LedgerId> {
        self.0.organization.as_ref()
    }

    /// Reads an actix error as a problem of the same status, without its text where that is ours alone.
    pub fn from_actix(error: &actix_web::Error) -> Self {
        if let Some(problem) = error.as_error::<Self>() {
            return problem.clone();
        }
        let status = error.as_response_error().status_code();
        if status.is_client_error() {
            return Self::new(status.as_u16(), "request.refused", error.to_string());
        }
        tracing::error!(request_id = RequestContext::current_id(), %error, "a request failed");
        Self::new(500, "internal.error", "an unexpected error occurred; the request id names it in the log")
    }
}

/// Writes an error and what caused it to the log, in one line.
fn log_fault(code: &'static str, error: &(dyn StdError + 'static)) {
    let mut chain = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        chain.push_str(": ");
        chain.push_str(&inner.to_string());
        cause = inner.source();
    }
    tracing::error!(request_id = RequestContext::current_id(), code, error = %chain, "a request failed");
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: {}", self.0.status, self.0.code, self.0.detail)
    }
}

impl StdError for Problem {}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        Members::schema()
    }
}

impl ToSchema for Problem {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Problem")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Members::schemas(schemas);
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        for (name, value) in &self.0.headers {
            answer.insert_header((name.clone(), value.as_str()));
        }
        let mut problem = self.clone();
        problem.0.request_id = problem.0.request_id.or_else(RequestContext::current_id);
        answer.content_type(PROBLEM_JSON).json(problem)
    }
}
