//! What must be kept: holds over records, the times of rules, and whom they keep known.

use std::time::Duration;

use daybook_domain::Timestamp;
use daybook_domain::retention_rule::{RecordType, keep_until};
use daybook_identity::custody::{Deeds, HoldInForce, Keeping, Obstacle, holds_on_person};
use daybook_identity::directory::Directory;
use daybook_ledger::{Actor, Append, Draft, StreamKey};
use serde_json::{Value, json};

use crate::world::{DAY, MINUTE, World, text};

const YEAR: i64 = 365 * DAY;

fn rule(version: u64, class: &str, years: u32, keeps_identities: bool) -> Value {
    json!({ "record_type": "transaction", "version": version, "class": class, "years": years,
        "keeps_identities": keeps_identities, "by": "usr_9", "reason": "17a-4", "approval_id": "apr_1" })
}

fn record() -> StreamKey {
    StreamKey::new("transaction", "tx-1").unwrap()
}

fn note(text: &str) -> Value {
    json!({ "note_id": "note_1", "text": text })
}

async fn keeping(directory: &Directory, stream: &StreamKey) -> Option<Keeping> {
    directory.custody().await.unwrap().keeping(stream).await.unwrap()
}

#[tokio::test]
async fn time_of_a_record_is_counted_from_its_last_entry_however_long_it_is() {
    let world = World::new().await;
    let directory = world.directory().await;
    assert_eq!(keeping(&directory, &record()).await, None);
    for length in 1..=20 {
        world.happens("tx-1", "transaction.note_added", note("looked at")).await;
        let keeping = keeping(&directory, &record()).await.unwrap();
        assert_eq!((keeping.last_entry_at, keeping.keep_until), (world.now(), None), "{length}");
        assert_eq!(keeping.obstacle(world.now()), None);
        world.wait(MINUTE);
    }
    let last = world.now() - MINUTE;
    world.happens("transaction", "retention_rule.set", rule(1, "six_years", 6, false)).await;
    let keeping = keeping(&directory, &record()).await.unwrap();
    let until = keeping.keep_until.unwrap();
    assert_eq!(text(until), "2032-11-21T10:19:00.000000Z");
    assert_eq!(keeping.obstacle(last), Some(Obstacle::Retained(until)));
    assert_eq!(keeping.obstacle(until - 1), Some(Obstacle::Retained(until)));
    assert_eq!(keeping.obstacle(until), None);
}

#[tokio::test]
async fn every_hold_over_a_record_counts_until_it_is_released() {
    let world = World::new().await;
    let directory = world.directory().await;
    world.append_as(Actor::human("usr_1"), "transaction", "tx-1", "transaction.note_added", note("of usr_2")).await;
    world.happens("tx-2", "transaction.note_added", note("of nobody")).await;
    let covers = [
        json!({ "kind": "stream", "stream_type": "transaction", "stream_id": "tx-1" }),
        json!({ "kind": "subject", "id": "usr_1" }),
        json!({ "kind": "subject", "id": "usr_2" }),
        json!({ "kind": "subject", "id": "usr_3" }),
        json!({ "kind": "stream", "stream_type": "transaction", "stream_id": "tx-3" }),
    ];
    for (number, cover) in covers.into_iter().enumerate() {
        let id = format!("hld_{number}");
        let placed = json!({ "hold_id": id, "matter": "M", "reason": "Dispute", "covers": [cover] });
        world.happens(&id, "legal_hold.placed", placed).await;
    }
    world.happens("transaction", "retention_rule.set", rule(1, "three_years", 3, false)).await;
    for left in [&["hld_0", "hld_1", "hld_2"][..], &["hld_1", "hld_2"], &["hld_2"]] {
        let keeping = keeping(&directory, &record()).await.unwrap();
        let ids: Vec<&str> = keeping.holds.iter().map(|hold| hold.hold_id.as_str()).collect();
        assert_eq!(ids, left);
        // A hold outlasts every rule.
        assert!(
            matches!(keeping.obstacle(world.now() + 50 * YEAR), Some(Obstacle::Held(holds)) if holds.len() == left.len())
        );
        world.happens(left[0], "legal_hold.released", json!({ "reason": "Settled" })).await;
    }
    let freed = keeping(&directory, &record()).await.unwrap();
    assert!(matches!(freed.obstacle(world.now()), Some(Obstacle::Retained(_))));
    let other = keeping(&directory, &StreamKey::new("transaction", "tx-2").unwrap()).await.unwrap();
    assert_eq!(other.holds, []);
}

