//! Exports that rest on one approval for all runs of a schedule: each is the one that a recorded run makes, of what was agreed
//! to, while that held. Told from the entries alone.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
mod signing;
mod story;
mod workbench;

use serde_json::{Value as Json, json};
use story::{Story, digest_of, terms, time};
use workbench::Bench;

const SCHEDULE: (&str, &str) = ("export_schedule", "sch_1");
const DAY: i64 = 86_400_000_000;

fn assert_found(bench: &Bench, expected: &[(&str, usize)]) {
    let (code, approvals, found) = Story::approvals(bench);
    let expected: Vec<_> =
        expected.iter().map(|(kind, position)| ((*kind).to_owned(), Some(*position as u64))).collect();
    assert_eq!(found, expected, "{approvals:#}");
    let verdict = if expected.is_empty() { (0, "verified") } else { (1, "failed") };
    assert_eq!((code, approvals["verdict"].as_str().unwrap()), verdict, "{approvals:#}");
}

/// Transactions in dollars, every morning, since the morning before.
fn scheduled() -> Json {
    json!({"kind":"transactions","format":"csv","filters":{"currency":"USD"},"columns":["transaction_id","amount"],
        "deliver_to":["archive"],"cron":"0 6 * * *","time_zone":"Europe/Zurich","period":"since_previous"})
}

fn agreed(until: &str) -> Json {
    json!({"action":"export.transactions","resource_type":"export_schedule","resource_id":"sch_1",
        "parameters":{"kind":"transactions","format":"csv","columns":"transaction_id,amount","deliver_to":"archive",
        "cron":"0 6 * * *","time_zone":"Europe/Zurich","period":"since_previous","until":until,"run_now":"true",
        "filter.currency":"USD"},"summary":"Export transactions as csv to archive on schedule"})
}

/// What one schedule has told.
struct Told {
    story: Story,
    until: i64,
    /// Position of the entry by which it came into being.
    created: usize,
    /// Position of the entry by which its standing approval came into force.
    approved: usize,
}

/// A schedule with a standing approval for thirty days.
async fn approved_schedule() -> Told {
    let mut story = Story::new().await;
    let created = json!({"schedule_id":"sch_1","name":"Daily","export":scheduled(),"created_by":"key_1","person":"usr_ana",
        "at":story.at()});
    let created = story.tell(SCHEDULE, "export_schedule.created", created).await;
    let until = story.now + 30 * DAY;
    let approved = stand(&mut story, "apr_1", until).await;
    Told { story, until, created, approved }
}

/// Asks for a standing approval, has it agreed to and used up; the position of the entry that says so.
async fn stand(story: &mut Story, approval: &str, until: i64) -> usize {
    let until = time(until);
    let action = agreed(&until);
    let digest = digest_of(&action);
    let requested = json!({"approval_id":approval,"until":until,"digest":digest,"by":"key_1","at":story.at()});
    story.tell(SCHEDULE, "export_schedule.standing_requested", requested).await;
    story.ask(approval, &action, json!({"version":0,"rule":0,"terms":terms(&[1])})).await;
    story.vote(approval, "usr_ben", 1, &digest).await;
    story.approve(approval, &["usr_ben"], &digest, 0).await;
    story.consume(approval, "sch_1", &digest, 0).await;
    let approved = json!({"approval_id":approval,"execution_id":"sch_1","policy_version":0,"approved_by":["usr_ben"],
        "until":until,"at":story.at()});
    story.tell(SCHEDULE, "export_schedule.standing_approved", approved).await
}

/// Positions of one run and of its export.
struct Ran {
    run: usize,
    requested: usize,
    effect: usize,
}

impl Told {
    async fn run(&mut self, number: u64) -> usize {
        let (from, to) = (time(self.story.now - DAY), time(self.story.now));
        let run = json!({"run":number,"revision":1,"cause":"due","scheduled_for":to,"from":from,"to":to,
            "export_id":format!("exp_{number}"),"approval_id":"apr_1","rests_on":"standing","at":self.story.at()});
        self.story.tell(SCHEDULE, "export_schedule.run", run).await
    }

