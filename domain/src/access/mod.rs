//! Who was let in, who was not, and who looked at what: facts that a process records while it answers.
//!
//! Nobody commands them and nothing is decided on them, so there is no aggregate. Each process has a stream of its own.

use serde::{Deserialize, Serialize};

use crate::names::{PermissionName, UserId};
use crate::personal::Personal;
use crate::stream::events;
use crate::text::{ActorId, InvalidField, Line};
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// Stream type of [`AccessEvent`]; the stream's id is that of one run of one process, `acc_…`.
pub const ACCESS_STREAM: &str = "access";
/// Queries of people, sealed.
pub const HOLDS_PERSONAL_DATA: bool = true;
/// Most reads in one entry.
pub const MAX_READS: usize = 200;
/// Most bytes of a query before it is sealed; what is longer is cut. Two hundred of them fit into one payload.
pub const MAX_QUERY_BYTES: usize = 1_024;

events! {
    /// What a process noticed about who asks.
    AccessEvent {
        /// Somebody who is known may not do this.
        Denied(Denied) = "access.denied",
        /// Credentials came that are none.
        Refused(Refused) = "access.refused",
        /// Somebody tried to log in and could not.
        LoginFailed(LoginFailed) = "access.login_failed",
        /// Somebody tried too often.
        Throttled(Throttled) = "access.throttled",
        /// A person looked at something.
        Read(Reads) = "access.read",
    }
}

/// Payload of `access.denied`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// Who.
    pub actor_id: ActorId,
    /// The permission that was missing.
    pub permission: PermissionName,
    /// The method of the request.
    pub method: Line,
    /// The route, with names in the place of values: `/v1/incidents/{incident_id}`.
    pub route: Line,
    /// How often, since the process last told.
    pub count: u64,
    /// The last request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Line>,
}

/// Payload of `access.refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The stable code of what was wrong, `token.wrong_algorithm`.
    pub reason: Line,
    /// The method of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Line>,
    /// The route, with names in the place of values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Line>,
    /// How often, since the process last told.
    pub count: u64,
    /// The last request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Line>,
}

/// Payload of `access.login_failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginFailed {
    /// The stable code of what was wrong.
    pub reason: Line,
    /// Whose account it was, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// How often, since the process last told.
    pub count: u64,
}

/// Payload of `access.throttled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttled {
    /// What was tried, `login`.
    pub what: Line,
    /// How often, since the process last told.
    pub count: u64,
    /// Whose account it was, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
}

/// Payload of `access.read`: what one person looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reads {
    /// Who.
    pub actor_id: ActorId,
    /// What, in the order in which it was answered.
    pub reads: ReadList,
}

/// 1 to [`MAX_READS`] reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Read>", into = "Vec<Read>")]
pub struct ReadList(Vec<Read>);

impl ReadList {
    /// Checks how many there are.
    pub fn parse(pointer: &str, reads: Vec<Read>) -> Result<Self, InvalidField> {
        if reads.is_empty() || reads.len() > MAX_READS {
            return Err(InvalidField::new(
                pointer,
                format!("must be 1 to {MAX_READS} reads, there are {}", reads.len()),
            ));
        }
        Ok(Self(reads))
    }

    /// The reads.
    pub fn as_slice(&self) -> &[Read] {
        &self.0
    }
}

impl TryFrom<Vec<Read>> for ReadList {
    type Error = InvalidField;

    fn try_from(reads: Vec<Read>) -> Result<Self, InvalidField> {
        Self::parse("/reads", reads)
    }
}

impl From<ReadList> for Vec<Read> {
    fn from(list: ReadList) -> Self {
        list.0
    }
}

/// One read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// When it was answered.
    pub at: Timestamp,
    /// The route, with names in the place of values.
    pub route: Line,
    /// The status of the answer.
    pub status: u16,
    /// The path and what was asked for, sealed with the person's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Personal>,
    /// The request.
    pub request_id: Line,
}
