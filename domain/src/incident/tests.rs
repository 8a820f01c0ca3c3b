//! Given events, when a command, then events or a refusal; and properties over random sequences of commands.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use proptest::prelude::*;
use serde_json::json;

use super::IncidentStatus::{Acknowledged, Closed, Investigating, Open as IsOpen, Resolved as IsResolved};
use super::*;
use crate::meta::Meta;
use crate::patch::Patch;
use crate::testing::sealed;
use crate::text::Reason;

fn line(text: &str) -> Line {
    Line::parse("", text).unwrap()
}

fn paragraph(text: &str) -> Paragraph {
    Paragraph::parse("", text).unwrap()
}

fn reason(text: &str) -> Reason {
    Reason::parse("", text).unwrap()
}

fn open() -> Open {
    Open {
        incident_id: IncidentId::parse("", "inc_1").unwrap(),
        title: line("Order stuck"),
        description: Some(paragraph("No fill since 10:00.")),
        severity: Severity::High,
        priority: None,
        incident_type: IncidentType::parse("", "stuck_order").unwrap(),
        desk: Some(line("rates")),
        trader: None,
        root_cause: None,
        recommended_action: None,
        source_event_id: Some(line("order-5")),
        last_event_timestamp: None,
        source: Some(line("api")),
        detection_method: DetectionMethod::Manual,
        rule: None,
        meta: Meta::default(),
    }
}

fn opening(open: Open) -> IncidentCommand {
    IncidentCommand::Open(Box::new(open))
}

fn acknowledge() -> IncidentCommand {
    IncidentCommand::Acknowledge { note: None }
}

fn investigate() -> IncidentCommand {
    IncidentCommand::Investigate { note: Some(reason("on it")) }
}

fn resolve() -> IncidentCommand {
    IncidentCommand::Resolve { resolution: Some(paragraph("Resent.")), root_cause: Some(paragraph("Session loss")) }
}

fn close() -> IncidentCommand {
    IncidentCommand::Close { note: None }
}

fn reopen() -> IncidentCommand {
    IncidentCommand::Reopen { reason: reason("again") }
}

fn assign(to: Option<&str>) -> IncidentCommand {
    IncidentCommand::Assign { assignee: to.map(line) }
}

fn escalate(to: Option<&str>) -> IncidentCommand {
    IncidentCommand::Escalate { reason: Some(reason("no answer")), to: to.map(line) }
}

fn comment(id: &str) -> IncidentCommand {
    IncidentCommand::Comment {
        comment_id: RemarkId::parse("", id).unwrap(),
        text: PersonalText::Clear(paragraph("Noted.")),
    }
}

fn severity(severity: Severity) -> IncidentCommand {
    IncidentCommand::ChangeSeverity { severity, reason: None }
}

fn priority(number: i64) -> IncidentCommand {
    IncidentCommand::ChangePriority { priority: Priority::parse("", number).unwrap(), reason: None }
}

fn desk(desk: Patch<&str>) -> IncidentCommand {
    let desk = desk.try_map(|desk| Line::parse("", desk)).unwrap();
    IncidentCommand::UpdateDetails(Box::new(UpdateDetails { desk, ..Default::default() }))
}

fn history(commands: Vec<IncidentCommand>) -> Vec<IncidentEvent> {
    let mut incident = Incident::default();
    let mut events = Vec::new();
    for command in commands {
        for event in incident.decide(command).unwrap() {
            incident.apply(event.clone());
            events.push(event);
        }
    }
    events
}

fn given(commands: Vec<IncidentCommand>) -> AggregateTestExecutor<Incident> {
    TestFramework::<Incident>::with(()).given(history(commands))
}

fn fold(events: Vec<IncidentEvent>) -> Incident {
    let mut incident = Incident::default();
    events.into_iter().for_each(|event| incident.apply(event));
    incident
}

/// Commands that bring an incident to a status.
fn way_to(status: IncidentStatus) -> Vec<IncidentCommand> {
    let start = opening(open());
    match status {
        IsOpen => vec![start],
        Acknowledged => vec![start, acknowledge()],
        Investigating => vec![start, acknowledge(), investigate()],
        IsResolved => vec![start, resolve()],
        Closed => vec![start, resolve(), close()],
    }
}

