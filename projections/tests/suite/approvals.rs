//! `approvals`, `approval_policies` and `delegations`: rows, histories, filters and figures.

use daybook_domain::approval::{
    Action, ActionType, Approval, ApprovalCommand, Change, Decision, KnownAction, Requester, Voter,
};
use daybook_domain::approval_policy::{ApprovalPolicy, ApprovalPolicyCommand, PolicyInForce, built_in, in_force};
use daybook_domain::delegation::{Delegation, DelegationCommand, Given};
use daybook_domain::names::{ApprovalId, DelegationId, RoleName, Word};
use daybook_domain::personal::PersonalText;
use daybook_domain::text::{ActorId, Line, Paragraph, Reason, RemarkId};
use daybook_domain::{SealedText, Timestamp};
use daybook_ledger::Actor;
use daybook_ledger::commands::{CommandContext, Commands};
use daybook_ledger::cqrs::StreamPolicy;
use daybook_read_models::approval_figures::{self, DeciderCount};
use daybook_read_models::approvals::{self, ApprovalFilter};
use daybook_read_models::delegations::{self, DelegationFilter};
use daybook_read_models::free_text::{FreeText, SealedValue};
use daybook_read_models::{PageRequest, approval_policies};
use serde_json::{Value, json};

use crate::support::{MORNING, World, on_every_store};

on_every_store! {
    a_request_follows_its_events_and_its_history_tells_them
    an_edit_voids_the_decision_and_is_decided_anew
    broken_glass_is_no_decision_and_its_review_can_be_overdue
    requests_are_found_by_what_they_are_now
    figures_are_counted_from_decisions_alone
    every_version_of_a_policy_is_kept
    delegations_are_active_until_they_are_ended
}

const HOUR: i64 = 3_600_000_000;
/// 40 bytes: a nonce and the tag of an empty text.
const SEALED: &str = "dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXAAECAwQFBgcICQoLDA0ODw";

fn at(hours: i64) -> Timestamp {
    Timestamp::from_micros(MORNING + hours * HOUR).unwrap()
}

fn actor(id: &str) -> ActorId {
    ActorId::parse("", id).unwrap()
}

fn reason(text: &str) -> Option<Reason> {
    Some(Reason::parse("", text).unwrap())
}

fn action(known: KnownAction, resource_id: &str) -> Action {
    let action = ActionType::from(known);
    let word = Word::parse("", action.resource_type()).unwrap();
    let line = |text: &str| Line::parse("", text).unwrap();
    let mut action = Action::plain(action, word, line(resource_id), line("What is to be done"));
    action.parameters.insert("format".to_owned(), "csv".to_owned());
    action.changes.push(Change { field: line("rows"), before: None, after: None });
    action
}

fn policy(known: KnownAction) -> PolicyInForce {
    in_force(0, &built_in(&known.into()), None, None).unwrap()
}

fn voter(id: &str) -> Voter {
    Voter {
        actor: actor(id),
        person: actor(id),
        accounts: Vec::new(),
        is_person: true,
        is_active: true,
        roles: vec![RoleName::parse("", "admin").unwrap()],
        departments: Vec::new(),
        stands_for: Vec::new(),
        is_delegate_of: Vec::new(),
        owed: Default::default(),
    }
}

fn vote(by: &str, decision: Decision, why: Option<Reason>, hours: i64) -> ApprovalCommand {
    ApprovalCommand::Vote {
        voter: voter(by),
        decision,
        reason: why,
        on_behalf_of: None,
        revision: None,
        signature: None,
        at: at(hours),
    }
}

/// Commands on requests, each folded before the next.
struct Requests<'w> {
    world: &'w World,
    commands: Commands<Approval>,
}

impl<'w> Requests<'w> {
    fn of(world: &'w World) -> Self {
        let commands =
            Commands::new(world.ledger.clone(), StreamPolicy { holds_personal_data: true, ..Default::default() });
        Self { world, commands }
    }

    async fn execute(&self, id: &str, by: &str, command: ApprovalCommand) {
        let context = CommandContext::new(Actor::human(by));
        self.commands.execute(id, command, context).await.unwrap();
        self.world.projections().catch_up().await.unwrap();
    }

    async fn open(&self, id: &str, known: KnownAction, by: &str, hours: i64) {
        let command = ApprovalCommand::Request {
            approval_id: ApprovalId::parse("", id).unwrap(),
            action: Box::new(action(known, &format!("of-{id}"))),
            requester: Requester {
                actor: actor(by),
                person: actor(&format!("{by}_p")),
                required_permissions: Vec::new(),
            },
            reason: reason("For the audit"),
            policy: policy(known),
            submit: true,
            at: at(hours),
        };
        self.execute(id, by, command).await;
    }
}

