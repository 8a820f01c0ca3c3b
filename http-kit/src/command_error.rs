//! What a command that had no effect is answered with.
//!
//! A lost race is 409 and says the version now. An `If-Match` that does not hold is 412: the ledger tells the two apart,
//! because the expected version is compared when the aggregate is loaded and the race is lost when it is appended.

use daybook_ledger::commands::CommandError;

use crate::problem::Problem;

/// The code of the answer to an `Idempotency-Key` that stands for another request.
pub const IDEMPOTENCY_MISMATCH: &str = "request.idempotency_mismatch";

/// The answer to a command without effect. `refused` says what the aggregate's own refusal is, `not_found` what is
/// answered for an id that nothing can have.
pub fn command_problem<E: std::error::Error + 'static>(
    error: CommandError<E>,
    refused: impl FnOnce(E) -> Problem,
    not_found: impl FnOnce() -> Problem,
) -> Problem {
    match error {
        CommandError::Refused(refusal) => refused(refusal),
        CommandError::Conflict { current_version } => {
            Problem::conflict("request.conflict", "somebody else changed it at the same time")
                .with_member("current_version", current_version)
        }
        CommandError::PreconditionFailed { current_version } => Problem::precondition_failed(current_version),
        CommandError::CommandMismatch => {
            Problem::refused(IDEMPOTENCY_MISMATCH, "the Idempotency-Key was used before for another request")
        }
        CommandError::Busy => Problem::unavailable("ledger.busy", "the ledger is busy; nothing was recorded", 1),
        // The id in the path. Ids of new things are checked before there is a command.
        CommandError::Invalid(invalid) if invalid.what == "stream_id" => not_found(),
        CommandError::Invalid(invalid) => Problem::invalid(format!("/{}", invalid.what), invalid.why),
        CommandError::OutcomeUnknown => Problem::unavailable(
            "ledger.outcome_unknown",
            "whether it was recorded is not known yet; repeat it with the same Idempotency-Key",
            5,
        ),
        error @ CommandError::Unavailable(_) => Problem::store_unavailable(&error),
        error @ CommandError::Corrupt(_) => Problem::internal(&error),
    }
}
