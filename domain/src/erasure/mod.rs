//! The erasure of what is known about somebody: one asks, another agrees, and the key is destroyed.
//!
//! Whether a legal hold or a retention rule stands in the way is seen by whoever performs it and knows all of them; it is
//! recorded here, and the erasure can be performed later.

mod event;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use event::{Approved, ErasureEvent, Performed, Refused, Rejected, Requested, Retained};

use crate::names::ApprovalId;
use crate::refusal::refusals;
use crate::retention_rule::RecordType;
use crate::stream::aggregate;
use crate::text::{ActorId, Reason, SubjectId};
use crate::time::Timestamp;
use crate::vocabulary::vocabulary;

/// Most holds that one refusal names.
pub const MAX_HOLDS_NAMED: usize = 1_000;

vocabulary! {
    /// How far an erasure has come.
    ErasureStatus {
        /// Somebody asked for it.
        Requested = "requested",
        /// Somebody else agreed; it can be performed.
        Approved = "approved",
        /// Somebody else did not agree, or what was agreed to is not the same any more. It ends here.
        Rejected = "rejected",
        /// A legal hold or a retention rule stood in the way; it can be tried again.
        Refused = "refused",
        /// The key is destroyed.
        Performed = "performed",
    }
}

/// A command to one erasure.
#[derive(Debug, Clone, PartialEq)]
pub enum ErasureCommand {
    /// Ask for it: the event as it is to be.
    Request(Box<Requested>),
    /// Record that it was agreed to. Not by whoever asked.
    Approve {
        /// Who agreed: whose vote was the last that it needed.
        by: ActorId,
        /// Why.
        reason: Option<Reason>,
        /// The approval that was used up for it.
        approval_id: ApprovalId,
    },
    /// Do not agree. Not by whoever asked, either: a request is decided by somebody else or stays open.
    Reject {
        /// Who does not agree.
        by: ActorId,
        /// Why.
        reason: Reason,
    },
    /// Record that it was agreed to for somebody else than the person is now, and is not performed. It ends here.
    EndAgreed {
        /// Who ends it.
        by: ActorId,
        /// Why.
        reason: Reason,
    },
    /// Record that holds or retention rules stand in the way.
    RecordRefusal(Refused),
    /// Record that the key is destroyed.
    RecordPerformed {
        /// When it was.
        key_destroyed_at: Timestamp,
    },
}

refusals! {
    /// Why a command to an erasure is refused.
    ErasureError {
        /// There is no such erasure.
        #[error("there is no such erasure")]
        NotFound = "erasure.not_found", NotFound;
        /// There is an erasure with this id.
        #[error("the erasure already exists with other content: {} differs", fields.join(", "))]
        Exists {
            /// The fields that differ from the request.
            fields: Vec<&'static str>,
        } = "erasure.exists", Exists;
        /// Whoever asks does not decide.
        #[error("whoever requested an erasure does not decide on it")]
        SelfApproval = "erasure.self_approval", Rule;
        /// It was decided otherwise.
        #[error("the erasure is already {status}")]
        AlreadyDecided {
            /// Its status.
            status: ErasureStatus,
        } = "erasure.already_decided", Rule;
        /// Nobody agreed.
        #[error("the erasure is {status}, not approved")]
        NotApproved {
            /// Its status.
            status: ErasureStatus,
        } = "erasure.not_approved", Rule;
        /// It says that something stands in the way and names nothing, or too much.
        #[error("a refusal names a legal hold or a retention rule, and at most {MAX_HOLDS_NAMED} holds")]
        Holds = "erasure.holds", Rule, "/holds";
    }
}

/// An erasure. The default value is one that nobody asked for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Erasure {
    requested: Option<Standing>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Standing {
    request: Requested,
    status: ErasureStatus,
    approved_by: Option<ActorId>,
    approval_id: Option<ApprovalId>,
    last_refusal: Option<Refused>,
}

impl Erasure {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 2;
    /// Reasons may name people.
    pub const HOLDS_PERSONAL_DATA: bool = true;

    /// Whether somebody asked for it.
    pub fn exists(&self) -> bool {
        self.requested.is_some()
    }

    /// What was asked for.
    pub fn request(&self) -> Option<&Requested> {
        self.requested.as_ref().map(|standing| &standing.request)
    }

    /// Whose data.
    pub fn subject(&self) -> Option<&SubjectId> {
        self.request().map(|request| &request.subject)
    }

    /// How far it has come.
    pub fn status(&self) -> Option<ErasureStatus> {
        self.requested.as_ref().map(|standing| standing.status)
    }

    /// Who agreed.
    pub fn approved_by(&self) -> Option<&ActorId> {
        self.requested.as_ref().and_then(|standing| standing.approved_by.as_ref())
    }

    /// The approval that was used up for it, where there was one.
    pub fn approval_id(&self) -> Option<&ApprovalId> {
        self.requested.as_ref().and_then(|standing| standing.approval_id.as_ref())
    }

    /// What last stood in the way.
    pub fn last_refusal(&self) -> Option<&Refused> {
        self.requested.as_ref().and_then(|standing| standing.last_refusal.as_ref())
    }

