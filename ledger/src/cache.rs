//! Aggregates as this process last left them, so that a command need not read its stream first.
//!
//! What is held is a true earlier state, never a promise that it is the newest: another process, or a caller that went
//! away before its answer, may have moved the stream on. The version check at append finds that out; a refusal is judged
//! again on what the store has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cqrs::LedgerContext;
use crate::entry::Receipt;

/// The state of one aggregate at one version.
#[derive(Debug)]
struct Held<A> {
    aggregate: A,
    version: u64,
    receipt: Receipt,
    recorded_at: i64,
}

/// A bounded map from aggregate id to state. Two generations: what was not asked for while the young one filled up goes.
pub(crate) struct AggregateCache<A> {
    generations: Mutex<Generations<A>>,
    most_weight: u64,
}

struct Generations<A> {
    young: HashMap<String, Arc<Held<A>>>,
    old: HashMap<String, Arc<Held<A>>>,
    young_weight: u64,
}

/// States grow with the events folded into them: this many weigh as much as one more aggregate.
const EVENTS_PER_WEIGHT: u64 = 8;

fn weight(version: u64) -> u64 {
    1 + version / EVENTS_PER_WEIGHT
}

impl<A: Clone> AggregateCache<A> {
    /// Holds about `most` aggregates of a few events each, fewer of longer ones; 0 holds none.
    pub(crate) fn new(most: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new(), young_weight: 0 };
        Self { generations: Mutex::new(generations), most_weight: u64::try_from(most).unwrap_or(u64::MAX) }
    }

    /// The state last left here, if it is held still.
    pub(crate) fn get(&self, id: &str) -> Option<LedgerContext<A>> {
        let held = self.find(id)?;
        Some(LedgerContext {
            id: id.to_owned(),
            aggregate: held.aggregate.clone(),
            version: held.version,
            last: Some((held.receipt.clone(), held.recorded_at)),
        })
    }

    /// True where [`AggregateCache::get`] would answer.
    pub(crate) fn holds(&self, id: &str) -> bool {
        self.find(id).is_some()
    }

    fn find(&self, id: &str) -> Option<Arc<Held<A>>> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = generations.young.get(id) {
            return Some(Arc::clone(held));
        }
        let (id, held) = generations.old.remove_entry(id)?;
        let outgrown = self.insert(&mut generations, id, Arc::clone(&held));
        drop(generations);
        drop(outgrown);
        Some(held)
    }

    /// Holds the state after an append, unless a newer one is held already.
    pub(crate) fn put(&self, id: &str, aggregate: &A, version: u64, receipt: &Receipt, recorded_at: i64) {
        if self.most_weight == 0 {
            return;
        }
        let held = Arc::new(Held { aggregate: aggregate.clone(), version, receipt: receipt.clone(), recorded_at });
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = generations.young.get_mut(id) {
            if present.version >= version {
                return;
            }
            let grown = weight(version) - weight(present.version);
            let replaced = std::mem::replace(present, held);
            generations.young_weight += grown;
            drop(generations);
            drop(replaced);
            return;
        }
        let replaced = match generations.old.remove(id) {
            Some(present) if present.version >= version => {
                generations.old.insert(id.to_owned(), present);
                return;
            }
            replaced => replaced,
        };
        let outgrown = self.insert(&mut generations, id.to_owned(), held);
        // Freeing a generation takes a while; nobody should wait for it.
        drop(generations);
        drop((replaced, outgrown));
    }

    /// Forgets a state that turned out to be older than `version`.
    pub(crate) fn forget_before(&self, id: &str, version: u64) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let Generations { young, old, young_weight } = &mut *generations;
        let stale = |held: &Arc<Held<A>>| held.version < version;
        if let Some(held) = young.get(id).filter(|held| stale(held)) {
            *young_weight = young_weight.saturating_sub(weight(held.version));
            young.remove(id);
        }
        if old.get(id).is_some_and(stale) {
            old.remove(id);
        }
    }

    /// Adds to the young generation; a full one becomes the old one, and the old one is handed back.
    fn insert(
        &self,
        generations: &mut Generations<A>,
        id: String,
        held: Arc<Held<A>>,
    ) -> Option<HashMap<String, Arc<Held<A>>>> {
        let added = weight(held.version);
        let full = generations.young_weight + added > self.most_weight / 2 && !generations.young.is_empty();
        let outgrown = full.then(|| {
            generations.young_weight = 0;
            let young = std::mem::take(&mut generations.young);
            std::mem::replace(&mut generations.old, young)
        });
        generations.young_weight += added;
        generations.young.insert(id, held);
        outgrown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Hash, LedgerId};

    fn put(cache: &AggregateCache<u64>, id: &str, version: u64) {
        let receipt = Receipt { ledger_id: LedgerId::main(), position: version, hash: Hash([0; 32]) };
        cache.put(id, &version, version, &receipt, 0);
    }

    fn version(cache: &AggregateCache<u64>, id: &str) -> Option<u64> {
        cache.get(id).map(|context| context.version)
    }

    #[test]
    fn the_newest_state_stays_whatever_the_order_of_arrival() {
        let cache = AggregateCache::new(100);
        put(&cache, "a", 2);
        put(&cache, "a", 1);
        assert_eq!(version(&cache, "a"), Some(2));
        put(&cache, "a", 3);
        assert_eq!(version(&cache, "a"), Some(3));
        cache.forget_before("a", 3);
        assert_eq!(version(&cache, "a"), Some(3), "it is no older than that");
        cache.forget_before("a", 4);
        assert_eq!(version(&cache, "a"), None);
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let cache = AggregateCache::new(100);
        put(&cache, "kept", 1);
        for n in 0..1_000 {
            put(&cache, &format!("other-{n}"), 1);
            assert_eq!(version(&cache, "kept"), Some(1));
            let generations = cache.generations.lock().unwrap_or_else(PoisonError::into_inner);
            assert!(generations.young.len() + generations.old.len() <= 100);
        }
        assert_eq!(version(&cache, "other-0"), None);
        assert_eq!(version(&cache, "other-999"), Some(1));
    }

    #[test]
    fn long_aggregates_take_the_room_of_many() {
        let cache = AggregateCache::new(100);
        for n in 0..20 {
            put(&cache, &format!("long-{n}"), 80);
        }
        let generations = cache.generations.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(generations.young.len() + generations.old.len() <= 9, "eleven of weight each");
    }

    #[test]
    fn a_cache_without_room_holds_nothing() {
        let cache = AggregateCache::new(0);
        put(&cache, "a", 1);
        assert_eq!(version(&cache, "a"), None);
    }
}
