//! People of an organisation, made as a newcomer would be: invited, registered, logged in.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::client::Client;
use crate::secrets;
use crate::server::Server;

/// The organisation that is always there.
pub const MAIN: &str = "main";
/// The password of everybody whom a test invents. No test writes it anywhere else, so whoever finds it has found a leak.
pub const PASSWORD: &str = "correct horse battery staple of the tests";

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// Somebody who is logged in.
pub struct Person {
    /// Opaque id.
    pub id: String,
    /// E-mail address.
    pub email: String,
    /// Name.
    pub full_name: String,
    /// The organisation.
    pub organization: String,
    /// Access token.
    pub access_token: String,
    /// Refresh token.
    pub refresh_token: String,
    /// A client with the access token.
    pub client: Client,
}

impl Server {
    /// The operator, acting in an organisation.
    pub fn operator_of(&self, organization: &str) -> Client {
        self.client().in_organization(organization)
    }

    /// Makes an organisation.
    pub async fn organization(&self, id: &str) {
        self.client()
            .post("/v1/organizations", &json!({"id": id, "name": format!("The {id} company")}))
            .await
            .expect(201);
    }

    /// Invites somebody as the operator, registers and logs in.
    pub async fn person(&self, organization: &str, role: &str) -> Person {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let email = format!("{role}.{number}@people.example");
        let full_name = format!("Zyx{number} Wvut{}", std::process::id());
        self.person_named(organization, role, &email, &full_name).await
    }

    /// As [`Server::person`], with an address and a name.
    pub async fn person_named(&self, organization: &str, role: &str, email: &str, full_name: &str) -> Person {
        let mut invitation = json!({"email": email, "role": role});
        if role == "auditor" {
            let soon = chrono::Utc::now() + chrono::Duration::days(30);
            invitation["role_expires_at"] = soon.to_rfc3339_opts(chrono::SecondsFormat::Micros, true).into();
        }
        let invited = self.operator_of(organization).post("/v1/users/invite", &invitation).await.expect(201).json();
        let link = invited["invitation_url"].as_str().unwrap_or_else(|| panic!("no link in {invited}"));
        let token = one_time_token(link);
        secrets::used(token, "a one-time token");
        let registration = json!({"token": token, "password": PASSWORD, "full_name": full_name});
        self.stranger().post("/v1/auth/register", &registration).await.expect(201);
        self.login(organization, email, full_name).await
    }

    /// Logs somebody in who has the password of the tests.
    pub async fn login(&self, organization: &str, email: &str, full_name: &str) -> Person {
        let credentials = json!({"email": email, "password": PASSWORD, "organization_id": organization});
        let answer = self.stranger().post("/v1/auth/login", &credentials).await.expect(200).json();
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("missing in {answer}")).to_owned();
        let (access_token, refresh_token) = (text(&answer["access_token"]), text(&answer["refresh_token"]));
        secrets::used(&access_token, "an access token");
        secrets::used(&refresh_token, "a refresh token");
        Person {
            id: text(&answer["user"]["id"]),
            email: email.to_owned(),
            full_name: full_name.to_owned(),
            organization: organization.to_owned(),
            client: Client::new(self.url(), Some(&access_token)),
            refresh_token,
            access_token,
        }
    }
}

/// The token in a one-time link.
pub fn one_time_token(link: &str) -> &str {
    link.rsplit_once("token=").unwrap_or_else(|| panic!("no token in a link")).1
}
