//! The proof that a predecessor's exports came with: a chain of hashes over the lines of the file, and a signature of its
//! last link.
//!
//! h₀ is empty; hᵢ is SHA-256 over the hexadecimal digits of hᵢ₋₁ and line i with its line end, the heading included. The
//! file of hashes has one link a line; the signature is RSA-PSS with SHA-256, or ECDSA on P-256, over the digits of the last
//! link.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::pkcs8::DecodePublicKey as _;
use rsa::pkcs8::DecodePublicKey as _;
use rsa::signature::Verifier as _;
use rsa::traits::PublicKeyParts as _;
use sha2::{Digest as _, Sha256};

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;
/// Most bytes of a line of the file of hashes.
const MAX_LINK_BYTES: u64 = 128;
/// Most bits of a key that is tried: larger ones take long.
const MAX_RSA_BITS: usize = 8_192;
/// Bytes of SHA-256.
const DIGEST_BYTES: usize = 32;

/// What a chain came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Chain {
    /// Its last link, as the file itself leads to it; empty for an empty file.
    pub(super) last: String,
    /// What is wrong with it; nothing where every link is right and none is missing.
    pub(super) fault: Option<String>,
}

/// Follows the chain through the file, beside the links as they are written down. In constant memory whatever the lines.
pub(super) fn follow(file: &Path, links: &Path) -> io::Result<Chain> {
    let mut file = File::open(file)?;
    let mut links = BufReader::new(File::open(links)?);
    let mut chain = Chain::default();
    let mut hasher = Sha256::new();
    let (mut piece, mut lines, mut is_within) = (vec![0_u8; PIECE], 0_u64, false);
    loop {
        let count = file.read(&mut piece)?;
        let mut rest = piece.get(..count).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        while !rest.is_empty() {
            let (line, next) = match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => rest.split_at(end + 1),
                None => (rest, &[][..]),
            };
            hasher.update(line);
            is_within = !line.ends_with(b"\n");
            if !is_within {
                chain.close(&mut hasher, &mut links, &mut lines)?;
            }
            rest = next;
        }
    }
    if is_within {
        chain.close(&mut hasher, &mut links, &mut lines)?;
    }
    if next_link(&mut links)?.is_some() {
        chain
            .fault
            .get_or_insert_with(|| format!("there are more hashes than lines: the file ends after line {lines}"));
    }
    Ok(chain)
}

impl Chain {
    /// Ends a line, and begins the next with what it came to.
    fn close(&mut self, hasher: &mut Sha256, links: &mut BufReader<File>, lines: &mut u64) -> io::Result<()> {
        *lines += 1;
        let digest = hasher.finalize_reset();
        self.last = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        hasher.update(self.last.as_bytes());
        if self.fault.is_some() {
            return Ok(());
        }
        self.fault = match next_link(links)? {
            Some(link) if link == self.last => None,
            Some(_) => Some(format!("line {lines} is not what its hash was made of")),
            None => Some(format!("line {lines} has no hash")),
        };
        Ok(())
    }
}

