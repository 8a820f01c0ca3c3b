//! A small OpenID Connect provider on loopback, which can be told to misbehave, and the browser that goes between it and
//! Daybook.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use actix_web::dev::ServerHandle;
use actix_web::http::Method;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use daybook_identity::oidc::{OidcSettings, Providers, RawOidcSettings};
use daybook_identity::secret::Secret;
use daybook_identity_api::IdentitySettings;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::common::*;

const CLIENT_ID: &str = "daybook";
const CLIENT_SECRET: &str = "the client's secret & more";

/// A key pair of the provider: made once, RSA takes a while.
struct Pair {
    key: EncodingKey,
    public: Value,
    algorithm: Algorithm,
}

fn pair(pem: &str, algorithm: Algorithm, kid: &str) -> Pair {
    let key = match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(),
        _ => EncodingKey::from_ec_pem(pem.as_bytes()).unwrap(),
    };
    let mut jwk = Jwk::from_encoding_key(&key, algorithm).unwrap();
    jwk.common.key_id = Some(kid.to_owned());
    Pair { key, public: serde_json::to_value(jwk).unwrap(), algorithm }
}

fn rsa() -> &'static Pair {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    PAIR.get_or_init(|| {
        let pair_der = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair_der.as_der().unwrap();
        let lines = STANDARD.encode(der.as_ref());
        pair(&format!("-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n"), Algorithm::RS256, "rsa-1")
    })
}

/// Elliptic keys: the provider's, and one that it has not shown yet.
fn elliptic(byte: u8, kid: &str) -> Pair {
    let key = p256::SecretKey::from_slice(&[byte; 32]).unwrap();
    pair(&key.to_pkcs8_pem(LineEnding::LF).unwrap(), Algorithm::ES256, kid)
}

/// How ID tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    Rsa,
    Elliptic,
    /// By a key that the provider shows from its next answer on.
    NewKey,
    /// By somebody else's key, under the provider's key id.
    OtherKey,
    /// One bit of the signature is another.
    Altered,
    /// `alg: none`.
    None,
    /// HMAC with the client's secret.
    Hmac,
}

type Twist = Arc<dyn Fn(&mut Value) + Send + Sync>;

struct Grant {
    nonce: String,
    challenge: String,
    redirect_uri: String,
}

struct Inner {
    issuer: String,
    grants: HashMap<String, Grant>,
    claims: Value,
    twist: Twist,
    userinfo: Value,
    signing: Signing,
    keys: Vec<Value>,
    metadata: Value,
    fetched: usize,
}

/// The provider.
#[derive(Clone)]
pub struct Provider {
    inner: Arc<Mutex<Inner>>,
    pub issuer: String,
    server: ServerHandle,
}

impl Provider {
    /// One that vouches for `ann@example.com`.
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        let inner = Arc::new(Mutex::new(Inner {
            issuer: String::new(),
            grants: HashMap::new(),
            claims: json!({"sub": "subject-1", "email": "ann@example.com", "email_verified": true, "name": "Ann Example"}),
            twist: Arc::new(|_| {}),
            userinfo: json!({}),
            signing: Signing::Rsa,
            keys: vec![rsa().public.clone(), elliptic(7, "ec-1").public],
            metadata: json!({}),
            fetched: 0,
        }));
        let shared = web::Data::new(Arc::clone(&inner));
        let app = move || {
            App::new()
                .app_data(shared.clone())
                .route("/.well-known/openid-configuration", web::get().to(metadata))
                .route("/keys", web::get().to(keys))
                .route("/token", web::post().to(token))
                .route("/userinfo", web::get().to(userinfo))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().bind(address).unwrap();
        let issuer = format!("http://{}", server.addrs()[0]);
        inner.lock().unwrap().issuer = issuer.clone();
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { inner, issuer, server: handle }
    }

