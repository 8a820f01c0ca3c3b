//! The report: nothing that a ledger holds is markup in it, and what was cut is said.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

const EVIL: &str = "<script>alert('x')</script><img src=x onerror=\"y\"> & \u{202e}gnp\u{0}\u{2028}</style></pre>";

fn report(text: &str) -> Report {
    let text = || text.to_owned();
    let facts = || vec![(text(), text())];
    let vote = || VoteLine { at: text(), person: text(), decision: text(), reason: text() };
    Report {
        matter: text(),
        organization: text(),
        made_at: text(),
        period: (text(), text()),
        about: vec![text()],
        request: facts(),
        votes: vec![vote()],
        records_by_type: vec![(text(), 1)],
        entries_by_event: vec![(text(), 1)],
        entries: 1_234_567,
        stories: vec![Story {
            title: text(),
            facts: facts(),
            held_by: vec![text()],
            lines: vec![StoryLine { at: text(), position: 7, who: text(), what: text(), remark: Some(text()) }],
            lines_total: 90,
        }],
        stories_total: 500,
        approvals: vec![ApprovalStory { id: text(), summary: text(), facts: facts(), votes: vec![vote()] }],
        approvals_total: 1,
        holds: vec![HoldStory { id: text(), facts: facts(), covers: vec![text()] }],
        holds_total: 1,
        people: Some(vec![(text(), text(), text())]),
        proof: Proof {
            origin: text(),
            size: 9,
            root: text(),
            note: text(),
            positions: (1, 2),
            keys: vec![text()],
            timestamps: vec![Timestamp { position: 3, size: 4, at: text(), authority: text() }],
        },
    }
}

/// The tags of a page, without their attributes.
fn tags(page: &str) -> Vec<&str> {
    page.split('<').skip(1).map(|rest| rest.split(['>', ' ', '\n']).next().unwrap()).collect()
}

#[test]
fn nothing_that_the_ledger_holds_is_markup_in_the_report() {
    let (evil, tame) = (render_report(&report(EVIL)), render_report(&report("tame")));
    assert_eq!(tags(&evil), tags(&tame));
    assert!(!evil.contains(['\u{202e}', '\u{0}', '\u{2028}']) && evil.contains("\\u{202e}"));
    assert!(evil.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
    for forbidden in ["<script", "<img", "http://", "https://", "url(", "@import", "onerror=\""] {
        assert!(!tame.contains(forbidden) && !evil.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn what_was_cut_is_said_with_where_all_of_it_is() {
    let page = render_report(&report("tame"));
    assert!(
        page.contains("There are 500 records; 1 are shown here, at most 200. All of them are in index.csv"),
        "{page}"
    );
    assert!(page.contains("There are 90 entries of this record; 1 are shown here"), "{page}");
    assert!(page.contains("1,234,567 entries"), "{page}");
}

#[test]
fn fields_of_csv_are_quoted_where_they_must_be() {
    let line = csv_line([Some("a"), None, Some(""), Some("=1,\"2\"\r\n3"), Some(" b")]);
    assert_eq!(String::from_utf8(line).unwrap(), "a,,\"\",\"=1,\"\"2\"\"\r\n3\",\" b\"\r\n");
}
