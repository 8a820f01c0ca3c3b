//! An organisation as its members see it.

use daybook_http_kit::Problem;
use daybook_identity::directory::{DirectoryState, UserStatus};
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::{IdentityState, OrganizationIdentity};
use daybook_ledger::keys::time::rfc3339;

/// What an organisation has decided for itself, or what holds where it has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SettingsView {
    /// Whether anybody may register and become a viewer.
    pub open_registration: bool,
    /// Whether nobody comes in with a password alone.
    pub require_second_factor: bool,
    /// Hours after which a session is over whatever happens in it.
    pub session_hours: u64,
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct OrganizationView {
    /// Its id, which is that of its ledger.
    #[schema(example = "main")]
    pub id: String,
    /// What it is called; its id where nobody has said.
    pub name: String,
    /// What it has subscribed to.
    #[schema(example = "free")]
    pub tier: String,
    /// Id of the first owner; null until somebody took the owner's link up.
    pub owner_id: Option<String>,
    /// Ids of all active owners.
    pub owners: Vec<String>,
    /// How many active people it has.
    pub member_count: usize,
    /// Its settings.
    pub settings: SettingsView,
    /// When it was made.
    pub created_at: Option<String>,
    /// When its name or its settings were last changed.
    pub updated_at: Option<String>,
    /// Its version, for `If-Match`; 0 until it has a name.
    pub version: u64,
}

impl OrganizationView {
    /// As the directory has it now.
    pub(crate) fn of(installation: &IdentityState, identity: &OrganizationIdentity) -> Self {
        let state: &DirectoryState = &identity.directory.now();
        let record = &state.organization;
        let owners = state.owners(installation.now());
        let oldest =
            |id: &&String| state.users.get(id.as_str()).map(|user| (user.place.created_at, user.place.position));
        let is_known = record.place.version > 0;
        Self {
            id: identity.id.to_string(),
            name: if record.name.is_empty() { identity.id.to_string() } else { record.name.clone() },
            tier: record.tier.clone().unwrap_or_else(|| super::TIER.to_owned()),
            owner_id: owners.iter().min_by_key(oldest).cloned(),
            owners,
            member_count: state.users.values().filter(|user| user.status == UserStatus::Active).count(),
            settings: SettingsView {
                open_registration: installation.is_registration_open(state),
                require_second_factor: record.settings.require_second_factor.unwrap_or(false),
                session_hours: installation.session_lifetime(state).as_secs() / 3_600,
            },
            created_at: is_known.then(|| rfc3339(record.place.created_at)),
            updated_at: is_known.then(|| rfc3339(record.place.changed_at)),
            version: record.place.version,
        }
    }
}

/// The answer for an organisation that is not there, and for one that is somebody else's.
pub(crate) fn not_found() -> Problem {
    Problem::not_found("organization.not_found", "there is no such organization")
}
