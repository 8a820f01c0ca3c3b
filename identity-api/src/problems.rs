//! The domain's refusals in the words of HTTP, the same for every aggregate: what exists already is 409, what a rule
//! refuses 422, what is not there 404.

use daybook_domain::InvalidField;
use daybook_domain::refusal::{Refusal, RefusalKind};
use daybook_http_kit::{FieldError, Problem, command_problem};
use daybook_ledger::commands::CommandError;

/// A refusal as a problem.
pub(crate) fn refused<E: Refusal>(refusal: &E) -> Problem {
    let status = match refusal.kind() {
        RefusalKind::NotFound => 404,
        RefusalKind::Exists => 409,
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

/// The answer to one field that cannot be accepted.
pub(crate) fn invalid(field: InvalidField) -> Problem {
    Problem::invalid(field.pointer, field.detail)
}

/// Collects what is wrong with a body, so that one answer names all of it.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<FieldError>);

impl Faults {
    /// The checked value, or `None` with the fault kept.
    pub(crate) fn check<T>(&mut self, checked: Result<T, InvalidField>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(fault) => {
                self.0.push(FieldError::new(fault.pointer, fault.detail));
                None
            }
        }
    }

    /// Adds a fault that was found otherwise.
    pub(crate) fn add(&mut self, pointer: &str, detail: impl Into<String>) {
        self.0.push(FieldError::new(pointer, detail));
    }

    /// Fails if there are faults.
    pub(crate) fn none(&self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(self.problem()) }
    }

    /// The problem that names them all.
    pub(crate) fn problem(&self) -> Problem {
        let detail = match self.0.as_slice() {
            [only] => format!("{}: {}", only.pointer, only.detail),
            several => format!("{} fields cannot be accepted", several.len()),
        };
        self.0.iter().cloned().fold(Problem::bad_request("request.invalid", detail), Problem::with_error)
    }
}
