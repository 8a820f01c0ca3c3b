//! SQLite's documented file format (<https://sqlite.org/fileformat2.html>), as far as the pages of one table need it: pages
//! of a table's b-tree, their cells, and the records in them.
//!
//! Strict: what SQLite itself would not have written in this way is `None`, and whoever asked reads through SQLite
//! instead. Where SQLite refuses a page or reads it in another way, the answer here must not be rows.

use crate::cell::Cell;

const INTERIOR: u8 = 0x05;
const LEAF: u8 = 0x0D;

/// The next variable-length integer, and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((u64::from(first), rest));
    }
    let mut value = u64::from(first & 0x7F);
    let mut rest = rest;
    for _ in 0..7 {
        let (&byte, after) = rest.split_first()?;
        value = value << 7 | u64::from(byte & 0x7F);
        rest = after;
        if byte < 0x80 {
            return Some((value, rest));
        }
    }
    // The ninth byte counts whole.
    let (&byte, rest) = rest.split_first()?;
    Some((value << 8 | u64::from(byte), rest))
}

/// A row id: a variable-length integer in two's complement.
fn row_id(bytes: &[u8]) -> Option<(i64, &[u8])> {
    varint(bytes).map(|(value, rest)| (value.cast_signed(), rest))
}

/// The cells of a page, each from its first byte to the end of the page.
fn page_cells(page: &[u8], kind: u8) -> Option<impl ExactSizeIterator<Item = Option<&[u8]>>> {
    let [found, _, _, high, low, ..] = *page.first_chunk::<8>()?;
    let count = usize::from(u16::from_be_bytes([high, low]));
    let header_bytes = if kind == LEAF { 8 } else { 12 };
    // A cell takes six bytes at least, its pointer included; a page without any is no part of a tree.
    if found != kind || count == 0 || count > page.len().saturating_sub(8) / 6 {
        return None;
    }
    let contents = header_bytes + 2 * count;
    let (pointers, _) = page.get(header_bytes..contents)?.as_chunks::<2>();
    Some(pointers.iter().map(move |pointer| {
        let start = usize::from(u16::from_be_bytes(*pointer));
        page.get(start..).filter(|_| start >= contents)
    }))
}

/// A child of an interior page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Child {
    pub(super) page: u32,
    /// The row ids that it may have.
    pub(super) low: i64,
    pub(super) high: i64,
}

/// The children of an interior page that may have row ids between `from` and `to`. `itself` is the page: row ids beyond
/// its own do not occur, and keys ascend.
pub(super) fn children(bytes: &[u8], itself: Child, from: i64, to: i64) -> Option<Vec<Child>> {
    let mut children = Vec::new();
    let mut low = itself.low;
    let mut take = |child: Child| {
        if child.low <= to && child.high >= from {
            children.push(child);
        }
    };
    for cell in page_cells(bytes, INTERIOR)? {
        let (page, key) = cell?.split_first_chunk::<4>()?;
        let (key, _) = row_id(key)?;
        // The last child has row ids beyond the last key.
        if key < low || key >= itself.high {
            return None;
        }
        take(Child { page: u32::from_be_bytes(*page), low, high: key });
        low = key.checked_add(1)?;
    }
    let last: &[u8; 4] = bytes.get(8..12)?.try_into().ok()?;
    take(Child { page: u32::from_be_bytes(*last), low, high: itself.high });
    Some(children)
}

/// Whether a page is an interior one, and if so its first child.
pub(super) fn first_child(bytes: &[u8]) -> Option<Option<u32>> {
    match bytes.first()? {
        &LEAF => Some(None),
        _ => {
            let first = page_cells(bytes, INTERIOR)?.next()??;
            Some(Some(u32::from_be_bytes(*first.first_chunk::<4>()?)))
        }
    }
}

/// A row as it lies in a leaf page.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeafCell<'a> {
    pub(super) row_id: i64,
    /// The record, or its beginning.
    pub(super) local: &'a [u8],
    /// Where it goes on, and how many bytes it has.
    pub(super) overflow: Option<(u32, u64)>,
}

/// The rows of a leaf page, in their order.
pub(super) fn leaf_cells(page: &[u8]) -> Option<impl Iterator<Item = Option<LeafCell<'_>>>> {
    Some(page_cells(page, LEAF)?.map(|cell| leaf_cell(cell?, page.len())))
}

