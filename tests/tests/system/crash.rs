//! `kill -9` under load, again and again: what was acknowledged is there, and there once.
//!
//! Writers of every kind send as fast as they can while the process is killed. After each restart every receipt is
//! compared with the ledger, and every keyed or named command whose answer was lost is repeated. In the end the chain
//! is verified and each read model is compared with one built from nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_tests::client::receipt;
use daybook_tests::{Client, Server, Store, both_stores, data, eventually};
use serde_json::{Value, json};

use crate::projections::{read_models_equal_a_rebuild, settled};

/// How often the process is killed.
const ROUNDS: usize = 20;
/// Acknowledged commands in a round before it may be killed; each round kills at another point after that.
const ACKNOWLEDGED: [usize; 5] = [20, 35, 60, 90, 130];
/// Incidents that are commented on from several sides.
const INCIDENTS: usize = 4;

/// A command as it was sent, so that it can be sent again.
#[derive(Debug, Clone)]
struct Sent {
    path: String,
    key: Option<String>,
    body: Value,
    /// Occurs in the payload of this command's entry and nowhere else.
    mark: String,
    /// The same command again must give the same receipt.
    repeatable: bool,
}

#[derive(Debug, Clone)]
struct Acknowledged {
    sent: Sent,
    position: u64,
    hash: String,
}

/// What the writers saw.
#[derive(Default)]
struct Log {
    acknowledged: Mutex<Vec<Acknowledged>>,
    /// Sent, and nothing came back.
    unanswered: Mutex<Vec<Sent>>,
    count: AtomicUsize,
    stop: AtomicBool,
}

impl Log {
    fn acknowledge(&self, sent: Sent, body: &Value) {
        let (position, hash) = receipt(body);
        self.acknowledged.lock().unwrap().push(Acknowledged { sent, position, hash });
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

both_stores!(nothing_acknowledged_is_lost_and_nothing_is_there_twice);

async fn nothing_acknowledged_is_lost_and_nothing_is_there_twice(store: &Store) {
    let mut all: Vec<Acknowledged> = Vec::new();
    let mut ever_sent: BTreeMap<String, Sent> = BTreeMap::new();
    let mut unanswered: Vec<Sent> = Vec::new();
    let mut repeated = 0;
    let mut server = Server::start(store).await;
    let incidents = open_incidents(&server.client()).await;
    for round in 0..ROUNDS {
        let log = Arc::new(Log::default());
        let writers = start_writers(&server.client(), &log, round, &incidents);
        let enough = ACKNOWLEDGED[round % ACKNOWLEDGED.len()];
        eventually("enough commands are acknowledged", async || {
            (log.count.load(Ordering::Relaxed) >= enough).then_some(())
        })
        .await;
        server.kill9();
        log.stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await.expect("a writer does not fail");
        }
        let round_acknowledged = std::mem::take(&mut *log.acknowledged.lock().unwrap());
        unanswered.extend(std::mem::take(&mut *log.unanswered.lock().unwrap()));
        server = Server::start(store).await;
        let client = server.client();
        let lost = check_receipts(&client, &round_acknowledged).await;
        assert_eq!(lost, Vec::<String>::new(), "acknowledged and gone after kill {round}");
        for sent in round_acknowledged.iter().map(|one| &one.sent).chain(&unanswered) {
            ever_sent.insert(sent.mark.clone(), sent.clone());
        }
        // A third of them: repeating all would only make the test long.
        for one in round_acknowledged.iter().filter(|one| one.sent.repeatable).step_by(3) {
            let again = send(&client, &one.sent).await.expect("the server answers");
            assert!(again.status == 200 || again.status == 201, "{} {}", again.status, again.body);
            if one.sent.key.is_some() {
                assert_eq!(again.header("idempotency-replayed"), "true", "{}", one.sent.path);
            }
            assert_eq!(again.receipt(), (one.position, one.hash.clone()), "{:?}", one.sent);
        }
        all.extend(round_acknowledged);
        // Whoever got no answer asks again, and then has one.
        let (repeatable, others): (Vec<_>, Vec<_>) = unanswered.into_iter().partition(|sent| sent.repeatable);
        unanswered = others;
        for sent in repeatable {
            let answer = send(&client, &sent).await.expect("the server answers");
            assert!(answer.status == 200 || answer.status == 201, "{} {}", answer.status, answer.body);
            let (position, hash) = answer.receipt();
            repeated += 1;
            all.push(Acknowledged { sent, position, hash });
        }
    }
    let client = server.client();
    println!("{} commands acknowledged, {} of them after a repeat", all.len(), repeated);
    assert!(repeated > ROUNDS / 2, "the process was hardly ever killed at work");
    let lost = check_receipts(&client, &all).await;
    assert_eq!(lost, Vec::<String>::new(), "acknowledged and gone in the end");
    check_occurrences(&client, &all, &ever_sent).await;
    settled(&client).await;
    assert!(server.terminate().await.success(), "{}", server.printed());
    let report = store.verified().await;
    assert!(report["entries"].as_u64().unwrap() >= all.len() as u64, "{report}");
    read_models_equal_a_rebuild(store).await;
}

async fn open_incidents(client: &Client) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..INCIDENTS {
        let opened = client.post("/v1/incidents", &data::incident(&format!("Incident {number}"))).await.expect(201);
        ids.push(opened.json()["incident_id"].as_str().expect("an id").to_owned());
    }
    ids
}

