//! Who may do what: the directory, tokens, keys, the authenticator and the recorder, over a real ledger and vault.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod api_keys;
mod approving;
mod credentials;
mod custody;
mod directory;
mod faulty;
mod following;
mod recorder;
mod roles;
mod schedules;
mod tokens;
mod world;