fn leaf_cell(cell: &[u8], page_bytes: usize) -> Option<LeafCell<'_>> {
    let (length, rest) = varint(cell)?;
    let (row_id, rest) = row_id(rest)?;
    let most = page_bytes.checked_sub(35)?;
    if let Some(length) = usize::try_from(length).ok().filter(|length| *length <= most) {
        return Some(LeafCell { row_id, local: rest.get(..length)?, overflow: None });
    }
    let least = (page_bytes.checked_sub(12)? * 32 / 255).checked_sub(23)?;
    let beyond = usize::try_from(length).ok()?.checked_sub(least)? % (page_bytes - 4);
    let local = if least + beyond <= most { least + beyond } else { least };
    let (local, rest) = rest.split_at_checked(local)?;
    let next = u32::from_be_bytes(*rest.first_chunk::<4>()?);
    Some(LeafCell { row_id, local, overflow: Some((next, length)) })
}

/// The columns of a record that has 16, none of them null or a floating-point number: no sound entry has such a column.
pub(super) fn columns(record: &[u8]) -> Option<[Cell<'_>; 16]> {
    let (header_bytes, rest) = varint(record)?;
    let own = record.len() - rest.len();
    let (header, mut body) = record.split_at_checked(usize::try_from(header_bytes).ok()?)?;
    let mut types = header.get(own..)?;
    let mut cells = [Cell::Null; 16];
    for cell in &mut cells {
        let (kind, rest) = varint(types)?;
        types = rest;
        let length = match kind {
            0 | 7 | 10 | 11 => return None,
            1..=4 => kind,
            5 => 6,
            6 => 8,
            8 | 9 => 0,
            _ => (kind - 12) / 2,
        };
        let (value, rest) = body.split_at_checked(usize::try_from(length).ok()?)?;
        body = rest;
        *cell = match kind {
            1..=6 => Cell::Integer(integer(value)),
            8 => Cell::Integer(0),
            9 => Cell::Integer(1),
            _ if kind % 2 == 0 => Cell::Blob(value),
            _ => Cell::Text(value),
        };
    }
    (types.is_empty() && body.is_empty()).then_some(cells)
}

/// A big-endian integer in two's complement, of at most eight bytes.
fn integer(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|first| *first >= 0x80);
    bytes.iter().fold(if negative { -1 } else { 0 }, |value, byte| value << 8 | i64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn variable_length_integers_are_those_of_the_format() {
        let cases: [(&[u8], u64); 7] = [
            (&[0], 0),
            (&[0x7F], 127),
            (&[0x81, 0], 128),
            (&[0x82, 0x2C], 300),
            (&[0x80, 0x80, 5], 5),
            (&[0xFF; 9], u64::MAX),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x81], 0x81),
        ];
        for (bytes, value) in cases {
            assert_eq!(varint(bytes), Some((value, [].as_slice())));
            assert_eq!(varint(&bytes[..bytes.len() - 1]), None, "cut short");
        }
        assert_eq!(row_id(&[0xFF; 9]), Some((-1, [].as_slice())));
    }

    #[test]
    fn integers_of_every_width_keep_their_sign() {
        for (bytes, value) in [
            (&[0x80][..], -128),
            (&[0x7F], 127),
            (&[0xFF, 0xFE], -2),
            (&[0, 0xFF, 0xFF], 65_535),
            (&[0x80, 0, 0, 0, 0, 0], -(1 << 47)),
            (&[0x80, 0, 0, 0, 0, 0, 0, 0], i64::MIN),
            (&[0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], i64::MAX),
        ] {
            assert_eq!(integer(bytes), value);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut page in prop::collection::vec(any::<u8>(), 0..600), leaf in any::<bool>()) {
            if let Some(kind) = page.first_mut() {
                *kind = if leaf { LEAF } else { INTERIOR };
            }
            if let Some(count) = page.get_mut(3) {
                *count = 0;
            }
            let all = Child { page: 2, low: i64::MIN, high: i64::MAX };
            for child in children(&page, all, i64::MIN, i64::MAX).into_iter().flatten() {
                prop_assert!(child.low <= child.high);
            }
            let _ = first_child(&page);
            for cell in leaf_cells(&page).into_iter().flatten().flatten() {
                prop_assert!(cell.local.len() <= page.len());
                let _ = columns(cell.local);
            }
            let _ = columns(&page);
        }
    }
}
