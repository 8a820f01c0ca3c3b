//! Asking people to join.
//!
//! The vault keeps the address (as a digest), the ledger has the fact, then a one-time link goes out. Inviting again
//! replaces the terms and withdraws the former link. Where no mail is configured the link is in the answer; the operator
//! gets it in any case.

use actix_web::{HttpResponse, web};
use daybook_domain::Timestamp;
use daybook_domain::user::{Invite, Invited, User, UserCommand, UserError};
use daybook_http_kit::openapi::{CommandHeaders, CreateProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::UserCreate;
use daybook_http_kit::{Allowed, Body, CommandRequest, NoQuery, Principal, Problem};
use daybook_identity::directory::UserStatus;
use daybook_identity::mail::is_address;
use daybook_identity::secret::Secret;
use daybook_identity::vault::{Purpose, Reserved};
use daybook_ledger::commands::{CommandContext, CommandError};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::COLLECTION;
use super::body::InviteBody;
use super::carried::{self, Answer, done, recorded, short_id};
use super::rules::{is_owner_account, open_department};
use super::view::PersonView;
use crate::auth::take_over;
use crate::letters;
use crate::problems::{refusal, refused};
use crate::rbac::guard::{may_give_role, require_owner};
use crate::state::{IdentityState, OrganizationIdentity, vault_problem};
use crate::view::{field, seal};
use daybook_ledger::keys::time::rfc3339;

/// How long an invitation may be taken up, in microseconds: three days.
const INVITATION_MICROS: i64 = 72 * 60 * 60 * 1_000_000;
/// Hexadecimal digits of a person's id.
const ID_DIGITS: usize = 24;

/// Somebody who was asked to join.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct InvitedView {
    /// The person.
    #[serde(flatten)]
    pub person: PersonView,
    /// Until when the invitation may be taken up.
    pub invitation_expires_at: String,
    /// The one-time link: only where no mail is configured, or for the operator. It is not shown again.
    pub invitation_url: Option<String>,
    /// Whether a letter with the link goes out.
    pub letter_sent: bool,
}

/// Invite somebody
///
/// The link works once, for 72 hours. Inviting an address again that has not registered replaces the terms and withdraws the
/// former link. Nobody invites into a role that permits more than he may himself: 403 `rbac.exceeds_own`.
#[utoipa::path(
    post, path = "/v1/users/invite", tag = "people", operation_id = "invite_user",
    params(CommandHeaders), request_body = InviteBody,
    responses(
        (status = 201, description = "Invited.", body = Answer<InvitedView>),
        (status = 200, description = "Invited again.", body = Answer<InvitedView>),
        CreateProblems,
    )
)]
pub(crate) async fn invite(
    caller: Allowed<UserCreate>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    body: Body<InviteBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let email = body.value.email.trim().to_owned();
    if !is_address(&email) {
        return Err(Problem::invalid("/email", "is not an e-mail address"));
    }
    let terms = body.value.terms()?;
    let department = terms.department_id.as_ref().map(|id| id.as_str().to_owned());
    let state = identity.directory.now();
    open_department(&state, department.as_deref())?;
    may_give_role(&caller, &state, terms.role.as_str(), department.as_deref(), "/role")?;
    let Reservation { user_id, is_new } = reserve(&installation, &identity, &caller, &email, &context).await?;
    let at = installation.timestamp()?;
    let expires_at = later(at, INVITATION_MICROS)?;
    let invitation = Invited {
        email: seal(&identity, &user_id, field::EMAIL, &email).await?,
        role: terms.role,
        department_id: terms.department_id,
        expires_at,
        role_expires_at: terms.expires_at,
    };
    let command = UserCommand::Invite(Box::new(Invite { invitation, at }));
    let outcome = match recorded(&identity.users, &user_id, command, context).await {
        Ok(outcome) => outcome,
        Err(error) => {
            // Nobody was invited: the address is as free as it was.
            if is_new && matches!(error, CommandError::Refused(_)) {
                let released = installation.vault.release_reservation(&identity.id, &user_id).await;
                if let Err(error) = released {
                    tracing::error!(%error, "a reserved address stays reserved for a while");
                }
            }
            return Err(refusal(error));
        }
    };
    identity.settle::<User>(&outcome).await?;
    // A repeat finds the first link on its way: another one would make that one useless.
    let link = if outcome.replayed { None } else { Some(link(&installation, &identity, &user_id).await?) };
    let letter_sent = match &link {
        Some(link) => send(&installation, &identity, &user_id, &email, link, expires_at).await?,
        None => installation.mailer.is_configured(),
    };
    let is_shown = caller.is_operator() || !installation.mailer.is_configured();
    let view = InvitedView {
        person: PersonView::found(&identity, &user_id, &caller, installation.now()).await?,
        invitation_expires_at: rfc3339(expires_at.micros()),
        invitation_url: link.filter(|_| is_shown).map(|link| link.expose().to_owned()),
        letter_sent,
    };
    Ok(carried::respond(&done(outcome), COLLECTION, view))
}

