//! What is done to people, the same whichever route asks for it: each checks what the caller may, gives the commands, and
//! leaves nothing usable behind.

use daybook_domain::names::{DepartmentId, RoleName};
use daybook_domain::refusal::Refusal;
use daybook_domain::session::SessionEndReason;
use daybook_domain::text::{ActorId, Reason};
use daybook_domain::user::{GrantRole, User, UserCommand, UserError};
use daybook_domain::{Timestamp, api_key};
use daybook_http_kit::{Principal, Problem};
use daybook_identity::directory::UserStatus;
use daybook_ledger::commands::{CommandContext, CommandError, Outcome};

use super::carried::{Done, done, execute, following};
use super::rules::{is_owner_account, keep_an_owner, may_assign, may_restore, open_department};
use super::view::known;
use crate::auth::end_all;
use crate::problems::{invalid, refusal};
use crate::rbac::guard::{OWNER, may_give_role, require_owner};
use crate::rbac::resolve::built_in;
use crate::state::{IdentityState, OrganizationIdentity, TRIES, vault_problem};
use crate::view::role_of;

/// One caller's doings in one organisation.
#[derive(Clone, Copy)]
pub(crate) struct Doing<'a> {
    /// The installation.
    pub(crate) installation: &'a IdentityState,
    /// The organisation.
    pub(crate) identity: &'a OrganizationIdentity,
    /// Who does it.
    pub(crate) caller: &'a Principal,
}

/// A role to be given.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// Which.
    pub(crate) role: RoleName,
    /// Within which department; everywhere if none.
    pub(crate) department_id: Option<DepartmentId>,
    /// Until when.
    pub(crate) expires_at: Option<Timestamp>,
    /// Why.
    pub(crate) reason: Option<Reason>,
}

/// What became of a person's role.
#[derive(Debug, Clone)]
pub(crate) struct RoleReplaced {
    /// The last command.
    pub(crate) done: Done,
    /// The role by which the person was known.
    pub(crate) old_role: String,
    /// The role by which the person is known now.
    pub(crate) new_role: String,
}

