//! Lets a caller look at the entries while they are verified: to make a proof of one, or to fold a stream.

use std::sync::{Arc, Mutex, PoisonError};

use crate::cell::{Digest, Fields};
use crate::group::canonical_fields;
use crate::sealed::{Scan, Subject, Trace};

/// An entry as it was read. Whether it is sound is for the report to say, which comes after the last entry.
#[derive(Debug, Clone, Copy)]
pub struct EntrySeen<'a> {
    fields: Fields<'a>,
}

impl<'a> EntrySeen<'a> {
    pub(crate) fn new(fields: Fields<'a>) -> Self {
        Self { fields }
    }

    /// The ledger's id.
    pub fn ledger_id(&self) -> &'a str {
        self.fields.ledger_id
    }

    /// Place in the ledger, from 0.
    pub fn position(&self) -> u64 {
        self.fields.position
    }

    /// Type and id of the stream.
    pub fn stream(&self) -> (&'a str, &'a str) {
        (self.fields.stream_type, self.fields.stream_id)
    }

    /// Place in the stream, from 1.
    pub fn version(&self) -> u64 {
        self.fields.version
    }

    /// What happened, and the version of its payload's shape.
    pub fn event(&self) -> (&'a str, u64) {
        (self.fields.event_type, self.fields.schema_version)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn recorded_at(&self) -> u64 {
        self.fields.recorded_at
    }

    /// Kind and id of who acted.
    pub fn actor(&self) -> (&'a str, &'a str) {
        (self.fields.actor_kind, self.fields.actor_id)
    }

    /// The stored payload, none where it is gone.
    pub fn payload(&self) -> Option<&'a [u8]> {
        self.fields.payload
    }

    /// Whom values in the payload are sealed for; empty where there are none, or more than a thousand.
    pub fn sealed_for(&self) -> Vec<Subject> {
        match Scan::default().trace(&self.fields) {
            Some(Trace::Sealed(subjects)) => subjects,
            Some(Trace::Performed(_) | Trace::TooMany) | None => Vec::new(),
        }
    }

    /// Whose key was destroyed, where this is the entry that says so.
    pub fn erases(&self) -> Option<Subject> {
        // Only this kind of entry is looked into: others would cost a search each.
        let is_erasure = self.fields.stream_type == "erasure";
        match is_erasure.then(|| Scan::default().trace(&self.fields)).flatten() {
            Some(Trace::Performed(subject)) => Some(subject),
            Some(Trace::Sealed(_) | Trace::TooMany) | None => None,
        }
    }

    /// The stored hash.
    pub fn hash(&self) -> &'a Digest {
        self.fields.hash
    }

    /// Writes the canonical bytes into a buffer, which is cleared first.
    pub fn write_canonical(&self, buffer: &mut Vec<u8>) {
        canonical_fields(&self.fields, blake3::hash(self.fields.metadata).as_bytes()).write(buffer);
    }
}

/// Is shown every entry whose columns can be read, in order, from a thread of the verification.
#[derive(Clone)]
pub struct EntryViewer(Arc<Mutex<ViewFunction>>);

type ViewFunction = dyn FnMut(&EntrySeen<'_>) + Send;

impl EntryViewer {
    /// Calls `function` for each entry.
    pub fn new(function: impl FnMut(&EntrySeen<'_>) + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(function)))
    }

    pub(crate) fn show(&self, entry: &EntrySeen<'_>) {
        // A function that panicked before is called on: what it does with the next entry is its own affair.
        let mut function = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        function(entry);
    }
}

impl std::fmt::Debug for EntryViewer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("EntryViewer")
    }
}
