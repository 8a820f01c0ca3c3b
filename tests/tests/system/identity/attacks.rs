//! Forged, stolen and worn-out credentials: each is refused with its reason, and each refusal is an entry.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_identity::vault::{MasterKey, Vault};
use daybook_tests::people::{MAIN, PASSWORD, one_time_token};
use daybook_tests::{Client, Server, Store, both_stores, eventually};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

both_stores!(forged_tokens_are_refused_and_recorded);

async fn forged_tokens_are_refused_and_recorded(store: &Store) {
    let server = Server::start(store).await;
    let person = server.person(MAIN, "admin").await;
    person.client.get("/v1/users").await.expect(200);
    let claims = part(&person.access_token, 1);
    let header = part(&person.access_token, 0);
    let kid = header["kid"].as_str().unwrap();
    let jwks = server.stranger().get("/.well-known/jwks.json").await.expect(200).json();
    let published =
        jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap_or_else(|| panic!("{jwks}"));
    assert!(published.get("d").is_none(), "the private key is published");
    let (key, pem) = signing_key(store, kid).await;
    let stranger_key = EncodingKey::from_ec_pem(STRANGER.as_bytes()).unwrap();
    let with = |name: &str, value: Value| {
        let mut changed = claims.clone();
        changed[name] = value;
        changed
    };
    let now = chrono::Utc::now().timestamp();
    let honest = signed(&key, kid, &claims);
    Client::new(server.url(), Some(&honest)).get("/v1/users").await.expect(200);

    let mut expired = with("exp", json!(now - 1));
    expired["iat"] = json!(now - 900);
    expired["nbf"] = json!(now - 900);
    let (first, rest) = person.access_token.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let forged = [
        ("token.algorithm", unsigned(json!({"alg": "none", "typ": "JWT", "kid": kid}), &claims)),
        ("token.algorithm", unsigned(json!({"alg": "none"}), &claims)),
        ("token.algorithm", with_public_key_as_secret(pem.as_bytes(), kid, &claims)),
        ("token.algorithm", with_public_key_as_secret(&coordinates(published), kid, &claims)),
        ("token.unknown_key", signed(&key, "another", &claims)),
        ("token.signature", signed(&stranger_key, kid, &claims)),
        ("token.expired", signed(&key, kid, &expired)),
        ("token.not_yet_valid", signed(&key, kid, &with("nbf", json!(now + 3_600)))),
        ("token.issued_in_future", signed(&key, kid, &with("iat", json!(now + 3_600)))),
        ("token.audience", signed(&key, kid, &with("aud", json!("another-product")))),
        ("token.issuer", signed(&key, kid, &with("iss", json!("https://elsewhere.example")))),
        (
            "token.signature",
            format!("{first}.{}.{signature}", encoded(&with("sub", json!("usr_000000000000000000000000")))),
        ),
        ("token.signature", format!("{first}.{}.{signature}", encoded(&with("org", json!("elsewhere"))))),
        ("token.malformed", "eyJhbGciOiJFUzI1NiJ9.e30".to_owned()),
    ];
    for (reason, token) in &forged {
        let answer = Client::new(server.url(), Some(token)).get("/v1/users").await;
        let code = answer.expect_problem(401);
        assert_eq!(&code, reason, "{token:.60}: {}", answer.body);
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{:?}", answer.headers);
    }
    let reasons: BTreeSet<_> = forged.iter().map(|(reason, _)| (*reason).to_owned()).collect();
    refusals(&server.client(), &reasons).await;
    store.verified().await;
}

both_stores!(worn_out_credentials_are_refused_and_recorded);

