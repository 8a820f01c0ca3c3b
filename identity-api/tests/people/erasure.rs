//! Erasing people: two agree, holds stand in the way, and nothing that can be read stays behind.

use std::path::Path;

use daybook_ledger::Actor;
use daybook_ledger::commands::CommandContext;
use serde_json::{Value, json};

use crate::common::*;

/// True where a file below the folder has the bytes of `text`.
fn anywhere(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return anywhere(&path, text);
        }
        std::fs::read(&path).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes())
    })
}

async fn request(world: &World, token: &str, subject: &str) -> String {
    let body = json!({"subject": subject, "reason": "Asked for it"});
    let answer = world.post("/v1/erasures", token, body).await;
    assert_eq!(answer.ok(201)["status"], "requested");
    answer.text("/id")
}

#[actix_web::test]
async fn erased_person_is_gone_and_everything_of_theirs_ends() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "annabelle.quux@example.com", "admin").await;
    world.member("main", "cleo@example.com", "compliance").await;
    let (owner, officer) =
        (world.token("main", "olga@example.com").await, world.token("main", "cleo@example.com").await);
    let login = world.token("main", "annabelle.quux@example.com").await;
    let key =
        world.post("/api-keys", &login, json!({"name": "feed", "scopes": ["user:list"]})).await.text("/key_value");
    // A letter that has not left is a copy as well.
    let forgot = json!({"email": "annabelle.quux@example.com"});
    assert_eq!(world.post_open("/auth/reset-password", forgot).await.status, 202);
    world.wait_for_letters(1).await;
    assert!(anywhere(&world.folder(), "annabelle"));
    let id = request(&world, &owner, &ann).await;
    world.post(&format!("/erasures/{id}/approve"), &owner, json!({})).await.problem(422, "erasure.self_approval");
    let done = world.post(&format!("/erasures/{id}/approve"), &officer, json!({"reason": "Checked"})).await.ok(200);
    assert_eq!((&done["status"], done["performed_at"].is_string()), (&json!("performed"), true));
    let person = world.get(&format!("/users/{ann}"), &owner).await.ok(200);
    assert_eq!(
        (&person["status"], &person["is_active"], &person["role"]),
        (&json!("erased"), &json!(false), &json!("none"))
    );
    assert_eq!((&person["email"], &person["full_name"]), (&json!("erased"), &json!("erased")));
    assert_eq!(world.get("/auth/me", &login).await.status, 401);
    assert_eq!(world.get("/users", &key).await.status, 401);
    let again = json!({"email": "annabelle.quux@example.com", "password": PASSWORD});
    assert_eq!(world.post_open("/auth/login", again).await.status, 401);
    for event_type in ["user.erased", "erasure.performed", "session.ended", "api_key.revoked"] {
        assert_eq!(world.events("main", event_type).await.len(), 1, "{event_type}");
    }
    assert!(!anywhere(&world.folder(), "annabelle"), "no byte of the address is in any file");
    // Performing it again changes nothing; nor can it be asked for again.
    let before = world.entries("main").await.len();
    assert_eq!(
        world.post(&format!("/erasures/{id}/perform"), &officer, json!({})).await.ok(200)["status"],
        "performed"
    );
    assert_eq!(world.entries("main").await.len(), before);
    let body = json!({"subject": ann, "reason": "Again"});
    world.post("/erasures", &owner, body).await.problem(422, "user.erased");
    // The address is free for somebody else.
    world.post("/users/invite", &owner, json!({"email": "annabelle.quux@example.com"})).await.ok(201);
}