async fn a_request_follows_its_events_and_its_history_tells_them(world: World) {
    let requests = Requests::of(&world);
    requests.open("apr_1", KnownAction::ExportTransactions, "usr_1", 0).await;
    let comment = |id: &str, text| ApprovalCommand::Comment {
        comment_id: RemarkId::parse("", id).unwrap(),
        by: actor("usr_2"),
        text,
    };
    let clear = PersonalText::Clear(Paragraph::parse("", "Which rows?").unwrap());
    requests.execute("apr_1", "usr_2", comment("cmt_1", clear)).await;
    let sealed = SealedText::parse("", "usr_2", SEALED).unwrap().into();
    requests.execute("apr_1", "usr_2", comment("cmt_2", sealed)).await;
    let assign = ApprovalCommand::Assign { assignee: actor("usr_3"), by: actor("usr_2"), at: at(1) };
    requests.execute("apr_1", "usr_2", assign).await;

    let row = approvals::get(&world.db, "main", "apr_1").await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.decision.as_deref(), row.current_step), ("pending", None, Some(1)));
    assert_eq!((row.requested_by.as_str(), row.requester_person.as_str()), ("usr_1", "usr_1_p"));
    assert_eq!((row.action.as_str(), row.resource_type.as_str()), ("export.transactions", "transaction_export"));
    assert_eq!((row.assignee.as_deref(), row.comment_count, row.revision), (Some("usr_3"), 2, 1));
    // Its policy turns to others after a day.
    assert_eq!((row.overdue_at, row.decide_by), (Some(MORNING + 24 * HOUR), Some(MORNING + 72 * HOUR)));

    requests.execute("apr_1", "usr_3", vote("usr_3", Decision::Approve, reason("Looks right"), 2)).await;
    let row = approvals::get(&world.db, "main", "apr_1").await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.decision.as_deref()), ("approved", Some("approved")));
    assert_eq!((row.decided_by.as_deref(), row.decision_reason.as_deref()), (Some("usr_3"), Some("Looks right")));
    assert_eq!((row.decided_after, row.overdue_at), (Some(u64::try_from(2 * HOUR).unwrap()), None));
    assert_eq!(row.current_step, None);

    let consume = ApprovalCommand::Consume {
        digest: action(KnownAction::ExportTransactions, "of-apr_1").digest(),
        policy_version: 0,
        requester_allowed: true,
        execution_id: Line::parse("", "exp_1").unwrap(),
        by: actor("usr_1_p"),
        at: at(3),
    };
    requests.execute("apr_1", "usr_1", consume).await;
    let row = approvals::get(&world.db, "main", "apr_1").await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.execution_id.as_deref()), ("consumed", Some("exp_1")));
    assert_eq!((row.consumed_at, row.decided_at), (Some(at(3).micros()), Some(at(2).micros())));
    let state: Approval = serde_json::from_str(&row.state).unwrap();
    assert_eq!(state.votes().len(), 1);

    let (steps, total) = approvals::history(&world.db, "main", "apr_1", 0, 500).await.unwrap();
    assert_eq!((total, row.version), (8, 8));
    let told: Vec<_> = steps
        .iter()
        .map(|step| (step.event_type.as_str(), step.actor_id.as_str(), step.from_status.as_deref(), &*step.to_status))
        .collect();
    assert_eq!(
        told,
        [
            ("requested", "usr_1", None, "draft"),
            ("submitted", "usr_1", Some("draft"), "pending"),
            ("commented", "usr_2", Some("pending"), "pending"),
            ("commented", "usr_2", Some("pending"), "pending"),
            ("assigned", "usr_2", Some("pending"), "pending"),
            ("voted", "usr_3", Some("pending"), "pending"),
            ("approved", "usr_3", Some("pending"), "approved"),
            ("consumed", "usr_1", Some("approved"), "consumed"),
        ]
    );
    assert_eq!(steps[0].comment, Some(FreeText::Clear("For the audit".to_owned())));
    assert_eq!(steps[2].comment, Some(FreeText::Clear("Which rows?".to_owned())));
    let value = SealedValue { subject: "usr_2".to_owned(), sealed: SEALED.to_owned() };
    assert_eq!(steps[3].comment, Some(FreeText::Sealed(value)));
    assert_eq!(steps[5].comment, Some(FreeText::Clear("Looks right".to_owned())));
    assert_eq!((&steps[5].meta["decision"], &steps[5].meta["is_signed"]), (&json!("approve"), &json!(false)));
    assert_eq!(steps[6].meta["approved_by"], json!(["usr_3"]));
    assert_eq!(approvals::get(&world.db, "other", "apr_1").await.unwrap(), None);
    world.assert_folding_anew_gives_the_same().await;
}

