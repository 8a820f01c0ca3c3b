//! Faults of disk, network and clock under load, on real processes.
//!
//! Every test ends the same way: the fault is taken away, the process goes on (started again where it stopped), every
//! acknowledged command is there once and with its receipt, whatever was not acknowledged can be sent again, the chain is
//! verified and the read models equal a rebuild.
//!
//! What a store must survive and what can only be noticed:
//!
//! * What was written and not synced when the power went: any part of it may be on the disk, in any order, torn at any
//!   sector. The ledger survives that (`power_loss`): a command is acknowledged after its sync.
//! * What was synced and is damaged later (a sector that rots, a foreign hand): no store can bring it back. It has to be
//!   noticed: `daybook verify` names it, and nothing goes on silently (`damage`).

mod clock;
mod cluster;
mod commit_cut;
mod damage;
mod disk;
pub(crate) mod inject;
mod load;
mod power_loss;
mod proxy;
mod server_lost;

pub(crate) use inject::Injector;
