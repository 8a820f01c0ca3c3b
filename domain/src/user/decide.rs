//! What a command to a person's account leads to.

use super::command::{GrantRole, Invite, Register, UserCommand, UserStatus};
use super::error::UserError;
use super::event::{
    Deactivated, Erased, IdentityLinked, Invited, Origin, PasswordChanged, PasswordResetRequested, ProfileChanged,
    Reactivated, Registered, RoleGranted, RoleRevoked, SamePersonDeclared, SecondFactorEnabled, SecondFactorKind,
    SecondFactorRemoved, SecondFactorRemovedBy, UserEvent,
};
use super::{MAX_AUDITOR_DAYS, MAX_GRANTS, MAX_LINKED_IDENTITIES, MAX_SECOND_FACTORS, User};
use crate::names::{DepartmentId, ErasureId, RoleName};
use crate::personal::Personal;
use crate::text::{ActorId, Reason, ShortName, StreamId};
use crate::time::Timestamp;

const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

type Decision = Result<Vec<UserEvent>, UserError>;

impl User {
    /// What the command leads to. No events: it asks for what is already so.
    pub fn decide(&self, command: UserCommand) -> Decision {
        match command {
            UserCommand::Invite(command) => self.invite(*command),
            UserCommand::Register(command) => self.register(*command),
            UserCommand::ChangeProfile(change) => self.change_profile(*change),
            UserCommand::RecordPasswordChange { by } => {
                self.must_be_active()?;
                Ok(vec![UserEvent::PasswordChanged(PasswordChanged { by })])
            }
            UserCommand::RecordPasswordResetRequest => {
                self.must_be_active()?;
                Ok(vec![UserEvent::PasswordResetRequested(PasswordResetRequested {})])
            }
            UserCommand::GrantRole(command) => self.grant_role(command),
            UserCommand::RevokeRole { role, department_id, reason } => self.revoke_role(role, department_id, reason),
            UserCommand::Deactivate { by, reason } => self.deactivate(&by, reason),
            UserCommand::Reactivate { reason } => self.reactivate(reason),
            UserCommand::EnableSecondFactor(factor) => self.enable_second_factor(*factor),
            UserCommand::RemoveSecondFactor { factor_id, by } => self.remove_second_factor(factor_id, by),
            UserCommand::LinkIdentity { provider } => self.link_identity(provider),
            UserCommand::DeclareSamePerson { person, by, reason } => self.declare_same_person(person, by, reason),
            UserCommand::Erase { erasure_id } => self.erase_as(erasure_id),
        }
    }

    fn must_be_active(&self) -> Result<(), UserError> {
        match self.status() {
            Some(UserStatus::Active) => Ok(()),
            Some(UserStatus::Deactivated) => Err(UserError::Deactivated),
            other => Err(Self::refusal_of(other)),
        }
    }

    /// Active or kept out: what may be set right about somebody who cannot get in.
    fn must_be_registered(&self) -> Result<(), UserError> {
        match self.status() {
            Some(UserStatus::Active | UserStatus::Deactivated) if self.registered => Ok(()),
            other => Err(Self::refusal_of(other)),
        }
    }

    fn refusal_of(status: Option<UserStatus>) -> UserError {
        match status {
            None => UserError::NotFound,
            Some(UserStatus::Erased) => UserError::Erased,
            Some(UserStatus::Invited | UserStatus::Active | UserStatus::Deactivated) => UserError::NotRegistered,
        }
    }

