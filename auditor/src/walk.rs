//! Takes the rows of a whole store, ledger after ledger, and hands each to the check of its ledger.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::cell::{EntryRow, LedgerKey};
use crate::chain::{LedgerCheck, rate};
use crate::head::HeadRow;
use crate::report::{Finding, FindingKind, LedgerReport, Report};
use crate::source::{Progress, SourceError, VerifyOptions};

/// Rows between two calls of the progress function.
const PROGRESS_ROWS: u64 = 16_384;

/// The state of verifying a store. `progress` answers whether to go on.
pub(crate) struct Walk<P> {
    options: VerifyOptions,
    progress: P,
    heads: BTreeMap<LedgerKey, Vec<HeadRow>>,
    expected: u64,
    current: Option<LedgerCheck>,
    reports: Vec<LedgerReport>,
    entries: u64,
    started: Instant,
}

impl<P: FnMut(Progress) -> bool> Walk<P> {
    /// Starts with all heads: one row a ledger, so they fit in memory.
    pub(crate) fn new(options: VerifyOptions, heads: Vec<HeadRow>, progress: P) -> Self {
        let expected = heads.iter().filter_map(|head| head.size).fold(0, u64::saturating_add);
        let mut by_ledger: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for head in heads {
            by_ledger.entry(head.key.clone()).or_default().push(head);
        }
        Self {
            options,
            progress,
            heads: by_ledger,
            expected,
            current: None,
            reports: Vec::new(),
            entries: 0,
            started: Instant::now(),
        }
    }

    /// Takes the next row; rows of one ledger follow each other, in the order of their positions.
    pub(crate) fn row(&mut self, row: &EntryRow<'_>) -> Result<(), SourceError> {
        let check = match &mut self.current {
            Some(check) if check.key().matches(row.ledger_id()) => check,
            _ => {
                let key = LedgerKey::of(row.ledger_id());
                let heads = self.heads.remove(&key).unwrap_or_default();
                let check = LedgerCheck::new(key, heads, self.options.max_findings);
                if let Some(done) = self.current.replace(check) {
                    self.reports.push(done.finish()?);
                }
                match &mut self.current {
                    Some(check) => check,
                    None => return Ok(()),
                }
            }
        };
        check.row(row)?;
        self.entries += 1;
        if self.entries.is_multiple_of(PROGRESS_ROWS) {
            let progress = Progress {
                ledger_id: check.key().shown().to_owned(),
                entries: self.entries,
                expected_entries: self.expected,
            };
            if !(self.progress)(progress) {
                return Err(SourceError::Stopped);
            }
        }
        Ok(())
    }

    /// Reports. `rows_in_table` is how many rows a scan of the table itself counts, without its indexes.
    pub(crate) fn finish(mut self, rows_in_table: u64) -> Result<Report, SourceError> {
        if let Some(done) = self.current.take() {
            self.reports.push(done.finish()?);
        }
        for (key, heads) in std::mem::take(&mut self.heads) {
            self.reports.push(LedgerCheck::new(key, heads, self.options.max_findings).finish()?);
        }
        let mut findings = Vec::new();
        if rows_in_table != self.entries {
            findings.push(Finding {
                position: None,
                kind: FindingKind::RowsOutsideIndex,
                detail: format!(
                    "the table holds {rows_in_table} rows, its primary key leads to {}: the database file is damaged",
                    self.entries
                ),
            });
        }
        if let Some(ledger) = &self.options.ledger
            && self.reports.is_empty()
            && findings.is_empty()
        {
            return Err(SourceError::NoLedger(ledger.clone()));
        }
        self.reports.sort_by(|left, right| left.ledger_id.cmp(&right.ledger_id));
        let seconds = self.started.elapsed().as_secs_f64();
        Ok(Report {
            ledgers: self.reports,
            findings,
            entries: self.entries,
            seconds,
            entries_per_second: rate(self.entries, seconds),
        })
    }
}
