//! Rules over several people, which no one account can know: the organisation keeps an owner, and whoever gives roles
//! within a department gives them within that department.

use daybook_http_kit::permission::{Permission, UserRoleAssign};
use daybook_http_kit::{Principal, Problem};
use daybook_identity::custody::{Exclusive, Matter, exclusive};
use daybook_identity::directory::{DirectoryState, UserRecord};

use super::carried::up_to_date;
use crate::rbac::guard::{OWNER, require_owner, within_own};
use crate::rbac::resolve::resolve;
use crate::state::{IdentityState, OrganizationIdentity};

/// True where a person has the role `owner`, whether the account is in use or not.
pub(crate) fn is_owner_account(user: &UserRecord) -> bool {
    let invited = user.invitation.as_ref().is_some_and(|invitation| invitation.role == OWNER);
    invited || user.grants.iter().any(|grant| grant.role == OWNER)
}

/// Makes sure that somebody else owns the organisation if `user_id` no longer does: else 409 `user.last_owner`. The guard
/// is kept until that has come to be: of two owners who leave at the same moment one must stay.
pub(crate) async fn keep_an_owner(
    installation: &IdentityState,
    identity: &OrganizationIdentity,
    user_id: &str,
) -> Result<Exclusive, Problem> {
    let guard = exclusive(&installation.vault, &identity.id, Matter::Owners).await?;
    let owners = up_to_date(identity).await?.owners(installation.now());
    if owners.iter().all(|owner| owner == user_id) && !owners.is_empty() {
        return Err(Problem::conflict("user.last_owner", "the organisation must keep an owner"));
    }
    Ok(guard)
}

/// Whether the caller gives and takes roles within `department`, or everywhere.
pub(crate) fn may_assign(caller: &Principal, department: Option<&str>) -> Result<(), Problem> {
    if caller.access.allows::<UserRoleAssign>() {
        return Ok(());
    }
    let mut within = caller.access.departments.iter();
    let here = department.is_some_and(|department| {
        within.any(|access| access.id == department && access.permissions.contains::<UserRoleAssign>())
    });
    if here { Ok(()) } else { Err(Problem::forbidden(UserRoleAssign::NAME)) }
}

/// Refuses to give a person back more than the caller holds: reactivating restores every role that was given.
pub(crate) fn may_restore(
    caller: &Principal,
    state: &DirectoryState,
    user: &UserRecord,
    now: i64,
) -> Result<(), Problem> {
    if is_owner_account(user) {
        require_owner(caller)?;
    }
    for grant in user.grants.iter().filter(|grant| grant.is_current(now)) {
        if let Some(resolved) = resolve(state, &grant.role) {
            within_own(caller, &resolved.own, grant.department_id.as_deref())?;
        }
    }
    Ok(())
}

/// Refuses grants within departments that are not there; 400 at `/department_id`.
pub(crate) fn open_department(state: &DirectoryState, department: Option<&str>) -> Result<(), Problem> {
    match department {
        Some(id) if state.departments.get(id).is_none_or(|department| department.closed) => {
            Err(Problem::invalid("/department_id", "is not a department of this organisation"))
        }
        _ => Ok(()),
    }
}
