//! What is exported, as a table: columns of five kinds, rows of cells, and the source that they come from.

use std::collections::HashSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Most columns of a table.
pub const MAX_SCHEMA_COLUMNS: usize = 200;
/// Most rows that a source gives at once: what is in memory is bounded by it.
pub const MAX_BATCH_ROWS: usize = 10_000;

/// What the cells of a column are. Every cell may also be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellKind {
    /// Text.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// An exact decimal number, written as people write it.
    Decimal,
    /// A point in time, to the microsecond, UTC.
    Time,
    /// True or false.
    Boolean,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// There is none.
    Null,
    /// Text. Not the same as null, even where it is empty.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// An exact decimal number as text, `-12.50`: the scale is kept.
    Decimal(String),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Time(i64),
    /// True or false.
    Boolean(bool),
}

impl Cell {
    /// The kind; `None` for null, which fits everywhere.
    pub fn kind(&self) -> Option<CellKind> {
        match self {
            Self::Null => None,
            Self::Text(_) => Some(CellKind::Text),
            Self::Integer(_) => Some(CellKind::Integer),
            Self::Decimal(_) => Some(CellKind::Decimal),
            Self::Time(_) => Some(CellKind::Time),
            Self::Boolean(_) => Some(CellKind::Boolean),
        }
    }

    /// Text, or null where there is none.
    pub fn text(text: Option<impl Into<String>>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.into()))
    }
}

/// One row: a cell for each column, in their order.
pub type Row = Vec<Cell>;

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// What its cells are. In alphabetical order with `name`: manifests are written in this order.
    pub kind: CellKind,
    /// Its name.
    pub name: String,
}

impl Column {
    /// A column of this name.
    pub fn new(name: impl Into<String>, kind: CellKind) -> Self {
        Self { kind, name: name.into() }
    }
}

/// Why columns are no table, or a row does not belong to one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// None, or too many.
    #[error("a table has 1 to {MAX_SCHEMA_COLUMNS} columns, not {0}")]
    Count(usize),
    /// No name, or one that another column has.
    #[error("{0:?} names no column or two of them")]
    Name(String),
    /// There is no such column to be chosen.
    #[error("there is no column {0:?}")]
    Unknown(String),
    /// A row has too few or too many cells.
    #[error("a row has {found} cells instead of {expected}")]
    RowLength {
        /// Columns of the table.
        expected: usize,
        /// Cells of the row.
        found: usize,
    },
    /// A cell is of another kind than its column.
    #[error("a cell of the column {0:?} is of another kind")]
    CellKind(String),
    /// A point in time that has no year of four digits.
    #[error("a time in the column {0:?} is out of range")]
    TimeRange(String),
}

/// The columns of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    columns: Vec<Column>,
}

impl Schema {
    /// At least one column, each with a name of its own.
    pub fn new(columns: Vec<Column>) -> Result<Self, SchemaError> {
        if columns.is_empty() || columns.len() > MAX_SCHEMA_COLUMNS {
            return Err(SchemaError::Count(columns.len()));
        }
        let mut names = HashSet::new();
        for column in &columns {
            if column.name.is_empty() || column.name.contains(char::is_control) || !names.insert(&column.name) {
                return Err(SchemaError::Name(column.name.clone()));
            }
        }
        Ok(Self { columns })
    }

    /// These columns of it, in this order; all of them where none are named. Answers their places as well.
    pub fn choose(&self, names: &[String]) -> Result<(Self, Vec<usize>), SchemaError> {
        if names.is_empty() {
            return Ok((self.clone(), (0..self.columns.len()).collect()));
        }
        let place = |name: &String| {
            let found = self.columns.iter().position(|column| column.name == *name);
            found.ok_or_else(|| SchemaError::Unknown(name.clone()))
        };
        let places = names.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let columns = places.iter().filter_map(|place| self.columns.get(*place).cloned()).collect();
        Ok((Self::new(columns)?, places))
    }

    /// Its columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether a row belongs to it: as many cells, each null or of its column's kind.
    pub fn check(&self, row: &[Cell]) -> Result<(), SchemaError> {
        if row.len() != self.columns.len() {
            return Err(SchemaError::RowLength { expected: self.columns.len(), found: row.len() });
        }
        for (column, cell) in self.columns.iter().zip(row) {
            if cell.kind().is_some_and(|kind| kind != column.kind) {
                return Err(SchemaError::CellKind(column.name.clone()));
            }
            if matches!(cell, Cell::Time(micros) if !is_representable(*micros)) {
                return Err(SchemaError::TimeRange(column.name.clone()));
            }
        }
        Ok(())
    }
}

/// From 0001-01-01 to 9999-12-31: what RFC 3339 can say.
fn is_representable(micros: i64) -> bool {
    const FIRST: i64 = -62_135_596_800_000_000;
    const END: i64 = 253_402_300_800_000_000;
    (FIRST..END).contains(&micros)
}

/// What a source has seen when it gives its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// Number of entries of the ledger that the rows take into account.
    pub position: u64,
}

/// Why there are no more rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SourceError {
    /// What went wrong, for people.
    pub detail: String,
    /// Whether it is of no use to try again.
    pub is_permanent: bool,
}

impl SourceError {
    /// Trying again may help.
    pub fn temporary(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), is_permanent: false }
    }

    /// Trying again does not help.
    pub fn permanent(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), is_permanent: true }
    }
}

/// Where rows come from, one batch after another, in one unchanging order.
#[async_trait]
pub trait RowSource: Send {
    /// The columns.
    fn schema(&self) -> &Schema;

    /// The next rows, at most [`MAX_BATCH_ROWS`]; `None` after the last. An empty batch is not the end.
    async fn next(&mut self) -> Result<Option<Vec<Row>>, SourceError>;

    /// Up to which entry the rows take the ledger into account; the same for all rows of one source.
    async fn read_state(&mut self) -> Result<Snapshot, SourceError>;
}
