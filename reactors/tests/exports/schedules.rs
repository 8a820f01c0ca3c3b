//! Schedules: what falls due runs once, whoever drives and wherever a process is gone, and rests on what was agreed to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daybook_approvals::{DueRun, ExportRuns, Gated, HeldUp, Needed};
use daybook_domain::Timestamp;
use daybook_domain::approval::Decision;
use daybook_domain::approval_policy::{ApprovalPolicy, ApprovalPolicyCommand, Clause, Electorate, Rule, Step, Terms};
use daybook_domain::export::{ExportFormat, ExportKind, RestsOn};
use daybook_domain::export_schedule::{
    Created, ExportSchedule, ExportScheduleCommand, Period, RunCause, ScheduledExport, StandingEnd,
};
use daybook_domain::names::{ApprovalId, RoleName, ScheduleId};
use daybook_domain::text::{ActorId, Line, Reason, ShortName};
use daybook_http_kit::principal::Via;
use daybook_http_kit::{Access, PermissionSet, Principal};
use daybook_ledger::commands::{CommandContext, Commands};
use daybook_ledger::cqrs::StreamPolicy;
use daybook_ledger::{Actor, LedgerId};
use daybook_reactors::{ExportScheduleParts, ExportSchedules, Leases};
use tokio::sync::watch;

use crate::on_both_stores;
use crate::world::{MORNING, SECOND, World};

/// Every hour. The world begins at ten.
const HOURLY: &str = "0 * * * *";
const HOUR: i64 = 3_600;
const ID: &str = "sch_1";

/// What somebody who asks for exports has.
struct Plan {
    world: World,
    runs: ExportRuns,
}

fn actor(id: &str) -> ActorId {
    ActorId::parse("", id).unwrap()
}

fn context() -> CommandContext {
    CommandContext::new(Actor::system("tests"))
}

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_micros(MORNING + seconds * SECOND).unwrap()
}

impl Plan {
    async fn new(world: World, period: Period) -> Self {
        let runs = ExportRuns::new(world.approvals.clone());
        let created = Created {
            schedule_id: ScheduleId::parse("", ID).unwrap(),
            name: Line::parse("", "Hourly").unwrap(),
            export: ScheduledExport {
                kind: ExportKind::Transactions,
                format: ExportFormat::Csv,
                filters: BTreeMap::new(),
                columns: Vec::new(),
                deliver_to: Vec::new(),
                cron: Line::parse("", HOURLY).unwrap(),
                time_zone: ShortName::parse("", "UTC").unwrap(),
                period,
            },
            required_permissions: Vec::new(),
            created_by: actor("operator"),
            person: actor("operator"),
            reason: None,
            at: world.now(),
        };
        runs.carry_out(ID, ExportScheduleCommand::Create(Box::new(created)), context()).await.unwrap();
        Self { world, runs }
    }

    /// As a process that starts would have it.
    async fn driver(&self) -> ExportSchedules {
        let leases = Leases::open(self.world.database.clone(), LedgerId::main(), self.world.clock()).await.unwrap();
        ExportSchedules::new(ExportScheduleParts {
            runs: ExportRuns::new(self.world.approvals.clone()),
            database: self.world.database.clone(),
            leases: leases.lasting(Duration::from_millis(1_000)),
            clock: self.world.clock(),
        })
    }

    async fn schedule(&self) -> ExportSchedule {
        self.runs.find(ID).await.unwrap().aggregate
    }

    /// Drives until `done` says so of the schedule.
    async fn drive(&self, done: impl Fn(&ExportSchedule) -> bool) -> ExportSchedule {
        let (driver, (stop, stopping)) = (self.driver().await, watch::channel(false));
        let driving = tokio::spawn(async move { driver.run(stopping).await.unwrap() });
        let schedule = self.wait_for(done).await;
        while !self.is_opened(&schedule).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.send_replace(true);
        driving.await.unwrap();
        schedule
    }

    /// Whether the last run has its export, and that its approval.
    async fn is_opened(&self, schedule: &ExportSchedule) -> bool {
        let Some(run) = schedule.last_run() else { return true };
        let export = self.world.exports.load(run.export_id.as_str()).await.unwrap();
        let approval = self.world.decisions.load(run.approval_id.as_str()).await.unwrap();
        export.is_some() && approval.is_some()
    }

