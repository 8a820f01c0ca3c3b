//! People and what they may do: every route on people, roles, organisations, keys, holds and erasures, good and bad, and the
//! attempts to get more than one has.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

#[path = "../common/mod.rs"]
mod common;

mod api_keys;
mod compatible;
mod departments;
mod documented;
mod erasure;
mod erasure_approvals;
mod grants;
mod holds;
mod inviting;
mod listing;
mod organizations;
mod rbac;
mod retention;
mod several_processes;
mod status;
