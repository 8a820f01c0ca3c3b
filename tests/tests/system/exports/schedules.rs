//! Schedules of exports: from the times that somebody says to files that arrive by themselves, with a decision on each or one
//! decision for all; also over times at which no server was there.
//!
//! The servers' clock begins three hours ago and is set ahead from there, so that in the end no entry is from the future.

use daybook_tests::people::MAIN;
use daybook_tests::receivers::HttpReceiver;
use daybook_tests::{Options, Person, Server, Store, both_stores, command_line, data, eventually};
use serde_json::{Value, json};

use super::delivery::{webhook, with_destinations};
use super::{People, bytes};
use crate::faults::Injector;

const MINUTE: i64 = 60;
/// Where the servers' clock begins.
const BEGIN: i64 = -180 * MINUTE;

/// A server whose clock can be set, with a receiver that exports go to.
struct Stage {
    injector: Injector,
    receiver: HttpReceiver,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Option<Self> {
        let injector = Injector::new()?;
        injector.set_clock(BEGIN);
        Some(Self { injector, receiver: HttpReceiver::start().await, folder: tempfile::tempdir().unwrap() })
    }

    fn options(&self) -> Options {
        let mut options = with_destinations(self.folder.path(), &webhook(&self.receiver));
        options.environment.extend(self.injector.environment());
        options
    }

    /// So many minutes after the begin.
    fn set_clock(&self, minutes: i64) {
        self.injector.set_clock(BEGIN + minutes * MINUTE);
    }

    /// The servers' time, so many minutes after the begin.
    fn time(minutes: i64) -> chrono::DateTime<chrono::Utc> {
        chrono::Utc::now() + chrono::Duration::seconds(BEGIN + minutes * MINUTE)
    }

    /// Records transactions that happen between the begin and the first time that is due.
    async fn transactions(server: &Server, count: usize) {
        for number in 0..count {
            let mut transaction = data::transaction(&format!("TX-{number:06}"));
            transaction["timestamp"] = Self::time(10).to_rfc3339_opts(chrono::SecondsFormat::Micros, true).into();
            server.client().post("/v1/transactions", &transaction).await.expect(201);
        }
    }

    /// A schedule of every hour, due half an hour after the begin for the first time.
    fn hourly() -> Value {
        json!({
            "name": "Hourly",
            "kind": "transactions",
            "format": "ndjson",
            "cron": Self::time(30).format("%-M * * * *").to_string(),
            "period": "since_previous",
            "deliver_to": ["hook"],
            "reason": "for the auditor",
        })
    }
}

/// Both once more: the clock has outrun their tokens.
async fn again(server: &Server, people: People) -> People {
    let login = async |who: &Person| server.login(MAIN, &who.email, &who.full_name).await;
    People { asker: login(&people.asker).await, other: login(&people.other).await }
}

async fn schedule(by: &Person, id: &str) -> Value {
    by.client.get(&format!("/v1/export-schedules/{id}")).await.expect(200).json()
}

async fn vote(by: &Person, approval: &Value, decision: &str) {
    let id = approval.as_str().unwrap_or_else(|| panic!("no approval: {approval}"));
    let body = json!({"decision": decision, "reason": "looked at it"});
    by.client.post(&format!("/v1/approvals/{id}/vote"), &body).await.expect(200);
}

