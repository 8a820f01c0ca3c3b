//! What it costs to find out who is calling and whether they may: one request after the other on one thread, with keys
//! in memory, the ledger and the vault out of the way.
//!
//! `cargo bench -p daybook-identity --bench authorisation`. `BENCH_REQUESTS` (default 20,000) is the number of requests
//! of each kind, `BENCH_PEOPLE` (default 1,000) the number of people in the organisation. *New token*: the signature is
//! verified. *Same token again*: it was verified before, everything else is checked. Each ends with the check of a
//! permission, as a handler's signature makes it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap ends the measurement")]

use std::sync::Arc;
use std::time::Instant;

use daybook_domain::user::UserEvent;
use daybook_http_kit::permission::TransactionRead;
use daybook_http_kit::{Authenticator, Credentials, IdentityConfig, Organizations};
use daybook_identity::api_keys::generate;
use daybook_identity::authenticator::IdentityService;
use daybook_identity::directory::Directory;
use daybook_identity::tokens::Tokens;
use daybook_identity::vault::{MasterKey, Vault};
use daybook_ledger::cqrs::encode;
use daybook_ledger::sequencer::{Unobserved, system_clock};
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, Append, Draft, Ledger, LedgerId, StreamKey};
use serde_json::json;

fn main() {
    let number = |name: &str, default: usize| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    // Arguments such as `--bench` come from cargo; there are none of our own.
    let (requests, people) = (number("BENCH_REQUESTS", 20_000), number("BENCH_PEOPLE", 1_000));
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(measure(requests, people));
}

async fn measure(requests: usize, people: usize) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
    let main = LedgerId::main();
    let ledger = Ledger::open(store, main.clone(), system_clock(), Arc::new(Unobserved)).await.unwrap();
    let vault = Vault::open_sqlite(folder.path().join("vault.db"), MasterKey::generate().unwrap()).await.unwrap();
    for person in 0..people {
        enrol(&ledger, person).await;
    }
    let key = generate(&vault).unwrap();
    let now = system_clock()();
    assert!(vault.add_api_key(&main, &key.key_id, &key.digest, 1, None, now).await.unwrap());
    let created = json!({ "name": "bench", "scopes": ["read"], "created_by": "operator" }).to_string();
    append(&ledger, "api_key", &key.key_id, vec![Draft::new("api_key.created", 1, created)]).await;

    let started = Instant::now();
    let directory = Directory::open(ledger.reader().clone(), vault.clone()).await.unwrap();
    println!("directory of {people} people folded in {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    let tokens = Tokens::new(vault.clone(), "https://daybook.example");
    let (config, directories) =
        (IdentityConfig::new(None, false), Organizations::single(main.clone(), directory.clone()));
    let service = IdentityService::new(config, vault, tokens.clone(), directories, system_clock());

    let mut issued = Vec::with_capacity(requests);
    for request in 0..requests {
        let user_id = format!("usr_{:024x}", request % people);
        issued.push(tokens.issue(&user_id, &main, "ses_bench", system_clock()()).await.unwrap().token);
    }
    let again: Vec<String> = issued.iter().take(100).cloned().cycle().take(requests).collect();
    let keys = vec![key.token.expose().to_owned(); requests];
    println!("{requests} requests of each kind, one thread; µs a request");
    println!("{:<28} {:>8} {:>8} {:>8} {:>8}", "", "mean", "p50", "p99", "max");
    report("new token", time(&service, &issued).await);
    time(&service, &again).await;
    report("same token again", time(&service, &again).await);
    report("API key", time(&service, &keys).await);
    let state = directory.now();
    let id = format!("usr_{:024x}", 0);
    let mut samples = Vec::with_capacity(requests);
    for _ in 0..requests {
        let started = Instant::now();
        let access = state.access_of(&id, now).unwrap();
        assert!(access.access.allows::<TransactionRead>());
        samples.push(started.elapsed().as_secs_f64() * 1e6);
    }
    report("access of a person alone", samples);
}

/// Authenticates each token and checks a permission.
async fn time(service: &IdentityService, tokens: &[String]) -> Vec<f64> {
    let mut samples = Vec::with_capacity(tokens.len());
    for token in tokens {
        let credentials = Credentials {
            bearer: Some(token),
            dev: None,
            organization: None,
            peer: None,
            request_id: "bench",
            method: "GET",
            path: "/v1/transactions",
        };
        let started = Instant::now();
        let principal = service.authenticate(credentials).await.unwrap().unwrap();
        principal.require::<TransactionRead>().unwrap();
        samples.push(started.elapsed().as_secs_f64() * 1e6);
    }
    samples
}

fn report(what: &str, mut samples: Vec<f64>) {
    samples.sort_by(f64::total_cmp);
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    let at = |part: f64| samples[((samples.len() - 1) as f64 * part) as usize];
    println!("{what:<28} {mean:>8.2} {:>8.2} {:>8.2} {:>8.1}", at(0.5), at(0.99), at(1.0));
}

async fn enrol(ledger: &Ledger, person: usize) {
    let id = format!("usr_{person:024x}");
    let sealed = json!({ "subject": id, "sealed": format!("dbs1.{}", "A".repeat(64)) });
    let registered = json!({ "event_type": "user.registered",
        "payload": { "email": sealed, "full_name": sealed, "origin": "registration" } });
    let granted = json!({ "event_type": "user.role_granted", "payload": { "role": "compliance" } });
    let events = [registered, granted].map(|event| {
        let event: UserEvent = serde_json::from_value(event).unwrap();
        encode(&event, true).unwrap()
    });
    append(ledger, "user", &id, events.to_vec()).await;
}

async fn append(ledger: &Ledger, stream_type: &str, id: &str, events: Vec<Draft>) {
    let append = Append {
        stream: StreamKey::new(stream_type, id).unwrap(),
        expected_version: 0,
        events,
        actor: Actor::system("operator"),
        metadata: "{}".to_owned(),
        command: None,
    };
    ledger.append(append).await.unwrap();
}
