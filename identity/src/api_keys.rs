//! Checking API keys.
