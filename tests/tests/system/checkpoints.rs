//! Signed checkpoints by the real program: on a cadence, at the end, on request, with openssl, and refused after a rollback.

use std::path::{Path, PathBuf};
use std::time::Duration;

use daybook_tests::{Client, Options, Server, Store, both_stores, data, eventually};
use serde_json::Value;

async fn record(client: &Client, prefix: &str, count: usize) {
    for number in 0..count {
        client.post("/v1/transactions", &data::transaction(&format!("{prefix}-{number}"))).await.expect(201);
    }
}

fn every_second() -> Options {
    Options { environment: vec![("DAYBOOK_CHECKPOINT_INTERVAL".to_owned(), "1".to_owned())], ..Options::default() }
}

async fn checkpoint_of(store: &Store) -> Value {
    let status = store.daybook(&["status", "--json"]).await.expect(0).json();
    status["ledgers"][0]["checkpoint"].clone()
}

fn metric(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("{ledger=\"main\"} ")?.parse().ok())
}

both_stores!(what_was_written_is_signed_within_the_interval_and_at_the_end);

async fn what_was_written_is_signed_within_the_interval_and_at_the_end(store: &Store) {
    let mut server = Server::start_with(store, every_second()).await;
    let client = server.client();
    record(&client, "a", 3).await;
    let size = eventually("a checkpoint of what was written", async || {
        let metrics = client.get("/metrics").await.expect(200).body;
        assert_eq!(metric(&metrics, "daybook_checkpoint_refused"), Some(0), "{metrics}");
        metric(&metrics, "daybook_checkpoint_size").filter(|size| *size >= 5)
    })
    .await;
    assert_eq!(size, 5, "three transactions, a key and a seal");
    let metrics = client.get("/metrics").await.expect(200).body;
    assert!(metric(&metrics, "daybook_checkpoint_age_seconds").is_some_and(|age| age < 60), "{metrics}");
    let ready = client.get("/health/ready").await.expect(200).json();
    let checks = ready["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == "checkpoints").expect("health looks at checkpoints");
    assert_eq!(check["ok"], true, "{check}");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(client.ledger_size().await, 5, "seals alone are no reason to seal");
    record(&client, "b", 2).await;
    assert!(server.terminate().await.success());
    let checkpoint = checkpoint_of(store).await;
    let verified = store.verified().await;
    assert_eq!(checkpoint["size"], verified["entries"], "{checkpoint}");
    assert_eq!(checkpoint["root"], verified["ledgers"][0]["root"], "{checkpoint}");
    assert_eq!(checkpoint["remembered_size"], checkpoint["size"]);
    let text = store.daybook(&["status"]).await.expect(0).stdout;
    assert!(text.contains("signed ") && text.contains(checkpoint["key_ids"][0].as_str().unwrap()), "{text}");
    let mut again = Server::start_with(store, every_second()).await;
    let told = again.client().get("/v1/audit-trail?entity_type=ledger").await.expect(200).json();
    assert!(told["items"][0]["summary"].as_str().unwrap().contains("sealed"), "{told}");
    assert_eq!(again.client().get("/v1/stats/summary").await.expect(200).json()["total_events"], 5);
    for read_model in ["audit_trail", "stats", "transactions", "incidents", "approvals", "exports"] {
        store.daybook(&["projections", "check", read_model]).await.expect(0);
    }
    assert!(again.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_copy_put_back_is_refused_with_sizes_roots_and_file() {
    let store = Store::sqlite();
    let copy = store.folder().join("copy.db");
    let mut roots = Vec::new();
    for round in ["a", "b"] {
        let mut server = Server::start(&store).await;
        record(&server.client(), round, 3).await;
        assert!(server.terminate().await.success());
        roots.push(store.daybook(&["checkpoint", "--json"]).await.expect(0).json());
        if round == "a" {
            std::fs::copy(store.ledger_file(), &copy).unwrap();
        }
    }
    std::fs::copy(&copy, store.ledger_file()).unwrap();
    let refused = store.daybook(&["serve", "--listen", "127.0.0.1:0"]).await.expect(1);
    let memory = store.folder().join("keys/last-checkpoint-main.txt").display().to_string();
    let (before, after) = (&roots[0], &roots[1]);
    for told in [memory.as_str(), after["root"].as_str().unwrap(), "has 9 entries", "the store has 5 entries"] {
        assert!(refused.stderr.contains(told), "{told}: {}", refused.stderr);
    }
    assert_eq!((&before["size"], &after["size"]), (&5.into(), &9.into()));
    store.daybook(&["checkpoint"]).await.expect(1);
    let status = store.daybook(&["status"]).await.expect(1);
    assert!(status.stdout.contains("REFUSED"), "{}", status.stdout);
    store.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn detached_signature_verifies_with_openssl_and_the_exported_key() {
    let store = Store::sqlite();
    let mut server = Server::start(&store).await;
    record(&server.client(), "a", 1).await;
    assert!(server.terminate().await.success());
    let folder = store.folder().join("evidence");
    let note = store.daybook(&["checkpoint", "--detached", folder.to_str().unwrap()]).await.expect(0).stdout;
    let pem = store.daybook(&["keys", "export-public", "--format", "pem"]).await.expect(0).stdout;
    std::fs::write(folder.join("key.pem"), pem).unwrap();
    let body = std::fs::read_to_string(folder.join("body.txt")).unwrap();
    assert!(note.starts_with(&body) && body.starts_with("daybook.local/main\n3\n"), "{note}");
    let openssl = || {
        let arguments = ["dgst", "-sha256", "-verify", "key.pem", "-signature", "body.sig", "body.txt"];
        std::process::Command::new("openssl").args(arguments).current_dir(&folder).output()
    };
    match openssl() {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "Verified OK"),
        Err(error) => return println!("skipped: openssl cannot be run: {error}"),
    }
    std::fs::write(folder.join("body.txt"), body.replace("\n3\n", "\n4\n")).unwrap();
    assert!(!openssl().unwrap().status.success());
    let again = store.daybook(&["checkpoint"]).await.expect(0).stdout;
    assert_eq!(again, note, "nothing was written since");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotated_key_is_taken_up_by_the_running_server() {
    let store = Store::sqlite();
    store.daybook(&["keys", "list"]).await.expect(2);
    let mut server = Server::start_with(&store, every_second()).await;
    record(&server.client(), "a", 1).await;
    eventually("the first checkpoint", async || checkpoint_of(&store).await["size"].as_u64()).await;
    let old = store.daybook(&["keys", "list", "--json"]).await.expect(0).json()["items"][0].clone();
    assert_eq!(old["state"], "active", "{old}");
    let new = store.daybook(&["keys", "rotate", "--json"]).await.expect(0).json();
    record(&server.client(), "b", 1).await;
    let signed_by = eventually("a checkpoint by both", async || {
        let checkpoint = checkpoint_of(&store).await;
        checkpoint["key_ids"].as_array().filter(|keys| keys.len() == 2).cloned()
    })
    .await;
    assert_eq!(signed_by, [new["key_id"].clone(), old["key_id"].clone()]);
    let file = store.daybook(&["keys", "export-public", "--format", "keys-file"]).await.expect(0).stdout;
    let lines: Vec<&str> = file.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines[0].contains(" from=") && lines[0].contains(" until="), "{file}");
    assert!(lines[1].starts_with(new["verifier_key"].as_str().unwrap()) && !lines[1].contains("until="), "{file}");
    record(&server.client(), "c", 1).await;
    let asked = store.daybook(&["checkpoint", "--json"]).await.expect(0).json();
    assert_eq!(asked["size"], server.client().ledger_size().await, "the server was asked: {asked}");
    assert!(server.terminate().await.success());
    assert!(!server.printed().contains("PRIVATE"), "no key in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_that_was_tampered_with_is_refused_by_the_running_server_and_shown() {
    let store = Store::sqlite();
    let mut server = Server::start(&store).await;
    record(&server.client(), "a", 2).await;
    store.daybook(&["checkpoint"]).await.expect(0);
    let memory = store.folder().join("keys/last-checkpoint-main.txt");
    let good = std::fs::read_to_string(&memory).unwrap();
    std::fs::write(&memory, good.replace("\n4\n", "\n3\n")).unwrap();
    record(&server.client(), "b", 1).await;
    let refused = store.daybook(&["checkpoint"]).await.expect(1);
    assert!(refused.stderr.contains("refuses"), "{}", refused.text());
    let client = server.client();
    let metrics = client.get("/metrics").await.expect(200).body;
    assert_eq!(metric(&metrics, "daybook_checkpoint_refused"), Some(1), "{metrics}");
    let ready = client.get("/health/ready").await.expect(200).json();
    assert_eq!(ready["status"], "degraded", "{ready}");
    assert!(server.printed().contains("no checkpoint is signed"), "{}", server.printed());
    record(&client, "c", 1).await;
    std::fs::write(&memory, good).unwrap();
    store.daybook(&["checkpoint"]).await.expect(0);
    assert_eq!(client.get("/health/ready").await.expect(200).json()["status"], "ready");
    assert!(server.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_that_others_can_read_stops_the_start() {
    use std::os::unix::fs::PermissionsExt;
    let store = Store::sqlite();
    let key = store.folder().join("own.pem");
    let generated = std::process::Command::new("openssl")
        .args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"])
        .arg(&key)
        .output();
    if generated.is_err() {
        return println!("skipped: openssl cannot be run");
    }
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--signing-key", key.to_str().unwrap()];
    let refused = store.daybook(&arguments).await.expect(2);
    assert!(refused.stderr.contains("chmod 600"), "{}", refused.stderr);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let options =
        Options { arguments: arguments[3..].iter().map(|text| (*text).to_owned()).collect(), ..every_second() };
    let mut server = Server::start_with(&store, options).await;
    record(&server.client(), "a", 1).await;
    assert!(server.terminate().await.success());
    let keys = store.daybook(&["keys", "list"]).await.expect(0).stdout;
    assert!(keys.contains("given from outside"), "{keys}");
    assert!(only_owner_can_read(&store.folder().join("keys")));
}

fn only_owner_can_read(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.chain([PathBuf::from(folder)]).all(|path| std::fs::metadata(path).unwrap().permissions().mode() & 0o077 == 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writing_processes_sign_one_ledger() {
    let Some(store) = Store::postgres().await else { return };
    let folders = [store.another_folder(), store.another_folder()];
    let mut servers = Vec::new();
    for folder in &folders {
        let options = Options { environment: every_second().environment, ..Options::roles("write", folder.path()) };
        servers.push(Server::start_with(&store, options).await);
    }
    for round in 0..4 {
        for (index, server) in servers.iter().enumerate() {
            record(&server.client(), &format!("{index}-{round}"), 3).await;
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    for server in &servers {
        let asked = store.daybook(&["checkpoint", "--json", "--url", server.url()]).await.expect(0).json();
        assert!(asked["size"].as_u64().unwrap() > 24, "a process that only writes signs: {asked}");
    }
    for server in &mut servers {
        assert!(server.terminate().await.success());
        assert!(!server.printed().contains("no checkpoint is signed"), "{}", server.printed());
    }
    let checkpoint = checkpoint_of(&store).await;
    let verified = store.verified().await;
    assert_eq!(checkpoint["size"], verified["entries"], "{checkpoint}");
}
