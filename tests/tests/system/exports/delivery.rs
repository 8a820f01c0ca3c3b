//! Files brought to real receivers: a server that speaks S3, a mail server, a program that listens; also while they fail.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_tests::receivers::{HttpReceiver, Mood, S3Server, SmtpReceiver};
use daybook_tests::{Options, Server, Store, both_stores, eventually, eventually_within};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

use super::{People, bytes, transactions, wish};

/// The secret of the webhook: `whsec_` and 32 bytes.
const WEBHOOK_SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// Options of a server with these destinations.
pub(super) fn with_destinations(folder: &std::path::Path, destinations: &str) -> Options {
    let file = folder.join("daybook-test.toml");
    std::fs::write(&file, destinations).unwrap();
    Options {
        arguments: vec![
            "--config".to_owned(),
            file.to_str().unwrap().to_owned(),
            "--delivery-pause".to_owned(),
            "1".to_owned(),
        ],
        environment: vec![
            ("TEST_S3_KEY".to_owned(), "test-access-key".to_owned()),
            ("TEST_S3_SECRET".to_owned(), "test-secret-key".to_owned()),
            ("TEST_WEBHOOK_SECRET".to_owned(), WEBHOOK_SECRET.to_owned()),
        ],
        ..Options::default()
    }
}

pub(super) fn webhook(receiver: &HttpReceiver) -> String {
    format!(
        "[[destinations]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{}/exports\"\n\
         secret = {{ environment = \"TEST_WEBHOOK_SECRET\" }}\nallow_private_addresses = true\n",
        receiver.url()
    )
}

fn to(destination: &str) -> Value {
    let mut wish = wish("csv");
    wish["deliver_to"] = json!([destination]);
    wish
}

both_stores!(file_is_brought_to_s3_also_after_an_outage);

async fn file_is_brought_to_s3_also_after_an_outage(store: &Store) {
    let Some(mut s3) = S3Server::start().await else { return };
    let destination = format!(
        "[[destinations]]\nname = \"archive\"\nkind = \"s3\"\nbucket = \"exports\"\nprefix = \"bank\"\nendpoint = \"{}\"\n\
         allow_http = true\naccess_key_id = {{ environment = \"TEST_S3_KEY\" }}\n\
         secret_access_key = {{ environment = \"TEST_S3_SECRET\" }}\n",
        s3.url()
    );
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(store, with_destinations(folder.path(), &destination)).await;
    let people = People::of(&server).await;
    transactions(&server, 100).await;
    let export = people.approved(&to("archive")).await;
    people.once_delivery_is(&export, "delivered").await;
    let file = bytes(&people.asker, &format!("/v1/exports/{export}/file")).await;
    let keys = s3.keys().await;
    assert_eq!(keys.len(), 3, "file, manifest and signature: {keys:?}");
    let key = keys.iter().find(|key| key.ends_with(".csv")).unwrap_or_else(|| panic!("{keys:?}"));
    assert!(key.starts_with("bank/") && key.contains(&export), "{key}");
    assert_eq!(s3.object(key).await.as_deref(), Some(file.as_slice()));

    // Nobody is there, for a while.
    s3.stop();
    let mut wish = to("archive");
    wish["reason"] = json!("once more");
    wish["filters"] = json!({"currency": "EUR"});
    let second = people.approved(&wish).await;
    eventually("an attempt fails", async || {
        let shown = people.asker.client.get(&format!("/v1/exports/{second}")).await.json();
        let deliveries = shown["deliveries"].as_array()?.clone();
        (deliveries.first()?["attempts"].as_u64()? >= 1 && shown["delivery_status"] == "pending").then_some(())
    })
    .await;
    s3.resume().await;
    people.once_delivery_is(&second, "delivered").await;
    assert_eq!(s3.keys().await.len(), 3, "what is in the new bucket is this one export");
}

both_stores!(letter_has_the_file_and_a_repetition_is_recognisable);

async fn letter_has_the_file_and_a_repetition_is_recognisable(store: &Store) {
    let smtp = SmtpReceiver::start().await;
    let destination = format!(
        "[[destinations]]\nname = \"officer\"\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\nsecurity = \"off\"\n\
         from = \"Daybook <daybook@bank.example>\"\nto = [\"officer@bank.example\"]\n",
        smtp.port()
    );
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(store, with_destinations(folder.path(), &destination)).await;
    let people = People::of(&server).await;
    transactions(&server, 10).await;
    // It takes the letter and hangs up before it says so: it is sent again.
    smtp.set_mood(Mood::HangsUp);
    let export = people.approved(&to("officer")).await;
    eventually("the first letter comes", async || (!smtp.letters().is_empty()).then_some(())).await;
    smtp.set_mood(Mood::Refuses);
    smtp.set_mood(Mood::Takes);
    people.once_delivery_is(&export, "delivered").await;
    let letters = smtp.letters();
    assert!(letters.len() >= 2, "{}", letters.len());
    let ids: std::collections::BTreeSet<_> = letters.iter().filter_map(|letter| letter.header("message-id")).collect();
    assert_eq!(ids.len(), 1, "one delivery is one message: {ids:?}");
    let letter = letters.last().unwrap();
    assert_eq!(letter.recipients, ["officer@bank.example"]);
    let file = bytes(&people.asker, &format!("/v1/exports/{export}/file")).await;
    assert!(attachments(&letter.text).contains(&file), "the file is attached:\n{:.2000}", letter.text);
}

