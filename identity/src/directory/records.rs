//! What the directory knows of each thing: the records that its state is made of.
//!
//! Times are microseconds since 1970-01-01T00:00:00Z, positions and versions those of the ledger. Texts about people
//! stay sealed. Why somebody changed something stays in the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use daybook_domain::erasure::{ErasureStatus, Retained};
use daybook_domain::meta::Meta;
use daybook_domain::personal::Personal;
use daybook_domain::retention_rule::RetentionRule;
pub use daybook_domain::user::UserStatus;
use daybook_ledger::Entry;
use serde::{Deserialize, Serialize};

/// Records by id. Cheap to clone: states that follow one another share what did not change.
pub type Records<T> = Arc<BTreeMap<Arc<str>, Arc<T>>>;

/// Where a record stands in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// Version of its stream.
    pub version: u64,
    /// Position of the stream's last entry.
    pub position: u64,
    /// When its first entry was recorded.
    pub created_at: i64,
    /// When its last entry was recorded.
    pub changed_at: i64,
}

impl Place {
    /// The place of a record that `entry` brings into being.
    pub(super) fn first(entry: &Entry) -> Self {
        let Entry { version, position, recorded_at, .. } = *entry;
        Self { version, position, created_at: recorded_at, changed_at: recorded_at }
    }

    /// Moves on to `entry`.
    pub(super) fn move_to(&mut self, entry: &Entry) {
        *self = Self { created_at: self.created_at, ..Self::first(entry) };
    }
}

/// The organisation itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OrganizationRecord {
    /// Its name; empty where the ledger does not say yet.
    pub name: String,
    /// Its tier, where the ledger says one.
    pub tier: Option<String>,
    /// What it has decided for itself.
    pub settings: OrganizationSettings,
    /// Where it stands in the ledger; version 0 where there is no `organization.created` yet.
    pub place: Place,
}

/// Settings of an organisation. `None`: it has not decided, the installation's default holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OrganizationSettings {
    /// Whether anybody may register and become a viewer.
    pub open_registration: Option<bool>,
    /// Whether nobody comes in with a password alone.
    pub require_second_factor: Option<bool>,
    /// Longest a session lasts.
    pub session_hours: Option<u32>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserRecord {
    /// `usr_…`.
    pub user_id: String,
    /// Whether the account is in use.
    pub status: UserStatus,
    /// E-mail address, sealed.
    pub email: Option<Personal>,
    /// Name, sealed.
    pub full_name: Option<Personal>,
    /// What they say of themselves, sealed.
    pub about: Option<Personal>,
    /// A picture's address, sealed.
    pub picture_url: Option<Personal>,
    /// How the account came to be: `invitation`, `registration`, `owner_link`, `oidc`. `None` for the invited.
    pub origin: Option<String>,
    /// What the invitation promises, until it is taken up.
    pub invitation: Option<Invitation>,
    /// The roles they were given, expired ones included until they are revoked.
    pub grants: Vec<Grant>,
    /// Second factors in use.
    pub second_factors: Vec<SecondFactorRecord>,
    /// Other providers that speak for them.
    pub identities: BTreeSet<String>,
    /// When the newest session started.
    pub last_login_at: Option<i64>,
    /// When the password was last changed.
    pub password_changed_at: Option<i64>,
    /// Position of the last entry that changed what they may do.
    pub access_position: u64,
    /// Where the record stands in the ledger.
    pub place: Place,
}

/// What an invitation promises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The role.
    pub role: String,
    /// The department within which it will hold, if not everywhere.
    pub department_id: Option<String>,
    /// Until when it may be taken up.
    pub expires_at: i64,
    /// From when the role will no longer hold.
    pub role_expires_at: Option<i64>,
    /// Who invited.
    pub invited_by: String,
}

/// A role given to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The role's name.
    pub role: String,
    /// The department within which it holds, with all below it; everywhere where there is none.
    pub department_id: Option<String>,
    /// From when it no longer holds.
    pub expires_at: Option<i64>,
    /// Opaque id of who gave it.
    pub granted_by: String,
    /// When it was given.
    pub granted_at: i64,
}

impl Grant {
    /// Whether its time is not over at `now`.
    pub fn is_current(&self, now: i64) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// A second factor in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecondFactorRecord {
    /// `totp` or `passkey`.
    pub kind: String,
    /// Its id in the vault.
    pub factor_id: String,
    /// What its owner calls it, sealed.
    pub label: Option<Personal>,
    /// When it came into use.
    pub enabled_at: i64,
}

