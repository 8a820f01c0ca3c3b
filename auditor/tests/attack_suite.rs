//! The attack suite: every row of the table, carried out on real stores and judged by the real program, given what was kept
//! before the attack. Rows that need running servers are in the whole-system tests (`tests/tests/system/attacks.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../../time-stamping/tests/authority/mod.rs"]
mod authority;
mod common;
mod signing;
mod suite;
mod workbench;

use authority::{Authority, Key, openssl_is_here};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::SecondsFormat;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use signing::LogKey;
use suite::stores::Kind;
use suite::table::{ATTACKS, Attack, Group, Place, Trial, attack};
use suite::{COVERED, Has, KEPT, SIZE, Scene, page};
use workbench::{Bench, ORIGIN};

/// The rows that a test is to try. Each must be tried, so a test takes them from here.
fn rows_of(test: &str) -> Vec<&'static Attack> {
    let rows: Vec<_> = ATTACKS.iter().filter(|attack| attack.test == test).collect();
    assert!(!rows.is_empty(), "no row names {test}");
    rows
}

/// Two tests of an `async fn name(scene)`, one a store.
macro_rules! both_stores {
    ($name:ident) => {
        mod $name {
            #[tokio::test]
            async fn on_sqlite() {
                let scene = super::Scene::new(super::Kind::Sqlite).await.unwrap();
                super::$name(&scene).await;
            }

            #[tokio::test]
            async fn on_postgresql() {
                let Some(scene) = super::Scene::new(super::Kind::Postgres).await else { return };
                super::$name(&scene).await;
            }
        }
    };
}

#[test]
fn the_page_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/attacks.md");
    let rendered = page::render();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &rendered).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == rendered, "docs/attacks.md is not the table; UPDATE_DOCS=1 cargo test -p daybook-auditor");
}

#[test]
fn every_row_is_tried_by_the_test_that_it_names() {
    let system = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/tests/system/attacks.rs");
    let sources = [include_str!("attack_suite.rs").to_owned(), std::fs::read_to_string(system).unwrap()];
    for (index, row) in ATTACKS.iter().enumerate() {
        assert!(ATTACKS[index + 1..].iter().all(|other| other.name != row.name), "{} twice", row.name);
        assert!(row.found.is_empty() <= (row.group == Group::Open), "{} is found nowhere", row.name);
        let defined = sources.iter().find(|source| source.contains(&format!("fn {}(", row.test)));
        let defined = defined.unwrap_or_else(|| panic!("{}: there is no test {}", row.name, row.test));
        let by_name = defined.contains(&format!("(\"{}\"", row.name));
        let by_test = defined.contains(&format!("rows_of(\"{}\")", row.test));
        assert!(by_name || by_test, "{} is not tried by {}", row.name, row.test);
    }
}

both_stores!(changed_rows_are_named);

async fn changed_rows_are_named(scene: &Scene) {
    for attack in rows_of("changed_rows_are_named") {
        for position in COVERED.into_iter().chain([KEPT]) {
            // Cut off at the very first entry, the ledger is removed: a row of its own.
            if attack.name == "cut off the end" && position == 0 {
                continue;
            }
            let rows = scene.attacked(attack, position).await;
            let trial = scene.trial(position, rows.entries.len() as u64, Has::Checkpoint);
            let (code, evidence) = scene.verify(Has::Checkpoint);
            let completeness = &evidence["ledgers"][0]["completeness"]["verdict"];
            if position < KEPT {
                attack.holds(&trial, code, &evidence);
                assert_eq!(completeness, "failed", "{} at {position}", attack.name);
                if attack.kept == "nothing" {
                    let (code, evidence) = scene.verify(Has::Keys);
                    attack.holds(&trial, code, &evidence);
                }
            } else {
                // Just after the checkpoint the hashes still tell, and what the checkpoint covers is still whole.
                let of_checkpoint = |(_, place): &(_, Place)| matches!(place, Place::Ending | Place::Gone);
                let own = attack.found.iter().position(of_checkpoint).unwrap_or(attack.found.len());
                let within = Attack { found: &attack.found[..own], ..*attack };
                within.holds(&trial, code, &evidence);
                assert_eq!(completeness, "verified", "{}", attack.name);
            }
        }
    }
}

