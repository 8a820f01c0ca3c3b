//! What docs/regulation.md shows is there: every test, document, request with its parameters, command with its options,
//! and type of event that it names.
//!
//! An examiner is led by that page. A name on it that leads nowhere is worse than none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use daybook_tests::files::files_below;
use daybook_tests::people::MAIN;
use daybook_tests::{Server, Store, command_line, data};
use serde_json::{Value, json};

/// The page.
const PAGE: &str = "docs/regulation.md";
/// First cells of the header of a table that leads to what shows a provision.
const SHOWN: [&str; 5] = ["provision", "asks for", "in Daybook", "how to see it", "held by"];
/// The sections that there have to be, with the fewest provisions that each shows.
const SECTIONS: [(&str, usize); 8] = [
    ("SEC Rule 17a-4", 12),
    ("FINRA Rule 4511", 3),
    ("MiFID II", 8),
    ("Sarbanes-Oxley", 5),
    ("DORA", 10),
    ("GDPR", 12),
    ("Retention and legal holds", 5),
    ("Regular deliveries and evidence", 3),
];
/// Macros that make tests of the functions whose names they are given.
const MACROS: [&str; 5] =
    ["both_stores!", "on_both_stores!", "on_every_store!", "on_every_store_ignored!", "conformance!"];
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the workspace").to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A row of a table whose header is [`SHOWN`].
#[derive(Debug)]
struct Row {
    section: String,
    line: usize,
    shows: String,
    held_by: String,
}

/// What the page is held against.
struct Known {
    tests: BTreeSet<String>,
    /// Query parameters by method and path, the path with `{}` for each of its parameters.
    operations: BTreeMap<(String, String), BTreeSet<String>>,
    events: BTreeSet<String>,
    /// Words of the help by command; `None` where there is no such command.
    helps: BTreeMap<Vec<String>, Option<BTreeSet<String>>>,
}

impl Known {
    fn new() -> Self {
        let document: Value = serde_json::from_str(&read("docs/openapi.json")).expect("docs/openapi.json is JSON");
        let events = read("docs/events.md");
        let events = events.lines().filter_map(|line| line.strip_prefix("### `")?.split('`').next().map(str::to_owned));
        Self { tests: tests(), operations: operations(&document), events: events.collect(), helps: BTreeMap::new() }
    }

    /// Everything of this page that leads nowhere, each with its line.
    async fn faults(&mut self, page: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for (number, line) in page.lines().enumerate() {
            let mut found = broken_links(line);
            for span in code_spans(line) {
                found.extend(self.faults_of(&span).await);
            }
            faults.extend(found.into_iter().map(|fault| format!("line {}: {fault}", number + 1)));
        }
        for row in rows(page) {
            let names = code_spans(&row.held_by);
            if names.is_empty() {
                faults.push(format!("line {}: no test is named", row.line));
            }
            let unknown = names.iter().filter(|name| !self.tests.contains(*name));
            faults.extend(unknown.map(|name| format!("line {}: no test is called {name}", row.line)));
            if !code_spans(&row.shows).iter().any(|span| is_command(span) || is_request(span)) {
                faults.push(format!("line {}: neither a command nor a request shows it", row.line));
            }
        }
        faults
    }

    async fn faults_of(&mut self, span: &str) -> Vec<String> {
        if is_request(span) {
            self.faults_of_request(span)
        } else if is_command(span) {
            self.faults_of_command(span).await
        } else {
            Vec::new()
        }
    }

