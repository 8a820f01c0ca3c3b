//! What the tests of the auditor share: a sample of ledgers made by the real stores, and its rows as plain values.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod image;
pub mod lines;
pub mod mutations;

use std::path::{Path, PathBuf};

use daybook_auditor::{Report, Source, VerifyOptions, verify};
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, ActorKind, Append, CommandKey, Draft, Hash, Store, StreamKey};

/// 2024-01-01T00:00:00Z in microseconds.
pub const START: i64 = 1_704_067_200_000_000;

/// Ledgers of the sample and their numbers of entries.
pub const SAMPLE: [(&str, usize); 3] = [("acme-eu", 17), ("main", 41), ("single", 1)];

/// An append of `events` events to a stream, different in each of its fields for each `number`.
pub fn append(number: usize, stream_type: &str, stream_id: &str, expected_version: u64, events: usize) -> Append {
    let kinds = [ActorKind::Human, ActorKind::Agent, ActorKind::System];
    let drafts = (0..events).map(|event| {
        let filler = "säldo—".repeat(number % 7 * 5);
        let payload = format!(r#"{{"amount":"{number}.{event:02}","currency":"EUR","note":"{filler}"}}"#);
        Draft::new(format!("{stream_type}.event_{}", (number + event) % 5), 1 + (number % 3) as u64, payload)
    });
    Append {
        stream: StreamKey::new(stream_type, stream_id).unwrap(),
        expected_version,
        events: drafts.collect(),
        actor: Actor { kind: kinds[number % 3], id: format!("usr_{}", number % 11) },
        metadata: format!(r#"{{"correlation_id":"c{number}"}}"#),
        command: number.is_multiple_of(2).then(|| CommandKey { id: format!("cmd_{number}"), digest: Hash([7; 32]) }),
    }
}

/// Fills a store with the sample: three ledgers, several streams, one to three events a command.
pub async fn fill(store: &dyn Store) {
    for (ledger, entries) in SAMPLE {
        let ledger = ledger.parse().unwrap();
        let mut versions = [0_u64; 5];
        let (mut number, mut written) = (0, 0);
        while written < entries {
            let events = (1 + number % 3).min(entries - written);
            let stream = number * 3 % 5;
            let stream_type = if stream < 3 { "transaction" } else { "incident" };
            let batch = [append(number, stream_type, &format!("id-{stream}"), versions[stream], events)];
            let now = START + 1_000_003 * number as i64;
            store.append(&ledger, &batch, now).await.unwrap().into_iter().for_each(|outcome| {
                outcome.unwrap();
            });
            versions[stream] += events as u64;
            written += events;
            number += 1;
        }
    }
}

/// A file with the sample, and nothing beside it.
pub async fn sample_file(folder: &Path) -> PathBuf {
    let store = SqliteStore::open(folder.join("growing.db")).unwrap();
    fill(&store).await;
    let path = folder.join("sample.db");
    settled_copy(&folder.join("growing.db"), &path);
    path
}

/// Copies a ledger file that may have a write-ahead log to one that has none.
pub fn settled_copy(from: &Path, to: &Path) {
    let connection = rusqlite::Connection::open(from).unwrap();
    connection.execute("vacuum into ?1", [to.to_str().unwrap()]).unwrap();
}

/// Verifies all of a file.
pub async fn verify_file(path: &Path) -> Report {
    verify(Source::Sqlite(path.to_owned()), VerifyOptions::default(), |_| {}).await.unwrap()
}

/// A fresh schema in the test server, as a URL; none, with a line that says so, where there is no server.
pub async fn postgres_url() -> Option<String> {
    let Ok(url) = std::env::var("DAYBOOK_TEST_POSTGRES_URL") else {
        eprintln!("skipped: DAYBOOK_TEST_POSTGRES_URL is not set");
        return None;
    };
    let schema = format!("auditor_{}", uuid::Uuid::new_v4().simple());
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    sqlx::query(&format!("create schema {schema}")).execute(&pool).await.unwrap();
    Some(format!("{url}?options=-csearch_path%3D{schema}"))
}
