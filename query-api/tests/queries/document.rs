//! The OpenAPI document and the page that shows it.

use std::collections::BTreeSet;

use serde_json::Value;

use daybook_domain::approval::{Decision, KnownAction};

use crate::decisions::Decisions;
use crate::world::World;

fn document() -> Value {
    serde_json::to_value(daybook_query_api::openapi()).unwrap()
}

fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, it)| (path.clone(), method.clone(), it))
        })
        .collect()
}

#[test]
fn every_operation_is_described_whole() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "Daybook");
    let tags: BTreeSet<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let place = format!("{method} {path}");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{place}");
        assert!(!operation["description"].as_str().unwrap().is_empty(), "{place}");
        assert!(names.insert(operation["operationId"].as_str().unwrap()), "{place}");
        assert!(
            operation["tags"].as_array().unwrap().iter().all(|tag| tags.contains(tag.as_str().unwrap())),
            "{place}"
        );
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{place}");
        if operation.get("security").is_none() {
            assert!(["401", "403", "503"].iter().all(|status| responses.contains_key(*status)), "{place}");
        }
        let is_lenient = operation["tags"].as_array().is_some_and(|tags| tags.contains(&"health".into()));
        assert_eq!(responses.contains_key("400"), !is_lenient, "{place}");
        // An incident that nobody has opened has an empty timeline.
        let can_be_missing = path.contains('{') && !path.ends_with("/timeline");
        assert_eq!(responses.contains_key("404"), can_be_missing, "{place}");
        for (status, response) in responses {
            let content = response["content"].as_object().unwrap_or_else(|| panic!("{place} {status} has no content"));
            assert!(content.values().all(|content| content.get("schema").is_some()), "{place} {status}");
            if status.starts_with(['4', '5']) && !path.ends_with("/ready") {
                assert!(content.contains_key("application/problem+json"), "{place} {status}");
            }
        }
        let named: BTreeSet<_> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
            .collect();
        let wanted: BTreeSet<_> =
            path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap().to_owned()).collect();
        assert_eq!(named, wanted, "{place}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(!parameter["description"].as_str().unwrap_or_default().is_empty(), "{place} {}", parameter["name"]);
        }
    }
    assert_eq!(names.len(), 54);
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, document: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                fields.values().for_each(|value| walk(value, document));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, document)),
            _ => {}
        }
    }
    let document = document();
    walk(&document, &document);
}

/// The names of the properties of a schema, through references and `allOf`.
fn properties(schema: &Value, document: &Value) -> BTreeSet<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return properties(document.pointer(&reference[1..]).unwrap(), document);
    }
    let mut names: BTreeSet<String> =
        schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned()).collect();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        names.extend(properties(part, document));
    }
    names
}

#[actix_web::test]
async fn answers_have_no_field_that_the_document_does_not_name() {
    let world = World::signing().await;
    world.ten().await;
    world.open("inc_a", "Order stuck", daybook_domain::incident::Severity::High).await;
    world.catch_up().await;
    world.sign().await;
    let document = document();
    for (path, of) in [
        ("/v1/ledgers/main/checkpoints", "/v1/ledgers/{ledger_id}/checkpoints"),
        ("/v1/ledgers/main/proofs/inclusion?position=3", "/v1/ledgers/{ledger_id}/proofs/inclusion"),
        ("/v1/ledgers/main/proofs/consistency?from=3", "/v1/ledgers/{ledger_id}/proofs/consistency"),
        ("/v1/ledgers/main/keys", "/v1/ledgers/{ledger_id}/keys"),
        ("/v1/transactions", "/v1/transactions"),
        ("/v1/transactions/TX-1", "/v1/transactions/{transaction_id}"),
        ("/v1/incidents", "/v1/incidents"),
        ("/v1/incidents/inc_a", "/v1/incidents/{incident_id}"),
        ("/v1/incidents/inc_a/timeline", "/v1/incidents/{incident_id}/timeline"),
        ("/v1/audit-trail", "/v1/audit-trail"),
        ("/v1/stats/summary", "/v1/stats/summary"),
        ("/v1/stats/transactions", "/v1/stats/transactions"),
        ("/v1/stats/incidents", "/v1/stats/incidents"),
        ("/v1/ledgers/main/head", "/v1/ledgers/{ledger_id}/head"),
        ("/v1/ledgers/main/entries/0", "/v1/ledgers/{ledger_id}/entries/{position}"),
        ("/v1/ledgers/main/streams/transaction/TX-1", "/v1/ledgers/{ledger_id}/streams/{stream_type}/{stream_id}"),
        ("/v1/projections", "/v1/projections"),
        ("/v1/health/ready", "/v1/health/ready"),
        ("/v1", "/"),
    ] {
        let answer = world.get(path).await.json();
        let schema = &document["paths"][of]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        assert_described(&answer, schema, &document, path);
    }
}

