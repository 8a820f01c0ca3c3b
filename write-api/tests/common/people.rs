//! Who the requests of a test come from: development headers of people who know each other.

use actix_web::http::Method;
use serde_json::Value;

use super::{Answer, Fixture, call};

/// Somebody with a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    pub email: &'static str,
    pub role: &'static str,
}

pub const ANN: Person = Person { email: "ann@example.com", role: "analyst" };
pub const COLIN: Person = Person { email: "colin@example.com", role: "compliance" };
pub const CARLA: Person = Person { email: "carla@example.com", role: "compliance" };
pub const ADA: Person = Person { email: "ada@example.com", role: "admin" };
pub const ADAM: Person = Person { email: "adam@example.com", role: "admin" };
pub const VERA: Person = Person { email: "vera@example.com", role: "viewer" };
pub const AUDREY: Person = Person { email: "audrey@example.com", role: "auditor" };

impl Person {
    pub fn headers(self) -> [(&'static str, &'static str); 2] {
        [("x-user-email", self.email), ("x-user-role", self.role)]
    }

    /// The opaque id that the person is known by.
    pub fn id(self) -> String {
        super::identity().opaque_id(self.email)
    }

    pub async fn post(self, fixture: &Fixture, path: &str, body: Value) -> Answer {
        self.call(fixture, Method::POST, path, &[], body).await
    }

    /// A request with further headers. `null` is no body at all.
    pub async fn call(
        self,
        fixture: &Fixture,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let own = self.headers();
        let all: Vec<(&str, &str)> = own.iter().chain(headers).copied().collect();
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        call(fixture, method, path, &all, body).await
    }
}