    /// The export of the run that was told last, as it must be.
    async fn ask(&mut self, number: u64, ran_at: i64) -> usize {
        let id = format!("exp_{number}");
        let requested = json!({"export_id":id,"kind":"transactions","format":"csv","filters":{"currency":"USD",
            "start":time(ran_at - DAY),"end":time(ran_at - 1)},"columns":["transaction_id","amount"],"requested_by":"key_1",
            "person":"usr_ana","approval_id":"apr_1","deliver_to":["archive"],"digest":"0".repeat(64),
            "schedule":{"schedule_id":"sch_1","run":number,"rests_on":"standing"}});
        self.story.tell(("export", &id), "export.requested", requested).await
    }

    async fn runs(&mut self, number: u64) -> Ran {
        let ran_at = self.story.now;
        let run = self.run(number).await;
        let requested = self.ask(number, ran_at).await;
        let effect = self.story.let_through(&format!("exp_{number}"), "apr_1", &["usr_ben"], 0).await;
        Ran { run, requested, effect }
    }

    async fn tell(&mut self, event: &str, payload: Json) -> usize {
        self.story.tell(SCHEDULE, event, payload).await
    }
}

#[tokio::test]
async fn any_number_of_runs_rest_on_one_approval() {
    let mut told = approved_schedule().await;
    for number in 1..=3 {
        let ran = told.runs(number).await;
        assert!(ran.run < ran.requested && ran.requested < ran.effect);
        told.story.now += DAY;
    }
    let started = json!({"attempt":1,"fence":1,"at":told.story.at()});
    told.story.tell(("export", "exp_3"), "export.generation_started", started).await;
    assert_found(&told.story.bench, &[]);
    let (_, approvals, _) = Story::approvals(&told.story.bench);
    // The approval of the schedule, and each of the exports.
    assert_eq!((approvals["gated_actions"].as_u64(), approvals["consumed"].as_u64()), (Some(4), Some(1)));
}

