//! Argon2id.
