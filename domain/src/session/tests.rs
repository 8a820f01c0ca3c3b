//! Given events, when a command, then events or a refusal.
#![allow(clippy::unwrap_used, reason = "tests")]

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::*;
use crate::testing::{assert_state_survives_storing, fold, sealed, short};

fn content() -> Started {
    Started {
        user_id: UserId::parse("", "usr_1").unwrap(),
        methods: vec![SessionMethod::Password, SessionMethod::Totp],
        client: Some(sealed("usr_1")),
    }
}

fn start(content: Started) -> SessionCommand {
    SessionCommand::Start(Box::new(content))
}

fn end(reason: SessionEndReason) -> SessionCommand {
    SessionCommand::End { reason }
}

fn started() -> SessionEvent {
    SessionEvent::Started(content())
}

fn ended(reason: SessionEndReason) -> SessionEvent {
    SessionEvent::Ended(Ended { reason })
}

fn given(events: Vec<SessionEvent>) -> AggregateTestExecutor<Session> {
    TestFramework::<Session>::with(()).given(events)
}

#[test]
fn a_session_starts_and_ends_once() {
    given(vec![]).when(start(content())).then_expect_events(vec![started()]);
    given(vec![started()]).when(start(content())).then_expect_error(SessionError::Exists);
    for &reason in SessionEndReason::ALL {
        given(vec![started()]).when(end(reason)).then_expect_events(vec![ended(reason)]);
        given(vec![started(), ended(SessionEndReason::Logout)])
            .when(end(reason))
            .then_expect_error(SessionError::Ended);
    }
    given(vec![]).when(end(SessionEndReason::Logout)).then_expect_error(SessionError::NotFound);
}

#[test]
fn something_must_show_who_it_is() {
    let nothing = Started { methods: vec![], ..content() };
    given(vec![]).when(start(nothing)).then_expect_error(SessionError::Methods);
    let too_much = Started { methods: vec![SessionMethod::Password; MAX_METHODS + 1], ..content() };
    given(vec![]).when(start(too_much)).then_expect_error(SessionError::Methods);
}

#[test]
fn the_client_is_sealed_for_the_user_of_the_session() {
    let other = Started { client: Some(sealed("usr_2")), ..content() };
    given(vec![]).when(start(other)).then_expect_error(SessionError::OtherSubject);
}

#[test]
fn methods_are_words() {
    for (method, word) in [
        (SessionMethod::Password, "password"),
        (SessionMethod::Totp, "totp"),
        (SessionMethod::Passkey, "passkey"),
        (SessionMethod::RecoveryCode, "recovery_code"),
        (SessionMethod::Oidc(short("corporate")), "oidc:corporate"),
    ] {
        let json = format!("\"{word}\"");
        assert_eq!(serde_json::to_string(&method).unwrap(), json);
        assert_eq!(serde_json::from_str::<SessionMethod>(&json).unwrap(), method);
    }
    for word in ["", "oidc", "oidc:", "fingerprint"] {
        assert!(SessionMethod::parse("/methods/0", word).is_err(), "{word}");
    }
}

#[test]
fn the_state_is_who_and_why_it_ended() {
    let session: Session = fold(vec![started(), ended(SessionEndReason::Revoked), ended(SessionEndReason::Logout)]);
    assert_eq!(session.user_id(), Some(&content().user_id));
    assert_eq!(session.ended(), Some(SessionEndReason::Revoked));
    assert_state_survives_storing(&session);
    assert_eq!(fold::<Session>(vec![ended(SessionEndReason::Logout)]), Session::default());
}
