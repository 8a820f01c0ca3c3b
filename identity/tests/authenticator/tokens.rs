//! Access tokens: what is issued is good, and nothing else is.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_identity::tokens::{ACCESS_TOKEN_LIFETIME, RETIRED_KEY_GRACE, TokenRefusal, Tokens};
use daybook_ledger::LedgerId;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::world::{ISSUER, SECOND, World};

fn decode(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn parts(token: &str) -> (Value, Value, String) {
    let mut parts = token.split('.');
    let (header, claims) = (decode(parts.next().unwrap()), decode(parts.next().unwrap()));
    (header, claims, parts.next().unwrap().to_owned())
}

async fn issue(tokens: &Tokens, world: &World) -> String {
    tokens.issue("usr_1", &LedgerId::main(), "ses_1", world.now()).await.unwrap().token
}

async fn refusal(tokens: &Tokens, world: &World, token: &str) -> TokenRefusal {
    let refused = tokens.verify(token, world.now()).await;
    refused.expect_err(token)
}

/// The installation's own key, as nobody outside has it.
async fn private_key(world: &World) -> (String, EncodingKey) {
    let row = world.vault.jwt_keys().await.unwrap().into_iter().next().unwrap();
    (row.kid, EncodingKey::from_ec_pem(row.private_key.expose().as_bytes()).unwrap())
}

/// A token signed with the right key that says what it likes.
async fn signed(world: &World, change: impl FnOnce(&mut Value)) -> String {
    let (kid, key) = private_key(world).await;
    let now = world.now() / SECOND;
    let mut claims = json!({ "iss": ISSUER, "aud": "daybook", "sub": "usr_1", "org": "main", "sid": "ses_1",
        "iat": now, "nbf": now, "exp": now + 900, "jti": "1" });
    change(&mut claims);
    jsonwebtoken::encode(&Header { kid: Some(kid), ..Header::new(Algorithm::ES256) }, &claims, &key).unwrap()
}

#[tokio::test]
async fn issued_token_says_who_and_not_what_they_may_do() {
    let world = World::new().await;
    let tokens = world.tokens();
    let issued = tokens.issue("usr_1", &LedgerId::main(), "ses_1", world.now()).await.unwrap();
    assert_eq!(issued.expires_in, 900);
    assert!(!format!("{issued:?}").contains(&issued.token));
    let (header, claims, _) = parts(&issued.token);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("JWT")));
    let mut names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["aud", "exp", "iat", "iss", "jti", "nbf", "org", "sid", "sub"]);
    for _ in 0..2 {
        let claims = tokens.verify(&issued.token, world.now()).await.unwrap();
        assert_eq!((claims.sub.as_str(), claims.org.as_str(), claims.sid.as_str()), ("usr_1", "main", "ses_1"));
    }
}

#[tokio::test]
async fn token_without_signature_or_with_another_algorithm_is_refused() {
    let world = World::new().await;
    let tokens = world.tokens();
    let token = issue(&tokens, &world).await;
    let (mut header, claims, signature) = parts(&token);
    for algorithm in ["none", "None", "NONE", "HS256", "RS256", "ES384", "EdDSA", "es256", ""] {
        header["alg"] = algorithm.into();
        for signature in ["", signature.as_str()] {
            let forged = format!("{}.{}.{signature}", encode(&header), encode(&claims));
            assert_eq!(refusal(&tokens, &world, &forged).await.code(), "token.algorithm", "{algorithm}");
        }
    }
}

#[tokio::test]
async fn public_key_is_no_secret_to_sign_with() {
    let world = World::new().await;
    let tokens = world.tokens();
    let token = issue(&tokens, &world).await;
    let (header, claims, _) = parts(&token);
    let jwks = tokens.jwks(world.now()).await.unwrap();
    let jwk = jwks["keys"][0].clone();
    assert_eq!(jwk["kid"], header["kid"]);
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let public = p256::PublicKey::from_sec1_bytes(&point).unwrap();
    let pem = p256::pkcs8::EncodePublicKey::to_public_key_pem(&public, p256::pkcs8::LineEnding::LF).unwrap();
    let der = p256::pkcs8::EncodePublicKey::to_public_key_der(&public).unwrap();
    for secret in [pem.as_bytes(), der.as_bytes(), &point, jwk.to_string().as_bytes(), jwks.to_string().as_bytes()] {
        let header = Header { kid: header["kid"].as_str().map(str::to_owned), ..Header::new(Algorithm::HS256) };
        let forged = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap();
        assert_eq!(refusal(&tokens, &world, &forged).await, TokenRefusal::Algorithm);
        // The same bytes under a header that says ES256.
        let (_, rest) = forged.split_once('.').unwrap();
        let relabelled = format!("{}.{rest}", token.split('.').next().unwrap());
        assert_eq!(refusal(&tokens, &world, &relabelled).await, TokenRefusal::Signature);
    }
}