    async fn wait_for(&self, done: impl Fn(&ExportSchedule) -> bool) -> ExportSchedule {
        for _ in 0..4_000 {
            let schedule = self.schedule().await;
            if done(&schedule) {
                return schedule;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it does not get there: {:#?}", self.schedule().await);
    }

    /// Asks for a standing approval until so many seconds after the world began. Answers its id without `apr_`.
    async fn ask_for_standing(&self, seconds: i64) -> String {
        let until = after(seconds);
        let operator = Principal {
            actor: Actor::human("operator"),
            organization: LedgerId::main(),
            roles: Arc::from(["operator".to_owned()]),
            access: Arc::new(Access::everywhere(PermissionSet::all())),
            via: Via::OperatorToken,
            session_id: None,
        };
        let gated = Gated {
            action: self.schedule().await.action(until).unwrap(),
            required_permissions: Vec::<Needed>::new(),
            reason: None,
            execution_id: ID.to_owned(),
            detail: "",
        };
        let opened = self.world.approvals.open(&operator, gated, context()).await.unwrap();
        let approval_id = ApprovalId::parse("", opened.id.as_str()).unwrap();
        let (by, at) = (actor("operator"), self.world.now());
        let command = ExportScheduleCommand::RequestStanding { approval_id, until, by, at };
        self.runs.carry_out(ID, command, context()).await.unwrap();
        opened.id.replace("apr_", "")
    }

    /// A schedule whose runs are agreed to until so many seconds after the world began.
    async fn with_standing(world: World, seconds: i64) -> Self {
        let plan = Self::new(world, Period::None).await;
        let asked = plan.ask_for_standing(seconds).await;
        plan.vote(&asked, Decision::Approve).await;
        let schedule = plan.drive(|schedule| schedule.standing().is_some()).await;
        assert_eq!((schedule.runs(), schedule.pending()), (0, None));
        plan
    }

    async fn vote(&self, approval: &str, decision: Decision) {
        self.world.vote(&format!("exp_{approval}"), decision).await;
    }

    async fn vote_on_last_run(&self, decision: Decision) {
        let schedule = self.schedule().await;
        self.world.vote(schedule.last_run().unwrap().export_id.as_str(), decision).await;
    }

    async fn count(&self, event_type: &str) -> usize {
        self.world.entries(event_type).await.len()
    }
}

/// Everybody has to agree twice from now on.
async fn change_policy(world: &World) {
    let role = Electorate::Role(RoleName::parse("", "owner").unwrap());
    let terms = Terms {
        steps: vec![Step { name: None, clauses: vec![Clause { votes: 2, from: vec![role] }] }],
        distinct_persons: true,
        decide_within_seconds: 3_000_000,
        grant_seconds: 3_000_000,
        escalation: Vec::new(),
        break_glass: None,
    };
    let action = daybook_domain::approval::ActionType::parse("", "export.transactions").unwrap();
    let rules = vec![Rule { amount_at_least: None, amount_below: None, label: None, terms }];
    let command = ApprovalPolicyCommand::Define {
        action,
        rules,
        by: actor("usr_2"),
        reason: Reason::parse("", "stricter").unwrap(),
        approval_id: ApprovalId::parse("", "apr_policy").unwrap(),
    };
    let policies: Commands<ApprovalPolicy> = Commands::new(world.ledger.clone(), StreamPolicy::default());
    policies.execute("export.transactions", command, context()).await.unwrap();
}

on_both_stores!(
    run_without_standing_approval_waits_for_one_of_its_own,
    run_whose_approval_was_not_opened_is_not_given_up,
    standing_approval_is_followed_and_runs_rest_on_it,
    refused_standing_approval_leaves_runs_to_their_own,
    standing_approval_ends_when_its_time_is_over_or_the_policy_changes,
    one_run_stands_for_all_that_fell_due_while_nobody_drove,
    time_that_is_due_runs_once_however_many_run_it,
    wherever_it_is_interrupted_each_time_runs_once_and_is_opened,
    second_process_goes_on_where_the_first_is_gone,
    paused_schedule_does_not_run_and_makes_nothing_up,
    no_run_is_recorded_over_one_that_was_not_opened,
    what_falls_due_while_a_run_waits_for_its_approval_is_one_run_afterwards,
    schedule_whose_clock_was_ahead_is_held_up,
);

mod suite {
    use std::future::Future;
    use std::pin::pin;
    use std::task::Poll;

    use daybook_domain::export::{Export, ExportCommand, ExportStatus, Requested};
    use futures::future::join_all;

    use super::*;

    pub async fn run_without_standing_approval_waits_for_one_of_its_own(world: World) {
        let plan = Plan::new(world, Period::SincePrevious).await;
        plan.world.pass_seconds(HOUR);
        let schedule = plan.drive(|schedule| schedule.runs() == 1).await;
        let run = schedule.last_run().unwrap().clone();
        assert_eq!((run.cause, run.rests_on, run.missed), (RunCause::Due, RestsOn::Own, 0));
        assert_eq!((run.scheduled_for, run.from, run.to), (after(HOUR), Some(after(0)), Some(after(HOUR))));
        let export = plan.world.export(run.export_id.as_str()).await;
        let request = export.request().unwrap();
        assert_eq!((export.status(), &request.approval_id), (Some(ExportStatus::Requested), &run.approval_id));
        assert_eq!(request.filters["end"], "2026-11-21T10:59:59.999999Z");
        // Somebody agrees, and it is made as any other.
        plan.vote(&run.export_id.as_str().replace("exp_", ""), Decision::Approve).await;
        let made = plan.world.drive(&[], run.export_id.as_str(), Export::has_file).await;
        assert_eq!(plan.world.verify(&made).findings, []);
    }

    pub async fn run_whose_approval_was_not_opened_is_not_given_up(world: World) {
        let plan = Plan::new(world, Period::None).await;
        plan.world.pass_seconds(HOUR);
        // Whoever recorded the run was gone before its approval was there.
        let (scheduled_for, at) = (Some(after(HOUR)), plan.world.now());
        let (cause, rests_on) = (RunCause::Due, RestsOn::Own);
        let command = ExportScheduleCommand::Run { cause, scheduled_for, rests_on, opened: 0, by: None, at };
        plan.runs.carry_out(ID, command, context()).await.unwrap();
        let schedule = plan.schedule().await;
        let run = schedule.last_run().unwrap();
        let asked = async |request: Requested| {
            let id = request.export_id.to_string();
            let command = ExportCommand::Request(Box::new(request));
            plan.world.exports.execute(&id, command, context()).await.unwrap();
            id
        };
        let of_run = asked(schedule.requested_of(run).unwrap()).await;
        let by_hand = asked(plan.world.request(ExportKind::Transactions, ExportFormat::Csv)).await;
        // A long time after: what nobody opened by hand is given up.
        plan.world.pass_seconds(HOUR / 2);
        plan.world.drive(&[], &by_hand, |export| export.status() == Some(ExportStatus::Rejected)).await;
        assert_eq!(plan.world.export(&of_run).await.status(), Some(ExportStatus::Requested));
        let (driver, (stop, stopping)) = (plan.driver().await, watch::channel(false));
        let driving = tokio::spawn(async move { driver.run(stopping).await.unwrap() });
        while plan.world.decisions.load(run.approval_id.as_str()).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.send_replace(true);
        driving.await.unwrap();
        plan.vote(&of_run.replace("exp_", ""), Decision::Approve).await;
        plan.world.drive(&[], &of_run, Export::has_file).await;
    }

    pub async fn standing_approval_is_followed_and_runs_rest_on_it(world: World) {
        let plan = Plan::with_standing(world, 100 * HOUR).await;
        plan.world.record(5).await;
        for number in 1..=2 {
            plan.world.pass_seconds(HOUR);
            let schedule = plan.drive(|schedule| schedule.runs() == number).await;
            let run = schedule.last_run().unwrap();
            assert_eq!(run.rests_on, RestsOn::Standing);
            assert_eq!(run.approval_id, schedule.standing().unwrap().approval_id);
            let made = plan.world.drive(&[], run.export_id.as_str(), Export::has_file).await;
            assert_eq!((made.generated().unwrap().rows, plan.world.verify(&made).findings.len()), (5, 0));
        }
        let counts = (plan.count("approval.requested").await, plan.count("approval.consumed").await);
        assert_eq!(counts, (1, 1), "one decision for all of them");
        assert_eq!(plan.count("export_schedule.standing_approved").await, 1);
    }

    pub async fn refused_standing_approval_leaves_runs_to_their_own(world: World) {
        let plan = Plan::new(world, Period::None).await;
        let asked = plan.ask_for_standing(100 * HOUR).await;
        plan.vote(&asked, Decision::Reject).await;
        let schedule = plan.drive(|schedule| schedule.pending().is_none()).await;
        assert_eq!(schedule.last_standing_ended().unwrap().why, StandingEnd::Rejected);
        plan.world.pass_seconds(HOUR);
        let schedule = plan.drive(|schedule| schedule.runs() == 1).await;
        assert_eq!(schedule.last_run().unwrap().rests_on, RestsOn::Own);
    }

    pub async fn standing_approval_ends_when_its_time_is_over_or_the_policy_changes(world: World) {
        let plan = Plan::with_standing(world, HOUR + 60).await;
        // Half an hour past its end nothing is due, and it ends all the same.
        plan.world.pass_seconds(HOUR);
        plan.drive(|schedule| schedule.runs() == 1).await;
        plan.world.pass_seconds(HOUR / 2);
        let schedule = plan.drive(|schedule| schedule.standing().is_none()).await;
        assert_eq!(schedule.last_standing_ended().unwrap().why, StandingEnd::Expired);
        // Another one, which the next policy takes away again.
        let asked = plan.ask_for_standing(100 * HOUR).await;
        plan.vote(&asked, Decision::Approve).await;
        plan.drive(|schedule| schedule.standing().is_some()).await;
        change_policy(&plan.world).await;
        plan.world.pass_seconds(HOUR);
        let schedule = plan.drive(|schedule| schedule.runs() == 2).await;
        assert_eq!(schedule.last_standing_ended().unwrap().why, StandingEnd::PolicyChanged);
        let run = schedule.last_run().unwrap();
        assert_eq!(run.rests_on, RestsOn::Own);
        let export = plan.world.export(run.export_id.as_str()).await;
        assert_eq!(export.status(), Some(ExportStatus::Requested), "it waits for those who have to agree now");
    }

    pub async fn one_run_stands_for_all_that_fell_due_while_nobody_drove(world: World) {
        let plan = Plan::new(world, Period::SincePrevious).await;
        plan.world.pass_seconds(HOUR);
        plan.drive(|schedule| schedule.runs() == 1).await;
        plan.vote_on_last_run(Decision::Reject).await;
        plan.world.pass_seconds(72 * HOUR);
        let schedule = plan.drive(|schedule| schedule.runs() == 2).await;
        let run = schedule.last_run().unwrap();
        assert_eq!((run.scheduled_for, run.missed), (after(73 * HOUR), 71));
        assert_eq!((run.from, run.to), (Some(after(HOUR)), Some(after(73 * HOUR))), "nothing is left out");
        assert_eq!(plan.count("export_schedule.run").await, 2);
    }

    pub async fn time_that_is_due_runs_once_however_many_run_it(world: World) {
        let plan = Plan::new(world, Period::None).await;
        for number in 1..=5 {
            plan.world.pass_seconds(HOUR);
            // As processes whose leases overlap would do it, each with what it holds of its own.
            let others: Vec<ExportRuns> = (0..8).map(|_| ExportRuns::new(plan.world.approvals.clone())).collect();
            let all = join_all(others.iter().map(|runs| async { runs.run_due(ID, &context()).await.unwrap() })).await;
            let ran = all.iter().filter(|one| matches!(one, DueRun::Ran(_))).count();
            assert_eq!((ran, plan.schedule().await.runs()), (1, number), "{all:?}");
            plan.vote_on_last_run(Decision::Reject).await;
        }
        assert_eq!(plan.count("export_schedule.run").await, 5);
        assert_eq!((plan.count("export.requested").await, plan.count("approval.requested").await), (5, 5));
    }

    /// Runs a future until it was asked to go on so many times, and drops it then: whatever it was waiting for.
    async fn interrupted<F: Future>(future: F, polls: usize) {
        let (mut future, mut left) = (pin!(future), polls);
        std::future::poll_fn(|task| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            future.as_mut().poll(task).map(drop)
        })
        .await;
    }

    pub async fn wherever_it_is_interrupted_each_time_runs_once_and_is_opened(world: World) {
        let plan = Plan::new(world, Period::SincePrevious).await;
        let asked = plan.ask_for_standing(8 * HOUR).await;
        plan.vote(&asked, Decision::Approve).await;
        let mut polls = 1;
        // The last ones are past the end of the standing approval.
        for number in 1..=12 {
            plan.world.pass_seconds(HOUR);
            let due = plan.world.now();
            let is_there = async || {
                let schedule = plan.schedule().await;
                schedule.runs() == number && plan.is_opened(&schedule).await
            };
            let mut attempts = 0;
            while !is_there().await {
                let driver = plan.driver().await;
                let (_running, never) = watch::channel(false);
                // On PostgreSQL the lease of a process that is gone has to end first.
                let going = tokio::time::timeout(Duration::from_secs(3), interrupted(driver.run(never), polls));
                let _ = going.await;
                attempts += 1;
                assert!(attempts < 200, "run {number} does not come: {:#?}", plan.schedule().await);
                polls += 1 + polls / 8;
            }
            polls = 1 + polls / 3;
            let run = plan.schedule().await.last_run().unwrap().clone();
            assert_eq!((run.scheduled_for, run.missed), (due, 0), "no time is passed over");
            if run.rests_on == RestsOn::Own {
                plan.vote_on_last_run(Decision::Reject).await;
            }
        }
        // Periods meet and do not overlap.
        let schedule = plan.schedule().await;
        let periods: Vec<_> = schedule.recent_runs().map(|run| (run.from.unwrap(), run.to.unwrap())).collect();
        assert!(periods.windows(2).all(|two| two[0].1 == two[1].0), "{periods:?}");
        assert_eq!(plan.count("export_schedule.run").await, 12);
        assert_eq!(plan.count("export.requested").await, 12);
        let own = schedule.recent_runs().filter(|run| run.rests_on == RestsOn::Own).count();
        assert!((4..12).contains(&own), "some before and some after the standing approval: {own}");
        assert_eq!(plan.count("approval.requested").await, own + 1);
        assert_eq!(plan.count("export_schedule.standing_approved").await, 1);
        assert_eq!(plan.count("export_schedule.standing_ended").await, 1);
    }

    pub async fn second_process_goes_on_where_the_first_is_gone(world: World) {
        let plan = Plan::new(world, Period::None).await;
        // The second one starts first, or it would end the lease of the first as that of a process that is gone.
        let (first, second) = (plan.driver().await, plan.driver().await);
        let (stop, stopping) = watch::channel(false);
        let one = tokio::spawn({
            let (first, stopping) = (first.clone(), stopping.clone());
            async move { first.run(stopping).await.unwrap() }
        });
        let other = tokio::spawn({
            let second = second.clone();
            async move { second.run(stopping).await.unwrap() }
        });
        plan.world.pass_seconds(HOUR);
        plan.wait_for(|schedule| schedule.runs() == 1).await;
        // On SQLite leases end by the clock that tests set: both may believe to have it, until the first renews its own.
        let is_driving = |driver: &ExportSchedules| driver.status().borrow().is_driving;
        for _ in 0..1_000 {
            if is_driving(&first) != is_driving(&second) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let is_first = is_driving(&first);
        assert_ne!(is_first, is_driving(&second), "one of them drives");
        let (gone, stays) = if is_first { (one, other) } else { (other, one) };
        while !plan.is_opened(&plan.schedule().await).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        plan.vote_on_last_run(Decision::Reject).await;
        gone.abort();
        plan.world.pass_seconds(HOUR);
        let schedule = plan.wait_for(|schedule| schedule.runs() == 2).await;
        assert_eq!(schedule.last_run().unwrap().missed, 0);
        stop.send_replace(true);
        stays.await.unwrap();
        assert_eq!(plan.count("export_schedule.run").await, 2);
    }

    pub async fn no_run_is_recorded_over_one_that_was_not_opened(world: World) {
        let plan = Plan::new(world, Period::None).await;
        plan.world.pass_seconds(HOUR / 2);
        // As processes do it that know nothing of each other; each is gone somewhere on the way.
        for round in 0..6 {
            let others: Vec<ExportRuns> = (0..12).map(|_| ExportRuns::new(plan.world.approvals.clone())).collect();
            let asked = others.iter().zip(1..).map(|(runs, number)| async move {
                interrupted(runs.run_asked(ID, actor("operator"), &context()), number * 3 + round).await;
            });
            join_all(asked).await;
        }
        let schedule = plan.schedule().await;
        assert!(schedule.runs() > 1, "some came so far");
        plan.runs.open_last(&schedule, &context()).await.unwrap();
        let counts = (plan.count("export.requested").await, plan.count("approval.requested").await);
        assert_eq!(counts, (schedule.runs() as usize, schedule.runs() as usize));
    }

    pub async fn what_falls_due_while_a_run_waits_for_its_approval_is_one_run_afterwards(world: World) {
        let plan = Plan::new(world, Period::SincePrevious).await;
        plan.world.pass_seconds(HOUR);
        let (driver, (stop, stopping)) = (plan.driver().await, watch::channel(false));
        let status = driver.status();
        let driving = tokio::spawn(async move { driver.run(stopping).await.unwrap() });
        let first = plan.wait_for(|schedule| schedule.runs() == 1).await.last_run().unwrap().clone();
        plan.world.pass_seconds(5 * HOUR);
        let waits = async || match plan.runs.run_due(ID, &context()).await.unwrap() {
            DueRun::Waits(approval_id) => assert_eq!(approval_id, first.approval_id),
            other => panic!("{other:?}"),
        };
        waits().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        waits().await;
        assert_eq!((plan.schedule().await.runs(), plan.count("approval.requested").await), (1, 1));
        assert_eq!((status.borrow().held_up, status.borrow().error.clone()), (0, None), "that is no fault");
        plan.vote_on_last_run(Decision::Reject).await;
        let schedule = plan.wait_for(|schedule| schedule.runs() == 2).await;
        stop.send_replace(true);
        driving.await.unwrap();
        let run = schedule.last_run().unwrap();
        assert_eq!((run.scheduled_for, run.missed, run.from), (after(6 * HOUR), 4, first.to));
    }

    pub async fn schedule_whose_clock_was_ahead_is_held_up(world: World) {
        let plan = Plan::new(world, Period::Day).await;
        let (scheduled_for, at) = (Some(after(100 * HOUR)), after(100 * HOUR));
        let (cause, rests_on) = (RunCause::Due, RestsOn::Own);
        let command = ExportScheduleCommand::Run { cause, scheduled_for, rests_on, opened: 0, by: None, at };
        plan.runs.carry_out(ID, command, context()).await.unwrap();
        plan.world.pass_seconds(2 * HOUR);
        let held_up = plan.runs.run_due(ID, &context()).await.unwrap();
        assert!(matches!(held_up, DueRun::HeldUp(HeldUp::Clock)), "{held_up:?}");
        let shown = plan.world.approvals.export_schedule(ID).await.unwrap().unwrap();
        assert_eq!(shown.held_up_by, Some("clock"));
        assert_eq!(shown.next_runs.first(), Some(&after(101 * HOUR).to_string()), "when it runs indeed");
    }

    pub async fn paused_schedule_does_not_run_and_makes_nothing_up(world: World) {
        let plan = Plan::new(world, Period::None).await;
        let reason = Reason::parse("", "freeze").unwrap();
        let pause = ExportScheduleCommand::Pause { by: actor("operator"), binds: false, reason, at: plan.world.now() };
        plan.runs.carry_out(ID, pause, context()).await.unwrap();
        plan.world.pass_seconds(10 * HOUR);
        assert!(matches!(plan.runs.run_due(ID, &context()).await.unwrap(), DueRun::NothingDue));
        // Somebody may want one all the same.
        let (ran, opened) = plan.runs.run_asked(ID, actor("operator"), &context()).await.unwrap();
        assert_eq!(ran.aggregate.last_run().unwrap().cause, RunCause::Asked);
        assert!(opened.approval.is_some());
        let resume = ExportScheduleCommand::Resume { by: actor("operator"), is_owner: true, at: plan.world.now() };
        plan.runs.carry_out(ID, resume, context()).await.unwrap();
        assert!(matches!(plan.runs.run_due(ID, &context()).await.unwrap(), DueRun::NothingDue));
        plan.vote_on_last_run(Decision::Reject).await;
        plan.world.pass_seconds(HOUR);
        let schedule = plan.drive(|schedule| schedule.runs() == 2).await;
        assert_eq!(
            (schedule.last_run().unwrap().scheduled_for, schedule.last_run().unwrap().missed),
            (after(11 * HOUR), 0)
        );
    }
}
