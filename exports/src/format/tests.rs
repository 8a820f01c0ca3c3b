//! Every form against a reader that is not ours.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is a failed test")]

use bytes::Bytes;
use parquet_reader::{Field, FileReader as _, SerializedFileReader};
use proptest::prelude::*;

use super::*;
use crate::table::{Cell, CellKind, Column};

/// The library's own names, so that they are not taken for the module's.
mod parquet_reader {
    pub use ::parquet::basic::{Compression, ConvertedType, LogicalType, TimeUnit};
    pub use ::parquet::file::reader::FileReader;
    pub use ::parquet::file::serialized_reader::SerializedFileReader;
    pub use ::parquet::record::Field;
}

fn schema() -> Schema {
    Schema::new(vec![
        Column::new("name", CellKind::Text),
        Column::new("position", CellKind::Integer),
        Column::new("amount", CellKind::Decimal),
        Column::new("at", CellKind::Time),
        Column::new("is \"open\", now", CellKind::Boolean),
    ])
    .unwrap()
}

/// Every kind of cell, and texts that readers stumble over.
fn rows() -> Vec<Row> {
    let row = |text: &str, number, amount: &str, at, is_open| {
        vec![
            Cell::Text(text.to_owned()),
            Cell::Integer(number),
            Cell::Decimal(amount.to_owned()),
            Cell::Time(at),
            Cell::Boolean(is_open),
        ]
    };
    vec![
        row("plain", 1, "12.50", 1_795_255_200_000_000, true),
        row("a,b \"c\"\r\nd\te", i64::MAX, "-0.00000001", -1, false),
        row("=1+cmd|' /C calc'!A0", i64::MIN, "999999999999999999.99999999", 0, true),
        row("żółć 漢字 🜚 \u{202e}", -7, "0", 253_402_300_799_999_999, false),
        row("nul\0 bell\u{7} del\u{7f}", 0, "1e", -62_135_596_800_000_000, true),
        row(" lead and trail ", 2, "1.10", 1, false),
        row("", 3, "", 2, true),
        vec![Cell::Null; 5],
    ]
}

fn written(format: ExportFormat, schema: &Schema, rows: Vec<Row>) -> Vec<u8> {
    let mut writer = writer(format, schema, Vec::new()).unwrap();
    writer.write(rows).unwrap();
    writer.finish().unwrap()
}

fn text_of(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Text(text) | Cell::Decimal(text) => text.clone(),
        Cell::Integer(number) => number.to_string(),
        Cell::Time(micros) => rfc3339(*micros).unwrap(),
        Cell::Boolean(value) => value.to_string(),
    }
}

fn json_of(cell: &Cell) -> serde_json::Value {
    match cell {
        Cell::Null => serde_json::Value::Null,
        Cell::Integer(number) => (*number).into(),
        Cell::Boolean(value) => (*value).into(),
        other => text_of(other).into(),
    }
}