    /// One key opens everything about a person, or destroying it would not erase everything.
    fn must_be_about_this_person<'a>(&self, values: impl IntoIterator<Item = &'a Personal>) -> Result<(), UserError> {
        let mut subject = self.subject.as_deref();
        for value in values {
            if *subject.get_or_insert(value.subject.as_str()) != value.subject {
                return Err(UserError::OtherSubject);
            }
        }
        Ok(())
    }

    fn invite(&self, Invite { invitation, at }: Invite) -> Decision {
        match self.status() {
            None | Some(UserStatus::Invited) => {}
            Some(UserStatus::Active) => return Err(UserError::AlreadyRegistered),
            Some(UserStatus::Deactivated) => return Err(UserError::Deactivated),
            Some(UserStatus::Erased) => return Err(UserError::Erased),
        }
        self.must_be_about_this_person([&invitation.email])?;
        if invitation.expires_at <= at {
            return Err(UserError::ExpiryNotInFuture);
        }
        let Invited { role, department_id, role_expires_at, .. } = &invitation;
        check_terms(role, department_id.as_ref(), *role_expires_at, at)?;
        Ok(vec![UserEvent::Invited(invitation)])
    }

    fn register(&self, Register { email, full_name, origin, at }: Register) -> Decision {
        self.must_be_about_this_person([&email, &full_name])?;
        let granted = match self.status() {
            None => first_role(origin)?,
            Some(UserStatus::Invited) => self.invited_role(origin, at)?,
            Some(UserStatus::Active) => return Err(UserError::AlreadyRegistered),
            Some(UserStatus::Deactivated) => return Err(UserError::Deactivated),
            Some(UserStatus::Erased) => return Err(UserError::Erased),
        };
        Ok(vec![UserEvent::Registered(Registered { email, full_name, origin }), UserEvent::RoleGranted(granted)])
    }

    fn invited_role(&self, origin: Origin, at: Timestamp) -> Result<RoleGranted, UserError> {
        let Some(invitation) = &self.invitation else {
            return Err(UserError::NotInvited);
        };
        match origin {
            Origin::Invitation | Origin::Oidc => {}
            Origin::Registration | Origin::OwnerLink => return Err(UserError::InvitationRequired),
        }
        let role_is_over = invitation.role_expires_at.is_some_and(|expires_at| expires_at <= at);
        if invitation.expires_at <= at || role_is_over {
            return Err(UserError::InvitationExpired);
        }
        Ok(RoleGranted {
            role: invitation.role.clone(),
            department_id: invitation.department_id.clone(),
            expires_at: invitation.role_expires_at,
            reason: None,
        })
    }

    fn change_profile(&self, change: ProfileChanged) -> Decision {
        self.must_be_registered()?;
        self.must_be_about_this_person(change.sealed_values())?;
        if change.fields().is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![UserEvent::ProfileChanged(change)])
    }

    fn grant_role(&self, command: GrantRole) -> Decision {
        self.must_be_active()?;
        let GrantRole { role, department_id, expires_at, reason, at } = command;
        check_terms(&role, department_id.as_ref(), expires_at, at)?;
        let held = self.grants.iter().find(|grant| grant.is_of(&role, department_id.as_ref()));
        if held.is_some_and(|grant| grant.expires_at == expires_at) {
            return Ok(Vec::new());
        }
        let others =
            self.grants.iter().filter(|grant| grant.holds_at(at) && !grant.is_of(&role, department_id.as_ref()));
        if others.count() >= MAX_GRANTS {
            return Err(UserError::TooManyGrants);
        }
        Ok(vec![UserEvent::RoleGranted(RoleGranted { role, department_id, expires_at, reason })])
    }

    fn revoke_role(&self, role: RoleName, department_id: Option<DepartmentId>, reason: Option<Reason>) -> Decision {
        self.must_be_registered()?;
        if !self.grants.iter().any(|grant| grant.is_of(&role, department_id.as_ref())) {
            return Err(UserError::RoleNotGranted { role, department_id });
        }
        Ok(vec![UserEvent::RoleRevoked(RoleRevoked { role, department_id, reason })])
    }

    fn deactivate(&self, by: &ActorId, reason: Option<Reason>) -> Decision {
        match self.status() {
            None => Err(UserError::NotFound),
            Some(UserStatus::Erased) => Err(UserError::Erased),
            Some(UserStatus::Deactivated) => Err(UserError::AlreadyDeactivated),
            Some(UserStatus::Active | UserStatus::Invited) if self.subject.as_deref() == Some(by.as_str()) => {
                Err(UserError::SelfDeactivation)
            }
            Some(UserStatus::Active | UserStatus::Invited) => Ok(vec![UserEvent::Deactivated(Deactivated { reason })]),
        }
    }

    fn reactivate(&self, reason: Option<Reason>) -> Decision {
        match self.status() {
            None => Err(UserError::NotFound),
            Some(UserStatus::Erased) => Err(UserError::Erased),
            Some(UserStatus::Active) => Err(UserError::AlreadyActive),
            Some(UserStatus::Invited) => Err(UserError::NotRegistered),
            Some(UserStatus::Deactivated) => Ok(vec![UserEvent::Reactivated(Reactivated { reason })]),
        }
    }

    fn enable_second_factor(&self, factor: SecondFactorEnabled) -> Decision {
        self.must_be_active()?;
        self.must_be_about_this_person(&factor.label)?;
        // A secret replaces the one before it, so that two of them cannot both count.
        let one_only = factor.kind == SecondFactorKind::Totp;
        let clashes = self
            .second_factors
            .iter()
            .any(|held| held.factor_id == factor.factor_id || one_only && held.kind == factor.kind);
        if clashes {
            return Err(UserError::SecondFactorExists);
        }
        if self.second_factors.len() >= MAX_SECOND_FACTORS {
            return Err(UserError::TooManySecondFactors);
        }
        Ok(vec![UserEvent::SecondFactorEnabled(factor)])
    }

    fn remove_second_factor(&self, factor_id: StreamId, by: SecondFactorRemovedBy) -> Decision {
        self.must_be_registered()?;
        let Some(factor) = self.second_factors.iter().find(|held| held.factor_id == factor_id) else {
            return Err(UserError::SecondFactorNotFound { factor_id });
        };
        Ok(vec![UserEvent::SecondFactorRemoved(SecondFactorRemoved { kind: factor.kind, factor_id, by })])
    }

    fn link_identity(&self, provider: ShortName) -> Decision {
        self.must_be_active()?;
        if self.linked_identities.contains(&provider) {
            return Ok(Vec::new());
        }
        if self.linked_identities.len() >= MAX_LINKED_IDENTITIES {
            return Err(UserError::TooManyLinkedIdentities);
        }
        Ok(vec![UserEvent::IdentityLinked(IdentityLinked { provider })])
    }

    fn declare_same_person(&self, person: ActorId, by: ActorId, reason: Reason) -> Decision {
        self.must_be_registered()?;
        if self.subject.as_deref() == Some(person.as_str()) {
            return Err(UserError::SamePersonAsItself);
        }
        match &self.same_person {
            None => Ok(vec![UserEvent::SamePersonDeclared(SamePersonDeclared { person, by, reason })]),
            Some(declared) if *declared == person => Ok(Vec::new()),
            Some(declared) => Err(UserError::SamePersonDeclared { person: declared.clone() }),
        }
    }

    fn erase_as(&self, erasure_id: ErasureId) -> Decision {
        match (&self.erased, self.exists()) {
            (_, false) => Err(UserError::NotFound),
            (Some(before), true) if *before == erasure_id => Ok(Vec::new()),
            (Some(_), true) => Err(UserError::Erased),
            (None, true) => Ok(vec![UserEvent::Erased(Erased { erasure_id })]),
        }
    }
}

