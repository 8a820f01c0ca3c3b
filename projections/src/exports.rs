//! The projector `exports`: each export as it is now, and its deliveries.
//!
//! The state is the domain's own: events are applied to the aggregate, which is kept beside the columns that queries
//! filter by. There is no second account of what an event means.

use async_trait::async_trait;
use cqrs_es::Aggregate;
use daybook_domain::export::{DeliveryOutcome, Export, ExportEvent};
use daybook_domain::{AnyEvent, Timestamp};
use daybook_ledger::entry::Entry;
use serde_json::{Value as Json, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::error::FoldError;
use crate::kept::{Kept, KeptRow};
use crate::projector::{DecodedEntry, Interest, Projector, TableDefinition, TableNames};
use crate::rows::{RowWriter, Value, natural, read_state, written};

/// Answers: what has left the house, or is about to, and did it arrive?
#[derive(Debug, Clone, Copy)]
pub struct Exports;

/// Raised whenever the fold here or a table changes; at most 99.
const VERSION: u32 = 2;

const TABLES: &[TableDefinition] = &[
    TableDefinition { name: "exports", ddl: include_str!("../../migrations/read/exports.sql") },
    TableDefinition { name: "export_deliveries", ddl: include_str!("../../migrations/read/export_deliveries.sql") },
];

const ROWS: RowWriter = RowWriter {
    columns: &[
        "ledger_id",
        "export_id",
        "kind",
        "format",
        "filters",
        "columns_chosen",
        "status",
        "delivery_status",
        "verification_status",
        "requested_by",
        "requester_person",
        "reason",
        "approval_id",
        "execution_id",
        "approved_by",
        "policy_version",
        "deliver_to",
        "collect",
        "schedule_id",
        "schedule_run",
        "digest",
        "attempt",
        "why",
        "generated",
        "file",
        "bytes",
        "row_count",
        "findings",
        "created_at",
        "updated_at",
        "approved_at",
        "started_at",
        "generated_at",
        "delivered_at",
        "verified_at",
        "verified_by",
        "collected_at",
        "ended_at",
        "first_position",
        "last_position",
        "version",
        "state",
    ],
    key: &["ledger_id", "export_id"],
};

const DELIVERIES: RowWriter = RowWriter {
    columns: &[
        "ledger_id",
        "delivery_id",
        "export_id",
        "destination",
        "why",
        "status",
        "attempts",
        "detail",
        "scheduled_at",
        "attempted_at",
        "retry_at",
        "delivered_at",
        "history",
        "first_position",
        "last_position",
    ],
    key: &["ledger_id", "delivery_id"],
};

/// A row of `exports`: the export, and what its events say about when and where.
struct State {
    export_id: String,
    export: Export,
    why: Option<String>,
    delivered_at: Option<i64>,
    ended_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
    first_position: u64,
    last_position: u64,
    version: u64,
}

/// A row of `export_deliveries`.
struct DeliveryState {
    delivery_id: String,
    export_id: String,
    destination: String,
    why: String,
    status: String,
    attempts: u64,
    detail: Option<String>,
    scheduled_at: i64,
    attempted_at: Option<i64>,
    retry_at: Option<i64>,
    delivered_at: Option<i64>,
    history: Vec<Json>,
    first_position: u64,
    last_position: u64,
}

#[async_trait]
impl Projector for Exports {
    fn name(&self) -> &'static str {
        daybook_read_models::exports::PROJECTOR
    }

    /// Rises with the aggregate's fold, too: rows hold its state.
    fn version(&self) -> u32 {
        Export::REDUCER_VERSION * 100 + VERSION
    }

    fn tables(&self) -> &'static [TableDefinition] {
        TABLES
    }

    fn interest(&self, stream_type: &str) -> Interest {
        if stream_type == "export" { Interest::Decoded } else { Interest::Ignored }
    }

    async fn fold(
        &self,
        connection: &mut AnyConnection,
        tables: &TableNames,
        ledger_id: &str,
        batch: &[DecodedEntry],
    ) -> Result<(), FoldError> {
        let table = tables.of("exports");
        let mut states = Kept::of_streams(connection, &table, ledger_id, batch, "export").await?;
        let deliveries_table = tables.of("export_deliveries");
        let touched = deliveries_of(batch);
        let mut deliveries = Kept::load(connection, &deliveries_table, ledger_id, &touched).await?;
        for DecodedEntry { entry, event } in batch {
            let Some(AnyEvent::Export(event)) = event else { continue };
            if matches!(event, ExportEvent::Requested(_)) {
                states.insert(State::requested(entry));
            }
            let Some(state) = states.get_mut(&entry.stream.stream_id) else { continue };
            state.apply(entry, event);
            apply_delivery(&mut deliveries, entry, event);
        }
        states.write(connection, &table, ledger_id).await?;
        deliveries.write(connection, &deliveries_table, ledger_id).await
    }
}

