//! Requests for approval: lists, details, histories, inboxes, figures, policies and delegations.

use daybook_domain::approval::{ApprovalCommand, Decision, KnownAction};
use daybook_domain::delegation::{Delegation, DelegationCommand, Given};
use daybook_domain::names::DelegationId;
use daybook_domain::personal::PersonalText;
use daybook_domain::text::{Paragraph, RemarkId};
use daybook_ledger::Actor;
use daybook_ledger::commands::{CommandContext, Commands};
use daybook_ledger::cqrs::StreamPolicy;
use serde_json::{Value, json};

use crate::decisions::{Decisions, actor, at, developer};
use crate::world::World;

/// Three requests: one that waits since 2026-11-21, one that was approved, one that was rejected.
async fn three() -> World {
    let world = World::deciding().await;
    let decisions = Decisions::of(&world);
    decisions.open("apr_1", KnownAction::ExportTransactions, "usr_1", 0).await;
    decisions.open("apr_2", KnownAction::AgentTriage, "usr_2", 1).await;
    decisions.open("apr_3", KnownAction::ExportUsers, "usr_1", 2).await;
    decisions.vote("apr_2", "usr_9", Decision::Approve, 3).await;
    decisions.vote("apr_3", "usr_8", Decision::Reject, 6).await;
    world
}

fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["approval_id"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn lists_are_filtered_and_paged_newest_first() {
    let world = three().await;
    for (query, expected) in [
        ("", vec!["apr_3", "apr_2", "apr_1"]),
        ("status=pending", vec!["apr_1"]),
        ("status=escalated", vec![]),
        ("status=Approved&action=agent.triage", vec!["apr_2"]),
        ("resource_type=user_export&resource_id=of-apr_3", vec!["apr_3"]),
        ("requested_by=usr_1", vec!["apr_3", "apr_1"]),
        ("decided_by=usr_9", vec!["apr_2"]),
        ("assignee=usr_9", vec![]),
        ("overdue=false&status=rejected", vec!["apr_3"]),
        ("start=2026-11-21&end=2026-11-21&limit=1", vec!["apr_3"]),
        ("end=2026-11-20", vec![]),
    ] {
        let list = world.get(&format!("/v1/approvals?{query}")).await;
        assert_eq!(list.status, 200, "{query}: {}", list.text());
        assert_eq!(ids(&list.json()), expected, "{query}");
    }
    for bad in ["status=maybe", "overdue=perhaps", "colour=red", "start=x", "end=2026-11-20&start=2026-11-21"] {
        assert_eq!(world.get(&format!("/v1/approvals?{bad}")).await.status, 400, "{bad}");
    }
    let first = world.get("/v1/approvals?limit=2&count=true").await.json();
    assert_eq!((ids(&first), &first["total"]), (vec!["apr_3", "apr_2"], &json!(3)));
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = world.get(&format!("/v1/approvals?limit=2&cursor={cursor}")).await.json();
    assert_eq!((ids(&rest), &rest["next_cursor"]), (vec!["apr_1"], &Value::Null));
}

#[actix_web::test]
async fn detail_says_what_is_to_be_done_who_voted_and_what_is_missing() {
    let world = three().await;
    let answer = world.get("/v1/approvals/apr_1").await;
    assert_eq!((answer.status, answer.header("etag").as_deref()), (200, Some("\"2\"")));
    let approval = answer.json();
    assert_eq!((&approval["id"], &approval["status"]), (&json!("apr_1"), &json!("pending")));
    assert_eq!((&approval["parameters"], &approval["revision"]), (&json!({"format": "csv"}), &json!(1)));
    assert_eq!(approval["still_needed"][0]["votes"], 1);
    assert_eq!(approval["policy"]["version"], 0);
    assert_eq!(approval["digest"].as_str().unwrap().len(), 64);
    assert_eq!(approval["overdue_at"], at(24).to_string());
    assert_eq!((&approval["version"], &approval["first_position"]), (&json!(2), &json!(0)));

    let decided = world.get("/approvals/apr_2").await.json();
    assert_eq!((&decided["status"], &decided["decided_by"]), (&json!("approved"), &json!("usr_9")));
    assert_eq!(decided["votes"][0]["decision"], "approve");
    assert_eq!((&decided["is_overdue"], &decided["overdue_at"]), (&json!(false), &Value::Null));
    for unknown in ["/v1/approvals/apr_x", "/v1/approvals/apr_x/history"] {
        assert_eq!(world.get(unknown).await.json()["code"], "approval.not_found");
    }
    assert_eq!(world.get_as("viewer", "/v1/approvals").await.json()["missing_permission"], "approval:read");
}

#[actix_web::test]
async fn history_tells_every_event_oldest_first() {
    let world = three().await;
    let comment = ApprovalCommand::Comment {
        comment_id: RemarkId::parse("", "cmt_1").unwrap(),
        by: actor("usr_2"),
        text: PersonalText::Clear(Paragraph::parse("", "Which rows?").unwrap()),
    };
    let position = Decisions::of(&world).execute("apr_1", "usr_2", comment).await;
    let history = world.get("/v1/approvals/apr_1/history").await.json();
    let told: Vec<_> =
        history["items"].as_array().unwrap().iter().map(|step| step["event_type"].as_str().unwrap()).collect();
    assert_eq!((told, &history["total"]), (vec!["requested", "submitted", "commented"], &json!(3)));
    let last = &history["items"][2];
    assert_eq!(
        (&last["comment"], &last["actor_id"], &last["id"]),
        (&json!("Which rows?"), &json!("usr_2"), &json!(position))
    );
    assert_eq!((&last["from_status"], &last["to_status"]), (&json!("pending"), &json!("pending")));
    let part = world.get("/v1/approvals/apr_1/history?offset=1&limit=1").await.json();
    assert_eq!((&part["items"][0]["event_type"], &part["total"]), (&json!("submitted"), &json!(3)));
    for query in ["limit=0", "limit=501", "offset=-1"] {
        assert_eq!(world.get(&format!("/v1/approvals/apr_1/history?{query}")).await.status, 400, "{query}");
    }
}

#[actix_web::test]
async fn older_clients_get_a_bare_list_in_their_words() {
    let world = three().await;
    Decisions::of(&world).execute("apr_1", "system", ApprovalCommand::Tick { at: at(25) }).await;
    let list = |query: &str| {
        let path = format!("/approval/?{query}");
        let world = &world;
        async move { world.get(&path).await.json() }
    };
    let all = list("").await;
    let told: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|request| (request["id"].as_str().unwrap(), request["status"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("apr_3", "rejected"), ("apr_2", "approved"), ("apr_1", "escalated")]);
    for field in [
        "id",
        "resource_type",
        "resource_id",
        "requested_by",
        "status",
        "reason",
        "decision_by",
        "decision_reason",
        "created_at",
        "decided_at",
        "meta",
    ] {
        assert!(all[0].get(field).is_some(), "{field}");
    }
    assert_eq!((&all[0]["decision_by"], &all[0]["decision_reason"]), (&json!("usr_8"), &json!("Because")));
    for (query, count) in [
        ("status=pending", 1),
        ("status=escalated", 1),
        ("status=approved", 1),
        ("status=rejected&resource_type=user_export", 1),
        ("resource_type=user_export&resource_id=x", 0),
        ("limit=1", 1),
    ] {
        assert_eq!(list(query).await.as_array().unwrap().len(), count, "{query}");
    }
    assert_eq!(world.get("/approval/?status=consumed").await.status, 400);
}

#[actix_web::test]
async fn inbox_has_what_the_caller_can_decide_and_why_not_the_rest() {
    let world = three().await;
    let me = developer("admin@example.com");
    Decisions::of(&world).open("apr_4", KnownAction::AgentTriage, &me, 3).await;
    let inbox = world.get("/v1/approvals/inbox").await.json();
    let items = inbox["items"].as_array().unwrap();
    assert_eq!((items.len(), &inbox["total"], &inbox["eligible"]), (1, &json!(1), &json!(1)));
    assert_eq!(items[0]["approval"]["approval_id"], "apr_1");
    assert_eq!(
        (&items[0]["is_eligible"], &items[0]["step"], &items[0]["kind"]),
        (&json!(true), &json!(1), &json!("decision"))
    );
    assert_eq!(items[0]["due"], at(72).to_string());

    let all = world.get("/v1/approvals/inbox?include=others").await.json();
    assert_eq!((&all["total"], &all["eligible"]), (&json!(2), &json!(1)));
    let own = &all["items"][1];
    assert_eq!((&own["approval"]["approval_id"], &own["is_eligible"]), (&json!("apr_4"), &json!(false)));
    assert_eq!(own["reason"]["code"], "approval.self_approval");
    assert!(!own["reason"]["detail"].as_str().unwrap().is_empty());
    // The auditor reads everything and decides nothing.
    let auditor = world.get_as("auditor", "/v1/approvals/inbox?include=others").await.json();
    assert_eq!((&auditor["total"], &auditor["eligible"]), (&json!(2), &json!(0)));
    assert_eq!(world.get("/v1/approvals/inbox?include=all").await.status, 400);
    let page = world.get("/v1/approvals/inbox?include=others&offset=1&limit=1").await.json();
    assert_eq!(page["items"][0]["approval"]["approval_id"], "apr_4");
}

#[actix_web::test]
async fn process_that_knows_no_people_says_so() {
    let world = World::new().await;
    for path in ["/v1/approvals/inbox", "/v1/approval-policies", "/v1/approval-policies/agent.triage"] {
        let answer = world.get(path).await;
        assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("approvals.elsewhere")), "{path}");
    }
}

