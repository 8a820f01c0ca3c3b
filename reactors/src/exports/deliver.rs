//! Bringing a file where it is wanted: each attempt is an entry, and a delivery keeps its id through all of its attempts, so
//! that a receiver knows a repetition for what it is.

use std::time::Duration;

use daybook_domain::export::{
    Delivery, DeliveryCause, DeliveryOutcome, Export, ExportCommand, ExportStatus, Requested,
};
use daybook_domain::names::{DeliveryId, DestinationName};
use daybook_domain::text::Line;
use daybook_domain::{InvalidField, Timestamp};
use daybook_exports::delivery::{DeliveryError, Destination, Package, PackageRequest, Receipt};
use daybook_ledger::commands::CommandError;
use futures::future::join_all;

use super::agenda::Phase;
use super::step::{Next, StepError};
use super::{Driver, pacing};
use crate::lease::Fence;

/// Longest time for one attempt, but for its bytes.
const ATTEMPT_PATIENCE: Duration = Duration::from_secs(15 * 60);
/// So many bytes give it another second.
const BYTES_A_SECOND: u64 = 256 * 1024;

/// What an attempt came to.
struct Attempted {
    outcome: DeliveryOutcome,
    detail: String,
    retry_at: Option<Timestamp>,
}

impl Driver {
    /// Schedules what is not scheduled, attempts what is due, and says when the next attempt is.
    pub(super) async fn deliver(
        &self,
        export: &Export,
        request: &Requested,
        fence: &Fence,
        phase: Phase,
    ) -> Result<Next, StepError> {
        if let Some(generated) = export.generated()
            && export.deliveries().iter().all(|delivery| delivery.attempts == 0)
        {
            // What attempts have left that were overtaken.
            self.tidy(request, 1..generated.attempt).await?;
        }
        let mut has_scheduled = false;
        for destination in export.destinations_not_scheduled() {
            let command = ExportCommand::ScheduleDelivery {
                delivery_id: first_delivery(request, destination)?,
                destination: destination.clone(),
                why: DeliveryCause::First,
            };
            match self.record(request, command).await {
                // Removed meanwhile, or scheduled by somebody else: it has to be looked at again.
                Ok(_) | Err(CommandError::Refused(_)) => has_scheduled = true,
                Err(error) => return Err(error.into()),
            }
        }
        if has_scheduled {
            return Ok(Next::Again);
        }
        let now = (self.clock)();
        let is_due = |delivery: &&Delivery| delivery.retry_at.is_none_or(|retry_at| retry_at.micros() <= now);
        let (due, later): (Vec<&Delivery>, Vec<&Delivery>) =
            export.deliveries().iter().filter(|delivery| delivery.is_open()).partition(is_due);
        if due.is_empty() {
            let next = later.iter().filter_map(|delivery| delivery.retry_at).min();
            return Ok(next.map_or(Next::Nothing, |next| Next::At(next.micros())));
        }
        if phase != Phase::Deliver {
            return Ok(Next::Deliver);
        }
        // Side by side: a destination that hangs holds up no other one.
        let attempts = due.into_iter().map(|delivery| self.attempt(export, request, delivery, fence));
        for attempted in join_all(attempts).await {
            attempted?;
        }
        Ok(Next::Again)
    }

