//! The projector `delegations`: who stands in for whom, and when.

use async_trait::async_trait;
use daybook_domain::AnyEvent;
use daybook_domain::delegation::{DelegationEvent, Given};
use daybook_ledger::entry::Entry;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::error::FoldError;
use crate::kept::{Kept, KeptRow};
use crate::projector::{DecodedEntry, Interest, Projector, TableDefinition, TableNames};
use crate::rows::{RowWriter, Value, natural, written};

/// Answers: who may decide in whose place?
#[derive(Debug, Clone, Copy)]
pub struct Delegations;

const TABLES: &[TableDefinition] =
    &[TableDefinition { name: "delegations", ddl: include_str!("../../migrations/read/delegations.sql") }];

const ROWS: RowWriter = RowWriter {
    columns: &[
        "ledger_id",
        "delegation_id",
        "from_person",
        "to_person",
        "starts_at",
        "ends_at",
        "actions",
        "reason",
        "given_by",
        "given_at",
        "accepted_at",
        "ended_at",
        "ended_by",
        "first_position",
        "last_position",
        "version",
    ],
    key: &["ledger_id", "delegation_id"],
};

/// A row of `delegations`.
struct State {
    delegation_id: String,
    from: String,
    to: String,
    starts_at: i64,
    ends_at: i64,
    actions: String,
    reason: Option<String>,
    given_by: String,
    given_at: i64,
    accepted_at: Option<i64>,
    ended_at: Option<i64>,
    ended_by: Option<String>,
    first_position: u64,
    last_position: u64,
    version: u64,
}

#[async_trait]
impl Projector for Delegations {
    fn name(&self) -> &'static str {
        daybook_read_models::delegations::PROJECTOR
    }

    fn version(&self) -> u32 {
        2
    }

    fn tables(&self) -> &'static [TableDefinition] {
        TABLES
    }

    fn interest(&self, stream_type: &str) -> Interest {
        if stream_type == "delegation" { Interest::Decoded } else { Interest::Ignored }
    }

    async fn fold(
        &self,
        connection: &mut AnyConnection,
        tables: &TableNames,
        ledger_id: &str,
        batch: &[DecodedEntry],
    ) -> Result<(), FoldError> {
        let table = tables.of("delegations");
        let mut states = Kept::of_streams(connection, &table, ledger_id, batch, "delegation").await?;
        for DecodedEntry { entry, event } in batch {
            match event {
                Some(AnyEvent::Delegation(DelegationEvent::Given(given))) => {
                    states.insert(State::given(entry, given));
                }
                Some(AnyEvent::Delegation(DelegationEvent::Accepted(accepted))) => {
                    let Some(state) = states.get_mut(&entry.stream.stream_id) else { continue };
                    state.accepted_at = Some(accepted.at.micros());
                    state.last_position = entry.position;
                    state.version = entry.version;
                }
                Some(AnyEvent::Delegation(DelegationEvent::Ended(ended))) => {
                    let Some(state) = states.get_mut(&entry.stream.stream_id) else { continue };
                    state.ended_at = Some(ended.at.micros());
                    state.ended_by = Some(ended.by.to_string());
                    state.last_position = entry.position;
                    state.version = entry.version;
                }
                _ => {}
            }
        }
        states.write(connection, &table, ledger_id).await
    }
}

impl State {
    fn given(entry: &Entry, given: &Given) -> Self {
        Self {
            delegation_id: entry.stream.stream_id.clone(),
            from: given.from.to_string(),
            to: given.to.to_string(),
            starts_at: given.starts_at.micros(),
            ends_at: given.ends_at.micros(),
            actions: written(&given.actions),
            reason: given.reason.as_ref().map(ToString::to_string),
            given_by: given.by.to_string(),
            given_at: entry.recorded_at,
            accepted_at: None,
            ended_at: None,
            ended_by: None,
            first_position: entry.position,
            last_position: entry.position,
            version: entry.version,
        }
    }
}

impl KeptRow for State {
    const WRITER: RowWriter = ROWS;
    const ID: &'static str = "delegation_id";

    fn id(&self) -> &str {
        &self.delegation_id
    }

    fn first_position(&self) -> u64 {
        self.first_position
    }

    fn read(row: &AnyRow) -> Result<Self, FoldError> {
        Ok(Self {
            delegation_id: row.try_get("delegation_id")?,
            from: row.try_get("from_person")?,
            to: row.try_get("to_person")?,
            starts_at: row.try_get("starts_at")?,
            ends_at: row.try_get("ends_at")?,
            actions: row.try_get("actions")?,
            reason: row.try_get("reason")?,
            given_by: row.try_get("given_by")?,
            given_at: row.try_get("given_at")?,
            accepted_at: row.try_get("accepted_at")?,
            ended_at: row.try_get("ended_at")?,
            ended_by: row.try_get("ended_by")?,
            first_position: natural(row, "first_position")?,
            last_position: natural(row, "last_position")?,
            version: natural(row, "version")?,
        })
    }

    fn values<'a>(&'a self, ledger_id: &'a str) -> Result<Vec<Value<'a>>, FoldError> {
        Ok(vec![
            ledger_id.into(),
            (&self.delegation_id).into(),
            (&self.from).into(),
            (&self.to).into(),
            self.starts_at.into(),
            self.ends_at.into(),
            (&self.actions).into(),
            (&self.reason).into(),
            (&self.given_by).into(),
            self.given_at.into(),
            self.accepted_at.into(),
            self.ended_at.into(),
            (&self.ended_by).into(),
            self.first_position.into(),
            self.last_position.into(),
            self.version.into(),
        ])
    }
}
