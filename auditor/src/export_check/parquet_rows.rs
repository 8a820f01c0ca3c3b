//! The number of rows that a Parquet file states at its end: the third field of its metadata, in Thrift's compact form. All
//! before it is passed over, so nothing more of either format needs to be known.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

const MAGIC: &[u8; 4] = b"PAR1";
/// Longest metadata that is read.
const MOST_BYTES: u64 = 256 << 20;
/// Structures within structures that are followed.
const MOST_DEPTH: u32 = 32;
/// Field of the metadata that holds the number of rows.
const NUM_ROWS: i64 = 3;

/// None where it is no Parquet file, as far as that is seen.
pub(super) fn parquet_rows(file: &mut File) -> io::Result<Option<u64>> {
    let length = file.metadata()?.len();
    let Some(before_end) = length.checked_sub(8) else { return Ok(None) };
    file.seek(SeekFrom::Start(before_end))?;
    let mut end = [0; 8];
    file.read_exact(&mut end)?;
    let [a, b, c, d, magic @ ..] = end;
    let size = u64::from(u32::from_le_bytes([a, b, c, d]));
    let start = before_end.checked_sub(size).filter(|_| magic == *MAGIC && size <= MOST_BYTES);
    let Some(start) = start else { return Ok(None) };
    file.seek(SeekFrom::Start(start))?;
    let mut metadata = Vec::new();
    file.take(size).read_to_end(&mut metadata)?;
    Ok(num_rows(&metadata))
}

fn num_rows(metadata: &[u8]) -> Option<u64> {
    let mut compact = Compact(metadata);
    let mut field = 0;
    while let Some((id, kind)) = compact.field(field)? {
        if id == NUM_ROWS && kind == I64 {
            return u64::try_from(compact.signed()?).ok();
        }
        compact.skip(kind, 0)?;
        field = id;
    }
    None
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;

/// Thrift's compact protocol, from the front.
struct Compact<'a>(&'a [u8]);

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn pass(&mut self, bytes: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..10 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F).checked_shl(7 * place)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let zigzag = self.number()?;
        let half = i64::try_from(zigzag >> 1).ok()?;
        Some(if zigzag & 1 == 1 { !half } else { half })
    }

    /// Id and type of the next field; none at the end of the structure.
    fn field(&mut self, before: i64) -> Option<Option<(i64, u8)>> {
        let byte = self.byte()?;
        let kind = byte & 0x0F;
        if kind == 0 {
            return Some(None);
        }
        let id = match byte >> 4 {
            0 => self.signed()?,
            step => before.checked_add(i64::from(step))?,
        };
        Some(Some((id, kind)))
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Option<()> {
        if depth > MOST_DEPTH {
            return None;
        }
        match kind {
            TRUE | FALSE => Some(()),
            BYTE => self.pass(1),
            4..=I64 => self.number().map(drop),
            DOUBLE => self.pass(8),
            BINARY => {
                let length = self.number()?;
                self.pass(length)
            }
            LIST | SET => {
                let byte = self.byte()?;
                let count = if byte >> 4 == 15 { self.number()? } else { u64::from(byte >> 4) };
                (0..count).try_for_each(|_| self.element(byte & 0x0F, depth))
            }
            MAP => {
                let count = self.number()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                (0..count).try_for_each(|_| {
                    self.element(kinds >> 4, depth)?;
                    self.element(kinds & 0x0F, depth)
                })
            }
            STRUCT => {
                let mut field = 0;
                while let Some((id, kind)) = self.field(field)? {
                    self.skip(kind, depth + 1)?;
                    field = id;
                }
                Some(())
            }
            _ => None,
        }
    }

    /// In lists and maps a truth value has a byte of its own.
    fn element(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            TRUE | FALSE => self.pass(1),
            other => self.skip(other, depth + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_rows_is_found_behind_the_schema() {
        // version = 1; schema = [{type: 2, name: "a"}, {list of two truth values}]; num_rows = 300.
        let metadata = [
            0x15, 0x02, 0x19, 0x2C, 0x15, 0x04, 0x38, 0x01, b'a', 0x00, 0x19, 0x21, 0x01, 0x02, 0x00, 0x16, 0xD8, 0x04,
            0x00,
        ];
        assert_eq!(num_rows(&metadata), Some(300));
        for length in 0..17 {
            assert_eq!(num_rows(&metadata[..length]), None, "{length}");
        }
        assert_eq!(num_rows(&[0x1C; 100_000]), None, "structures without end");
    }
}
