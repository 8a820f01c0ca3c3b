#![doc = include_str!("../README.md")]

mod anchor;
mod engine;
mod large_transactions;
mod outside;
mod positions;
mod schedule;
mod witness;

pub use anchor::{
    ANCHOR, ANCHORED, AnchorCheck, AnchorError, Anchored, Anchoring, Anchors, AuthorityError, RecordedAnchor,
    TimeStampAuthority, check_anchors,
};
pub use engine::{React, ReactError, Reactors};
pub use large_transactions::LargeTransactions;
pub use outside::OutsideError;
pub use positions::{ReactorStatus, status};
pub use schedule::{Schedule, ScheduleStatus, Scheduled, unschedule};
pub use witness::{
    WITNESS, Witness, WitnessError, WitnessKey, WitnessKeyError, WitnessPolicyError, Witnesses, Witnessing,
    witnesses_of_policy,
};
