//! Where gauges are read from. Organisations come and go, and may be opened again after they could not be: each series is
//! registered once, and what it is read from is put in place anew, or taken away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use daybook_ledger::LedgerId;

type Reading<T> = Arc<dyn Fn() -> T + Send + Sync>;
/// A gauge, and the ledger that the series is of, where it is of one.
type Key = (&'static str, Option<LedgerId>);

/// What one series is read from, as long as it is there.
pub(crate) struct Slot<T>(Arc<RwLock<Option<Reading<T>>>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Slot<T> {
    /// The value now; `None` while there is nothing to read it from.
    pub fn read(&self) -> Option<T> {
        let reading = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        reading.map(|read| read())
    }

    fn put(&self, reading: Option<Reading<T>>) {
        let before = std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), reading);
        // What it held is let go of after the lock.
        drop(before);
    }
}

/// The slots of all series whose values are `T`, by gauge and ledger.
pub(crate) struct Readings<T>(Mutex<HashMap<Key, Slot<T>>>);

impl<T> Default for Readings<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Readings<T> {
    /// Has the series read from `read` from now on. Answers its slot where it is new, for the caller to register.
    pub fn put(
        &self,
        name: &'static str,
        ledger: Option<&LedgerId>,
        read: impl Fn() -> T + Send + Sync + 'static,
    ) -> Option<Slot<T>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name, ledger.cloned());
        if let Some(slot) = slots.get(&key) {
            slot.put(Some(Arc::new(read)));
            return None;
        }
        let slot = Slot(Arc::new(RwLock::new(Some(Arc::new(read) as Reading<T>))));
        slots.insert(key, slot.clone());
        Some(slot)
    }

    /// Lets go of everything that the series of `ledger` are read from: they are not shown until it is put there again.
    pub fn forget(&self, ledger: &LedgerId) {
        let slots: Vec<Slot<T>> = {
            let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            slots.iter().filter(|((_, of), _)| of.as_ref() == Some(ledger)).map(|(_, slot)| slot.clone()).collect()
        };
        slots.iter().for_each(|slot| slot.put(None));
    }
}