/// Somebody decides on the last run, once that is asked for: none comes before.
async fn decided(by: &Person, schedule: &Value) {
    let id = schedule["last_run"]["approval_id"].as_str().unwrap();
    eventually("the run is decided on", async || {
        let body = json!({"decision": "reject", "reason": "not needed"});
        let answer = by.client.post(&format!("/v1/approvals/{id}/vote"), &body).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

/// The schedule once it has run so often.
async fn once_it_ran(by: &Person, id: &str, runs: u64) -> Value {
    eventually(&format!("run {runs}"), async || {
        let shown = schedule(by, id).await;
        (shown["runs"] == runs).then_some(shown)
    })
    .await
}

both_stores!(schedule_makes_and_delivers_a_file_once_somebody_agreed_to_the_run);

async fn schedule_makes_and_delivers_a_file_once_somebody_agreed_to_the_run(store: &Store) {
    let Some(stage) = Stage::new().await else { return };
    let server = Server::start_with(store, stage.options()).await;
    let people = People::of(&server).await;
    Stage::transactions(&server, 7).await;
    let made = people.asker.client.post("/v1/export-schedules", &Stage::hourly()).await.expect(201).json();
    let id = made["schedule_id"].as_str().unwrap().to_owned();
    assert_eq!(made["next_runs"].as_array().map(Vec::len), Some(5), "{made}");
    stage.set_clock(40);
    let people = again(&server, people).await;
    let ran = once_it_ran(&people.asker, &id, 1).await;
    assert_eq!((&ran["last_run"]["rests_on"], &ran["last_run"]["missed"]), (&json!("own"), &json!(0)), "{ran}");
    assert_eq!(ran["last_run"]["scheduled_for"], made["next_runs"][0], "{ran}");
    let export = ran["last_run"]["export_id"].as_str().unwrap().to_owned();
    let waiting = people.once(&export, &["requested"]).await;
    assert_eq!(waiting["requested_by"], people.asker.id.as_str(), "in the name of whoever made it: {waiting}");
    eventually("it is in the other's inbox", async || {
        let inbox = people.other.client.get("/v1/approvals/inbox").await.expect(200).body;
        inbox.contains(waiting["approval_id"].as_str()?).then_some(())
    })
    .await;
    vote(&people.other, &waiting["approval_id"], "approve").await;
    let delivered = people.once_delivery_is(&export, "delivered").await;
    assert_eq!((&delivered["rows"], &delivered["schedule_id"]), (&json!(7), &json!(id)), "{delivered}");
    let file = bytes(&people.asker, &format!("/v1/exports/{export}/file")).await;
    assert_eq!(file.iter().filter(|byte| **byte == b'\n').count(), 7);
    assert!(stage.receiver.received().iter().any(|one| String::from_utf8_lossy(&one.body).contains(&export)));
    for path in [format!("/v1/export-schedules/{id}/runs"), format!("/v1/exports?schedule_id={id}")] {
        let runs = people.asker.client.get(&path).await.expect(200).json();
        assert_eq!((&runs["items"][0]["export_id"], &runs["items"][0]["schedule_run"]), (&json!(export), &json!(1)));
        assert_eq!(runs["items"].as_array().map(Vec::len), Some(1), "{path}: {runs}");
    }
    // Whoever asks for exports sees their own; another organisation knows nothing of it.
    let analyst = server.person(MAIN, "analyst").await;
    analyst.client.get(&format!("/v1/export-schedules/{id}")).await.expect_problem(404);
    let listed = analyst.client.get("/v1/export-schedules?count=true").await.expect(200).json();
    assert_eq!(listed["total"], 0, "{listed}");
    let listed = people.other.client.get("/v1/export-schedules?status=active&count=true").await.expect(200).json();
    assert_eq!((&listed["total"], &listed["items"][0]["schedule_id"]), (&json!(1), &json!(id)), "{listed}");
    // A rejected run is rejected, and the schedule goes on.
    stage.set_clock(95);
    let people = again(&server, people).await;
    let ran = once_it_ran(&people.asker, &id, 2).await;
    vote(&people.other, &ran["last_run"]["approval_id"], "reject").await;
    people.once(ran["last_run"]["export_id"].as_str().unwrap(), &["rejected"]).await;
    assert_eq!(schedule(&people.asker, &id).await["status"], "active");
    drop(server);
    let report = store.verified().await;
    assert_eq!(report["ledgers"][0]["approvals"]["verdict"], "verified", "{report}");
}

both_stores!(standing_approval_carries_every_run_until_it_is_taken_back);

async fn standing_approval_carries_every_run_until_it_is_taken_back(store: &Store) {
    let Some(stage) = Stage::new().await else { return };
    let server = Server::start_with(store, stage.options()).await;
    let people = People::of(&server).await;
    Stage::transactions(&server, 5).await;
    let mut wish = Stage::hourly();
    wish["standing_until"] = Stage::time(60 * 24 * 30).to_rfc3339_opts(chrono::SecondsFormat::Micros, true).into();
    let made = people.asker.client.post("/v1/export-schedules", &wish).await.expect(201).json();
    let id = made["schedule_id"].as_str().unwrap().to_owned();
    // Nobody agrees to his own.
    let own = json!({"decision": "approve"});
    let approval = made["approval_request_id"].as_str().unwrap();
    people.asker.client.post(&format!("/v1/approvals/{approval}/vote"), &own).await.expect_problem(403);
    vote(&people.other, &made["approval_request_id"], "approve").await;
    let approved = eventually("its runs are approved", async || {
        let shown = schedule(&people.asker, &id).await;
        (shown["standing"]["status"] == "approved").then_some(shown)
    })
    .await;
    assert_eq!(approved["standing"]["approved_by"], json!([people.other.id]), "{approved}");
    let mut people = people;
    let mut exports = Vec::new();
    for (run, minutes) in [(1, 35), (2, 95)] {
        stage.set_clock(minutes);
        people = again(&server, people).await;
        let ran = once_it_ran(&people.asker, &id, run).await;
        assert_eq!(ran["last_run"]["rests_on"], "standing", "{ran}");
        let export = ran["last_run"]["export_id"].as_str().unwrap().to_owned();
        let delivered = people.once_delivery_is(&export, "delivered").await;
        assert_eq!(delivered["approved_by"], json!([people.other.id]), "{delivered}");
        exports.push(delivered);
    }
    // What the first took is not taken again: periods meet.
    assert_eq!((&exports[0]["rows"], &exports[1]["rows"]), (&json!(5), &json!(0)), "{exports:?}");
    let asked = people.other.client.get("/v1/approvals?action=export.transactions&count=true").await.expect(200).json();
    assert_eq!(asked["total"], 1, "one decision for all: {asked}");
    // Taken back: the next run, wanted at once, asks.
    let client = &people.asker.client;
    let ended = client.send(client.request("DELETE", &format!("/v1/export-schedules/{id}/standing-approval"))).await;
    assert_eq!(ended.expect(200).json()["standing"]["ended_because"], "revoked");
    let ran = client.post(&format!("/v1/export-schedules/{id}/run"), &Value::Null).await.expect(202).json();
    assert_eq!(ran["last_run"]["rests_on"], "own", "{ran}");
    people.once(ran["last_run"]["export_id"].as_str().unwrap(), &["requested"]).await;
    drop(server);
    let report = store.verified().await;
    assert_eq!(report["ledgers"][0]["approvals"]["verdict"], "verified", "{report}");
}

both_stores!(one_run_stands_for_the_times_at_which_no_server_was_there);

async fn one_run_stands_for_the_times_at_which_no_server_was_there(store: &Store) {
    let Some(stage) = Stage::new().await else { return };
    let server = Server::start_with(store, stage.options()).await;
    let people = People::of(&server).await;
    Stage::transactions(&server, 3).await;
    let made = people.asker.client.post("/v1/export-schedules", &Stage::hourly()).await.expect(201).json();
    let id = made["schedule_id"].as_str().unwrap().to_owned();
    server.kill9();
    // Half past, and half past again.
    stage.set_clock(95);
    let server = Server::start_with(store, stage.options()).await;
    let people = again(&server, people).await;
    let ran = once_it_ran(&people.asker, &id, 1).await;
    let run = &ran["last_run"];
    assert_eq!((&run["missed"], &run["scheduled_for"]), (&json!(1), &made["next_runs"][1]), "{ran}");
    assert_eq!((&run["from"], &run["to"]), (&made["created_at"], &made["next_runs"][1]), "{ran}");
    let export = run["export_id"].as_str().unwrap().to_owned();
    vote(&people.other, &run["approval_id"], "approve").await;
    let made = people.once_delivery_is(&export, "delivered").await;
    assert_eq!(made["rows"], 3, "{made}");
    // Another start finds nothing to make up for.
    server.kill9();
    let server = Server::start_with(store, stage.options()).await;
    eventually("the schedules are driven again", async || {
        (server.client().metric("daybook_export_schedules_active").await >= 1.0).then_some(())
    })
    .await;
    let runs = server.operator_of(MAIN).get("/v1/audit-trail?event_type=export_schedule.run").await.expect(200).json();
    assert_eq!(runs["items"].as_array().map(Vec::len), Some(1), "{runs}");
    drop(server);
    store.verified().await;
}

both_stores!(schedule_of_somebody_who_left_stands_still_and_catches_up_when_they_are_back);

async fn schedule_of_somebody_who_left_stands_still_and_catches_up_when_they_are_back(store: &Store) {
    let Some(stage) = Stage::new().await else { return };
    let server = Server::start_with(store, stage.options()).await;
    let people = People::of(&server).await;
    let mut wish = Stage::hourly();
    wish["standing_until"] = Stage::time(60 * 24 * 30).to_rfc3339_opts(chrono::SecondsFormat::Micros, true).into();
    let made = people.asker.client.post("/v1/export-schedules", &wish).await.expect(201).json();
    let id = made["schedule_id"].as_str().unwrap().to_owned();
    vote(&people.other, &made["approval_request_id"], "approve").await;
    eventually("its runs are approved", async || {
        (schedule(&people.asker, &id).await["standing"]["status"] == "approved").then_some(())
    })
    .await;
    let user = format!("/v1/users/{}", people.asker.id);
    let operator = server.operator_of(MAIN);
    operator.post(&format!("{user}/deactivate"), &json!({"reason": "left"})).await.expect(200);
    stage.set_clock(95);
    let shown = eventually("the standing approval has ended", async || {
        let shown = operator.get(&format!("/v1/export-schedules/{id}")).await.expect(200).json();
        (shown["standing"]["status"] == "ended" && shown["held_up_by"].is_string()).then_some(shown)
    })
    .await;
    assert_eq!(shown["standing"]["ended_because"], "requester_not_allowed", "{shown}");
    assert_eq!((&shown["held_up_by"], &shown["runs"]), (&json!("requester_not_allowed"), &json!(0)), "{shown}");
    eventually("it is counted", async || {
        (server.client().metric("daybook_export_schedules_held_up").await == 1.0).then_some(())
    })
    .await;
    operator.post(&format!("{user}/reactivate"), &json!({"reason": "back"})).await.expect(200);
    let people = again(&server, people).await;
    let ran = once_it_ran(&people.asker, &id, 1).await;
    assert_eq!((&ran["last_run"]["missed"], &ran["last_run"]["rests_on"]), (&json!(1), &json!("own")), "{ran}");
    let status = store.daybook(&["status"]).await.expect(0);
    assert!(status.stdout.contains("1 of exports, 1 runs"), "{}", status.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_run_each_time_once() {
    let Some(store) = Store::postgres().await else { return };
    let Some(stage) = Stage::new().await else { return };
    let server = Server::start_with(&store, stage.options()).await;
    let folders: Vec<_> = (0..2).map(|_| store.another_folder()).collect();
    let mut others = Vec::new();
    for folder in &folders {
        let roles = Options::roles("react", folder.path());
        let own = stage.options();
        let options = Options { arguments: own.arguments, environment: own.environment, ..roles };
        others.push(Server::start_with(&store, options).await);
    }
    let people = People::of(&server).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let made = people.asker.client.post("/v1/export-schedules", &Stage::hourly()).await.expect(201).json();
        ids.push(made["schedule_id"].as_str().unwrap().to_owned());
    }
    stage.set_clock(35);
    let people = again(&server, people).await;
    for id in &ids {
        let ran = once_it_ran(&people.asker, id, 1).await;
        decided(&people.other, &ran).await;
    }
    // Whoever drives is gone over the next time.
    let (mut server, mut people) = (server, people);
    for (run, minutes) in [(2, 95), (3, 155)] {
        match others.pop() {
            Some(other) if run == 2 => other.kill9(),
            _ => {
                server.kill9();
                server = Server::start_with(&store, stage.options()).await;
            }
        }
        stage.set_clock(minutes);
        people = again(&server, people).await;
        for id in &ids {
            let ran = once_it_ran(&people.asker, id, run).await;
            assert_eq!(ran["last_run"]["missed"], 0, "{ran}");
            decided(&people.other, &ran).await;
        }
    }
    let last = server.client().ledger_size().await - 1;
    let path = "/v1/audit-trail?event_type=export_schedule.run&count=true";
    let runs = server.operator_of(MAIN).get_at_least(path, last).await.expect(200).json();
    assert_eq!(runs["total"], 15, "{runs}");
}

both_stores!(schedules_are_made_approved_and_ended_from_the_command_line);

async fn schedules_are_made_approved_and_ended_from_the_command_line(store: &Store) {
    let server = Server::start(store).await;
    let people = People::of(&server).await;
    let token = people.asker.access_token.clone();
    let run = async |arguments: &[&str]| {
        let mut command = command_line::command();
        command.env_remove("DAYBOOK_OPERATOR_TOKEN").env("DAYBOOK_TOKEN", &token);
        command.arg("schedule").args(arguments).arg("--json").args(store.arguments());
        command_line::finish(&mut command).await
    };
    let line = ["add", "Month end", "transactions", "--cron", "0 6 1 * *", "--time-zone", "Europe/Berlin"];
    let made =
        run(&[&line[..], &["--period", "month", "--filter", "status=completed"]].concat()).await.expect(0).json();
    let id = made["schedule_id"].as_str().unwrap().to_owned();
    assert_eq!((&made["period"], &made["filters"]["status"]), (&json!("month"), &json!("completed")), "{made}");
    let wrong = run(&["add", "Never", "transactions", "--cron", "0 0 30 2 *"]).await.expect(2);
    assert!(wrong.stderr.contains("cron"), "{}", wrong.text());
    let until = (chrono::Utc::now() + chrono::Duration::days(30)).to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let asked = run(&["approve", &id, "--until", &until]).await.expect(0).json();
    vote(&people.other, &asked["approval_request_id"], "approve").await;
    eventually("its runs are approved", async || {
        (run(&["show", &id]).await.expect(0).json()["standing"]["status"] == "approved").then_some(())
    })
    .await;
    let ran = run(&["run", &id]).await.expect(0).json();
    assert_eq!(ran["last_run"]["rests_on"], "standing", "{ran}");
    let export = ran["last_run"]["export_id"].as_str().unwrap();
    eventually("the run is shown", async || {
        let runs = run(&["runs", &id]).await.expect(0).json();
        (runs["items"][0]["id"] == export).then_some(())
    })
    .await;
    assert_eq!(run(&["pause", &id, "--reason", "freeze"]).await.expect(0).json()["status"], "paused");
    assert_eq!(run(&["resume", &id]).await.expect(0).json()["status"], "active");
    assert_eq!(run(&["unapprove", &id]).await.expect(0).json()["standing"]["ended_because"], "revoked");
    assert_eq!(run(&["end", &id, "--reason", "over"]).await.expect(0).json()["status"], "ended");
    let listed = run(&["list", "--status", "ended"]).await.expect(0).json();
    assert_eq!(listed["items"][0]["schedule_id"], id.as_str(), "{listed}");
    people.once(export, &["generated"]).await;
}
