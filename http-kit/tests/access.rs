//! Who is let in, who is turned away, and what is handed on to be recorded.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use common::{Access, Log, get, kit, request, send};
use daybook_http_kit::Secret;
use daybook_http_kit::{HttpKit, IdentityConfig, RouteTable};

#[actix_web::test]
async fn refused_credentials_are_a_401_only_where_somebody_is_asked_for() {
    let (log, kit) = (Log::default(), kit());
    let kit = kit.with_access_log(log.shared());
    let answer = send(&kit, get("/open").insert_header(("authorization", "Bearer wrong"))).await;
    assert_eq!(answer.status, 200);
    let answer = send(&kit, get("/v1/things").insert_header(("authorization", "Bearer wrong"))).await;
    assert_eq!((answer.status, answer.problem()["code"].as_str()), (401, Some("token.unknown")));
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="daybook", error="invalid_token""#));
    let refused = log.refused();
    assert_eq!(refused.len(), 2);
    assert_eq!((refused[0].route.as_str(), refused[1].route.as_str()), ("/open", "/v1/things"));
    assert!(refused.iter().all(|refused| refused.reason == "token.unknown" && refused.organization.is_none()));
}

#[actix_web::test]
async fn request_without_credentials_is_challenged_and_not_recorded() {
    let log = Log::default();
    let answer = send(&kit().with_access_log(log.shared()), get("/things")).await;
    assert_eq!((answer.status, answer.problem()["code"].as_str()), (401, Some("identity.required")));
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="daybook""#));
    assert!(log.refused().is_empty() && log.denied().is_empty() && log.reads().is_empty());
}

#[actix_web::test]
async fn organisation_of_refused_credentials_is_recorded_and_not_answered() {
    let log = Log::default();
    let kit = kit().with_access_log(log.shared());
    let answer = send(&kit, get("/things").insert_header(("authorization", "Bearer expired-of-acme"))).await;
    assert!(!answer.body.contains("acme"), "{}", answer.body);
    let claimed =
        get("/things").insert_header(("authorization", "Basic x")).insert_header(("x-organization-id", "other"));
    send(&kit, claimed).await;
    let named: Vec<_> = log.refused().into_iter().filter_map(|refused| refused.organization).collect();
    assert_eq!(named.iter().map(ToString::to_string).collect::<Vec<_>>(), ["acme", "other"]);
}

