//! An export as commands answer it.

use std::collections::BTreeMap;

use daybook_domain::export::{Delivery, Export};
use daybook_http_kit::answer::{ReceiptView, Recorded};
use daybook_ledger::commands::Outcome;
use serde::Serialize;
use utoipa::ToSchema;

/// An export as it is after the command.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ExportState)]
pub struct ExportView {
    /// Its id.
    #[schema(example = "exp_0193f3a17c0070008000000000000001")]
    pub id: String,
    /// The same as `id`.
    pub export_id: String,
    /// What: `transactions`, `incidents`, `users`, `agent_actions`, `audit_trail` or `entries`.
    #[schema(example = "transactions")]
    pub kind: Option<&'static str>,
    /// The same as `kind`.
    pub export_type: Option<&'static str>,
    /// `csv`, `ndjson`, `json` or `parquet`.
    pub format: Option<&'static str>,
    /// What it is narrowed by, as it was understood.
    pub filters: BTreeMap<String, String>,
    /// Its columns.
    pub columns: Vec<String>,
    /// `requested`, `approved`, `generating`, `generated`, `failed`, `rejected`, `cancelled` or `removed`.
    #[schema(example = "requested")]
    pub status: Option<&'static str>,
    /// `none`, `pending`, `delivered`, `partial` or `failed`.
    pub delivery_status: &'static str,
    /// `unverified`, `verified`, `tampered` or `failed`.
    pub verification_status: &'static str,
    /// Opaque id of the account that asked.
    pub requested_by: Option<String>,
    /// The request for approval that decides.
    pub approval_id: Option<String>,
    /// Opaque ids of those who approved.
    pub approved_by: Vec<String>,
    /// Where it goes.
    pub deliver_to: Vec<String>,
    /// Whether whoever asked takes it by asking the same again.
    pub collect: bool,
    /// The schedule that it is a run of; null where somebody asked for it.
    pub schedule_id: Option<String>,
    /// Which run of it, counted from 1.
    pub schedule_run: Option<u64>,
    /// Why.
    pub reason: Option<String>,
    /// The digest of exactly what is approved, 64 hexadecimal digits.
    pub digest: Option<String>,
    /// The file's name, once it is there.
    pub file: Option<String>,
    /// The same as `file`.
    pub file_path: Option<String>,
    /// Its length.
    pub bytes: Option<u64>,
    /// How many rows are in it.
    pub rows: Option<u64>,
    /// Its BLAKE3, 64 hexadecimal digits.
    pub blake3: Option<String>,
    /// Its SHA-256, 64 hexadecimal digits.
    pub sha256: Option<String>,
    /// The same as `sha256`.
    pub hash: Option<String>,
    /// The signature of its manifest: ECDSA P-256 over SHA-256, DER in base64.
    pub signature: Option<String>,
    /// Each delivery.
    pub deliveries: Vec<DeliveryView>,
    /// What the last verification found to be wrong.
    pub findings: Vec<String>,
    /// Why the last attempt to make it came to nothing.
    pub failure: Option<String>,
}

/// One delivery of an export.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ExportDeliveryState)]
pub struct DeliveryView {
    /// Its id, which the receiver knows a repetition by.
    pub delivery_id: String,
    /// Where to.
    pub destination: String,
    /// `first` or `redeliver`.
    pub why: &'static str,
    /// Attempts so far.
    pub attempts: u64,
    /// `delivered`, `failed` (and tried again) or `dead` (given up); null before the first attempt.
    pub outcome: Option<&'static str>,
    /// What the destination said.
    pub detail: Option<String>,
    /// When it is tried again.
    pub retry_at: Option<String>,
}

impl From<&Delivery> for DeliveryView {
    fn from(delivery: &Delivery) -> Self {
        Self {
            delivery_id: delivery.delivery_id.to_string(),
            destination: delivery.destination.to_string(),
            why: delivery.why.as_str(),
            attempts: delivery.attempts,
            outcome: delivery.outcome.map(|outcome| outcome.as_str()),
            detail: delivery.detail.as_ref().map(ToString::to_string),
            retry_at: delivery.retry_at.map(|at| at.to_string()),
        }
    }
}

impl ExportView {
    /// The export of this id.
    pub(crate) fn of(id: &str, export: &Export) -> Self {
        let request = export.request();
        let kind = request.map(|request| request.kind.as_str());
        let schedule = request.and_then(|request| request.schedule.as_ref());
        let generated = export.generated();
        let texts = |texts: &[String]| texts.to_vec();
        Self {
            id: id.to_owned(),
            export_id: id.to_owned(),
            kind,
            export_type: kind,
            format: request.map(|request| request.format.as_str()),
            filters: request.map(|request| request.filters.clone()).unwrap_or_default(),
            columns: request.map(|request| texts(&request.columns)).unwrap_or_default(),
            status: export.status().map(|status| status.as_str()),
            delivery_status: export.delivery_status().as_str(),
            verification_status: export.verification_status().as_str(),
            requested_by: request.map(|request| request.requested_by.to_string()),
            approval_id: request.map(|request| request.approval_id.to_string()),
            approved_by: export.approved().map(|approved| strings(&approved.approved_by)).unwrap_or_default(),
            deliver_to: request.map(|request| strings(&request.deliver_to)).unwrap_or_default(),
            collect: request.is_some_and(|request| request.collect),
            schedule_id: schedule.map(|schedule| schedule.schedule_id.to_string()),
            schedule_run: schedule.map(|schedule| schedule.run),
            reason: request.and_then(|request| request.reason.as_ref().map(ToString::to_string)),
            digest: request.map(|request| request.digest.to_string()),
            file: generated.map(|generated| generated.file.to_string()),
            file_path: generated.map(|generated| generated.file.to_string()),
            bytes: generated.map(|generated| generated.bytes),
            rows: generated.map(|generated| generated.rows),
            blake3: generated.map(|generated| generated.blake3.to_string()),
            sha256: generated.map(|generated| generated.sha256.to_string()),
            hash: generated.map(|generated| generated.sha256.to_string()),
            signature: generated.map(|generated| generated.signature.value.to_string()),
            deliveries: export.deliveries().iter().map(DeliveryView::from).collect(),
            findings: export.last_verification().map(|verified| strings(&verified.findings)).unwrap_or_default(),
            failure: export.last_failure().map(|failure| failure.why.to_string()),
        }
    }
}

fn strings<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// The answer to a command on an export.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ExportAnswer {
    /// The export.
    #[serde(flatten)]
    pub export: ExportView,
    #[serde(flatten)]
    pub recorded: Recorded,
}

impl ExportAnswer {
    pub(crate) fn of(outcome: &Outcome<Export>) -> Self {
        Self { export: ExportView::of(&outcome.id, &outcome.aggregate), recorded: Recorded::of(outcome) }
    }
}

/// The answer where somebody else has to decide first, or the file is not there yet.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ExportPending)]
pub struct PendingAnswer {
    /// What is waited for, in words.
    #[schema(example = "Export requires approval")]
    pub detail: String,
    /// The request for approval.
    #[schema(example = "apr_0193f3a17c0070008000000000000001")]
    pub approval_request_id: Option<String>,
    /// `pending` until it is decided, then `generating` until the file is there.
    #[schema(example = "pending")]
    pub status: &'static str,
    /// The export.
    pub export: ExportView,
    /// Proof that the export was asked for.
    pub receipt: ReceiptView,
}
