//! Two organisations in one process: nothing of one is in any answer to the other.

use daybook_domain::incident::Severity;
use daybook_http_kit::{HttpKit, IdentityConfig, Organizations, RouteTable};
use daybook_ledger::LedgerId;
use daybook_query_api::QueryState;

use crate::world::{Answer, World};

async fn two() -> (World, World, Organizations<QueryState>) {
    let other: LedgerId = "zebra".parse().unwrap();
    let (main, zebra) = (World::new().await, World::of(other.clone()).await);
    main.ten().await;
    zebra.open("inc_zebra", "Zebra crossing", Severity::High).await;
    zebra.catch_up().await;
    let organizations = Organizations::single(LedgerId::main(), main.state.clone());
    organizations.insert(other, zebra.state.clone().into());
    (main, zebra, organizations)
}

async fn ask(organizations: &Organizations<QueryState>, organization: &str, path: &str) -> Answer {
    let kit = HttpKit::new(IdentityConfig::new(None, true), RouteTable::default());
    let headers = [
        ("x-user-email", "admin@example.com"),
        ("x-user-role", "admin"),
        ("x-organization-id", organization),
        ("x-request-id", "same"),
    ];
    Answer::of(World::call_in(kit, organizations.clone(), "GET", path, &headers).await).await
}

#[actix_web::test]
async fn lists_have_what_is_the_organisations_own() {
    let (_main, _zebra, organizations) = two().await;
    for path in [
        "/v1/incidents?count=true",
        "/v1/transactions?count=true",
        "/v1/audit-trail",
        "/v1/stats/summary",
        "/v1/ledgers",
        "/v1/ledgers/main/entries",
        "/v1/projections",
        "/v1/health/ready",
        "/v1/",
    ] {
        let answer = ask(&organizations, "main", path).await;
        assert!(!answer.text().to_lowercase().contains("zebra"), "{path}: {}", answer.text());
    }
    let ledgers = ask(&organizations, "zebra", "/v1/ledgers").await.json();
    assert_eq!((ledgers[0]["ledger_id"].as_str(), ledgers[0]["size"].as_u64()), (Some("zebra"), Some(1)));
}

#[actix_web::test]
async fn guessed_ids_of_another_organisation_are_answered_as_unknown_ones() {
    let (_main, _zebra, organizations) = two().await;
    for (guessed, unknown) in [
        ("/v1/incidents/inc_zebra", "/v1/incidents/inc_other"),
        ("/v1/incidents/inc_zebra/timeline", "/v1/incidents/inc_other/timeline"),
        ("/v1/ledgers/zebra/head", "/v1/ledgers/other/head"),
        ("/v1/ledgers/zebra/entries", "/v1/ledgers/other/entries"),
        ("/v1/ledgers/zebra/entries/0", "/v1/ledgers/other/entries/0"),
        ("/v1/ledgers/zebra/streams/incident/inc_zebra", "/v1/ledgers/other/streams/incident/inc_zebra"),
        ("/v1/ledgers/zebra/checkpoint", "/v1/ledgers/other/checkpoint"),
        ("/v1/ledgers/zebra/tile/0/000", "/v1/ledgers/other/tile/0/000"),
        ("/v1/ledgers/zebra/keys", "/v1/ledgers/other/keys"),
        ("/v1/ledgers/zebra/bundle", "/v1/ledgers/other/bundle"),
    ] {
        let (guessed, unknown) =
            (ask(&organizations, "main", guessed).await, ask(&organizations, "main", unknown).await);
        assert_eq!(guessed.status, unknown.status);
        assert_eq!(guessed.text().replace("zebra", "other"), unknown.text());
        assert!(guessed.status == 404 || guessed.json()["total"] == 0, "{}", guessed.text());
    }
    assert_eq!(ask(&organizations, "zebra", "/v1/incidents/inc_zebra").await.status, 200);
}

#[actix_web::test]
async fn readiness_of_several_organisations_names_none_and_counts_nothing() {
    let (_main, _zebra, organizations) = two().await;
    let ready = ask(&organizations, "main", "/v1/health/ready").await.json();
    assert_eq!(ready["status"], "ready");
    for check in ready["checks"].as_array().unwrap() {
        assert_eq!(check["detail"], "as it should be", "{check}");
    }
    let none = ask(&Organizations::new(), "main", "/v1/health/ready").await;
    assert_eq!((none.status, none.json()["checks"][0]["name"].as_str()), (503, Some("organizations")));
}