/// The deliveries that were tried in this batch, each once.
fn deliveries_of(batch: &[DecodedEntry]) -> Vec<&str> {
    let mut ids: Vec<&str> = batch
        .iter()
        .filter_map(|item| match &item.event {
            Some(AnyEvent::Export(ExportEvent::DeliveryAttempted(event))) => Some(event.delivery_id.as_str()),
            _ => None,
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn apply_delivery(deliveries: &mut Kept<DeliveryState>, entry: &Entry, event: &ExportEvent) {
    match event {
        ExportEvent::DeliveryScheduled(event) => {
            let delivery = DeliveryState {
                delivery_id: event.delivery_id.to_string(),
                export_id: entry.stream.stream_id.clone(),
                destination: event.destination.to_string(),
                why: event.why.to_string(),
                status: "pending".to_owned(),
                attempts: 0,
                detail: None,
                scheduled_at: entry.recorded_at,
                attempted_at: None,
                retry_at: None,
                delivered_at: None,
                history: Vec::new(),
                first_position: entry.position,
                last_position: entry.position,
            };
            deliveries.insert(delivery);
        }
        ExportEvent::DeliveryAttempted(event) => {
            let Some(delivery) = deliveries.get_mut(event.delivery_id.as_str()) else { return };
            delivery.status = event.outcome.to_string();
            delivery.attempts = event.attempt;
            delivery.detail = event.detail.as_ref().map(ToString::to_string);
            delivery.attempted_at = Some(event.at.micros());
            delivery.retry_at = event.retry_at.map(|time| time.micros());
            if event.outcome == DeliveryOutcome::Delivered {
                delivery.delivered_at = Some(event.at.micros());
            }
            delivery.history.push(json!({
                "attempt": event.attempt,
                "outcome": event.outcome,
                "detail": event.detail,
                "at": event.at,
                "retry_at": event.retry_at,
                "position": entry.position,
            }));
            delivery.last_position = entry.position;
        }
        _ => {}
    }
}

impl State {
    fn requested(entry: &Entry) -> Self {
        Self {
            export_id: entry.stream.stream_id.clone(),
            export: Export::default(),
            why: None,
            delivered_at: None,
            ended_at: None,
            created_at: entry.recorded_at,
            updated_at: entry.recorded_at,
            first_position: entry.position,
            last_position: entry.position,
            version: entry.version,
        }
    }

    fn apply(&mut self, entry: &Entry, event: &ExportEvent) {
        self.last_position = entry.position;
        self.version = entry.version;
        self.updated_at = entry.recorded_at;
        match event {
            ExportEvent::Requested(_)
            | ExportEvent::Approved(_)
            | ExportEvent::GenerationStarted(_)
            | ExportEvent::DeliveryScheduled(_)
            | ExportEvent::Verified(_)
            | ExportEvent::Collected(_) => {}
            ExportEvent::Generated(_) => self.why = None,
            ExportEvent::Rejected(event) => self.end(event.why.to_string(), entry.recorded_at),
            ExportEvent::GenerationFailed(event) => {
                self.why = Some(event.why.to_string());
                self.ended_at = event.is_final.then(|| event.at.micros());
            }
            ExportEvent::DeliveryAttempted(event) => {
                if event.outcome == DeliveryOutcome::Delivered {
                    self.delivered_at = Some(event.at.micros());
                }
            }
            ExportEvent::Cancelled(event) => {
                let reason = event.reason.as_ref().map(ToString::to_string);
                self.end(reason.unwrap_or_else(|| "cancelled".to_owned()), event.at.micros());
            }
            ExportEvent::Removed(event) => self.end(event.why.to_string(), event.at.micros()),
        }
        self.export.apply(event.clone());
    }

    fn end(&mut self, why: String, at: i64) {
        self.why = Some(why);
        self.ended_at = Some(at);
    }
}

impl KeptRow for State {
    const WRITER: RowWriter = ROWS;
    const ID: &'static str = "export_id";

    fn id(&self) -> &str {
        &self.export_id
    }

    fn first_position(&self) -> u64 {
        self.first_position
    }

    fn read(row: &AnyRow) -> Result<Self, FoldError> {
        Ok(Self {
            export_id: row.try_get("export_id")?,
            export: read_state(row, "state")?,
            why: row.try_get("why")?,
            delivered_at: row.try_get("delivered_at")?,
            ended_at: row.try_get("ended_at")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            first_position: natural(row, "first_position")?,
            last_position: natural(row, "last_position")?,
            version: natural(row, "version")?,
        })
    }

    fn values<'a>(&'a self, ledger_id: &'a str) -> Result<Vec<Value<'a>>, FoldError> {
        let export = &self.export;
        let (Some(request), Some(status)) = (export.request(), export.status()) else {
            return Err(FoldError::Inconsistent(format!("export {} has no request", self.export_id)));
        };
        let (approved, generated) = (export.approved(), export.generated());
        let verified = export.last_verification();
        let micros = |time: Option<Timestamp>| Value::OptionalInteger(time.map(|time| time.micros()));
        let count =
            |number: Option<u64>| Value::OptionalInteger(number.map(|number| number.try_into().unwrap_or(i64::MAX)));
        Ok(vec![
            ledger_id.into(),
            (&self.export_id).into(),
            request.kind.as_str().into(),
            request.format.as_str().into(),
            Value::text(written(&request.filters)),
            Value::text(written(&request.columns)),
            status.as_str().into(),
            export.delivery_status().as_str().into(),
            export.verification_status().as_str().into(),
            request.requested_by.as_str().into(),
            request.person.as_str().into(),
            Value::optional(request.reason.as_ref()),
            request.approval_id.as_str().into(),
            Value::optional(approved.map(|approved| &approved.execution_id)),
            Value::text(written(approved.map_or(&[][..], |approved| &approved.approved_by))),
            count(approved.map(|approved| approved.policy_version)),
            Value::text(written(&request.deliver_to)),
            i64::from(request.collect).into(),
            Value::optional(request.schedule.as_ref().map(|schedule| &schedule.schedule_id)),
            count(request.schedule.as_ref().map(|schedule| schedule.run)),
            request.digest.as_str().into(),
            export.attempt().map_or(0, |attempt| attempt.attempt).into(),
            (&self.why).into(),
            Value::OptionalText(generated.map(|generated| written(generated).into())),
            Value::optional(generated.map(|generated| &generated.file)),
            count(generated.map(|generated| generated.bytes)),
            count(generated.map(|generated| generated.rows)),
            Value::text(written(verified.map_or(&[][..], |verified| &verified.findings))),
            self.created_at.into(),
            self.updated_at.into(),
            micros(approved.map(|approved| approved.at)),
            micros(export.attempt().map(|attempt| attempt.at)),
            micros(generated.map(|generated| generated.at)),
            self.delivered_at.into(),
            micros(verified.map(|verified| verified.at)),
            Value::optional(verified.map(|verified| &verified.by)),
            micros(export.collected().map(|collected| collected.at)),
            self.ended_at.into(),
            self.first_position.into(),
            self.last_position.into(),
            self.version.into(),
            Value::text(written(export)),
        ])
    }
}

impl KeptRow for DeliveryState {
    const WRITER: RowWriter = DELIVERIES;
    const ID: &'static str = "delivery_id";

    fn id(&self) -> &str {
        &self.delivery_id
    }

    fn first_position(&self) -> u64 {
        self.first_position
    }

    fn read(row: &AnyRow) -> Result<Self, FoldError> {
        Ok(Self {
            delivery_id: row.try_get("delivery_id")?,
            export_id: row.try_get("export_id")?,
            destination: row.try_get("destination")?,
            why: row.try_get("why")?,
            status: row.try_get("status")?,
            attempts: natural(row, "attempts")?,
            detail: row.try_get("detail")?,
            scheduled_at: row.try_get("scheduled_at")?,
            attempted_at: row.try_get("attempted_at")?,
            retry_at: row.try_get("retry_at")?,
            delivered_at: row.try_get("delivered_at")?,
            history: read_state(row, "history")?,
            first_position: natural(row, "first_position")?,
            last_position: natural(row, "last_position")?,
        })
    }

    fn values<'a>(&'a self, ledger_id: &'a str) -> Result<Vec<Value<'a>>, FoldError> {
        Ok(vec![
            ledger_id.into(),
            (&self.delivery_id).into(),
            (&self.export_id).into(),
            (&self.destination).into(),
            (&self.why).into(),
            (&self.status).into(),
            self.attempts.into(),
            (&self.detail).into(),
            self.scheduled_at.into(),
            self.attempted_at.into(),
            self.retry_at.into(),
            self.delivered_at.into(),
            Value::text(written(&self.history)),
            self.first_position.into(),
            self.last_position.into(),
        ])
    }
}
