//! How long records are kept, seen from outside: holds and rules stand in the way of everything that takes something away.

use daybook_tests::people::MAIN;
use daybook_tests::{Answer, Client, Person, Server, Store, both_stores};
use futures::future::join;
use serde_json::{Value, json};

use crate::approvals::vote;
use crate::exports::{People, bytes, wish};
use crate::faults::inject::Injector;

const DAY: i64 = 86_400;
const YEAR: i64 = 366 * DAY;

async fn put(by: &Person, record_type: &str, rule: &Value) -> Answer {
    by.client.send(by.client.request("PUT", &format!("/v1/retention/{record_type}")).json(rule)).await
}

fn rule(class: &str, years: u32, keeps_identities: bool) -> Value {
    json!({"class": class, "years": years, "keeps_identities": keeps_identities, "reason": "17a-4"})
}

/// Has a rule set: one asks, the other agrees, the first does it.
async fn set(asker: &Person, other: &Person, record_type: &str, rule: &Value) -> Value {
    let waits = put(asker, record_type, rule).await.expect(202).json();
    vote(other, waits["approval_request_id"].as_str().unwrap(), "approve").await.expect(200);
    let answer = put(asker, record_type, rule).await;
    assert!([200, 201].contains(&answer.status), "{} {}", answer.status, answer.body);
    answer.json()
}

/// Places a hold; answers its id.
async fn hold(by: &Client, cover: Value) -> String {
    let body = json!({"matter": "Case 7", "reason": "Subpoena", "covers": [cover]});
    let placed = by.post("/v1/legal-holds", &body).await.expect(201).json();
    placed["id"].as_str().unwrap().to_owned()
}

async fn release(by: &Client, hold: &str) {
    by.post(&format!("/v1/legal-holds/{hold}/release"), &json!({"reason": "closed"})).await.expect(200);
}

fn on_export(id: &str) -> Value {
    json!({"kind": "stream", "stream_type": "export", "stream_id": id})
}

/// Has an export made; answers its id.
async fn made(people: &People) -> String {
    let export = people.approved(&wish("csv")).await;
    people.once(&export, &["generated"]).await;
    export
}

async fn remove(by: &Client, export: &str) -> Answer {
    by.post(&format!("/v1/exports/{export}/remove"), &json!({"reason": "not needed any more"})).await
}

fn ids(holds: &Value) -> Vec<&str> {
    holds.as_array().unwrap().iter().map(|hold| hold["hold_id"].as_str().unwrap()).collect()
}

both_stores!(several_holds_over_one_record_all_count_and_go_one_after_the_other);

async fn several_holds_over_one_record_all_count_and_go_one_after_the_other(store: &Store) {
    let server = Server::start(store).await;
    let people = People::of(&server).await;
    let (export, client) = (made(&people).await, server.client());
    let mut holds = vec![
        hold(&client, on_export(&export)).await,
        hold(&client, on_export(&export)).await,
        // Who asked for it and who agreed are told of in it.
        hold(&client, json!({"kind": "subject", "id": people.asker.id})).await,
        hold(&client, json!({"kind": "subject", "id": people.other.id})).await,
    ];
    hold(&client, on_export(&made(&people).await)).await;
    holds.sort();
    let record = format!("/v1/retention/records/export/{export}");
    while let Some(next) = holds.first().cloned() {
        let refused = remove(&people.asker.client, &export).await;
        assert_eq!(refused.expect_problem(409), "export.held");
        assert_eq!(ids(&refused.json()["holds"]), holds, "each of them is named");
        let shown = client.get(&record).await.expect(200).json();
        assert_eq!(
            (ids(&shown["holds"]), &shown["may_be_disposed_of"]),
            (holds.iter().map(String::as_str).collect(), &json!(false))
        );
        assert!(!bytes(&people.asker, &format!("/v1/exports/{export}/file")).await.is_empty());
        release(&client, &next).await;
        holds.remove(0);
    }
    let found = client.get(&format!("/v1/legal-holds?stream_type=export&stream_id={export}")).await.expect(200).json();
    assert_eq!((&found["total"], &found["items"][0]["status"]), (&json!(2), &json!("released")));
    assert_eq!(client.get(&record).await.expect(200).json()["may_be_disposed_of"], true);
    assert_eq!(remove(&people.asker.client, &export).await.expect(200).json()["status"], "removed");
    // What is gone is not kept from going.
    hold(&client, on_export(&export)).await;
    remove(&people.asker.client, &export).await.expect(200);
    store.verified().await;
}

