//! What an evidence pack looks like to people: its report, its lines of CSV, and the page that says how to use it.
//!
//! Nothing here reads a ledger. Whoever makes a pack gathers what is shown, within the bounds that are said here.

mod css;
mod model;
mod report;
mod report_proof;
mod text;

use crate::format::csv::push_text;

pub use model::{ApprovalStory, Fact, HoldStory, Proof, Remark, Report, Story, StoryLine, Timestamp, VoteLine};
pub use report::render as render_report;
pub use text::{FORMAT, README};

/// Most records whose story the report tells.
pub const MAX_STORIES: usize = 200;
/// Most lines of one story.
pub const MAX_STORY_LINES: usize = 60;
/// Most approvals, and most holds, that the report shows.
pub const MAX_DECISIONS: usize = 200;
/// Most characters of what somebody wrote that the report shows.
pub const MAX_REMARK_CHARS: usize = 500;

/// One line of CSV as RFC 4180 has it, the same as exports of tables: nothing where there is no value, `""` for an empty text.
///
/// These files are for people, who open them in spreadsheets: a cell that one would take for a formula begins with `'`. The
/// entries beside them have what is exact.
pub fn csv_line<'a>(cells: impl IntoIterator<Item = Option<&'a str>>) -> Vec<u8> {
    let mut line = Vec::new();
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            line.push(b',');
        }
        match cell {
            Some(text) if text.starts_with(FORMULAS) => push_text(&mut line, &format!("'{text}")),
            Some(text) => push_text(&mut line, text),
            None => {}
        }
    }
    line.extend_from_slice(b"\r\n");
    line
}

/// What a formula begins with, or what a spreadsheet leaves out before one.
const FORMULAS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

#[cfg(test)]
mod tests;