async fn worn_out_credentials_are_refused_and_recorded(store: &Store) {
    let server = Server::start(store).await;
    let (operator, stranger) = (server.client(), server.stranger());

    // A refresh token used twice: the session is over, for the thief and for whoever he stole it from.
    let person = server.person(MAIN, "analyst").await;
    let used = json!({"refresh_token": person.refresh_token});
    let second = stranger.post("/v1/auth/refresh", &used).await.expect(200).json();
    let fresh = Client::new(server.url(), second["access_token"].as_str());
    fresh.get("/v1/auth/me").await.expect(200);
    assert_eq!(stranger.post("/v1/auth/refresh", &used).await.expect_problem(401), "auth.refresh_reused");
    fresh.get("/v1/auth/me").await.expect_problem(401);
    let newest = json!({"refresh_token": second["refresh_token"]});
    stranger.post("/v1/auth/refresh", &newest).await.expect_problem(401);
    let ended = events(&operator, "session.ended").await;
    assert!(ended.iter().any(|entry| entry.contains("refresh_reuse")), "{ended:?}");

    // A one-time token used twice.
    let invited = operator.post("/v1/users/invite", &json!({"email": "twice@people.example", "role": "viewer"})).await;
    let link = invited.expect(201).json()["invitation_url"].as_str().unwrap().to_owned();
    let registration = json!({"token": one_time_token(&link), "password": PASSWORD, "full_name": "Twi Ce"});
    stranger.post("/v1/auth/register", &registration).await.expect(201);
    assert_eq!(stranger.post("/v1/auth/register", &registration).await.expect_problem(400), "auth.token_invalid");

    // A reset's token: the letter lies in a folder by default.
    stranger.post("/v1/auth/reset-password", &json!({"email": "twice@people.example"})).await.expect(202);
    let token = token_of_letter(store, "twice@people.example").await;
    let reset = json!({"token": token, "new_password": "a new and longer passphrase"});
    stranger.post("/v1/auth/reset-password/confirm", &reset).await.expect(200);
    assert_eq!(
        stranger.post("/v1/auth/reset-password/confirm", &reset).await.expect_problem(400),
        "auth.token_invalid"
    );

    // A key after its end.
    let key = operator.post("/v1/api-keys", &json!({"name": "machine", "scopes": ["read"]})).await.expect(201).json();
    let machine = Client::new(server.url(), key["key_value"].as_str());
    machine.get("/v1/transactions").await.expect(200);
    operator.post(&format!("/v1/api-keys/{}/revoke", key["id"].as_str().unwrap()), &json!({})).await.expect(200);
    machine.get("/v1/transactions").await.expect_problem(401);

    // Guessing passwords, until the account is shut for a while: also for who knows the password.
    let victim = server.person(MAIN, "viewer").await;
    let guess = json!({"email": victim.email, "password": "one of very many guesses"});
    let mut guesses = 0;
    let shut = loop {
        let answer = stranger.post("/v1/auth/login", &guess).await;
        guesses += 1;
        match answer.status {
            401 => assert!(guesses < 20, "nobody stops the guessing"),
            _ => break answer,
        }
    };
    shut.expect_problem(429);
    assert!(shut.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0), "{:?}", shut.headers);
    let right = json!({"email": victim.email, "password": PASSWORD});
    stranger.post("/v1/auth/login", &right).await.expect_problem(429);
    for (event, at_least) in [("access.login_failed", 1), ("access.throttled", 1), ("access.refused", 3)] {
        eventually(event, async || (events(&operator, event).await.len() >= at_least).then_some(())).await;
    }
    store.verified().await;
}

/// The entries of one type, as lines.
async fn events(client: &Client, event_type: &str) -> Vec<String> {
    let path = format!("/v1/ledgers/main/entries?limit=10000&event_type={event_type}");
    client.get(&path).await.expect(200).body.lines().map(str::to_owned).collect()
}

async fn refusals(operator: &Client, reasons: &BTreeSet<String>) {
    eventually("every refusal is an entry", async || {
        let entries = events(operator, "access.refused").await;
        reasons.iter().all(|reason| entries.iter().any(|entry| entry.contains(reason.as_str()))).then_some(())
    })
    .await;
}

/// The token of the letter that lets somebody set a new password.
async fn token_of_letter(store: &Store, address: &str) -> String {
    eventually("a letter with a token", async || {
        let letters = std::fs::read_dir(store.folder().join("mail")).ok()?;
        letters.flatten().find_map(|letter| {
            // Lines of a letter may be broken: quoted-printable ends them with `=`.
            let text = std::fs::read_to_string(letter.path()).ok()?.replace("=\r\n", "").replace("=3D", "=");
            let token = text.contains(address).then(|| text.split_once("/reset-password#token="))??.1;
            let end = token.find(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c))).unwrap_or(token.len());
            Some(token[..end].to_owned())
        })
    })
    .await
}

fn part(token: &str, index: usize) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn unsigned(header: Value, claims: &Value) -> String {
    format!("{}.{}.", encoded(&header), encoded(claims))
}

fn header(algorithm: Algorithm, kid: &str) -> Header {
    let mut header = Header::new(algorithm);
    header.kid = Some(kid.to_owned());
    header
}

fn signed(key: &EncodingKey, kid: &str, claims: &Value) -> String {
    jsonwebtoken::encode(&header(Algorithm::ES256, kid), claims, key).unwrap()
}

fn with_public_key_as_secret(secret: &[u8], kid: &str, claims: &Value) -> String {
    jsonwebtoken::encode(&header(Algorithm::HS256, kid), claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn coordinates(jwk: &Value) -> Vec<u8> {
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    [coordinate("x"), coordinate("y")].concat()
}

/// The server's own key, out of its vault: what only the server can do must not work with other claims either.
async fn signing_key(store: &Store, kid: &str) -> (EncodingKey, String) {
    let vault = match store.database_url() {
        Some(url) => Vault::open_postgres(url, 2, MasterKey::from_hex(daybook_tests::MASTER_KEY).unwrap()).await,
        None => {
            let key = MasterKey::load(store.folder().join("vault.key")).unwrap().unwrap();
            Vault::open_sqlite(store.folder().join("vault.db"), key).await
        }
    };
    let vault = vault.unwrap();
    let keys = vault.jwt_keys().await.unwrap();
    let row = keys.iter().find(|key| key.kid == kid).unwrap();
    let pem = row.private_key.expose().to_owned();
    vault.close().await;
    (EncodingKey::from_ec_pem(pem.as_bytes()).unwrap(), pem)
}

/// A key that the server has never seen.
const STRANGER: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G
-----END PRIVATE KEY-----";
