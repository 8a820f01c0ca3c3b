//! Bundles over HTTP. They are written where exports are.

pub mod download;

pub use daybook_exports::bundle::{Bundle, BundleError, BundleRequest};
