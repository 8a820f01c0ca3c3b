//! Standing approvals: used up once for a schedule, and what of its runs is let through by them.

use daybook_approvals::{DueRun, ExportRuns, Gated, Grant, HeldUp, Needed, RedeemError};
use daybook_domain::Timestamp;
use daybook_domain::approval::{ApprovalStatus, RequiredPermission};
use daybook_domain::approval_policy::BreakGlass;
use daybook_domain::export::{ExportFormat, ExportKind, HexDigest, Requested, RestsOn, ScheduledRun};
use daybook_domain::export_schedule::{
    Created, ExportSchedule, ExportScheduleCommand, Period, RunCause, ScheduledExport, StandingApproved, StandingEnd,
};
use daybook_domain::names::{DepartmentId, DestinationName, ExportId, PermissionName, ScheduleId};
use daybook_domain::refusal::Refusal;
use daybook_domain::text::{ActorId, Line, ShortName};
use daybook_ledger::StreamKey;
use serde_json::{Value, json};

use crate::world::{HOUR, World, action, approval_id, context, role, steps, system, why};

const DAY: i64 = 24 * HOUR;

/// Ann's schedule.
struct Scheduled {
    world: World,
    runs: ExportRuns,
    until: Timestamp,
}

fn line(text: &str) -> Line {
    Line::parse("", text).unwrap()
}

fn ann() -> ActorId {
    ActorId::parse("", "usr_ann").unwrap()
}

fn export() -> ScheduledExport {
    ScheduledExport {
        kind: ExportKind::Transactions,
        format: ExportFormat::Csv,
        filters: [("currency".to_owned(), "EUR".to_owned())].into(),
        columns: vec!["transaction_id".to_owned()],
        deliver_to: vec![DestinationName::parse("", "archive").unwrap()],
        cron: line("0 6 * * *"),
        time_zone: ShortName::parse("", "Europe/Zurich").unwrap(),
        period: Period::SincePrevious,
    }
}

/// Whether it ends the approval, and its code.
fn code(error: &RedeemError) -> (&'static str, bool) {
    match error {
        RedeemError::Refused(refusal) => (refusal.code(), false),
        RedeemError::Ended(refusal) => (refusal.code(), true),
        RedeemError::Unavailable(problem) => panic!("{problem}"),
    }
}

impl Scheduled {
    /// A schedule that nobody has agreed to.
    async fn new(world: World) -> Self {
        Self::of(world, export(), "transaction:read", None).await
    }

    /// One of this, which takes a permission everywhere or in a department.
    async fn of(world: World, export: ScheduledExport, permission: &str, department: Option<&str>) -> Self {
        let runs = ExportRuns::new(world.approvals.clone());
        let until = Timestamp::from_micros(world.now() + 30 * DAY).unwrap();
        let scheduled = Self { world, runs, until };
        let created = Created {
            schedule_id: ScheduleId::parse("", "sch_1").unwrap(),
            name: line("Daily"),
            export,
            required_permissions: vec![RequiredPermission {
                name: PermissionName::parse("", permission).unwrap(),
                department: department.map(|id| DepartmentId::parse("", id).unwrap()),
            }],
            created_by: ann(),
            person: ann(),
            reason: None,
            at: scheduled.now(),
        };
        scheduled.does(ExportScheduleCommand::Create(Box::new(created))).await;
        scheduled.world.wait(HOUR);
        scheduled
    }

    /// One whose runs Bob has agreed to, for thirty days.
    async fn approved(world: World) -> Self {
        let scheduled = Self::new(world).await;
        scheduled.renews().await;
        scheduled
    }

