//! What a caller may give to others: never more than he holds himself.
//!
//! Every way to give power asks here: grants, invitations, custom roles, API keys. The directory knows what a role comes
//! to; the caller's own permissions came with the request.

use std::collections::BTreeSet;

use daybook_http_kit::permission::{OrganizationTransfer, Permission};
use daybook_http_kit::permission_set::PermissionSet;
use daybook_http_kit::{Principal, Problem};
use daybook_identity::directory::DirectoryState;

use super::resolve::resolve;

/// The role that only its own holders give and take.
pub(crate) const OWNER: &str = "owner";

/// True where the caller is an owner of the organisation, or the operator.
pub(crate) fn is_owner(caller: &Principal) -> bool {
    caller.is_operator() || caller.roles.iter().any(|role| role == OWNER)
}

/// Refuses whoever is not an owner: 403 `rbac.owner_only`.
pub(crate) fn require_owner(caller: &Principal) -> Result<(), Problem> {
    if is_owner(caller) {
        return Ok(());
    }
    Err(Problem::forbidden_here("rbac.owner_only", "only an owner may do this to an owner", OrganizationTransfer::NAME))
}

/// What the caller holds within `department`, or in the whole organisation.
fn held(caller: &Principal, department: Option<&str>) -> PermissionSet {
    let mut held = caller.access.permissions;
    if let Some(department) = department {
        for access in caller.access.departments.iter().filter(|access| access.id == department) {
            held = held.union(&access.permissions);
        }
    }
    held
}

/// Refuses to give what the caller lacks: 403 `rbac.exceeds_own`, naming all of it.
pub(crate) fn within_own(caller: &Principal, given: &PermissionSet, department: Option<&str>) -> Result<(), Problem> {
    if caller.is_operator() {
        return Ok(());
    }
    let held = held(caller, department);
    let lacking: BTreeSet<&'static str> = given.names().filter(|name| !held.contains_name(name)).collect();
    let Some(first) = lacking.first().copied() else { return Ok(()) };
    let detail = format!("nobody gives what he does not hold himself: {}", list(&lacking));
    Err(Problem::forbidden_here("rbac.exceeds_own", detail, first)
        .with_member("exceeding", lacking.into_iter().collect::<Vec<_>>()))
}

fn list(names: &BTreeSet<&'static str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

/// The permissions of a role that can be granted, or a 400 at `pointer`.
pub(crate) fn role_permissions(state: &DirectoryState, role: &str, pointer: &str) -> Result<PermissionSet, Problem> {
    resolve(state, role)
        .map(|resolved| resolved.own)
        .ok_or_else(|| Problem::invalid(pointer, "is not a role of this organisation"))
}

/// Refuses to give `role` unless the caller holds all of it; `owner` is given by owners alone, and never within a
/// department.
pub(crate) fn may_give_role(
    caller: &Principal,
    state: &DirectoryState,
    role: &str,
    department: Option<&str>,
    pointer: &str,
) -> Result<(), Problem> {
    let given = role_permissions(state, role, pointer)?;
    if role == OWNER {
        require_owner(caller)?;
        if department.is_some() {
            return Err(Problem::invalid("/department_id", "an owner is of the whole organisation"));
        }
    }
    within_own(caller, &given, department)
}
