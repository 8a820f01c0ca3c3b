//! Writers that remember what they were promised, and the reckoning in the end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_tests::client::receipt;
use daybook_tests::{Answer, Client, Options, Server, Store, data, eventually};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::projections::{read_models_equal_a_rebuild, status};

/// Writers of single commands.
const WRITERS: usize = 12;
/// Transactions of one batch of the writer of batches.
const BATCH: usize = 200;
/// Comments of one incident; a thousand is the most it takes.
const MOST_COMMENTS: usize = 900;
/// A writer that was refused waits so long.
const AFTER_REFUSAL: Duration = Duration::from_millis(10);

/// A command with a key, so that it can be sent again.
#[derive(Debug, Clone)]
pub struct Sent {
    path: String,
    body: Value,
    /// Occurs in the payload of this command's entry and nowhere else; its key too.
    mark: String,
}

/// A command that the server has promised to have.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    sent: Sent,
    position: u64,
    hash: String,
}

/// What the writers saw.
#[derive(Default)]
struct Log {
    acknowledged: Mutex<Vec<Acknowledged>>,
    /// Refused because of the store, with the code of the refusal.
    refused: Mutex<Vec<(Sent, String)>>,
    /// Sent, and nothing came back.
    unanswered: Mutex<Vec<Sent>>,
    acknowledged_count: AtomicUsize,
    refused_count: AtomicUsize,
    stop: AtomicBool,
}

/// Writers at work.
pub struct Load {
    log: Arc<Log>,
    writers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts writers of new transactions, of comments on existing incidents, and of batches. `name` makes their commands
    /// differ from those of other loads.
    pub async fn start(client: &Client, name: &str) -> Self {
        let log = Arc::new(Log::default());
        let mut writers = Vec::new();
        for number in 0..=WRITERS {
            let opened =
                client.post("/v1/incidents", &data::incident(&format!("Of {name} {number}"))).await.expect(201);
            let incident = opened.json()["incident_id"].as_str().expect("an id").to_owned();
            let (client, log, name) = (client.clone(), Arc::clone(&log), name.to_owned());
            writers.push(tokio::spawn(async move {
                for turn in 0.. {
                    let mark = format!("{name}-{number}-{turn}-end");
                    if log.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let answered = match number {
                        WRITERS => write_batch(&client, &log, &mark).await,
                        _ => write(&client, &log, command(number, turn, &mark, &incident)).await,
                    };
                    if !answered {
                        return;
                    }
                }
            }));
        }
        Self { log, writers }
    }

    /// Commands that were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.log.acknowledged_count.load(Ordering::Relaxed)
    }

    /// Commands that were refused because of the store so far.
    pub fn refused(&self) -> usize {
        self.log.refused_count.load(Ordering::Relaxed)
    }

    /// Waits until `more` further commands are acknowledged.
    pub async fn goes_on(&self, more: usize) {
        let enough = self.acknowledged() + more;
        eventually("commands are acknowledged", async || (self.acknowledged() >= enough).then_some(())).await;
    }

    /// Waits until `more` further commands are refused.
    pub async fn is_refused(&self, more: usize) {
        let enough = self.refused() + more;
        eventually("commands are refused", async || (self.refused() >= enough).then_some(())).await;
    }

    /// Waits until nobody writes any more because the server is gone.
    pub async fn is_cut_off(&self) {
        eventually("the server is gone", async || self.writers.iter().all(JoinHandle::is_finished).then_some(())).await;
    }

    /// Stops the writers after their command and adds what they saw to the book.
    pub async fn stop(self, book: &mut Book) {
        self.log.stop.store(true, Ordering::Relaxed);
        for writer in self.writers {
            writer.await.expect("a writer does not fail");
        }
        book.acknowledged.append(&mut self.log.acknowledged.lock().unwrap());
        book.open.append(&mut self.log.unanswered.lock().unwrap());
        for (sent, code) in self.log.refused.lock().unwrap().drain(..) {
            // Whoever says that nothing was recorded must be right. `outcome_unknown` says that it may be.
            match code.as_str() {
                "ledger.outcome_unknown" => book.open.push(sent),
                _ => book.not_there.push((sent, code)),
            }
        }
    }
}

