//! How the report looks, on a screen and on paper.

/// The style sheet, in the page itself.
pub(super) const STYLE: &str = include_str!("report.css");
