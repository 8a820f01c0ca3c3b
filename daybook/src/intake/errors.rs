//! Rows that were refused: the first of them on standard error, all of them in a file if one is named.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;

use crate::progress::Progress;

/// Most refused rows that are shown.
const MOST_SHOWN: u64 = 20;

/// Where refused rows are told.
pub struct ErrorReport {
    shown: u64,
    file: Option<BufWriter<File>>,
}

impl ErrorReport {
    /// Told on standard error, and in `path` if there is one.
    pub fn new(path: Option<&Path>) -> anyhow::Result<Self> {
        let file = match path {
            Some(path) => {
                let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
                Some(BufWriter::new(file))
            }
            None => None,
        };
        Ok(Self { shown: 0, file })
    }

    /// Tells of one.
    pub fn refused(&mut self, line: u64, why: &str, progress: &Progress) -> anyhow::Result<()> {
        self.shown += 1;
        if self.shown <= MOST_SHOWN {
            progress.note(&format!("line {line}: {why}"));
        } else if self.shown == MOST_SHOWN + 1 {
            progress.note("further refused rows are counted and not shown (--errors FILE keeps them all)");
        }
        if let Some(file) = &mut self.file {
            writeln!(file, "{line}\t{}", why.replace(['\n', '\t'], " ")).context("cannot write the errors' file")?;
        }
        Ok(())
    }

    /// Writes what is still in memory.
    pub fn finish(mut self) -> anyhow::Result<()> {
        match &mut self.file {
            Some(file) => file.flush().context("cannot write the errors' file"),
            None => Ok(()),
        }
    }
}