both_stores!(hold_beats_an_approved_erasure_and_a_removal);

async fn hold_beats_an_approved_erasure_and_a_removal(store: &Store) {
    let server = Server::start(store).await;
    let people = People::of(&server).await;
    let client = server.client();
    let subject = server.person(MAIN, "analyst").await;
    let wish = json!({"subject": subject.id, "reason": "Article 17"});
    let erasure = people.asker.client.post("/v1/erasures", &wish).await.expect(201).json();
    vote(&people.other, erasure["approval_request_id"].as_str().unwrap(), "approve").await.expect(200);
    // It is agreed to, and only to be performed.
    let placed = hold(&client, json!({"kind": "subject", "id": subject.id})).await;
    let perform = format!("/v1/erasures/{}/perform", erasure["id"].as_str().unwrap());
    let refused = people.asker.client.post(&perform, &json!({})).await;
    assert_eq!(
        (refused.expect_problem(409), ids(&refused.json()["holds"])),
        ("erasure.held".to_owned(), vec![placed.as_str()])
    );
    let still = client.get(&format!("/v1/users/{}", subject.id)).await.expect(200).json();
    assert_eq!(still["email"], subject.email);
    release(&client, &placed).await;
    assert_eq!(people.asker.client.post(&perform, &json!({})).await.expect(200).json()["status"], "performed");

    let export = made(&people).await;
    let placed = hold(&client, on_export(&export)).await;
    assert_eq!(remove(&people.asker.client, &export).await.expect_problem(409), "export.held");
    assert_eq!(remove(&client, &export).await.expect_problem(409), "export.held", "the operator as well");
    release(&client, &placed).await;
    remove(&people.asker.client, &export).await.expect(200);
}

both_stores!(rules_are_never_shortened_by_an_owner_nor_through_an_approved_request);

async fn rules_are_never_shortened_by_an_owner_nor_through_an_approved_request(store: &Store) {
    let server = Server::start(store).await;
    let (owner, other) = (server.person(MAIN, "owner").await, server.person(MAIN, "compliance").await);
    // Agreed to while nothing held, and kept until something longer does.
    let waits = put(&owner, "transaction", &rule("three_years", 3, false)).await.expect(202).json();
    vote(&other, waits["approval_request_id"].as_str().unwrap(), "approve").await.expect(200);
    assert_eq!(set(&owner, &other, "transaction", &rule("six_years", 6, true)).await["rule_version"], 1);
    let late = put(&owner, "transaction", &rule("three_years", 3, false)).await;
    assert_eq!(late.expect_problem(422), "retention_rule.shortening");
    for shorter in [rule("six_years", 5, true), rule("five_years", 5, true), rule("three_years", 0, true)] {
        assert_eq!(put(&owner, "transaction", &shorter).await.expect_problem(422), "retention_rule.shortening");
    }
    let forgetting = rule("six_years", 7, false);
    assert_eq!(put(&owner, "transaction", &forgetting).await.expect_problem(422), "retention_rule.dropping_identities");
    for (class, floor) in [("three_years", 3), ("five_years", 5), ("six_years", 6), ("seven_years", 7)] {
        let below = put(&owner, "incident", &rule(class, floor - 1, false)).await;
        assert_eq!(below.expect_problem(422), "retention_rule.below_floor", "{class}");
    }
    // Nor does asking by hand open a way around.
    let by_hand = json!({"resource_type": "retention_rule", "resource_id": "transaction", "reason": "shorter"});
    assert_eq!(owner.client.post("/v1/approvals", &by_hand).await.expect_problem(422), "approval.not_external");
    // And nobody lets the rule about changing rules go.
    let nobody = json!({"rules": [{"terms": crate::approvals::terms(&[])}], "reason": "nobody"});
    let open = owner.client.request("PUT", "/v1/approval-policies/retention.change").json(&nobody);
    assert_eq!(owner.client.send(open).await.expect_problem(422), "approval_policy.step_required");

    let shown = owner.client.get("/v1/retention/transaction").await.expect(200).json();
    assert_eq!(
        (&shown["years"], &shown["keeps_identities"], &shown["rule_version"]),
        (&json!(6), &json!(true), &json!(1))
    );
    // Longer goes, and the program on the command line says the same.
    assert_eq!(set(&other, &owner, "transaction", &rule("seven_years", 8, true)).await["rule_version"], 2);
    let listed = store.daybook(&["retention", "list", "--json"]).await.expect(0).json();
    assert_eq!((&listed["items"][0]["record_type"], &listed["items"][0]["years"]), (&json!("transaction"), &json!(8)));
    owner.client.post("/v1/transactions", &daybook_tests::data::transaction("TX-1")).await.expect(201);
    let of = store.daybook(&["retention", "of", "transaction/TX-1"]).await.expect(0).stdout;
    let told = |heading: &str, value: &str| {
        of.lines().any(|line| line.starts_with(heading) && line.trim_end().ends_with(value))
    };
    assert!(told("years", "8") && told("holds", "-") && told("may be disposed of", "false"), "{of}");
    let arguments = ["retention", "set", "incident", "--class", "five_years", "--reason", "MiFID II"];
    let waits = store.daybook(&arguments).await.expect(0).stdout;
    assert!(waits.contains("somebody else approves apr_"), "{waits}");
    let report = store.verified().await;
    assert_eq!(report["ledgers"][0]["approvals"]["verdict"], "verified", "{report}");
}

