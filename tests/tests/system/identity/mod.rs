//! Who may do what, seen from outside.

mod attacks;
mod erasure;
mod isolation;
mod predecessors;
mod retention;
mod revocation;
mod secrets;
mod traces;
