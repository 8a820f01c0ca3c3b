//! Time-stamps by the real program: on a schedule, on request, verified again, and a failing authority made visible.

#[path = "../../../time-stamping/tests/authority/mod.rs"]
mod authority;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use authority::{Authority, Key, openssl_is_here};
use daybook_tests::{Client, Options, Server, Store, both_stores, data, eventually};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The `openssl` program behind a port; does not answer while `down`.
pub(crate) struct Tsa {
    url: String,
    /// The file with its root certificate.
    pub(crate) roots: String,
    down: Arc<AtomicBool>,
}

impl Tsa {
    pub(crate) async fn start() -> Self {
        let authority = Authority::good(Key::P256);
        let roots = authority.file("root.pem").display().to_string();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let down = Arc::new(AtomicBool::new(false));
        let is_down = Arc::clone(&down);
        tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                if !is_down.load(Ordering::SeqCst) {
                    answer(&authority, connection).await;
                }
            }
        });
        Self { url, roots, down }
    }

    /// What a server is told so that it has checkpoints stamped.
    pub(crate) fn settings(&self, interval: &str) -> Vec<(String, String)> {
        let pairs = [
            ("DAYBOOK_TSA_URL", self.url.as_str()),
            ("DAYBOOK_TSA_ROOTS", &self.roots),
            ("DAYBOOK_ANCHOR_INTERVAL", interval),
            ("DAYBOOK_CHECKPOINT_INTERVAL", "1"),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    async fn anchor(&self, store: &Store, arguments: &[&str]) -> daybook_tests::Finished {
        let all = [&["anchor", "--tsa-url", &self.url, "--tsa-roots", &self.roots], arguments].concat();
        store.daybook(&all).await
    }
}

/// One request, one answer, and the end of the connection.
async fn answer(authority: &Authority, mut connection: TcpStream) {
    let mut request = Vec::new();
    let body = loop {
        let mut part = [0; 4096];
        let read = connection.read(&mut part).await.unwrap_or(0);
        request.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let length: Option<usize> =
            text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.trim().parse().ok());
        let head = request.windows(4).position(|window| window == b"\r\n\r\n").map(|end| end + 4);
        if let (Some(length), Some(head)) = (length, head)
            && request.len() >= head + length
        {
            break request[head..].to_vec();
        }
        if read == 0 {
            return;
        }
    };
    let reply = authority.reply(&body);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/timestamp-reply\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        reply.len()
    );
    connection.write_all(&[head.as_bytes(), &reply].concat()).await.unwrap();
}

async fn record(client: &Client, prefix: &str, count: usize) {
    for number in 0..count {
        client.post("/v1/transactions", &data::transaction(&format!("{prefix}-{number}"))).await.expect(201);
    }
}

/// The task as `daybook status` has it, and the exit code.
async fn task(store: &Store) -> (i32, Value) {
    let status = store.daybook(&["status", "--json"]).await;
    let tasks = status.json()["reactors"].clone();
    let task = tasks.as_array().unwrap().iter().find(|task| task["name"] == "anchor").cloned();
    (status.code, task.unwrap_or(Value::Null))
}

both_stores!(checkpoints_get_time_stamps_on_a_schedule_and_failures_are_seen);

async fn checkpoints_get_time_stamps_on_a_schedule_and_failures_are_seen(store: &Store) {
    if !openssl_is_here() {
        return;
    }
    let tsa = Tsa::start().await;
    let options = Options { environment: tsa.settings("1"), ..Options::default() };
    let mut server = Server::start_with(store, options).await;
    let client = server.client();
    record(&client, "a", 3).await;
    let size = eventually("a time-stamp", async || {
        Some(client.metric("daybook_anchor_size").await).filter(|size| *size > 0.0)
    });
    assert!(size.await >= 4.0);
    let stream: Vec<Value> =
        client.entries().await.into_iter().filter(|entry| entry["event_type"] == "ledger.anchored").collect();
    assert_eq!((stream.len(), &stream[0]["stream_id"]), (1, &Value::from("main")));
    assert!(tsa.anchor(store, &["--verify"]).await.expect(0).stdout.contains("CN=Example TSA,O=Example"));

    tsa.down.store(true, Ordering::SeqCst);
    record(&client, "b", 2).await;
    eventually("the failure is counted", async || {
        Some(client.metric("daybook_anchor_failing").await).filter(|failing| *failing > 0.0)
    })
    .await;
    let (code, failing) = eventually("the failure is in the status", async || {
        Some(task(store).await).filter(|(_, task)| !task["error"].is_null())
    })
    .await;
    assert!(code == 1 && failing["error"].as_str().unwrap().contains("cannot be asked"), "{failing}");
    tsa.down.store(false, Ordering::SeqCst);
    eventually("the failure is over", async || {
        Some(task(store).await).filter(|(code, task)| *code == 0 && task["error"].is_null())
    })
    .await;
    assert!(server.terminate().await.success());
    let checked = tsa.anchor(store, &["--verify", "--json"]).await.expect(0).json();
    assert_eq!((&checked["verified"], checked["anchors"].as_array().unwrap().len()), (&Value::Bool(true), 2));
    store.verified().await;
}

both_stores!(time_stamp_on_request_is_recorded_once_and_verified_against_roots);

async fn time_stamp_on_request_is_recorded_once_and_verified_against_roots(store: &Store) {
    if !openssl_is_here() {
        return;
    }
    let tsa = Tsa::start().await;
    // Nothing is signed but on request.
    let environment = vec![("DAYBOOK_CHECKPOINT_INTERVAL".to_owned(), "0".to_owned())];
    let mut server = Server::start_with(store, Options { environment, ..Options::default() }).await;
    record(&server.client(), "a", 2).await;
    assert!(server.terminate().await.success());
    assert!(tsa.anchor(store, &["--verify"]).await.expect(0).stdout.contains("no time-stamps"));
    let early = tsa.anchor(store, &[]).await.expect(2);
    assert!(early.stderr.contains("nothing was signed yet"), "{}", early.text());
    store.daybook(&["checkpoint"]).await.expect(0);
    let first = tsa.anchor(store, &["--json"]).await.expect(0).json();
    assert_eq!((&first["is_new"], &first["tsa"]), (&Value::Bool(true), &Value::from("CN=Example TSA,O=Example")));
    let again = tsa.anchor(store, &["--json"]).await.expect(0).json();
    assert_eq!((&again["is_new"], &again["position"]), (&Value::Bool(false), &first["position"]));
    assert_eq!(tsa.anchor(store, &["--verify", "--json"]).await.expect(0).json()["anchors"][0]["size"], first["size"]);

    let stranger = Authority::good(Key::P256);
    let roots = stranger.file("root.pem").display().to_string();
    let refused = store.daybook(&["anchor", "--verify", "--tsa-roots", &roots]).await.expect(1);
    assert!(refused.stdout.contains("NOT VERIFIED"), "{}", refused.text());
    let lost = store.daybook(&["anchor", "--verify"]).await.expect(2);
    assert!(lost.stderr.contains("--tsa-roots"), "{}", lost.text());
    store.verified().await;
}
