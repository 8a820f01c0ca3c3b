//! The read model `exports`: each export as it is now, and its deliveries.

use serde::Serialize;
use serde_json::Value;

use crate::db::{ReadDb, ReadError};
use crate::page::{Page, PageRequest};
use crate::sql::{Conditions, Fields, fetch_changes, fetch_one, fetch_page};
use crate::time;

/// Name of the projector that fills these tables.
pub const PROJECTOR: &str = "exports";
/// Most deliveries of one export that are told.
pub const MAX_DELIVERIES: u32 = 500;
const COLUMNS: &str = "export_id, kind, format, filters, columns_chosen, status, delivery_status, verification_status, \
     requested_by, requester_person, reason, approval_id, execution_id, approved_by, policy_version, deliver_to, \
     collect, schedule_id, schedule_run, digest, attempt, why, generated, file, bytes, row_count, findings, created_at, updated_at, approved_at, \
     started_at, generated_at, delivered_at, verified_at, verified_by, collected_at, ended_at, first_position, \
     last_position, version";
const DELIVERY_COLUMNS: &str = "delivery_id, export_id, destination, why, status, attempts, detail, scheduled_at, \
     attempted_at, retry_at, delivered_at, history, first_position, last_position";

/// An export as it is now. Times are microseconds and serialise as RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportRow {
    /// Its id.
    pub export_id: String,
    /// What is exported, `transactions`.
    pub kind: String,
    /// `csv`, `ndjson`, `json` or `parquet`.
    pub format: String,
    /// Which rows; an object of texts.
    pub filters: Value,
    /// Which columns, an array; all where it is empty.
    pub columns: Value,
    /// `requested`, `approved`, `generating`, `generated`, `failed`, `rejected`, `cancelled` or `removed`.
    pub status: String,
    /// `none`, `pending`, `delivered`, `partial` or `failed`.
    pub delivery_status: String,
    /// `unverified`, `verified`, `tampered` or `failed`.
    pub verification_status: String,
    /// Opaque id of the account that asked.
    pub requested_by: String,
    /// Who answers for that account.
    pub requester_person: String,
    /// Why it was asked for.
    pub reason: Option<String>,
    /// The request for approval.
    pub approval_id: String,
    /// For what the approval was used.
    pub execution_id: Option<String>,
    /// Opaque ids of those who approved, an array.
    pub approved_by: Value,
    /// Version of the policy that it was approved under.
    pub policy_version: Option<u64>,
    /// Names of destinations, an array.
    pub deliver_to: Value,
    /// True where the file is handed out at the repeated call.
    pub collect: bool,
    /// The schedule that it is a run of.
    pub schedule_id: Option<String>,
    /// Which run of it, counted from 1.
    pub schedule_run: Option<u64>,
    /// Digest of what was asked for, hexadecimal.
    pub digest: String,
    /// How often it was tried to generate.
    pub attempt: u64,
    /// Why it was rejected, cancelled or removed, or failed last.
    pub why: Option<String>,
    /// What was generated; an object.
    pub generated: Option<Value>,
    /// Name of the file.
    pub file: Option<String>,
    /// Its bytes.
    pub bytes: Option<u64>,
    /// Its rows.
    pub rows: Option<u64>,
    /// What the last verification found, an array of texts.
    pub findings: Value,
    /// When it was asked for.
    #[serde(serialize_with = "time::serialize")]
    pub created_at: i64,
    /// When its newest entry was recorded.
    #[serde(serialize_with = "time::serialize")]
    pub updated_at: i64,
    /// When it was approved.
    #[serde(serialize_with = "time::serialize_optional")]
    pub approved_at: Option<i64>,
    /// When its generation was last started.
    #[serde(serialize_with = "time::serialize_optional")]
    pub started_at: Option<i64>,
    /// When its file was there.
    #[serde(serialize_with = "time::serialize_optional")]
    pub generated_at: Option<i64>,
    /// When it last was delivered somewhere.
    #[serde(serialize_with = "time::serialize_optional")]
    pub delivered_at: Option<i64>,
    /// When it was last verified.
    #[serde(serialize_with = "time::serialize_optional")]
    pub verified_at: Option<i64>,
    /// By whom.
    pub verified_by: Option<String>,
    /// When it was last handed out at a repeated call.
    #[serde(serialize_with = "time::serialize_optional")]
    pub collected_at: Option<i64>,
    /// When it was rejected, cancelled or removed, or failed for good.
    #[serde(serialize_with = "time::serialize_optional")]
    pub ended_at: Option<i64>,
    /// Position of its first entry.
    pub first_position: u64,
    /// Position of its newest entry.
    pub last_position: u64,
    /// Version of its stream.
    pub version: u64,
}