both_stores!(whoever_acted_in_kept_records_stays_known_until_the_years_are_over);

async fn whoever_acted_in_kept_records_stays_known_until_the_years_are_over(store: &Store) {
    let Some(injector) = Injector::new() else { return };
    let server = Server::start_with(store, injector.options()).await;
    let (asker, other) = (server.person(MAIN, "admin").await, server.person(MAIN, "compliance").await);
    let (acted, idle) = (server.person(MAIN, "analyst").await, server.person(MAIN, "viewer").await);
    acted.client.post("/v1/incidents", &daybook_tests::data::incident("Stuck")).await.expect(201);
    set(&asker, &other, "incident", &rule("three_years", 3, true)).await;
    let perform = async |subject: &Person| {
        let erasure = json!({"subject": subject.id, "reason": "Article 17"});
        let erasure = asker.client.post("/v1/erasures", &erasure).await.expect(201).json();
        let approve = format!("/v1/erasures/{}/approve", erasure["id"].as_str().unwrap());
        (erasure["id"].as_str().unwrap().to_owned(), other.client.post(&approve, &json!({})).await)
    };
    perform(&idle).await.1.expect(200);
    let (erasure, refused) = perform(&acted).await;
    assert_eq!(refused.expect_problem(409), "erasure.retained");
    let retained = &refused.json()["retained"][0];
    assert_eq!((&retained["record_type"], &retained["years"]), (&json!("incident"), &json!(3)));
    let known = async |server: &Server| {
        let shown = server.client().get(&format!("/v1/users/{}", acted.id)).await.expect(200).json();
        shown["full_name"] == acted.full_name.as_str()
    };
    assert!(known(&server).await);
    let perform = format!("/v1/erasures/{erasure}/perform");
    for (clock, status) in [(2 * YEAR, 409), (3 * YEAR, 200)] {
        injector.set_clock(clock);
        let asker = server.login(MAIN, &asker.email, &asker.full_name).await;
        let answer = asker.client.post(&perform, &json!({})).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(known(&server).await, status == 409);
    }
    store.verified().await;
}

both_stores!(keys_of_a_person_are_the_person_for_holds_and_rules);

