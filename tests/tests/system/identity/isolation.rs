//! Two organisations in one installation: nothing of one is in any answer to the other.

use std::time::{Duration, Instant};

use daybook_tests::http_documents::operations;
use daybook_tests::people::MAIN;
use daybook_tests::{Answer, Person, Server, Store, both_stores, data};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;

/// Random operations of a run. More: `DAYBOOK_ISOLATION_STEPS`.
const STEPS: usize = 300;
/// Requests behind each of the two times compared.
const TIMED: usize = 150;

both_stores!(nothing_of_one_organisation_is_in_an_answer_to_the_other);

/// One organisation: who acts, what marks its records, and the ids it has made.
struct Side {
    marker: &'static str,
    people: Vec<Person>,
    made: Vec<(&'static str, String)>,
}

async fn nothing_of_one_organisation_is_in_an_answer_to_the_other(store: &Store) {
    let server = Server::start(store).await;
    server.organization("beta-house").await;
    let mut sides = Vec::new();
    for (organization, marker) in [(MAIN, "qmarkalpha"), ("beta-house", "qmarkbeta")] {
        let mut people = Vec::new();
        for role in ["owner", "compliance", "viewer"] {
            people.push(
                server
                    .person_named(organization, role, &format!("{role}@{marker}.example"), &format!("{marker} {role}"))
                    .await,
            );
        }
        sides.push(Side { marker, people, made: Vec::new() });
    }
    let seed = std::env::var("DAYBOOK_ISOLATION_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| rand::rng().random());
    println!("DAYBOOK_ISOLATION_SEED={seed}");
    let steps = std::env::var("DAYBOOK_ISOLATION_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(STEPS);
    let mut random = StdRng::seed_from_u64(seed);
    let [first, second] = sides.as_mut_slice() else { panic!("two sides") };
    for step in 0..steps {
        let (own, other) = if random.random() { (&mut *first, &mut *second) } else { (&mut *second, &mut *first) };
        let answer = act(&mut random, step, own, other).await;
        without(&answer, other, step);
    }
    // Everything that can be listed, by everybody, also by ids of the other side.
    let document = server.stranger().get("/openapi.json").await.expect(200).json();
    for (own, other) in [(&*first, &*second), (&*second, &*first)] {
        for operation in operations(&document).iter().filter(|operation| operation.method == "GET") {
            if operation.path.ends_with("/stream") {
                continue;
            }
            let organization = &other.people[0].organization;
            for id in other.made.iter().take(12).map(|(_, id)| id).chain([organization, &other.people[0].id]) {
                let path = operation.filled(|_| id.clone());
                for person in &own.people {
                    let answer = person.client.get(&path).await;
                    assert!(answer.status < 500 || answer.status == 503, "{path}: {} {}", answer.status, answer.body);
                    without(&answer, other, 0);
                }
                if !operation.path.contains('{') {
                    break;
                }
            }
        }
    }
    for (own, other) in [(&*first, &*second), (&*second, &*first)] {
        let metrics = own.people[0].client.get("/v1/metrics").await.expect(200).body;
        let series = |side: &Side| format!("ledger=\"{}\"", side.people[0].organization);
        assert!(metrics.contains(&series(own)) && !metrics.contains(&series(other)), "{metrics}");
    }
    live_streams_tell_nothing(&server, first, second).await;
    unknown_and_foreign_take_the_same_time(first, second).await;
    store.verified().await;
}

/// Nothing in the answer is of the other side: neither its mark nor an id that it made.
fn without(answer: &Answer, other: &Side, step: usize) {
    let all = format!("{:?}{}", answer.headers, answer.body);
    assert!(!all.contains(other.marker), "step {step}: {} {all:.3000}", answer.status);
    // Ids that were asked for are echoed by nobody, either: an answer that repeats one says so in its own words only.
    for person in &other.people {
        assert!(!all.contains(&person.id), "step {step}: {} {all:.3000}", answer.status);
    }
}

async fn act(random: &mut StdRng, step: usize, own: &mut Side, other: &Side) -> Answer {
    let marker = own.marker;
    let name = format!("{marker}-{step}");
    let client = own.people[random.random_range(0..own.people.len())].client.clone();
    let pick = |random: &mut StdRng, made: &[(&'static str, String)], kind: &str| {
        let of_kind: Vec<_> = made.iter().filter(|(is, _)| *is == kind).collect();
        if of_kind.is_empty() { "nothing".to_owned() } else { of_kind[random.random_range(0..of_kind.len())].1.clone() }
    };
    // One time in three it is the other side's id that is tried.
    let foreign = random.random_ratio(1, 3);
    let id =
        |random: &mut StdRng, own: &Side, kind: &str| pick(random, if foreign { &other.made } else { &own.made }, kind);
    let choice = random.random_range(0..18);
    let (kind, answer) = match choice {
        0 => {
            let mut transaction = data::transaction(&name);
            transaction["counterparty"] = json!(name);
            ("transaction", client.post("/v1/transactions", &transaction).await)
        }
        1 => ("incident", client.post("/v1/incidents", &data::incident(&name)).await),
        2 => (
            "role",
            client
                .post("/v1/rbac/roles", &json!({"name": name.replace('-', "_"), "permissions": ["transaction:read"]}))
                .await,
        ),
        3 => ("department", client.post("/v1/rbac/departments", &json!({"name": name})).await),
        4 => ("key", client.post("/v1/api-keys", &json!({"name": name, "scopes": ["transaction:read"]})).await),
        5 => (
            "user",
            client
                .post("/v1/users/invite", &json!({"email": format!("{step}@{marker}.example"), "role": "viewer"}))
                .await,
        ),
        6 => {
            let covers = json!([{"kind": "subject", "id": own.people[0].id}]);
            ("hold", client.post("/v1/legal-holds", &json!({"matter": name, "reason": name, "covers": covers})).await)
        }
        7 => (
            "",
            client
                .post(&format!("/v1/incidents/{}/comment", id(random, own, "incident")), &json!({"comment": name}))
                .await,
        ),
        8 => (
            "",
            client
                .post(&format!("/v1/incidents/{}/resolve", id(random, own, "incident")), &json!({"resolution": name}))
                .await,
        ),
        9 => (
            "",
            client
                .post(&format!("/v1/transactions/{}/notes", id(random, own, "transaction")), &json!({"text": name}))
                .await,
        ),
        10 => ("", client.get(&format!("/v1/transactions/{}", id(random, own, "transaction"))).await),
        11 => ("", client.get(&format!("/v1/incidents/{}/timeline", id(random, own, "incident"))).await),
        12 => ("", client.get(&format!("/v1/users/{}", id(random, own, "user"))).await),
        13 => ("", client.get(&format!("/v1/api-keys/{}", id(random, own, "key"))).await),
        14 => ("", client.get(&format!("/v1/legal-holds/{}", id(random, own, "hold"))).await),
        15 => ("", client.get("/v1/audit-trail?limit=500").await),
        16 => ("", client.get("/v1/users?limit=500").await),
        _ => ("", client.get("/v1/transactions?limit=500&count=true").await),
    };
    assert!(answer.status < 500 || answer.status == 503, "step {step}: {} {}", answer.status, answer.body);
    let made = answer.status == 201;
    if made && !kind.is_empty() {
        let body = answer.json();
        let made = ["transaction_id", "incident_id", "id", "name"].iter().find_map(|field| body[*field].as_str());
        own.made.push((kind, made.unwrap_or_else(|| panic!("no id in {body}")).to_owned()));
    }
    if foreign && (7..=14).contains(&choice) {
        let is_empty = answer.body.contains(r#""total":0"#);
        assert!(
            [403, 404].contains(&answer.status) || is_empty,
            "step {step}, choice {choice}: {} {}",
            answer.status,
            answer.body
        );
    }
    answer
}

/// A live stream carries positions; those of the other organisation are not among them.
async fn live_streams_tell_nothing(server: &Server, own: &Side, other: &Side) {
    let head = async |person: &Person| {
        let path = format!("/v1/ledgers/{}/head", person.organization);
        person.client.get(&path).await.expect(200).json()["size"].as_u64().unwrap()
    };
    let size = head(&own.people[0]).await;
    let request = own.people[0].client.request("GET", "/v1/stream").header("last-event-id", (size - 1).to_string());
    let mut stream = request.send().await.expect("a stream");
    assert_eq!(stream.status().as_u16(), 200);
    let marker = format!("{}-live", other.marker);
    other.people[0].client.post("/v1/incidents", &data::incident(&marker)).await.expect(201);
    own.people[0].client.post("/v1/incidents", &data::incident("ours")).await.expect(201);
    let mut text = String::new();
    while !text.contains("incident") {
        let chunk = tokio::time::timeout(Duration::from_secs(10), stream.chunk()).await.expect("in time");
        text.push_str(&String::from_utf8_lossy(&chunk.expect("goes on").expect("does not end")));
    }
    let told: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
    let now = head(&own.people[0]).await;
    assert!(told.iter().all(|position| (size..now).contains(position)), "{told:?} {size} {now}");
    assert!(!text.contains(other.marker), "{text}");
    let _ = server;
}

/// Somebody who guesses ids cannot tell by the clock whether the other organisation has them.
async fn unknown_and_foreign_take_the_same_time(own: &Side, other: &Side) {
    let foreign: Vec<_> = other.made.iter().filter(|(kind, _)| *kind == "incident").map(|(_, id)| id.clone()).collect();
    let Some(foreign) = foreign.first() else { return };
    let (mut of_foreign, mut of_unknown) = (Vec::new(), Vec::new());
    for number in 0..TIMED {
        let unknown = format!("inc_{number:032x}");
        for (id, times) in [(foreign.as_str(), &mut of_foreign), (unknown.as_str(), &mut of_unknown)] {
            let started = Instant::now();
            own.people[0].client.get(&format!("/v1/incidents/{id}")).await.expect_problem(404);
            times.push(started.elapsed().as_secs_f64());
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let (of_foreign, of_unknown) = (median(&mut of_foreign), median(&mut of_unknown));
    println!("404 of a foreign id {:.0} µs, of an unknown one {:.0} µs", of_foreign * 1e6, of_unknown * 1e6);
    assert!((0.5..2.0).contains(&(of_foreign / of_unknown)), "{of_foreign} {of_unknown}");
}
