//! Ways of coming in other than a password: another provider, a passkey. Good and bad, and the attacks on them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

#[path = "../common/mod.rs"]
mod common;

mod authenticator;
mod oidc;
mod oidc_attacks;
mod oidc_people;
mod passkeys;
mod passkeys_attacks;
mod provider;
