//! Progress on standard error: rate and time left on a terminal, silence elsewhere.

use std::io::IsTerminal as _;

use daybook_auditor::Progress as Step;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar that goes away when it is dropped.
#[derive(Debug)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Begins.
    pub fn new() -> Self {
        Self(std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let template = "  {bar:32} {human_pos} of {human_len} entries  {per_sec}  {eta} left  {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar
        }))
    }

    /// Shows how far it has come.
    pub fn show(&self, step: &Step) {
        if let Some(bar) = &self.0 {
            bar.set_length(step.expected_entries.max(step.entries));
            bar.set_position(step.entries);
            bar.set_message(step.ledger_id.escape_debug().to_string());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