    /// Bob agrees to its runs, in the place of what there is.
    async fn renews(&self) {
        let id = self.asks().await;
        self.world.approves("bob", &id).await;
        let grant = self.uses_up(&id).await.unwrap();
        self.stands(&grant).await;
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.world.now()).unwrap()
    }

    async fn does(&self, command: ExportScheduleCommand) -> ExportSchedule {
        self.runs.carry_out("sch_1", command, system()).await.unwrap().aggregate
    }

    async fn schedule(&self) -> ExportSchedule {
        self.runs.find("sch_1").await.unwrap().aggregate
    }

    /// Ann asks that all runs be agreed to; the id of the request.
    async fn asks(&self) -> String {
        let schedule = self.schedule().await;
        let caller = self.world.caller("ann").await;
        let gated = Gated {
            action: schedule.action(self.until).unwrap(),
            required_permissions: vec![Needed::everywhere("transaction:read")],
            reason: None,
            execution_id: "sch_1".to_owned(),
            detail: "A standing approval requires approval",
        };
        let opened = self.world.approvals.open(&caller, gated, context(&caller)).await.unwrap();
        self.requests(&opened.id).await;
        opened.id
    }

    async fn requests(&self, id: &str) {
        let (approval_id, until, by, at) = (approval_id(id), self.until, ann(), self.now());
        self.does(ExportScheduleCommand::RequestStanding { approval_id, until, by, at }).await;
    }

    async fn uses_up(&self, id: &str) -> Result<Grant, RedeemError> {
        let digest = self.schedule().await.action(self.until).unwrap().digest();
        self.world.approvals.redeem(&approval_id(id), &digest, "sch_1", &system()).await
    }

    async fn stands(&self, grant: &Grant) {
        self.stands_by(grant.approval_id().as_str(), grant.policy_version()).await;
    }

    async fn stands_by(&self, id: &str, policy_version: u64) {
        let approved = StandingApproved {
            approval_id: approval_id(id),
            execution_id: line("sch_1"),
            policy_version,
            approved_by: Vec::new(),
            until: self.until,
            at: self.now(),
        };
        self.does(ExportScheduleCommand::ApproveStanding(approved)).await;
    }

    /// Has it run now; the export of the run.
    async fn runs(&self, rests_on: RestsOn) -> Requested {
        self.world.wait(HOUR);
        let (cause, scheduled_for, by) = (RunCause::Asked, None, Some(ann()));
        let opened = self.schedule().await.runs();
        let command = ExportScheduleCommand::Run { cause, scheduled_for, rests_on, opened, by, at: self.now() };
        let schedule = self.does(command).await;
        schedule.requested_of(schedule.last_run().unwrap()).unwrap()
    }

    async fn redeems(&self, request: &Requested) -> Result<Grant, RedeemError> {
        self.world.approvals.redeem_standing(request, &system()).await
    }

    async fn refusal(&self, request: &Requested) -> (&'static str, bool) {
        code(&self.redeems(request).await.unwrap_err())
    }

    async fn holds(&self) -> Result<(), StandingEnd> {
        self.world.approvals.standing_holds(&self.schedule().await).await.unwrap()
    }
}

#[tokio::test]
async fn each_run_gets_its_own_grant_and_the_approval_is_used_up_once() {
    every_run_is_let_through(World::new().await).await;
}

#[tokio::test]
async fn each_run_gets_its_own_grant_and_the_approval_is_used_up_once_on_postgres() {
    let Some(world) = World::postgres().await else { return };
    every_run_is_let_through(world).await;
}

async fn every_run_is_let_through(world: World) {
    let scheduled = Scheduled::approved(world).await;
    assert_eq!(scheduled.holds().await, Ok(()));
    let mut last: Option<Requested> = None;
    for _ in 0..3 {
        let request = scheduled.runs(RestsOn::Standing).await;
        let grant = scheduled.redeems(&request).await.unwrap();
        assert_eq!(grant.approval_id(), &request.approval_id);
        assert_eq!(grant.execution_id().as_str(), request.export_id.as_str());
        assert!(grant.covers(&request.action().unwrap()), "exactly that export");
        assert!(last.as_ref().is_none_or(|last| !grant.covers(&last.action().unwrap())), "and no other");
        assert_eq!(grant.approvers().iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["usr_bob"]);
        // Each attempt to make the file asks again.
        assert_eq!(scheduled.redeems(&request).await.unwrap().digest(), grant.digest());
        last = Some(request);
    }
    let id = last.unwrap().approval_id;
    assert_eq!(scheduled.world.count(id.as_str(), "approval.consumed").await, 1);
    assert_eq!(scheduled.world.find(id.as_str()).await.status(), Some(ApprovalStatus::Consumed));
}

