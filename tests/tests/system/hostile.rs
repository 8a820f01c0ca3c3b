//! Requests that were made to break things: always a problem document of the right class, never a 5xx, nothing
//! half-written.
//!
//! The endpoints come from the OpenAPI document, so that a new one is attacked as soon as it is documented.

use std::time::Duration;

use daybook_tests::http_documents::{Operation, operations};
use daybook_tests::{Answer, Client, Server, Store, both_stores, data};
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A body that no endpoint may take, and the statuses that are right for it.
struct Hostile {
    what: &'static str,
    content_type: Option<&'static str>,
    body: Vec<u8>,
    right: &'static [u16],
}

/// The body cannot be read as what it should be.
const UNREADABLE: &[u16] = &[400];
/// The body cannot be read, or a rule refuses what it says.
pub const REFUSED: &[u16] = &[400, 422];

fn hostile_bodies() -> Vec<Hostile> {
    let json = Some("application/json");
    let body = |what, body: &[u8], right| Hostile { what, content_type: json, body: body.to_vec(), right };
    let deep =
        |open: &str, close: &str| format!("{{\"meta\":{}1{}}}", open.repeat(5_000), close.repeat(5_000)).into_bytes();
    let mut bodies = vec![
        body("not JSON", b"hello", UNREADABLE),
        body("cut off", b"{\"reason\": \"x", UNREADABLE),
        body("two values", b"{} {}", UNREADABLE),
        body("trailing comma", b"{\"reason\":\"x\",}", UNREADABLE),
        body("NaN", b"{\"amount\": NaN}", UNREADABLE),
        body("Infinity", b"{\"amount\": -Infinity}", UNREADABLE),
        body("single quotes", b"{'reason': 'x'}", UNREADABLE),
        body("invalid UTF-8", b"{\"reason\": \"\xff\xfe\"}", UNREADABLE),
        body("overlong UTF-8", b"{\"reason\": \"\xc0\xaf\"}", UNREADABLE),
        body("lone surrogate", b"{\"reason\": \"\\ud800\"}", UNREADABLE),
        body("UTF-16", b"\xff\xfe{\x00}\x00", UNREADABLE),
        body("raw control character", b"{\"reason\": \"a\x01b\"}", UNREADABLE),
        body("NUL bytes", &[0; 64], UNREADABLE),
        body("an array", b"[]", UNREADABLE),
        body("a string", b"\"text\"", UNREADABLE),
        body("a number", b"1e999", UNREADABLE),
        body("null", b"null", UNREADABLE),
        body("unknown field", b"{\"surprise\": 1}", UNREADABLE),
        body("prototype fields", b"{\"__proto__\": {\"admin\": true}, \"constructor\": 1}", UNREADABLE),
        body("repeated field", b"{\"reason\": \"a\", \"reason\": \"b\"}", UNREADABLE),
        Hostile { what: "deep objects", content_type: json, body: deep("{\"a\":", "}"), right: UNREADABLE },
        Hostile { what: "deep arrays", content_type: json, body: deep("[", "]"), right: UNREADABLE },
        Hostile { what: "3 MiB", content_type: json, body: vec![b' '; 3 * 1024 * 1024], right: &[413] },
        Hostile {
            what: "plain text",
            content_type: Some("text/plain"),
            body: b"{\"reason\":\"x\"}".to_vec(),
            right: &[415],
        },
        Hostile {
            what: "a form",
            content_type: Some("application/x-www-form-urlencoded"),
            body: b"reason=x".to_vec(),
            right: &[415],
        },
        Hostile { what: "no content type", content_type: None, body: b"{\"reason\":\"x\"}".to_vec(), right: &[415] },
        Hostile {
            what: "XML",
            content_type: Some("application/xml"),
            body: b"<!DOCTYPE a><a/>".to_vec(),
            right: &[415],
        },
    ];
    // Every field that commands have, with a type that it never has.
    for field in [
        "transaction_id",
        "currency",
        "title",
        "severity",
        "comment",
        "reason",
        "status",
        "assigned_to",
        "incident_ids",
        "text",
    ] {
        let wrong = json!({field: {"$gt": ""}}).to_string();
        bodies.push(Hostile { what: "wrong type", content_type: json, body: wrong.into_bytes(), right: REFUSED });
    }
    bodies
}

