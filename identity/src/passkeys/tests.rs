//! Passkeys: the ceremonies and what they refuse.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn passkeys_need_a_name_and_https() {
    for url in ["https://daybook.example", "https://daybook.example:8443/base", "http://localhost:8080"] {
        assert!(RelyingParty::of(url).is_ok(), "{url}");
    }
    for url in ["http://daybook.example", "http://127.0.0.1:8080", "https://192.0.2.1", "https://[::1]", "daybook"] {
        assert!(matches!(RelyingParty::of(url), Err(PasskeyError::NoSite)), "{url}");
    }
}

#[test]
fn options_ask_for_passkeys_that_are_found_without_a_name_and_used_by_their_owner_only() {
    let party = RelyingParty::of("https://daybook.example").unwrap();
    let handle = user_handle(&LedgerId::main(), "usr_1");
    let begun = party.begin_registration(handle, "ann@example.com", "Ann", &[]).unwrap();
    let options = &begun.options["publicKey"];
    assert_eq!(options["rp"]["id"], "daybook.example");
    assert_eq!(options["attestation"], "none");
    let selection = &options["authenticatorSelection"];
    assert_eq!((&selection["residentKey"], &selection["userVerification"]), (&"required".into(), &"required".into()));
    let login = party.begin_login().unwrap();
    assert_eq!(login.options["publicKey"]["userVerification"], "required");
    assert_eq!(login.options["publicKey"]["allowCredentials"], serde_json::json!([]));
    assert!(login.options.get("mediation").is_none());
}

#[test]
fn handles_differ_between_people_and_organizations() {
    let main = user_handle(&LedgerId::main(), "usr_1");
    assert_eq!(main, user_handle(&LedgerId::main(), "usr_1"));
    assert_ne!(main, user_handle(&LedgerId::main(), "usr_2"));
    assert_ne!(main, user_handle(&"acme".parse().unwrap(), "usr_1"));
}
