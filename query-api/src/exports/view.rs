//! An export as queries answer it: everything that commands say of it, when it happened, and where its files are.

use daybook_http_kit::{API_PREFIX, Problem};
use daybook_read_models::ReadError;
use daybook_read_models::exports::{DeliveryRow, ExportRow};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::freshness::failed;
use crate::time::rfc3339;

/// An export as it is now: first what older clients read, then the rest.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportRecord {
    /// The same as `export_id`.
    #[schema(example = "exp_0193f3a17c0070008000000000000001")]
    id: String,
    /// The same as `kind`.
    #[schema(example = "transactions")]
    export_type: String,
    /// Name of the file; null before it is there.
    #[schema(example = "exp_0193f3a17c0070008000000000000001.1.csv")]
    file_path: Option<String>,
    /// SHA-256 of the file, hexadecimal.
    hash: Option<String>,
    /// Signature of the manifest, base64.
    signature: Option<String>,
    /// Opaque id of the account that asked.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    requested_by: String,
    /// Names of the destinations, separated by commas; null where it is fetched only.
    delivered_to: Option<String>,
    /// `manual` where it is fetched only; else null: what a destination is, the configuration says.
    delivery_method: Option<&'static str>,
    /// `none`, `pending`, `delivered`, `partial` or `failed`.
    #[schema(example = "pending")]
    delivery_status: String,
    /// `unverified`, `verified`, `tampered` or `failed`.
    #[schema(example = "unverified")]
    verification_status: String,
    /// When it was asked for.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    created_at: String,
    /// When it last arrived somewhere.
    delivered_at: Option<String>,
    /// When it was last verified.
    verified_at: Option<String>,
    /// What more there is to it, for older clients: `status`, `format`, `filters`, `columns`, `rows` and `bytes`.
    #[schema(value_type = Object)]
    meta: Value,

    /// Its id.
    #[schema(example = "exp_0193f3a17c0070008000000000000001")]
    export_id: String,
    /// What is exported: `transactions`, `incidents`, `users`, `agent_actions`, `audit_trail` or `entries`.
    #[schema(example = "transactions")]
    kind: String,
    /// `csv`, `ndjson`, `json` or `parquet`.
    #[schema(example = "csv")]
    format: String,
    /// Which rows: names and values of the filters.
    #[schema(value_type = Object)]
    filters: Value,
    /// Which columns; all that the kind has where it is empty.
    #[schema(value_type = Vec<String>)]
    columns: Value,
    /// `requested`, `approved`, `generating`, `generated`, `failed`, `rejected`, `cancelled` or `removed`.
    #[schema(example = "generated")]
    status: String,
    /// Why it was rejected, cancelled or removed, or failed last.
    why: Option<String>,
    /// Opaque id of the person who answers for the account that asked.
    person: String,
    /// Why it was asked for.
    reason: Option<String>,
    /// Id of the request for approval.
    approval_id: String,
    /// Opaque ids of those who approved.
    #[schema(value_type = Vec<String>)]
    approved_by: Value,
    /// Version of the policy that it was approved under.
    policy_version: Option<u64>,
    /// Digest of exactly what was approved.
    digest: String,
    /// Names of the destinations.
    #[schema(value_type = Vec<String>)]
    deliver_to: Value,
    /// Whether it is handed out to whoever asks the same again.
    collect: bool,
    /// The schedule that it is a run of; null where somebody asked for it.
    schedule_id: Option<String>,
    /// Which run of it, counted from 1.
    schedule_run: Option<u64>,
    /// How often it was tried to generate.
    #[schema(example = 1)]
    attempt: u64,
    /// The same as `file_path`.
    file: Option<String>,
    /// Rows in the file.
    rows: Option<u64>,
    /// Length of the file.
    bytes: Option<u64>,
    /// BLAKE3 of the file, hexadecimal.
    blake3: Option<String>,
    /// The same as `hash`.
    sha256: Option<String>,
    /// What was generated: name, digests, manifest, signature, the range of the ledger and the checkpoint; null before.
    #[schema(value_type = Option<Object>)]
    generated: Option<Value>,
    /// What the last verification found to be wrong.
    #[schema(value_type = Vec<String>)]
    findings: Value,
    /// Opaque id of who had it verified last.
    verified_by: Option<String>,
    /// When it was approved.
    approved_at: Option<String>,
    /// When its generation was last started.
    started_at: Option<String>,
    /// When its file was there.
    generated_at: Option<String>,
    /// When it was handed out to whoever asked again.
    collected_at: Option<String>,
    /// When it was rejected, cancelled or removed, or failed for good.
    ended_at: Option<String>,
    /// When its newest entry was recorded.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    updated_at: String,
    /// Where its files and its approval are.
    links: ExportLinks,
    /// Version of its stream, for `If-Match`.
    #[schema(example = 4)]
    version: u64,
    /// Position of its first entry.
    #[schema(example = 42)]
    first_position: u64,
    /// Position of its newest entry.
    #[schema(example = 45)]
    last_position: u64,
}

