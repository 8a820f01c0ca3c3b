//! An app with a few routes, callers known by their tokens, and a log that remembers.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::test::{self, TestRequest};
use actix_web::{HttpRequest, HttpResponse, web};
use async_trait::async_trait;
use daybook_http_kit::permission::{IncidentRead, LedgerRead, ProjectionRebuild, UserReadContact};
use daybook_http_kit::{
    AccessLog, Allowed, AllowedWithin, Authenticator, CommandRequest, Credentials, Denied, DepartmentAccess, HttpKit,
    IdentityConfig, Organizations, PermissionSet, Principal, Problem, Query, Read, Refused, Role, RouteTable, Scoped,
    Secret, Telemetry, Via, telemetry,
};
use daybook_ledger::entry::ActorKind;
use daybook_ledger::sequencer::SequencerObserver;
use daybook_ledger::{Actor, LedgerId};
use serde::Deserialize;
use utoipa::OpenApi as _;

pub use daybook_http_kit::MetricsAccess as Access;

/// What has been handed on.
#[derive(Default)]
pub struct Log(Arc<Remembered>);

#[derive(Default)]
struct Remembered {
    cannot_record: bool,
    denied: Mutex<Vec<Denied>>,
    refused: Mutex<Vec<Refused>>,
    reads: Mutex<Vec<Read>>,
}

impl Log {
    pub fn that_cannot_record() -> Self {
        Self(Arc::new(Remembered { cannot_record: true, ..Remembered::default() }))
    }

    pub fn shared(&self) -> Arc<dyn AccessLog> {
        Arc::clone(&self.0) as Arc<dyn AccessLog>
    }

    pub fn denied(&self) -> Vec<Denied> {
        self.0.denied.lock().unwrap().clone()
    }

    pub fn refused(&self) -> Vec<Refused> {
        self.0.refused.lock().unwrap().clone()
    }

    pub fn reads(&self) -> Vec<Read> {
        self.0.reads.lock().unwrap().clone()
    }
}

impl AccessLog for Remembered {
    fn denied(&self, denied: Denied) {
        self.denied.lock().unwrap().push(denied);
    }

    fn refused(&self, refused: Refused) {
        self.refused.lock().unwrap().push(refused);
    }

    fn read(&self, read: Read) {
        self.reads.lock().unwrap().push(read);
    }

    fn can_record(&self, _organization: &LedgerId) -> bool {
        !self.cannot_record
    }
}

/// Knows a few tokens, and one person's address.
struct Tokens(IdentityConfig);

#[async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Principal>, Problem> {
        let known = |kind, id: &str, organization: &str, access| {
            Ok(Some(Principal {
                actor: Actor { kind, id: id.to_owned() },
                organization: organization.parse().unwrap(),
                roles: Arc::from([]),
                access: Arc::new(access),
                via: Via::Session,
                session_id: None,
            }))
        };
        let analyst = || daybook_http_kit::Access::everywhere(Role::Analyst.permissions());
        match credentials.bearer {
            Some("person") => known(ActorKind::Human, "usr_1", "acme", analyst()),
            Some("person-of-closed") => known(ActorKind::Human, "usr_2", "closed", analyst()),
            Some("key") => known(ActorKind::System, "key_1", "acme", analyst()),
            Some("nobody") => known(ActorKind::Human, "usr_3", "acme", daybook_http_kit::Access::default()),
            Some("desk") => {
                let department = DepartmentAccess {
                    id: "dep_1".to_owned(),
                    name: "Equities".to_owned(),
                    permissions: PermissionSet::from_names(["incident:read"]),
                };
                let access = daybook_http_kit::Access { departments: vec![department], ..Default::default() };
                known(ActorKind::Human, "usr_4", "acme", access)
            }
            Some("operator") | None => self.0.authenticate(credentials).await,
            Some("expired-of-acme") => {
                Err(Problem::invalid_token("token.expired", "the token has expired")
                    .of_organization(organization("acme")))
            }
            Some(_) => Err(Problem::invalid_token("token.unknown", "the token is not known")),
        }
    }

    async fn person_id(&self, _organization: &LedgerId, email: &str) -> Option<String> {
        (email == "known@example.com").then(|| "usr_known".to_owned())
    }
}

