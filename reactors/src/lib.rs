#![doc = include_str!("../README.md")]

mod engine;
mod large_transactions;
mod positions;

pub use engine::{React, ReactError, Reactors};
pub use large_transactions::LargeTransactions;
pub use positions::{ReactorStatus, status};
