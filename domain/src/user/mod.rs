//! A person's account: invited, registered, given roles, kept out, erased. Facts only: what somebody knows or has to
//! get in (passwords, secrets, keys) is kept elsewhere and never comes here.

mod command;
mod decide;
mod error;
mod event;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use command::{GrantRole, Invite, Register, SecondFactor, UserCommand, UserStatus};
pub use error::UserError;
pub use event::{
    Deactivated, Erased, IdentityLinked, Invited, Origin, PasswordChanged, PasswordChangedBy, PasswordResetRequested,
    ProfileChanged, Reactivated, Registered, RoleGranted, RoleRevoked, SamePersonDeclared, SecondFactorEnabled,
    SecondFactorKind, SecondFactorRemoved, SecondFactorRemovedBy, UserEvent,
};

use crate::names::{DepartmentId, ErasureId, RoleName};
use crate::stream::aggregate;
use crate::text::{ActorId, ShortName};
use crate::time::Timestamp;

/// Most days ahead that an auditor's role may end: a year and the day that leap years have more.
pub const MAX_AUDITOR_DAYS: i64 = 366;
/// Most roles of one person at a time.
pub const MAX_GRANTS: usize = 64;
/// Most second factors of one person.
pub const MAX_SECOND_FACTORS: usize = 16;
/// Most providers that vouch for one person.
pub const MAX_LINKED_IDENTITIES: usize = 16;

/// A role that a person has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Which.
    pub role: RoleName,
    /// The department within which it holds; everywhere if none.
    pub department_id: Option<DepartmentId>,
    /// Until when it holds; for ever if none.
    pub expires_at: Option<Timestamp>,
}

impl Grant {
    /// Whether it holds at a time. At the time of expiry it does not.
    pub fn holds_at(&self, at: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| at < expires_at)
    }

    /// Whether it is what somebody has who has the role there.
    fn is_of(&self, role: &RoleName, department_id: Option<&DepartmentId>) -> bool {
        self.role == *role && self.department_id.as_ref() == department_id
    }
}

/// A person's account. The default value is one that never was.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct User {
    /// Whose key opens the sealed values; known from the first of them.
    subject: Option<String>,
    invitation: Option<Invited>,
    registered: bool,
    deactivated: bool,
    erased: Option<ErasureId>,
    grants: Vec<Grant>,
    second_factors: Vec<SecondFactor>,
    linked_identities: BTreeSet<ShortName>,
    same_person: Option<ActorId>,
}

impl User {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 2;
    /// Names and addresses, sealed; reasons, in clear.
    pub const HOLDS_PERSONAL_DATA: bool = true;

    /// Whether there is an account or an invitation to one.
    pub fn exists(&self) -> bool {
        self.subject.is_some()
    }

    /// How far it has come.
    pub fn status(&self) -> Option<UserStatus> {
        self.exists().then_some(match self {
            Self { erased: Some(_), .. } => UserStatus::Erased,
            Self { deactivated: true, .. } => UserStatus::Deactivated,
            Self { registered: true, .. } => UserStatus::Active,
            _ => UserStatus::Invited,
        })
    }

    /// Whose key opens its sealed values: the account's own id.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The invitation that has not been used.
    pub fn invitation(&self) -> Option<&Invited> {
        self.invitation.as_ref()
    }

    /// The roles it was granted and not deprived of, those that have expired included; see [`Grant::holds_at`].
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Its second factors.
    pub fn second_factors(&self) -> &[SecondFactor] {
        &self.second_factors
    }

    /// The providers that vouch for the person.
    pub fn linked_identities(&self) -> &BTreeSet<ShortName> {
        &self.linked_identities
    }

    /// The account that stands for the person, where this one was found to be another one's person's.
    pub fn same_person(&self) -> Option<&ActorId> {
        self.same_person.as_ref()
    }

    /// Follows what happened. An event that cannot belong here (a role without an account) leaves the state alone.
    fn fold(&mut self, event: UserEvent) {
        match event {
            _ if self.erased.is_some() => {}
            UserEvent::Invited(event) if !self.registered => {
                self.subject.get_or_insert_with(|| event.email.subject.clone());
                self.invitation = Some(event);
            }
            UserEvent::Registered(event) if !self.registered => {
                self.subject.get_or_insert(event.email.subject);
                self.registered = true;
                self.invitation = None;
            }
            _ if !self.exists() => {}
            UserEvent::RoleGranted(event) => {
                self.grants.retain(|grant| !grant.is_of(&event.role, event.department_id.as_ref()));
                let RoleGranted { role, department_id, expires_at, reason: _ } = event;
                self.grants.push(Grant { role, department_id, expires_at });
            }
            UserEvent::RoleRevoked(event) => {
                self.grants.retain(|grant| !grant.is_of(&event.role, event.department_id.as_ref()));
            }
            UserEvent::Deactivated(_) => self.deactivated = true,
            UserEvent::Reactivated(_) => self.deactivated = false,
            UserEvent::SecondFactorEnabled(event) => {
                self.second_factors.push(SecondFactor { factor_id: event.factor_id, kind: event.kind });
            }
            UserEvent::SecondFactorRemoved(event) => {
                self.second_factors.retain(|factor| factor.factor_id != event.factor_id);
            }
            UserEvent::IdentityLinked(event) => {
                self.linked_identities.insert(event.provider);
            }
            UserEvent::SamePersonDeclared(event) => {
                self.same_person.get_or_insert(event.person);
            }
            UserEvent::Erased(event) => self.erase(event.erasure_id),
            UserEvent::Invited(_)
            | UserEvent::Registered(_)
            | UserEvent::ProfileChanged(_)
            | UserEvent::PasswordChanged(_)
            | UserEvent::PasswordResetRequested(_) => {}
        }
    }

    /// Nothing stays but that there was somebody, and whose account it was: votes that were cast stay that person's.
    fn erase(&mut self, erasure_id: ErasureId) {
        let (subject, same_person) = (self.subject.take(), self.same_person.take());
        *self = Self { subject, same_person, erased: Some(erasure_id), ..Self::default() };
    }
}

aggregate!(User = "user", UserCommand => UserEvent, UserError);
