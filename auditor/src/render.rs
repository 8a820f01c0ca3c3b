//! The report as plain text for people.

use std::fmt::{self, Write as _};

use chrono::{DateTime, SecondsFormat};

use crate::report::{Finding, LedgerReport, Report, Verdict};
use crate::trust::Answer;

impl Report {
    /// The report as plain, aligned text, a block a ledger. Ends with a line feed.
    pub fn render_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write!(text, "{self}");
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ledger in &self.ledgers {
            writeln!(formatter, "{ledger}")?;
        }
        if self.ledgers.is_empty() {
            writeln!(formatter, "The store holds no ledger: there was nothing to verify.")?;
        }
        for finding in &self.findings {
            writeln!(formatter, "store: FAILED: {}", finding.detail)?;
        }
        let failed = self.ledgers.iter().filter(|ledger| !ledger.is_verified()).count();
        let counted = plural(self.ledgers.len(), "ledger");
        let outcome = match (self.is_verified(), failed) {
            (true, _) if self.ledgers.is_empty() => return Ok(()),
            (true, _) => format!("{counted} verified"),
            (false, 0) => format!("{counted}, but the store FAILED"),
            (false, _) => format!("{failed} of {counted} FAILED"),
        };
        writeln!(
            formatter,
            "{outcome}: {} in {:.2} s, {:.0} a second",
            plural(self.entries, "entry"),
            self.seconds,
            self.entries_per_second
        )
    }
}

impl fmt::Display for LedgerReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let integrity = &self.integrity;
        writeln!(formatter, "ledger {}", self.ledger_id)?;
        writeln!(formatter, "  integrity     {}", verdict(integrity.verdict, integrity.findings.first()))?;
        for finding in integrity.findings.iter().skip(1) {
            writeln!(formatter, "                {}", place_and_detail(finding))?;
        }
        let listed = u64::try_from(integrity.findings.len()).unwrap_or(u64::MAX);
        if integrity.findings_total > listed {
            writeln!(formatter, "                and {} more", integrity.findings_total - listed)?;
        }
        for check in &integrity.not_evaluated {
            writeln!(formatter, "                not evaluated: {check}")?;
        }
        writeln!(formatter, "  completeness  not checked: {}", self.completeness.reason)?;
        writeln!(formatter, "  authorship    not checked: {}", self.authorship.reason)?;
        writeln!(
            formatter,
            "  time          as the server says: {} to {}",
            moment(self.time.first_recorded_at),
            moment(self.time.last_recorded_at)
        )?;
        let approvals = &self.approvals;
        let answer = match approvals.verdict {
            Answer::Verified => "verified",
            Answer::Failed => "FAILED",
            Answer::NotChecked => "not checked",
        };
        writeln!(formatter, "  approvals     {answer}: {}", approvals.reason)?;
        for finding in &approvals.findings {
            writeln!(formatter, "                {}", place_and_detail(finding))?;
        }
        let payloads = &self.payloads;
        writeln!(
            formatter,
            "  payloads      {} present, {} erased, {} pruned, {} missing",
            payloads.present, payloads.erased, payloads.pruned, payloads.missing
        )?;
        writeln!(formatter, "  size          {} in {}", plural(self.entries, "entry"), plural(self.streams, "stream"))?;
        writeln!(formatter, "  hash          {}", self.hash.as_deref().unwrap_or("-"))?;
        writeln!(formatter, "  root          {}", self.root.as_deref().unwrap_or("-"))
    }
}

fn verdict(verdict: Verdict, first: Option<&Finding>) -> String {
    match (verdict, first) {
        (Verdict::Verified, _) => "verified".to_owned(),
        (Verdict::Failed, Some(finding)) => format!("FAILED {}", place_and_detail(finding)),
        (Verdict::Failed, None) => "FAILED".to_owned(),
    }
}

fn place_and_detail(finding: &Finding) -> String {
    match finding.position {
        Some(position) => format!("at position {position}: {} ({})", finding.detail, finding.kind.code()),
        None => format!("without a position: {} ({})", finding.detail, finding.kind.code()),
    }
}

fn plural(count: impl TryInto<u64>, word: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    match (count, word.strip_suffix('y')) {
        (1, _) => format!("1 {word}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        _ => format!("{count} {word}s"),
    }
}

fn moment(microseconds: Option<u64>) -> String {
    let Some(microseconds) = microseconds else { return "-".to_owned() };
    i64::try_from(microseconds)
        .ok()
        .and_then(DateTime::from_timestamp_micros)
        .map_or_else(|| format!("{microseconds} µs"), |time| time.to_rfc3339_opts(SecondsFormat::Micros, true))
}
