//! Exports over HTTP: asked for, approved by somebody else, taken once; stopped, delivered once more, verified.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use actix_web::http::Method;
use common::exports::{ROWS, export, make};
use common::people::{ADA, ANN, AUDREY, COLIN, Person, VERA};
use common::{Answer, Fixture, fixture, size};
use daybook_domain::approval::ApprovalStatus;
use daybook_domain::export::{DeliveryOutcome, ExportCommand, ExportStatus, VerificationStatus};
use daybook_ledger::Actor;
use daybook_ledger::commands::CommandContext;
use daybook_write_api::exports::ExportDesk;
use serde_json::{Value, json};

const TRANSACTIONS: &str = "/v1/transactions/export?status=pending&start=2026-11-01&format=csv";

async fn get(fixture: &Fixture, person: Person, path: &str) -> Answer {
    person.call(fixture, Method::GET, path, &[], Value::Null).await
}

async fn vote(fixture: &Fixture, person: Person, approval: &str, decision: &str) -> Answer {
    let body = json!({"decision": decision, "reason": "looked at it"});
    person.post(fixture, &format!("/v1/approvals/{approval}/vote"), body).await
}

async fn ask(fixture: &Fixture, person: Person, body: Value) -> Value {
    let answer = person.post(fixture, "/v1/exports", body).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.json()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {pointer} in {value}"))
}

/// An export of transactions with its file.
async fn made(fixture: &Fixture, body: Value) -> String {
    let asked = ask(fixture, ANN, body).await;
    vote(fixture, COLIN, text(&asked, "/approval_request_id"), "approve").await;
    let id = text(&asked, "/export/id").to_owned();
    make(fixture, &id, ROWS).await;
    id
}

async fn approval_status(fixture: &Fixture, export_id: &str) -> Option<ApprovalStatus> {
    let request = export(fixture, export_id).await.aggregate.request().unwrap().clone();
    fixture.approvals.find(request.approval_id.as_str()).await.unwrap().aggregate.status()
}

async fn events(fixture: &Fixture, event_type: &str) -> usize {
    let entries = fixture.ledger.entries(0, 10_000).await.unwrap();
    entries.iter().filter(|entry| entry.event_type == event_type).count()
}

#[actix_web::test]
async fn predecessors_flow_asks_waits_and_hands_the_file_out_once() {
    let fixture = fixture().await;
    let first = get(&fixture, ANN, TRANSACTIONS).await;
    assert_eq!(first.status, 202, "{}", first.body);
    let first = first.json();
    assert_eq!((text(&first, "/detail"), text(&first, "/status")), ("Export requires approval", "pending"));
    let (approval, id) = (text(&first, "/approval_request_id"), text(&first, "/export/id"));
    let before = size(&fixture).await;
    let again = get(&fixture, ANN, TRANSACTIONS).await.json();
    assert_eq!((text(&again, "/approval_request_id"), text(&again, "/export/id")), (approval, id));
    assert_eq!(size(&fixture).await, before, "asking again records nothing");
    // Another format is another export, and so is another person's.
    let json = get(&fixture, ANN, &TRANSACTIONS.replace("csv", "json")).await.json();
    assert_ne!(text(&json, "/approval_request_id"), approval);
    let other = get(&fixture, ADA, TRANSACTIONS).await.json();
    assert_ne!(text(&other, "/export/id"), id);

    vote(&fixture, ANN, approval, "approve").await.problem(403, "approval.self_approval");
    assert_eq!(vote(&fixture, COLIN, approval, "approve").await.status, 200);
    make(&fixture, id, ROWS).await;
    let file = get(&fixture, ANN, TRANSACTIONS).await;
    assert_eq!((file.status, file.body.as_str()), (200, ROWS));
    let generated = export(&fixture, id).await.aggregate.generated().unwrap().clone();
    assert_eq!(file.header("x-content-sha256"), Some(generated.sha256.as_str()));
    assert_eq!(file.header("x-content-signature"), Some(generated.signature.value.as_str()));
    let disposition = format!("attachment; filename=\"{}\"", generated.file);
    assert_eq!(file.header("content-disposition"), Some(disposition.as_str()));
    assert!(export(&fixture, id).await.aggregate.collected().is_some());
    assert_eq!(events(&fixture, "export.collected").await, 1);
    let anew = get(&fixture, ANN, TRANSACTIONS).await;
    assert_eq!(anew.status, 202);
    assert_ne!(text(&anew.json(), "/approval_request_id"), approval, "an approval is used once");
}