async fn keys_of_a_person_are_the_person_for_holds_and_rules(store: &Store) {
    let Some(injector) = Injector::new() else { return };
    let server = Server::start_with(store, injector.options()).await;
    let (asker, other) = (server.person(MAIN, "admin").await, server.person(MAIN, "compliance").await);
    let (subject, client) = (server.person(MAIN, "admin").await, server.client());
    let key = json!({"name": "feed", "scopes": ["write"]});
    let key = subject.client.post("/v1/api-keys", &key).await.expect(201).json();
    let feed = Client::new(server.url(), key["key_value"].as_str());
    let incident = feed.post("/v1/incidents", &daybook_tests::data::incident("Stuck")).await.expect(201).json();
    let on_incident = json!({"kind": "stream", "stream_type": "incident", "stream_id": incident["incident_id"]});
    let on_record = hold(&client, on_incident).await;
    set(&asker, &other, "incident", &rule("three_years", 3, true)).await;
    let shown = async || {
        let of = format!("user/{}", subject.id);
        store.daybook(&["retention", "of", &of, "--json"]).await.expect(0).json()
    };
    let erasure = json!({"subject": subject.id, "reason": "Article 17"});
    let erasure = asker.client.post("/v1/erasures", &erasure).await.expect(201).json();
    let erasure = format!("/v1/erasures/{}", erasure["id"].as_str().unwrap());
    let refused = other.client.post(&format!("{erasure}/approve"), &json!({})).await;
    assert_eq!(refused.expect_problem(409), "erasure.held");
    assert_eq!(ids(&refused.json()["holds"]), [on_record.as_str()]);
    assert_eq!((&shown().await["holds"], &shown().await["kept_because"]), (&refused.json()["holds"], &json!("held")));
    release(&client, &on_record).await;
    // A hold on the person covers what the key did.
    let on_person = hold(&client, json!({"kind": "subject", "id": subject.id})).await;
    let of_incident = format!("/v1/retention/records/incident/{}", incident["incident_id"].as_str().unwrap());
    assert_eq!(ids(&client.get(&of_incident).await.expect(200).json()["holds"]), [on_person.as_str()]);
    release(&client, &on_person).await;
    let refused = asker.client.post(&format!("{erasure}/perform"), &json!({})).await;
    assert_eq!(refused.expect_problem(409), "erasure.retained");
    assert_eq!(
        (&shown().await["retained"], &shown().await["may_be_disposed_of"]),
        (&refused.json()["retained"], &json!(false))
    );
    injector.set_clock(3 * YEAR);
    assert_eq!(shown().await["may_be_disposed_of"], true);
    let asker = server.login(MAIN, &asker.email, &asker.full_name).await;
    let performed = asker.client.post(&format!("{erasure}/perform"), &json!({})).await;
    assert_eq!(performed.expect(200).json()["status"], "performed");
    store.verified().await;
}

both_stores!(files_go_after_their_days_unless_a_hold_or_a_rule_keeps_them);

