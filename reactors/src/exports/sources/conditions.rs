//! Filters as SQL. Values are always bound, never written into the text; only names from our own lists are.

use daybook_domain::export::ExportKind;
use daybook_exports::kinds::{self, FilterValue, Test};
use sqlx::Any;
use sqlx::any::AnyArguments;
use sqlx::query::Query;

use super::Filters;

/// A value to be bound.
#[derive(Debug, Clone)]
enum Bound {
    Text(String),
    Integer(i64),
}

/// What must hold of a row, as SQL with its values.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    sql: String,
    values: Vec<Bound>,
}

impl Conditions {
    /// The ledger's rows.
    pub(super) fn in_ledger(ledger: &str) -> Self {
        Self { sql: "ledger_id = $1".to_owned(), values: vec![Bound::Text(ledger.to_owned())] }
    }

    /// A condition of our own, without values.
    pub(super) fn and(&mut self, sql: &str) {
        self.sql.push_str(" and ");
        self.sql.push_str(sql);
    }

    /// The filters of an export of `kind`.
    pub(super) fn add(&mut self, kind: ExportKind, filters: &Filters) {
        for filter in kinds::declaration(kind).filters {
            let Some(value) = filters.values.get(filter.name) else { continue };
            self.test(filter.source, filter.test, value);
        }
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// Binds every value.
    pub(super) fn bind<'q>(&'q self, sql: &'q str) -> Query<'q, Any, AnyArguments<'q>> {
        self.values.iter().fold(sqlx::query(sql), |query, value| match value {
            Bound::Text(text) => query.bind(text.as_str()),
            Bound::Integer(number) => query.bind(*number),
        })
    }

    fn test(&mut self, column: &str, test: Test, value: &FilterValue) {
        match test {
            Test::Equals => self.compare(column, "=", value),
            Test::AtLeast => self.compare(column, ">=", value),
            Test::AtMost => self.compare(column, "<=", value),
            Test::OneOfIgnoringCase => self.one_of(column, value),
            Test::Contains => {
                if let FilterValue::Text(text) = value {
                    self.like(column, &text.to_lowercase());
                }
            }
            // The column reads `,one,two,`: with commas around it, a word never matches inside another.
            Test::HasWord => {
                if let FilterValue::Text(text) = value {
                    self.like(column, &format!(",{},", text.replace(' ', "_")));
                }
            }
            Test::IsPositive => {
                let operator = if *value == FilterValue::Boolean(true) { ">" } else { "=" };
                self.and(&format!("{column} {operator} 0"));
            }
            Test::BySource => {}
        }
    }

    fn compare(&mut self, column: &str, operator: &str, value: &FilterValue) {
        let bound = match value {
            FilterValue::Text(text) => Bound::Text(text.clone()),
            FilterValue::Boolean(value) => Bound::Integer(i64::from(*value)),
            FilterValue::Integer(number) | FilterValue::Time(number) => Bound::Integer(*number),
            FilterValue::Amount(units, _) => Bound::Text(amount_key(*units)),
            FilterValue::Texts(_) => return self.one_of(column, value),
        };
        let place = self.push(bound);
        self.and(&format!("{column} {operator} {place}"));
    }

    fn one_of(&mut self, column: &str, value: &FilterValue) {
        let FilterValue::Texts(texts) = value else { return };
        // SQLite's `lower` leaves letters beyond ASCII alone, PostgreSQL's does not.
        let mut lower: Vec<String> =
            texts.iter().flat_map(|text| [text.to_ascii_lowercase(), text.to_lowercase()]).collect();
        lower.sort_unstable();
        lower.dedup();
        if lower.is_empty() {
            return self.and("1 = 0");
        }
        let places: Vec<String> = lower.into_iter().map(|text| self.push(Bound::Text(text))).collect();
        self.and(&format!("lower({column}) in ({})", places.join(", ")));
    }

    /// `text` occurs in the column. `%` and `_` are characters like others.
    fn like(&mut self, column: &str, text: &str) {
        let mut pattern = String::with_capacity(text.len() + 2);
        pattern.push('%');
        for character in text.chars() {
            if matches!(character, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern.push('%');
        let place = self.push(Bound::Text(pattern));
        self.and(&format!("{column} like {place} escape '\\'"));
    }

    /// Adds a value and answers its placeholder.
    fn push(&mut self, value: Bound) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }
}

/// The sortable text of an amount, the same as the read table's: 27 digits, units of 10⁻⁸ plus 10²⁶.
fn amount_key(units: i128) -> String {
    format!("{:027}", units.saturating_add(10_i128.pow(26)).max(0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn amounts_sort_as_numbers_do() {
        let keys: Vec<String> = [-1_i128, 0, 1, 10_i128.pow(25)].into_iter().map(amount_key).collect();
        assert!(keys.iter().all(|key| key.len() == 27) && keys.is_sorted(), "{keys:?}");
    }

    #[test]
    fn values_are_numbered_and_never_written_into_the_text() {
        let mut conditions = Conditions::in_ledger("main");
        let values = BTreeMap::from([
            ("status".to_owned(), FilterValue::Text("failed' or 1=1".to_owned())),
            ("q".to_owned(), FilterValue::Text("10%".to_owned())),
        ]);
        conditions.add(ExportKind::Transactions, &Filters { values });
        let expected = "ledger_id = $1 and status = $2 and search_text like $3 escape '\\'";
        assert_eq!(conditions.sql(), expected);
        assert!(matches!(conditions.values.last(), Some(Bound::Text(pattern)) if pattern == "%10\\%%"));
    }
}
