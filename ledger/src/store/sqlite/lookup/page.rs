//! Records as the file keeps them: sorted, in pages with a checksum.
//!
//! A record that is lost would be a version given twice, so damage must never look like absence.

use crate::canonical::digest;

/// Records of one page. A page fits into a leaf of the file's tree (see [`super::segments`]).
pub(super) const PAGE_RECORDS: usize = 160;
const RECORD_BYTES: usize = 24;
const CHECKSUM_BYTES: usize = 8;

/// Where one version of a stream stands, or (with version 0) a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store::sqlite) struct Record {
    /// What is kept of the name.
    pub(super) name: u64,
    /// Version of the stream.
    pub(in crate::store::sqlite) version: u64,
    /// Position of the entry in its ledger, or number of the command.
    pub(in crate::store::sqlite) position: u64,
}

/// Something in the file is not as it was written.
#[derive(Debug, thiserror::Error)]
#[error("segment {segment}: {what}")]
pub(super) struct Damage {
    pub(super) segment: i64,
    pub(super) what: &'static str,
}

fn checksum(segment: i64, body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = digest(body).0;
    let first = digest.first_chunk::<CHECKSUM_BYTES>().copied().unwrap_or_default();
    // A page of another segment is damage, too.
    (u64::from_le_bytes(first) ^ segment.cast_unsigned()).to_le_bytes()
}

/// Adds the checksum.
pub(super) fn seal(segment: i64, mut body: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(segment, &body);
    body.extend_from_slice(&checksum);
    body
}

/// Checks and takes off the checksum.
pub(super) fn unseal(segment: i64, bytes: &[u8]) -> Result<&[u8], Damage> {
    let (body, end) = bytes.split_last_chunk().ok_or(Damage { segment, what: "a page is too short" })?;
    if *end != checksum(segment, body) {
        return Err(Damage { segment, what: "a page has another checksum than it was written with" });
    }
    Ok(body)
}

/// What [`Page::after`] says on the last page of a segment.
pub(super) const END: u64 = u64::MAX;

/// A page as it is read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) records: Vec<Record>,
    /// Name of the first record of the page that follows, or [`END`]: a page that is missing shows by this.
    pub(super) after: u64,
}

pub(super) fn encode(segment: i64, records: &[Record], after: u64) -> Vec<u8> {
    let mut body = Vec::with_capacity((records.len() + 1) * RECORD_BYTES);
    body.extend_from_slice(&after.to_le_bytes());
    for record in records {
        body.extend_from_slice(&record.name.to_le_bytes());
        body.extend_from_slice(&record.version.to_le_bytes());
        body.extend_from_slice(&record.position.to_le_bytes());
    }
    seal(segment, body)
}

pub(super) fn decode(segment: i64, bytes: &[u8]) -> Result<Page, Damage> {
    let wrong = || Damage { segment, what: "a page has a length that none is written with" };
    let (after, body) = unseal(segment, bytes)?.split_first_chunk().ok_or_else(wrong)?;
    let number = |bytes: &[u8], from: usize| {
        let bytes = bytes.get(from..).and_then(|rest| rest.first_chunk::<8>());
        bytes.copied().map_or(0, u64::from_le_bytes)
    };
    let records: Vec<Record> = body
        .chunks_exact(RECORD_BYTES)
        .map(|bytes| Record { name: number(bytes, 0), version: number(bytes, 8), position: number(bytes, 16) })
        .collect();
    if records.is_empty() || !body.len().is_multiple_of(RECORD_BYTES) {
        return Err(wrong());
    }
    Ok(Page { records, after: u64::from_le_bytes(*after) })
}

impl Page {
    pub(super) fn first_name(&self) -> u64 {
        self.records.first().map_or(0, |record| record.name)
    }
}

/// Refuses a page that does not follow the one before, of which `after` is given.
pub(super) fn check_next(segment: i64, after: u64, next: u64) -> Result<(), Damage> {
    if after == next { Ok(()) } else { Err(Damage { segment, what: "a page is missing" }) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn page_reads_back_and_any_changed_bit_is_seen() {
        let records: Vec<Record> =
            (0..7).map(|n| Record { name: n * n, version: n + 1, position: u64::MAX - n }).collect();
        let bytes = encode(5, &records, 77);
        assert_eq!(decode(5, &bytes).unwrap(), Page { records, after: 77 });
        assert!(decode(6, &bytes).is_err(), "of another segment");
        for byte in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[byte] ^= 4;
            assert!(decode(5, &changed).is_err());
        }
        assert!(decode(5, &bytes[..bytes.len() - 24]).is_err());
        assert!(decode(5, &[]).is_err());
    }
}
