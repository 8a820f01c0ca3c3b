//! Coming in with a passkey, without saying who one is: the authenticator knows.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use daybook_domain::session::SessionMethod;
use daybook_http_kit::{Body, NoQuery, OptionalBody, Problem};
use daybook_identity::directory::{UserRecord, UserStatus};
use daybook_identity::passkeys::{Claimed, PasskeyError, RelyingParty, user_handle};
use daybook_identity::secret::Secret;
use daybook_identity::vault::{AccountRow, PasskeyRow};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Ceremony, OptionsAnswer, challenge_invalid, issue, problem, relying_party, take};
use crate::auth::{Attempt, Client, Seen, TokenAnswer, begin, count_beginning};
use crate::state::{IdentityState, OrganizationIdentity, vault_problem};

/// Where somebody wants to come in.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyLoginOptionsBody {
    /// The organisation, `main` if it is named neither here nor in `X-Organization-ID`.
    pub organization_id: Option<String>,
}

/// What an authenticator has signed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyLoginBody {
    /// `challenge` of the first step.
    #[schema(value_type = String)]
    pub challenge: Secret,
    /// What `navigator.credentials.get` answered, as `toJSON()` writes it.
    #[schema(value_type = Object)]
    pub credential: Value,
}

/// Begin to log in with a passkey
#[utoipa::path(post, path = "/v1/auth/passkeys/login/options", tag = "auth", operation_id = "begin_passkey_login",
    request_body = Option<PasskeyLoginOptionsBody>,
    responses((status = 200, description = "For the browser.", body = OptionsAnswer)), security(()))]
pub(crate) async fn options(
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: OptionalBody<PasskeyLoginOptionsBody>,
) -> Result<HttpResponse, Problem> {
    let party = relying_party(&state)?;
    let id = client.organization(body.value.organization_id.as_deref())?;
    count_beginning(&state, &client, "passkey.login").await?;
    let begun = party.begin_login().map_err(problem)?;
    let challenge = issue(&state, &id, None, Ceremony::Login, begun.remembered).await?;
    Ok(HttpResponse::Ok().json(OptionsAnswer { challenge, options: begun.options }))
}

/// Log in with a passkey
///
/// 401 with a code that says what is wrong. A passkey whose counter goes back may have been copied: it is refused, and that
/// is recorded.
#[utoipa::path(post, path = "/v1/auth/passkeys/login", tag = "auth", operation_id = "finish_passkey_login",
    request_body = PasskeyLoginBody, responses((status = 200, description = "Tokens.", body = TokenAnswer)), security(()))]
pub(crate) async fn login(
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    body: Body<PasskeyLoginBody>,
) -> Result<HttpResponse, Problem> {
    let PasskeyLoginBody { challenge, credential } = body.value;
    let party = relying_party(&state)?;
    let Some((taken, remembered)) = take(&state, None, &challenge, Ceremony::Login).await? else {
        client.record_refusal(&state, None, "passkey.challenge_invalid");
        return Err(challenge_invalid());
    };
    let organization = state.open_organization(&taken.ledger)?;
    let claimed = party.claimed(&credential).map_err(problem)?;
    let holder = match organization {
        Some(organization) => holder(&state, organization, &claimed).await?,
        None => None,
    };
    let Some(holder) = holder else {
        client.record_refusal(&state, Some(&taken.ledger), "passkey.unknown");
        return Err(Problem::unauthorized("passkey.unknown", "nobody comes in with this passkey"));
    };
    let Holder { organization, user, account, passkey } = &holder;
    let attempt = Attempt::begin(&state, &client, &organization.id, account).await?;
    if let Err(error) = check(&state, &party, organization, passkey, remembered, credential).await? {
        attempt.failed().await?;
        state.recorder.login_failed(&organization.id, error.code(), Some(&user.user_id));
        return Err(problem(error));
    }
    attempt.succeeded().await?;
    drop(attempt);
    let (methods, seen) = (vec![SessionMethod::Passkey], Seen::of(account));
    let answer = begin(&state, organization, &client, &user.user_id, methods, seen).await?;
    Ok(HttpResponse::Ok().json(answer))
}

/// Whose a passkey is.
struct Holder {
    organization: Arc<OrganizationIdentity>,
    user: Arc<UserRecord>,
    account: AccountRow,
    passkey: PasskeyRow,
}

/// The active person whose passkey it says it is, if vault and ledger both know it and the handle is his.
async fn holder(
    state: &IdentityState,
    organization: Arc<OrganizationIdentity>,
    claimed: &Claimed,
) -> Result<Option<Holder>, Problem> {
    let (vault, id) = (&state.vault, &organization.id);
    let Some(passkey) = vault.passkey(id, &claimed.credential_id).await.map_err(vault_problem)? else {
        return Ok(None);
    };
    let user = organization.directory.now().users.get(passkey.user_id.as_str()).cloned();
    let user = user.filter(|user| {
        user.status == UserStatus::Active
            && user.second_factors.iter().any(|factor| factor.factor_id == passkey.factor_id)
            && user_handle(id, &user.user_id) == claimed.handle
    });
    let account = vault.account(id, &passkey.user_id).await.map_err(vault_problem)?;
    Ok(user.zip(account).map(|(user, account)| Holder { organization, user, account, passkey }))
}

/// Checks the signature and remembers the use; of two uses with one counter one counts.
async fn check(
    state: &IdentityState,
    party: &RelyingParty,
    organization: &OrganizationIdentity,
    passkey: &PasskeyRow,
    remembered: Value,
    credential: Value,
) -> Result<Result<(), PasskeyError>, Problem> {
    let used = match party.finish_login(remembered, credential, &passkey.public_key) {
        Ok(used) => used,
        Err(error) => return Ok(Err(error)),
    };
    let (id, credential_id) = (&organization.id, &passkey.credential_id);
    let kept = state.vault.use_passkey(id, credential_id, &used.public_key, used.sign_count, state.now()).await;
    Ok(if kept.map_err(vault_problem)? { Ok(()) } else { Err(PasskeyError::Counter) })
}
