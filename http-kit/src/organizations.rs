//! Whatever there is once an organisation, found by the caller's organisation.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use daybook_ledger::LedgerId;

use crate::identity::IdentityConfig;
use crate::principal::{Principal, Via};
use crate::problem::Problem;

/// What each organisation has of its own. Clones are the same: what is inserted into one is in all.
pub struct Organizations<T>(Arc<RwLock<Known<T>>>);

/// What is known of organisations in this process.
struct Known<T> {
    open: BTreeMap<LedgerId, Arc<T>>,
    /// Those that there are and that are not open here.
    unavailable: BTreeSet<LedgerId>,
}

impl<T> Clone for Organizations<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Organizations<T> {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(Known { open: BTreeMap::new(), unavailable: BTreeSet::new() })))
    }
}

impl<T> Organizations<T> {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One.
    pub fn single(id: LedgerId, value: T) -> Self {
        let organizations = Self::new();
        organizations.insert(id, Arc::new(value));
        organizations
    }

    /// What the organisation has; `None` where it is not open in this process.
    pub fn get(&self, id: &LedgerId) -> Option<Arc<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).open.get(id).cloned()
    }

    /// Puts it in, in place of what was there.
    pub fn insert(&self, id: LedgerId, value: Arc<T>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).open.insert(id, value);
    }

    /// Takes it out. Requests that have it already keep it to their end.
    pub fn remove(&self, id: &LedgerId) -> Option<Arc<T>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).open.remove(id)
    }

    /// All of them, in the order of their ids.
    pub fn all(&self) -> Vec<(LedgerId, Arc<T>)> {
        let organizations = self.0.read().unwrap_or_else(PoisonError::into_inner);
        organizations.open.iter().map(|(id, value)| (id.clone(), Arc::clone(value))).collect()
    }

    /// Says which organisations there are that are not open in this process, in place of what was said before.
    pub fn set_unavailable(&self, ids: BTreeSet<LedgerId>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).unavailable = ids;
    }

    /// True where there is such an organisation and it is not open in this process: nobody's credentials are wrong, and the
    /// answer is 503 and not 404.
    pub fn is_unavailable(&self, id: &LedgerId) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.unavailable.contains(id) && !known.open.contains_key(id)
    }

    /// True where there is any such organisation.
    pub fn is_any_unavailable(&self) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.unavailable.iter().any(|id| !known.open.contains_key(id))
    }
}

/// The caller's organisation's `T`, out of `web::Data<Organizations<T>>`. 401 where nobody is known to be asking; 503
/// where the organisation is not open in this process; 404 where the caller only named one that there is not.
pub struct Scoped<T>(Arc<T>);

impl<T> Scoped<T> {
    /// It, to keep.
    pub fn into_inner(self) -> Arc<T> {
        self.0
    }
}

impl<T> Clone for Scoped<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Scoped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: 'static> FromRequest for Scoped<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(scoped(request).map(Self))
    }
}

fn scoped<T: 'static>(request: &HttpRequest) -> Result<Arc<T>, Problem> {
    let principal = Principal::of(request)?;
    let organizations = request.app_data::<web::Data<Organizations<T>>>().ok_or_else(|| {
        tracing::error!(of = std::any::type_name::<T>(), "no organisations in the app's data");
        Problem::new(500, "internal.error", "an unexpected error occurred")
    })?;
    let is_default = |organization: &LedgerId| {
        let config = request.app_data::<web::Data<IdentityConfig>>();
        config.map_or_else(|| *organization == LedgerId::main(), |config| config.default_organization() == organization)
    };
    organizations.get(&principal.organization).ok_or_else(|| match principal.via {
        Via::OperatorToken | Via::DevHeaders
            if !is_default(&principal.organization) && !organizations.is_unavailable(&principal.organization) =>
        {
            Problem::not_found("organization.not_found", "there is no organisation of that id")
        }
        _ => Problem::unavailable("organization.unavailable", "the organisation is not open here yet", 1),
    })
}
