//! One readable sentence for an event, and the regulations that ask for it to be kept.

mod decisions;
mod keeping;
mod leaving;
mod people;

use daybook_domain::{
    AnyEvent, ApprovalEvent, IncidentEvent, LedgerEvent, SigningKeyEvent, TransactionEvent, UserEvent,
};
use daybook_ledger::entry::Entry;

/// SEC Rule 17a-4: records of brokers and dealers.
const SEC: &str = "SEC_17a4";
/// FINRA Rule 4511: books and records in general.
const FINRA: &str = "FINRA_4511";
/// MiFID II, Article 16(6), and MiFIR, Article 25(1): records of transactions, from the first entry to the last; Article 16(7): how
/// long they are kept.
const MIFID: &str = "MiFID_II";
/// GDPR article 17: the right to be forgotten.
const GDPR: &str = "GDPR_17";
/// Longest quotation of free text in a sentence.
const MAX_QUOTED_CHARS: usize = 120;

/// What happened, in one sentence without its subject's name. What people wrote is left out: it is sealed.
pub(crate) fn sentence(entry: &Entry, event: Option<&AnyEvent>) -> String {
    let id = &entry.stream.stream_id;
    match event {
        Some(AnyEvent::Transaction(event)) => transaction(id, event),
        Some(AnyEvent::Incident(event)) => incident(id, event),
        Some(AnyEvent::Ledger(event)) => ledger(id, event),
        Some(AnyEvent::SigningKey(event)) => signing_key(id, event),
        Some(AnyEvent::Organization(event)) => people::organization(id, event),
        Some(AnyEvent::Department(event)) => people::department(id, event),
        Some(AnyEvent::Role(event)) => people::role(id, event),
        Some(AnyEvent::Permission(event)) => people::permission(id, event),
        Some(AnyEvent::User(event)) => people::user(id, event),
        Some(AnyEvent::Session(event)) => people::session(id, event),
        Some(AnyEvent::ApiKey(event)) => keeping::api_key(id, event),
        Some(AnyEvent::Access(event)) => keeping::access(event),
        Some(AnyEvent::LegalHold(event)) => keeping::legal_hold(id, event),
        Some(AnyEvent::Erasure(event)) => keeping::erasure(id, event),
        Some(AnyEvent::RetentionRule(event)) => keeping::retention_rule(event),
        Some(AnyEvent::Approval(event)) => decisions::approval(id, event),
        Some(AnyEvent::ApprovalPolicy(event)) => decisions::approval_policy(id, event),
        Some(AnyEvent::Delegation(event)) => decisions::delegation(id, event),
        Some(AnyEvent::Export(event)) => leaving::export(id, event),
        Some(AnyEvent::ExportSchedule(event)) => leaving::schedule(id, event),
        None if entry.payload.is_none() => format!("{} of {}; its payload was pruned", entry.event_type, entry.stream),
        None => format!("{} of {}", entry.event_type, entry.stream),
    }
}

fn transaction(id: &str, event: &TransactionEvent) -> String {
    match event {
        TransactionEvent::Recorded(content) => {
            format!("Transaction {id} recorded: {}, {}", content.money(), content.status)
        }
        TransactionEvent::StatusChanged(event) => {
            let reason = because(event.reason.as_ref());
            format!("Transaction {id} went from {} to {}{reason}", event.from, event.to)
        }
        TransactionEvent::Corrected(event) => {
            let fields: Vec<&str> = event.changes.iter().map(|change| change.field()).collect();
            format!("Transaction {id} corrected ({}){}", fields.join(", "), because(Some(&event.reason)))
        }
        TransactionEvent::NoteAdded(event) => format!("Note on transaction {id}{}", because(event.text.clear())),
    }
}

fn incident(id: &str, event: &IncidentEvent) -> String {
    match event {
        IncidentEvent::Opened(content) => {
            format!("Incident {id} opened ({}): {}", content.severity, quoted(&content.title))
        }
        IncidentEvent::Acknowledged(event) => format!("Incident {id} acknowledged{}", because(event.note.as_ref())),
        IncidentEvent::InvestigationStarted(event) => {
            format!("Investigation of incident {id} started{}", because(event.note.as_ref()))
        }
        IncidentEvent::Resolved(event) => format!("Incident {id} resolved{}", because(event.resolution.as_ref())),
        IncidentEvent::Closed(event) => format!("Incident {id} closed{}", because(event.note.as_ref())),
        IncidentEvent::Reopened(event) => format!("Incident {id} reopened{}", because(Some(&event.reason))),
        IncidentEvent::Assigned(event) => match &event.to {
            Some(assignee) => format!("Incident {id} assigned to {assignee}"),
            None => format!("Incident {id} assigned to nobody"),
        },
        IncidentEvent::Escalated(event) => {
            let to = event.to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
            format!("Incident {id} escalated{to} (level {}){}", event.level, because(event.reason.as_ref()))
        }
        IncidentEvent::Commented(event) => format!("Comment on incident {id}{}", because(event.text.clear())),
        IncidentEvent::SeverityChanged(event) => {
            let reason = because(event.reason.as_ref());
            format!("Severity of incident {id} changed from {} to {}{reason}", event.from, event.to)
        }
        IncidentEvent::PriorityChanged(event) => {
            let reason = because(event.reason.as_ref());
            format!("Priority of incident {id} changed from {} to {}{reason}", event.from.get(), event.to.get())
        }
        IncidentEvent::DetailsChanged(event) => {
            let fields: Vec<&str> = event.changes.iter().map(|change| change.field()).collect();
            let reason = because(event.reason.as_ref());
            format!("Details of incident {id} changed ({}){reason}", fields.join(", "))
        }
    }
}