    pub async fn stop(&self) {
        self.server.stop(false).await;
    }

    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.lock().unwrap())
    }

    /// Vouches for somebody else: claims of every ID token, beside those of the protocol.
    pub fn vouch(&self, claims: Value) {
        self.with(|inner| inner.claims = claims);
    }

    /// Changes every ID token before it is signed.
    pub fn twist(&self, twist: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.with(|inner| inner.twist = Arc::new(twist));
    }

    pub fn sign(&self, signing: Signing) {
        self.with(|inner| inner.signing = signing);
    }

    pub fn tell(&self, userinfo: Value) {
        self.with(|inner| inner.userinfo = userinfo);
    }

    /// Members of the metadata that are added or replaced.
    pub fn announce(&self, metadata: Value) {
        self.with(|inner| inner.metadata = metadata);
    }

    /// How often the metadata were fetched.
    pub fn fetched(&self) -> usize {
        self.with(|inner| inner.fetched)
    }

    /// How an installation names it.
    pub fn settings(&self, name: &str) -> RawOidcSettings {
        RawOidcSettings {
            name: name.to_owned(),
            issuer: self.issuer.clone(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(Secret::new(CLIENT_SECRET)),
            ..RawOidcSettings::default()
        }
    }

    /// What the login page does once somebody has shown it who he is: the address that his browser is sent back to.
    pub fn authorize(&self, url: &str) -> String {
        assert!(url.starts_with(&format!("{}/authorize?", self.issuer)), "{url}");
        let query = parameters(url);
        assert_eq!((query["response_type"].as_str(), query["client_id"].as_str()), ("code", CLIENT_ID));
        assert_eq!(query["code_challenge_method"], "S256");
        assert!(query["scope"].split(' ').any(|scope| scope == "openid"), "{url}");
        let code = format!("code/{}", uuid::Uuid::new_v4());
        let grant = Grant {
            nonce: query["nonce"].clone(),
            challenge: query["code_challenge"].clone(),
            redirect_uri: query["redirect_uri"].clone(),
        };
        self.with(|inner| inner.grants.insert(code.clone(), grant));
        let path = query["redirect_uri"].strip_prefix("https://daybook.example").unwrap();
        format!("{path}?code={}&state={}&session_state=x", code.replace('/', "%2F"), query["state"])
    }
}

/// The parameters of a URL, decoded.
pub fn parameters(url: &str) -> HashMap<String, String> {
    let query = url.split_once('?').unwrap().1;
    web::Query::<HashMap<String, String>>::from_query(query).unwrap().into_inner()
}

type Shared = web::Data<Arc<Mutex<Inner>>>;

async fn metadata(shared: Shared) -> HttpResponse {
    let mut inner = shared.lock().unwrap();
    inner.fetched += 1;
    let issuer = inner.issuer.clone();
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
    });
    let changes = inner.metadata.as_object().unwrap().clone();
    document.as_object_mut().unwrap().extend(changes);
    HttpResponse::Ok().json(document)
}

async fn keys(shared: Shared) -> HttpResponse {
    HttpResponse::Ok().json(json!({"keys": shared.lock().unwrap().keys}))
}