/// The role of somebody whom nobody invited.
fn first_role(origin: Origin) -> Result<RoleGranted, UserError> {
    let role = match origin {
        Origin::Invitation => return Err(UserError::NotInvited),
        Origin::OwnerLink => RoleName::owner(),
        Origin::Registration | Origin::Oidc => RoleName::viewer(),
    };
    Ok(RoleGranted { role, department_id: None, expires_at: None, reason: None })
}

/// Whether a role can be given on these terms at all.
fn check_terms(
    role: &RoleName,
    department_id: Option<&DepartmentId>,
    expires_at: Option<Timestamp>,
    at: Timestamp,
) -> Result<(), UserError> {
    if role.is_operator() {
        return Err(UserError::RoleNotGrantable { role: role.clone() });
    }
    if role.is_owner() && department_id.is_some() {
        return Err(UserError::OwnerWithinDepartment);
    }
    if role.is_owner() && expires_at.is_some() {
        return Err(UserError::OwnerExpires);
    }
    if expires_at.is_some_and(|expires_at| expires_at <= at) {
        return Err(UserError::ExpiryNotInFuture);
    }
    let latest = at.micros().saturating_add(MAX_AUDITOR_DAYS * MICROS_PER_DAY);
    if role.is_auditor() && expires_at.is_none_or(|expires_at| expires_at.micros() > latest) {
        return Err(UserError::AuditorNeedsExpiry);
    }
    Ok(())
}
