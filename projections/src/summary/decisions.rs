//! Sentences about approvals, their policies and delegations. They name ids, actions, roles and people's ids, and repeat
//! nothing that somebody wrote: a sentence is kept where no key can be destroyed.

use daybook_domain::approval::{Decision, Expiry, Voted};
use daybook_domain::approval_policy::Electorate;
use daybook_domain::{ApprovalEvent, ApprovalPolicyEvent, DelegationEvent};

use super::keeping::few;

pub(super) fn approval(id: &str, event: &ApprovalEvent) -> String {
    match event {
        ApprovalEvent::Requested(event) => {
            let action = &event.action;
            // What is done elsewhere has ids of its own, which may be anything that somebody wrote.
            let of = if action.action.is_external() { String::new() } else { format!(" {}", action.resource_id) };
            let (kind, by) = (&action.resource_type, &event.requester.actor);
            format!("Approval {id} of {} for {kind}{of} requested by {by}", action.action)
        }
        ApprovalEvent::Submitted(event) => format!("Approval {id} submitted; to be decided by {}", event.decide_by),
        ApprovalEvent::Revised(event) => {
            format!("Approval {id} revised by {} (revision {}): its votes are void", event.by, event.revision)
        }
        ApprovalEvent::Voted(event) => vote(event, &format!("approval {id}")),
        ApprovalEvent::VoteWithdrawn(event) => {
            format!("{} took back the vote on approval {id} (step {})", event.person, event.step)
        }
        ApprovalEvent::Approved(event) => match event.approved_by.as_slice() {
            [] => format!("Approval {id} granted: its policy asks nobody"),
            people => {
                let people: Vec<&str> = people.iter().map(|actor| actor.as_str()).collect();
                format!("Approval {id} granted by {}, until {}", few(&people), event.grant_expires_at)
            }
        },
        ApprovalEvent::Rejected(event) => {
            format!("Approval {id} rejected by {} (step {})", event.rejected_by, event.step)
        }
        ApprovalEvent::Commented(event) => format!("Comment of {} on approval {id}", event.by),
        ApprovalEvent::Assigned(event) => format!("Approval {id} assigned to {}", event.assignee),
        ApprovalEvent::Escalated(event) => {
            let by = match &event.by {
                Some(by) if !event.automatic => format!(" by {by}"),
                _ => " for want of a decision".to_owned(),
            };
            format!("Approval {id} escalated{by} to {} (level {})", electorates(&event.to), event.level)
        }
        ApprovalEvent::Withdrawn(event) => format!("Approval {id} withdrawn by {}", event.by),
        ApprovalEvent::Expired(event) => match event.what {
            Expiry::Draft => format!("Approval {id} expired: the draft was not submitted in time"),
            Expiry::Decision => format!("Approval {id} expired: nobody decided in time"),
            Expiry::Grant => format!("Approval {id} expired: what was approved was not done in time"),
        },
        ApprovalEvent::Consumed(event) => format!("Approval {id} used for {} by {}", event.execution_id, event.by),
        ApprovalEvent::Voided(event) => format!("Approval {id} voided: {}", event.why.as_str().replace('_', " ")),
        ApprovalEvent::GlassBroken(event) => format!(
            "GLASS BROKEN: {} granted approval {id} alone, until {}; to be reviewed by {}",
            event.actor, event.grant_expires_at, event.review_by
        ),
        ApprovalEvent::Reviewed(event) => vote(event, &format!("the broken glass of approval {id}")),
        ApprovalEvent::ReviewClosed(event) => format!("Review of the broken glass of approval {id}: {}", event.outcome),
        ApprovalEvent::ReviewOverdue(event) => {
            format!("Review of the broken glass of approval {id} is overdue since {}", event.review_by)
        }
    }
}

fn vote(event: &Voted, what: &str) -> String {
    let vote = &event.vote;
    let verb = match vote.decision {
        Decision::Approve => "voted to approve",
        Decision::Reject => "voted to reject",
    };
    let whose = vote.on_behalf_of.as_ref().map(|person| format!(" for {person}")).unwrap_or_default();
    let signed = if vote.signature.is_some() { ", signed" } else { "" };
    format!("{}{whose} {verb} {what} (step {}{signed})", vote.actor, vote.step)
}

pub(super) fn approval_policy(id: &str, event: &ApprovalPolicyEvent) -> String {
    match event {
        ApprovalPolicyEvent::Defined(event) => {
            format!("Approval policy of {id} set to version {} ({} rules)", event.version, event.rules.len())
        }
        ApprovalPolicyEvent::Retired(event) => {
            format!("Approval policy of {id} retired (version {}): the built-in one holds", event.version)
        }
    }
}

pub(super) fn delegation(id: &str, event: &DelegationEvent) -> String {
    match event {
        DelegationEvent::Given(event) => {
            let actions: Vec<&str> = event.actions.iter().map(|action| action.as_str()).collect();
            let what = if actions.is_empty() { "everything".to_owned() } else { few(&actions) };
            format!(
                "Delegation {id}: {} stands in for {} in {what} from {} until {}",
                event.to, event.from, event.starts_at, event.ends_at
            )
        }
        DelegationEvent::Accepted(event) => format!("Delegation {id} accepted by {}", event.by),
        DelegationEvent::Ended(event) => format!("Delegation {id} ended by {}", event.by),
    }
}

fn electorates(electorates: &[Electorate]) -> String {
    let named: Vec<String> = electorates
        .iter()
        .map(|electorate| match electorate {
            Electorate::Role(role) => format!("role {role}"),
            Electorate::Department(department) => format!("department {department}"),
            Electorate::Person(person) => person.to_string(),
        })
        .collect();
    few(&named)
}
