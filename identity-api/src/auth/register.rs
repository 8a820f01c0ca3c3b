//! Accounts come to be: by an invitation, by the one-time link of the first start, or, where that is open, by anybody as a
//! viewer.
//!
//! The order of the writes: the vault reserves the account and keeps the password, the ledger has the fact with the first
//! role, the vault marks the account as complete. Whatever breaks off in between can be repeated.

use std::sync::Arc;

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use daybook_domain::text::Line;
use daybook_domain::user::{Origin, Register, User, UserCommand, UserError};
use daybook_http_kit::{API_PREFIX, OptionalBody, Problem, Query, with_position};
use daybook_identity::directory::{UserRecord, UserStatus};
use daybook_identity::mail::is_address;
use daybook_identity::secret::Secret;
use daybook_identity::vault::{Purpose, Reserved, Taken};
use daybook_ledger::commands::{CommandError, Outcome};
use daybook_ledger::{Actor, LedgerId};
use rand::RngCore as _;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::client::Client;
use super::throttle::count_request;
use crate::problems::{Faults, invalid, refusal};
use crate::state::{IdentityState, OrganizationIdentity, TRIES, password_problem, password_refusal, vault_problem};
use crate::view::{field, open, open_text, role_of, seal};
use daybook_http_kit::answer::Recorded;
use daybook_http_kit::query::either;

/// How long an account that was only reserved belongs to whoever reserved it.
const RESERVED_FOR: i64 = 60_000_000;

/// Somebody who wants an account.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterBody {
    /// E-mail address. With an invitation it may be left out: it is the one invited.
    #[schema(example = "ann@example.com")]
    pub email: Option<String>,
    /// Password, 12 to 256 characters.
    #[schema(value_type = Option<String>, format = Password)]
    pub password: Option<Secret>,
    /// Name.
    #[schema(example = "Ann Example")]
    pub full_name: Option<String>,
    /// Taken for the sake of predecessors' clients and without effect: the answer says which role the account has.
    pub role: Option<String>,
    /// The token of an invitation or of the owner's link.
    #[schema(value_type = Option<String>)]
    pub token: Option<Secret>,
    /// The organisation, `main` if it is named neither here nor in `X-Organization-ID`. A token knows its own.
    pub organization_id: Option<String>,
}

/// The same as query parameters. Tokens are not taken from there.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RegisterParameters {
    /// E-mail address.
    pub email: Option<String>,
    /// Password. Better in the body: proxies write queries into their logs.
    #[param(value_type = Option<String>)]
    pub password: Option<Secret>,
    /// Name.
    pub full_name: Option<String>,
    /// Without effect: the answer says which role the account has.
    pub role: Option<String>,
    /// The organisation.
    pub organization_id: Option<String>,
}

/// An account that came to be.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RegisterAnswer {
    /// Opaque id.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    pub id: String,
    /// E-mail address.
    pub email: Option<String>,
    /// Name.
    pub full_name: Option<String>,
    /// The role that it really has, whatever was asked for.
    #[schema(example = "viewer")]
    pub role: String,
    /// The organisation.
    #[schema(example = "main")]
    pub organization_id: String,
    /// Version, time and proof of the account's entry.
    #[serde(flatten)]
    pub recorded: Recorded,
}

/// Register
///
/// With the token of an invitation or of the owner's link: the account has the role that goes with it. Without one only
/// where registration is open (403 `auth.registration_closed` otherwise), and the account is a viewer's. Values come as JSON
/// or, but for the token, in the query; both and different is 400.
#[utoipa::path(post, path = "/v1/auth/register", tag = "auth", operation_id = "register",
    params(RegisterParameters), request_body = Option<RegisterBody>,
    responses((status = 201, description = "Registered.", body = RegisterAnswer)), security(()))]
pub(crate) async fn register(
    client: Client,
    state: web::Data<IdentityState>,
    parameters: Query<RegisterParameters>,
    body: OptionalBody<RegisterBody>,
) -> Result<HttpResponse, Problem> {
    let wish = Wish::of(body.value, parameters.0)?;
    let answer = make(&state, &client, wish).await?;
    let mut response = HttpResponse::Created();
    response.insert_header((LOCATION, format!("{API_PREFIX}/users/{}", answer.id)));
    let position = answer.recorded.receipt.position;
    Ok(with_position(response.json(answer), Some(position)))
}

