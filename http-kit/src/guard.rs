//! Before a handler: who is asking, and is it one request too many? After it: what of this is to be recorded?

use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, ResponseError, web};
use daybook_ledger::LedgerId;
use daybook_ledger::sequencer::Clock;

use crate::access_log::{ANY_ROUTE, AccessLog, Denied, OTHER_METHOD, PermissionAsked, Read, Refused};
use crate::authenticator::{Authentication, Authenticator, Credentials, ORGANIZATION_ID};
use crate::context::{RequestContext, header};
use crate::middleware::{UNMATCHED, known_method};
use crate::peer::Peer;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::rate_limit::{RATE_LIMITED, RateLimits};

/// What the middleware works with, in the app's data.
pub(crate) struct Guard {
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) access_log: Option<Arc<dyn AccessLog>>,
    pub(crate) limits: RateLimits,
    pub(crate) clock: Clock,
}

/// What is known of a request before it is answered.
struct Asked {
    context: RequestContext,
    method: &'static str,
    peer: Peer,
    at: i64,
    principal: Option<Principal>,
    /// Code and organisation of refused credentials.
    refusal: Option<Problem>,
}

/// Authenticates the request once, counts it, has it answered, and hands on what is to be recorded.
pub(crate) async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let Some(guard) = request.app_data::<web::Data<Guard>>().cloned() else {
        tracing::error!("no guard in the app's data");
        let problem = Problem::new(500, "internal.error", "an unexpected error occurred");
        return Ok(request.into_response(problem.error_response()).map_into_right_body());
    };
    let asked = guard.authenticate(&request).await;
    let allowance = match guard.limits.check(asked.principal.as_ref(), asked.peer.address) {
        Ok(allowance) => allowance,
        Err(problem) => {
            let answer = request.into_response(problem.error_response()).map_into_right_body();
            guard.record_limited(answer.request(), asked);
            return Ok(answer);
        }
    };
    let mut answer = next.call(request).await?.map_into_left_body();
    guard.record(&answer, asked);
    if let Some(allowance) = allowance {
        allowance.write(answer.headers_mut());
    }
    Ok(answer)
}

impl Guard {
    /// Leaves the outcome in the request's extensions.
    async fn authenticate(&self, request: &ServiceRequest) -> Asked {
        let context = RequestContext::of(request.request());
        let peer = Peer::of(request.request());
        let known = match Credentials::of_headers(request.headers()) {
            Ok(read) => {
                let credentials = Credentials {
                    peer: peer.address,
                    request_id: &context.request_id,
                    method: request.method().as_str(),
                    path: request.path(),
                    ..read
                };
                self.authenticator.authenticate(credentials).await
            }
            Err(problem) => Err(problem),
        };
        let known = known.and_then(|principal| match &principal {
            Some(person) if person.is_person() && !self.can_record(person) => Err(Problem::unavailable(
                "access.cannot_record",
                "this process cannot record what people read; ask one that can write",
                5,
            )),
            _ => Ok(principal),
        });
        let asked = Asked {
            method: known_method(request.method().as_str()),
            at: (self.clock)(),
            principal: known.as_ref().ok().cloned().flatten(),
            refusal: known.as_ref().err().filter(|problem| problem.status() == 401).cloned(),
            context,
            peer,
        };
        request.extensions_mut().insert(Authentication(known));
        asked
    }

    fn can_record(&self, person: &Principal) -> bool {
        self.access_log.as_ref().is_none_or(|log| log.can_record(&person.organization))
    }

    /// Of a request that was one too many and had bad credentials: one fact, the same whatever was asked, so that nobody
    /// fills the ledger by asking for many things.
    fn record_limited(&self, request: &HttpRequest, asked: Asked) {
        let (Some(log), Some(refusal)) = (&self.access_log, asked.refusal) else { return };
        log.refused(Refused {
            organization: refusal.organization().cloned().or_else(|| claimed(request)),
            reason: RATE_LIMITED.to_owned(),
            method: OTHER_METHOD,
            route: ANY_ROUTE.to_owned(),
            request_id: asked.context.request_id,
            peer: asked.peer.address,
        });
    }

    fn record<B>(&self, answer: &ServiceResponse<B>, asked: Asked) {
        let Some(log) = &self.access_log else { return };
        let request = answer.request();
        let route = || request.match_pattern().unwrap_or_else(|| UNMATCHED.to_owned());
        let Asked { context, method, peer, at, principal, refusal } = asked;
        if let Some(refusal) = refusal {
            log.refused(Refused {
                organization: refusal.organization().cloned().or_else(|| claimed(request)),
                reason: refusal.code().to_owned(),
                method,
                route: route(),
                request_id: context.request_id,
                peer: peer.address,
            });
            return;
        }
        let Some(Principal { actor, organization, .. }) = principal.as_ref() else { return };
        let (actor, organization) = (actor.clone(), organization.clone());
        let problem = answer.response().error().and_then(|error| error.as_error::<Problem>());
        if let Some(permission) = problem.and_then(Problem::missing_permission) {
            let request_id = context.request_id;
            log.denied(Denied { organization, actor, permission, method, route: route(), request_id });
            return;
        }
        let is_read = matches!(method, "GET" | "HEAD")
            && answer.status().is_success()
            && principal.as_ref().is_some_and(Principal::is_person)
            && request.extensions().contains::<PermissionAsked>();
        if is_read {
            log.read(Read {
                organization,
                actor,
                method,
                route: route(),
                path: request.path().to_owned(),
                query: request.query_string().to_owned(),
                status: answer.status().as_u16(),
                at,
                request_id: context.request_id,
            });
        }
    }
}

/// What the request names is only a claim; the log decides whether there is such an organisation.
fn claimed(request: &HttpRequest) -> Option<LedgerId> {
    header(request.headers(), ORGANIZATION_ID)?.parse().ok()
}
