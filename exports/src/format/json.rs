//! JSON: one object a row, with its columns in their order. As lines (NDJSON), or as one array, streamed.
//!
//! Whole numbers are JSON numbers, decimals are texts so that no reader makes floating-point numbers of them, times are
//! RFC 3339 with microseconds.

use std::io::{self, Write};

use super::{TableWriter, rfc3339};
use crate::table::{Cell, Row, Schema};

pub(super) struct JsonWriter<W> {
    output: W,
    /// What stands before each cell: `{"name":` or `,"name":`.
    keys: Vec<Vec<u8>>,
    line: Vec<u8>,
    is_array: bool,
    is_first: bool,
}

impl<W: Write> JsonWriter<W> {
    pub(super) fn lines(schema: &Schema, output: W) -> io::Result<Self> {
        Self::new(schema, output, false)
    }

    pub(super) fn array(schema: &Schema, mut output: W) -> io::Result<Self> {
        output.write_all(b"[")?;
        Self::new(schema, output, true)
    }

    fn new(schema: &Schema, output: W, is_array: bool) -> io::Result<Self> {
        let key = |(place, column): (usize, &crate::table::Column)| {
            let mut key = vec![if place == 0 { b'{' } else { b',' }];
            serde_json::to_writer(&mut key, &column.name)?;
            key.push(b':');
            Ok::<_, io::Error>(key)
        };
        let keys = schema.columns().iter().enumerate().map(key).collect::<Result<_, _>>()?;
        Ok(Self { output, keys, line: Vec::new(), is_array, is_first: true })
    }
}

impl<W: Write + Send> TableWriter<W> for JsonWriter<W> {
    fn write(&mut self, rows: Vec<Row>) -> io::Result<()> {
        for row in rows {
            self.line.clear();
            match (self.is_array, self.is_first) {
                (true, true) => self.line.push(b'\n'),
                (true, false) => self.line.extend_from_slice(b",\n"),
                (false, _) => {}
            }
            for (key, cell) in self.keys.iter().zip(&row) {
                self.line.extend_from_slice(key);
                push_cell(&mut self.line, cell)?;
            }
            self.line.push(b'}');
            if !self.is_array {
                self.line.push(b'\n');
            }
            self.output.write_all(&self.line)?;
            self.is_first = false;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<W> {
        if self.is_array {
            self.output.write_all(if self.is_first { b"]\n" } else { b"\n]\n" })?;
        }
        Ok(self.output)
    }

    #[cfg(test)]
    fn buffered_rows(&self) -> usize {
        0
    }
}

fn push_cell(line: &mut Vec<u8>, cell: &Cell) -> io::Result<()> {
    match cell {
        Cell::Null => line.extend_from_slice(b"null"),
        Cell::Text(text) | Cell::Decimal(text) => serde_json::to_writer(line, text)?,
        Cell::Integer(number) => write!(line, "{number}")?,
        Cell::Time(micros) => {
            line.push(b'"');
            line.extend_from_slice(rfc3339(*micros)?.as_bytes());
            line.push(b'"');
        }
        Cell::Boolean(value) => line.extend_from_slice(if *value { b"true" } else { b"false" }),
    }
    Ok(())
}