both_stores!(rewritten_history_is_named);

async fn rewritten_history_is_named(scene: &Scene) {
    for attack in rows_of("rewritten_history_is_named") {
        for position in COVERED {
            if attack.name == "cut off the end and fix the head" && position == 0 {
                continue;
            }
            let rows = scene.attacked(attack, position).await;
            for has in [Has::Checkpoint, Has::Memory] {
                let trial = scene.trial(position, rows.entries.len() as u64, has);
                let (code, evidence) = scene.verify(has);
                attack.holds(&trial, code, &evidence);
                assert_eq!(evidence["ledgers"][0]["completeness"]["verdict"], "failed", "{}", attack.name);
            }
        }
    }
}

both_stores!(what_a_store_presents_is_held_against_what_was_kept);

async fn what_a_store_presents_is_held_against_what_was_kept(scene: &Scene) {
    for attack in rows_of("what_a_store_presents_is_held_against_what_was_kept") {
        let positions: &[u64] = if attack.name == "tamper with a tile" { &[0, 700, KEPT - 1] } else { &[0] };
        for position in positions {
            let rows = scene.attacked(attack, *position).await;
            for has in [Has::Checkpoint, Has::Memory] {
                let trial = scene.trial(*position, rows.entries.len() as u64, has);
                let (code, evidence) = scene.verify(has);
                attack.holds(&trial, code, &evidence);
            }
        }
    }
}

both_stores!(what_no_checkpoint_covers_yet_can_be_rewritten_until_one_does);

async fn what_no_checkpoint_covers_yet_can_be_rewritten_until_one_does(scene: &Scene) {
    // The checkpoint that comes next, made before the attack.
    let next = scene.key.checkpoint(ORIGIN, SIZE, scene.rows.root_at(SIZE as usize));
    let next = scene.write("next.txt", &next);
    for attack in rows_of("what_no_checkpoint_covers_yet_can_be_rewritten_until_one_does") {
        for position in [KEPT, SIZE - 1] {
            let rows = scene.attacked(attack, position).await;
            let left = rows.entries.len() as u64;
            let is_covered = attack.name.contains("next checkpoint");
            for has in [Has::Checkpoint, Has::Memory] {
                let covered = if is_covered { SIZE } else { KEPT };
                let trial = Trial { covered, presented: KEPT, ..scene.trial(position, left, has) };
                let (code, evidence) = match (is_covered, has) {
                    (false, has) => scene.verify(has),
                    // A checkpoint file is one: with the memory it bounds the change, alone it shows it.
                    (true, Has::Memory) => scene.verify_with(has, &["--checkpoint", &next]),
                    (true, _) => {
                        let (code, evidence) = scene.verify_with(Has::Keys, &["--checkpoint", &next]);
                        assert_eq!(code, 1, "{evidence:#}");
                        continue;
                    }
                };
                attack.holds(&trial, code, &evidence);
                let completeness = &evidence["ledgers"][0]["completeness"]["verdict"];
                assert_eq!(completeness, if is_covered { "failed" } else { "verified" }, "{}", attack.name);
            }
        }
    }
}

#[tokio::test]
async fn a_copy_that_does_not_say_whose_it_is_is_held_against_the_memory_of_the_keys() {
    let scene = Scene::new(Kind::Sqlite).await.unwrap();
    let attack = attack("hand over a rewritten copy");
    for position in COVERED {
        let rows = scene.attacked(attack, position).await;
        let copy = scene.copy_of_file("another-name.db");
        let (memory, keys) = (scene.file("memory"), scene.file("keys.txt"));
        let (code, evidence) = scene.run(&["verify", &copy, "--json", "--memory", &memory, "--keys", &keys]);
        attack.holds(&scene.trial(position, rows.entries.len() as u64, Has::Memory), code, &evidence);
        // Keys of two logs of that name do not say which of them it is, and nobody is accused.
        let other = LogKey::p256(7).verifier_key("elsewhere.example/main");
        let both = scene.write("both.txt", &format!("{}\n{other}\n", scene.key.verifier_key(ORIGIN)));
        let (code, evidence) = scene.run(&["verify", &copy, "--json", "--memory", &memory, "--keys", &both]);
        assert_eq!((code, &evidence["ledgers"][0]["completeness"]["verdict"]), (0, &json!("not_checked")));
    }
}