#[tokio::test]
async fn rule_that_would_shorten_changes_nothing_in_the_directory() {
    let world = World::new().await;
    world.happens("transaction", "retention_rule.set", rule(1, "seven_years", 7, true)).await;
    world.happens("transaction", "retention_rule.set", rule(2, "three_years", 3, true)).await;
    world.happens("transaction", "retention_rule.set", rule(3, "seven_years", 7, false)).await;
    // A rule about one thing in the stream of another.
    world.happens("incident", "retention_rule.set", rule(1, "seven_years", 8, true)).await;
    let directory = world.directory().await;
    let state = directory.now();
    assert_eq!(state.retention_rules.len(), 1);
    let record = state.retention_rules.get("transaction").unwrap();
    let holds = record.rule.retention().unwrap();
    assert_eq!((holds.years, holds.keeps_identities, record.rule.version()), (7, true, 1));
    assert_eq!((record.set_by.as_str(), record.approval_id.as_str(), record.place.version), ("usr_9", "apr_1", 1));
    world.happens("transaction", "retention_rule.set", rule(4, "seven_years", 9, true)).await;
    let state = directory.up_to_date().await.unwrap();
    let record = state.retention_rules.get("transaction").unwrap();
    assert_eq!((record.rule.version(), record.place.version), (4, 4));
}

#[tokio::test]
async fn nothing_is_taken_away_while_an_entry_about_keeping_is_not_understood() {
    let world = World::new().await;
    let directory = world.directory().await;
    let unheard = json!({ "record_type": "transaction", "for": "ever" });
    world.happens("transaction", "retention_rule.set", unheard).await;
    let refused = directory.custody().await.err().unwrap();
    assert_eq!((refused.status(), refused.code()), (503, "directory.not_understood"));
    // More can be kept as ever, and people are let in.
    assert!(directory.custody_turn().await.is_ok());
    assert!(directory.now().not_understood.is_none());
}

/// Appends an entry that says on whose behalf it was made.
async fn on_behalf_of(world: &World, transaction: &str, who: &str) {
    let append = Append {
        stream: StreamKey::new("transaction", transaction).unwrap(),
        expected_version: 0,
        events: vec![Draft::new("transaction.note_added", 1, note("for another").to_string())],
        actor: Actor::system("feed"),
        metadata: json!({ "on_behalf_of": who }).to_string(),
        command: None,
    };
    world.ledger.append(append).await.unwrap();
}

#[tokio::test]
async fn people_stay_known_for_as_long_as_the_rule_says_after_what_they_did() {
    let world = World::new().await;
    world.person("usr_1", &["admin"]).await;
    world.person("usr_2", &["admin"]).await;
    let key = json!({ "name": "feed", "scopes": ["write"], "created_by": "usr_3" });
    world.append_as(Actor::human("usr_3"), "api_key", "key_000000000003", "api_key.created", key).await;
    world.wait(MINUTE);
    let acted = world.now();
    world.append_as(Actor::human("usr_1"), "transaction", "tx-1", "transaction.note_added", note("own")).await;
    on_behalf_of(&world, "tx-2", "usr_2").await;
    world
        .append_as(Actor::system("key_000000000003"), "transaction", "tx-3", "transaction.note_added", note("by key"))
        .await;
    // Named in it is not having acted in it; nor is another record.
    world.append_as(Actor::human("usr_4"), "incident", "inc_1", "incident.acknowledged", json!({})).await;
    on_behalf_of(&world, "tx-4", "usr_44").await;
    let directory = world.directory().await;
    let retained = async |subject: &str, now: i64| {
        let custody = directory.custody().await.unwrap();
        custody.retained(subject, now, None).await.unwrap()
    };
    assert_eq!(retained("usr_1", acted).await, []);
    world.happens("transaction", "retention_rule.set", rule(1, "three_years", 3, false)).await;
    assert_eq!(retained("usr_1", acted).await, []);
    world.happens("transaction", "retention_rule.set", rule(2, "three_years", 3, true)).await;
    let until = keep_until(Timestamp::from_micros(acted).unwrap(), 3);
    for subject in ["usr_1", "usr_2", "usr_3"] {
        let kept = retained(subject, until.micros() - 1).await;
        let said: Vec<_> = kept.iter().map(|kept| (kept.record_type, kept.years, kept.until)).collect();
        assert_eq!(said, [(RecordType::Transaction, 3, until)], "{subject}");
        assert_eq!(retained(subject, until.micros()).await, [], "{subject}");
    }
    assert_eq!(retained("usr_4", acted).await, []);
    assert_eq!(retained("usr_5", acted).await, []);
}

