//! From a receipt to proof without a server: the proof file, the bundle, and the programs that check them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use daybook_tests::{Client, Finished, Server, Store, both_stores, command_line, data};
use serde_json::{Value, json};
use tokio::process::Command;

/// The auditor's program, beside the one under test.
fn auditor() -> Command {
    let path = command_line::program().with_file_name(format!("daybook-auditor{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{} is missing; build first: cargo build --workspace", path.display());
    let mut command = Command::new(path);
    command.env_remove("DAYBOOK_TOKEN").env("NO_COLOR", "1").kill_on_drop(true);
    command
}

async fn checked(proof: &Path, keys: &Path, receipt: &Value) -> Finished {
    let receipt = receipt.to_string();
    let mut command = auditor();
    command.arg("check").arg(proof).arg("--keys").arg(keys).args(["--receipt", &receipt]);
    command_line::finish(&mut command).await
}

async fn sign(client: &Client) -> Value {
    client.post("/v1/ledgers/main/checkpoints", &json!({})).await.expect(200).json()
}

/// The keys that the operator hands out, as a file.
async fn keys_file(store: &Store) -> PathBuf {
    let keys = store.daybook(&["keys", "export-public", "--format", "keys-file"]).await.expect(0).stdout;
    let file = store.folder().join("trusted-keys.txt");
    std::fs::write(&file, keys).unwrap();
    file
}

both_stores!(receipt_leads_to_a_proof_that_verifies_without_the_server);

async fn receipt_leads_to_a_proof_that_verifies_without_the_server(store: &Store) {
    let mut server = Server::start(store).await;
    let client = server.client();
    for number in 0..5 {
        client.post("/v1/transactions", &data::transaction(&format!("p-{number}"))).await.expect(201);
    }
    let recorded = client.post("/v1/transactions", &data::transaction("proved")).await.expect(201);
    let link = recorded.header("link").to_owned();
    let path = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"proof\"")).unwrap().to_owned();
    let receipt = recorded.json()["receipt"].clone();
    sign(&client).await;
    let proof = client.get(&path).await.expect(200);
    assert!(proof.body.len() < 2_000, "{} bytes", proof.body.len());
    let file = store.folder().join("proved.tlog-proof");
    std::fs::write(&file, &proof.body).unwrap();
    let keys = keys_file(store).await;
    assert!(server.terminate().await.success());
    drop(server);

    checked(&file, &keys, &receipt).await.expect(0);
    let mut other = receipt.clone();
    other["hash"] = json!("00".repeat(32));
    checked(&file, &keys, &other).await.expect(1);
    // One character of the entry, of the path, of the root.
    for line in ["extra ", "index ", "\n\n"] {
        let at = proof.body.find(line).unwrap() + line.len() + usize::from(line == "extra ") * 40;
        let mut tampered = proof.body.clone().into_bytes();
        tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
        std::fs::write(&file, &tampered).unwrap();
        let outcome = checked(&file, &keys, &receipt).await;
        assert!(outcome.code == 1 || outcome.code == 2, "{line:?}: {}", outcome.text());
    }
    // The store itself still says the same.
    let position = receipt["position"].to_string();
    let printed = store.daybook(&["prove", &position]).await.expect(0).stdout;
    std::fs::write(&file, &printed).unwrap();
    checked(&file, &keys, &receipt).await.expect(0);
    assert_eq!(printed.lines().take(3).collect::<Vec<_>>(), proof.body.lines().take(3).collect::<Vec<_>>());
    store.daybook(&["prove", "100000"]).await.expect(2);
    let consistency = store.daybook(&["prove", "--consistency", "2", "7", "--json"]).await.expect(0).json();
    assert_eq!((consistency["from"].as_u64(), consistency["to"].as_u64()), (Some(2), Some(7)));
    assert!(!consistency["path"].as_array().unwrap().is_empty());
    store.daybook(&["prove", "--consistency", "7", "2"]).await.expect(2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_is_verified_against_a_checkpoint_that_was_kept() {
    let store = Store::sqlite();
    let mut server = Server::start(&store).await;
    let client = server.client();
    for number in 0..20 {
        client.post("/v1/transactions", &data::transaction(&format!("k-{number}"))).await.expect(201);
    }
    let kept = store.folder().join("kept.txt");
    std::fs::write(&kept, sign(&client).await["note"].as_str().unwrap()).unwrap();
    client.post("/v1/transactions", &data::transaction("later")).await.expect(201);
    let keys = keys_file(&store).await;
    assert!(server.terminate().await.success());
    let (kept, keys) = (kept.display().to_string(), keys.display().to_string());
    let arguments = ["verify", "--checkpoint", &kept, "--trusted-keys", &keys];
    let found = store.daybook(&arguments).await.expect(0);
    assert!(found.stdout.to_lowercase().contains("completeness"), "{}", found.stdout);
    // The tail is cut off and the rest made to fit, as somebody who owns the file can.
    std::fs::write(&kept, std::fs::read_to_string(&kept).unwrap().replace("daybook.local", "example.com")).unwrap();
    store.daybook(&arguments).await.expect(1);
}

const OPEN_WITH_PYTHON: &str = r#"
import hashlib, json, sys, zipfile
bundle = zipfile.ZipFile(sys.argv[1])
assert bundle.testzip() is None
manifest = json.loads(bundle.read("manifest.json"))
listed = {line["path"] for line in manifest["files"]}
assert listed | {"manifest.json"} == set(bundle.namelist()), listed
for line in manifest["files"]:
    content = bundle.read(line["path"])
    assert len(content) == line["bytes"], line
    assert hashlib.sha256(content).hexdigest() == line["sha256"], line
lines = bundle.read("entries.ndjson").decode().splitlines()
assert len(lines) == manifest["entries"]
print(json.dumps({"manifest": manifest, "positions": [json.loads(line)["position"] for line in lines]}))
"#;

async fn opened(file: &Path) -> Value {
    let mut python = Command::new("python3");
    python.args(["-c", OPEN_WITH_PYTHON]).arg(file);
    command_line::finish(&mut python).await.expect(0).json()
}

both_stores!(bundle_opens_with_common_tools_and_verifies);

async fn bundle_opens_with_common_tools_and_verifies(store: &Store) {
    let server = Server::start(store).await;
    let client = server.client();
    for number in 0..300 {
        client.post("/v1/transactions", &data::transaction(&format!("b-{number}"))).await.expect(201);
    }
    client.post("/v1/transactions/b-7/status", &json!({"status": "completed"})).await.expect(200);
    let signed = sign(&client).await;
    let size = signed["size"].as_u64().unwrap();
    let file = |name: &str| store.folder().join(name);
    let text = |path: &Path| path.display().to_string();
    let all = file("all.zip");
    store.daybook(&["bundle", "--from", "0", "--to", &size.to_string(), "-o", &text(&all)]).await.expect(0);
    let found = opened(&all).await;
    assert_eq!(found["positions"], json!((0..size).collect::<Vec<_>>()));
    assert!(found["manifest"]["checkpoint_size"].as_u64().unwrap() >= size);
    // What is there is not written over.
    store.daybook(&["bundle", "-o", &text(&all)]).await.expect(2);
    let one = file("one.zip");
    store.daybook(&["bundle", "--stream", "transaction/b-7", "-o", &text(&one)]).await.expect(0);
    let found = opened(&one).await;
    assert_eq!(found["positions"].as_array().unwrap().len(), 2, "{found}");
    assert_eq!(found["manifest"]["stream"], "transaction/b-7");
    let over_http = file("http.zip");
    store
        .daybook(&["bundle", "--from", "3", "--to", "9", "-o", &text(&over_http), "--url", server.url()])
        .await
        .expect(0);
    assert_eq!(opened(&over_http).await["positions"], json!([3, 4, 5, 6, 7, 8]));
    store.daybook(&["bundle", "--to", "1000000", "-o", &text(&file("none.zip"))]).await.expect(2);
    assert!(!file("none.zip").exists());
    assert!(
        !std::fs::read_dir(store.folder())
            .unwrap()
            .any(|entry| { entry.unwrap().file_name().to_string_lossy().ends_with(".partial") })
    );
    let keys = keys_file(store).await;
    for bundle in [&all, &one, &over_http] {
        let mut command = auditor();
        command.arg("verify").arg(bundle).arg("--keys").arg(&keys).arg("--memory").arg(file("no-memory"));
        command_line::finish(&mut command).await.expect(0);
    }
}

/// How many entries the measurement below takes, and how many proofs it asks for.
const MEASURED: u64 = 10_000_000;
const ASKED: u64 = 1_000;

/// `cargo nextest run -p daybook-tests --run-ignored only proofs_among_ten_million --no-capture`, with
/// `DAYBOOK_PROOF_ENTRIES` for another number of entries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes a ledger of ten million entries, which takes minutes and some gigabytes"]
async fn proofs_among_ten_million() {
    let entries = std::env::var("DAYBOOK_PROOF_ENTRIES").ok().map_or(MEASURED, |text| text.parse().expect("a number"));
    let store = Store::sqlite();
    fill(store.ledger_file(), entries).await;
    // The store is let go by threads of its own, after what they have to finish.
    let lock = store.ledger_file().with_extension("lock");
    daybook_tests::eventually_within(Duration::from_secs(600), "nobody has the store open", async || {
        std::fs::OpenOptions::new().write(true).open(&lock).ok()?.try_lock().ok()
    })
    .await;
    let started = std::time::Instant::now();
    let options = daybook_tests::Options { roles: Some("write"), ..daybook_tests::Options::default() };
    // It is never ready in the sense of its read tables, which nobody folds here; it answers all the same.
    let server = Server::spawn(&store, options);
    let url = daybook_tests::eventually("the server says where it is", async || {
        let description: Value = serde_json::from_slice(&std::fs::read(server.description_file()).ok()?).ok()?;
        description["url"].as_str().map(str::to_owned)
    })
    .await;
    println!("{entries} entries; the server answers after {:?}", started.elapsed());
    let client = Client::new(&url, Some(daybook_tests::OPERATOR_TOKEN));
    sign(&client).await;
    let (mut times, mut longest) = (Vec::new(), 0);
    for number in 0..ASKED {
        // Far apart, in no order.
        let position = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % entries;
        let started = std::time::Instant::now();
        let answer = client.get(&format!("/v1/ledgers/main/proofs/{position}.tlog-proof")).await.expect(200);
        times.push(started.elapsed());
        longest = longest.max(answer.body.len());
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!("a proof: median {:?}, 99 % {:?}, slowest {:?}; at most {longest} bytes", at(50), at(99), at(100));
    assert!(longest < 2_000, "{longest} bytes");
    assert!(at(99) < Duration::from_millis(10), "{:?}", at(99));
}

/// Writes entries straight into the store, as many a command as a batch takes.
async fn fill(file: PathBuf, entries: u64) {
    use daybook_ledger::sequencer::{Unobserved, system_clock};
    use daybook_ledger::store::sqlite::SqliteStore;
    use daybook_ledger::{Actor, Append, Draft, Ledger, LedgerId, StreamKey};
    let embedded = std::sync::Arc::new(SqliteStore::open(file).unwrap());
    let ledger =
        Ledger::open(embedded, LedgerId::main(), system_clock(), std::sync::Arc::new(Unobserved)).await.unwrap();
    let (mut made, mut waiting) = (0, std::collections::VecDeque::new());
    while made < entries {
        let count = (entries - made).min(250);
        let append = Append {
            stream: StreamKey::new("note", format!("n{made}")).unwrap(),
            expected_version: 0,
            events: (0..count).map(|n| Draft::new("note.taken", 1, format!(r#"{{"n":{n}}}"#))).collect(),
            actor: Actor::system("importer"),
            metadata: "{}".to_owned(),
            command: None,
        };
        waiting.push_back(ledger.submit(append).await.unwrap());
        made += count;
        if waiting.len() > 64 {
            waiting.pop_front().unwrap().outcome().await.unwrap();
        }
    }
    for pending in waiting {
        pending.outcome().await.unwrap();
    }
}
