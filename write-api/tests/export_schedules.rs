//! Schedules of exports over HTTP: made, changed, stopped, run now, and approved once for all their runs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use actix_web::http::Method;
use common::people::{ADA, ANN, AUDREY, COLIN, Person, VERA};
use common::{Answer, Fixture, fixture, size};
use daybook_domain::approval::ApprovalStatus;
use daybook_ledger::Actor;
use daybook_ledger::commands::CommandContext;
use serde_json::{Value, json};

const PATH: &str = "/v1/export-schedules";

fn wish() -> Value {
    json!({"name": "Month end", "kind": "transactions", "cron": "0 6 1 * *", "reason": "for the auditor"})
}

/// The wish with some members in place of its own.
fn with(members: Value) -> Value {
    let mut wish = wish();
    for (name, value) in members.as_object().unwrap() {
        wish[name] = value.clone();
    }
    wish
}

async fn made(fixture: &Fixture, by: Person, wish: Value) -> String {
    let answer = by.post(fixture, PATH, wish).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()["schedule_id"].as_str().unwrap().to_owned()
}

async fn post(fixture: &Fixture, by: Person, id: &str, rest: &str, body: Value) -> Answer {
    by.post(fixture, &format!("{PATH}/{id}{rest}"), body).await
}

async fn change(fixture: &Fixture, by: Person, id: &str, body: Value) -> Answer {
    by.call(fixture, Method::PATCH, &format!("{PATH}/{id}"), &[], body).await
}

