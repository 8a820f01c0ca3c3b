//! The read model `delegations`: who stands in for whom, and when.

use serde::Serialize;
use serde_json::Value;

use crate::db::{ReadDb, ReadError};
use crate::page::{Page, PageRequest};
use crate::sql::{Conditions, Fields, fetch_page};
use crate::time;

/// Name of the projector that fills this table.
pub const PROJECTOR: &str = "delegations";
const COLUMNS: &str = "delegation_id, from_person, to_person, starts_at, ends_at, actions, reason, given_by, given_at, \
     accepted_at, ended_at, ended_by, first_position, last_position, version";

/// A delegation. Times are microseconds and serialise as RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DelegationRow {
    /// Its id.
    pub delegation_id: String,
    /// Who is stood in for.
    #[serde(rename = "from")]
    pub from_person: String,
    /// Who stands in.
    #[serde(rename = "to")]
    pub to_person: String,
    /// From when on.
    #[serde(serialize_with = "time::serialize")]
    pub starts_at: i64,
    /// Until when.
    #[serde(serialize_with = "time::serialize")]
    pub ends_at: i64,
    /// For which actions; all where it is empty.
    pub actions: Value,
    /// Why.
    pub reason: Option<String>,
    /// Opaque id of who gave it.
    pub given_by: String,
    /// When it was given.
    #[serde(serialize_with = "time::serialize")]
    pub given_at: i64,
    /// When whoever stands in agreed to. Before that it has no effect.
    #[serde(serialize_with = "time::serialize_optional")]
    pub accepted_at: Option<i64>,
    /// When it was ended before its time.
    #[serde(serialize_with = "time::serialize_optional")]
    pub ended_at: Option<i64>,
    /// By whom.
    pub ended_by: Option<String>,
    /// Position of its first entry.
    pub first_position: u64,
    /// Position of its newest entry.
    pub last_position: u64,
    /// Version of its stream.
    pub version: u64,
}

impl DelegationRow {
    /// Whether somebody stands in at this time, in microseconds.
    pub fn is_active_at(&self, micros: i64) -> bool {
        self.accepted_at.is_some_and(|accepted| accepted <= micros)
            && (self.starts_at..self.ends_at).contains(&micros)
            && self.ended_at.is_none_or(|ended| micros < ended)
    }
}

/// Which delegations. Everything given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DelegationFilter {
    /// Of this person.
    pub from: Option<String>,
    /// To this person.
    pub to: Option<String>,
    /// Of or to this person.
    pub person: Option<String>,
    /// True for those that hold at [`DelegationFilter::now`], false for the others.
    pub active: Option<bool>,
    /// The time that `active` is about, in microseconds.
    pub now: i64,
}

/// The delegations that match, newest first.
pub async fn list(
    db: &ReadDb,
    ledger_id: &str,
    filter: &DelegationFilter,
    page: &PageRequest,
) -> Result<Page<DelegationRow>, ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.equals("from_person", filter.from.as_deref());
    conditions.equals("to_person", filter.to.as_deref());
    conditions.either_equals("from_person", "to_person", filter.person.as_deref());
    match filter.active {
        Some(true) => {
            conditions.at_most("starts_at", Some(filter.now));
            conditions.at_most("accepted_at", Some(filter.now));
            conditions.above("ends_at", Some(filter.now));
            conditions.above("coalesce(ended_at, ends_at)", Some(filter.now));
        }
        Some(false) => {
            conditions.any_of(&[
                ("starts_at", ">", filter.now),
                ("coalesce(accepted_at, ends_at)", ">", filter.now),
                ("ends_at", "<=", filter.now),
                ("ended_at", "<=", filter.now),
            ]);
        }
        None => {}
    }
    fetch_page(db, "delegations", COLUMNS, "first_position", conditions, page, row, |row| row.first_position).await
}

fn row(fields: &Fields<'_>) -> Result<DelegationRow, ReadError> {
    Ok(DelegationRow {
        delegation_id: fields.text("delegation_id")?,
        from_person: fields.text("from_person")?,
        to_person: fields.text("to_person")?,
        starts_at: fields.integer("starts_at")?,
        ends_at: fields.integer("ends_at")?,
        actions: fields.json("actions")?,
        reason: fields.optional_text("reason")?,
        given_by: fields.text("given_by")?,
        given_at: fields.integer("given_at")?,
        accepted_at: fields.optional_integer("accepted_at")?,
        ended_at: fields.optional_integer("ended_at")?,
        ended_by: fields.optional_text("ended_by")?,
        first_position: fields.natural("first_position")?,
        last_position: fields.natural("last_position")?,
        version: fields.natural("version")?,
    })
}
