//! The power goes: what was written and not synced is on the disk in part, in any order and torn at any sector.
//!
//! A journal of every write and sync of the process says what the disk must hold and what it may hold. After `kill -9` the
//! files are replaced by one of the many states that the disk could be in, and the server is started on that.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use daybook_tests::{Options, Server, Store};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::inject::{Fault, Injector};
use super::load::{Book, Load};

/// What the kernel writes back together.
const PAGE: usize = 4_096;
/// What a disk writes whole.
const SECTOR: usize = 512;

/// One file as the process sees it, and as the disk has it.
#[derive(Default)]
struct File {
    seen: Vec<u8>,
    disk: Vec<u8>,
    /// Pages that differ from what was last synced.
    dirty: BTreeMap<usize, ()>,
    /// Shortest length since the last sync.
    cut: Option<usize>,
    /// The last write or cut, which the kill may have come before: from where to where.
    last: std::ops::Range<usize>,
    /// What a sync under way will have written when it succeeds.
    syncing: HashMap<u64, Syncing>,
}

struct Syncing {
    pages: Vec<(usize, Vec<u8>)>,
    cut: Option<usize>,
    length: usize,
}

impl File {
    fn write(&mut self, offset: usize, data: &[u8]) {
        let end = offset + data.len();
        if self.seen.len() < end {
            self.seen.resize(end, 0);
        }
        self.seen[offset..end].copy_from_slice(data);
        self.last = offset..end;
        self.dirty.extend((offset / PAGE..end.div_ceil(PAGE)).map(|page| (page, ())));
    }

    fn truncate(&mut self, length: usize) {
        self.last = length..self.seen.len().max(length);
        self.seen.resize(length, 0);
        self.dirty.retain(|page, ()| page * PAGE < length);
        self.cut = Some(self.cut.map_or(length, |cut| cut.min(length)));
    }

    fn page(&self, page: usize) -> Vec<u8> {
        let end = ((page + 1) * PAGE).min(self.seen.len());
        self.seen.get(page * PAGE..end).unwrap_or_default().to_vec()
    }

    /// Whether the file's bytes are what the journal says, but for the last call.
    fn tells(&self, there: &[u8]) -> bool {
        let common = there.len().min(self.seen.len());
        let is_last = |place: usize| self.last.contains(&place);
        (0..common).all(|place| there[place] == self.seen[place] || is_last(place))
            && (common..there.len().max(self.seen.len())).all(is_last)
    }

    /// Whether it succeeds or not, the kernel holds its pages for clean afterwards: only a new write makes them dirty again.
    fn begin_sync(&mut self, number: u64) {
        let pages = std::mem::take(&mut self.dirty).into_keys().map(|page| (page, self.page(page))).collect();
        self.syncing.insert(number, Syncing { pages, cut: self.cut.take(), length: self.seen.len() });
    }

    fn end_sync(&mut self, number: u64, succeeded: bool) {
        let Some(synced) = self.syncing.remove(&number) else { return };
        if !succeeded {
            return;
        }
        if let Some(cut) = synced.cut {
            self.disk.truncate(cut);
        }
        for (page, bytes) in synced.pages {
            put(&mut self.disk, page * PAGE, &bytes);
        }
        self.disk.resize(synced.length, 0);
    }

    /// One of the states that the disk may be in when the power goes now.
    fn after_power_loss(&mut self, random: &mut impl Rng) -> Vec<u8> {
        // A sync that was under way has written any part of its pages.
        for (_, syncing) in std::mem::take(&mut self.syncing) {
            self.cut = [self.cut, syncing.cut].into_iter().flatten().min();
            self.dirty.extend(syncing.pages.into_iter().map(|(page, _)| (page, ())));
        }
        let mut disk = self.disk.clone();
        if let Some(cut) = self.cut.filter(|_| random.random_bool(0.5)) {
            disk.truncate(cut);
        }
        // From hardly anything to nearly all of it.
        let share = random.random_range(0.0..1.0);
        for page in self.dirty.keys() {
            let bytes = self.page(*page);
            for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                if random.random_bool(share) {
                    put(&mut disk, page * PAGE + number * SECTOR, sector);
                }
            }
        }
        disk
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    if bytes.len() < offset + data.len() {
        bytes.resize(offset + data.len(), 0);
    }
    bytes[offset..offset + data.len()].copy_from_slice(data);
}

