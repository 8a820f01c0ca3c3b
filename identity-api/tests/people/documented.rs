//! The document and the routes say the same.

use std::collections::BTreeSet;

use actix_web::http::Method;
use serde_json::Value;

use crate::common::*;

/// Every `$ref` in the document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("$ref", Value::String(reference)) => {
                        found.insert(reference.clone());
                    }
                    _ => references(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[actix_web::test]
async fn every_documented_operation_is_mounted_with_and_without_the_prefix() {
    let world = world().await;
    let document = serde_json::to_value(daybook_identity_api::openapi()).unwrap();
    let mut count = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else { continue };
            let path = path.replace(['{', '}'], "");
            for path in [path.as_str(), path.strip_prefix("/v1").unwrap_or(&path)] {
                let answer =
                    world.call(method.clone(), path, &[("authorization", &format!("Bearer {OPERATOR}"))], None).await;
                assert_ne!(answer.status, 405, "{method} {path}");
                assert!(!answer.body.contains("request.unknown_route"), "{method} {path}");
                count += 1;
            }
        }
    }
    assert!(count > 150, "{count}");
}

#[actix_web::test]
async fn every_schema_that_is_referred_to_is_there() {
    let document = serde_json::to_value(daybook_identity_api::openapi()).unwrap();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in found {
        // Common to all documents, and in the one that they are merged into.
        if ["#/components/schemas/Problem", "#/components/schemas/FieldError"].contains(&reference.as_str()) {
            continue;
        }
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

#[actix_web::test]
async fn operation_ids_are_unique() {
    let document = serde_json::to_value(daybook_identity_api::openapi()).unwrap();
    let mut seen = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            if let Some(id) = operation["operationId"].as_str() {
                assert!(seen.insert(id.to_owned()), "{id} is there twice");
            }
        }
    }
}
