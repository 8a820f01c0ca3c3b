//! What is in the ledger and not yet in the lookup file: records in the order of the appends, found by name.

use super::name::{Name, NameMap};
use super::page::Record;

const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Place {
    name: Name,
    version: u64,
    position: u64,
    /// Index of the record before of the same name.
    previous: u32,
}

/// Records in memory.
#[derive(Debug, Default)]
pub(super) struct Tail {
    places: Vec<Place>,
    newest: NameMap<u32>,
}

impl Tail {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn push(&mut self, name: Name, version: u64, position: u64) {
        let index = u32::try_from(self.places.len()).unwrap_or(NONE);
        let previous = self.newest.insert(name, index).unwrap_or(NONE);
        self.places.push(Place { name, version, position, previous });
    }

    /// Takes back every record for which `keep` is false.
    pub(super) fn retain(&mut self, keep: impl Fn(Name, u64) -> bool) {
        let places = std::mem::take(&mut self.places);
        self.newest.clear();
        for place in places.into_iter().filter(|place| keep(place.name, place.position)) {
            self.push(place.name, place.version, place.position);
        }
    }

    fn get(&self, index: u32) -> Option<&Place> {
        self.places.get(usize::try_from(index).ok()?)
    }

    /// The newest record of a name.
    pub(super) fn newest(&self, name: Name) -> Option<Record> {
        self.get(*self.newest.get(&name)?).map(record)
    }

    /// The records of a name with at least that version, newest first.
    pub(super) fn since(&self, name: Name, version: u64) -> impl Iterator<Item = Record> {
        let newest = self.newest.get(&name).and_then(|index| self.get(*index));
        std::iter::successors(newest, |place| self.get(place.previous))
            .take_while(move |place| place.version >= version)
            .map(record)
    }

    /// All records as the file keeps them.
    pub(super) fn sorted(&self) -> Vec<Record> {
        let mut records: Vec<Record> = self.places.iter().map(record).collect();
        records.sort_unstable();
        records
    }
}

fn record(place: &Place) -> Record {
    Record { name: place.name.stored(), version: place.version, position: place.position }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_name_are_found_newest_first_and_can_be_taken_back() {
        let mut tail = Tail::default();
        let (a, b) = (Name::of(1 << 100), Name::of(2 << 100));
        for (name, version, position) in [(a, 4, 10), (b, 1, 11), (a, 5, 12), (a, 6, 13)] {
            tail.push(name, version, position);
        }
        let positions =
            |tail: &Tail, name, from| tail.since(name, from).map(|record| record.position).collect::<Vec<_>>();
        assert_eq!(positions(&tail, a, 5), [13, 12]);
        assert_eq!(positions(&tail, a, 0), [13, 12, 10]);
        assert_eq!(positions(&tail, Name::of(9), 0), [0_u64; 0]);
        assert_eq!(tail.sorted().iter().map(|record| record.position).collect::<Vec<_>>(), [10, 12, 13, 11]);
        tail.retain(|name, position| name != a || position < 12);
        assert_eq!(tail.newest(a).map(|record| record.version), Some(4));
        assert_eq!(positions(&tail, b, 0), [11]);
        assert_eq!(tail.len(), 2);
    }
}
