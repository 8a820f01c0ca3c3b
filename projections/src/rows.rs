//! Loading and writing many rows with few statements, the same on both stores.
//!
//! Statements come in a few fixed sizes, so that the driver's cache of prepared statements holds all of them.
//! Placeholders differ: SQLite looks a `$1` up by name, in a list, at every binding, which makes a statement of
//! thousands of values quadratic; its own `?` has no name. PostgreSQL knows `$1` only.

use std::borrow::Cow;

use daybook_domain::personal::PersonalText;
use daybook_domain::text::Paragraph;
use daybook_read_models::free_text::{FreeText, SealedValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection};

use crate::error::FoldError;

/// Rows of one statement, largest first.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];
/// Most values of one statement; SQLite takes 32,766.
const MAX_VALUES: usize = 30_000;

/// A value to be bound.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// `text`.
    Text(Cow<'a, str>),
    /// `text` or null.
    OptionalText(Option<Cow<'a, str>>),
    /// `bigint`.
    Integer(i64),
    /// `bigint` or null.
    OptionalInteger(Option<i64>),
}

impl Value<'_> {
    /// Text of its own.
    pub(crate) fn text(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }

    /// The text of something that may be absent.
    pub(crate) fn optional<T: ToString>(value: Option<T>) -> Self {
        Self::OptionalText(value.map(|value| Cow::Owned(value.to_string())))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a Option<String>> for Value<'a> {
    fn from(text: &'a Option<String>) -> Self {
        Self::OptionalText(text.as_deref().map(Cow::Borrowed))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::OptionalInteger(number)
    }
}

impl From<u64> for Value<'_> {
    /// Positions, versions and counts stay far below 2⁶³.
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

fn bind<'q>(query: Query<'q, Any, AnyArguments<'q>>, value: &'q Value<'_>) -> Query<'q, Any, AnyArguments<'q>> {
    match value {
        Value::Text(text) => query.bind(text.as_ref()),
        Value::OptionalText(text) => query.bind(text.as_deref()),
        Value::Integer(number) => query.bind(*number),
        Value::OptionalInteger(number) => query.bind(*number),
    }
}

/// How the store of a connection writes its placeholders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholders {
    Nameless,
    Numbered,
}

impl Placeholders {
    fn of(connection: &AnyConnection) -> Self {
        if connection.backend_name() == "SQLite" { Self::Nameless } else { Self::Numbered }
    }

    /// Appends the placeholder of the value with this 1-based number; values are bound in order.
    fn push(self, sql: &mut String, number: usize) {
        match self {
            Self::Nameless => sql.push('?'),
            Self::Numbered => {
                sql.push('$');
                sql.push_str(&number.to_string());
            }
        }
    }
}

/// How rows are written.
#[derive(Debug, Clone, Copy)]
pub struct RowWriter {
    /// The columns, in the order of the values.
    pub columns: &'static [&'static str],
    /// The key; a row that exists is replaced. Empty for rows that are always new.
    pub key: &'static [&'static str],
}

impl RowWriter {
    /// Writes `rows`, each with one value a column. No two may have the same key.
    pub async fn write(
        &self,
        connection: &mut AnyConnection,
        table: &str,
        rows: &[Vec<Value<'_>>],
    ) -> Result<(), FoldError> {
        let placeholders = Placeholders::of(connection);
        let mut rest = rows;
        for size in SIZES {
            if size > 1 && size * self.columns.len() > MAX_VALUES || rest.len() < size {
                continue;
            }
            let sql = self.sql(table, size, placeholders);
            while let Some((chunk, after)) = rest.split_at_checked(size) {
                let query = chunk.iter().flatten().fold(sqlx::query(&sql), bind);
                query.execute(&mut *connection).await?;
                rest = after;
            }
        }
        Ok(())
    }

    fn sql(&self, table: &str, rows: usize, placeholders: Placeholders) -> String {
        let mut sql = format!("insert into {table} ({}) values ", self.columns.join(", "));
        let mut number = 0;
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..self.columns.len() {
                number += 1;
                sql.push_str(if column == 0 { "" } else { ", " });
                placeholders.push(&mut sql, number);
            }
            sql.push(')');
        }
        if !self.key.is_empty() {
            let replaced = self.columns.iter().filter(|column| !self.key.contains(column));
            let sets: Vec<String> = replaced.map(|column| format!("{column} = excluded.{column}")).collect();
            sql.push_str(&format!(" on conflict ({}) do update set {}", self.key.join(", "), sets.join(", ")));
        }
        sql
    }
}

