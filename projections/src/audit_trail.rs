//! The projector `audit_trail`: one row for every entry, whatever its type.

use std::borrow::Cow;
use std::collections::HashMap;

use async_trait::async_trait;
use daybook_domain::personal::SEALED_PREFIX;
use daybook_ledger::entry::Entry;
use sqlx::AnyConnection;

use crate::error::FoldError;
use crate::projector::{DecodedEntry, Interest, Projector, TableDefinition, TableNames};
use crate::rows::{RowWriter, Value, without_nul};
use crate::summary::{regulation_tags, sentence};

/// Answers: what has happened, in order, and who did it?
#[derive(Debug, Clone, Copy)]
pub struct AuditTrail;

/// Most bytes of the text that is searched.
const MAX_SEARCH_TEXT_BYTES: usize = 4 * 1024;

const TABLES: &[TableDefinition] =
    &[TableDefinition { name: "audit_trail", ddl: include_str!("../../migrations/read/audit_trail.sql") }];

const ROWS: RowWriter = RowWriter {
    columns: &[
        "ledger_id",
        "position",
        "recorded_at",
        "event_type",
        "entity_type",
        "entity_id",
        "version",
        "actor_kind",
        "actor_id",
        "on_behalf_of",
        "correlation_id",
        "causation_id",
        "summary",
        "regulation_tags",
        "hash",
        "search_text",
    ],
    key: &[],
};

#[async_trait]
impl Projector for AuditTrail {
    fn name(&self) -> &'static str {
        daybook_read_models::audit_trail::PROJECTOR
    }

    fn version(&self) -> u32 {
        2
    }

    fn tables(&self) -> &'static [TableDefinition] {
        TABLES
    }

    /// Every stream; what this program does not know at all is listed as it is.
    fn interest(&self, stream_type: &str) -> Interest {
        if daybook_domain::events::STREAM_TYPES.contains(&stream_type) { Interest::Decoded } else { Interest::Raw }
    }

    async fn fold(
        &self,
        connection: &mut AnyConnection,
        tables: &TableNames,
        ledger_id: &str,
        batch: &[DecodedEntry],
    ) -> Result<(), FoldError> {
        let rows: Vec<Vec<Value<'_>>> = batch.iter().map(|entry| values(ledger_id, entry)).collect();
        ROWS.write(connection, &tables.of("audit_trail"), &rows).await
    }
}

fn values<'a>(ledger_id: &'a str, DecodedEntry { entry, event }: &'a DecodedEntry) -> Vec<Value<'a>> {
    // Metadata is a flat object of texts. Where it is not, it is not ours, and the row stands without it.
    let mut metadata: HashMap<String, String> = serde_json::from_str(&entry.metadata).unwrap_or_default();
    let mut field =
        |name: &str| Value::OptionalText(metadata.remove(name).map(|text| without_nul(&text).into_owned().into()));
    let (on_behalf_of, correlation_id, causation_id) =
        (field("on_behalf_of"), field("correlation_id"), field("causation_id"));
    let summary = without_nul(&sentence(entry, event.as_ref())).into_owned();
    let search_text = search_text(entry, &summary);
    let tags = regulation_tags(event.as_ref());
    // Commas all around, so that a search for `,SEC_17a4,` finds whole tags only.
    let tags = if tags.is_empty() { String::new() } else { format!(",{},", tags.join(",")) };
    vec![
        ledger_id.into(),
        entry.position.into(),
        entry.recorded_at.into(),
        (&entry.event_type).into(),
        (&entry.stream.stream_type).into(),
        (&entry.stream.stream_id).into(),
        entry.version.into(),
        entry.actor.kind.as_str().into(),
        (&entry.actor.id).into(),
        on_behalf_of,
        correlation_id,
        causation_id,
        Value::Text(summary.into()),
        Value::Text(tags.into()),
        Value::Text(entry.hash.to_string().into()),
        Value::Text(search_text.into()),
    ]
}

/// Ids, type, sentence and payload in lower case, cut at the end of a character. Sealed values are left out: nobody
/// looks for their letters, and they would take the place of what can be found.
fn search_text(entry: &Entry, summary: &str) -> String {
    let payload = without_sealed_values(entry.payload.as_deref().unwrap_or_default());
    let parts = [entry.stream.stream_id.as_str(), &entry.event_type, &entry.actor.id, summary, &payload];
    let mut text = String::new();
    for part in parts {
        let room = MAX_SEARCH_TEXT_BYTES.saturating_sub(text.len());
        // Lower case may take more bytes than the original; the final cut below settles that.
        text.push_str(&without_nul(cut(part, room)).to_lowercase());
        text.push(' ');
    }
    cut(&text, MAX_SEARCH_TEXT_BYTES).trim_end().to_owned()
}

/// A payload as text without its sealed values.
fn without_sealed_values(payload: &str) -> Cow<'_, str> {
    let mut parts = payload.split(SEALED_PREFIX);
    let first = parts.next().unwrap_or_default();
    if first.len() == payload.len() {
        return Cow::Borrowed(payload);
    }
    let is_sealed_letter = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    let rest = parts.map(|part| part.trim_start_matches(is_sealed_letter));
    Cow::Owned(std::iter::once(first).chain(rest).collect())
}

/// The longest beginning of at most `most` bytes.
fn cut(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let mut end = most;
    while end > 0 && !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
