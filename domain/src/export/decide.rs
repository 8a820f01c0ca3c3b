//! What a command to an export leads to.

use std::collections::{BTreeMap, BTreeSet};

use super::command::{
    ExportCommand, ExportError, MAX_COLUMNS, MAX_DELIVERIES, MAX_DESTINATIONS, MAX_FILTER_BYTES, MAX_FILTERS,
    MAX_FINDINGS, MAX_NAME_BYTES,
};
use super::event::{
    Approved, Cancelled, Collected, DeliveryAttempted, DeliveryScheduled, ExportEvent, Generated, GenerationFailed,
    GenerationStarted, Rejected, Removed, Requested, Verified,
};
use super::words::{
    DeliveryCause, DeliveryOutcome, ExportFormat, ExportKind, ExportStatus, RejectionCause, VerificationResult,
};
use super::{Export, Standing};
use crate::names::{ApprovalId, DeliveryId, DestinationName};
use crate::text::{ActorId, Line, Reason};
use crate::time::Timestamp;

type Decision = Result<Vec<ExportEvent>, ExportError>;

impl Export {
    /// What the command leads to. No events: it asks for what is already so.
    pub fn decide(&self, command: ExportCommand) -> Decision {
        match (&self.standing, command) {
            (None, ExportCommand::Request(request)) => {
                check_bounds(&request)?;
                Ok(vec![ExportEvent::Requested(*request)])
            }
            (None, _) => Err(ExportError::NotFound),
            (Some(standing), ExportCommand::Request(request)) => {
                let fields = differing_fields(&standing.request, &request);
                if fields.is_empty() { Ok(Vec::new()) } else { Err(ExportError::Exists { fields }) }
            }
            (Some(standing), command) => standing.decide(command),
        }
    }
}

impl Standing {
    fn decide(&self, command: ExportCommand) -> Decision {
        match command {
            ExportCommand::Request(_) => Ok(Vec::new()),
            ExportCommand::Approve(approved) => self.approve(approved),
            ExportCommand::Reject { approval_id, why } => self.reject(approval_id, why),
            ExportCommand::StartGeneration(started) => self.start_generation(started),
            ExportCommand::RecordGenerated { fence, generated } => self.record_generated(fence, *generated),
            ExportCommand::RecordGenerationFailed { fence, failed } => self.record_generation_failed(fence, failed),
            ExportCommand::ScheduleDelivery { delivery_id, destination, why } => {
                self.schedule_delivery(delivery_id, destination, why)
            }
            ExportCommand::RecordDeliveryAttempt { delivery_id, attempt, outcome, detail, retry_at, at } => {
                self.record_delivery_attempt(&delivery_id, attempt, outcome, detail, retry_at, at)
            }
            ExportCommand::RecordVerification(verified) => self.record_verification(verified),
            ExportCommand::Collect(collected) => self.collect(collected),
            ExportCommand::Cancel { by, reason, at } => self.cancel(by, reason, at),
            ExportCommand::Remove(removed) => self.remove(removed),
        }
    }

    fn approve(&self, approved: Approved) -> Decision {
        self.must_be_decided_by(&approved.approval_id)?;
        let before = self.approved.as_ref();
        if before.is_some_and(|before| before.execution_id == approved.execution_id) {
            return Ok(Vec::new());
        }
        match self.status {
            ExportStatus::Requested => Ok(vec![ExportEvent::Approved(approved)]),
            status => Err(ExportError::AlreadyDecided { status }),
        }
    }

    fn reject(&self, approval_id: ApprovalId, why: RejectionCause) -> Decision {
        self.must_be_decided_by(&approval_id)?;
        match self.status {
            // Also after it was let through, while there is no file: what its approval rested on may have changed since.
            ExportStatus::Requested | ExportStatus::Approved | ExportStatus::Generating => {
                Ok(vec![ExportEvent::Rejected(Rejected { approval_id, why })])
            }
            ExportStatus::Rejected => Ok(Vec::new()),
            status => Err(ExportError::AlreadyDecided { status }),
        }
    }

    fn must_be_decided_by(&self, approval_id: &ApprovalId) -> Result<(), ExportError> {
        if self.request.approval_id == *approval_id { Ok(()) } else { Err(ExportError::OtherApproval) }
    }

