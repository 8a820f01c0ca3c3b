//! Second factors: one-time passwords, recovery codes, passkeys.

use daybook_identity::secret::Secret;
use daybook_identity::vault::{NewPasskey, VaultError};
use totp_rs::{Algorithm, TOTP};

use crate::support::*;

/// What an authenticator application shows at a time.
fn code(secret: &Secret, at: i64) -> String {
    let bytes = totp_rs::Secret::Encoded(secret.expose().to_owned()).to_bytes().unwrap();
    let totp = TOTP::new(Algorithm::SHA1, 6, 1, 30, bytes).unwrap();
    totp.generate(u64::try_from(at / SECOND).unwrap())
}

async fn a_factor_is_in_force_once_confirmed_and_each_code_is_good_once(world: World) {
    let (vault, main) = (&world.vault, main_ledger());
    let enrolment = vault.start_totp(&main, "usr_1", "Daybook", "ada@example.org", MORNING).await.unwrap();
    assert!(enrolment.provisioning_uri.expose().starts_with("otpauth://totp/Daybook:ada%40example.org?secret="));
    let now = code(&enrolment.secret, MORNING);
    assert!(!vault.verify_totp(&main, "usr_1", &now, MORNING).await.unwrap(), "not confirmed yet");
    assert!(vault.totp(&main, "usr_1").await.unwrap().is_none());
    let wrong = if now == "000000" { "000001" } else { "000000" };
    assert_eq!(vault.confirm_totp(&main, "usr_1", wrong, MORNING).await.unwrap(), None);
    let confirmed = vault.confirm_totp(&main, "usr_1", &now, MORNING).await.unwrap();
    assert_eq!(confirmed, Some(enrolment.factor_id.clone()));
    assert_eq!(vault.totp(&main, "usr_1").await.unwrap().unwrap().confirmed_at, MORNING);

    assert!(!vault.verify_totp(&main, "usr_1", &now, MORNING + SECOND).await.unwrap(), "it confirmed already");
    let next = code(&enrolment.secret, MORNING + 30 * SECOND);
    assert!(vault.verify_totp(&main, "usr_1", &next, MORNING + SECOND).await.unwrap(), "a clock that is ahead");
    assert!(!vault.verify_totp(&main, "usr_1", &next, MORNING + 30 * SECOND).await.unwrap());
    assert!(!vault.verify_totp(&other_ledger(), "usr_1", &next, MORNING).await.unwrap());

    // The factor stays in force while another is enrolled, until that is confirmed.
    let second = vault.start_totp(&main, "usr_1", "Daybook", "ada@example.org", MORNING).await.unwrap();
    let later = MORNING + 10 * MINUTE;
    assert!(vault.verify_totp(&main, "usr_1", &code(&enrolment.secret, later), later).await.unwrap());
    vault.confirm_totp(&main, "usr_1", &code(&second.secret, later), later).await.unwrap().unwrap();
    let still_later = later + MINUTE;
    assert!(!vault.verify_totp(&main, "usr_1", &code(&enrolment.secret, still_later), still_later).await.unwrap());
    assert!(vault.verify_totp(&main, "usr_1", &code(&second.secret, still_later), still_later).await.unwrap());

    let raw = totp_rs::Secret::Encoded(second.secret.expose().to_owned()).to_bytes().unwrap();
    let bytes = world.place.bytes().await;
    assert_has_none(&bytes, &[second.secret.expose(), "ada@example.org"]);
    assert!(!has(&bytes, &hex::encode(raw)));
    assert_eq!(vault.remove_totp(&main, "usr_1").await.unwrap(), Some(second.factor_id));
    assert_eq!(vault.remove_totp(&main, "usr_1").await.unwrap(), None);
}

async fn of_a_crowd_with_one_code_one_is_let_in(world: World) {
    let main = main_ledger();
    let enrolment = world.vault.start_totp(&main, "usr_1", "Daybook", "ada", MORNING).await.unwrap();
    world.vault.confirm_totp(&main, "usr_1", &code(&enrolment.secret, MORNING), MORNING).await.unwrap().unwrap();
    let later = MORNING + MINUTE;
    let code = code(&enrolment.secret, later);
    let answers = crowd(&world, |vault| {
        let code = code.clone();
        async move { vault.verify_totp(&main_ledger(), "usr_1", &code, later).await.unwrap() }
    })
    .await;
    assert_eq!(answers.iter().filter(|is_in| **is_in).count(), 1);
}

