//! Whatever is asked in whatever order, the state stays one that makes sense.

use std::collections::BTreeSet;

use cqrs_es::Aggregate;
use proptest::prelude::*;

use super::*;

fn any_command() -> impl Strategy<Value = UserCommand> {
    let name = prop::sample::select(vec!["viewer", "analyst", "auditor", "owner", "operator", "desk-head"]);
    let place = prop::option::of(prop::sample::select(vec!["dep_a", "dep_b"]));
    let expiry = prop::option::of(-2_i64..500);
    let granted = (name.clone(), place.clone(), expiry).prop_map(|(name, place, days)| {
        UserCommand::GrantRole(GrantRole {
            department_id: place.map(department),
            expires_at: days.map(days_ahead),
            ..grant(name)
        })
    });
    let revoked = (name, place).prop_map(|(name, place)| UserCommand::RevokeRole {
        role: role(name),
        department_id: place.map(department),
        reason: None,
    });
    let kind = prop::sample::select(SecondFactorKind::ALL);
    let factors = (kind, 0..3_u8).prop_map(|(kind, number)| enable(factor(kind, &format!("fac_{number}"))));
    let others = prop::sample::select(every_command());
    let registrations = prop::sample::select(Origin::ALL).prop_map(register);
    prop_oneof![6 => granted, 3 => revoked, 2 => factors, 6 => others, 2 => registrations]
}

proptest! {
    #[test]
    fn every_reachable_state_keeps_the_rules(commands in prop::collection::vec(any_command(), 1..60)) {
        let mut user = User::default();
        let mut was_erased = false;
        for command in commands {
            let Ok(events) = user.decide(command) else { continue };
            prop_assert!(!was_erased || events.is_empty(), "something happened to an erased user");
            for event in events {
                let text = serde_json::to_string(&event).unwrap();
                prop_assert_eq!(&serde_json::from_str::<UserEvent>(&text).unwrap(), &event);
                user.apply(event);
            }
            was_erased = user.status() == Some(UserStatus::Erased);
            let places: BTreeSet<_> = user.grants().iter().map(|grant| (&grant.role, &grant.department_id)).collect();
            prop_assert_eq!(places.len(), user.grants().len(), "a role is held twice in one place");
            for grant in user.grants() {
                prop_assert!(!grant.role.is_operator());
                prop_assert!(!grant.role.is_auditor() || grant.expires_at.is_some_and(|end| end <= days_ahead(366)));
                prop_assert!(!grant.role.is_owner() || grant.expires_at.is_none() && grant.department_id.is_none());
            }
            let totp = user.second_factors().iter().filter(|factor| factor.kind == SecondFactorKind::Totp);
            prop_assert!(totp.count() <= 1);
            let ids: BTreeSet<_> = user.second_factors().iter().map(|factor| &factor.factor_id).collect();
            prop_assert_eq!(ids.len(), user.second_factors().len());
            prop_assert!(user.grants().is_empty() || user.status() != Some(UserStatus::Invited));
        }
        assert_state_survives_storing(&user);
    }
}
