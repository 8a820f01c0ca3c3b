//! Checkpoints, keys and cosignatures: what is accepted, and everything near it that is not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod signing;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_auditor::checkpoint::{Checkpoint, CheckpointError, SignatureOutcome};
use daybook_auditor::keys::{KeysError, TrustedKeys};
use daybook_auditor::policy::{Policy, PolicyError};
use daybook_auditor::verifier_key::{KeyError, VerifierKey};
use p256::pkcs8::{EncodePublicKey as _, LineEnding};
use signing::{LogKey, WitnessKey, body};

const ORIGIN: &str = "daybook.local/main";

fn outcomes(checkpoint: &str, keys: &str, sealed_at: Option<i64>) -> Vec<SignatureOutcome> {
    let keys = TrustedKeys::parse(keys.as_bytes()).unwrap();
    let signers = Checkpoint::parse(checkpoint.as_bytes()).unwrap().judge(&keys, sealed_at);
    signers.checks.iter().map(|check| check.outcome).collect()
}

#[test]
fn signatures_of_both_kinds_verify_with_the_keys_they_were_made_with() {
    for key in [LogKey::p256(1), LogKey::ed25519(1)] {
        let note = key.checkpoint(ORIGIN, 17, [3; 32]);
        assert_eq!(outcomes(&note, &key.verifier_key(ORIGIN), None), [SignatureOutcome::Valid]);
        assert_eq!(outcomes(&note, &key.pem(), None), [SignatureOutcome::Valid]);
        let checkpoint = Checkpoint::parse(note.as_bytes()).unwrap();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size, checkpoint.root), (ORIGIN, 17, [3; 32]));
        assert_eq!((checkpoint.ledger_id(), checkpoint.note().text()), ("main", note.as_str()));
    }
}

#[test]
fn a_checkpoint_changed_in_any_byte_of_its_text_is_not_verified() {
    for key in [LogKey::p256(2), LogKey::ed25519(2)] {
        let note = key.checkpoint(ORIGIN, 17, [3; 32]);
        let text_bytes = body(ORIGIN, 17, [3; 32]).len();
        let mut judged = 0;
        for index in 0..text_bytes {
            let mut bytes = note.clone().into_bytes();
            bytes[index] ^= 1;
            let Ok(checkpoint) = Checkpoint::parse(&bytes) else { continue };
            let keys = TrustedKeys::parse(key.verifier_key(ORIGIN).as_bytes()).unwrap();
            assert!(checkpoint.judge(&keys, None).signer().is_none(), "byte {index}");
            judged += 1;
        }
        assert!(judged > 40, "{judged}");
    }
}

#[test]
fn a_key_signs_for_its_own_origin_only() {
    let key = LogKey::p256(3);
    let other = key.checkpoint("daybook.local/other", 1, [0; 32]);
    assert_eq!(outcomes(&other, &key.verifier_key(ORIGIN), None), [SignatureOutcome::UnknownKey]);
    // A line that bears the trusted name under a text of another origin counts for nothing either.
    let text = body("daybook.local/other", 1, [0; 32]);
    let note = format!("{text}\n{}", key.line(ORIGIN, &text));
    assert_eq!(outcomes(&note, &key.verifier_key(ORIGIN), None), [SignatureOutcome::UnknownKey]);
}

#[test]
fn unknown_keys_are_passed_over_and_a_bad_signature_of_a_known_one_spoils_the_note() {
    let (known, unknown) = (LogKey::p256(4), LogKey::p256(5));
    let text = body(ORIGIN, 9, [1; 32]);
    let (good, foreign) = (known.line(ORIGIN, &text), unknown.line(ORIGIN, &text));
    let bad = known.line(ORIGIN, &body(ORIGIN, 8, [1; 32]));
    let keys = known.verifier_key(ORIGIN);
    let judge = |lines: &[&String]| {
        let note = format!("{text}\n{}", lines.iter().map(|line| line.as_str()).collect::<String>());
        let trusted = TrustedKeys::parse(keys.as_bytes()).unwrap();
        Checkpoint::parse(note.as_bytes()).unwrap().judge(&trusted, None).signer().is_some()
    };
    assert!(judge(&[&good]) && judge(&[&foreign, &good]) && judge(&[&good, &foreign]));
    assert!(!judge(&[&foreign]) && !judge(&[&bad]) && !judge(&[&bad, &good]) && !judge(&[&good, &bad]));
}