#[actix_web::test]
async fn hold_on_the_person_refuses_and_says_why_until_it_is_released() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    world.member("main", "cleo@example.com", "compliance").await;
    let (owner, officer) =
        (world.token("main", "olga@example.com").await, world.token("main", "cleo@example.com").await);
    let body = json!({"matter": "SEC 114", "reason": "Subpoena", "covers": [{"kind": "subject", "id": ann}]});
    let hold = world.post("/legal-holds", &officer, body).await.text("/id");
    let id = request(&world, &owner, &ann).await;
    let approve = format!("/erasures/{id}/approve");
    let problem = world.post(&approve, &officer, json!({})).await.problem(409, "erasure.held");
    assert_eq!(problem["holds"], json!([{"hold_id": hold, "matter": "SEC 114"}]));
    let person = world.get(&format!("/users/{ann}"), &owner).await.ok(200);
    assert_eq!((&person["status"], &person["full_name"]), (&json!("active"), &json!("ann")));
    let listed = world.get("/erasures?status=refused", &owner).await.ok(200);
    assert_eq!(listed["items"][0]["holds"], json!([hold]));
    assert_eq!(world.events("main", "erasure.refused").await.len(), 1);
    let perform = format!("/erasures/{id}/perform");
    world.post(&perform, &officer, json!({})).await.problem(409, "erasure.held");
    let release = json!({"reason": "Settled"});
    world.post(&format!("/legal-holds/{hold}/release"), &officer, release).await.ok(200);
    assert_eq!(world.post(&perform, &officer, json!({})).await.ok(200)["status"], "performed");
    assert_eq!(world.get(&format!("/users/{ann}"), &owner).await.ok(200)["full_name"], "erased");
}

#[actix_web::test]
async fn hold_on_a_stream_covers_who_acted_in_it_or_is_named_in_it() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let actor = world.member("main", "actor@example.com", "admin").await;
    let named = world.member("main", "named@example.com", "viewer").await;
    let other = world.member("main", "other@example.com", "viewer").await;
    world.member("main", "cleo@example.com", "compliance").await;
    let (owner, officer) =
        (world.token("main", "olga@example.com").await, world.token("main", "cleo@example.com").await);
    let admin = world.token("main", "actor@example.com").await;
    let department =
        world.post("/rbac/departments", &admin, json!({"name": "Rates", "description": named})).await.text("/id");
    let covers = json!([{"kind": "stream", "stream_type": "department", "stream_id": department}]);
    let body = json!({"matter": "SEC 115", "reason": "Subpoena", "covers": covers});
    world.post("/legal-holds", &officer, body).await.ok(201);
    for (subject, status) in [(actor, 409), (named, 409), (other, 200)] {
        let id = request(&world, &owner, &subject).await;
        let answer = world.post(&format!("/erasures/{id}/approve"), &officer, json!({})).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

#[actix_web::test]
async fn interrupted_erasure_is_completed_by_performing_it_again() {
    use daybook_domain::erasure::ErasureCommand;
    use daybook_domain::user::UserCommand;
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    world.member("main", "cleo@example.com", "compliance").await;
    let (owner, officer) =
        (world.token("main", "olga@example.com").await, world.token("main", "cleo@example.com").await);
    let id = request(&world, &owner, &ann).await;
    // As if the process had died after the fact on the account.
    let organization = world.organization("main");
    let context = || CommandContext::new(Actor::human("usr_0123456789abcdef01234567"));
    let approve = ErasureCommand::Approve {
        by: "usr_0123456789abcdef01234567".to_owned().try_into().unwrap(),
        reason: None,
        approval_id: "apr_1".parse().unwrap(),
    };
    organization.erasures.execute(&id, approve, context()).await.unwrap();
    let erase = UserCommand::Erase { erasure_id: id.parse().unwrap() };
    let outcome = organization.users.execute(&ann, erase, context()).await.unwrap();
    organization.settle(&outcome).await.unwrap();
    assert_eq!(
        world.get("/erasures?status=approved", &owner).await.ok(200)["total"],
        1,
        "it is seen that it is not done"
    );
    assert!(world.state.vault.account(&organization.id, &ann).await.unwrap().is_some());
    assert_eq!(
        world.post(&format!("/erasures/{id}/perform"), &officer, json!({})).await.ok(200)["status"],
        "performed"
    );
    assert!(world.state.vault.account(&organization.id, &ann).await.unwrap().is_none());
    assert!(organization.personal.is_erased(&ann).await.unwrap());
    assert_eq!(world.events("main", "user.erased").await.len(), 1);
}

#[actix_web::test]
async fn nothing_is_taken_while_letters_cannot_be_removed() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    world.member("main", "cleo@example.com", "compliance").await;
    let (owner, officer) =
        (world.token("main", "olga@example.com").await, world.token("main", "cleo@example.com").await);
    let id = request(&world, &owner, &ann).await;
    let (mail, away) = (world.folder().join("mail"), world.folder().join("away"));
    std::fs::rename(&mail, &away).unwrap();
    world.post(&format!("/erasures/{id}/approve"), &officer, json!({})).await.problem(503, "mail.unavailable");
    // A hold that is placed then is in time: everything is there.
    let body = json!({"matter": "SEC 114", "reason": "Subpoena", "covers": [{"kind": "subject", "id": ann}]});
    let hold = world.post("/legal-holds", &officer, body).await.text("/id");
    let perform = format!("/erasures/{id}/perform");
    world.post(&perform, &officer, json!({})).await.problem(409, "erasure.held");
    let person = world.get(&format!("/users/{ann}"), &owner).await.ok(200);
    assert_eq!((&person["status"], &person["full_name"]), (&json!("active"), &json!("ann")));
    world.post(&format!("/legal-holds/{hold}/release"), &officer, json!({"reason": "Settled"})).await.ok(200);
    std::fs::rename(&away, &mail).unwrap();
    assert_eq!(world.post(&perform, &officer, json!({})).await.ok(200)["status"], "performed");
}

