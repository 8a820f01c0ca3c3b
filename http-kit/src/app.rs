//! The app that both APIs are mounted into, the same in the binary and in tests.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Compress, NormalizePath, from_fn};
use actix_web::{App, Error, HttpRequest, web};

use crate::identity::IdentityConfig;
use crate::json::{BodyLimit, DEFAULT_BODY_LIMIT};
use crate::middleware::{answer_head, observe};
use crate::problem::Problem;
use crate::routes::{RouteTable, fallback};
use crate::telemetry::HttpMetrics;

/// What the app needs to know. Cheap to clone, once a worker.
#[derive(Clone)]
pub struct HttpKit {
    /// Who is believed.
    pub identity: IdentityConfig,
    /// Where requests are counted; nowhere if `None`.
    pub metrics: Option<HttpMetrics>,
    /// Every documented route.
    pub routes: RouteTable,
    /// Most bytes of an ordinary body.
    pub body_limit: usize,
}

impl HttpKit {
    /// With ordinary limits, without metrics.
    pub fn new(identity: IdentityConfig, routes: RouteTable) -> Self {
        Self { identity, metrics: None, routes, body_limit: DEFAULT_BODY_LIMIT }
    }

    /// Counts requests there.
    #[must_use]
    pub fn with_metrics(mut self, metrics: HttpMetrics) -> Self {
        self.metrics = Some(metrics);
        self
    }
}

/// An app with identity, request ids, access log, metrics, security headers, compression, trailing slashes trimmed, `HEAD`
/// wherever `GET` is, and problems for everything that no handler answers. Mount services into it with `configure` or `service`.
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
    App::new()
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
        .wrap(from_fn(observe))
}

fn path_error(error: actix_web::error::PathError, _request: &HttpRequest) -> Error {
    Problem::bad_request("request.invalid_path", error.to_string()).into()
}