/// A delivery of an export.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeliveryRow {
    /// Its id.
    pub delivery_id: String,
    /// Which export.
    pub export_id: String,
    /// Where to.
    pub destination: String,
    /// `first` or `redeliver`.
    pub why: String,
    /// `pending`, `delivered`, `failed` where it is tried again, or `dead` where it was given up.
    pub status: String,
    /// How often it was tried.
    pub attempts: u64,
    /// What came of the last attempt.
    pub detail: Option<String>,
    /// When it was decided on.
    #[serde(serialize_with = "time::serialize")]
    pub scheduled_at: i64,
    /// When it was last tried.
    #[serde(serialize_with = "time::serialize_optional")]
    pub attempted_at: Option<i64>,
    /// When it is tried again.
    #[serde(serialize_with = "time::serialize_optional")]
    pub retry_at: Option<i64>,
    /// When it arrived.
    #[serde(serialize_with = "time::serialize_optional")]
    pub delivered_at: Option<i64>,
    /// Every attempt, an array.
    pub history: Value,
    /// Position of its first entry.
    pub first_position: u64,
    /// Position of its newest entry.
    pub last_position: u64,
}

/// Which exports. Everything given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportFilter {
    /// Exact kind.
    pub kind: Option<String>,
    /// Exact format.
    pub format: Option<String>,
    /// One of these statuses; empty for any.
    pub statuses: Vec<String>,
    /// Exact delivery status.
    pub delivery_status: Option<String>,
    /// Exact verification status.
    pub verification_status: Option<String>,
    /// Asked by this account, or by whom this person answers for.
    pub requested_by: Option<String>,
    /// Asked by this account and no other.
    pub only_of: Option<String>,
    /// Exact request for approval.
    pub approval_id: Option<String>,
    /// Runs of exactly this schedule.
    pub schedule_id: Option<String>,
    /// Asked for at this time or later, in microseconds.
    pub start: Option<i64>,
    /// Asked for at this time or earlier, in microseconds.
    pub end: Option<i64>,
}

/// The exports that match, newest first.
pub async fn list(
    db: &ReadDb,
    ledger_id: &str,
    filter: &ExportFilter,
    page: &PageRequest,
) -> Result<Page<ExportRow>, ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.equals("kind", filter.kind.as_deref());
    conditions.equals("format", filter.format.as_deref());
    conditions.one_of("status", &filter.statuses);
    conditions.equals("delivery_status", filter.delivery_status.as_deref());
    conditions.equals("verification_status", filter.verification_status.as_deref());
    conditions.either_equals("requested_by", "requester_person", filter.requested_by.as_deref());
    conditions.equals("requested_by", filter.only_of.as_deref());
    conditions.equals("approval_id", filter.approval_id.as_deref());
    conditions.equals("schedule_id", filter.schedule_id.as_deref());
    conditions.at_least("created_at", filter.start);
    conditions.at_most("created_at", filter.end);
    fetch_page(db, "exports", COLUMNS, "first_position", conditions, page, row, |row| row.first_position).await
}

/// One export.
pub async fn get(db: &ReadDb, ledger_id: &str, export_id: &str) -> Result<Option<ExportRow>, ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.equals("export_id", Some(export_id));
    fetch_one(db, "exports", COLUMNS, conditions, row).await
}

