//! What happened to a department, as it is stored.

use serde::{Deserialize, Serialize};

use crate::names::DepartmentId;
use crate::stream::events;
use crate::text::{Description, Line, Reason};

events! {
    /// An event of a department.
    DepartmentEvent {
        /// It came into being.
        Created(Created) = "department.created",
        /// What is known about it changed.
        Changed(Changed) = "department.changed",
        /// It is no more.
        Closed(Closed) = "department.closed",
    }
}

/// Payload of `department.created`, and the state that changes change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Its id.
    pub department_id: DepartmentId,
    /// What it is called.
    pub name: Line,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// What it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_department_id: Option<DepartmentId>,
}

impl Created {
    /// Takes over the new value of a change.
    pub fn apply(&mut self, change: &DepartmentChange) {
        match change.clone() {
            DepartmentChange::Name { new, .. } => self.name = new,
            DepartmentChange::Description { new, .. } => self.description = new,
            DepartmentChange::ParentDepartmentId { new, .. } => self.parent_department_id = new,
        }
    }
}

/// Payload of `department.changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// One item a field that changed; never empty.
    pub changes: Vec<DepartmentChange>,
}

/// Payload of `department.closed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// One changed field. As JSON: `{"field": "name", "old": "Rates", "new": "Rates and credit"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "field", rename_all = "snake_case")]
#[expect(missing_docs, reason = "every variant holds the value before and the value after")]
pub enum DepartmentChange {
    /// What it is called.
    Name { old: Line, new: Line },
    /// What it is for.
    Description { old: Option<Description>, new: Option<Description> },
    /// What it is part of.
    ParentDepartmentId { old: Option<DepartmentId>, new: Option<DepartmentId> },
}

impl DepartmentChange {
    /// The name of the field, as in JSON.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Name { .. } => "name",
            Self::Description { .. } => "description",
            Self::ParentDepartmentId { .. } => "parent_department_id",
        }
    }

    pub(super) fn changes_something(&self) -> bool {
        match self {
            Self::Name { old, new } => old != new,
            Self::Description { old, new } => old != new,
            Self::ParentDepartmentId { old, new } => old != new,
        }
    }
}
