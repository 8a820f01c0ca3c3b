//! Comma-separated values as in RFC 4180: a line of names, `CRLF` at line ends, quotes where they are needed.
//!
//! Null is nothing between two commas, an empty text is `""`. Values stay exactly what they are: a text that a spreadsheet
//! would take for a formula is not changed, since the file would then say something else than the ledger.

use std::io::{self, Write};

use memchr::memchr_iter;

use super::{TableWriter, rfc3339};
use crate::table::{Cell, Row, Schema};

pub(super) struct CsvWriter<W> {
    output: W,
    /// One line; kept so that not every line needs memory of its own.
    line: Vec<u8>,
}

impl<W: Write> CsvWriter<W> {
    pub(super) fn new(schema: &Schema, mut output: W) -> io::Result<Self> {
        let mut line = Vec::new();
        for (place, column) in schema.columns().iter().enumerate() {
            if place > 0 {
                line.push(b',');
            }
            push_text(&mut line, &column.name);
        }
        line.extend_from_slice(b"\r\n");
        output.write_all(&line)?;
        Ok(Self { output, line })
    }
}

impl<W: Write + Send> TableWriter<W> for CsvWriter<W> {
    fn write(&mut self, rows: Vec<Row>) -> io::Result<()> {
        for row in rows {
            self.line.clear();
            for (place, cell) in row.iter().enumerate() {
                if place > 0 {
                    self.line.push(b',');
                }
                push_cell(&mut self.line, cell)?;
            }
            // An empty line would be no row to many readers.
            if self.line.is_empty() {
                self.line.extend_from_slice(b"\"\"");
            }
            self.line.extend_from_slice(b"\r\n");
            self.output.write_all(&self.line)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<W> {
        Ok(self.output)
    }

    #[cfg(test)]
    fn buffered_rows(&self) -> usize {
        0
    }
}

fn push_cell(line: &mut Vec<u8>, cell: &Cell) -> io::Result<()> {
    match cell {
        Cell::Null => {}
        Cell::Text(text) | Cell::Decimal(text) => push_text(line, text),
        Cell::Integer(number) => write!(line, "{number}")?,
        Cell::Time(micros) => line.extend_from_slice(rfc3339(*micros)?.as_bytes()),
        Cell::Boolean(value) => line.extend_from_slice(if *value { b"true" } else { b"false" }),
    }
    Ok(())
}

/// A text as a field of a line.
pub(crate) fn push_text(line: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    // Spaces at the ends belong to the text, and some readers take them away where there are no quotes.
    let needs_quotes = text.is_empty()
        || bytes.iter().any(|byte| matches!(byte, b'"' | b',' | b'\r' | b'\n'))
        || text.starts_with(char::is_whitespace)
        || text.ends_with(char::is_whitespace);
    if !needs_quotes {
        line.extend_from_slice(bytes);
        return;
    }
    line.push(b'"');
    let mut copied = 0;
    for quote in memchr_iter(b'"', bytes) {
        line.extend_from_slice(bytes.get(copied..=quote).unwrap_or_default());
        line.push(b'"');
        copied = quote + 1;
    }
    line.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    line.push(b'"');
}
