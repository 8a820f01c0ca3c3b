//! What can be asked of a person's account. Every field is a checked type; times that a decision needs come along.

use super::event::{
    Invited, PasswordChangedBy, ProfileChanged, SecondFactorEnabled, SecondFactorKind, SecondFactorRemovedBy,
};
use crate::names::{DepartmentId, ErasureId, RoleName};
use crate::personal::Personal;
use crate::text::{ActorId, Reason, ShortName, StreamId};
use crate::time::Timestamp;
use crate::vocabulary::vocabulary;

vocabulary! {
    /// How far an account has come.
    UserStatus {
        /// The person was asked to join and has not yet.
        Invited = "invited",
        /// The person can get in.
        Active = "active",
        /// The person cannot get in for now.
        Deactivated = "deactivated",
        /// The account is for nobody, for ever.
        Erased = "erased",
    }
}

/// A command to one account.
#[derive(Debug, Clone, PartialEq)]
pub enum UserCommand {
    /// Ask somebody to join, or ask again with other terms.
    Invite(Box<Invite>),
    /// Make the account. See [`Register`].
    Register(Box<Register>),
    /// Change what is known about the person: the event as it is to be.
    ChangeProfile(Box<ProfileChanged>),
    /// Record that the password is another.
    RecordPasswordChange {
        /// How.
        by: PasswordChangedBy,
    },
    /// Record that somebody asked for a new password.
    RecordPasswordResetRequest,
    /// Give a role, or change until when it is given.
    GrantRole(GrantRole),
    /// Take a role away. That somebody else still owns the organisation is checked by whoever gives the command and
    /// knows them all.
    RevokeRole {
        /// Which.
        role: RoleName,
        /// The department within which it holds; everywhere if none.
        department_id: Option<DepartmentId>,
        /// Why.
        reason: Option<Reason>,
    },
    /// Keep the person out. That somebody else still owns the organisation is checked by whoever gives the command.
    Deactivate {
        /// Who does it.
        by: ActorId,
        /// Why.
        reason: Option<Reason>,
    },
    /// Let the person in again.
    Reactivate {
        /// Why.
        reason: Option<Reason>,
    },
    /// Record a second factor that was shown to work.
    EnableSecondFactor(Box<SecondFactorEnabled>),
    /// Record that a second factor counts no more.
    RemoveSecondFactor {
        /// Which.
        factor_id: StreamId,
        /// Who does it.
        by: SecondFactorRemovedBy,
    },
    /// Record that a provider of identities vouches for the person.
    LinkIdentity {
        /// The provider, as it is configured here.
        provider: ShortName,
    },
    /// Record that another account is the same person's. It stays: what was decided since was decided on it.
    DeclareSamePerson {
        /// The id of the account that stands for the person.
        person: ActorId,
        /// Who says so.
        by: ActorId,
        /// How that is known.
        reason: Reason,
    },
    /// Record that the key of the person's data is destroyed.
    Erase {
        /// The erasure that was approved.
        erasure_id: ErasureId,
    },
}

/// Asks somebody to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// The invitation as it is to be.
    pub invitation: Invited,
    /// When this is asked.
    pub at: Timestamp,
}

/// Makes the account. The role follows from the origin: an invitation gives the one it names, the owner's link `owner`,
/// everything else `viewer`.
///
/// Whoever was invited comes with the invitation, or vouched for by a provider that knows the address; registering
/// without either would give a role to somebody who only knows the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// The person's address.
    pub email: Personal,
    /// The person's name.
    pub full_name: Personal,
    /// How it came to this.
    pub origin: super::Origin,
    /// When this is asked.
    pub at: Timestamp,
}

/// Gives a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRole {
    /// Which. That there is such a role is checked by whoever gives the command.
    pub role: RoleName,
    /// The department within which it is to hold; everywhere if none.
    pub department_id: Option<DepartmentId>,
    /// Until when; for ever if none.
    pub expires_at: Option<Timestamp>,
    /// Why.
    pub reason: Option<Reason>,
    /// When this is asked.
    pub at: Timestamp,
}

/// A second factor that an account has.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SecondFactor {
    /// Which; opaque.
    pub factor_id: StreamId,
    /// What it is.
    pub kind: SecondFactorKind,
}
