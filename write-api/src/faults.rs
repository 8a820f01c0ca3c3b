//! Collects what is wrong with a body, so that one answer names all of it.

use daybook_domain::InvalidField;
use daybook_http_kit::{FieldError, Problem};

/// The faults found so far.
#[derive(Debug, Default)]
pub struct Faults(Vec<FieldError>);

impl Faults {
    /// The checked value, or `None` with the fault kept.
    pub fn check<T>(&mut self, checked: Result<T, impl Into<InvalidField>>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(fault) => {
                let fault = fault.into();
                self.0.push(FieldError::new(fault.pointer, fault.detail));
                None
            }
        }
    }

    /// Takes over what was found in a part of the body that is at `pointer`.
    pub fn take_below(&mut self, pointer: &str, faults: Self) {
        let below =
            faults.0.into_iter().map(|fault| FieldError::new(format!("{pointer}{}", fault.pointer), fault.detail));
        self.0.extend(below);
    }

    /// Fails if there are faults.
    pub fn none(&self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(self.problem()) }
    }

    /// The problem that names them all.
    pub fn problem(&self) -> Problem {
        let detail = match self.0.as_slice() {
            [only] => format!("{}: {}", only.pointer, only.detail),
            several => format!("{} fields cannot be accepted", several.len()),
        };
        self.0.iter().cloned().fold(Problem::bad_request("request.invalid", detail), Problem::with_error)
    }
}
