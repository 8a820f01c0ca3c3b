//! Coming in, going on, leaving: every route of `/auth`, good and bad, and the attacks on them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

#[path = "../common/mod.rs"]
mod common;

mod attacks;
mod compatible;
mod passwords;
mod profile;
mod registering;
mod second_factor;
mod sessions;
