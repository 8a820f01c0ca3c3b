//! A vote that its voter signed with a passkey, from the browser's side to the auditor's.

#[path = "../../../../identity-api/tests/other_ways/authenticator.rs"]
#[allow(dead_code, reason = "shared with other tests, which use more of it")]
mod authenticator;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use daybook_ledger::sequencer::Unobserved;
use daybook_ledger::store::postgres::PostgresStore;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Append, Draft, Entry, Ledger, LedgerId};
use daybook_tests::people::{MAIN, PASSWORD};
use daybook_tests::{Options, Person, Server, Store, both_stores, command_line};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::{requested, shown};
use authenticator::Authenticator;

/// What stands before the point of a public key on P-256 in a `SubjectPublicKeyInfo`.
const SPKI: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";

/// Makes a passkey of somebody's; answers the public key as base64 of its `SubjectPublicKeyInfo`.
async fn enrol(person: &Person, authenticator: &mut Authenticator) -> String {
    let begun = person.client.post("/v1/auth/passkeys/register/options", &json!({"password": PASSWORD})).await;
    let begun = begun.expect(200).json();
    let credential = authenticator.create(&begun["options"]);
    let body = json!({"challenge": begun["challenge"], "credential": credential, "label": "Key"});
    person.client.post("/v1/auth/passkeys/register", &body).await.expect(201);
    let attested = credential["response"]["attestationObject"].as_str().unwrap();
    let attested = URL_SAFE_NO_PAD.decode(attested).unwrap();
    // The two coordinates, each a byte string of 32 in the COSE key.
    let coordinate = |label: u8| -> Vec<u8> {
        let before = [label, 0x58, 0x20];
        let found = attested.windows(3).rposition(|window| window == before).unwrap() + 3;
        attested[found..found + 32].to_vec()
    };
    let point = [&hex::decode(SPKI).unwrap()[..], &[4], &coordinate(0x21), &coordinate(0x22)].concat();
    STANDARD.encode(point)
}

/// The vote for a request, signed.
fn signed(authenticator: &mut Authenticator, public_key: &str, request: &Value, decision: &str) -> Value {
    let text = |name: &str| request[name].as_str().unwrap_or_else(|| panic!("{name} in {request}"));
    let (id, digest, revision) = (text("approval_id"), text("digest"), &request["revision"]);
    let lines = format!("daybook approval vote 1\n{id}\n{digest}\n{revision}\n{decision}\n");
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(lines.as_bytes()));
    let answer = authenticator.get(&json!({"publicKey": {"challenge": challenge}}));
    let response = &answer["response"];
    json!({"decision": "approve", "reason": "Looked at it", "signature": {
        "algorithm": "webauthn",
        "public_key": public_key,
        "signature": response["signature"],
        "client_data": response["clientDataJSON"],
        "authenticator_data": response["authenticatorData"],
        "credential_id": answer["id"],
    }})
}