/// What somebody who registers says.
pub(super) struct Wish {
    pub(super) email: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) full_name: Option<String>,
    pub(super) token: Option<Secret>,
    pub(super) organization_id: Option<String>,
}

impl Wish {
    fn of(body: RegisterBody, query: RegisterParameters) -> Result<Self, Problem> {
        let RegisterBody { email, password, full_name, role, token, organization_id } = body;
        let password = match (password, query.password) {
            (Some(body), Some(query)) if !body.matches(query.expose()) => {
                return Err(Problem::contradiction("password"));
            }
            (body, query) => body.or(query),
        };
        let role = either("role", role, query.role)?;
        if let Some(role) = role {
            daybook_domain::names::RoleName::parse("/role", role).map_err(invalid)?;
        }
        Ok(Self {
            email: either("email", email, query.email)?,
            password,
            full_name: either("full_name", full_name, query.full_name)?,
            token,
            organization_id: either("organization_id", organization_id, query.organization_id)?,
        })
    }
}

/// Makes the account that somebody may have.
pub(super) async fn make(state: &IdentityState, client: &Client, wish: Wish) -> Result<RegisterAnswer, Problem> {
    count_request(state, client, "register.address").await?;
    match &wish.token {
        Some(token) => {
            let token = token.clone();
            with_token(state, client, wish, &token).await
        }
        None => openly(state, client, wish).await,
    }
}

/// What was checked of a wish.
struct Checked {
    email: String,
    full_name: Line,
    password: Secret,
}

/// Checks everything at once. `invited` is the address that an invitation went to.
fn check(state: &IdentityState, wish: &Wish, invited: Option<&str>) -> Result<Checked, Problem> {
    let mut faults = Faults::default();
    let email = wish.email.as_deref().map(str::trim).or(invited);
    match email {
        None => faults.add("/email", "is required"),
        Some(email) if !is_address(email) => faults.add("/email", "is not an e-mail address"),
        Some(_) => {}
    }
    let full_name = match &wish.full_name {
        None => {
            faults.add("/full_name", "is required");
            None
        }
        Some(name) => faults.check(Line::parse("/full_name", name.trim())),
    };
    if wish.password.is_none() {
        faults.add("/password", "is required");
    }
    faults.none()?;
    let (Some(email), Some(full_name), Some(password)) = (email, full_name, wish.password.clone()) else {
        return Err(faults.problem());
    };
    state.passwords.check(&password, email).map_err(|refusal| password_refusal(refusal, "/password"))?;
    Ok(Checked { email: email.to_owned(), full_name, password })
}

/// Anybody, where registration is open.
async fn openly(state: &IdentityState, client: &Client, wish: Wish) -> Result<RegisterAnswer, Problem> {
    let id = client.organization(wish.organization_id.as_deref())?;
    let organization = state.open_organization(&id)?;
    let organization = organization
        .filter(|organization| state.is_registration_open(&organization.directory.now()))
        .ok_or_else(registration_closed)?;
    let checked = check(state, &wish, None)?;
    let user_id = reserve(state, &organization, &checked.email, None).await?;
    complete(state, client, &organization, &user_id, checked, Origin::Registration).await
}

/// Whoever has a token.
async fn with_token(
    state: &IdentityState,
    client: &Client,
    wish: Wish,
    token: &Secret,
) -> Result<RegisterAnswer, Problem> {
    let now = state.now();
    let invitation = state.vault.peek_one_time(None, Purpose::Invitation, token.expose(), now).await;
    if let Some(taken) = invitation.map_err(vault_problem)? {
        return by_invitation(state, client, wish, token, taken).await;
    }
    let owner_link = state.vault.peek_one_time(None, Purpose::OwnerLink, token.expose(), now).await;
    match owner_link.map_err(vault_problem)? {
        Some(taken) => by_owner_link(state, client, wish, token, taken).await,
        None => Err(refuse_token(state, client, None)),
    }
}

