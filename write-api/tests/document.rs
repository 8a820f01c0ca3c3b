//! The OpenAPI document says what the routes do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use actix_web::http::Method;
use common::{call, fixture};

#[actix_web::test]
async fn every_documented_command_is_mounted_and_guarded() {
    let fixture = fixture().await;
    let document = serde_json::to_value(daybook_write_api::openapi()).unwrap();
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            for path in [path.as_str(), path.strip_prefix("/v1").unwrap()] {
                let path = path.replace("{id}", "x");
                let answer = call(&fixture, method.clone(), &path, &[("anonymous", "")], Vec::new()).await;
                answer.problem(401, "identity.required");
                let viewer = [("x-user-email", "v@example.com"), ("x-user-role", "viewer")];
                call(&fixture, method.clone(), &path, &viewer, Vec::new()).await.problem(403, "permission.denied");
            }
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{path}");
            assert!(operation["responses"]["401"].is_object() && operation["responses"]["400"].is_object(), "{path}");
            operations += 1;
        }
    }
    assert_eq!(operations, 23);
}

#[test]
fn every_schema_that_is_referred_to_is_there() {
    let document = serde_json::to_value(daybook_write_api::openapi()).unwrap();
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is missing");
    }
    assert_eq!(document["openapi"], "3.1.0");
    let parameters = document["paths"]["/v1/transactions"]["post"]["parameters"].to_string();
    for header in
        ["Idempotency-Key", "If-Match", "X-Request-Id", "X-Correlation-Id", "X-Causation-Id", "X-On-Behalf-Of"]
    {
        assert!(parameters.contains(header), "{header}");
    }
}
