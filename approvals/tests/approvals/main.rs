//! Approvals over a real ledger, a vault and a directory that follows: the gate, votes, the clock, policies and delegations.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

#[path = "../../../identity-api/tests/other_ways/authenticator.rs"]
#[allow(dead_code, reason = "shared with other tests, which use more of it")]
mod authenticator;
mod clock;
mod gate;
mod inbox;
mod independence;
mod never;
mod policies;
mod seats;
mod signatures;
mod standing;
mod world;
