//! The projector `approval_policies`: every version of every approval policy that somebody has set.

use async_trait::async_trait;
use daybook_domain::approval_policy::ApprovalPolicyEvent;
use daybook_domain::{AnyEvent, approval_policy};
use daybook_ledger::entry::Entry;
use sqlx::AnyConnection;

use crate::error::FoldError;
use crate::projector::{DecodedEntry, Interest, Projector, TableDefinition, TableNames};
use crate::rows::{RowWriter, Value, written};

/// Answers: who had to agree to what, since when, and who said so?
#[derive(Debug, Clone, Copy)]
pub struct ApprovalPolicies;

const TABLES: &[TableDefinition] =
    &[TableDefinition { name: "approval_policies", ddl: include_str!("../../migrations/read/approval_policies.sql") }];

const ROWS: RowWriter = RowWriter {
    columns: &[
        "ledger_id",
        "position",
        "action",
        "policy_version",
        "rules",
        "changed_by",
        "reason",
        "approval_id",
        "changed_at",
    ],
    key: &[],
};

#[async_trait]
impl Projector for ApprovalPolicies {
    fn name(&self) -> &'static str {
        daybook_read_models::approval_policies::PROJECTOR
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [TableDefinition] {
        TABLES
    }

    fn interest(&self, stream_type: &str) -> Interest {
        if stream_type == "approval_policy" { Interest::Decoded } else { Interest::Ignored }
    }

    async fn fold(
        &self,
        connection: &mut AnyConnection,
        tables: &TableNames,
        ledger_id: &str,
        batch: &[DecodedEntry],
    ) -> Result<(), FoldError> {
        let rows: Vec<Vec<Value<'_>>> = batch
            .iter()
            .filter_map(|DecodedEntry { entry, event }| match event {
                Some(AnyEvent::ApprovalPolicy(event)) => Some(values(ledger_id, entry, event)),
                _ => None,
            })
            .collect();
        ROWS.write(connection, &tables.of("approval_policies"), &rows).await
    }
}

fn values<'a>(ledger_id: &'a str, entry: &'a Entry, event: &'a ApprovalPolicyEvent) -> Vec<Value<'a>> {
    let (version, rules, by, reason, approval_id) = match event {
        ApprovalPolicyEvent::Defined(event) => {
            let approval_policy::Defined { version, rules, by, reason, approval_id, .. } = &**event;
            (*version, Some(written(rules)), by, reason, approval_id)
        }
        ApprovalPolicyEvent::Retired(approval_policy::Retired { version, by, reason, approval_id }) => {
            (*version, None, by, reason, approval_id)
        }
    };
    vec![
        ledger_id.into(),
        entry.position.into(),
        (&entry.stream.stream_id).into(),
        version.into(),
        Value::optional(rules),
        by.as_str().into(),
        reason.as_str().into(),
        approval_id.as_str().into(),
        entry.recorded_at.into(),
    ]
}
