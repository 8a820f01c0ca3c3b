//! Facts that anybody can cause without being known: refused credentials, failed logins, attempts that were too many.
//!
//! They are counted where they come in and take no place in the queue, so that nobody keeps what people read from being
//! recorded by sending bad tokens. What is told apart is bounded; what is more is counted together. They become at most
//! [`ENTRIES_PER_SECOND`] entries a second: what is too much for that waits and is counted meanwhile, the oldest goes
//! first, and nothing is lost.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_domain::UserId;
use daybook_domain::access::{AccessEvent, LoginFailed, Refused, Throttled};
use daybook_domain::text::{InvalidField, Line};
use daybook_http_kit::access_log::{ANY_ROUTE, OTHER_METHOD};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Entries a second that strangers can cause in one organisation.
pub const ENTRIES_PER_SECOND: u32 = 20;
/// Refusals that are told apart while they wait.
pub const MAX_REFUSALS: usize = 64;
/// Accounts that are told apart while failed and throttled logins wait.
const MAX_ACCOUNTS: usize = 256;

/// What makes two facts the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fact {
    Refused { reason: String, method: &'static str, route: String },
    LoginFailed { reason: String, user_id: Option<String> },
    Throttled { what: String, user_id: Option<String> },
}

/// A fact that waits: how often it was, and the last request.
#[derive(Debug)]
pub(super) struct Often {
    pub fact: Fact,
    pub count: u64,
    request_id: Option<String>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// With the number of the fact that was the first of its kind.
    counted: BTreeMap<Fact, (u64, u64, Option<String>)>,
    next: u64,
}

/// Facts about strangers that wait for the ledger.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    waiting: Mutex<Waiting>,
    /// Told when there is something new.
    pub news: Notify,
}

impl Strangers {
    pub fn add(&self, fact: Fact, request_id: Option<String>) {
        self.waiting().add(fact, request_id);
        self.news.notify_one();
    }

    /// How many different facts wait.
    pub fn len(&self) -> usize {
        self.waiting().counted.len()
    }

    /// Takes the oldest out, at most `most`.
    pub fn take(&self, most: usize) -> Vec<Often> {
        if most == 0 {
            return Vec::new();
        }
        let mut waiting = self.waiting();
        let mut oldest: Vec<_> = waiting.counted.iter().map(|(fact, (first, ..))| (*first, fact.clone())).collect();
        oldest.sort();
        oldest.truncate(most);
        let taken = oldest.into_iter().filter_map(|(_, fact)| {
            let (_, count, request_id) = waiting.counted.remove(&fact)?;
            Some(Often { fact, count, request_id })
        });
        taken.collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, fact: Fact, request_id: Option<String>) {
        let fact = if self.counted.contains_key(&fact) { fact } else { self.bounded(fact) };
        let first = self.next;
        self.next += 1;
        let (_, count, last) = self.counted.entry(fact).or_insert((first, 0, None));
        *count += 1;
        *last = request_id.or(last.take());
    }

    /// The fact itself where there is room for one more of its kind, else what it is counted under.
    fn bounded(&self, fact: Fact) -> Fact {
        let of = |is_of: fn(&Fact) -> bool| self.counted.keys().filter(|fact| is_of(fact)).count();
        let with_account = |fact: &Fact| match fact {
            Fact::LoginFailed { user_id, .. } | Fact::Throttled { user_id, .. } => user_id.is_some(),
            Fact::Refused { .. } => false,
        };
        match fact {
            Fact::Refused { reason, .. } if of(|fact| matches!(fact, Fact::Refused { .. })) >= MAX_REFUSALS => {
                Fact::Refused { reason, method: OTHER_METHOD, route: ANY_ROUTE.to_owned() }
            }
            Fact::LoginFailed { reason, user_id: Some(_) } if of(with_account) >= MAX_ACCOUNTS => {
                Fact::LoginFailed { reason, user_id: None }
            }
            Fact::Throttled { what, user_id: Some(_) } if of(with_account) >= MAX_ACCOUNTS => {
                Fact::Throttled { what, user_id: None }
            }
            fact => fact,
        }
    }
}