    async fn attempt(
        &self,
        export: &Export,
        request: &Requested,
        delivery: &Delivery,
        fence: &Fence,
    ) -> Result<(), StepError> {
        let number = delivery.attempts.saturating_add(1);
        let attempted = self.hand_over(export, request, delivery, number).await?;
        // Whoever has the lease now delivers it once more, under the same id.
        if !fence.is_held() {
            return Err(StepError::LeaseEnded);
        }
        let outcome = attempted.outcome;
        self.status.send_modify(|status| match outcome {
            DeliveryOutcome::Delivered => status.delivered += 1,
            DeliveryOutcome::Failed => status.delivery_failures += 1,
            DeliveryOutcome::Dead => status.dead_letters += 1,
        });
        let (export_id, destination) = (&request.export_id, &delivery.destination);
        match outcome {
            DeliveryOutcome::Delivered => tracing::info!(export = %export_id, %destination, "an export was delivered"),
            DeliveryOutcome::Failed => {
                tracing::warn!(export = %export_id, %destination, attempt = number, why = attempted.detail, "a delivery failed; it is tried again");
            }
            DeliveryOutcome::Dead => {
                tracing::error!(export = %export_id, %destination, attempt = number, why = attempted.detail, "a delivery was given up");
            }
        }
        let command = ExportCommand::RecordDeliveryAttempt {
            delivery_id: delivery.delivery_id.clone(),
            attempt: number,
            outcome,
            detail: Some(Line::lenient(&attempted.detail)),
            retry_at: attempted.retry_at,
            at: self.now()?,
        };
        match self.record(request, command).await {
            // Recorded by another process: the export is looked at again.
            Ok(_) | Err(CommandError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn hand_over(
        &self,
        export: &Export,
        request: &Requested,
        delivery: &Delivery,
        number: u64,
    ) -> Result<Attempted, StepError> {
        let dead = |detail: String| Attempted { outcome: DeliveryOutcome::Dead, detail, retry_at: None };
        let Some(destination) = self.destinations.get(&delivery.destination) else {
            return Ok(dead("no destination of this name is configured".to_owned()));
        };
        let (Some(generated), Some(ExportStatus::Generated)) = (export.generated(), export.status()) else {
            return Ok(dead("the file is not there any more".to_owned()));
        };
        let package = PackageRequest {
            delivery_id: delivery.delivery_id.clone(),
            ledger_id: self.reader.id().as_str(),
            request,
            generated,
            download_url: self.settings.download_url(&request.export_id),
            at: (self.clock)(),
        };
        let brought = self.bring(destination.as_ref(), package);
        let patience = patience(destination.as_ref(), generated.bytes);
        let error = match tokio::time::timeout(patience, brought).await {
            Ok(Ok(receipt)) => {
                let detail = receipt.to_string();
                return Ok(Attempted { outcome: DeliveryOutcome::Delivered, detail, retry_at: None });
            }
            Ok(Err(error)) => error,
            Err(_) => DeliveryError::temporary(format!("took longer than {} seconds", patience.as_secs())),
        };
        let is_over = error.is_permanent || number >= u64::from(self.settings.delivery.attempts);
        if is_over {
            return Ok(dead(error.to_string()));
        }
        let asked = error.retry_after.unwrap_or_default().min(self.settings.delivery.longest);
        let pause = self.settings.delivery.pause_with_jitter_micros(number).max(pacing::micros(asked));
        let retry_at = Timestamp::from_micros((self.clock)().saturating_add(pause)).ok_or(StepError::Clock)?;
        Ok(Attempted { outcome: DeliveryOutcome::Failed, detail: error.to_string(), retry_at: Some(retry_at) })
    }
}

impl Driver {
    async fn bring(
        &self,
        destination: &dyn Destination,
        package: PackageRequest<'_>,
    ) -> Result<Receipt, DeliveryError> {
        // Two small files; what is wrong with them is found before anybody is asked.
        let package = Package::load(&self.files, package)?;
        destination.deliver(&package).await
    }
}

/// How long one attempt with so many bytes may take: never less than the destination itself allows.
fn patience(destination: &dyn Destination, bytes: u64) -> Duration {
    let by_length = ATTEMPT_PATIENCE.saturating_add(Duration::from_secs(bytes / BYTES_A_SECOND));
    by_length.max(destination.patience(bytes).unwrap_or_default())
}

/// The id of the first delivery to a destination: the same whoever schedules it, and however often.
fn first_delivery(request: &Requested, destination: &DestinationName) -> Result<DeliveryId, InvalidField> {
    let digest = blake3::derive_key(
        "daybook 2026-11 first delivery of an export v1",
        format!("{}\n{destination}", request.export_id).as_bytes(),
    );
    let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    DeliveryId::parse("", format!("dlv_{digits}"))
}
