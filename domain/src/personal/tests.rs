//! What is stored for ever is a sealed value or nothing.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::testing::{SEALED, sealed};
use crate::text::Paragraph;

fn read(json: &str) -> Result<SealedText, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn a_sealed_value_is_read_and_written_as_it_is() {
    let json = format!(r#"{{"subject":"usr_1","sealed":"{SEALED}"}}"#);
    let text = read(&json).unwrap();
    assert_eq!(text, sealed("usr_1"));
    assert_eq!(serde_json::to_string(&text).unwrap(), json);
}

#[test]
fn what_is_not_sealed_is_refused() {
    let short = SEALED.strip_suffix('w').unwrap();
    let padded = format!("{SEALED}==");
    let long = format!("dbs1.{}", "A".repeat(MAX_SEALED_BYTES));
    for (sealed, why) in [
        ("", "must begin with dbs1."),
        ("Ada Lovelace", "must begin with dbs1."),
        ("dbs2.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXAAECAwQFBgcICQoLDA0ODw", "must begin with dbs1."),
        ("dbs1.", "too short"),
        (short, "without padding"),
        (&short[..short.len() - 1], "too short"),
        (&padded, "without padding"),
        ("dbs1.Ada Lovelace, ada@example.com, 12 St James's Square, London", "without padding"),
        (&long, "at most 65536"),
    ] {
        let refusal = read(&format!(r#"{{"subject":"usr_1","sealed":"{sealed}"}}"#)).unwrap_err();
        assert!(refusal.contains(why), "{sealed}: {refusal}");
        // A refusal may come into a log.
        assert!(!refusal.contains("Ada"), "{refusal}");
    }
}

#[test]
fn the_subject_is_an_id() {
    for subject in ["", " usr_1", "..", &"u".repeat(201)] {
        let refusal = SealedText::parse("/email", subject, SEALED).unwrap_err();
        assert_eq!(refusal.pointer, "/email/subject");
    }
    assert!(read(&format!(r#"{{"sealed":"{SEALED}"}}"#)).is_err());
    assert!(read(r#""usr_1""#).is_err());
}

#[test]
fn a_text_in_clear_and_a_sealed_one_are_told_apart() {
    let clear: PersonalText<Paragraph> = serde_json::from_str(r#""Confirmed by telephone.""#).unwrap();
    assert_eq!(clear.clear().unwrap().as_str(), "Confirmed by telephone.");
    assert_eq!(clear.sealed(), None);
    assert_eq!(serde_json::to_string(&clear).unwrap(), r#""Confirmed by telephone.""#);

    let json = format!(r#"{{"subject":"usr_1","sealed":"{SEALED}"}}"#);
    let closed: PersonalText<Paragraph> = serde_json::from_str(&json).unwrap();
    assert_eq!((closed.clear(), closed.sealed()), (None, Some(&sealed("usr_1"))));
    assert_eq!(serde_json::to_string(&closed).unwrap(), json);
    assert_eq!(PersonalText::<Paragraph>::from(sealed("usr_1")), closed);
}

#[test]
fn a_text_is_checked_in_clear_and_sealed() {
    for json in [r#""""#, "7", "null", r#"{"subject":"usr_1","sealed":"Ada"}"#, r#"{"subject":"usr_1"}"#] {
        assert!(serde_json::from_str::<PersonalText<Paragraph>>(json).is_err(), "{json}");
    }
}

/// The letters of base64url, without a crate for it.
fn encode(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut block = [0_u8; 4];
        block[1..=chunk.len()].copy_from_slice(chunk);
        let number = u32::from_be_bytes(block);
        for place in 0..=chunk.len() {
            let index = (number >> (18 - 6 * place)) & 63;
            text.push(char::from(LETTERS[usize::try_from(index).unwrap()]));
        }
    }
    text
}

proptest! {
    #[test]
    fn every_nonce_and_ciphertext_is_accepted_from_the_shortest_on(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let sealed = format!("{SEALED_PREFIX}{}", encode(&bytes));
        let accepted = SealedText::parse("", "usr_1", sealed).is_ok();
        prop_assert_eq!(accepted, bytes.len() >= MIN_SEALED_RAW_BYTES);
    }
}

#[test]
fn the_longest_paragraph_fits_however_it_is_encoded() {
    let raw_bytes = 10_000 * 4 + MIN_SEALED_RAW_BYTES;
    assert!(SEALED_PREFIX.len() + raw_bytes.div_ceil(3) * 4 <= MAX_SEALED_BYTES);
}
