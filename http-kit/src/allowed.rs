//! Handlers say what they need: [`Allowed`] for a permission in the whole organisation, [`AllowedWithin`] for one that
//! may also hold within departments only.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use crate::access_log::PermissionAsked;
use crate::permission::Permission;
use crate::principal::Principal;
use crate::problem::Problem;

/// A caller that holds `P`. Extracting it answers 401 to the unknown and 403 to those without the permission.
#[derive(Debug)]
pub struct Allowed<P: Permission> {
    principal: Principal,
    permission: PhantomData<P>,
}

impl<P: Permission> Allowed<P> {
    /// The caller.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

impl<P: Permission> Deref for Allowed<P> {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.principal
    }
}

impl<P: Permission> FromRequest for Allowed<P> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(Principal::of(request).and_then(|principal| {
            principal.require::<P>()?;
            request.extensions_mut().insert(PermissionAsked);
            Ok(Self { principal, permission: PhantomData })
        }))
    }
}

/// Where a permission holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// In the whole organisation.
    Organization,
    /// Within the departments of these names only.
    Departments(Vec<String>),
}

impl Scope {
    /// True where what belongs to `department` is in reach. What belongs to none is in reach of the whole
    /// organisation's people only.
    pub fn covers(&self, department: Option<&str>) -> bool {
        match (self, department) {
            (Self::Organization, _) => true,
            (Self::Departments(names), Some(department)) => {
                let department = department.to_lowercase();
                names.iter().any(|name| name.to_lowercase() == department)
            }
            (Self::Departments(_), None) => false,
        }
    }

    /// The departments' names; `None` where nothing is out of reach.
    pub fn departments(&self) -> Option<&[String]> {
        match self {
            Self::Organization => None,
            Self::Departments(names) => Some(names),
        }
    }
}

/// A caller that holds `P` in the whole organisation or in some department. The handler keeps to
/// [`AllowedWithin::scope`].
#[derive(Debug)]
pub struct AllowedWithin<P: Permission> {
    principal: Principal,
    scope: Scope,
    permission: PhantomData<P>,
}

impl<P: Permission> AllowedWithin<P> {
    /// The caller.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Where the permission holds.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}

impl<P: Permission> Deref for AllowedWithin<P> {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.principal
    }
}

impl<P: Permission> FromRequest for AllowedWithin<P> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(Principal::of(request).and_then(|principal| {
            let scope = scope_of::<P>(&principal).ok_or_else(|| Problem::forbidden(P::NAME))?;
            request.extensions_mut().insert(PermissionAsked);
            Ok(Self { principal, scope, permission: PhantomData })
        }))
    }
}

fn scope_of<P: Permission>(principal: &Principal) -> Option<Scope> {
    let access = &principal.access;
    if access.allows::<P>() {
        return Some(Scope::Organization);
    }
    let within = access.departments.iter().filter(|department| department.permissions.contains::<P>());
    let names: Vec<String> = within.map(|department| department.name.clone()).collect();
    (!names.is_empty()).then_some(Scope::Departments(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn department_is_compared_whatever_the_case() {
        let scope = Scope::Departments(vec!["Equities".to_owned()]);
        assert!(scope.covers(Some("EQUITIES")));
        assert!(!scope.covers(Some("Rates")) && !scope.covers(None));
        assert!(Scope::Organization.covers(None));
    }
}