#[actix_web::test]
async fn figures_can_be_counted_again_from_the_lists() {
    let world = three().await;
    let metrics = world.get("/v1/approvals/metrics").await.json();
    assert_eq!(
        (&metrics["total"], &metrics["by_status"]),
        (&json!(3), &json!({"approved": 1, "pending": 1, "rejected": 1}))
    );
    for (status, count) in metrics["by_status"].as_object().unwrap() {
        let list = world.get(&format!("/v1/approvals?status={status}&count=true")).await.json();
        assert_eq!(&list["total"], count, "{status}");
    }
    let overdue = world.get("/v1/approvals?overdue=true&count=true").await.json();
    assert_eq!(metrics["overdue"], overdue["total"]);
    assert_eq!(metrics["by_action"][0], json!({"action": "agent.triage", "total": 1, "by_status": {"approved": 1}}));
    assert_eq!(
        metrics["time_to_decide"],
        json!({"count": 2, "mean_seconds": 10_800.0, "p50_seconds": 7_200.0, "p90_seconds": 14_400.0})
    );
    assert_eq!(
        metrics["deciders"],
        json!([{"decided_by": "usr_8", "approved": 0, "rejected": 1}, {"decided_by": "usr_9", "approved": 1, "rejected": 0}])
    );
    let none = world.get("/v1/approvals/metrics?action=rule.change").await.json();
    assert_eq!((&none["total"], &none["time_to_decide"]), (&json!(0), &Value::Null));
}

#[actix_web::test]
async fn policies_are_listed_whether_built_in_or_not() {
    let world = World::deciding().await;
    let list = world.get("/v1/approval-policies").await.json();
    assert_eq!(list["total"], json!(KnownAction::ALL.len()));
    let policies = list["items"].as_array().unwrap();
    for known in KnownAction::WORDS {
        let policy = policies.iter().find(|policy| policy["action"] == *known).unwrap();
        assert_eq!((&policy["is_built_in"], &policy["policy_version"]), (&json!(true), &json!(0)));
        assert!(!policy["rules"].as_array().unwrap().is_empty());
    }
    let one = world.get("/v1/approval-policies/export.users").await.json();
    assert_eq!((&one["versions"], &one["versions_total"]), (&json!([]), &json!(0)));
    assert_eq!(one["rules"][0]["terms"]["decide_within_seconds"], 259_200);
    assert_eq!(world.get("/v1/approval-policies/external.wire_transfer").await.status, 200);
    assert_eq!(world.get("/v1/approval-policies/No%20Type").await.json()["code"], "approval_policy.not_found");
    let position = world
        .record("TX-1", "1.00", "USD", daybook_domain::transaction::TransactionStatus::Pending, "2026-11-21T00:00:00Z")
        .await;
    let seen = world.get("/v1/approval-policies").await.header("daybook-position");
    assert_eq!(seen, Some(position.to_string()));
}

#[actix_web::test]
async fn delegations_are_listed_with_whether_they_hold() {
    let world = World::deciding().await;
    let commands: Commands<Delegation> = Commands::new(world.ledger.clone(), StreamPolicy::default());
    for (id, to, starts, ends) in [("dlg_1", "usr_2", -48, -24), ("dlg_2", "usr_3", -24, 24 * 300)] {
        let given = Given {
            delegation_id: DelegationId::parse("", id).unwrap(),
            from: actor("usr_1"),
            to: actor(to),
            starts_at: at(starts),
            ends_at: at(ends),
            actions: vec![KnownAction::AgentTriage.into()],
            reason: None,
            by: actor("usr_1"),
        };
        let command = DelegationCommand::Give(Box::new(given));
        commands.execute(id, command, CommandContext::new(Actor::human("usr_1"))).await.unwrap();
    }
    // It holds from when whoever stands in agrees to.
    world.catch_up().await;
    let none = world.get("/v1/delegations?active=true").await.json();
    assert_eq!(none["items"].as_array().unwrap().len(), 0, "{none}");
    let accept = DelegationCommand::Accept { by: actor("usr_3"), at: at(-1) };
    commands.execute("dlg_2", accept, CommandContext::new(Actor::human("usr_3"))).await.unwrap();
    world.catch_up().await;
    let ids = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["delegation_id"].as_str().unwrap().to_owned()).collect()
    };
    for (query, expected) in [
        ("", vec!["dlg_2", "dlg_1"]),
        ("from=usr_1&to=usr_2", vec!["dlg_1"]),
        ("person=usr_3", vec!["dlg_2"]),
        ("active=false", vec!["dlg_1"]),
    ] {
        let list = world.get(&format!("/v1/delegations?{query}")).await.json();
        assert_eq!(ids(&list), expected, "{query}");
    }
    let list = world.get("/v1/delegations").await.json();
    assert_eq!(list["items"][0]["accepted_at"], at(-1).to_string());
    assert_eq!(
        (&list["items"][1]["is_active"], &list["items"][1]["actions"]),
        (&json!(false), &json!(["agent.triage"]))
    );
}
