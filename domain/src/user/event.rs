//! What happened to a person's account, as it is stored. Names and addresses are sealed; passwords and keys are nowhere.

use serde::{Deserialize, Serialize};

use crate::names::{DepartmentId, ErasureId, RoleName};
use crate::patch::Patch;
use crate::personal::Personal;
use crate::stream::events;
use crate::text::{ActorId, Reason, ShortName, StreamId};
use crate::time::Timestamp;
use crate::vocabulary::vocabulary;

vocabulary! {
    /// How somebody came to have an account.
    Origin {
        /// Somebody who may do so asked them to join.
        Invitation = "invitation",
        /// They came by themselves.
        Registration = "registration",
        /// They had the one-time link of the first start.
        OwnerLink = "owner_link",
        /// A provider of identities vouched for them.
        Oidc = "oidc",
    }
}

vocabulary! {
    /// How a password came to be another.
    PasswordChangedBy {
        /// By its owner, who knew the old one.
        OneSelf = "self",
        /// By whoever had the one-time token that was sent.
        Reset = "reset",
    }
}

vocabulary! {
    /// What somebody has beside a password.
    SecondFactorKind {
        /// A device that shows six digits.
        Totp = "totp",
        /// A key that signs.
        Passkey = "passkey",
    }
}

vocabulary! {
    /// Who took a second factor away.
    SecondFactorRemovedBy {
        /// Its owner.
        OneSelf = "self",
        /// Somebody who may do so for others.
        Administrator = "administrator",
        /// Its owner, who had nothing but a recovery code.
        RecoveryCode = "recovery_code",
    }
}

events! {
    /// An event of a person's account.
    UserEvent {
        /// Somebody was asked to join, or asked again.
        Invited(Invited) = "user.invited",
        /// The account came into being.
        Registered(Registered) = "user.registered",
        /// What is known about the person changed.
        ProfileChanged(ProfileChanged) = "user.profile_changed",
        /// The password is another.
        PasswordChanged(PasswordChanged) = "user.password_changed",
        /// Somebody who says to be the person cannot remember the password.
        PasswordResetRequested(PasswordResetRequested) = "user.password_reset_requested",
        /// The person has a role, or has it until another time.
        RoleGranted(RoleGranted) = "user.role_granted",
        /// The person does not have a role any more.
        RoleRevoked(RoleRevoked) = "user.role_revoked",
        /// The person cannot get in.
        Deactivated(Deactivated) = "user.deactivated",
        /// The person can get in again.
        Reactivated(Reactivated) = "user.reactivated",
        /// There is a second factor more.
        SecondFactorEnabled(SecondFactorEnabled) = "user.second_factor_enabled",
        /// There is a second factor less.
        SecondFactorRemoved(SecondFactorRemoved) = "user.second_factor_removed",
        /// A provider of identities vouches for the person from now on.
        IdentityLinked(IdentityLinked) = "user.identity_linked",
        /// The account was found to be another account's person's.
        SamePersonDeclared(SamePersonDeclared) = "user.same_person_declared",
        /// The key of what is known about the person is destroyed; the account is for nobody.
        Erased(Erased) = "user.erased",
    }
}

/// Payload of `user.invited`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// The address that the invitation goes to.
    pub email: Personal,
    /// The role that registering gives.
    pub role: RoleName,
    /// The department within which it holds; everywhere if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department_id: Option<DepartmentId>,
    /// Until when the invitation holds.
    pub expires_at: Timestamp,
    /// Until when the role will hold; for ever if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_expires_at: Option<Timestamp>,
}

/// Payload of `user.registered`. The role that comes with it is an event of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The person's address.
    pub email: Personal,
    /// The person's name.
    pub full_name: Personal,
    /// How it came to this.
    pub origin: Origin,
}

/// Payload of `user.profile_changed`: what is another now. `null` is nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProfileChanged {
    /// The person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<Personal>,
    /// The person's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Personal>,
    /// What the person says of himself.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub about: Patch<Personal>,
    /// Where a picture is.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub picture_url: Patch<Personal>,
}

impl ProfileChanged {
    /// The names of the fields that change, as in JSON.
    pub fn fields(&self) -> Vec<&'static str> {
        [
            ("full_name", self.full_name.is_some()),
            ("email", self.email.is_some()),
            ("about", !self.about.is_keep()),
            ("picture_url", !self.picture_url.is_keep()),
        ]
        .into_iter()
        .filter_map(|(field, changes)| changes.then_some(field))
        .collect()
    }

    /// Every sealed value in it.
    pub fn sealed_values(&self) -> impl Iterator<Item = &Personal> {
        fn set(patch: &Patch<Personal>) -> Option<&Personal> {
            match patch {
                Patch::Set(value) => Some(value),
                Patch::Keep | Patch::Clear => None,
            }
        }
        [self.full_name.as_ref(), self.email.as_ref(), set(&self.about), set(&self.picture_url)].into_iter().flatten()
    }
}

/// Payload of `user.password_changed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordChanged {
    /// How.
    pub by: PasswordChangedBy,
}

/// Payload of `user.password_reset_requested`: nothing but that it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PasswordResetRequested {}

/// Payload of `user.role_granted`. A grant of a role that is held within the same department replaces that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleGranted {
    /// Which.
    pub role: RoleName,
    /// The department within which it holds; everywhere if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department_id: Option<DepartmentId>,
    /// Until when it holds; for ever if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// Payload of `user.role_revoked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleRevoked {
    /// Which.
    pub role: RoleName,
    /// The department within which it held; everywhere if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department_id: Option<DepartmentId>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// Payload of `user.deactivated`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Deactivated {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// Payload of `user.reactivated`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reactivated {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// Payload of `user.second_factor_enabled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactorEnabled {
    /// What it is.
    pub kind: SecondFactorKind,
    /// Which; opaque.
    pub factor_id: StreamId,
    /// What the person calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Personal>,
}

/// Payload of `user.second_factor_removed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactorRemoved {
    /// What it was.
    pub kind: SecondFactorKind,
    /// Which; opaque.
    pub factor_id: StreamId,
    /// Who removed it.
    pub by: SecondFactorRemovedBy,
}

/// Payload of `user.identity_linked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityLinked {
    /// The provider, as it is configured here. What the person is called there is not said.
    pub provider: ShortName,
}

/// Payload of `user.same_person_declared`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamePersonDeclared {
    /// The id of the account that stands for the person.
    pub person: ActorId,
    /// Who said so.
    pub by: ActorId,
    /// How that is known.
    pub reason: Reason,
}

/// Payload of `user.erased`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// The erasure that was requested and approved.
    pub erasure_id: ErasureId,
}
