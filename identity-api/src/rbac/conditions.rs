//! Under which conditions a permission of the organisation's own counts.
//!
//! Only what can be judged from a check's context is taken as a condition: one that nobody judges would be a promise.

use daybook_domain::Meta;
use serde::Deserialize;
use utoipa::ToSchema;

/// Classifications from the least to the most sensitive.
const CLASSIFICATIONS: [&str; 5] = ["public", "internal", "confidential", "restricted", "secret"];

/// What a check says of the case at hand.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckContext {
    /// The department in which something is to be done.
    pub department_id: Option<String>,
    /// Whose the resource is.
    pub resource_owner_id: Option<String>,
    /// `public`, `internal`, `confidential`, `restricted` or `secret`.
    pub classification: Option<String>,
}

/// The conditions of a permission.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    own_only: bool,
    department: bool,
    max_classification: Option<usize>,
}

fn classification(word: &str) -> Option<usize> {
    CLASSIFICATIONS.iter().position(|known| *known == word)
}

impl Conditions {
    /// Reads them, or says in words what cannot be a condition.
    pub(crate) fn parse(given: &Meta) -> Result<Self, String> {
        let mut conditions = Self::default();
        for (name, value) in given.fields() {
            let truth = || value.as_bool().ok_or_else(|| format!("{name} must be true or false"));
            match name.as_str() {
                "own_only" => conditions.own_only = truth()?,
                "department" => conditions.department = truth()?,
                "max_classification" => {
                    let most = value.as_str().and_then(classification);
                    let most = most.ok_or_else(|| format!("{name} must be one of {}", CLASSIFICATIONS.join(", ")))?;
                    conditions.max_classification = Some(most);
                }
                _ => return Err(format!("{name} is not a condition: own_only, department, max_classification are")),
            }
        }
        Ok(conditions)
    }

    /// Why they do not hold for this person in this case; `None` where they do. `departments` are those in which the person
    /// has a role. What the case does not say does not hold.
    pub(crate) fn unmet(&self, user_id: &str, departments: &[String], case: &CheckContext) -> Option<&'static str> {
        if self.own_only && case.resource_owner_id.as_deref() != Some(user_id) {
            return Some("the resource is not one's own");
        }
        if self.department && !case.department_id.as_ref().is_some_and(|department| departments.contains(department)) {
            return Some("the department is not one's own");
        }
        let within = |most: usize| {
            case.classification.as_deref().and_then(classification).is_some_and(|sensitivity| sensitivity <= most)
        };
        if self.max_classification.is_some_and(|most| !within(most)) {
            return Some("the classification is too high");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde_json::{Value, json};

    use super::*;

    fn conditions(value: Value) -> Result<Conditions, String> {
        Conditions::parse(&Meta::parse("", value.as_object().unwrap().clone()).unwrap())
    }

    #[test]
    fn what_the_case_does_not_say_does_not_hold() {
        let all = conditions(json!({"own_only": true, "department": true, "max_classification": "internal"})).unwrap();
        let departments = ["dep_1".to_owned()];
        let mut case = CheckContext::default();
        assert_eq!(all.unmet("usr_1", &departments, &case), Some("the resource is not one's own"));
        case.resource_owner_id = Some("usr_1".to_owned());
        assert_eq!(all.unmet("usr_1", &departments, &case), Some("the department is not one's own"));
        case.department_id = Some("dep_1".to_owned());
        assert_eq!(all.unmet("usr_1", &departments, &case), Some("the classification is too high"));
        case.classification = Some("confidential".to_owned());
        assert_eq!(all.unmet("usr_1", &departments, &case), Some("the classification is too high"));
        case.classification = Some("internal".to_owned());
        assert_eq!(all.unmet("usr_1", &departments, &case), None);
    }

    #[test]
    fn condition_that_nobody_judges_is_refused() {
        for bad in [json!({"ip_restrictions": []}), json!({"own_only": "yes"}), json!({"max_classification": "top"})] {
            assert!(conditions(bad).is_err());
        }
        assert_eq!(conditions(json!({})).unwrap(), Conditions::default());
    }
}
