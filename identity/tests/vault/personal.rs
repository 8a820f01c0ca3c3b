//! Sealed personal data and the keys of their subjects.

use std::time::{Duration, Instant};

use daybook_identity::personal::{ERASED, MAX_PERSONAL_BYTES, Opened, Personal, PersonalData};
use daybook_identity::vault::{KEY_CACHE_TRUST, Vault, VaultError};

use crate::support::*;

const NAME: &str = "Ada King, Countess of Lovelace";

fn personal(vault: &Vault) -> PersonalData {
    PersonalData::new(vault.clone(), main_ledger())
}

async fn a_sealed_text_opens_in_its_own_place_only(world: World) {
    let data = personal(&world.vault);
    let sealed = data.seal("usr_1", "user.full_name", NAME).await.unwrap();
    // It has the shape the ledger takes, there and back.
    let json = serde_json::to_string(&sealed).unwrap();
    assert_eq!(serde_json::from_str::<Personal>(&json).unwrap(), sealed);
    assert!(!json.contains("Ada"));
    let another = personal(&world.another().await);
    assert_eq!(another.open(&sealed, "user.full_name").await.unwrap(), Opened::Text(NAME.to_owned()));
    assert_ne!(data.seal("usr_1", "user.full_name", NAME).await.unwrap(), sealed, "equal texts do not look equal");

    data.seal("usr_2", "user.full_name", "Grace").await.unwrap();
    let foreign = Personal { subject: "usr_2".to_owned(), sealed: sealed.sealed.clone() };
    let mut altered = sealed.clone();
    let last = altered.sealed.pop().unwrap();
    altered.sealed.push(if last == 'A' { 'Q' } else { 'A' });
    let unknown = Personal { subject: "usr_9".to_owned(), sealed: sealed.sealed.clone() };
    let opened = data
        .open_many(&[
            (&sealed, "user.email"),
            (&foreign, "user.full_name"),
            (&altered, "user.full_name"),
            (&unknown, "user.full_name"),
            (&sealed, "user.full_name"),
        ])
        .await
        .unwrap();
    assert_eq!(opened[..4], [const { Opened::Unreadable }; 4]);
    assert_eq!(opened[4].shown(), NAME);
    let elsewhere = PersonalData::new(world.vault.clone(), other_ledger());
    elsewhere.seal("usr_1", "user.full_name", "another Ada").await.unwrap();
    assert_eq!(elsewhere.open(&sealed, "user.full_name").await.unwrap(), Opened::Unreadable);
    assert_has_none(&world.place.bytes().await, &[NAME]);
}

async fn the_longest_text_still_has_the_shape_the_ledger_takes(world: World) {
    let data = personal(&world.vault);
    let longest = "x".repeat(MAX_PERSONAL_BYTES);
    let sealed = data.seal("usr_1", "user.about", &longest).await.unwrap();
    sealed.check("/about").unwrap();
    assert_eq!(data.open(&sealed, "user.about").await.unwrap(), Opened::Text(longest.clone()));
    let empty = data.seal("usr_1", "user.about", "").await.unwrap();
    empty.check("/about").unwrap();
    let longer = data.seal("usr_1", "user.about", &format!("{longest}x")).await;
    assert!(matches!(longer, Err(VaultError::TooLong { .. })), "{longer:?}");
}

async fn of_a_crowd_that_seals_for_a_new_subject_all_use_one_key(world: World) {
    let sealed =
        crowd(&world, |vault| async move { personal(&vault).seal("usr_1", "user.email", NAME).await.unwrap() });
    let sealed = sealed.await;
    let values: Vec<(&Personal, &str)> = sealed.iter().map(|value| (value, "user.email")).collect();
    let opened = personal(&world.vault).open_many(&values).await.unwrap();
    assert!(opened.iter().all(|opened| opened.text() == Some(NAME)));
    assert_eq!(world.place.count("select count(*) from vault_subject_keys").await, 1);
}

async fn lists_of_many_people_open(world: World) {
    let data = personal(&world.vault);
    let mut sealed = Vec::new();
    for number in 0..450 {
        sealed.push(data.seal(&format!("usr_{number}"), "user.email", &number.to_string()).await.unwrap());
    }
    let values: Vec<(&Personal, &str)> = sealed.iter().rev().map(|value| (value, "user.email")).collect();
    let opened = personal(&world.another().await).open_many(&values).await.unwrap();
    for (number, opened) in (0..450).rev().zip(opened) {
        assert_eq!(opened, Opened::Text(number.to_string()));
    }
    assert!(data.open_many(&[]).await.unwrap().is_empty());
}

