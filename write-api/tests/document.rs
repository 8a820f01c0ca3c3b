//! The OpenAPI document says what the routes do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use actix_web::http::Method;
use common::people::{ADA, CARLA, COLIN, VERA};
use common::{call, fixture};
use serde_json::{Value, json};

/// What of `value` the schema does not allow. Members that the schema does not name are faults, also where it is silent
/// about them: an answer says nothing that the document does not.
fn faults(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let mut named = serde_json::Map::new();
    let mut faults = Vec::new();
    collect(document, schema, value, place, &mut named, &mut faults);
    if let (Some(members), false) = (value.as_object(), named.is_empty()) {
        for (name, member) in members {
            let place = format!("{place}/{name}");
            match named.get(name) {
                Some(schema) => faults.extend(self::faults(document, schema, member, &place)),
                None => faults.push(format!("{place} is not in the document")),
            }
        }
    }
    faults
}

fn collect(
    document: &Value,
    schema: &Value,
    value: &Value,
    place: &str,
    named: &mut serde_json::Map<String, Value>,
    found: &mut Vec<String>,
) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
        return collect(document, target, value, place, named, found);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        collect(document, part, value, place, named, found);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        if !choices.iter().any(|choice| faults(document, choice, value, place).is_empty()) {
            found.push(format!("{place} is none of the choices"));
        }
        return;
    }
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let fits = types.contains(&actual) || (actual == "integer" && types.contains(&"number"));
    if !types.is_empty() && !fits {
        found.push(format!("{place} is {actual}, not {types:?}"));
        return;
    }
    if value.is_object() {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if value.get(name).is_none() {
                found.push(format!("{place}/{name} is missing"));
            }
        }
        if let Some(properties) = schema["properties"].as_object() {
            named.extend(properties.clone());
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(faults(document, &schema["items"], item, &format!("{place}/{index}")));
    }
}

#[test]
fn the_checker_finds_faults() {
    let document = json!({"components": {"schemas": {
        "A": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}},
        "B": {"allOf": [{"$ref": "#/components/schemas/A"}, {"properties": {"b": {"type": ["integer", "null"]}}}]},
    }}});
    let schema = json!({"$ref": "#/components/schemas/B"});
    let check = |value: Value| faults(&document, &schema, &value, "");
    assert_eq!(check(json!({"a": "x", "b": null})), Vec::<String>::new());
    assert_eq!(check(json!({"b": 1})), ["/a is missing"]);
    assert_eq!(check(json!({"a": 1})), ["/a is integer, not [\"string\"]"]);
    assert_eq!(check(json!({"a": "x", "c": 1})), ["/c is not in the document"]);
    assert!(!check(json!([])).is_empty());
}