#[actix_web::test]
async fn what_is_destroyed_already_is_recorded_as_destroyed_whatever_hold_was_placed_since() {
    use daybook_domain::erasure::ErasureCommand;
    use daybook_domain::user::UserCommand;
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    world.member("main", "cleo@example.com", "compliance").await;
    let (owner, officer) =
        (world.token("main", "olga@example.com").await, world.token("main", "cleo@example.com").await);
    let id = request(&world, &owner, &ann).await;
    // As if the process had died after the key was destroyed.
    let organization = world.organization("main");
    let context = || CommandContext::new(Actor::human("usr_0123456789abcdef01234567"));
    let approve = ErasureCommand::Approve {
        by: "usr_0123456789abcdef01234567".to_owned().try_into().unwrap(),
        reason: None,
        approval_id: "apr_1".parse().unwrap(),
    };
    organization.erasures.execute(&id, approve, context()).await.unwrap();
    let erase = UserCommand::Erase { erasure_id: id.parse().unwrap() };
    let outcome = organization.users.execute(&ann, erase, context()).await.unwrap();
    organization.settle(&outcome).await.unwrap();
    organization.personal.destroy(&ann, world.state.now()).await.unwrap();
    let body = json!({"matter": "SEC 114", "reason": "Subpoena", "covers": [{"kind": "subject", "id": ann}]});
    world.post("/legal-holds", &officer, body).await.ok(201);
    let performed = world.post(&format!("/erasures/{id}/perform"), &officer, json!({})).await.ok(200);
    assert_eq!(performed["status"], "performed");
    assert!(world.events("main", "erasure.refused").await.is_empty(), "nothing is said that is not so");
    assert!(world.state.vault.account(&organization.id, &ann).await.unwrap().is_none());
}

