//! Digests in events: 32 bytes as 64 lower-case hexadecimal digits. Who computed them, and of what, the field says.

use crate::names::name_type;

/// Digits of a digest of 32 bytes.
const DIGITS: usize = 64;

name_type!(
    /// A digest of 32 bytes, BLAKE3 or SHA-256, as 64 lower-case hexadecimal digits.
    HexDigest,
    check_digits
);

fn check_digits(text: &str) -> Result<(), String> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == DIGITS && text.bytes().all(is_digit) {
        Ok(())
    } else {
        Err(format!("must be {DIGITS} lower-case hexadecimal digits"))
    }
}

impl HexDigest {
    /// From the bytes themselves.
    pub fn of(bytes: &[u8; 32]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