#[test]
fn an_incident_is_opened_with_the_priority_of_its_severity() {
    for (severity, expected) in
        [(Severity::Critical, 1), (Severity::High, 2), (Severity::Medium, 3), (Severity::Low, 4)]
    {
        let incident = fold(history(vec![opening(Open { severity, ..open() })]));
        assert_eq!(incident.content().unwrap().priority.get(), expected);
        assert_eq!(incident.status(), Some(IsOpen));
    }
    let chosen = Open { priority: Some(Priority::parse("", 5).unwrap()), ..open() };
    assert_eq!(fold(history(vec![opening(chosen)])).content().unwrap().priority.get(), 5);
}

#[test]
fn a_repeated_opening_changes_nothing_and_other_content_is_refused() {
    let past = vec![opening(open()), severity(Severity::Low), assign(Some("usr_1"))];
    given(past.clone()).when(opening(open())).then_expect_events(vec![]);
    let spelled_out = Open { priority: Some(Severity::High.default_priority()), source: None, ..open() };
    given(past.clone()).when(opening(spelled_out)).then_expect_events(vec![]);
    let other = Open { title: line("Other"), desk: None, ..open() };
    let refusal = given(past).when(opening(other)).inspect_result().unwrap_err();
    assert_eq!(refusal, IncidentError::Exists { fields: vec!["title", "desk"] });
    assert_eq!(refusal.code(), "incident.exists");
}

