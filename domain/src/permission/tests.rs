//! Given events, when a command, then events or a refusal.
#![allow(clippy::unwrap_used, reason = "tests")]

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use serde_json::json;

use super::*;
use crate::testing::{assert_state_survives_storing, description, fold, line, permission, short};

fn definition() -> Defined {
    Defined {
        name: permission("document:download"),
        display_name: Some(line("Download documents")),
        description: Some(description("Save a document outside.")),
        resource: short("document"),
        action: short("download"),
        conditions: serde_json::from_value(json!({ "max_classification": "internal" })).unwrap(),
    }
}

fn define(definition: Defined) -> PermissionCommand {
    PermissionCommand::Define(Box::new(definition))
}

fn given(events: Vec<PermissionEvent>) -> AggregateTestExecutor<Permission> {
    TestFramework::<Permission>::with(()).given(events)
}

#[test]
fn a_permission_is_defined_once() {
    let defined = PermissionEvent::Defined(definition());
    given(vec![]).when(define(definition())).then_expect_events(vec![defined.clone()]);
    given(vec![defined.clone()]).when(define(definition())).then_expect_events(vec![]);
    let other = Defined { action: short("upload"), conditions: Meta::default(), ..definition() };
    given(vec![defined.clone()])
        .when(define(other.clone()))
        .then_expect_error(PermissionError::Exists { fields: vec!["action", "conditions"] });
    let state: Permission = fold(vec![defined, PermissionEvent::Defined(other)]);
    assert_eq!(state.content(), Some(&definition()));
    assert!(state.exists() && !Permission::default().exists());
    assert_state_survives_storing(&state);
}