/// Two accounts of one person, the second of them of a key's maker.
async fn two_accounts_and_a_key(world: &World) {
    for id in ["usr_a", "usr_b", "usr_c"] {
        world.person(id, &["admin"]).await;
    }
    let declared = json!({ "person": "usr_a", "by": "usr_c", "reason": "Two contracts" });
    world.happens("usr_b", "user.same_person_declared", declared).await;
    for (maker, key) in [("usr_b", "key_00000000000b"), ("usr_c", "key_00000000000c")] {
        let made = json!({ "name": "feed", "scopes": ["write"], "created_by": maker });
        world.append_as(Actor::human(maker), "api_key", key, "api_key.created", made).await;
    }
    let revoked = json!({ "reason": "Not needed any more" });
    world.happens("key_00000000000b", "api_key.revoked", revoked).await;
}

async fn place(world: &World, id: &str, cover: Value) {
    let placed = json!({ "hold_id": id, "matter": "M", "reason": "Dispute", "covers": [cover] });
    world.happens(id, "legal_hold.placed", placed).await;
}

fn ids(holds: &[HoldInForce]) -> Vec<&str> {
    holds.iter().map(|hold| hold.hold_id.as_str()).collect()
}

#[tokio::test]
async fn hold_covers_a_person_under_every_account_and_every_key() {
    let world = World::new().await;
    two_accounts_and_a_key(&world).await;
    let key = Actor::system("key_00000000000b");
    world.append_as(key, "transaction", "tx-1", "transaction.note_added", note("by key")).await;
    world.append_as(Actor::human("usr_c"), "transaction", "tx-2", "transaction.note_added", note("own")).await;
    world.happens("tx-3", "transaction.note_added", note("the operator said so")).await;
    place(&world, "hld_1", json!({ "kind": "stream", "stream_type": "transaction", "stream_id": "tx-1" })).await;
    place(&world, "hld_2", json!({ "kind": "subject", "id": "usr_a" })).await;
    place(&world, "hld_3", json!({ "kind": "subject", "id": "usr_b" })).await;
    place(&world, "hld_4", json!({ "kind": "stream", "stream_type": "user", "stream_id": "usr_b" })).await;
    place(&world, "hld_5", json!({ "kind": "stream", "stream_type": "transaction", "stream_id": "tx-3" })).await;
    let directory = world.directory().await;
    let on = async |subject: &str| {
        let state = directory.up_to_date().await.unwrap();
        holds_on_person(world.ledger.reader(), &state, subject).await.unwrap()
    };
    // In both directions, and by the key that only one account made.
    for id in ["usr_a", "usr_b", "key_00000000000b"] {
        assert_eq!(ids(&on(id).await), ["hld_1", "hld_2", "hld_3", "hld_4"], "{id}");
    }
    // Who declared them to be one is named in the account, and nobody else is meant.
    assert_eq!(ids(&on("usr_c").await), ["hld_4"]);
    let over = async |stream_type: &str, id: &str| {
        keeping(&directory, &StreamKey::new(stream_type, id).unwrap()).await.unwrap().holds
    };
    assert_eq!(ids(&over("transaction", "tx-1").await), ["hld_1", "hld_2", "hld_3"]);
    assert_eq!(ids(&over("user", "usr_a").await), ["hld_2", "hld_3"]);
    assert_eq!(ids(&over("transaction", "tx-2").await), [""; 0]);
    assert_eq!(ids(&over("transaction", "tx-3").await), ["hld_5"]);
    // What the operator did is somebody's once it is known whose token that is.
    directory.answer_for_operator("usr_a");
    assert_eq!(ids(&on("usr_b").await), ["hld_1", "hld_2", "hld_3", "hld_4", "hld_5"]);
    assert_eq!(ids(&over("transaction", "tx-3").await), ["hld_2", "hld_3", "hld_5"]);
    assert_eq!(ids(&over("transaction", "tx-2").await), [""; 0], "the word alone is nobody");
}

