//! Small helpers for statements that are put together from optional conditions. Values are always bound, never written
//! into the text; only column and table names of our own are.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Row};

use crate::amounts::parse_units;
use crate::db::{ReadDb, ReadError};
use crate::free_text::FreeText;
use crate::page::{Cursor, MAX_COUNTED, MAX_LIMIT, MAX_OFFSET, Page, PageRequest};

/// Most characters of a text that is searched for; the rest is cut off.
const MAX_SEARCH_CHARS: usize = 200;

#[derive(Debug, Clone)]
enum Bound {
    Text(String),
    Integer(i64),
}

/// Conditions that must all hold, with their values. The ledger id comes first, always.
#[derive(Debug, Clone)]
pub(crate) struct Conditions {
    sql: String,
    values: Vec<Bound>,
}

impl Conditions {
    /// For the bookkeeping alone; read models start from [`Conditions::in_ledger`].
    pub(crate) fn everywhere() -> Self {
        Self { sql: String::from("1 = 1"), values: Vec::new() }
    }

    pub(crate) fn in_ledger(ledger_id: &str) -> Self {
        let mut conditions = Self::everywhere();
        conditions.equals("ledger_id", Some(ledger_id));
        conditions
    }

    pub(crate) fn equals(&mut self, column: &str, value: Option<&str>) {
        self.compare_text(column, "=", value);
    }

    /// The column is one of `values`; no condition where there are none.
    pub(crate) fn one_of(&mut self, column: &str, values: &[String]) {
        match values {
            [] => {}
            [value] => self.equals(column, Some(value)),
            _ => {
                // No table holds a NUL character and PostgreSQL refuses to compare with one.
                let mut places = Vec::with_capacity(values.len());
                for value in values.iter().filter(|value| !value.contains('\0')) {
                    self.values.push(Bound::Text(value.clone()));
                    places.push(format!("${}", self.values.len()));
                }
                if places.is_empty() {
                    self.sql.push_str(" and 1 = 0");
                } else {
                    self.sql.push_str(&format!(" and {column} in ({})", places.join(", ")));
                }
            }
        }
    }

    /// The column is one of `values`, whatever the case; nothing matches where there are none. No condition without
    /// values.
    pub(crate) fn one_of_ignoring_case(&mut self, column: &str, values: Option<&[String]>) {
        let Some(values) = values else { return };
        // SQLite's `lower` leaves letters beyond ASCII alone, PostgreSQL's does not.
        let lower = values.iter().flat_map(|value| [value.to_ascii_lowercase(), value.to_lowercase()]);
        let lower: Vec<String> = lower.collect::<BTreeSet<_>>().into_iter().collect();
        if lower.is_empty() {
            self.sql.push_str(" and 1 = 0");
        }
        self.one_of(&format!("lower({column})"), &lower);
    }

    pub(crate) fn equals_integer(&mut self, column: &str, value: Option<i64>) {
        self.compare(column, "=", value.map(Bound::Integer));
    }

    pub(crate) fn at_least(&mut self, column: &str, value: Option<i64>) {
        self.compare(column, ">=", value.map(Bound::Integer));
    }

    pub(crate) fn at_most(&mut self, column: &str, value: Option<i64>) {
        self.compare(column, "<=", value.map(Bound::Integer));
    }

    pub(crate) fn above(&mut self, column: &str, value: Option<i64>) {
        self.compare(column, ">", value.map(Bound::Integer));
    }

    /// There is nothing in the column, or a larger number.
    pub(crate) fn absent_or_above(&mut self, column: &str, number: i64) {
        self.values.push(Bound::Integer(number));
        self.sql.push_str(&format!(" and ({column} is null or {column} > ${})", self.values.len()));
    }

    /// At least one of these comparisons of a column with a number holds.
    pub(crate) fn any_of(&mut self, comparisons: &[(&str, &str, i64)]) {
        let mut parts = Vec::with_capacity(comparisons.len());
        for (column, operator, number) in comparisons {
            self.values.push(Bound::Integer(*number));
            parts.push(format!("{column} {operator} ${}", self.values.len()));
        }
        if !parts.is_empty() {
            self.sql.push_str(&format!(" and ({})", parts.join(" or ")));
        }
    }

    /// The row has the largest position of those of `table` with the same `column`.
    pub(crate) fn newest_of(&mut self, table: &str, column: &str) {
        self.sql.push_str(&format!(
            " and position = (select max(newer.position) from {table} as newer \
             where newer.ledger_id = {table}.ledger_id and newer.{column} = {table}.{column})"
        ));
    }

