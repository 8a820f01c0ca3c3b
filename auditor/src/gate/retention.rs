//! Whether records were ever to be kept for less than had been promised. Approved or not: no approval makes a rule shorter.

use std::collections::BTreeMap;

use super::payloads::RetentionRuleSet;

/// Fewest years of each class. A class that is not known here is not judged by a floor.
const FLOORS: [(&str, u32); 4] = [("three_years", 3), ("five_years", 5), ("six_years", 6), ("seven_years", 7)];

/// What each rule promised, by the type of the records.
#[derive(Debug, Default)]
pub(super) struct Retention(BTreeMap<String, (u32, bool)>);

impl Retention {
    /// Takes a rule in; says what is wrong with it, if anything is. What was promised before goes on being what is compared.
    pub(super) fn set(&mut self, event: RetentionRuleSet) -> Option<String> {
        let floor = FLOORS.iter().find(|(class, _)| *class == event.class).map_or(0, |(_, floor)| *floor);
        let (years, keeps) = self.0.entry(event.record_type).or_insert((0, false));
        let wrong = if event.years < *years {
            Some(format!("keeps for {} years what was to be kept for {years}", event.years))
        } else if *keeps && !event.keeps_identities {
            Some("lets go of who acted, which was to stay known".to_owned())
        } else if event.years < floor {
            Some(format!("keeps for {} years, and its class asks for {floor}", event.years))
        } else {
            None
        };
        (*years, *keeps) = ((*years).max(event.years), *keeps || event.keeps_identities);
        wrong
    }
}