async fn by_invitation(
    state: &IdentityState,
    client: &Client,
    wish: Wish,
    token: &Secret,
    taken: Taken,
) -> Result<RegisterAnswer, Problem> {
    let refused = || refuse_token(state, client, Some(&taken.ledger));
    let organization = state.open_organization(&taken.ledger)?.ok_or_else(refused)?;
    let user_id = taken.user_id.clone().ok_or_else(refused)?;
    let directory = organization.directory.now();
    let user = directory.users.get(user_id.as_str()).ok_or_else(refused)?;
    let account = state.vault.account(&organization.id, &user_id).await.map_err(vault_problem)?;
    let is_complete = account.as_ref().is_some_and(|account| account.completed_at.is_some());
    let may_register = match user.status {
        UserStatus::Invited => true,
        // The fact is there, and whoever made it was interrupted before the account was complete.
        UserStatus::Active => !is_complete,
        UserStatus::Deactivated | UserStatus::Erased => false,
    };
    let invited = open_text(&organization, user.email.as_ref(), field::EMAIL).await?;
    let Some(invited) = invited.filter(|_| may_register) else { return Err(refused()) };
    let checked = check(state, &wish, Some(&invited))?;
    let digest = |email: &str| state.vault.email_digest(&organization.id, email);
    if digest(&checked.email) != digest(&invited) {
        return Err(Problem::invalid("/email", "is not the address that was invited"));
    }
    let checked = Checked { email: invited, ..checked };
    reserve(state, &organization, &checked.email, Some(user)).await?;
    let answer = complete(state, client, &organization, &user_id, checked, Origin::Invitation).await?;
    state.vault.take_one_time(None, Purpose::Invitation, token.expose(), state.now()).await.map_err(vault_problem)?;
    state.vault.revoke_one_time(&organization.id, &user_id, Purpose::Invitation).await.map_err(vault_problem)?;
    Ok(answer)
}

async fn by_owner_link(
    state: &IdentityState,
    client: &Client,
    wish: Wish,
    token: &Secret,
    taken: Taken,
) -> Result<RegisterAnswer, Problem> {
    let refused = || refuse_token(state, client, Some(&taken.ledger));
    let organization = state.open_organization(&taken.ledger)?.ok_or_else(refused)?;
    if state.has_owner(&organization).await.map_err(vault_problem)? {
        return Err(refused());
    }
    let checked = check(state, &wish, None)?;
    let user_id = reserve(state, &organization, &checked.email, None).await?;
    // Used up before anything is made: two who have the link do not both become owners.
    let taken = state.vault.take_one_time(None, Purpose::OwnerLink, token.expose(), state.now()).await;
    taken.map_err(vault_problem)?.ok_or_else(refused)?;
    complete(state, client, &organization, &user_id, checked, Origin::OwnerLink).await
}

/// The user id that the address has, or may have from now on. `invited` is the person that an invitation is for.
pub(crate) async fn reserve(
    state: &IdentityState,
    organization: &OrganizationIdentity,
    email: &str,
    invited: Option<&UserRecord>,
) -> Result<String, Problem> {
    let (vault, id, now) = (&state.vault, &organization.id, state.now());
    let digest = vault.email_digest(id, email);
    let wished = invited.map_or_else(new_user_id, |user| user.user_id.clone());
    match vault.reserve_account(id, &wished, &digest, now).await.map_err(vault_problem)? {
        Reserved::New => Ok(wished),
        Reserved::Pending(pending) if pending == wished => Ok(wished),
        // Somebody else's address by now, whatever the invitation says.
        Reserved::Pending(_) if invited.is_some() => Err(email_taken()),
        Reserved::Pending(pending) => {
            // Who has a fact in the ledger comes with the invitation, or comes in with the password: nobody else may take
            // the account up. What was broken off before its fact may be taken up again after a while.
            if organization.users.load(&pending).await.map_err(refusal)?.is_some() {
                return Err(email_taken());
            }
            match take_over(state, organization, &pending, &wished).await? {
                true => Ok(wished),
                false => Err(under_way()),
            }
        }
        Reserved::Taken => Err(email_taken()),
    }
}