#[test]
fn a_signature_counts_from_the_first_moment_to_the_last() {
    let key = LogKey::p256(6);
    let note = key.checkpoint(ORIGIN, 2, [2; 32]);
    let keys = format!("{} from=2026-01-01T00:00:00Z until=2026-02-01T00:00:00+00:00\n", key.verifier_key(ORIGIN));
    let moment = |text: &str| Some(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros());
    let judge = |time: Option<i64>| outcomes(&note, &keys, time)[0];
    assert_eq!(judge(moment("2026-01-01T00:00:00Z")), SignatureOutcome::Valid);
    assert_eq!(judge(moment("2026-01-31T23:59:59.999999Z")), SignatureOutcome::Valid);
    assert_eq!(judge(moment("2025-12-31T23:59:59.999999Z")), SignatureOutcome::Expired);
    assert_eq!(judge(moment("2026-02-01T00:00:00Z")), SignatureOutcome::Expired);
    assert_eq!(judge(None), SignatureOutcome::ValidAtUnknownTime);
}

#[test]
fn the_larger_of_two_equivalent_ecdsa_signatures_is_refused() {
    let key = LogKey::p256(7);
    let text = body(ORIGIN, 2, [2; 32]);
    let line = key.high_s_line(ORIGIN, &text);
    assert_eq!(outcomes(&format!("{text}\n{line}"), &key.verifier_key(ORIGIN), None), [SignatureOutcome::Invalid]);
}

#[test]
fn a_checkpoint_s_text_is_three_plain_lines() {
    let key = LogKey::ed25519(8);
    let root = STANDARD.encode([0; 32]);
    let parse = |text: &str| Checkpoint::parse(format!("{text}\n{}", key.line(ORIGIN, text)).as_bytes());
    assert!(parse(&format!("o\n0\n{root}\n")).is_ok());
    assert!(parse(&format!("o\n18446744073709551615\n{root}\n")).is_ok());
    assert_eq!(parse(&format!("o\n1\n{root}\nmore\n")).unwrap().extensions, ["more"]);
    for size in ["", "-1", "+1", "01", "00", "1 ", " 1", "1.0", "0x1", "18446744073709551616", "١"] {
        assert_eq!(parse(&format!("o\n{size}\n{root}\n")), Err(CheckpointError::Size), "{size:?}");
    }
    for bad in ["", "AAAA", root.trim_end_matches('='), &STANDARD.encode([0; 31]), &STANDARD.encode([0; 33])] {
        assert_eq!(parse(&format!("o\n1\n{bad}\n")), Err(CheckpointError::Root), "{bad:?}");
    }
    assert_eq!(parse("o\n1\n"), Err(CheckpointError::Lines));
    assert_eq!(parse(&format!("\n1\n{root}\n")), Err(CheckpointError::Lines));
    assert_eq!(parse(&format!("o\n1\n{root}\n\nx\n")), Err(CheckpointError::Lines));
}

#[test]
fn verifier_keys_that_are_not_exactly_right_are_refused() {
    for key in [LogKey::p256(9), LogKey::ed25519(9)] {
        let text = key.verifier_key(ORIGIN);
        assert_eq!(VerifierKey::parse(&text).unwrap().to_string(), text);
        let (name, rest) = text.split_once('+').unwrap();
        let (id, encoded) = rest.split_once('+').unwrap();
        let bytes = STANDARD.decode(encoded).unwrap();
        let with = |bytes: &[u8]| VerifierKey::parse(&format!("{name}+{id}+{}", STANDARD.encode(bytes)));
        let wrong_id = format!("{name}+00000000+{encoded}");
        assert!(matches!(VerifierKey::parse(&wrong_id), Err(KeyError::WrongKeyId { .. })));
        assert_eq!(VerifierKey::parse(&format!("{name}+{id}")), Err(KeyError::Malformed));
        assert_eq!(VerifierKey::parse(&format!("+{id}+{encoded}")), Err(KeyError::Malformed));
        assert_eq!(VerifierKey::parse(&format!("a b+{id}+{encoded}")), Err(KeyError::Malformed));
        assert_eq!(VerifierKey::parse(&format!("{name}+{}+{encoded}", &id[1..])), Err(KeyError::Malformed));
        assert_eq!(with(&bytes[..bytes.len() - 1]), Err(KeyError::BadPublicKey));
        assert_eq!(with(&[bytes.as_slice(), &[0]].concat()), Err(KeyError::BadPublicKey));
        assert_eq!(with(&[&[0x06], &bytes[1..]].concat()), Err(KeyError::UnsupportedType(6)));
        assert_eq!(with(&[]), Err(KeyError::Malformed));
    }
    // The neutral element: with it as key, signatures over anything can be made up.
    let mut weak = vec![1, 1];
    weak.extend([0; 31]);
    assert_eq!(VerifierKey::parse(&format!("n+00000000+{}", STANDARD.encode(weak))), Err(KeyError::BadPublicKey));
    let compressed = LogKey::p256(9).signing_p256().verifying_key().to_sec1_point(true).as_bytes().to_vec();
    let text = format!("n+00000000+{}", STANDARD.encode([&[2], compressed.as_slice()].concat()));
    assert_eq!(VerifierKey::parse(&text), Err(KeyError::BadPublicKey));
}

