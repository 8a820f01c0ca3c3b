//! A person as lists and single answers show them to others.

use daybook_domain::user::UserError;
use daybook_http_kit::permission::UserReadContact;
use daybook_http_kit::{Principal, Problem};
use daybook_identity::directory::{DirectoryState, Invitation, UserRecord};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problems::refused;
use crate::state::OrganizationIdentity;
use crate::view::{SecondFactorView, UserView, field, open};
use daybook_ledger::keys::time::rfc3339;

/// What an invitation promises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct InvitationView {
    /// The role.
    pub role: String,
    /// The department within which it will hold; everywhere where there is none.
    pub department_id: Option<String>,
    /// Until when it may be taken up.
    pub expires_at: String,
    /// Until when the role will hold; for ever where it is null.
    pub role_expires_at: Option<String>,
    /// Opaque id of who invited.
    pub invited_by: String,
}

impl From<&Invitation> for InvitationView {
    fn from(invitation: &Invitation) -> Self {
        Self {
            role: invitation.role.clone(),
            department_id: invitation.department_id.clone(),
            expires_at: rfc3339(invitation.expires_at),
            role_expires_at: invitation.role_expires_at.map(rfc3339),
            invited_by: invitation.invited_by.clone(),
        }
    }
}

/// A person of the organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct PersonView {
    /// What is shown of everybody.
    #[serde(flatten)]
    pub user: UserView,
    /// When the newest session started: the same as `last_login_at`.
    pub last_login: Option<String>,
    /// When the account last changed.
    pub updated_at: String,
    /// What the person says of themselves; `erased` where it was erased.
    pub about: Option<String>,
    /// A picture's address; `erased` where it was erased.
    pub picture_url: Option<String>,
    /// Second factors in use.
    pub factors: Vec<SecondFactorView>,
    /// Other providers that vouch for the person.
    pub identities: Vec<String>,
    /// The invitation, until it is taken up.
    pub invitation: Option<InvitationView>,
}

impl PersonView {
    /// A record with its texts opened. E-mail addresses of others are null without `user:read_contact`.
    pub(crate) async fn of(
        identity: &OrganizationIdentity,
        state: &DirectoryState,
        record: &UserRecord,
        caller: &Principal,
        now: i64,
    ) -> Result<Self, Problem> {
        let user = UserView::of(identity, state, record, sees_address(caller, &record.user_id), now).await?;
        let mut factors = Vec::with_capacity(record.second_factors.len());
        for factor in &record.second_factors {
            factors.push(SecondFactorView::of(identity, factor).await?);
        }
        Ok(Self {
            last_login: user.last_login_at.clone(),
            user,
            updated_at: rfc3339(record.place.changed_at),
            about: open(identity, record.about.as_ref(), field::ABOUT).await?,
            picture_url: open(identity, record.picture_url.as_ref(), field::PICTURE_URL).await?,
            factors,
            identities: record.identities.iter().cloned().collect(),
            invitation: record.invitation.as_ref().map(InvitationView::from),
        })
    }

    /// The person of this id as the directory has them now; 404 where there is none.
    pub(crate) async fn found(
        identity: &OrganizationIdentity,
        user_id: &str,
        caller: &Principal,
        now: i64,
    ) -> Result<Self, Problem> {
        let state = identity.directory.now();
        let record = known(&state, user_id)?;
        Self::of(identity, &state, record, caller, now).await
    }
}

/// Whether the caller sees this person's e-mail address: one's own, and that of others with `user:read_contact`.
pub(crate) fn sees_address(caller: &Principal, user_id: &str) -> bool {
    caller.access.allows::<UserReadContact>() || caller.user_id() == Some(user_id)
}

/// The e-mail address as the caller sees it.
pub(crate) async fn address(
    identity: &OrganizationIdentity,
    record: &UserRecord,
    caller: &Principal,
) -> Result<Option<String>, Problem> {
    let sealed = record.email.as_ref().filter(|_| sees_address(caller, &record.user_id));
    open(identity, sealed, field::EMAIL).await
}

/// The record of a person; 404 where there is none of this id.
pub(crate) fn known<'a>(state: &'a DirectoryState, user_id: &str) -> Result<&'a UserRecord, Problem> {
    state.users.get(user_id).map(AsRef::as_ref).ok_or_else(|| refused(&UserError::NotFound))
}