    fn faults_of_request(&self, span: &str) -> Vec<String> {
        let (method, target) = span.split_once(' ').expect("a method and a path");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let Some(known) = self.operations.get(&(method.to_owned(), without_names(path))) else {
            return vec![format!("there is no request {method} {path}")];
        };
        let mut faults = Vec::new();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if !known.contains(name) {
                faults.push(format!("{method} {path} has no parameter {name}"));
            }
            if name == "event_type" && !self.events.contains(value) {
                faults.push(format!("there is no event {value}"));
            }
        }
        faults
    }

    async fn faults_of_command(&mut self, span: &str) -> Vec<String> {
        let words: Vec<&str> = span.split_whitespace().collect();
        let is_word = |word: &&&str| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
        let command: Vec<String> = words
            .iter()
            .take_while(|word| is_word(word) && !word.starts_with('-'))
            .map(|word| (*word).to_owned())
            .collect();
        if !self.helps.contains_key(&command) {
            self.helps.insert(command.clone(), help(&command).await);
        }
        let Some(Some(help)) = self.helps.get(&command) else {
            return vec![format!("there is no command {}", command.join(" "))];
        };
        let mut faults = Vec::new();
        for (place, option) in words.iter().enumerate().filter(|(_, word)| word.starts_with('-')) {
            if !help.contains(*option) {
                faults.push(format!("{} has no option {option}", command.join(" ")));
            }
            let value = words.get(place + 1).copied().unwrap_or_default();
            if *option == "--type" && !self.events.contains(value) {
                faults.push(format!("there is no event {value}"));
            }
        }
        faults
    }
}

/// The words of what `--help` prints for a command, or `None` where the program does not know it.
async fn help(command: &[String]) -> Option<BTreeSet<String>> {
    let (program, words) = command.split_first().expect("a program");
    let path = command_line::program().with_file_name(format!("{program}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{} is missing; build first: cargo build --workspace", path.display());
    let mut process = tokio::process::Command::new(path);
    let finished = command_line::finish(process.args(words).arg("--help").env("NO_COLOR", "1")).await;
    let split = |text: String| {
        let of_a_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        text.split(|letter| !of_a_word(letter)).map(str::to_owned).collect()
    };
    (finished.code == 0).then(|| split(finished.stdout))
}

fn is_command(span: &str) -> bool {
    span.starts_with("daybook ") || span.starts_with("daybook-auditor ")
}

fn is_request(span: &str) -> bool {
    span.split_once(' ').is_some_and(|(method, path)| METHODS.contains(&method) && path.starts_with('/'))
}

/// `/a/{name}/b` as `/a/{}/b`.
fn without_names(path: &str) -> String {
    let unnamed = |segment: &str| {
        segment.split_once('{').map_or(segment.to_owned(), |(before, rest)| {
            format!("{before}{{}}{}", rest.split_once('}').map_or("", |(_, after)| after))
        })
    };
    path.split('/').map(unnamed).collect::<Vec<_>>().join("/")
}

fn operations(document: &Value) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut operations = BTreeMap::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            if !METHODS.contains(&method.to_uppercase().as_str()) {
                continue;
            }
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let names =
                parameters.filter(|parameter| parameter["in"] == "query").filter_map(|one| one["name"].as_str());
            operations.insert((method.to_uppercase(), without_names(path)), names.map(str::to_owned).collect());
        }
    }
    operations
}

/// The names of all tests of the workspace.
fn tests() -> BTreeSet<String> {
    let texts: Vec<String> = std::fs::read_dir(root())
        .expect("a readable folder")
        .flatten()
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .flat_map(|entry| files_below(&entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .collect();
    texts.iter().flat_map(|text| tests_of(text)).collect()
}

/// Functions with an attribute that makes a test of them, and those given to one of [`MACROS`] in the same file.
fn tests_of(text: &str) -> BTreeSet<String> {
    let (mut tests, mut functions, mut is_test) = (BTreeSet::new(), BTreeSet::new(), false);
    for line in text.lines().map(str::trim_start) {
        if let Some(attribute) = line.strip_prefix("#[") {
            let path = attribute.split(['(', ']']).next().unwrap_or_default();
            is_test |= path.rsplit("::").next() == Some("test");
        } else if let Some(name) = function(line) {
            if std::mem::take(&mut is_test) {
                tests.insert(name.to_owned());
            }
            functions.insert(name);
        }
    }
    for name in MACROS {
        for call in text.split(name).skip(1) {
            let given = call.trim_start().strip_prefix(['(', '{']).and_then(|rest| rest.split([')', '}']).next());
            let names = given.unwrap_or_default().split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            tests.extend(names.filter(|name| functions.contains(name)).map(str::to_owned));
        }
    }
    tests
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
    line.split(['(', '<']).next()
}

fn rows(page: &str) -> Vec<Row> {
    let (mut rows, mut section, mut shown) = (Vec::new(), String::new(), false);
    for (number, line) in page.lines().enumerate() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut section);
        }
        let Some(inner) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            shown &= line.starts_with('|');
            continue;
        };
        let cells: Vec<&str> = inner.split(" | ").map(str::trim).collect();
        if cells == SHOWN {
            shown = true;
        } else if shown {
            let [_, _, _, shows, held_by] = cells.as_slice() else {
                panic!("line {} has {} cells, not {}", number + 1, cells.len(), SHOWN.len());
            };
            let (shows, held_by) = ((*shows).to_owned(), (*held_by).to_owned());
            rows.push(Row { section: section.clone(), line: number + 1, shows, held_by });
        }
    }
    rows
}