/// The files as the journal tells of them.
fn files(journal: &Path) -> BTreeMap<PathBuf, File> {
    let bytes = std::fs::read(journal).expect("the journal is there");
    let mut files: BTreeMap<PathBuf, File> = BTreeMap::new();
    let mut rest = bytes.as_slice();
    // The last record may have been cut off by the kill, and so may the call that it tells of.
    while rest.len() >= 25 {
        let number = |at: usize| u64::from_le_bytes(rest[at..at + 8].try_into().expect("eight bytes"));
        let (kind, offset) = (rest[0], number(17));
        let (path_end, end) = (25 + number(1) as usize, 25 + number(1) as usize + number(9) as usize);
        if rest.len() < end {
            break;
        }
        let path = PathBuf::from(String::from_utf8_lossy(&rest[25..path_end]).into_owned());
        let data = &rest[path_end..end];
        rest = &rest[end..];
        let file = files.entry(path.clone()).or_default();
        match kind {
            b'W' => file.write(offset as usize, data),
            b'T' => file.truncate(offset as usize),
            b'B' => file.begin_sync(offset),
            b'S' => file.end_sync(offset, true),
            b'F' => file.end_sync(offset, false),
            // The folder's entry may outlive the power; the file's end is what matters.
            b'D' => drop(files.remove(&path)),
            other => panic!("{other} is no kind of record"),
        }
    }
    files
}

/// Replaces the store's files by what a disk could have after a power loss, and begins the journal anew from there.
fn lose_power(store: &Store, injector: &Injector, random: &mut impl Rng) {
    let mut files = files(&injector.journal());
    assert!(files.keys().any(|path| path.ends_with("ledger.db-wal")), "{:?}", files.keys());
    std::fs::remove_file(injector.journal()).expect("the journal is there");
    for name in ["ledger.db-shm", "read.db-shm", "vault.db-shm"] {
        let _ = std::fs::remove_file(store.folder().join(name));
    }
    for (path, file) in &mut files {
        let there = std::fs::read(path).unwrap_or_default();
        assert!(file.tells(&there), "{}: the journal does not tell what was written", path.display());
        let disk = file.after_power_loss(random);
        std::fs::write(path, &disk).expect("the data folder can be written");
    }
}

/// The journal tells of changes, so it needs to know how the files were: they are written into it as one synced write each.
fn begin_journal(store: &Store, injector: &Injector) {
    let mut journal = Vec::new();
    for name in ["ledger.db", "ledger.db-wal", "read.db", "read.db-wal", "vault.db", "vault.db-wal"] {
        let path = store.folder().join(name);
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let path = path.display().to_string();
        for (kind, data, offset) in [(b'W', bytes.as_slice(), 0), (b'B', &[], u64::MAX), (b'S', &[], u64::MAX)] {
            journal.push(kind);
            for number in [path.len() as u64, data.len() as u64, offset] {
                journal.extend_from_slice(&number.to_le_bytes());
            }
            journal.extend_from_slice(path.as_bytes());
            journal.extend_from_slice(data);
        }
    }
    std::fs::write(injector.journal(), journal).expect("the temporary folder can be written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_the_loss_of_all_that_was_not_synced() {
    let Some(injector) = Injector::new() else { return };
    let store = Store::sqlite();
    let mut random = ChaCha8Rng::seed_from_u64(20_261_121);
    let mut book = Book::default();
    for round in 0..5 {
        begin_journal(&store, &injector);
        let server = Server::start_with(&store, injector.options_with_journal(".db")).await;
        book.check(&server.client()).await;
        let load = Load::start(&server.client(), &format!("power-{round}")).await;
        load.goes_on(400 + 300 * round).await;
        server.kill9();
        load.stop(&mut book).await;
        lose_power(&store, &injector, &mut random);
    }
    book.holds_after_a_start(&store, Options::default()).await;
}

/// A sync that failed once: the kernel drops what it could not write and calls the next sync good, but still shows the
/// dropped bytes to whoever reads. What a restarted server shows from there must be on the disk before it is shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_after_a_failed_sync_survives_a_power_loss() {
    let Some(injector) = Injector::new() else { return };
    let store = Store::sqlite();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut book = Book::default();
    begin_journal(&store, &injector);
    let mut server = Server::start_with(&store, injector.options_with_journal(".db")).await;
    let load = Load::start(&server.client(), "sync").await;
    load.goes_on(300).await;
    injector.fail(Fault::Sync, 1, "/ledger.db-wal");
    assert!(!server.ended().await.success());
    load.is_cut_off().await;
    load.stop(&mut book).await;
    // Whoever asks again is told that it is there, perhaps from what was never synced.
    let server = Server::start_with(&store, injector.options_with_journal(".db")).await;
    book.settle(&server.client()).await;
    server.kill9();
    lose_power(&store, &injector, &mut random);
    book.holds_after_a_start(&store, Options::default()).await;
}