/// 20 writers: transactions with and without a key, batches, openings and comments of incidents.
fn start_writers(
    client: &Client,
    log: &Arc<Log>,
    round: usize,
    incidents: &[String],
) -> Vec<tokio::task::JoinHandle<()>> {
    let mut writers = Vec::new();
    for number in 0..20 {
        let (client, log) = (client.clone(), Arc::clone(log));
        let incident = incidents[number % incidents.len()].clone();
        writers.push(tokio::spawn(async move {
            for turn in 0.. {
                let mark = format!("m-{round}-{number}-{turn}-end");
                if log.stop.load(Ordering::Relaxed) || !write(&client, &log, number, &mark, &incident).await {
                    return;
                }
            }
        }));
    }
    writers
}

/// One command of the writer's kind. False where the server did not answer any more.
async fn write(client: &Client, log: &Log, writer: usize, mark: &str, incident: &str) -> bool {
    let sent = match writer {
        0..8 => Sent {
            path: "/v1/transactions".to_owned(),
            key: None,
            body: data::transaction(mark),
            mark: mark.to_owned(),
            repeatable: true,
        },
        8..12 => Sent {
            path: "/v1/transactions".to_owned(),
            key: Some(format!("key-{mark}")),
            body: data::transaction(mark),
            mark: mark.to_owned(),
            repeatable: true,
        },
        12..14 => return write_batch(client, log, writer, mark).await,
        14..16 => Sent {
            path: "/v1/incidents".to_owned(),
            key: Some(format!("key-{mark}")),
            body: data::incident(mark),
            mark: mark.to_owned(),
            repeatable: true,
        },
        _ => Sent {
            path: format!("/v1/incidents/{incident}/comment"),
            key: writer.is_multiple_of(2).then(|| format!("key-{mark}")),
            body: json!({"text": mark}),
            mark: mark.to_owned(),
            repeatable: writer.is_multiple_of(2),
        },
    };
    match send(client, &sent).await {
        Ok(answer) if answer.status == 200 || answer.status == 201 => log.acknowledge(sent, &answer.json()),
        // Lost too many races against the other writers, or a full queue: refused, so it must not be there.
        Ok(answer) if answer.status == 409 || answer.status == 503 => {}
        Ok(answer) => panic!("{} {}", answer.status, answer.body),
        Err(_) => {
            log.unanswered.lock().unwrap().push(sent);
            return false;
        }
    }
    true
}

async fn send(client: &Client, sent: &Sent) -> Result<daybook_tests::Answer, reqwest::Error> {
    let request = client.request("POST", &sent.path).json(&sent.body);
    let request = match &sent.key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    };
    client.try_send(request).await
}

