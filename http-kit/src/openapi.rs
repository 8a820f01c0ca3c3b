//! Parts of the OpenAPI document that operations share: problem answers, headers, and how to authenticate.

use std::collections::BTreeMap;

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, OpenApi, Ref, RefOr};
use utoipa::{IntoParams, IntoResponses};

use crate::problem::PROBLEM_JSON;

/// Headers of a command.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by the derive only; the values are read by CommandRequest")]
pub struct CommandHeaders {
    /// 1 to 128 visible ASCII characters. A repeat with the same key and content answers what the first one answered,
    /// with `Idempotency-Replayed: true`, and records nothing; the same key with other content is 422. A command that
    /// changed nothing is remembered too. A refused one is not: its repeat is decided anew.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
    /// Version the caller has seen, in quotation marks (`"3"`). Another current version is 412.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
    /// Id of the request, `[A-Za-z0-9._-]{1,64}`; one is made if it is absent.
    #[param(rename = "X-Request-Id")]
    request_id: Option<String>,
    /// Common to everything that one piece of work causes; kept with the entry.
    #[param(rename = "X-Correlation-Id")]
    correlation_id: Option<String>,
    /// What directly caused this command; kept with the entry.
    #[param(rename = "X-Causation-Id")]
    causation_id: Option<String>,
    /// Opaque id of the person for whom the caller acts; an e-mail address is turned into one.
    #[param(rename = "X-On-Behalf-Of")]
    on_behalf_of: Option<String>,
}

/// Headers of a request with several commands. They have no version in common: `If-Match` is a 400.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by the derive only; the values are read by CommandRequest")]
pub struct BulkHeaders {
    /// 1 to 128 visible ASCII characters. What a first request with the same key and content recorded is answered again
    /// and not recorded again; what changed nothing is remembered too. What was refused is decided anew. The same key
    /// with other content is `request.idempotency_mismatch`.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
    /// Id of the request, `[A-Za-z0-9._-]{1,64}`; one is made if it is absent.
    #[param(rename = "X-Request-Id")]
    request_id: Option<String>,
    /// Common to everything that one piece of work causes; kept with the entries.
    #[param(rename = "X-Correlation-Id")]
    correlation_id: Option<String>,
    /// What directly caused these commands; kept with the entries.
    #[param(rename = "X-Causation-Id")]
    causation_id: Option<String>,
    /// Opaque id of the person for whom the caller acts; an e-mail address is turned into one.
    #[param(rename = "X-On-Behalf-Of")]
    on_behalf_of: Option<String>,
}

/// Headers of a query.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by the derive only; the values are read by AtLeast and RequestContext")]
pub struct QueryHeaders {
    /// Wait, for a bounded time, until the read model has seen this position.
    #[param(rename = "Daybook-At-Least")]
    at_least: Option<u64>,
    /// Id of the request, `[A-Za-z0-9._-]{1,64}`; one is made if it is absent.
    #[param(rename = "X-Request-Id")]
    request_id: Option<String>,
}

/// The problems a command on something that exists may answer.
pub struct CommandProblems;

/// The problems a command that makes something may answer.
pub struct CreateProblems;

/// The problems a query may answer.
pub struct QueryProblems;

impl IntoResponses for CommandProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 429, 503])
    }
}

impl IntoResponses for CreateProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[400, 401, 403, 408, 409, 412, 413, 415, 422, 429, 503])
    }
}

impl IntoResponses for QueryProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[400, 401, 403, 404, 429, 503])
    }
}

/// Problem answers of these statuses. The document that uses them lists `Problem` among its schemas.
pub fn problems(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    statuses.iter().map(|status| (status.to_string(), RefOr::T(problem_response(*status)))).collect()
}

fn problem_response(status: u16) -> Response {
    let description = match status {
        400 => "The request cannot be read; `errors` says where.",
        401 => "Nobody known is asking.",
        403 => "The caller lacks the permission named in `missing_permission`.",
        404 => "There is no such thing.",
        408 => "The body took too long to arrive.",
        409 => {
            "The state of things stands against it: it exists with other content, or a race was lost \
                (`current_version` has the version now)."
        }
        412 => "The version in `If-Match` is not the current one; `current_version` is.",
        413 => "The body is too large.",
        415 => "The content type or encoding is not read here.",
        422 => "A rule refuses it, or the `Idempotency-Key` stands for another request.",
        429 => "Too many requests; `Retry-After` says when to come back.",
        _ => "Not now; `Retry-After` says when to come back.",
    };
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build()
}

/// Ways to authenticate with `Authorization: Bearer`: name of the scheme, shape of the token, what it is.
const BEARERS: [(&str, &str, &str); 3] = [
    ("access_token", "JWT", "An access token (ES256) from `POST /v1/auth/login` or `/v1/auth/refresh`"),
    ("api_key", "dbk_<id>_<secret>", "An API key"),
    (
        "operator_token",
        "dbk_<secret>",
        "The operator's token. `X-Organization-ID` names the organisation, `main` without",
    ),
];
/// Development headers: name of the scheme, name of the header, what it is.
const DEVELOPMENT: [(&str, &str, &str); 2] = [
    ("development_email", "x-user-email", "Under development authentication only: an e-mail address"),
    ("development_role", "x-user-role", "Under development authentication only: a role"),
];

/// Adds the ways to authenticate, and requires one of them everywhere.
pub fn add_security(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    let none: [String; 0] = [];
    let mut required = Vec::new();
    for (name, format, description) in BEARERS {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format(format);
        let bearer = bearer.description(Some(description)).build();
        components.add_security_scheme(name, SecurityScheme::Http(bearer));
        required.push(SecurityRequirement::new(name, none.clone()));
    }
    let mut developer = SecurityRequirement::default();
    for (name, header, description) in DEVELOPMENT {
        let key = ApiKey::Header(ApiKeyValue::with_description(header, description));
        components.add_security_scheme(name, SecurityScheme::ApiKey(key));
        developer = developer.add(name, none.clone());
    }
    required.push(developer);
    document.security = Some(required);
}