/// Every third writer comments on an incident of its own, as often as an incident takes comments.
fn command(writer: usize, turn: usize, mark: &str, incident: &str) -> Sent {
    let (path, body) = if writer.is_multiple_of(3) && turn < MOST_COMMENTS {
        (format!("/v1/incidents/{incident}/comment"), json!({"text": mark}))
    } else {
        ("/v1/transactions".to_owned(), data::transaction(mark))
    };
    Sent { path, body, mark: mark.to_owned() }
}

async fn send(client: &Client, sent: &Sent) -> Result<Answer, reqwest::Error> {
    let key = format!("key-{}", sent.mark);
    client.try_send(client.request("POST", &sent.path).json(&sent.body).header("idempotency-key", key)).await
}

/// False where the server is gone.
async fn write(client: &Client, log: &Log, sent: Sent) -> bool {
    match send(client, &sent).await {
        Ok(answer) if answer.status == 200 || answer.status == 201 => {
            let (position, hash) = answer.receipt();
            log.acknowledged.lock().unwrap().push(Acknowledged { sent, position, hash });
            log.acknowledged_count.fetch_add(1, Ordering::Relaxed);
            true
        }
        // Lost too many races against the other writers.
        Ok(answer) if answer.status == 409 => true,
        // Every other refusal is the store's, and says so.
        Ok(answer) => {
            let code = answer.expect_problem(503);
            assert_ne!(answer.header("retry-after"), "", "{code}");
            log.refused.lock().unwrap().push((sent, code));
            log.refused_count.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(AFTER_REFUSAL).await;
            true
        }
        Err(_) => {
            log.unanswered.lock().unwrap().push(sent);
            false
        }
    }
}

