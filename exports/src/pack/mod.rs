//! What an evidence pack looks like to people: its report, its lines of CSV, and the page that says how to use it.
//!
//! Nothing here reads a ledger. Whoever makes a pack gathers what is shown, within the bounds that are said here.

mod css;
mod report;
mod report_proof;
mod text;

use crate::format::csv::push_text;

pub use report::{
    ApprovalStory, Fact, HoldStory, Proof, Report, Story, StoryLine, Timestamp, VoteLine, render as render_report,
};
pub use text::{FORMAT, README};

/// Most records whose story the report tells.
pub const MAX_STORIES: usize = 200;
/// Most lines of one story.
pub const MAX_STORY_LINES: usize = 60;
/// Most approvals, and most holds, that the report shows.
pub const MAX_DECISIONS: usize = 200;

/// One line of CSV as RFC 4180 has it, the same as exports of tables: nothing where there is no value, `""` for an empty text.
pub fn csv_line<'a>(cells: impl IntoIterator<Item = Option<&'a str>>) -> Vec<u8> {
    let mut line = Vec::new();
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            line.push(b',');
        }
        if let Some(text) = cell {
            push_text(&mut line, text);
        }
    }
    line.extend_from_slice(b"\r\n");
    line
}

#[cfg(test)]
mod tests;
