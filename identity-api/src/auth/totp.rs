//! A device that shows six digits as a second factor, and the recovery codes for when it is lost.
//!
//! A device counts once a code of it was right. Codes of any kind are good once.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use daybook_domain::session::SessionMethod;
use daybook_domain::text::{Line, StreamId};
use daybook_domain::user::{
    SecondFactorEnabled, SecondFactorKind, SecondFactorRemovedBy, User, UserCommand, UserError,
};
use daybook_http_kit::{Body, NoQuery, OptionalBody, Problem};
use daybook_identity::directory::UserRecord;
use daybook_identity::secret::Secret;
use daybook_ledger::Actor;
use daybook_ledger::commands::{CommandContext, CommandError, Outcome};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::account::{Account, Claimant};
use super::client::Client;
use super::login::{Challenged, Stage, peek_challenge, take_challenge};
use super::proof::{self, Proof, ProvedBy};
use super::session::{self, TokenAnswer, exposed};
use super::throttle::Attempt;
use crate::problems::{invalid, refusal};
use crate::state::{IdentityState, OrganizationIdentity, TRIES, vault_problem};
use crate::view::{field, open_text, seal};
use daybook_http_kit::answer::Recorded;

/// What applications show as the issuer.
const ISSUER: &str = "Daybook";

/// Who enrols: the session with the password once more, or a challenge of a login.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolBody {
    /// `challenge` of the answer `auth.second_factor_enrolment_required`, in place of a session.
    #[schema(value_type = Option<String>)]
    pub challenge: Option<Secret>,
    /// The password, with a session.
    #[schema(value_type = Option<String>, format = Password)]
    pub password: Option<Secret>,
}

/// What an authenticator application needs. Shown once.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EnrolAnswer {
    /// The factor's id.
    pub factor_id: String,
    /// The shared secret in base32, for typing.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    pub secret: Secret,
    /// The same as an address, for a QR code.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String, example = "otpauth://totp/Daybook:ann%40example.com?secret=…")]
    pub otpauth_uri: Secret,
}

/// A first code of the device.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmBody {
    /// Six digits that the device shows now.
    #[schema(value_type = String, example = "123456")]
    pub code: Secret,
    /// What the device is to be called.
    pub label: Option<String>,
    /// The challenge that it was enrolled with, in place of a session.
    #[schema(value_type = Option<String>)]
    pub challenge: Option<Secret>,
}

/// A device that counts. The recovery codes are shown once.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConfirmAnswer {
    /// The factor's id.
    pub factor_id: String,
    /// Codes for when the device is lost, each good once.
    #[serde(serialize_with = "all_exposed")]
    #[schema(value_type = Vec<String>)]
    pub recovery_codes: Vec<Secret>,
    /// Tokens, where the login waited for this.
    pub session: Option<TokenAnswer>,
    /// Version, time and proof of the entry.
    #[serde(flatten)]
    pub recorded: Recorded,
}

/// The password, or a code.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProofBody {
    /// The password.
    #[schema(value_type = Option<String>, format = Password)]
    pub password: Option<Secret>,
    /// Six digits of the device, or a recovery code.
    #[schema(value_type = Option<String>)]
    pub code: Option<Secret>,
}

/// A device that counts no more.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RemoveAnswer {
    /// What happened, in words.
    pub detail: &'static str,
    /// The factor's id.
    pub factor_id: String,
    /// Version, time and proof of the entry; missing where the ledger did not know of the device.
    #[serde(flatten)]
    pub recorded: Option<Recorded>,
}

/// Fresh recovery codes. Shown once.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RecoveryCodesAnswer {
    /// Each good once. All earlier ones are of no use any more.
    #[serde(serialize_with = "all_exposed")]
    #[schema(value_type = Vec<String>)]
    pub recovery_codes: Vec<Secret>,
}

pub(crate) fn all_exposed<S: Serializer>(secrets: &[Secret], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(secrets.iter().map(Secret::expose))
}

/// Begin to enrol a device
///
/// Takes a session and the password once more, or the challenge of a login that waits for a second factor. Answers the
/// secret; the device counts once `POST /auth/totp/confirm` has seen a code of it.
#[utoipa::path(post, path = "/v1/auth/totp/enrol", tag = "auth", operation_id = "enrol_totp",
    request_body = Option<EnrolBody>, responses((status = 200, description = "The secret.", body = EnrolAnswer)),
    security((), ("access_token" = [])))]
