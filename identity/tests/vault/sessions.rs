//! Sessions and refresh tokens.

use daybook_identity::vault::{NewSession, RefreshToken, Rotated, Vault};

use crate::support::*;

async fn start(vault: &Vault, user: &str, session: &str) -> RefreshToken {
    let session = NewSession {
        ledger: main_ledger(),
        user_id: user.to_owned(),
        session_id: session.to_owned(),
        expires_at: MORNING + DAY,
        client: None,
    };
    vault.start_session(&session, MORNING).await.unwrap()
}

async fn a_refresh_token_is_good_once_and_its_second_use_ends_the_session(world: World) {
    let vault = &world.vault;
    let first = start(vault, "usr_1", "ses_1").await;
    assert!(first.expose().starts_with("dbr_") && first.expose().len() == 47);
    let Rotated::New { session, token: second } = vault.rotate_refresh(first.expose(), MORNING + 1).await.unwrap()
    else {
        panic!("the first use is good")
    };
    assert_eq!((session.session_id.as_str(), session.user_id.as_str()), ("ses_1", "usr_1"));
    assert_eq!(session.last_used_at, MORNING + 1);
    let Rotated::New { token: third, .. } = vault.rotate_refresh(second.expose(), MORNING + 2).await.unwrap() else {
        panic!("the next token is good")
    };

    let reused = world.another().await.rotate_refresh(first.expose(), MORNING + 3).await.unwrap();
    assert!(matches!(reused, Rotated::Reused { ended_now: true, .. }), "{reused:?}");
    let again = vault.rotate_refresh(first.expose(), MORNING + 4).await.unwrap();
    assert!(matches!(again, Rotated::Reused { ended_now: false, .. }), "{again:?}");
    // Whoever has the newest token is out, too.
    assert!(matches!(vault.rotate_refresh(third.expose(), MORNING + 5).await.unwrap(), Rotated::Expired { .. }));
    let session = vault.session(&main_ledger(), "ses_1").await.unwrap().unwrap();
    assert_eq!(session.ended_at, Some(MORNING + 3));
    assert_has_none(&world.place.bytes().await, &[first.expose(), second.expose(), third.expose()]);
}

async fn of_a_crowd_with_one_refresh_token_one_gets_the_next(world: World) {
    let token = start(&world.vault, "usr_1", "ses_1").await;
    let answers = crowd(&world, |vault| {
        let token = token.clone();
        async move { vault.rotate_refresh(token.expose(), MORNING + 1).await.unwrap() }
    })
    .await;
    let count = |wanted: fn(&Rotated) -> bool| answers.iter().filter(|answer| wanted(answer)).count();
    assert_eq!(count(|answer| matches!(answer, Rotated::New { .. })), 1);
    assert_eq!(count(|answer| matches!(answer, Rotated::Reused { .. })), CROWD - 1);
    assert_eq!(count(|answer| matches!(answer, Rotated::Reused { ended_now: true, .. })), 1);
}

async fn an_expired_unknown_or_foreign_token_is_refused(world: World) {
    let vault = &world.vault;
    let token = start(vault, "usr_1", "ses_1").await;
    assert!(matches!(vault.rotate_refresh("dbr_", MORNING).await.unwrap(), Rotated::Unknown));
    assert!(matches!(vault.rotate_refresh(&token.expose()[4..], MORNING).await.unwrap(), Rotated::Unknown));
    let late = vault.rotate_refresh(token.expose(), MORNING + DAY).await.unwrap();
    assert!(matches!(late, Rotated::Expired { .. }), "{late:?}");
    // Being late did not use it up.
    assert!(matches!(vault.rotate_refresh(token.expose(), MORNING + 1).await.unwrap(), Rotated::New { .. }));
}

async fn sessions_are_listed_and_ended(world: World) {
    let (vault, main) = (&world.vault, main_ledger());
    let token = start(vault, "usr_1", "ses_1").await;
    start(vault, "usr_1", "ses_2").await;
    start(vault, "usr_1", "ses_3").await;
    start(vault, "usr_2", "ses_4").await;
    assert!(vault.end_session(&main, "ses_1", MORNING + 1).await.unwrap());
    assert!(!vault.end_session(&main, "ses_1", MORNING + 2).await.unwrap());
    assert!(!vault.end_session(&other_ledger(), "ses_2", MORNING).await.unwrap());
    assert!(matches!(vault.rotate_refresh(token.expose(), MORNING + 3).await.unwrap(), Rotated::Expired { .. }));
    let listed =
        |rows: Vec<daybook_identity::vault::SessionRow>| rows.into_iter().map(|row| row.session_id).collect::<Vec<_>>();
    assert_eq!(listed(vault.sessions_of(&main, "usr_1", MORNING + 1).await.unwrap()), ["ses_2", "ses_3"]);
    assert!(vault.sessions_of(&main, "usr_1", MORNING + DAY).await.unwrap().is_empty());
    let ended = vault.end_sessions_of(&main, "usr_1", Some("ses_3"), MORNING + 5).await.unwrap();
    assert_eq!(ended, ["ses_2"]);
    assert_eq!(vault.end_sessions_of(&main, "usr_1", None, MORNING + 6).await.unwrap(), ["ses_3"]);
    assert_eq!(listed(vault.sessions_of(&main, "usr_2", MORNING).await.unwrap()), ["ses_4"]);
    assert!(vault.session(&main, "ses_\0").await.unwrap().is_none());
}

async fn sessions_long_over_are_purged_with_their_tokens(world: World) {
    let vault = &world.vault;
    let token = start(vault, "usr_1", "ses_1").await;
    assert_eq!(vault.purge(MORNING + 30 * DAY, 10).await.unwrap().total(), 0);
    let purged = vault.purge(MORNING + 31 * DAY, 10).await.unwrap();
    assert_eq!((purged.sessions, purged.refresh_tokens), (1, 1));
    assert!(matches!(vault.rotate_refresh(token.expose(), MORNING).await.unwrap(), Rotated::Unknown));
}

both_stores! {
    a_refresh_token_is_good_once_and_its_second_use_ends_the_session
    of_a_crowd_with_one_refresh_token_one_gets_the_next
    an_expired_unknown_or_foreign_token_is_refused
    sessions_are_listed_and_ended
    sessions_long_over_are_purged_with_their_tokens
}
