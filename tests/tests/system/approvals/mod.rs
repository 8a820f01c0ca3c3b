//! Approvals from outside: what needs one does not happen without it, whoever asks.

mod flow;
mod gated_routes;
mod never;
mod once;
mod signed;
mod timing;

use daybook_tests::{Answer, Person};
use serde_json::{Value, json};

/// Terms that ask for `steps`, each `(votes, role)`, with a day for everything.
pub(crate) fn terms(steps: &[(u32, &str)]) -> Value {
    let steps: Vec<Value> =
        steps.iter().map(|(votes, role)| json!({"clauses": [{"votes": votes, "from": [{"role": role}]}]})).collect();
    json!({
        "steps": steps,
        "distinct_persons": true,
        "decide_within_seconds": 86_400,
        "grant_seconds": 86_400,
        "escalation": [],
    })
}

/// Asks for something of another system's that needs an approval; answers the request's id.
pub(crate) async fn requested(by: &Person, kind: &str, what: &str) -> String {
    let wish = json!({"resource_type": kind, "resource_id": what, "reason": "needed for the quarter"});
    let answer = by.client.post("/v1/approvals", &wish).await.expect(201).json();
    answer["approval_id"].as_str().unwrap_or_else(|| panic!("no id in {answer}")).to_owned()
}

/// Votes on a request.
pub(crate) async fn vote(by: &Person, id: &str, decision: &str) -> Answer {
    let body = json!({"decision": decision, "reason": "looked at it"});
    by.client.post(&format!("/v1/approvals/{id}/vote"), &body).await
}

/// A request as somebody sees it once everything up to now is folded.
pub(crate) async fn shown(by: &Person, id: &str) -> Value {
    let size = by.client.ledger_size().await;
    by.client.get_at_least(&format!("/v1/approvals/{id}"), size - 1).await.expect(200).json()
}

/// Puts terms for an action type into force: `asker` asks, `other` agrees, `asker` does it.
pub(crate) async fn policy(asker: &Person, other: &Person, action: &str, terms: &Value) {
    let path = format!("/v1/approval-policies/{action}");
    let body = json!({"rules": [{"terms": terms}], "reason": "the board decided so"});
    let put = async || asker.client.send(asker.client.request("PUT", &path).json(&body)).await;
    let blocked = put().await.expect(202).json();
    let id = blocked["approval_request_id"].as_str().unwrap_or_else(|| panic!("no id in {blocked}")).to_owned();
    vote(other, &id, "approve").await.expect(200);
    let answer = put().await;
    assert!([200, 201].contains(&answer.status), "{} {}", answer.status, answer.body);
}
