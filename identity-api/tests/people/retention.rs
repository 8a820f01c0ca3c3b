//! How long records are kept: rules that are only ever made longer, with approval, and what they stand in the way of.

use daybook_approvals::Ballot;
use daybook_domain::approval::Decision;
use daybook_http_kit::{Access, Principal, Via};
use daybook_ledger::Actor;
use daybook_ledger::commands::CommandContext;
use serde_json::{Value, json};

use crate::common::*;

const YEAR: i64 = 366 * DAY;

/// Votes where approvals are decided.
pub(crate) async fn agree(world: &World, person: &str, approval: &str) {
    let voter = Principal {
        actor: Actor::human(person),
        organization: "main".parse().unwrap(),
        roles: Vec::new().into(),
        access: Access::default().into(),
        via: Via::Session,
        session_id: None,
    };
    let ballot =
        Ballot { decision: Decision::Approve, reason: None, on_behalf_of: None, revision: None, signature: None };
    let approvals = world.approvals.get(&"main".parse().unwrap()).unwrap();
    approvals.vote(&voter, approval, ballot, CommandContext::new(Actor::human(person))).await.unwrap();
}

fn rule(class: &str, years: u32, keeps_identities: bool) -> Value {
    json!({"class": class, "years": years, "keeps_identities": keeps_identities, "reason": "17a-4"})
}

/// Olga owns, Cleo is an officer; their ids and tokens.
async fn people(world: &World) -> [String; 4] {
    let olga = world.owner("main", "olga@example.com").await;
    let cleo = world.member("main", "cleo@example.com", "compliance").await;
    [olga, world.token("main", "olga@example.com").await, cleo, world.token("main", "cleo@example.com").await]
}

/// Sets a rule with the owner's wish and the officer's vote; answers what it came to.
async fn set(world: &World, owner: &str, cleo: &str, record_type: &str, rule: Value) -> Answer {
    let path = format!("/v1/retention/{record_type}");
    let waits = world.put(&path, owner, rule.clone()).await;
    assert_eq!(waits.ok(202)["status"], "pending");
    agree(world, cleo, &waits.text("/approval_request_id")).await;
    world.put(&path, owner, rule).await
}

#[actix_web::test]
async fn rule_is_set_with_approval_and_made_longer_and_never_shorter() {
    let world = world().await;
    let [olga, owner, cleo, officer] = people(&world).await;
    let none = world.get("/v1/retention", &officer).await.ok(200);
    assert_eq!((&none["rules"], none["classes"][3]["floor_years"].as_u64()), (&json!([]), Some(7)));
    world.get("/retention/transaction", &officer).await.problem(404, "retention_rule.not_found");
    let answer = set(&world, &owner, &cleo, "transaction", rule("six_years", 6, false)).await;
    let made = answer.ok(201);
    assert_eq!((&made["years"], &made["rule_version"], &made["set_by"]), (&json!(6), &json!(1), &json!(olga)));
    assert!(made["approval_request_id"].as_str().unwrap().starts_with("apr_"));
    assert_eq!(world.put("/retention/transaction", &officer, rule("six_years", 6, false)).await.ok(200)["years"], 6);
    let longer = set(&world, &owner, &cleo, "transaction", rule("seven_years", 9, true)).await.ok(200);
    assert_eq!(
        (&longer["years"], &longer["keeps_identities"], &longer["rule_version"]),
        (&json!(9), &json!(true), &json!(2))
    );

    // Nobody shortens: not an owner, not an officer, not the operator.
    for token in [owner.as_str(), &officer, OPERATOR] {
        let shorter = world.put("/retention/transaction", token, rule("seven_years", 8, true)).await;
        assert_eq!(shorter.problem(422, "retention_rule.shortening")["errors"][0]["pointer"], "/years");
        let other_class = rule("three_years", 3, true);
        world.put("/retention/transaction", token, other_class).await.problem(422, "retention_rule.shortening");
        let forgetting = rule("seven_years", 9, false);
        world.put("/retention/transaction", token, forgetting).await.problem(422, "retention_rule.dropping_identities");
    }
    for (class, floor) in [("three_years", 3), ("five_years", 5), ("six_years", 6), ("seven_years", 7)] {
        let below = world.put("/retention/incident", &owner, rule(class, floor - 1, false)).await;
        below.problem(422, "retention_rule.below_floor");
    }
    world
        .put("/retention/incident", &owner, rule("six_years", 101, false))
        .await
        .problem(422, "retention_rule.too_long");
    world.put("/retention/planet", &owner, rule("six_years", 6, false)).await.problem(404, "retention_rule.not_found");
    world.put("/retention/incident", &owner, rule("ten_years", 10, false)).await.problem(400, "request.invalid");
    world.put("/retention/incident", &owner, json!({"class": "six_years"})).await.problem(400, "request.invalid");
    assert_eq!(world.events("main", "retention_rule.set").await.len(), 2);
    let rules = world.get("/v1/retention", &officer).await.ok(200);
    assert_eq!(rules["rules"][0], world.get("/v1/retention/transaction", &officer).await.ok(200));
    // Where no years are said the class says them.
    let own = json!({"class": "five_years", "reason": "MiFID II"});
    assert_eq!(set(&world, &owner, &cleo, "incident", own).await.ok(201)["years"], 5);
}

