//! People as answers show them: sealed texts are opened here, at the last moment, so that who was erased shows as erased
//! at once.

use daybook_domain::personal::Personal;
use daybook_http_kit::Problem;
use daybook_identity::directory::{DirectoryState, Grant, SecondFactorRecord, UserRecord, UserStatus};
use daybook_identity::personal::Opened;
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::{OrganizationIdentity, vault_problem};
use daybook_ledger::keys::time::rfc3339;

/// The names under which texts about people are sealed: a value opens under its own name only.
pub mod field {
    /// An e-mail address.
    pub const EMAIL: &str = "user.email";
    /// A name.
    pub const FULL_NAME: &str = "user.full_name";
    /// What people say of themselves.
    pub const ABOUT: &str = "user.about";
    /// A picture's address.
    pub const PICTURE_URL: &str = "user.picture_url";
    /// What somebody calls a second factor.
    pub const FACTOR_LABEL: &str = "user.factor_label";
    /// Address and user agent of a session.
    pub const CLIENT: &str = "session.client";
}

/// A sealed text as an answer shows it; `None` where there is none.
pub async fn open(
    organization: &OrganizationIdentity,
    sealed: Option<&Personal>,
    field: &str,
) -> Result<Option<String>, Problem> {
    let Some(sealed) = sealed else { return Ok(None) };
    let opened = organization.personal.open(sealed, field).await.map_err(vault_problem)?;
    Ok(Some(opened.into_shown()))
}

/// A sealed text where it can still be read: for letters, which must not go to `erased`.
pub async fn open_text(
    organization: &OrganizationIdentity,
    sealed: Option<&Personal>,
    field: &str,
) -> Result<Option<String>, Problem> {
    let Some(sealed) = sealed else { return Ok(None) };
    match organization.personal.open(sealed, field).await.map_err(vault_problem)? {
        Opened::Text(text) => Ok(Some(text)),
        Opened::Erased | Opened::Unreadable => Ok(None),
    }
}

/// Seals a text about a person, making the person's key if it is the first.
pub async fn seal(
    organization: &OrganizationIdentity,
    user_id: &str,
    field: &str,
    text: &str,
) -> Result<Personal, Problem> {
    organization.personal.seal(user_id, field, text).await.map_err(vault_problem)
}

/// A role that somebody was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct GrantView {
    /// The role's name.
    #[schema(example = "analyst")]
    pub role: String,
    /// The department within which it holds; everywhere where there is none.
    pub department_id: Option<String>,
    /// From when it no longer holds.
    pub expires_at: Option<String>,
    /// Opaque id of who gave it.
    pub granted_by: String,
    /// When it was given.
    pub granted_at: String,
}

impl From<&Grant> for GrantView {
    fn from(grant: &Grant) -> Self {
        Self {
            role: grant.role.clone(),
            department_id: grant.department_id.clone(),
            expires_at: grant.expires_at.map(rfc3339),
            granted_by: grant.granted_by.clone(),
            granted_at: rfc3339(grant.granted_at),
        }
    }
}

/// A second factor in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SecondFactorView {
    /// `totp` or `passkey`.
    #[schema(example = "totp")]
    pub kind: String,
    /// Its id.
    pub factor_id: String,
    /// What its owner calls it.
    pub label: Option<String>,
    /// When it came into use.
    pub enabled_at: String,
}

impl SecondFactorView {
    /// Opens what the owner calls it.
    pub async fn of(organization: &OrganizationIdentity, factor: &SecondFactorRecord) -> Result<Self, Problem> {
        Ok(Self {
            kind: factor.kind.clone(),
            factor_id: factor.factor_id.clone(),
            label: open(organization, factor.label.as_ref(), field::FACTOR_LABEL).await?,
            enabled_at: rfc3339(factor.enabled_at),
        })
    }
}

/// A person, as others see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserView {
    /// Opaque id.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    pub id: String,
    /// E-mail address; `erased` where it was erased, null where the caller may not see it.
    pub email: Option<String>,
    /// Name; `erased` where it was erased.
    pub full_name: Option<String>,
    /// The strongest role that holds everywhere; `none` where there is none.
    #[schema(example = "analyst")]
    pub role: String,
    /// `invited`, `active`, `deactivated` or `erased`.
    #[schema(example = "active")]
    pub status: String,
    /// Whether the account is in use.
    pub is_active: bool,
    /// Roles given, and where they hold.
    pub grants: Vec<GrantView>,
    /// Kinds of second factors in use.
    pub second_factors: Vec<String>,
    /// When the account was first heard of.
    pub created_at: String,
    /// When the newest session started.
    pub last_login_at: Option<String>,
    /// Version of the account, for `If-Match`.
    pub version: u64,
}

impl UserView {
    /// A person's record with the texts opened. `with_email` where the caller may see addresses.
    pub async fn of(
        organization: &OrganizationIdentity,
        state: &DirectoryState,
        user: &UserRecord,
        with_email: bool,
        now: i64,
    ) -> Result<Self, Problem> {
        let email = user.email.as_ref().filter(|_| with_email);
        Ok(Self {
            id: user.user_id.clone(),
            email: open(organization, email, field::EMAIL).await?,
            full_name: open(organization, user.full_name.as_ref(), field::FULL_NAME).await?,
            role: role_of(state, &user.user_id, now),
            status: user.status.as_str().to_owned(),
            is_active: user.status == UserStatus::Active,
            grants: user.grants.iter().map(GrantView::from).collect(),
            second_factors: user.second_factors.iter().map(|factor| factor.kind.clone()).collect(),
            created_at: rfc3339(user.place.created_at),
            last_login_at: user.last_login_at.map(rfc3339),
            version: user.place.version,
        })
    }
}

/// The role by which somebody is known: the strongest built-in one that holds everywhere, else the first custom one.
pub fn role_of(state: &DirectoryState, user_id: &str, now: i64) -> String {
    state.role_of(user_id, now).unwrap_or_else(|| "none".to_owned())
}
