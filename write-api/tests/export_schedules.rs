//! Schedules of exports over HTTP: made, changed, stopped, run now, and approved once for all their runs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use actix_web::http::Method;
use common::people::{ADA, ANN, AUDREY, COLIN, Person, VERA};
use common::{Answer, Fixture, fixture, size};
use daybook_domain::approval::ApprovalStatus;
use daybook_domain::export_schedule::MAX_SCHEDULES;
use daybook_ledger::commands::CommandContext;
use daybook_ledger::{Actor, Append, Draft, StreamKey};
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
    // Whoever may not see it does not learn that it is there.
    for rest in ["/pause", "/end", "/resume", "/run"] {
        let body = if rest == "/pause" || rest == "/end" { why.clone() } else { Value::Null };
        post(&fixture, stranger, &id, rest, body).await.problem(404, "export_schedule.not_found");
    }
    let standing = format!("{PATH}/{id}/standing-approval");
    let taken = stranger.call(&fixture, Method::DELETE, &standing, &[], Value::Null).await;
    taken.problem(404, "export_schedule.not_found");
    post(&fixture, AUDREY, &id, "/pause", why.clone()).await.problem(403, "permission.denied");
    let paused = post(&fixture, ANN, &id, "/pause", why.clone()).await;
    assert_eq!((paused.status, &paused.json()["status"]), (200, &json!("paused")), "{}", paused.body);
    assert_eq!((&paused.json()["next_runs"], &paused.json()["paused_by_other"]), (&json!([]), &json!(false)));
    assert_eq!(post(&fixture, ANN, &id, "/resume", Value::Null).await.status, 200);
    // Who pauses another's schedule binds its owner.
    let paused = post(&fixture, COLIN, &id, "/pause", why.clone()).await;
    assert_eq!((paused.status, &paused.json()["paused_by"]), (200, &json!(COLIN.id())), "{}", paused.body);
    for rest in ["/resume", "/run"] {
        let refused = post(&fixture, ANN, &id, rest, Value::Null).await;
        let problem = refused.problem(403, "export_schedule.paused_by_other");
        assert!(problem["detail"].as_str().unwrap().contains(&COLIN.id()), "{problem}");
    }
    assert_eq!(post(&fixture, ADA, &id, "/resume", Value::Null).await.json()["status"], "active");
    let resumed = post(&fixture, ANN, &id, "/resume", Value::Null).await;
    assert_eq!((resumed.status, &resumed.json()["status"]), (200, &json!("active")), "{}", resumed.body);
    assert_eq!(post(&fixture, COLIN, &id, "/end", why.clone()).await.json()["status"], "ended");
    post(&fixture, ANN, &id, "/resume", Value::Null).await.problem(422, "export_schedule.ended");
    post(&fixture, ANN, "sch_nothing", "/pause", why).await.problem(404, "export_schedule.not_found");
    post(&fixture, ANN, &id, "/pause", json!({})).await.problem(400, "request.invalid");
}

#[actix_web::test]
async fn schedule_whose_standing_approval_is_refused_is_not_made() {
    let fixture = fixture().await;
    let before = size(&fixture).await;
    for until in [ahead(401), "2020-01-01T00:00:00Z".to_owned()] {
        let answer = ANN.post(&fixture, PATH, with(json!({ "standing_until": until }))).await;
        let problem = answer.problem(422, "export_schedule.until");
        assert_eq!(problem["errors"][0]["pointer"], "/standing_until");
        assert!(!problem["detail"].as_str().unwrap().contains("export_schedule.until"), "{problem}");
    }
    assert_eq!(size(&fixture).await, before, "no schedule is left behind");
}

