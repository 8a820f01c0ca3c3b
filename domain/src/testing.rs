//! Values that the tests of several aggregates need.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use cqrs_es::Aggregate;

use crate::names::{DepartmentId, PermissionName, RoleName};
use crate::personal::Personal;
use crate::text::{ActorId, Description, Line, Reason, ShortName, StreamId, SubjectId};
use crate::time::Timestamp;

/// 40 bytes: a nonce and the tag of an empty text.
pub const SEALED: &str = "dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXAAECAwQFBgcICQoLDA0ODw";

pub fn time(text: &str) -> Timestamp {
    Timestamp::parse("", text).unwrap()
}

/// 2026-11-21, in the morning.
pub fn now() -> Timestamp {
    time("2026-11-21T10:00:00Z")
}

pub fn days_ahead(days: i64) -> Timestamp {
    Timestamp::from_micros(now().micros() + days * 86_400_000_000).unwrap()
}

pub fn microseconds_ahead(micros: i64) -> Timestamp {
    Timestamp::from_micros(now().micros() + micros).unwrap()
}

pub fn reason(text: &str) -> Reason {
    Reason::parse("", text).unwrap()
}

pub fn line(text: &str) -> Line {
    Line::parse("", text).unwrap()
}

pub fn short(text: &str) -> ShortName {
    ShortName::parse("", text).unwrap()
}

pub fn description(text: &str) -> Description {
    Description::parse("", text).unwrap()
}

pub fn actor(text: &str) -> ActorId {
    ActorId::parse("", text).unwrap()
}

pub fn subject(text: &str) -> SubjectId {
    SubjectId::parse("", text).unwrap()
}

pub fn stream(text: &str) -> StreamId {
    StreamId::parse("", text).unwrap()
}

pub fn role(name: &str) -> RoleName {
    RoleName::parse("", name).unwrap()
}

pub fn permission(name: &str) -> PermissionName {
    PermissionName::parse("", name).unwrap()
}

pub fn department(id: &str) -> DepartmentId {
    DepartmentId::parse("", id).unwrap()
}

pub fn sealed(subject: &str) -> Personal {
    Personal::parse("", subject, SEALED).unwrap()
}

/// The state after these events.
pub fn fold<A: Aggregate + Default>(events: Vec<A::Event>) -> A {
    let mut aggregate = A::default();
    events.into_iter().for_each(|event| aggregate.apply(event));
    aggregate
}

/// A state that is stored between commands must be what it was when it is read again.
pub fn assert_state_survives_storing<A: Aggregate + PartialEq + std::fmt::Debug>(aggregate: &A) {
    let stored = serde_json::to_string(aggregate).unwrap();
    assert_eq!(&serde_json::from_str::<A>(&stored).unwrap(), aggregate);
}