/// A role that the organisation made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleRecord {
    /// Its name and id.
    pub name: String,
    /// What people call it.
    pub display_name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Roles whose permissions it has as well.
    pub inherits: Vec<String>,
    /// Its own permissions, by name.
    pub permissions: BTreeSet<String>,
    /// A retired role grants nothing.
    pub retired: bool,
    /// Where it stands in the ledger.
    pub place: Place,
}

/// A permission that the organisation defined for its own programs. It counts for `/rbac/permissions/check` alone: no
/// route asks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PermissionRecord {
    /// Its name and id.
    pub name: String,
    /// What people call it.
    pub display_name: Option<String>,
    /// What it allows, in words.
    pub description: Option<String>,
    /// On what.
    pub resource: String,
    /// To do what.
    pub action: String,
    /// Under which conditions, as whoever defined it wrote them.
    pub conditions: Meta,
    /// Where it stands in the ledger.
    pub place: Place,
}

/// A department.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepartmentRecord {
    /// `dep_…`.
    pub department_id: String,
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The department above it.
    pub parent_department_id: Option<String>,
    /// Nothing is granted within a closed department.
    pub closed: bool,
    /// Where it stands in the ledger.
    pub place: Place,
}

/// An API key, without anything secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyRecord {
    /// `key_` and 12 hexadecimal digits.
    pub key_id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Permissions by name, or `read`, `write`, `admin`.
    pub scopes: Vec<String>,
    /// From when it is refused.
    pub expires_at: Option<i64>,
    /// Who made it: a person, a key or `operator`.
    pub created_by: String,
    /// The person who answers for it: its maker, or whoever answers for the key that made it. `None`: the operator.
    pub accountable: Option<String>,
    /// The permissions that its maker held when it was made: it never holds more.
    pub ceiling: BTreeSet<String>,
    /// The rotations that say which secrets are over, the oldest first: one that is over, and those that overlap.
    pub rotations: Vec<Rotation>,
    /// Until when the secret before the last rotation is accepted.
    pub old_valid_until: Option<i64>,
    /// When its secret was last changed.
    pub rotated_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// Where it stands in the ledger.
    pub place: Place,
}

/// A change of a key's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Version of the key's stream at which it was recorded.
    pub version: u64,
    /// Until when the secrets before it are accepted.
    pub old_valid_until: i64,
}

impl ApiKeyRecord {
    /// The version of the oldest fact whose secret is accepted at `now`. What the vault has of older ones is not: it
    /// may not have heard of the rotation.
    pub fn oldest_secret(&self, now: i64) -> u64 {
        let over = self.rotations.iter().filter(|rotation| rotation.old_valid_until <= now);
        over.map(|rotation| rotation.version).max().unwrap_or(0)
    }

    /// Takes in a rotation that was recorded at `at`.
    pub(super) fn rotate(&mut self, rotation: Rotation, at: i64) {
        let over = self.oldest_secret(at);
        self.rotations.retain(|earlier| earlier.version >= over);
        self.rotations.push(rotation);
        self.rotated_at = Some(at);
        self.old_valid_until = Some(rotation.old_valid_until);
    }
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRecord {
    /// `hld_…`.
    pub hold_id: String,
    /// The matter it is for.
    pub matter: String,
    /// Why it was placed.
    pub reason: String,
    /// What it covers.
    pub covers: Vec<HoldCover>,
    /// Who placed it.
    pub placed_by: String,
    /// When it was released.
    pub released_at: Option<i64>,
    /// Where it stands in the ledger.
    pub place: Place,
}

/// Something that a hold covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum HoldCover {
    /// Everything about a person.
    Subject {
        /// The person's opaque id.
        id: String,
    },
    /// One stream.
    Stream {
        /// Its type.
        stream_type: String,
        /// Its id.
        stream_id: String,
    },
}

/// The erasure of a person's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureRecord {
    /// `era_…`.
    pub erasure_id: String,
    /// Whose data.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub requested_by: String,
    /// How far it has come.
    pub status: ErasureStatus,
    /// Who approved or rejected it.
    pub decided_by: Option<String>,
    /// The holds that stood in its way when it was last tried.
    pub holds: Vec<String>,
    /// The records that kept the person known when it was last tried.
    #[serde(default)]
    pub retained: Vec<Retained>,
    /// When the key was destroyed.
    pub performed_at: Option<i64>,
    /// Where it stands in the ledger.
    pub place: Place,
}

/// How long records of one type are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetentionRuleRecord {
    /// The rule, as its events make it.
    pub rule: RetentionRule,
    /// Who set it last.
    pub set_by: String,
    /// Why.
    pub reason: String,
    /// The approval of the last change.
    pub approval_id: String,
    /// Where it stands in the ledger.
    pub place: Place,
}