/// The deliveries of one export, oldest first: the first [`MAX_DELIVERIES`], and how many there are.
pub async fn deliveries(db: &ReadDb, ledger_id: &str, export_id: &str) -> Result<(Vec<DeliveryRow>, u64), ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.equals("export_id", Some(export_id));
    // Several are decided on in one entry after another, so that positions order them.
    let order = "first_position";
    fetch_changes(db, "export_deliveries", DELIVERY_COLUMNS, order, conditions, 0, MAX_DELIVERIES, delivery).await
}

/// How many rows of an export that is being generated are written, and when that was, in microseconds. Whoever generates
/// keeps count in a table of its own, which need not be there.
pub async fn progress(db: &ReadDb, ledger_id: &str, export_id: &str) -> Result<Option<(u64, i64)>, ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.equals("export_id", Some(export_id));
    let found = fetch_one(db, "export_progress", "rows, updated_at", conditions, |fields| {
        Ok((fields.natural("rows")?, fields.integer("updated_at")?))
    });
    match found.await {
        Err(ReadError::Database(error)) if is_missing_table(&error) => Ok(None),
        found => found,
    }
}

/// Whether a statement failed because nobody has made its table: SQLite has no code of its own for that.
fn is_missing_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.code().is_some_and(|code| code == "42P01") || error.message().contains("no such table")
    })
}

fn row(fields: &Fields<'_>) -> Result<ExportRow, ReadError> {
    Ok(ExportRow {
        export_id: fields.text("export_id")?,
        kind: fields.text("kind")?,
        format: fields.text("format")?,
        filters: fields.json("filters")?,
        columns: fields.json("columns_chosen")?,
        status: fields.text("status")?,
        delivery_status: fields.text("delivery_status")?,
        verification_status: fields.text("verification_status")?,
        requested_by: fields.text("requested_by")?,
        requester_person: fields.text("requester_person")?,
        reason: fields.optional_text("reason")?,
        approval_id: fields.text("approval_id")?,
        execution_id: fields.optional_text("execution_id")?,
        approved_by: fields.json("approved_by")?,
        policy_version: fields.optional_natural("policy_version")?,
        deliver_to: fields.json("deliver_to")?,
        collect: fields.integer("collect")? != 0,
        schedule_id: fields.optional_text("schedule_id")?,
        schedule_run: fields.optional_natural("schedule_run")?,
        digest: fields.text("digest")?,
        attempt: fields.natural("attempt")?,
        why: fields.optional_text("why")?,
        generated: fields.optional_json("generated")?,
        file: fields.optional_text("file")?,
        bytes: fields.optional_natural("bytes")?,
        rows: fields.optional_natural("row_count")?,
        findings: fields.json("findings")?,
        created_at: fields.integer("created_at")?,
        updated_at: fields.integer("updated_at")?,
        approved_at: fields.optional_integer("approved_at")?,
        started_at: fields.optional_integer("started_at")?,
        generated_at: fields.optional_integer("generated_at")?,
        delivered_at: fields.optional_integer("delivered_at")?,
        verified_at: fields.optional_integer("verified_at")?,
        verified_by: fields.optional_text("verified_by")?,
        collected_at: fields.optional_integer("collected_at")?,
        ended_at: fields.optional_integer("ended_at")?,
        first_position: fields.natural("first_position")?,
        last_position: fields.natural("last_position")?,
        version: fields.natural("version")?,
    })
}

fn delivery(fields: &Fields<'_>) -> Result<DeliveryRow, ReadError> {
    Ok(DeliveryRow {
        delivery_id: fields.text("delivery_id")?,
        export_id: fields.text("export_id")?,
        destination: fields.text("destination")?,
        why: fields.text("why")?,
        status: fields.text("status")?,
        attempts: fields.natural("attempts")?,
        detail: fields.optional_text("detail")?,
        scheduled_at: fields.integer("scheduled_at")?,
        attempted_at: fields.optional_integer("attempted_at")?,
        retry_at: fields.optional_integer("retry_at")?,
        delivered_at: fields.optional_integer("delivered_at")?,
        history: fields.json("history")?,
        first_position: fields.natural("first_position")?,
        last_position: fields.natural("last_position")?,
    })
}
