//! A legal hold as answers show it.

use daybook_domain::legal_hold::LegalHoldError;
use daybook_http_kit::Problem;
use daybook_identity::directory::{DirectoryState, HoldCover, HoldRecord};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problems::refused;
use daybook_ledger::keys::time::rfc3339;

/// Something that a hold covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum CoverView {
    /// Everything about a person.
    Subject {
        /// The person's opaque id.
        id: String,
    },
    /// One stream.
    Stream {
        /// Its type.
        stream_type: String,
        /// Its id.
        stream_id: String,
    },
}

impl From<&HoldCover> for CoverView {
    fn from(cover: &HoldCover) -> Self {
        match cover {
            HoldCover::Subject { id } => Self::Subject { id: id.clone() },
            HoldCover::Stream { stream_type, stream_id } => {
                Self::Stream { stream_type: stream_type.clone(), stream_id: stream_id.clone() }
            }
        }
    }
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct HoldView {
    /// Its id.
    #[schema(example = "hld_5f1d3c2b4a59687786950413")]
    pub id: String,
    /// The matter it is for.
    pub matter: String,
    /// Why it was placed.
    pub reason: String,
    /// What it covers.
    pub covers: Vec<CoverView>,
    /// `in_force` or `released`.
    #[schema(example = "in_force")]
    pub status: &'static str,
    /// Opaque id of who placed it.
    pub placed_by: String,
    /// When it was placed.
    pub placed_at: String,
    /// When it was released.
    pub released_at: Option<String>,
    /// Its version, for `If-Match`.
    pub version: u64,
}

impl HoldView {
    pub(crate) fn of(hold: &HoldRecord) -> Self {
        Self {
            id: hold.hold_id.clone(),
            matter: hold.matter.clone(),
            reason: hold.reason.clone(),
            covers: hold.covers.iter().map(CoverView::from).collect(),
            status: status(hold),
            placed_by: hold.placed_by.clone(),
            placed_at: rfc3339(hold.place.created_at),
            released_at: hold.released_at.map(rfc3339),
            version: hold.place.version,
        }
    }

    /// The hold of this id; 404 where there is none.
    pub(crate) fn found(state: &DirectoryState, id: &str) -> Result<Self, Problem> {
        state.holds.get(id).map(|hold| Self::of(hold)).ok_or_else(|| refused(&LegalHoldError::NotFound))
    }
}

/// The word for how a hold stands.
pub(crate) fn status(hold: &HoldRecord) -> &'static str {
    if hold.released_at.is_some() { "released" } else { "in_force" }
}
