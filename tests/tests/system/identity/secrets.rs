//! Secrets stay where they belong: not in the ledger, the read tables, logs, errors or metrics.
//!
//! Beside this test, the harness watches the output and the errors of every server of every test.

use daybook_tests::people::{MAIN, PASSWORD, one_time_token};
use daybook_tests::{Client, Options, Server, Store, both_stores, eventually, secrets};
use serde_json::{Value, json};

use super::traces::traces_of;

both_stores!(no_secret_is_in_ledger_tables_log_error_or_metric);

async fn no_secret_is_in_ledger_tables_log_error_or_metric(store: &Store) {
    let loud = ("RUST_LOG".to_owned(), "debug,daybook=trace".to_owned());
    let options = Options { environment: vec![loud], dev_auth: true, ..Options::default() };
    let mut server = Server::start_with(store, options).await;
    let stranger = server.stranger();
    let mut used: Vec<(String, &'static str)> = vec![(PASSWORD.to_owned(), "a password")];
    let mut note = |secret: &str, what: &'static str| {
        secrets::used(secret, what);
        used.push((secret.to_owned(), what));
    };

    let person = server.person(MAIN, "admin").await;
    note(&person.access_token, "an access token");
    note(&person.refresh_token, "a refresh token");
    // Wrong in every way that echoes what was sent.
    for (path, body) in [
        ("/v1/auth/login", json!({"email": person.email, "password": "a wrong secret passphrase"})),
        ("/v1/auth/login", json!({"email": person.email, "password": ["a wrong secret passphrase"]})),
        ("/v1/auth/login", json!({"email": person.email, "passwort": "a wrong secret passphrase"})),
        ("/v1/auth/register", json!({"email": "x", "password": "a wrong secret passphrase"})),
        ("/v1/auth/refresh", json!({"refresh_token": "dbr_a-wrong-secret-passphrase"})),
    ] {
        note("a wrong secret passphrase", "a password that was tried");
        note("dbr_a-wrong-secret-passphrase", "a refresh token that was tried");
        let answer = stranger.post(path, &body).await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
    note("eyJhbGciOiJub25lIn0.e30.forged-signature", "a forged token");
    Client::new(server.url(), Some("eyJhbGciOiJub25lIn0.e30.forged-signature")).get("/v1/users").await.expect(401);
    note("dbk_0123456789ab_forged-forged-forged-forged-forged-forged-0", "a forged key");
    let forged = "dbk_0123456789ab_forged-forged-forged-forged-forged-forged-0";
    Client::new(server.url(), Some(forged)).get("/v1/users").await.expect(401);

    let refreshed =
        stranger.post("/v1/auth/refresh", &json!({"refresh_token": person.refresh_token})).await.expect(200).json();
    note(text(&refreshed, "access_token"), "an access token");
    note(text(&refreshed, "refresh_token"), "a refresh token");
    let client = Client::new(server.url(), refreshed["access_token"].as_str());
    let key = client.post("/v1/api-keys", &json!({"name": "machine", "scopes": ["read"]})).await.expect(201).json();
    note(text(&key, "key_value"), "an API key");
    Client::new(server.url(), key["key_value"].as_str()).get("/v1/transactions").await.expect(200);
    let enrolment = client.post("/v1/auth/totp/enrol", &json!({"password": PASSWORD})).await;
    if (200..300).contains(&enrolment.status) {
        let enrolment = enrolment.json();
        let secret = enrolment["secret"].as_str().unwrap_or_else(|| panic!("{enrolment}"));
        note(secret, "a TOTP secret");
    } else {
        panic!("{} {}", enrolment.status, enrolment.body);
    }
    let invited =
        server.client().post("/v1/users/invite", &json!({"email": "i@people.example", "role": "viewer"})).await;
    let invited = invited.expect(201).json();
    note(one_time_token(text(&invited, "invitation_url")), "a one-time token");
    stranger.post("/v1/auth/reset-password", &json!({"email": person.email})).await.expect(202);
    let changed = json!({"current_password": PASSWORD, "new_password": "another good passphrase"});
    note("another good passphrase", "a password");
    client.post("/v1/auth/password", &changed).await.expect(200);

    let metrics = server.client().get("/metrics").await.expect(200).body;
    assert_eq!(secrets::found_in(metrics.as_bytes()), None);
    // Refusals are written in batches, a moment later.
    let entries = eventually("everything is written", async || {
        let entries = server.client().entries().await;
        let refused = entries.iter().filter(|entry| entry["event_type"] == "access.refused").count();
        (refused >= 2).then_some(entries)
    })
    .await;
    assert_eq!(secrets::found_in(Value::from(entries).to_string().as_bytes()), None);
    assert!(server.terminate().await.success());
    server.ended().await;
    assert_eq!(secrets::found_in_folder(store.folder(), true), Vec::<String>::new());
    if store.is_postgres() {
        for (secret, what) in used {
            let traces = traces_of(store, &secret).await;
            let traces: Vec<_> = traces.into_iter().filter(|place| !place.contains('/')).collect();
            assert!(traces.is_empty(), "{what}: {traces:?}");
        }
    }
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in the answer"))
}
