//! Bloom filters: which segments need not be asked for a name, because it is not in them.
//!
//! Blocked: all bits of a name lie in one cache line of 64 bytes. About 12 bits a name, one in a hundred asked in vain.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

const BLOCK_BYTES: usize = 64;
const BITS_PER_NAME: u64 = 12;
const BLOCK_BITS: u64 = 512;
const PROBES: u32 = 7;
/// The largest filter; segments of more than 40 million names get this one.
const MOST_BLOCKS: u64 = 1024 * 1024;

/// The filter of one segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter {
    bytes: Vec<u8>,
}

impl Filter {
    /// An empty filter with room for so many names.
    pub(super) fn with_room(names: u64) -> Self {
        Self { bytes: vec![0; Self::bytes_for(names)] }
    }

    /// Size of a filter for so many names.
    pub(super) fn bytes_for(names: u64) -> usize {
        let blocks = names.saturating_mul(BITS_PER_NAME).div_ceil(BLOCK_BITS).clamp(1, MOST_BLOCKS);
        usize::try_from(blocks).unwrap_or(1) * BLOCK_BYTES
    }

    /// What [`Filter::bytes`] gave; `None` where the length is none that a filter has.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty() && bytes.len().is_multiple_of(BLOCK_BYTES)).then(|| Self { bytes: bytes.to_vec() })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// First byte of the name's block, and the bits to look at within it.
    fn block(&self, name: u64) -> (usize, impl Iterator<Item = (usize, u8)> + use<>) {
        let blocks = self.bytes.len() / BLOCK_BYTES;
        // Names have 63 bits, evenly spread: the upper ones choose the block.
        let block = (u128::from(name) * u128::try_from(blocks).unwrap_or(1)) >> 63;
        let mixed = name.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (start, step) = (mixed >> 55, ((mixed >> 46) & 511) | 1);
        let bits = (0..u64::from(PROBES)).map(move |probe| {
            let bit = (start + probe * step) % BLOCK_BITS;
            (usize::try_from(bit / 8).unwrap_or(0), 1_u8 << (bit % 8))
        });
        (usize::try_from(block).unwrap_or(0) * BLOCK_BYTES, bits)
    }

    pub(super) fn insert(&mut self, name: u64) {
        let (start, bits) = self.block(name);
        let Some(block) = self.bytes.get_mut(start..start + BLOCK_BYTES) else { return };
        for (byte, mask) in bits {
            if let Some(byte) = block.get_mut(byte) {
                *byte |= mask;
            }
        }
    }

    /// False where the name was certainly not inserted.
    pub(super) fn may_contain(&self, name: u64) -> bool {
        let (start, mut bits) = self.block(name);
        let Some(block) = self.bytes.get(start..start + BLOCK_BYTES) else { return true };
        bits.all(|(byte, mask)| block.get(byte).is_none_or(|byte| byte & mask != 0))
    }
}

/// Most bytes of filters in memory. Beyond it segments are asked without a filter: slower, not wrong.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// The filters of a file that are in memory, shared by all who read it in this process.
#[derive(Debug, Default)]
pub(super) struct Filters(Mutex<Loaded>);

#[derive(Debug, Default)]
struct Loaded {
    by_segment: HashMap<i64, Arc<Filter>>,
    bytes: usize,
}

impl Filters {
    pub(super) fn get(&self, segment: i64) -> Option<Arc<Filter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_segment.get(&segment).cloned()
    }

    /// Is there room for a filter of that many bytes?
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes + bytes <= MOST_BYTES
    }

    pub(super) fn keep(&self, segment: i64, filter: Arc<Filter>) {
        let mut loaded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.bytes += filter.bytes.len();
        if let Some(replaced) = loaded.by_segment.insert(segment, filter) {
            loaded.bytes -= replaced.bytes.len();
        }
    }

    /// Forgets those of segments that are no more.
    pub(super) fn retain(&self, present: &[i64]) {
        let mut loaded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.by_segment.retain(|segment, _| present.contains(segment));
        loaded.bytes = loaded.by_segment.values().map(|filter| filter.bytes.len()).sum();
    }

    pub(super) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Loaded::default();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_was_inserted_is_never_denied_and_little_else_is_confirmed() {
        let names = |salt: u64| (0..50_000_u64).map(move |n| (n * 2 + salt).wrapping_mul(0x2545_F491_4F6C_DD1D) >> 1);
        let mut filter = Filter::with_room(50_000);
        names(1).for_each(|name| filter.insert(name));
        let filter = Filter::from_bytes(filter.bytes()).unwrap();
        assert!(names(1).all(|name| filter.may_contain(name)));
        let wrong = names(0).filter(|name| filter.may_contain(*name)).count();
        assert!(wrong < 1_500, "{wrong} of 50,000 asked in vain");
        assert!(Filter::from_bytes(&[0; 63]).is_none());
        assert!(Filter::from_bytes(&[]).is_none());
    }
}
