//! The domain's refusals in the words of HTTP: what exists already is 409, what a rule refuses 422, what is not there 404;
//! 403 where the rule is about who is asking, and 409 where somebody or the clock was faster.

use daybook_domain::InvalidField;
use daybook_domain::refusal::{Refusal, RefusalKind};
use daybook_http_kit::{Problem, command_problem};
use daybook_ledger::commands::CommandError;

/// Refusals that say: not you.
const NOT_YOU: &[&str] = &[
    "approval.self_approval",
    "approval.delegate_of_requester",
    "approval.not_eligible",
    "approval.not_your_turn",
    "approval.person_required",
    "approval.not_delegate",
    "approval.not_yours",
    "approval.self_review",
    "approval.voter_inactive",
    "approval.seat_owed_to_requester",
    "delegation.not_the_delegate",
    "export_schedule.paused_by_other",
];

/// Refusals that say: too late. Things are not any more as whoever asks may have seen them.
const TOO_LATE: &[&str] = &[
    "approval.already_decided",
    "approval.already_consumed",
    "approval.already_voted",
    "approval.revised",
    "approval.expired",
    "approval.grant_expired",
    "approval.policy_changed",
    "approval.digest_mismatch",
    "export_schedule.changed_meanwhile",
];

/// A refusal as a problem.
pub fn refused<E: Refusal>(refusal: &E) -> Problem {
    let status = match refusal.kind() {
        RefusalKind::NotFound => 404,
        RefusalKind::Exists => 409,
        RefusalKind::Rule if NOT_YOU.contains(&refusal.code()) => 403,
        RefusalKind::Rule if TOO_LATE.contains(&refusal.code()) => 409,
        RefusalKind::Rule => 422,
    };
    let problem = Problem::new(status, refusal.code(), refusal.to_string());
    match refusal.pointer() {
        Some(pointer) => problem.at(pointer, refusal.to_string()),
        None => problem,
    }
}

/// The answer to a command without effect.
pub(crate) fn refusal<E: Refusal>(error: CommandError<E>) -> Problem {
    command_problem(error, |refusal| refused(&refusal), || refused(&E::not_found()))
}

/// The answer to a value of ours or the caller's that the domain does not accept.
pub(crate) fn invalid(field: InvalidField) -> Problem {
    Problem::invalid(field.pointer, field.detail)
}
