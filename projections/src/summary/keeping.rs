//! Sentences about keys, access, holds and erasures. They name ids, codes and routes, and repeat nothing that somebody
//! wrote: a sentence is kept where no key can be destroyed.

use daybook_domain::legal_hold::Covered;
use daybook_domain::{AccessEvent, ApiKeyEvent, ErasureEvent, LegalHoldEvent, RetentionRuleEvent};

pub(super) fn api_key(id: &str, event: &ApiKeyEvent) -> String {
    match event {
        ApiKeyEvent::Created(event) => {
            let scopes: Vec<&str> = event.scopes.iter().map(|scope| scope.as_str()).collect();
            let until = event.expires_at.map(|time| format!(", until {time}")).unwrap_or_default();
            format!("API key {id} created ({}{until})", scopes.join(", "))
        }
        ApiKeyEvent::Changed(event) => {
            let fields: Vec<&str> = event.changes.iter().map(|change| change.field()).collect();
            format!("API key {id} changed ({})", fields.join(", "))
        }
        ApiKeyEvent::Rotated(event) => {
            format!("API key {id} rotated; the old secret opens until {}", event.old_valid_until)
        }
        ApiKeyEvent::Revoked(_) => format!("API key {id} revoked"),
    }
}

pub(super) fn access(event: &AccessEvent) -> String {
    match event {
        AccessEvent::Denied(event) => format!(
            "{} was denied {} {}: {} is missing{}",
            event.actor_id,
            event.method,
            event.route,
            event.permission,
            times(event.count)
        ),
        AccessEvent::Refused(event) => {
            let at = match (&event.method, &event.route) {
                (Some(method), Some(route)) => format!(" at {method} {route}"),
                _ => String::new(),
            };
            format!("Credentials refused{at}: {}{}", event.reason, times(event.count))
        }
        AccessEvent::LoginFailed(event) => {
            let whose = event.user_id.as_ref().map(|id| format!(" of user {id}")).unwrap_or_default();
            format!("Login{whose} failed: {}{}", event.reason, times(event.count))
        }
        AccessEvent::Throttled(event) => {
            let whose = event.user_id.as_ref().map(|id| format!(" for user {id}")).unwrap_or_default();
            format!("Too many attempts at {}{whose}{}", event.what, times(event.count))
        }
        AccessEvent::Read(event) => match event.reads.as_slice() {
            [read] => format!("{} read {}", event.actor_id, read.route),
            reads => format!("{} read {} things", event.actor_id, reads.len()),
        },
    }
}

pub(super) fn retention_rule(event: &RetentionRuleEvent) -> String {
    let RetentionRuleEvent::Set(event) = event;
    let named = if event.keeps_identities { ", and whoever acted in them stays known as long" } else { "" };
    format!("Records of the type {} are kept for {} years ({}){named}", event.record_type, event.years, event.class)
}

pub(super) fn legal_hold(id: &str, event: &LegalHoldEvent) -> String {
    match event {
        LegalHoldEvent::Placed(event) => format!("Legal hold {id} placed on {}", covered(&event.covers)),
        LegalHoldEvent::Extended(event) => format!("Legal hold {id} extended to {}", covered(&event.covers)),
        LegalHoldEvent::Released(_) => format!("Legal hold {id} released"),
    }
}

pub(super) fn erasure(id: &str, event: &ErasureEvent) -> String {
    match event {
        ErasureEvent::Requested(event) => {
            format!("Erasure {id} of subject {} requested by {}", event.subject, event.requested_by)
        }
        ErasureEvent::Approved(event) => format!("Erasure {id} approved by {}", event.approved_by),
        ErasureEvent::Rejected(event) => format!("Erasure {id} rejected by {}", event.rejected_by),
        ErasureEvent::Refused(event) => {
            let retained =
                event.retained.iter().map(|kept| format!("{} records kept until {}", kept.record_type, kept.until));
            let why: Vec<String> = event.holds.iter().map(|hold| hold.to_string()).chain(retained).collect();
            format!("Erasure {id} refused because of {}", few(&why))
        }
        ErasureEvent::Performed(event) => {
            format!("Erasure {id} performed: the key of subject {} was destroyed", event.subject)
        }
    }
}

fn covered(covers: &[Covered]) -> String {
    let named: Vec<String> = covers
        .iter()
        .map(|covered| match covered {
            Covered::Subject { id } => format!("subject {id}"),
            Covered::Stream { stream_type, stream_id } => format!("{stream_type} {stream_id}"),
        })
        .collect();
    few(&named)
}

/// The first few of a list, and how many more there are.
pub(super) fn few<T: AsRef<str>>(names: &[T]) -> String {
    const TOLD: usize = 3;
    let told: Vec<&str> = names.iter().take(TOLD).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(TOLD) {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

fn times(count: u64) -> String {
    if count > 1 { format!(" ({count} times)") } else { String::new() }
}
