//! Everything that is one person's: what is kept from being taken away must not depend on which of a person's accounts, or
//! which of the keys that the person answers for, it is asked about.

use std::collections::BTreeSet;

use crate::directory::{DirectoryState, OPERATOR};

/// Somebody by every id that is that person's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    ids: BTreeSet<String>,
}

impl Subject {
    /// Whoever has this id: all accounts that were declared to be the same person's, `operator` where the person is said to
    /// hold the operator's token, and the API keys that any of them answers for, revoked ones included.
    pub(super) fn of(state: &DirectoryState, id: &str) -> Self {
        let accounts = state.ids_of(id).into_iter();
        let keys = state.api_keys.keys().map(|key| &**key).filter(|key| state.is_same_person(key, id));
        Self { ids: accounts.chain(keys).map(str::to_owned).collect() }
    }

    /// Whether an id is one of the person's.
    pub(super) fn is(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Whether a text in JSON has one of the ids in it, inside a longer text as well. `operator` is a word that people use:
    /// it counts where it stands alone.
    pub(super) fn is_named_in(&self, json: &str) -> bool {
        self.ids.iter().any(|id| match id.as_str() {
            OPERATOR => json.contains("\"operator\""),
            id => json.contains(id),
        })
    }
}