#[actix_web::test]
async fn answers_about_approvals_and_exports_have_no_field_that_the_document_does_not_name() {
    let world = crate::exports::two().await;
    let decisions = Decisions::of(&world);
    decisions.open("apr_1", KnownAction::AgentTriage, "usr_1", 0).await;
    decisions.vote("apr_1", "usr_9", Decision::Approve, 1).await;
    decisions.open("apr_2", KnownAction::AgentTriage, "usr_1", 0).await;
    let document = document();
    for (path, of) in [
        ("/v1/approvals", "/v1/approvals"),
        ("/v1/approvals/apr_1", "/v1/approvals/{approval_id}"),
        ("/v1/approvals/apr_1/history", "/v1/approvals/{approval_id}/history"),
        ("/v1/approvals/inbox?include=others", "/v1/approvals/inbox"),
        ("/v1/approvals/metrics", "/v1/approvals/metrics"),
        ("/v1/approval", "/v1/approval"),
        ("/v1/agent/actions", "/v1/agent/actions"),
        ("/v1/agent/ops/actions", "/v1/agent/ops/actions"),
        ("/v1/agent/ops/actions/metrics", "/v1/agent/ops/actions/metrics"),
        ("/v1/agent/ops/actions/apr_1/history", "/v1/agent/ops/actions/{action_id}/history"),
        ("/v1/approval-policies", "/v1/approval-policies"),
        ("/v1/approval-policies/agent.triage", "/v1/approval-policies/{action}"),
        ("/v1/delegations", "/v1/delegations"),
        ("/v1/exports", "/v1/exports"),
        ("/v1/exports/exp_1", "/v1/exports/{export_id}"),
    ] {
        let answer = world.get(path).await.json();
        let schema = &document["paths"][of]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        match answer.as_array() {
            Some(rows) => assert_described(&rows[0], &schema["items"], &document, path),
            None => assert_described(&answer, schema, &document, path),
        }
    }
}

/// Objects have only named fields; lists are looked into as far as schemas say what is in them.
fn assert_described(value: &Value, schema: &Value, document: &Value, place: &str) {
    let named = properties(schema, document);
    let Value::Object(fields) = value else { return };
    assert!(!named.is_empty(), "{place} has no schema");
    for (name, value) in fields {
        assert!(named.contains(name), "{place}.{name} is not in the document: {named:?}");
        let (Value::Array(items), Some(property)) = (value, property(schema, name, document)) else { continue };
        if let (Some(item), false) = (items.first(), property["items"].is_null()) {
            assert_described(item, &property["items"], document, &format!("{place}.{name}"));
        }
    }
}

fn property<'a>(schema: &'a Value, name: &str, document: &'a Value) -> Option<&'a Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        return property(document.pointer(&reference[1..]).unwrap(), name, document);
    }
    schema["properties"]
        .get(name)
        .or_else(|| schema["allOf"].as_array().into_iter().flatten().find_map(|part| property(part, name, document)))
}

#[actix_web::test]
async fn documentation_needs_nothing_from_elsewhere() {
    let world = World::new().await;
    assert_eq!(world.send("GET", "/openapi.json", &[]).await.json(), document());
    for path in ["/docs", "/docs/"] {
        let page = world.send("GET", path, &[]).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.text().contains("<title>Daybook</title>") && page.text().contains("swagger"));
        assert!(!page.text().contains("http://") && !page.text().contains("https://"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self'") && !policy.contains("script-src 'self' 'unsafe"), "{policy}");
        // Every file that the page loads is there, of a type that the browser takes.
        for name in page.text().split('"').filter_map(|part| part.strip_prefix("/docs/")) {
            let file = world.send("GET", &format!("/docs/{name}"), &[]).await;
            assert_eq!(file.status, 200, "{name}");
            assert!(
                !file.body.is_empty() && file.header("content-type").unwrap() != "application/octet-stream",
                "{name}"
            );
        }
    }
    let start = world.send("GET", "/docs/swagger-initializer.js", &[]).await.text();
    assert!(start.contains("/openapi.json") && !start.contains("petstore"), "{start}");
    assert_eq!(world.send("GET", "/docs/nothing.js", &[]).await.status, 404);
}
