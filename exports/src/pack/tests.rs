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
        open_at: Some((8, text())),
        about: vec![text()],
        request: facts(),
        votes: vec![vote()],
        records_by_type: vec![(text(), 1)],
        entries_by_event: vec![(text(), 1)],
        entries: 1_234_576,
        own_entries: 7,
        own_records: 1,
        stamp_entries: 2,
        stories: vec![Story {
            title: text(),
            facts: facts(),
            held_by: vec![text()],
            lines: vec![StoryLine {
                at: text(),
                position: 7,
                who: text(),
                what: text(),
                remark: Some(Remark::of(&text())),
            }],
            lines_total: 90,
            file: text(),
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
            timestamps_cut: true,
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
fn the_request_for_the_pack_is_not_counted_as_what_there_is_on_the_matter() {
    let with = |entries: u64| render_report(&Report { entries, open_at: None, ..report("tame") });
    assert!(with(12).contains("has on this matter, from tame to tame: 3 entries in 0 records"), "{}", with(12));
    assert!(with(9).contains("nothing was recorded on it, from tame to tame."), "{}", with(9));
    let page = with(12);
    for said in ["7 are of the request for this pack and of its approval", "2 are time stamps", "extended or released"]
    {
        assert!(page.contains(said), "{said}: {page}");
    }
}

#[test]
fn a_period_that_has_not_ended_is_told_as_far_as_the_last_entry() {
    let open_at = Some((4_711, "2026-11-21T10:00:00.000000Z".to_owned()));
    let page = render_report(&Report { open_at, ..report("tame") });
    let said = "as far as position 4711, recorded at 2026-11-21 10:00:00";
    assert_eq!(page.matches(said).count(), 2, "{page}");
    assert!(page.contains("The period had not ended"), "{page}");
    let ended = render_report(&Report { open_at: None, ..report("tame") });
    assert!(!ended.contains("had not ended") && !ended.contains("as far as position"), "{ended}");
}

#[test]
fn long_remarks_are_cut_with_the_file_that_has_them_whole() {
    let mut report = report("tame");
    let remark = |count: usize| Some(Remark::of(&"\u{e9}".repeat(count)));
    report.stories[0].file = "records/incident.ndjson".to_owned();
    report.stories[0].lines[0].remark = remark(MAX_REMARK_CHARS);
    let whole = render_report(&report);
    assert!(whole.contains(&"\u{e9}".repeat(500)) && !whole.contains("Cut after"), "{whole}");
    report.stories[0].lines[0].remark = remark(MAX_REMARK_CHARS + 1);
    let cut = render_report(&report);
    assert!(!cut.contains(&"\u{e9}".repeat(501)), "{cut}");
    assert!(cut.contains("Cut after 500 characters; the whole is in <code>records/incident.ndjson</code>"), "{cut}");
}

#[test]
fn time_stamps_that_are_left_out_are_said() {
    let mut report = report("tame");
    assert!(render_report(&report).contains("Only the last 1 are in this pack"));
    report.proof.timestamps_cut = false;
    assert!(!render_report(&report).contains("There are earlier time stamps"));
}

#[test]
fn fields_of_csv_are_quoted_where_they_must_be() {
    let line = csv_line([Some("a"), None, Some(""), Some("1,\"2\"\r\n3"), Some(" b")]);
    assert_eq!(String::from_utf8(line).unwrap(), "a,,\"\",\"1,\"\"2\"\"\r\n3\",\" b\"\r\n");
}

#[test]
fn no_cell_is_a_formula_to_a_spreadsheet() {
    for (text, cell) in [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "\"'\r=1\""),
        ("=HYPERLINK(\"x\",1)", "\"'=HYPERLINK(\"\"x\"\",1)\""),
        ("a=1", "a=1"),
        ("'=1", "'=1"),
    ] {
        assert_eq!(String::from_utf8(csv_line([Some(text)])).unwrap(), format!("{cell}\r\n"), "{text:?}");
    }
}