#[tokio::test]
async fn what_is_no_run_to_the_letter_is_refused() {
    let scheduled = Scheduled::approved(World::new().await).await;
    let request = scheduled.runs(RestsOn::Standing).await;
    scheduled.redeems(&request).await.unwrap();
    let of = |schedule: ScheduledRun| Requested { schedule: Some(schedule), ..request.clone() };
    let run = request.schedule.clone().unwrap();
    let mut further = request.filters.clone();
    further.insert("start".to_owned(), "2020-01-01T00:00:00.000000Z".to_owned());
    let bob = ActorId::parse("", "usr_bob").unwrap();
    for other in [
        Requested { export_id: ExportId::parse("", "exp_1").unwrap(), ..request.clone() },
        Requested { kind: ExportKind::Incidents, ..request.clone() },
        Requested { format: ExportFormat::Json, ..request.clone() },
        Requested { filters: Default::default(), ..request.clone() },
        Requested { filters: further, ..request.clone() },
        Requested { columns: Vec::new(), ..request.clone() },
        Requested { deliver_to: Vec::new(), ..request.clone() },
        Requested { collect: true, ..request.clone() },
        Requested { requested_by: bob.clone(), ..request.clone() },
        Requested { person: bob, ..request.clone() },
        Requested { schedule: None, ..request.clone() },
        of(ScheduledRun { run: 2, ..run.clone() }),
        of(ScheduledRun { rests_on: RestsOn::Own, ..run.clone() }),
    ] {
        assert_eq!(scheduled.refusal(&other).await, ("approval.digest_mismatch", false), "{other:?}");
    }
    let nowhere = of(ScheduledRun { schedule_id: ScheduleId::parse("", "sch_2").unwrap(), ..run });
    assert_eq!(scheduled.refusal(&nowhere).await, ("approval.not_found", false));
    let unheard = Requested { approval_id: approval_id("apr_nowhere"), ..request.clone() };
    assert_eq!(scheduled.refusal(&unheard).await, ("approval.not_found", false));
    // What somebody claims beside what decides is not looked at here; it is no part of what is approved.
    let claimed = Requested { digest: HexDigest::of(&[0; 32]), ..request };
    assert!(scheduled.redeems(&claimed).await.is_ok());
}

#[tokio::test]
async fn run_with_an_approval_of_its_own_is_not_let_through_by_the_standing_one() {
    let scheduled = Scheduled::approved(World::new().await).await;
    let request = scheduled.runs(RestsOn::Own).await;
    assert_eq!(scheduled.refusal(&request).await, ("approval.digest_mismatch", false));
    let standing = scheduled.schedule().await.standing().unwrap().approval_id.clone();
    let run = ScheduledRun { rests_on: RestsOn::Standing, ..request.schedule.clone().unwrap() };
    let pretended = Requested { approval_id: standing.clone(), schedule: Some(run), ..request.clone() };
    assert_eq!(scheduled.refusal(&pretended).await, ("approval.digest_mismatch", false));
    // Nor is it used up a second time, for an export.
    let digest = request.action().unwrap().digest();
    let again = scheduled.world.approvals.redeem(&standing, &digest, request.export_id.as_str(), &system()).await;
    assert_eq!(code(&again.unwrap_err()), ("approval.already_consumed", false));
}

#[tokio::test]
async fn standing_approval_is_worth_nothing_from_its_end_on() {
    let scheduled = Scheduled::approved(World::new().await).await;
    let request = scheduled.runs(RestsOn::Standing).await;
    scheduled.world.wait(scheduled.until.micros() - scheduled.world.now() - 1);
    assert!(scheduled.redeems(&request).await.is_ok());
    scheduled.world.wait(1);
    assert_eq!(scheduled.refusal(&request).await, ("approval.grant_expired", true));
    assert_eq!(scheduled.holds().await, Err(StandingEnd::Expired));
}

#[tokio::test]
async fn revoked_changed_or_ended_it_lets_nothing_through() {
    type Ends = fn(&Scheduled, &Requested) -> ExportScheduleCommand;
    let ends: [Ends; 3] = [
        |scheduled, request| ExportScheduleCommand::EndStanding {
            approval_id: request.approval_id.clone(),
            why: StandingEnd::Revoked,
            at: scheduled.now(),
        },
        |scheduled, _| ExportScheduleCommand::Change {
            export: Box::new(ScheduledExport { period: Period::Day, ..export() }),
            required_permissions: Vec::new(),
            revision: 1,
            by: ann(),
            reason: None,
            at: scheduled.now(),
        },
        |scheduled, _| ExportScheduleCommand::End { by: ann(), reason: why("Gone"), at: scheduled.now() },
    ];
    for command in ends {
        let scheduled = Scheduled::approved(World::new().await).await;
        let request = scheduled.runs(RestsOn::Standing).await;
        scheduled.does(command(&scheduled, &request)).await;
        assert_eq!(scheduled.refusal(&request).await, ("approval.grant_expired", false));
        assert_eq!(scheduled.holds().await, Err(StandingEnd::Revoked), "there is none");
    }
    // A pause takes nothing back.
    let scheduled = Scheduled::approved(World::new().await).await;
    let request = scheduled.runs(RestsOn::Standing).await;
    scheduled
        .does(ExportScheduleCommand::Pause { by: ann(), binds: false, reason: why("Away"), at: scheduled.now() })
        .await;
    assert!(scheduled.redeems(&request).await.is_ok());
}