#[actix_web::test]
async fn erasures_are_decided_once_and_by_the_right_people() {
    let world = world().await;
    let olga = world.owner("main", "olga@example.com").await;
    let otto = world.member("main", "otto@example.com", "owner").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    world.member("main", "cleo@example.com", "compliance").await;
    world.member("main", "carl@example.com", "compliance").await;
    let (cleo, carl) = (world.token("main", "cleo@example.com").await, world.token("main", "carl@example.com").await);
    let owner = world.token("main", "olga@example.com").await;
    let id = request(&world, &cleo, &ann).await;
    let twice = world.post("/erasures", &carl, json!({"subject": ann, "reason": "Too"})).await;
    assert_eq!(twice.problem(409, "erasure.under_way")["erasure_id"], json!(id));
    world.post(&format!("/erasures/{id}/perform"), &carl, json!({})).await.problem(422, "erasure.not_approved");
    let why = json!({"reason": "Records must be kept"});
    world.post(&format!("/erasures/{id}/reject"), &cleo, why.clone()).await.problem(422, "erasure.self_approval");
    world.post(&format!("/erasures/{id}/reject"), &carl, json!({})).await.problem(400, "request.invalid");
    assert_eq!(world.post(&format!("/erasures/{id}/reject"), &carl, why).await.ok(200)["status"], "rejected");
    world.post(&format!("/erasures/{id}/approve"), &carl, json!({})).await.problem(422, "erasure.already_decided");
    // An owner is erased with an owner's consent, and never the last one.
    let id = request(&world, &cleo, &otto).await;
    world.post(&format!("/erasures/{id}/approve"), &carl, json!({})).await.problem(403, "rbac.owner_only");
    world.post(&format!("/erasures/{id}/approve"), &owner, json!({})).await.ok(200);
    let last = json!({"subject": olga, "reason": "Left"});
    world.post("/erasures", &cleo, last).await.problem(409, "user.last_owner");
    for bad in [json!({"subject": "usr_nobody", "reason": "r"}), json!({"subject": "usr_1", "reason": "r"})] {
        world.post("/erasures", &cleo, bad).await.problem(404, "user.not_found");
    }
    world.post("/erasures", &cleo, json!({"subject": ann})).await.problem(400, "request.invalid");
    world.get("/erasures/era_none", &cleo).await.problem(404, "erasure.not_found");
    world.post("/erasures/era_none/approve", &cleo, json!({})).await.problem(404, "erasure.not_found");
    world.get("/erasures?status=lost", &cleo).await.problem(400, "request.invalid_parameter");
    let analyst = world.token("main", "ann@example.com").await;
    let paths = ["/erasures".to_owned(), format!("/erasures/{id}/approve"), format!("/erasures/{id}/perform")];
    for path in paths {
        let body: Value = if path == "/erasures" { json!({"subject": ann, "reason": "r"}) } else { json!({}) };
        world.post(&path, &analyst, body).await.problem(403, "permission.denied");
    }
    world.get("/erasures", &analyst).await.problem(403, "permission.denied");
}

#[actix_web::test]
async fn nobody_asks_with_a_key_and_decides_as_himself() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    world.member("main", "otto@example.com", "owner").await;
    let (owner, other) = (world.token("main", "olga@example.com").await, world.token("main", "otto@example.com").await);
    let scopes = json!(["erasure:request", "erasure:approve"]);
    let key = json!({"name": "mine", "scopes": scopes});
    let key = world.post("/api-keys", &owner, key).await.text("/key_value");
    let second =
        world.post("/api-keys", &owner, json!({"name": "mine too", "scopes": scopes})).await.text("/key_value");
    let why = json!({"reason": "Changed my mind"});
    for (asks, decides) in [(&key, &owner), (&owner, &key), (&key, &second)] {
        let id = request(&world, asks, &ann).await;
        world.post(&format!("/erasures/{id}/approve"), decides, json!({})).await.problem(422, "erasure.self_approval");
        let reject = format!("/erasures/{id}/reject");
        world.post(&reject, decides, why.clone()).await.problem(422, "erasure.self_approval");
        world.post(&reject, &other, why.clone()).await.ok(200);
    }
    let operators = world.post("/api-keys", OPERATOR, json!({"name": "theirs", "scopes": scopes})).await;
    let id = request(&world, &operators.text("/key_value"), &ann).await;
    let approve = format!("/erasures/{id}/approve");
    world.post(&approve, OPERATOR, json!({})).await.problem(422, "erasure.self_approval");
    // Only people vote.
    world.post(&approve, &key, json!({})).await.problem(403, "approval.person_required");
    world.post(&approve, &owner, json!({})).await.ok(200);
}

#[actix_web::test]
async fn nobody_decides_with_a_second_account_of_the_same_person() {
    let world = world().await;
    let olga = world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    let cleo = world.member("main", "cleo@example.com", "compliance").await;
    let second = world.member("main", "cleo.second@example.com", "admin").await;
    let owner = world.token("main", "olga@example.com").await;
    let (asks, decides) =
        (world.token("main", "cleo@example.com").await, world.token("main", "cleo.second@example.com").await);
    let id = request(&world, &asks, &ann).await;
    let declare = format!("/v1/people/{second}/same-person");
    let body = json!({"person": cleo, "reason": "Two contracts"});
    world.post(&declare, &asks, body.clone()).await.problem(403, "permission.denied");
    let nobody = json!({"person": "usr_nobody", "reason": "Two contracts"});
    world.post(&declare, &owner, nobody).await.problem(422, "user.not_found");
    let itself = json!({"person": second, "reason": "Two contracts"});
    world.post(&declare, &owner, itself).await.problem(422, "user.same_person_as_itself");
    // Nobody says of himself whose account his is as well.
    let own = json!({"person": second, "reason": "Two contracts"});
    let of_the_owner = format!("/v1/people/{olga}/same-person");
    world.post(&of_the_owner, &owner, own).await.problem(403, "user.same_person_own");
    assert_eq!(world.post(&declare, &owner, body).await.ok(200)["id"], json!(second));
    assert_eq!(world.events("main", "user.same_person_declared").await.len(), 1);
    let approve = format!("/erasures/{id}/approve");
    world.post(&approve, &decides, json!({})).await.problem(422, "erasure.self_approval");
    world.post(&approve, &owner, json!({})).await.ok(200);
}

