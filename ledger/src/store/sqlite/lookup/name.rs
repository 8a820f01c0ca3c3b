//! Names of streams and commands as numbers of fixed size.
//!
//! 128 bits of BLAKE3 under a key that is drawn for each lookup file: nobody who chooses ids can make two of them meet. In
//! memory a name stands for its stream; in the file only 63 bits of it are kept, and what they lead to is compared.

use std::hash::{BuildHasherDefault, Hasher};

/// A stream or a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store::sqlite) struct Name(u128);

impl Name {
    /// What the file keeps of it: 63 bits, so that they are in order as SQLite's signed integers, too.
    pub(super) fn stored(self) -> u64 {
        u64::try_from(self.0 >> 65).unwrap_or(0)
    }

    #[cfg(test)]
    pub(super) fn of(bits: u128) -> Self {
        Self(bits)
    }
}

impl std::hash::Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.0);
    }
}

/// For maps by name: a name is as good as random already.
#[derive(Debug, Default)]
pub(in crate::store::sqlite) struct NameHasher(u64);

impl Hasher for NameHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, bits: u128) {
        // Not the bits that the file is sorted by.
        self.0 = u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
    }
}

/// A map by name.
pub(in crate::store::sqlite) type NameMap<T> = std::collections::HashMap<Name, T, BuildHasherDefault<NameHasher>>;

/// Gives names.
#[derive(Debug, Clone, Copy)]
pub(in crate::store::sqlite) struct Names {
    key: [u8; 32],
}

impl Names {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    pub(super) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    pub(in crate::store::sqlite) fn stream(&self, ledger: &str, stream_type: &str, stream_id: &str) -> Name {
        self.name(b's', &[ledger, stream_type, stream_id])
    }

    pub(in crate::store::sqlite) fn command(&self, ledger: &str, command_id: &str) -> Name {
        self.name(b'c', &[ledger, command_id])
    }

    fn name(&self, kind: u8, parts: &[&str]) -> Name {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        let mut buffer = [0_u8; 256];
        let mut length = 0;
        let mut put = |bytes: &[u8]| match buffer.get_mut(length..length + bytes.len()) {
            Some(free) => {
                free.copy_from_slice(bytes);
                length += bytes.len();
            }
            None => {
                hasher.update(buffer.get(..length).unwrap_or_default());
                length = 0;
                hasher.update(bytes);
            }
        };
        put(&[kind]);
        for part in parts {
            put(&part.len().to_le_bytes());
            put(part.as_bytes());
        }
        hasher.update(buffer.get(..length).unwrap_or_default());
        let digest = hasher.finalize();
        let bits = digest.as_bytes().first_chunk::<16>();
        Name(bits.copied().map_or(0, u128::from_le_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_apart_what_would_run_together() {
        let names = Names::new([7; 32]);
        let all = [
            names.stream("main", "a", "bc"),
            names.stream("main", "ab", "c"),
            names.stream("main", "a", "b"),
            names.stream("mai", "na", "bc"),
            names.command("main", "abc"),
            names.command("main", &"x".repeat(200)),
            names.stream("main", "a", &"x".repeat(200)),
            names.stream("main", "a", &"x".repeat(199)),
            Names::new([8; 32]).stream("main", "a", "bc"),
        ];
        for (index, name) in all.iter().enumerate() {
            assert!(name.stored() < 1 << 63);
            assert!(all.iter().skip(index + 1).all(|other| other != name && other.stored() != name.stored()));
        }
        assert_eq!(names.stream("main", "a", "bc"), names.stream("main", "a", "bc"));
    }
}
