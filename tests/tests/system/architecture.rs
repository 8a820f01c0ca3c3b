//! The dependency table and the house rules that a tool can hold: over `cargo metadata` and over the files themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Crates of ours that each crate may use, and crates from outside that it must never name. A crate of ours that is not
/// in this table fails the test: whoever adds one decides what it may use.
const TABLE: &[(&str, &[&str], &[&str])] = &[
    (
        "daybook-domain",
        &[],
        &["sqlx", "rusqlite", "actix-web", "actix-http", "reqwest", "tokio", "rand", "uuid", "futures", "tracing"],
    ),
    ("daybook-ledger", &[], &["actix-web", "reqwest", "utoipa"]),
    ("daybook-read-models", &[], &["actix-web", "reqwest", "utoipa", "cqrs-es", "rusqlite"]),
    (
        "daybook-projections",
        &["daybook-domain", "daybook-ledger", "daybook-read-models"],
        &["actix-web", "reqwest", "utoipa"],
    ),
    (
        "daybook-reactors",
        &[
            "daybook-domain",
            "daybook-ledger",
            "daybook-read-models",
            "daybook-time-stamping",
            "daybook-approvals",
            "daybook-exports",
            "daybook-identity",
            "daybook-http-kit",
        ],
        &["actix-web", "utoipa"],
    ),
    (
        "daybook-approvals",
        &["daybook-domain", "daybook-ledger", "daybook-http-kit", "daybook-identity"],
        &["sqlx", "rusqlite", "reqwest"],
    ),
    ("daybook-exports", &["daybook-domain", "daybook-ledger"], &["sqlx", "rusqlite", "actix-web"]),
    ("daybook-time-stamping", &[], &["sqlx", "rusqlite", "actix-web", "reqwest", "tokio", "rand", "rustls"]),
    ("daybook-http-kit", &["daybook-ledger"], &["sqlx", "rusqlite", "reqwest"]),
    (
        "daybook-identity",
        &["daybook-domain", "daybook-ledger", "daybook-http-kit"],
        &["actix-web", "utoipa", "rusqlite"],
    ),
    (
        "daybook-identity-api",
        &["daybook-domain", "daybook-ledger", "daybook-http-kit", "daybook-identity", "daybook-approvals"],
        &["sqlx", "rusqlite", "reqwest"],
    ),
    (
        "daybook-write-api",
        &["daybook-domain", "daybook-ledger", "daybook-http-kit", "daybook-approvals", "daybook-exports"],
        &["sqlx", "rusqlite", "reqwest"],
    ),
    (
        "daybook-query-api",
        &["daybook-read-models", "daybook-ledger", "daybook-http-kit", "daybook-approvals", "daybook-exports"],
        &["rusqlite", "reqwest"],
    ),
    (
        "daybook-auditor",
        &["daybook-ledger", "daybook-domain", "daybook-time-stamping"],
        &["actix-web", "utoipa", "opentelemetry"],
    ),
];
/// Ours, but neither library nor bound by the table: the program wires everything, the tests look at everything.
const UNBOUND: [&str; 2] = ["daybook", "daybook-tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the workspace").to_owned()
}

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = std::process::Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

/// What each member uses outside its tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let members = metadata["packages"].as_array().expect("packages");
    let used = |package: &Value| {
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        let normal = dependencies.iter().filter(|dependency| dependency["kind"].is_null());
        normal.map(|dependency| dependency["name"].as_str().expect("a name").to_owned()).collect()
    };
    members.iter().map(|package| (package["name"].as_str().expect("a name").to_owned(), used(package))).collect()
}

/// The files of the repository with one of these endings; build output and version control aside.
fn files(endings: &[&str]) -> Vec<(PathBuf, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![root()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a folder entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() {
                if !["target", ".git", "daybook-data", "node_modules"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending))
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 10, "the walk found only {} files", found.len());
    found
}

#[test]
fn every_crate_uses_only_what_the_table_allows() {
    let used = dependencies();
    let mut broken = Vec::new();
    for (name, dependencies) in &used {
        if UNBOUND.contains(&name.as_str()) {
            continue;
        }
        let Some((_, ours, never)) = TABLE.iter().find(|(member, _, _)| member == name) else {
            broken.push(format!("{name} is not in the table"));
            continue;
        };
        for dependency in dependencies {
            let dependency = dependency.as_str();
            let is_ours = used.contains_key(dependency);
            if is_ours && !ours.contains(&dependency) {
                broken.push(format!("{name} uses {dependency}"));
            }
            if never.contains(&dependency) {
                broken.push(format!("{name} uses {dependency}"));
            }
        }
    }
    for (name, _, _) in TABLE {
        assert!(used.contains_key(*name), "{name} of the table is not in the workspace");
    }
    assert_eq!(broken, Vec::<String>::new());
}

