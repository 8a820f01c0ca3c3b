//! Accounts and logins elsewhere.

use daybook_identity::passwords::{PasswordPolicy, Passwords};
use daybook_identity::personal::PersonalData;
use daybook_identity::vault::{NewPasskey, NewSession, Purpose, Reserved};
use serde_json::json;

use crate::support::*;

const ADDRESS: &str = "ada.lovelace@example.org";

fn passwords() -> Passwords {
    Passwords::new(PasswordPolicy { memory_kib: 8, iterations: 1, ..PasswordPolicy::default() }).unwrap()
}

async fn an_address_has_one_account_and_a_broken_off_one_goes_on(world: World) {
    let (vault, main) = (&world.vault, main_ledger());
    let digest = vault.email_digest(&main, ADDRESS);
    assert_eq!(vault.reserve_account(&main, "usr_1", &digest, MORNING).await.unwrap(), Reserved::New);
    let repeat = vault.reserve_account(&main, "usr_2", &digest, MORNING).await.unwrap();
    assert_eq!(repeat, Reserved::Pending("usr_1".to_owned()));
    assert_eq!(vault.account(&main, "usr_1").await.unwrap().unwrap().completed_at, None);

    assert!(vault.complete_account(&main, "usr_1", MORNING + 1).await.unwrap());
    assert!(vault.complete_account(&main, "usr_1", MORNING + 2).await.unwrap());
    assert_eq!(vault.account(&main, "usr_1").await.unwrap().unwrap().completed_at, Some(MORNING + 1));
    assert_eq!(vault.reserve_account(&main, "usr_2", &digest, MORNING).await.unwrap(), Reserved::Taken);
    // The same id with another address is taken, too.
    let another = vault.email_digest(&main, "ada@example.com");
    assert_eq!(vault.reserve_account(&main, "usr_1", &another, MORNING).await.unwrap(), Reserved::Taken);

    let other = other_ledger();
    let elsewhere = vault.email_digest(&other, ADDRESS);
    assert_ne!(elsewhere, digest);
    assert_eq!(vault.reserve_account(&other, "usr_1", &elsewhere, MORNING).await.unwrap(), Reserved::New);
    assert!(vault.account_by_email(&other, &digest).await.unwrap().is_none());
    assert!(!vault.complete_account(&main, "usr_none\0", MORNING).await.unwrap());
}

