//! Passwords: hashed, verified in even time, and refused where they are weak.
#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;

/// As weak as Argon2id can be: the tests are about what is around it.
const WEAK: PasswordPolicy = PasswordPolicy {
    memory_kib: 8,
    iterations: 1,
    parallelism: 1,
    min_characters: 12,
    max_characters: 256,
    at_once: None,
};

fn passwords() -> Passwords {
    Passwords::new(WEAK).unwrap()
}

#[tokio::test]
async fn a_password_is_right_and_another_is_wrong() {
    let passwords = passwords();
    let hash = passwords.hash("tulip-anvil-cobalt".into()).await.unwrap();
    assert!(hash.as_stored().starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
    assert!(!format!("{hash:?}").contains("argon2"));
    let right = passwords.verify("tulip-anvil-cobalt".into(), Some(&hash)).await.unwrap();
    assert_eq!(right, Verified::Right { is_outdated: false });
    assert_eq!(passwords.verify("tulip-anvil-cobalT".into(), Some(&hash)).await.unwrap(), Verified::Wrong);
    assert_ne!(hash, passwords.hash("tulip-anvil-cobalt".into()).await.unwrap());
}

#[tokio::test]
async fn without_an_account_the_same_work_is_done_and_any_password_is_wrong() {
    let passwords = passwords();
    // The stand-in is one that can be checked: a malformed one would answer at once.
    let dummy = phc::PasswordHash::new(passwords.0.dummy.as_stored()).unwrap();
    assert_eq!(Params::try_from(&dummy).unwrap().m_cost(), WEAK.memory_kib);
    assert_eq!(dummy.hash.unwrap().len(), 32);
    assert_eq!(passwords.verify("tulip-anvil-cobalt".into(), None).await.unwrap(), Verified::Wrong);
}

#[tokio::test]
async fn a_hash_with_other_parameters_is_right_and_outdated() {
    let hash = passwords().hash("tulip-anvil-cobalt".into()).await.unwrap();
    let stronger = Passwords::new(PasswordPolicy { iterations: 2, ..WEAK }).unwrap();
    let verified = stronger.verify("tulip-anvil-cobalt".into(), Some(&hash)).await.unwrap();
    assert_eq!(verified, Verified::Right { is_outdated: true });
}

#[tokio::test]
async fn a_stored_hash_cannot_ask_for_all_the_memory() {
    let hash = passwords().hash("tulip-anvil-cobalt".into()).await.unwrap();
    let greedy = PasswordHash(hash.as_stored().replace("m=8", "m=4000000"));
    assert!(matches!(passwords().verify("x".into(), Some(&greedy)).await, Err(PasswordError::Corrupt)));
    let broken = PasswordHash("$argon2id$".to_owned());
    assert!(matches!(passwords().verify("x".into(), Some(&broken)).await, Err(PasswordError::Corrupt)));
}

#[test]
fn weak_passwords_are_refused_with_a_reason() {
    let passwords = passwords();
    let refusal = |password: &str| passwords.check(&password.into(), "grace.hopper@example.org").err();
    assert_eq!(refusal("elevenchars"), Some(PasswordRefusal::TooShort(12)));
    assert_eq!(refusal("twelve-chars"), None);
    assert_eq!(refusal("Ünïcödé-zwölf"), None);
    assert_eq!(refusal(&"ab-cd-ef-gh!".repeat(30)), Some(PasswordRefusal::TooLong(256)));
    assert_eq!(refusal("Grace.Hopper@example.org"), Some(PasswordRefusal::IsEmail));
    assert_eq!(refusal("GRACE.HOPPER"), Some(PasswordRefusal::IsEmail));
    for common in ["Password1234", "aaaaaaaaaaaa", "abcabcabcabc", "123456789012", "qwertyuiopas", "QwertyQwerty"] {
        assert_eq!(refusal(common), Some(PasswordRefusal::TooCommon), "{common}");
    }
}

#[test]
fn the_default_is_what_owasp_asks_for() {
    let policy = PasswordPolicy::default();
    assert_eq!((policy.memory_kib, policy.iterations, policy.parallelism), (19_456, 2, 1));
}

#[tokio::test]
async fn no_more_are_hashed_at_once_than_allowed() {
    let passwords = Passwords::new(PasswordPolicy { at_once: Some(1), ..WEAK }).unwrap();
    let held = Arc::clone(&passwords.0.permits).acquire_owned().await.unwrap();
    let waiting = tokio::spawn({
        let passwords = passwords.clone();
        async move { passwords.hash("tulip-anvil-cobalt".into()).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(held);
    assert!(waiting.await.unwrap().is_ok());
}