fn object_of(row: &Row) -> serde_json::Value {
    let names = schema().columns().iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    names.into_iter().zip(row.iter().map(json_of)).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn csv_is_read_back_by_another_reader() {
    let bytes = written(ExportFormat::Csv, &schema(), rows());
    let mut reader = ::csv::ReaderBuilder::new().from_reader(bytes.as_slice());
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(names, ["name", "position", "amount", "at", "is \"open\", now"]);
    let read: Vec<Vec<String>> =
        reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
    let expected: Vec<Vec<String>> = rows().iter().map(|row| row.iter().map(text_of).collect()).collect();
    assert_eq!(read, expected);
}

#[test]
fn csv_is_as_the_rfc_says_to_the_byte() {
    let bytes = written(ExportFormat::Csv, &schema(), rows()[..2].to_vec());
    let expected = "name,position,amount,at,\"is \"\"open\"\", now\"\r\n\
                    plain,1,12.50,2026-11-21T10:00:00.000000Z,true\r\n\
                    \"a,b \"\"c\"\"\r\nd\te\",9223372036854775807,-0.00000001,1969-12-31T23:59:59.999999Z,false\r\n";
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn csv_tells_null_from_an_empty_text_and_leaves_no_line_empty() {
    let schema = Schema::new(vec![Column::new("a", CellKind::Text), Column::new("b", CellKind::Text)]).unwrap();
    let rows = vec![vec![Cell::Null, Cell::Text(String::new())], vec![Cell::Null, Cell::Null]];
    assert_eq!(written(ExportFormat::Csv, &schema, rows), b"a,b\r\n,\"\"\r\n,\r\n");
    let one = Schema::new(vec![Column::new("a", CellKind::Text)]).unwrap();
    assert_eq!(written(ExportFormat::Csv, &one, vec![vec![Cell::Null]]), b"a\r\n\"\"\r\n");
}

#[test]
fn json_is_read_back_by_another_reader() {
    let expected: Vec<serde_json::Value> = rows().iter().map(object_of).collect();
    let lines = String::from_utf8(written(ExportFormat::Ndjson, &schema(), rows())).unwrap();
    assert!(lines.ends_with('\n'));
    let read: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, expected);
    let array = written(ExportFormat::Json, &schema(), rows());
    assert_eq!(serde_json::from_slice::<Vec<serde_json::Value>>(&array).unwrap(), expected);
    let first =
        r#"{"name":"plain","position":1,"amount":"12.50","at":"2026-11-21T10:00:00.000000Z","is \"open\", now":true}"#;
    assert_eq!(lines.lines().next().unwrap(), first);
}

#[test]
fn parquet_is_read_back_with_its_types() {
    let bytes = written(ExportFormat::Parquet, &schema(), rows());
    assert_eq!((&bytes[..4], &bytes[bytes.len() - 4..]), (b"PAR1".as_slice(), b"PAR1".as_slice()));
    let reader = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
    let metadata = reader.metadata();
    assert_eq!(
        metadata.file_metadata().created_by().unwrap(),
        format!("daybook version {}", env!("CARGO_PKG_VERSION"))
    );
    let described = metadata.file_metadata().schema_descr();
    let at = described.column(3);
    let micros = parquet_reader::LogicalType::timestamp(true, parquet_reader::TimeUnit::MICROS);
    assert_eq!(at.logical_type_ref(), Some(&micros));
    assert_eq!(at.converted_type(), parquet_reader::ConvertedType::TIMESTAMP_MICROS);
    assert_eq!(described.column(2).converted_type(), parquet_reader::ConvertedType::UTF8);
    assert!(matches!(metadata.row_group(0).column(0).compression(), parquet_reader::Compression::ZSTD(_)));
    let read: Vec<Row> = reader.get_row_iter(None).unwrap().map(|row| cells_of(&row.unwrap())).collect();
    assert_eq!(read, rows());
}

fn cells_of(row: &::parquet::record::Row) -> Row {
    let cell = |(name, field): (&String, &Field)| match field {
        Field::Null => Cell::Null,
        Field::Str(text) if name == "amount" => Cell::Decimal(text.clone()),
        Field::Str(text) => Cell::Text(text.clone()),
        Field::Long(number) => Cell::Integer(*number),
        Field::TimestampMicros(micros) => Cell::Time(*micros),
        Field::Bool(value) => Cell::Boolean(*value),
        other => panic!("{name}: {other:?}"),
    };
    row.get_column_iter().map(cell).collect()
}

#[test]
fn no_rows_make_a_file_that_says_so() {
    assert_eq!(written(ExportFormat::Ndjson, &schema(), vec![]), b"");
    assert_eq!(written(ExportFormat::Json, &schema(), vec![]), b"[]\n");
    let csv = written(ExportFormat::Csv, &schema(), vec![]);
    assert_eq!(csv, b"name,position,amount,at,\"is \"\"open\"\", now\"\r\n");
    let parquet = SerializedFileReader::new(Bytes::from(written(ExportFormat::Parquet, &schema(), vec![]))).unwrap();
    assert_eq!(parquet.metadata().file_metadata().num_rows(), 0);
    assert_eq!(parquet.metadata().file_metadata().schema_descr().num_columns(), 5);
}

/// Rows held in memory never depend on how many there are.
#[test]
fn rows_in_memory_are_bounded_in_every_form() {
    let schema = Schema::new(vec![Column::new("n", CellKind::Integer), Column::new("t", CellKind::Text)]).unwrap();
    for format in ExportFormat::ALL.iter().filter(|format| **format != ExportFormat::Zip) {
        let mut writer = writer(*format, &schema, io::sink()).unwrap();
        let (mut most, mut written) = (0, 0);
        for batch in 0..130_i64 {
            let row = |number| vec![Cell::Integer(number), Cell::Text(format!("text {number}"))];
            writer.write((batch * 1_000..(batch + 1) * 1_000).map(row).collect()).unwrap();
            written += 1_000;
            most = most.max(writer.buffered_rows());
        }
        assert!(most < 50_000, "{format}: {most} of {written} rows are held");
        // Long texts are counted by their length: 30 rows of a mebibyte are not collected.
        for _ in 0..60 {
            writer.write(vec![vec![Cell::Integer(0), Cell::Text("x".repeat(1024 * 1024))]]).unwrap();
        }
        assert!(writer.buffered_rows() < 30, "{format}: {} long rows are held", writer.buffered_rows());
        writer.finish().unwrap();
    }
}

#[test]
fn parquet_row_groups_are_bounded() {
    let schema = Schema::new(vec![Column::new("n", CellKind::Integer)]).unwrap();
    let mut writer = writer(ExportFormat::Parquet, &schema, Vec::new()).unwrap();
    for batch in 0..12_i64 {
        writer.write((batch * 9_000..(batch + 1) * 9_000).map(|n| vec![Cell::Integer(n)]).collect()).unwrap();
    }
    let reader = SerializedFileReader::new(Bytes::from(writer.finish().unwrap())).unwrap();
    let groups: Vec<i64> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [50_000, 50_000, 8_000]);
    assert_eq!(reader.get_row_iter(None).unwrap().filter(|row| row.is_ok()).count(), 108_000);
}

proptest! {
    #[test]
    fn any_texts_are_read_back(texts in proptest::collection::vec("[\\PC\r\n\"',;=\0\t ]{0,20}", 1..12)) {
        let schema = Schema::new(vec![Column::new("a", CellKind::Text), Column::new("b", CellKind::Text)]).unwrap();
        let rows: Vec<Row> =
            texts.iter().map(|text| vec![Cell::Text(text.clone()), Cell::Text("end".to_owned())]).collect();
        let csv = written(ExportFormat::Csv, &schema, rows.clone());
        let mut reader = ::csv::Reader::from_reader(csv.as_slice());
        let read: Vec<String> = reader.records().map(|record| record.unwrap()[0].to_owned()).collect();
        prop_assert_eq!(&read, &texts);
        let lines = written(ExportFormat::Ndjson, &schema, rows);
        let read: Vec<String> = std::str::from_utf8(&lines).unwrap().lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["a"].as_str().unwrap().to_owned())
            .collect();
        prop_assert_eq!(&read, &texts);
    }
}
