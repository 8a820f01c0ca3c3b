//! Sentences about exports. They name ids, kinds and destinations, and repeat nothing that somebody wrote: a sentence is
//! kept where no key can be destroyed.

use daybook_domain::export::{DeliveryCause, DeliveryOutcome, RestsOn, VerificationResult};
use daybook_domain::export_schedule::{RunCause, ScheduledExport};
use daybook_domain::{ExportEvent, ExportScheduleEvent};

use super::keeping::few;

pub(super) fn export(id: &str, event: &ExportEvent) -> String {
    match event {
        ExportEvent::Requested(event) => {
            let to: Vec<&str> = event.deliver_to.iter().map(|name| name.as_str()).collect();
            let to = if to.is_empty() { String::new() } else { format!(" for {}", few(&to)) };
            format!(
                "Export {id} of {} as {} requested{to} ({})",
                event.kind.as_str().replace('_', " "),
                event.format,
                event.approval_id
            )
        }
        ExportEvent::Approved(event) => match event.approved_by.as_slice() {
            [] => format!("Export {id} may be made: its policy asks nobody ({})", event.approval_id),
            people => {
                let people: Vec<&str> = people.iter().map(|actor| actor.as_str()).collect();
                format!("Export {id} may be made: approved by {} ({})", few(&people), event.approval_id)
            }
        },
        ExportEvent::Rejected(event) => {
            format!("Export {id} may not be made: its approval {} was {}", event.approval_id, event.why)
        }
        ExportEvent::GenerationStarted(event) => format!("Export {id} is being made (attempt {})", event.attempt),
        ExportEvent::Generated(event) => format!(
            "Export {id} made: {} rows, {} bytes, SHA-256 {}, signed by key {}",
            event.rows, event.bytes, event.sha256, event.signature.key_id
        ),
        ExportEvent::GenerationFailed(event) => {
            let next = if event.is_final { "it is given up" } else { "it will be tried again" };
            format!("Export {id} could not be made in attempt {}: {next}", event.attempt)
        }
        ExportEvent::DeliveryScheduled(event) => {
            let again = match event.why {
                DeliveryCause::First => "",
                DeliveryCause::Redeliver => " once more",
            };
            format!("Export {id} is to be delivered to {}{again} ({})", event.destination, event.delivery_id)
        }
        ExportEvent::DeliveryAttempted(event) => {
            let outcome = match event.outcome {
                DeliveryOutcome::Delivered => "delivered to",
                DeliveryOutcome::Failed => "not yet delivered to",
                DeliveryOutcome::Dead => "given up for",
            };
            format!("Export {id} {outcome} {} (attempt {}, {})", event.destination, event.attempt, event.delivery_id)
        }
        ExportEvent::Verified(event) => match event.result {
            VerificationResult::Verified => format!("Export {id} verified: the file is what was recorded"),
            VerificationResult::Tampered => {
                format!(
                    "Export {id} tampered with: the file is not what was recorded (findings: {})",
                    event.findings.len()
                )
            }
            VerificationResult::Failed => format!("Export {id} could not be verified"),
        },
        ExportEvent::Collected(event) => format!("Export {id} handed out to {}", event.by),
        ExportEvent::Cancelled(event) => format!("Export {id} cancelled by {}", event.by),
        ExportEvent::Removed(event) => format!("File of export {id} removed by {}", event.by),
    }
}

pub(super) fn schedule(id: &str, event: &ExportScheduleEvent) -> String {
    match event {
        ExportScheduleEvent::Created(event) => {
            format!("Schedule {id} made: {} ({})", scheduled(&event.export), event.created_by)
        }
        ExportScheduleEvent::Changed(event) => {
            format!("Schedule {id} changed by {}: {}", event.by, scheduled(&event.export))
        }
        ExportScheduleEvent::Paused(event) => format!("Schedule {id} paused by {}", event.by),
        ExportScheduleEvent::Resumed(event) => format!("Schedule {id} resumed by {}", event.by),
        ExportScheduleEvent::Ended(event) => format!("Schedule {id} ended by {}", event.by),
        ExportScheduleEvent::StandingRequested(event) => {
            format!("Standing approval of schedule {id} until {} asked for ({})", event.until, event.approval_id)
        }
        ExportScheduleEvent::StandingApproved(event) => match event.approved_by.as_slice() {
            [] => format!(
                "Runs of schedule {id} need no further approval until {}: the policy asks nobody ({})",
                event.until, event.approval_id
            ),
            people => {
                let people: Vec<&str> = people.iter().map(|actor| actor.as_str()).collect();
                format!(
                    "Runs of schedule {id} need no further approval until {}: approved by {} ({})",
                    event.until,
                    few(&people),
                    event.approval_id
                )
            }
        },
        ExportScheduleEvent::StandingEnded(event) => {
            format!(
                "Standing approval {} of schedule {id} ended: {}",
                event.approval_id,
                event.why.as_str().replace('_', " ")
            )
        }
        ExportScheduleEvent::Run(event) => {
            let why = match event.cause {
                RunCause::Due => format!("due at {}", event.scheduled_for),
                RunCause::Asked => "asked for".to_owned(),
            };
            let missed = if event.missed == 0 { String::new() } else { format!(", {} missed before", event.missed) };
            let rests_on = match event.rests_on {
                RestsOn::Standing => "standing approval",
                RestsOn::Own => "own approval",
            };
            format!(
                "Run {} of schedule {id}: export {} ({why}{missed}; {rests_on} {})",
                event.run, event.export_id, event.approval_id
            )
        }
    }
}

fn scheduled(export: &ScheduledExport) -> String {
    let to: Vec<&str> = export.deliver_to.iter().map(|name| name.as_str()).collect();
    let to = if to.is_empty() { String::new() } else { format!(" for {}", few(&to)) };
    format!(
        "{} as {}{to}, at {} in {}",
        export.kind.as_str().replace('_', " "),
        export.format,
        export.cron,
        export.time_zone
    )
}