async fn of_a_crowd_with_one_address_one_gets_the_account(world: World) {
    let digest = world.vault.email_digest(&main_ledger(), ADDRESS);
    let number = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let answers = crowd(&world, |vault| {
        let user = format!("usr_{}", number.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        async move { vault.reserve_account(&main_ledger(), &user, &digest, MORNING).await.unwrap() }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| **answer == Reserved::New).count(), 1);
    let user = world.vault.account_by_email(&main_ledger(), &digest).await.unwrap().unwrap().user_id;
    assert_eq!(answers.iter().filter(|answer| **answer == Reserved::Pending(user.clone())).count(), CROWD - 1);
}

async fn a_password_is_kept_as_a_hash_and_replaced_only_by_its_own_rehash(world: World) {
    let (vault, main) = (&world.vault, main_ledger());
    let digest = vault.email_digest(&main, ADDRESS);
    vault.reserve_account(&main, "usr_1", &digest, MORNING).await.unwrap();
    let first = passwords().hash("tulip-anvil-cobalt".into()).await.unwrap();
    let second = passwords().hash("tulip-anvil-cobalt".into()).await.unwrap();
    assert!(vault.set_password(&main, "usr_1", &first, MORNING + 5).await.unwrap());
    assert!(!vault.set_password(&other_ledger(), "usr_1", &first, MORNING).await.unwrap());
    assert!(vault.replace_password_hash(&main, "usr_1", &first, &second).await.unwrap());
    assert!(!vault.replace_password_hash(&main, "usr_1", &first, &second).await.unwrap());
    let account = vault.account_by_email(&main, &digest).await.unwrap().unwrap();
    assert_eq!(account.password_hash, Some(second.clone()));
    assert_eq!(account.password_changed_at, Some(MORNING + 5));
    assert!(passwords().verify("tulip-anvil-cobalt".into(), Some(&second)).await.unwrap().is_right());
}

async fn an_account_moves_to_a_free_address_only(world: World) {
    let (vault, main) = (&world.vault, main_ledger());
    let [ada, grace, free] = ["ada@x.org", "grace@x.org", "free@x.org"].map(|email| vault.email_digest(&main, email));
    vault.reserve_account(&main, "usr_1", &ada, MORNING).await.unwrap();
    vault.reserve_account(&main, "usr_2", &grace, MORNING).await.unwrap();
    assert!(!vault.change_email(&main, "usr_1", &grace).await.unwrap());
    assert!(vault.change_email(&main, "usr_1", &free).await.unwrap());
    assert!(!vault.change_email(&main, "usr_3", &ada).await.unwrap());
    assert!(vault.account_by_email(&main, &ada).await.unwrap().is_none());
    assert_eq!(vault.account_by_email(&main, &free).await.unwrap().unwrap().user_id, "usr_1");
}

async fn deleting_an_account_leaves_nothing_of_the_person(world: World) {
    let (vault, main) = (&world.vault, main_ledger());
    let personal = PersonalData::new(vault.clone(), main.clone());
    for (user, email) in [("usr_goner", ADDRESS), ("usr_stays", "grace@example.org")] {
        let digest = vault.email_digest(&main, email);
        vault.reserve_account(&main, user, &digest, MORNING).await.unwrap();
        vault
            .set_password(&main, user, &passwords().hash("tulip-anvil-cobalt".into()).await.unwrap(), 1)
            .await
            .unwrap();
        let client = personal.seal(user, "session.client", "192.0.2.7 Mozilla").await.unwrap();
        let session = NewSession {
            ledger: main.clone(),
            user_id: user.to_owned(),
            session_id: format!("ses_{user}"),
            expires_at: MORNING + DAY,
            client: Some(client),
        };
        vault.start_session(&session, MORNING).await.unwrap();
        vault.issue_one_time(&main, Purpose::PasswordReset, Some(user), &json!({}), MINUTE, MORNING).await.unwrap();
        vault.start_totp(&main, user, "Daybook", email, MORNING).await.unwrap();
        vault.replace_recovery_codes(&main, user, MORNING).await.unwrap();
        let passkey = NewPasskey {
            credential_id: format!("cred-{user}"),
            user_id: user.to_owned(),
            factor_id: "fac_1".to_owned(),
            public_key: "{}".to_owned(),
            sign_count: 0,
        };
        assert!(vault.add_passkey(&main, &passkey, MORNING).await.unwrap());
        assert!(vault.link_identity(&main, "provider", email, user, MORNING).await.unwrap());
    }
    let goner = hex::encode(vault.email_digest(&main, ADDRESS));
    let hash = world.place.text("select password_hash from vault_accounts where user_id = 'usr_goner'").await;
    let before = world.place.bytes().await;

    assert!(vault.delete_account(&main, "usr_goner").await.unwrap());
    assert!(!vault.delete_account(&main, "usr_goner").await.unwrap());
    let after = world.place.bytes().await;
    // The wrapped key of the sealed data is all that still names the person.
    assert_eq!(world.place.alter("delete from vault_subject_keys where subject = 'usr_goner'").await, 1);
    for trace in ["ses_usr_goner", "cred-usr_goner", &goner, &hash] {
        assert!(has(&before, trace) && !has(&after, trace), "{trace} is left");
    }
    for table in ["accounts", "sessions", "one_time_tokens", "totp", "recovery_codes", "passkeys", "identities"] {
        let rows = format!("select count(*) from vault_{table} where user_id = 'usr_goner'");
        assert_eq!(world.place.count(&rows).await, 0, "{table}");
        let rows = format!("select count(*) from vault_{table} where user_id = 'usr_stays'");
        assert!(world.place.count(&rows).await > 0, "{table}");
    }
    assert_eq!(vault.sessions_of(&main, "usr_stays", MORNING).await.unwrap().len(), 1);
    assert_eq!(world.place.count("select count(*) from vault_refresh_tokens").await, 1);
}

async fn a_login_elsewhere_belongs_to_one_person(world: World) {
    let (vault, main) = (&world.vault, main_ledger());
    assert!(vault.link_identity(&main, "provider", "subject-4711", "usr_1", MORNING).await.unwrap());
    assert!(!vault.link_identity(&main, "provider", "subject-4711", "usr_2", MORNING).await.unwrap());
    assert_eq!(vault.identity(&main, "provider", "subject-4711").await.unwrap().as_deref(), Some("usr_1"));
    assert_eq!(vault.identity(&main, "another", "subject-4711").await.unwrap(), None);
    assert_eq!(vault.identity(&other_ledger(), "provider", "subject-4711").await.unwrap(), None);
    assert_has_none(&world.place.bytes().await, &["subject-4711"]);
    assert!(vault.unlink_identity(&main, "provider", "usr_1").await.unwrap());
    assert_eq!(vault.identity(&main, "provider", "subject-4711").await.unwrap(), None);
}

both_stores! {
    an_address_has_one_account_and_a_broken_off_one_goes_on
    of_a_crowd_with_one_address_one_gets_the_account
    a_password_is_kept_as_a_hash_and_replaced_only_by_its_own_rehash
    an_account_moves_to_a_free_address_only
    deleting_an_account_leaves_nothing_of_the_person
    a_login_elsewhere_belongs_to_one_person
}