#[tokio::test]
async fn whoever_acted_is_known_by_every_id_and_by_what_programs_say() {
    let world = World::new().await;
    two_accounts_and_a_key(&world).await;
    let schedule = json!({ "schedule_id": "sch_1", "name": "Daily", "created_by": "usr_s", "person": "usr_s",
        "at": text(world.now()), "export": { "kind": "transactions", "format": "csv", "cron": "0 6 * * *",
        "time_zone": "Europe/Zurich", "period": "none" } });
    world.append_as(Actor::human("usr_s"), "export_schedule", "sch_1", "export_schedule.created", schedule).await;
    world.wait(DAY);
    let vote = json!({ "revision": 1, "vote": { "actor": "usr_v", "person": "usr_v", "on_behalf_of": "usr_d",
        "owed_to": ["usr_n"] } });
    let program = Actor::system;
    for (actor, stream_type, id, event_type, payload) in [
        (program("key_00000000000b"), "transaction", "tx-1", "transaction.note_added", note("of usr_n")),
        (program("operator"), "incident", "inc_1", "incident.acknowledged", json!({ "by": "usr_n" })),
        (program("access-recorder"), "access", "acc_1", "access.read", json!({ "actor_id": "usr_r", "reads": [] })),
        (program("access-recorder"), "access", "acc_1", "access.denied", json!({ "actor_id": "usr_x", "count": 1 })),
        (program("access-recorder"), "access", "acc_1", "access.login_failed", json!({ "user_id": "usr_n" })),
        (Actor::human("usr_v"), "approval", "apr_1", "approval.voted", vote),
        (
            program("export-schedules"),
            "approval",
            "apr_2",
            "approval.requested",
            json!({ "requester": { "actor": "key_x", "person": "usr_s" } }),
        ),
        (
            program("export-schedules"),
            "export",
            "exp_1",
            "export.requested",
            json!({ "requested_by": "usr_s", "person": "usr_t", "filters": { "actor": "usr_n" } }),
        ),
        (program("exports"), "export", "exp_1", "export.approved", json!({ "approved_by": ["usr_n"] })),
        (program("export-schedules"), "export_schedule", "sch_1", "export_schedule.run", json!({ "run": 1 })),
    ] {
        world.append_as(actor, stream_type, id, event_type, payload).await;
    }
    let acted = world.now();
    for record_type in ["transaction", "incident", "access", "approval", "export", "export_schedule"] {
        let mut rule = rule(1, "three_years", 3, true);
        rule["record_type"] = record_type.into();
        world.happens(record_type, "retention_rule.set", rule).await;
    }
    let directory = world.directory().await;
    let until = keep_until(Timestamp::from_micros(acted).unwrap(), 3);
    let retained = async |subject: &str| -> Vec<&'static str> {
        let state = directory.up_to_date().await.unwrap();
        let deeds = Deeds::of(world.ledger.reader(), &state, subject, acted, None).await.unwrap().unwrap();
        let kept = deeds.retained(&state, acted);
        assert!(kept.iter().all(|kept| kept.until == until), "{subject}: {kept:?}");
        kept.iter().map(|kept| kept.record_type.as_str()).collect()
    };
    for (subject, kept) in [
        ("usr_a", &["transaction"][..]),
        ("usr_b", &["transaction"]),
        ("usr_c", &[]),
        ("usr_r", &["access"]),
        ("usr_x", &["access"]),
        ("usr_v", &["approval"]),
        ("usr_d", &["approval"]),
        ("usr_s", &["approval", "export", "export_schedule"]),
        ("usr_t", &["export"]),
        ("usr_n", &[]),
    ] {
        assert_eq!(retained(subject).await, kept, "{subject}");
    }
    directory.answer_for_operator("usr_a");
    assert_eq!(retained("usr_b").await, ["incident", "transaction"]);
}

#[tokio::test]
async fn what_was_read_before_is_gone_on_from_only_where_it_is_about_the_same() {
    let world = World::new().await;
    world.append_as(Actor::human("usr_1"), "transaction", "tx-0", "transaction.note_added", note("long ago")).await;
    world.wait(5 * YEAR);
    world.happens("transaction", "retention_rule.set", rule(1, "three_years", 3, true)).await;
    let directory = world.directory().await;
    let reader = world.ledger.reader();
    let now = world.now();
    let state = directory.up_to_date().await.unwrap();
    let first = Deeds::of(reader, &state, "usr_1", now, None).await.unwrap().unwrap();
    assert_eq!(first.retained(&state, now), []);
    // What comes since is read.
    world.append_as(Actor::human("usr_1"), "transaction", "tx-1", "transaction.note_added", note("now")).await;
    let second = Deeds::of(reader, &state, "usr_1", now, Some(first.clone())).await.unwrap().unwrap();
    assert_eq!(second.retained(&state, now).len(), 1);
    // Nobody else's.
    let other = Deeds::of(reader, &state, "usr_2", now, Some(second.clone())).await.unwrap().unwrap();
    assert_eq!(other.retained(&state, now), []);
    // A longer rule reaches back to what was not read.
    world.happens("transaction", "retention_rule.set", rule(2, "three_years", 50, true)).await;
    let state = directory.up_to_date().await.unwrap();
    let longer = Deeds::of(reader, &state, "usr_1", now, Some(first)).await.unwrap().unwrap();
    let fresh = Deeds::of(reader, &state, "usr_1", now, None).await.unwrap().unwrap();
    assert_eq!(longer, fresh);
    assert_eq!(longer.retained(&state, now).len(), 1);
}

#[tokio::test]
async fn turn_is_had_by_one_at_a_time() {
    let world = World::new().await;
    let directory = world.directory().await;
    let first = directory.custody().await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(100), directory.custody()).await;
    assert!(waiting.is_err(), "two have the turn");
    drop(first);
    assert!(directory.custody().await.is_ok());
}