/// Where an export's files and its approval are. Files are null where there is none.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportLinks {
    /// The file.
    #[schema(example = "/v1/exports/exp_0193f3a17c0070008000000000000001/file")]
    file: Option<String>,
    /// Its manifest.
    manifest: Option<String>,
    /// The signature of that.
    signature: Option<String>,
    /// The request for approval.
    approval: String,
}

impl From<ExportRow> for ExportRecord {
    fn from(row: ExportRow) -> Self {
        let said = |pointer: &str| {
            let value = row.generated.as_ref().and_then(|generated| generated.pointer(pointer));
            value.and_then(Value::as_str).map(str::to_owned)
        };
        let destinations: Vec<&str> =
            row.deliver_to.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let has_file = row.status == "generated";
        let link = |name: &str| has_file.then(|| format!("{API_PREFIX}/exports/{}/{name}", row.export_id));
        Self {
            links: ExportLinks {
                file: link("file"),
                manifest: link("manifest"),
                signature: link("signature"),
                approval: format!("{API_PREFIX}/approvals/{}", row.approval_id),
            },
            hash: said("/sha256"),
            sha256: said("/sha256"),
            blake3: said("/blake3"),
            file: row.file.clone(),
            signature: said("/signature/value"),
            delivered_to: (!destinations.is_empty()).then(|| destinations.join(",")),
            delivery_method: destinations.is_empty().then_some("manual"),
            meta: json!({
                "status": row.status,
                "format": row.format,
                "filters": row.filters,
                "columns": row.columns,
                "rows": row.rows,
                "bytes": row.bytes,
            }),
            id: row.export_id.clone(),
            export_type: row.kind.clone(),
            file_path: row.file,
            requested_by: row.requested_by,
            delivery_status: row.delivery_status,
            verification_status: row.verification_status,
            created_at: rfc3339(row.created_at),
            delivered_at: row.delivered_at.map(rfc3339),
            verified_at: row.verified_at.map(rfc3339),
            export_id: row.export_id,
            kind: row.kind,
            format: row.format,
            filters: row.filters,
            columns: row.columns,
            status: row.status,
            why: row.why,
            person: row.requester_person,
            reason: row.reason,
            approval_id: row.approval_id,
            approved_by: row.approved_by,
            policy_version: row.policy_version,
            digest: row.digest,
            deliver_to: row.deliver_to,
            collect: row.collect,
            schedule_id: row.schedule_id,
            schedule_run: row.schedule_run,
            attempt: row.attempt,
            rows: row.rows,
            bytes: row.bytes,
            generated: row.generated,
            findings: row.findings,
            verified_by: row.verified_by,
            approved_at: row.approved_at.map(rfc3339),
            started_at: row.started_at.map(rfc3339),
            generated_at: row.generated_at.map(rfc3339),
            collected_at: row.collected_at.map(rfc3339),
            ended_at: row.ended_at.map(rfc3339),
            updated_at: rfc3339(row.updated_at),
            version: row.version,
            first_position: row.first_position,
            last_position: row.last_position,
        }
    }
}

