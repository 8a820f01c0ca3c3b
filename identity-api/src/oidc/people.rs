//! Who somebody is here whom a provider vouches for.
//!
//! By the provider's name for him once he has come in that way; the first time by the address that the provider says is
//! his. An address that nobody has confirmed here matches nobody: whoever registered with it may be somebody else, and
//! would share the account.

use std::sync::Arc;

use daybook_domain::names::RoleName;
use daybook_domain::text::Line;
use daybook_domain::user::{GrantRole, Origin, Register, UserCommand, UserError};
use daybook_http_kit::Problem;
use daybook_identity::directory::{UserRecord, UserStatus};
use daybook_identity::mail::is_address;
use daybook_identity::oidc::{Person, Provider};
use daybook_identity::vault::Purpose;
use daybook_ledger::commands::CommandError;

use super::problem::kept_out;
use crate::auth::{Client, authentication, complete, reserve};
use crate::problems::refusal;
use crate::state::{IdentityState, OrganizationIdentity, TRIES, vault_problem};
use crate::view::{field, seal};

/// What accounts that anybody may have made for himself come from.
const SELF_MADE: &str = "registration";
/// Most characters of a name that are taken over.
const MAX_NAME: usize = 200;

/// The active person, after making or linking the account where that is due. 403 where there is none who may come in; that
/// is recorded.
pub(super) async fn find(
    state: &IdentityState,
    client: &Client,
    organization: &Arc<OrganizationIdentity>,
    provider: &Provider,
    person: &Person,
) -> Result<Arc<UserRecord>, Problem> {
    Finder { state, client, organization, provider, person }.find().await
}

/// One login.
struct Finder<'a> {
    state: &'a IdentityState,
    client: &'a Client,
    organization: &'a Arc<OrganizationIdentity>,
    provider: &'a Provider,
    person: &'a Person,
}

