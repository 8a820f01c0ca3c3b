//! Webhooks, against a small server.

use std::time::Duration;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

const KEY: &[u8] = b"a key of thirty-two bytes, no less";

/// A request as it came.
struct Heard {
    head: BTreeMap<String, String>,
    path: String,
    body: Vec<u8>,
}

/// Answers each request with the next of `answers`, the last one for ever, and passes on what it heard.
async fn server(answers: Vec<String>) -> (u16, mpsc::UnboundedReceiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut answers = answers.into_iter().peekable();
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answers.next().unwrap();
            sender.send(hear(stream, &answer).await).unwrap();
            if answers.peek().is_none() {
                answers = vec![answer].into_iter().peekable();
            }
        }
    });
    (port, heard)
}

async fn hear(mut stream: TcpStream, answer: &str) -> Heard {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
    };
    let text = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = text.lines();
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let head: BTreeMap<String, String> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = bytes[end + 4..].to_vec();
    let length: usize = head["content-length"].parse().unwrap();
    while body.len() < length {
        assert!(stream.read_buf(&mut body).await.unwrap() > 0);
    }
    stream.write_all(format!("HTTP/1.1 {answer}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    Heard { head, path, body }
}

fn ok() -> String {
    "204 No Content\r\nContent-Length: 0".to_owned()
}

fn answer(status: &str) -> String {
    format!("{status}\r\nContent-Length: 0")
}

fn webhook(url: &str, more: &str) -> Arc<dyn Destination> {
    let folder = tempfile::tempdir().unwrap();
    let secret = secret_file(&folder, &format!("whsec_{}", STANDARD.encode(KEY)));
    destination(&format!(
        "name = \"hook\"\nkind = \"webhook\"\nurl = {url:?}\nsecret = {{ file = {secret:?} }}\n{more}"
    ))
}

fn local(port: u16, more: &str) -> Arc<dyn Destination> {
    webhook(&format!("http://127.0.0.1:{port}/in?token=hunter2"), &format!("allow_private_addresses = true\n{more}"))
}

/// As a receiver verifies it.
fn assert_signed(heard: &Heard) {
    let signed = format!("{}.{}.", heard.head["webhook-id"], heard.head["webhook-timestamp"]);
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).unwrap();
    mac.update(signed.as_bytes());
    mac.update(&heard.body);
    let signature = heard.head["webhook-signature"].strip_prefix("v1,").unwrap();
    mac.verify_slice(&STANDARD.decode(signature).unwrap()).unwrap();
}

#[tokio::test]
async fn a_description_is_signed_and_names_everything() {
    let (port, mut heard) = server(vec![ok()]).await;
    let made = Made::new(b"a\r\n1\r\n");
    let package = made.package();
    let receipt = local(port, "").deliver(&package).await.unwrap();
    assert_eq!(receipt.to_string(), "the receiver answered 204");
    let heard = heard.recv().await.unwrap();
    assert_signed(&heard);
    assert_eq!(heard.path, "/in?token=hunter2");
    assert_eq!(heard.head["webhook-id"], "dlv_1");
    assert_eq!(heard.head["idempotency-key"], "dlv_1");
    assert_eq!(heard.head["webhook-timestamp"], (NOW / 1_000_000).to_string());
    assert_eq!(heard.head["content-type"], "application/json");
    let told: serde_json::Value = serde_json::from_slice(&heard.body).unwrap();
    assert_eq!(told["type"], "export.delivered");
    assert_eq!(told["timestamp"], "2026-11-21T10:00:00.000000Z");
    let data = &told["data"];
    assert_eq!((data["export_id"].as_str(), data["bytes"].as_u64()), (Some("exp_1"), Some(6)));
    assert_eq!(data["sha256"], package.file.sha256);
    assert_eq!(data["download_url"], "https://daybook.example/v1/exports/exp_1/file");
    // The proof goes with it: manifest and signature verify as they are.
    let key = &crate::manifest_keys(&ring(made.files.folder().parent().unwrap()))[0];
    let signature = STANDARD.decode(data["manifest_signature"].as_str().unwrap()).unwrap();
    assert_eq!(key.verifies(data["manifest"].as_str().unwrap().as_bytes(), &signature), Some(true));
}

#[tokio::test]
async fn a_repeated_delivery_is_known_by_its_id_and_signed_anew() {
    let (port, mut heard) = server(vec![ok()]).await;
    let made = Made::new(b"a\r\n");
    let first = made.package();
    let second = Package { at: NOW + 60_000_000, ..first.clone() };
    for package in [&first, &second] {
        local(port, "").deliver(package).await.unwrap();
    }
    let (one, two) = (heard.recv().await.unwrap(), heard.recv().await.unwrap());
    assert_signed(&one);
    assert_signed(&two);
    assert_eq!(one.head["webhook-id"], two.head["webhook-id"]);
    assert_ne!(one.head["webhook-signature"], two.head["webhook-signature"]);
}

#[tokio::test]
async fn the_file_itself_is_streamed_and_signed_where_that_is_configured() {
    let (port, mut heard) = server(vec![ok()]).await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let made = Made::new(&bytes);
    let package = made.package();
    local(port, "body = \"file\"").deliver(&package).await.unwrap();
    let heard = heard.recv().await.unwrap();
    assert!(heard.body == bytes);
    assert_signed(&heard);
    assert_eq!(heard.head["content-type"], "text/csv; charset=utf-8; header=present");
    assert_eq!(heard.head["daybook-file-sha256"], package.file.sha256);
    assert_eq!(heard.head["daybook-file-name"], "exp_1.1.csv");
}

#[tokio::test]
async fn answers_say_whether_it_is_worth_repeating() {
    for (status, is_permanent, retry_after) in [
        ("500 Oh\r\nRetry-After: 7", false, Some(7)),
        ("503 Oh", false, None),
        ("429 Slow\r\nRetry-After: 99999999999", false, Some(86_400)),
        ("408 Late", false, None),
        ("409 Busy", false, None),
        ("400 Bad", true, None),
        ("401 Who\r\nRetry-After: 7", true, None),
        ("404 Where", true, None),
        ("410 Gone", true, None),
        ("302 Found\r\nLocation: http://127.0.0.1:1/", true, None),
        ("307 Temporary\r\nLocation: /elsewhere", true, None),
    ] {
        let (port, mut heard) = server(vec![answer(status)]).await;
        let made = Made::new(b"a\r\n");
        let error = local(port, "").deliver(&made.package()).await.unwrap_err();
        assert_eq!(error.is_permanent, is_permanent, "{status}");
        assert_eq!(error.retry_after, retry_after.map(Duration::from_secs), "{status}");
        assert!(heard.recv().await.is_some());
        assert!(heard.try_recv().is_err(), "{status}: a redirect was followed");
    }
}

#[tokio::test]
async fn a_receiver_that_is_away_or_hangs_is_tried_again_and_its_secrets_are_not_shown() {
    let made = Made::new(b"a\r\n");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let error = local(port, "timeout_seconds = 1").deliver(&made.package()).await.unwrap_err();
    assert!(!error.is_permanent && !error.detail.contains("hunter2"), "{error}");
    drop(listener);
    let error = local(port, "").deliver(&made.package()).await.unwrap_err();
    assert!(!error.is_permanent && !error.detail.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_when_it_is_connected_to() {
    let made = Made::new(b"a\r\n");
    let error = webhook("https://localhost:1/", "").deliver(&made.package()).await.unwrap_err();
    assert!(error.is_permanent && error.detail.contains("leads to no public address"), "{error}");
}
