//! Rows on their way from a store to the threads that hash: copied once into one buffer, used again and again.

use crate::cell::{Cell, Digest};
use crate::hashing::Checked;

/// A batch is full at so many rows: four tiles. Small enough that all batches stay in a processor's cache.
const FULL_ROWS: usize = 1_024;
/// And at so many bytes, whatever the number of rows.
const FULL_BYTES: usize = 4 << 20;
/// A batch whose buffer has grown beyond this, for one huge row, is not used again.
const KEPT_BYTES: usize = 16 << 20;

/// A stored value; its bytes lie in the batch's buffer.
#[derive(Debug, Clone, Copy)]
enum Slot {
    Null,
    Integer(i64),
    Real(f64),
    Text(Place),
    Blob(Place),
    Other(Place),
}

/// Where a value's bytes lie. 32 bits are enough: a row is no longer than what a store returns at once, and no row is
/// added to a batch that has four megabytes.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: u32,
    length: u32,
}

/// A row of more than four gigabytes, of so many bytes.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a row has {0} bytes, more than can be verified")]
pub(crate) struct TooLong(usize);

/// Rows of one table and one ledger, in the order in which they were read, and what the hashing threads found.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    /// Where not every row is held: which ones are, ascending.
    picked: Option<Vec<usize>>,
    pub(crate) checked: Checked,
}

impl Batch {
    /// Adds a row. All rows of a batch have the same number of columns.
    pub(crate) fn push<const N: usize>(&mut self, cells: &[Cell<'_>; N]) -> Result<(), TooLong> {
        let bytes: usize = cells.iter().map(|cell| cell.bytes().len()).sum();
        if u32::try_from(self.bytes.len().saturating_add(bytes)).is_err() {
            return Err(TooLong(bytes));
        }
        self.bytes.reserve(bytes);
        self.slots.reserve(N);
        for cell in cells {
            let slot = match cell {
                Cell::Null => Slot::Null,
                Cell::Integer(value) => Slot::Integer(*value),
                Cell::Real(value) => Slot::Real(*value),
                Cell::Text(bytes) => Slot::Text(self.keep(bytes)),
                Cell::Blob(bytes) => Slot::Blob(self.keep(bytes)),
                Cell::Other(name) => Slot::Other(self.keep(name.as_bytes())),
            };
            self.slots.push(slot);
        }
        Ok(())
    }

    /// Both numbers fit: see [`Batch::push`].
    fn keep(&mut self, bytes: &[u8]) -> Place {
        let [start, length] = [self.bytes.len(), bytes.len()].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        self.bytes.extend_from_slice(bytes);
        Place { start, length }
    }

    /// The rows, each of `N` columns.
    pub(crate) fn rows<const N: usize>(&self) -> impl ExactSizeIterator<Item = [Cell<'_>; N]> {
        let (rows, _) = self.slots.as_chunks::<N>();
        rows.iter().map(|row| self.cells(row))
    }

    /// One row of `N` columns, if the batch holds it.
    pub(crate) fn row<const N: usize>(&self, index: usize) -> Option<[Cell<'_>; N]> {
        let (rows, _) = self.slots.as_chunks::<N>();
        let held = match &self.picked {
            Some(picked) => picked.binary_search(&index).ok()?,
            None => index,
        };
        rows.get(held).map(|row| self.cells(row))
    }

    /// From now on the batch, an empty one, holds the rows that [`Batch::pick`] adds, and no others.
    pub(crate) fn hold_picked(&mut self) {
        self.picked.get_or_insert_default().clear();
    }

    /// Adds a row by its number among all rows; the numbers ascend. False where the batch has no place for it.
    pub(crate) fn pick<const N: usize>(&mut self, index: usize, cells: &[Cell<'_>; N]) -> bool {
        let added = self.bytes.len() <= FULL_BYTES && self.push(cells).is_ok();
        if added && let Some(picked) = &mut self.picked {
            picked.push(index);
        }
        added
    }

    /// In a loop of its own: `array::map` would move every slot and every cell several times.
    fn cells<const N: usize>(&self, row: &[Slot; N]) -> [Cell<'_>; N] {
        let mut cells = [Cell::Null; N];
        for (cell, slot) in cells.iter_mut().zip(row) {
            *cell = self.cell(*slot);
        }
        cells
    }

    fn cell(&self, slot: Slot) -> Cell<'_> {
        let bytes = |Place { start, length }: Place| {
            let rest = usize::try_from(start).ok().and_then(|start| self.bytes.get(start..));
            let bytes = rest.zip(usize::try_from(length).ok()).and_then(|(rest, length)| rest.get(..length));
            bytes.unwrap_or_default()
        };
        match slot {
            Slot::Null => Cell::Null,
            Slot::Integer(value) => Cell::Integer(value),
            Slot::Real(value) => Cell::Real(value),
            Slot::Text(place) => Cell::Text(bytes(place)),
            Slot::Blob(place) => Cell::Blob(bytes(place)),
            Slot::Other(place) => Cell::Other(std::str::from_utf8(bytes(place)).unwrap_or("unknown")),
        }
    }

    /// Number of rows of `columns` columns.
    pub(crate) fn len(&self, columns: usize) -> usize {
        self.slots.len() / columns.max(1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether the batch should go on its way. `columns` is the number of columns of a row. Where `at_edge` says that a
    /// tile ends with the last row, a batch is full a little earlier, so that few tiles lie in two batches.
    pub(crate) fn is_full(&self, columns: usize, at_edge: bool) -> bool {
        let (rows, bytes) = (self.len(columns), self.bytes.len());
        match at_edge {
            true => rows > FULL_ROWS - 256 || bytes > FULL_BYTES - FULL_BYTES / 4,
            false => rows >= FULL_ROWS + 256 || bytes > FULL_BYTES,
        }
    }

    /// Empties the batch and keeps its memory, unless that is too much.
    pub(crate) fn clear(&mut self) {
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.slots.clear();
        self.picked = None;
        self.checked.clear();
    }
}

/// 32 bytes of a cell that holds so many.
pub(crate) fn digest_of(cell: Cell<'_>) -> Option<&Digest> {
    match cell {
        Cell::Blob(bytes) => bytes.try_into().ok(),
        _ => None,
    }
}
