//! Denials, refused credentials and reads as entries, in batches.