    /// What the command leads to. No events: it asks for what is already so.
    pub fn decide(&self, command: ErasureCommand) -> Result<Vec<ErasureEvent>, ErasureError> {
        match (&self.requested, command) {
            (None, ErasureCommand::Request(request)) => Ok(vec![ErasureEvent::Requested(*request)]),
            (None, _) => Err(ErasureError::NotFound),
            (Some(standing), ErasureCommand::Request(request)) => {
                let fields = differing_fields(&standing.request, &request);
                if fields.is_empty() { Ok(Vec::new()) } else { Err(ErasureError::Exists { fields }) }
            }
            (Some(standing), ErasureCommand::Approve { by, reason, approval_id }) => {
                standing.must_be_open_to(&by)?;
                let approval_id = Some(approval_id);
                Ok(vec![ErasureEvent::Approved(Approved { approved_by: by, reason, approval_id })])
            }
            (Some(standing), ErasureCommand::Reject { by, reason }) => {
                standing.must_be_open_to(&by)?;
                Ok(vec![ErasureEvent::Rejected(Rejected { rejected_by: by, reason })])
            }
            (Some(standing), ErasureCommand::EndAgreed { by, reason }) => {
                standing.approver()?;
                Ok(vec![ErasureEvent::Rejected(Rejected { rejected_by: by, reason })])
            }
            (Some(standing), ErasureCommand::RecordRefusal(refused)) => standing.record_refusal(refused),
            (Some(standing), ErasureCommand::RecordPerformed { key_destroyed_at }) => {
                standing.record_performed(key_destroyed_at)
            }
        }
    }

    /// Follows what happened. An event that cannot belong here leaves the state alone.
    fn fold(&mut self, event: ErasureEvent) {
        match (&mut self.requested, event) {
            (None, ErasureEvent::Requested(request)) => {
                let status = ErasureStatus::Requested;
                self.requested =
                    Some(Standing { request, status, approved_by: None, approval_id: None, last_refusal: None });
            }
            (Some(standing), ErasureEvent::Approved(event)) => {
                standing.status = ErasureStatus::Approved;
                standing.approved_by = Some(event.approved_by);
                standing.approval_id = event.approval_id;
            }
            (Some(standing), ErasureEvent::Rejected(_)) => standing.status = ErasureStatus::Rejected,
            (Some(standing), ErasureEvent::Refused(event)) => {
                standing.status = ErasureStatus::Refused;
                standing.last_refusal = Some(event);
            }
            (Some(standing), ErasureEvent::Performed(_)) => standing.status = ErasureStatus::Performed,
            (Some(_), ErasureEvent::Requested(_)) | (None, _) => {}
        }
    }
}

impl Standing {
    /// Whether it is still to be decided, and by whom.
    fn must_be_open_to(&self, by: &ActorId) -> Result<(), ErasureError> {
        if self.request.requested_by == *by {
            return Err(ErasureError::SelfApproval);
        }
        match self.status {
            ErasureStatus::Requested => Ok(()),
            status => Err(ErasureError::AlreadyDecided { status }),
        }
    }

    fn record_refusal(&self, refused: Refused) -> Result<Vec<ErasureEvent>, ErasureError> {
        self.approver()?;
        let names_nothing = refused.holds.is_empty() && refused.retained.is_empty();
        if names_nothing || refused.holds.len() > MAX_HOLDS_NAMED || refused.retained.len() > RecordType::ALL.len() {
            return Err(ErasureError::Holds);
        }
        // Trying again while the same stands in the way says nothing new.
        if self.status == ErasureStatus::Refused && self.last_refusal.as_ref() == Some(&refused) {
            return Ok(Vec::new());
        }
        Ok(vec![ErasureEvent::Refused(refused)])
    }

    fn record_performed(&self, key_destroyed_at: Timestamp) -> Result<Vec<ErasureEvent>, ErasureError> {
        if self.status == ErasureStatus::Performed {
            return Ok(Vec::new());
        }
        let approved_by = self.approver()?.clone();
        let subject = self.request.subject.clone();
        Ok(vec![ErasureEvent::Performed(Performed { subject, approved_by, key_destroyed_at })])
    }

    /// Who agreed, while it is still to be performed.
    fn approver(&self) -> Result<&ActorId, ErasureError> {
        match (self.status, &self.approved_by) {
            (ErasureStatus::Approved | ErasureStatus::Refused, Some(approved_by)) => Ok(approved_by),
            (ErasureStatus::Performed, _) => Err(ErasureError::AlreadyDecided { status: self.status }),
            (status, _) => Err(ErasureError::NotApproved { status }),
        }
    }
}

fn differing_fields(before: &Requested, request: &Requested) -> Vec<&'static str> {
    [
        ("erasure_id", before.erasure_id == request.erasure_id),
        ("subject", before.subject == request.subject),
        ("reason", before.reason == request.reason),
        ("requested_by", before.requested_by == request.requested_by),
    ]
    .into_iter()
    .filter_map(|(field, same)| (!same).then_some(field))
    .collect()
}

aggregate!(Erasure = "erasure", ErasureCommand => ErasureEvent, ErasureError);