/// A transaction, an incident, and the operations that take a body and change something.
async fn prepared(client: &Client) -> Vec<(Operation, String)> {
    client.post("/v1/transactions", &data::transaction("hostile-1")).await.expect(201);
    let mut incident = data::incident("Hostile");
    incident["incident_id"] = json!("inc_hostile_1");
    client.post("/v1/incidents", &incident).await.expect(201);
    let document = client.get("/openapi.json").await.expect(200).json();
    let commands: Vec<_> = operations(&document)
        .into_iter()
        // `verify_export` takes a form of files, which is no JSON: write-api's own tests are hostile to it.
        .filter(|operation| operation.has_body)
        .filter(|operation| !operation.path.ends_with("/batch") && !operation.path.ends_with("/verify_export"))
        .map(|operation| {
            let id = if operation.path.contains("/transactions") { "hostile-1" } else { "inc_hostile_1" };
            let path = operation.filled(|_| id.to_owned());
            (operation, path)
        })
        .collect();
    assert!(commands.len() > 15, "only {} commands take a body", commands.len());
    commands
}

/// A problem document with one of the right statuses.
#[track_caller]
pub fn check(answer: &Answer, right: &[u16], what: &str) {
    assert!(right.contains(&answer.status), "{what}: {} is none of {right:?}: {:.300}", answer.status, answer.body);
    answer.expect_problem(answer.status);
}

both_stores!(no_hostile_body_gets_past_any_command);

async fn no_hostile_body_gets_past_any_command(store: &Store) {
    let mut server = Server::start(store).await;
    let client = server.client();
    let commands = prepared(&client).await;
    let bodies = hostile_bodies();
    for (operation, path) in &commands {
        for hostile in &bodies {
            let mut request = client.request(&operation.method, path).body(hostile.body.clone());
            if let Some(content_type) = hostile.content_type {
                request = request.header("content-type", content_type);
            }
            let what = format!(
                "{} {path} with {}: {:.80}",
                operation.method,
                hostile.what,
                String::from_utf8_lossy(&hostile.body)
            );
            // A body that is too large may be refused before it was sent to its end.
            match client.try_send(request).await {
                Ok(answer) => check(&answer, hostile.right, &what),
                Err(error) => assert!(hostile.right == [413], "{what}: {error}"),
            }
        }
        assert_eq!(client.ledger_size().await, 2, "{} {path} wrote something", operation.method);
    }
    assert_eq!(server.stranger().get("/health").await.status, 200);
    assert!(server.terminate().await.success());
    store.verified().await;
}

both_stores!(hostile_headers_paths_methods_and_parameters_are_problems);