pub fn kit() -> HttpKit {
    let identity = IdentityConfig::new(Some(Secret::new("operator")), false);
    let kit = HttpKit::new(identity.clone(), RouteTable::new([&Document::openapi()]));
    kit.with_authenticator(Arc::new(Tokens(identity)))
}

pub fn organization(id: &str) -> LedgerId {
    id.parse().unwrap()
}

pub fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path)
}

pub fn request(method: Method, path: &str, token: &str) -> TestRequest {
    TestRequest::with_uri(path).method(method).insert_header(("authorization", format!("Bearer {token}")))
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn problem(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{} {}", self.status, self.body);
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"));
        problem
    }
}

pub async fn send(kit: &HttpKit, request: TestRequest) -> Answer {
    send_with(kit, Access::Operator, request).await
}

pub async fn send_with(kit: &HttpKit, metrics: Access, request: TestRequest) -> Answer {
    let telemetry = Telemetry::new().unwrap();
    for id in ["acme", "other"] {
        telemetry.sequencer(&organization(id)).committed(1, 1, Duration::from_millis(1));
    }
    let whose = Organizations::single(LedgerId::main(), "main's".to_owned());
    whose.insert(organization("acme"), Arc::new("acme's".to_owned()));
    let app = test::init_service(
        daybook_http_kit::app(kit)
            .app_data(web::Data::new(telemetry))
            .app_data(web::Data::new(metrics))
            .app_data(web::Data::new(whose))
            .service(web::scope("/v1").configure(routes))
            .configure(routes),
    )
    .await;
    let answer = test::call_service(&app, request.to_request()).await;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = String::from_utf8(test::read_body(answer).await.to_vec()).unwrap();
    Answer { status, headers, body }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    kind: Option<String>,
}

async fn list(_: Allowed<LedgerRead>, filter: Query<Filter>) -> HttpResponse {
    HttpResponse::Ok().body(filter.0.kind.unwrap_or_default())
}

async fn one(_: Allowed<LedgerRead>, id: web::Path<String>) -> HttpResponse {
    HttpResponse::Ok().body(id.into_inner())
}

async fn make(caller: Allowed<LedgerRead>, command: CommandRequest) -> HttpResponse {
    HttpResponse::Ok().body(command.context(&caller, b"").on_behalf_of.unwrap_or_default())
}

async fn rebuild(_: Allowed<ProjectionRebuild>) -> HttpResponse {
    HttpResponse::Ok().finish()
}

async fn contacts(caller: Allowed<LedgerRead>) -> Result<HttpResponse, Problem> {
    caller.require::<UserReadContact>()?;
    Ok(HttpResponse::Ok().finish())
}

async fn within(caller: AllowedWithin<IncidentRead>) -> HttpResponse {
    HttpResponse::Ok().body(format!("{:?}", caller.scope()))
}

async fn whose(name: Scoped<String>) -> HttpResponse {
    HttpResponse::Ok().body(name.clone().into_inner().as_str().to_owned())
}

async fn metrics(request: HttpRequest, telemetry: web::Data<Telemetry>) -> Result<HttpResponse, Problem> {
    telemetry::metrics(request, telemetry).await
}

#[utoipa::path(get, path = "/v1/things")]
fn _get() {}

#[utoipa::path(post, path = "/v1/things")]
fn _post() {}

#[derive(utoipa::OpenApi)]
#[openapi(paths(_get, _post))]
struct Document;

fn routes(services: &mut web::ServiceConfig) {
    services
        .route("/open", web::get().to(HttpResponse::Ok))
        .route("/things", web::get().to(list))
        .route("/things", web::post().to(make))
        .route("/things/{id}", web::get().to(one))
        .route("/things/{id}/rebuild", web::post().to(rebuild))
        .route("/contacts", web::get().to(contacts))
        .route("/within", web::get().to(within))
        .route("/whose", web::get().to(whose))
        .route("/metrics", web::get().to(metrics));
}
