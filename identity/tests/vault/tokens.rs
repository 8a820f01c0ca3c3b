//! One-time tokens.

use daybook_identity::vault::{Purpose, VaultError};
use serde_json::json;

use crate::support::*;

async fn a_one_time_token_is_good_once_for_its_purpose_organisation_and_time(world: World) {
    let (vault, main, other) = (&world.vault, main_ledger(), other_ledger());
    let payload = json!({"role": "analyst", "note": "a note nobody reads"});
    let token =
        vault.issue_one_time(&main, Purpose::Invitation, Some("usr_1"), &payload, MINUTE, MORNING).await.unwrap();
    assert!(token.expose().starts_with("dbo_") && token.expose().len() == 47);
    assert_has_none(&world.place.bytes().await, &[token.expose(), "a note nobody reads"]);

    let take = async |ledger, purpose, at| vault.take_one_time(ledger, purpose, token.expose(), at).await.unwrap();
    assert!(take(None, Purpose::PasswordReset, MORNING).await.is_none());
    assert!(take(Some(&other), Purpose::Invitation, MORNING).await.is_none());
    assert!(take(None, Purpose::Invitation, MORNING + MINUTE).await.is_none());
    let peeked = vault.peek_one_time(Some(&main), Purpose::Invitation, token.expose(), MORNING).await.unwrap().unwrap();
    let taken = take(Some(&main), Purpose::Invitation, MORNING + MINUTE - 1).await.unwrap();
    assert_eq!(taken, peeked);
    assert_eq!((&taken.ledger, taken.user_id.as_deref(), taken.payload), (&main, Some("usr_1"), payload));
    assert!(take(None, Purpose::Invitation, MORNING).await.is_none());
}

async fn of_a_crowd_with_one_token_one_takes_it(world: World) {
    let token = world
        .vault
        .issue_one_time(&main_ledger(), Purpose::PasswordReset, Some("usr_1"), &json!(null), MINUTE, MORNING)
        .await
        .unwrap();
    let answers = crowd(&world, |vault| {
        let token = token.clone();
        async move { vault.take_one_time(None, Purpose::PasswordReset, token.expose(), MORNING).await.unwrap() }
    })
    .await;
    assert_eq!(answers.iter().flatten().count(), 1);
}

async fn tokens_are_withdrawn_by_person_and_purpose(world: World) {
    let (vault, main) = (&world.vault, main_ledger());
    let issue =
        async |user, purpose| vault.issue_one_time(&main, purpose, user, &json!(1), MINUTE, MORNING).await.unwrap();
    let reset = issue(Some("usr_1"), Purpose::PasswordReset).await;
    let challenge = issue(Some("usr_1"), Purpose::SecondFactorChallenge).await;
    let of_another = issue(Some("usr_2"), Purpose::PasswordReset).await;
    let owner = issue(None, Purpose::OwnerLink).await;
    assert_eq!(vault.revoke_one_time(&main, "usr_1", Purpose::PasswordReset).await.unwrap(), 1);
    assert_eq!(vault.revoke_one_time_of_nobody(&main, Purpose::OwnerLink).await.unwrap(), 1);
    let is_there = async |purpose, token: &daybook_identity::vault::OneTimeToken| {
        vault.peek_one_time(None, purpose, token.expose(), MORNING).await.unwrap().is_some()
    };
    assert!(!is_there(Purpose::PasswordReset, &reset).await);
    assert!(!is_there(Purpose::OwnerLink, &owner).await);
    assert!(is_there(Purpose::SecondFactorChallenge, &challenge).await);
    assert!(is_there(Purpose::PasswordReset, &of_another).await);
    assert_eq!(vault.purge(MORNING + MINUTE, 1).await.unwrap().one_time_tokens, 1);
    assert_eq!(vault.purge(MORNING + MINUTE, 9).await.unwrap().one_time_tokens, 1);
}

async fn an_altered_payload_is_noticed(world: World) {
    let (vault, main) = (&world.vault, main_ledger());
    let [one, two] = [json!({"role": "viewer"}), json!({"role": "owner"})];
    let token = vault.issue_one_time(&main, Purpose::Invitation, None, &one, MINUTE, MORNING).await.unwrap();
    vault.issue_one_time(&main, Purpose::OidcState, None, &two, MINUTE, MORNING).await.unwrap();
    // The payload of one row, put into another.
    let moved = world
        .place
        .alter(
            "update vault_one_time_tokens set payload = (select payload from vault_one_time_tokens \
             where purpose = 'oidc_state') where purpose = 'invitation'",
        )
        .await;
    assert_eq!(moved, 1);
    let taken = vault.take_one_time(None, Purpose::Invitation, token.expose(), MORNING).await;
    assert!(matches!(taken, Err(VaultError::Corrupt(_))), "{taken:?}");
}

both_stores! {
    a_one_time_token_is_good_once_for_its_purpose_organisation_and_time
    of_a_crowd_with_one_token_one_takes_it
    tokens_are_withdrawn_by_person_and_purpose
    an_altered_payload_is_noticed
}