#[tokio::test]
async fn checkpoints_that_the_key_did_not_sign_then_are_named() {
    let scene = Scene::new(Kind::Sqlite).await.unwrap();
    let (key, other) = (scene.key.verifier_key(ORIGIN), LogKey::p256(99));
    for attack in rows_of("checkpoints_that_the_key_did_not_sign_then_are_named") {
        let mut rows = scene.rows.clone();
        let newest = rows.checkpoints.last_mut().unwrap();
        let (text, _) = newest.note.split_once("\n\n").unwrap();
        let text = format!("{text}\n");
        let (line, keys) = match attack.name {
            "sign with another key" => (other.line(ORIGIN, &text), key.clone()),
            "claim the log's key" => (scene.key.line(ORIGIN, "another text\n"), key.clone()),
            "sign with a retired key" => (scene.key.line(ORIGIN, &text), format!("{key} until=2024-01-01T00:00:00Z")),
            name => panic!("{name}"),
        };
        newest.note = format!("{text}\n{line}");
        scene.put(&rows).await;
        scene.write("keys.txt", &keys);
        let trial = scene.trial(0, SIZE, Has::Keys);
        let (code, evidence) = scene.verify(Has::Keys);
        attack.holds(&trial, code, &evidence);
        assert_eq!(evidence["ledgers"][0]["authorship"]["verdict"], "failed", "{}", attack.name);
        // The same in a file that the auditor was given as the one to keep.
        let given = scene.write("given.txt", &rows.checkpoints.last().unwrap().note);
        let (code, evidence) = scene.verify_with(Has::Keys, &["--checkpoint", &given]);
        attack.holds(&trial, code, &evidence);
    }
}

#[tokio::test]
async fn a_proof_changed_in_any_line_is_refused() {
    let attack = attack("tamper with a proof");
    let scene = Scene::new(Kind::Sqlite).await.unwrap();
    let keys = scene.file("keys.txt");
    for position in [0, 700, KEPT - 1] {
        let path = scene.file("good.tlog-proof");
        let source = scene.file("ledger.db");
        let made = std::process::Command::new(env!("CARGO_BIN_EXE_daybook-auditor"))
            .args(["prove", &source, &position.to_string(), "-o", &path])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let good = std::fs::read_to_string(&path).unwrap();
        let check = |text: &str| {
            let file = scene.write("tampered.tlog-proof", text);
            scene.run(&["check", &file, "--keys", &keys, "--json"])
        };
        assert_eq!(check(&good).0, 0, "{good}");
        let lines: Vec<&str> = good.lines().collect();
        let blank = lines.iter().position(|line| line.is_empty()).unwrap();
        for (number, line) in lines.iter().enumerate() {
            let Some(tampered) = tampered(line) else { continue };
            let mut changed: Vec<&str> = lines.clone();
            changed[number] = &tampered;
            let (code, outcome) = check(&format!("{}\n", changed.join("\n")));
            let found = suite::table::found_in(&outcome);
            assert_eq!(code, 1, "{line} -> {tampered}");
            // The form of the first line and what the index says decide which entry it is of, or that it is of none.
            let of = if line.starts_with("index ") { position + 1 } else { position };
            if (1..blank).contains(&number) {
                attack.holds(&Trial { entry: of, ..Trial::default() }, code, &outcome);
            } else if number == 0 {
                assert_eq!(found, [("proof_invalid".to_owned(), None, None)]);
            } else {
                // Lines of the checkpoint: another origin, size, root or signature is not what the key signed.
                let kinds: Vec<&str> = found.iter().map(|(kind, _, _)| kind.as_str()).collect();
                let known = ["proof_invalid", "signature_invalid", "key_unknown", "checkpoint_malformed"];
                assert!(!kinds.is_empty() && kinds.iter().all(|kind| known.contains(kind)), "{tampered}: {kinds:?}");
            }
            // Taken out, it is no better.
            changed.remove(number);
            assert_eq!(check(&format!("{}\n", changed.join("\n"))).0, 1, "without {line}");
        }
    }
}

