//! The app around handlers: what every answer has, whatever the handler does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpResponse, test, web};
use daybook_http_kit::permission::{LedgerRead, ProjectionRebuild};
use daybook_http_kit::{
    Allowed, AtLeast, Body, HttpKit, IdentityConfig, PageParameters, Problem, Query, RouteTable, Secret, Telemetry,
    with_position,
};
use serde::Deserialize;
use utoipa::OpenApi;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    kind: Option<String>,
    #[serde(flatten)]
    page: PageParameters,
}

async fn list(_: Allowed<LedgerRead>, at: AtLeast, filter: Query<Filter>) -> Result<HttpResponse, Problem> {
    let page = filter.page.page()?;
    let body = format!("{} {} ", filter.kind.as_deref().unwrap_or("-"), page.limit).repeat(200);
    Ok(with_position(HttpResponse::Ok().content_type("text/plain").body(body), at.0))
}

async fn make(_: Allowed<ProjectionRebuild>, body: Body<serde_json::Map<String, serde_json::Value>>) -> HttpResponse {
    HttpResponse::Ok().json(body.value)
}

async fn by_number(number: web::Path<u32>) -> HttpResponse {
    HttpResponse::Ok().json(number.into_inner())
}

async fn fail() -> Result<HttpResponse, Problem> {
    Err(Problem::internal(&std::io::Error::other("the password is hunter2")))
}

#[utoipa::path(get, path = "/v1/things")]
fn _get() {}

#[utoipa::path(post, path = "/v1/things")]
fn _post() {}

#[derive(OpenApi)]
#[openapi(paths(_get, _post))]
struct Document;

fn routes(services: &mut web::ServiceConfig) {
    services
        .route("/things", web::get().to(list))
        .route("/things", web::post().to(make))
        .route("/numbers/{number}", web::get().to(by_number))
        .route("/docs/index.html", web::get().to(HttpResponse::Ok))
        .route("/fail", web::get().to(fail));
}

fn get(path: &str) -> test::TestRequest {
    test::TestRequest::get().uri(path).insert_header(("authorization", "Bearer token"))
}

async fn answer_with(kit: &HttpKit, request: test::TestRequest) -> (u16, HeaderMap, Vec<u8>) {
    let app =
        test::init_service(daybook_http_kit::app(kit).service(web::scope("/v1").configure(routes)).configure(routes))
            .await;
    let answer: ServiceResponse<_> = test::call_service(&app, request.to_request()).await;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (status, headers, test::read_body(answer).await.to_vec())
}

fn kit() -> HttpKit {
    let identity = IdentityConfig::new(Some(Secret::new("token")), true);
    HttpKit::new(identity, RouteTable::new([&Document::openapi()]))
}

async fn answer(request: test::TestRequest) -> (u16, HeaderMap, Vec<u8>) {
    answer_with(&kit(), request).await
}

async fn problem(request: test::TestRequest) -> serde_json::Value {
    let (status, headers, body) = answer(request).await;
    assert_eq!(headers.get("content-type").unwrap(), "application/problem+json");
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["request_id"], headers.get("x-request-id").unwrap().to_str().unwrap());
    problem
}

#[actix_web::test]
async fn every_answer_has_its_headers() {
    let (status, headers, _) = answer(get("/things?kind=a&limit=3").insert_header(("daybook-at-least", "7"))).await;
    assert_eq!(status, 200);
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("cache-control", "no-store"),
        ("daybook-position", "7"),
    ] {
        assert_eq!(headers.get(name).unwrap(), value);
    }
    let (_, headers, _) = answer(get("/docs/index.html")).await;
    assert!(headers.get("content-security-policy").unwrap().to_str().unwrap().starts_with("default-src 'self'"));
}

#[actix_web::test]
async fn answers_are_compressed_for_those_who_ask() {
    let (_, headers, body) = answer(get("/v1/things/").insert_header(("accept-encoding", "gzip"))).await;
    assert_eq!(headers.get("content-encoding").unwrap(), "gzip");
    assert!(body.len() < 200);
}