/// A batch of 20. Each line that was answered is acknowledged, also where the answer broke off after it.
async fn write_batch(client: &Client, log: &Log, writer: usize, mark: &str) -> bool {
    let items: Vec<Sent> = (0..20)
        .map(|item| {
            let mark = format!("{mark}-{item}-item");
            Sent {
                path: "/v1/transactions".to_owned(),
                key: None,
                body: data::transaction(&mark),
                mark,
                repeatable: true,
            }
        })
        .collect();
    let lines: String = items.iter().map(|item| format!("{}\n", item.body)).collect();
    let mut request =
        client.request("POST", "/v1/transactions/batch").header("content-type", "application/x-ndjson").body(lines);
    if writer.is_multiple_of(2) {
        request = request.header("idempotency-key", format!("key-{mark}"));
    }
    let (mut text, mut whole) = (String::new(), false);
    if let Ok(mut response) = request.send().await {
        assert_eq!(response.status().as_u16(), 200);
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => text.push_str(&String::from_utf8_lossy(&chunk)),
                Ok(None) => {
                    whole = true;
                    break;
                }
                Err(_) => break,
            }
        }
    }
    let mut items = items.into_iter();
    let ended = text.rfind('\n').map_or(0, |end| end + 1);
    for line in text[..ended].lines() {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        if line["receipt"].is_object() {
            let sent = items.next().expect("a line an item");
            assert_eq!(line["transaction_id"], sent.mark.as_str());
            log.acknowledge(sent, &line);
        } else if line["status"] == "refused" {
            // Stopped in the middle: not there, and free to be sent again.
            items.next();
        }
    }
    log.unanswered.lock().unwrap().extend(items);
    whole
}

/// The receipts whose entry is not in the ledger as it was promised.
async fn check_receipts(client: &Client, acknowledged: &[Acknowledged]) -> Vec<String> {
    let hashes: HashMap<u64, String> = client
        .entries()
        .await
        .into_iter()
        .map(|entry| (entry["position"].as_u64().unwrap(), entry["hash"].as_str().unwrap().to_owned()))
        .collect();
    acknowledged
        .iter()
        .filter(|one| hashes.get(&one.position) != Some(&one.hash))
        .map(|one| format!("{one:?}, ledger has {:?}", hashes.get(&one.position)))
        .collect()
}

/// Every acknowledged command has exactly one entry, every other one that was ever sent at most one.
async fn check_occurrences(client: &Client, all: &[Acknowledged], ever_sent: &BTreeMap<String, Sent>) {
    let mut positions: HashMap<String, Vec<u64>> = HashMap::new();
    for entry in client.entries().await {
        let payload = &entry["payload"];
        let mark = ["transaction_id", "text", "title"].iter().find_map(|name| payload[*name].as_str());
        // Incidents that the rule opens repeat the transaction's id elsewhere.
        if let Some(mark) = mark {
            positions.entry(mark.to_owned()).or_default().push(entry["position"].as_u64().unwrap());
        }
    }
    for one in all {
        let found = positions.get(&one.sent.mark).cloned().unwrap_or_default();
        assert_eq!(found, [one.position], "{:?}", one.sent);
    }
    for (mark, sent) in ever_sent {
        let found = positions.get(mark).map_or(0, Vec::len);
        assert!(found <= 1, "{found} entries of {sent:?}");
    }
}

both_stores!(a_process_killed_at_its_start_comes_up_the_next_time);

/// A process that is killed again while it recovers must come up all the same.
async fn a_process_killed_at_its_start_comes_up_the_next_time(store: &Store) {
    let server = Server::start(store).await;
    let client = server.client();
    for number in 0..50 {
        client.post("/v1/transactions", &data::transaction(&format!("start-{number}"))).await.expect(201);
    }
    server.kill9();
    for delay in [0_u64, 5, 20, 60, 120] {
        let server = Server::spawn(store, daybook_tests::Options::default());
        tokio::time::sleep(Duration::from_millis(delay)).await;
        server.kill9();
    }
    let mut server = Server::start(store).await;
    assert_eq!(server.client().ledger_size().await, 50);
    settled(&server.client()).await;
    assert!(server.terminate().await.success());
    store.verified().await;
    read_models_equal_a_rebuild(store).await;
}
