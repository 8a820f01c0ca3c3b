//! The app that both APIs are mounted into, the same in the binary and in tests.

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Compress, Condition, NormalizePath, from_fn};
use actix_web::{App, Error, HttpRequest, web};

use daybook_ledger::sequencer::{Clock, system_clock};

use crate::access_log::AccessLog;
use crate::authenticator::Authenticator;
use crate::cors::{Cors, name_refusals};
use crate::guard::{Guard, guard};
use crate::identity::IdentityConfig;
use crate::json::{BodyLimit, DEFAULT_BODY_LIMIT};
use crate::middleware::{answer_head, observe};
use crate::peer::TrustedProxies;
use crate::problem::Problem;
use crate::rate_limit::RateLimits;
use crate::routes::{RouteTable, fallback};
use crate::telemetry::HttpMetrics;

/// What the app needs to know. Cheap to clone, once a worker.
#[derive(Clone)]
pub struct HttpKit {
    /// Says who is asking.
    pub authenticator: Arc<dyn Authenticator>,
    /// The operator's token, development headers, and opaque ids.
    pub identity: IdentityConfig,
    /// Where denials, refused credentials and people's reads go; nowhere if `None`.
    pub access_log: Option<Arc<dyn AccessLog>>,
    /// How many requests a caller may make.
    pub limits: RateLimits,
    /// The origins whose pages may call.
    pub cors: Cors,
    /// The proxies whose forwarding headers are believed.
    pub trusted_proxies: TrustedProxies,
    /// Where requests are counted; nowhere if `None`.
    pub metrics: Option<HttpMetrics>,
    /// Every documented route.
    pub routes: RouteTable,
    /// Most bytes of an ordinary body.
    pub body_limit: usize,
    /// The time, for the record of reads.
    pub clock: Clock,
}

impl HttpKit {
    /// Believes `identity` alone, with ordinary limits; records and measures nothing, and lets no other origin call.
    pub fn new(identity: IdentityConfig, routes: RouteTable) -> Self {
        Self {
            authenticator: Arc::new(identity.clone()),
            identity,
            access_log: None,
            limits: RateLimits::default(),
            cors: Cors::default(),
            trusted_proxies: TrustedProxies::default(),
            metrics: None,
            routes,
            body_limit: DEFAULT_BODY_LIMIT,
            clock: system_clock(),
        }
    }

    /// Believes whom the authenticator believes.
    #[must_use]
    pub fn with_authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = authenticator;
        self
    }

    /// Has denials, refused credentials and people's reads recorded.
    #[must_use]
    pub fn with_access_log(mut self, access_log: Arc<dyn AccessLog>) -> Self {
        self.access_log = Some(access_log);
        self
    }

    /// With other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: RateLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Lets pages of other origins call.
    #[must_use]
    pub fn with_cors(mut self, cors: Cors) -> Self {
        self.cors = cors;
        self
    }

    /// Believes the forwarding headers of these proxies.
    #[must_use]
    pub fn with_trusted_proxies(mut self, trusted_proxies: TrustedProxies) -> Self {
        self.trusted_proxies = trusted_proxies;
        self
    }

    /// Counts requests there.
    #[must_use]
    pub fn with_metrics(mut self, metrics: HttpMetrics) -> Self {
        self.metrics = Some(metrics);
        self
    }
}

/// An app with identity, limits, request ids, access log, metrics, security headers, compression, trailing slashes
/// trimmed, `HEAD` wherever `GET` is, and problems for everything that no handler answers. Mount services into it with
/// `configure` or `service`.
///
/// Handlers that stream live data set `Content-Encoding: identity`, or compression holds their frames back.
pub fn app(
    kit: &HttpKit,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    let kit = kit.clone();
    let guarding =
        Guard { authenticator: kit.authenticator, access_log: kit.access_log, limits: kit.limits, clock: kit.clock };
    let (cors, is_cross_origin) = (kit.cors.middleware(), kit.cors.is_on());
    App::new()
        .app_data(web::Data::new(guarding))
        .app_data(web::Data::new(kit.trusted_proxies))
        .app_data(web::Data::new(kit.identity))
        .app_data(web::Data::new(kit.routes))
        .app_data(BodyLimit(kit.body_limit))
        .app_data(web::PathConfig::default().error_handler(path_error))
        .configure(move |services| {
            if let Some(metrics) = kit.metrics {
                services.app_data(web::Data::new(metrics));
            }
        })
        .default_service(web::to(fallback))
        .wrap(NormalizePath::trim())
        .wrap(Compress::default())
        .wrap(from_fn(answer_head))
        .wrap(from_fn(guard))
        // Preflights have no credentials: they are answered before anybody is asked for them.
        .wrap(Condition::new(is_cross_origin, cors))
        .wrap(from_fn(name_refusals))
        .wrap(from_fn(observe))
}

fn path_error(error: actix_web::error::PathError, _request: &HttpRequest) -> Error {
    Problem::bad_request("request.invalid_path", error.to_string()).into()
}