/// Asks as a predecessor's client does, and makes the file.
async fn waiting_to_be_taken(fixture: &Fixture) -> String {
    let first = get(fixture, ANN, TRANSACTIONS).await.json();
    assert_eq!(vote(fixture, COLIN, text(&first, "/approval_request_id"), "approve").await.status, 200);
    let id = text(&first, "/export/id").to_owned();
    make(fixture, &id, ROWS).await;
    id
}

#[actix_web::test]
async fn file_that_was_changed_is_not_handed_out_and_that_is_recorded() {
    let fixture = fixture().await;
    let id = waiting_to_be_taken(&fixture).await;
    let name = export(&fixture, &id).await.aggregate.generated().unwrap().file.to_string();
    let path = fixture.files.path(&name).unwrap();
    // As long as it was, and longer.
    for changed in [ROWS.replace("10.50", "99.50"), format!("{ROWS}TX-3,1.00\r\n")] {
        std::fs::write(&path, changed).unwrap();
        get(&fixture, ANN, TRANSACTIONS).await.problem(409, "export.tampered");
        let found = export(&fixture, &id).await.aggregate;
        assert_eq!(found.verification_status(), VerificationStatus::Tampered);
        assert!(found.collected().is_none());
    }
    std::fs::write(&path, ROWS).unwrap();
    assert_eq!(get(&fixture, ANN, TRANSACTIONS).await.body, ROWS);
}

#[actix_web::test]
async fn lost_file_is_recorded_as_removed_and_asked_for_anew() {
    let fixture = fixture().await;
    let id = waiting_to_be_taken(&fixture).await;
    let name = export(&fixture, &id).await.aggregate.generated().unwrap().file.to_string();
    std::fs::remove_file(fixture.files.path(&name).unwrap()).unwrap();
    let next = get(&fixture, ANN, TRANSACTIONS).await;
    assert_eq!(next.status, 202, "{}", next.body);
    assert_ne!(text(&next.json(), "/export/id"), id);
    assert_eq!(export(&fixture, &id).await.aggregate.status(), Some(ExportStatus::Removed));
}

/// Says something in the ledger that nobody here has a route for.
async fn says(fixture: &Fixture, stream: (&str, &str), version: u64, event: &str, payload: Value) {
    use daybook_ledger::{Actor, Append, Draft, StreamKey};
    let append = Append {
        stream: StreamKey::new(stream.0, stream.1).unwrap(),
        expected_version: version,
        events: vec![Draft::new(event, 1, payload.to_string())],
        actor: Actor::human("usr_9"),
        metadata: "{}".to_owned(),
        command: None,
    };
    fixture.ledger.append(append).await.unwrap();
}

async fn hold(fixture: &Fixture, id: &str, export: &str) {
    let covers = json!([{"kind": "stream", "stream_type": "export", "stream_id": export}]);
    let placed = json!({"hold_id": id, "matter": "M", "reason": "Dispute", "covers": covers});
    says(fixture, ("legal_hold", id), 0, "legal_hold.placed", placed).await;
}

#[actix_web::test]
async fn lost_file_under_a_hold_is_asked_for_anew_and_not_said_to_be_removed() {
    let fixture = fixture().await;
    let id = waiting_to_be_taken(&fixture).await;
    hold(&fixture, "hld_1", &id).await;
    let name = export(&fixture, &id).await.aggregate.generated().unwrap().file.to_string();
    std::fs::remove_file(fixture.files.path(&name).unwrap()).unwrap();
    let next = get(&fixture, ANN, TRANSACTIONS).await;
    assert_eq!(next.status, 202, "{}", next.body);
    assert_ne!(text(&next.json(), "/export/id"), id);
    assert_eq!(export(&fixture, &id).await.aggregate.status(), Some(ExportStatus::Generated));
    // The next call is about the new one.
    let again = get(&fixture, ANN, TRANSACTIONS).await;
    assert_eq!(text(&again.json(), "/export/id"), text(&next.json(), "/export/id"));
}

