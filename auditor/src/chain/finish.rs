//! What can be judged only at the end of a ledger, and its report.

use std::io;

use super::{LedgerCheck, rate};
use crate::gate::Approvals;
use crate::head::{self, State};
use crate::report::{FindingKind, Integrity, LedgerReport, NotChecked, Part, Time, Verdict};
use crate::streams::StreamVersions;

impl LedgerCheck {
    /// Judges what can be judged only at the end, and reports. `part` is what is known of a source that holds only a
    /// part of the ledger.
    pub(crate) fn finish(mut self, part: Option<Part>) -> io::Result<LedgerReport> {
        let mut not_evaluated = Vec::new();
        let head = self.heads.first();
        let head_hash = head.filter(|head| head.size == Some(self.expected)).and_then(|head| head.hash);
        self.resolve_suspect(head_hash.as_ref());
        let end = self.state();
        match &part {
            None => self.finish_head(&end, &mut not_evaluated),
            Some(part) => self.finish_part(part),
        }
        self.finish_tiles(&mut not_evaluated)?;
        let streams = self.finish_versions(&mut not_evaluated)?;
        let own = std::mem::take(&mut self.own).into_kept();
        if own.unjudged_seals > 0 {
            not_evaluated
                .push(format!("hash or root in {} seals, since entries before are not known", own.unjudged_seals));
        }
        std::mem::take(&mut self.sealed).finish(&mut self.payloads, &mut not_evaluated);
        let seconds = self.started.elapsed().as_secs_f64();
        let approvals = match (self.from == 0 && !self.picked, self.findings.is_empty()) {
            (false, _) => Approvals::not_checked("the source holds only a part of the ledger"),
            (true, false) => {
                Approvals::not_checked("the entries are not intact, and what they say is not to be relied on")
            }
            (true, true) => self.gate.finish(),
        };
        let intact_last = end.last.filter(|_| end.intact);
        let (stored_checkpoints_total, stored_checkpoints) = self.checkpoints;
        Ok(LedgerReport {
            ledger_id: self.key.shown().to_owned(),
            size: self.entries,
            hash: intact_last.map(|(hash, _)| hex::encode(hash)),
            root: intact_last.map(|_| hex::encode(end.root)),
            integrity: Integrity {
                verdict: if self.findings.is_empty() { Verdict::Verified } else { Verdict::Failed },
                findings_total: self.findings.total(),
                findings: self.findings.into_sorted(),
                not_evaluated,
            },
            completeness: NotChecked { verdict: "not_checked", reason: "no checkpoint was given to compare with" },
            authorship: NotChecked {
                verdict: "not_checked",
                reason: "no keys were given to check the signatures of its checkpoints with",
            },
            time: Time {
                verdict: "server_asserted",
                first_recorded_at: self.first_time,
                last_recorded_at: self.latest_time,
            },
            approvals,
            payloads: self.payloads,
            entries: self.entries,
            streams,
            seconds,
            entries_per_second: rate(self.entries, seconds),
            seals: own.seals,
            states: self.states.finish(),
            anchors: own.anchors,
            anchors_total: own.anchors_total,
            key_events: own.key_events,
            stored_checkpoints,
            stored_checkpoints_total,
            tiles: self.stored_tiles.map_or(0, |tiles| tiles.compared()),
            part,
        })
    }

    /// Whether the part reaches as far as it says. Which entries a stream has beyond those that were picked is not known.
    fn finish_part(&mut self, part: &Part) {
        if part.stream.is_none() && part.selection.is_none() && self.expected < part.to {
            let detail = match part.to - self.expected {
                1 => "the entry is missing".to_owned(),
                _ => format!("entries {} to {} are missing", self.expected, part.to - 1),
            };
            self.findings.at(self.expected, FindingKind::PositionGap, detail);
        }
    }

    fn finish_versions(&mut self, not_evaluated: &mut Vec<String>) -> io::Result<u64> {
        let versions = std::mem::replace(&mut self.versions, StreamVersions::new(false));
        if !self.intact {
            not_evaluated.push("gapless versions of streams, since entries are not intact".to_owned());
            return versions.finish(self.threads, |_| {});
        }
        let findings = &mut self.findings;
        versions.finish(self.threads, |found| {
            let kind = match found.actual > found.expected {
                true => FindingKind::VersionGap,
                false => FindingKind::VersionRepeated,
            };
            let detail = format!("the stream goes on with version {}, not {}", found.actual, found.expected);
            findings.at(found.position, kind, detail);
        })
    }

    fn finish_tiles(&mut self, not_evaluated: &mut Vec<String>) -> io::Result<()> {
        if self.stored_tiles.is_some() && !self.has_tree() {
            not_evaluated.push("stored tiles, since entries are not intact".to_owned());
        } else if let Some(stored) = &mut self.stored_tiles {
            stored.finish(&mut self.tree, &mut self.findings)?;
        }
        Ok(())
    }

    fn finish_head(&mut self, end: &State, not_evaluated: &mut Vec<String>) {
        let findings = &mut self.findings;
        let Some(head) = self.heads.first() else {
            findings.add(None, FindingKind::HeadMissing, "there are entries, but no row in ledger_heads");
            return;
        };
        if self.heads.len() > 1 {
            let detail = format!("ledger_heads has {} rows for this ledger", self.heads.len());
            findings.add(None, FindingKind::HeadDuplicate, detail);
        }
        if self.entries == 0 {
            let size = head.size.map_or_else(|| "no readable size".to_owned(), |size| format!("size {size}"));
            let detail = format!("there is no entry, but a head that states {size}");
            findings.add(Some(0), FindingKind::HeadWithoutEntries, detail);
            return;
        }
        if head::compare(head, end, self.at_head.as_ref(), findings, not_evaluated)
            && let Some(beyond) = &self.beyond
        {
            let detail = match beyond.count {
                1 => "the entry is beyond the size that the head states".to_owned(),
                count => format!("{count} entries up to {} are beyond the size that the head states", beyond.last),
            };
            findings.at(beyond.first, FindingKind::BeyondHead, detail);
        }
    }
}