async fn an_edit_voids_the_decision_and_is_decided_anew(world: World) {
    let requests = Requests::of(&world);
    requests.open("apr_1", KnownAction::AgentRemediation, "usr_1", 0).await;
    requests.execute("apr_1", "usr_3", vote("usr_3", Decision::Approve, None, 1)).await;
    let revise = ApprovalCommand::Revise {
        action: Box::new(action(KnownAction::AgentRemediation, "another")),
        by: actor("usr_1_p"),
        reason: reason("The wrong one"),
        policy: policy(KnownAction::AgentRemediation),
        at: at(2),
    };
    requests.execute("apr_1", "usr_1", revise).await;
    let row = approvals::get(&world.db, "main", "apr_1").await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.revision, row.resource_id.as_str()), ("pending", 2, "another"));
    assert_eq!((row.decision, row.decided_at, row.decided_by, row.decided_after), (None, None, None, None));
    assert_eq!(row.overdue_at, Some(at(26).micros()));

    requests.execute("apr_1", "usr_4", vote("usr_4", Decision::Reject, reason("No"), 5)).await;
    let row = approvals::get(&world.db, "main", "apr_1").await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.decided_by.as_deref()), ("rejected", Some("usr_4")));
    // Counted from when it was first submitted: so long somebody waited.
    let waited = u64::try_from(5 * HOUR).unwrap();
    assert_eq!((row.decided_after, row.decision_reason.as_deref()), (Some(waited), Some("No")));
    world.assert_folding_anew_gives_the_same().await;
}

async fn broken_glass_is_no_decision_and_its_review_can_be_overdue(world: World) {
    let requests = Requests::of(&world);
    requests.open("apr_1", KnownAction::AgentRemediation, "usr_1", 0).await;
    let why = Reason::parse("", "The market is open").unwrap();
    let glass = ApprovalCommand::BreakGlass { voter: voter("usr_2"), has_open_review: false, reason: why, at: at(1) };
    requests.execute("apr_1", "usr_2", glass).await;
    let row = approvals::get(&world.db, "main", "apr_1").await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.decision.as_deref()), ("approved", Some("broken_glass")));
    assert_eq!((row.decided_by.as_deref(), row.overdue_at), (Some("usr_2"), Some(at(73).micros())));
    let filter = |now: Timestamp| ApprovalFilter { now: now.micros(), ..ApprovalFilter::default() };
    let early = approval_figures::figures(&world.db, "main", &filter(at(72))).await.unwrap();
    let late = approval_figures::figures(&world.db, "main", &filter(at(73))).await.unwrap();
    assert_eq!((early.overdue, late.overdue), (0, 1));
    assert_eq!((early.time_to_decide, early.deciders), (None, Vec::new()));

    let review =
        ApprovalCommand::Review { voter: voter("usr_3"), decision: Decision::Approve, reason: None, at: at(2) };
    requests.execute("apr_1", "usr_3", review).await;
    let row = approvals::get(&world.db, "main", "apr_1").await.unwrap().unwrap();
    assert_eq!((row.overdue_at, row.decision.as_deref()), (None, Some("broken_glass")));
    let (steps, _) = approvals::history(&world.db, "main", "apr_1", 0, 500).await.unwrap();
    let kinds: Vec<&str> = steps.iter().map(|step| step.event_type.as_str()).collect();
    assert_eq!(kinds, ["requested", "submitted", "glass_broken", "reviewed", "review_closed"]);
    world.assert_folding_anew_gives_the_same().await;
}

async fn ids(world: &World, filter: &ApprovalFilter) -> Vec<String> {
    let page = PageRequest { count: true, ..Default::default() };
    let page = approvals::list(&world.db, "main", filter, &page).await.unwrap();
    assert_eq!(page.total, Some(u64::try_from(page.items.len()).unwrap()));
    page.items.into_iter().map(|row| row.approval_id).collect()
}

