//! How many rows a Parquet file says it has: one number in the metadata at its end, which is in Thrift's compact protocol.
//!
//! The file may come from anybody. So what stands before the number is stepped over and nothing is set aside for it: a count
//! in the file is never taken for an amount of memory, and every step takes at least one byte of what was read.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

/// What a file begins and ends with.
const MAGIC: [u8; 4] = *b"PAR1";
/// Bytes of the end: length of the metadata, and the magic.
const END_BYTES: u64 = 8;
/// Longest metadata that is read, 16 MiB: that of the largest exports is far below.
const MAX_FOOTER_BYTES: u64 = 16 * 1024 * 1024;
/// Deepest nesting that is followed. Parquet's own has fewer than ten levels.
const MAX_DEPTH: u8 = 24;
/// `num_rows` of `FileMetaData`.
const NUM_ROWS: i64 = 3;

/// The number of rows that the file states; `None` for what is no Parquet file, as far as that is seen.
pub(super) fn stated_rows(mut file: File) -> io::Result<Option<u64>> {
    let length = file.metadata()?.len();
    let Some(end_at) = length.checked_sub(END_BYTES) else { return Ok(None) };
    file.seek(SeekFrom::Start(end_at))?;
    let mut end = [0_u8; END_BYTES as usize];
    file.read_exact(&mut end)?;
    let [first, second, third, fourth, magic @ ..] = end;
    let footer = u64::from(u32::from_le_bytes([first, second, third, fourth]));
    if magic != MAGIC || footer > MAX_FOOTER_BYTES {
        return Ok(None);
    }
    let Some(footer_at) = end_at.checked_sub(footer) else { return Ok(None) };
    file.seek(SeekFrom::Start(footer_at))?;
    let mut metadata = Vec::new();
    file.take(footer).read_to_end(&mut metadata)?;
    Ok(Reader { rest: &metadata }.rows())
}

/// Types of the compact protocol.
mod kind {
    pub(super) const STOP: u8 = 0;
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const INTEGER_16: u8 = 4;
    pub(super) const INTEGER_32: u8 = 5;
    pub(super) const INTEGER_64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const MAP: u8 = 11;
    pub(super) const STRUCTURE: u8 = 12;
}

/// Steps through a structure. Every `None` says that it is none.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn rows(&mut self) -> Option<u64> {
        let mut last = 0;
        loop {
            let (id, kind) = self.field(last)?;
            match kind {
                kind::STOP => return None,
                kind::INTEGER_64 if id == NUM_ROWS => return u64::try_from(self.signed()?).ok(),
                kind => self.step_over(kind, MAX_DEPTH)?,
            }
            last = id;
        }
    }

    /// The number and the type of the field that comes next.
    fn field(&mut self, last: i64) -> Option<(i64, u8)> {
        let head = self.byte()?;
        let (delta, kind) = (head >> 4, head & 0x0f);
        let id = match (delta, kind) {
            (_, kind::STOP) => last,
            (0, _) => self.signed()?,
            (delta, _) => last.checked_add(i64::from(delta))?,
        };
        Some((id, kind))
    }

    fn step_over(&mut self, kind: u8, depth: u8) -> Option<()> {
        let deeper = depth.checked_sub(1)?;
        match kind {
            // The type is the value.
            kind::TRUE | kind::FALSE => Some(()),
            kind::BYTE => self.skip(1),
            kind::INTEGER_16 | kind::INTEGER_32 | kind::INTEGER_64 => self.unsigned().map(drop),
            kind::DOUBLE => self.skip(8),
            kind::BINARY => {
                let length = self.unsigned()?;
                self.skip(length)
            }
            kind::LIST | kind::SET => {
                let head = self.byte()?;
                let count = match head >> 4 {
                    0x0f => self.unsigned()?,
                    count => u64::from(count),
                };
                (0..count).try_for_each(|_| self.step_over_item(head & 0x0f, deeper))
            }
            kind::MAP => match self.unsigned()? {
                0 => Some(()),
                count => {
                    let kinds = self.byte()?;
                    (0..count).try_for_each(|_| {
                        self.step_over_item(kinds >> 4, deeper)?;
                        self.step_over_item(kinds & 0x0f, deeper)
                    })
                }
            },
            kind::STRUCTURE => {
                let mut last = 0;
                loop {
                    let (id, kind) = self.field(last)?;
                    if kind == kind::STOP {
                        return Some(());
                    }
                    self.step_over(kind, deeper)?;
                    last = id;
                }
            }
            _ => None,
        }
    }

    /// One of a list or a map, where a truth value takes a byte.
    fn step_over_item(&mut self, kind: u8, depth: u8) -> Option<()> {
        match kind {
            kind::TRUE | kind::FALSE => self.skip(1),
            kind => self.step_over(kind, depth),
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    /// Seven bits a byte, the lowest first.
    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Zigzag: 0, -1, 1, -2 and so on.
    fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        let half = i64::try_from(value >> 1).ok()?;
        Some(if value & 1 == 0 { half } else { -1 - half })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::io::Write as _;

    use super::*;

    fn rows_of(metadata: &[u8]) -> Option<u64> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"PAR1").unwrap();
        file.write_all(metadata).unwrap();
        file.write_all(&u32::try_from(metadata.len()).unwrap().to_le_bytes()).unwrap();
        file.write_all(b"PAR1").unwrap();
        stated_rows(file).unwrap()
    }

    /// The largest 64-bit number, and the largest that a reader could take for a length.
    const ENORMOUS: [u8; 10] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    const LARGE: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x07];

    #[test]
    fn number_of_rows_is_found_behind_what_stands_before_it() {
        // Version 1; a schema of one structure with a name and an optional field; 300 rows.
        let metadata = [0x15, 0x02, 0x19, 0x1c, 0x48, 0x01, b'x', 0x15, 0x00, 0x00, 0x16, 0xd8, 0x04, 0x00];
        assert_eq!(rows_of(&metadata), Some(300));
        assert_eq!(rows_of(&[0x15, 0x02, 0x00]), None, "without the field");
        assert_eq!(rows_of(&[0x36, 0x01]), None, "fewer than none");
    }

    #[test]
    fn enormous_claims_are_neither_believed_nor_set_aside_for() {
        for count in [&ENORMOUS[..], &LARGE[..]] {
            for kind in 0..16_u8 {
                // A list, a set, a map and a text of so many, and lists within lists, as the first field.
                let list = [&[0x19, 0xf0 | kind], count].concat();
                let set = [&[0x1a, 0xf0 | kind], count].concat();
                let map = [&[0x1b], count, &[kind << 4 | kind]].concat();
                let nested = [&[0x19, 0xf9, 0x01, 0xf0 | kind], count].concat();
                for metadata in [list, set, map, nested, [&[0x18], count].concat()] {
                    assert_eq!(rows_of(&metadata), None, "{metadata:02x?}");
                }
            }
        }
    }

    #[test]
    fn endless_nesting_ends() {
        for byte in [0x1c_u8, 0x19] {
            assert_eq!(rows_of(&vec![byte; 1 << 20]), None);
        }
        assert_eq!(rows_of(&[0x19, 0x19].repeat(1 << 19)), None);
    }

    #[test]
    fn what_is_no_parquet_has_no_rows() {
        for bytes in [&b""[..], b"PAR1", b"\xff\xff\xff\xffPAR1", b"\x09\0\0\0PAR1", b"PAR1PAR1PAR2"] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            assert_eq!(stated_rows(file).unwrap(), None, "{bytes:02x?}");
        }
    }
}
