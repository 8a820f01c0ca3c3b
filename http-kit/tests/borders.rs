//! What surrounds every request: limits, other origins, proxies, and the headers of answers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::num::NonZeroU32;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use common::{Answer, Log, get, kit, request, send};
use daybook_http_kit::{Cors, RateLimits, TrustedProxies};

const ORIGIN: &str = "https://app.example.com";

fn limits(burst: u32) -> RateLimits {
    RateLimits::new(NonZeroU32::new(1).unwrap(), NonZeroU32::new(burst).unwrap())
}

fn preflight(origin: &'static str, method: &'static str, headers: &'static str) -> TestRequest {
    TestRequest::with_uri("/v1/things")
        .method(Method::OPTIONS)
        .insert_header(("origin", origin))
        .insert_header(("access-control-request-method", method))
        .insert_header(("access-control-request-headers", headers))
}

fn has_cross_origin_header(answer: &Answer) -> bool {
    answer.headers.keys().any(|name| name.as_str().starts_with("access-control-"))
}

#[actix_web::test]
async fn one_request_too_many_is_429_and_says_when_to_come_back() {
    let kit = kit().with_limits(limits(2));
    let first = send(&kit, request(Method::GET, "/things", "person")).await;
    assert_eq!((first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")), (Some("2"), Some("1")));
    send(&kit, request(Method::GET, "/things", "person")).await;
    let third = send(&kit, request(Method::GET, "/things", "person")).await;
    assert_eq!((third.status, third.problem()["code"].as_str()), (429, Some("request.rate_limited")));
    assert!(third.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert_eq!((third.header("x-ratelimit-limit"), third.header("x-ratelimit-remaining")), (Some("2"), Some("0")));
    assert_eq!(third.header("x-content-type-options"), Some("nosniff"));
    // Others are not kept waiting, the operator least of all.
    assert_eq!(send(&kit, request(Method::GET, "/things", "key")).await.status, 200);
    for _ in 0..5 {
        let answer = send(&kit, request(Method::GET, "/things", "operator")).await;
        assert_eq!((answer.status, answer.header("x-ratelimit-limit")), (200, None));
    }
}

#[actix_web::test]
async fn strangers_are_limited_by_address_and_their_guesses_are_recorded() {
    let log = Log::default();
    let kit = kit().with_limits(limits(1)).with_access_log(log.shared());
    let guess = |address: &str| {
        get("/things").insert_header(("authorization", "Bearer wrong")).peer_addr(address.parse().unwrap())
    };
    assert_eq!(send(&kit, guess("203.0.113.1:1")).await.status, 401);
    assert_eq!(send(&kit, guess("203.0.113.1:2")).await.status, 429);
    assert_eq!(send(&kit, guess("203.0.113.2:1")).await.status, 401);
    let peers: Vec<_> = log.refused().into_iter().map(|refused| refused.peer.unwrap().to_string()).collect();
    assert_eq!(peers, ["203.0.113.1", "203.0.113.1", "203.0.113.2"]);
    // What is one too many is one fact, whatever was asked.
    let guess = |method: Method, path: &str| request(method, path, "wrong").peer_addr("203.0.113.1:3".parse().unwrap());
    for (method, path) in [(Method::POST, "/v1/things"), (Method::GET, "/things/7"), (Method::GET, "/nothing")] {
        assert_eq!(send(&kit, guess(method, path)).await.status, 429);
    }
    let too_many: Vec<_> =
        log.refused().into_iter().filter(|refused| refused.reason == "request.rate_limited").collect();
    assert_eq!(too_many.len(), 4);
    assert!(too_many.iter().all(|refused| (refused.method, refused.route.as_str()) == ("OTHER", "*")));
}

#[actix_web::test]
async fn without_configuration_no_other_origin_is_answered() {
    let kit = kit();
    let answer = send(&kit, request(Method::GET, "/things", "person").insert_header(("origin", ORIGIN))).await;
    assert!(answer.status == 200 && !has_cross_origin_header(&answer));
    let answer = send(&kit, preflight(ORIGIN, "POST", "authorization")).await;
    assert!(answer.status == 405 && !has_cross_origin_header(&answer), "{}", answer.status);
}

#[actix_web::test]
async fn configured_origin_is_answered_its_preflight_without_credentials() {
    let kit = kit().with_cors(Cors::new([ORIGIN]).unwrap());
    let answer =
        send(&kit, preflight(ORIGIN, "PATCH", "authorization, idempotency-key, if-match, x-organization-id")).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(ORIGIN)));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("PATCH"));
    let allowed = answer.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
    assert!(allowed.contains("idempotency-key") && allowed.contains("authorization"), "{allowed}");
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));

    let answer = send(&kit, request(Method::GET, "/things", "person").insert_header(("origin", ORIGIN))).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    let exposed = answer.header("access-control-expose-headers").unwrap().to_ascii_lowercase();
    for name in ["x-request-id", "daybook-position", "etag", "location", "retry-after"] {
        assert!(exposed.contains(name), "{name}: {exposed}");
    }
    // A page can read why it was turned away.
    let answer = send(&kit, get("/things").insert_header(("origin", ORIGIN))).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (401, Some(ORIGIN)));
}

#[actix_web::test]
async fn other_origins_than_the_configured_are_not_allowed() {
    let kit = kit().with_cors(Cors::new([ORIGIN]).unwrap());
    for origin in ["https://evil.example.com", "https://app.example.com.evil.example", "null"] {
        let answer = send(&kit, preflight(origin, "GET", "authorization")).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (400, None), "{origin}");
        assert_eq!(answer.problem()["code"], "request.cross_origin");
        let answer = send(&kit, request(Method::GET, "/things", "person").insert_header(("origin", origin))).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None), "{origin}");
    }
    let answer = send(&kit, preflight(ORIGIN, "GET", "x-anything")).await;
    assert_eq!(answer.status, 400);
}

#[actix_web::test]
async fn transport_security_is_demanded_only_of_those_who_came_by_https() {
    let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
    let kit = kit().with_trusted_proxies(proxies);
    let from = |address: &str, scheme: &'static str| {
        get("/open").peer_addr(address.parse().unwrap()).insert_header(("x-forwarded-proto", scheme))
    };
    let demanded = |answer: Answer| answer.header("strict-transport-security").is_some();
    assert!(demanded(send(&kit, from("10.1.2.3:4", "https")).await));
    assert!(!demanded(send(&kit, from("10.1.2.3:4", "http")).await));
    assert!(!demanded(send(&kit, from("203.0.113.1:4", "https")).await));
    assert!(!demanded(send(&kit, get("/open")).await));
}

#[actix_web::test]
async fn every_answer_keeps_to_itself() {
    for path in ["/open", "/things", "/nothing"] {
        let answer = send(&kit(), get(path)).await;
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
        assert!(answer.header("permissions-policy").unwrap().contains("camera=()"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}
