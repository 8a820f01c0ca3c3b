//! How many requests a caller may make. The limits are there against abuse: nobody meets them by using Daybook.
//!
//! The process counts for itself, by principal, or by address where nobody is known to be asking. What is kept is
//! bounded: callers that have not been heard of for a while are forgotten, and where strangers are too many they share
//! counters.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use daybook_ledger::LedgerId;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::principal::Principal;
use crate::problem::Problem;

/// Requests a second where the settings say nothing else.
pub const DEFAULT_PER_SECOND: NonZeroU32 = NonZeroU32::new(1_000).unwrap();
/// Requests at once where the settings say nothing else.
pub const DEFAULT_BURST: NonZeroU32 = NonZeroU32::new(5_000).unwrap();
/// Code of the answer to one request too many.
pub(crate) const RATE_LIMITED: &str = "request.rate_limited";
/// Callers that are counted one by one.
const MAX_CALLERS: usize = 100_000;
/// Counters that strangers share where there are more callers than that.
const SHARED: u64 = 1_024;
/// Requests between two looks at how many callers are kept.
const SWEEP_EVERY: u64 = 4_096;
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Caller {
    Principal(LedgerId, String),
    /// An IPv4 address, or the first 64 bits of an IPv6 one: a network of that size is one customer's.
    Address(Option<IpAddr>),
    Shared(u64),
}

struct Limiter {
    counters: RateLimiter<Caller, DashMapStateStore<Caller>, DefaultClock, StateInformationMiddleware>,
    burst: u32,
    asked: AtomicU64,
    is_crowded: AtomicBool,
}

/// How many requests a caller may make. Clones count together.
#[derive(Clone)]
pub struct RateLimits(Option<Arc<Limiter>>);

/// What is left of a caller's allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    limit: u32,
    remaining: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self::new(DEFAULT_PER_SECOND, DEFAULT_BURST)
    }
}

impl RateLimits {
    /// So many requests a second, and so many at once after a pause.
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Self(Some(Arc::new(Limiter {
            counters: RateLimiter::dashmap(quota).with_middleware(),
            burst: burst.get(),
            asked: AtomicU64::new(0),
            is_crowded: AtomicBool::new(false),
        })))
    }

    /// As many as they like.
    pub fn off() -> Self {
        Self(None)
    }

    /// Counts one request. `None` where nothing is counted; 429 where it is one too many.
    pub(crate) fn check(
        &self,
        principal: Option<&Principal>,
        address: Option<IpAddr>,
    ) -> Result<Option<Allowance>, Problem> {
        let Some(limiter) = &self.0 else { return Ok(None) };
        if principal.is_some_and(Principal::is_operator) {
            return Ok(None);
        }
        limiter.sweep();
        let caller = limiter.caller(principal, address);
        match limiter.counters.check_key(&caller) {
            Ok(state) => Ok(Some(Allowance { limit: limiter.burst, remaining: state.remaining_burst_capacity() })),
            Err(not_until) => {
                let wait = not_until.wait_time_from(limiter.counters.clock().now());
                let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                Err(Problem::new(429, RATE_LIMITED, "too many requests; Retry-After says when to come back")
                    .with_retry_after(seconds)
                    .with_header(LIMIT, limiter.burst.to_string())
                    .with_header(REMAINING, "0"))
            }
        }
    }

    #[cfg(test)]
    fn callers(&self) -> usize {
        self.0.as_ref().map_or(0, |limiter| limiter.counters.len())
    }
}

impl Limiter {
    fn caller(&self, principal: Option<&Principal>, address: Option<IpAddr>) -> Caller {
        match principal {
            // Their number is that of the accounts and keys there are.
            Some(principal) => Caller::Principal(principal.organization.clone(), principal.actor.id.clone()),
            None if self.is_crowded.load(Ordering::Relaxed) => {
                let mut hasher = DefaultHasher::new();
                address.map(network).hash(&mut hasher);
                Caller::Shared(hasher.finish() % SHARED)
            }
            None => Caller::Address(address.map(network)),
        }
    }

    /// Forgets callers whose allowance is whole again.
    fn sweep(&self) {
        if self.asked.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY != SWEEP_EVERY - 1 {
            return;
        }
        self.counters.retain_recent();
        let is_crowded = self.counters.len() >= MAX_CALLERS;
        if self.is_crowded.swap(is_crowded, Ordering::Relaxed) && !is_crowded {
            self.counters.shrink_to_fit();
        }
    }
}

impl Allowance {
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, HeaderValue::from(self.limit));
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use daybook_ledger::Actor;

    use super::*;
    use crate::principal::{Access, Via};

    fn limits(per_second: u32, burst: u32) -> RateLimits {
        RateLimits::new(NonZeroU32::new(per_second).unwrap(), NonZeroU32::new(burst).unwrap())
    }

    fn principal(id: &str, via: Via) -> Principal {
        Principal {
            actor: Actor::human(id),
            organization: LedgerId::main(),
            roles: Arc::from([]),
            access: Arc::new(Access::default()),
            via,
            session_id: None,
        }
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn callers_are_counted_apart() {
        let limits = limits(1, 2);
        let (one, other) = (principal("usr_1", Via::Session), principal("usr_2", Via::Session));
        assert_eq!(limits.check(Some(&one), None).unwrap().unwrap(), Allowance { limit: 2, remaining: 1 });
        assert_eq!(limits.check(Some(&one), None).unwrap().unwrap().remaining, 0);
        let problem = limits.check(Some(&one), None).unwrap_err();
        assert_eq!((problem.status(), problem.code()), (429, "request.rate_limited"));
        assert!(limits.check(Some(&other), None).is_ok());
        assert!(limits.check(None, address("203.0.113.1")).is_ok());
    }

    #[test]
    fn network_of_one_customer_is_one_caller() {
        let limits = limits(1, 1);
        assert!(limits.check(None, address("2001:db8:1:2::1")).is_ok());
        assert!(limits.check(None, address("2001:db8:1:2::2")).is_err());
        assert!(limits.check(None, address("2001:db8:1:3::1")).is_ok());
    }

    #[test]
    fn operator_is_not_counted() {
        let limits = limits(1, 1);
        let operator = principal("operator", Via::OperatorToken);
        assert!((0..10).all(|_| limits.check(Some(&operator), None).unwrap().is_none()));
    }

    #[test]
    fn callers_that_were_not_heard_of_for_a_while_are_forgotten() {
        // A thousand a second are whole again after a millisecond.
        let limits = limits(1_000_000, 1);
        for number in 0..20_000_u32 {
            let _ = limits.check(None, Some(IpAddr::V4(number.into())));
        }
        assert!(limits.callers() <= usize::try_from(2 * SWEEP_EVERY).unwrap(), "{}", limits.callers());
    }

    #[test]
    fn crowd_of_strangers_shares_counters() {
        let limits = limits(1, 1);
        for number in 0..250_000_u32 {
            let _ = limits.check(None, Some(IpAddr::V4(number.into())));
        }
        let bound = MAX_CALLERS + usize::try_from(SWEEP_EVERY + SHARED).unwrap();
        assert!(limits.callers() <= bound, "{}", limits.callers());
    }
}
