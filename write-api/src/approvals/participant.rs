//! Whoever may say something to a request: it takes one of two permissions.

use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use daybook_http_kit::permission::{ApprovalDecide, ApprovalRequest};
use daybook_http_kit::{Principal, Problem};

/// A caller who may ask for approvals or decide on them. Extracting it answers 401 to the unknown and 403 to those who may
/// do neither.
#[derive(Debug)]
pub(super) struct Participant(Principal);

impl Deref for Participant {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0
    }
}

impl FromRequest for Participant {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(Principal::of(request).and_then(|principal| {
            if !principal.access.allows::<ApprovalRequest>() {
                principal.require::<ApprovalDecide>()?;
            }
            Ok(Self(principal))
        }))
    }
}
