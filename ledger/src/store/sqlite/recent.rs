//! Versions of the streams that were written last, so that the next append to one of them need not look.

use super::lookup::{Name, NameMap};

/// Streams of one generation.
const GENERATION: usize = 256 * 1024;

/// A bounded map. Two generations: what was not asked for while the young one filled up goes.
#[derive(Debug, Default)]
pub(super) struct RecentVersions {
    young: NameMap<u64>,
    old: NameMap<u64>,
}

impl RecentVersions {
    pub(super) fn get(&self, name: Name) -> Option<u64> {
        self.young.get(&name).or_else(|| self.old.get(&name)).copied()
    }

    pub(super) fn put(&mut self, name: Name, version: u64) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&name) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, version);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
