//! The caller as a person with an account, for what everybody does with his own.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use daybook_http_kit::{Principal, Problem, Scoped};
use daybook_identity::directory::{UserRecord, UserStatus};
use daybook_ledger::commands::CommandContext;

use super::client::Client;
use crate::state::OrganizationIdentity;

/// A caller who has an account in the organisation. 401 to the unknown; 403 `auth.account_required` to callers that are no
/// people of it: the operator, API keys, addresses of development headers that never registered.
pub(crate) struct Account {
    /// The caller.
    pub(crate) principal: Principal,
    /// Where the account is.
    pub(crate) organization: Arc<OrganizationIdentity>,
    /// The account.
    pub(crate) user: Arc<UserRecord>,
}

impl Account {
    /// The person's id.
    pub(crate) fn id(&self) -> &str {
        &self.user.user_id
    }

    /// The context of a command of this caller.
    pub(crate) fn context(&self, client: &Client) -> CommandContext {
        client.context(self.principal.actor.clone())
    }

    /// The session of the caller; 400 where the request came without one.
    pub(crate) fn session_id(&self) -> Result<&str, Problem> {
        self.principal.session_id.as_deref().ok_or_else(no_session)
    }
}

/// 400: the caller did not log in.
pub(crate) fn no_session() -> Problem {
    Problem::bad_request("auth.no_session", "these credentials belong to no session")
}

/// The caller of a command with a body: 401 to the unknown before the body is looked at, and what is wrong with the body
/// before whether the caller has an account.
pub(crate) struct Claimant(Result<Account, Problem>);

impl Claimant {
    /// The account, refused as [`Account`] is.
    pub(crate) fn account(self) -> Result<Account, Problem> {
        self.0
    }
}

impl FromRequest for Claimant {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let account = Account::from_request(request, payload).into_inner();
        ready(Principal::of(request).map(|_| Self(account)))
    }
}

impl FromRequest for Account {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let scoped = Scoped::<OrganizationIdentity>::from_request(request, payload).into_inner();
        ready(Principal::of(request).and_then(|principal| {
            let organization = scoped?.into_inner();
            let directory = organization.directory.now();
            let user = principal.user_id().and_then(|user_id| directory.users.get(user_id)).cloned();
            let user = user.filter(|user| user.status == UserStatus::Active).ok_or_else(|| {
                Problem::new(403, "auth.account_required", "this is for people with an account in this organisation")
            })?;
            Ok(Self { principal, organization, user })
        }))
    }
}