/// The table is about direct use; this is about what comes in through others of ours.
#[test]
fn nothing_forbidden_comes_in_through_another_crate() {
    let used = dependencies();
    let reached = |start: &str| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![start.to_owned()]);
        while let Some(name) = open.pop() {
            for dependency in used.get(&name).into_iter().flatten() {
                if reached.insert(dependency.clone()) {
                    open.push(dependency.clone());
                }
            }
        }
        reached
    };
    for (crate_name, never) in [
        ("daybook-write-api", &["daybook-read-models", "daybook-projections"][..]),
        (
            "daybook-query-api",
            &["daybook-write-api", "daybook-identity-api", "daybook-projections", "daybook-reactors"],
        ),
        (
            "daybook-approvals",
            &["daybook-read-models", "daybook-projections", "daybook-write-api", "daybook-query-api"],
        ),
        ("daybook-exports", &["daybook-read-models", "daybook-identity", "daybook-http-kit"]),
        (
            "daybook-identity-api",
            &["daybook-read-models", "daybook-projections", "daybook-write-api", "daybook-query-api"],
        ),
        ("daybook-projections", &["reqwest", "actix-web", "daybook-reactors"]),
        ("daybook-auditor", &["actix-web", "daybook-read-models", "daybook-http-kit", "daybook-reactors"]),
        ("daybook-ledger", &["daybook-domain"]),
        ("daybook-domain", &["daybook-ledger", "sqlx", "actix-web"]),
    ] {
        let reached = reached(crate_name);
        for name in never {
            assert!(!reached.contains(*name), "{crate_name} reaches {name}");
        }
    }
}

#[test]
fn domain_knows_no_clock_and_no_chance() {
    for (path, text) in files(&[".rs"]) {
        if !path.starts_with(root().join("domain/src")) || path.ends_with("tests.rs") {
            continue;
        }
        for word in
            ["Utc::now", "Local::now", "SystemTime::now", "Instant::now", "rand::", "now_v7", "new_v4", "std::fs"]
        {
            assert!(!text.contains(word), "{} uses {word}", path.display());
        }
    }
}

#[test]
fn every_member_inherits_the_lints_and_nobody_is_unsafe() {
    for package in metadata()["packages"].as_array().expect("packages") {
        let path = package["manifest_path"].as_str().expect("a path");
        let manifest = std::fs::read_to_string(path).expect("a manifest");
        let lints = manifest.split("[lints]").nth(1).unwrap_or_default();
        assert!(lints.trim_start().starts_with("workspace = true"), "{path} does not inherit the lints");
        assert!(package["publish"].as_array().is_some_and(Vec::is_empty), "{path} could be published");
    }
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).expect("the workspace's manifest");
    assert!(workspace.contains("unsafe_code = \"forbid\""), "unsafe code is not forbidden");
}

#[test]
fn versions_stand_in_the_root_manifest_only() {
    for package in metadata()["packages"].as_array().expect("packages") {
        let path = package["manifest_path"].as_str().expect("a path");
        let manifest = std::fs::read_to_string(path).expect("a manifest");
        for line in manifest.split("dependencies]").skip(1).flat_map(str::lines) {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['[', '#']) {
                continue;
            }
            if line.contains(" = ")
                && !line.contains('[')
                && line.split(" = ").nth(1).is_some_and(|value| value.starts_with('"'))
            {
                assert!(line.starts_with("path ") || line.starts_with("name "), "{path}: {line}");
            }
            assert!(!line.contains("version = "), "{path}: {line}");
        }
    }
}

/// What only means something on one machine or in one network does not belong into a repository.
#[test]
fn no_file_names_a_machine_of_its_authors() {
    // Put together here, so that this file does not name them.
    let words: Vec<String> = [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"], ["/Us", "ers/"]]
        .into_iter()
        .map(|parts| parts.concat())
        .collect();
    let mut broken = Vec::new();
    for (path, text) in
        files(&[".md", ".rs", ".toml", ".sql", ".sh", ".yml", ".yaml", ".json", ".py", "Makefile", "Dockerfile"])
    {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(word.as_str())) {
                broken.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn every_module_says_what_it_is_for() {
    for (path, text) in files(&[".rs"]) {
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let says = first.starts_with("//!") || first.starts_with("#![doc");
        assert!(says, "{} does not open with //!", path.display());
        let length = text.lines().count();
        // 500 is the rule; a file of tests may be a table.
        let is_test = path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
        assert!(length <= 550 || is_test, "{} has {length} lines: split it by meaning", path.display());
    }
}
