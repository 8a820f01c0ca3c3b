//! What is said to exports, before it is checked.

use std::collections::BTreeMap;

use daybook_http_kit::Problem;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// An export to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExportRequestBody)]
pub struct RequestBody {
    /// `transactions`, `incidents`, `users`, `agent_actions`, `audit_trail`, `entries` or `evidence_pack`.
    #[schema(example = "transactions")]
    pub kind: String,
    /// `csv`, `ndjson`, `json` or `parquet`; `csv` if it is absent. An `evidence_pack` is a `zip`, and nothing else is.
    pub format: Option<String>,
    /// Only records with these values, by the name of the filter. Times are RFC 3339 or dates, of which `end` takes the
    /// whole day in.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"status": "pending", "start": "2026-11-01"}))]
    pub filters: Map<String, Value>,
    /// Only these columns, in this order; all that the kind has by default if there are none. Columns that say how a
    /// person is reached are never there by default and take `user:read_contact`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub columns: Vec<String>,
    /// Where it is delivered once it is there: names of destinations in the server's configuration.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub deliver_to: Vec<String>,
    /// Why: at most 2,000 characters.
    pub reason: Option<String>,
}

/// The members of a predecessor's record of an export that the body of a request does not have.
const RECORD_MEMBERS: [&str; 10] = [
    "export_type",
    "file_path",
    "hash",
    "signature",
    "requested_by",
    "delivered_to",
    "delivery_method",
    "delivery_status",
    "verification_status",
    "delivered_at",
];

/// 422 for a record of an export as a predecessor's clients wrote it: exports are made here, not written down.
pub(super) fn refuse_records(body: &Map<String, Value>) -> Result<(), Problem> {
    if body.contains_key("kind") {
        return Ok(());
    }
    let Some(member) = RECORD_MEMBERS.iter().find(|member| body.contains_key(**member)) else { return Ok(()) };
    let detail = "exports are made here and not written down by clients: ask for one with kind, format and filters; file, \
                  digests, signature, delivery and verification are then recorded as they happen";
    Err(Problem::refused("export.made_not_recorded", detail).at(format!("/{member}"), "is recorded, never given"))
}

/// The values of filters as texts.
pub(crate) fn filter_texts(filters: Map<String, Value>) -> Result<BTreeMap<String, String>, Problem> {
    let text = |(name, value): (String, Value)| {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            list @ Value::Array(_) => list.to_string(),
            Value::Null | Value::Object(_) => {
                return Err(Problem::invalid(
                    format!("/filters/{name}"),
                    "must be a text, a number, true, false or a list",
                ));
            }
        };
        Ok((name, text))
    };
    filters.into_iter().map(text).collect()
}

/// Why an export is not wanted any more.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExportCancelBody)]
pub struct CancelBody {
    /// Why: at most 2,000 characters.
    pub reason: Option<String>,
}

/// Why an export's file is removed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExportRemoveBody)]
pub struct RemoveBody {
    /// Why: 1 to 2,000 characters.
    #[schema(example = "Its time is over")]
    pub reason: String,
}

/// Where an export is to go once more.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExportRedeliverBody)]
pub struct RedeliverBody {
    /// Some of the destinations that it was approved for; all of them where nothing is said.
    pub destinations: Option<Vec<String>>,
}
