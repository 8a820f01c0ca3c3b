//! What somebody says of himself, and moving an account to another address.
//!
//! Another address counts once it is confirmed by the letter that goes there. Whether it has an account already is not
//! said before that.

use actix_web::{HttpResponse, web};
use daybook_domain::patch::Patch;
use daybook_domain::personal::Personal;
use daybook_domain::text::{Line, Paragraph};
use daybook_domain::user::{ProfileChanged, UserCommand};
use daybook_http_kit::{Body, CommandRequest, NoQuery, Problem, if_match};
use daybook_identity::directory::UserStatus;
use daybook_identity::mail::is_address;
use daybook_identity::secret::Secret;
use daybook_identity::vault::Purpose;
use daybook_ledger::commands::CommandContext;
use daybook_ledger::{Actor, LedgerId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::account::{Account, Claimant};
use super::client::Client;
use super::proof::{self, Proof};
use super::register::token_invalid;
use super::throttle::may_send_letter;
use crate::letters::{self, mail_problem};
use crate::problems::{Faults, refusal};
use crate::state::{IdentityState, OrganizationIdentity, TRIES, vault_problem};
use crate::view::{SecondFactorView, field, open, open_text, role_of, seal};
use daybook_http_kit::answer::{ReceiptView, Recorded};
use daybook_ledger::keys::time::rfc3339;

/// How long somebody may take to confirm an address.
const LIFETIME: i64 = 24 * 3_600 * 1_000_000;
/// Most bytes of a picture's address.
const MAX_URL_BYTES: usize = 2_000;

/// What an account says of its owner.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProfileView {
    /// Opaque id.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    pub id: String,
    /// E-mail address.
    pub email: Option<String>,
    /// Name.
    pub full_name: Option<String>,
    /// What they say of themselves.
    pub about: Option<String>,
    /// A picture's address.
    pub picture_url: Option<String>,
    /// The strongest role that holds everywhere; `none` where there is none.
    pub role: String,
    /// Second factors in use.
    pub second_factors: Vec<SecondFactorView>,
    /// Whether there is a second factor.
    pub mfa_enabled: bool,
    /// How many recovery codes are left.
    pub recovery_codes_left: u64,
    /// True where an address waits for its confirmation: a letter has gone there.
    pub email_pending: bool,
    /// When the account was first heard of.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// Version of the account, for `If-Match`.
    pub version: u64,
    /// Proof of the change; null where nothing was changed.
    pub receipt: Option<ReceiptView>,
}

/// What is to be another. What is left out stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileBody {
    /// Name.
    pub full_name: Option<String>,
    /// Another e-mail address. It counts once the letter that goes there was answered; takes the password, too.
    pub email: Option<String>,
    /// What they say of themselves, at most 10,000 characters; null for nothing.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub about: Patch<String>,
    /// A picture's address, `https://…`; null for none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub picture_url: Patch<String>,
    /// The password, for another address.
    #[schema(value_type = Option<String>, format = Password)]
    pub password: Option<Secret>,
}

/// The token of the letter that went to an address.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailConfirmBody {
    /// What stands behind `#token=` in the letter's link.
    #[schema(value_type = String)]
    pub token: Secret,
}

/// An account that has another address.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EmailConfirmAnswer {
    /// What happened, in words.
    pub detail: &'static str,
    /// The address from now on.
    pub email: String,
    /// Version, time and proof of the entry.
    #[serde(flatten)]
    pub recorded: Recorded,
}

/// Read one's own profile
#[utoipa::path(get, path = "/v1/auth/profile", tag = "auth", operation_id = "get_own_profile",
    responses((status = 200, description = "The profile.", body = ProfileView)))]
pub(crate) async fn get(
    account: Account,
    _: NoQuery,
    state: web::Data<IdentityState>,
) -> Result<HttpResponse, Problem> {
    let view = view(&state, &account.organization, account.id(), false, None).await?;
    Ok(HttpResponse::Ok().insert_header(if_match::entity_tag(view.version)).json(view))
}

/// Change one's own profile
///
/// Values are sealed before they are recorded. Another e-mail address takes the password and counts once it is confirmed:
/// until then `email` is the old one and `email_pending` is true.
#[utoipa::path(put, path = "/v1/auth/profile", tag = "auth", operation_id = "change_own_profile",
    request_body = ProfileBody, responses((status = 200, description = "The profile.", body = ProfileView)))]
pub(crate) async fn put(
    caller: Claimant,
    client: Client,
    request: CommandRequest,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<ProfileBody>,
) -> Result<HttpResponse, Problem> {
    let account = caller.account()?;
    // The digest of a body with names in it would outlive their erasure: a repeat is not told by its key here.
    let context = CommandContext { expected_version: request.expected_version(), ..account.context(&client) };
    let view = change(&state, &client, &account, body.value, context).await?;
    Ok(HttpResponse::Ok().insert_header(if_match::entity_tag(view.version)).json(view))
}

