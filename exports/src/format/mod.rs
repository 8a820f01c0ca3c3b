//! The forms that a table is written in.

pub(crate) mod csv;
mod json;
mod parquet;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use daybook_domain::export::ExportFormat;

use crate::table::{Row, Schema};

/// Writes rows in one form to `W`, in memory that does not grow with their number.
pub(crate) trait TableWriter<W>: Send {
    /// Writes rows that belong to the table.
    fn write(&mut self, rows: Vec<Row>) -> io::Result<()>;

    /// Writes what comes at the end.
    fn finish(self: Box<Self>) -> io::Result<W>;

    /// Rows that are held in memory until there are enough of them.
    #[cfg(test)]
    fn buffered_rows(&self) -> usize;
}

/// A writer of this form; what comes before the first row is written.
pub(crate) fn writer<W: Write + Send + 'static>(
    format: ExportFormat,
    schema: &Schema,
    output: W,
) -> io::Result<Box<dyn TableWriter<W>>> {
    Ok(match format {
        ExportFormat::Csv => Box::new(csv::CsvWriter::new(schema, output)?),
        ExportFormat::Ndjson => Box::new(json::JsonWriter::lines(schema, output)?),
        ExportFormat::Json => Box::new(json::JsonWriter::array(schema, output)?),
        ExportFormat::Parquet => Box::new(parquet::ParquetWriter::new(schema, output)?),
        ExportFormat::Zip => return Err(io::Error::other("a zip file is not a table")),
    })
}

/// What names of such files end with, without the point.
pub fn extension(format: ExportFormat) -> &'static str {
    match format {
        ExportFormat::Csv => "csv",
        ExportFormat::Ndjson => "ndjson",
        ExportFormat::Json => "json",
        ExportFormat::Parquet => "parquet",
        ExportFormat::Zip => "zip",
    }
}

/// The media type of such files.
pub fn content_type(format: ExportFormat) -> &'static str {
    match format {
        ExportFormat::Csv => "text/csv; charset=utf-8; header=present",
        ExportFormat::Ndjson => "application/x-ndjson",
        ExportFormat::Json => "application/json",
        ExportFormat::Parquet => "application/vnd.apache.parquet",
        ExportFormat::Zip => "application/zip",
    }
}

/// `2026-11-21T10:00:00.000000Z`.
fn rfc3339(micros: i64) -> io::Result<String> {
    let time = DateTime::<Utc>::from_timestamp_micros(micros).ok_or_else(|| io::Error::other("a time out of range"))?;
    Ok(time.to_rfc3339_opts(SecondsFormat::Micros, true))
}
