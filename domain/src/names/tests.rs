//! Ids and names are words that can name nobody.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn an_id_has_its_prefix_and_is_opaque() {
    assert_eq!(UserId::parse("", "usr_5f0c2a9d3b7e41866a1d0c42").unwrap().as_str(), "usr_5f0c2a9d3b7e41866a1d0c42");
    let too_long = format!("usr_{}", "a".repeat(65));
    for text in ["", "usr_", "usr", "dep_1", "usr_Ada", "usr_ada@example.com", "usr_a.b", "usr_ä", "usr_a b", &too_long]
    {
        let refusal = UserId::parse("/user_id", text).unwrap_err();
        assert_eq!(refusal.pointer, "/user_id", "{text}");
    }
    assert!(UserId::parse("", format!("usr_{}", "a".repeat(64))).is_ok());
    for (parsed, text) in [
        (DepartmentId::parse("", "dep_1").map(String::from), "dep_1"),
        (ApiKeyId::parse("", "key_0123456789ab").map(String::from), "key_0123456789ab"),
        (SessionId::parse("", "ses_1").map(String::from), "ses_1"),
        (HoldId::parse("", "hld_1").map(String::from), "hld_1"),
        (ErasureId::parse("", "era_1").map(String::from), "era_1"),
        (ApprovalId::parse("", "apr_1").map(String::from), "apr_1"),
        (DelegationId::parse("", "dlg_1").map(String::from), "dlg_1"),
        (ExportId::parse("", "exp_1").map(String::from), "exp_1"),
        (ScheduleId::parse("", "sch_1").map(String::from), "sch_1"),
    ] {
        assert_eq!(parsed.unwrap(), text);
    }
}

#[test]
fn the_name_of_a_role_is_a_word_of_at_most_63_characters() {
    let longest = format!("a{}", "b".repeat(62));
    for text in ["a", "desk-head", "team.lead_2", longest.as_str()] {
        assert_eq!(RoleName::parse("", text).unwrap().to_string(), text);
    }
    let too_long = format!("{longest}c");
    for text in ["", "Admin", "2nd", "_x", "-x", ".x", "a b", "a:b", "rôle", "a/b", too_long.as_str()] {
        assert!(RoleName::parse("", text).is_err(), "{text}");
    }
}

#[test]
fn built_in_roles_are_known_by_name() {
    for name in BUILT_IN_ROLES {
        assert!(RoleName::parse("", *name).unwrap().is_built_in());
    }
    assert!(!RoleName::parse("", "desk-head").unwrap().is_built_in());
    assert!(RoleName::owner().is_owner() && RoleName::owner().is_built_in());
    assert!(RoleName::viewer().is_built_in());
    assert!(RoleName::parse("", "auditor").unwrap().is_auditor());
    assert!(RoleName::parse("", "operator").unwrap().is_operator());
}

#[test]
fn a_permission_is_a_resource_and_an_action_or_a_word() {
    let longest = "a".repeat(100);
    for text in
        ["incident:update", "admin.role:manage", "chat.message:create", "documents.read", "read", longest.as_str()]
    {
        assert_eq!(PermissionName::parse("", text).unwrap().as_str(), text);
    }
    let too_long = "a".repeat(101);
    for text in ["", ":", "a:", ":b", "a:b:c", "Incident:update", "incident: update", "*", "*:read", too_long.as_str()]
    {
        assert!(PermissionName::parse("", text).is_err(), "{text}");
    }
}

#[test]
fn names_are_checked_when_they_are_read_back() {
    assert!(serde_json::from_str::<RoleName>(r#""admin""#).is_ok());
    assert!(serde_json::from_str::<RoleName>(r#""Admin""#).is_err());
    assert!(serde_json::from_str::<UserId>(r#""ada@example.com""#).is_err());
    assert_eq!("dep_1".parse::<DepartmentId>().unwrap().as_ref(), "dep_1");
    assert_eq!(DepartmentId::parse_optional("", None::<String>).unwrap(), None);
}

#[test]
fn words_labels_and_destinations_are_lower_case_and_short() {
    let longest = format!("a{}", "b".repeat(63));
    for text in ["a", "transaction_export", "eu-west.1", longest.as_str()] {
        assert_eq!(Word::parse("", text).unwrap().as_str(), text);
        assert_eq!(Label::parse("", text).unwrap().as_str(), text);
    }
    assert_eq!(DestinationName::parse("", "archive").unwrap().as_str(), "archive");
    for text in ["", "1a", "Archive", "a b", "a/b", "../a", &"a".repeat(65)] {
        assert!(Word::parse("", text).is_err() && Label::parse("", text).is_err(), "{text}");
        assert!(DestinationName::parse("", text).is_err(), "{text}");
    }
}