/// Confirm an e-mail address
///
/// The token is good once and for 24 hours.
#[utoipa::path(post, path = "/v1/auth/email/confirm", tag = "auth", operation_id = "confirm_email",
    request_body = EmailConfirmBody, responses((status = 200, description = "Changed.", body = EmailConfirmAnswer)),
    security(()))]
pub(crate) async fn confirm_email(
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<EmailConfirmBody>,
) -> Result<HttpResponse, Problem> {
    let refused = |id: Option<&LedgerId>| {
        client.record_refusal(&state, id, "auth.token_invalid");
        token_invalid()
    };
    let (token, purpose) = (body.value.token.expose(), Purpose::EmailChange);
    // Where the organisation is not open here, the link is as good as before.
    let peeked = state.vault.peek_one_time(None, purpose, token, state.now()).await.map_err(vault_problem)?;
    peeked.map_or(Ok(None), |peeked| state.open_organization(&peeked.ledger))?;
    let taken = state.vault.take_one_time(None, purpose, token, state.now()).await.map_err(vault_problem)?;
    let Some(taken) = taken else { return Err(refused(None)) };
    let id = &taken.ledger;
    let email = taken.payload.get("email").and_then(|email| email.as_str());
    let (Some(organization), Some(user_id), Some(email)) =
        (state.organizations.get(id), taken.user_id.as_deref(), email)
    else {
        return Err(refused(Some(id)));
    };
    let directory = organization.directory.now();
    let user = directory.users.get(user_id).filter(|user| user.status == UserStatus::Active);
    let Some(user) = user else { return Err(refused(Some(id))) };
    let old = open_text(&organization, user.email.as_ref(), field::EMAIL).await?;
    let account = state.vault.account(id, user_id).await.map_err(vault_problem)?;
    let Some(account) = account else { return Err(refused(Some(id))) };
    let digest = state.vault.email_digest(id, email);
    if !state.vault.change_email(id, user_id, &digest).await.map_err(vault_problem)? {
        return Err(Problem::conflict("auth.email_taken", "the address has an account or an invitation"));
    }
    let change = ProfileChanged {
        email: Some(seal(&organization, user_id, field::EMAIL, email).await?),
        ..ProfileChanged::default()
    };
    let command = UserCommand::ChangeProfile(Box::new(change));
    let context = client.context(Actor::human(user_id));
    let outcome = match organization.users.execute_with_retry(user_id, command, context, TRIES).await {
        Ok(outcome) => outcome,
        Err(error) => {
            // Without the fact the account stays where it was.
            let back = state.vault.change_email(id, user_id, &account.email_digest).await;
            if !matches!(back, Ok(true)) {
                tracing::error!(user_id, "an account could not be moved back to its address");
            }
            return Err(refusal(error));
        }
    };
    // Links to a new password went to the address that is no longer the account's.
    state.vault.revoke_one_time(id, user_id, Purpose::PasswordReset).await.map_err(vault_problem)?;
    organization.settle(&outcome).await?;
    if let Some(old) = old
        && let Err(error) = state.mailer.send(letters::address_changed(user_id, &old)).await
    {
        tracing::warn!(user_id, %error, "a letter about a changed address could not be taken");
    }
    let email = email.to_owned();
    Ok(HttpResponse::Ok().json(EmailConfirmAnswer {
        detail: "Address changed",
        email,
        recorded: Recorded::of(&outcome),
    }))
}

