//! Server-sent events: what is told, what is resumed, and when it ends.

use std::pin::Pin;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use daybook_domain::approval::KnownAction;
use daybook_domain::incident::Severity;
use daybook_domain::transaction::TransactionStatus;

use crate::decisions::Decisions;
use crate::world::World;

const ADMIN: [(&str, &str); 2] = [("x-user-email", "admin@example.com"), ("x-user-role", "viewer")];

/// A stream as a client reads it.
struct Client {
    body: Pin<Box<BoxBody>>,
    buffer: String,
}

impl Client {
    async fn connect(world: &World, query: &str, headers: &[(&str, &str)]) -> Self {
        let headers: Vec<_> = ADMIN.iter().chain(headers).copied().collect();
        let answer = world.call("GET", &format!("/v1/stream{query}"), &headers).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers().get("content-type").unwrap(), "text/event-stream");
        let mut client = Self { body: Box::pin(answer.into_body()), buffer: String::new() };
        assert!(client.frame().await.unwrap().starts_with("retry: "));
        client
    }

    /// The next frame; `None` where the stream has ended.
    async fn frame(&mut self) -> Option<String> {
        loop {
            if let Some((frame, rest)) = self.buffer.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.buffer = rest;
                return Some(frame);
            }
            let next = std::future::poll_fn(|context| self.body.as_mut().poll_next(context));
            let chunk = tokio::time::timeout(Duration::from_secs(10), next).await.expect("a frame in time")?;
            self.buffer.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }

    /// The next `count` entries as position and topic.
    async fn entries(&mut self, count: usize) -> Vec<(u64, String)> {
        let mut entries = Vec::new();
        while entries.len() < count {
            let frame = self.frame().await.expect("the stream goes on");
            let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            if field("event: ").as_deref() != Some("entry") {
                continue;
            }
            let data: serde_json::Value = serde_json::from_str(&field("data: ").unwrap()).unwrap();
            let position = data["position"].as_u64().unwrap();
            assert_eq!(field("id: "), Some(position.to_string()));
            assert_eq!(data.as_object().unwrap().len(), 2, "positions and topics only");
            entries.push((position, data["topic"].as_str().unwrap().to_owned()));
        }
        entries
    }
}

async fn record(world: &World, id: &str) -> u64 {
    world.record(id, "1.00", "USD", TransactionStatus::Pending, "2026-11-21T00:00:00Z").await
}

fn transactions(positions: impl IntoIterator<Item = u64>) -> Vec<(u64, String)> {
    positions.into_iter().map(|position| (position, "transaction".to_owned())).collect()
}

#[actix_web::test]
async fn new_entries_are_told_as_they_come() {
    let world = World::new().await;
    world.ten().await;
    let mut client = Client::connect(&world, "", &[]).await;
    let (told, position) = futures::join!(client.entries(1), record(&world, "TX-A"));
    assert_eq!((told, position), (transactions([10]), 10));
}

#[actix_web::test]
async fn client_that_comes_back_misses_nothing_and_hears_nothing_twice() {
    let world = World::new().await;
    world.ten().await;
    let mut client = Client::connect(&world, "?from=0", &[]).await;
    assert_eq!(client.entries(10).await, transactions(0..10));
    drop(client);
    for number in 0..600 {
        record(&world, &format!("TX-A{number}")).await;
    }
    // The header is what the browser sends when it comes back to the same address.
    let mut client = Client::connect(&world, "?from=0", &[("last-event-id", "9")]).await;
    assert_eq!(client.entries(600).await, transactions(10..610));
    record(&world, "TX-B").await;
    assert_eq!(client.entries(1).await, transactions([610]));
}

#[actix_web::test]
async fn topics_choose_and_quiet_clients_still_get_on() {
    let mut world = World::new().await;
    world.state.live = world.state.live.clone().with_heartbeat(Duration::from_millis(100));
    let mut client = Client::connect(&world, "?topics=incident&from=0", &[]).await;
    world.ten().await;
    // Nothing to tell, but the place to resume from moves.
    loop {
        let frame = client.frame().await.unwrap();
        assert!(frame.starts_with(": heartbeat"), "{frame}");
        if frame.ends_with("id: 9") {
            break;
        }
    }
    world.open("inc_a", "Order stuck", Severity::High).await;
    assert_eq!(client.entries(1).await, [(10, "incident".to_owned())]);
}

#[actix_web::test]
async fn one_topic_stands_for_all_that_decisions_are_made_of() {
    let world = World::new().await;
    let mut decisions = Client::connect(&world, "?topics=approvals&from=0", &[]).await;
    let mut both = Client::connect(&world, "?topics=approvals,exports,incident&from=0", &[]).await;
    record(&world, "TX-A").await;
    Decisions::of(&world).open("apr_1", KnownAction::AgentTriage, "usr_1", 0).await;
    world.open("inc_a", "Order stuck", Severity::High).await;
    let requested = vec![(1, "approval".to_owned()), (2, "approval".to_owned())];
    assert_eq!(decisions.entries(2).await, requested);
    let mut all = requested;
    all.push((3, "incident".to_owned()));
    assert_eq!(both.entries(3).await, all);
}

#[actix_web::test]
async fn streams_end_cleanly_at_shutdown() {
    let world = World::new().await;
    world.ten().await;
    let mut client = Client::connect(&world, "", &[]).await;
    let ends = async {
        tokio::task::yield_now().await;
        world.shutdown.send(true).unwrap();
    };
    let (frame, ()) = futures::join!(client.frame(), ends);
    assert_eq!(frame, None);
}

#[actix_web::test]
async fn answer_is_neither_compressed_nor_cached() {
    let world = World::new().await;
    let headers: Vec<_> = ADMIN.into_iter().chain([("accept-encoding", "gzip")]).collect();
    let answer = world.call("GET", "/stream", &headers).await;
    assert_ne!(answer.headers().get("content-encoding").map(|value| value.to_str().unwrap()), Some("gzip"));
    assert_eq!(answer.headers().get("cache-control").unwrap(), "no-store");
}

#[actix_web::test]
async fn place_beyond_the_ledger_is_refused() {
    let world = World::new().await;
    world.ten().await;
    for id in ["10", "x", "-1"] {
        let headers: Vec<_> = ADMIN.into_iter().chain([("last-event-id", id)]).collect();
        // The status alone: a stream that is wrongly begun has no end.
        assert_eq!(world.call("GET", "/stream", &headers).await.status(), 400, "{id}");
    }
    assert_eq!(world.get("/stream?from=11").await.status, 400);
}