impl Finder<'_> {
    async fn find(&self) -> Result<Arc<UserRecord>, Problem> {
        let (vault, id, name) = (&self.state.vault, &self.organization.id, self.provider.name());
        if !self.provider.settings().allowed_domains.is_empty() {
            self.address(None)?;
        }
        if let Some(user_id) = vault.identity(id, name, &self.person.subject).await.map_err(vault_problem)? {
            return self.active(&user_id);
        }
        let email = self.address(None)?;
        let account = vault.account_by_email(id, &vault.email_digest(id, email)).await.map_err(vault_problem)?;
        let user = account.as_ref().and_then(|account| self.record(&account.user_id));
        match (user, account) {
            (Some(user), Some(account)) => match user.status {
                UserStatus::Active => {
                    self.must_be_linkable(&user).await?;
                    complete(self.state, id, &account).await?;
                    self.link(&user.user_id).await
                }
                UserStatus::Invited => {
                    self.register(&user.user_id, email).await?;
                    self.link(&user.user_id).await
                }
                UserStatus::Deactivated | UserStatus::Erased => {
                    Err(self.refuse("oidc.no_account", Some(&user.user_id)))
                }
            },
            _ => self.newcomer(email).await,
        }
    }

    /// The address, where the provider says that it is the person's and the domain may come in.
    fn address(&self, user_id: Option<&str>) -> Result<&str, Problem> {
        let email = self.person.email.as_deref().map(str::trim).filter(|email| is_address(email));
        let email = email.filter(|_| self.person.is_email_verified);
        let email = email.ok_or_else(|| self.refuse("oidc.email_not_verified", user_id))?;
        if !self.provider.settings().allows(email) {
            return Err(self.refuse("oidc.domain_not_allowed", user_id));
        }
        Ok(email)
    }

    fn record(&self, user_id: &str) -> Option<Arc<UserRecord>> {
        self.organization.directory.now().users.get(user_id).cloned()
    }

    fn active(&self, user_id: &str) -> Result<Arc<UserRecord>, Problem> {
        let user = self.record(user_id).filter(|user| user.status == UserStatus::Active);
        user.ok_or_else(|| self.refuse("oidc.no_account", Some(user_id)))
    }

    /// An address that goes to somebody else by now must not open the account of who had it before.
    async fn must_be_linkable(&self, user: &UserRecord) -> Result<(), Problem> {
        let (vault, id, name) = (&self.state.vault, &self.organization.id, self.provider.name());
        if vault.has_identity(id, name, &user.user_id).await.map_err(vault_problem)? {
            return Err(self.refuse("oidc.other_identity", Some(&user.user_id)));
        }
        if user.origin.as_deref() == Some(SELF_MADE) {
            return Err(self.refuse("oidc.address_unconfirmed", Some(&user.user_id)));
        }
        Ok(())
    }

    /// Somebody who is neither known nor invited.
    async fn newcomer(&self, email: &str) -> Result<Arc<UserRecord>, Problem> {
        let Some(role) = &self.provider.settings().role_on_first_login else {
            return Err(self.refuse("oidc.no_account", None));
        };
        let user_id = reserve(self.state, self.organization, email, None).await?;
        self.register(&user_id, email).await?;
        if *role != RoleName::viewer() {
            self.give(&user_id, role.clone()).await?;
        }
        self.link(&user_id).await
    }

    /// The account's fact, and its mark.
    async fn register(&self, user_id: &str, email: &str) -> Result<(), Problem> {
        let (organization, vault) = (self.organization, &self.state.vault);
        let command = UserCommand::Register(Box::new(Register {
            email: seal(organization, user_id, field::EMAIL, email).await?,
            full_name: seal(organization, user_id, field::FULL_NAME, &self.full_name(email)).await?,
            origin: Origin::Oidc,
            at: self.state.timestamp()?,
        }));
        // Whoever chose a password before has not shown that the address is his; the provider's word does not cover it.
        vault.drop_pending_password(&organization.id, user_id).await.map_err(vault_problem)?;
        let context = self.client.context(authentication());
        match organization.users.execute_with_retry(user_id, command, context, TRIES).await {
            Ok(outcome) => {
                organization.settle(&outcome).await?;
            }
            // The fact was there: only the mark was missing.
            Err(CommandError::Refused(UserError::AlreadyRegistered)) => {}
            Err(CommandError::Refused(UserError::InvitationExpired)) => {
                return Err(self.refuse("oidc.no_account", Some(user_id)));
            }
            Err(error) => return Err(refusal(error)),
        }
        vault.complete_account(&organization.id, user_id, self.state.now()).await.map_err(vault_problem)?;
        vault.revoke_one_time(&organization.id, user_id, Purpose::Invitation).await.map_err(vault_problem)?;
        Ok(())
    }

    /// The role of the settings in place of the viewer's. Where it breaks off in between, the person stays a viewer.
    async fn give(&self, user_id: &str, role: RoleName) -> Result<(), Problem> {
        let directory = self.organization.directory.now();
        if !role.is_built_in() && !directory.roles.contains_key(role.as_str()) {
            tracing::warn!(%role, provider = self.provider.name(), "the role for first logins does not exist");
            return Ok(());
        }
        let grant =
            GrantRole { role, department_id: None, expires_at: None, reason: None, at: self.state.timestamp()? };
        let revoke = UserCommand::RevokeRole { role: RoleName::viewer(), department_id: None, reason: None };
        for command in [UserCommand::GrantRole(grant), revoke] {
            let context = self.client.context(authentication());
            let outcome = self.organization.users.execute_with_retry(user_id, command, context, TRIES).await;
            self.organization.settle(&outcome.map_err(refusal)?).await?;
        }
        Ok(())
    }

    /// The fact first, so that nobody comes in by a link that the ledger does not know.
    async fn link(&self, user_id: &str) -> Result<Arc<UserRecord>, Problem> {
        let (vault, id, name) = (&self.state.vault, &self.organization.id, self.provider.name());
        let command = UserCommand::LinkIdentity { provider: self.provider.settings().name.clone() };
        let context = self.client.context(authentication());
        let outcome = self.organization.users.execute_with_retry(user_id, command, context, TRIES).await;
        self.organization.settle(&outcome.map_err(refusal)?).await?;
        let subject = &self.person.subject;
        if !vault.link_identity(id, name, subject, user_id, self.state.now()).await.map_err(vault_problem)? {
            let linked = vault.identity(id, name, subject).await.map_err(vault_problem)?;
            if linked.as_deref() != Some(user_id) {
                return Err(self.refuse("oidc.other_identity", Some(user_id)));
            }
        }
        self.active(user_id)
    }

    fn full_name(&self, email: &str) -> String {
        let said = self.person.full_name.as_deref().unwrap_or_default();
        let said: String = said.chars().filter(|character| !character.is_control()).take(MAX_NAME).collect();
        let local = email.split('@').next().unwrap_or(email);
        match Line::parse("/full_name", said.trim()) {
            Ok(name) => name.as_str().to_owned(),
            Err(_) => local.to_owned(),
        }
    }

    fn refuse(&self, code: &'static str, user_id: Option<&str>) -> Problem {
        self.state.recorder.login_failed(&self.organization.id, code, user_id);
        kept_out(code)
    }
}