#[tokio::test]
async fn key_that_a_token_brings_along_or_names_wrongly_is_not_believed() {
    let world = World::new().await;
    let tokens = world.tokens();
    let token = issue(&tokens, &world).await;
    let (header, claims, _) = parts(&token);
    let stranger = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let pem = p256::pkcs8::EncodePrivateKey::to_pkcs8_pem(&stranger, p256::pkcs8::LineEnding::LF).unwrap();
    let key = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
    let own_kid = header["kid"].as_str().unwrap().to_owned();
    let with = |kid: Option<String>, jku: Option<String>| {
        let header = Header { kid, jku, ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    };
    let refused = refusal(&tokens, &world, &with(Some(own_kid.clone()), None)).await;
    assert_eq!(refused.code(), "token.signature");
    let refused = refusal(&tokens, &world, &with(Some(own_kid), Some("https://evil.example/jwks".to_owned()))).await;
    assert_eq!(refused.code(), "token.signature");
    for kid in
        [Some("other".to_owned()), Some(String::new()), Some("x".repeat(1_000)), Some("' or 1=1".to_owned()), None]
    {
        assert_eq!(refusal(&tokens, &world, &with(kid, None)).await.code(), "token.unknown_key");
    }
}

#[tokio::test]
async fn altered_token_is_refused_wherever_it_was_altered() {
    let world = World::new().await;
    let tokens = world.tokens();
    let token = issue(&tokens, &world).await;
    tokens.verify(&token, world.now()).await.unwrap();
    let (header, mut claims, signature) = parts(&token);
    claims["sub"] = "usr_2".into();
    let forged = format!("{}.{}.{signature}", encode(&header), encode(&claims));
    assert_eq!(refusal(&tokens, &world, &forged).await.code(), "token.signature");
    for index in (0..token.len()).step_by(7) {
        let mut bytes = token.clone().into_bytes();
        let byte = bytes.get_mut(index).unwrap();
        *byte = if *byte == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(bytes).unwrap();
        assert!(tokens.verify(&altered, world.now()).await.is_err(), "{index}");
    }
    // A signature in other base64 than the one it was written in.
    assert!(tokens.verify(&format!("{token}="), world.now()).await.is_err());
}

#[tokio::test]
async fn what_is_no_token_is_malformed() {
    let world = World::new().await;
    let tokens = world.tokens();
    let token = issue(&tokens, &world).await;
    let (header, claims, signature) = parts(&token);
    let with_header = |header: Value| format!("{}.{}.{signature}", encode(&header), encode(&claims));
    let mut critical = header.clone();
    critical["crit"] = json!(["exp"]);
    let mut other_type = header.clone();
    other_type["typ"] = "JWE".into();
    let mut no_type = header.clone();
    no_type.as_object_mut().unwrap().remove("typ");
    for broken in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "a.b".to_owned(),
        format!("{token}.{token}"),
        format!("a{token}"),
        with_header(critical),
        with_header(other_type),
        with_header(no_type),
        with_header(json!([])),
        format!("{}.{}", "A".repeat(5_000), token),
    ] {
        assert_eq!(refusal(&tokens, &world, &broken).await.code(), "token.malformed", "{broken:.80}");
    }
    for missing in ["sub", "org", "sid", "exp", "iat", "nbf", "jti"] {
        let token = signed(&world, |claims| drop(claims.as_object_mut().unwrap().remove(missing))).await;
        assert_eq!(refusal(&tokens, &world, &token).await.code(), "token.malformed", "{missing}");
    }
    let token = signed(&world, |claims| claims["exp"] = "tomorrow".into()).await;
    assert_eq!(refusal(&tokens, &world, &token).await.code(), "token.malformed");
}