#[actix_web::test]
async fn removal_waits_for_whoever_places_a_hold_and_is_refused_by_it() {
    let fixture = fixture().await;
    let id = made(&fixture, json!({"kind": "transactions"})).await;
    let path = format!("/v1/exports/{id}/remove");
    let count = || std::fs::read_dir(fixture.files.folder()).unwrap().count();
    let custody = fixture.approvals.directory().custody().await.unwrap();
    let mut removing = std::pin::pin!(COLIN.post(&fixture, &path, json!({"reason": "Tidying up"})));
    let waited = tokio::time::timeout(std::time::Duration::from_millis(300), &mut removing).await;
    assert!(waited.is_err(), "it does not wait");
    hold(&fixture, "hld_1", &id).await;
    hold(&fixture, "hld_2", &id).await;
    drop(custody);
    let problem = removing.await.problem(409, "export.held");
    let holds = json!([{"hold_id": "hld_1", "matter": "M"}, {"hold_id": "hld_2", "matter": "M"}]);
    assert_eq!(problem["holds"], holds);
    assert_eq!((count(), events(&fixture, "export.removed").await), (3, 0));
    for hold in ["hld_1", "hld_2"] {
        COLIN.post(&fixture, &path, json!({"reason": "Tidying up"})).await.problem(409, "export.held");
        says(&fixture, ("legal_hold", hold), 1, "legal_hold.released", json!({"reason": "Settled"})).await;
    }
    let rule = json!({"record_type": "export", "version": 1, "class": "three_years", "years": 3,
        "keeps_identities": false, "by": "usr_9", "reason": "17a-4(b)", "approval_id": "apr_90"});
    says(&fixture, ("retention_rule", "export"), 0, "retention_rule.set", rule).await;
    let problem = COLIN.post(&fixture, &path, json!({"reason": "Tidying up"})).await.problem(409, "export.retained");
    assert!(problem["keep_until"].as_str().unwrap() > "2028");
    assert_eq!((count(), events(&fixture, "export.removed").await), (3, 0));
}

#[actix_web::test]
async fn file_that_nobody_fetched_in_time_is_asked_for_anew() {
    let mut fixture = fixture().await;
    let id = waiting_to_be_taken(&fixture).await;
    let a_day: i64 = 24 * 3600 * 1_000_000;
    let clock = move || daybook_ledger::sequencer::system_clock()() + a_day + 60_000_000;
    let (ledger, approvals, files) = (fixture.ledger.clone(), fixture.approvals.clone(), fixture.files.clone());
    fixture.desk = ExportDesk::new(ledger, approvals, files, std::sync::Arc::new(clock));
    let next = get(&fixture, ANN, TRANSACTIONS).await;
    assert_eq!(next.status, 202, "{}", next.body);
    assert_ne!(text(&next.json(), "/export/id"), id);
    assert!(export(&fixture, &id).await.aggregate.collected().is_none());
}

#[actix_web::test]
async fn removed_export_leaves_no_file_behind() {
    let fixture = fixture().await;
    let id = made(&fixture, json!({"kind": "transactions"})).await;
    let path = format!("/v1/exports/{id}/remove");
    let count = || std::fs::read_dir(fixture.files.folder()).unwrap().count();
    assert_eq!(count(), 3);
    ANN.post(&fixture, &path, json!({"reason": "Tidying up"})).await.problem(403, "permission.denied");
    COLIN.post(&fixture, &path, json!({})).await.problem(400, "request.invalid");
    let removed = COLIN.post(&fixture, &path, json!({"reason": "Its time is over"})).await;
    assert_eq!((removed.status, &removed.json()["status"]), (200, &json!("removed")), "{}", removed.body);
    assert_eq!((count(), events(&fixture, "export.removed").await), (0, 1));
    assert_eq!(COLIN.post(&fixture, &path, json!({"reason": "Its time is over"})).await.status, 200);
    assert_eq!(events(&fixture, "export.removed").await, 1);
    COLIN.post(&fixture, &format!("/v1/exports/{id}/verify"), Value::Null).await.problem(422, "export.no_file");
}

#[actix_web::test]
async fn after_a_rejection_the_next_call_asks_anew() {
    let fixture = fixture().await;
    let first = get(&fixture, ANN, TRANSACTIONS).await.json();
    let approval = text(&first, "/approval_request_id");
    assert_eq!(vote(&fixture, COLIN, approval, "reject").await.status, 200);
    let next = get(&fixture, ANN, TRANSACTIONS).await;
    assert_eq!(next.status, 202);
    assert_ne!(text(&next.json(), "/approval_request_id"), approval);
}

