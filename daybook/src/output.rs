//! Printing: lines and JSON on standard output, errors on standard error, colours only where a person looks at a terminal.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use anyhow::Context;
use serde::Serialize;

/// Prints a line. A reader that went away is an error that `main` takes for the end.
pub fn line(text: impl Display) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")?;
    Ok(())
}

/// Prints a value as indented JSON and a line feed.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value).context("the result cannot be written as JSON")?;
    line(text)
}

/// Prints an error: one line that says what could not be done, then its causes.
pub fn error(error: &anyhow::Error) {
    let mut text = format!("{} {error}", red_on_stderr("error:"));
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Many errors repeat their cause in their own words.
        if !said.contains(&cause) {
            text.push_str("\n  because: ");
            text.push_str(&cause);
        }
        said = cause;
    }
    eprintln!("{text}");
}

/// Prints a warning to standard error.
pub fn warning(text: impl Display) {
    eprintln!("warning: {text}");
}

fn red_on_stderr(text: &str) -> String {
    if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\u{1b}[31m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Bold on a terminal.
pub fn bold(text: impl Display) -> String {
    if colours() { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_string() }
}

/// Green on a terminal.
pub fn green(text: impl Display) -> String {
    if colours() { format!("\u{1b}[32m{text}\u{1b}[0m") } else { text.to_string() }
}

/// A number with its thousands set apart: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes for people: `12.3 MiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut tenths = number.saturating_mul(10);
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1_024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    if unit == 0 { format!("{number} {name}") } else { format!("{}.{} {name}", tenths / 10, tenths % 10) }
}

/// How many a second, in whole numbers. 0 where no time has passed.
pub fn rate(number: u64, elapsed: std::time::Duration) -> u64 {
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    number.saturating_mul(1_000).checked_div(milliseconds).unwrap_or(0)
}

/// Rows as aligned columns, the first row being the heading. Columns of numbers are aligned to the right.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let is_number = |cell: &String| cell.starts_with(|first: char| first.is_ascii_digit()) || cell == "-";
    let widths: Vec<(usize, bool)> = (0..columns)
        .map(|column| {
            let mut body = rows.iter().skip(1).filter_map(|row| row.get(column)).peekable();
            (width(column), body.peek().is_some() && body.all(is_number))
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, (width, right)) in row.iter().zip(&widths) {
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            if *right {
                line.push_str(&padding);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&padding);
            }
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.pop();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 12, 999, 1_000, 1_234_567].map(count), ["0", "12", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn bytes_have_a_unit() {
        assert_eq!([0, 1_023, 1_536, 5 * 1_048_576].map(bytes), ["0 B", "1023 B", "1.5 KiB", "5.0 MiB"]);
    }

    #[test]
    fn numbers_in_a_table_stand_at_the_right() {
        let rows = vec![
            vec!["name".to_owned(), "lag".to_owned()],
            vec!["stats".to_owned(), "1,000".to_owned()],
            vec!["incidents".to_owned(), "5".to_owned()],
        ];
        assert_eq!(table(&rows), "name         lag\nstats      1,000\nincidents      5");
    }
}
