//! Is this all of the ledger that somebody saw before? And if not: where does it differ, and was it signed twice?

use std::ops::Range;

use super::Case;
use crate::report::FindingKind;
use crate::trust::{Answer, Brought, CheckpointFacts, Judged, Provenance, TrustFinding};

impl Case<'_> {
    pub(super) fn completeness(&mut self, brought: &Brought) -> Judged {
        let size = self.report.size;
        let copy = self.presented.is_copy || self.report.part.is_some();
        let kept = |one: &&CheckpointFacts| one.provenance != Provenance::Presented;
        let newest_kept = self.checkpoints.iter().filter(kept).max_by_key(|one| one.size).cloned();
        let newest_presented = self.checkpoints.iter().find(|one| one.provenance == Provenance::Presented).cloned();
        let mut failures = Vec::new();
        // Checkpoints of a size that the source does not reach. One that the source itself presents counts as well.
        let beyond = self.checkpoints.iter().filter(|one| !one.reached).max_by_key(|one| one.size).cloned();
        if let Some(beyond) = beyond.as_ref().filter(|_| !copy) {
            let detail = format!(
                "a checkpoint {} states {} entries, the ledger has {size}: its end was cut off",
                beyond.provenance.words(),
                beyond.size
            );
            self.findings.push(TrustFinding::over(FindingKind::LedgerTruncated, size..beyond.size, detail.clone()));
            failures.push(detail);
        }
        if let Some(detail) = self.rewritten(brought) {
            failures.push(detail);
        }
        self.forks();
        if let (Some(kept), Some(presented)) = (&newest_kept, &newest_presented)
            && presented.size < kept.size
            && !copy
        {
            let detail = format!(
                "the newest checkpoint that the source presents is of size {}, but one of size {} was seen before",
                presented.size, kept.size
            );
            let range = presented.size..kept.size;
            self.findings.push(TrustFinding::over(FindingKind::CheckpointReplayed, range, detail.clone()));
            failures.push(detail);
        }
        if !failures.is_empty() {
            return Judged::new(Answer::Failed, failures.join("; "));
        }
        let damaged = |one: &CheckpointFacts| one.reached && one.recomputed_root.is_none() && self.compared(one.size);
        if let Some(one) = self.checkpoints.iter().filter(kept).find(|one| damaged(one))
            && self.report.part.is_none()
        {
            let detail = format!("the first {} entries are not intact, so they cannot be what was signed", one.size);
            return Judged::new(Answer::Failed, detail);
        }
        if let Some(detail) = newest_kept.as_ref().and_then(|kept| self.payload_changed(kept)) {
            return Judged::new(Answer::Failed, detail);
        }
        match newest_kept {
            Some(kept) if kept.holds() => {
                let rest = match size.saturating_sub(kept.size) {
                    _ if self.report.part.is_some() => String::new(),
                    0 => "; there are no later ones".to_owned(),
                    rest => format!("; the {rest} after them were added since"),
                };
                let detail = format!(
                    "the first {} entries are those of the checkpoint {}{rest}",
                    kept.size,
                    kept.provenance.words()
                );
                Judged::new(Answer::Verified, detail)
            }
            Some(kept) => Judged::new(
                Answer::NotChecked,
                format!(
                    "this source does not hold what is needed to compare with the checkpoint of size {}",
                    kept.size
                ),
            ),
            None => Judged::new(Answer::NotChecked, self.nothing_kept(newest_presented.as_ref())),
        }
    }

    /// The root is over digests of payloads, so it holds where a payload is not the one whose digest that is.
    fn payload_changed(&self, kept: &CheckpointFacts) -> Option<String> {
        let of_payload = [FindingKind::PayloadDigestMismatch, FindingKind::PayloadMissing];
        let found = self.report.integrity.findings.iter().find(|finding| of_payload.contains(&finding.kind))?;
        let position = found.position.and_then(|position| u64::try_from(position).ok())?;
        (position < kept.size).then(|| {
            format!(
                "the first {} entries have the hashes that were signed, but the payload of entry {position} is not the one \
                 that was hashed",
                kept.size
            )
        })
    }

    fn nothing_kept(&self, presented: Option<&CheckpointFacts>) -> String {
        let needed = "only a checkpoint that was kept elsewhere shows that nothing was cut off or rewritten";
        match presented {
            Some(one) if one.holds() => format!(
                "the source's own newest checkpoint holds over {} entries, but there may have been a newer one: {needed}",
                one.size
            ),
            _ => format!("no checkpoint was given or remembered: {needed}"),
        }
    }

    /// Looks for checkpoints whose root the entries do not come to, and says where the entries begin to differ.
    fn rewritten(&mut self, brought: &Brought) -> Option<String> {
        let kept = |one: &&CheckpointFacts| one.provenance != Provenance::Presented;
        let differs = |one: &&CheckpointFacts| one.recomputed_root.as_ref().is_some_and(|root| *root != one.root);
        let smallest = |kept_only: bool| {
            let differing = self.checkpoints.iter().filter(differs).filter(|one| !kept_only || kept(one));
            differing.min_by_key(|one| one.size)
        };
        // What the source presents may be forged to mislead, so it neither narrows nor widens what was kept.
        let first = smallest(true).or_else(|| smallest(false))?.clone();
        let holding = self.checkpoints.iter().filter(kept).filter(|one| one.holds() && one.size < first.size);
        let start = holding.map(|one| one.size).max().unwrap_or(0);
        let mut range = start..first.size;
        for memory in brought.memories.iter().filter(|memory| memory.ledger_id == self.report.ledger_id) {
            let (_, now) = self.root_at(memory.size);
            if now.is_some_and(|now| now != memory.root) {
                range = narrower(range, memory.first_difference(&self.presented.tile_roots));
            }
        }
        let what = match range.end - range.start {
            1 => format!("entry {} is another one", range.start),
            _ => format!("the first entry that differs is one of {} to {}", range.start, range.end - 1),
        };
        let detail = format!(
            "the first {} entries come to another root than the checkpoint {} states: history was rewritten; {what}",
            first.size,
            first.provenance.words()
        );
        self.findings.push(TrustFinding::over(FindingKind::TreeNotExtending, range, detail.clone()));
        Some(detail)
    }

    /// Two checkpoints that trusted keys signed and that no one history can hold.
    fn forks(&mut self) {
        let signed: Vec<&CheckpointFacts> = self.checkpoints.iter().filter(|one| one.is_signed()).collect();
        let pairs = signed.iter().enumerate().flat_map(|(index, one)| {
            signed
                .iter()
                .skip(index + 1)
                .map(move |other| if one.size <= other.size { (*one, *other) } else { (*other, *one) })
        });
        let fork = pairs.filter(|(small, large)| small.origin == large.origin).find(|(small, large)| {
            let same_size = small.size == large.size && small.root != large.root;
            // The larger one is over these entries, and these entries do not come to the smaller one.
            same_size || (large.holds() && small.recomputed_root.is_some() && !small.holds())
        });
        if let Some((small, large)) = fork {
            let detail = format!(
                "checkpoints of size {} ({}) and {} ({}) cannot be of one history, and both are validly signed",
                small.size,
                small.provenance.words(),
                large.size,
                large.provenance.words()
            );
            let finding = TrustFinding::over(FindingKind::Fork, 0..small.size, detail);
            self.findings.push(finding);
        }
    }
}

/// What two ranges have in common; the first where that is nothing.
fn narrower(one: Range<u64>, other: Range<u64>) -> Range<u64> {
    let both = one.start.max(other.start)..one.end.min(other.end);
    if both.is_empty() { one } else { both }
}
