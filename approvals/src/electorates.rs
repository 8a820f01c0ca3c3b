//! Whether those whom rules name exist: a role, department or person that is not there can never vote.

use daybook_domain::approval_policy::{Electorate, Rule};
use daybook_http_kit::Problem;
use daybook_http_kit::role::BUILT_IN_ROLES;
use daybook_identity::directory::{DirectoryState, UserStatus};

/// Refuses rules that name a role, department or person that the organisation does not have; 422 says where. Where
/// `development` headers are believed there may be people whom the directory does not know.
pub(crate) fn check_named(state: &DirectoryState, rules: &[Rule], development: bool) -> Result<(), Problem> {
    for (pointer, electorate) in named(rules) {
        if let Some(detail) = missing(state, electorate, development) {
            let text = format!("{pointer} {detail}");
            return Err(Problem::refused("approval_policy.unknown_electorate", text).at(&pointer, detail));
        }
    }
    Ok(())
}

/// Everybody whom rules name, and where.
fn named(rules: &[Rule]) -> Vec<(String, &Electorate)> {
    let mut found = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let at = format!("/rules/{index}/terms");
        let terms = &rule.terms;
        for (step, place) in terms.steps.iter().zip(0_usize..) {
            for (clause, number) in step.clauses.iter().zip(0_usize..) {
                of(&mut found, &format!("{at}/steps/{place}/clauses/{number}/from"), &clause.from);
            }
        }
        for (link, place) in terms.escalation.iter().zip(0_usize..) {
            of(&mut found, &format!("{at}/escalation/{place}/to"), &link.to);
        }
        if let Some(break_glass) = &terms.break_glass {
            of(&mut found, &format!("{at}/break_glass/who"), &break_glass.who);
        }
    }
    found
}

fn of<'a>(found: &mut Vec<(String, &'a Electorate)>, at: &str, electorates: &'a [Electorate]) {
    found.extend(electorates.iter().enumerate().map(|(index, electorate)| (format!("{at}/{index}"), electorate)));
}

fn missing(state: &DirectoryState, electorate: &Electorate, development: bool) -> Option<&'static str> {
    let (is_there, detail) = match electorate {
        Electorate::Role(role) => {
            let is_built_in = BUILT_IN_ROLES.iter().any(|row| row.name == role.as_str());
            let own = state.roles.get(role.as_str());
            (is_built_in || own.is_some_and(|role| !role.retired), "is no role of the organisation")
        }
        Electorate::Department(id) => {
            let department = state.departments.get(id.as_str());
            (department.is_some_and(|department| !department.closed), "is no open department of the organisation")
        }
        Electorate::Person(id) => {
            let user = state.users.get(id.as_str());
            let is_active = user.map(|user| user.status == UserStatus::Active).unwrap_or(development);
            (is_active, "is not one of the organisation's active people")
        }
    };
    (!is_there).then_some(detail)
}