/// Everything that a change of the profile comes to.
pub(super) async fn change(
    state: &IdentityState,
    client: &Client,
    account: &Account,
    body: ProfileBody,
    context: CommandContext,
) -> Result<ProfileView, Problem> {
    let (organization, user_id) = (&account.organization, account.id());
    let ProfileBody { full_name, email, about, picture_url, password } = body;
    let mut faults = Faults::default();
    let full_name = full_name.and_then(|name| faults.check(Line::parse("/full_name", name.trim())));
    let about = about.try_map(|text| Paragraph::parse("/about", text));
    let about = faults.check(about).unwrap_or_default();
    if let Patch::Set(url) = &picture_url
        && !is_picture_url(url)
    {
        faults.add(
            "/picture_url",
            format!("must begin with https:// and have at most {MAX_URL_BYTES} visible characters"),
        );
    }
    let email = email.map(|email| email.trim().to_owned());
    if email.as_deref().is_some_and(|email| !is_address(email)) {
        faults.add("/email", "is not an e-mail address");
    }
    faults.none()?;
    let current = open_text(organization, account.user.email.as_ref(), field::EMAIL).await?;
    let other = email.filter(|email| current.as_deref() != Some(email.as_str()));
    if other.is_some() {
        if !state.mailer.is_configured() {
            return Err(letters::not_configured());
        }
        proof::check(state, client, account, Proof { password, code: None }).await?;
    }
    let change = ProfileChanged {
        full_name: sealed(organization, user_id, field::FULL_NAME, full_name.as_ref().map(Line::as_str)).await?,
        email: None,
        about: sealed_patch(organization, user_id, field::ABOUT, about.try_map(|text| Ok::<_, Problem>(text.into()))?)
            .await?,
        picture_url: sealed_patch(organization, user_id, field::PICTURE_URL, picture_url).await?,
    };
    let mut receipt = None;
    if !change.fields().is_empty() {
        let command = UserCommand::ChangeProfile(Box::new(change));
        let outcome = organization.users.execute_with_retry(user_id, command, context, TRIES).await.map_err(refusal)?;
        organization.settle(&outcome).await?;
        receipt = Some(ReceiptView::from(&outcome.receipt));
    }
    if let Some(other) = &other {
        send_confirmation(state, organization, user_id, other).await?;
    }
    view(state, organization, user_id, other.is_some(), receipt).await
}

/// A letter to the address that is to be the account's, unless it has an account already.
async fn send_confirmation(
    state: &IdentityState,
    organization: &OrganizationIdentity,
    user_id: &str,
    email: &str,
) -> Result<(), Problem> {
    let (vault, id) = (&state.vault, &organization.id);
    if !may_send_letter(state, id, user_id).await? {
        return Err(Problem::new(429, "auth.throttled", "too many letters; try again later").with_retry_after(900));
    }
    let digest = vault.email_digest(id, email);
    let holder = vault.account_by_email(id, &digest).await.map_err(vault_problem)?;
    if holder.is_some_and(|holder| holder.user_id != user_id) {
        return Ok(());
    }
    vault.revoke_one_time(id, user_id, Purpose::EmailChange).await.map_err(vault_problem)?;
    let payload = json!({ "email": email });
    let token = vault.issue_one_time(id, Purpose::EmailChange, Some(user_id), &payload, LIFETIME, state.now()).await;
    let link = state.settings.link("confirm-email", &token.map_err(vault_problem)?);
    state.mailer.send(letters::confirm_address(user_id, email, &link)).await.map_err(mail_problem)
}

async fn sealed(
    organization: &OrganizationIdentity,
    user_id: &str,
    field: &str,
    text: Option<&str>,
) -> Result<Option<Personal>, Problem> {
    match text {
        Some(text) => seal(organization, user_id, field, text).await.map(Some),
        None => Ok(None),
    }
}

async fn sealed_patch(
    organization: &OrganizationIdentity,
    user_id: &str,
    field: &str,
    patch: Patch<String>,
) -> Result<Patch<Personal>, Problem> {
    Ok(match patch {
        Patch::Keep => Patch::Keep,
        Patch::Clear => Patch::Clear,
        Patch::Set(text) => Patch::Set(seal(organization, user_id, field, &text).await?),
    })
}

fn is_picture_url(text: &str) -> bool {
    text.len() <= MAX_URL_BYTES
        && text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\'))
}

/// The profile as the directory has it now.
pub(super) async fn view(
    state: &IdentityState,
    organization: &OrganizationIdentity,
    user_id: &str,
    email_pending: bool,
    receipt: Option<ReceiptView>,
) -> Result<ProfileView, Problem> {
    let directory = organization.directory.now();
    let user =
        directory.users.get(user_id).ok_or_else(|| Problem::not_found("user.not_found", "there is no such user"))?;
    let mut second_factors = Vec::with_capacity(user.second_factors.len());
    for factor in &user.second_factors {
        second_factors.push(SecondFactorView::of(organization, factor).await?);
    }
    Ok(ProfileView {
        id: user.user_id.clone(),
        email: open(organization, user.email.as_ref(), field::EMAIL).await?,
        full_name: open(organization, user.full_name.as_ref(), field::FULL_NAME).await?,
        about: open(organization, user.about.as_ref(), field::ABOUT).await?,
        picture_url: open(organization, user.picture_url.as_ref(), field::PICTURE_URL).await?,
        role: role_of(&directory, user_id, state.now()),
        mfa_enabled: !second_factors.is_empty(),
        second_factors,
        recovery_codes_left: state.vault.recovery_codes_left(&organization.id, user_id).await.map_err(vault_problem)?,
        email_pending,
        created_at: rfc3339(user.place.created_at),
        updated_at: rfc3339(user.place.changed_at),
        version: user.place.version,
        receipt,
    })
}