fn code_spans(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Links of a line to files that are not there, or to headings that they do not have.
fn broken_links(line: &str) -> Vec<String> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let mut broken = Vec::new();
    for target in targets.filter(|target| !target.contains("://")) {
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        let path = if file.is_empty() { root().join(PAGE) } else { root().join("docs").join(file) };
        match std::fs::read_to_string(&path) {
            Err(_) => broken.push(format!("there is no document {file}")),
            Ok(text) if !anchor.is_empty() && !text.lines().any(|line| anchor_of(line) == anchor) => {
                broken.push(format!("{file} has no heading #{anchor}"));
            }
            Ok(_) => {}
        }
    }
    broken
}

/// What a heading is linked by: small letters, hyphens for spaces, nothing else. Nothing, where a line is no heading.
fn anchor_of(line: &str) -> String {
    let title = line.trim_start_matches('#');
    if title.len() == line.len() {
        return String::new();
    }
    let kept = title.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|letter| letter.is_alphanumeric() || ['-', '_'].contains(letter)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_page_on_regulation_names_is_there() {
    assert_eq!(Known::new().faults(&read(PAGE)).await, Vec::<String>::new());
}

#[test]
fn page_on_regulation_shows_something_for_every_regulation() {
    let rows = rows(&read(PAGE));
    for (section, fewest) in SECTIONS {
        let shown = rows.iter().filter(|row| row.section == section).count();
        assert!(shown >= fewest, "{section} shows {shown} provisions");
    }
    let elsewhere = rows.iter().filter(|row| !SECTIONS.iter().any(|(section, _)| *section == row.section));
    assert_eq!(elsewhere.map(|row| row.line).collect::<Vec<_>>(), Vec::<usize>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_that_leads_nowhere_is_found_wherever_it_stands() {
    let header = format!("| {} |\n|---|---|---|---|---|\n", SHOWN.join(" | "));
    let row = |shows: &str, held_by: &str| format!("{header}| (a) | much | all of it | {shows} | {held_by} |\n");
    let test = "`whatever_the_page_on_regulation_names_is_there`";
    let right = row("`daybook verify --checkpoint kept.txt`; `GET /v1/transactions/{id}`", test);
    let mut known = Known::new();
    assert_eq!(known.faults(&right).await, Vec::<String>::new());
    for (page, fault) in [
        (row("`daybook verify`", "`nobody_wrote_this_test`"), "no test is called nobody_wrote_this_test"),
        (row("`daybook verify`", "`root`"), "no test is called root"),
        (row("`daybook verify`", "much"), "no test is named"),
        (row("as one sees", test), "neither a command nor a request shows it"),
        (row("`daybook very`", test), "there is no command daybook very"),
        (row("`daybook hold keep`", test), "there is no command daybook hold keep"),
        (row("`daybook-auditor verity`", test), "there is no command daybook-auditor verity"),
        (row("`daybook verify --check kept.txt`", test), "daybook verify has no option --check"),
        (row("`daybook replay --type access.seen`", test), "there is no event access.seen"),
        (row("`GET /v1/nothing`", test), "there is no request GET /v1/nothing"),
        (row("`DELETE /v1/transactions/{id}`", test), "there is no request DELETE /v1/transactions/{id}"),
        (row("`GET /v1/transactions?colour=red`", test), "GET /v1/transactions has no parameter colour"),
        (row("`GET /v1/audit-trail?event_type=access.seen`", test), "there is no event access.seen"),
        ("See [it](nothing.md).".to_owned(), "there is no document nothing.md"),
        ("See [it](people.md#nothing).".to_owned(), "people.md has no heading #nothing"),
        ("Or say `GET /v1/nothing`.".to_owned(), "there is no request GET /v1/nothing"),
    ] {
        let faults = known.faults(&page).await;
        assert!(faults.len() == 1 && faults.iter().all(|found| found.ends_with(fault)), "{fault}: {faults:?}");
    }
}

/// The tags that the page names, where it says what the audit trail tags entries with.
fn tags_of(page: &str) -> Vec<String> {
    let line = page.lines().find(|line| line.starts_with("The audit trail tags each entry")).expect("the line on tags");
    let named = line.split(['(', ')']).nth(1).expect("the tags in brackets");
    let mut tags = code_spans(named);
    let asked_for = page.split("regulation_tag=").skip(1).filter_map(|rest| rest.split(['`', '&']).next());
    tags.extend(asked_for.map(str::to_owned));
    tags.sort_unstable();
    tags.dedup();
    tags
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tag_that_the_page_names_finds_what_it_is_said_to_find() {
    let store = Store::sqlite();
    let server = Server::start(&store).await;
    let (person, subject) = (server.person(MAIN, "admin").await, server.person(MAIN, "analyst").await);
    let client = &person.client;
    client.post("/v1/transactions", &data::transaction("TX-1")).await.expect(201);
    let completed = json!({"status": "completed", "reason": "done"});
    client.post("/v1/transactions/TX-1/status", &completed).await.expect(200);
    client.post("/v1/transactions/TX-1/notes", &json!({"text": "seen"})).await.expect(200);
    client.post("/v1/incidents", &data::incident("Stuck")).await.expect(201);
    let erasure = json!({"subject": subject.id, "reason": "Article 17"});
    let (position, _) = client.post("/v1/erasures", &erasure).await.receipt();
    let found = async |tag: &str| -> BTreeSet<String> {
        let path = format!("/v1/audit-trail?limit=100&regulation_tag={tag}");
        let rows = client.get_at_least(&path, position).await.expect(200).json();
        let types = rows["items"].as_array().expect("items").iter().map(|row| &row["event_type"]);
        types.map(|event| event.as_str().expect("a type").to_owned()).collect()
    };
    let tags = tags_of(&read(PAGE));
    assert_eq!(tags, ["FINRA_4511", "GDPR_17", "MiFID_II", "SEC_17a4"]);
    for tag in &tags {
        assert!(!found(tag).await.is_empty(), "{tag} finds nothing");
    }
    let transactions = ["transaction.note_added", "transaction.recorded", "transaction.status_changed"];
    assert_eq!(found("MiFID_II").await.iter().map(String::as_str).collect::<Vec<_>>(), transactions);
    assert!(found("GDPR_17").await.contains("erasure.requested"));
}

#[test]
fn tests_are_told_from_other_functions() {
    let text = "#[tokio::test(flavor = \"x\")]\n#[expect(lint, reason = \"y\")]\nasync fn one() {}\nfn helper() {}\n\
                #[cfg(test)]\nfn another_helper() {}\nboth_stores!(two);\nasync fn two(store: &Store) {}\n\
                conformance! {\n    three\n    four\n}\nfn three() {}\n#[test]\nfn five() {}\n";
    let tests = tests_of(text);
    assert_eq!(tests.iter().map(String::as_str).collect::<Vec<_>>(), ["five", "one", "three", "two"]);
}
