//! A real ledger in a folder of its own, and the app around it as the binary mounts it.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

pub mod exports;
pub mod people;

use std::sync::Arc;

use actix_web::http::{Method, StatusCode, header::HeaderMap};
use actix_web::{test, web};
use daybook_approvals::Approvals;
use daybook_exports::ExportFiles;
use daybook_http_kit::{HttpKit, IdentityConfig, Organizations, RouteTable, Secret, Telemetry};
use daybook_identity::directory::Directory;
use daybook_identity::personal::PersonalData;
use daybook_identity::vault::{MasterKey, Vault};
use daybook_ledger::sequencer::{Unobserved, system_clock};
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Ledger, LedgerId};
use daybook_write_api::WriteState;
use daybook_write_api::exports::ExportDesk;
use serde_json::Value;

pub const TOKEN: &str = "test-operator-token";

pub struct Fixture {
    pub ledger: Ledger,
    pub state: WriteState,
    pub approvals: Approvals,
    pub telemetry: Telemetry,
    pub files: ExportFiles,
    pub desk: ExportDesk,
    _folder: tempfile::TempDir,
}

pub async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
    let ledger = Ledger::open(store, LedgerId::main(), system_clock(), Arc::new(Unobserved)).await.unwrap();
    let state = WriteState::new(ledger.clone(), system_clock());
    let master = MasterKey::from_hex(&"0a".repeat(32)).unwrap();
    let vault = Vault::open_sqlite(folder.path().join("vault.db"), master).await.unwrap();
    let directory = Directory::open(ledger.reader().clone(), vault.clone()).await.unwrap();
    let personal = PersonalData::new(vault, LedgerId::main());
    let approvals = Approvals::new(ledger.clone(), directory, personal, system_clock()).with_development(true);
    let files = ExportFiles::open(folder.path().join("exports")).unwrap();
    let desk = ExportDesk::new(ledger.clone(), approvals.clone(), files.clone(), system_clock())
        .with_destinations(["archive", "mail"].map(|name| name.parse().unwrap()));
    let telemetry = Telemetry::new().unwrap();
    Fixture { ledger, state, approvals, telemetry, files, desk, _folder: folder }
}

/// Who is believed: the operator's token, and development headers.
pub fn identity() -> IdentityConfig {
    IdentityConfig::new(Some(Secret::new(TOKEN)), true)
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn lines(&self) -> Vec<Value> {
        self.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Asserts that it is a problem in every respect.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.body);
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("/problems/{code}"));
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"));
        problem
    }
}

/// One request. `headers` without credentials get the operator's token unless they name `x-user-role`.
pub async fn call(fixture: &Fixture, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    call_with(HttpKit::new(identity(), RouteTable::default()), fixture, method, path, headers, body).await
}

/// The same with other callers.
pub async fn call_with(
    mut kit: HttpKit,
    fixture: &Fixture,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Answer {
    kit.routes = RouteTable::new(&[daybook_write_api::openapi()]);
    let app = test::init_service(
        daybook_http_kit::app(&kit)
            .app_data(web::Data::new(Organizations::single(LedgerId::main(), fixture.state.clone())))
            .app_data(web::Data::new(Organizations::single(LedgerId::main(), fixture.approvals.clone())))
            .app_data(web::Data::new(Organizations::single(LedgerId::main(), fixture.desk.clone())))
            .app_data(web::Data::new(fixture.telemetry.clone()))
            .service(web::scope("/v1").configure(daybook_write_api::configure))
            .configure(daybook_write_api::configure),
    )
    .await;
    let mut request = test::TestRequest::with_uri(path).method(method);
    let names: Vec<_> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    if !names.iter().any(|name| name == "x-user-role" || name == "authorization" || name == "anonymous") {
        request = request.insert_header(("authorization", format!("Bearer {TOKEN}")));
    }
    if !names.iter().any(|name| name == "content-type") {
        request = request.insert_header(("content-type", "application/json"));
    }
    for (name, value) in headers.iter().filter(|(name, _)| *name != "anonymous") {
        request = request.append_header((*name, *value));
    }
    let answer = test::call_service(&app, request.set_payload(body).to_request()).await;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = String::from_utf8(test::read_body(answer).await.to_vec()).unwrap();
    assert!(headers.contains_key("x-request-id"), "every answer has a request id");
    assert_eq!(headers.get("x-content-type-options").unwrap(), "nosniff");
    Answer { status, headers, body }
}

pub async fn post(fixture: &Fixture, path: &str, body: &str) -> Answer {
    call(fixture, Method::POST, path, &[], body.as_bytes().to_vec()).await
}

pub async fn post_with(fixture: &Fixture, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    call(fixture, Method::POST, path, headers, body.as_bytes().to_vec()).await
}

pub async fn size(fixture: &Fixture) -> u64 {
    fixture.ledger.head().await.unwrap().size
}

pub fn created() -> u16 {
    StatusCode::CREATED.as_u16()
}