/// A command, the status it leads to, and the statuses it is allowed in.
type Step = (fn() -> IncidentCommand, IncidentStatus, &'static [IncidentStatus]);

const STEPS: &[Step] = &[
    (acknowledge, Acknowledged, &[IsOpen]),
    (investigate, Investigating, &[IsOpen, Acknowledged]),
    (resolve, IsResolved, &[IsOpen, Acknowledged, Investigating]),
    (close, Closed, &[IsResolved]),
    (reopen, IsOpen, &[IsResolved, Closed]),
];

#[test]
fn every_status_allows_exactly_its_steps() {
    for &from in IncidentStatus::ALL {
        for (command, to, allowed) in STEPS {
            let result = given(way_to(from)).when(command()).inspect_result();
            if allowed.contains(&from) {
                let events = result.unwrap();
                assert_eq!(events.len(), 1);
                assert_eq!(events[0].status_after(), Some(*to), "{from} to {to}");
                assert_eq!(serde_json::to_value(&events[0]).unwrap()["payload"]["from"], from.as_str());
            } else {
                let refusal = result.unwrap_err();
                assert_eq!(refusal, IncidentError::StatusTransition { from, to: *to });
                assert_eq!(refusal.to_string(), format!("an incident that is {from} cannot become {to}"));
            }
        }
    }
}

#[test]
fn a_closed_incident_allows_nothing_but_comments_and_reopening() {
    let all: [fn() -> IncidentCommand; 6] = [
        || assign(Some("usr_1")),
        || escalate(None),
        || severity(Severity::Low),
        || priority(5),
        || desk(Patch::Clear),
        || assign(None),
    ];
    for &status in IncidentStatus::ALL {
        for command in &all[..5] {
            let result = given(way_to(status)).when(command()).inspect_result();
            if status == Closed {
                assert_eq!(result, Err(IncidentError::Closed));
            } else {
                assert_eq!(result.map(|events| events.len()), Ok(1), "{status}");
            }
        }
        given(way_to(status)).when(comment("cmt_1")).inspect_result().unwrap();
    }
    given(way_to(Closed)).when(all[5]()).then_expect_error(IncidentError::Closed);
}

#[test]
fn nothing_can_be_done_to_an_incident_that_was_not_opened() {
    let commands = [
        acknowledge(),
        investigate(),
        resolve(),
        close(),
        reopen(),
        assign(None),
        escalate(None),
        comment("cmt_1"),
        severity(Severity::Low),
        priority(1),
        desk(Patch::Clear),
    ];
    for command in commands {
        given(vec![]).when(command).then_expect_error(IncidentError::NotFound);
    }
}

#[test]
fn asking_for_what_is_already_so_is_refused() {
    let cases = [
        (assign(None), "assignee", Some("/assigned_to")),
        (severity(Severity::High), "severity", Some("/severity")),
        (priority(2), "priority", Some("/priority")),
        (desk(Patch::Set("rates")), "details", None),
        (desk(Patch::Keep), "details", None),
    ];
    for (command, field, pointer) in cases {
        let refusal = given(vec![opening(open())]).when(command).inspect_result().unwrap_err();
        assert_eq!(refusal, IncidentError::Unchanged { field });
        assert_eq!((refusal.code(), refusal.pointer()), ("incident.unchanged", pointer));
    }
    given(vec![opening(open()), assign(Some("usr_1"))])
        .when(assign(Some("usr_1")))
        .then_expect_error(IncidentError::Unchanged { field: "assignee" });
}

#[test]
fn assignments_say_from_whom_and_to_whom() {
    let past = vec![opening(open()), assign(Some("usr_1"))];
    let taken = Assigned { from: Some(line("usr_1")), to: None };
    given(past.clone()).when(assign(None)).then_expect_events(vec![IncidentEvent::Assigned(taken)]);
    assert_eq!(fold(history(past)).assignee(), Some(&line("usr_1")));
}

#[test]
fn escalation_rises_by_one_up_to_the_limit_and_leaves_the_status() {
    let mut past = way_to(Investigating);
    for level in 1..=MAX_ESCALATION_LEVEL {
        past.push(escalate((level == 2).then_some("usr_9")));
        let incident = fold(history(past.clone()));
        assert_eq!(incident.escalation_level(), level);
        assert_eq!(incident.status(), Some(Investigating));
    }
    assert_eq!(fold(history(past.clone())).escalated_to(), Some(&line("usr_9")));
    given(past).when(escalate(None)).then_expect_error(IncidentError::EscalationLimit);
}

#[test]
fn resolving_sets_the_root_cause_and_reopening_takes_back_the_resolution() {
    let incident = fold(history(way_to(IsResolved)));
    assert_eq!(incident.resolution(), Some(&paragraph("Resent.")));
    assert_eq!(incident.content().unwrap().root_cause, Some(paragraph("Session loss")));
    let mut past = way_to(IsResolved);
    past.push(reopen());
    let incident = fold(history(past));
    assert_eq!((incident.resolution(), incident.status()), (None, Some(IsOpen)));
    assert_eq!(incident.content().unwrap().root_cause, Some(paragraph("Session loss")));
}

#[test]
fn changed_details_show_old_and_new_values() {
    let update = UpdateDetails {
        title: Some(line("Order stuck for long")),
        description: Patch::Clear,
        incident_type: Some(IncidentType::parse("", "latency").unwrap()),
        desk: Patch::Set(line("credit")),
        trader: Patch::Set(line("t-17")),
        root_cause: Patch::Set(paragraph("Session loss")),
        recommended_action: Patch::Clear,
        reason: Some(reason("more is known")),
    };
    let events = history(vec![opening(open()), IncidentCommand::UpdateDetails(Box::new(update))]);
    let IncidentEvent::DetailsChanged(changed) = &events[1] else { panic!("a change was expected: {events:?}") };
    let written = serde_json::to_value(changed).unwrap();
    assert_eq!(
        written,
        json!({ "reason": "more is known", "changes": [
            { "field": "title", "old": "Order stuck", "new": "Order stuck for long" },
            { "field": "description", "old": "No fill since 10:00.", "new": null },
            { "field": "incident_type", "old": "stuck_order", "new": "latency" },
            { "field": "desk", "old": "rates", "new": "credit" },
            { "field": "trader", "old": null, "new": "t-17" },
            { "field": "root_cause", "old": null, "new": "Session loss" },
        ]})
    );
    for (index, change) in changed.changes.iter().enumerate() {
        assert_eq!(written["changes"][index]["field"], change.field());
    }
    let incident = fold(events.clone());
    let content = incident.content().unwrap();
    assert_eq!((content.title.as_str(), content.description.clone()), ("Order stuck for long", None));
    assert_eq!(incident.original().unwrap().title.as_str(), "Order stuck");
}

#[test]
fn a_comment_is_added_once_and_their_number_is_bounded() {
    let refusal = given(vec![opening(open()), comment("c")]).when(comment("c")).inspect_result().unwrap_err();
    assert_eq!(refusal.code(), "incident.comment_exists");
    let mut past = vec![opening(open())];
    past.extend((0..MAX_COMMENTS).map(|number| comment(&format!("cmt_{number}"))));
    given(past).when(comment("one_more")).then_expect_error(IncidentError::TooManyComments);
}

#[test]
fn a_sealed_comment_is_recorded_as_it_is() {
    let command =
        IncidentCommand::Comment { comment_id: RemarkId::parse("", "c").unwrap(), text: sealed("usr_1").into() };
    let events = given(vec![opening(open())]).when(command).inspect_result().unwrap();
    let written = serde_json::to_value(&events[0]).unwrap();
    assert_eq!(written["payload"]["text"], json!({"subject": "usr_1", "sealed": crate::testing::SEALED}));
}

#[test]
fn words_are_checked_at_the_edge() {
    assert_eq!(Severity::parse("/severity", "critical"), Ok(Severity::Critical));
    let refusal = Severity::parse("/severity", "Critical").unwrap_err();
    assert_eq!(refusal.to_string(), "/severity: must be one of low, medium, high, critical");
    assert_eq!(DetectionMethod::parse("", "ml"), Ok(DetectionMethod::Model));
    assert_eq!(DetectionMethod::Model.as_str(), "model");
    for number in [0, 6, -1, 256, 257] {
        assert!(Priority::parse("/priority", number).is_err(), "{number}");
    }
    for word in ["", "Stuck", "stuck-order", "_x", "1x", "é", &"x".repeat(51)] {
        assert!(IncidentType::parse("/type", word).is_err(), "{word}");
    }
    for word in KNOWN_INCIDENT_TYPES {
        assert!(IncidentType::parse("/type", *word).is_ok());
    }
}

fn any_command() -> impl Strategy<Value = IncidentCommand> {
    let person = proptest::option::of("[a-c]");
    prop_oneof![
        proptest::sample::select(Severity::ALL).prop_map(|severity| opening(Open { severity, ..open() })),
        Just(acknowledge()),
        Just(investigate()),
        Just(resolve()),
        Just(close()),
        Just(reopen()),
        person.clone().prop_map(|to| assign(to.as_deref())),
        person.clone().prop_map(|to| escalate(to.as_deref())),
        "[a-c]".prop_map(|id| comment(&id)),
        proptest::sample::select(Severity::ALL).prop_map(severity),
        (1_i64..=5).prop_map(priority),
        person.prop_map(|name| desk(name.as_deref().map_or(Patch::Clear, Patch::Set))),
    ]
}

proptest! {
    #[test]
    fn random_commands_keep_the_rules(commands in proptest::collection::vec(any_command(), 0..60)) {
        let mut incident = Incident::default();
        let mut events = Vec::new();
        for command in commands {
            let before = incident.clone();
            let Ok(decided) = incident.decide(command) else { continue };
            let stepped = decided.iter().any(|event| event.status_after().is_some());
            for event in decided {
                incident.apply(event.clone());
                let json = serde_json::to_string(&event).unwrap();
                let read: IncidentEvent = serde_json::from_str(&json).unwrap();
                prop_assert_eq!(serde_json::to_string(&read).unwrap(), json);
                prop_assert_eq!(&read, &event);
                events.push(event);
            }
            if let (Some(from), Some(to)) = (before.status(), incident.status()) {
                prop_assert_eq!(from != to, stepped);
                let step_allowed = STEPS.iter().any(|(_, target, allowed)| *target == to && allowed.contains(&from));
                prop_assert!(from == to || step_allowed, "{} to {}", from, to);
                prop_assert_eq!(before.original(), incident.original());
                prop_assert!(incident.escalation_level() >= before.escalation_level());
                prop_assert!(incident.escalation_level() <= MAX_ESCALATION_LEVEL);
                if from == Closed && to == Closed {
                    prop_assert_eq!(before.content(), incident.content());
                    prop_assert_eq!(before.assignee(), incident.assignee());
                }
            }
        }
        let state = serde_json::to_string(&incident).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Incident>(&state).unwrap(), &incident);
        prop_assert_eq!(fold(events), incident);
    }

    #[test]
    fn folding_any_events_in_any_order_never_panics(
        commands in proptest::collection::vec(any_command(), 0..30),
        start in 0_usize..30,
    ) {
        let mut incident = Incident::default();
        let mut events = vec![];
        for command in commands {
            for event in incident.decide(command).unwrap_or_default() {
                incident.apply(event.clone());
                events.push(event);
            }
        }
        let length = events.len().max(1);
        events.rotate_left(start % length);
        events.extend(events.clone());
        fold(events);
    }
}
