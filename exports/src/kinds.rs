//! What of each kind of records can be exported: columns, filters, and the permissions that they need.
//!
//! Whoever takes a request for an export checks it against these lists, and whoever reads the rows reads by them, so that
//! neither knows of anything that the other does not.

mod filters;
mod pack;
mod records;

use std::collections::BTreeMap;

use daybook_domain::export::ExportKind;

pub use filters::{FilterValue, value_of};
pub use pack::{MAX_PACK_ENTRIES, PackQuery};

use crate::table::CellKind;

/// Permission without which nobody's name and address leave the house.
const READ_CONTACT: &str = "user:read_contact";
/// Permission without which nobody reads what happened in words.
const READ_AUDIT: &str = "audit:read";
/// The filter that says how many rows there are at most. With it the newest come, the newest first; else all, the oldest first.
pub const LIMIT: &str = "limit";
/// Most columns that one export asks for: each at most once.
const MAX_COLUMNS: usize = 64;

/// A column that an export can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnDeclaration {
    /// Its name in the file.
    pub name: &'static str,
    /// Its name in the read table.
    pub source: &'static str,
    /// What its values are; JSON objects are text.
    pub kind: CellKind,
    /// What is needed besides the kind's own permission.
    pub permission: Option<&'static str>,
}

impl ColumnDeclaration {
    /// Whether it is there where nobody says which columns there are to be.
    pub fn is_default(&self) -> bool {
        self.permission.is_none()
    }
}

/// What a filter's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterKind {
    /// Text of at most 1,000 characters.
    Text,
    /// One of these words; the second list has other spellings.
    Word(&'static [&'static str], &'static [(&'static str, &'static str)]),
    /// `true` or `false`.
    Boolean,
    /// A whole number, not negative.
    Integer,
    /// A decimal number of at most 18 digits before the point and 8 after it.
    Amount,
    /// RFC 3339, or a date: the start of that day.
    TimeFrom,
    /// RFC 3339, or a date: the end of that day.
    TimeTo,
    /// A JSON list of texts, at most 500.
    Texts,
}

/// How a filter's value is compared with its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// The column is the value.
    Equals,
    /// The column is one of the values, whatever the case.
    OneOfIgnoringCase,
    /// The column is not smaller.
    AtLeast,
    /// The column is not larger.
    AtMost,
    /// The value occurs in the column, whatever the case.
    Contains,
    /// The value is one of the words in the column, which stand between commas.
    HasWord,
    /// Where the value is true, the column is above zero; else it is zero.
    IsPositive,
    /// The source knows by itself: its records are in no table.
    BySource,
}

/// A filter that an export can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterDeclaration {
    /// Its name.
    pub name: &'static str,
    /// The read table's column, or what is made of several in SQL.
    pub source: &'static str,
    /// What its value is.
    pub kind: FilterKind,
    /// How it is compared.
    pub test: Test,
}

/// What can be exported of one kind.
#[derive(Debug, Clone, Copy)]
pub struct KindDeclaration {
    /// Columns, in the order in which they stand in the file unless said otherwise.
    pub columns: &'static [ColumnDeclaration],
    /// Filters.
    pub filters: &'static [FilterDeclaration],
}

/// Why an export cannot be asked for so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct InvalidQuery {
    /// `columns`, or `filters.<name>`.
    pub field: String,
    /// What is wrong, for people.
    pub why: String,
}

impl InvalidQuery {
    fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self { field: field.into(), why: why.into() }
    }
}

/// What can be exported of `kind`.
pub fn declaration(kind: ExportKind) -> KindDeclaration {
    match kind {
        ExportKind::Transactions => records::TRANSACTIONS,
        ExportKind::Incidents => records::INCIDENTS,
        ExportKind::Users => records::USERS,
        ExportKind::AgentActions => records::AGENT_ACTIONS,
        ExportKind::AuditTrail => records::AUDIT_TRAIL,
        ExportKind::Entries => records::ENTRIES,
        ExportKind::EvidencePack => pack::EVIDENCE_PACK,
    }
}

