//! What the first entries come to at the sizes that somebody asked for.

use crate::cell::Digest;
use crate::head::State;
use crate::report::{SealInfo, StateAt};

/// The sizes asked for, and the states kept so far.
#[derive(Debug, Default)]
pub(crate) struct States {
    /// Ascending.
    wanted: Vec<u64>,
    next: usize,
    kept: Vec<StateAt>,
}

impl States {
    pub(crate) fn new(wanted: &[u64]) -> Self {
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        Self { wanted, next: 0, kept: Vec::new() }
    }

    /// The smallest size that was asked for and not reached yet.
    pub(crate) fn next(&self) -> Option<u64> {
        self.wanted.get(self.next).copied()
    }

    /// Keeps the state at `size` where it is wanted. Sizes that were jumped over, by a gap, have none.
    pub(crate) fn keep(
        &mut self,
        size: u64,
        genesis: &Digest,
        state: impl Fn() -> State,
        seal: impl Fn() -> Option<SealInfo>,
    ) {
        while let Some(wanted) = self.next().filter(|wanted| *wanted <= size) {
            self.next += 1;
            let here = (wanted == size).then(&state);
            let intact = here.as_ref().filter(|state| state.intact);
            let frontier = intact.map(|state| state.frontier.as_chunks::<32>().0).unwrap_or_default();
            self.kept.push(StateAt {
                size: wanted,
                reached: true,
                hash: match (wanted, &here) {
                    (0, _) => Some(hex::encode(genesis)),
                    (_, here) => here.as_ref().and_then(|state| state.last).map(|(hash, _)| hex::encode(hash)),
                },
                root: intact.map(|state| hex::encode(state.root)),
                frontier: frontier.iter().map(hex::encode).collect(),
                sealed: here.as_ref().and_then(|_| seal()),
            });
        }
    }

    /// The states, with those that the ledger does not reach.
    pub(crate) fn finish(mut self) -> Vec<StateAt> {
        let missing = self.wanted.get(self.next..).unwrap_or_default().iter().map(|size| StateAt {
            size: *size,
            reached: false,
            hash: None,
            root: None,
            frontier: Vec::new(),
            sealed: None,
        });
        self.kept.extend(missing);
        self.kept
    }
}