#[actix_web::test]
async fn approval_of_a_rule_that_became_a_shortening_is_of_no_use() {
    let world = world().await;
    let [_, owner, cleo, officer] = people(&world).await;
    let five = rule("five_years", 5, false);
    let waits = world.put("/retention/approval", &owner, five.clone()).await;
    agree(&world, &cleo, &waits.text("/approval_request_id")).await;
    set(&world, &owner, &cleo, "approval", rule("seven_years", 7, false)).await.ok(201);
    world.put("/retention/approval", &owner, five).await.problem(422, "retention_rule.shortening");
    // The aggregate refuses it as well, whatever approval is shown.
    use daybook_domain::retention_rule::{
        RecordType, Retention, RetentionClass, RetentionRuleCommand, RetentionRuleError,
    };
    let command = RetentionRuleCommand::Set {
        record_type: RecordType::Approval,
        retention: Retention { class: RetentionClass::FiveYears, years: 5, keeps_identities: false },
        by: "usr_1".to_owned().try_into().unwrap(),
        reason: "r".to_owned().try_into().unwrap(),
        approval_id: waits.text("/approval_request_id").parse().unwrap(),
    };
    let context = CommandContext::new(Actor::human("usr_1"));
    let refused = world.organization("main").retention_rules.execute("approval", command, context).await;
    assert!(
        matches!(
            refused,
            Err(daybook_ledger::commands::CommandError::Refused(RetentionRuleError::Shortening { years: 7 }))
        ),
        "{refused:?}"
    );
    assert_eq!(world.get("/retention/approval", &officer).await.ok(200)["years"], 7);
    assert_eq!(world.events("main", "retention_rule.set").await.len(), 1);
}

#[actix_web::test]
async fn rules_are_guarded() {
    let world = world().await;
    let [_, owner, _, officer] = people(&world).await;
    world.member("main", "ann@example.com", "analyst").await;
    world.member("main", "ulf@example.com", "auditor").await;
    let analyst = world.token("main", "ann@example.com").await;
    let auditor = world.token("main", "ulf@example.com").await;
    world.get("/retention", &analyst).await.problem(403, "permission.denied");
    world.get("/retention/records/user/usr_1", &analyst).await.problem(403, "permission.denied");
    world.put("/retention/transaction", &analyst, rule("six_years", 6, false)).await.problem(403, "permission.denied");
    world.get("/retention", &auditor).await.ok(200);
    world.put("/retention/transaction", &auditor, rule("six_years", 6, false)).await.problem(403, "permission.denied");
    // Whoever asks does not decide, and a key under which one thing came is not for another.
    let waits = world.put("/retention/transaction", &officer, rule("six_years", 6, false)).await;
    waits.ok(202);
    let again = world.put("/retention/transaction", &officer, rule("six_years", 6, false)).await;
    assert_eq!(again.text("/approval_request_id"), waits.text("/approval_request_id"));
    world.get("/retention/records/planet/x", &owner).await.problem(404, "retention.record_not_found");
}

