//! Since when: time stamps that the ledger holds of itself.

use super::{Case, MAX_FINDINGS, MAX_LISTED};
use crate::anchors::{self, AnchorOutcome};
use crate::report::{FindingKind, Verdict};
use crate::trust::{Brought, TimeEvidence, TimeVerdict, TrustFinding};

impl Case<'_> {
    pub(super) fn time(&mut self, brought: &Brought) -> TimeEvidence {
        let report = self.report;
        let roots = brought.tsa_roots.as_deref();
        let intact = report.integrity.verdict == Verdict::Verified;
        let judged: Vec<_> =
            report.anchors.iter().map(|row| anchors::judge(row, |size| self.root_at(size).1, roots)).collect();
        let mut failed = None;
        for anchor in &judged {
            let kind = match anchor.outcome {
                AnchorOutcome::Invalid => FindingKind::TimestampInvalid,
                AnchorOutcome::OtherRoot => FindingKind::TreeNotExtending,
                _ => continue,
            };
            let detail = format!("anchor at position {}: {}", anchor.position, anchor.detail);
            failed.get_or_insert_with(|| detail.clone());
            if self.findings.len() < MAX_FINDINGS * 2 {
                self.findings.push(TrustFinding::over(kind, anchor.position..anchor.position + 1, detail));
            }
        }
        let newest = judged.iter().rev().find(|anchor| anchor.outcome == AnchorOutcome::Verified);
        let (verdict, reason) = match (failed, newest) {
            (Some(failed), _) => (TimeVerdict::Failed, failed),
            (None, Some(anchor)) => (
                TimeVerdict::Witnessed,
                format!(
                    "{} saw the first {} entries at {}",
                    anchor.tsa.as_deref().unwrap_or("a time-stamping authority"),
                    anchor.size.unwrap_or(0),
                    anchor.generated_at.as_deref().unwrap_or("a time that it stated")
                ),
            ),
            (None, None) => (TimeVerdict::ServerAsserted, self.only_server(report.anchors_total, roots.is_some())),
        };
        TimeEvidence {
            verdict,
            reason,
            first_recorded_at: report.time.first_recorded_at,
            last_recorded_at: report.time.last_recorded_at.filter(|_| intact || report.size > 0),
            anchors: judged.into_iter().rev().take(MAX_LISTED).rev().collect(),
            anchors_total: report.anchors_total,
        }
    }

    fn only_server(&self, anchors: u64, roots: bool) -> String {
        match (anchors, roots) {
            (0, _) => "times are the server's word; the ledger holds no time stamp".to_owned(),
            (_, false) => "times are the server's word; its time stamps count only with --tsa-roots".to_owned(),
            (_, true) => "times are the server's word; no time stamp could be matched with these entries".to_owned(),
        }
    }
}
