//! What can be asked of an export, and why it is refused.

use super::event::{Approved, Collected, Generated, GenerationFailed, GenerationStarted, Removed, Requested, Verified};
use super::words::{DeliveryCause, DeliveryOutcome, ExportFormat, ExportKind, ExportStatus, RejectionCause};
use crate::names::{ApprovalId, DeliveryId, DestinationName};
use crate::refusal::refusals;
use crate::text::{ActorId, Line, Reason};
use crate::time::Timestamp;

/// Most filters of an export.
pub const MAX_FILTERS: usize = 50;
/// Most bytes of a filter's name and of a column's.
pub const MAX_NAME_BYTES: usize = 100;
/// Most bytes of a filter's value: a list of departments' names among them.
pub const MAX_FILTER_BYTES: usize = 32 * 1024;
/// Most columns.
pub const MAX_COLUMNS: usize = 200;
/// Most destinations.
pub const MAX_DESTINATIONS: usize = 20;
/// Most deliveries of one export, repetitions included.
pub const MAX_DELIVERIES: usize = 1_000;
/// Most findings of one verification.
pub const MAX_FINDINGS: usize = 100;

/// A command to one export.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportCommand {
    /// Ask for it: the event as it is to be.
    Request(Box<Requested>),
    /// Record that it may be made.
    Approve(Approved),
    /// Record that it may not be made.
    Reject {
        /// The approval that ended.
        approval_id: ApprovalId,
        /// How.
        why: RejectionCause,
    },
    /// Begin to make it: the attempt after the last, under a fencing number that is not below the last.
    StartGeneration(GenerationStarted),
    /// Record the file. Only the attempt that was begun last can, with its fencing number.
    RecordGenerated {
        /// The fencing number that the attempt was begun with.
        fence: u64,
        /// The event as it is to be.
        generated: Box<Generated>,
    },
    /// Record that the attempt came to nothing.
    RecordGenerationFailed {
        /// The fencing number that the attempt was begun with.
        fence: u64,
        /// The event as it is to be.
        failed: GenerationFailed,
    },
    /// Have it brought to a destination.
    ScheduleDelivery {
        /// A new id; the same one again is the same delivery.
        delivery_id: DeliveryId,
        /// Where to: one of those that it was approved for.
        destination: DestinationName,
        /// Why.
        why: DeliveryCause,
    },
    /// Record what an attempt to deliver came to.
    RecordDeliveryAttempt {
        /// Which delivery.
        delivery_id: DeliveryId,
        /// Which attempt: the one after the last.
        attempt: u64,
        /// What it came to.
        outcome: DeliveryOutcome,
        /// What the destination said.
        detail: Option<Line>,
        /// When it is tried again. Kept only where it failed.
        retry_at: Option<Timestamp>,
        /// When.
        at: Timestamp,
    },
    /// Record what a verification came to.
    RecordVerification(Verified),
    /// Hand it to whoever asked for it.
    Collect(Collected),
    /// Not wanted any more; only while there is no file.
    Cancel {
        /// Who says so.
        by: ActorId,
        /// Why.
        reason: Option<Reason>,
        /// When.
        at: Timestamp,
    },
    /// Record that the file is gone.
    Remove(Removed),
}

refusals! {
    /// Why a command to an export is refused.
    ExportError {
        /// There is no such export.
        #[error("there is no such export")]
        NotFound = "export.not_found", NotFound;
        /// There is an export with this id.
        #[error("the export already exists with other content: {} differs", fields.join(", "))]
        Exists {
            /// The fields that differ from the request.
            fields: Vec<&'static str>,
        } = "export.exists", Exists;
        /// Too many filters, or one that is too long.
        #[error("an export has at most {MAX_FILTERS} filters, names of 1 to {MAX_NAME_BYTES} bytes and values of at most {MAX_FILTER_BYTES}, without control characters")]
        Filters = "export.filters", Rule, "/filters";
        /// Too many columns, or one twice.
        #[error("an export names at most {MAX_COLUMNS} columns, each once, in 1 to {MAX_NAME_BYTES} bytes without control characters")]
        Columns = "export.columns", Rule, "/columns";
        /// Too many destinations, or one twice.
        #[error("an export names at most {MAX_DESTINATIONS} destinations, each once")]
        Destinations = "export.destinations", Rule, "/deliver_to";
        /// Its kind does not come in that form.
        #[error("{kind} does not come as {format}: evidence packs are zip files, and nothing else is")]
        Format {
            /// The kind.
            kind: ExportKind,
            /// The form.
            format: ExportFormat,
        } = "export.format", Rule, "/format";
        /// It was asked for under another approval.
        #[error("the export is decided by another approval")]
        OtherApproval = "export.other_approval", Rule, "/approval_id";
        /// It was decided otherwise.
        #[error("the export is already {status}")]
        AlreadyDecided {
            /// Its status.
            status: ExportStatus,
        } = "export.already_decided", Rule;
        /// It may not be made, or is there already.
        #[error("the export is {status}: it is not to be generated")]
        NotToBeGenerated {
            /// Its status.
            status: ExportStatus,
        } = "export.not_to_be_generated", Rule;
        /// Another attempt was begun since.
        #[error("attempt {attempt} under fence {fence} is not the one that is due: it is overtaken, or was never begun")]
        StaleAttempt {
            /// The attempt that was named.
            attempt: u64,
            /// The fencing number that was named.
            fence: u64,
        } = "export.stale_attempt", Rule;
        /// There is no file.
        #[error("the export is {status}: it has no file")]
        NoFile {
            /// Its status.
            status: ExportStatus,
        } = "export.no_file", Rule;
        /// It was not approved for there.
        #[error("the export was not requested for the destination {destination}")]
        DestinationNotApproved {
            /// Which.
            destination: DestinationName,
        } = "export.destination_not_approved", Rule, "/destination";
        /// It is on its way there.
        #[error("a delivery to {destination} is still under way")]
        DeliveryUnderWay {
            /// Where to.
            destination: DestinationName,
        } = "export.delivery_under_way", Rule, "/destination";
        /// The id was used for another delivery.
        #[error("there is another delivery with this id")]
        DeliveryExists = "export.delivery_exists", Exists, "/delivery_id";
        /// Too often.
        #[error("an export has at most {MAX_DELIVERIES} deliveries")]
        TooManyDeliveries = "export.too_many_deliveries", Rule;
        /// There is no such delivery.
        #[error("the export has no such delivery")]
        DeliveryNotFound = "export.delivery_not_found", NotFound;
        /// The attempt is not the one after the last.
        #[error("attempt {attempt} of the delivery is not the one that is due")]
        StaleDelivery {
            /// The attempt that was named.
            attempt: u64,
        } = "export.stale_delivery", Rule, "/attempt";
        /// Too many findings.
        #[error("a verification has at most {MAX_FINDINGS} findings; one that verifies has none, any other at least one")]
        Findings = "export.findings", Rule, "/findings";
        /// It was not asked for in this way.
        #[error("the export is not one that is collected by asking again")]
        NotCollectable = "export.not_collectable", Rule;
        /// Once is enough.
        #[error("the export was collected already")]
        AlreadyCollected = "export.already_collected", Rule;
        /// Somebody else's.
        #[error("an export is collected by whoever requested it")]
        NotYours = "export.not_yours", Rule;
        /// It is too late to cancel it.
        #[error("the export is {status} and cannot be cancelled any more")]
        TooLateToCancel {
            /// Its status.
            status: ExportStatus,
        } = "export.too_late_to_cancel", Rule;
    }
}