#[actix_web::test]
async fn call_that_comes_before_the_file_waits_for_it() {
    let fixture = fixture().await;
    let (_stop, stopping) = tokio::sync::watch::channel(false);
    tokio::spawn(fixture.approvals.directory().clone().run(stopping));
    let first = get(&fixture, ANN, TRANSACTIONS).await.json();
    vote(&fixture, COLIN, text(&first, "/approval_request_id"), "approve").await;
    let making = async {
        make(&fixture, text(&first, "/export/id"), ROWS).await;
    };
    let (file, ()) = tokio::join!(get(&fixture, ANN, TRANSACTIONS), making);
    assert_eq!((file.status, file.body.as_str()), (200, ROWS));
}

#[actix_web::test]
async fn what_is_asked_for_is_exactly_what_is_approved() {
    let fixture = fixture().await;
    let body = json!({
        "kind": "transactions", "format": "ndjson", "filters": {"status": "pending", "end": "2026-11-30"},
        "columns": ["amount", "currency"], "deliver_to": ["archive"], "reason": "Quarter end",
    });
    let asked = ask(&fixture, ANN, body).await;
    let approval = fixture.approvals.find(text(&asked, "/approval_request_id")).await.unwrap().aggregate;
    let action = approval.action().unwrap();
    assert_eq!(approval.digest().unwrap().as_str(), text(&asked, "/export/digest"));
    assert_eq!(
        (action.action.as_str(), action.resource_id.as_str()),
        ("export.transactions", text(&asked, "/export/id"))
    );
    for (name, value) in [
        ("kind", "transactions"),
        ("format", "ndjson"),
        ("filter.status", "pending"),
        ("filter.end", "2026-11-30T23:59:59.999999Z"),
        ("columns", "amount,currency"),
        ("deliver_to", "archive"),
    ] {
        assert_eq!(action.parameters.get(name).map(String::as_str), Some(value), "{name}");
    }
    let plain = ask(&fixture, ANN, json!({"kind": "transactions"})).await;
    let columns = plain["export"]["columns"].as_array().unwrap();
    assert!(columns.len() > 5, "the columns are named, also where none were asked for: {plain}");
}

#[actix_web::test]
async fn repeat_of_a_request_finds_the_same_export_and_approval() {
    let fixture = fixture().await;
    let key = [("idempotency-key", "k1")];
    let body = json!({"kind": "transactions", "filters": {"status": "pending"}});
    let first = ANN.call(&fixture, Method::POST, "/v1/exports", &key, body.clone()).await;
    let before = size(&fixture).await;
    let again = ANN.call(&fixture, Method::POST, "/v1/exports", &key, body).await;
    assert_eq!((first.status, again.status, again.header("idempotency-replayed")), (202, 202, Some("true")));
    let (first, again) = (first.json(), again.json());
    assert_eq!(first["approval_request_id"], again["approval_request_id"]);
    assert_eq!(first["export"]["id"], again["export"]["id"]);
    assert_eq!(size(&fixture).await, before);
    let other = json!({"kind": "incidents"});
    let other = ANN.call(&fixture, Method::POST, "/v1/exports", &key, other).await;
    other.problem(422, "request.idempotency_mismatch");
}

