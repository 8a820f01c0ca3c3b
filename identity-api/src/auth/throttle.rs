//! Guessing gets slower: failures are counted for each account and for each address, for all processes together.
//!
//! Attempts on one account are looked at one after the other in this process, so that many at once are no more guesses than
//! one after the other.

use std::time::Duration;

use actix_web::http::header::RETRY_AFTER;
use daybook_http_kit::Problem;
use daybook_identity::vault::{AccountRow, Digest, ThrottleKey, ThrottlePolicy};
use daybook_ledger::LedgerId;
use tokio::sync::{Mutex, MutexGuard};

use super::client::Client;
use crate::state::{IdentityState, vault_problem};

const LOGIN_ACCOUNT: &str = "login.account";
const LOGIN_ADDRESS: &str = "login.address";
const MINUTE: i64 = 60_000_000;
const MICROS_PER_SECOND: i64 = 1_000_000;
/// Five wrong guesses in a quarter of an hour keep an account shut for a minute, then for two, at most for an hour.
const ACCOUNT: ThrottlePolicy =
    ThrottlePolicy { failures: 5, window: 15 * MINUTE, first_lock: MINUTE, longest_lock: 60 * MINUTE };
/// Behind one address there may be an office.
const ADDRESS: ThrottlePolicy =
    ThrottlePolicy { failures: 50, window: 15 * MINUTE, first_lock: MINUTE, longest_lock: 60 * MINUTE };
/// Letters that anybody may have sent to an account.
const LETTERS: ThrottlePolicy =
    ThrottlePolicy { failures: 5, window: 60 * MINUTE, first_lock: 15 * MINUTE, longest_lock: 60 * MINUTE };
/// Requests from one address that cost a letter or an account.
const REQUESTS: ThrottlePolicy =
    ThrottlePolicy { failures: 30, window: 60 * MINUTE, first_lock: 15 * MINUTE, longest_lock: 60 * MINUTE };
/// Logins begun from one address: each leaves a row behind for some minutes.
const BEGINNINGS: ThrottlePolicy =
    ThrottlePolicy { failures: 300, window: 15 * MINUTE, first_lock: MINUTE, longest_lock: 15 * MINUTE };
/// How long an attempt waits for those before it.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// Accounts share turns by a byte of their digest.
const TURNS: usize = 256;

static TURN: [Mutex<()>; TURNS] = [const { Mutex::const_new(()) }; TURNS];

/// An attempt to show who one is, on one account.
pub(crate) struct Attempt<'a> {
    state: &'a IdentityState,
    organization: &'a LedgerId,
    user_id: Option<&'a str>,
    account: ThrottleKey,
    address: ThrottleKey,
    _turn: MutexGuard<'static, ()>,
}

impl<'a> Attempt<'a> {
    /// An attempt on an account that is known.
    pub(crate) async fn begin(
        state: &'a IdentityState,
        client: &Client,
        organization: &'a LedgerId,
        account: &'a AccountRow,
    ) -> Result<Self, Problem> {
        Self::begin_unknown(state, client, organization, &account.email_digest, Some(&account.user_id)).await
    }

    /// Waits for its turn. 429 where account or address have failed too often. `digest` is what the account is known by:
    /// the same whether there is one or not; `user_id` is whose it is, where there is one.
    pub(crate) async fn begin_unknown(
        state: &'a IdentityState,
        client: &Client,
        organization: &'a LedgerId,
        digest: &Digest,
        user_id: Option<&'a str>,
    ) -> Result<Self, Problem> {
        let [turn, ..] = digest;
        let busy = || Problem::unavailable("auth.busy", "too many attempts at once", 1);
        let turn = TURN.get(usize::from(*turn)).ok_or_else(busy)?;
        let turn = tokio::time::timeout(TURN_TIMEOUT, turn.lock()).await.map_err(|_| busy())?;
        let attempt = Self {
            state,
            organization,
            user_id,
            account: state.vault.throttle_key(LOGIN_ACCOUNT, organization, &hex::encode(digest)),
            address: address_key(state, client, LOGIN_ADDRESS),
            _turn: turn,
        };
        let now = state.now();
        for (what, key) in [(LOGIN_ACCOUNT, &attempt.account), (LOGIN_ADDRESS, &attempt.address)] {
            if let Some(until) = state.vault.locked_until(key, now).await.map_err(vault_problem)? {
                state.recorder.throttled(&attempt.recorded_in(), what, user_id);
                return Err(throttled(until, now));
            }
        }
        Ok(attempt)
    }