/// An address that is kept for somebody.
struct Reservation {
    user_id: String,
    /// Nobody had it before.
    is_new: bool,
}

/// The id of the person with this address: a new one, or that of whoever was invited before and has not come.
async fn reserve(
    installation: &IdentityState,
    identity: &OrganizationIdentity,
    caller: &Principal,
    email: &str,
    context: &CommandContext,
) -> Result<Reservation, Problem> {
    let (vault, now) = (&installation.vault, installation.now());
    let digest = vault.email_digest(&identity.id, email);
    let fresh = short_id("usr", ID_DIGITS, &identity.id, context);
    let pending = match vault.reserve_account(&identity.id, &fresh, &digest, now).await.map_err(vault_problem)? {
        Reserved::New => return Ok(Reservation { user_id: fresh, is_new: true }),
        Reserved::Taken => return Err(refused(&UserError::AlreadyRegistered)),
        Reserved::Pending(pending) => pending,
    };
    let state = identity.directory.now();
    match state.users.get(pending.as_str()) {
        Some(user) if user.status == UserStatus::Invited => {
            if is_owner_account(user) {
                require_owner(caller)?;
            }
        }
        Some(_) => return Err(refused(&UserError::AlreadyRegistered)),
        None => {
            // Somebody may be registering with the address at this moment, or broke it off a while ago.
            if pending != fresh {
                if !take_over(installation, identity, &pending, &fresh).await? {
                    let detail = "somebody is registering with this address; try again in a minute";
                    return Err(Problem::conflict("user.registration_under_way", detail).with_retry_after(60));
                }
                return Ok(Reservation { user_id: fresh, is_new: true });
            }
        }
    }
    Ok(Reservation { user_id: pending, is_new: false })
}

/// A fresh link; those before it are good for nothing from now on.
async fn link(installation: &IdentityState, identity: &OrganizationIdentity, user_id: &str) -> Result<Secret, Problem> {
    let (vault, now) = (&installation.vault, installation.now());
    vault.revoke_one_time(&identity.id, user_id, Purpose::Invitation).await.map_err(vault_problem)?;
    let token = vault
        .issue_one_time(&identity.id, Purpose::Invitation, Some(user_id), &json!({}), INVITATION_MICROS, now)
        .await
        .map_err(vault_problem)?;
    Ok(Secret::new(installation.settings.link("register", &token)))
}

/// Sends the letter, if letters are sent at all; says whether one goes out.
async fn send(
    installation: &IdentityState,
    identity: &OrganizationIdentity,
    user_id: &str,
    email: &str,
    link: &Secret,
    expires_at: Timestamp,
) -> Result<bool, Problem> {
    if !installation.mailer.is_configured() {
        return Ok(false);
    }
    let state = identity.directory.now();
    let name = Some(state.organization.name.as_str()).filter(|name| !name.is_empty());
    let letter = letters::invitation(
        user_id,
        email,
        name.unwrap_or(identity.id.as_str()),
        link.expose(),
        &rfc3339(expires_at.micros()),
    );
    installation.mailer.send(letter).await.map_err(letters::mail_problem)?;
    Ok(true)
}

fn later(at: Timestamp, micros: i64) -> Result<Timestamp, Problem> {
    Timestamp::from_micros(at.micros().saturating_add(micros))
        .ok_or_else(|| Problem::unavailable("clock.unusable", "the server does not know the time", 60))
}