    fn start_generation(&self, started: GenerationStarted) -> Decision {
        if !matches!(self.status, ExportStatus::Approved | ExportStatus::Generating) {
            return Err(ExportError::NotToBeGenerated { status: self.status });
        }
        let (last, last_fence) = self.attempt.as_ref().map_or((0, 0), |attempt| (attempt.attempt, attempt.fence));
        let is_running = self.last_failure.as_ref().is_none_or(|failure| failure.attempt != last);
        if is_running && last > 0 && (started.attempt, started.fence) == (last, last_fence) {
            return Ok(Vec::new());
        }
        if last.checked_add(1) != Some(started.attempt) || started.fence < last_fence {
            return Err(stale(&started));
        }
        Ok(vec![ExportEvent::GenerationStarted(started)])
    }

    fn record_generated(&self, fence: u64, generated: Generated) -> Decision {
        if let Some(before) = &self.generated {
            let is_the_same = before.attempt == generated.attempt && before.blake3 == generated.blake3;
            return if is_the_same {
                Ok(Vec::new())
            } else {
                Err(ExportError::StaleAttempt { attempt: generated.attempt, fence })
            };
        }
        self.must_be_running(generated.attempt, fence)?;
        // An attempt that was said to have failed is over; what it may have left behind is not the export.
        if self.last_failure.as_ref().is_some_and(|failure| failure.attempt == generated.attempt) {
            return Err(ExportError::StaleAttempt { attempt: generated.attempt, fence });
        }
        Ok(vec![ExportEvent::Generated(generated)])
    }

    fn record_generation_failed(&self, fence: u64, failed: GenerationFailed) -> Decision {
        let before = self.last_failure.as_ref().filter(|before| before.attempt == failed.attempt);
        if before.is_some_and(|before| before.is_final == failed.is_final) {
            return Ok(Vec::new());
        }
        self.must_be_running(failed.attempt, fence)?;
        Ok(vec![ExportEvent::GenerationFailed(failed)])
    }

    /// Whether this is the attempt that was begun last: the fence against whoever was overtaken.
    fn must_be_running(&self, attempt: u64, fence: u64) -> Result<(), ExportError> {
        if self.status != ExportStatus::Generating {
            return Err(ExportError::NotToBeGenerated { status: self.status });
        }
        match &self.attempt {
            Some(last) if last.attempt == attempt && last.fence == fence => Ok(()),
            _ => Err(ExportError::StaleAttempt { attempt, fence }),
        }
    }

    fn schedule_delivery(&self, delivery_id: DeliveryId, destination: DestinationName, why: DeliveryCause) -> Decision {
        if let Some(before) = self.deliveries.iter().find(|delivery| delivery.delivery_id == delivery_id) {
            let is_the_same = before.destination == destination && before.why == why;
            return if is_the_same { Ok(Vec::new()) } else { Err(ExportError::DeliveryExists) };
        }
        self.must_have_file()?;
        if !self.request.deliver_to.contains(&destination) {
            return Err(ExportError::DestinationNotApproved { destination });
        }
        if self.last_delivery_to(&destination).is_some_and(super::Delivery::is_open) {
            return Err(ExportError::DeliveryUnderWay { destination });
        }
        // The first delivery is there once, whoever schedules it and under which id.
        if why == DeliveryCause::First && self.last_delivery_to(&destination).is_some() {
            return Ok(Vec::new());
        }
        if self.deliveries.len() >= MAX_DELIVERIES {
            return Err(ExportError::TooManyDeliveries);
        }
        Ok(vec![ExportEvent::DeliveryScheduled(DeliveryScheduled { delivery_id, destination, why })])
    }

    /// Also when the file is gone: what was under way then came to something.
    fn record_delivery_attempt(
        &self,
        delivery_id: &DeliveryId,
        attempt: u64,
        outcome: DeliveryOutcome,
        detail: Option<Line>,
        retry_at: Option<Timestamp>,
        at: Timestamp,
    ) -> Decision {
        let delivery = self.deliveries.iter().find(|delivery| delivery.delivery_id == *delivery_id);
        let delivery = delivery.ok_or(ExportError::DeliveryNotFound)?;
        if attempt > 0 && delivery.attempts == attempt && delivery.outcome == Some(outcome) {
            return Ok(Vec::new());
        }
        if !delivery.is_open() || delivery.attempts.checked_add(1) != Some(attempt) {
            return Err(ExportError::StaleDelivery { attempt });
        }
        Ok(vec![ExportEvent::DeliveryAttempted(DeliveryAttempted {
            delivery_id: delivery.delivery_id.clone(),
            destination: delivery.destination.clone(),
            attempt,
            outcome,
            detail,
            retry_at: retry_at.filter(|_| outcome == DeliveryOutcome::Failed),
            at,
        })])
    }

