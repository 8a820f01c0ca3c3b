//! The rows of the attack suite that need real servers: backups put back, two servers with one key, proofs from a store
//! that was tampered with. The table is the auditor's; the page made of it is `docs/attacks.md`.

#[path = "../../../auditor/tests/suite/table.rs"]
mod table;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_tests::{Client, Finished, OPERATOR_TOKEN, Server, Store, both_stores, command_line, data};
use sqlx::Connection as _;
use table::{Trial, attack};
use tokio::process::Command;

/// What an auditor has, in a folder that no attacker reaches.
struct Auditor {
    folder: tempfile::TempDir,
}

impl Auditor {
    /// Trusts the keys of the store as they are now.
    async fn new(store: &Store) -> Self {
        let auditor = Self { folder: tempfile::tempdir().unwrap() };
        let keys = store.daybook(&["keys", "export-public", "--format", "keys-file"]).await.expect(0).stdout;
        auditor.write("keys.txt", &keys);
        auditor
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.file(name), text).unwrap();
        self.file(name)
    }

    /// Runs the program beside the one under test.
    async fn run(&self, arguments: &[&str]) -> Finished {
        let path = command_line::program().with_file_name(format!("daybook-auditor{}", std::env::consts::EXE_SUFFIX));
        assert!(path.is_file(), "{} is missing; build first: cargo build --workspace", path.display());
        let mut command = Command::new(path);
        command.args(arguments).arg("--json").arg("--keys").arg(self.file("keys.txt"));
        command.env("HOME", self.folder.path()).env("NO_COLOR", "1").kill_on_drop(true);
        command.env("DAYBOOK_TOKEN", OPERATOR_TOKEN);
        command_line::finish(&mut command).await
    }

    /// Keeps what `source` presents now, both ways. Answers the checkpoint's size.
    async fn keep(&self, note: &str, source: &str) -> u64 {
        self.write("kept.txt", note);
        let memory = self.file("memory").display().to_string();
        let kept = self.run(&["remember", source, "--memory", &memory]).await.expect(0).json();
        let size = kept["kept"][0]["size"].as_u64().unwrap();
        assert_eq!(note.lines().nth(1), Some(size.to_string().as_str()));
        size
    }

    /// What is said of `source` with the checkpoint, and with the memory, must be what the row says.
    async fn finds(&self, row: &str, trial: Trial, source: &str) {
        let [kept, memory, none] =
            ["kept.txt", "memory", "no-memory"].map(|name| self.file(name).display().to_string());
        for remembered in [false, true] {
            let mut arguments = vec!["verify", source, "--memory", if remembered { &memory } else { &none }];
            if !remembered {
                arguments.extend(["--checkpoint", &kept]);
            }
            let finished = self.run(&arguments).await;
            attack(row).holds(&Trial { remembered, ..trial }, finished.code, &finished.json());
        }
    }
}

async fn record(client: &Client, prefix: &str, count: usize) {
    for number in 0..count {
        client.post("/v1/transactions", &data::transaction(&format!("{prefix}-{number}"))).await.expect(201);
    }
}

/// Records, signs, and ends the server. Answers the note.
async fn one_run(store: &Store, prefix: &str, count: usize) -> String {
    let mut server = Server::start(store).await;
    record(&server.client(), prefix, count).await;
    let note = store.daybook(&["checkpoint"]).await.expect(0).stdout;
    assert!(server.terminate().await.success());
    note
}

/// Copies the files of a data folder, and its keys if asked.
fn copy_folder(from: &Path, to: &Path, with_keys: bool) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), &target).unwrap();
        } else if with_keys || entry.file_name() != "keys" {
            copy_folder(&entry.path(), &target, with_keys);
        }
    }
}

