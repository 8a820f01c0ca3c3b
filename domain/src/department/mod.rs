//! A department of an organisation: it may be part of another, and roles may be granted within it.
//!
//! One department knows nothing of the others: that its parent exists and that no circle arises is checked by whoever
//! gives the command and knows them all.

mod event;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use event::{Changed, Closed, Created, DepartmentChange, DepartmentEvent};

use crate::names::DepartmentId;
use crate::patch::Patch;
use crate::refusal::refusals;
use crate::stream::aggregate;
use crate::text::{Description, Line, Reason};

/// A command to one department.
#[derive(Debug, Clone, PartialEq)]
pub enum DepartmentCommand {
    /// Bring it into being.
    Create(Created),
    /// See [`DepartmentPatch`].
    Change(DepartmentPatch),
    /// Do away with it. What happened in it stays.
    Close {
        /// Why.
        reason: Option<Reason>,
    },
}

/// The fields that are to have another value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DepartmentPatch {
    /// What it is called.
    pub name: Option<Line>,
    /// What it is for.
    pub description: Patch<Description>,
    /// What it is part of.
    pub parent_department_id: Patch<DepartmentId>,
}

refusals! {
    /// Why a command to a department is refused.
    DepartmentError {
        /// There is no such department.
        #[error("there is no such department")]
        NotFound = "department.not_found", NotFound;
        /// It was created before, otherwise.
        #[error("the department already exists with other content: {} differs", fields.join(", "))]
        Exists {
            /// The fields that differ from what it was created with.
            fields: Vec<&'static str>,
        } = "department.exists", Exists;
        /// It would be part of itself.
        #[error("a department cannot be part of itself")]
        SelfParent = "department.self_parent", Rule, "/parent_department_id";
        /// It is closed, for good.
        #[error("the department is closed")]
        Closed = "department.closed", Rule;
    }
}

/// A department. The default value is one that was never created.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Department {
    created: Option<Standing>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Standing {
    original: Created,
    current: Created,
    closed: bool,
}

impl Department {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 1;
    /// Descriptions and reasons may name people.
    pub const HOLDS_PERSONAL_DATA: bool = true;

    /// Whether it was created.
    pub fn exists(&self) -> bool {
        self.created.is_some()
    }

    /// What holds now, changes included.
    pub fn content(&self) -> Option<&Created> {
        self.created.as_ref().map(|standing| &standing.current)
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.created.as_ref().is_some_and(|standing| standing.closed)
    }

    /// What the command leads to. No events: it asks for what is already so.
    pub fn decide(&self, command: DepartmentCommand) -> Result<Vec<DepartmentEvent>, DepartmentError> {
        match (&self.created, command) {
            (None, DepartmentCommand::Create(content)) => {
                if content.parent_department_id.as_ref() == Some(&content.department_id) {
                    return Err(DepartmentError::SelfParent);
                }
                Ok(vec![DepartmentEvent::Created(content)])
            }
            (None, _) => Err(DepartmentError::NotFound),
            (Some(standing), DepartmentCommand::Create(content)) => {
                let fields = standing.original.differing_fields(&content);
                if fields.is_empty() { Ok(Vec::new()) } else { Err(DepartmentError::Exists { fields }) }
            }
            (Some(Standing { closed: true, .. }), DepartmentCommand::Change(_)) => Err(DepartmentError::Closed),
            (Some(Standing { closed: true, .. }), DepartmentCommand::Close { .. }) => Ok(Vec::new()),
            (Some(standing), DepartmentCommand::Change(patch)) => {
                let changes = patch.changes(standing.current.clone());
                if standing.current.becomes_its_own_parent(&changes) {
                    return Err(DepartmentError::SelfParent);
                }
                if changes.is_empty() {
                    return Ok(Vec::new());
                }
                Ok(vec![DepartmentEvent::Changed(Changed { changes })])
            }
            (Some(_), DepartmentCommand::Close { reason }) => Ok(vec![DepartmentEvent::Closed(Closed { reason })]),
        }
    }

    /// Follows what happened. An event that cannot belong here leaves the state alone.
    fn fold(&mut self, event: DepartmentEvent) {
        match (&mut self.created, event) {
            (None, DepartmentEvent::Created(original)) => {
                self.created = Some(Standing { current: original.clone(), original, closed: false });
            }
            (Some(standing), DepartmentEvent::Changed(event)) => {
                event.changes.iter().for_each(|change| standing.current.apply(change));
            }
            (Some(standing), DepartmentEvent::Closed(_)) => standing.closed = true,
            (Some(_), DepartmentEvent::Created(_)) | (None, _) => {}
        }
    }
}

impl Created {
    fn differing_fields(&self, other: &Self) -> Vec<&'static str> {
        [
            ("department_id", self.department_id == other.department_id),
            ("name", self.name == other.name),
            ("description", self.description == other.description),
            ("parent_department_id", self.parent_department_id == other.parent_department_id),
        ]
        .into_iter()
        .filter_map(|(field, same)| (!same).then_some(field))
        .collect()
    }

    fn becomes_its_own_parent(&self, changes: &[DepartmentChange]) -> bool {
        changes.iter().any(|change| {
            matches!(change, DepartmentChange::ParentDepartmentId { new: Some(parent), .. } if *parent == self.department_id)
        })
    }
}

impl DepartmentPatch {
    /// The changes that change something.
    fn changes(self, current: Created) -> Vec<DepartmentChange> {
        let name = self.name.map(|new| DepartmentChange::Name { old: current.name, new });
        let description =
            self.description.requested().map(|new| DepartmentChange::Description { old: current.description, new });
        let parent = self
            .parent_department_id
            .requested()
            .map(|new| DepartmentChange::ParentDepartmentId { old: current.parent_department_id, new });
        [name, description, parent].into_iter().flatten().filter(DepartmentChange::changes_something).collect()
    }
}

aggregate!(Department = "department", DepartmentCommand => DepartmentEvent, DepartmentError);