    /// Every look at the file is a fact of its own; only the very same one is not told twice.
    fn record_verification(&self, verified: Verified) -> Decision {
        if self.last_verification.as_ref() == Some(&verified) {
            return Ok(Vec::new());
        }
        self.must_have_file()?;
        let says_nothing_wrong = verified.findings.is_empty();
        let is_coherent = says_nothing_wrong == (verified.result == VerificationResult::Verified);
        if verified.findings.len() > MAX_FINDINGS || !is_coherent {
            return Err(ExportError::Findings);
        }
        Ok(vec![ExportEvent::Verified(verified)])
    }

    fn collect(&self, collected: Collected) -> Decision {
        if self.collected.as_ref() == Some(&collected) {
            return Ok(Vec::new());
        }
        if !self.request.collect {
            return Err(ExportError::NotCollectable);
        }
        if collected.by != self.request.requested_by && collected.by != self.request.person {
            return Err(ExportError::NotYours);
        }
        self.must_have_file()?;
        if self.collected.is_some() {
            return Err(ExportError::AlreadyCollected);
        }
        Ok(vec![ExportEvent::Collected(collected)])
    }

    fn cancel(&self, by: ActorId, reason: Option<Reason>, at: Timestamp) -> Decision {
        match self.status {
            ExportStatus::Requested | ExportStatus::Approved | ExportStatus::Generating => {
                Ok(vec![ExportEvent::Cancelled(Cancelled { by, reason, at })])
            }
            ExportStatus::Cancelled => Ok(Vec::new()),
            status => Err(ExportError::TooLateToCancel { status }),
        }
    }

    fn remove(&self, removed: Removed) -> Decision {
        if self.status == ExportStatus::Removed {
            return Ok(Vec::new());
        }
        self.must_have_file()?;
        Ok(vec![ExportEvent::Removed(removed)])
    }

    fn must_have_file(&self) -> Result<(), ExportError> {
        match self.status {
            ExportStatus::Generated => Ok(()),
            status => Err(ExportError::NoFile { status }),
        }
    }
}

fn stale(started: &GenerationStarted) -> ExportError {
    ExportError::StaleAttempt { attempt: started.attempt, fence: started.fence }
}

fn check_bounds(request: &Requested) -> Result<(), ExportError> {
    check_parts(request.kind, request.format, &request.filters, &request.columns, &request.deliver_to)
}

/// Whether the form is one of the kind's, and filters, columns and destinations keep the bounds.
pub(crate) fn check_parts(
    kind: ExportKind,
    format: ExportFormat,
    filters: &BTreeMap<String, String>,
    columns: &[String],
    deliver_to: &[DestinationName],
) -> Result<(), ExportError> {
    let is_plain = |text: &str, most: usize| text.len() <= most && !text.chars().any(char::is_control);
    let is_name = |text: &str| !text.is_empty() && is_plain(text, MAX_NAME_BYTES);
    let filters_fit = filters.iter().all(|(name, value)| is_name(name) && is_plain(value, MAX_FILTER_BYTES));
    if filters.len() > MAX_FILTERS || !filters_fit {
        return Err(ExportError::Filters);
    }
    if !kind.comes_as(format) {
        return Err(ExportError::Format { kind, format });
    }
    if columns.len() > MAX_COLUMNS || !columns.iter().all(|name| is_name(name)) || has_twins(columns) {
        return Err(ExportError::Columns);
    }
    if deliver_to.len() > MAX_DESTINATIONS || has_twins(deliver_to) {
        return Err(ExportError::Destinations);
    }
    Ok(())
}

fn has_twins<T: Ord>(items: &[T]) -> bool {
    items.iter().collect::<BTreeSet<_>>().len() != items.len()
}

fn differing_fields(before: &Requested, request: &Requested) -> Vec<&'static str> {
    [
        ("export_id", before.export_id == request.export_id),
        ("kind", before.kind == request.kind),
        ("format", before.format == request.format),
        ("filters", before.filters == request.filters),
        ("columns", before.columns == request.columns),
        ("requested_by", before.requested_by == request.requested_by),
        ("person", before.person == request.person),
        ("approval_id", before.approval_id == request.approval_id),
        ("deliver_to", before.deliver_to == request.deliver_to),
        ("collect", before.collect == request.collect),
        ("reason", before.reason == request.reason),
        ("digest", before.digest == request.digest),
        ("schedule", before.schedule == request.schedule),
    ]
    .into_iter()
    .filter_map(|(field, same)| (!same).then_some(field))
    .collect()
}