#[actix_web::test]
async fn denial_names_the_permission_and_is_recorded_once() {
    let log = Log::default();
    let kit = kit().with_access_log(log.shared());
    for path in ["/v1/things/7/rebuild/", "/things/8/rebuild"] {
        let answer = send(&kit, request(Method::POST, path, "person")).await;
        assert_eq!((answer.status, answer.problem()["code"].as_str()), (403, Some("permission.denied")));
        assert_eq!(answer.problem()["missing_permission"], "projection:rebuild");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.ends_with(r#"error="insufficient_scope", scope="projection:rebuild""#), "{challenge}");
    }
    let denied = log.denied();
    let routes: Vec<_> = denied.iter().map(|denied| denied.route.as_str()).collect();
    assert_eq!(routes, ["/v1/things/{id}/rebuild", "/things/{id}/rebuild"]);
    assert_eq!((denied[0].permission, denied[0].method), ("projection:rebuild", "POST"));
    assert_eq!((denied[0].actor.id.as_str(), denied[0].organization.as_str()), ("usr_1", "acme"));
    // A permission that depends on what is asked is denied in the handler: it is recorded all the same.
    assert_eq!(send(&kit, request(Method::GET, "/contacts", "person")).await.status, 403);
    assert_eq!(log.denied()[2].permission, "user:read_contact");
}

#[actix_web::test]
async fn what_people_read_is_recorded_with_its_query() {
    let log = Log::default();
    let kit = kit().with_access_log(log.shared());
    let first = send(&kit, request(Method::GET, "/v1/things?kind=a%20b", "person")).await;
    send(&kit, request(Method::HEAD, "/things/7", "person")).await;
    let reads = log.reads();
    assert_eq!(reads.len(), 2);
    assert_eq!((reads[0].route.as_str(), reads[0].query.as_str()), ("/v1/things", "kind=a%20b"));
    assert_eq!(Some(reads[0].request_id.as_str()), first.header("x-request-id"));
    assert_eq!(
        (reads[1].method, reads[1].route.as_str(), reads[1].path.as_str()),
        ("HEAD", "/things/{id}", "/things/7")
    );
    assert_eq!((reads[0].actor.id.as_str(), reads[0].organization.as_str(), reads[0].status), ("usr_1", "acme", 200));
    assert!(reads[0].at > 1_600_000_000_000_000);
}

#[actix_web::test]
async fn programs_failures_commands_and_open_routes_are_no_reads() {
    let log = Log::default();
    let kit = kit().with_access_log(log.shared());
    send(&kit, request(Method::GET, "/things", "key")).await;
    send(&kit, request(Method::GET, "/things", "operator")).await;
    send(&kit, request(Method::GET, "/things?unknown=1", "person")).await;
    send(&kit, request(Method::GET, "/nothing", "person")).await;
    send(&kit, request(Method::GET, "/open", "person")).await;
    send(&kit, request(Method::POST, "/things", "person")).await;
    assert_eq!(log.reads(), []);
}

#[actix_web::test]
async fn nobody_reads_where_it_cannot_be_recorded() {
    let log = Log::that_cannot_record();
    let kit = kit().with_access_log(log.shared());
    let answer = send(&kit, request(Method::GET, "/things", "person")).await;
    assert_eq!((answer.status, answer.problem()["code"].as_str()), (503, Some("access.cannot_record")));
    assert!(answer.header("retry-after").is_some());
    for (path, token) in [("/things", "operator"), ("/things", "key"), ("/open", "person")] {
        assert_eq!(send(&kit, request(Method::GET, path, token)).await.status, 200, "{path} {token}");
    }
}

#[actix_web::test]
async fn each_organisation_finds_its_own() {
    let kit = kit();
    assert_eq!(send(&kit, request(Method::GET, "/whose", "person")).await.body, "acme's");
    assert_eq!(send(&kit, request(Method::GET, "/whose", "operator")).await.body, "main's");
    let named = |id: &'static str| request(Method::GET, "/whose", "operator").insert_header(("x-organization-id", id));
    assert_eq!(send(&kit, named("acme")).await.body, "acme's");
    let answer = send(&kit, named("nowhere")).await;
    assert_eq!((answer.status, answer.problem()["code"].as_str()), (404, Some("organization.not_found")));
    assert_eq!(send(&kit, named("No")).await.status, 400);
    let answer = send(&kit, request(Method::GET, "/whose", "person-of-closed")).await;
    assert_eq!((answer.status, answer.problem()["code"].as_str()), (503, Some("organization.unavailable")));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(!answer.body.contains("closed"), "{}", answer.body);
    assert_eq!(send(&kit, get("/whose")).await.status, 401);
}

#[actix_web::test]
async fn permission_within_departments_comes_with_their_names() {
    let kit = kit();
    assert_eq!(send(&kit, request(Method::GET, "/within", "person")).await.body, "Organization");
    assert_eq!(send(&kit, request(Method::GET, "/within", "desk")).await.body, r#"Departments(["Equities"])"#);
    assert_eq!(send(&kit, request(Method::GET, "/things", "desk")).await.status, 403);
    assert_eq!(send(&kit, request(Method::GET, "/within", "nobody")).await.status, 403);
}

#[actix_web::test]
async fn person_on_whose_behalf_one_acts_is_an_opaque_id() {
    let kit = kit();
    let ask = |person: &'static str| request(Method::POST, "/things", "key").insert_header(("x-on-behalf-of", person));
    assert_eq!(send(&kit, ask("usr_9")).await.body, "usr_9");
    assert_eq!(send(&kit, ask("known@example.com")).await.body, "usr_known");
    let other = send(&kit, ask("other@example.com")).await.body;
    assert_eq!(other, IdentityConfig::new(None, false).opaque_id("other@example.com"));
    assert_eq!(send(&kit, ask("two words")).await.status, 400);
}

#[actix_web::test]
async fn metrics_are_answered_to_whom_they_belong() {
    let closed = kit();
    assert_eq!(send(&closed, get("/metrics")).await.status, 401);
    let all = send(&closed, request(Method::GET, "/metrics", "operator")).await.body;
    assert!(all.contains("acme") && all.contains("other"), "{all}");
    let own = send(&closed, request(Method::GET, "/metrics", "person")).await.body;
    assert!(own.contains(r#"ledger="acme""#) && !own.contains("other"), "{own}");
    assert_eq!(send(&closed, request(Method::GET, "/metrics", "nobody")).await.status, 403);
    let open = common::send_with(&closed, Access::Open, get("/metrics")).await;
    assert!(open.status == 200 && open.body.contains("other"));
    let refused = get("/metrics").insert_header(("authorization", "Bearer wrong"));
    assert_eq!(common::send_with(&closed, Access::Open, refused).await.status, 401);
}

#[actix_web::test]
async fn kit_alone_believes_the_operator_and_nobody_else() {
    let identity = IdentityConfig::new(Some(Secret::new("operator")), false);
    let kit = HttpKit::new(identity, RouteTable::default());
    assert_eq!(send(&kit, request(Method::GET, "/whose", "operator")).await.body, "main's");
    assert_eq!(send(&kit, request(Method::GET, "/things", "person")).await.status, 401);
    let developer: TestRequest =
        get("/things").insert_header(("x-user-email", "a@example.com")).insert_header(("x-user-role", "admin"));
    assert_eq!(send(&kit, developer).await.problem()["code"], "identity.required");
}
