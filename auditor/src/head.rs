//! A ledger's row in `ledger_heads`, and its comparison with what the entries come to.

use crate::cell::{Cell, Digest, LedgerKey, Problems};
use crate::report::{FindingKind, Findings};

/// A tree of 64-bit size has at most 64 complete subtrees.
const MAX_FRONTIER_BYTES: usize = 64 * 32;

/// A row of `ledger_heads`. What could not be read is none, and noted in `problems`.
#[derive(Debug)]
pub(crate) struct HeadRow {
    pub(crate) key: LedgerKey,
    pub(crate) size: Option<u64>,
    pub(crate) hash: Option<Digest>,
    root: Option<Digest>,
    frontier: Option<Vec<u8>>,
    recorded_at: Option<u64>,
    problems: Option<String>,
}

impl HeadRow {
    /// Reads the columns in the order of [`crate::cell::HEAD_COLUMNS`].
    pub(crate) fn read(cells: [Cell<'_>; 6]) -> Self {
        let [ledger_id, size, hash, root, frontier, recorded_at] = cells;
        let mut problems = Problems::default();
        let size = problems.number("size", size);
        let hash = problems.exact("hash", hash).copied();
        let root = problems.exact("root", root).copied();
        let frontier = problems.bytes("frontier", frontier).and_then(|bytes| {
            if bytes.len() <= MAX_FRONTIER_BYTES {
                return Some(bytes.to_vec());
            }
            problems.add(
                FindingKind::HeadMalformed,
                format_args!("frontier has {} bytes, more than any tree's", bytes.len()),
            );
            None
        });
        let recorded_at = problems.number("recorded_at", recorded_at);
        let problems = problems.take().map(|(_, detail)| detail);
        Self { key: LedgerKey::of(ledger_id), size, hash, root, frontier, recorded_at, problems }
    }

    /// What a server states; it does not tell its frontier.
    pub(crate) fn stated(key: LedgerKey, size: u64, hash: Digest, root: Digest, recorded_at: Option<u64>) -> Self {
        Self { key, size: Some(size), hash: Some(hash), root: Some(root), frontier: None, recorded_at, problems: None }
    }
}

/// What the entries from position 0 on come to.
#[derive(Debug)]
pub(crate) struct State {
    /// Number of entries.
    pub(crate) size: u64,
    /// Hash and time of the last one; none where that one is not sound.
    pub(crate) last: Option<(Digest, u64)>,
    pub(crate) root: Digest,
    pub(crate) frontier: Vec<u8>,
    /// Whether each entry is there and linked, so that the root says something.
    pub(crate) intact: bool,
}

impl State {
    fn hash(&self) -> Option<Digest> {
        self.last.map(|(hash, _)| hash)
    }
}

/// Compares a head with the entries: `end` is all of them, `at_head` those that the head's size covers, if so many
/// were read. True where entries lie beyond the size that the head states.
pub(crate) fn compare(
    head: &HeadRow,
    end: &State,
    at_head: Option<&State>,
    findings: &mut Findings,
    not_evaluated: &mut Vec<String>,
) -> bool {
    if let Some(problems) = &head.problems {
        findings.add(None, FindingKind::HeadMalformed, format!("ledger_heads: {problems}"));
    }
    let Some(size) = head.size.filter(|size| *size != end.size) else {
        compare_values(head, end, findings, not_evaluated);
        return false;
    };
    if end.intact && end.last.is_some() && head.hash == end.hash() && head.root == Some(end.root) {
        let detail =
            format!("the head states size {size}, but its hash and root are those of all {} entries", end.size);
        findings.add(None, FindingKind::HeadSizeMismatch, detail);
        compare_values(head, end, findings, not_evaluated);
        return false;
    }
    if size > end.size {
        let detail = match size - end.size {
            1 => format!("the entry is missing: the head states size {size}"),
            _ => format!("entries {} to {} are missing: the head states size {size}", end.size, size - 1),
        };
        findings.at(end.size, FindingKind::PositionGap, detail);
        not_evaluated.push("hash, root, frontier and time of the head, since entries are missing".to_owned());
        return false;
    }
    match at_head {
        Some(_) if size == 0 => {
            findings.add(None, FindingKind::HeadMalformed, "the head states size 0, which is never written");
        }
        Some(state) => compare_values(head, state, findings, not_evaluated),
        None => not_evaluated.push("hash, root, frontier and time of the head, since entries are missing".to_owned()),
    }
    true
}

fn compare_values(head: &HeadRow, state: &State, findings: &mut Findings, not_evaluated: &mut Vec<String>) {
    // A column that could not be read has been reported; it differs from nothing.
    let hash_differs = head.hash.is_some() && state.last.is_some() && head.hash != state.hash();
    let root_differs = head.root.is_some_and(|root| root != state.root);
    let frontier_differs = head.frontier.as_ref().is_some_and(|frontier| *frontier != state.frontier);
    if state.intact && hash_differs && root_differs && frontier_differs {
        let position = state.size.saturating_sub(1);
        let detail = "hash, root and frontier of the head are all another's: this entry or the head was replaced";
        findings.at(position, FindingKind::HeadMismatch, detail);
    } else {
        if hash_differs {
            findings.add(None, FindingKind::HeadHashMismatch, "the head's hash is not the hash of its last entry");
        }
        if !state.intact {
            not_evaluated.push("root and frontier of the head, since entries are not intact".to_owned());
        } else {
            if root_differs {
                let detail = "the head's root is not the root of the tree over the entries";
                findings.add(None, FindingKind::HeadRootMismatch, detail);
            }
            if frontier_differs {
                let detail = "the head's frontier is not that of the tree over the entries";
                findings.add(None, FindingKind::HeadFrontierMismatch, detail);
            }
        }
    }
    if let (Some(stated), Some((_, recorded_at))) = (head.recorded_at, state.last)
        && stated != recorded_at
    {
        let detail = format!("the head's recorded_at is {stated}, its last entry's is {recorded_at}");
        findings.add(None, FindingKind::HeadTimeMismatch, detail);
    }
}