#[test]
fn keys_files_are_refused_as_a_whole_for_one_bad_line() {
    let key = LogKey::p256(10);
    let line = key.verifier_key(ORIGIN);
    let parse = |text: &str| TrustedKeys::parse(text.as_bytes());
    let good = format!("# ours\n\n  {line}  from=2026-01-01T00:00:00Z\r\n{}", key.pem());
    assert_eq!(parse(&good).unwrap().keys().len(), 2);
    for (text, line) in [
        (format!("{line} since=2026-01-01T00:00:00Z"), 1),
        (format!("{line} from=yesterday"), 1),
        (format!("\n{line} from=2026-01-01T00:00:00Z from=2026-01-01T00:00:00Z"), 2),
        (format!("{line} from=2026-01-02T00:00:00Z until=2026-01-01T00:00:00Z"), 1),
        (format!("{line} trusted"), 1),
        (format!("{line}\n{}", WitnessKey::new(1).verifier_key("w")), 2),
    ] {
        assert!(matches!(parse(&text), Err(KeysError::Option { line: at, .. }) if at == line), "{text}");
    }
    assert!(matches!(parse("rubbish"), Err(KeysError::Key { line: 1, error: KeyError::Malformed })));
    let half = "-----BEGIN PUBLIC KEY-----\nMFkw\n";
    assert!(matches!(parse(half), Err(KeysError::Key { line: 1, error: KeyError::BadPem })));
    assert_eq!(parse("# none\n"), Err(KeysError::Empty));
    assert_eq!(TrustedKeys::parse(b"\xff"), Err(KeysError::NotUtf8));
    let secret = p256::pkcs8::EncodePrivateKey::to_pkcs8_pem(key.signing_p256(), LineEnding::LF).unwrap();
    assert!(parse(&secret).is_err());
    assert!(
        key.signing_p256().verifying_key().to_public_key_pem(LineEnding::CRLF).is_ok_and(|pem| parse(&pem).is_ok())
    );
}

#[test]
fn notes_agree_with_an_implementation_by_others() {
    use signed_note::{Note, Signer, StandardSigner, StandardVerifier, VerifierList};
    let key = LogKey::ed25519(11);
    let (secret, verifier) = (key.signed_note_secret(ORIGIN), key.verifier_key(ORIGIN));
    // Ours, read by it.
    let ours = key.checkpoint(ORIGIN, 5, [5; 32]);
    let known = VerifierList::new(vec![Box::new(StandardVerifier::new(&verifier).unwrap())]);
    let (verified, unverified) = Note::from_bytes(ours.as_bytes()).unwrap().verify(&known).unwrap();
    assert_eq!((verified.len(), unverified.len()), (1, 0));
    // Its own, read by us.
    let signer = StandardSigner::new(&secret).unwrap();
    let mut note = Note::new(body(ORIGIN, 5, [5; 32]).as_bytes(), &[]).unwrap();
    note.add_sigs(&[&signer as &dyn Signer]).unwrap();
    let theirs = String::from_utf8(note.to_bytes()).unwrap();
    assert_eq!(theirs, ours);
    assert_eq!(outcomes(&theirs, &verifier, None), [SignatureOutcome::Valid]);
    // A checkpoint with a P-256 line beside it is well-formed to both.
    let text = body(ORIGIN, 5, [5; 32]);
    let both = format!("{ours}{}", LogKey::p256(11).line(ORIGIN, &text));
    let (verified, unverified) = Note::from_bytes(both.as_bytes()).unwrap().verify(&known).unwrap();
    assert_eq!((verified.len(), unverified.len()), (1, 1));
    let read = tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).unwrap();
    assert_eq!((read.origin(), read.size(), read.hash().0), (ORIGIN, 5, [5; 32]));
}

