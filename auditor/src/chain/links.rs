//! Broken links and wrong hashes: which entry is to blame, and for what.

use daybook_ledger::canonical::CanonicalFields;

use super::{Last, LedgerCheck};
use crate::cell::{Digest, Fields, Problems};
use crate::report::FindingKind;

impl LedgerCheck {
    /// Judges the link from a sound row to the one before. False where the chain cannot go on from this row.
    pub(super) fn link(&mut self, fields: &Fields<'_>, problems: &mut Problems) -> bool {
        match self.last {
            Last::Unknown => {}
            // Before the first entry of a part, and before a gap between entries that were picked, there is nothing known.
            Last::Start if fields.position > 0 || *fields.previous_hash == self.genesis => {}
            Last::Start => {
                let detail = format_args!("previous_hash is not the genesis hash of the ledger");
                problems.add(FindingKind::GenesisMismatch, detail);
                self.intact = false;
                return false;
            }
            Last::Sound { hash, .. } => {
                let holds = hash == *fields.previous_hash;
                if self.suspect.is_some() {
                    self.resolve_suspect(Some(fields.previous_hash));
                } else if !holds {
                    self.suspect = Some(fields.position);
                    self.intact = false;
                }
            }
        }
        true
    }

    /// Names the end of a broken link that was replaced. `next` is what the row after the link, or the head, was
    /// chained to.
    pub(super) fn resolve_suspect(&mut self, next: Option<&Digest>) {
        let Some(later) = self.suspect.take() else { return };
        let earlier = later.saturating_sub(1);
        let continues = match (next, self.last) {
            (Some(next), Last::Sound { hash, .. }) => Some(*next == hash),
            _ => None,
        };
        let replaced = "the entry is right in itself, but was replaced or put in: ";
        if self.head_size.is_some_and(|size| later >= size) {
            let detail = format!("{replaced}it is beyond the head and does not continue entry {earlier}");
            self.findings.at(later, FindingKind::EntryReplaced, detail);
        } else if continues == Some(true) {
            let detail = format!("{replaced}entry {later} was chained to another one (earlier entries may be as well)");
            self.findings.at(earlier, FindingKind::EntryReplaced, detail);
        } else if continues == Some(false) {
            let detail =
                format!("{replaced}it does not continue entry {earlier}, and what follows does not continue it");
            self.findings.at(later, FindingKind::EntryReplaced, detail);
        } else {
            let detail = format!("previous_hash is not the hash of entry {earlier}: one of the two was replaced");
            self.findings.at(later, FindingKind::LinkBroken, detail);
        }
    }

    /// The row now read, or rows before it, cannot be relied on.
    pub(super) fn unsound(&mut self, previous_hash: Option<&Digest>) {
        self.resolve_suspect(previous_hash);
        self.last = Last::Unknown;
        self.intact = false;
    }

    /// Says what about a row with a wrong hash is wrong, as far as the row and the one before tell.
    pub(super) fn explain(
        &self,
        fields: &Fields<'_>,
        canonical: CanonicalFields<'_>,
        payload_digest: Option<blake3::Hash>,
        problems: &mut Problems,
    ) {
        let mut buffer = Vec::new();
        let mut holds = |fields_: CanonicalFields<'_>| {
            fields_.write(&mut buffer);
            blake3::hash(&buffer) == *fields.hash
        };
        if let Some(digest) = payload_digest
            && digest != *fields.payload_digest
            && holds(CanonicalFields { payload_digest: digest.as_bytes(), ..canonical })
        {
            problems.add(
                FindingKind::PayloadDigestMismatch,
                format_args!(
                    "payload_digest was changed: it is not the digest of the payload that the hash was made over"
                ),
            );
            return;
        }
        let before = match &self.last {
            Last::Start => Some(&self.genesis),
            Last::Sound { hash, .. } => Some(hash),
            Last::Unknown => None,
        };
        if let Some(previous_hash) = before.filter(|before| *before != fields.previous_hash)
            && holds(CanonicalFields { previous_hash, ..canonical })
        {
            problems.add(
                FindingKind::LinkBroken,
                format_args!("previous_hash was changed: it is not the hash of the entry before"),
            );
            return;
        }
        problems.add(
            FindingKind::HashMismatch,
            format_args!("the stored hash is not the hash of the stored fields: one of them was changed"),
        );
    }
}