async fn files_go_after_their_days_unless_a_hold_or_a_rule_keeps_them(store: &Store) {
    let Some(injector) = Injector::new() else { return };
    let mut options = injector.options();
    options.arguments.extend(["--export-keep-files-days".to_owned(), "30".to_owned()]);
    let server = Server::start_with(store, options).await;
    let people = People::of(&server).await;
    let client = server.client();
    let again = async |people: &People| People {
        asker: server.login(MAIN, &people.asker.email, &people.asker.full_name).await,
        other: server.login(MAIN, &people.other.email, &people.other.full_name).await,
    };
    let (first, held) = (made(&people).await, made(&people).await);
    let holds = [hold(&client, on_export(&held)).await, hold(&client, on_export(&held)).await];
    injector.set_clock(2 * DAY);
    let people = again(&people).await;
    let second = made(&people).await;
    injector.set_clock(31 * DAY);
    let people = again(&people).await;
    let gone = people.once(&first, &["removed"]).await;
    assert!(gone["sha256"].is_string() || gone["file"].is_object(), "what was recorded of it stays: {gone}");
    people.once(&second, &["generated"]).await;
    injector.set_clock(33 * DAY);
    let people = again(&people).await;
    people.once(&second, &["removed"]).await;
    // Both were due. One hold is enough.
    people.once(&held, &["generated"]).await;
    release(&client, &holds[0]).await;
    let third = made(&people).await;
    people.once(&held, &["generated"]).await;
    release(&client, &holds[1]).await;
    people.once(&held, &["removed"]).await;
    let entries = client.entries().await;
    let removed: Vec<&Value> = entries.iter().filter(|entry| entry["event_type"] == "export.removed").collect();
    assert_eq!(removed.len(), 3);
    assert!(
        removed.iter().all(|entry| entry["actor"]["kind"] == "system" || entry["actor_kind"] == "system"),
        "{removed:?}"
    );

    set(&people.asker, &people.other, "export", &rule("three_years", 3, false)).await;
    let kept = remove(&people.asker.client, &third).await;
    assert_eq!(kept.expect_problem(409), "export.retained");
    let until = kept.json()["keep_until"].clone();
    assert_eq!(
        client.get(&format!("/v1/retention/records/export/{third}")).await.expect(200).json()["keep_until"],
        until
    );
    injector.set_clock(2 * YEAR);
    let people = again(&people).await;
    assert_eq!(remove(&people.asker.client, &third).await.expect_problem(409), "export.retained");
    injector.set_clock(4 * YEAR);
    let people = again(&people).await;
    people.once(&third, &["removed"]).await;
    store.verified().await;
}

both_stores!(hold_and_what_takes_away_at_the_same_moment_one_wins_cleanly);

async fn hold_and_what_takes_away_at_the_same_moment_one_wins_cleanly(store: &Store) {
    const ROUNDS: usize = 6;
    let server = Server::start(store).await;
    let people = People::of(&server).await;
    let client = server.client();
    for round in 0..ROUNDS {
        let export = made(&people).await;
        let cover = json!({"matter": "Case 7", "reason": "Subpoena", "covers": [on_export(&export)]});
        // Who comes first changes, and so does who is quicker.
        let placing = async {
            tokio::time::sleep(std::time::Duration::from_millis(2 * (round as u64 % 3))).await;
            client.post("/v1/legal-holds", &cover).await
        };
        let (placed, removed) = join(placing, remove(&people.asker.client, &export)).await;
        let placed = placed.expect(201).receipt().0;
        let shown = people.once(&export, &["generated", "removed"]).await;
        match removed.status {
            200 => {
                assert!(removed.receipt().0 < placed, "it was removed under a hold");
                people.once(&export, &["removed"]).await;
            }
            409 => {
                assert_eq!(removed.expect_problem(409), "export.held");
                assert_eq!(shown["status"], "generated");
                assert!(!bytes(&people.asker, &format!("/v1/exports/{export}/file")).await.is_empty());
            }
            _ => panic!("{} {}", removed.status, removed.body),
        }
    }
    for round in 0..ROUNDS {
        let subject = server.person(MAIN, "viewer").await;
        let erasure = json!({"subject": subject.id, "reason": "Article 17"});
        let erasure = people.asker.client.post("/v1/erasures", &erasure).await.expect(201).json();
        let approve = format!("/v1/erasures/{}/approve", erasure["id"].as_str().unwrap());
        let cover =
            json!({"matter": "Case 7", "reason": "Subpoena", "covers": [{"kind": "subject", "id": subject.id}]});
        let placing = async {
            tokio::time::sleep(std::time::Duration::from_millis(40 * (round as u64 % 3))).await;
            client.post("/v1/legal-holds", &cover).await
        };
        let (placed, performed) = join(placing, people.other.client.post(&approve, &json!({}))).await;
        let placed = placed.expect(201).receipt().0;
        let shown = client.get(&format!("/v1/users/{}", subject.id)).await.expect(200).json();
        match performed.status {
            200 => {
                assert!(performed.receipt().0 < placed, "somebody was erased under a hold");
                assert_eq!(shown["status"], "erased");
            }
            409 => {
                assert_eq!(performed.expect_problem(409), "erasure.held");
                assert_eq!(shown["email"], subject.email);
            }
            _ => panic!("{} {}", performed.status, performed.body),
        }
    }
    store.verified().await;
}
