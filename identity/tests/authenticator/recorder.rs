//! What happens to access is in the ledger, counted, sealed and without secrets.

use std::time::{Duration, Instant};

use daybook_domain::access::{AccessEvent, Reads};
use daybook_domain::{AnyEvent, decode};
use daybook_http_kit::{AccessLog, Denied, Read, Refused};
use daybook_identity::recorder::{ENTRIES_PER_SECOND, MAX_DENIALS, QUEUE_CAPACITY, Recorder};
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, Append, Draft, Entry, LedgerId};

use crate::faulty::Faulty;
use crate::world::{World, open_ledger};

fn denied(actor: &str, permission: &'static str, request_id: &str) -> Denied {
    Denied {
        organization: LedgerId::main(),
        actor: Actor::human(actor),
        permission,
        method: "POST",
        route: "/v1/incidents/{incident_id}".to_owned(),
        request_id: request_id.to_owned(),
    }
}

fn refused(organization: Option<&str>, reason: &str) -> Refused {
    Refused {
        organization: organization.map(|id| id.parse().unwrap()),
        reason: reason.to_owned(),
        method: "GET",
        route: "unmatched".to_owned(),
        request_id: "r".to_owned(),
        peer: Some([127, 0, 0, 1].into()),
    }
}

fn read(actor: &str, path: &str, query: &str) -> Read {
    Read {
        organization: LedgerId::main(),
        actor: Actor::human(actor),
        method: "GET",
        route: "/v1/transactions/{transaction_id}".to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        status: 200,
        at: crate::world::MORNING,
        request_id: "r".to_owned(),
    }
}

async fn entries(world: &World, ledger: &str) -> Vec<Entry> {
    world.store.entries(&ledger.parse().unwrap(), 0, 10_000).await.unwrap()
}

fn event(entry: &Entry) -> AccessEvent {
    let payload = entry.payload.as_deref().unwrap();
    match decode(&entry.stream.stream_type, &entry.event_type, entry.schema_version, payload).unwrap() {
        AnyEvent::Access(event) => event,
        other => panic!("{other:?}"),
    }
}

fn reads_of(entry: &Entry) -> Option<Reads> {
    match event(entry) {
        AccessEvent::Read(reads) => Some(reads),
        _ => None,
    }
}

#[tokio::test]
async fn denials_and_refusals_that_are_the_same_are_counted() {
    let world = World::new().await;
    let recorder = Recorder::new(LedgerId::main());
    recorder.open(world.ledger.clone(), world.personal());
    for number in 0..50 {
        recorder.denied(denied("usr_1", "incident:write", &format!("r{number}")));
        recorder.refused(refused(None, "token.expired"));
    }
    recorder.denied(denied("usr_1", "ledger:seal", "r"));
    recorder.login_failed(&LedgerId::main(), "auth.invalid_credentials", Some("usr_1"));
    recorder.login_failed(&LedgerId::main(), "auth.invalid_credentials", None);
    recorder.throttled(&LedgerId::main(), "login", Some("usr_1"));
    recorder.flush().await;
    let entries = entries(&world, "main").await;
    let mut lines: Vec<_> = entries
        .iter()
        .map(|entry| match event(entry) {
            AccessEvent::Denied(event) => {
                format!("{} {} {:?}", event.permission, event.count, event.request_id.unwrap().as_str())
            }
            AccessEvent::Refused(event) => format!("{} {}", event.reason, event.count),
            AccessEvent::LoginFailed(event) => format!("login {} {}", event.user_id.is_some(), event.count),
            AccessEvent::Throttled(event) => format!("throttled {} {}", event.what, event.count),
            AccessEvent::Read(_) => "read".to_owned(),
        })
        .collect();
    lines.sort();
    let expected = [
        "incident:write 50 \"r49\"",
        "ledger:seal 1 \"r\"",
        "login false 1",
        "login true 1",
        "throttled login 1",
        "token.expired 50",
    ];
    assert_eq!(lines, expected);
    assert!(
        entries
            .iter()
            .all(|entry| entry.stream.stream_type == "access" && entry.actor == Actor::system("access-recorder"))
    );
    assert!(
        entries
            .iter()
            .all(|entry| entry.stream == entries[0].stream && entry.payload.as_ref().unwrap().contains("nonce"))
    );
    assert_eq!((recorder.counts().recorded, recorder.counts().dropped), (104, 0));
}

