//! An export: asked for, approved, made, brought where it is wanted, verified, and removed one day.
//!
//! Nothing is made before the approval that it was asked for with is used up, and nothing goes where it was not approved
//! to go. Of several that make the same export at once one wins: the attempt that was begun last, known by its number and
//! by the fencing number of its lease. Making, delivering and verifying happen elsewhere; here is what came of it.

mod action;
mod command;
mod decide;
mod digest;
mod event;
#[cfg(test)]
mod tests;
mod words;

use serde::{Deserialize, Serialize};

pub use action::export_action;
pub use command::{
    ExportCommand, ExportError, MAX_COLUMNS, MAX_DELIVERIES, MAX_DESTINATIONS, MAX_FILTER_BYTES, MAX_FILTERS,
    MAX_FINDINGS, MAX_NAME_BYTES,
};
pub(crate) use decide::check_parts;
pub use digest::HexDigest;
pub use event::{
    Approved, Cancelled, CheckpointReference, Collected, DeliveryAttempted, DeliveryScheduled, ExportEvent, Generated,
    GenerationFailed, GenerationStarted, LedgerRange, ManifestFile, ManifestSignature, Rejected, Removed, Requested,
    ScheduledRun, Verified,
};
pub use words::{
    DeliveryCause, DeliveryOutcome, DeliveryStatus, ExportFormat, ExportKind, ExportStatus, RejectionCause, RestsOn,
    SignatureAlgorithm, VerificationResult, VerificationStatus,
};

use crate::names::{DeliveryId, DestinationName};
use crate::stream::aggregate;
use crate::text::Line;
use crate::time::Timestamp;

/// An export. The default value is one that nobody asked for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Export {
    standing: Option<Standing>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Standing {
    request: Requested,
    status: ExportStatus,
    approved: Option<Approved>,
    attempt: Option<GenerationStarted>,
    last_failure: Option<GenerationFailed>,
    #[serde(default)]
    failures: u64,
    #[serde(default)]
    interruptions: u64,
    generated: Option<Generated>,
    deliveries: Vec<Delivery>,
    last_verification: Option<Verified>,
    collected: Option<Collected>,
}

/// A delivery and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id.
    pub delivery_id: DeliveryId,
    /// Where to.
    pub destination: DestinationName,
    /// Why.
    pub why: DeliveryCause,
    /// Attempts so far.
    pub attempts: u64,
    /// What the last one came to; `None` before the first.
    pub outcome: Option<DeliveryOutcome>,
    /// What the destination said.
    pub detail: Option<Line>,
    /// When it is tried again.
    pub retry_at: Option<Timestamp>,
}

impl Delivery {
    /// Whether it is still to be tried.
    pub fn is_open(&self) -> bool {
        matches!(self.outcome, None | Some(DeliveryOutcome::Failed))
    }
}

impl Export {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 2;
    /// Filters and reasons may name people.
    pub const HOLDS_PERSONAL_DATA: bool = true;

    /// Whether somebody asked for it.
    pub fn exists(&self) -> bool {
        self.standing.is_some()
    }

    /// What was asked for.
    pub fn request(&self) -> Option<&Requested> {
        self.standing.as_ref().map(|standing| &standing.request)
    }

    /// How far it has come.
    pub fn status(&self) -> Option<ExportStatus> {
        self.standing.as_ref().map(|standing| standing.status)
    }

    /// That it may be made.
    pub fn approved(&self) -> Option<&Approved> {
        self.standing.as_ref().and_then(|standing| standing.approved.as_ref())
    }

    /// The attempt that was begun last.
    pub fn attempt(&self) -> Option<&GenerationStarted> {
        self.standing.as_ref().and_then(|standing| standing.attempt.as_ref())
    }

    /// What was last in the way of making it.
    pub fn last_failure(&self) -> Option<&GenerationFailed> {
        self.standing.as_ref().and_then(|standing| standing.last_failure.as_ref())
    }

    /// Attempts that failed. Those that were interrupted are not among them.
    pub fn failures(&self) -> u64 {
        self.standing.as_ref().map_or(0, |standing| standing.failures)
    }

    /// Attempts that nobody ended.
    pub fn interruptions(&self) -> u64 {
        self.standing.as_ref().map_or(0, |standing| standing.interruptions)
    }

    /// The file, also when it was removed since.
    pub fn generated(&self) -> Option<&Generated> {
        self.standing.as_ref().and_then(|standing| standing.generated.as_ref())
    }

    /// Whether the file is there.
    pub fn has_file(&self) -> bool {
        self.status() == Some(ExportStatus::Generated)
    }

    /// Every delivery, in the order in which they were scheduled.
    pub fn deliveries(&self) -> &[Delivery] {
        self.standing.as_ref().map_or(&[], |standing| &standing.deliveries)
    }

    /// One delivery.
    pub fn delivery(&self, id: &DeliveryId) -> Option<&Delivery> {
        self.deliveries().iter().find(|delivery| delivery.delivery_id == *id)
    }

    /// Destinations that it is wanted at and that have no delivery yet.
    pub fn destinations_not_scheduled(&self) -> impl Iterator<Item = &DestinationName> {
        let wanted = self.request().map_or(&[][..], |request| &request.deliver_to);
        wanted.iter().filter(|name| self.deliveries().iter().all(|delivery| delivery.destination != **name))
    }

    /// Whether it came to where it was wanted. Of several deliveries to one destination the last counts.
    pub fn delivery_status(&self) -> DeliveryStatus {
        self.standing.as_ref().map_or(DeliveryStatus::None, Standing::delivery_status)
    }