#[tokio::test]
async fn run_that_is_under_way_rests_on_the_approval_that_was_renewed_since() {
    let scheduled = Scheduled::approved(World::new().await).await;
    let before = scheduled.runs(RestsOn::Standing).await;
    scheduled.world.wait(HOUR);
    scheduled.renews().await;
    let after = scheduled.runs(RestsOn::Standing).await;
    assert_ne!(before.approval_id, after.approval_id);
    assert_eq!(scheduled.redeems(&before).await.unwrap().approval_id(), &before.approval_id);
    assert!(scheduled.redeems(&after).await.is_ok());
    // Nothing else rests on the one that was replaced.
    let pretended = Requested { approval_id: before.approval_id.clone(), ..after.clone() };
    assert_eq!(scheduled.refusal(&pretended).await, ("approval.digest_mismatch", false));
    // All of it is looked at, as for the one in force.
    scheduled.world.policy("export.transactions", 1, steps(&[&["compliance"]])).await;
    for request in [&before, &after] {
        assert_eq!(scheduled.refusal(request).await, ("approval.policy_changed", true));
    }
    // Whoever takes the new one back lets nothing out under the old one.
    let scheduled = Scheduled::approved(World::new().await).await;
    let before = scheduled.runs(RestsOn::Standing).await;
    scheduled.renews().await;
    let approval_id = scheduled.schedule().await.standing().unwrap().approval_id.clone();
    let (why, at) = (StandingEnd::Revoked, scheduled.now());
    scheduled.does(ExportScheduleCommand::EndStanding { approval_id, why, at }).await;
    assert_eq!(scheduled.refusal(&before).await, ("approval.grant_expired", false));
    // Its own time counts.
    let scheduled = Scheduled::approved(World::new().await).await;
    let before = scheduled.runs(RestsOn::Standing).await;
    scheduled.world.wait(scheduled.until.micros() - scheduled.world.now() - HOUR);
    let renewed =
        Scheduled { until: Timestamp::from_micros(scheduled.until.micros() + 30 * DAY).unwrap(), ..scheduled };
    renewed.renews().await;
    assert!(renewed.redeems(&before).await.is_ok());
    renewed.world.wait(HOUR);
    assert_eq!(renewed.refusal(&before).await, ("approval.grant_expired", true));
    assert_eq!(renewed.holds().await, Ok(()));
}

