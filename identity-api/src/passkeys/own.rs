//! One's own passkeys: which there are, and removing one.

use actix_web::{HttpResponse, web};
use daybook_domain::text::StreamId;
use daybook_domain::user::{SecondFactorRemovedBy, UserCommand, UserError};
use daybook_http_kit::{NoQuery, OptionalBody, Problem};
use daybook_identity::vault::PasskeyRow;
use daybook_ledger::commands::CommandError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{Account, Claimant, Client, Proof, ProofBody, proof};
use crate::problems::{invalid, refusal};
use crate::state::{IdentityState, TRIES, vault_problem};
use crate::view::{field, open};
use daybook_http_kit::answer::Recorded;
use daybook_ledger::keys::time::rfc3339;

/// One's own passkey.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PasskeyView {
    /// The factor's id.
    pub factor_id: String,
    /// What its owner calls it.
    pub label: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When somebody last came in with it.
    pub last_used_at: Option<String>,
}

/// One's own passkeys, oldest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PasskeyList {
    /// At most 50.
    pub items: Vec<PasskeyView>,
    /// How many they are.
    pub total: usize,
}

/// A passkey that counts no more.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PasskeyRemovedAnswer {
    /// What happened, in words.
    pub detail: &'static str,
    /// The factor's id.
    pub factor_id: String,
    /// Version, time and proof of the entry; missing where the ledger did not know of the passkey.
    #[serde(flatten)]
    pub recorded: Option<Recorded>,
}

/// List one's own passkeys
#[utoipa::path(get, path = "/v1/auth/passkeys", tag = "auth", operation_id = "list_own_passkeys",
    responses((status = 200, description = "Passkeys.", body = PasskeyList)))]
pub(crate) async fn list(
    account: Account,
    _: NoQuery,
    state: web::Data<IdentityState>,
) -> Result<HttpResponse, Problem> {
    let rows = state.vault.passkeys_of(&account.organization.id, account.id()).await.map_err(vault_problem)?;
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        items.push(view(&account, row).await?);
    }
    Ok(HttpResponse::Ok().json(PasskeyList { total: items.len(), items }))
}

async fn view(account: &Account, row: &PasskeyRow) -> Result<PasskeyView, Problem> {
    let factor = account.user.second_factors.iter().find(|factor| factor.factor_id == row.factor_id);
    let label = factor.and_then(|factor| factor.label.as_ref());
    Ok(PasskeyView {
        factor_id: row.factor_id.clone(),
        label: open(&account.organization, label, field::FACTOR_LABEL).await?,
        created_at: rfc3339(row.created_at),
        last_used_at: row.last_used_at.map(rfc3339),
    })
}

/// Remove one of one's own passkeys
///
/// Takes the password, or a code, in the body. Somebody else's passkey is a 404.
#[utoipa::path(delete, path = "/v1/auth/passkeys/{id}", tag = "auth", operation_id = "remove_own_passkey",
    params(("id" = String, Path, description = "The factor's id.")), request_body = Option<ProofBody>,
    responses((status = 200, description = "The passkey counts no more.", body = PasskeyRemovedAnswer)))]
pub(crate) async fn remove(
    caller: Claimant,
    client: Client,
    _: NoQuery,
    state: web::Data<IdentityState>,
    id: web::Path<String>,
    body: OptionalBody<ProofBody>,
) -> Result<HttpResponse, Problem> {
    let account = caller.account()?;
    let (organization, user_id, vault) = (&account.organization, account.id(), &state.vault);
    let rows = vault.passkeys_of(&organization.id, user_id).await.map_err(vault_problem)?;
    let row = rows.into_iter().find(|row| row.factor_id == *id);
    let row = row.ok_or_else(|| Problem::not_found("passkey.not_found", "there is no such passkey"))?;
    let ProofBody { password, code } = body.value;
    let by = match proof::check(&state, &client, &account, Proof { password, code }).await? {
        proof::ProvedBy::RecoveryCode => SecondFactorRemovedBy::RecoveryCode,
        proof::ProvedBy::Password | proof::ProvedBy::Code | proof::ProvedBy::Session => SecondFactorRemovedBy::OneSelf,
    };
    let factor_id = StreamId::parse("/factor_id", row.factor_id.as_str()).map_err(invalid)?;
    let command = UserCommand::RemoveSecondFactor { factor_id, by };
    let context = account.context(&client);
    let outcome = match organization.users.execute_with_retry(user_id, command, context, TRIES).await {
        Ok(outcome) => Some(outcome),
        // It was made, and its fact never came to be.
        Err(CommandError::Refused(UserError::SecondFactorNotFound { .. })) => None,
        Err(error) => return Err(refusal(error)),
    };
    vault.remove_passkey(&organization.id, user_id, &row.factor_id).await.map_err(vault_problem)?;
    if account.user.second_factors.iter().all(|factor| factor.factor_id == row.factor_id) {
        vault.remove_recovery_codes(&organization.id, user_id).await.map_err(vault_problem)?;
    }
    if let Some(outcome) = &outcome {
        organization.settle(outcome).await?;
    }
    let recorded = outcome.as_ref().map(Recorded::of);
    let detail = "The passkey is removed";
    Ok(HttpResponse::Ok().json(PasskeyRemovedAnswer { detail, factor_id: row.factor_id, recorded }))
}