/// The next line that is not empty.
fn next_link(links: &mut BufReader<File>) -> io::Result<Option<String>> {
    loop {
        let mut line = Vec::new();
        if links.by_ref().take(MAX_LINK_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let link = String::from_utf8_lossy(&line).trim().to_ascii_lowercase();
        if !link.is_empty() {
            return Ok(Some(link));
        }
    }
}

/// Whether `signature`, as it is or in base64, is that of the key over `link`. The error says why it cannot be told.
pub(super) fn is_signed(link: &str, signature: &[u8], key_pem: &str) -> Result<bool, String> {
    let text = String::from_utf8_lossy(signature).split_whitespace().collect::<String>();
    let decoded = STANDARD.decode(text).ok();
    let candidates = [Some(signature), decoded.as_deref()];
    let key_pem = key_pem.trim();
    if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_pem(key_pem) {
        let verifies = |bytes: &&[u8]| {
            let signature = p256::ecdsa::Signature::from_der(bytes);
            signature.is_ok_and(|signature| {
                p256::ecdsa::signature::Verifier::verify(&key, link.as_bytes(), &signature).is_ok()
            })
        };
        return Ok(candidates.iter().flatten().any(verifies));
    }
    let key = rsa::RsaPublicKey::from_public_key_pem(key_pem)
        .map_err(|_| "the public key is neither RSA nor P-256 in PEM".to_owned())?;
    let bytes = key.size();
    if key.n().bits() > MAX_RSA_BITS || bytes < 2 * DIGEST_BYTES + 2 {
        return Err("the public key is too short or too long".to_owned());
    }
    // As much salt as there is room for, as the predecessor signed, else as much as the digest is long.
    let salts = [bytes - DIGEST_BYTES - 2, DIGEST_BYTES];
    let verifies = |bytes: &[u8]| {
        let Ok(signature) = rsa::pss::Signature::try_from(bytes) else { return false };
        salts.iter().any(|salt| {
            let key = rsa::pss::VerifyingKey::<Sha256>::new_with_salt_len(key.clone(), *salt);
            key.verify(link.as_bytes(), &signature).is_ok()
        })
    };
    Ok(candidates.iter().flatten().any(|bytes| verifies(bytes)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn chain_of(text: &str) -> Vec<String> {
        let mut links: Vec<String> = Vec::new();
        for line in text.split_inclusive('\n') {
            let mut hasher = Sha256::new();
            hasher.update(links.last().cloned().unwrap_or_default());
            hasher.update(line);
            links.push(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        links
    }

    fn followed(text: &str, links: &[String]) -> Chain {
        let folder = tempfile::tempdir().unwrap();
        let (file, hashes) = (folder.path().join("x.csv"), folder.path().join("x.csv.hash"));
        std::fs::write(&file, text).unwrap();
        std::fs::write(&hashes, links.join("\n")).unwrap();
        follow(&file, &hashes).unwrap()
    }

    #[test]
    fn chain_is_followed_to_its_end_and_every_difference_is_named() {
        let long = "x".repeat(3 * PIECE);
        let text = format!("id,amount\r\n1,2.50\r\n{long}\r\n2,3.75");
        let links = chain_of(&text);
        let right = followed(&text, &links);
        assert_eq!((right.fault, Some(&right.last)), (None, links.last()));
        let flipped = followed(&text.replace("2.50", "2.51"), &links).fault.unwrap();
        assert!(flipped.contains("line 2"), "{flipped}");
        let shorter = followed("id,amount\r\n1,2.50\r\n", &links).fault.unwrap();
        assert!(shorter.contains("more hashes than lines"), "{shorter}");
        let longer = followed(&text, &links[..2]).fault.unwrap();
        assert!(longer.contains("line 3 has no hash"), "{longer}");
        assert_eq!(followed("", &[]), Chain::default());
    }

    #[test]
    fn last_link_is_signed_with_either_sort_of_key() {
        use p256::ecdsa::signature::Signer as _;
        use p256::pkcs8::EncodePublicKey as _;
        let link = chain_of("a\n").pop().unwrap();
        let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let pem = key.verifying_key().to_public_key_pem(p256::pkcs8::LineEnding::LF).unwrap();
        let signature: p256::ecdsa::Signature = key.sign(link.as_bytes());
        let der = signature.to_der();
        assert_eq!(is_signed(&link, der.as_bytes(), &pem), Ok(true));
        assert_eq!(is_signed(&link, STANDARD.encode(der.as_bytes()).as_bytes(), &pem), Ok(true));
        assert_eq!(is_signed("other", der.as_bytes(), &pem), Ok(false));
        assert!(is_signed(&link, der.as_bytes(), "no key").is_err());
    }

    /// Made with OpenSSL 3: `openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max`.
    #[test]
    fn predecessors_signature_verifies() {
        let key = include_str!("../../tests/data/predecessor.pub.pem");
        for signature in [
            include_bytes!("../../tests/data/predecessor.max_salt.sig").as_slice(),
            include_bytes!("../../tests/data/predecessor.digest_salt.sig").as_slice(),
        ] {
            assert_eq!(is_signed(include_str!("../../tests/data/predecessor.link").trim(), signature, key), Ok(true));
            assert_eq!(is_signed("other", signature, key), Ok(false));
        }
    }
}