#[actix_web::test]
async fn bodies_that_are_taken_and_answers_are_as_documented() {
    let fixture = fixture().await;
    let document = serde_json::to_value(daybook_write_api::openapi()).unwrap();
    let incident = |id| json!({"incident_id": id, "title": "late", "severity": "low", "incident_type": "spike"});
    let full = json!({"transaction_id": "t1", "amount": "1.50", "currency": "EUR", "transaction_type": "wire",
        "timestamp": "2026-11-21T10:00:00Z", "account": "a", "counterparty": "c", "meta": {"k": [1]}});
    let script = [
        ("/transactions", "/transactions", full.clone()),
        ("/transactions", "/transactions", full),
        ("/transactions", "/transactions", json!({"amount": 2, "currency": "EUR", "type": "ach"})),
        ("/transactions/{id}/correct", "/transactions/t1/correct", json!({"reason": "typo", "transaction_type": null})),
        ("/transactions/{id}/notes", "/transactions/t1/notes", json!({"text": "seen"})),
        ("/transactions/{id}/status", "/transactions/t1/status", json!({"status": "completed", "reason": "paid"})),
        ("/incidents", "/incidents", incident("i1")),
        ("/incidents", "/incidents", incident("i2")),
        ("/incidents/{id}/acknowledge", "/incidents/i1/acknowledge", json!({"notes": "seen"})),
        ("/incidents/{id}/investigate", "/incidents/i1/investigate", json!({"reason": "odd"})),
        ("/incidents/{id}/assign", "/incidents/i1/assign", json!({"assigned_to": 7})),
        ("/incidents/{id}/escalate", "/incidents/i1/escalate", json!({"notes": "late", "to": "desk head"})),
        ("/incidents/{id}/comment", "/incidents/i1/comment", json!({"text": "called"})),
        ("/incidents/{id}/severity", "/incidents/i1/severity", json!({"severity": "high"})),
        ("/incidents/{id}/priority", "/incidents/i1/priority", json!({"priority": 1})),
        ("/incidents/{id}/details", "/incidents/i1/details", json!({"incident_type": "stuck_order", "desk": null})),
        ("/incidents/{id}/resolve", "/incidents/i1/resolve", json!({"notes": "restarted"})),
        ("/incidents/{id}/close", "/incidents/i1/close", json!({"note": "done"})),
        ("/incidents/{id}/reopen", "/incidents/i1/reopen", json!({"notes": "again"})),
        ("/incidents/bulk/triage", "/incidents/bulk/triage", json!({"incident_ids": ["i2", "none", 7]})),
        ("/incidents/bulk/assign", "/incidents/bulk/assign", json!({"incident_ids": ["i2"], "assigned_to": "x"})),
        ("/incidents/bulk/escalate", "/incidents/bulk/escalate", json!({"incident_ids": ["i2"], "reason": "late"})),
        ("/incidents/bulk/resolve", "/incidents/bulk/resolve", json!({"incident_ids": ["i1", "i2"]})),
    ];
    let operation = |path: &str, method: &str| document["paths"][format!("/v1{path}")][method].clone();
    for (documented, path, body) in script {
        let operation = operation(documented, "post");
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(faults(&document, schema, &body, "body"), Vec::<String>::new(), "{path}: {body}");
        let answer = common::post(&fixture, path, &body.to_string()).await;
        assert!((200..300).contains(&answer.status), "{path}: {}", answer.body);
        let schema = &operation["responses"][answer.status.to_string()]["content"]["application/json"]["schema"];
        assert!(!schema.is_null(), "{path} {}", answer.status);
        assert_eq!(
            faults(&document, schema, &answer.json(), "answer"),
            Vec::<String>::new(),
            "{path}: {}",
            answer.body
        );
    }
    let problem = common::post(&fixture, "/transactions", r#"{"amount":"x","currency":"EUR"}"#).await.json();
    let schema = json!({"$ref": "#/components/schemas/Problem"});
    assert_eq!(faults(&document, &schema, &problem, "problem"), Vec::<String>::new());

    let ndjson = [("content-type", "application/x-ndjson")];
    let lines = "{\"amount\":1,\"currency\":\"EUR\"}\n[\"t9\",1,\"EUR\"]\n";
    let lines = common::post_with(&fixture, "/transactions/batch", &ndjson, lines).await.lines();
    assert_eq!(lines.len(), 3);
    for (line, name) in lines.iter().zip(["ItemAnswer", "ItemAnswer", "SummaryLine"]) {
        let schema = json!({"$ref": format!("#/components/schemas/{name}")});
        assert_eq!(faults(&document, &schema, line, name), Vec::<String>::new());
    }
}

#[actix_web::test]
async fn approvals_are_taken_and_answered_as_documented() {
    let fixture = fixture().await;
    let append = daybook_ledger::Append {
        stream: daybook_ledger::StreamKey::new("department", "dep_1").unwrap(),
        expected_version: 0,
        events: vec![daybook_ledger::Draft::new(
            "department.created",
            1,
            r#"{"department_id":"dep_1","name":"Treasury"}"#.to_owned(),
        )],
        actor: daybook_ledger::Actor::system("operator"),
        metadata: "{}".to_owned(),
        command: None,
    };
    fixture.ledger.append(append).await.unwrap();
    let document = serde_json::to_value(daybook_write_api::openapi()).unwrap();
    let ask = |resource_type: &str| json!({"resource_type": resource_type, "resource_id": "7", "reason": "needed"});
    let mut ids = Vec::new();
    for resource_type in ["wire", "wire", "agentic_triage", "wire"] {
        let asked = CARLA.post(&fixture, "/approvals", ask(resource_type)).await.json();
        ids.push(asked["approval_id"].as_str().unwrap().to_owned());
    }
    let [one, two, agent, fire] = ids.as_slice() else { panic!("four were asked for") };
    let on = |id: &str, verb: &str| format!("/approvals/{id}/{verb}");
    let full = json!({"resource_type": "wire", "resource_id": "8", "reason": "r", "summary": "s", "parameters": {"a": "b"},
        "changes": [{"field": "f", "before": null, "after": "x"}], "amount": "1.50", "currency": "EUR", "label": "l",
        "submit": false});
    let rules = json!({"rules": [{"amount_at_least": {"amount": "1", "currency": "EUR"}, "terms": {"steps": [], "break_glass":
        {"who": [{"role": "owner"}], "grant_seconds": 60, "review_within_seconds": 60}}}, {"terms": {"steps": [{"name": "n",
        "clauses": [{"votes": 1, "from": [{"group": "dep_1"}, {"person": "usr_1"}]}]}], "escalation": [{"after_seconds": 9,
        "to": [{"role": "owner"}]}]}}], "reason": "r"});
    let delegation = json!({"to": COLIN.id(), "ends_at": "2027-01-01T00:00:00Z", "starts_at": "2026-12-01T00:00:00Z",
        "actions": ["export.users"]});
    let many = json!({"decisions": [{"approval_id": "apr_0", "decision": "approve"},
        {"approval_id": two, "decision": "reject", "reason": "r", "revision": 1}]});
    let agents = |verb: &str| format!("/agent/ops/actions/{agent}/{verb}");
    let script = [
        (CARLA, "/approvals", "/approvals".to_owned(), full),
        (CARLA, "/approval", "/approval".to_owned(), ask("wire")),
        (COLIN, "/approvals/{id}/comment", on(one, "comment"), json!({"text": "hm"})),
        (COLIN, "/approvals/{id}/assign", on(one, "assign"), json!({"assigned_to": 7})),
        (COLIN, "/approvals/{id}/escalate", on(one, "escalate"), json!({"reason": "late", "to": [{"role": "admin"}]})),
        (COLIN, "/approvals/{id}/vote", on(one, "vote"), json!({"decision": "approve", "reason": "r", "revision": 1})),
        (CARLA, "/approvals/{id}/consume", on(one, "consume"), json!({"execution_id": "run 1"})),
        (ADA, "/approvals/{id}/break-glass", on(fire, "break-glass"), json!({"reason": "fire"})),
        (COLIN, "/approvals/{id}/review", on(fire, "review"), json!({"decision": "reject", "reason": "no fire"})),
        (COLIN, "/approvals/decisions", "/approvals/decisions".to_owned(), many),
        (COLIN, "/agent/ops/actions/{id}/assign", agents("assign"), json!({"assignee_id": "usr_1"})),
        (COLIN, "/agent/ops/actions/{id}/escalate", agents("escalate"), json!({"reason": "late"})),
        (COLIN, "/agent/ops/actions/{id}/comment", agents("comment"), json!({"comment": "hm"})),
        (
            COLIN,
            "/agent/ops/actions/{id}/approve",
            agents("approve"),
            json!({"approved_by": COLIN.id(), "reason": "r"}),
        ),
        (VERA, "/delegations", "/delegations".to_owned(), delegation),
        (ADA, "/approval-policies/{action}", "/approval-policies/external.wire".to_owned(), rules),
    ];
    for (who, documented, path, body) in script {
        let method = if documented.contains("policies") { Method::PUT } else { Method::POST };
        let operation = &document["paths"][format!("/v1{documented}")][method.as_str().to_lowercase()];
        let schema = request_schema(&operation["requestBody"]["content"]["application/json"]["schema"]);
        assert_eq!(faults(&document, &schema, &body, "body"), Vec::<String>::new(), "{path}: {body}");
        let answer = who.call(&fixture, method, &path, &[], body).await;
        assert!((200..300).contains(&answer.status), "{path}: {}", answer.body);
        let schema = &operation["responses"][answer.status.to_string()]["content"]["application/json"]["schema"];
        assert!(!schema.is_null(), "{path} {}", answer.status);
        let found = faults(&document, schema, &answer.json(), "answer");
        assert_eq!(found, Vec::<String>::new(), "{path}: {}", answer.body);
    }
}

/// The schema of a body that is there, of one that may be missing.
fn request_schema(schema: &Value) -> Value {
    let choices = schema["oneOf"].as_array();
    let body = choices.and_then(|choices| choices.iter().find(|choice| choice["type"] != "null"));
    body.unwrap_or(schema).clone()
}

#[test]
fn schemas_and_security_are_named_as_the_whole_document_needs_them() {
    let document = serde_json::to_value(daybook_write_api::openapi()).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in ["TransactionState", "IncidentState", "TransactionNoteBody", "IncidentNoteBody"] {
        assert!(schemas.contains_key(name), "{name}");
    }
    for name in ["TransactionView", "IncidentView", "NoteBody"] {
        assert!(!schemas.contains_key(name), "{name} is the name of something else");
    }
    let schemes: Vec<_> = document["components"]["securitySchemes"].as_object().unwrap().keys().collect();
    assert_eq!(schemes, ["access_token", "api_key", "development_email", "development_role", "operator_token"]);
    let bulk = document["paths"]["/v1/incidents/bulk/resolve"]["post"]["parameters"].to_string();
    assert!(bulk.contains("Idempotency-Key") && !bulk.contains("If-Match"));
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["responses"]["429"].is_object(), "{method} {path}");
        }
    }
}