fn ledger(id: &str, event: &LedgerEvent) -> String {
    match event {
        LedgerEvent::Sealed(seal) => format!("Ledger {id} sealed: its first {} entries are bound together", seal.size),
        LedgerEvent::Anchored(anchor) => format!(
            "Checkpoint of the first {} entries of ledger {id} time-stamped by {} at {}",
            anchor.size,
            quoted(&anchor.tsa),
            anchor.generated_at
        ),
    }
}

fn signing_key(id: &str, event: &SigningKeyEvent) -> String {
    match event {
        SigningKeyEvent::Activated(key) => {
            format!("Key {} ({}) began to sign checkpoints of ledger {id}", quoted(&key.key_id), key.algorithm)
        }
        SigningKeyEvent::Retired(key) => {
            format!("Key {} ceased to sign checkpoints of ledger {id}", quoted(&key.key_id))
        }
    }
}

fn because<T: ToString>(reason: Option<&T>) -> String {
    reason.map(|reason| format!(": {}", quoted(reason))).unwrap_or_default()
}

/// Free text on one line, cut where it is long.
fn quoted(text: &impl ToString) -> String {
    let line = text.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// The regulations that the event is kept for: as the predecessors tagged it, and whatever happens to a transaction by MiFID II,
/// which they named and never gave. Another tag for anything is another version of the projector.
pub(crate) fn regulation_tags(event: Option<&AnyEvent>) -> &'static [&'static str] {
    match event {
        Some(AnyEvent::Transaction(event)) => match event {
            TransactionEvent::Recorded(_) | TransactionEvent::StatusChanged(_) | TransactionEvent::Corrected(_) => {
                &[SEC, FINRA, MIFID]
            }
            TransactionEvent::NoteAdded(_) => &[FINRA, MIFID],
        },
        Some(AnyEvent::Incident(event)) => match event {
            IncidentEvent::Opened(_) | IncidentEvent::Escalated(_) => &[SEC],
            IncidentEvent::Acknowledged(_)
            | IncidentEvent::InvestigationStarted(_)
            | IncidentEvent::Resolved(_)
            | IncidentEvent::Closed(_)
            | IncidentEvent::Reopened(_)
            | IncidentEvent::SeverityChanged(_)
            | IncidentEvent::PriorityChanged(_) => &[SEC, FINRA],
            IncidentEvent::Assigned(_) | IncidentEvent::Commented(_) | IncidentEvent::DetailsChanged(_) => &[FINRA],
        },
        // Seals, time stamps and keys are how it is shown that records were kept as they were: SEC 17a-4(f).
        Some(AnyEvent::Ledger(_) | AnyEvent::SigningKey(_)) => &[SEC],
        // Who could get at the records, and who did, belongs to the audit trail of SEC 17a-4(f).
        Some(
            AnyEvent::Organization(_)
            | AnyEvent::Department(_)
            | AnyEvent::Role(_)
            | AnyEvent::Permission(_)
            | AnyEvent::Session(_)
            | AnyEvent::ApiKey(_)
            | AnyEvent::Access(_),
        ) => &[SEC],
        Some(AnyEvent::User(event)) => match event {
            UserEvent::Erased(_) => &[SEC, GDPR],
            _ => &[SEC],
        },
        Some(AnyEvent::LegalHold(_)) => &[SEC, FINRA],
        Some(AnyEvent::Erasure(_)) => &[GDPR],
        // How long records are kept is what 17a-4, 4511(b) and Article 16(7) ask for.
        Some(AnyEvent::RetentionRule(_)) => &[SEC, FINRA, MIFID],
        Some(AnyEvent::Approval(event)) => match event {
            ApprovalEvent::Requested(_)
            | ApprovalEvent::Submitted(_)
            | ApprovalEvent::Revised(_)
            | ApprovalEvent::Commented(_)
            | ApprovalEvent::Assigned(_)
            | ApprovalEvent::Withdrawn(_) => &[FINRA],
            ApprovalEvent::Escalated(_) => &[SEC],
            ApprovalEvent::Voted(_)
            | ApprovalEvent::VoteWithdrawn(_)
            | ApprovalEvent::Approved(_)
            | ApprovalEvent::Rejected(_)
            | ApprovalEvent::Expired(_)
            | ApprovalEvent::Consumed(_)
            | ApprovalEvent::Voided(_)
            | ApprovalEvent::GlassBroken(_)
            | ApprovalEvent::Reviewed(_)
            | ApprovalEvent::ReviewClosed(_)
            | ApprovalEvent::ReviewOverdue(_) => &[SEC, FINRA],
        },
        // Who had to agree, and who stood in for whom, is how a decision is understood.
        Some(AnyEvent::ApprovalPolicy(_) | AnyEvent::Delegation(_)) => &[SEC, FINRA],
        Some(AnyEvent::Export(_) | AnyEvent::ExportSchedule(_)) => &[SEC],
        None => &[],
    }
}