async fn token(shared: Shared, request: HttpRequest, form: web::Form<HashMap<String, String>>) -> HttpResponse {
    let mut inner = shared.lock().unwrap();
    let refuse = |error: &str| HttpResponse::BadRequest().json(json!({"error": error}));
    // RFC 6749: both are form-encoded before they are joined.
    let secret = CLIENT_SECRET.replace('\'', "%27").replace('&', "%26").replace(' ', "+");
    let expected = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{secret}")));
    if request.headers().get("authorization").and_then(|header| header.to_str().ok()) != Some(expected.as_str()) {
        return HttpResponse::Unauthorized().json(json!({"error": "invalid_client"}));
    }
    let Some(grant) = inner.grants.remove(&form["code"]) else { return refuse("invalid_grant") };
    let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
    if proof != grant.challenge
        || form["redirect_uri"] != grant.redirect_uri
        || form["grant_type"] != "authorization_code"
    {
        return refuse("invalid_grant");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let access_token = "an access token";
    let half = Sha256::digest(access_token.as_bytes());
    let mut claims = json!({
        "iss": inner.issuer,
        "aud": CLIENT_ID,
        "iat": now,
        "exp": now + 300,
        "nonce": grant.nonce,
        "at_hash": URL_SAFE_NO_PAD.encode(&half[..16]),
    });
    claims.as_object_mut().unwrap().extend(inner.claims.as_object().unwrap().clone());
    (inner.twist)(&mut claims);
    if inner.signing == Signing::NewKey {
        inner.keys = vec![elliptic(9, "ec-2").public];
    }
    let id_token = signed(&claims, inner.signing);
    HttpResponse::Ok().json(json!({"access_token": access_token, "token_type": "Bearer", "id_token": id_token}))
}

async fn userinfo(shared: Shared, request: HttpRequest) -> HttpResponse {
    assert_eq!(request.headers().get("authorization").unwrap(), "Bearer an access token");
    HttpResponse::Ok().json(&shared.lock().unwrap().userinfo)
}

fn signed(claims: &Value, signing: Signing) -> String {
    let by = |pair: &Pair, kid: &str| {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(pair.algorithm) };
        jsonwebtoken::encode(&header, claims, &pair.key).unwrap()
    };
    match signing {
        Signing::Rsa => by(rsa(), "rsa-1"),
        Signing::Elliptic => by(&elliptic(7, "ec-1"), "ec-1"),
        Signing::NewKey => by(&elliptic(9, "ec-2"), "ec-2"),
        Signing::OtherKey => by(&elliptic(11, "ec-1"), "ec-1"),
        Signing::Altered => {
            let token = by(rsa(), "rsa-1");
            let (rest, signature) = token.rsplit_once('.').unwrap();
            let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            signature[100] ^= 1;
            format!("{rest}.{}", URL_SAFE_NO_PAD.encode(signature))
        }
        Signing::None => {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            format!("{}.{}.", part(&json!({"alg": "none", "typ": "JWT"})), part(claims))
        }
        Signing::Hmac => {
            let key = EncodingKey::from_secret(CLIENT_SECRET.as_bytes());
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
        }
    }
}

/// A world whose installation knows these providers.
pub async fn world_of(settings: Vec<RawOidcSettings>) -> World {
    let mut world = world().await;
    let parsed: Vec<OidcSettings> = settings.into_iter().map(|raw| OidcSettings::parse(raw).unwrap()).collect();
    let oidc = Providers::new(parsed).unwrap();
    world.state.settings = Arc::new(IdentitySettings { oidc, ..(*world.state.settings).clone() });
    world
}

/// A browser: it keeps one cookie.
#[derive(Default)]
pub struct Browser {
    pub cookie: Option<String>,
}

impl Browser {
    pub async fn get(&mut self, world: &World, path: &str) -> Answer {
        self.send(world, Method::GET, path, None).await
    }

    pub async fn send(&mut self, world: &World, method: Method, path: &str, body: Option<Value>) -> Answer {
        let cookie = self.cookie.clone().unwrap_or_default();
        let answer = world.call(method, path, &[("cookie", &cookie)], body).await;
        if let Some(set) = answer.header("set-cookie") {
            let pair = set.split(';').next().unwrap();
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        answer
    }

    /// Leaves for the provider; answers where it was sent.
    pub async fn leave(&mut self, world: &World, name: &str, query: &str) -> String {
        let answer = self.get(world, &format!("/v1/auth/oidc/{name}/start{query}")).await;
        assert_eq!(answer.status, 302, "{}", answer.body);
        answer.header("location").unwrap().to_owned()
    }

    /// Leaves and comes back; answers what the callback answers.
    pub async fn log_in(&mut self, world: &World, provider: &Provider, name: &str) -> Answer {
        let url = self.leave(world, name, "").await;
        self.get(world, &provider.authorize(&url)).await
    }
}