async fn approve(fixture: &Fixture, approval: &str) {
    let body = json!({"decision": "approve", "reason": "looked at it"});
    let answer = COLIN.post(fixture, &format!("/v1/approvals/{approval}/vote"), body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

async fn status_of(fixture: &Fixture, approval: &str) -> Option<ApprovalStatus> {
    fixture.approvals.find(approval).await.unwrap().aggregate.status()
}

/// A time so many days ahead.
fn ahead(days: u64) -> String {
    let now = daybook_ledger::sequencer::system_clock()();
    daybook_ledger::keys::time::rfc3339(now + i64::try_from(days).unwrap() * 86_400_000_000)
}

/// A schedule whose runs are approved, as far as whoever follows approvals has come.
async fn with_standing(fixture: &Fixture) -> (String, String) {
    let id = made(fixture, ANN, wish()).await;
    let asked = post(fixture, ANN, &id, "/standing-approval", json!({"until": ahead(30)})).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    let approval = asked.json()["approval_request_id"].as_str().unwrap().to_owned();
    approve(fixture, &approval).await;
    let context = CommandContext::new(Actor::system("export_schedules"));
    assert!(fixture.desk.runs().follow_standing(&id, &context).await.unwrap());
    (id, approval)
}

#[actix_web::test]
async fn schedule_is_made_with_defaults_and_says_when_it_runs() {
    let fixture = fixture().await;
    let answer = ANN.post(&fixture, PATH, wish()).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let schedule = answer.json();
    let id = schedule["schedule_id"].as_str().unwrap();
    assert_eq!(answer.header("location"), Some(format!("{PATH}/{id}").as_str()));
    assert_eq!((&schedule["time_zone"], &schedule["period"]), (&json!("UTC"), &json!("none")));
    assert_eq!((&schedule["format"], &schedule["status"]), (&json!("csv"), &json!("active")));
    assert_eq!((&schedule["standing"], &schedule["last_run"]), (&Value::Null, &Value::Null));
    let next = schedule["next_runs"].as_array().unwrap();
    assert_eq!(next.len(), 5);
    assert!(next.iter().all(|at| at.as_str().unwrap().contains("-01T06:00:00.000000Z")), "{next:?}");
    let zurich = with(json!({"cron": "0 6 * 7 *", "time_zone": "Europe/Zurich"}));
    let zurich = ANN.post(&fixture, PATH, zurich).await.json();
    assert!(zurich["next_runs"][0].as_str().unwrap().contains("T04:00:00.000000Z"), "summer time: {zurich}");
}

#[actix_web::test]
async fn every_fault_is_named_with_its_place() {
    let fixture = fixture().await;
    let before = size(&fixture).await;
    let faults = [
        (json!({"cron": "0 6 1 *"}), 422, "/cron"),
        (json!({"cron": "0 0 6 1 * *"}), 422, "/cron"),
        (json!({"cron": "* * * * *"}), 422, "/cron"),
        (json!({"cron": "0,10 6 * * *"}), 422, "/cron"),
        (json!({"cron": "0 0 30 2 *"}), 422, "/cron"),
        (json!({"cron": ""}), 400, "/cron"),
        (json!({"time_zone": "Mars/Olympus"}), 422, "/time_zone"),
        (json!({"period": "fortnight"}), 400, "/period"),
        (json!({"period": "day", "filters": {"start": "2026-11-01"}}), 422, "/filters"),
        (json!({"filters": {"colour": "red"}}), 400, "/filters/colour"),
        (json!({"kind": "secrets"}), 400, "/kind"),
        (json!({"name": ""}), 400, "/name"),
        (json!({"deliver_to": ["nowhere"]}), 400, "/deliver_to/0"),
        (json!({"often": true}), 400, "/often"),
        (json!({"standing_until": "tomorrow"}), 400, "/standing_until"),
    ];
    for (members, status, pointer) in faults {
        let answer = ADA.post(&fixture, PATH, with(members.clone())).await;
        assert_eq!(answer.status, status, "{members}: {}", answer.body);
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{members}: {}", answer.body);
    }
    assert_eq!(size(&fixture).await, before, "nothing of it was recorded");
    let id = made(&fixture, ANN, wish()).await;
    for until in [ahead(401), "2020-01-01T00:00:00Z".to_owned()] {
        let answer = post(&fixture, ANN, &id, "/standing-approval", json!({ "until": until })).await;
        assert_eq!(answer.problem(422, "export_schedule.until")["errors"][0]["pointer"], "/until");
    }
    let answer = change(&fixture, ANN, &id, json!({"cron": "* * * * *"})).await;
    assert_eq!(answer.problem(422, "export_schedule.too_often")["errors"][0]["pointer"], "/cron");
}

#[actix_web::test]
async fn repeat_with_the_same_key_makes_no_other_schedule() {
    let fixture = fixture().await;
    let body = with(json!({"standing_until": ahead(10)}));
    let key = [("idempotency-key", "once")];
    let first = ANN.call(&fixture, Method::POST, PATH, &key, body.clone()).await;
    let before = size(&fixture).await;
    let again = ANN.call(&fixture, Method::POST, PATH, &key, body.clone()).await;
    assert_eq!((first.status, again.status), (201, 201), "{} {}", first.body, again.body);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    for member in ["schedule_id", "approval_request_id"] {
        assert!(first.json()[member].is_string());
        assert_eq!(first.json()[member], again.json()[member]);
    }
    assert_eq!(size(&fixture).await, before, "asking again records nothing");
    let other = ANN.call(&fixture, Method::POST, PATH, &key, with(json!({"name": "Other"}))).await;
    other.problem(422, "request.idempotency_mismatch");
    // A run is asked for once, too.
    let id = first.json()["schedule_id"].as_str().unwrap().to_owned();
    let run = format!("{PATH}/{id}/run");
    let ran = ANN.call(&fixture, Method::POST, &run, &[("idempotency-key", "run")], Value::Null).await;
    let again = ANN.call(&fixture, Method::POST, &run, &[("idempotency-key", "run")], Value::Null).await;
    assert_eq!((ran.status, again.status), (202, 202), "{} {}", ran.body, again.body);
    assert_eq!(ran.json()["last_run"]["export_id"], again.json()["last_run"]["export_id"]);
    assert_eq!(again.json()["runs"], 1);
}

#[actix_web::test]
async fn schedule_is_its_makers_and_others_only_stop_it() {
    let fixture = fixture().await;
    VERA.post(&fixture, PATH, wish()).await.problem(403, "permission.denied");
    let id = made(&fixture, ANN, wish()).await;
    let until = json!({"until": ahead(10)});
    let theirs = [("/run", Value::Null), ("/standing-approval", until)];
    for (rest, body) in &theirs {
        // Compliance sees all exports, an administrator too; an auditor sees them and stops none.
        for other in [COLIN, ADA, AUDREY] {
            post(&fixture, other, &id, rest, body.clone()).await.problem(403, "export_schedule.not_yours");
        }
    }
    change(&fixture, COLIN, &id, json!({"format": "json"})).await.problem(403, "export_schedule.not_yours");
    let stranger = Person { email: "other@example.com", role: "analyst" };
    change(&fixture, stranger, &id, json!({"format": "json"})).await.problem(404, "export_schedule.not_found");
    let why = json!({"reason": "freeze"});
    for other in [stranger, AUDREY] {
        post(&fixture, other, &id, "/pause", why.clone()).await.problem(403, "permission.denied");
    }
    let paused = post(&fixture, COLIN, &id, "/pause", why.clone()).await;
    assert_eq!((paused.status, &paused.json()["status"]), (200, &json!("paused")), "{}", paused.body);
    assert_eq!(paused.json()["next_runs"], json!([]));
    let resumed = post(&fixture, ANN, &id, "/resume", Value::Null).await;
    assert_eq!((resumed.status, &resumed.json()["status"]), (200, &json!("active")), "{}", resumed.body);
    assert_eq!(post(&fixture, COLIN, &id, "/end", why.clone()).await.json()["status"], "ended");
    post(&fixture, ANN, &id, "/resume", Value::Null).await.problem(422, "export_schedule.ended");
    post(&fixture, ANN, "sch_nothing", "/pause", why).await.problem(404, "export_schedule.not_found");
    post(&fixture, ANN, &id, "/pause", json!({})).await.problem(400, "request.invalid");
}

#[actix_web::test]
async fn run_now_waits_for_an_approval_of_its_own_unless_there_is_a_standing_one() {
    let fixture = fixture().await;
    let (id, approval) = with_standing(&fixture).await;
    let ran = post(&fixture, ANN, &id, "/run", Value::Null).await;
    assert_eq!(ran.status, 200, "{}", ran.body);
    let shown = ran.json();
    assert_eq!(
        (&shown["standing"]["status"], &shown["standing"]["approval_id"]),
        (&json!("approved"), &json!(approval))
    );
    assert_eq!((&shown["last_run"]["rests_on"], &shown["approval_request_id"]), (&json!("standing"), &Value::Null));
    assert_eq!((&shown["last_run"]["cause"], &shown["last_run"]["by"]), (&json!("asked"), &json!(ANN.id())));
    // Any change is something else than what was agreed to.
    let changed = change(&fixture, ANN, &id, json!({"columns": ["transaction_id"]})).await;
    assert_eq!((changed.status, &changed.json()["revision"]), (200, &json!(2)), "{}", changed.body);
    let ran = post(&fixture, ANN, &id, "/run", Value::Null).await;
    assert_eq!(ran.status, 202, "{}", ran.body);
    let (run, waits) = (ran.json()["last_run"].clone(), ran.json()["approval_request_id"].clone());
    assert_eq!((&run["rests_on"], &run["approval_id"]), (&json!("own"), &waits));
    let export = common::exports::export(&fixture, run["export_id"].as_str().unwrap()).await.aggregate;
    let request = export.request().unwrap();
    assert_eq!(
        (request.requested_by.as_str(), request.columns.as_slice()),
        (ANN.id().as_str(), &["transaction_id".to_owned()][..])
    );
    assert_eq!(request.schedule.as_ref().unwrap().schedule_id.as_str(), id);
    assert_eq!(status_of(&fixture, waits.as_str().unwrap()).await, Some(ApprovalStatus::Pending));
}

#[actix_web::test]
async fn standing_approval_is_taken_back_and_so_is_the_request_for_one() {
    let fixture = fixture().await;
    let (id, _) = with_standing(&fixture).await;
    let path = format!("{PATH}/{id}/standing-approval");
    let ended = COLIN.call(&fixture, Method::DELETE, &path, &[], Value::Null).await;
    assert_eq!(ended.status, 200, "{}", ended.body);
    assert_eq!(ended.json()["standing"]["ended_because"], "revoked");
    let again = COLIN.call(&fixture, Method::DELETE, &path, &[], Value::Null).await;
    again.problem(422, "export_schedule.no_standing_approval");
    // One that nobody has decided on yet, replaced, then taken back.
    let mut requests = Vec::new();
    for days in [20, 40] {
        let asked = post(&fixture, ANN, &id, "/standing-approval", json!({"until": ahead(days)})).await;
        assert_eq!((asked.status, &asked.json()["standing"]["status"]), (202, &json!("pending")), "{}", asked.body);
        requests.push(asked.json()["approval_request_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(status_of(&fixture, &requests[0]).await, Some(ApprovalStatus::Withdrawn));
    assert_eq!(status_of(&fixture, &requests[1]).await, Some(ApprovalStatus::Pending));
    let ended = ANN.call(&fixture, Method::DELETE, &path, &[], Value::Null).await;
    assert_eq!(
        (ended.status, &ended.json()["standing"]["ended_because"]),
        (200, &json!("withdrawn")),
        "{}",
        ended.body
    );
    assert_eq!(status_of(&fixture, &requests[1]).await, Some(ApprovalStatus::Withdrawn));
    // The end of a schedule ends what is asked for it, whoever ends it.
    let asked = post(&fixture, ANN, &id, "/standing-approval", json!({"until": ahead(20)})).await.json();
    assert_eq!(post(&fixture, COLIN, &id, "/end", json!({"reason": "over"})).await.status, 200);
    let status = status_of(&fixture, asked["approval_request_id"].as_str().unwrap()).await;
    assert_eq!(status, Some(ApprovalStatus::Voided));
}