async fn a_destroyed_key_is_out_of_use_here_at_once_and_elsewhere_within_its_time(world: World) {
    let (here, there) = (personal(&world.vault), personal(&world.another().await));
    let sealed = here.seal("usr_1", "user.full_name", NAME).await.unwrap();
    let other = here.seal("usr_2", "user.full_name", "Grace").await.unwrap();
    assert_eq!(there.open(&sealed, "user.full_name").await.unwrap().text(), Some(NAME));
    let wrapped = world.place.text("select wrapped_key from vault_subject_keys where subject = 'usr_1'").await;
    assert!(has(&world.place.bytes().await, &wrapped), "the scan finds what is there");

    assert!(here.destroy("usr_1", MORNING).await.unwrap());
    let destroyed_at = Instant::now();
    assert_eq!(here.open(&sealed, "user.full_name").await.unwrap(), Opened::Erased);
    assert_eq!(here.open(&sealed, "user.full_name").await.unwrap().shown(), ERASED);
    assert!(!has(&world.place.bytes().await, &wrapped), "the wrapped key is still in the files");
    while there.open(&sealed, "user.full_name").await.unwrap() != Opened::Erased {
        assert!(destroyed_at.elapsed() < KEY_CACHE_TRUST + Duration::from_millis(400));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(there.open(&other, "user.full_name").await.unwrap().text(), Some("Grace"));

    // It is never made again, by nobody.
    for data in [&here, &there, &personal(&world.another().await)] {
        let sealed = data.seal("usr_1", "user.full_name", NAME).await;
        assert!(matches!(sealed, Err(VaultError::SubjectErased)), "{sealed:?}");
    }
    assert!(matches!(world.vault.create_subject_key(&main_ledger(), "usr_1").await, Err(VaultError::SubjectErased)));
    assert!(!here.destroy("usr_1", MORNING + 1).await.unwrap());
    assert!(here.is_erased("usr_1").await.unwrap() && !here.is_erased("usr_2").await.unwrap());
    let destroyed_at = world.vault.subject_destroyed_at(&main_ledger(), "usr_1").await.unwrap();
    assert_eq!(destroyed_at, Some(MORNING));
    // The same person in another organisation is another subject.
    let elsewhere = PersonalData::new(world.vault.clone(), other_ledger());
    elsewhere.seal("usr_1", "user.full_name", NAME).await.unwrap();
}

async fn sealing_and_destroying_at_once_leaves_no_key_behind(world: World) {
    for round in 0..8 {
        let subject = format!("usr_{round}");
        let other = world.another().await;
        let seal = tokio::spawn({
            let (data, subject) = (personal(&other), subject.clone());
            async move { data.seal(&subject, "user.email", NAME).await }
        });
        let destroy = tokio::spawn({
            let (data, subject) = (personal(&world.vault), subject.clone());
            async move { data.destroy(&subject, MORNING).await }
        });
        let sealed = seal.await.unwrap();
        assert!(destroy.await.unwrap().unwrap());
        assert!(matches!(sealed, Ok(_) | Err(VaultError::SubjectErased)), "{sealed:?}");
        other.close().await;
    }
    assert_eq!(world.place.count("select count(*) from vault_subject_keys").await, 0);
}

async fn a_wrapped_key_that_was_altered_or_swapped_is_noticed(world: World) {
    let data = personal(&world.vault);
    let sealed = data.seal("usr_1", "user.email", NAME).await.unwrap();
    data.seal("usr_2", "user.email", "Grace").await.unwrap();
    let swap = "update vault_subject_keys set wrapped_key = (select wrapped_key from vault_subject_keys \
         where subject = 'usr_2') where subject = 'usr_1'";
    assert_eq!(world.place.alter(swap).await, 1);
    let opened = personal(&world.another().await).open(&sealed, "user.email").await;
    assert!(matches!(opened, Err(VaultError::Corrupt(_))), "{opened:?}");
}

both_stores! {
    a_sealed_text_opens_in_its_own_place_only
    the_longest_text_still_has_the_shape_the_ledger_takes
    of_a_crowd_that_seals_for_a_new_subject_all_use_one_key
    lists_of_many_people_open
    a_destroyed_key_is_out_of_use_here_at_once_and_elsewhere_within_its_time
    sealing_and_destroying_at_once_leaves_no_key_behind
    a_wrapped_key_that_was_altered_or_swapped_is_noticed
}