#[tokio::test]
async fn reads_of_a_person_share_entries_and_their_queries_are_sealed() {
    let world = World::new().await;
    let personal = world.personal();
    let recorder = Recorder::new(LedgerId::main());
    recorder.open(world.ledger.clone(), personal.clone());
    for number in 0..250 {
        recorder.read(read("usr_1", &format!("/v1/transactions/tx-{number}"), "fields=amount"));
    }
    recorder.read(read("usr_2", "/v1/transactions/tx-secret", "token=dbr_hunter2&search=ann@example.com"));
    recorder.flush().await;
    let entries = entries(&world, "main").await;
    let reads: Vec<_> = entries.iter().filter_map(reads_of).collect();
    assert!(reads.iter().all(|reads| reads.reads.as_slice().len() <= 200));
    let of = |actor: &'static str| reads.iter().filter(move |reads| reads.actor_id.as_str() == actor);
    assert_eq!(of("usr_1").map(|reads| reads.reads.as_slice().len()).sum::<usize>(), 250);
    let second = of("usr_2").next().unwrap().reads.as_slice()[0].clone();
    let query = second.query.unwrap();
    assert_eq!((query.subject.as_str(), second.status, second.at.micros()), ("usr_2", 200, crate::world::MORNING));
    let opened = personal.open(&query, "access.query").await.unwrap();
    assert_eq!(opened.text(), Some("/v1/transactions/tx-secret?token=[redacted]&search=[redacted]"));
    let all: String = entries.iter().filter_map(|entry| entry.payload.clone()).collect();
    for secret in ["tx-secret", "hunter2", "ann@", "dbr_", "amount"] {
        assert!(!all.contains(secret), "{secret}");
    }

    // Of somebody whose key is gone, the read stays and what was asked for does not.
    personal.destroy("usr_2", world.now()).await.unwrap();
    assert_eq!(personal.open(&query, "access.query").await.unwrap().text(), None);
    recorder.read(read("usr_2", "/v1/transactions/tx-1", ""));
    recorder.flush().await;
    let last = self::entries(&world, "main").await;
    assert!(reads_of(last.last().unwrap()).unwrap().reads.as_slice()[0].query.is_none());
}

#[tokio::test]
async fn facts_go_to_their_organisation_and_claims_to_the_default() {
    let world = World::new().await;
    let recorder = Recorder::new(LedgerId::main());
    let acme: LedgerId = "acme".parse().unwrap();
    let ledger = open_ledger(&world.store, acme.clone(), &world.clock).await;
    recorder.open(world.ledger.clone(), world.personal());
    recorder.open(ledger, daybook_identity::personal::PersonalData::new(world.vault.clone(), acme.clone()));
    recorder.refused(refused(Some("acme"), "token.expired"));
    recorder.refused(refused(Some("nowhere"), "token.unknown_organization"));
    recorder.refused(refused(None, "identity.invalid_token"));
    recorder.flush().await;
    assert_eq!((entries(&world, "acme").await.len(), entries(&world, "main").await.len()), (1, 2));
    assert!(recorder.can_record(&acme) && !recorder.can_record(&"nowhere".parse().unwrap()));
    // Nobody here can append to that ledger: it is counted.
    recorder.denied(Denied { organization: "nowhere".parse().unwrap(), ..denied("usr_1", "ledger:seal", "r") });
    assert_eq!(recorder.counts().dropped, 1);
    recorder.close(&acme).await;
    assert!(!recorder.can_record(&acme) && recorder.can_record(&LedgerId::main()));
}

#[tokio::test]
async fn nothing_waits_longer_than_a_moment_and_the_end_records_the_rest() {
    let world = World::new().await;
    let recorder = Recorder::new(LedgerId::main());
    recorder.open(world.ledger.clone(), world.personal());
    recorder.read(read("usr_1", "/v1/transactions/tx-1", ""));
    let started = Instant::now();
    let mut wake = world.ledger.wake();
    tokio::time::timeout(Duration::from_secs(5), wake.wait_for(|size| *size == 1)).await.unwrap().unwrap();
    assert!(started.elapsed() >= Duration::from_millis(150), "it did not wait for others");
    recorder.read(read("usr_1", "/v1/transactions/tx-2", ""));
    recorder.shutdown().await;
    assert_eq!(entries(&world, "main").await.len(), 2);
    recorder.read(read("usr_1", "/v1/transactions/tx-3", ""));
    assert_eq!((recorder.counts().recorded, recorder.counts().dropped), (2, 1));
}

