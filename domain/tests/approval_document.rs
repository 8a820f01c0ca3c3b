//! `docs/approvals.md` shows the states of a request for approval as the aggregate has them: every transition is found by
//! running it. `UPDATE_DOCS=1` writes the part between the markers anew; otherwise the test compares.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod approval_states;

use approval_states::{Explored, explore};
use daybook_domain::ApprovalStatus;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const BEGIN: &str = "<!-- states: made by domain/tests/approval_document.rs -->";
const END: &str = "<!-- end of states -->";

/// In the diagram: from, to, and the commands that lead there.
fn diagram(explored: &Explored) -> String {
    let mut arrows: BTreeMap<(Option<ApprovalStatus>, ApprovalStatus), BTreeSet<&str>> = BTreeMap::new();
    for transition in &explored.transitions {
        if transition.from != Some(transition.to) {
            arrows.entry((transition.from, transition.to)).or_default().insert(transition.command);
        }
    }
    let mut text = String::from("```mermaid\nstateDiagram-v2\n");
    for ((from, to), commands) in arrows {
        let from = from.map_or("[*]", ApprovalStatus::as_str);
        let commands: Vec<&str> = commands.into_iter().collect();
        writeln!(text, "    {from} --> {to} : {}", commands.join(", ")).unwrap();
    }
    text + "```\n"
}

/// Every transition with the events that are recorded.
fn transitions(explored: &Explored) -> String {
    let mut text = String::from("| from | command | events | to |\n|---|---|---|---|\n");
    for transition in &explored.transitions {
        let from = transition.from.map_or("nothing", ApprovalStatus::as_str);
        let events: Vec<String> = transition.events.iter().map(|name| format!("`{name}`")).collect();
        writeln!(text, "| {from} | {} | {} | {} |", transition.command, events.join(", "), transition.to).unwrap();
    }
    text
}

/// What a command meets with in a status in which it never succeeds.
fn refusals(explored: &Explored) -> String {
    let commands: BTreeSet<&str> = explored.refusals.keys().map(|(command, _)| *command).collect();
    let mut text =
        format!("| | {} |\n|---|{}\n", ApprovalStatus::WORDS.join(" | "), "---|".repeat(ApprovalStatus::ALL.len()));
    for command in commands {
        let cells = ApprovalStatus::ALL.iter().map(|status| {
            if explored.accepted.contains(&(command, *status)) {
                return "✓".to_owned();
            }
            let Some(codes) = explored.refusals.get(&(command, *status)) else {
                return "–".to_owned();
            };
            let short = codes.iter().map(|code| format!("`{}`", code.trim_start_matches("approval.")));
            short.collect::<Vec<_>>().join(", ")
        });
        writeln!(text, "| {command} | {} |", cells.collect::<Vec<_>>().join(" | ")).unwrap();
    }
    text
}

fn render() -> String {
    let explored = explore();
    format!(
        "{BEGIN}\n\n{}\nEvery transition, and what is recorded:\n\n{}\nWhere a command does something (✓), where it asks for what is already \
         so (–), and what it meets with where it never succeeds (codes without `approval.`):\n\n{}\n{END}",
        diagram(&explored),
        transitions(&explored),
        refusals(&explored)
    )
}

#[test]
fn the_states_in_the_document_are_those_of_the_aggregate() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/approvals.md");
    let page = std::fs::read_to_string(path).expect("docs/approvals.md is there");
    let (before, rest) = page.split_once(BEGIN).expect("the part that is made begins with its marker");
    let (_, after) = rest.split_once(END).expect("the part that is made ends with its marker");
    let made = format!("{before}{}{after}", render());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &made).expect("the page can be written");
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == made, "docs/approvals.md is not what the code does; UPDATE_DOCS=1 cargo test -p daybook-domain");
}

#[test]
fn every_status_is_reached_by_commands() {
    let reached: BTreeSet<ApprovalStatus> = explore().transitions.iter().map(|transition| transition.to).collect();
    assert_eq!(reached, ApprovalStatus::ALL.iter().copied().collect());
}