#[actix_web::test]
async fn what_is_not_known_is_refused_where_it_stands_and_nothing_is_recorded() {
    let fixture = fixture().await;
    let before = size(&fixture).await;
    for (body, pointer) in [
        (json!({"kind": "secrets"}), "/kind"),
        (json!({"kind": "transactions", "format": "xls"}), "/format"),
        (json!({"kind": "transactions", "filters": {"is_anomaly": true}}), "/filters/is_anomaly"),
        (json!({"kind": "transactions", "filters": {"status": "late"}}), "/filters/status"),
        (json!({"kind": "transactions", "filters": {"status": null}}), "/filters/status"),
        (json!({"kind": "transactions", "columns": ["hashed_password"]}), "/columns"),
        (json!({"kind": "transactions", "columns": ["amount", "amount"]}), "/columns"),
        (json!({"kind": "transactions", "deliver_to": ["archive", "elsewhere"]}), "/deliver_to/1"),
        (json!({"kind": "transactions", "deliver_to": ["archive", "archive"]}), "/deliver_to/1"),
        (json!({"kind": "transactions", "colour": "red"}), "/colour"),
        (json!({}), "/kind"),
    ] {
        let problem = ANN.post(&fixture, "/v1/exports", body.clone()).await.problem(400, "request.invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
    }
    for (path, code) in [
        ("/transactions/export?colour=red", "request.unknown_parameter"),
        ("/api/audit_trail/export?limit=some", "request.invalid_parameter"),
        ("/transactions/export?status=late", "request.invalid_parameter"),
        ("/transactions/export?format=xls", "request.invalid_parameter"),
        ("/incidents/export?start=2026-02-02&end=2026-02-01", "request.invalid_parameter"),
    ] {
        get(&fixture, ANN, path).await.problem(400, code);
    }
    let anomalies = get(&fixture, ANN, "/transactions/export?is_anomaly=true").await;
    anomalies.problem(422, "export.anomalies_not_recorded");
    assert_eq!(size(&fixture).await, before);
}

#[actix_web::test]
async fn limit_and_approver_are_part_of_what_is_approved() {
    let fixture = fixture().await;
    for (path, name, value) in [
        ("/api/audit_trail/export?limit=100", "filter.limit", "100"),
        ("/audit/actions/export?approved_by=usr_9", "filter.approved_by", "usr_9"),
    ] {
        let asked = get(&fixture, AUDREY, path).await;
        assert_eq!(asked.status, 202, "{path}: {}", asked.body);
        let approval = fixture.approvals.find(text(&asked.json(), "/approval_request_id")).await.unwrap().aggregate;
        assert_eq!(approval.action().unwrap().parameters.get(name).map(String::as_str), Some(value), "{path}");
    }
}

#[actix_web::test]
async fn export_that_nobody_could_be_asked_to_approve_is_not_recorded() {
    let fixture = fixture().await;
    let path = "/v1/approval-policies/export.transactions";
    let terms = json!({"steps": [{"clauses": [{"votes": 1, "from": [{"role": "compliance"}]}]}]});
    // No export has an amount.
    let rules = json!([{"amount_at_least": {"amount": "1000", "currency": "USD"}, "terms": terms}, {"terms": terms}]);
    let body = json!({"rules": rules, "reason": "large ones first"});
    let put = async || ADA.call(&fixture, Method::PUT, path, &[], body.clone()).await;
    let blocked = put().await.json();
    assert_eq!(vote(&fixture, COLIN, text(&blocked, "/approval_request_id"), "approve").await.status, 200);
    let made = put().await;
    assert!([200, 201].contains(&made.status), "{}", made.body);
    let before = size(&fixture).await;
    let asked = ANN.post(&fixture, "/v1/exports", json!({"kind": "transactions"})).await;
    asked.problem(422, "approval.amount_required");
    get(&fixture, ANN, TRANSACTIONS).await.problem(422, "approval.amount_required");
    assert_eq!(size(&fixture).await, before);
}

#[actix_web::test]
async fn nobody_exports_what_he_may_not_read() {
    let fixture = fixture().await;
    let before = size(&fixture).await;
    let missing = |problem: Value| text(&problem, "/missing_permission").to_owned();
    let body = json!({"kind": "users"});
    let problem = ANN.post(&fixture, "/v1/exports", body.clone()).await.problem(403, "permission.denied");
    assert_eq!(missing(problem), "user:list");
    assert_eq!(missing(get(&fixture, ANN, "/users/export").await.problem(403, "permission.denied")), "user:list");
    let problem = VERA.post(&fixture, "/v1/exports", body).await.problem(403, "permission.denied");
    assert_eq!(missing(problem), "export:request");
    assert_eq!(size(&fixture).await, before);
    let names = json!({"kind": "users", "columns": ["user_id", "email"]});
    assert_eq!(ask(&fixture, AUDREY, names).await["export"]["columns"], json!(["user_id", "email"]));
    let plain = ask(&fixture, AUDREY, json!({"kind": "users"})).await;
    assert!(!plain["export"]["columns"].as_array().unwrap().contains(&json!("email")), "{plain}");
}

#[actix_web::test]
async fn records_of_exports_are_not_written_down_by_hand() {
    let fixture = fixture().await;
    let record = json!({"export_type": "transactions", "file_path": "/tmp/x.csv", "hash": "00"});
    for path in ["/exports", "/v1/exports/"] {
        let problem = COLIN.post(&fixture, path, record.clone()).await.problem(422, "export.made_not_recorded");
        assert_eq!(problem["errors"][0]["pointer"], "/export_type");
    }
    let id = text(&ask(&fixture, ANN, json!({"kind": "transactions"})).await, "/export/id").to_owned();
    let path = format!("/exports/{id}?delivery_status=delivered");
    COLIN.call(&fixture, Method::PATCH, &path, &[], Value::Null).await.problem(422, "export.facts");
    COLIN.call(&fixture, Method::PATCH, "/exports/exp_none", &[], Value::Null).await.problem(404, "export.not_found");
}

#[actix_web::test]
async fn export_is_stopped_by_its_requester_or_by_whoever_manages_exports() {
    let fixture = fixture().await;
    let id = |asked: &Value| text(asked, "/export/id").to_owned();
    let own = id(&ask(&fixture, ANN, json!({"kind": "transactions"})).await);
    let answer = ANN.post(&fixture, &format!("/v1/exports/{own}/cancel"), json!({"reason": "Not needed"})).await;
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("cancelled")), "{}", answer.body);
    assert_eq!(approval_status(&fixture, &own).await, Some(ApprovalStatus::Withdrawn));
    let others = id(&ask(&fixture, COLIN, json!({"kind": "transactions"})).await);
    let cancel = format!("/v1/exports/{others}/cancel");
    ANN.post(&fixture, &cancel, Value::Null).await.problem(403, "permission.denied");
    assert_eq!(ADA.post(&fixture, &cancel, Value::Null).await.status, 200);
    assert_eq!(approval_status(&fixture, &others).await, Some(ApprovalStatus::Voided));
    assert_eq!(ADA.post(&fixture, &cancel, Value::Null).await.status, 200, "a repeat finds nothing left to do");
    ADA.post(&fixture, "/v1/exports/exp_none/cancel", Value::Null).await.problem(404, "export.not_found");
    let made = made(&fixture, json!({"kind": "transactions"})).await;
    let late = ADA.post(&fixture, &format!("/v1/exports/{made}/cancel"), Value::Null).await;
    late.problem(422, "export.too_late_to_cancel");
    assert_eq!(export(&fixture, &made).await.aggregate.status(), Some(ExportStatus::Generated));
}

