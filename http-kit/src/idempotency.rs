//! `Idempotency-Key`: a repeat of the same command answers what the first one answered and records nothing.

use actix_web::http::header::{HeaderMap, HeaderName};
use daybook_ledger::{CommandKey, Hash};

use crate::problem::Problem;

/// The request header.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Response header, `true` on an answer that was given before.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Most characters of a key.
pub const MAX_KEY_CHARACTERS: usize = 128;
/// Most bytes of a command id in the ledger.
const MAX_COMMAND_ID_BYTES: usize = 200;

/// The client's key: 1 to 128 visible ASCII characters; and what digests are keyed with.
///
/// The digest of what is asked stays in the ledger for ever. Without a key, somebody could confirm a guess at a name in a
/// body long after that name was erased.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    key: String,
    digest_key: [u8; 32],
}

impl IdempotencyKey {
    /// Reads the header; none is fine, a malformed or repeated one is a 400.
    pub fn from_headers(headers: &HeaderMap, digest_key: [u8; 32]) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY);
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.to_str().unwrap_or_default();
        let fits = (1..=MAX_KEY_CHARACTERS).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits || values.next().is_some() {
            return Err(Problem::invalid("Idempotency-Key", "must be one key of 1 to 128 visible ASCII characters"));
        }
        Ok(Some(Self { key: key.to_owned(), digest_key }))
    }

    /// The command's name in the ledger and the digest of what is asked.
    ///
    /// Keys belong to their actor, so that nobody can use up or read another's. `item` tells apart the commands of one
    /// request.
    pub fn command(&self, actor_id: &str, item: Option<&str>, method: &str, target: &str, body: &[u8]) -> CommandKey {
        let id = match item {
            None => format!("{actor_id}:{}", self.key),
            Some(item) => format!("{actor_id}:{}:{item}", self.key),
        };
        let id = if id.len() <= MAX_COMMAND_ID_BYTES && item.is_none() {
            id
        } else {
            // Hashed so that no key can be spelled like another key's item.
            let mut hasher = blake3::Hasher::new();
            for part in [actor_id, &self.key, item.unwrap_or_default()] {
                hasher.update(&length(part.as_bytes()));
                hasher.update(part.as_bytes());
            }
            format!("key_{}", hasher.finalize().to_hex())
        };
        let mut hasher = blake3::Hasher::new_keyed(&self.digest_key);
        for part in [method.as_bytes(), target.as_bytes(), body] {
            hasher.update(&length(part));
            hasher.update(part);
        }
        CommandKey { id, digest: Hash::from(hasher.finalize()) }
    }
}

impl std::fmt::Debug for IdempotencyKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("IdempotencyKey").field(&self.key).finish()
    }
}

fn length(part: &[u8]) -> [u8; 8] {
    u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use actix_web::http::header::HeaderValue;

    use super::*;

    fn key(text: &str) -> IdempotencyKey {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(IDEMPOTENCY_KEY), HeaderValue::from_str(text).unwrap());
        IdempotencyKey::from_headers(&headers, [7; 32]).unwrap().unwrap()
    }

    #[test]
    fn command_id_stays_within_its_bound() {
        let command = key(&"k".repeat(128)).command(&"a".repeat(120), None, "POST", "/x?", b"{}");
        assert!(command.id.len() <= MAX_COMMAND_ID_BYTES);
    }

    #[test]
    fn digest_depends_on_method_target_and_body() {
        let digest = |method, target, body| key("k").command("usr_1", None, method, target, body).digest;
        let base = digest("POST", "/x?", b"{}".as_slice());
        assert_ne!(base, digest("PUT", "/x?", b"{}"));
        assert_ne!(base, digest("POST", "/y?", b"{}"));
        assert_ne!(base, digest("POST", "/x?", b"{ }"));
        assert_eq!(base, digest("POST", "/x?", b"{}"));
    }

    #[test]
    fn items_of_one_key_are_other_commands() {
        let id = |item| key("k").command("usr_1", item, "POST", "/x?", b"").id;
        assert_ne!(id(Some("a")), id(Some("b")));
        assert_ne!(id(Some("a")), key("k:a").command("usr_1", None, "POST", "/x?", b"").id);
    }

    #[test]
    fn overlong_and_blank_keys_are_refused() {
        for bad in ["", "a b", &"k".repeat(129)] {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(IDEMPOTENCY_KEY), HeaderValue::from_str(bad).unwrap());
            assert_eq!(IdempotencyKey::from_headers(&headers, [7; 32]).unwrap_err().status(), 400);
        }
    }
}
