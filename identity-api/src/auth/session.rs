//! Sessions: beginning one for somebody who has shown who he is, and ending some.

use std::sync::Arc;

use std::collections::BTreeSet;

use daybook_domain::names::UserId;
use daybook_domain::session::{SessionCommand, SessionEndReason, SessionError, SessionMethod, Started};
use daybook_http_kit::Problem;
use daybook_identity::directory::UserStatus;
use daybook_identity::secret::Secret;
use daybook_identity::vault::{AccountRow, NewSession};
use daybook_ledger::commands::{CommandContext, CommandError};
use daybook_ledger::{Actor, Receipt};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::client::Client;
use crate::problems::{invalid, refusal};
use crate::state::{IdentityState, OrganizationIdentity, TRIES, token_problem, vault_problem};
use crate::view::{field, open, role_of, seal};
use daybook_http_kit::answer::ReceiptView;

/// Who acts where nobody has shown who he is yet.
pub(crate) fn authentication() -> Actor {
    Actor::system("authentication")
}

/// Who came in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LoginUser {
    /// Opaque id.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    pub id: String,
    /// E-mail address.
    pub email: Option<String>,
    /// Name.
    pub full_name: Option<String>,
    /// The strongest role that holds everywhere; `none` where there is none.
    #[schema(example = "analyst")]
    pub role: String,
}

/// What somebody gets who came in. The tokens are nowhere else.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TokenAnswer {
    /// JWT for `Authorization: Bearer`.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    pub access_token: Secret,
    /// Always `bearer`.
    #[schema(example = "bearer")]
    pub token_type: &'static str,
    /// Seconds until the access token is refused.
    #[schema(example = 900)]
    pub expires_in: u64,
    /// Good once, for `POST /auth/refresh`.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    pub refresh_token: Secret,
    /// The session.
    pub session_id: String,
    /// The organisation.
    #[schema(example = "main")]
    pub organization_id: String,
    /// Who came in.
    pub user: LoginUser,
    /// Proof that `session.started` is in the ledger; null where a session goes on.
    pub receipt: Option<ReceiptView>,
}

/// The one way for a secret into an answer.
pub(crate) fn exposed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// What an account was like when its holder showed who he is. A session begins only if it still is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// When the password was chosen, in microseconds since the epoch.
    password_changed_at: Option<i64>,
}

impl Seen {
    /// Of the account as it was read.
    pub(crate) fn of(account: &AccountRow) -> Self {
        Self { password_changed_at: account.password_changed_at }
    }
}

/// Begins a session: its row, then its fact, then its tokens. Without the fact there is no session. 401 where the password
/// was changed since the account was `seen`, the person may no longer come in, or the session was ended already.
pub(crate) async fn begin(
    state: &IdentityState,
    organization: &Arc<OrganizationIdentity>,
    client: &Client,
    user_id: &str,
    methods: Vec<SessionMethod>,
    seen: Seen,
) -> Result<TokenAnswer, Problem> {
    let now = state.now();
    let session_id = format!("ses_{}", uuid::Uuid::now_v7().simple());
    let sealed = seal(organization, user_id, field::CLIENT, &client.text()).await?;
    let lifetime = i64::try_from(state.session_lifetime(&organization.directory.now()).as_micros()).unwrap_or(i64::MAX);
    let session = NewSession {
        ledger: organization.id.clone(),
        user_id: user_id.to_owned(),
        session_id: session_id.clone(),
        expires_at: now.saturating_add(lifetime),
        client: Some(sealed.clone()),
    };
    let refresh_token = state.vault.start_session(&session, now).await.map_err(vault_problem)?;
    let started =
        Started { user_id: UserId::parse("/user_id", user_id).map_err(invalid)?, methods, client: Some(sealed) };
    let command = SessionCommand::Start(Box::new(started));
    let context = client.context(Actor::human(user_id));
    let outcome = match organization.sessions.execute(&session_id, command, context).await {
        Ok(outcome) => outcome,
        Err(error) => {
            // Nobody has its token: it is only tidied away.
            let _ = state.vault.end_session(&organization.id, &session_id, now).await;
            return Err(refusal(error));
        }
    };
    organization.settle(&outcome).await?;
    // Whoever changes a password or keeps somebody out ends the sessions that he finds. This one was not there yet, or it is
    // found: looking once more now that it is there leaves no moment in between.
    if !may_go_on(state, organization, user_id, &session_id, seen).await? {
        let (reason, context) = (SessionEndReason::Revoked, client.context(authentication()));
        if let Some(receipt) = end(state, organization, &session_id, reason, context).await? {
            organization.settle_at(receipt.position).await?;
        }
        client.record_refusal(state, Some(&organization.id), "auth.account_changed");
        return Err(Problem::unauthorized("auth.account_changed", "the account was changed meanwhile; log in again"));
    }
    let receipt = Some(ReceiptView::from(&outcome.receipt));
    answer(state, organization, user_id, &session_id, refresh_token, receipt).await
}