/// The rows of one ledger whose `key` is among `ids`, in no particular order.
pub async fn load(
    connection: &mut AnyConnection,
    table: &str,
    columns: &[&str],
    key: &str,
    ledger_id: &str,
    ids: &[&str],
) -> Result<Vec<AnyRow>, FoldError> {
    let placeholders = Placeholders::of(connection);
    let mut found = Vec::new();
    for chunk in ids.chunks(SIZES[0]) {
        let Some(last) = chunk.last() else { continue };
        let size = SIZES.iter().copied().rev().find(|size| *size >= chunk.len()).unwrap_or(chunk.len());
        let mut sql = format!("select {} from {table} where ledger_id = ", columns.join(", "));
        placeholders.push(&mut sql, 1);
        sql.push_str(&format!(" and {key} in ("));
        for index in 0..size {
            sql.push_str(if index == 0 { "" } else { ", " });
            placeholders.push(&mut sql, index + 2);
        }
        sql.push(')');
        // A chunk that does not fill its statement repeats its last id, which changes nothing.
        let padded = chunk.iter().chain(std::iter::repeat(last)).take(size);
        let query = padded.fold(sqlx::query(&sql).bind(ledger_id), |query, id| query.bind(*id));
        found.extend(query.fetch_all(&mut *connection).await?);
    }
    Ok(found)
}

/// A column that holds a number that is never negative.
pub(crate) fn natural(row: &AnyRow, column: &str) -> Result<u64, FoldError> {
    use sqlx::Row;
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|_| FoldError::Inconsistent(format!("column {column} holds {number}")))
}

/// A value as JSON text.
pub(crate) fn written<T: Serialize + ?Sized>(value: &T) -> String {
    // What the domain keeps has text for keys, so that writing it cannot fail.
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// A column that holds what [`written`] made.
pub(crate) fn read_state<T: DeserializeOwned>(row: &AnyRow, column: &str) -> Result<T, FoldError> {
    use sqlx::Row;
    let text: String = row.try_get(column)?;
    // The text itself stays out of the error, which goes to the log.
    serde_json::from_str(&text).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        FoldError::Inconsistent(format!("column {column} does not hold what this program writes there: {place}"))
    })
}

/// PostgreSQL cannot hold NUL characters in text; anything shown or searched has a blank in their place.
pub(crate) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', " ")) } else { Cow::Borrowed(text) }
}

/// What somebody wrote, as it stands in its column: what is sealed stays sealed.
pub(crate) fn free_text(text: &PersonalText<Paragraph>) -> String {
    let text = match text {
        PersonalText::Clear(text) => FreeText::Clear(text.to_string()),
        PersonalText::Sealed(text) => {
            FreeText::Sealed(SealedValue { subject: text.subject.clone(), sealed: text.sealed.clone() })
        }
    };
    text.into_column()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_has_a_placeholder_a_value_and_replaces_all_but_the_key() {
        let writer = RowWriter { columns: &["ledger_id", "id", "count"], key: &["ledger_id", "id"] };
        assert_eq!(
            writer.sql("things", 2, Placeholders::Numbered),
            "insert into things (ledger_id, id, count) values ($1, $2, $3), ($4, $5, $6) \
             on conflict (ledger_id, id) do update set count = excluded.count"
        );
        let writer = RowWriter { key: &[], ..writer };
        assert_eq!(
            writer.sql("things", 2, Placeholders::Nameless),
            "insert into things (ledger_id, id, count) values (?, ?, ?), (?, ?, ?)"
        );
    }
}