/// An export with its deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportDetail {
    /// The export.
    #[serde(flatten)]
    export: ExportRecord,
    /// How far its generation is, while it is under way.
    progress: Option<ExportProgress>,
    /// Where it was to be brought, oldest first: the first 500.
    deliveries: Vec<ExportDelivery>,
    /// How many deliveries there are.
    #[schema(example = 1)]
    deliveries_total: u64,
    /// How many of them were given up.
    #[schema(example = 0)]
    dead_letters: usize,
}

impl ExportDetail {
    /// Of an export, how far its generation is, and its deliveries of `total`.
    pub(super) fn new(
        row: ExportRow,
        progress: Option<(u64, i64)>,
        deliveries: Vec<DeliveryRow>,
        total: u64,
    ) -> Result<Self, Problem> {
        Ok(Self {
            export: row.into(),
            progress: progress.map(|(rows, at)| ExportProgress { rows, updated_at: rfc3339(at) }),
            dead_letters: deliveries.iter().filter(|delivery| delivery.status == "dead").count(),
            deliveries: deliveries.into_iter().map(ExportDelivery::new).collect::<Result<_, _>>()?,
            deliveries_total: total,
        })
    }
}

/// How far a generation is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportProgress {
    /// Rows written.
    #[schema(example = 250000)]
    rows: u64,
    /// When that was counted.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    updated_at: String,
}

/// One delivery of an export to one destination.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportDelivery {
    /// Its id; also the key by which a receiver knows a repetition.
    #[schema(example = "dlv_0193f3a17c0070008000000000000001")]
    delivery_id: String,
    /// Name of the destination.
    destination: String,
    /// `first`, or `redeliver` where somebody wanted it once more.
    #[schema(example = "first")]
    why: String,
    /// `pending`, `delivered`, `failed` where it is tried again, or `dead` where it was given up.
    #[schema(example = "delivered")]
    status: String,
    /// The same; null before the first attempt.
    outcome: Option<String>,
    /// How often it was tried.
    #[schema(example = 1)]
    attempts: u64,
    /// What the destination said at the last attempt.
    detail: Option<String>,
    /// When it was decided on.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    scheduled_at: String,
    /// When it was last tried.
    attempted_at: Option<String>,
    /// When it is tried again.
    retry_at: Option<String>,
    /// When it arrived.
    delivered_at: Option<String>,
    /// Every attempt, oldest first.
    history: Vec<ExportDeliveryAttempt>,
}

/// One attempt to deliver an export, as it was recorded.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportDeliveryAttempt {
    /// Which attempt; the first is 1.
    #[schema(example = 1)]
    attempt: u64,
    /// `delivered`, `failed` where it was tried again, or `dead` where it was given up.
    #[schema(example = "delivered")]
    outcome: String,
    /// What the destination said.
    detail: Option<String>,
    /// When.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    at: String,
    /// When it was to be tried again.
    retry_at: Option<String>,
    /// Position of the entry.
    #[schema(example = 45)]
    position: u64,
}

impl ExportDelivery {
    fn new(row: DeliveryRow) -> Result<Self, Problem> {
        let history = serde_json::from_value(row.history)
            .map_err(|error| failed(ReadError::Corrupt { column: "history".to_owned(), why: error.to_string() }))?;
        let outcome = (row.status != "pending").then(|| row.status.clone());
        Ok(Self {
            outcome,
            delivery_id: row.delivery_id,
            destination: row.destination,
            why: row.why,
            status: row.status,
            attempts: row.attempts,
            detail: row.detail,
            scheduled_at: rfc3339(row.scheduled_at),
            attempted_at: row.attempted_at.map(rfc3339),
            retry_at: row.retry_at.map(rfc3339),
            delivered_at: row.delivered_at.map(rfc3339),
            history,
        })
    }
}
