//! Looking at projectors: how far they are, and whether read models equal what a rebuild from nothing gives.

use daybook_tests::{Client, Store, eventually_within};
use serde_json::Value;
use std::time::Duration;

/// The projectors there are.
pub const PROJECTORS: [&str; 8] =
    ["transactions", "incidents", "audit_trail", "stats", "approvals", "approval_policies", "delegations", "exports"];

/// The status of every projector.
pub async fn status(client: &Client) -> Vec<Value> {
    let status = client.get("/v1/projections").await.expect(200).json();
    status["items"].as_array().expect("items").clone()
}

/// Waits until every projector has seen the whole ledger. Nobody may be writing.
pub async fn settled(client: &Client) {
    eventually_within(Duration::from_secs(60), "every projector reaches the ledger's end", async || {
        let projectors = status(client).await;
        for projector in &projectors {
            assert!(projector["error"].is_null(), "{projector}");
        }
        let reached = projectors.iter().all(|projector| projector["lag"] == 0 && projector["state"] != "rebuilding");
        reached.then_some(())
    })
    .await;
}

/// `daybook projections check`: each read model has folded the whole ledger and equals one that is built from nothing.
pub async fn read_models_equal_a_rebuild(store: &Store) {
    let mut entries = store.verified().await["entries"].as_u64().expect("a number");
    // A server that stops seals the ledger last, when its projectors have ended.
    let last =
        store.daybook(&["replay", "--from", &entries.saturating_sub(1).to_string()]).await.expect(0).json_lines();
    if last.first().is_some_and(|entry| entry["event_type"] == "ledger.sealed") {
        entries -= 1;
    }
    for projector in PROJECTORS {
        let checked = store.daybook(&["projections", "check", projector, "--json"]).await.expect(0).json();
        assert_eq!(checked["equal"], true, "{checked}");
        assert!(checked["entries"].as_u64().is_some_and(|checked| checked >= entries), "{entries}: {checked}");
        for table in checked["tables"].as_array().expect("tables") {
            assert_eq!(table["rows"], table["rebuilt_rows"], "{checked}");
            assert_eq!((&table["only_live"], &table["only_rebuilt"]), (&Value::from(0), &Value::from(0)), "{checked}");
        }
    }
}