async fn hostile_headers_paths_methods_and_parameters_are_problems(store: &Store) {
    let server = Server::start(store).await;
    let client = server.client();
    prepared(&client).await;
    let bytes = |bytes: &'static [u8]| HeaderValue::from_bytes(bytes).expect("a header value");
    let long = HeaderValue::from_str(&"k".repeat(2_000)).expect("a header value");
    for (name, value, status) in [
        ("idempotency-key", bytes(b""), 400),
        ("idempotency-key", bytes(b"a b"), 400),
        ("idempotency-key", bytes(b"\xff\xfe"), 400),
        ("idempotency-key", long.clone(), 400),
        ("if-match", bytes(b"7"), 400),
        ("if-match", bytes(b"\"-1\""), 400),
        ("if-match", bytes(b"W/\"1\""), 400),
        ("if-match", bytes(b"\"99999999999999999999\""), 400),
        ("if-match", bytes(b"\xff"), 400),
        ("content-encoding", bytes(b"gzip"), 415),
        ("content-encoding", bytes(b"br"), 415),
        ("authorization", bytes(b"Bearer wrong"), 401),
        ("authorization", bytes(b"Basic b3A6b3A="), 401),
        ("authorization", bytes(b"\xff"), 401),
        ("authorization", bytes(b"Bearer"), 401),
    ] {
        let name = HeaderName::from_static(name);
        let mut request = client
            .request("POST", "/v1/incidents/inc_hostile_1/comment")
            .json(&json!({"comment": "x"}))
            .build()
            .expect("a request");
        request.headers_mut().insert(name.clone(), value.clone());
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let response = http.execute(request).await.expect("an answer");
        let answer = Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.expect("a body"),
        };
        check(&answer, &[status], &format!("{name}: {value:?}"));
    }
    for (name, value) in [
        ("daybook-at-least", "x"),
        ("daybook-at-least", "-1"),
        ("daybook-at-least", "1e3"),
        ("daybook-at-least", "99999999999999999999999"),
    ] {
        let answer = client.send(client.request("GET", "/v1/transactions").header(name, value)).await;
        check(&answer, &[400], &format!("{name}: {value}"));
    }
    // A request id of the client's own is taken only where it is harmless.
    let answer = client.send(client.request("GET", "/health").header("x-request-id", long)).await;
    assert!(answer.header("x-request-id").len() <= 200, "{:?}", answer.headers);
    for (method, path, status) in [
        ("DELETE", "/v1/transactions/hostile-1", 405),
        ("PUT", "/v1/transactions", 405),
        ("DELETE", "/v1/ledgers/main/entries/0", 405),
        ("PATCH", "/v1/ledgers/main/head", 405),
        ("POST", "/v1/audit-trail", 405),
        ("GET", "/v1/transactions/batch/none/of/these", 404),
        ("GET", "/v1/nothing", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/v1/%2e%2e/%2e%2e/etc/passwd", 404),
        ("POST", "/", 405),
        ("GET", "/v1/transactions/none", 404),
        ("GET", "/v1/incidents/none", 404),
        ("GET", "/v1/ledgers/none/head", 404),
        ("GET", "/v1/ledgers/main/entries/99", 404),
        ("GET", "/v1/ledgers/main/entries/x", 400),
        ("POST", "/v1/projections/none/rebuild", 404),
        ("POST", "/v1/transactions/none/notes", 404),
        ("POST", "/v1/incidents/none/comment", 404),
        ("GET", "/v1/transactions/%00", 404),
        ("GET", "/v1/transactions/%ff%fe", 404),
        ("GET", "/v1/ledgers/main/streams/transaction/%0a", 404),
        ("BREW", "/v1/transactions", 405),
    ] {
        let body = if path.ends_with("notes") { json!({"text": "x"}) } else { json!({"comment": "x"}) };
        let mut request = client.request(method, path);
        if method == "POST" {
            request = request.json(&body);
        }
        check(&client.send(request).await, &[status], &format!("{method} {path}"));
    }
    for path in [
        "/v1/transactions?surprise=1",
        "/v1/transactions?limit=0",
        "/v1/transactions?limit=501",
        "/v1/transactions?limit=-1",
        "/v1/transactions?limit=ten",
        "/v1/transactions?limit=1&limit=2",
        "/v1/transactions?limit=99999999999999999999",
        "/v1/transactions?cursor=zzz",
        "/v1/transactions?cursor=%00",
        "/v1/transactions?offset=-1",
        "/v1/transactions?offset=99999999999",
        "/v1/transactions?page=0",
        "/v1/transactions?cursor=a&offset=1",
        "/v1/transactions?count=maybe",
        "/v1/transactions?status=sold",
        "/v1/transactions?start=never",
        "/v1/transactions?min_amount=1e5",
        "/v1/transactions?min_amount=NaN",
        "/v1/transactions?q=%00",
        "/v1/incidents?severity=bad",
        "/v1/incidents?priority=x",
        "/v1/incidents?surprise=1",
        "/v1/audit-trail?surprise=1",
        "/v1/audit-trail?limit=x",
        "/v1/stats/summary?surprise=1",
        "/v1/ledgers/main/entries?limit=0",
        "/v1/ledgers/main/entries?limit=100001",
        "/v1/ledgers/main/entries?from=x",
        "/v1/ledgers/main/entries?stream_id=x",
        "/v1/ledgers/main/entries?at=never",
        "/v1/stream?topics=%3B",
        "/v1/stream?surprise=1",
        "/v1/stream?from=x",
    ] {
        check(&client.get(path).await, &[400], path);
    }
    let long = format!("/v1/transactions?q={}", "x".repeat(20_000));
    check(&client.get(&long).await, &[400, 414], "a long query");
    // Credentials that were refused are entries of their own.
    let entries = client.entries().await;
    assert_eq!(entries.iter().filter(|entry| entry["stream_type"] != "access").count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_comes_over_the_wire_the_server_goes_on() {
    let store = Store::sqlite();
    let server = Server::start(&store).await;
    let address = server.url().trim_start_matches("http://").to_owned();
    let half = format!(
        "POST /v1/transactions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 500\r\n\r\n{{\"transaction_id\":\"half\"",
        daybook_tests::OPERATOR_TOKEN
    );
    let requests: [Vec<u8>; 7] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello".to_vec(),
        b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
          0\r\n\r\n"
            .to_vec(),
        [b"GET / HTTP/1.1\r\nX: ".as_slice(), &vec![b'a'; 300_000]].concat(),
        half.into_bytes(),
    ];
    for request in requests {
        let mut connection = tokio::net::TcpStream::connect(&address).await.expect("the server listens");
        let _ = connection.write_all(&request).await;
        let _ = connection.shutdown().await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), connection.read_to_end(&mut answer)).await;
        let line = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
        assert!(!line.contains(" 5"), "{line} to {:?}", String::from_utf8_lossy(&request[..request.len().min(80)]));
    }
    let client = server.client();
    assert_eq!(client.get("/health").await.status, 200);
    assert_eq!(client.ledger_size().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_nothing_is_read_or_written() {
    let store = Store::sqlite();
    let server = Server::start(&store).await;
    let (stranger, client) = (server.stranger(), server.client());
    let document = client.get("/openapi.json").await.expect(200).json();
    for operation in operations(&document) {
        let path = operation.filled(|_| "1".to_owned());
        let mut request = stranger.request(&operation.method, &path);
        if operation.has_body {
            request = request.json(&json!({}));
        }
        let answer = stranger.send(request.timeout(Duration::from_secs(10))).await;
        let what = format!("{} {path}", operation.method);
        let is_routed = answer.status != 405 && !answer.body.contains("request.unknown_route");
        assert!(is_routed, "{what} is documented and not there: {}", answer.status);
        if operation.is_public && operation.has_body {
            // Whoever logs in or registers shows who he is in the body, and an empty one shows nothing.
            assert!(matches!(answer.status, 400 | 401 | 403 | 503), "{what}: {}", answer.status);
            answer.expect_problem(answer.status);
        } else if operation.is_public {
            // What is named in the path may be unknown.
            let is_unknown = answer.status == 404 && operation.path.contains('{');
            assert!(answer.status < 400 || answer.status == 503 || is_unknown, "{what}: {}", answer.status);
        } else {
            check(&answer, &[401], &what);
        }
        // The same without the prefix.
        if let Some(bare) = path.strip_prefix("/v1") {
            let mut request = stranger.request(&operation.method, bare);
            if operation.has_body {
                request = request.json(&json!({}));
            }
            assert_eq!(stranger.send(request).await.status, answer.status, "{} {bare}", operation.method);
        }
    }
    for (email, role) in [("admin@finobs.io", "admin"), ("x@example.com", "operator")] {
        let request =
            stranger.request("GET", "/v1/transactions").header("x-user-email", email).header("x-user-role", role);
        check(&stranger.send(request).await, &[401], "development headers where they are not switched on");
    }
    assert_eq!(client.ledger_size().await, 0);
}
