//! Making a passkey for one's own account.

use actix_web::{HttpResponse, web};
use daybook_domain::text::{Line, StreamId};
use daybook_domain::user::{SecondFactorEnabled, SecondFactorKind, User, UserCommand};
use daybook_http_kit::{Body, NoQuery, OptionalBody, Problem};
use daybook_identity::passkeys::{Made, user_handle};
use daybook_identity::secret::Secret;
use daybook_identity::vault::NewPasskey;
use daybook_ledger::commands::Outcome;
use rand::RngCore as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Ceremony, OptionsAnswer, challenge_invalid, issue, problem, relying_party, take};
use crate::auth::{Account, Claimant, Client, Proof, ProofBody, all_exposed, proof};
use crate::problems::{invalid, refusal};
use crate::state::{IdentityState, TRIES, vault_problem};
use crate::view::{field, open_text, seal};
use daybook_http_kit::answer::Recorded;

/// What an authenticator has made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterPasskeyBody {
    /// `challenge` of the first step.
    #[schema(value_type = String)]
    pub challenge: Secret,
    /// What `navigator.credentials.create` answered, as `toJSON()` writes it.
    #[schema(value_type = Object)]
    pub credential: Value,
    /// What the passkey is to be called.
    pub label: Option<String>,
}

/// A passkey that counts.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RegisterPasskeyAnswer {
    /// The factor's id.
    pub factor_id: String,
    /// Codes for when the authenticator is lost, each good once. Shown once; empty where there are some already.
    #[serde(serialize_with = "all_exposed")]
    #[schema(value_type = Vec<String>)]
    pub recovery_codes: Vec<Secret>,
    /// Version, time and proof of the entry.
    #[serde(flatten)]
    pub recorded: Recorded,
}

/// Begin to make a passkey
///
/// Takes a session and the password (or a code) once more. 503 `passkey.not_available` where the installation has no public
/// URL that browsers make passkeys for.
#[utoipa::path(post, path = "/v1/auth/passkeys/register/options", tag = "auth", operation_id = "begin_passkey_registration",
    request_body = Option<ProofBody>, responses((status = 200, description = "For the browser.", body = OptionsAnswer)))]
pub(crate) async fn options(
    caller: Claimant,
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: OptionalBody<ProofBody>,
) -> Result<HttpResponse, Problem> {
    let account = caller.account()?;
    let party = relying_party(&state)?;
    let ProofBody { password, code } = body.value;
    proof::check(&state, &client, &account, Proof { password, code }).await?;
    let (organization, user_id) = (&account.organization, account.id());
    let email = open_text(organization, account.user.email.as_ref(), field::EMAIL).await?;
    let full_name = open_text(organization, account.user.full_name.as_ref(), field::FULL_NAME).await?;
    let name = email.unwrap_or_else(|| user_id.to_owned());
    let display_name = full_name.unwrap_or_else(|| name.clone());
    let existing = state.vault.passkeys_of(&organization.id, user_id).await.map_err(vault_problem)?;
    let existing: Vec<String> = existing.into_iter().map(|passkey| passkey.public_key).collect();
    let handle = user_handle(&organization.id, user_id);
    let begun = party.begin_registration(handle, &name, &display_name, &existing).map_err(problem)?;
    let challenge = issue(&state, &organization.id, Some(user_id), Ceremony::Registration, begun.remembered).await?;
    Ok(HttpResponse::Ok().json(OptionsAnswer { challenge, options: begun.options }))
}

/// Finish making a passkey
#[utoipa::path(post, path = "/v1/auth/passkeys/register", tag = "auth", operation_id = "finish_passkey_registration",
    request_body = RegisterPasskeyBody,
    responses((status = 201, description = "The passkey counts.", body = RegisterPasskeyAnswer)))]
pub(crate) async fn register(
    caller: Claimant,
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<RegisterPasskeyBody>,
) -> Result<HttpResponse, Problem> {
    let account = caller.account()?;
    let RegisterPasskeyBody { challenge, credential, label } = body.value;
    let label = Line::parse_optional("/label", label).map_err(invalid)?;
    let party = relying_party(&state)?;
    let (organization, user_id) = (&account.organization, account.id());
    let taken = take(&state, Some(&organization.id), &challenge, Ceremony::Registration).await?;
    let taken = taken.filter(|(taken, _)| taken.user_id.as_deref() == Some(user_id));
    let Some((_, remembered)) = taken else {
        client.record_refusal(&state, Some(&organization.id), "passkey.challenge_invalid");
        return Err(challenge_invalid());
    };
    let made = party.finish_registration(remembered, credential).map_err(|error| {
        client.record_refusal(&state, Some(&organization.id), error.code());
        problem(error)
    })?;
    let (factor_id, outcome) = keep(&state, &client, &account, made, label).await?;
    let vault = &state.vault;
    let has_codes = vault.recovery_codes_left(&organization.id, user_id).await.map_err(vault_problem)? > 0;
    let recovery_codes = match has_codes {
        true => Vec::new(),
        false => vault.replace_recovery_codes(&organization.id, user_id, state.now()).await.map_err(vault_problem)?,
    };
    organization.settle(&outcome).await?;
    let recorded = Recorded::of(&outcome);
    Ok(HttpResponse::Created().json(RegisterPasskeyAnswer { factor_id, recovery_codes, recorded }))
}

/// The vault's row, then the fact, without which the passkey does not count.
async fn keep(
    state: &IdentityState,
    client: &Client,
    account: &Account,
    made: Made,
    label: Option<Line>,
) -> Result<(String, Outcome<User>), Problem> {
    let (organization, user_id) = (&account.organization, account.id());
    let mut bytes = [0_u8; 12];
    rand::rng().fill_bytes(&mut bytes);
    let factor_id = format!("fac_{}", hex::encode(bytes));
    let label = match label {
        Some(label) => Some(seal(organization, user_id, field::FACTOR_LABEL, label.as_str()).await?),
        None => None,
    };
    let row = NewPasskey {
        credential_id: made.credential_id,
        user_id: user_id.to_owned(),
        factor_id: factor_id.clone(),
        public_key: made.public_key,
        sign_count: made.sign_count,
    };
    if !state.vault.add_passkey(&organization.id, &row, state.now()).await.map_err(vault_problem)? {
        return Err(Problem::conflict(
            "passkey.exists",
            "this passkey is in use, or there are as many as there may be",
        ));
    }
    let command = UserCommand::EnableSecondFactor(Box::new(SecondFactorEnabled {
        kind: SecondFactorKind::Passkey,
        factor_id: StreamId::parse("/factor_id", factor_id.as_str()).map_err(invalid)?,
        label,
    }));
    match organization.users.execute_with_retry(user_id, command, account.context(client), TRIES).await {
        Ok(outcome) => Ok((factor_id, outcome)),
        Err(error) => {
            state.vault.remove_passkey(&organization.id, user_id, &factor_id).await.map_err(vault_problem)?;
            Err(refusal(error))
        }
    }
}
