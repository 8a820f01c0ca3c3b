//! Setting a rule, once that is approved: of exactly this, in the place of exactly what holds now.
//!
//! What can never hold is refused before anybody is asked, and again when it is done: a rule may have been made longer in
//! between, and no approval makes one shorter.

use std::collections::BTreeMap;

use daybook_approvals::{Approvals, Changed, Gated, Grant, Needed, Passage};
use daybook_domain::InvalidField;
use daybook_domain::approval::{Action, Change, KnownAction};
use daybook_domain::names::Word;
use daybook_domain::retention_rule::{RecordType, Retention, RetentionRule, RetentionRuleCommand};
use daybook_domain::text::{ActorId, Line, Paragraph, Reason};
use daybook_http_kit::permission::RetentionManage;
use daybook_http_kit::{Permission, Problem};
use daybook_ledger::commands::{CommandContext, Outcome};

use crate::people::carried::execute;
use crate::people::operations::Doing;
use crate::problems::{invalid, refusal, refused};

/// What somebody is told whose change waits for votes.
const REQUIRES_APPROVAL: &str = "A change of a retention rule requires approval";

/// A change as it is asked for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) record_type: RecordType,
    pub(super) retention: Retention,
    pub(super) reason: Reason,
}

/// A rule as it is, and the version of its stream.
struct Before {
    rule: RetentionRule,
    stream_version: u64,
}

/// Sets a rule, once that is approved. Where it holds already nothing happens.
pub(super) async fn set(
    doing: &Doing<'_>,
    approvals: &Approvals,
    wanted: Wanted,
    context: CommandContext,
) -> Result<Changed<RetentionRule>, Problem> {
    approvals.check_key(&context).await?;
    let commands = &doing.identity.retention_rules;
    let found = commands.load(wanted.record_type.as_str()).await.map_err(refusal)?;
    let before = match found {
        Some(found) if found.aggregate.retention() == Some(wanted.retention) => return Ok(Changed::Done(found)),
        Some(found) => Before { stream_version: found.version, rule: found.aggregate },
        None => Before { stream_version: 0, rule: RetentionRule::default() },
    };
    before.rule.may_become(wanted.record_type, wanted.retention).map_err(|error| refused(&error))?;
    let action = action(&before.rule, &wanted).map_err(invalid)?;
    let gated = Gated {
        action: action.clone(),
        required_permissions: vec![Needed::everywhere(RetentionManage::NAME)],
        reason: Some(wanted.reason.clone()),
        execution_id: format!("{}/{}", wanted.record_type, before.rule.version().saturating_add(1)),
        detail: REQUIRES_APPROVAL,
    };
    match approvals.pass(doing.caller, gated, &context).await? {
        Passage::Blocked(blocked) => {
            approvals.keep_key(&context, &blocked).await?;
            Ok(Changed::Blocked(blocked))
        }
        Passage::Granted(grant) => {
            put_in_force(doing, grant, &action, wanted, before.stream_version, context).await.map(Changed::Done)
        }
    }
}

/// Makes the change that the grant is for: not while something is being taken away.
async fn put_in_force(
    doing: &Doing<'_>,
    grant: Grant,
    action: &Action,
    wanted: Wanted,
    stream_version: u64,
    context: CommandContext,
) -> Result<Outcome<RetentionRule>, Problem> {
    if !grant.covers(action) {
        return Err(Problem::conflict("approval.digest_mismatch", "what is to be done is not what was approved"));
    }
    let identity = doing.identity;
    let _custody = identity.directory.custody_turn().await?;
    let Wanted { record_type, retention, reason } = wanted;
    let by = ActorId::parse("", doing.caller.actor.id.as_str()).map_err(invalid)?;
    let approval_id = grant.approval_id().clone();
    let command = RetentionRuleCommand::Set { record_type, retention, by, reason, approval_id };
    let context = CommandContext { expected_version: Some(stream_version), ..context };
    execute::<RetentionRule>(identity, &identity.retention_rules, record_type.as_str(), command, context).await
}

/// What is approved: the rule as it will be, the version that it follows, and the difference for people to read.
fn action(before: &RetentionRule, wanted: &Wanted) -> Result<Action, InvalidField> {
    let known = KnownAction::RetentionChange;
    let Wanted { record_type, retention, .. } = wanted;
    let parameters = [
        ("record_type", record_type.to_string()),
        ("follows_version", before.version().to_string()),
        ("class", retention.class.to_string()),
        ("years", retention.years.to_string()),
        ("keeps_identities", retention.keeps_identities.to_string()),
    ];
    let parameters: BTreeMap<String, String> =
        parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let named = if retention.keeps_identities { ", with who acted in them" } else { "" };
    let summary = format!("Keep records of the type {record_type} for {} years{named}, for good", retention.years);
    Action::new(
        known.into(),
        Word::parse("/resource_type", known.resource_type())?,
        Line::parse("/resource_id", record_type.as_str())?,
        parameters,
        changes(before.retention(), *retention)?,
        Line::parse("/summary", summary)?,
        None,
        None,
    )
}

fn changes(before: Option<Retention>, after: Retention) -> Result<Vec<Change>, InvalidField> {
    let told = |retention: &Retention| {
        [
            ("class", retention.class.to_string()),
            ("years", retention.years.to_string()),
            ("keeps_identities", retention.keeps_identities.to_string()),
        ]
    };
    let old = before.as_ref().map(told);
    let mut changes = Vec::new();
    for (index, (field, new)) in told(&after).into_iter().enumerate() {
        let old = old.as_ref().and_then(|old| old.get(index)).map(|(_, value)| value.as_str());
        if old != Some(new.as_str()) {
            changes.push(Change {
                field: Line::parse("/changes", field)?,
                before: Paragraph::parse_optional("/changes", old)?,
                after: Some(Paragraph::parse("/changes", new)?),
            });
        }
    }
    Ok(changes)
}