#[actix_web::test]
async fn export_goes_once_more_to_where_it_was_approved_to_go() {
    let fixture = fixture().await;
    let id = made(&fixture, json!({"kind": "transactions", "deliver_to": ["archive", "mail"]})).await;
    let path = format!("/v1/exports/{id}/redeliver");
    ANN.post(&fixture, &path, Value::Null).await.problem(403, "permission.denied");
    let first = COLIN.post(&fixture, &path, json!({"destinations": ["archive"]})).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let under_way = COLIN.post(&fixture, &path, json!({"destinations": ["archive"]})).await;
    under_way.problem(422, "export.delivery_under_way");
    // All that are not under way.
    assert_eq!(COLIN.post(&fixture, &path, Value::Null).await.json()["deliveries"].as_array().unwrap().len(), 2);
    COLIN.post(&fixture, &path, Value::Null).await.problem(422, "export.delivery_under_way");
    // One that was given up is delivered anew, under another id.
    let delivery = export(&fixture, &id).await.aggregate.deliveries()[0].clone();
    let dead = ExportCommand::RecordDeliveryAttempt {
        delivery_id: delivery.delivery_id.clone(),
        attempt: 1,
        outcome: DeliveryOutcome::Dead,
        detail: None,
        retry_at: None,
        at: daybook_domain::Timestamp::parse("", "2026-11-21T10:00:00Z").unwrap(),
    };
    let context = CommandContext::new(Actor::system("driver"));
    common::exports::commands(&fixture).execute(&id, dead, context).await.unwrap();
    let again = COLIN.post(&fixture, &path, Value::Null).await.json();
    assert_eq!(again["deliveries"].as_array().unwrap().len(), 3, "{again}");
    assert_ne!(text(&again, "/deliveries/2/delivery_id"), delivery.delivery_id.as_str());
    let elsewhere = COLIN.post(&fixture, &path, json!({"destinations": ["elsewhere"]})).await;
    elsewhere.problem(422, "export.destination_not_approved");
    let nowhere = made(&fixture, json!({"kind": "transactions"})).await;
    let nowhere = COLIN.post(&fixture, &format!("/v1/exports/{nowhere}/redeliver"), Value::Null).await;
    nowhere.problem(422, "export.no_destination");
}