#[actix_web::test]
async fn whoever_acted_in_kept_records_is_not_erased_until_the_years_are_over() {
    let world = world().await;
    let [_, owner, cleo, officer] = people(&world).await;
    let ann = world.member("main", "ann@example.com", "admin").await;
    let idle = world.member("main", "idle@example.com", "viewer").await;
    let login = world.token("main", "ann@example.com").await;
    // What she does in a record that is kept with names.
    world.record("main", "transaction", "tx-1").await;
    let covers = json!([{"kind": "stream", "stream_type": "transaction", "stream_id": "tx-1"}]);
    let hold = json!({"matter": "Of another matter", "reason": "Subpoena", "covers": covers});
    let hold = world.post("/legal-holds", &login, hold).await.text("/id");
    let acted = world.state.now();
    set(&world, &owner, &cleo, "legal_hold", rule("three_years", 3, false)).await.ok(201);
    set(&world, &owner, &cleo, "legal_hold", rule("three_years", 3, true)).await.ok(200);
    let request = async |subject: &str, token: &str| {
        let body = json!({"subject": subject, "reason": "Asked for it"});
        world.post("/v1/erasures", token, body).await.text("/id")
    };
    let id = request(&ann, &owner).await;
    let refused = world.post(&format!("/erasures/{id}/approve"), &officer, json!({})).await;
    let problem = refused.problem(409, "erasure.retained");
    assert_eq!(
        (&problem["holds"], &problem["retained"][0]["record_type"], &problem["retained"][0]["years"]),
        (&json!([]), &json!("legal_hold"), &json!(3))
    );
    let recorded = world.events("main", "erasure.refused").await;
    assert_eq!((&recorded[0]["holds"], &recorded[0]["retained"]), (&json!([]), &problem["retained"]));
    let shown = world.get(&format!("/erasures/{id}"), &owner).await.ok(200);
    assert_eq!((&shown["status"], &shown["retained"]), (&json!("refused"), &problem["retained"]));
    assert_eq!(world.get(&format!("/users/{ann}"), &owner).await.ok(200)["full_name"], "ann");
    // A hold beside it is named as well, and comes first.
    let on_ann = json!({"matter": "SEC 114", "reason": "Subpoena", "covers": [{"kind": "subject", "id": ann}]});
    let on_ann = world.post("/legal-holds", &officer, on_ann).await.text("/id");
    let perform = format!("/erasures/{id}/perform");
    let both = world.post(&perform, &officer, json!({})).await.problem(409, "erasure.held");
    assert_eq!((&both["holds"][0]["hold_id"], &both["retained"]), (&json!(on_ann), &problem["retained"]));
    let release = json!({"reason": "Settled"});
    world.post(&format!("/legal-holds/{on_ann}/release"), &officer, release).await.ok(200);
    // Whoever did nothing of the kind is erased at once.
    let other = request(&idle, &owner).await;
    world.post(&format!("/erasures/{other}/approve"), &officer, json!({})).await.ok(200);

    // An hour before the end, and then after it.
    let until = daybook_domain::Timestamp::parse("", problem["retained"][0]["until"].as_str().unwrap()).unwrap();
    assert!((acted + 3 * YEAR - 3 * DAY..=acted + 3 * YEAR).contains(&until.micros()), "{until}");
    world.advance(until.micros() - world.state.now() - DAY / 24);
    let officer = world.token("main", "cleo@example.com").await;
    world.post(&perform, &officer, json!({})).await.problem(409, "erasure.retained");
    world.advance(DAY / 12);
    let officer = world.token("main", "cleo@example.com").await;
    let performed = world.post(&perform, &officer, json!({})).await.ok(200);
    assert_eq!((&performed["status"], &performed["retained"]), (&json!("performed"), &json!([])));
    let owner = world.token("main", "olga@example.com").await;
    assert_eq!(world.get(&format!("/users/{ann}"), &owner).await.ok(200)["full_name"], "erased");
    // What she recorded is as it was.
    assert_eq!(world.get(&format!("/legal-holds/{hold}"), &owner).await.ok(200)["placed_by"], json!(ann));
}

#[actix_web::test]
async fn record_shows_its_rule_its_end_and_every_hold() {
    let world = world().await;
    let [_, owner, cleo, officer] = people(&world).await;
    let vic = world.member("main", "vic@example.com", "viewer").await;
    let path = format!("/v1/retention/records/user/{vic}");
    let bare = world.get(&path, &officer).await.ok(200);
    assert_eq!(
        (&bare["rule"], &bare["keep_until"], &bare["holds"], &bare["may_be_disposed_of"]),
        (&Value::Null, &Value::Null, &json!([]), &json!(true))
    );
    set(&world, &owner, &cleo, "user", rule("six_years", 6, false)).await.ok(201);
    let place = async |cover: Value| {
        let body = json!({"matter": "SEC 114", "reason": "Subpoena", "covers": [cover]});
        world.post("/legal-holds", &officer, body).await.text("/id")
    };
    let first = place(json!({"kind": "subject", "id": vic})).await;
    let second = place(json!({"kind": "stream", "stream_type": "user", "stream_id": vic})).await;
    world.record("main", "transaction", &vic).await;
    place(json!({"kind": "stream", "stream_type": "transaction", "stream_id": vic})).await;
    let mut left = vec![first, second.clone()];
    left.sort();
    while let Some(hold) = left.first().cloned() {
        let shown = world.get(&path, &officer).await.ok(200);
        let ids: Vec<&str> =
            shown["holds"].as_array().unwrap().iter().map(|hold| hold["hold_id"].as_str().unwrap()).collect();
        assert_eq!(ids, left);
        assert_eq!((&shown["kept_because"], &shown["may_be_disposed_of"]), (&json!("held"), &json!(false)));
        world.post(&format!("/legal-holds/{hold}/release"), &officer, json!({"reason": "Settled"})).await.ok(200);
        left.remove(0);
    }

    // Of other records the rule about their type says until when.
    set(&world, &owner, &cleo, "legal_hold", rule("six_years", 6, false)).await.ok(201);
    let path = format!("/v1/retention/records/legal_hold/{second}");
    let shown = world.get(&path, &officer).await.ok(200);
    assert_eq!((&shown["kept_because"], &shown["may_be_disposed_of"]), (&json!("retained"), &json!(false)));
    assert_eq!((&shown["rule"]["years"], shown["keep_until"].is_string()), (&json!(6), true));
    assert_eq!((&shown["holds"], &shown["retained"]), (&json!([]), &json!([])));
    world.advance(6 * YEAR);
    let officer = world.token("main", "cleo@example.com").await;
    assert_eq!(world.get(&path, &officer).await.ok(200)["may_be_disposed_of"], true);

    // Holds are found by what they cover.
    let found = world.get(&format!("/legal-holds?stream_type=user&stream_id={vic}"), &officer).await.ok(200);
    assert_eq!((&found["total"], &found["items"][0]["id"]), (&json!(1), &json!(second)));
    let in_force = format!("/legal-holds?stream_type=transaction&stream_id={vic}&status=in_force");
    assert_eq!(world.get(&in_force, &officer).await.ok(200)["total"], 1);
    for half in ["stream_type=user", "stream_id=x"] {
        world.get(&format!("/legal-holds?{half}"), &officer).await.problem(400, "request.invalid_parameter");
    }
}

