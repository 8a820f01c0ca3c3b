//! The load test's parts: what is asked, and what is measured.

pub mod figures;
pub mod mix;
