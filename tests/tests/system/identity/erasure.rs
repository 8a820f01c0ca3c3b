//! Erasing somebody: nothing of him is left in any file or table, and everything still verifies.

use daybook_tests::people::MAIN;
use daybook_tests::{Server, Store, both_stores, data, eventually};
use serde_json::json;

use super::traces::traces_of;

const EMAIL: &str = "quillfeather.jaspernook@vanishing.example";
const NAME: &str = "Jaspernook Quillfeather";
const TEXT: &str = "yours truly Jaspernook wrote this sentence about a marmoset";

both_stores!(erased_person_leaves_no_trace_and_everything_verifies);

async fn erased_person_leaves_no_trace_and_everything_verifies(store: &Store) {
    let mut server = Server::start(store).await;
    let (requester, approver) = (server.person(MAIN, "compliance").await, server.person(MAIN, "admin").await);
    let subject = server.person_named(MAIN, "analyst", EMAIL, NAME).await;
    let incident = subject.client.post("/v1/incidents", &data::incident("Stuck")).await.expect(201).json();
    let incident = incident["incident_id"].as_str().unwrap().to_owned();
    let comment = subject.client.post(&format!("/v1/incidents/{incident}/comment"), &json!({"comment": TEXT})).await;
    assert_eq!(comment.status, 200, "{}", comment.body);
    let (position, _) = comment.receipt();
    let timeline = format!("/v1/incidents/{incident}/timeline");
    let shown = approver.client.get_at_least(&timeline, position).await.expect(200).body;
    assert!(shown.contains("marmoset"), "{shown}");
    // Others look for him, by name.
    approver.client.get("/v1/users?search=Jaspernook").await.expect(200);
    approver.client.get("/v1/audit-trail?search=Jaspernook").await;
    let profile = json!({"full_name": "Jaspernook Quillfeather the Second"});
    subject.client.send(subject.client.request("PUT", "/v1/auth/profile").json(&profile)).await.expect(200);
    server.stranger().post("/v1/auth/reset-password", &json!({"email": EMAIL})).await.expect(202);
    assert!(traces_of(store, "marmoset").await.is_empty(), "{:?}", traces_of(store, "marmoset").await);

    // A hold on a record of his stands in the way, and is named.
    let hold = json!({"matter": "Case 7", "reason": "Subpoena", "covers": [
        {"kind": "stream", "stream_type": "incident", "stream_id": incident}]});
    let hold = requester.client.post("/v1/legal-holds", &hold).await.expect(201).json();
    let hold = hold["id"].as_str().unwrap().to_owned();
    let wish = json!({"subject": subject.id, "reason": "Article 17 request of 20 November"});
    let erasure = requester.client.post("/v1/erasures", &wish).await.expect(201).json();
    let erasure = erasure["id"].as_str().unwrap().to_owned();
    let approve = format!("/v1/erasures/{erasure}/approve");
    let own = requester.client.post(&approve, &json!({})).await;
    assert!((400..500).contains(&own.status) && own.body.contains("self_approval"), "{} {}", own.status, own.body);
    let held = approver.client.post(&approve, &json!({})).await;
    assert_eq!(held.expect_problem(409), "erasure.held");
    assert!(held.body.contains(&hold), "{}", held.body);
    let still = approver.client.get(&format!("/v1/users/{}", subject.id)).await.expect(200).json();
    assert_eq!(still["email"], EMAIL);

    requester.client.post(&format!("/v1/legal-holds/{hold}/release"), &json!({"reason": "closed"})).await.expect(200);
    let performed = approver.client.post(&format!("/v1/erasures/{erasure}/perform"), &json!({})).await.expect(200);
    assert_eq!(performed.json()["status"], "performed");
    let (position, _) = performed.receipt();

    let gone = approver.client.get(&format!("/v1/users/{}", subject.id)).await.expect(200).json();
    assert_eq!((gone["status"].as_str(), gone["full_name"].as_str()), (Some("erased"), Some("erased")), "{gone}");
    subject.client.get("/v1/auth/me").await.expect_problem(401);
    let timeline = approver.client.get_at_least(&timeline, position).await.expect(200).body;
    assert!(!timeline.contains("marmoset") && timeline.contains("erased"), "{timeline}");
    eventually("what was read meanwhile is recorded", async || {
        let page = server.client().get("/v1/audit-trail?event_type=access.read&limit=500").await.expect(200).json();
        page["items"].as_array().is_some_and(|items| !items.is_empty()).then_some(())
    })
    .await;

    for text in [EMAIL, "quillfeather", "jaspernook", "marmoset"] {
        let traces = traces_of(store, text).await;
        assert!(traces.is_empty(), "{text} while the server runs: {traces:?}");
    }
    assert!(server.terminate().await.success());
    for text in [EMAIL, "quillfeather", "jaspernook", "marmoset"] {
        let traces = traces_of(store, text).await;
        assert!(traces.is_empty(), "{text} after the server has ended: {traces:?}");
    }
    let report = store.verified().await;
    let payloads = &report["ledgers"][0]["payloads"];
    let payloads = if payloads.is_object() { payloads } else { &report["payloads"] };
    assert!(payloads["erased"].as_u64().is_some_and(|erased| erased >= 3), "{report}");
    assert_eq!(payloads["missing"], 0, "{report}");
}