/// A batch without a key: its transactions are known by their ids.
async fn write_batch(client: &Client, log: &Log, mark: &str) -> bool {
    let mut items: HashMap<String, Sent> = HashMap::new();
    let mut lines = String::new();
    for item in 0..BATCH {
        let mark = format!("{mark}-{item}-item");
        let body = data::transaction(&mark);
        lines.push_str(&format!("{body}\n"));
        items.insert(mark.clone(), Sent { path: "/v1/transactions".to_owned(), body, mark });
    }
    let request = client.request("POST", "/v1/transactions/batch").header("content-type", "application/x-ndjson");
    let mut text = String::new();
    let mut whole = false;
    if let Ok(mut response) = request.body(lines).send().await {
        assert_eq!(response.status().as_u16(), 200);
        while let Ok(chunk) = response.chunk().await {
            let Some(chunk) = chunk else {
                whole = true;
                break;
            };
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
    let mut refused = false;
    let ended = text.rfind('\n').map_or(0, |end| end + 1);
    for line in text[..ended].lines() {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        let Some(sent) = line["transaction_id"].as_str().and_then(|id| items.remove(id)) else { continue };
        if line["receipt"].is_object() {
            let (position, hash) = receipt(&line);
            log.acknowledged.lock().unwrap().push(Acknowledged { sent, position, hash });
            log.acknowledged_count.fetch_add(1, Ordering::Relaxed);
        } else {
            let code = line["problem"]["code"].as_str().expect("a refused line says why").to_owned();
            assert!(code.starts_with("ledger.") || code.starts_with("store."), "{line}");
            log.refused.lock().unwrap().push((sent, code));
            log.refused_count.fetch_add(1, Ordering::Relaxed);
            refused = true;
        }
    }
    log.unanswered.lock().unwrap().extend(items.into_values());
    if refused {
        tokio::time::sleep(AFTER_REFUSAL).await;
    }
    whole
}

/// Waits until every projector has got over the fault and seen the whole ledger.
async fn caught_up(client: &Client) {
    eventually("every projector works again and reaches the ledger's end", async || {
        let projectors = status(client).await;
        let well = |projector: &Value| projector["error"].is_null() && projector["lag"] == 0;
        projectors.iter().all(well).then_some(())
    })
    .await;
}

/// What was promised over a whole test, from one server process to the next.
#[derive(Default)]
pub struct Book {
    acknowledged: Vec<Acknowledged>,
    /// Nobody has said whether they are there.
    open: Vec<Sent>,
    /// Those of which somebody has said that they are not there.
    not_there: Vec<(Sent, String)>,
}

impl Book {
    /// How many commands are promised.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Sends one command until it is acknowledged.
    pub async fn record(&mut self, client: &Client, mark: &str) {
        let sent = Sent { path: "/v1/transactions".to_owned(), body: data::transaction(mark), mark: mark.to_owned() };
        self.repeat(client, sent).await;
    }

    async fn repeat(&mut self, client: &Client, sent: Sent) {
        let answer = send(client, &sent).await.expect("the server answers");
        assert!(answer.status == 200 || answer.status == 201, "{} {}", answer.status, answer.body);
        let (position, hash) = answer.receipt();
        self.acknowledged.push(Acknowledged { sent, position, hash });
    }

    /// Everything that was promised is there, once and with its receipt; everything that was said not to be there is not.
    pub async fn check(&self, client: &Client) {
        let mut positions: HashMap<String, Vec<u64>> = HashMap::new();
        let mut hashes: HashMap<u64, String> = HashMap::new();
        for entry in client.entries().await {
            let position = entry["position"].as_u64().expect("a position");
            hashes.insert(position, entry["hash"].as_str().expect("a hash").to_owned());
            let mark = ["transaction_id", "text"].iter().find_map(|name| entry["payload"][*name].as_str());
            if let Some(mark) = mark.filter(|_| entry["event_type"] != "incident.opened") {
                positions.entry(mark.to_owned()).or_default().push(position);
            }
        }
        for one in &self.acknowledged {
            assert_eq!(hashes.get(&one.position), Some(&one.hash), "acknowledged and gone: {one:?}");
            assert_eq!(positions.get(&one.sent.mark), Some(&vec![one.position]), "not there once: {one:?}");
        }
        for (sent, code) in &self.not_there {
            assert_eq!(positions.get(&sent.mark), None, "{code} was answered, and it is there: {sent:?}");
        }
        for sent in &self.open {
            assert!(positions.get(&sent.mark).map_or(0, Vec::len) <= 1, "there more than once: {sent:?}");
        }
    }

    /// Sends again what is not acknowledged.
    pub async fn settle(&mut self, client: &Client) {
        self.check(client).await;
        let (open, not_there) = (std::mem::take(&mut self.open), std::mem::take(&mut self.not_there));
        let again: Vec<Sent> = open.into_iter().chain(not_there.into_iter().map(|(sent, _)| sent)).collect();
        println!("{} commands acknowledged, {} sent again", self.acknowledged.len(), again.len());
        for sent in again {
            self.repeat(client, sent).await;
        }
    }

    /// The fault is over: the ledger keeps every promise, takes what it had not taken, and is whole from end to end.
    pub async fn holds(mut self, store: &Store, mut server: Server) {
        let client = server.client();
        self.settle(&client).await;
        self.record(&client, "the-last-one").await;
        self.check(&client).await;
        caught_up(&client).await;
        assert!(server.terminate().await.success(), "{}", server.printed());
        let report = store.verified().await;
        assert!(report["entries"].as_u64().expect("a number") >= self.acknowledged.len() as u64, "{report}");
        read_models_equal_a_rebuild(store).await;
    }

    /// As [`Book::holds`], by a server that is started for it.
    pub async fn holds_after_a_start(self, store: &Store, options: Options) {
        let server = Server::start_with(store, options).await;
        self.holds(store, server).await;
    }
}