    /// The last verification.
    pub fn last_verification(&self) -> Option<&Verified> {
        self.standing.as_ref().and_then(|standing| standing.last_verification.as_ref())
    }

    /// What the last verification came to.
    pub fn verification_status(&self) -> VerificationStatus {
        match self.last_verification().map(|verified| verified.result) {
            None => VerificationStatus::Unverified,
            Some(VerificationResult::Verified) => VerificationStatus::Verified,
            Some(VerificationResult::Tampered) => VerificationStatus::Tampered,
            Some(VerificationResult::Failed) => VerificationStatus::Failed,
        }
    }

    /// That whoever asked for it took it.
    pub fn collected(&self) -> Option<&Collected> {
        self.standing.as_ref().and_then(|standing| standing.collected.as_ref())
    }

    /// Whether it is there, or will be, to be taken by asking the same again.
    pub fn waits_to_be_collected(&self) -> bool {
        self.standing.as_ref().is_some_and(|standing| {
            let may_come = matches!(
                standing.status,
                ExportStatus::Requested | ExportStatus::Approved | ExportStatus::Generating | ExportStatus::Generated
            );
            standing.request.collect && standing.collected.is_none() && may_come
        })
    }

    /// Follows what happened. An event that cannot belong here leaves the state alone.
    fn fold(&mut self, event: ExportEvent) {
        match (&mut self.standing, event) {
            (None, ExportEvent::Requested(request)) => self.standing = Some(Standing::new(request)),
            (Some(standing), event) => standing.fold(event),
            (None, _) => {}
        }
    }
}

impl Standing {
    fn new(request: Requested) -> Self {
        Self {
            request,
            status: ExportStatus::Requested,
            approved: None,
            attempt: None,
            last_failure: None,
            failures: 0,
            interruptions: 0,
            generated: None,
            deliveries: Vec::new(),
            last_verification: None,
            collected: None,
        }
    }

    fn fold(&mut self, event: ExportEvent) {
        match event {
            ExportEvent::Requested(_) => {}
            ExportEvent::Approved(event) => {
                self.status = ExportStatus::Approved;
                self.approved = Some(event);
            }
            ExportEvent::Rejected(_) => self.status = ExportStatus::Rejected,
            ExportEvent::GenerationStarted(event) => {
                self.status = ExportStatus::Generating;
                self.attempt = Some(event);
            }
            ExportEvent::Generated(event) => {
                self.status = ExportStatus::Generated;
                self.generated = Some(event);
            }
            ExportEvent::GenerationFailed(event) => {
                if event.is_final {
                    self.status = ExportStatus::Failed;
                }
                // The same attempt may be said to have failed twice: that it was the last is added later.
                let is_new = self.last_failure.as_ref().is_none_or(|before| before.attempt != event.attempt);
                match (is_new, event.is_interruption) {
                    (true, true) => self.interruptions = self.interruptions.saturating_add(1),
                    (true, false) => self.failures = self.failures.saturating_add(1),
                    (false, _) => {}
                }
                self.last_failure = Some(event);
            }
            ExportEvent::DeliveryScheduled(event) => self.deliveries.push(Delivery {
                delivery_id: event.delivery_id,
                destination: event.destination,
                why: event.why,
                attempts: 0,
                outcome: None,
                detail: None,
                retry_at: None,
            }),
            ExportEvent::DeliveryAttempted(event) => self.fold_attempt(event),
            ExportEvent::Verified(event) => self.last_verification = Some(event),
            ExportEvent::Collected(event) => self.collected = Some(event),
            ExportEvent::Cancelled(_) => self.status = ExportStatus::Cancelled,
            ExportEvent::Removed(_) => self.status = ExportStatus::Removed,
        }
    }

    fn fold_attempt(&mut self, event: DeliveryAttempted) {
        let mut deliveries = self.deliveries.iter_mut();
        if let Some(delivery) = deliveries.find(|delivery| delivery.delivery_id == event.delivery_id) {
            delivery.attempts = event.attempt;
            delivery.outcome = Some(event.outcome);
            delivery.detail = event.detail;
            delivery.retry_at = event.retry_at;
        }
    }

    fn last_delivery_to(&self, destination: &DestinationName) -> Option<&Delivery> {
        self.deliveries.iter().rev().find(|delivery| delivery.destination == *destination)
    }

    fn delivery_status(&self) -> DeliveryStatus {
        let ended_without =
            matches!(self.status, ExportStatus::Failed | ExportStatus::Rejected | ExportStatus::Cancelled);
        if self.request.deliver_to.is_empty() || ended_without {
            return DeliveryStatus::None;
        }
        let last: Vec<Option<&Delivery>> =
            self.request.deliver_to.iter().map(|destination| self.last_delivery_to(destination)).collect();
        // What was not delivered before the file was removed never will be.
        let can_come = self.status != ExportStatus::Removed;
        if can_come && last.iter().any(|delivery| delivery.is_none_or(Delivery::is_open)) {
            return DeliveryStatus::Pending;
        }
        let has_it = |delivery: &&Option<&Delivery>| {
            delivery.is_some_and(|delivery| delivery.outcome == Some(DeliveryOutcome::Delivered))
        };
        match last.iter().filter(has_it).count() {
            0 => DeliveryStatus::Failed,
            count if count == last.len() => DeliveryStatus::Delivered,
            _ => DeliveryStatus::Partial,
        }
    }
}

aggregate!(Export = "export", ExportCommand => ExportEvent, ExportError);