    /// It failed: counts against account and address.
    pub(crate) async fn failed(&self) -> Result<(), Problem> {
        let (vault, now) = (&self.state.vault, self.state.now());
        let account = vault.failure(&self.account, now, &ACCOUNT).await.map_err(vault_problem)?;
        let address = vault.failure(&self.address, now, &ADDRESS).await.map_err(vault_problem)?;
        for (what, locked) in [(LOGIN_ACCOUNT, account), (LOGIN_ADDRESS, address)] {
            if locked.is_some() {
                self.state.recorder.throttled(&self.recorded_in(), what, self.user_id);
            }
        }
        Ok(())
    }

    /// It succeeded: the account's failures are forgotten. The address may have others behind it.
    pub(crate) async fn succeeded(&self) -> Result<(), Problem> {
        self.state.vault.success(&self.account).await.map_err(vault_problem)
    }

    /// Where it is recorded: an organisation that does not exist has no ledger.
    pub(crate) fn recorded_in(&self) -> LedgerId {
        recorded_in(self.state, Some(self.organization))
    }
}

fn recorded_in(state: &IdentityState, organization: Option<&LedgerId>) -> LedgerId {
    let known = organization.filter(|organization| state.organizations.get(organization).is_some());
    known.unwrap_or_else(|| state.identity.default_organization()).clone()
}

/// Counts a request that anybody may make and that costs something; 429 where there were too many from this address.
pub(crate) async fn count_request(state: &IdentityState, client: &Client, what: &str) -> Result<(), Problem> {
    count(state, client, what, &REQUESTS).await
}

/// Counts a login that somebody begins elsewhere: at another provider, with a passkey. 429 as above.
pub(crate) async fn count_beginning(state: &IdentityState, client: &Client, what: &str) -> Result<(), Problem> {
    count(state, client, what, &BEGINNINGS).await
}

async fn count(state: &IdentityState, client: &Client, what: &str, policy: &ThrottlePolicy) -> Result<(), Problem> {
    let (key, now) = (address_key(state, client, what), state.now());
    match state.vault.failure(&key, now, policy).await.map_err(vault_problem)? {
        Some(until) => {
            state.recorder.throttled(&recorded_in(state, None), what, None);
            Err(throttled(until, now))
        }
        None => Ok(()),
    }
}

/// Counts a letter to an account; false where it has had enough of them.
pub(crate) async fn may_send_letter(
    state: &IdentityState,
    organization: &LedgerId,
    user_id: &str,
) -> Result<bool, Problem> {
    let key = state.vault.throttle_key("letters.account", organization, user_id);
    let locked = state.vault.failure(&key, state.now(), &LETTERS).await.map_err(vault_problem)?;
    Ok(locked.is_none())
}

/// Forgets what was guessed at an account: its owner has shown otherwise who he is.
pub(crate) async fn forgive(state: &IdentityState, organization: &LedgerId, account: &Digest) -> Result<(), Problem> {
    let key = state.vault.throttle_key(LOGIN_ACCOUNT, organization, &hex::encode(account));
    state.vault.success(&key).await.map_err(vault_problem)
}

/// Addresses are counted for the installation as a whole. An IPv6 host has a whole network of them.
fn address_key(state: &IdentityState, client: &Client, what: &str) -> ThrottleKey {
    let text = match client.address {
        None => "unknown".to_owned(),
        Some(std::net::IpAddr::V4(address)) => address.to_string(),
        Some(std::net::IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    };
    state.vault.throttle_key(what, &LedgerId::main(), &text)
}

/// 429.
fn throttled(until: i64, now: i64) -> Problem {
    let seconds = until.saturating_sub(now).max(1).saturating_add(MICROS_PER_SECOND - 1) / MICROS_PER_SECOND;
    Problem::new(429, "auth.throttled", "too many attempts; try again later")
        .with_header(RETRY_AFTER, seconds.to_string())
}