    pub(crate) fn text_at_least(&mut self, column: &str, value: Option<&str>) {
        self.compare_text(column, ">=", value);
    }

    pub(crate) fn text_at_most(&mut self, column: &str, value: Option<&str>) {
        self.compare_text(column, "<=", value);
    }

    pub(crate) fn amount_at_least(&mut self, column: &str, amount: Option<&str>) {
        self.compare_amount(column, ">=", amount);
    }

    pub(crate) fn amount_at_most(&mut self, column: &str, amount: Option<&str>) {
        self.compare_amount(column, "<=", amount);
    }

    /// `text` occurs in the column, which holds lower-case text; the case of `text` does not matter.
    pub(crate) fn contains(&mut self, column: &str, text: Option<&str>) {
        let lower: Option<String> =
            text.map(|text| text.chars().take(MAX_SEARCH_CHARS).collect::<String>().to_lowercase());
        self.contains_exactly(column, lower.as_deref());
    }

    /// `text` occurs in the column. `%` and `_` are characters like others.
    pub(crate) fn contains_exactly(&mut self, column: &str, text: Option<&str>) {
        let Some(text) = text else { return };
        self.like(column, format!("%{}%", literal(text)));
    }

    /// The column begins with `text`.
    pub(crate) fn starts_with(&mut self, column: &str, text: Option<&str>) {
        let Some(text) = text else { return };
        self.like(column, format!("{}%", literal(text)));
    }

    /// One of two columns is `value`.
    pub(crate) fn either_equals(&mut self, column: &str, other: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        if self.push_text(value.to_owned()) {
            let place = self.values.len();
            self.sql.push_str(&format!(" and ({column} = ${place} or {other} = ${place})"));
        }
    }

    fn like(&mut self, column: &str, pattern: String) {
        if self.push_text(pattern) {
            self.sql.push_str(&format!(" and {column} like ${} escape '\\'", self.values.len()));
        }
    }

    fn compare_amount(&mut self, column: &str, operator: &str, amount: Option<&str>) {
        let Some(amount) = amount else { return };
        match parse_units(amount).and_then(amount_key) {
            Some(key) => self.compare_text(column, operator, Some(&key)),
            // What is not an amount is neither above nor below any.
            None => self.sql.push_str(" and 1 = 0"),
        }
    }

    fn compare_text(&mut self, column: &str, operator: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        if self.push_text(value.to_owned()) {
            self.sql.push_str(&format!(" and {column} {operator} ${}", self.values.len()));
        }
    }

    fn compare(&mut self, column: &str, operator: &str, value: Option<Bound>) {
        let Some(value) = value else { return };
        self.values.push(value);
        self.sql.push_str(&format!(" and {column} {operator} ${}", self.values.len()));
    }

    /// No table holds a NUL character and PostgreSQL refuses to compare with one, so such a text matches nothing.
    fn push_text(&mut self, text: String) -> bool {
        if text.contains('\0') {
            self.sql.push_str(" and 1 = 0");
            return false;
        }
        self.values.push(Bound::Text(text));
        true
    }

    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

    pub(crate) fn bind<'q>(&'q self, sql: &'q str) -> Query<'q, Any, AnyArguments<'q>> {
        self.values.iter().fold(sqlx::query(sql), |query, value| match value {
            Bound::Text(text) => query.bind(text.as_str()),
            Bound::Integer(number) => query.bind(*number),
        })
    }
}

/// Text in which `like` finds nothing but itself.
fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// The sortable text of an amount, the same as the domain's: 27 digits, units of 10⁻⁸ plus 10²⁶.
fn amount_key(units: i128) -> Option<String> {
    let shifted = units.checked_add(10_i128.pow(26))?;
    (0..10_i128.pow(27)).contains(&shifted).then(|| format!("{shifted:027}"))
}

/// The columns of a row by name.
pub(crate) struct Fields<'r>(pub(crate) &'r AnyRow);