#[test]
fn a_policy_counts_each_witness_once_and_by_its_groups() {
    let log = LogKey::p256(12);
    let witnesses: Vec<WitnessKey> = (0..5).map(WitnessKey::new).collect();
    let mut policy = format!("# who watches\nlog {}\n", log.verifier_key(ORIGIN));
    for (index, witness) in witnesses.iter().enumerate() {
        policy.push_str(&format!("witness\tW{index} {} https://w{index}.example\n", witness.verifier_key("w.example")));
    }
    policy.push_str("group X 2 W0 W1 W2\ngroup Y any W3 W4\n  group both all X Y\nquorum both\n");
    let policy = Policy::parse(policy.as_bytes()).unwrap();
    assert_eq!(policy.logs().len(), 1);
    let text = body(ORIGIN, 3, [3; 32]);
    let judge = |signed: &[usize]| {
        let mut note = format!("{text}\n{}", log.line(ORIGIN, &text));
        signed.iter().for_each(|index| note.push_str(&witnesses[*index].line("w.example", &text, 1_700_000_000)));
        policy.judge(&Checkpoint::parse(note.as_bytes()).unwrap())
    };
    for (signed, reached) in [
        (&[0, 1, 3][..], true),
        (&[1, 2, 4], true),
        (&[0, 1, 2, 3, 4], true),
        (&[0, 3, 4], false),
        (&[0, 1, 2], false),
        (&[0, 0, 3], false),
        (&[], false),
    ] {
        assert_eq!(judge(signed).reached, reached, "{signed:?}");
    }
    assert_eq!(judge(&[3]).witnesses[3].cosigned_at, Some(1_700_000_000));
    // A cosignature over another text, or with another time than the one signed, is invalid and does not count.
    let stale = witnesses[0].line("w.example", &body(ORIGIN, 2, [3; 32]), 1_700_000_000);
    let note = format!("{text}\n{stale}{}", witnesses[1].line_stating("w.example", &text, 5, 6));
    let judged = policy.judge(&Checkpoint::parse(note.as_bytes()).unwrap());
    assert_eq!(judged.invalid().count(), 2);
    assert!(!judged.reached);
}

#[test]
fn policies_that_do_not_hold_are_refused_by_line() {
    let key = |seed| WitnessKey::new(seed).verifier_key("w");
    let two = format!("witness A {}\nwitness B {}\n", key(1), key(2));
    let parse = |text: &str| Policy::parse(text.as_bytes());
    assert!(parse("quorum none").is_ok());
    assert!(parse(&format!("{two}quorum A\n# \u{e9}\n")).is_ok());
    assert_eq!(parse(&two), Err(PolicyError::NoQuorum));
    for (text, line) in [
        ("quorum C".to_owned(), 3),
        ("group G 3 A B\nquorum G".to_owned(), 3),
        ("group G 0 A B\nquorum G".to_owned(), 3),
        ("group G -1 A B\nquorum G".to_owned(), 3),
        ("group G +1 A B\nquorum G".to_owned(), 3),
        ("group G any\nquorum G".to_owned(), 3),
        ("group G all A A\nquorum G".to_owned(), 3),
        ("group G all none\nquorum G".to_owned(), 3),
        ("group G all G\nquorum G".to_owned(), 3),
        ("group none all A\nquorum none".to_owned(), 3),
        ("group A all B\nquorum A".to_owned(), 3),
        ("group G all A\ngroup H all A B\nquorum H".to_owned(), 4),
        ("quorum A\nquorum A".to_owned(), 4),
        (format!("witness C {}\nquorum A", key(1)), 3),
        (format!("witness C {}\nquorum A", LogKey::ed25519(1).verifier_key("w")), 3),
        (format!("log {}\nquorum A", key(3)), 3),
        ("quorum A\u{1}".to_owned(), 3),
        ("quorum A\r".to_owned(), 3),
        ("watch A".to_owned(), 3),
    ] {
        let refused = parse(&format!("{two}{text}"));
        assert!(matches!(refused, Err(PolicyError::Line { line: at, .. }) if at == line), "{text:?}: {refused:?}");
    }
}
