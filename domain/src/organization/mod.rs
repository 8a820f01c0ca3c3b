//! An organisation: a tenant, whose stream is in its own ledger and has the ledger's id. Its members, roles and keys are
//! streams of their own.

mod event;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use event::{Created, OrganizationEvent, Renamed, SettingChange, SettingsChanged};

use crate::refusal::refusals;
use crate::stream::aggregate;
use crate::text::{InvalidField, Line, ShortName};

/// Longest a session may last, in hours: 90 days.
pub const MAX_SESSION_HOURS: u32 = 2_160;

/// What an organisation can set. The default holds until it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationSettings {
    /// Whether anybody may register, as a viewer.
    pub open_registration: bool,
    /// Whether nobody gets in without a second factor.
    pub require_second_factor: bool,
    /// After how many hours a session ends whatever happens in it.
    pub session_hours: SessionHours,
}

impl Default for OrganizationSettings {
    /// By invitation only, second factors as people like, a week.
    fn default() -> Self {
        Self { open_registration: false, require_second_factor: false, session_hours: SessionHours::default() }
    }
}

impl OrganizationSettings {
    /// Takes over the new value of a change.
    pub fn apply(&mut self, change: &SettingChange) {
        match *change {
            SettingChange::OpenRegistration { new, .. } => self.open_registration = new,
            SettingChange::RequireSecondFactor { new, .. } => self.require_second_factor = new,
            SettingChange::SessionHours { new, .. } => self.session_hours = new,
        }
    }
}

/// Hours that a session may last: 1 to [`MAX_SESSION_HOURS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct SessionHours(u32);

impl SessionHours {
    /// Checks the number that came at `pointer`.
    pub fn parse(pointer: &str, hours: u32) -> Result<Self, InvalidField> {
        if (1..=MAX_SESSION_HOURS).contains(&hours) {
            return Ok(Self(hours));
        }
        Err(InvalidField::new(pointer, format!("must be a number of hours from 1 to {MAX_SESSION_HOURS}")))
    }

    /// The hours.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for SessionHours {
    fn default() -> Self {
        Self(168)
    }
}

impl TryFrom<u32> for SessionHours {
    type Error = InvalidField;

    fn try_from(hours: u32) -> Result<Self, InvalidField> {
        Self::parse("/session_hours", hours)
    }
}

impl From<SessionHours> for u32 {
    fn from(hours: SessionHours) -> Self {
        hours.0
    }
}

/// A command to one organisation.
#[derive(Debug, Clone, PartialEq)]
pub enum OrganizationCommand {
    /// Bring it into being.
    Create {
        /// What it is called.
        name: Line,
        /// What it has subscribed to, `free`.
        tier: ShortName,
    },
    /// Call it something else.
    Rename {
        /// What it is called from now on.
        name: Line,
    },
    /// See [`SettingsPatch`].
    ChangeSettings(SettingsPatch),
}

/// The settings that are to have another value; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SettingsPatch {
    /// Whether anybody may register.
    pub open_registration: Option<bool>,
    /// Whether everybody needs a second factor.
    pub require_second_factor: Option<bool>,
    /// How long a session may last.
    pub session_hours: Option<SessionHours>,
}

refusals! {
    /// Why a command to an organisation is refused.
    OrganizationError {
        /// There is no such organisation.
        #[error("there is no such organization")]
        NotFound = "organization.not_found", NotFound;
        /// It was created before, otherwise.
        #[error("the organization already exists with other content: {} differs", fields.join(", "))]
        Exists {
            /// The fields that differ from what it was created with.
            fields: Vec<&'static str>,
        } = "organization.exists", Exists;
    }
}

/// An organisation. The default value is one that was never created.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Organization {
    created: Option<Standing>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Standing {
    original: Created,
    name: Line,
    settings: OrganizationSettings,
}

impl Organization {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 1;
    /// Nothing here is about a person.
    pub const HOLDS_PERSONAL_DATA: bool = false;

    /// Whether it was created.
    pub fn exists(&self) -> bool {
        self.created.is_some()
    }

    /// What it is called now.
    pub fn name(&self) -> Option<&Line> {
        self.created.as_ref().map(|standing| &standing.name)
    }

    /// What it has subscribed to.
    pub fn tier(&self) -> Option<&ShortName> {
        self.created.as_ref().map(|standing| &standing.original.tier)
    }

    /// Its settings; those of the default where it does not exist.
    pub fn settings(&self) -> OrganizationSettings {
        self.created.as_ref().map(|standing| standing.settings).unwrap_or_default()
    }

    /// What the command leads to. No events: it asks for what is already so.
    pub fn decide(&self, command: OrganizationCommand) -> Result<Vec<OrganizationEvent>, OrganizationError> {
        match (&self.created, command) {
            (None, OrganizationCommand::Create { name, tier }) => {
                Ok(vec![OrganizationEvent::Created(Created { name, tier })])
            }
            (None, _) => Err(OrganizationError::NotFound),
            (Some(standing), OrganizationCommand::Create { name, tier }) => {
                let fields: Vec<&'static str> =
                    [("name", standing.original.name == name), ("tier", standing.original.tier == tier)]
                        .into_iter()
                        .filter_map(|(field, same)| (!same).then_some(field))
                        .collect();
                if fields.is_empty() { Ok(Vec::new()) } else { Err(OrganizationError::Exists { fields }) }
            }
            (Some(standing), OrganizationCommand::Rename { name }) if standing.name == name => Ok(Vec::new()),
            (Some(standing), OrganizationCommand::Rename { name }) => {
                Ok(vec![OrganizationEvent::Renamed(Renamed { from: standing.name.clone(), to: name })])
            }
            (Some(standing), OrganizationCommand::ChangeSettings(patch)) => {
                let changes = patch.changes(standing.settings);
                if changes.is_empty() {
                    return Ok(Vec::new());
                }
                Ok(vec![OrganizationEvent::SettingsChanged(SettingsChanged { changes })])
            }
        }
    }

    /// Follows what happened. An event that cannot belong here leaves the state alone.
    fn fold(&mut self, event: OrganizationEvent) {
        match (&mut self.created, event) {
            (None, OrganizationEvent::Created(original)) => {
                let (name, settings) = (original.name.clone(), OrganizationSettings::default());
                self.created = Some(Standing { original, name, settings });
            }
            (Some(standing), OrganizationEvent::Renamed(event)) => standing.name = event.to,
            (Some(standing), OrganizationEvent::SettingsChanged(event)) => {
                event.changes.iter().for_each(|change| standing.settings.apply(change));
            }
            (Some(_), OrganizationEvent::Created(_)) | (None, _) => {}
        }
    }
}

impl SettingsPatch {
    /// The changes that change something.
    fn changes(self, current: OrganizationSettings) -> Vec<SettingChange> {
        let open = self
            .open_registration
            .filter(|new| *new != current.open_registration)
            .map(|new| SettingChange::OpenRegistration { old: current.open_registration, new });
        let factor = self
            .require_second_factor
            .filter(|new| *new != current.require_second_factor)
            .map(|new| SettingChange::RequireSecondFactor { old: current.require_second_factor, new });
        let hours = self
            .session_hours
            .filter(|new| *new != current.session_hours)
            .map(|new| SettingChange::SessionHours { old: current.session_hours, new });
        [open, factor, hours].into_iter().flatten().collect()
    }
}

aggregate!(Organization = "organization", OrganizationCommand => OrganizationEvent, OrganizationError);
