#![doc = include_str!("../README.md")]

mod anchor;
mod approvals_clock;
mod engine;
mod export_schedules;
mod exports;
mod large_transactions;
mod lease;
mod outside;
mod positions;
mod schedule;
mod tables;
mod witness;

pub use anchor::{
    ANCHOR, ANCHORED, AnchorCheck, AnchorError, Anchored, Anchoring, Anchors, AuthorityError, RecordedAnchor,
    TimeStampAuthority, check_anchors,
};
pub use approvals_clock::ApprovalsClock;
pub use engine::{React, ReactError, Reactors};
pub use export_schedules::{EXPORT_SCHEDULES, ExportScheduleParts, ExportSchedules, ExportSchedulesStatus};
pub use exports::{
    EXPORTS, ExportParts, ExportSettings, Exports, ExportsStatus, Pacing, Reading, ReadingError, Sources,
};
pub use large_transactions::LargeTransactions;
pub use lease::{Fence, LEASE_TIME, Lease, LeaseError, Leases};
pub use outside::OutsideError;
pub use positions::{ReactorStatus, status};
pub use schedule::{Schedule, ScheduleStatus, Scheduled, unschedule};
pub use witness::{
    WITNESS, Witness, WitnessError, WitnessKey, WitnessKeyError, WitnessPolicyError, Witnesses, Witnessing,
    witnesses_of_policy,
};