/// What the auditor's program says of approvals in a store: its exit code, and its part of the report.
async fn audited(source: &str) -> (i32, Value) {
    let path = command_line::program().with_file_name(format!("daybook-auditor{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{} is missing; build first: cargo build --workspace", path.display());
    let mut command = Command::new(path);
    command.args(["verify", source, "--json", "--memory", "/nowhere"]).env("NO_COLOR", "1").kill_on_drop(true);
    let finished = command_line::finish(&mut command).await;
    (finished.code, finished.json()["ledgers"][0]["approvals"].clone())
}

async fn entries_of(store: &Store) -> Vec<Entry> {
    let store: Arc<dyn daybook_ledger::Store> = match store.database_url() {
        Some(url) => Arc::new(PostgresStore::open(url, 2).await.unwrap()),
        None => Arc::new(SqliteStore::open(store.ledger_file()).unwrap()),
    };
    let clock = Arc::new(|| 0);
    let ledger = Ledger::open(store, LedgerId::main(), clock, Arc::new(Unobserved)).await.unwrap();
    ledger.entries(0, 10_000).await.unwrap()
}

/// A ledger that says the same but for one payload, with every hash made right. Seals are left out.
async fn retold(entries: &[Entry], file: &Path, change: impl Fn(&Entry) -> Option<String>) -> u64 {
    let time = Arc::new(AtomicI64::new(0));
    let clock = {
        Arc::new({
            let time = Arc::clone(&time);
            move || time.load(Ordering::Relaxed)
        })
    };
    let store = Arc::new(SqliteStore::open(file).unwrap());
    let ledger = Ledger::open(store, LedgerId::main(), clock, Arc::new(Unobserved)).await.unwrap();
    let mut changed = None;
    for entry in entries.iter().filter(|entry| entry.event_type != daybook_ledger::append::SEALED) {
        let payload = change(entry);
        let is_it = payload.is_some();
        let payload = payload.or_else(|| entry.payload.clone()).unwrap();
        time.store(entry.recorded_at, Ordering::Relaxed);
        let append = Append {
            stream: entry.stream.clone(),
            expected_version: entry.version - 1,
            events: vec![Draft::new(entry.event_type.as_str(), entry.schema_version, payload)],
            actor: entry.actor.clone(),
            metadata: entry.metadata.clone(),
            command: None,
        };
        let appended = ledger.append(append).await.unwrap();
        changed = changed.or(is_it.then_some(appended.first_position));
    }
    changed.unwrap()
}

/// The text with one bit of one byte in the middle of what is base64 in this member turned.
fn flipped(payload: &str, member: &str) -> String {
    let mut json: Value = serde_json::from_str(payload).unwrap();
    let field = &mut json["vote"]["signature"][member];
    let mut bytes = URL_SAFE_NO_PAD.decode(field.as_str().unwrap()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    *field = json!(URL_SAFE_NO_PAD.encode(bytes));
    json.to_string()
}

both_stores!(vote_signed_by_a_passkey_counts_is_verified_and_one_flipped_byte_of_it_is_named);

async fn vote_signed_by_a_passkey_counts_is_verified_and_one_flipped_byte_of_it_is_named(store: &Store) {
    let options = Options {
        environment: vec![("DAYBOOK_PUBLIC_URL".to_owned(), "https://daybook.example".to_owned())],
        ..Options::default()
    };
    let mut server = Server::start_with(store, options).await;
    let (asker, voter) = (server.person(MAIN, "admin").await, server.person(MAIN, "compliance").await);
    let mut authenticator = Authenticator::new();
    let key = enrol(&voter, &mut authenticator).await;
    let id = requested(&asker, "payment", "P-1").await;
    let other = requested(&asker, "payment", "P-2").await;
    let (request, another) = (shown(&voter, &id).await, shown(&voter, &other).await);
    let path = format!("/v1/approvals/{id}/vote");
    // Of another request, of the other decision, by a key of nobody's.
    for wrong in
        [signed(&mut authenticator, &key, &another, "approve"), signed(&mut authenticator, &key, &request, "reject")]
    {
        assert_eq!(voter.client.post(&path, &wrong).await.expect_problem(422), "approval.bad_signature");
    }
    let mut stranger = Authenticator::new();
    let own = enrol(&asker, &mut stranger).await;
    let by_another = signed(&mut stranger, &own, &request, "approve");
    assert_eq!(voter.client.post(&path, &by_another).await.expect_problem(422), "approval.unknown_key");
    let body = signed(&mut authenticator, &key, &request, "approve");
    voter.client.post(&path, &body).await.expect(200);
    assert_eq!(shown(&asker, &id).await["status"], "approved");
    asker.client.post(&format!("/v1/approvals/{id}/consume"), &json!({"execution_id": "run-1"})).await.expect(200);
    assert!(server.terminate().await.success());
    store.verified().await;

    let entries = entries_of(store).await;
    let folder = tempfile::tempdir().unwrap();
    let voted = |entry: &Entry| entry.event_type == "approval.voted";
    let unchanged = folder.path().join("unchanged.db");
    retold(&entries, &unchanged, |entry| voted(entry).then(|| entry.payload.clone().unwrap())).await;
    let (_, approvals) = audited(&unchanged.display().to_string()).await;
    let figures = (&approvals["verdict"], &approvals["signed_votes"], &approvals["verified_signatures"]);
    assert_eq!(figures, (&json!("verified"), &json!(1), &json!(1)), "{approvals:#}");
    for member in ["signature", "client_data", "authenticator_data"] {
        let file = folder.path().join(format!("{member}.db"));
        let position =
            retold(&entries, &file, |entry| voted(entry).then(|| flipped(entry.payload.as_deref().unwrap(), member)))
                .await;
        let (code, approvals) = audited(&file.display().to_string()).await;
        let found: Vec<_> = approvals["findings"].as_array().unwrap().iter().collect();
        assert_eq!((code, found.len()), (1, 1), "{member}: {approvals:#}");
        assert_eq!((&found[0]["kind"], &found[0]["position"]), (&json!("vote_signature_invalid"), &json!(position)));
    }
}