#[tokio::test]
async fn department_whose_name_is_anothers_by_now_is_not_exported() {
    let of = |desks: &str| ScheduledExport {
        kind: ExportKind::Incidents,
        filters: [("desks".to_owned(), desks.to_owned())].into(),
        columns: Vec::new(),
        ..export()
    };
    let renamed = |from: &str, to: &str| json!({ "changes": [{ "field": "name", "old": from, "new": to }] });
    for rests_on in [RestsOn::Standing, RestsOn::Own] {
        let world = World::new().await;
        world.happens("dep_1", "department.created", json!({ "department_id": "dep_1", "name": "Rates" })).await;
        let scheduled = Scheduled::of(world, of(r#"["rates"]"#), "incident:read", Some("dep_1")).await;
        let approvals = &scheduled.world.approvals;
        let shown = async || approvals.export_schedule("sch_1").await.unwrap().unwrap().held_up_by;
        let request = match rests_on {
            RestsOn::Standing => {
                scheduled.renews().await;
                scheduled.runs(RestsOn::Standing).await
            }
            RestsOn::Own => {
                let request = scheduled.runs(RestsOn::Own).await;
                let schedule = scheduled.schedule().await;
                let opened = approvals.open_for_schedule(&schedule, &request, &system()).await.unwrap();
                scheduled.world.approves("bob", &opened.id).await;
                request
            }
        };
        let digest = request.action().unwrap().digest();
        let redeems = async || match rests_on {
            RestsOn::Standing => scheduled.redeems(&request).await,
            RestsOn::Own => {
                approvals.redeem(&request.approval_id, &digest, request.export_id.as_str(), &system()).await
            }
        };
        redeems().await.unwrap();
        assert_eq!(shown().await, None);
        scheduled.world.happens("dep_1", "department.changed", renamed("Rates", "Rates old")).await;
        scheduled
            .world
            .happens("dep_2", "department.created", json!({ "department_id": "dep_2", "name": "Rates" }))
            .await;
        // An attempt that comes later asks again.
        assert_eq!(code(&redeems().await.unwrap_err()), ("approval.requester_not_allowed", true), "{rests_on}");
        assert!(!approvals.owner_may(&scheduled.schedule().await).await.unwrap());
        assert_eq!(shown().await, Some("requester_not_allowed"));
        if rests_on == RestsOn::Standing {
            assert_eq!(scheduled.holds().await, Err(StandingEnd::RequesterNotAllowed));
        }
    }
}

#[tokio::test]
async fn nothing_is_recorded_in_the_name_of_somebody_who_has_too_many_requests_open() {
    let scheduled = Scheduled::new(World::new().await).await;
    let id = scheduled.asks().await;
    let key = StreamKey::new("approval", id).unwrap();
    let first = scheduled.world.ledger.reader().stream(&key, 1, 1).await.unwrap().remove(0);
    let mut requested: Value = serde_json::from_str(&first.payload.unwrap()).unwrap();
    for number in 1..1_000 {
        requested["approval_id"] = format!("apr_{number}").into();
        scheduled.world.happens(&format!("apr_{number}"), "approval.requested", requested.clone()).await;
    }
    scheduled.world.wait(30 * HOUR);
    let held_up = scheduled.runs.run_due("sch_1", &system()).await.unwrap();
    assert!(matches!(held_up, DueRun::HeldUp(HeldUp::TooManyOpen)), "{held_up:?}");
    let shown = scheduled.world.approvals.export_schedule("sch_1").await.unwrap().unwrap();
    assert_eq!(shown.held_up_by, Some("too_many_open"));
    scheduled
        .does(ExportScheduleCommand::Pause { by: ann(), binds: false, reason: why("Away"), at: scheduled.now() })
        .await;
    let refused = scheduled.runs.run_asked("sch_1", ann(), &system()).await.unwrap_err();
    assert_eq!(refused.code(), "approval.too_many_open");
    assert_eq!(scheduled.schedule().await.runs(), 0);
}

#[tokio::test]
async fn policy_that_changed_since_asks_others() {
    let scheduled = Scheduled::approved(World::new().await).await;
    let request = scheduled.runs(RestsOn::Standing).await;
    scheduled.world.policy("export.transactions", 1, steps(&[&["compliance"]])).await;
    assert_eq!(scheduled.refusal(&request).await, ("approval.policy_changed", true));
    assert_eq!(scheduled.holds().await, Err(StandingEnd::PolicyChanged));
}

#[tokio::test]
async fn owner_who_may_not_any_more_has_nothing_made() {
    let scheduled = Scheduled::approved(World::new().await).await;
    let request = scheduled.runs(RestsOn::Standing).await;
    assert!(scheduled.world.approvals.owner_may(&scheduled.schedule().await).await.unwrap());
    scheduled.world.happens("usr_ann", "user.deactivated", json!({ "reason": "Left" })).await;
    assert_eq!(scheduled.refusal(&request).await, ("approval.requester_not_allowed", true));
    assert_eq!(scheduled.holds().await, Err(StandingEnd::RequesterNotAllowed));
    assert!(!scheduled.world.approvals.owner_may(&scheduled.schedule().await).await.unwrap());
}

#[tokio::test]
async fn voter_who_turns_out_to_be_the_owner_ends_it() {
    let scheduled = Scheduled::approved(World::new().await).await;
    let request = scheduled.runs(RestsOn::Standing).await;
    scheduled.world.same_person("bob", "ann").await;
    assert_eq!(scheduled.refusal(&request).await, ("approval.requester_not_allowed", true));
    assert_eq!(scheduled.holds().await, Err(StandingEnd::RequesterNotAllowed));
}

#[tokio::test]
async fn schedule_that_says_it_is_approved_is_not_believed() {
    // Nobody has decided.
    let scheduled = Scheduled::new(World::new().await).await;
    let id = scheduled.asks().await;
    scheduled.stands_by(&id, 0).await;
    let request = scheduled.runs(RestsOn::Standing).await;
    assert_eq!(scheduled.refusal(&request).await, ("approval.not_approved", true));
    assert_eq!(scheduled.holds().await, Err(StandingEnd::Voided));
    // Bob has, and it was not used up.
    scheduled.world.approves("bob", &id).await;
    assert_eq!(scheduled.refusal(&request).await, ("approval.not_approved", true));

    // It was used up for something else.
    let scheduled = Scheduled::new(World::new().await).await;
    let caller = scheduled.world.caller("ann").await;
    let blocked = scheduled.world.is_blocked(&caller, scheduled.world.export("sch_1")).await;
    scheduled.world.approves("bob", &blocked.approval_id).await;
    let digest = action("export.transactions", "sch_1").digest();
    let id = approval_id(&blocked.approval_id);
    scheduled.world.approvals.redeem(&id, &digest, "sch_1", &system()).await.unwrap();
    scheduled.requests(&blocked.approval_id).await;
    scheduled.stands_by(&blocked.approval_id, 0).await;
    let request = scheduled.runs(RestsOn::Standing).await;
    assert_eq!(scheduled.refusal(&request).await, ("approval.digest_mismatch", true));
    assert_eq!(scheduled.holds().await, Err(StandingEnd::Voided));
}

#[tokio::test]
async fn emergency_gives_no_standing_approval() {
    let world = World::new().await;
    let mut rules = steps(&[&["compliance"]]);
    let emergencies = BreakGlass { who: vec![role("owner")], grant_seconds: 3_600, review_within_seconds: 86_400 };
    rules[0].terms.break_glass = Some(emergencies);
    world.policy("export.transactions", 1, rules).await;
    let scheduled = Scheduled::new(world).await;
    let id = scheduled.asks().await;
    let (approvals, olga) = (&scheduled.world.approvals, scheduled.world.caller("olga").await);
    let refused = approvals.break_glass(&olga, &id, why("The regulator waits"), context(&olga)).await.unwrap_err();
    assert_eq!(refused.code(), "approval.no_break_glass");
}

#[tokio::test]
async fn run_without_standing_approval_is_asked_for_in_the_owners_name() {
    let scheduled = Scheduled::new(World::new().await).await;
    let request = scheduled.runs(RestsOn::Own).await;
    let (schedule, approvals) = (scheduled.schedule().await, &scheduled.world.approvals);
    let opened = approvals.open_for_schedule(&schedule, &request, &system()).await.unwrap();
    assert_eq!(opened.id, request.approval_id.as_str());
    assert_eq!(opened.aggregate.requester().unwrap().actor, ann());
    assert_eq!(opened.aggregate.status(), Some(ApprovalStatus::Pending));
    let again = approvals.open_for_schedule(&schedule, &request, &system()).await.unwrap();
    assert_eq!((again.id, again.version), (opened.id.clone(), opened.version), "nothing is opened twice");

    let caller = scheduled.world.caller("ann").await;
    assert_eq!(scheduled.world.refusal(&caller, &opened.id).await, (403, "approval.self_approval".to_owned()));
    scheduled.world.approves("bob", &opened.id).await;
    let digest = request.action().unwrap().digest();
    let grant = approvals.redeem(&request.approval_id, &digest, request.export_id.as_str(), &system()).await.unwrap();
    assert!(grant.covers(&request.action().unwrap()));
}

#[tokio::test]
async fn nothing_is_asked_for_in_the_name_of_somebody_who_may_not_or_that_is_no_run() {
    let scheduled = Scheduled::approved(World::new().await).await;
    let standing = scheduled.runs(RestsOn::Standing).await;
    let request = scheduled.runs(RestsOn::Own).await;
    let approvals = &scheduled.world.approvals;
    let schedule = scheduled.schedule().await;
    let refusal = async |request: &Requested| {
        approvals.open_for_schedule(&schedule, request, &system()).await.unwrap_err().code().to_owned()
    };
    assert_eq!(refusal(&standing).await, "approval.digest_mismatch");
    let other = Requested { columns: Vec::new(), ..request.clone() };
    assert_eq!(refusal(&other).await, "approval.digest_mismatch");
    scheduled.world.happens("usr_ann", "user.deactivated", json!({ "reason": "Left" })).await;
    assert_eq!(refusal(&request).await, "approval.requester_not_allowed");
}
