//! An erasure as answers show it.

use std::sync::Arc;

use daybook_domain::approval::KnownAction;
use daybook_domain::erasure::ErasureError;
use daybook_http_kit::Problem;
use daybook_identity::directory::{ApprovalRecord, DirectoryState, ErasureRecord};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problems::refused;
use crate::retention::RetainedView;
use daybook_ledger::keys::time::rfc3339;

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
    /// `requested`, `approved`, `rejected`, `refused` (a hold or a retention rule stands in the way) or `performed`.
    #[schema(example = "requested")]
    pub status: &'static str,
    /// Opaque id of who asked for it.
    pub requested_by: String,
    /// When.
    pub requested_at: String,
    /// The request for approval that waits for votes or was not used up yet.
    #[schema(example = "apr_0193f3a17c0070008000000000000001")]
    pub approval_request_id: Option<String>,
    /// Opaque id of who approved or rejected it: whose vote was the last that it needed.
    pub decided_by: Option<String>,
    /// The holds that stood in the way when it was last tried.
    pub holds: Vec<String>,
    /// The records that kept the person known when it was last tried, and until when they do.
    pub retained: Vec<RetainedView>,
    /// When the person's key was destroyed.
    pub performed_at: Option<String>,
    /// Its version, for `If-Match`.
    pub version: u64,
}

impl ErasureView {
    pub(crate) fn of(state: &DirectoryState, erasure: &ErasureRecord) -> Self {
        let decides = |approval: &&Arc<ApprovalRecord>| {
            approval.approval.action().is_some_and(|action| {
                action.action.known() == Some(KnownAction::ErasurePerform)
                    && action.resource_id.as_str() == erasure.erasure_id
            })
        };
        Self {
            approval_request_id: state.approvals.values().find(decides).map(|found| found.approval_id.clone()),
            id: erasure.erasure_id.clone(),
            subject: erasure.subject.clone(),
            reason: erasure.reason.clone(),
            status: erasure.status.as_str(),
            requested_by: erasure.requested_by.clone(),
            requested_at: rfc3339(erasure.place.created_at),
            decided_by: erasure.decided_by.clone(),
            holds: erasure.holds.clone(),
            retained: erasure.retained.iter().map(RetainedView::from).collect(),
            performed_at: erasure.performed_at.map(rfc3339),
            version: erasure.place.version,
        }
    }

    /// The erasure of this id; 404 where there is none.
    pub(crate) fn found(state: &DirectoryState, id: &str) -> Result<Self, Problem> {
        state.erasures.get(id).map(|erasure| Self::of(state, erasure)).ok_or_else(|| refused(&ErasureError::NotFound))
    }
}