#[actix_web::test]
async fn every_documented_command_is_mounted_and_guarded() {
    let fixture = fixture().await;
    let document = serde_json::to_value(daybook_write_api::openapi()).unwrap();
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            for path in [path.as_str(), path.strip_prefix("/v1").unwrap()] {
                let path = path.replace("{id}", "x").replace("{action}", "export.users");
                let answer = call(&fixture, method.clone(), &path, &[("anonymous", "")], Vec::new()).await;
                answer.problem(401, "identity.required");
                let viewer = [("x-user-email", "v@example.com"), ("x-user-role", "viewer")];
                let answer = call(&fixture, method.clone(), &path, &viewer, Vec::new()).await;
                // Everybody has somebody stand in for himself.
                if path.contains("/delegations") {
                    assert!([400, 404].contains(&answer.status), "{path}: {}", answer.body);
                // Everybody who may see proofs has an export verified that he has.
                } else if path.ends_with("/verify_export") {
                    answer.problem(415, "request.unsupported_media_type");
                } else {
                    answer.problem(403, "permission.denied");
                }
            }
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{path}");
            assert!(operation["responses"]["401"].is_object() && operation["responses"]["400"].is_object(), "{path}");
            operations += 1;
        }
    }
    assert_eq!(operations, 71);
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