/// Gives an account that was broken off before its fact to `user_id`, without the password of whoever began it; false
/// where that is not long ago, or somebody else was faster. The one before has no account any more, however far he was.
pub(crate) async fn take_over(
    state: &IdentityState,
    organization: &OrganizationIdentity,
    pending: &str,
    user_id: &str,
) -> Result<bool, Problem> {
    let (now, id) = (state.now(), &organization.id);
    let before = now.saturating_sub(RESERVED_FOR);
    state.vault.take_over_account(id, pending, user_id, before, now).await.map_err(vault_problem)
}

/// Password, fact, mark.
async fn complete(
    state: &IdentityState,
    client: &Client,
    organization: &Arc<OrganizationIdentity>,
    user_id: &str,
    checked: Checked,
    origin: Origin,
) -> Result<RegisterAnswer, Problem> {
    let Checked { email, full_name, password } = checked;
    let (vault, id) = (&state.vault, &organization.id);
    let hash = state.passwords.hash(password).await.map_err(password_problem)?;
    if !vault.set_password(id, user_id, &hash, state.now()).await.map_err(vault_problem)? {
        // It took so long that somebody else has the account by now.
        return Err(under_way());
    }
    let command = UserCommand::Register(Box::new(Register {
        email: seal(organization, user_id, field::EMAIL, &email).await?,
        full_name: seal(organization, user_id, field::FULL_NAME, full_name.as_str()).await?,
        origin,
        at: state.timestamp()?,
    }));
    let context = client.context(Actor::system("registration"));
    let outcome = match organization.users.execute_with_retry(user_id, command, context, TRIES).await {
        // The fact was there: only the mark was missing.
        Err(CommandError::Refused(UserError::AlreadyRegistered)) => registered_before(organization, user_id).await?,
        done => done.map_err(refusal)?,
    };
    if !vault.complete_account(id, user_id, state.now()).await.map_err(vault_problem)? {
        tracing::error!(user = user_id, "somebody else took the reserved address while this registration went on");
        return Err(under_way());
    }
    let directory = organization.settle(&outcome).await?;
    let name = directory.users.get(user_id).and_then(|user| user.full_name.clone());
    Ok(RegisterAnswer {
        id: user_id.to_owned(),
        email: Some(email),
        full_name: open(organization, name.as_ref(), field::FULL_NAME).await?,
        role: role_of(&directory, user_id, state.now()),
        organization_id: id.to_string(),
        recorded: Recorded::of(&outcome),
    })
}

async fn registered_before(organization: &OrganizationIdentity, user_id: &str) -> Result<Outcome<User>, Problem> {
    let loaded = organization.users.load(user_id).await.map_err(refusal)?;
    loaded.ok_or_else(|| refusal(CommandError::Refused(UserError::NotFound)))
}

/// `usr_` and 24 random hexadecimal digits.
pub(crate) fn new_user_id() -> String {
    let mut bytes = [0_u8; 12];
    rand::rng().fill_bytes(&mut bytes);
    format!("usr_{}", hex::encode(bytes))
}

fn refuse_token(state: &IdentityState, client: &Client, organization: Option<&LedgerId>) -> Problem {
    client.record_refusal(state, organization, "auth.token_invalid");
    token_invalid()
}

/// 400: a one-time token that is unknown, used or expired.
pub(crate) fn token_invalid() -> Problem {
    Problem::bad_request("auth.token_invalid", "the token is unknown, used or expired").at("/token", "is not good")
}

fn under_way() -> Problem {
    let detail = "somebody is registering with this address; try again in a minute";
    Problem::conflict("auth.registration_under_way", detail).with_retry_after(60)
}

fn registration_closed() -> Problem {
    Problem::new(403, "auth.registration_closed", "nobody registers here without an invitation")
}

fn email_taken() -> Problem {
    Problem::bad_request("auth.email_taken", "the address has an account or an invitation").at("/email", "is taken")
}