/// Whether a session that has just begun may go on: the directory knows all that was recorded before it.
async fn may_go_on(
    state: &IdentityState,
    organization: &OrganizationIdentity,
    user_id: &str,
    session_id: &str,
    seen: Seen,
) -> Result<bool, Problem> {
    let (vault, id) = (&state.vault, &organization.id);
    let account = vault.account(id, user_id).await.map_err(vault_problem)?;
    let row = vault.session(id, session_id).await.map_err(vault_problem)?;
    let directory = organization.directory.now();
    let is_active = directory.users.get(user_id).is_some_and(|user| user.status == UserStatus::Active);
    let is_same = account.as_ref().map(Seen::of) == Some(seen);
    Ok(is_active && is_same && row.is_some_and(|row| row.is_live(state.now())))
}

/// The answer with fresh tokens of a session.
pub(crate) async fn answer(
    state: &IdentityState,
    organization: &OrganizationIdentity,
    user_id: &str,
    session_id: &str,
    refresh_token: Secret,
    receipt: Option<ReceiptView>,
) -> Result<TokenAnswer, Problem> {
    let now = state.now();
    let access = state.tokens.issue(user_id, &organization.id, session_id, now).await.map_err(token_problem)?;
    Ok(TokenAnswer {
        access_token: Secret::new(access.token),
        token_type: "bearer",
        expires_in: access.expires_in,
        refresh_token,
        session_id: session_id.to_owned(),
        organization_id: organization.id.to_string(),
        user: login_user(organization, user_id, now).await?,
        receipt,
    })
}

/// Who somebody is, for himself.
pub(crate) async fn login_user(
    organization: &OrganizationIdentity,
    user_id: &str,
    now: i64,
) -> Result<LoginUser, Problem> {
    let directory = organization.directory.now();
    let user = directory.users.get(user_id);
    let email = user.and_then(|user| user.email.as_ref());
    let full_name = user.and_then(|user| user.full_name.as_ref());
    Ok(LoginUser {
        id: user_id.to_owned(),
        email: open(organization, email, field::EMAIL).await?,
        full_name: open(organization, full_name, field::FULL_NAME).await?,
        role: role_of(&directory, user_id, now),
    })
}

/// Ends a session: no access token of it is good once the directory knows, and no refresh from now on. Answers the receipt,
/// or `None` where the ledger had its end already.
///
/// The fact comes first: if it is all that comes to be, the tokens are refused all the same, and a repeat ends the rest.
pub(crate) async fn end(
    state: &IdentityState,
    organization: &OrganizationIdentity,
    session_id: &str,
    reason: SessionEndReason,
    context: CommandContext,
) -> Result<Option<Receipt>, Problem> {
    let receipt = record_end(organization, session_id, reason, context).await?;
    state.vault.end_session(&organization.id, session_id, state.now()).await.map_err(vault_problem)?;
    Ok(receipt)
}

/// Ends every session of a person but `except`; answers how many went on until now. Facts first, as above.
pub(crate) async fn end_all(
    state: &IdentityState,
    organization: &OrganizationIdentity,
    user_id: &str,
    except: Option<&str>,
    reason: SessionEndReason,
    context: &CommandContext,
) -> Result<usize, Problem> {
    let (vault, id, now) = (&state.vault, &organization.id, state.now());
    let listed = vault.sessions_of(id, user_id, now).await.map_err(vault_problem)?;
    let listed: BTreeSet<String> = listed.into_iter().map(|row| row.session_id).collect();
    let mut newest = None;
    for session_id in listed.iter().filter(|session_id| except != Some(session_id.as_str())) {
        let context = CommandContext { command: None, expected_version: None, ..context.clone() };
        newest = record_end(organization, session_id, reason, context).await?.map(|end| end.position).or(newest);
    }
    let ended = vault.end_sessions_of(id, user_id, except, now).await.map_err(vault_problem)?;
    // More than a list holds, or begun since.
    for session_id in ended.iter().filter(|session_id| !listed.contains(session_id.as_str())) {
        let context = CommandContext { command: None, expected_version: None, ..context.clone() };
        newest = record_end(organization, session_id, reason, context).await?.map(|end| end.position).or(newest);
    }
    if let Some(position) = newest {
        organization.settle_at(position).await?;
    }
    Ok(ended.len())
}

async fn record_end(
    organization: &OrganizationIdentity,
    session_id: &str,
    reason: SessionEndReason,
    context: CommandContext,
) -> Result<Option<Receipt>, Problem> {
    let command = SessionCommand::End { reason };
    match organization.sessions.execute_with_retry(session_id, command, context, TRIES).await {
        Ok(outcome) => Ok(Some(outcome.receipt)),
        // A row without a fact, or a fact that was there before.
        Err(CommandError::Refused(SessionError::NotFound | SessionError::Ended)) => Ok(None),
        Err(error) => Err(refusal(error)),
    }
}
