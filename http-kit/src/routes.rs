//! What is answered where no handler is: 404, or 405 with the methods that would have been right.
//!
//! Both APIs register handlers of their own for the same paths, one method each, so the router cannot know the others.
//! The OpenAPI documents do.

use std::collections::BTreeSet;

use actix_web::dev::ResourceDef;
use actix_web::http::header::ALLOW;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use utoipa::openapi::OpenApi;

use crate::API_PREFIX;
use crate::problem::Problem;

/// Every documented path with its methods, with and without the prefix.
#[derive(Clone, Default)]
pub struct RouteTable {
    routes: Vec<(ResourceDef, BTreeSet<&'static str>)>,
}

impl RouteTable {
    /// From the documents of the APIs that are mounted.
    pub fn new<'a>(documents: impl IntoIterator<Item = &'a OpenApi>) -> Self {
        let mut routes = Vec::new();
        for (path, item) in documents.into_iter().flat_map(|document| &document.paths.paths) {
            let operations = [
                ("GET", &item.get),
                ("PUT", &item.put),
                ("POST", &item.post),
                ("DELETE", &item.delete),
                ("PATCH", &item.patch),
            ];
            let methods: BTreeSet<_> =
                operations.iter().filter(|(_, operation)| operation.is_some()).map(|(method, _)| *method).collect();
            routes.push((ResourceDef::new(path.as_str()), methods.clone()));
            if let Some(bare) = path.strip_prefix(API_PREFIX).filter(|bare| bare.starts_with('/')) {
                routes.push((ResourceDef::new(bare), methods));
            }
        }
        Self { routes }
    }

    /// The documented methods of `path`; empty where it is nobody's.
    pub fn methods(&self, path: &str) -> BTreeSet<&'static str> {
        self.routes
            .iter()
            .filter(|(pattern, _)| pattern.is_match(path))
            .flat_map(|(_, methods)| methods)
            .copied()
            .collect()
    }
}

/// The handler of everything that no handler took.
pub async fn fallback(request: HttpRequest) -> HttpResponse {
    let table = request.app_data::<web::Data<RouteTable>>();
    let mut methods = table.map(|table| table.methods(request.path())).unwrap_or_default();
    if methods.contains("GET") {
        // No document lists it: see `middleware::answer_head`.
        methods.insert("HEAD");
    }
    if methods.is_empty() {
        return Problem::not_found("request.unknown_route", "there is nothing at this path").error_response();
    }
    let allowed = methods.into_iter().collect::<Vec<_>>().join(", ");
    Problem::new(405, "request.method_not_allowed", format!("this path answers {allowed}"))
        .with_header(ALLOW, allowed)
        .error_response()
}