impl Often {
    /// The event that it becomes.
    pub fn event(&self) -> Result<AccessEvent, InvalidField> {
        let count = self.count;
        let user = |user_id: &Option<String>| UserId::parse_optional("/user_id", user_id.as_deref());
        Ok(match &self.fact {
            Fact::Refused { reason, method, route } => AccessEvent::Refused(Refused {
                reason: Line::parse("/reason", reason.as_str())?,
                method: Some(Line::parse("/method", *method)?),
                route: Some(Line::parse("/route", route.as_str())?),
                count,
                request_id: Line::parse_optional("/request_id", self.request_id.as_deref())?,
            }),
            Fact::LoginFailed { reason, user_id } => AccessEvent::LoginFailed(LoginFailed {
                reason: Line::parse("/reason", reason.as_str())?,
                user_id: user(user_id)?,
                count,
            }),
            Fact::Throttled { what, user_id } => AccessEvent::Throttled(Throttled {
                what: Line::parse("/what", what.as_str())?,
                count,
                user_id: user(user_id)?,
            }),
        })
    }
}

/// How many entries may be made now: [`ENTRIES_PER_SECOND`] after a second without any.
#[derive(Debug)]
pub(super) struct Pace {
    /// When all that was made is paid for.
    paid: Instant,
}

impl Pace {
    /// Nothing was made yet.
    pub fn new() -> Self {
        Self { paid: Instant::now() }
    }

    /// How many entries may be made at `now`.
    pub fn room(&self, now: Instant) -> usize {
        let free = (now + Duration::from_secs(1)).saturating_duration_since(self.paid.max(now));
        usize::try_from(free.as_millis() / step().as_millis()).unwrap_or(0)
    }

    /// So many were made at `now`.
    pub fn spend(&mut self, entries: usize, now: Instant) {
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        self.paid = self.paid.max(now) + step().saturating_mul(entries);
    }
}

fn step() -> Duration {
    Duration::from_secs(1) / ENTRIES_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(reason: &str, route: usize) -> Fact {
        Fact::Refused { reason: reason.to_owned(), method: "GET", route: format!("/{route}") }
    }

    #[test]
    fn what_is_told_apart_is_bounded_and_nothing_is_lost() {
        let strangers = Strangers::default();
        for route in 0..1_000 {
            strangers.add(refused("api_key.unknown", route), None);
            let user_id = Some(format!("usr_{route}"));
            strangers.add(Fact::LoginFailed { reason: "auth.invalid_credentials".to_owned(), user_id }, None);
        }
        strangers.add(refused("token.expired", 1_000), Some("r".to_owned()));
        assert_eq!(strangers.len(), MAX_REFUSALS + 2 + MAX_ACCOUNTS + 1);
        let taken = strangers.take(usize::MAX);
        assert_eq!(taken.iter().map(|often| often.count).sum::<u64>(), 2_001);
        let folded = Fact::Refused { reason: "token.expired".to_owned(), method: "OTHER", route: "*".to_owned() };
        assert!(taken.iter().any(|often| often.fact == folded && often.count == 1));
        assert!(taken.iter().all(|often| often.event().is_ok() || matches!(often.fact, Fact::LoginFailed { .. })));
    }

    #[test]
    fn the_oldest_goes_first() {
        let strangers = Strangers::default();
        for route in [7, 3, 5, 7] {
            strangers.add(refused("token.expired", route), None);
        }
        let taken: Vec<_> = strangers.take(2).into_iter().map(|often| (often.fact, often.count)).collect();
        assert_eq!(taken, [(refused("token.expired", 7), 2), (refused("token.expired", 3), 1)]);
        assert_eq!(strangers.len(), 1);
    }

    #[test]
    fn pace_allows_a_seconds_entries_and_then_waits() {
        let mut pace = Pace::new();
        let now = Instant::now();
        assert_eq!(pace.room(now), 20);
        pace.spend(20, now);
        assert_eq!(pace.room(now), 0);
        assert_eq!(pace.room(now + Duration::from_millis(200)), 4);
        assert_eq!(pace.room(now + Duration::from_secs(60)), 20);
    }
}
