//! The pages behind one-time links: registering, a new password, confirming an address. Plain HTML, one script and one
//! style sheet of ours. The token stands behind `#`, so no server and no log ever sees it in an address.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, HttpResponseBuilder};

/// The page loads and calls nothing but this server, and nothing may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .route("/register", web::get().to(register))
        .route("/reset-password", web::get().to(reset_password))
        .route("/confirm-email", web::get().to(confirm_email))
        .route("/pages/one-time.js", web::get().to(script))
        .route("/pages/one-time.css", web::get().to(style));
}

async fn register() -> HttpResponse {
    page().body(include_str!("register.html"))
}

async fn reset_password() -> HttpResponse {
    page().body(include_str!("reset-password.html"))
}

async fn confirm_email() -> HttpResponse {
    page().body(include_str!("confirm-email.html"))
}

async fn script() -> HttpResponse {
    part("text/javascript; charset=utf-8").body(include_str!("one-time.js"))
}

async fn style() -> HttpResponse {
    part("text/css; charset=utf-8").body(include_str!("one-time.css"))
}

fn page() -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_SECURITY_POLICY, POLICY)).content_type(ContentType::html());
    answer
}

fn part(kind: &'static str) -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CACHE_CONTROL, "no-cache")).content_type(kind);
    answer
}
