//! The API's own documentation: the OpenAPI document and a page to browse and try it, both without the internet.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use daybook_http_kit::Problem;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

/// Where the document is.
pub const DOCUMENT_PATH: &str = "/openapi.json";
/// Where the page is.
pub const PAGE_PATH: &str = "/docs";
/// What the page may load: its own files, and style attributes that its script sets. Nothing from elsewhere.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";
const PAGE: &str = r#"<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Daybook</title>
    <link rel="stylesheet" href="/docs/swagger-ui.css">
    <link rel="stylesheet" href="/docs/index.css">
    <link rel="icon" type="image/png" href="/docs/favicon-32x32.png" sizes="32x32">
  </head>
  <body>
    <noscript>This page needs JavaScript. The document itself is at <a href="/openapi.json">/openapi.json</a>.</noscript>
    <div id="swagger-ui"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/swagger-ui-standalone-preset.js"></script>
    <script src="/docs/swagger-initializer.js"></script>
  </body>
</html>
"#;

#[derive(Clone)]
struct Documentation {
    document: Bytes,
    config: Arc<Config<'static>>,
}

/// Serves `/openapi.json` and `/docs` at the root of the app. The document is written once, here.
///
/// `openapi` is the whole document: this crate's [`crate::openapi`] merged with the other API's.
pub fn docs(openapi: &OpenApi) -> Result<impl Fn(&mut web::ServiceConfig) + Clone + Send + use<>, serde_json::Error> {
    let config = Config::from(DOCUMENT_PATH)
        .try_it_out_enabled(true)
        .display_request_duration(true)
        .display_operation_id(true)
        .doc_expansion("none")
        .filter(true)
        // Never ask a foreign service whether the document is valid.
        .validator_url("none");
    let documentation = Documentation { document: Bytes::from(openapi.to_pretty_json()?), config: Arc::new(config) };
    Ok(move |app: &mut web::ServiceConfig| {
        app.app_data(web::Data::new(documentation.clone()))
            .route(DOCUMENT_PATH, web::get().to(document))
            .route(PAGE_PATH, web::get().to(page))
            .route("/docs/", web::get().to(page))
            .route("/docs/{file}", web::get().to(file));
    })
}

async fn document(documentation: web::Data<Documentation>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(documentation.document.clone())
}

async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, PAGE_POLICY))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(PAGE)
}

async fn file(name: web::Path<String>, documentation: web::Data<Documentation>) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::not_found("docs.not_found", "the documentation has no such file");
    // `index.html` of the bundle is another page than ours, with another title.
    if name.as_str() == "index.html" {
        return Ok(page().await);
    }
    let found = utoipa_swagger_ui::serve(name.as_str(), Arc::clone(&documentation.config)).map_err(|error| {
        tracing::error!(%error, "a file of the documentation cannot be made");
        Problem::new(500, "internal.error", "an unexpected error occurred")
    })?;
    let file = found.ok_or_else(unknown)?;
    let mut answer = HttpResponse::Ok();
    if file.gzpipped {
        answer.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    Ok(answer
        .content_type(file.content_type)
        .insert_header((header::CONTENT_SECURITY_POLICY, PAGE_POLICY))
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .body(file.bytes.into_owned()))
}