#[actix_web::test]
async fn repeat_of_an_older_call_ends_no_newer_request() {
    let fixture = fixture().await;
    let id = made(&fixture, ANN, wish()).await;
    let path = format!("{PATH}/{id}");
    let standing = format!("{path}/standing-approval");
    let until = [ahead(10), ahead(20), ahead(30)];
    let ask = async |number: usize| {
        let key = format!("ask-{number}");
        let body = json!({ "until": until[number] });
        let answer = ANN.call(&fixture, Method::POST, &standing, &[("idempotency-key", &key)], body).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.json()["approval_request_id"].as_str().unwrap().to_owned()
    };
    let patch = async || {
        let body = json!({"cron": "15 6 1 * *"});
        let answer = ANN.call(&fixture, Method::PATCH, &path, &[("idempotency-key", "patch")], body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    let take_back = async || {
        let key = [("idempotency-key", "take-back")];
        ANN.call(&fixture, Method::DELETE, &standing, &key, Value::Null).await
    };
    let first = ask(0).await;
    patch().await;
    assert_eq!(status_of(&fixture, &first).await, Some(ApprovalStatus::Withdrawn));
    let second = ask(1).await;
    let third = ask(2).await;
    assert_eq!(status_of(&fixture, &second).await, Some(ApprovalStatus::Withdrawn));
    // All of it again, as it came.
    let before = size(&fixture).await;
    assert_eq!(ask(0).await, first);
    patch().await;
    assert_eq!(ask(1).await, second);
    assert_eq!(status_of(&fixture, &third).await, Some(ApprovalStatus::Pending));
    assert_eq!(size(&fixture).await, before, "nothing is recorded again");
    // Taking back is repeatable, too.
    let taken = take_back().await;
    assert_eq!((taken.status, taken.json()["standing"]["ended_because"].as_str()), (200, Some("withdrawn")));
    assert_eq!(status_of(&fixture, &third).await, Some(ApprovalStatus::Withdrawn));
    let again = take_back().await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")), "{}", again.body);
    let fourth = post(&fixture, ANN, &id, "/standing-approval", json!({ "until": ahead(40) })).await.json();
    assert_eq!(take_back().await.status, 200);
    let fourth = fourth["approval_request_id"].as_str().unwrap();
    assert_eq!(status_of(&fixture, fourth).await, Some(ApprovalStatus::Pending));
}

#[actix_web::test]
async fn changes_at_once_lose_nothing() {
    let fixture = fixture().await;
    for _ in 0..5 {
        let id = made(&fixture, ANN, wish()).await;
        let (times, columns, period) = futures::join!(
            change(&fixture, ANN, &id, json!({"cron": "0 7 1 * *"})),
            change(&fixture, ANN, &id, json!({"columns": ["transaction_id"]})),
            change(&fixture, ANN, &id, json!({"period": "month"})),
        );
        assert_eq!((times.status, columns.status, period.status), (200, 200, 200), "{}", columns.body);
        let schedule = fixture.desk.runs().find(&id).await.unwrap().aggregate;
        let export = schedule.export().unwrap();
        let found = (export.cron.as_str(), export.columns.len(), export.period.as_str());
        assert_eq!((found, schedule.revision()), (("0 7 1 * *", 1, "month"), 4));
    }
    let id = made(&fixture, ANN, wish()).await;
    for body in [json!({}), json!({"reason": "because"})] {
        change(&fixture, ANN, &id, body).await.problem(422, "export_schedule.nothing_to_change");
    }
}

/// Declares that an account is of the person whom another account stands for.
async fn same_person(fixture: &Fixture, account: Person, person: Person) {
    let sealed = json!({ "subject": account.id(), "sealed": format!("dbs1.{}", "A".repeat(64)) });
    let registered = json!({ "email": sealed, "full_name": sealed, "origin": "registration" });
    let declared = json!({ "person": person.id(), "by": "operator", "reason": "one passport" });
    let append = Append {
        stream: StreamKey::new("user", account.id()).unwrap(),
        expected_version: 0,
        events: vec![
            Draft::new("user.registered", 1, registered.to_string()),
            Draft::new("user.same_person_declared", 1, declared.to_string()),
        ],
        actor: Actor::system("operator"),
        metadata: "{}".to_owned(),
        command: None,
    };
    fixture.ledger.append(append).await.unwrap();
    let state = fixture.approvals.directory().up_to_date().await.unwrap();
    assert!(state.is_same_person(&account.id(), &person.id()));
}

#[actix_web::test]
async fn standing_approval_is_asked_for_by_the_account_that_made_the_schedule() {
    let fixture = fixture().await;
    let id = made(&fixture, ANN, wish()).await;
    let anna = Person { email: "anna@example.com", role: "analyst" };
    same_person(&fixture, anna, ANN).await;
    let body = json!({ "until": ahead(10) });
    post(&fixture, anna, &id, "/standing-approval", body.clone()).await.problem(403, "export_schedule.not_yours");
    assert_eq!(
        post(&fixture, anna, &id, "/run", Value::Null).await.status,
        202,
        "a run is asked for in the owner's name"
    );
    assert_eq!(post(&fixture, ANN, &id, "/standing-approval", body).await.status, 202);
}

#[actix_web::test]
async fn destination_that_the_server_has_no_more_keeps_nobody_from_changing_the_times() {
    let mut fixture = fixture().await;
    let id = made(&fixture, ANN, with(json!({"deliver_to": ["archive"]}))).await;
    fixture.desk = fixture.desk.clone().with_destinations([]);
    let changed = change(&fixture, ANN, &id, json!({"cron": "0 7 1 * *"})).await;
    assert_eq!((changed.status, &changed.json()["deliver_to"]), (200, &json!(["archive"])), "{}", changed.body);
    let named = change(&fixture, ANN, &id, json!({"deliver_to": ["archive"]})).await;
    assert_eq!(named.problem(400, "request.invalid")["errors"][0]["pointer"], "/deliver_to/0");
}

#[actix_web::test]
async fn no_more_than_a_thousand_schedules_are_made_however_many_ask_at_once() {
    let fixture = fixture().await;
    let made = (1..MAX_SCHEDULES).map(|number| {
        let id = format!("sch_{number}");
        let payload = json!({ "schedule_id": id, "name": "Daily", "created_by": "usr_1", "person": "usr_1",
            "at": "2026-11-21T10:00:00.000000Z",
            "export": { "kind": "transactions", "format": "csv", "cron": "0 6 * * *", "time_zone": "UTC", "period": "none" } });
        fixture.ledger.append(Append {
            stream: StreamKey::new("export_schedule", id).unwrap(),
            expected_version: 0,
            events: vec![Draft::new("export_schedule.created", 1, payload.to_string())],
            actor: Actor::system("operator"),
            metadata: "{}".to_owned(),
            command: None,
        })
    });
    for appended in futures::future::join_all(made).await {
        appended.unwrap();
    }
    let asked = (0..4).map(|_| ANN.post(&fixture, PATH, wish()));
    let mut statuses: Vec<u16> = futures::future::join_all(asked).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422, 422, 422]);
    ANN.post(&fixture, PATH, wish()).await.problem(422, "export_schedule.too_many");
}

