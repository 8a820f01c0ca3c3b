//! What has come together since the last flush, and the events that it becomes.

use std::collections::BTreeMap;

use daybook_domain::access::{AccessEvent, Denied, MAX_READS, Read, ReadList, Reads};
use daybook_domain::text::{ActorId, InvalidField, Line};
use daybook_domain::{PermissionName, Personal, Timestamp};
use daybook_http_kit::access_log::{ANY_ROUTE, OTHER_METHOD};

use crate::personal::PersonalData;
use crate::vault::VaultError;

/// Denials of one actor that are told apart in a flush.
pub const MAX_DENIALS: usize = 64;
/// The field whose sealed values reads hold.
pub(super) const QUERY_FIELD: &str = "access.query";

/// One thing to be recorded of somebody who is known.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    Denied { actor_id: String, permission: &'static str, method: &'static str, route: String, request_id: String },
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

/// What makes two denials of an actor the same.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Same {
    permission: &'static str,
    method: &'static str,
    route: String,
}

/// How often, and the last request.
#[derive(Debug, Default)]
struct Often {
    count: u64,
    request_id: String,
}

/// Facts that wait for the next flush.
#[derive(Debug, Default)]
pub(super) struct Batch {
    denials: BTreeMap<String, BTreeMap<Same, Often>>,
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
        match fact {
            Fact::Read { actor_id, read } => self.reads.entry(actor_id).or_default().push(read),
            Fact::Denied { actor_id, permission, method, route, request_id } => {
                let denials = self.denials.entry(actor_id).or_default();
                let mut same = Same { permission, method, route };
                if denials.len() >= MAX_DENIALS && !denials.contains_key(&same) {
                    same = Same { permission, method: OTHER_METHOD, route: ANY_ROUTE.to_owned() };
                }
                let often = denials.entry(same).or_default();
                often.count += 1;
                often.request_id = request_id;
            }
        }
    }

    /// The events that the facts become. What people asked for is sealed on the way; that of somebody whose key was
    /// destroyed is left out. An error leaves the batch as it is.
    pub async fn events(&self, personal: &PersonalData) -> Result<Events, VaultError> {
        let mut made = Events { events: Vec::new(), facts: 0, unfit: 0 };
        let denials =
            self.denials.iter().flat_map(|(actor_id, counted)| counted.iter().map(move |pair| (actor_id, pair)));
        for (actor_id, (same, often)) in denials {
            match denied(actor_id, same, often) {
                Ok(event) => {
                    made.events.push(event);
                    made.facts += often.count;
                }
                Err(error) => {
                    tracing::error!(%error, "a denial does not fit its event");
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

fn denied(actor_id: &str, same: &Same, often: &Often) -> Result<AccessEvent, InvalidField> {
    Ok(AccessEvent::Denied(Denied {
        actor_id: ActorId::parse("/actor_id", actor_id)?,
        permission: PermissionName::parse("/permission", same.permission)?,
        method: Line::parse("/method", same.method)?,
        route: Line::parse("/route", same.route.as_str())?,
        count: often.count,
        request_id: Some(Line::parse("/request_id", often.request_id.as_str())?),
    }))
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
