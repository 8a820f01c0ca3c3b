//! A commit that fails, and event ids that are not unique.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::super::find::{self, Finder};
use super::super::lookup::Flusher;
use super::super::migrate;
use super::*;
use crate::append::CommandKey;
use crate::entry::Actor;

struct World {
    writer: Writer,
    finder: Finder,
    _flusher: Flusher,
    _folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let mut connection = Connection::open(&path).unwrap();
    migrate(&mut connection).unwrap();
    let (lookup, flusher) = Lookup::open(&path, &connection).unwrap();
    // A commit that is refused while the table `refused` holds a row that nothing answers to.
    connection
        .execute_batch(
            "pragma foreign_keys = on; create table answers (id integer primary key);
             create table refused (id integer references answers (id) deferrable initially deferred);
             create table armed (id integer);
             create trigger refuse after insert on ledger_entries when exists (select 1 from armed)
             begin insert into refused values (1); end;",
        )
        .unwrap();
    let finder = Finder::Writing(Arc::clone(&lookup));
    World { writer: Writer::new(connection, lookup).unwrap(), finder, _flusher: flusher, _folder: folder }
}

fn request(stream: &str, expected_version: u64, command: Option<&str>) -> Append {
    Append {
        stream: StreamKey::new("transaction", stream).unwrap(),
        expected_version,
        events: vec![Draft::new("transaction.recorded", 1, "{}".to_owned())],
        actor: Actor::system("test"),
        metadata: "{}".to_owned(),
        command: command.map(|id| CommandKey { id: id.to_owned(), digest: crate::canonical::digest(id.as_bytes()) }),
    }
}

impl World {
    fn append(&mut self, batch: &[Append]) -> Result<Vec<Result<Appended, AppendError>>, StoreError> {
        self.writer.append(&LedgerId::main(), batch, 1)
    }

    fn versions(&self, stream: &str) -> Vec<u64> {
        let key = StreamKey::new("transaction", stream).unwrap();
        let (main, all) = (LedgerId::main(), (1, u64::MAX));
        let found = find::stream(&self.writer.connection, &self.finder, &main, &key, all, usize::MAX).unwrap();
        found.iter().map(|entry| entry.version).collect()
    }
}

#[test]
fn versions_and_commands_of_a_commit_that_failed_are_given_again() {
    let mut world = world();
    world.append(&[request("A", 0, Some("first"))]).unwrap()[0].as_ref().unwrap();
    world.writer.connection.execute_batch("insert into armed values (1)").unwrap();
    let failed = world.append(&[request("A", 1, Some("second")), request("B", 0, Some("third"))]);
    assert!(matches!(failed, Err(StoreError::UnknownOutcome(_))), "{failed:?}");
    assert_eq!(world.versions("A"), [1], "a hint that leads to no entry is not followed");
    assert_eq!(world.versions("B"), [0_u64; 0]);
    world.writer.connection.execute_batch("delete from armed").unwrap();
    // In another order, so that positions and numbers are of others than before.
    let outcomes = world.append(&[request("C", 0, Some("third")), request("A", 1, Some("second"))]).unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().is_ok_and(|appended| !appended.replayed)), "{outcomes:?}");
    assert_eq!((world.versions("A"), world.versions("B"), world.versions("C")), (vec![1, 2], vec![], vec![1]));
    let again = world.append(&[request("C", 1, Some("third")), request("B", 1, None), request("B", 0, None)]).unwrap();
    assert!(again[0].as_ref().unwrap().replayed);
    assert_eq!(again[1], Err(AppendError::VersionConflict { expected: 1, actual: 0 }));
    assert!(again[2].is_ok());
}

#[test]
fn event_id_that_is_given_to_two_events_is_refused() {
    let mut world = world();
    let first = request("A", 0, None);
    let mut second = request("B", 0, None);
    second.events.clone_from(&first.events);
    assert!(matches!(world.append(&[first.clone(), second]), Err(StoreError::Unavailable(_))));
    let outcomes = world.append(&[first.clone(), first]).unwrap();
    assert!(outcomes[0].is_ok());
    assert_eq!(outcomes[1], Err(AppendError::VersionConflict { expected: 0, actual: 1 }), "its neighbour stands");
}