async fn a_secret_moved_to_another_person_does_not_open(world: World) {
    let main = main_ledger();
    for user in ["usr_1", "usr_2"] {
        let enrolment = world.vault.start_totp(&main, user, "Daybook", "ada", MORNING).await.unwrap();
        world.vault.confirm_totp(&main, user, &code(&enrolment.secret, MORNING), MORNING).await.unwrap().unwrap();
    }
    let moved = "update vault_totp set secret = (select secret from vault_totp where user_id = 'usr_2') where user_id = 'usr_1'";
    assert_eq!(world.place.alter(moved).await, 1);
    let verified = world.vault.verify_totp(&main, "usr_1", "000000", MORNING).await;
    assert!(matches!(verified, Err(VaultError::Corrupt(_))), "{verified:?}");
}

async fn a_recovery_code_is_good_once_for_one_person(world: World) {
    let (vault, main) = (&world.vault, main_ledger());
    let codes = vault.replace_recovery_codes(&main, "usr_1", MORNING).await.unwrap();
    assert_eq!(codes.len(), 10);
    let texts: Vec<&str> = codes.iter().map(Secret::expose).collect();
    assert_has_none(&world.place.bytes().await, &texts);
    assert!(!vault.use_recovery_code(&main, "usr_2", texts[0]).await.unwrap());
    assert!(vault.use_recovery_code(&main, "usr_1", &texts[0].to_uppercase()).await.unwrap());
    assert!(!vault.use_recovery_code(&main, "usr_1", texts[0]).await.unwrap());
    assert_eq!(vault.recovery_codes_left(&main, "usr_1").await.unwrap(), 9);

    let answers = crowd(&world, |vault| {
        let code = texts[1].to_owned();
        async move { vault.use_recovery_code(&main_ledger(), "usr_1", &code).await.unwrap() }
    })
    .await;
    assert_eq!(answers.iter().filter(|used| **used).count(), 1);

    vault.replace_recovery_codes(&main, "usr_1", MORNING).await.unwrap();
    assert!(!vault.use_recovery_code(&main, "usr_1", texts[2]).await.unwrap(), "new ones replace the old");
    assert_eq!(vault.remove_recovery_codes(&main, "usr_1").await.unwrap(), 10);
}

async fn a_passkey_whose_counter_goes_back_is_refused(world: World) {
    let (vault, main) = (&world.vault, main_ledger());
    let passkey = |credential: &str, sign_count| NewPasskey {
        credential_id: credential.to_owned(),
        user_id: "usr_1".to_owned(),
        factor_id: format!("fac_{credential}"),
        public_key: "{\"key\":1}".to_owned(),
        sign_count,
    };
    assert!(vault.add_passkey(&main, &passkey("counting", 5), MORNING).await.unwrap());
    assert!(!vault.add_passkey(&main, &passkey("counting", 5), MORNING).await.unwrap());
    assert!(vault.add_passkey(&main, &passkey("silent", 0), MORNING + 1).await.unwrap());
    assert!(vault.use_passkey(&main, "counting", "{\"key\":2}", 6, MORNING + 2).await.unwrap());
    assert!(!vault.use_passkey(&main, "counting", "{\"key\":3}", 6, MORNING + 3).await.unwrap());
    assert!(!vault.use_passkey(&main, "counting", "{\"key\":3}", 0, MORNING + 3).await.unwrap());
    assert!(vault.use_passkey(&main, "silent", "{\"key\":1}", 0, MORNING + 3).await.unwrap());
    let rows = vault.passkeys_of(&main, "usr_1").await.unwrap();
    assert_eq!(rows.iter().map(|row| row.credential_id.as_str()).collect::<Vec<_>>(), ["counting", "silent"]);
    let row = vault.passkey(&main, "counting").await.unwrap().unwrap();
    assert_eq!((row.sign_count, row.public_key.as_str(), row.last_used_at), (6, "{\"key\":2}", Some(MORNING + 2)));
    assert!(vault.passkey(&other_ledger(), "counting").await.unwrap().is_none());
    assert!(!vault.remove_passkey(&main, "usr_2", "fac_silent").await.unwrap());
    assert!(vault.remove_passkey(&main, "usr_1", "fac_silent").await.unwrap());
}

both_stores! {
    a_factor_is_in_force_once_confirmed_and_each_code_is_good_once
    of_a_crowd_with_one_code_one_is_let_in
    a_secret_moved_to_another_person_does_not_open
    a_recovery_code_is_good_once_for_one_person
    a_passkey_whose_counter_goes_back_is_refused
}