pub(crate) async fn enrol(
    account: Result<Account, Problem>,
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: OptionalBody<EnrolBody>,
) -> Result<HttpResponse, Problem> {
    let EnrolBody { challenge, password } = body.value;
    let (organization, user) = match &challenge {
        Some(challenge) => {
            let Challenged { organization, user, .. } =
                peek_challenge(&state, &client, challenge, Stage::Enrolment).await?;
            (organization, user)
        }
        None => {
            let account = account?;
            proof::check(&state, &client, &account, Proof { password, code: None }).await?;
            (account.organization, account.user)
        }
    };
    let (id, user_id) = (&organization.id, user.user_id.as_str());
    if state.vault.totp(id, user_id).await.map_err(vault_problem)?.is_some() {
        return Err(Problem::conflict("auth.totp_enabled", "there is a device already; remove it first"));
    }
    let email = open_text(&organization, user.email.as_ref(), field::EMAIL).await?;
    let name = email.unwrap_or_else(|| user_id.to_owned());
    let enrolment = state.vault.start_totp(id, user_id, ISSUER, &name, state.now()).await.map_err(vault_problem)?;
    Ok(HttpResponse::Ok().json(EnrolAnswer {
        factor_id: enrolment.factor_id,
        secret: enrolment.secret,
        otpauth_uri: enrolment.provisioning_uri,
    }))
}

/// Finish enrolling a device
///
/// With a session, or with the challenge that the device was enrolled with: then the login goes on and its tokens are in
/// `session`.
#[utoipa::path(post, path = "/v1/auth/totp/confirm", tag = "auth", operation_id = "confirm_totp",
    request_body = ConfirmBody, responses((status = 200, description = "The device counts.", body = ConfirmAnswer)),
    security((), ("access_token" = [])))]
pub(crate) async fn confirm(
    account: Result<Account, Problem>,
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<ConfirmBody>,
) -> Result<HttpResponse, Problem> {
    let ConfirmBody { code, label, challenge } = body.value;
    let label = Line::parse_optional("/label", label).map_err(invalid)?;
    let (organization, user, context, shown) = match &challenge {
        Some(challenge) => {
            let challenged = peek_challenge(&state, &client, challenge, Stage::Enrolment).await?;
            let context = client.context(Actor::human(challenged.user.user_id.as_str()));
            (challenged.organization, challenged.user, context, Some((challenged.first, challenged.seen)))
        }
        None => {
            let account = account?;
            let context = account.context(&client);
            (account.organization, account.user, context, None)
        }
    };
    let factor_id = check_first_code(&state, &client, &organization, &user, &code).await?;
    let outcome = record_enabled(&state, &organization, &user, &factor_id, label, context).await?;
    let user_id = user.user_id.as_str();
    let codes = state.vault.replace_recovery_codes(&organization.id, user_id, state.now()).await;
    let recovery_codes = codes.map_err(vault_problem)?;
    organization.settle(&outcome).await?;
    let session = match (&challenge, shown) {
        (Some(challenge), Some((first, seen))) => {
            take_challenge(&state, &client, challenge).await?;
            let methods = vec![first, SessionMethod::Totp];
            Some(session::begin(&state, &organization, &client, user_id, methods, seen).await?)
        }
        _ => None,
    };
    Ok(HttpResponse::Ok().json(ConfirmAnswer { factor_id, recovery_codes, session, recorded: Recorded::of(&outcome) }))
}

async fn check_first_code(
    state: &IdentityState,
    client: &Client,
    organization: &OrganizationIdentity,
    user: &UserRecord,
    code: &Secret,
) -> Result<String, Problem> {
    let (id, user_id) = (&organization.id, user.user_id.as_str());
    let account = state.vault.account(id, user_id).await.map_err(vault_problem)?;
    let account =
        account.ok_or_else(|| Problem::new(403, "auth.account_required", "this account has no credentials here"))?;
    let attempt = Attempt::begin(state, client, id, &account).await?;
    match state.vault.confirm_totp(id, user_id, code.expose().trim(), state.now()).await.map_err(vault_problem)? {
        Some(factor_id) => {
            attempt.succeeded().await?;
            Ok(factor_id)
        }
        None => {
            attempt.failed().await?;
            let detail = "is not the code that the device shows now";
            Err(Problem::refused("auth.invalid_code", detail).at("/code", detail))
        }
    }
}

