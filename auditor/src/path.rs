//! Makes proofs from leaves that pass by once, in order: each hash of a proof is the root of a range of leaves, and the
//! ranges are known beforehand.

use std::ops::Range;

use crate::cell::Digest;
use crate::merkle::Tree;

/// The ranges of leaves whose roots are the audit path of `position` in a tree of `size` leaves, lowest first
/// (RFC 6962, section 2.1.1). Empty where the tree has no such position.
pub fn inclusion_ranges(position: u64, size: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    if position >= size {
        return ranges;
    }
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let split = start + half(end - start);
        if position < split {
            ranges.push(split..end);
            end = split;
        } else {
            ranges.push(start..split);
            start = split;
        }
    }
    ranges.reverse();
    ranges
}

/// The ranges of leaves whose roots prove that a tree of `new` leaves begins with its first `old` leaves
/// (RFC 6962, section 2.1.2). Empty where there is nothing to prove: `old` is 0 or not below `new`.
pub fn consistency_ranges(old: u64, new: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    if old == 0 || old >= new {
        return ranges;
    }
    let (mut start, mut end) = (0, new);
    while old != end {
        let split = start + half(end - start);
        if old <= split {
            ranges.push(split..end);
            end = split;
        } else {
            ranges.push(start..split);
            start = split;
        }
    }
    // The old tree itself, where it is one subtree of the new one, is what the verifier already has.
    if start != 0 {
        ranges.push(start..end);
    }
    ranges.reverse();
    ranges
}

/// The largest power of two below `count`, which is at least 2.
fn half(count: u64) -> u64 {
    match count.checked_next_power_of_two() {
        Some(power) => power / 2,
        None => 1 << 63,
    }
}

/// Takes leaves in order and keeps the roots of ranges, in memory of some thousand bytes.
#[derive(Debug)]
pub struct RangeRoots {
    ranges: Vec<(Range<u64>, Tree)>,
    next: u64,
}

impl RangeRoots {
    /// Prepares for the ranges of a proof, in the proof's order.
    pub fn new(ranges: Vec<Range<u64>>) -> Self {
        Self { ranges: ranges.into_iter().map(|range| (range, Tree::default())).collect(), next: 0 }
    }

    /// Takes the next leaf's hash.
    pub fn push(&mut self, leaf: Digest) {
        for (range, tree) in &mut self.ranges {
            if range.contains(&self.next) {
                tree.push(leaf);
            }
        }
        self.next += 1;
    }

    /// The roots, in the order of the ranges. None where leaves are missing.
    pub fn finish(self) -> Option<Vec<Digest>> {
        let end = self.ranges.iter().map(|(range, _)| range.end).max().unwrap_or(0);
        (self.next >= end).then(|| self.ranges.iter().map(|(_, tree)| tree.root()).collect())
    }
}
