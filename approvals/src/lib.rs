#![doc = include_str!("../README.md")]

mod clock;
mod delegations;
mod electorates;
mod export_custody;
mod export_runs;
mod export_schedules;
mod facts;
mod gate;
mod held_up;
mod inbox;
mod personal;
mod policies;
mod problems;
mod reach;
mod requests;
mod service;
pub mod view;
mod voters;
mod votes;

pub use clock::TickReport;
pub use delegations::NewDelegation;
pub use export_custody::{ExportCustody, FileKept};
pub use export_runs::{DueRun, ExportRuns, OpenedRun};
pub use gate::{Blocked, Gated, Grant, Needed, Passage, RedeemError};
pub use held_up::HeldUp;
pub use inbox::{InboxItem, NotEligible};
pub use policies::Changed;
pub use problems::refused;
pub use requests::Ballot;
pub use service::Approvals;
pub use votes::SignatureFault;
