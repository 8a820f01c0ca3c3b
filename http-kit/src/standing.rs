//! Whether a caller still may, long after the request was let in: for answers that have no end of their own.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, web};

use crate::authenticator::{Authenticator, Credentials};
use crate::context::RequestContext;
use crate::guard::Guard;
use crate::peer::Peer;
use crate::permission::Permission;

/// The credentials of a request, to be asked about again.
pub struct Standing {
    authenticator: Arc<dyn Authenticator>,
    headers: HeaderMap,
    peer: Option<IpAddr>,
    request_id: String,
    path: String,
}

impl Standing {
    /// Of the caller of `request`. `None` where nothing authenticates requests.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let guard = request.app_data::<web::Data<Guard>>()?;
        Some(Self {
            authenticator: Arc::clone(&guard.authenticator),
            headers: request.headers().clone(),
            peer: Peer::of(request).address,
            request_id: RequestContext::of(request).request_id,
            path: request.path().to_owned(),
        })
    }

    /// False once the credentials are refused or no longer come with `P`. While nobody can tell, what was so goes on.
    pub async fn holds<P: Permission>(&self) -> bool {
        let Ok(read) = Credentials::of_headers(&self.headers) else { return false };
        let credentials =
            Credentials { peer: self.peer, request_id: &self.request_id, method: "GET", path: &self.path, ..read };
        match self.authenticator.authenticate(credentials).await {
            Ok(principal) => principal.is_some_and(|principal| principal.holds(P::NAME)),
            Err(problem) => problem.status() == 503,
        }
    }
}