/// The parts of a letter that are in base64, decoded.
fn attachments(text: &str) -> Vec<Vec<u8>> {
    let parts = text.split("\n--").filter_map(|part| part.split_once("\n\n"));
    let coded = parts.filter(|(head, _)| head.to_lowercase().contains("content-transfer-encoding: base64"));
    coded.filter_map(|(_, body)| STANDARD.decode(body.split_whitespace().collect::<String>()).ok()).collect()
}

both_stores!(webhook_is_signed_and_repeated_under_one_key_until_it_is_taken);

async fn webhook_is_signed_and_repeated_under_one_key_until_it_is_taken(store: &Store) {
    let receiver = HttpReceiver::start().await;
    receiver.set_mood(Mood::Refuses);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(store, with_destinations(folder.path(), &webhook(&receiver))).await;
    let people = People::of(&server).await;
    transactions(&server, 10).await;
    let export = people.approved(&to("hook")).await;
    eventually("two attempts are refused", async || (receiver.received().len() >= 2).then_some(())).await;
    receiver.set_mood(Mood::Takes);
    people.once_delivery_is(&export, "delivered").await;
    let received = receiver.received();
    let keys: std::collections::BTreeSet<_> = received.iter().filter_map(|one| one.header("idempotency-key")).collect();
    assert_eq!(keys.len(), 1, "one delivery has one key: {keys:?}");
    let taken = received.last().unwrap();
    let (id, timestamp) = (taken.header("webhook-id").unwrap(), taken.header("webhook-timestamp").unwrap());
    let key = STANDARD.decode(WEBHOOK_SECRET.trim_start_matches("whsec_")).unwrap();
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(&taken.body);
    let expected = format!("v1,{}", STANDARD.encode(hmac_sha256(&key, &signed)));
    assert_eq!(taken.header("webhook-signature"), Some(expected.as_str()));
    let body: Value = serde_json::from_slice(&taken.body).unwrap();
    assert!(body.to_string().contains(&export), "{body}");
}

/// RFC 2104, by hand: an independent look at the signature.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

both_stores!(dead_letter_is_seen_and_can_be_sent_again);

async fn dead_letter_is_seen_and_can_be_sent_again(store: &Store) {
    let receiver = HttpReceiver::start().await;
    receiver.set_mood(Mood::Refuses);
    let folder = tempfile::tempdir().unwrap();
    let mut options = with_destinations(folder.path(), &webhook(&receiver));
    options.arguments.extend(["--delivery-attempts".to_owned(), "2".to_owned()]);
    let server = Server::start_with(store, options).await;
    let people = People::of(&server).await;
    transactions(&server, 10).await;
    let export = people.approved(&to("hook")).await;
    let dead = people.once_delivery_is(&export, "failed").await;
    assert_eq!(dead["deliveries"][0]["status"], "dead", "{dead}");
    assert_eq!(receiver.received().len(), 2);
    receiver.set_mood(Mood::Takes);
    people.asker.client.post(&format!("/exports/{export}/redeliver"), &json!({})).await.expect(200);
    people.once_delivery_is(&export, "delivered").await;
    let entries = server.client().get("/v1/ledgers/main/entries?limit=5000").await.expect(200).body;
    assert!(!entries.contains(WEBHOOK_SECRET), "no secret is in the ledger");
    let attempts = entries.matches("export.delivery_attempted").count();
    assert!(attempts >= 3, "each attempt is an entry: {attempts}");
}

both_stores!(unknown_destination_is_refused_when_it_is_asked_for);

async fn unknown_destination_is_refused_when_it_is_asked_for(store: &Store) {
    let server = Server::start(store).await;
    let people = People::of(&server).await;
    let answer = people.asker.client.post("/v1/exports", &to("nowhere")).await;
    answer.expect_problem_of(&[400, 422]);
    eventually_within(Duration::from_secs(1), "nothing was recorded", async || {
        let listed = people.asker.client.get("/v1/exports").await.expect(200).json();
        listed["items"].as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
}