#[tokio::test]
async fn another_writer_in_the_stream_makes_it_begin_a_new_one() {
    let world = World::new().await;
    let recorder = Recorder::new(LedgerId::main());
    recorder.open(world.ledger.clone(), world.personal());
    recorder.denied(denied("usr_1", "ledger:seal", "r"));
    recorder.flush().await;
    let first = entries(&world, "main").await.remove(0).stream;
    let append = Append {
        stream: first.clone(),
        expected_version: 1,
        events: vec![Draft::new("access.read", 1, "{}".to_owned())],
        actor: Actor::system("test"),
        metadata: "{}".to_owned(),
        command: None,
    };
    world.ledger.append(append).await.unwrap();
    recorder.denied(denied("usr_1", "ledger:seal", "r"));
    recorder.flush().await;
    let last = entries(&world, "main").await.pop().unwrap();
    assert!(last.stream != first && last.version == 1);
    assert_eq!((recorder.counts().recorded, recorder.counts().dropped), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_wait_for_a_ledger_out_of_reach_and_overflow_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let faulty = Faulty::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
    let world = World::on(faulty.clone(), folder).await;
    let recorder = Recorder::new(LedgerId::main());
    recorder.open(world.ledger.clone(), world.personal());
    faulty.set_broken(true);
    recorder.read(read("usr_1", "/v1/transactions/tx-0", ""));
    until(|| recorder.counts().failed_flushes > 0).await;
    assert!(recorder.can_record(&LedgerId::main()));
    let submitted = QUEUE_CAPACITY + 2_000;
    for number in 1..submitted {
        recorder.read(read("usr_1", &format!("/v1/transactions/tx-{number}"), ""));
    }
    // Before anybody reads unseen, people are refused.
    assert!(!recorder.can_record(&LedgerId::main()));
    let dropped = recorder.counts().dropped;
    assert!(dropped > 0 && recorder.counts().recorded == 0);
    faulty.set_broken(false);
    let expected = u64::try_from(submitted).unwrap() - dropped;
    until(|| recorder.counts().recorded == expected).await;
    assert!(recorder.can_record(&LedgerId::main()));
    let recorded: usize =
        entries(&world, "main").await.iter().filter_map(reads_of).map(|reads| reads.reads.as_slice().len()).sum();
    assert_eq!(u64::try_from(recorded).unwrap(), expected);
}

#[tokio::test]
async fn denials_of_one_actor_on_ever_other_routes_are_counted_together() {
    let world = World::new().await;
    let recorder = Recorder::new(LedgerId::main());
    recorder.open(world.ledger.clone(), world.personal());
    for number in 0..200 {
        let route = format!("/v1/{number}");
        recorder.denied(Denied { route, ..denied("usr_1", "incident:write", "r") });
    }
    recorder.denied(denied("usr_2", "incident:write", "r"));
    recorder.flush().await;
    let denials: Vec<_> = entries(&world, "main")
        .await
        .iter()
        .filter_map(|entry| match event(entry) {
            AccessEvent::Denied(event) => Some((event.actor_id.as_str().to_owned(), event)),
            _ => None,
        })
        .collect();
    assert_eq!(denials.len(), MAX_DENIALS + 2);
    let (_, rest) = denials.iter().find(|(_, event)| event.route.as_str() == "*").unwrap();
    assert_eq!((rest.method.as_str(), rest.permission.as_str()), ("OTHER", "incident:write"));
    assert_eq!(denials.iter().map(|(_, event)| event.count).sum::<u64>(), 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_neither_fill_the_ledger_nor_keep_people_from_reading() {
    let folder = tempfile::tempdir().unwrap();
    let faulty = Faulty::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
    let world = World::on(faulty.clone(), folder).await;
    let recorder = Recorder::new(LedgerId::main());
    recorder.open(world.ledger.clone(), world.personal());
    let started = Instant::now();
    let mut sent = 0_u64;
    while started.elapsed() < Duration::from_millis(1_500) {
        for number in 0..100 {
            let route = format!("/v1/{number}");
            recorder.refused(Refused { route, ..refused(None, "api_key.unknown") });
            recorder.login_failed(&LedgerId::main(), "auth.invalid_credentials", None);
            sent += 2;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let written = entries(&world, "main").await.len();
    let seconds = usize::try_from(started.elapsed().as_secs()).unwrap() + 2;
    let bound = usize::try_from(ENTRIES_PER_SECOND).unwrap() * seconds;
    assert!((1..=bound).contains(&written), "{written} entries of at most {bound}");
    recorder.flush().await;
    let counted: u64 = entries(&world, "main")
        .await
        .iter()
        .map(|entry| match event(entry) {
            AccessEvent::Refused(event) => event.count,
            AccessEvent::LoginFailed(event) => event.count,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!((counted, recorder.counts().dropped), (sent, 0));

    // Though the ledger takes nothing for a while, no number of bad tokens takes the places of what people read.
    faulty.set_broken(true);
    for _ in 0..3 * QUEUE_CAPACITY {
        recorder.refused(refused(None, "token.expired"));
    }
    until(|| recorder.counts().failed_flushes > 0).await;
    assert!(recorder.can_record(&LedgerId::main()) && recorder.counts().dropped == 0);
    faulty.set_broken(false);
    until(|| recorder.counts().recorded == sent + u64::try_from(3 * QUEUE_CAPACITY).unwrap()).await;
}

async fn until(holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