#[tokio::test]
async fn every_change_of_a_run_or_of_its_export_is_named_where_it_was_made() {
    let mut told = approved_schedule().await;
    let ran = told.runs(1).await;
    let differs = ("approval_digest_mismatch", ran.effect);
    for (position, from, to, expected) in [
        // More leaves the house, other things, or elsewhere.
        (ran.requested, r#""USD""#, r#""EUR""#, vec![differs]),
        (ran.requested, r#""columns":["transaction_id","amount"]"#, r#""columns":["transaction_id"]"#, vec![differs]),
        (ran.requested, r#""deliver_to":["archive"]"#, r#""deliver_to":["elsewhere"]"#, vec![differs]),
        (ran.requested, r#""format":"csv""#, r#""format":"json""#, vec![differs]),
        (ran.requested, r#""kind":"transactions""#, r#""kind":"incidents""#, vec![differs]),
        (ran.requested, r#""start":"20"#, r#""start":"19"#, vec![differs]),
        (ran.requested, r#""end":"20"#, r#""end":"21"#, vec![differs]),
        // Another run, or none.
        (ran.requested, r#""run":1"#, r#""run":2"#, vec![("approval_execution_mismatch", ran.effect)]),
        (ran.requested, "sch_1", "sch_9", vec![("action_without_approval", ran.effect)]),
        (ran.run, r#""export_id":"exp_1""#, r#""export_id":"exp_9""#, vec![("action_without_approval", ran.effect)]),
        (ran.run, r#""rests_on":"standing""#, r#""rests_on":"own""#, vec![("action_without_approval", ran.effect)]),
        (
            ran.run,
            r#""approval_id":"apr_1""#,
            r#""approval_id":"apr_9""#,
            vec![("approval_execution_mismatch", ran.effect)],
        ),
        (
            ran.run,
            r#""run":1"#,
            r#""run":7"#,
            vec![("approval_reused", ran.run), ("approval_execution_mismatch", ran.effect)],
        ),
        (ran.run, r#""from":"20"#, r#""from":"19"#, vec![differs]),
        // As if it had an approval of its own: there is none for it.
        (ran.requested, r#""rests_on":"standing""#, r#""rests_on":"own""#, vec![("approval_reused", ran.effect)]),
        (ran.effect, r#""policy_version":0"#, r#""policy_version":3"#, vec![("approval_policy_mismatch", ran.effect)]),
        (
            ran.effect,
            r#""approval_id":"apr_1""#,
            r#""approval_id":"apr_9""#,
            vec![
                ("approval_execution_mismatch", ran.effect),
                ("approval_execution_mismatch", ran.effect),
                ("action_without_approval", ran.effect),
            ],
        ),
        // The standing approval itself.
        (
            told.approved,
            r#""execution_id":"sch_1""#,
            r#""execution_id":"sch_2""#,
            vec![("approval_execution_mismatch", told.approved)],
        ),
        (told.approved, r#""until":"2024"#, r#""until":"2025"#, vec![("approval_digest_mismatch", told.approved)]),
        (
            told.approved,
            r#""approval_id":"apr_1""#,
            r#""approval_id":"apr_9""#,
            vec![("action_without_approval", told.approved), ("action_without_approval", ran.effect)],
        ),
    ] {
        println!("position {position}: {from} to {to}");
        assert_found(&told.story.changed(position, from, to), &expected);
    }
}

#[tokio::test]
async fn schedule_that_was_agreed_to_otherwise_is_named() {
    let told = approved_schedule().await;
    for (from, to) in [
        (r#""cron":"0 6 * * *""#, r#""cron":"0 * * * *""#),
        (r#""time_zone":"Europe/Zurich""#, r#""time_zone":"UTC""#),
        (r#""period":"since_previous""#, r#""period":"none""#),
        (r#""USD""#, r#""EUR""#),
        (r#""deliver_to":["archive"]"#, r#""deliver_to":["elsewhere"]"#),
    ] {
        assert_found(&told.story.changed(told.created, from, to), &[("approval_digest_mismatch", told.approved)]);
    }
}

#[tokio::test]
async fn nothing_rests_on_what_is_over() {
    // Its time is over.
    let mut told = approved_schedule().await;
    told.story.now = told.until;
    let ran = told.runs(1).await;
    assert_found(&told.story.bench, &[("approval_expired", ran.effect)]);

    // Somebody ended it, changed the schedule, or ended that.
    let ended = json!({"approval_id":"apr_1","why":"revoked","at":time(0)});
    let changed = json!({"revision":2,"export":scheduled(),"by":"key_1","at":time(0)});
    let gone = json!({"by":"usr_ana","reason":"Not needed","at":time(0)});
    for (event, payload) in [
        ("export_schedule.standing_ended", ended),
        ("export_schedule.changed", changed),
        ("export_schedule.ended", gone),
    ] {
        let mut told = approved_schedule().await;
        told.tell(event, payload.clone()).await;
        let ran = told.runs(1).await;
        assert_found(&told.story.bench, &[("action_without_approval", ran.effect)]);

        // What was recorded a moment before could not be known.
        let mut told = approved_schedule().await;
        let ran_at = told.story.now;
        told.run(1).await;
        told.ask(1, ran_at).await;
        told.tell(event, payload).await;
        told.story.now -= 119_000_000;
        told.story.let_through("exp_1", "apr_1", &["usr_ben"], 0).await;
        assert_found(&told.story.bench, &[]);
    }

    // A pause ends nothing.
    let mut told = approved_schedule().await;
    told.tell("export_schedule.paused", json!({"by":"usr_ana","reason":"Away","at":time(0)})).await;
    told.tell("export_schedule.resumed", json!({"by":"usr_ana","at":time(0)})).await;
    told.runs(1).await;
    assert_found(&told.story.bench, &[]);
}

#[tokio::test]
async fn run_counts_once_and_one_after_the_other() {
    let mut told = approved_schedule().await;
    told.runs(1).await;
    let again = told.run(1).await;
    let skipped = told.run(3).await;
    assert_found(&told.story.bench, &[("approval_reused", again), ("approval_reused", skipped)]);

    // A second export under the same run.
    let mut told = approved_schedule().await;
    let ran_at = told.story.now;
    told.runs(1).await;
    let requested = json!({"export_id":"exp_2","kind":"transactions","format":"csv","filters":{"currency":"USD",
        "start":time(ran_at - DAY),"end":time(ran_at - 1)},"columns":["transaction_id","amount"],"requested_by":"key_1",
        "person":"usr_ana","approval_id":"apr_1","deliver_to":["archive"],"digest":"0".repeat(64),
        "schedule":{"schedule_id":"sch_1","run":1,"rests_on":"standing"}});
    told.story.tell(("export", "exp_2"), "export.requested", requested).await;
    let second = told.story.let_through("exp_2", "apr_1", &["usr_ben"], 0).await;
    assert_found(&told.story.bench, &[("action_without_approval", second)]);
}

#[tokio::test]
async fn standing_approval_is_used_for_one_schedule_and_under_the_policy_that_holds() {
    // An export that is no run of a schedule does not rest on it.
    let mut told = approved_schedule().await;
    told.story.ask_for_export("exp_1", "apr_1").await;
    let alone = told.story.let_through("exp_1", "apr_1", &["usr_ben"], 0).await;
    assert_found(&told.story.bench, &[("approval_reused", alone)]);

    // Another one takes its place; what was agreed to before does not hold any more.
    let mut told = approved_schedule().await;
    let until = told.until + DAY;
    stand(&mut told.story, "apr_2", until).await;
    let ran = told.runs(1).await;
    assert_found(&told.story.bench, &[("action_without_approval", ran.effect)]);

    // What was recorded under it before is let through, however much later, until the one in its place ends.
    let revoked = json!({"approval_id":"apr_2","why":"revoked","at":time(0)});
    let changed = json!({"revision":2,"export":scheduled(),"by":"key_1","at":time(0)});
    let ends = [("export_schedule.standing_ended", revoked), ("export_schedule.changed", changed)];
    for end in [None].into_iter().chain(ends.map(Some)) {
        let mut told = approved_schedule().await;
        let ran_at = told.story.now;
        told.run(1).await;
        told.ask(1, ran_at).await;
        let until = told.until + DAY;
        stand(&mut told.story, "apr_2", until).await;
        told.story.now += DAY;
        let is_over = end.is_some();
        if let Some((event, payload)) = end {
            told.tell(event, payload).await;
            told.story.now += DAY;
        }
        let effect = told.story.let_through("exp_1", "apr_1", &["usr_ben"], 0).await;
        let expected = ("action_without_approval", effect);
        assert_found(&told.story.bench, if is_over { std::slice::from_ref(&expected) } else { &[] });
    }
    // Of ten that were replaced one after the other; not of an eleventh.
    for (renewals, is_over) in [(10, false), (11, true)] {
        let mut told = approved_schedule().await;
        let ran_at = told.story.now;
        told.run(1).await;
        told.ask(1, ran_at).await;
        for number in 0..renewals {
            let until = told.until + DAY;
            stand(&mut told.story, &format!("apr_{}", number + 2), until).await;
        }
        told.story.now += DAY;
        let effect = told.story.let_through("exp_1", "apr_1", &["usr_ben"], 0).await;
        let expected = ("action_without_approval", effect);
        assert_found(&told.story.bench, if is_over { std::slice::from_ref(&expected) } else { &[] });
    }

    // The policy changed meanwhile: others would have to agree now.
    let mut told = approved_schedule().await;
    let rules = json!([{"terms":terms(&[2])}]);
    let action = json!({"action":"approval_policy.change","resource_type":"approval_policy_change",
        "resource_id":"export.transactions","parameters":{"action":"export.transactions","follows_version":"0",
        "rules":rules.to_string()},"changes":[{"field":"rule 1, terms, steps 1","after":"2"}],"summary":"Change"});
    let digest = digest_of(&action);
    told.story.ask("apr_3", &action, json!({"version":0,"rule":0,"terms":terms(&[1])})).await;
    told.story.vote("apr_3", "usr_ben", 1, &digest).await;
    told.story.approve("apr_3", &["usr_ben"], &digest, 0).await;
    told.story.consume("apr_3", "export.transactions/1", &digest, 0).await;
    let defined = json!({"action":"export.transactions","version":1,"rules":rules,"by":"usr_ana",
        "reason":"Two are safer","approval_id":"apr_3"});
    told.story.tell(("approval_policy", "export.transactions"), "approval_policy.defined", defined).await;
    let ran = told.runs(1).await;
    assert_found(&told.story.bench, &[("approval_policy_mismatch", ran.effect)]);
}