async fn requests_are_found_by_what_they_are_now(world: World) {
    let requests = Requests::of(&world);
    requests.open("apr_1", KnownAction::ExportTransactions, "usr_1", 0).await;
    requests.open("apr_2", KnownAction::AgentTriage, "usr_2", 1).await;
    requests.open("apr_3", KnownAction::AgentRemediation, "usr_1", 2).await;
    requests.execute("apr_2", "system", ApprovalCommand::Tick { at: at(26) }).await;
    requests.execute("apr_3", "usr_9", vote("usr_9", Decision::Reject, None, 3)).await;
    let assign = ApprovalCommand::Assign { assignee: actor("usr_9"), by: actor("usr_2"), at: at(3) };
    requests.execute("apr_1", "usr_2", assign).await;
    let some = |text: &str| Some(text.to_owned());
    let none = || ApprovalFilter { now: at(24).micros(), ..ApprovalFilter::default() };
    let statuses = |status: &str| vec![status.to_owned()];
    for (filter, found) in [
        (none(), vec!["apr_3", "apr_2", "apr_1"]),
        (ApprovalFilter { statuses: statuses("pending"), ..none() }, vec!["apr_2", "apr_1"]),
        (ApprovalFilter { escalated: Some(true), ..none() }, vec!["apr_2"]),
        (ApprovalFilter { escalated: Some(false), ..none() }, vec!["apr_3", "apr_1"]),
        (ApprovalFilter { family: some("agent"), ..none() }, vec!["apr_3", "apr_2"]),
        (ApprovalFilter { family: some("agen_"), ..none() }, vec![]),
        (ApprovalFilter { action: some("agent.triage"), ..none() }, vec!["apr_2"]),
        (ApprovalFilter { resource_type: some("transaction_export"), ..none() }, vec!["apr_1"]),
        (ApprovalFilter { resource_id: some("of-apr_3"), ..none() }, vec!["apr_3"]),
        (ApprovalFilter { requested_by: some("usr_1"), ..none() }, vec!["apr_3", "apr_1"]),
        (ApprovalFilter { requested_by: some("usr_2_p"), ..none() }, vec!["apr_2"]),
        (ApprovalFilter { assignee: some("usr_9"), ..none() }, vec!["apr_1"]),
        (ApprovalFilter { decided_by: some("usr_9"), ..none() }, vec!["apr_3"]),
        (ApprovalFilter { overdue: Some(true), ..none() }, vec!["apr_1"]),
        (ApprovalFilter { overdue: Some(false), ..none() }, vec!["apr_3", "apr_2"]),
        (ApprovalFilter { start: Some(at(1).micros()), end: Some(at(1).micros()), ..none() }, vec!["apr_2"]),
    ] {
        assert_eq!(ids(&world, &filter).await, found, "{filter:?}");
    }
    world.assert_folding_anew_gives_the_same().await;
}

async fn figures_are_counted_from_decisions_alone(world: World) {
    let requests = Requests::of(&world);
    for (number, hours) in [(1, 1), (2, 2), (3, 3), (4, 10)] {
        let id = format!("apr_{number}");
        requests.open(&id, KnownAction::AgentTriage, "usr_1", 0).await;
        let decision = if number == 2 { Decision::Reject } else { Decision::Approve };
        let by = if number == 4 { "usr_8" } else { "usr_9" };
        requests.execute(&id, by, vote(by, decision, None, hours)).await;
    }
    requests.open("apr_5", KnownAction::ExportUsers, "usr_1", 0).await;
    let filter = ApprovalFilter { now: at(30).micros(), ..ApprovalFilter::default() };
    let figures = approval_figures::figures(&world.db, "main", &filter).await.unwrap();
    let counts: Vec<_> =
        figures.counts.iter().map(|count| (&*count.action, &*count.status, count.count, count.escalated)).collect();
    assert_eq!(
        counts,
        [("agent.triage", "approved", 3, 0), ("agent.triage", "rejected", 1, 0), ("export.users", "pending", 1, 0)]
    );
    assert_eq!(figures.overdue, 1);
    let time = figures.time_to_decide.unwrap();
    let hours = |micros: u64| i64::try_from(micros).unwrap() / HOUR;
    assert_eq!((time.count, hours(time.sum), hours(time.p50), hours(time.p90)), (4, 16, 2, 10));
    let decider = |by: &str, approved, rejected| DeciderCount { decided_by: by.to_owned(), approved, rejected };
    assert_eq!(figures.deciders, [decider("usr_9", 2, 1), decider("usr_8", 1, 0)]);
    let none = ApprovalFilter { action: Some("rule.change".to_owned()), ..filter };
    let none = approval_figures::figures(&world.db, "main", &none).await.unwrap();
    assert_eq!((none.counts.len(), none.overdue, none.time_to_decide), (0, 0, None));
}