#[actix_web::test]
async fn account_shows_what_an_erasure_of_the_person_meets_with() {
    let world = world().await;
    let [_, owner, cleo, officer] = people(&world).await;
    let ann = world.member("main", "ann@example.com", "admin").await;
    let login = world.token("main", "ann@example.com").await;
    let path = format!("/v1/retention/records/user/{ann}");
    // A rule about accounts without names keeps nobody.
    set(&world, &owner, &cleo, "user", rule("six_years", 6, false)).await.ok(201);
    let shown = world.get(&path, &officer).await.ok(200);
    assert_eq!((&shown["rule"]["years"], &shown["keep_until"]), (&json!(6), &Value::Null));
    assert_eq!((&shown["may_be_disposed_of"], &shown["retained"]), (&json!(true), &json!([])));
    // A record elsewhere does, in which she acted, and a hold on one.
    let on = json!({"matter": "Of hers", "reason": "Subpoena", "covers": [{"kind": "subject", "id": ann}]});
    let hers = world.post("/legal-holds", &login, on).await.text("/id");
    world.post(&format!("/legal-holds/{hers}/release"), &login, json!({"reason": "Settled"})).await.ok(200);
    let on = json!([{"kind": "stream", "stream_type": "legal_hold", "stream_id": hers}]);
    let on = json!({"matter": "About that hold", "reason": "Subpoena", "covers": on});
    let held = world.post("/legal-holds", &officer, on).await.text("/id");
    set(&world, &owner, &cleo, "legal_hold", rule("three_years", 3, true)).await.ok(201);
    let body = json!({"subject": ann, "reason": "Asked for it"});
    let id = world.post("/v1/erasures", &owner, body).await.text("/id");
    let approve = format!("/erasures/{id}/approve");
    let refused = world.post(&approve, &officer, json!({})).await.problem(409, "erasure.held");
    let shown = world.get(&path, &officer).await.ok(200);
    assert_eq!(shown["holds"][0]["hold_id"], json!(held));
    assert_eq!((&shown["holds"], &shown["retained"]), (&refused["holds"], &refused["retained"]));
    assert_eq!((&shown["kept_because"], &shown["may_be_disposed_of"]), (&json!("held"), &json!(false)));
    world.post(&format!("/legal-holds/{held}/release"), &officer, json!({"reason": "Settled"})).await.ok(200);
    let perform = format!("/erasures/{id}/perform");
    let refused = world.post(&perform, &officer, json!({})).await.problem(409, "erasure.retained");
    let shown = world.get(&path, &officer).await.ok(200);
    assert_eq!((&shown["retained"], &shown["keep_until"]), (&refused["retained"], &refused["retained"][0]["until"]));
    assert_eq!((&shown["kept_because"], &shown["may_be_disposed_of"]), (&json!("retained"), &json!(false)));
    world.advance(3 * YEAR);
    let officer = world.token("main", "cleo@example.com").await;
    assert_eq!(world.get(&path, &officer).await.ok(200)["may_be_disposed_of"], true);
    world.post(&perform, &officer, json!({})).await.ok(200);
}
