//! What an evidence pack tells people: of entries that are in it, with what was cut and what is not there.

use std::collections::BTreeMap;

use daybook_tests::people::MAIN;
use daybook_tests::{Server, Store, data};
use serde_json::{Value, json};

use super::People;
use super::evidence::{Fetched, a_matter, auditor, wish};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_is_told_from_entries_that_are_in_the_pack() {
    let store = Store::sqlite();
    let server = Server::start(&store).await;
    let people = People::of(&server).await;
    let idle = server.person(MAIN, "analyst").await;
    // A value that a spreadsheet would take for a formula, and a remark that is longer than the report shows.
    people.asker.client.post("/v1/transactions", &data::transaction("=HYPERLINK(1)")).await.expect(201);
    let (_, hold) = a_matter(&server, &people).await;
    let long = json!({"text": "x".repeat(700)});
    people.asker.client.post("/v1/transactions/TX-EVIL/notes", &long).await.expect(200);
    let entries = server.client().entries().await;
    let end = entries.last().unwrap()["recorded_at"].as_str().unwrap().to_owned();
    // After the period the hold is released, and another one placed.
    let released = format!("/v1/legal-holds/{hold}/release");
    server.client().post(&released, &json!({"reason": "over"})).await.expect(200);
    people.asker.client.post("/v1/transactions", &data::transaction("TX-LATER")).await.expect(201);

    // Everything of a period that has ended: the hold is told with its release, which is there.
    let export = people.approved(&wish(&json!({"end": end}))).await;
    assert_eq!(people.once(&export, &["generated", "failed"]).await["status"], "generated");
    let pack = Fetched::of(&server, &people, &export, &store).await;
    auditor(&["verify"], &pack.path("pack.zip"), &pack.path("keys.txt")).await.expect(0);
    let holds: Vec<Value> = serde_json::from_str(pack.text("holds.json")).unwrap();
    let told = holds.iter().find(|told| told["stream_id"] == hold.as_str()).unwrap();
    assert_eq!((told["record"]["released"].as_bool(), told["entries"].as_u64()), (Some(true), Some(2)), "{told}");
    let of_hold = |line: &&str| line.contains("\"legal_hold.");
    assert_eq!(pack.text("entries.ndjson").lines().filter(of_hold).count(), 2);
    let report = pack.text("report.html");
    assert!(report.contains("released at") && !report.contains("had not ended"), "{report}");
    for name in ["index.csv", "trail.csv"] {
        let text = pack.text(name);
        assert!(text.contains(",'=HYPERLINK(1),") && !text.contains(",=HYPERLINK"), "{name}: {text}");
    }
    assert!(pack.text("entries.ndjson").contains("\"=HYPERLINK(1)\""));
    // Every record has a status, and none is told that came later.
    let index = pack.text("index.csv");
    assert!(!index.contains("TX-LATER"), "{index}");
    let mut rows = csv::Reader::from_reader(index.as_bytes());
    for row in rows.deserialize::<BTreeMap<String, String>>().map(Result::unwrap) {
        assert!(!row["status"].is_empty(), "{row:?}");
    }

    // Somebody who did nothing within a period that goes on, with what people wrote.
    let filters = json!({"hold": hold, "subjects": [idle.id], "people": true, "start": end});
    let export = people.approved(&wish(&filters)).await;
    people.once(&export, &["generated"]).await;
    let pack = Fetched::of(&server, &people, &export, &store).await;
    let report = pack.text("report.html");
    for said in [
        format!("on their behalf: {}.", idle.id),
        "The period had not ended when this pack was made".to_owned(),
        "Cut after 500 characters; the whole is in <code>records/transaction.ndjson</code>".to_owned(),
    ] {
        assert!(report.contains(&said), "{said}: {report}");
    }
    assert!(pack.text("records/transaction.ndjson").contains(&"x".repeat(700)));

    // A program that nobody knows: there is nothing, and that is what is said.
    let export = people.approved(&wish(&json!({"subjects": ["nobody-knows-it"]}))).await;
    people.once(&export, &["generated"]).await;
    let pack = Fetched::of(&server, &people, &export, &store).await;
    auditor(&["verify"], &pack.path("pack.zip"), &pack.path("keys.txt")).await.expect(0);
    assert!(pack.text("report.html").contains("nothing was recorded on it"), "{}", pack.text("report.html"));
}
