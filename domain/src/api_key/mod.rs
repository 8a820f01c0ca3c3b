//! An API key: what it may do and until when. Its secret is shown once and kept elsewhere, as a digest.

mod event;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use event::{ApiKeyChange, ApiKeyEvent, Changed, Created, Revoked, Rotated};

use crate::names::PermissionName;
use crate::patch::Patch;
use crate::refusal::refusals;
use crate::stream::aggregate;
use crate::text::{Description, Line, Reason};
use crate::time::Timestamp;

/// Most scopes of one key.
pub const MAX_SCOPES: usize = 64;
/// Most days that the secret before a rotation goes on opening.
pub const MAX_OVERLAP_DAYS: i64 = 7;

const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// A command to one API key.
#[derive(Debug, Clone, PartialEq)]
pub enum ApiKeyCommand {
    /// Make it.
    Create {
        /// The event as it is to be.
        content: Box<Created>,
        /// When this is asked.
        at: Timestamp,
    },
    /// Change what is known about it, or what it may do.
    Change {
        /// What is to be another.
        patch: Box<ApiKeyPatch>,
        /// When this is asked.
        at: Timestamp,
    },
    /// Give it another secret.
    Rotate {
        /// Until when the present one opens as well: now, or at most [`MAX_OVERLAP_DAYS`] ahead.
        old_valid_until: Timestamp,
        /// When this is asked.
        at: Timestamp,
    },
    /// Make it open nothing any more, at once and for good.
    Revoke {
        /// Why.
        reason: Option<Reason>,
    },
}

/// The fields that are to have another value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ApiKeyPatch {
    /// What it is called.
    pub name: Option<Line>,
    /// What it is for.
    pub description: Patch<Description>,
    /// All that it may do.
    pub scopes: Option<BTreeSet<PermissionName>>,
    /// Until when.
    pub expires_at: Patch<Timestamp>,
}

refusals! {
    /// Why a command to an API key is refused.
    ApiKeyError {
        /// There is no such key.
        #[error("there is no such API key")]
        NotFound = "api_key.not_found", NotFound;
        /// There is a key with this id.
        #[error("the API key exists already")]
        Exists = "api_key.exists", Exists;
        /// It may do nothing, or too many things.
        #[error("an API key has 1 to {MAX_SCOPES} scopes")]
        Scopes = "api_key.scopes", Rule, "/scopes";
        /// The end is not ahead.
        #[error("the time of expiry is not in the future")]
        ExpiryNotInFuture = "api_key.expiry_not_in_future", Rule, "/expires_at";
        /// It has expired, for good.
        #[error("the API key has expired")]
        Expired = "api_key.expired", Rule;
        /// It was revoked, for good.
        #[error("the API key is revoked")]
        Revoked = "api_key.revoked", Rule;
        /// The secret before would go on too long, or has ended already.
        #[error("the old secret may go on for at most {MAX_OVERLAP_DAYS} days from now")]
        Overlap = "api_key.overlap", Rule, "/old_valid_until";
    }
}

/// An API key. The default value is one that was never made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ApiKey {
    current: Option<Created>,
    revoked: bool,
}

impl ApiKey {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 1;
    /// Names and descriptions may name people.
    pub const HOLDS_PERSONAL_DATA: bool = true;

    /// Whether it was made.
    pub fn exists(&self) -> bool {
        self.current.is_some()
    }

    /// What holds now, changes included.
    pub fn content(&self) -> Option<&Created> {
        self.current.as_ref()
    }

    /// Whether it was revoked.
    pub fn is_revoked(&self) -> bool {
        self.revoked
    }

    /// Whether it opens anything at a time.
    pub fn is_live_at(&self, at: Timestamp) -> bool {
        !self.revoked && self.current.as_ref().is_some_and(|key| key.expires_at.is_none_or(|end| at < end))
    }

    /// What the command leads to. No events: it asks for what is already so.
    pub fn decide(&self, command: ApiKeyCommand) -> Result<Vec<ApiKeyEvent>, ApiKeyError> {
        match (&self.current, command) {
            (None, ApiKeyCommand::Create { content, at }) => {
                content.check(at)?;
                Ok(vec![ApiKeyEvent::Created(*content)])
            }
            (None, _) => Err(ApiKeyError::NotFound),
            (Some(_), ApiKeyCommand::Create { .. }) => Err(ApiKeyError::Exists),
            (Some(_), ApiKeyCommand::Revoke { .. }) if self.revoked => Ok(Vec::new()),
            (Some(_), ApiKeyCommand::Revoke { reason }) => Ok(vec![ApiKeyEvent::Revoked(Revoked { reason })]),
            (Some(current), ApiKeyCommand::Change { patch, at }) => {
                self.must_be_live(at)?;
                let changes = patch.changes(current.clone());
                if changes.is_empty() {
                    return Ok(Vec::new());
                }
                let mut next = current.clone();
                changes.iter().for_each(|change| next.apply(change));
                next.check(at)?;
                Ok(vec![ApiKeyEvent::Changed(Changed { changes })])
            }
            (Some(_), ApiKeyCommand::Rotate { old_valid_until, at }) => {
                self.must_be_live(at)?;
                let latest = at.micros().saturating_add(MAX_OVERLAP_DAYS * MICROS_PER_DAY);
                if old_valid_until < at || old_valid_until.micros() > latest {
                    return Err(ApiKeyError::Overlap);
                }
                Ok(vec![ApiKeyEvent::Rotated(Rotated { old_valid_until })])
            }
        }
    }

    fn must_be_live(&self, at: Timestamp) -> Result<(), ApiKeyError> {
        match (self.revoked, self.is_live_at(at)) {
            (true, _) => Err(ApiKeyError::Revoked),
            (false, false) => Err(ApiKeyError::Expired),
            (false, true) => Ok(()),
        }
    }

    /// Follows what happened. An event that cannot belong here leaves the state alone.
    fn fold(&mut self, event: ApiKeyEvent) {
        match (&mut self.current, event) {
            (None, ApiKeyEvent::Created(content)) => self.current = Some(content),
            (Some(current), ApiKeyEvent::Changed(event)) => {
                event.changes.iter().for_each(|change| current.apply(change));
            }
            (Some(_), ApiKeyEvent::Revoked(_)) => self.revoked = true,
            (Some(_), ApiKeyEvent::Created(_) | ApiKeyEvent::Rotated(_)) | (None, _) => {}
        }
    }
}

impl Created {
    /// Whether a key may be so at a time.
    fn check(&self, at: Timestamp) -> Result<(), ApiKeyError> {
        if self.scopes.is_empty() || self.scopes.len() > MAX_SCOPES {
            return Err(ApiKeyError::Scopes);
        }
        if self.expires_at.is_some_and(|expires_at| expires_at <= at) {
            return Err(ApiKeyError::ExpiryNotInFuture);
        }
        Ok(())
    }
}

impl ApiKeyPatch {
    /// The changes that change something.
    fn changes(self, current: Created) -> Vec<ApiKeyChange> {
        let name = self.name.map(|new| ApiKeyChange::Name { old: current.name, new });
        let description =
            self.description.requested().map(|new| ApiKeyChange::Description { old: current.description, new });
        let scopes = self.scopes.map(|new| ApiKeyChange::Scopes { old: current.scopes, new });
        let expires_at =
            self.expires_at.requested().map(|new| ApiKeyChange::ExpiresAt { old: current.expires_at, new });
        [name, description, scopes, expires_at].into_iter().flatten().filter(ApiKeyChange::changes_something).collect()
    }
}

aggregate!(ApiKey = "api_key", ApiKeyCommand => ApiKeyEvent, ApiKeyError);
