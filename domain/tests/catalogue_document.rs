//! `docs/events.md` is the catalogue in the code. `UPDATE_DOCS=1` writes it anew.
#![allow(clippy::expect_used)]

use std::fmt::Write;

use daybook_domain::catalogue;

fn render() -> String {
    let mut page = String::from(
        "# Events\n\nEvery kind of event that Daybook writes, with an example of its payload. Stored payloads that may hold personal data\n\
         also have `nonce`. Made from the catalogue in `domain/src/events/`; a test holds the two together.\n",
    );
    let mut stream_type = "";
    for event in catalogue() {
        if event.stream_type != stream_type {
            stream_type = event.stream_type;
            write!(page, "\n## Stream type `{stream_type}`\n").expect("writing to a string");
        }
        let example: serde_json::Value = serde_json::from_str(event.example).expect("examples are JSON");
        let example = serde_json::to_string_pretty(&example).expect("JSON prints");
        write!(
            page,
            "\n### `{}` (schema version {})\n\n{}\n\n```json\n{example}\n```\n",
            event.event_type, event.schema_version, event.meaning
        )
        .expect("writing to a string");
    }
    page
}

#[test]
fn the_events_page_is_the_catalogue() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.md");
    let page = render();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).expect("the page can be written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/events.md is not what the catalogue says; UPDATE_DOCS=1 cargo test -p daybook-domain"
    );
}
