//! Every way to a gated action, as `docs/gated-actions.txt` lists them: each operation is called by an owner, with ids and bodies
//! that name real things, and whatever answers that an approval is needed is a way in. Nothing that is gated happens meanwhile.
//!
//! `UPDATE_DOCS=1` writes the list anew; otherwise it has to be what was committed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use daybook_tests::http_documents::operations;
use daybook_tests::people::MAIN;
use daybook_tests::{Server, Store, data, eventually};
use serde_json::{Value, json};

use super::{policy, terms};

/// What a gated action leaves in the ledger, by the type of its entry. None of these may be there without a grant.
const EFFECTS: [&str; 9] = [
    "approval.consumed",
    "approval_policy.defined",
    "approval_policy.retired",
    "erasure.approved",
    "erasure.performed",
    "export.approved",
    "export.generated",
    "export_schedule.standing_approved",
    "retention_rule.set",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_a_gated_action_is_listed_and_none_leads_there_unapproved() {
    let store = Store::sqlite();
    let server = Server::start(&store).await;
    let owner = server.person(MAIN, "owner").await;
    let leaving = server.person(MAIN, "viewer").await;
    owner.client.post("/v1/transactions", &data::transaction("TX-1")).await.expect(201);
    let incident = owner.client.post("/v1/incidents", &data::incident("Stuck")).await.expect(201).json();
    let incident = incident["incident_id"].as_str().unwrap().to_owned();
    let erasure = json!({"subject": leaving.id, "reason": "asked for it"});
    let asked = owner.client.post("/v1/erasures", &erasure).await.expect(201).json();
    let erasure = asked["id"].as_str().unwrap().to_owned();

    let schedule = json!({"name": "Monthly", "kind": "entries", "cron": "0 6 1 * *"});
    let made = owner.client.post("/v1/export-schedules", &schedule).await.expect(201).json();
    let schedule = made["schedule_id"].as_str().unwrap().to_owned();

    // One that can be taken back. It needed an approval: what comes afterwards is looked at.
    policy(&owner, &server.person(MAIN, "compliance").await, "export.transactions", &terms(&[(1, "compliance")])).await;
    let before = effects(&server).await;

    let soon = chrono::Utc::now() + chrono::Duration::days(30);
    let soon = soon.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let later = chrono::Utc::now() + chrono::Duration::days(60);
    let later = later.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let bodies: BTreeMap<&str, Value> = BTreeMap::from([
        ("POST /v1/exports", json!({"kind": "transactions", "format": "csv", "reason": "for the auditor"})),
        (
            "PUT /v1/approval-policies/{action}",
            json!({"rules": [{"terms": terms(&[])}], "reason": "no more approvals"}),
        ),
        ("POST /v1/export-schedules/{id}/standing-approval", json!({ "until": soon })),
        ("DELETE /v1/approval-policies/{action}", json!({"reason": "no more approvals"})),
        ("PUT /v1/retention/{record_type}", json!({"class": "six_years", "reason": "17a-4"})),
    ]);
    let document = server.stranger().get("/openapi.json").await.expect(200).json();
    let mut ways: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for operation in operations(&document).iter().filter(|operation| !operation.path.ends_with("/logout")) {
        let name = format!("{} {}", operation.method, operation.path);
        let path = operation.filled(|parameter| match (parameter, operation.path.as_str()) {
            ("ledger_id", _) => MAIN.to_owned(),
            ("incident_id", _) => incident.clone(),
            ("action", _) => "export.transactions".to_owned(),
            ("record_type", _) => "transaction".to_owned(),
            ("id", path) if path.contains("/erasures/") => erasure.clone(),
            ("id", path) if path.contains("/export-schedules/") => schedule.clone(),
            _ => "nothing-of-this-name".to_owned(),
        });
        let mut request = owner.client.request(&operation.method, &path);
        if operation.has_body {
            request = request.json(bodies.get(name.as_str()).unwrap_or(&json!({})));
        }
        // Only the head: a live stream has no end.
        let response = request.send().await.expect("the server answers");
        if response.status().as_u16() != 202 {
            continue;
        }
        let answer: Value = response.json().await.unwrap_or_default();
        let Some(id) = answer["approval_request_id"].as_str() else { continue };
        let request = eventually("the request is shown", async || {
            let shown = owner.client.get(&format!("/v1/approvals/{id}")).await;
            (shown.status == 200).then(|| shown.json())
        })
        .await;
        ways.entry(request["action"].as_str().unwrap().to_owned()).or_default().insert(name);
    }
    // An erasure is asked for by its own route, and opens its request there.
    let opened = owner.client.get("/v1/approvals?action=erasure.perform").await.expect(200).json();
    assert_eq!(opened["items"].as_array().map(Vec::len), Some(1), "{opened}");
    ways.entry("erasure.perform".to_owned()).or_default().insert("POST /v1/erasures".to_owned());

    for kind in ["transactions", "incidents", "users", "agent_actions", "audit_trail", "entries"] {
        let wish = json!({"kind": kind, "format": "json", "reason": "for the auditor"});
        owner.client.post("/v1/exports", &wish).await.expect(202);
        let way = ways.entry(format!("export.{kind}")).or_default();
        way.insert("POST /v1/exports".to_owned());
        // A schedule of such exports asks for all of its runs, or run by run.
        let schedule = json!({"name": "Monthly", "kind": kind, "cron": "0 6 1 * *", "standing_until": soon});
        let made = owner.client.post("/v1/export-schedules", &schedule).await.expect(201).json();
        assert!(made["approval_request_id"].is_string(), "{made}");
        way.insert("POST /v1/export-schedules".to_owned());
        let id = made["schedule_id"].as_str().unwrap();
        for (rest, body) in [("run", Value::Null), ("standing-approval", json!({ "until": later }))] {
            owner.client.post(&format!("/v1/export-schedules/{id}/{rest}"), &body).await.expect(202);
            way.insert(format!("POST /v1/export-schedules/{{id}}/{rest}"));
        }
    }
    let filters = json!({"matter": "Case 7", "start": "2026-01-01", "end": "2099-12-31"});
    let pack = json!({"kind": "evidence_pack", "filters": filters, "reason": "for the court"});
    owner.client.post("/v1/exports", &pack).await.expect(202);
    ways.entry("export.evidence_pack".to_owned()).or_default().insert("POST /v1/exports".to_owned());
    assert_eq!(effects(&server).await, before, "something gated happened without a grant");
    let mut text = String::from(
        "Every way to an action that needs an approval. Made by calling every operation as an owner\n\
         (tests/tests/system/approvals/gated_routes.rs); held by that test, which also holds that nothing gated happened.\n\n",
    );
    for (action, names) in &ways {
        let _ = writeln!(text, "{action}");
        for name in names {
            let _ = writeln!(text, "    {name}");
        }
    }
    text.push_str(
        "\nAn erasure is carried out by the vote that completes its approval (POST /v1/erasures/{id}/approve), or after a hold was\n\
         released (POST /v1/erasures/{id}/perform); an export by the server itself once it is approved, and one that a schedule runs at\n\
         its time under the standing approval of the schedule.\n",
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/gated-actions.txt");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(text == committed, "docs/gated-actions.txt is not what the program does; UPDATE_DOCS=1 writes it:\n{text}");
}

/// How many entries of each type of effect there are.
async fn effects(server: &Server) -> Vec<(&'static str, u64)> {
    let (mut counted, last) = (Vec::new(), server.client().ledger_size().await - 1);
    for effect in EFFECTS {
        let path = format!("/v1/audit-trail?event_type={effect}&count=true&limit=1");
        let found = server.client().get_at_least(&path, last).await.expect(200).json();
        counted.push((effect, found["total"].as_u64().unwrap()));
    }
    counted
}