/// The line with one character changed to another that may stand there; none for a blank one.
fn tampered(line: &str) -> Option<String> {
    if let Some(index) = line.strip_prefix("index ") {
        return Some(format!("index {}", index.parse::<u64>().unwrap() + 1));
    }
    if let Ok(size) = line.parse::<u64>() {
        return Some((size + 1).to_string());
    }
    // In the middle, where every bit of a base64 digit counts.
    let (at, found) = line.char_indices().nth(line.chars().count() * 2 / 3)?;
    let other = if found == 'B' { 'C' } else { 'B' };
    Some(format!("{}{other}{}", &line[..at], &line[at + found.len_utf8()..]))
}

#[tokio::test]
async fn a_time_stamp_over_another_checkpoint_is_named() {
    if !openssl_is_here() {
        return;
    }
    let attack = attack("stamp something else");
    let authority = Authority::good(Key::P256);
    let bench = Bench::new().await;
    let roots = bench.write("tsa.pem", &authority.roots());
    let note = std::fs::read_to_string(bench.checkpoint().await).unwrap();
    let position = bench.size();
    // A real token, over a checkpoint that is not the one beside it.
    let other = bench.key().checkpoint(ORIGIN, position, [9; 32]);
    let payload = anchor(&authority, &note, &other).to_string();
    bench.record(("ledger", "main"), 1, ("ledger.anchored", &payload), 1_900_000_000_000_000).await;
    let (code, evidence) = bench.verify(&["--tsa-roots", &roots]);
    attack.holds(&Trial { entry: position, ..Trial::default() }, code, &evidence);
    assert_eq!(bench.ledger(&evidence)["time"]["verdict"], "failed");
}

/// Payload of an anchor that names one checkpoint and whose token is over another.
fn anchor(authority: &Authority, named: &str, stamped: &str) -> Json {
    let parse = |note: &str| daybook_auditor::checkpoint::Checkpoint::parse(note.as_bytes()).unwrap();
    let digest: [u8; 32] = Sha256::digest(parse(stamped).note().body()).into();
    let reply = authority.reply(&daybook_time_stamping::request(&digest, 7));
    let token = daybook_time_stamping::parse_response(&reply).unwrap().into_der();
    let generated_at = daybook_time_stamping::inspect(&token).unwrap().generated_at;
    json!({
        "size": parse(named).size,
        "root": hex::encode(parse(named).root),
        "checkpoint": named,
        "tsa": "http://tsa.example",
        "generated_at": generated_at.to_rfc3339_opts(SecondsFormat::Nanos, true),
        "token": STANDARD.encode(token),
    })
}

#[tokio::test]
async fn a_stolen_retired_key_can_backdate_where_nothing_was_kept() {
    let backdated = attack("backdate a signature");
    let scene = Scene::new(Kind::Sqlite).await.unwrap();
    // The key counted for the day on which the ledger says that it was written, and was stolen later.
    let key = scene.key.verifier_key(ORIGIN);
    scene.write("keys.txt", &format!("{key} from=2024-01-01T00:00:00Z until=2024-01-02T00:00:00Z"));
    let again = attack("edit, re-chain, sign again");
    let rows = scene.attacked(again, 700).await;
    let left = rows.entries.len() as u64;
    let (code, evidence) = scene.verify(Has::Keys);
    backdated.holds(&scene.trial(700, left, Has::Keys), code, &evidence);
    assert_eq!(evidence["ledgers"][0]["authorship"]["verdict"], "verified");
    // Whoever kept something finds it.
    for has in [Has::Checkpoint, Has::Memory] {
        let (code, evidence) = scene.verify(has);
        again.holds(&scene.trial(700, left, has), code, &evidence);
    }
}