/// The columns that are asked for, in that order; the kind's own where none are asked for. The names of columns that need a
/// permission of their own are never among those.
pub fn columns(kind: ExportKind, asked: &[String]) -> Result<Vec<&'static ColumnDeclaration>, InvalidQuery> {
    let declared = declaration(kind).columns;
    if declared.is_empty() && !asked.is_empty() {
        return Err(InvalidQuery::new("columns", format!("{kind} has none")));
    }
    if asked.is_empty() {
        return Ok(declared.iter().filter(|column| column.is_default()).collect());
    }
    if asked.len() > MAX_COLUMNS {
        return Err(InvalidQuery::new("columns", format!("there may be at most {MAX_COLUMNS}")));
    }
    let mut columns: Vec<&'static ColumnDeclaration> = Vec::with_capacity(asked.len());
    for name in asked {
        let column = declared.iter().find(|column| column.name == name).ok_or_else(|| {
            let names: Vec<&str> = declared.iter().map(|column| column.name).collect();
            InvalidQuery::new("columns", format!("{name:?} is none of {}", names.join(", ")))
        })?;
        if columns.iter().any(|other| other.name == column.name) {
            return Err(InvalidQuery::new("columns", format!("{name:?} is there twice")));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// The filters as they are recorded: empty ones left out, words in their one spelling, times in RFC 3339 with microseconds.
/// What comes out goes in again unchanged.
pub fn filters(kind: ExportKind, asked: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, InvalidQuery> {
    let declared = declaration(kind).filters;
    let mut recorded = BTreeMap::new();
    for (name, text) in asked.iter().filter(|(_, text)| !text.trim().is_empty()) {
        let field = || format!("filters.{name}");
        let filter = declared.iter().find(|filter| filter.name == name).ok_or_else(|| {
            let names: Vec<&str> = declared.iter().map(|filter| filter.name).collect();
            InvalidQuery::new(field(), format!("there is no such filter; there are {}", names.join(", ")))
        })?;
        let value = value_of(filter.kind, text).map_err(|why| InvalidQuery::new(field(), why))?;
        recorded.insert(name.clone(), value.to_string());
    }
    for (start, end) in [("start", "end"), ("min_amount", "max_amount"), ("from_position", "to_position")] {
        let bound = |name: &str| {
            let filter = declared.iter().find(|filter| filter.name == name)?;
            value_of(filter.kind, recorded.get(name)?).ok()
        };
        if let (Some(first), Some(last)) = (bound(start), bound(end))
            && last.is_below(&first)
        {
            return Err(InvalidQuery::new(format!("filters.{end}"), format!("must not come before {start}")));
        }
    }
    if kind == ExportKind::EvidencePack {
        PackQuery::read(&recorded)?;
    }
    Ok(recorded)
}

/// What whoever asks for these columns has to be allowed, besides [`ExportKind::required_permission`].
pub fn further_permissions(kind: ExportKind, asked: &[String]) -> Vec<&'static str> {
    let mut needed: Vec<&'static str> = declaration(kind)
        .columns
        .iter()
        .filter(|column| asked.iter().any(|name| name == column.name))
        .filter_map(|column| column.permission)
        .collect();
    needed.dedup();
    needed
}

/// What whoever asks with these filters, as they are recorded, has to be allowed besides: a pack holds what others read as an
/// audit trail, and perhaps who people are.
pub fn permissions_of_filters(kind: ExportKind, recorded: &BTreeMap<String, String>) -> Vec<&'static str> {
    if kind != ExportKind::EvidencePack {
        return Vec::new();
    }
    let with_people = recorded.get(pack::PEOPLE).is_some_and(|value| value == "true");
    std::iter::once(READ_AUDIT).chain(with_people.then_some(READ_CONTACT)).collect()
}

#[cfg(test)]
mod tests;
