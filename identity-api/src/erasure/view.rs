//! An erasure as answers show it.

use daybook_domain::erasure::ErasureError;
use daybook_http_kit::Problem;
use daybook_identity::directory::{DirectoryState, ErasureRecord};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::time;
use crate::problems::refused;

/// The erasure of what is known about somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ErasureView {
    /// Its id.
    #[schema(example = "era_5f1d3c2b4a59687786950413")]
    pub id: String,
    /// Whose data: a person's opaque id.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// `requested`, `approved`, `rejected`, `refused` (a hold stands in the way) or `performed`.
    #[schema(example = "requested")]
    pub status: &'static str,
    /// Opaque id of who asked for it.
    pub requested_by: String,
    /// When.
    pub requested_at: String,
    /// Opaque id of who approved or rejected it.
    pub decided_by: Option<String>,
    /// The holds that stood in the way when it was last tried.
    pub holds: Vec<String>,
    /// When the person's key was destroyed.
    pub performed_at: Option<String>,
    /// Its version, for `If-Match`.
    pub version: u64,
}

impl ErasureView {
    pub(crate) fn of(erasure: &ErasureRecord) -> Self {
        Self {
            id: erasure.erasure_id.clone(),
            subject: erasure.subject.clone(),
            reason: erasure.reason.clone(),
            status: erasure.status.as_str(),
            requested_by: erasure.requested_by.clone(),
            requested_at: time(erasure.place.created_at),
            decided_by: erasure.decided_by.clone(),
            holds: erasure.holds.clone(),
            performed_at: erasure.performed_at.map(time),
            version: erasure.place.version,
        }
    }

    /// The erasure of this id; 404 where there is none.
    pub(crate) fn found(state: &DirectoryState, id: &str) -> Result<Self, Problem> {
        state.erasures.get(id).map(|erasure| Self::of(erasure)).ok_or_else(|| refused(&ErasureError::NotFound))
    }
}