impl Doing<'_> {
    /// Gives a role.
    pub(crate) async fn grant(&self, user_id: &str, terms: Terms, context: CommandContext) -> Result<Done, Problem> {
        let department = terms.department_id.as_ref().map(|id| id.as_str().to_owned());
        may_assign(self.caller, department.as_deref())?;
        let state = self.identity.directory.now();
        known(&state, user_id)?;
        open_department(&state, department.as_deref())?;
        may_give_role(self.caller, &state, terms.role.as_str(), department.as_deref(), "/role")?;
        let Terms { role, department_id, expires_at, reason } = terms;
        let at = self.installation.timestamp()?;
        let command = UserCommand::GrantRole(GrantRole { role, department_id, expires_at, reason, at });
        Ok(done(execute::<User>(self.identity, &self.identity.users, user_id, command, context).await?))
    }

    /// Takes a role.
    pub(crate) async fn revoke(
        &self,
        user_id: &str,
        role: RoleName,
        department_id: Option<DepartmentId>,
        reason: Option<Reason>,
        context: CommandContext,
    ) -> Result<Done, Problem> {
        may_assign(self.caller, department_id.as_ref().map(DepartmentId::as_str))?;
        let state = self.identity.directory.now();
        let user = known(&state, user_id)?;
        let _guard = if role.as_str() == OWNER && is_owner_account(user) {
            require_owner(self.caller)?;
            Some(keep_an_owner(self.installation, self.identity, user_id).await?)
        } else {
            None
        };
        let command = UserCommand::RevokeRole { role, department_id, reason };
        Ok(done(execute::<User>(self.identity, &self.identity.users, user_id, command, context).await?))
    }

    /// Gives a built-in role and takes every other built-in one that holds everywhere. Custom roles and those within
    /// departments stay. The new role comes first, so that nobody is without one if the rest has to be repeated.
    pub(crate) async fn replace_role(
        &self,
        user_id: &str,
        role: &str,
        reason: Option<Reason>,
        context: CommandContext,
    ) -> Result<RoleReplaced, Problem> {
        may_assign(self.caller, None)?;
        let now = self.installation.now();
        let state = self.identity.directory.now();
        let user = known(&state, user_id)?;
        if built_in(role).is_none() {
            return Err(Problem::invalid("?role", "must be one of owner, admin, compliance, analyst, viewer, auditor"));
        }
        let others: Vec<String> = user
            .grants
            .iter()
            .filter(|grant| grant.department_id.is_none() && grant.role != role && built_in(&grant.role).is_some())
            .map(|grant| grant.role.clone())
            .collect();
        let _guard = if others.iter().any(|other| other == OWNER) {
            require_owner(self.caller)?;
            Some(keep_an_owner(self.installation, self.identity, user_id).await?)
        } else {
            None
        };
        let old_role = role_of(&state, user_id, now);
        let terms = Terms {
            role: RoleName::parse("?role", role).map_err(invalid)?,
            department_id: None,
            expires_at: None,
            reason: reason.clone(),
        };
        let mut last = self.grant(user_id, terms, context.clone()).await?;
        for other in others {
            let role = RoleName::parse("?role", other).map_err(invalid)?;
            let command = UserCommand::RevokeRole { role, department_id: None, reason: reason.clone() };
            let context = following(&context, Some(&last.receipt));
            last = done(execute::<User>(self.identity, &self.identity.users, user_id, command, context).await?);
        }
        let new_role = role_of(&self.identity.directory.now(), user_id, now);
        Ok(RoleReplaced { done: last, old_role, new_role })
    }

    /// Keeps a person out: no login, no session, no API key.
    pub(crate) async fn deactivate(
        &self,
        user_id: &str,
        reason: Option<Reason>,
        context: CommandContext,
    ) -> Result<Done, Problem> {
        if self.caller.user_id() == Some(user_id) {
            return Err(Problem::bad_request("user.self_deactivation", "nobody deactivates himself"));
        }
        let state = self.identity.directory.now();
        let user = known(&state, user_id)?;
        let _guard = if is_owner_account(user) {
            require_owner(self.caller)?;
            Some(keep_an_owner(self.installation, self.identity, user_id).await?)
        } else {
            None
        };
        let by = ActorId::parse("", self.caller.actor.id.as_str()).map_err(invalid)?;
        let command = UserCommand::Deactivate { by, reason };
        let outcome = self.identity.users.execute_with_retry(user_id, command, context.clone(), TRIES).await;
        let outcome = match outcome {
            // What came after it the last time may not have: it is done again.
            Err(CommandError::Refused(UserError::AlreadyDeactivated)) => self.unchanged(user_id).await?,
            other => other.map_err(refusal)?,
        };
        self.identity.settle(&outcome).await?;
        let following = following(&context, Some(&outcome.receipt));
        self.end_access(user_id, SessionEndReason::Deactivated, &following).await?;
        Ok(done(outcome))
    }

    /// Lets a person in again, with the roles they had. Sessions and API keys stay ended.
    pub(crate) async fn reactivate(
        &self,
        user_id: &str,
        reason: Option<Reason>,
        context: CommandContext,
    ) -> Result<Done, Problem> {
        let state = self.identity.directory.now();
        let user = known(&state, user_id)?;
        if user.status == UserStatus::Deactivated {
            may_restore(self.caller, &state, user, self.installation.now())?;
        }
        let command = UserCommand::Reactivate { reason };
        Ok(done(execute::<User>(self.identity, &self.identity.users, user_id, command, context).await?))
    }

    /// Ends every session of a person and withdraws links that would let them in; revokes the API keys that they answer for.
    pub(crate) async fn end_access(
        &self,
        user_id: &str,
        why: SessionEndReason,
        context: &CommandContext,
    ) -> Result<(), Problem> {
        use daybook_identity::vault::Purpose;
        self.end_sessions(user_id, why, context).await?;
        for purpose in
            [Purpose::Invitation, Purpose::PasswordReset, Purpose::SecondFactorChallenge, Purpose::EmailChange]
        {
            let vault = &self.installation.vault;
            vault.revoke_one_time(&self.identity.id, user_id, purpose).await.map_err(vault_problem)?;
        }
        self.revoke_keys(user_id, context).await
    }

    /// Ends every session of a person; answers how many went on until now.
    pub(crate) async fn end_sessions(
        &self,
        user_id: &str,
        reason: SessionEndReason,
        context: &CommandContext,
    ) -> Result<usize, Problem> {
        end_all(self.installation, self.identity, user_id, None, reason, context).await
    }

    async fn revoke_keys(&self, user_id: &str, context: &CommandContext) -> Result<(), Problem> {
        let state = self.identity.directory.now();
        let keys: Vec<String> = state
            .api_keys
            .values()
            .filter(|key| key.revoked_at.is_none() && key.accountable.as_deref() == Some(user_id))
            .map(|key| key.key_id.clone())
            .collect();
        let reason = Reason::parse("", "whoever answers for the key is gone").map_err(invalid)?;
        for key_id in keys {
            let command = api_key::ApiKeyCommand::Revoke { reason: Some(reason.clone()) };
            let outcome = execute(self.identity, &self.identity.api_keys, &key_id, command, context.clone()).await?;
            tracing::debug!(key_id, position = outcome.receipt.position, "API key revoked with its maker");
            self.installation.vault.remove_api_key(&self.identity.id, &key_id).await.map_err(vault_problem)?;
        }
        Ok(())
    }

    /// The person as the ledger has them, where a command has nothing to change.
    async fn unchanged(&self, user_id: &str) -> Result<Outcome<User>, Problem> {
        let current = self.identity.users.load(user_id).await.map_err(refusal)?;
        current.ok_or_else(|| crate::problems::refused(&UserError::not_found()))
    }
}
