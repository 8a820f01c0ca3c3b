//! What people say of themselves, and their addresses.

use serde_json::json;

use crate::common::*;

#[actix_web::test]
async fn profile_is_sealed_in_the_ledger_and_open_to_its_owner() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let body =
        json!({"full_name": "Ann Archer", "about": "likes\nledgers", "picture_url": "https://example.com/a.png"});
    let changed = world.put("/v1/auth/profile", &token, body).await.ok(200);
    assert_eq!(
        (changed["full_name"].as_str(), changed["about"].as_str()),
        (Some("Ann Archer"), Some("likes\nledgers"))
    );
    assert!(changed["receipt"]["position"].is_u64(), "{changed}");
    let read = world.get("/v1/auth/profile", &token).await.ok(200);
    assert_eq!(read["picture_url"], "https://example.com/a.png");
    let cleared = world.put("/v1/auth/profile", &token, json!({"about": null})).await.ok(200);
    assert_eq!((cleared["about"].is_null(), cleared["full_name"].as_str()), (true, Some("Ann Archer")));
    for entry in world.entries("main").await {
        for text in ["Archer", "likes", "a.png", "ann@example", PASSWORD] {
            let payload = entry.payload.as_deref().unwrap();
            assert!(!payload.contains(text), "{text} in {}", entry.event_type);
        }
    }
}

#[actix_web::test]
async fn nothing_to_change_is_no_entry_and_nonsense_is_named() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    assert!(world.put("/auth/profile", &token, json!({})).await.ok(200)["receipt"].is_null());
    assert!(world.events("main", "user.profile_changed").await.is_empty());
    for (body, pointer) in [
        (json!({"full_name": ""}), "/full_name"),
        (json!({"picture_url": "javascript:alert(1)"}), "/picture_url"),
        (json!({"email": "nobody"}), "/email"),
        (json!({"role": "admin"}), "/role"),
    ] {
        let problem = world.put("/auth/profile", &token, body).await.problem(400, "request.invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }
    let headers = [("authorization", &*format!("Bearer {token}")), ("if-match", "\"99\"")];
    let method = actix_web::http::Method::PUT;
    let answer = world.call(method, "/auth/profile", &headers, Some(json!({"full_name": "A"}))).await;
    answer.problem(412, "request.precondition_failed");
}

#[actix_web::test]
async fn another_address_counts_once_it_is_confirmed() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let body = json!({"email": "new@example.com"});
    world.put("/auth/profile", &token, body).await.problem(400, "request.invalid");
    let body = json!({"email": "new@example.com", "password": "not the password at all"});
    world.put("/auth/profile", &token, body).await.problem(403, "auth.proof_refused");
    let body = json!({"email": "new@example.com", "password": PASSWORD});
    let pending = world.put("/auth/profile", &token, body).await.ok(200);
    assert_eq!((pending["email"].as_str(), pending["email_pending"].as_bool()), (Some("ann@example.com"), Some(true)));
    let letter = world.wait_for_letters(1).await.remove(0);
    assert!(letter.contains("To: new@example.com"), "{letter}");
    let body = json!({"token": token_of(&letter)});
    assert_eq!(world.post_open("/auth/email/confirm", body.clone()).await.ok(200)["email"], "new@example.com");
    world.post_open("/auth/email/confirm", body).await.problem(400, "auth.token_invalid");
    assert!(world.wait_for_letters(2).await[1].contains("To: ann@example.com"));
    let old = json!({"email": "ann@example.com", "password": PASSWORD});
    world.post_open("/auth/login", old).await.problem(401, "auth.invalid_credentials");
    assert_eq!(world.login("main", "new@example.com").await["user"]["email"], "new@example.com");
}

#[actix_web::test]
async fn link_to_a_new_password_that_went_to_the_former_address_is_worth_nothing() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    world.post_open("/auth/reset-password", json!({"email": "ann@example.com"})).await.ok(202);
    let reset = token_of(&world.wait_for_letters(1).await[0]);
    world.put("/auth/profile", &token, json!({"email": "new@example.com", "password": PASSWORD})).await.ok(200);
    let confirm = token_of(&world.wait_for_letters(2).await[1]);
    world.post_open("/auth/email/confirm", json!({"token": confirm})).await.ok(200);
    let body = json!({"token": reset, "new_password": "seven lanterns over water"});
    world.post_open("/auth/reset-password/confirm", body).await.problem(400, "auth.token_invalid");
    world.login("main", "new@example.com").await;
}

#[actix_web::test]
async fn unreadable_body_is_said_before_who_may_send_a_readable_one() {
    let world = world().await;
    for path in ["/auth/profile", "/api/auth/profile"] {
        world.put(path, OPERATOR, json!([])).await.problem(400, "request.invalid");
        world.put(path, OPERATOR, json!({"full_name": "Olaf"})).await.problem(403, "auth.account_required");
        let answer = world.call(actix_web::http::Method::PUT, path, &[], Some(json!([]))).await;
        answer.problem(401, "identity.required");
    }
}

#[actix_web::test]
async fn taken_address_is_not_betrayed_and_not_given() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    world.member("main", "bob@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let change = |email: &str| json!({"email": email, "password": PASSWORD});
    let taken = world.put("/auth/profile", &token, change("bob@example.com")).await.ok(200);
    assert_eq!(taken["email_pending"], true);
    assert!(world.letters().is_empty());
    // Somebody registers with the address while the letter is on its way.
    world.put("/auth/profile", &token, change("new@example.com")).await.ok(200);
    let letter = world.wait_for_letters(1).await.remove(0);
    world.member("main", "new@example.com", "viewer").await;
    let body = json!({"token": token_of(&letter)});
    world.post_open("/auth/email/confirm", body).await.problem(409, "auth.email_taken");
    world.login("main", "ann@example.com").await;
}