/// The fact; without it the device does not count.
async fn record_enabled(
    state: &IdentityState,
    organization: &OrganizationIdentity,
    user: &UserRecord,
    factor_id: &str,
    label: Option<Line>,
    context: CommandContext,
) -> Result<Outcome<User>, Problem> {
    let user_id = user.user_id.as_str();
    let label = match label {
        Some(label) => Some(seal(organization, user_id, field::FACTOR_LABEL, label.as_str()).await?),
        None => None,
    };
    let command = UserCommand::EnableSecondFactor(Box::new(SecondFactorEnabled {
        kind: SecondFactorKind::Totp,
        factor_id: StreamId::parse("/factor_id", factor_id).map_err(invalid)?,
        label,
    }));
    match organization.users.execute_with_retry(user_id, command, context, TRIES).await {
        Ok(outcome) => Ok(outcome),
        Err(error) => {
            state.vault.remove_totp(&organization.id, user_id).await.map_err(vault_problem)?;
            Err(refusal(error))
        }
    }
}

/// Remove the device
///
/// Takes the password, a code of the device, or a recovery code.
#[utoipa::path(post, path = "/v1/auth/totp/remove", tag = "auth", operation_id = "remove_totp",
    request_body = ProofBody, responses((status = 200, description = "The device counts no more.", body = RemoveAnswer)))]
pub(crate) async fn remove(
    caller: Claimant,
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<ProofBody>,
) -> Result<HttpResponse, Problem> {
    let account = caller.account()?;
    let (organization, user_id) = (&account.organization, account.id());
    let held = state.vault.totp(&organization.id, user_id).await.map_err(vault_problem)?;
    let Some(held) = held else { return Err(no_device()) };
    let ProofBody { password, code } = body.value;
    let by = match proof::check(&state, &client, &account, Proof { password, code }).await? {
        ProvedBy::RecoveryCode => SecondFactorRemovedBy::RecoveryCode,
        ProvedBy::Password | ProvedBy::Code | ProvedBy::Session => SecondFactorRemovedBy::OneSelf,
    };
    let factor_id = StreamId::parse("/factor_id", held.factor_id.as_str()).map_err(invalid)?;
    let command = UserCommand::RemoveSecondFactor { factor_id, by };
    let context = account.context(&client);
    let outcome = match organization.users.execute_with_retry(user_id, command, context, TRIES).await {
        Ok(outcome) => Some(outcome),
        // It was confirmed, and its fact never came to be.
        Err(CommandError::Refused(UserError::SecondFactorNotFound { .. })) => None,
        Err(error) => return Err(refusal(error)),
    };
    state.vault.remove_totp(&organization.id, user_id).await.map_err(vault_problem)?;
    let is_last = account.user.second_factors.iter().all(|factor| factor.factor_id == held.factor_id);
    if is_last {
        state.vault.remove_recovery_codes(&organization.id, user_id).await.map_err(vault_problem)?;
    }
    if let Some(outcome) = &outcome {
        organization.settle(outcome).await?;
    }
    let recorded = outcome.as_ref().map(Recorded::of);
    let detail = "The second factor is removed";
    Ok(HttpResponse::Ok().json(RemoveAnswer { detail, factor_id: held.factor_id, recorded }))
}

/// Get fresh recovery codes
///
/// Takes the password, a code of the device, or a recovery code. All earlier codes are of no use any more.
#[utoipa::path(post, path = "/v1/auth/recovery-codes", tag = "auth", operation_id = "replace_recovery_codes",
    request_body = ProofBody, responses((status = 200, description = "The codes.", body = RecoveryCodesAnswer)))]
pub(crate) async fn recovery_codes(
    caller: Claimant,
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<ProofBody>,
) -> Result<HttpResponse, Problem> {
    let account = caller.account()?;
    let organization: &Arc<OrganizationIdentity> = &account.organization;
    let held = state.vault.totp(&organization.id, account.id()).await.map_err(vault_problem)?;
    if held.is_none() && account.user.second_factors.is_empty() {
        return Err(no_device());
    }
    let ProofBody { password, code } = body.value;
    proof::check(&state, &client, &account, Proof { password, code }).await?;
    let codes = state.vault.replace_recovery_codes(&organization.id, account.id(), state.now()).await;
    Ok(HttpResponse::Ok().json(RecoveryCodesAnswer { recovery_codes: codes.map_err(vault_problem)? }))
}

fn no_device() -> Problem {
    Problem::conflict("auth.no_second_factor", "there is no second factor")
}
