//! Credentials and keys: what must be kept, and must not be in a ledger.