#[actix_web::test]
async fn erasure_is_performed_with_an_approval_that_is_used_up_for_it() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    world.member("main", "cleo@example.com", "compliance").await;
    let (owner, officer) =
        (world.token("main", "olga@example.com").await, world.token("main", "cleo@example.com").await);
    let body = json!({"subject": ann, "reason": "Asked for it"});
    let asked = world.post("/v1/erasures", &owner, body).await.ok(201);
    let approval = asked["approval_request_id"].as_str().unwrap().to_owned();
    let requests = world.events("main", "approval.requested").await;
    assert_eq!(requests.len(), 1);
    let id = asked["id"].as_str().unwrap();
    let key = [("idempotency-key", "k1"), ("authorization", &format!("Bearer {officer}"))];
    let approve = format!("/erasures/{id}/approve");
    let call =
        async || world.call(actix_web::http::Method::POST, &approve, &key, Some(json!({"reason": "Checked"}))).await;
    assert_eq!(call().await.ok(200)["status"], "performed");
    let approved = world.events("main", "erasure.approved").await;
    assert_eq!((&approved[0]["approval_id"], &approved[0]["reason"]), (&json!(approval), &json!("Checked")));
    assert_eq!(world.events("main", "approval.consumed").await.len(), 1);
    // The same call again changes nothing; another one comes too late.
    let before = world.entries("main").await.len();
    assert_eq!(call().await.ok(200)["status"], "performed");
    assert_eq!(world.entries("main").await.len(), before);
    world.post(&approve, &officer, json!({})).await.problem(422, "erasure.already_decided");
}

#[actix_web::test]
async fn erasure_from_before_there_were_approvals_is_decided_all_the_same() {
    use daybook_domain::erasure::{ErasureCommand, Requested};
    let world = world().await;
    let olga = world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    world.member("main", "cleo@example.com", "compliance").await;
    let (owner, officer) =
        (world.token("main", "olga@example.com").await, world.token("main", "cleo@example.com").await);
    let organization = world.organization("main");
    let requested = Requested {
        erasure_id: "era_before".parse().unwrap(),
        subject: ann.clone().try_into().unwrap(),
        reason: "Asked for it".to_owned().try_into().unwrap(),
        requested_by: olga.clone().try_into().unwrap(),
    };
    let context = CommandContext::new(Actor::human(olga.as_str()));
    let command = ErasureCommand::Request(Box::new(requested));
    let outcome = organization.erasures.execute("era_before", command, context).await.unwrap();
    organization.settle(&outcome).await.unwrap();
    world.post("/erasures/era_before/approve", &owner, json!({})).await.problem(422, "erasure.self_approval");
    // The request for its approval is opened by whoever asked, by trying to have it performed.
    world.post("/erasures/era_before/approve", &officer, json!({})).await.problem(409, "erasure.no_approval");
    world.post("/erasures/era_before/perform", &owner, json!({})).await.problem(422, "erasure.not_approved");
    world.post("/erasures/era_before/approve", &officer, json!({})).await.ok(200);
    let opened = world.events("main", "approval.requested").await;
    assert_eq!(opened[0]["requester"]["required_permissions"], json!([{"name": "erasure:request"}]));
    assert_eq!(opened[0]["requester"]["actor"], json!(olga), "in the name of whoever asked");
}