async fn every_version_of_a_policy_is_kept(world: World) {
    let commands: Commands<ApprovalPolicy> = Commands::new(world.ledger.clone(), StreamPolicy::default());
    let action = ActionType::from(KnownAction::AgentTriage);
    let approval_id = || ApprovalId::parse("", "apr_1").unwrap();
    let why = || Reason::parse("", "Two pairs of eyes").unwrap();
    let define = ApprovalPolicyCommand::Define {
        action: action.clone(),
        rules: built_in(&KnownAction::RuleChange.into()),
        by: actor("usr_1"),
        reason: why(),
        approval_id: approval_id(),
    };
    let retire = ApprovalPolicyCommand::Retire { by: actor("usr_2"), reason: why(), approval_id: approval_id() };
    for command in [define, retire] {
        commands.execute(action.as_str(), command, CommandContext::new(Actor::human("usr_1"))).await.unwrap();
        world.projections().catch_up().await.unwrap();
    }
    let (versions, total) = approval_policies::versions(&world.db, "main", "agent.triage", 0, 50).await.unwrap();
    assert_eq!((versions.len(), total), (2, 2));
    assert_eq!((versions[0].policy_version, versions[1].policy_version), (1, 2));
    assert!(versions[0].rules.as_ref().is_some_and(Value::is_array) && versions[1].rules.is_none());
    assert_eq!((versions[1].changed_by.as_str(), versions[1].approval_id.as_deref()), ("usr_2", Some("apr_1")));
    let newest = approval_policies::newest(&world.db, "main").await.unwrap();
    assert_eq!(newest, versions[1..]);
    world.assert_folding_anew_gives_the_same().await;
}

async fn delegations_are_active_until_they_are_ended(world: World) {
    let commands: Commands<Delegation> = Commands::new(world.ledger.clone(), StreamPolicy::default());
    for (id, from, to) in [("dlg_1", "usr_1", "usr_2"), ("dlg_2", "usr_2", "usr_3")] {
        let given = Given {
            delegation_id: DelegationId::parse("", id).unwrap(),
            from: actor(from),
            to: actor(to),
            starts_at: at(1),
            ends_at: at(10),
            actions: vec![KnownAction::AgentTriage.into()],
            reason: reason("Away"),
            by: actor(from),
        };
        let context = CommandContext::new(Actor::human(from));
        commands.execute(id, DelegationCommand::Give(Box::new(given)), context).await.unwrap();
        world.projections().catch_up().await.unwrap();
        // Nobody stands in before having agreed to.
        let filter = DelegationFilter { active: Some(true), now: at(2).micros(), ..DelegationFilter::default() };
        let active = delegations::list(&world.db, "main", &filter, &PageRequest::default()).await.unwrap();
        assert!(active.items.iter().all(|row| row.delegation_id != id));
        let accept = DelegationCommand::Accept { by: actor(to), at: at(0) };
        commands.execute(id, accept, CommandContext::new(Actor::human(to))).await.unwrap();
        world.projections().catch_up().await.unwrap();
    }
    let end = DelegationCommand::End { by: actor("usr_9"), at: at(5) };
    commands.execute("dlg_1", end, CommandContext::new(Actor::human("usr_9"))).await.unwrap();
    world.projections().catch_up().await.unwrap();
    let of = |person: Option<&str>, active, hours| DelegationFilter {
        person: person.map(str::to_owned),
        active,
        now: at(hours).micros(),
        ..DelegationFilter::default()
    };
    for (filter, found) in [
        (of(None, None, 0), vec!["dlg_2", "dlg_1"]),
        (of(None, Some(true), 0), vec![]),
        (of(None, Some(true), 1), vec!["dlg_2", "dlg_1"]),
        (of(None, Some(true), 5), vec!["dlg_2"]),
        (of(None, Some(false), 5), vec!["dlg_1"]),
        (of(None, Some(false), 10), vec!["dlg_2", "dlg_1"]),
        (of(Some("usr_3"), None, 0), vec!["dlg_2"]),
        (of(Some("usr_2"), None, 0), vec!["dlg_2", "dlg_1"]),
    ] {
        let page = delegations::list(&world.db, "main", &filter, &PageRequest::default()).await.unwrap();
        let ids: Vec<&str> = page.items.iter().map(|row| row.delegation_id.as_str()).collect();
        assert_eq!(ids, found, "{filter:?}");
        for row in &page.items {
            let active = row.is_active_at(filter.now);
            assert!(filter.active.is_none_or(|wanted| wanted == active), "{filter:?}");
        }
    }
    world.assert_folding_anew_gives_the_same().await;
}