impl Fields<'_> {
    pub(crate) fn text(&self, column: &str) -> Result<String, ReadError> {
        Ok(self.0.try_get(column)?)
    }

    pub(crate) fn optional_text(&self, column: &str) -> Result<Option<String>, ReadError> {
        Ok(self.0.try_get(column)?)
    }

    pub(crate) fn optional_free_text(&self, column: &str) -> Result<Option<FreeText>, ReadError> {
        self.optional_text(column)?.map(|text| FreeText::from_column(column, text)).transpose()
    }

    pub(crate) fn integer(&self, column: &str) -> Result<i64, ReadError> {
        Ok(self.0.try_get(column)?)
    }

    pub(crate) fn optional_integer(&self, column: &str) -> Result<Option<i64>, ReadError> {
        Ok(self.0.try_get(column)?)
    }

    pub(crate) fn natural(&self, column: &str) -> Result<u64, ReadError> {
        u64::try_from(self.integer(column)?).map_err(|error| corrupt(column, &error))
    }

    pub(crate) fn optional_natural(&self, column: &str) -> Result<Option<u64>, ReadError> {
        let number = self.optional_integer(column)?;
        number.map(u64::try_from).transpose().map_err(|error| corrupt(column, &error))
    }

    pub(crate) fn small(&self, column: &str) -> Result<u8, ReadError> {
        u8::try_from(self.integer(column)?).map_err(|error| corrupt(column, &error))
    }

    pub(crate) fn json(&self, column: &str) -> Result<Value, ReadError> {
        serde_json::from_str(&self.text(column)?).map_err(|error| corrupt(column, &error))
    }

    pub(crate) fn optional_json(&self, column: &str) -> Result<Option<Value>, ReadError> {
        let text = self.optional_text(column)?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| corrupt(column, &error))).transpose()
    }
}

pub(crate) fn corrupt(column: &str, why: &dyn std::fmt::Display) -> ReadError {
    ReadError::Corrupt { column: column.to_owned(), why: why.to_string() }
}

type Read<T> = fn(&Fields<'_>) -> Result<T, ReadError>;

/// A page of `table`, largest `order` first.
#[expect(clippy::too_many_arguments, reason = "each list names its table, columns, order and row in one call")]
pub(crate) async fn fetch_page<T>(
    db: &ReadDb,
    table: &str,
    columns: &str,
    order: &str,
    conditions: Conditions,
    page: &PageRequest,
    read: Read<T>,
    place: fn(&T) -> u64,
) -> Result<Page<T>, ReadError> {
    let total = if page.count { count(db, table, &conditions).await? } else { None };
    let mut conditions = conditions;
    if let Some(Cursor(before)) = page.cursor {
        conditions.compare(order, "<", Some(Bound::Integer(i64::try_from(before).unwrap_or(i64::MAX))));
    }
    let limit = page.bounded_limit();
    let sql = format!(
        "select {columns} from {table} where {} order by {order} desc limit {} offset {}",
        conditions.sql(),
        u64::from(limit) + 1,
        page.offset.min(MAX_OFFSET),
    );
    let rows = conditions.bind(&sql).fetch_all(db.readers()).await?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    let items = rows.iter().take(wanted).map(|row| read(&Fields(row))).collect::<Result<Vec<T>, _>>()?;
    let next_cursor = if more { items.last().map(|item| Cursor(place(item))) } else { None };
    Ok(Page { items, next_cursor, total })
}

/// The one row that matches.
pub(crate) async fn fetch_one<T>(
    db: &ReadDb,
    table: &str,
    columns: &str,
    conditions: Conditions,
    read: Read<T>,
) -> Result<Option<T>, ReadError> {
    let sql = format!("select {columns} from {table} where {}", conditions.sql());
    let row = conditions.bind(&sql).fetch_optional(db.readers()).await?;
    row.as_ref().map(|row| read(&Fields(row))).transpose()
}

/// Rows in the order of `order`, and how many match in all.
#[expect(clippy::too_many_arguments, reason = "each list names its table, columns, order and row in one call")]
pub(crate) async fn fetch_changes<T>(
    db: &ReadDb,
    table: &str,
    columns: &str,
    order: &str,
    conditions: Conditions,
    offset: u64,
    limit: u32,
    read: Read<T>,
) -> Result<(Vec<T>, u64), ReadError> {
    let total = count(db, table, &conditions).await?.unwrap_or(MAX_COUNTED);
    let sql = format!(
        "select {columns} from {table} where {} order by {order} limit {} offset {}",
        conditions.sql(),
        limit.clamp(1, MAX_LIMIT),
        offset.min(MAX_OFFSET),
    );
    let rows = conditions.bind(&sql).fetch_all(db.readers()).await?;
    Ok((rows.iter().map(|row| read(&Fields(row))).collect::<Result<Vec<T>, _>>()?, total))
}

/// How many rows match; `None` beyond [`MAX_COUNTED`].
async fn count(db: &ReadDb, table: &str, conditions: &Conditions) -> Result<Option<u64>, ReadError> {
    let sql = format!(
        "select count(*) as total from (select 1 as one from {table} where {} limit {}) as counted",
        conditions.sql(),
        MAX_COUNTED + 1,
    );
    let row = conditions.bind(&sql).fetch_one(db.readers()).await?;
    let total = Fields(&row).natural("total")?;
    Ok((total <= MAX_COUNTED).then_some(total))
}
