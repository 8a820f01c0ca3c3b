//! Bytes from outside never make the parsers panic, whatever they are.

use daybook_time_stamping::{inspect, parse_response, request, verify_token};
use proptest::prelude::*;

/// Bytes that look like DER as far as they go: values in values, with lengths that fit, or nearly.
fn nested() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop::sample::select(vec![0x02_u8, 0x03, 0x04, 0x05, 0x06, 0x18, 0x30, 0x31, 0xa0, 0xa1, 0x80, 0x01]);
    let leaf = (tag.clone(), prop::collection::vec(any::<u8>(), 0..12)).prop_map(|(tag, content)| wrap(tag, &content));
    leaf.prop_recursive(8, 64, 6, move |inner| {
        (tag.clone(), prop::collection::vec(inner, 0..6)).prop_map(|(tag, parts)| wrap(tag, &parts.concat()))
    })
}

fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => bytes.push(short),
        Ok(length) => bytes.extend([0x81, length]),
        Err(_) => {
            bytes.push(0x82);
            bytes.extend(u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    bytes.extend(content);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_refused_quietly(bytes in prop::collection::vec(any::<u8>(), 0..400), roots in ".{0,80}") {
        prop_assert!(parse_response(&bytes).is_err() || bytes.len() > 9);
        prop_assert!(inspect(&bytes).is_err());
        prop_assert!(verify_token(&bytes, &[0; 32], &roots, Some(1)).is_err());
    }

    #[test]
    fn any_der_is_refused_quietly(bytes in nested()) {
        let _ = parse_response(&bytes);
        prop_assert!(inspect(&bytes).is_err());
        prop_assert!(verify_token(&bytes, &[0; 32], "", None).is_err());
    }

    #[test]
    fn requests_are_der(digest in any::<[u8; 32]>(), nonce in any::<u64>()) {
        let bytes = request(&digest, nonce);
        prop_assert!(bytes.windows(32).any(|window| window == digest));
        prop_assert_eq!(usize::from(bytes[1]) + 2, bytes.len());
    }
}
