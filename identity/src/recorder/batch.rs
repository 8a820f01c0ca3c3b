//! What has come together since the last flush, and the events that it becomes.

use std::collections::BTreeMap;

use daybook_domain::access::{AccessEvent, Denied, LoginFailed, MAX_READS, Read, ReadList, Reads, Refused, Throttled};
use daybook_domain::text::{ActorId, InvalidField, Line};
use daybook_domain::{PermissionName, Personal, Timestamp, UserId};

use crate::personal::PersonalData;
use crate::vault::VaultError;

/// The field whose sealed values reads hold.
pub(super) const QUERY_FIELD: &str = "access.query";

/// One thing to be recorded.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    Denied { actor_id: String, permission: &'static str, method: &'static str, route: String, request_id: String },
    Refused { reason: String, method: &'static str, route: String, request_id: String },
    LoginFailed { reason: String, user_id: Option<String> },
    Throttled { what: String, user_id: Option<String> },
    Read { actor_id: String, read: ReadFact },
}

/// One read, not yet sealed.
#[derive(Debug, Clone)]
pub(super) struct ReadFact {
    pub at: i64,
    pub route: String,
    pub status: u16,
    /// Path and query, without credentials.
    pub asked: String,
    pub request_id: String,
}

/// What makes two facts the same.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Same {
    Denied { actor_id: String, permission: &'static str, method: &'static str, route: String },
    Refused { reason: String, method: &'static str, route: String },
    LoginFailed { reason: String, user_id: Option<String> },
    Throttled { what: String, user_id: Option<String> },
}

/// How often, and the last request.
#[derive(Debug, Default)]
struct Often {
    count: u64,
    request_id: Option<String>,
}

/// Facts that wait for the next flush.
#[derive(Debug, Default)]
pub(super) struct Batch {
    counted: BTreeMap<Same, Often>,
    reads: BTreeMap<String, Vec<ReadFact>>,
    len: usize,
}

/// The events of a batch, and how many facts they stand for.
pub(super) struct Events {
    pub events: Vec<AccessEvent>,
    pub facts: u64,
    /// Facts that fit no event.
    pub unfit: u64,
}

impl Batch {
    /// How many facts wait.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn push(&mut self, fact: Fact) {
        self.len += 1;
        let (same, request_id) = match fact {
            Fact::Read { actor_id, read } => {
                self.reads.entry(actor_id).or_default().push(read);
                return;
            }
            Fact::Denied { actor_id, permission, method, route, request_id } => {
                (Same::Denied { actor_id, permission, method, route }, Some(request_id))
            }
            Fact::Refused { reason, method, route, request_id } => {
                (Same::Refused { reason, method, route }, Some(request_id))
            }
            Fact::LoginFailed { reason, user_id } => (Same::LoginFailed { reason, user_id }, None),
            Fact::Throttled { what, user_id } => (Same::Throttled { what, user_id }, None),
        };
        let often = self.counted.entry(same).or_default();
        often.count += 1;
        often.request_id = request_id.or(often.request_id.take());
    }

    /// The events that the facts become. What people asked for is sealed on the way; that of somebody whose key was
    /// destroyed is left out. An error leaves the batch as it is.
    pub async fn events(&self, personal: &PersonalData) -> Result<Events, VaultError> {
        let mut made = Events { events: Vec::new(), facts: 0, unfit: 0 };
        for (same, often) in &self.counted {
            match counted(same, often) {
                Ok(event) => {
                    made.events.push(event);
                    made.facts += often.count;
                }
                Err(error) => {
                    tracing::error!(%error, "a fact about access does not fit its event");
                    made.unfit += often.count;
                }
            }
        }
        for (actor_id, facts) in &self.reads {
            let mut sealed = Vec::with_capacity(facts.len());
            for fact in facts {
                let query = seal(personal, actor_id, &fact.asked).await?;
                match read(fact, query) {
                    Ok(read) => sealed.push(read),
                    Err(error) => {
                        tracing::error!(%error, "a read does not fit its event");
                        made.unfit += 1;
                    }
                }
            }
            for chunk in sealed.chunks(MAX_READS) {
                let reads = reads(actor_id, chunk);
                let count = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                match reads {
                    Ok(event) => {
                        made.events.push(event);
                        made.facts += count;
                    }
                    Err(error) => {
                        tracing::error!(%error, "reads do not fit their event");
                        made.unfit += count;
                    }
                }
            }
        }
        Ok(made)
    }
}

async fn seal(personal: &PersonalData, subject: &str, asked: &str) -> Result<Option<Personal>, VaultError> {
    match personal.seal(subject, QUERY_FIELD, asked).await {
        Ok(sealed) => Ok(Some(sealed)),
        Err(VaultError::SubjectErased) => Ok(None),
        Err(error) => Err(error),
    }
}

fn counted(same: &Same, often: &Often) -> Result<AccessEvent, InvalidField> {
    let count = often.count;
    let request_id = Line::parse_optional("/request_id", often.request_id.as_deref())?;
    let user = |user_id: &Option<String>| UserId::parse_optional("/user_id", user_id.as_deref());
    Ok(match same {
        Same::Denied { actor_id, permission, method, route } => AccessEvent::Denied(Denied {
            actor_id: ActorId::parse("/actor_id", actor_id.as_str())?,
            permission: PermissionName::parse("/permission", *permission)?,
            method: Line::parse("/method", *method)?,
            route: Line::parse("/route", route.as_str())?,
            count,
            request_id,
        }),
        Same::Refused { reason, method, route } => AccessEvent::Refused(Refused {
            reason: Line::parse("/reason", reason.as_str())?,
            method: Some(Line::parse("/method", *method)?),
            route: Some(Line::parse("/route", route.as_str())?),
            count,
            request_id,
        }),
        Same::LoginFailed { reason, user_id } => AccessEvent::LoginFailed(LoginFailed {
            reason: Line::parse("/reason", reason.as_str())?,
            user_id: user(user_id)?,
            count,
        }),
        Same::Throttled { what, user_id } => AccessEvent::Throttled(Throttled {
            what: Line::parse("/what", what.as_str())?,
            count,
            user_id: user(user_id)?,
        }),
    })
}

fn read(fact: &ReadFact, query: Option<Personal>) -> Result<Read, InvalidField> {
    let out_of_reach = || InvalidField::new("/at", "is not in the years 1900 to 9999");
    Ok(Read {
        at: Timestamp::from_micros(fact.at).ok_or_else(out_of_reach)?,
        route: Line::parse("/route", fact.route.as_str())?,
        status: fact.status,
        query,
        request_id: Line::parse("/request_id", fact.request_id.as_str())?,
    })
}

fn reads(actor_id: &str, reads: &[Read]) -> Result<AccessEvent, InvalidField> {
    Ok(AccessEvent::Read(Reads {
        actor_id: ActorId::parse("/actor_id", actor_id)?,
        reads: ReadList::parse("/reads", reads.to_vec())?,
    }))
}
