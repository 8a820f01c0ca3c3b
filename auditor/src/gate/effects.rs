//! Entries that say that something was done which needs an approval: each must have used one up, before, for exactly that.

use std::collections::{BTreeMap, HashMap};

use super::payloads::ExportRequested;
use super::told::Context;
use super::trail::Trail;
use crate::report::FindingKind;

/// What was done, and which approval it names.
pub(super) struct Effect<'a> {
    /// What it is, for people.
    pub(super) what: String,
    pub(super) approval_id: &'a str,
    /// The execution that the approval must have been used for.
    pub(super) execution_id: &'a str,
    pub(super) action: &'a str,
    pub(super) resource_id: &'a str,
    /// The digest that the effect itself states.
    pub(super) digest: Option<&'a str>,
    /// The version of the policy that the effect itself states.
    pub(super) policy_version: Option<u64>,
    /// Parameters that the approved action must have, and no others.
    pub(super) parameters: BTreeMap<String, String>,
}

/// Judges one effect against the approval that it names. `left_out`: not all approvals are known.
pub(super) fn judge(
    effect: &Effect<'_>,
    trails: &mut HashMap<String, Trail>,
    left_out: bool,
    context: &mut Context<'_>,
) {
    context.told.counts.gated_actions += 1;
    let (what, id) = (&effect.what, effect.approval_id);
    let Some(trail) = trails.get_mut(id) else {
        if !left_out {
            let detail = format!("{what} names the approval {id}, which nobody asked for before");
            context.fault(FindingKind::ActionWithoutApproval, detail);
        }
        return;
    };
    let Some(used) = &trail.used else {
        let detail = format!("{what} names the approval {id}, which had not been used for it");
        return context.fault(FindingKind::ActionWithoutApproval, detail);
    };
    if used.is_taken_back {
        let detail = format!("{what} names the approval {id}, whose use had been taken back");
        return context.fault(FindingKind::ActionWithoutApproval, detail);
    }
    if let Some(earlier) = used.effect {
        let detail = format!("{what} names the approval {id}, which position {earlier} names as well");
        return context.fault(FindingKind::ApprovalReused, detail);
    }
    if used.execution_id != effect.execution_id {
        let detail =
            format!("{what} is the execution {}, and {id} was used for {}", effect.execution_id, used.execution_id);
        context.fault(FindingKind::ApprovalExecutionMismatch, detail);
    }
    let same_action = trail.action.action == effect.action
        && trail.action.resource_id == effect.resource_id
        && same_parameters(&trail.action.parameters, &effect.parameters)
        && effect.digest.is_none_or(|digest| digest == used.digest);
    if !same_action {
        let detail = format!("{what} is not what {id} was asked for");
        context.fault(FindingKind::ApprovalDigestMismatch, detail);
    }
    if effect.policy_version.is_some_and(|version| version != trail.policy.version) {
        let detail = format!("{what} states another version of the policy than {id}");
        context.fault(FindingKind::ApprovalPolicyMismatch, detail);
    }
    if let Some(used) = &mut trail.used {
        used.effect = Some(context.position);
    }
}

/// The parameters under which an export is approved.
pub(super) fn export_parameters(request: &ExportRequested) -> BTreeMap<String, String> {
    let fixed = [
        ("kind", request.kind.clone()),
        ("format", request.format.clone()),
        ("columns", request.columns.join(",")),
        ("deliver_to", request.deliver_to.join(",")),
        ("collect", request.collect.to_string()),
    ];
    let filters = request.filters.iter().map(|(name, value)| (format!("filter.{name}"), value.clone()));
    fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(filters).collect()
}

/// Whether names and values are the same; a value that is JSON may be written otherwise.
fn same_parameters(approved: &BTreeMap<String, String>, done: &BTreeMap<String, String>) -> bool {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok().filter(|value| !value.is_number());
    let same = |one: &str, other: &str| one == other || json(one).is_some_and(|one| json(other) == Some(one));
    approved.len() == done.len()
        && approved.iter().zip(done).all(|((name, one), (other_name, other))| name == other_name && same(one, other))
}
