//! Entries as the API gives them, and a server and bundles made from them by hand.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_ledger::canonical::canonical_bytes;
use daybook_ledger::merkle::{Frontier, leaf};
use daybook_ledger::{Entry, Hash};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A line of `entries.ndjson`.
pub fn line(entry: &Entry) -> String {
    let recorded_at = chrono::DateTime::from_timestamp_micros(entry.recorded_at).unwrap();
    let text = |text: &str| serde_json::to_string(text).unwrap();
    format!(
        r#"{{"ledger_id":"{}","position":{},"event_id":"{}","stream_type":{},"stream_id":{},"version":{},"event_type":{},"schema_version":{},"recorded_at":"{}","recorded_at_us":{},"actor_kind":"{}","actor_id":{},"metadata":{},"payload":{},"payload_digest":"{}","previous_hash":"{}","hash":"{}"}}"#,
        entry.ledger_id,
        entry.position,
        entry.event_id,
        text(&entry.stream.stream_type),
        text(&entry.stream.stream_id),
        entry.version,
        text(&entry.event_type),
        entry.schema_version,
        recorded_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        entry.recorded_at,
        entry.actor.kind.as_str(),
        text(&entry.actor.id),
        entry.metadata,
        entry.payload.as_deref().unwrap_or("null"),
        entry.payload_digest,
        entry.previous_hash,
        entry.hash,
    )
}

pub fn root_of(entries: &[Entry]) -> Hash {
    let mut tree = Frontier::default();
    entries.iter().for_each(|entry| tree.push(leaf(&canonical_bytes(entry))));
    tree.root()
}

/// A server with one ledger whose lines can be tampered with. Pages have at most 100 lines.
#[derive(Clone)]
pub struct Served {
    pub lines: Arc<Mutex<Vec<String>>>,
    pub head: Arc<Mutex<String>>,
    /// Break off after so many bytes of a page.
    pub cut: Option<usize>,
}

impl Served {
    pub fn of(entries: &[Entry]) -> Self {
        let last = entries.last().unwrap();
        let recorded_at = chrono::DateTime::from_timestamp_micros(last.recorded_at).unwrap();
        let head = format!(
            r#"{{"ledger_id":"main","size":{},"hash":"{}","root":"{}","recorded_at":"{}"}}"#,
            entries.len(),
            last.hash,
            root_of(entries),
            recorded_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        );
        let lines = entries.iter().map(line).collect();
        Self { lines: Arc::new(Mutex::new(lines)), head: Arc::new(Mutex::new(head)), cut: None }
    }

    /// Serves until the test ends; its address.
    pub async fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(self.clone().answer(stream));
            }
        });
        address
    }

    async fn answer(self, mut stream: TcpStream) {
        let mut request = vec![0; 8_192];
        let read = stream.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..read]).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let (status, mut body) = if !request.to_lowercase().contains("authorization: bearer secret") {
            ("401 Unauthorized", String::new())
        } else if path == "/v1/ledgers" {
            ("200 OK", r#"[{"ledger_id":"main","size":1,"head":""}]"#.to_owned())
        } else if path == "/v1/ledgers/main/head" {
            ("200 OK", self.head.lock().unwrap().clone())
        } else if let Some(query) = path.strip_prefix("/v1/ledgers/main/entries?") {
            let values: BTreeMap<&str, usize> = query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (name, value.parse().unwrap()))
                .collect();
            let lines = self.lines.lock().unwrap();
            let position = |line: &String| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["position"].as_u64().unwrap() as usize
            };
            let page = lines.iter().filter(|line| (values["from"]..values["to"]).contains(&position(line))).take(100);
            ("200 OK", page.map(|line| format!("{line}\n")).collect())
        } else {
            ("404 Not Found", String::new())
        };
        let length = body.len();
        if let Some(cut) = self.cut.filter(|_| path.contains("/entries")) {
            body.truncate(cut);
        }
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

/// The files of a bundle by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A bundle of `entries[from..to]`, or of one stream of them, proved against a checkpoint over all entries.
pub fn bundle(entries: &[Entry], from: usize, to: usize, stream: Option<(&str, &str)>) -> Files {
    let mut files = Files::new();
    let picked = entries[from..to].iter().filter(|entry| {
        stream
            .is_none_or(|(kind, id)| (entry.stream.stream_type.as_str(), entry.stream.stream_id.as_str()) == (kind, id))
    });
    let text: String = picked.map(|entry| format!("{}\n", line(entry))).collect();
    files.insert("entries.ndjson".to_owned(), text.into_bytes());
    let note = format!(
        "daybook.local/main\n{}\n{}\n\n— daybook.local/main {}\n",
        entries.len(),
        STANDARD.encode(root_of(entries).0),
        STANDARD.encode([7; 68])
    );
    files.insert("checkpoint".to_owned(), note.into_bytes());
    files.insert("keys.txt".to_owned(), b"# none\n".to_vec());
    files.insert("README.txt".to_owned(), include_bytes!("../../src/bundle/README.txt").to_vec());
    // All tiles: more than are needed is as good.
    let mut hashes: Vec<Hash> = entries.iter().map(|entry| leaf(&canonical_bytes(entry))).collect();
    let mut level = 0;
    while !hashes.is_empty() {
        for (index, tile) in hashes.chunks(256).enumerate() {
            let width = if tile.len() == 256 { String::new() } else { format!(".p/{}", tile.len()) };
            let bytes = tile.iter().flat_map(|hash| hash.0).collect();
            files.insert(format!("tile/{level}/{index:03}{width}"), bytes);
        }
        hashes = hashes.chunks_exact(256).map(daybook_ledger::merkle::root_of).collect();
        level += 1;
    }
    let manifest = serde_json::json!({
        "format": "daybook-bundle-v1", "ledger_id": "main", "from": from, "to": to,
        "stream": stream.map(|(kind, id)| format!("{kind}/{id}")), "checkpoint_size": entries.len(),
        "created_at": "2024-01-01T00:00:00Z", "software": "by hand", "files": [],
    });
    files.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
    relist(&mut files);
    files
}

/// Makes the manifest right for the files, as whoever tampers with them would.
pub fn relist(files: &mut Files) {
    let mut manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let named = files.iter().filter(|(name, _)| *name != "manifest.json");
    let listed = named.map(|(name, bytes)| {
        let (sha256, blake3) = (hex::encode(Sha256::digest(bytes)), blake3::hash(bytes).to_hex());
        serde_json::json!({ "path": name, "bytes": bytes.len(), "sha256": sha256, "blake3": blake3.as_str() })
    });
    manifest["files"] = listed.collect::<Vec<serde_json::Value>>().into();
    files.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
}

/// Writes the zip file.
pub fn write_zip(path: &std::path::Path, files: &Files) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, bytes) in files {
        zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}
