//! Progress of long work, on standard error: a bar on a terminal, now and then a plain line elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// Between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(3);

/// How much the bar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Entries or rows.
    Count,
    /// Bytes of a file; what was done with them stands in the message.
    Bytes,
}

/// One piece of work.
pub struct Progress {
    bar: Option<ProgressBar>,
    label: &'static str,
    last_line: Mutex<Instant>,
    quiet: bool,
}

impl Progress {
    /// Starts a display of work named `label`. `total` of 0 where it is not known yet. A quiet one shows only on terminals.
    pub fn new(label: &'static str, total: u64, unit: Unit, quiet: bool) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let template = match unit {
                Unit::Count => "  {prefix} {bar:32} {human_pos}/{human_len} {per_sec} {msg}",
                Unit::Bytes => "  {prefix} {bar:32} {percent:>3}% {msg}",
            };
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar.set_prefix(label);
            bar
        });
        Self { bar, label, last_line: Mutex::new(Instant::now()), quiet }
    }

    /// Shows that `done` of `total` are done; `message` says more.
    pub fn update(&self, done: u64, total: u64, message: &str) {
        if let Some(bar) = &self.bar {
            if bar.length() != Some(total) {
                bar.set_length(total);
            }
            bar.set_position(done.min(total.max(done)));
            bar.set_message(message.to_owned());
            return;
        }
        if self.quiet {
            return;
        }
        let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() < LINE_INTERVAL {
            return;
        }
        *last = Instant::now();
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0);
        if message.is_empty() {
            eprintln!("  {}: {} of {} ({percent} %)", self.label, output::count(done), output::count(total));
        } else {
            eprintln!("  {}: {percent} %, {message}", self.label);
        }
    }

    /// Prints a line above the bar.
    pub fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Takes the display away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