#[actix_web::test]
async fn what_no_handler_takes_is_a_problem() {
    assert_eq!(problem(get("/nothing")).await["code"], "request.unknown_route");
    assert_eq!(problem(get("/v1/numbers/many")).await["code"], "request.invalid_path");
    let delete = test::TestRequest::delete().uri("/things");
    let (status, headers, _) = answer(delete).await;
    assert_eq!((status, headers.get("allow").unwrap().to_str().unwrap()), (405, "GET, HEAD, POST"));
}

#[actix_web::test]
async fn wrong_parameters_are_named() {
    assert_eq!(problem(get("/things?kindd=a")).await["errors"][0]["pointer"], "?kindd");
    assert_eq!(problem(get("/things?limit=x")).await["status"], 400);
    assert_eq!(problem(get("/things?limit=501")).await["errors"][0]["pointer"], "?limit");
    assert_eq!(problem(get("/things").insert_header(("daybook-at-least", "-1"))).await["code"], "request.invalid");
}

#[actix_web::test]
async fn permission_is_asked_before_the_body() {
    let post = |role| {
        test::TestRequest::post()
            .uri("/things")
            .insert_header(("x-user-email", "a@example.com"))
            .insert_header(("x-user-role", role))
            .set_payload("not json")
    };
    assert_eq!(problem(post("compliance")).await["missing_permission"], "projection:rebuild");
    assert_eq!(problem(post("admin")).await["code"], "request.unsupported_media_type");
    assert_eq!(problem(post("nobody")).await["code"], "identity.unknown_role");
}

#[actix_web::test]
async fn internals_stay_inside() {
    let problem = problem(get("/fail")).await;
    assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(500), Some("internal.error")));
    assert!(!problem.to_string().contains("hunter2"));
}

#[actix_web::test]
async fn requests_are_counted_by_pattern() {
    let telemetry = Telemetry::new().unwrap();
    let kit = kit().with_metrics(telemetry.http());
    for path in ["/v1/numbers/1", "/v1/numbers/2", "/somewhere/else"] {
        answer_with(&kit, get(path)).await;
    }
    let text = telemetry.render().unwrap();
    let counted =
        r#"http_requests_total{http_method="GET",http_route="/v1/numbers/{number}",http_status_code="200"} 2"#;
    assert!(text.contains(counted), "{text}");
    assert!(text.contains(r#"http_route="unmatched",http_status_code="404"} 1"#), "{text}");
    assert!(!text.contains("/somewhere/else"));
}

#[actix_web::test]
async fn head_is_answered_as_get_without_the_body() {
    let (status, headers, body) = answer(get("/things").method(Method::HEAD)).await;
    assert_eq!((status, body.len()), (200, 0));
    assert!(headers.contains_key("content-type"));
    let (status, _, body) = answer(get("/nothing").method(Method::HEAD)).await;
    assert_eq!((status, body.len()), (404, 0));
    let telemetry = Telemetry::new().unwrap();
    answer_with(&kit().with_metrics(telemetry.http()), get("/numbers/1").method(Method::HEAD)).await;
    let text = telemetry.render().unwrap();
    assert!(text.contains(r#"http_method="HEAD",http_route="/numbers/{number}",http_status_code="200"} 1"#), "{text}");
}

#[actix_web::test]
async fn head_says_the_length_that_get_has() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let kit = kit();
    let server = actix_web::HttpServer::new(move || daybook_http_kit::app(&kit).configure(routes))
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    let ask = |method: &'static str| {
        actix_web::rt::task::spawn_blocking(move || {
            use std::io::{Read, Write};
            let mut connection = std::net::TcpStream::connect(address).unwrap();
            connection.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
            let request = format!("{method} /numbers/12345 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            connection.write_all(request.as_bytes()).unwrap();
            let mut text = String::new();
            connection.read_to_string(&mut text).unwrap();
            text.to_ascii_lowercase()
        })
    };
    let (got, head) = (ask("GET").await.unwrap(), ask("HEAD").await.unwrap());
    assert!(got.contains("content-length: 5\r\n") && got.ends_with("\r\n\r\n12345"), "{got}");
    assert!(head.starts_with("http/1.1 200") && head.contains("content-length: 5\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    handle.stop(true).await;
}