#[tokio::test]
async fn times_audience_and_issuer_are_checked_though_the_signature_is_good() {
    let world = World::new().await;
    let tokens = world.tokens();
    issue(&tokens, &world).await;
    let now = world.now() / SECOND;
    let cases: [(&str, Value, Option<&str>); 12] = [
        ("exp", json!(now), Some("token.expired")),
        ("exp", json!(now - 1_000), Some("token.expired")),
        ("exp", json!(now + 1), None),
        ("nbf", json!(now + 31), Some("token.not_yet_valid")),
        ("nbf", json!(now + 30), None),
        ("iat", json!(now + 31), Some("token.issued_in_future")),
        ("iat", json!(now + 30), None),
        ("iat", json!(i64::MAX), Some("token.issued_in_future")),
        ("aud", json!("somebody-else"), Some("token.audience")),
        ("iss", json!("https://other.example"), Some("token.issuer")),
        ("aud", json!(["daybook", "somebody-else"]), Some("token.malformed")),
        ("org", json!("Not A Ledger"), Some("token.malformed")),
    ];
    for (name, value, expected) in cases {
        let token = signed(&world, |claims| claims[name] = value.clone()).await;
        let code = tokens.verify(&token, world.now()).await.map(drop).map_err(TokenRefusal::code).err();
        assert_eq!(code, expected, "{name} {value}");
    }
}

#[tokio::test]
async fn token_that_was_good_expires_to_the_second() {
    let world = World::new().await;
    let tokens = world.tokens();
    let token = issue(&tokens, &world).await;
    let lifetime = i64::try_from(ACCESS_TOKEN_LIFETIME.as_secs()).unwrap() * SECOND;
    world.wait(lifetime - 1);
    tokens.verify(&token, world.now()).await.unwrap();
    world.wait(1);
    assert_eq!(refusal(&tokens, &world, &token).await.code(), "token.expired");
}

#[tokio::test]
async fn retired_key_verifies_for_a_while_and_is_published_as_long() {
    let world = World::new().await;
    let (tokens, elsewhere) = (world.tokens(), world.tokens());
    let old = issue(&tokens, &world).await;
    elsewhere.verify(&old, world.now()).await.unwrap();
    world.wait(SECOND);
    let kid = tokens.rotate(world.now()).await.unwrap();
    let new = issue(&tokens, &world).await;
    assert_eq!(parts(&new).0["kid"], json!(kid));
    for token in [&old, &new] {
        tokens.verify(token, world.now()).await.unwrap();
    }
    assert_eq!(tokens.jwks(world.now()).await.unwrap()["keys"].as_array().unwrap().len(), 2);
    // Another process hears of the new key from a token that names it, but does not ask for each: it may have asked just now.
    let heard = async {
        while let Err(refused) = elsewhere.verify(&new, world.now()).await {
            assert_eq!(refused.code(), "token.unknown_key");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), heard).await.expect("the other process hears of the new key");
    let grace = i64::try_from(RETIRED_KEY_GRACE.as_micros()).unwrap();
    let forged = signed_with_oldest(&world, world.now() / SECOND + 3_000).await;
    tokens.verify(&forged, world.now() + grace - 1).await.unwrap();
    assert_eq!(tokens.verify(&forged, world.now() + grace).await.unwrap_err().code(), "token.unknown_key");
    assert_eq!(tokens.jwks(world.now() + grace).await.unwrap()["keys"].as_array().unwrap().len(), 1);
}

async fn signed_with_oldest(world: &World, expires: i64) -> String {
    let row = world.vault.jwt_keys().await.unwrap().into_iter().find(|row| row.retired_at.is_some()).unwrap();
    let key = EncodingKey::from_ec_pem(row.private_key.expose().as_bytes()).unwrap();
    let now = world.now() / SECOND;
    let claims = json!({ "iss": ISSUER, "aud": "daybook", "sub": "usr_1", "org": "main", "sid": "ses_1",
        "iat": now, "nbf": now, "exp": expires, "jti": "1" });
    jsonwebtoken::encode(&Header { kid: Some(row.kid), ..Header::new(Algorithm::ES256) }, &claims, &key).unwrap()
}

#[tokio::test]
async fn processes_that_start_together_sign_with_one_key() {
    let world = World::new().await;
    let (here, elsewhere) = (world.tokens(), world.tokens());
    let (first, second) = tokio::join!(issue(&here, &world), issue(&elsewhere, &world));
    assert_eq!(parts(&first).0["kid"], parts(&second).0["kid"]);
    here.verify(&second, world.now()).await.unwrap();
    elsewhere.verify(&first, world.now()).await.unwrap();
}

#[tokio::test]
async fn published_keys_have_nothing_private() {
    let world = World::new().await;
    let jwks = world.tokens().jwks(world.now()).await.unwrap();
    let key = jwks["keys"][0].as_object().unwrap();
    let mut names: Vec<_> = key.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
}
