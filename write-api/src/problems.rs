//! The domain's refusals in the words of HTTP: what exists already is 409, what a rule refuses 422, what is not there 404.

use daybook_domain::{IncidentError, InvalidField, TransactionError};
use daybook_http_kit::{FieldError, Problem, command_problem};
use daybook_ledger::commands::CommandError;

/// A refusal of an aggregate.
pub trait DomainProblem: std::error::Error + 'static {
    /// Stable dotted code.
    fn code(&self) -> &'static str;
    /// The HTTP status.
    fn status(&self) -> u16;
    /// The refusal of a command on something that is not there.
    fn not_found() -> Self
    where
        Self: Sized;
    /// What is wrong, field by field.
    fn errors(&self) -> Vec<FieldError>;

    /// The refusal as a problem.
    fn problem(&self) -> Problem {
        let problem = Problem::new(self.status(), self.code(), self.to_string());
        self.errors().into_iter().fold(problem, Problem::with_error)
    }
}

impl DomainProblem for TransactionError {
    fn code(&self) -> &'static str {
        TransactionError::code(self)
    }

    fn not_found() -> Self {
        Self::NotFound
    }

    fn status(&self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Conflict { .. } | Self::NoteExists { .. } => 409,
            Self::StatusTransition { .. } | Self::CorrectionEmpty | Self::TooManyCorrections | Self::TooManyNotes => {
                422
            }
        }
    }

    fn errors(&self) -> Vec<FieldError> {
        errors(self.pointer(), self.fields(), &self.to_string())
    }
}

impl DomainProblem for IncidentError {
    fn code(&self) -> &'static str {
        IncidentError::code(self)
    }

    fn not_found() -> Self {
        Self::NotFound
    }

    fn status(&self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Exists { .. } | Self::CommentExists { .. } => 409,
            Self::StatusTransition { .. }
            | Self::Closed
            | Self::Unchanged { .. }
            | Self::EscalationLimit
            | Self::TooManyComments => 422,
        }
    }

    fn errors(&self) -> Vec<FieldError> {
        errors(self.pointer(), self.fields(), &self.to_string())
    }
}

fn errors(pointer: Option<&str>, fields: &[&'static str], detail: &str) -> Vec<FieldError> {
    let differing = fields.iter().map(|field| FieldError::new(format!("/{field}"), "differs from what was recorded"));
    pointer.map(|pointer| FieldError::new(pointer, detail)).into_iter().chain(differing).collect()
}

/// The answer to a command without effect.
pub fn refusal<E: DomainProblem>(error: CommandError<E>) -> Problem {
    command_problem(error, |refused| refused.problem(), || E::not_found().problem())
}

/// The answer to one field that cannot be accepted.
pub fn invalid(field: InvalidField) -> Problem {
    Problem::invalid(field.pointer, field.detail)
}
