//! Given events, when a command, then events or a refusal.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::*;
use crate::refusal::Refusal;
use crate::testing::{assert_state_survives_storing, department, description, fold, line, reason};

fn content() -> Created {
    Created {
        department_id: department("dep_rates"),
        name: line("Rates"),
        description: Some(description("Bonds and swaps.")),
        parent_department_id: Some(department("dep_markets")),
    }
}

fn created() -> DepartmentEvent {
    DepartmentEvent::Created(content())
}

fn closed() -> DepartmentEvent {
    DepartmentEvent::Closed(Closed { reason: Some(reason("Merged")) })
}

fn given(events: Vec<DepartmentEvent>) -> AggregateTestExecutor<Department> {
    TestFramework::<Department>::with(()).given(events)
}

fn change(patch: DepartmentPatch) -> DepartmentCommand {
    DepartmentCommand::Change(patch)
}

fn with_parent(parent: Patch<DepartmentId>) -> DepartmentPatch {
    DepartmentPatch { parent_department_id: parent, ..DepartmentPatch::default() }
}

#[test]
fn a_department_is_created_once() {
    given(vec![]).when(DepartmentCommand::Create(content())).then_expect_events(vec![created()]);
    given(vec![created()]).when(DepartmentCommand::Create(content())).then_expect_events(vec![]);
    let other = Created { name: line("Credit"), parent_department_id: None, ..content() };
    given(vec![created()])
        .when(DepartmentCommand::Create(other))
        .then_expect_error(DepartmentError::Exists { fields: vec!["name", "parent_department_id"] });
}

#[test]
fn a_department_is_never_part_of_itself() {
    let own = Created { parent_department_id: Some(department("dep_rates")), ..content() };
    given(vec![]).when(DepartmentCommand::Create(own)).then_expect_error(DepartmentError::SelfParent);
    given(vec![created()])
        .when(change(with_parent(Patch::Set(department("dep_rates")))))
        .then_expect_error(DepartmentError::SelfParent);
    assert_eq!(DepartmentError::SelfParent.pointer(), Some("/parent_department_id"));
}

#[test]
fn only_fields_that_get_another_value_are_recorded() {
    let patch = DepartmentPatch {
        name: Some(line("Rates")),
        description: Patch::Clear,
        parent_department_id: Patch::Set(department("dep_trading")),
    };
    let changed = DepartmentEvent::Changed(Changed {
        changes: vec![
            DepartmentChange::Description { old: content().description, new: None },
            DepartmentChange::ParentDepartmentId {
                old: Some(department("dep_markets")),
                new: Some(department("dep_trading")),
            },
        ],
    });
    given(vec![created()]).when(change(patch.clone())).then_expect_events(vec![changed.clone()]);
    given(vec![created(), changed.clone()]).when(change(patch)).then_expect_events(vec![]);
    let state: Department = fold(vec![created(), changed]);
    let expected = Created { description: None, parent_department_id: Some(department("dep_trading")), ..content() };
    assert_eq!(state.content(), Some(&expected));
    assert_state_survives_storing(&state);
}

#[test]
fn a_closed_department_stays_as_it_was() {
    given(vec![created()])
        .when(DepartmentCommand::Close { reason: Some(reason("Merged")) })
        .then_expect_events(vec![closed()]);
    given(vec![created(), closed()]).when(DepartmentCommand::Close { reason: None }).then_expect_events(vec![]);
    given(vec![created(), closed()]).when(change(with_parent(Patch::Clear))).then_expect_error(DepartmentError::Closed);
    assert!(fold::<Department>(vec![created(), closed()]).is_closed());
}

#[test]
fn nothing_can_be_asked_of_a_department_that_is_not_there() {
    given(vec![]).when(DepartmentCommand::Close { reason: None }).then_expect_error(DepartmentError::NotFound);
    given(vec![]).when(change(DepartmentPatch::default())).then_expect_error(DepartmentError::NotFound);
    assert_eq!(fold::<Department>(vec![closed()]), Department::default());
}
