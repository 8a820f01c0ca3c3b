//! From credentials to a caller.
