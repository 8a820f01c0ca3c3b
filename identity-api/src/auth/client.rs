//! Who sends a request before it is known who it is: an address, a program, and the organisation that is meant.

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header::USER_AGENT;
use actix_web::{FromRequest, HttpRequest, web};
use daybook_http_kit::{AccessLog as _, IdentityConfig, Peer, Problem, Refused, RequestContext};
use daybook_ledger::commands::CommandContext;
use daybook_ledger::{Actor, LedgerId};

use crate::state::IdentityState;

/// Most characters of a user agent that are kept.
const MAX_AGENT: usize = 300;
/// The header that names the organisation.
const ORGANIZATION_ID: &str = "x-organization-id";

/// The sender of a request.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// The request's ids.
    pub(crate) request: RequestContext,
    /// Where it comes from.
    pub(crate) address: Option<IpAddr>,
    agent: Option<String>,
    organization: Option<String>,
    default_organization: LedgerId,
    method: &'static str,
    route: String,
}

impl Client {
    /// The organisation that is meant: what the body says or `X-Organization-ID`, else the server's own. Both and
    /// different is a 400.
    /// That there is such an organisation is not said.
    pub(crate) fn organization(&self, body: Option<&str>) -> Result<LedgerId, Problem> {
        let text = match (body, self.organization.as_deref()) {
            (Some(body), Some(header)) if body != header => {
                return Err(Problem::bad_request(
                    "request.contradiction",
                    "organization_id differs between X-Organization-ID and body",
                )
                .at("/organization_id", "differs from the header X-Organization-ID"));
            }
            (Some(text), _) | (None, Some(text)) => text,
            (None, None) => return Ok(self.default_organization.clone()),
        };
        let pointer = if body.is_some() { "/organization_id" } else { "X-Organization-ID" };
        text.parse().map_err(|_| Problem::invalid(pointer, "must match [a-z0-9-]{1,63}"))
    }

    /// Address and program, in one text.
    pub(crate) fn text(&self) -> String {
        let address = self.address.map_or_else(|| "unknown address".to_owned(), |address| address.to_string());
        match &self.agent {
            Some(agent) => format!("{address} {agent}"),
            None => address,
        }
    }

    /// The context of a command that this request causes; no key makes it repeatable.
    pub(crate) fn context(&self, actor: Actor) -> CommandContext {
        CommandContext {
            correlation_id: Some(self.request.correlation_id.clone()),
            request_id: Some(self.request.request_id.clone()),
            ..CommandContext::new(actor)
        }
    }

    /// Has a refused credential recorded.
    pub(crate) fn record_refusal(&self, state: &IdentityState, organization: Option<&LedgerId>, reason: &str) {
        state.recorder.refused(Refused {
            organization: organization.cloned(),
            reason: reason.to_owned(),
            method: self.method,
            route: self.route.clone(),
            request_id: self.request.request_id.clone(),
            peer: self.address,
        });
    }
}

impl FromRequest for Client {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(read(request))
    }
}

fn read(request: &HttpRequest) -> Result<Client, Problem> {
    let organization = match request.headers().get(ORGANIZATION_ID) {
        None => None,
        Some(value) => Some(
            value.to_str().map_err(|_| Problem::invalid("X-Organization-ID", "must match [a-z0-9-]{1,63}"))?.to_owned(),
        ),
    };
    let config = request.app_data::<web::Data<IdentityConfig>>();
    let agent = request.headers().get(USER_AGENT).map(|value| {
        String::from_utf8_lossy(value.as_bytes()).chars().filter(|c| !c.is_control()).take(MAX_AGENT).collect()
    });
    Ok(Client {
        request: RequestContext::of(request),
        address: Peer::of(request).address,
        agent,
        organization,
        default_organization: config.map_or_else(LedgerId::main, |config| config.default_organization().clone()),
        method: known_method(request.method().as_str()),
        route: request.match_pattern().unwrap_or_default(),
    })
}

fn known_method(method: &str) -> &'static str {
    ["GET", "POST", "PUT", "PATCH", "DELETE"].into_iter().find(|known| *known == method).unwrap_or("OTHER")
}
