//! Schedules of exports in the directory: as their events make them, from the first entry and from a snapshot.

use daybook_domain::Timestamp;
use daybook_domain::export_schedule::ScheduleStatus;
use daybook_identity::directory::{Directory, MAX_ENDED_SCHEDULES, SNAPSHOT_VERSION};
use daybook_ledger::LedgerId;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::world::{DAY, World, text};

fn created(world: &World, id: &str) -> Value {
    json!({ "schedule_id": id, "name": "Daily", "created_by": "usr_1", "person": "usr_1", "at": text(world.now()),
        "export": { "kind": "transactions", "format": "csv", "cron": "0 6 * * *", "time_zone": "Europe/Zurich",
            "period": "since_previous" } })
}

fn plain(directory: &Directory) -> Value {
    serde_json::to_value(&*directory.now()).unwrap()
}

#[tokio::test]
async fn schedules_are_kept_as_their_events_make_them_and_ended_ones_too() {
    let world = World::new().await;
    let paused = json!({ "by": "usr_1", "reason": "Away", "at": text(world.now()) });
    // Nobody made it: it is none.
    world.happens("sch_9", "export_schedule.paused", paused.clone()).await;
    for id in ["sch_1", "sch_2"] {
        world.happens(id, "export_schedule.created", created(&world, id)).await;
    }
    world.happens("sch_1", "export_schedule.paused", paused).await;
    let directory = world.directory().await;
    let (_stop, stopped) = watch::channel(true);
    directory.clone().run(stopped).await;
    assert!(world.vault.snapshot(&LedgerId::main(), SNAPSHOT_VERSION).await.unwrap().is_some());

    let (from, to) = (text(world.now()), text(world.now() + DAY));
    let run = json!({ "run": 1, "revision": 1, "cause": "due", "scheduled_for": to, "from": from, "to": to,
        "export_id": "exp_1", "approval_id": "apr_1", "rests_on": "own", "at": to });
    world.happens("sch_2", "export_schedule.run", run).await;
    let ended = json!({ "by": "usr_1", "reason": "Not needed", "at": text(world.now()) });
    world.happens("sch_1", "export_schedule.ended", ended).await;
    let resumed = world.directory().await;
    world.vault.discard_snapshots(&LedgerId::main()).await.unwrap();
    let folded = world.directory().await;
    assert_eq!(plain(&resumed), plain(&folded));

    let state = folded.now();
    assert!(state.not_understood.is_none() && state.approvals_not_understood.is_none());
    assert_eq!(state.export_schedules.keys().map(|id| &**id).collect::<Vec<_>>(), ["sch_1", "sch_2"]);
    let (first, second) = (&state.export_schedules["sch_1"], &state.export_schedules["sch_2"]);
    assert_eq!((first.schedule.status(), first.place.version), (Some(ScheduleStatus::Ended), 3));
    assert_eq!((second.schedule.runs(), second.place.version), (1, 2));
    let due = second.schedule.due(Timestamp::from_micros(world.now() + 3 * DAY).unwrap()).unwrap();
    assert_eq!(due.from.map(|from| json!(from)), Some(to));
}

#[tokio::test]
async fn of_schedules_that_have_ended_the_last_thousand_are_kept_with_their_last_run() {
    let world = World::new().await;
    let (at, ended) = (text(world.now()), json!({ "by": "usr_1", "reason": "Enough", "at": text(world.now()) }));
    world.happens("sch_stays", "export_schedule.created", created(&world, "sch_stays")).await;
    for number in 0..=MAX_ENDED_SCHEDULES {
        let id = format!("sch_{number}");
        world.happens(&id, "export_schedule.created", created(&world, &id)).await;
        if number == MAX_ENDED_SCHEDULES {
            for run in 1..=3 {
                let run = json!({ "run": run, "revision": 1, "cause": "asked", "scheduled_for": at, "at": at,
                    "export_id": format!("exp_{run}"), "approval_id": "apr_1", "rests_on": "own" });
                world.happens(&id, "export_schedule.run", run).await;
            }
        }
        world.happens(&id, "export_schedule.ended", ended.clone()).await;
    }
    let state = world.directory().await.now();
    assert_eq!(state.export_schedules.len(), MAX_ENDED_SCHEDULES + 1, "and those that have not ended");
    assert!(state.export_schedules.contains_key("sch_stays") && state.export_schedules.contains_key("sch_1"));
    assert!(!state.export_schedules.contains_key("sch_0"), "the one that ended first is forgotten");
    let last = &state.export_schedules[format!("sch_{MAX_ENDED_SCHEDULES}").as_str()].schedule;
    assert_eq!((last.runs(), last.recent_runs().count()), (3, 1));
}

#[tokio::test]
async fn schedule_that_is_not_understood_keeps_nobody_out() {
    let world = World::new().await;
    world.person("usr_1", &["analyst"]).await;
    world.happens("sch_1", "export_schedule.created", json!({ "schedule_id": "sch_1" })).await;
    let state = world.directory().await.now();
    assert!(state.not_understood.is_none());
    assert_eq!(state.approvals_not_understood.as_ref().unwrap().stream_type, "export_schedule");
    assert!(state.access_of("usr_1", world.now()).is_some());
}
