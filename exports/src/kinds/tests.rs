//! What can be asked for of each kind, and what is refused.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;

use daybook_domain::export::ExportKind;

use super::*;

fn asked(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn filters_are_recorded_in_one_spelling_and_go_in_again_unchanged() {
    let pairs =
        [("status", "TRIAGED"), ("start", "2026-11-01"), ("end", "2026-11-01"), ("desks", "[ \"a\" ]"), ("q", " ")];
    let recorded = filters(ExportKind::Incidents, &asked(&pairs)).unwrap();
    let expected = [
        ("desks", "[\"a\"]"),
        ("end", "2026-11-01T23:59:59.999999Z"),
        ("start", "2026-11-01T00:00:00.000000Z"),
        ("status", "acknowledged"),
    ];
    assert_eq!(recorded, asked(&expected));
    assert_eq!(filters(ExportKind::Incidents, &recorded).unwrap(), recorded);
}

#[test]
fn what_no_list_has_is_refused_by_name() {
    let wrong = |kind, pairs: &[(&str, &str)]| filters(kind, &asked(pairs)).unwrap_err().field;
    assert_eq!(wrong(ExportKind::Transactions, &[("is_anomaly", "true")]), "filters.is_anomaly");
    assert_eq!(wrong(ExportKind::Transactions, &[("status", "open")]), "filters.status");
    assert_eq!(wrong(ExportKind::Transactions, &[("min_amount", "1e3")]), "filters.min_amount");
    assert_eq!(wrong(ExportKind::Transactions, &[("min_amount", "2"), ("max_amount", "1.5")]), "filters.max_amount");
    assert_eq!(wrong(ExportKind::AuditTrail, &[("start", "2026-02-02"), ("end", "2026-02-01")]), "filters.end");
    assert_eq!(wrong(ExportKind::Users, &[("is_active", "perhaps")]), "filters.is_active");
    assert_eq!(wrong(ExportKind::Incidents, &[("desks", "Equities")]), "filters.desks");
    assert_eq!(wrong(ExportKind::AuditTrail, &[("limit", "-1")]), "filters.limit");
    assert_eq!(wrong(ExportKind::Transactions, &[("limit", "10")]), "filters.limit");
    let twice = ["amount".to_owned(), "amount".to_owned()];
    assert!(columns(ExportKind::Transactions, &twice).is_err());
    assert!(columns(ExportKind::Transactions, &["search_text".to_owned()]).is_err());
}

#[test]
fn who_people_are_has_to_be_asked_for_and_needs_a_permission() {
    let names: Vec<&str> = columns(ExportKind::Users, &[]).unwrap().iter().map(|column| column.name).collect();
    assert!(!names.contains(&"email") && !names.contains(&"full_name"));
    let contact = ["user_id".to_owned(), "email".to_owned(), "full_name".to_owned()];
    assert_eq!(further_permissions(ExportKind::Users, &contact), ["user:read_contact"]);
    assert!(further_permissions(ExportKind::Users, &[]).is_empty());
}

#[test]
fn names_of_columns_and_filters_are_there_once() {
    for kind in ExportKind::ALL {
        let KindDeclaration { columns, filters } = declaration(*kind);
        let mut names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair.first() != pair.last()), "{kind:?}");
        let mut names: Vec<&str> = filters.iter().map(|filter| filter.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair.first() != pair.last()), "{kind:?}");
    }
}
