//! A caller that is known: who, of which organisation, shown how, and with what access.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use daybook_ledger::entry::ActorKind;
use daybook_ledger::{Actor, LedgerId};

use crate::authenticator::Authentication;
use crate::permission::Permission;
use crate::permission_set::PermissionSet;
use crate::problem::Problem;

/// How a caller showed who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The operator's token.
    OperatorToken,
    /// `x-user-email` and `x-user-role`, under development authentication.
    DevHeaders,
    /// An access token of a session.
    Session,
    /// An API key.
    ApiKey,
}

/// What a caller may do in its organisation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// What holds in the whole organisation.
    pub permissions: PermissionSet,
    /// What holds within departments only.
    pub departments: Vec<DepartmentAccess>,
}

/// What a caller may do within one department.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepartmentAccess {
    /// The department's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What holds there. Departments below it have entries of their own.
    pub permissions: PermissionSet,
}

impl Access {
    /// Access to the whole organisation.
    pub fn everywhere(permissions: PermissionSet) -> Self {
        Self { permissions, departments: Vec::new() }
    }

    /// True where `P` holds in the whole organisation.
    pub fn allows<P: Permission>(&self) -> bool {
        self.permissions.contains::<P>()
    }
}

/// A caller that is known. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who, for the ledger. The id is opaque.
    pub actor: Actor,
    /// In which organisation.
    pub organization: LedgerId,
    /// Names of the roles that it has in the whole organisation, the strongest first.
    pub roles: Arc<[String]>,
    /// What it may do.
    pub access: Arc<Access>,
    /// Shown how.
    pub via: Via,
    /// The session, where there is one.
    pub session_id: Option<String>,
}

impl Principal {
    /// The caller of `request`, or a 401; 503 where nobody can say who it is.
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        Self::optional(request)?.ok_or_else(|| Problem::unauthorized("identity.required", "authentication is required"))
    }

    /// The caller of `request`; `None` where it shows no credentials, a 401 where they are refused.
    pub fn optional(request: &HttpRequest) -> Result<Option<Self>, Problem> {
        match request.extensions().get::<Authentication>() {
            Some(Authentication(known)) => known.clone(),
            None => {
                tracing::error!("a request came to its handler without having been authenticated");
                Err(Problem::new(500, "internal.error", "an unexpected error occurred"))
            }
        }
    }

    /// True for the operator, who holds every permission in any organisation.
    pub fn is_operator(&self) -> bool {
        self.via == Via::OperatorToken
    }

    /// True for people, whose reads are recorded.
    pub fn is_person(&self) -> bool {
        self.actor.kind == ActorKind::Human
    }

    /// True where it holds the permission of this name in the whole organisation.
    pub fn holds(&self, name: &str) -> bool {
        self.access.permissions.contains_name(name)
    }

    /// Checks a permission that depends on what the request says; a 403 names it.
    pub fn require<P: Permission>(&self) -> Result<(), Problem> {
        if self.access.allows::<P>() { Ok(()) } else { Err(Problem::forbidden(P::NAME)) }
    }

    /// The person's id, where it is one.
    pub fn user_id(&self) -> Option<&str> {
        self.is_person().then_some(self.actor.id.as_str())
    }

    /// The strongest of its roles; `none` where it has none.
    pub fn role(&self) -> &str {
        self.roles.first().map_or("none", String::as_str)
    }
}

impl FromRequest for Principal {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}