/// Somebody erased, in a world whose vault is then put back as it was before.
async fn erased_and_back() -> (World, String, String) {
    use daybook_ledger::Actor;
    use daybook_ledger::commands::CommandContext;
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    // The facts of an erasure, and a vault that knows nothing of it.
    let organization = world.organization("main");
    let owner = world.token("main", "olga@example.com").await;
    let id = request(&world, &owner, &ann).await;
    let by = "usr_0123456789abcdef01234567";
    let context = || CommandContext::new(Actor::human(by));
    use daybook_domain::erasure::ErasureCommand;
    let approval_id = "apr_1".parse().unwrap();
    let approve = ErasureCommand::Approve { by: by.to_owned().try_into().unwrap(), reason: None, approval_id };
    organization.erasures.execute(&id, approve, context()).await.unwrap();
    let erase = daybook_domain::user::UserCommand::Erase { erasure_id: id.parse().unwrap() };
    organization.users.execute(&ann, erase, context()).await.unwrap();
    let key_destroyed_at = world.state.timestamp().unwrap();
    let performed = ErasureCommand::RecordPerformed { key_destroyed_at };
    let outcome = organization.erasures.execute(&id, performed, context()).await.unwrap();
    organization.settle(&outcome).await.unwrap();
    assert_eq!(world.get(&format!("/users/{ann}"), &owner).await.ok(200)["full_name"], "ann", "it can be read again");
    (world, ann, id)
}

async fn assert_gone(world: &World, ann: &str) {
    let organization = world.organization("main");
    assert!(organization.personal.is_erased(ann).await.unwrap());
    assert!(world.state.vault.account(&organization.id, ann).await.unwrap().is_none());
    assert_eq!(world.get(&format!("/users/{ann}"), OPERATOR).await.ok(200)["full_name"], "erased");
}

#[actix_web::test]
async fn performing_again_removes_whom_an_older_vault_brought_back() {
    let (world, ann, id) = erased_and_back().await;
    let before = world.entries("main").await.len();
    for _ in 0..2 {
        let answer = world.post(&format!("/erasures/{id}/perform"), OPERATOR, json!({})).await.ok(200);
        assert_eq!(answer["status"], "performed");
        assert_gone(&world, &ann).await;
    }
    assert_eq!(world.entries("main").await.len(), before, "for the ledger nothing is new");
}

#[actix_web::test]
async fn opening_removes_whom_an_older_vault_brought_back() {
    let (world, ann, _) = erased_and_back().await;
    let (organization, now) = (world.organization("main"), world.state.now());
    let reconcile = || daybook_identity_api::reconcile_erasures(&world.state.vault, &organization, now);
    assert_eq!(reconcile().await.unwrap(), 1);
    assert_gone(&world, &ann).await;
    assert_eq!(reconcile().await.unwrap(), 0);
}

#[actix_web::test]
async fn erasure_whose_request_for_approval_was_withdrawn_ends_with_it() {
    let world = world().await;
    let olga = world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    world.member("main", "cleo@example.com", "compliance").await;
    let (owner, officer) =
        (world.token("main", "olga@example.com").await, world.token("main", "cleo@example.com").await);
    let body = json!({"subject": ann, "reason": "Asked for it"});
    let asked = world.post("/v1/erasures", &owner, body.clone()).await.ok(201);
    let asker = daybook_http_kit::Principal {
        actor: Actor::human(olga.as_str()),
        organization: "main".parse().unwrap(),
        roles: vec!["owner".to_owned()].into(),
        access: daybook_http_kit::Access::default().into(),
        via: daybook_http_kit::Via::Session,
        session_id: None,
    };
    let approvals = world.approvals.get(&"main".parse().unwrap()).unwrap();
    let context = CommandContext::new(Actor::human(olga.as_str()));
    approvals.withdraw(&asker, asked["approval_request_id"].as_str().unwrap(), None, context).await.unwrap();
    let id = asked["id"].as_str().unwrap();
    // Nobody else has it opened again in the name of whoever gave it up.
    let approve = format!("/erasures/{id}/approve");
    world.post(&approve, &officer, json!({})).await.problem(422, "erasure.already_decided");
    assert_eq!(world.events("main", "approval.requested").await.len(), 1);
    let rejected = world.events("main", "erasure.rejected").await;
    assert_eq!(rejected[0]["reason"], json!("the request for its approval was withdrawn"));
    // Another one can be asked for.
    world.post("/v1/erasures", &owner, body).await.ok(201);
    assert_eq!(world.events("main", "approval.requested").await.len(), 2);
}
