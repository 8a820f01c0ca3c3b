//! An evidence pack from outside: asked for, agreed to, fetched, read by people's tools, verified by the auditor's program and by
//! `openssl`, and seen through wherever something is changed in it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use daybook_tests::people::MAIN;
use daybook_tests::{Finished, Options, Server, Store, both_stores, command_line, data, eventually};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::{People, bytes};
use crate::anchors::Tsa;

/// What a ledger may hold that would like to be something else.
const HOSTILE: &str = "<script>alert('x')</script><img src=x onerror=alert(1)> =HYPERLINK(\"x\")";

/// The auditor's program, beside the one under test.
pub(super) async fn auditor(arguments: &[&str], file: &Path, keys: &Path) -> Finished {
    let path = command_line::program().with_file_name(format!("daybook-auditor{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(path);
    command.env_remove("DAYBOOK_TOKEN").env("NO_COLOR", "1").kill_on_drop(true);
    command_line::finish(
        command.args(arguments).arg(file).arg(if arguments[0] == "export" { "--key" } else { "--keys" }).arg(keys),
    )
    .await
}

/// A pack with its manifest and signature, and the keys that count, in a folder.
pub(super) struct Fetched {
    folder: tempfile::TempDir,
    files: BTreeMap<String, Vec<u8>>,
}

impl Fetched {
    pub(super) async fn of(server: &Server, people: &People, export: &str, store: &Store) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (part, name) in
            [("file", "pack.zip"), ("manifest", "pack.zip.manifest.json"), ("signature", "pack.zip.sig")]
        {
            let bytes = bytes(&people.asker, &format!("/v1/exports/{export}/{part}")).await;
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let keys = store.daybook(&["keys", "export-public", "--format", "keys-file"]).await.expect(0).stdout;
        std::fs::write(folder.path().join("keys.txt"), keys).unwrap();
        let pem = server.client().get("/v1/ledgers/main/keys").await.expect(200).json();
        let pem = pem["items"].as_array().unwrap().iter().find(|key| key["algorithm"] == "ecdsa-p256-sha256").unwrap();
        std::fs::write(folder.path().join("key.pem"), pem["pem"].as_str().unwrap()).unwrap();
        let files = unpacked(&folder.path().join("pack.zip"));
        Self { folder, files }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn text(&self, name: &str) -> &str {
        std::str::from_utf8(self.files.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.files.keys())))
            .unwrap()
    }

    /// Another pack, with these files.
    fn packed(&self, files: &BTreeMap<String, Vec<u8>>) -> PathBuf {
        let path = self.path("other.zip");
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for (name, content) in files {
            zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    async fn openssl(&self, signature: &str, signed: &str) -> bool {
        let mut command = Command::new("openssl");
        command
            .args(["dgst", "-sha256", "-verify"])
            .arg(self.path("key.pem"))
            .arg("-signature")
            .arg(self.path(signature));
        command_line::finish(command.arg(self.path(signed))).await.stdout.contains("Verified OK")
    }
}

fn unpacked(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    let mut files = BTreeMap::new();
    for name in names {
        let mut content = Vec::new();
        zip.by_name(&name).unwrap().read_to_end(&mut content).unwrap();
        files.insert(name, content);
    }
    files
}

/// The manifest, made to fit the files again: what somebody would do who wants nobody to notice.
fn relisted(files: &mut BTreeMap<String, Vec<u8>>, entries: u64) {
    let mut manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let lines = manifest["files"].as_array_mut().unwrap();
    lines.retain(|line| files.contains_key(line["path"].as_str().unwrap()));
    for line in lines {
        let content = &files[line["path"].as_str().unwrap()];
        line["bytes"] = json!(content.len());
        line["sha256"] = json!(hex::encode(Sha256::digest(content)));
        line["blake3"] = json!(blake3::hash(content).to_hex().to_string());
    }
    manifest["entries"] = json!(entries);
    files.insert("manifest.json".to_owned(), serde_json::to_vec_pretty(&manifest).unwrap());
}

/// A matter: two transactions, an incident with hostile texts and a comment, a hold on some of it, and much besides.
pub(super) async fn a_matter(server: &Server, people: &People) -> (String, String) {
    for number in 0..30 {
        people.asker.client.post("/v1/transactions", &data::transaction(&format!("TX-{number}"))).await.expect(201);
    }
    let mut evil = data::transaction("TX-EVIL");
    evil["counterparty"] = json!(HOSTILE);
    people.asker.client.post("/v1/transactions", &evil).await.expect(201);
    let completed = json!({"status": "completed", "reason": "done"});
    people.other.client.post("/v1/transactions/TX-EVIL/status", &completed).await.expect(200);
    let note = json!({"text": "The comment of a caller."});
    people.asker.client.post("/v1/transactions/TX-EVIL/notes", &note).await.expect(200);
    let incident = people.asker.client.post("/v1/incidents", &data::incident(HOSTILE)).await.expect(201).json();
    let incident = incident["incident_id"].as_str().or(incident["id"].as_str()).unwrap().to_owned();
    let comment = json!({"comment": format!("The comment {HOSTILE}")});
    people.other.client.post(&format!("/v1/incidents/{incident}/comment"), &comment).await.expect(200);
    let hold = json!({"matter": "Case 7 <b>", "reason": "a court asked",
        "covers": [{"kind": "stream", "stream_type": "transaction", "stream_id": "TX-EVIL"},
                   {"kind": "stream", "stream_type": "incident", "stream_id": incident}]});
    let hold = server.client().post("/v1/legal-holds", &hold).await.expect(201).json();
    let hold = hold["hold_id"].as_str().or(hold["id"].as_str()).unwrap().to_owned();
    (incident, hold)
}

pub(super) fn wish(filters: &Value) -> Value {
    let mut all = json!({"matter": format!("Case 7 {HOSTILE}"), "start": "2020-01-01", "end": "2099-12-31"});
    for (name, value) in filters.as_object().unwrap() {
        all[name] = value.clone();
    }
    json!({"kind": "evidence_pack", "filters": all, "reason": "for the court"})
}

both_stores!(pack_is_read_with_common_tools_and_verified_by_others);

async fn pack_is_read_with_common_tools_and_verified_by_others(store: &Store) {
    let server = Server::start(store).await;
    let people = People::of(&server).await;
    let (incident, hold) = a_matter(&server, &people).await;
    let export = people.approved(&wish(&json!({"hold": hold}))).await;
    let made = people.once(&export, &["generated", "failed"]).await;
    assert_eq!(made["status"], "generated", "{made}");
    assert_eq!(made["format"], "zip", "{made}");
    let pack = Fetched::of(&server, &people, &export, store).await;

    // Each entry in here is proved; the other transactions are not in here.
    let lines: Vec<Value> =
        pack.text("entries.ndjson").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len() as u64, made["rows"].as_u64().unwrap());
    let streams: Vec<String> =
        lines.iter().map(|line| format!("{}/{}", line["stream_type"], line["stream_id"]).replace('"', "")).collect();
    for wanted in [
        "transaction/TX-EVIL",
        &format!("incident/{incident}"),
        &format!("legal_hold/{hold}"),
        &format!("export/{export}"),
    ] {
        assert!(streams.iter().any(|stream| stream == wanted), "no {wanted} in {streams:?}");
    }
    assert!(!streams.iter().any(|stream| stream == "transaction/TX-3"), "{streams:?}");
    let names: Vec<&str> = pack.files.keys().map(String::as_str).collect();
    for file in [
        "README.txt",
        "report.html",
        "index.csv",
        "trail.csv",
        "approvals.json",
        "holds.json",
        "records/transaction.ndjson",
        "records/incident.ndjson",
        "checkpoint",
        "keys.txt",
        "manifest.json",
        "manifest.sig",
    ] {
        assert!(names.contains(&file), "no {file} in {names:?}");
    }
    assert!(!names.contains(&"people.csv"), "nobody asked who people are");

    // What people read.
    let (mut index, mut trail) = (
        csv::Reader::from_reader(pack.files["index.csv"].as_slice()),
        csv::Reader::from_reader(pack.files["trail.csv"].as_slice()),
    );
    let index: Vec<BTreeMap<String, String>> = index.deserialize().map(Result::unwrap).collect();
    let transaction = index.iter().find(|row| row["stream_id"] == "TX-EVIL").unwrap();
    assert_eq!(
        (transaction["held_by"].as_str(), transaction["file"].as_str()),
        (hold.as_str(), "records/transaction.ndjson")
    );
    let trail: Vec<BTreeMap<String, String>> = trail.deserialize().map(Result::unwrap).collect();
    assert_eq!(trail.len(), lines.len());
    for (row, line) in trail.iter().zip(&lines) {
        assert_eq!(
            (&row["position"], row["hash"].as_str()),
            (&line["position"].to_string(), line["hash"].as_str().unwrap())
        );
        assert!(!row["what"].is_empty(), "{row:?}");
    }
    let told: Value = serde_json::from_str(pack.text("records/transaction.ndjson").lines().next().unwrap()).unwrap();
    assert_eq!(told["record"]["recorded"]["current"]["counterparty"], HOSTILE, "{told}");
    let approvals: Vec<Value> = serde_json::from_str(pack.text("approvals.json")).unwrap();
    assert!(approvals.iter().any(|approval| approval.to_string().contains(&people.other.id)), "{approvals:?}");
    let holds: Vec<Value> = serde_json::from_str(pack.text("holds.json")).unwrap();
    assert_eq!(holds[0]["stream_id"], hold.as_str(), "{holds:?}");

    // The report: nothing of the ledger is markup, nothing is fetched, who asked and who agreed is there.
    let report = pack.text("report.html");
    for forbidden in ["<script", "<img", "<b>", "\u{202e}", "http://", "https://", "url(", "@import"] {
        assert!(!report.contains(forbidden), "{forbidden} in the report");
    }
    for wanted in
        [people.asker.id.as_str(), &people.other.id, "for the court", "&lt;script&gt;", &hold, "TX-EVIL", "[sealed]"]
    {
        assert!(report.contains(wanted), "no {wanted} in the report");
    }
    assert!(!report.contains(&people.asker.full_name) && !report.contains("The comment"), "people are not named");
    if let Ok(folder) = std::env::var("DAYBOOK_KEEP_REPORT") {
        std::fs::write(Path::new(&folder).join("report.html"), report).unwrap();
        std::fs::copy(pack.path("pack.zip"), Path::new(&folder).join("pack.zip")).unwrap();
    }

    // The auditor's program, the offline check, openssl twice.
    let keys = pack.path("keys.txt");
    let verified = auditor(&["verify"], &pack.path("pack.zip"), &keys).await.expect(0);
    assert!(
        verified.stdout.contains("nothing failed") && verified.stdout.contains("chosen from"),
        "{}",
        verified.stdout
    );
    auditor(&["export"], &pack.path("pack.zip"), &keys).await.expect(0);
    let file = pack.path("pack.zip").display().to_string();
    command_line::daybook(&["export", "verify", &file, "--key", &pack.path("key.pem").display().to_string()])
        .await
        .expect(0);
    assert!(pack.openssl("pack.zip.sig", "pack.zip.manifest.json").await);
    for name in ["manifest.json", "manifest.sig"] {
        std::fs::write(pack.path(name), &pack.files[name]).unwrap();
    }
    assert!(pack.openssl("manifest.sig", "manifest.json").await);
    std::fs::write(
        pack.path("one.tlog-proof"),
        &pack.files[*names.iter().find(|name| name.starts_with("proofs/")).unwrap()],
    )
    .unwrap();
    auditor(&["check"], &pack.path("one.tlog-proof"), &keys).await.expect(0);
    // The ledger knows of it, and that it was agreed to.
    let report = store.verified().await;
    assert_eq!(report["ledgers"][0]["approvals"]["verdict"], "verified", "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_changed_in_a_pack_is_named() {
    let store = Store::sqlite();
    let server = Server::start(&store).await;
    let people = People::of(&server).await;
    let (_, hold) = a_matter(&server, &people).await;
    let export = people.approved(&wish(&json!({"hold": hold}))).await;
    people.once(&export, &["generated"]).await;
    let pack = Fetched::of(&server, &people, &export, &store).await;
    let keys = pack.path("keys.txt");
    // Packed again by another program it is still the same pack.
    let same = pack.packed(&pack.files);
    auditor(&["verify"], &same, &keys).await.expect(0);
    let mut seen_tile = false;
    for name in pack.files.keys() {
        // One tile and one proof stand for all of them.
        if name.starts_with("tile/") && std::mem::replace(&mut seen_tile, true)
            || name.starts_with("proofs/") && !name.contains("/1.")
        {
            continue;
        }
        let mut changed = pack.files.clone();
        let content = changed.get_mut(name).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 1;
        let found = auditor(&["verify"], &pack.packed(&changed), &keys).await;
        assert!(matches!(found.code, 1 | 2), "one bit of {name}: {}", found.text());
        let is_named =
            found.text().contains(name.as_str()) || found.text().contains("entries can") || name == "manifest.sig";
        assert!(is_named, "one bit of {name}: {}", found.text());
        let mut without = pack.files.clone();
        without.remove(name);
        let found = auditor(&["verify"], &pack.packed(&without), &keys).await;
        assert!(matches!(found.code, 1 | 2), "without {name}: {}", found.text());
        assert!(
            found.text().contains(name.as_str()) || found.text().contains("specified file not found"),
            "without {name}: {}",
            found.text()
        );
    }

    // An entry goes, and everything is made to fit.
    let mut without = pack.files.clone();
    let removed = |text: &[u8], line: usize| {
        let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        lines.remove(line);
        lines.concat()
    };
    let count = pack.text("entries.ndjson").lines().count();
    without.insert("entries.ndjson".to_owned(), removed(&pack.files["entries.ndjson"], 2));
    relisted(&mut without, count as u64 - 1);
    let found = auditor(&["verify"], &pack.packed(&without), &keys).await.expect(1);
    assert!(
        found.stdout.contains("trail.csv lists this entry") && found.stdout.contains("signature_invalid"),
        "{}",
        found.stdout
    );
    // The trail as well: only who signed the list of files can have left it out.
    without.insert("trail.csv".to_owned(), removed(&pack.files["trail.csv"], 3));
    relisted(&mut without, count as u64 - 1);
    let found = auditor(&["verify"], &pack.packed(&without), &keys).await.expect(1);
    assert!(found.stdout.contains("no trusted key signed the list of its files"), "{}", found.stdout);
    // A sentence of the report.
    let mut other = pack.files.clone();
    let report = pack.text("report.html").replacen("for the court", "for fun", 1);
    other.insert("report.html".to_owned(), report.into_bytes());
    relisted(&mut other, count as u64);
    auditor(&["verify"], &pack.packed(&other), &keys).await.expect(1);

    // The file as a whole, with what came beside it.
    let path = pack.packed(&without);
    for ending in [".manifest.json", ".sig"] {
        std::fs::copy(pack.path(&format!("pack.zip{ending}")), pack.path(&format!("other.zip{ending}"))).unwrap();
    }
    let arguments =
        ["export", "verify", &path.display().to_string(), "--key", &pack.path("key.pem").display().to_string()];
    let found = command_line::daybook(&arguments).await.expect(1);
    assert!(found.stdout.contains("row_removed"), "{}", found.stdout);
    assert!(auditor(&["export"], &path, &keys).await.expect(1).stdout.contains("row_removed"));
    let mut flipped = pack.files.clone();
    flipped.get_mut("report.html").unwrap()[100] ^= 1;
    pack.packed(&flipped);
    let found = command_line::daybook(&arguments).await.expect(1);
    assert!(found.stdout.contains("file_changed") && found.stdout.contains("report.html"), "{}", found.stdout);
}

both_stores!(people_are_named_where_that_is_asked_for_and_what_cannot_be_is_refused);

async fn people_are_named_where_that_is_asked_for_and_what_cannot_be_is_refused(store: &Store) {
    let server = Server::start(store).await;
    let people = People::of(&server).await;
    let evil = server.person_named(MAIN, "admin", "evil@people.example", "<i>Eve</i>").await;
    let (incident, hold) = a_matter(&server, &people).await;
    evil.client.post("/v1/transactions", &data::transaction("TX-OF-EVE")).await.expect(201);
    let export = people
        .approved(&wish(&json!({"subjects": [evil.id], "streams": [format!("incident/{incident}")], "people": true})))
        .await;
    let made = people.once(&export, &["generated", "failed"]).await;
    assert_eq!(made["status"], "generated", "{made}");
    let pack = Fetched::of(&server, &people, &export, store).await;
    auditor(&["verify"], &pack.path("pack.zip"), &pack.path("keys.txt")).await.expect(0);
    let named = pack.text("people.csv");
    assert!(named.contains("evil@people.example") && named.contains("<i>Eve</i>"), "{named}");
    let report = pack.text("report.html");
    assert!(report.contains("&lt;i&gt;Eve") && report.contains("The comment") && !report.contains("<i>"), "{report}");
    assert!(pack.text("index.csv").contains("TX-OF-EVE"));

    // An analyst may not, nor may whoever is not to see people.
    let analyst = server.person(MAIN, "analyst").await;
    analyst.client.post("/v1/exports", &wish(&json!({"hold": hold, "people": true}))).await.expect_problem_of(&[403]);
    for (filters, field) in [
        (json!({"hold": "hld_none"}), "/filters/hold"),
        (json!({"streams": ["transaction/NONE"]}), "/filters/streams"),
        (json!({"subjects": [evil.id, "usr_ffffffffffffffffffffffff"]}), "/filters/subjects"),
        (json!({"streams": ["nonsense"]}), "/filters/streams"),
        (json!({"matter": ""}), "/filters/matter"),
        (json!({"end": "2019-01-01"}), "/filters/end"),
        (json!({"colour": "red"}), "/filters/colour"),
    ] {
        let refused = people.asker.client.post("/v1/exports", &wish(&filters)).await;
        refused.expect_problem_of(&[400, 422]);
        assert!(refused.body.contains(field), "{filters}: {}", refused.body);
    }
    let mut as_csv = wish(&json!({}));
    as_csv["format"] = json!("csv");
    let refused = people.asker.client.post("/v1/exports", &as_csv).await.expect_problem_of(&[422]);
    assert_eq!(refused, "export.format");
    let zipped = json!({"kind": "transactions", "format": "zip", "reason": "x"});
    people.asker.client.post("/v1/exports", &zipped).await.expect_problem_of(&[422]);
    people.asker.client.get("/transactions/export?format=zip").await.expect_problem_of(&[400]);
}

both_stores!(everything_of_a_period_is_packed_over_the_command_line);

async fn everything_of_a_period_is_packed_over_the_command_line(store: &Store) {
    let server = Server::start(store).await;
    let people = People::of(&server).await;
    a_matter(&server, &people).await;
    let mut command = command_line::command();
    command.env_remove("DAYBOOK_OPERATOR_TOKEN").args([
        "export",
        "request",
        "evidence_pack",
        "--matter",
        "Audit of the year",
    ]);
    command.args(["--start", "2020-01-01", "--end", "2099-12-31", "--reason", "yearly", "--json"]);
    command.args(["--url", server.url(), "--token", &people.asker.access_token]);
    let asked = command_line::finish(&mut command).await.expect(0).json();
    let (export, approval) = (
        asked["export"]["export_id"].as_str().or(asked["export"]["id"].as_str()).unwrap(),
        asked["approval_request_id"].as_str().unwrap(),
    );
    let vote = json!({"decision": "approve", "reason": "needed"});
    people.other.client.post(&format!("/v1/approvals/{approval}/vote"), &vote).await.expect(200);
    let made = people.once(export, &["generated", "failed"]).await;
    assert_eq!(made["status"], "generated", "{made}");
    let pack = Fetched::of(&server, &people, export, store).await;
    auditor(&["verify"], &pack.path("pack.zip"), &pack.path("keys.txt")).await.expect(0);
    let count = pack.text("records/transaction.ndjson").lines().count();
    assert_eq!(count, 31, "every transaction");
    assert!(pack.text("records/user.ndjson").lines().count() >= 2);
    // What is sealed stays sealed.
    assert!(!pack.files.values().any(|content| String::from_utf8_lossy(content).contains(&people.asker.email)));
}

both_stores!(time_stamps_of_a_pack_are_verified_by_openssl);

async fn time_stamps_of_a_pack_are_verified_by_openssl(store: &Store) {
    let tsa = Tsa::start().await;
    let options = Options { environment: tsa.settings("1"), ..Options::default() };
    let server = Server::start_with(store, options).await;
    let people = People::of(&server).await;
    let (_, hold) = a_matter(&server, &people).await;
    let last = server.client().ledger_size().await;
    let position = eventually("the matter is stamped", async || {
        let entries = server.client().entries().await;
        let covers = |entry: &&Value| {
            entry["event_type"] == "ledger.anchored" && entry["payload"]["size"].as_u64() >= Some(last)
        };
        entries.iter().find(covers).map(|entry| entry["position"].to_string())
    })
    .await;
    let export = people.approved(&wish(&json!({"hold": hold}))).await;
    people.once(&export, &["generated"]).await;
    let pack = Fetched::of(&server, &people, &export, store).await;
    for ending in ["token", "txt"] {
        std::fs::write(pack.path(ending), &pack.files[&format!("timestamps/{position}.{ending}")]).unwrap();
    }
    let mut command = Command::new("openssl");
    command.args(["ts", "-verify", "-token_in", "-in"]).arg(pack.path("token")).arg("-data").arg(pack.path("txt"));
    let verified = command_line::finish(command.args(["-CAfile", &tsa.roots])).await;
    assert!(verified.text().contains("Verification: OK"), "{}", verified.text());
    assert!(pack.text("report.html").contains(&format!("timestamps/{position}.token")));
    let arguments = ["verify", "--tsa-roots", tsa.roots.as_str()];
    auditor(&arguments, &pack.path("pack.zip"), &pack.path("keys.txt")).await.expect(0);
}