#[actix_web::test]
async fn times_that_do_not_fit_the_period_are_pointed_out() {
    let fixture = fixture().await;
    let warnings = async |members: Value| ANN.post(&fixture, PATH, with(members)).await.json()["warnings"].clone();
    assert_eq!(warnings(json!({"period": "month"})).await, json!([]));
    let hourly = warnings(json!({"cron": "0 * * * *", "period": "day"})).await;
    assert!(hourly[0].as_str().unwrap().contains("same period"), "{hourly}");
    let weekdays = warnings(json!({"cron": "0 6 * * MON-FRI", "period": "day"})).await;
    assert!(weekdays[0].as_str().unwrap().contains("in no run"), "{weekdays}");
}

#[actix_web::test]
async fn run_is_opened_whether_or_not_the_caller_waits_for_the_answer() {
    let fixture = fixture().await;
    let id = made(&fixture, ANN, wish()).await;
    let mut runs = 0;
    for polls in (1..60).step_by(4) {
        let asked = post(&fixture, ANN, &id, "/run", Value::Null);
        let (mut asked, mut left) = (std::pin::pin!(asked), polls);
        // The caller goes away while it is under way.
        std::future::poll_fn(|task| {
            left -= 1;
            let is_over = asked.as_mut().poll(task).is_ready() || left == 0;
            if is_over { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        for _ in 0..20 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            let schedule = fixture.desk.runs().find(&id).await.unwrap().aggregate;
            if schedule.runs() > runs {
                break;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let schedule = fixture.desk.runs().find(&id).await.unwrap().aggregate;
        runs = schedule.runs();
        if let Some(run) = schedule.last_run() {
            common::exports::export(&fixture, run.export_id.as_str()).await;
            assert!(status_of(&fixture, run.approval_id.as_str()).await.is_some(), "after {polls} steps");
        }
    }
    assert!(runs > 0);
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
