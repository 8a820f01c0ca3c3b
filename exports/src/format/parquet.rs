//! Apache Parquet, compressed with Zstandard, in row groups of bounded size.
//!
//! Times are `TIMESTAMP` in microseconds UTC, whole numbers 64 bits, decimals exact text: the scale of an amount is the one
//! it was recorded with, and differs from row to row. Every column may hold nulls. What the file says of itself at its end
//! grows by some hundred bytes a column and row group; nothing else grows with the number of rows.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use super::TableWriter;
use crate::table::{Cell, CellKind, Column, Row, Schema};

/// Most rows of a row group.
const GROUP_ROWS: usize = 50_000;
/// Most bytes of the cells of a row group while they are collected.
const GROUP_BYTES: usize = 24 * 1024 * 1024;
/// What a text costs in memory besides its bytes.
const TEXT_OVERHEAD: usize = 64;
/// Longest part of a value in the statistics.
const STATISTICS_BYTES: usize = 64;

pub(super) struct ParquetWriter<W: Write + Send> {
    output: SerializedFileWriter<W>,
    columns: Vec<Collected>,
    rows: usize,
    bytes: usize,
}

/// The cells of one column that are not yet written. A level of 1 says that there is a value, 0 that there is none.
struct Collected {
    levels: Vec<i16>,
    values: Values,
}

enum Values {
    Integers(Vec<i64>),
    Texts(Vec<ByteArray>),
    Booleans(Vec<bool>),
}

impl<W: Write + Send> ParquetWriter<W> {
    pub(super) fn new(schema: &Schema, output: W) -> io::Result<Self> {
        let fields = schema.columns().iter().map(field).collect::<Result<Vec<TypePtr>, _>>().map_err(fault)?;
        let root = Type::group_type_builder("export").with_fields(fields).build().map_err(fault)?;
        let properties = WriterProperties::builder()
            .set_created_by(concat!("daybook version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_statistics_truncate_length(Some(STATISTICS_BYTES))
            .set_offset_index_disabled(true)
            .build();
        let output = SerializedFileWriter::new(output, Arc::new(root), Arc::new(properties)).map_err(fault)?;
        let columns = schema.columns().iter().map(Collected::new).collect();
        Ok(Self { output, columns, rows: 0, bytes: 0 })
    }

    fn take(&mut self, row: Row) -> io::Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(row) {
            self.bytes += column.take(cell)?;
        }
        self.rows += 1;
        Ok(())
    }

    fn write_group(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.output.next_row_group().map_err(fault)?;
        for column in &mut self.columns {
            let writer = group.next_column().map_err(fault)?;
            column.write(writer.ok_or_else(|| io::Error::other("a column is missing"))?).map_err(fault)?;
        }
        group.close().map_err(fault)?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl<W: Write + Send> TableWriter<W> for ParquetWriter<W> {
    fn write(&mut self, rows: Vec<Row>) -> io::Result<()> {
        for row in rows {
            self.take(row)?;
            if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
                self.write_group()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<W> {
        self.write_group()?;
        // Writes the end as well.
        self.output.into_inner().map_err(fault)
    }

    #[cfg(test)]
    fn buffered_rows(&self) -> usize {
        self.rows
    }
}

impl Collected {
    fn new(column: &Column) -> Self {
        let values = match column.kind {
            CellKind::Integer | CellKind::Time => Values::Integers(Vec::new()),
            CellKind::Text | CellKind::Decimal => Values::Texts(Vec::new()),
            CellKind::Boolean => Values::Booleans(Vec::new()),
        };
        Self { levels: Vec::new(), values }
    }

    /// Answers about how many bytes of memory the cell takes.
    fn take(&mut self, cell: Cell) -> io::Result<usize> {
        let is_there = !matches!(cell, Cell::Null);
        let size = match (&mut self.values, cell) {
            (_, Cell::Null) => 0,
            (Values::Integers(values), Cell::Integer(number) | Cell::Time(number)) => {
                values.push(number);
                size_of::<i64>()
            }
            (Values::Texts(values), Cell::Text(text) | Cell::Decimal(text)) => {
                let size = text.len() + TEXT_OVERHEAD;
                values.push(ByteArray::from(text.into_bytes()));
                size
            }
            (Values::Booleans(values), Cell::Boolean(value)) => {
                values.push(value);
                1
            }
            _ => return Err(io::Error::other("a cell is of another kind than its column")),
        };
        self.levels.push(i16::from(is_there));
        Ok(size + size_of::<i16>())
    }

    fn write(&mut self, mut writer: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = Some(self.levels.as_slice());
        match &mut self.values {
            Values::Integers(values) => {
                writer.typed::<Int64Type>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Texts(values) => {
                writer.typed::<ByteArrayType>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Booleans(values) => {
                writer.typed::<BoolType>().write_batch(values, levels, None)?;
                values.clear();
            }
        }
        self.levels.clear();
        writer.close()
    }
}

fn field(column: &Column) -> Result<TypePtr, ParquetError> {
    let (physical, logical) = match column.kind {
        CellKind::Text | CellKind::Decimal => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        CellKind::Integer => (Physical::INT64, None),
        CellKind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        CellKind::Boolean => (Physical::BOOLEAN, None),
    };
    let field = Type::primitive_type_builder(&column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()?;
    Ok(Arc::new(field))
}

fn fault(error: ParquetError) -> io::Error {
    match error {
        // The disk's own words are kept: whoever reads them knows whether it was full.
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}