/// Puts back an older copy of everything but the keys and what is remembered with them.
fn put_back(backup: &Path, store: &Store) {
    for entry in std::fs::read_dir(store.folder()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    copy_folder(backup, store.folder(), false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_backup_is_refused_by_the_server_and_named_by_the_auditor() {
    let (store, backup) = (Store::sqlite(), tempfile::tempdir().unwrap());
    let old = one_run(&store, "a", 3).await;
    copy_folder(store.folder(), backup.path(), false);
    let note = one_run(&store, "b", 4).await;
    let auditor = Auditor::new(&store).await;
    let source = store.ledger_file().display().to_string();
    let covered = auditor.keep(&note, &source).await;
    put_back(backup.path(), &store);
    let refused = store.daybook(&["serve", "--listen", "127.0.0.1:0"]).await.expect(1);
    assert!(refused.stderr.contains("does not extend the checkpoint signed last"), "{}", refused.stderr);
    let left = old.lines().nth(1).unwrap().parse().unwrap();
    let trial = Trial { covered, left, presented: left, ..Trial::default() };
    auditor.finds("put back a backup", trial, &source).await;
    assert_eq!(attack("put back a backup").found.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_backup_that_went_on_is_named() {
    let (store, backup) = (Store::sqlite(), tempfile::tempdir().unwrap());
    let old = one_run(&store, "a", 3).await;
    copy_folder(store.folder(), backup.path(), false);
    let note = one_run(&store, "b", 4).await;
    let auditor = Auditor::new(&store).await;
    let source = store.ledger_file().display().to_string();
    let covered = auditor.keep(&note, &source).await;
    put_back(backup.path(), &store);
    std::fs::remove_file(store.folder().join("keys/last-checkpoint-main.txt")).unwrap();
    // The server knows no better and signs.
    let forged = one_run(&store, "c", 9).await;
    assert_ne!(forged.lines().nth(1), note.lines().nth(1));
    store.verified().await;
    let entry = old.lines().nth(1).unwrap().parse().unwrap();
    let trial = Trial { entry, covered, ..Trial::default() };
    auditor.finds("put back a backup and go on", trial, &source).await;
    assert_eq!(attack("put back a backup and go on").found.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_with_one_key_are_a_fork() {
    let (store, other) = (Store::sqlite(), Store::sqlite());
    one_run(&store, "a", 3).await;
    copy_folder(store.folder(), other.folder(), true);
    let keys = other.folder().join("keys");
    assert_eq!(std::fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o700);
    let (mut server, mut second) = (Server::start(&store).await, Server::start(&other).await);
    record(&server.client(), "b", 4).await;
    let note = store.daybook(&["checkpoint"]).await.expect(0).stdout;
    let auditor = Auditor::new(&store).await;
    let covered = auditor.keep(&note, server.url()).await;
    let trial = Trial { entry: 5, covered, ..Trial::default() };
    // As many entries first, more afterwards.
    for (prefix, count) in [("c", 4), ("d", 6)] {
        record(&second.client(), prefix, count).await;
        let shown = other.daybook(&["checkpoint"]).await.expect(0).stdout;
        assert!(shown.lines().nth(1) == note.lines().nth(1) || prefix == "d");
        auditor.finds("show two histories", trial, second.url()).await;
        // The two notes alone, where they are of one size.
        let shown = auditor.write("shown.txt", &shown).display().to_string();
        let kept = auditor.file("kept.txt").display().to_string();
        let differ = auditor.run(&["diff", &kept, &shown, "--source", second.url()]).await.expect(1).json();
        assert_eq!((&differ["relation"], &differ["findings"][0]["kind"]), (&"fork".into(), &"fork".into()));
    }
    assert!(server.terminate().await.success() && second.terminate().await.success());
    auditor.finds("show two histories", trial, &other.ledger_file().display().to_string()).await;
    // The one that was seen is still in order.
    let kept = auditor.file("kept.txt").display().to_string();
    auditor.run(&["verify", &store.ledger_file().display().to_string(), "--checkpoint", &kept]).await.expect(0);
}

both_stores!(a_proof_from_a_tampered_tile_is_refused);

async fn a_proof_from_a_tampered_tile_is_refused(store: &Store) {
    let position = 9;
    let path = format!("/v1/ledgers/main/proofs/{position}.tlog-proof");
    one_run(store, "a", 270).await;
    let auditor = Auditor::new(store).await;
    let server = Server::start(store).await;
    let good = auditor.write("good.tlog-proof", &server.client().get(&path).await.expect(200).body);
    auditor.run(&["check", &good.display().to_string()]).await.expect(0);
    drop(server);
    // The hash of the entry's sibling, in the lowest tile.
    let byte = 32 * 8;
    match store.database_url() {
        None => {
            let connection = rusqlite::Connection::open(store.ledger_file()).unwrap();
            let sql = "select hashes from ledger_tiles where level = 0 and tile = 0";
            let mut hashes: Vec<u8> = connection.query_row(sql, [], |row| row.get(0)).unwrap();
            hashes[byte] ^= 1;
            let sql = "update ledger_tiles set hashes = ?1 where level = 0 and tile = 0";
            assert_eq!(connection.execute(sql, [hashes]).unwrap(), 1);
        }
        Some(url) => {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            let sql = format!(
                "update ledger_tiles set hashes = set_byte(hashes, {byte}, get_byte(hashes, {byte}) # 1) where tile = 0"
            );
            assert_eq!(sqlx::query(&sql).execute(&mut connection).await.unwrap().rows_affected(), 1);
        }
    }
    let server = Server::start(store).await;
    let client = server.client();
    // The server notices that the path does not lead to what it signed. Whoever makes the proof from its tiles does not.
    assert_eq!(client.get(&path).await.expect_problem(500), "proof.not_extending");
    let tile = client.request("GET", "/v1/ledgers/main/tile/0/000").send().await.unwrap().bytes().await.unwrap();
    assert_eq!(tile.len(), 256 * 32);
    let proof = std::fs::read_to_string(&good).unwrap();
    let mut lines: Vec<String> = proof.lines().map(str::to_owned).collect();
    let sibling = lines.iter().position(|line| line.starts_with("index ")).unwrap() + 1;
    lines[sibling] = STANDARD.encode(&tile[byte..byte + 32]);
    let tampered = auditor.write("tampered.tlog-proof", &format!("{}\n", lines.join("\n")));
    assert_ne!(std::fs::read_to_string(&tampered).unwrap(), proof);
    let checked = auditor.run(&["check", &tampered.display().to_string()]).await;
    let trial = Trial { entry: position, ..Trial::default() };
    attack("serve a tampered tile").holds(&trial, checked.code, &checked.json());
    // The store itself says which tile it is.
    let source = store.database_url().map_or_else(|| store.ledger_file().display().to_string(), str::to_owned);
    let memory = auditor.file("no-memory").display().to_string();
    let verified = auditor.run(&["verify", &source, "--memory", &memory]).await;
    attack("tamper with a tile").holds(&trial, verified.code, &verified.json());
}
