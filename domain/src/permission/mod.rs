//! A permission that an organisation defines for its own programs, which ask whether somebody has it.
//!
//! Daybook's own permissions are code; that no definition takes the name of one of them is checked by whoever knows them.

use serde::{Deserialize, Serialize};

use crate::meta::Meta;
use crate::names::PermissionName;
use crate::refusal::refusals;
use crate::stream::{aggregate, events};
use crate::text::{Description, Line, ShortName};

events! {
    /// An event of a permission.
    PermissionEvent {
        /// It was defined.
        Defined(Defined) = "permission.defined",
    }
}

/// Payload of `permission.defined`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Defined {
    /// Its name, and the id of its stream.
    pub name: PermissionName,
    /// What people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<Line>,
    /// What it allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// What it is about.
    pub resource: ShortName,
    /// What may be done with that.
    pub action: ShortName,
    /// Under which conditions; kept as they were given.
    #[serde(default, skip_serializing_if = "Meta::is_empty")]
    pub conditions: Meta,
}

/// A command to one permission.
#[derive(Debug, Clone, PartialEq)]
pub enum PermissionCommand {
    /// Define it, once and for all.
    Define(Box<Defined>),
}

refusals! {
    /// Why a command to a permission is refused.
    PermissionError {
        /// There is no such permission.
        #[error("there is no such permission")]
        NotFound = "permission.not_found", NotFound;
        /// It was defined before, otherwise.
        #[error("the permission is already defined otherwise: {} differs", fields.join(", "))]
        Exists {
            /// The fields that differ from its definition.
            fields: Vec<&'static str>,
        } = "permission.exists", Exists;
    }
}

/// A permission. The default value is one that was never defined.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Permission {
    defined: Option<Defined>,
}

impl Permission {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 1;
    /// Nothing here is about a person.
    pub const HOLDS_PERSONAL_DATA: bool = false;

    /// Whether it was defined.
    pub fn exists(&self) -> bool {
        self.defined.is_some()
    }

    /// Its definition.
    pub fn content(&self) -> Option<&Defined> {
        self.defined.as_ref()
    }

    /// What the command leads to. No events: it asks for what is already so.
    pub fn decide(&self, command: PermissionCommand) -> Result<Vec<PermissionEvent>, PermissionError> {
        let PermissionCommand::Define(definition) = command;
        let Some(defined) = &self.defined else {
            return Ok(vec![PermissionEvent::Defined(*definition)]);
        };
        let fields = differing_fields(defined, &definition);
        if fields.is_empty() { Ok(Vec::new()) } else { Err(PermissionError::Exists { fields }) }
    }

    /// Follows what happened. The first definition stands.
    fn fold(&mut self, event: PermissionEvent) {
        let PermissionEvent::Defined(definition) = event;
        self.defined.get_or_insert(definition);
    }
}

fn differing_fields(defined: &Defined, definition: &Defined) -> Vec<&'static str> {
    [
        ("name", defined.name == definition.name),
        ("display_name", defined.display_name == definition.display_name),
        ("description", defined.description == definition.description),
        ("resource", defined.resource == definition.resource),
        ("action", defined.action == definition.action),
        ("conditions", defined.conditions == definition.conditions),
    ]
    .into_iter()
    .filter_map(|(field, same)| (!same).then_some(field))
    .collect()
}

aggregate!(Permission = "permission", PermissionCommand => PermissionEvent, PermissionError);

#[cfg(test)]
mod tests;
