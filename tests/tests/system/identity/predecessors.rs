//! The predecessors' calls, in their own shapes.

use daybook_tests::people::{MAIN, PASSWORD};
use daybook_tests::{Options, Server, Store, both_stores};
use serde_json::json;

both_stores!(accounts_are_made_and_used_as_the_predecessors_clients_do);

async fn accounts_are_made_and_used_as_the_predecessors_clients_do(store: &Store) {
    let options = Options { arguments: vec!["--open-registration".to_owned()], ..Options::default() };
    let server = Server::start_with(store, options).await;
    let stranger = server.stranger();

    // curl -X POST "…/auth/register?email=…&password=…&full_name=…&role=analyst"
    let query = "email=newcomer%40example.com&password=a-long-enough-password&full_name=New%20Comer&role=admin";
    let registered =
        stranger.send(stranger.request("POST", &format!("/auth/register?{query}"))).await.expect(201).json();
    assert_eq!(
        (registered["email"].as_str(), registered["role"].as_str()),
        (Some("newcomer@example.com"), Some("viewer"))
    );
    let again = stranger.send(stranger.request("POST", &format!("/auth/register?{query}"))).await;
    assert_eq!(again.expect_problem(400), "auth.email_taken");

    let credentials = json!({"email": "newcomer@example.com", "password": "a-long-enough-password"});
    let login = stranger.post("/auth/login", &credentials).await.expect(200).json();
    assert_eq!(login["token_type"], "bearer");
    assert!(login["expires_in"].as_u64().is_some_and(|seconds| seconds > 0 && seconds <= 900), "{login}");
    assert_eq!(login["user"]["email"], "newcomer@example.com");
    assert_eq!(login["user"]["full_name"], "New Comer");
    assert_eq!(login["user"]["role"], "viewer");
    let token = login["access_token"].as_str().unwrap();
    let newcomer = daybook_tests::Client::new(server.url(), Some(token));
    let own = newcomer.get("/auth/me/permissions").await.expect(200).json();
    assert_eq!((own["user_id"].clone(), own["role"].clone()), (login["user"]["id"].clone(), json!("viewer")));
    let wrong = json!({"email": "newcomer@example.com", "password": "not the password at all"});
    assert_eq!(stranger.post("/auth/login", &wrong).await.expect_problem(401), "auth.invalid_credentials");

    let roles = stranger.get("/auth/roles").await.expect(200).json();
    let first = |role: &str| {
        let held = roles[role]["permissions"].as_array().unwrap();
        assert_eq!(roles[role]["permission_count"], held.len());
        PREDECESSORS.iter().filter(|name| held.iter().any(|held| held == *name)).count()
    };
    assert_eq!((first("admin"), first("compliance"), first("analyst"), first("viewer")), (25, 16, 8, 4));

    // PUT /auth/users/{id}/role?role= and /deactivate
    let admin = server.person(MAIN, "admin").await;
    let id = login["user"]["id"].as_str().unwrap();
    let put = async |path: String| admin.client.send(admin.client.request("PUT", &path)).await;
    let changed = put(format!("/auth/users/{id}/role?role=analyst")).await.expect(200).json();
    assert_eq!((changed["old_role"].as_str(), changed["new_role"].as_str()), (Some("viewer"), Some("analyst")));
    assert_eq!(newcomer.get("/auth/me/permissions").await.expect(200).json()["role"], "analyst");
    let gone = put(format!("/auth/users/{id}/deactivate")).await.expect(200).json();
    assert_eq!(gone["is_active"], false);
    newcomer.get("/auth/me").await.expect(401);
    assert_eq!(put(format!("/auth/users/{}/deactivate", admin.id)).await.status, 400);
    let viewer = server.person(MAIN, "viewer").await;
    let refused = viewer.client.send(viewer.client.request("PUT", &format!("/auth/users/{id}/role?role=admin"))).await;
    refused.expect_problem(403);
    assert!(refused.body.contains("user:role_assign"), "{}", refused.body);
    store.verified().await;
}

/// The 25 permissions of the first predecessor.
const PREDECESSORS: [&str; 25] = [
    "user:create",
    "user:update",
    "user:delete",
    "user:role_assign",
    "user:list",
    "compliance:read",
    "compliance:resolve",
    "compliance:export",
    "agent:read",
    "agent:approve",
    "agent:reject",
    "agent:triage",
    "model:read",
    "model:drift_check",
    "model:retrain",
    "model:config",
    "transaction:read",
    "transaction:create",
    "anomaly:read",
    "anomaly:train",
    "system:metrics_read",
    "system:config",
    "audit:read",
    "explain:read",
    "explain:batch",
];

both_stores!(registration_is_closed_unless_it_was_opened);

async fn registration_is_closed_unless_it_was_opened(store: &Store) {
    let server = Server::start(store).await;
    let wish = json!({"email": "anybody@example.com", "password": PASSWORD, "full_name": "Any Body", "role": "admin"});
    let stranger = server.stranger();
    assert_eq!(stranger.post("/auth/register", &wish).await.expect_problem(403), "auth.registration_closed");
    // Headers that say who one is are believed under --dev-auth only.
    let claimed =
        stranger.request("GET", "/users").header("x-user-email", "a@example.com").header("x-user-role", "admin");
    stranger.send(claimed).await.expect_problem(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn development_headers_work_as_they_did() {
    let store = Store::sqlite();
    let server = Server::start_with(&store, Options { dev_auth: true, ..Options::default() }).await;
    let stranger = server.stranger();
    let ask = async |path: &str, email: &str, role: &str| {
        stranger.send(stranger.request("GET", path).header("x-user-email", email).header("x-user-role", role)).await
    };
    let own = ask("/auth/me/permissions", "unknown@example.com", "compliance").await.expect(200).json();
    assert_eq!(own["role"], "compliance");
    // Somebody known is who he is, and not more.
    let person = server.person(MAIN, "analyst").await;
    let known = ask("/auth/me/permissions", &person.email, "analyst").await.expect(200).json();
    assert_eq!(known["user_id"], person.id.as_str());
    assert_eq!(ask("/auth/me/permissions", &person.email, "admin").await.expect_problem(401), "identity.role_mismatch");
}
