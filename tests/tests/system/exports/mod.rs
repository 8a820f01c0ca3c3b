//! Exports from outside: asked for, agreed to, made, proved, delivered.

mod audit;
mod crash;
mod delivery;
mod evidence;
mod life;
mod schedules;
mod tampering;
mod told;

use daybook_tests::people::MAIN;
use daybook_tests::{Person, Server, data, eventually};
use serde_json::{Value, json};

/// Somebody who asks for exports and somebody who agrees.
pub(crate) struct People {
    /// Asks.
    pub asker: Person,
    /// Agrees.
    pub other: Person,
}

impl People {
    /// Both, in the organisation that is always there.
    pub async fn of(server: &Server) -> Self {
        Self { asker: server.person(MAIN, "admin").await, other: server.person(MAIN, "compliance").await }
    }

    /// Asks for an export and has it agreed to; answers its id.
    pub async fn approved(&self, wish: &Value) -> String {
        let blocked = self.asker.client.post("/v1/exports", wish).await.expect(202).json();
        let approval = blocked["approval_request_id"].as_str().unwrap_or_else(|| panic!("no approval in {blocked}"));
        let export = blocked["export"]["export_id"].as_str().unwrap_or_else(|| panic!("no export in {blocked}"));
        let vote = json!({"decision": "approve", "reason": "needed"});
        self.other.client.post(&format!("/v1/approvals/{approval}/vote"), &vote).await.expect(200);
        export.to_owned()
    }

    /// The export once it is in one of `statuses`.
    pub async fn once(&self, export: &str, statuses: &[&str]) -> Value {
        eventually(&format!("the export is {statuses:?}"), async || {
            let answer = self.asker.client.get(&format!("/v1/exports/{export}")).await;
            let shown = (answer.status == 200).then(|| answer.json())?;
            statuses.contains(&shown["status"].as_str()?).then_some(shown)
        })
        .await
    }

    /// The export once its deliveries are in this state.
    pub async fn once_delivery_is(&self, export: &str, status: &str) -> Value {
        eventually(&format!("the delivery is {status}"), async || {
            let answer = self.asker.client.get(&format!("/v1/exports/{export}")).await;
            let shown = (answer.status == 200).then(|| answer.json())?;
            (shown["delivery_status"] == status).then_some(shown)
        })
        .await
    }
}

/// An export of transactions.
pub(crate) fn wish(format: &str) -> Value {
    json!({"kind": "transactions", "format": format, "reason": "for the auditor"})
}

/// Records `count` transactions.
pub(crate) async fn transactions(server: &Server, count: usize) {
    let lines: Vec<String> =
        (0..count).map(|number| data::transaction(&format!("TX-{number:06}")).to_string()).collect();
    let request = server.client().request("POST", "/v1/transactions/batch").body(lines.join("\n"));
    let answer = server.client().send(request.header("content-type", "application/x-ndjson")).await;
    assert!([200, 201, 207].contains(&answer.status), "{} {:.500}", answer.status, answer.body);
}

/// A whole answer as bytes.
pub(crate) async fn bytes(by: &Person, path: &str) -> Vec<u8> {
    let response = by.client.request("GET", path).send().await.expect("the server answers");
    assert_eq!(response.status().as_u16(), 200, "{path}");
    response.bytes().await.expect("a whole answer").to_vec()
}
