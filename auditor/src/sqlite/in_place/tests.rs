//! Reading pages in place, beside what SQLite reads of the same files.

use std::path::PathBuf;

use daybook_ledger::store::sqlite::SqliteStore;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::cell::ENTRY_COLUMNS;
use crate::sqlite::{cells, open};

type Shown = Vec<blake3::Hash>;

const DECLARED: &str = "ledger_id text, position integer, event_id blob, stream_type text, stream_id text, version integer, \
     event_type text, schema_version integer, recorded_at integer, actor_kind text, actor_id text, metadata blob, \
     payload blob, payload_digest blob, previous_hash blob, hash blob";

/// A file with this table and no other, whose rows are of `bytes` bytes at most.
fn file(path: &Path, settings: &str, declared: &str, rows: i64, bytes: i64) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(&format!("{settings}; create table ledger_entries ({declared}); begin")).unwrap();
    let mut insert = connection
        .prepare(
            "insert into ledger_entries values ('main', ?1, randomblob(16), 'transaction', 'TX-' || ?1, ?1 * ?1 * ?1, 'a.b', 1, \
             -?1 * 1000000007, 'human', 'a', zeroblob(?1 % 9), randomblob(?1 * 7919 % ?2), randomblob(32), x'', 'hash')",
        )
        .unwrap();
    for position in 0..rows {
        insert.execute([position, bytes]).unwrap();
    }
    drop(insert);
    connection.execute_batch("commit").unwrap();
}

/// A digest of types and values.
fn shown(cells: &[Cell<'_>; 16]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for cell in cells {
        let (kind, value) = match cell {
            Cell::Null => (0, 0),
            Cell::Integer(value) => (1, *value),
            Cell::Real(value) => (2, value.to_bits().cast_signed()),
            Cell::Text(bytes) => (3, bytes.len() as i64),
            Cell::Blob(bytes) => (4, bytes.len() as i64),
            Cell::Other(_) => panic!("SQLite has no other types"),
        };
        hasher.update(&[kind]).update(&value.to_be_bytes()).update(cell.bytes());
    }
    hasher.finalize()
}

fn in_transaction(path: &Path) -> Option<Connection> {
    let connection = open(path).ok()?;
    connection.execute_batch("begin deferred").ok()?;
    Some(connection)
}

fn in_place(table: &InPlace, buffers: &mut Buffers, from: i64, to: i64) -> Option<Shown> {
    let mut rows = Shown::new();
    table.rows((from, to), buffers, |row| {
        rows.push(shown(row));
        true
    })?;
    Some(rows)
}

fn by_sqlite(connection: &Connection, from: i64, to: i64) -> rusqlite::Result<Shown> {
    let sql = format!(
        "select {ENTRY_COLUMNS} from ledger_entries as entry not indexed where entry.rowid between ?1 and ?2 order by entry.rowid"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([from, to])?;
    let mut all = Shown::new();
    while let Some(row) = rows.next()? {
        all.push(shown(&cells(row)?));
    }
    Ok(all)
}

/// Where the file can be read in place, and what it then comes to, stretch by stretch, beside what SQLite reads.
fn agree(path: &Path, last: i64) -> Option<bool> {
    let connection = in_transaction(path)?;
    let table = InPlace::open(path, &connection)?;
    let mut buffers = Buffers::default();
    let mut all = true;
    for from in (1..=last).step_by(50) {
        let Some(rows) = in_place(&table, &mut buffers, from, from + 49) else {
            all = false;
            continue;
        };
        let expected = by_sqlite(&connection, from, from + 49);
        assert!(expected.as_ref().is_ok_and(|expected| *expected == rows), "{from}: {rows:#?} {expected:#?}");
    }
    Some(all)
}

#[test]
fn rows_are_those_that_sqlite_reads_whatever_the_size_of_pages_and_rows() {
    let folder = tempfile::tempdir().unwrap();
    for (page_bytes, bytes) in [(512, 40), (512, 3_000), (1_024, 900), (4_096, 700), (4_096, 50_000), (65_536, 9_000)] {
        let path = folder.path().join(format!("{page_bytes}-{bytes}.db"));
        file(&path, &format!("pragma page_size = {page_bytes}"), DECLARED, 1_500, bytes);
        assert_eq!(agree(&path, 1_500), Some(true), "{page_bytes} {bytes}");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("delete from ledger_entries where position % 7 < 3").unwrap();
        connection.execute_batch("update ledger_entries set payload = zeroblob(5000) where position % 11 = 0").unwrap();
        assert_eq!(agree(&path, 1_500), Some(true), "{page_bytes} {bytes}, with gaps");
    }
}

#[test]
fn page_with_any_bytes_is_refused_or_read_as_sqlite_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut refused, mut read) = (0, 0);
    for (page_bytes, bytes, rows) in [(512_usize, 60, 400), (512, 1_500, 120), (1_024, 150, 300)] {
        let path = folder.path().join("sample.db");
        let _ = std::fs::remove_file(&path);
        file(&path, &format!("pragma page_size = {page_bytes}"), DECLARED, rows, bytes);
        let sample = std::fs::read(&path).unwrap();
        let pages = sample.len() / page_bytes;
        for seed in 0..500 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut mutated = sample.clone();
            for _ in 0..random.random_range(1..4) {
                // The first page is the schema's.
                let start = random.random_range(1..pages) * page_bytes;
                let other = random.random_range(1..pages) * page_bytes;
                match random.random_range(0..20) {
                    0 if mutated.len() == sample.len() => mutated.copy_within(other..other + page_bytes, start),
                    1 => mutated.truncate(start.max(2 * page_bytes)),
                    kind => {
                        let most = if kind < 10 { 24 } else { page_bytes };
                        let value = match kind % 3 {
                            0 => random.random(),
                            1 => random.random_range(0..12),
                            _ => 0xFF,
                        };
                        if let Some(byte) = mutated.get_mut(start + random.random_range(0..most)) {
                            *byte = value;
                        }
                    }
                }
            }
            std::fs::write(&path, mutated).unwrap();
            match agree(&path, rows) {
                Some(true) => read += 1,
                _ => refused += 1,
            }
        }
    }
    assert!(refused > 200 && read > 200, "{refused} refused, {read} read");
}

fn opens(path: &Path) -> bool {
    let connection = in_transaction(path).unwrap();
    InPlace::open(path, &connection).is_some()
}

/// A file of a real store, with more rows than fit into one page.
fn stored(folder: &Path) -> PathBuf {
    let path = folder.join("ledger.db");
    drop(SqliteStore::open(&path).unwrap());
    // The store's own thread closes the file, and gives the lock back when it has: else a connection of its own would keep
    // what follows in the log.
    std::fs::File::open(path.with_extension("lock")).unwrap().lock().unwrap();
    let connection = Connection::open(&path).unwrap();
    let rows = "with recursive numbers (value) as (select 0 union all select value + 1 from numbers where value < 999) \
                insert into ledger_entries select 'main', value, value, 't', value, 1, 'e', 1, 1, 'human', 'a', x'', x'', \
                x'', x'', x'' from numbers";
    connection.execute_batch(rows).unwrap();
    path
}

#[test]
fn file_of_a_store_is_read_in_place_while_its_log_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = stored(folder.path());
    assert!(opens(&path));
    assert_eq!(agree(&path, 1_000), Some(true));
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("pragma user_version = 7").unwrap();
    assert!(!opens(&path), "a page lies in the log");
    writer.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).unwrap();
    assert!(opens(&path));
    // By another name, the log is still the file's own.
    #[cfg(unix)]
    {
        writer.execute_batch("pragma user_version = 8").unwrap();
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(!opens(&link));
    }
}

#[test]
fn what_is_read_in_place_stays_as_it_is_while_a_server_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = stored(folder.path());
    let connection = in_transaction(&path).unwrap();
    let table = InPlace::open(&path, &connection).unwrap();
    let writer = Connection::open(&path).unwrap();
    writer
        .execute_batch("drop trigger ledger_entries_refuse_update; update ledger_entries set payload = x'01'")
        .unwrap();
    let _ = writer.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()));
    let mut buffers = Buffers::default();
    assert_eq!(in_place(&table, &mut buffers, 1, 1_000), Some(by_sqlite(&connection, 1, 1_000).unwrap()));
    drop(connection);
    let changed = in_transaction(&path).unwrap();
    assert_ne!(by_sqlite(&changed, 1, 1_000).unwrap(), in_place(&table, &mut buffers, 1, 1_000).unwrap());
}

#[test]
fn file_that_is_cut_short_meanwhile_is_an_error_and_not_a_shorter_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = stored(folder.path());
    let connection = in_transaction(&path).unwrap();
    let table = InPlace::open(&path, &connection).unwrap();
    let length = std::fs::metadata(&path).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length / 8_192 * 4_096).unwrap();
    assert_eq!(in_place(&table, &mut Buffers::default(), 1, 1_000), None);
    assert!(by_sqlite(&connection, 1, 1_000).is_err());
}

#[test]
fn table_of_another_form_is_left_to_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("", DECLARED.to_owned(), true),
        ("pragma auto_vacuum = full", DECLARED.to_owned(), true),
        ("pragma encoding = 'UTF-16'", DECLARED.to_owned(), false),
        ("", DECLARED.replace("version integer", "version real"), false),
        ("", DECLARED.replace("position integer", "position integer primary key"), true),
        ("", DECLARED.replace("metadata", "payload_again"), false),
    ];
    for (number, (settings, declared, expected)) in cases.iter().enumerate() {
        let path = folder.path().join(format!("{number}.db"));
        file(&path, settings, declared, 100, 100);
        assert_eq!(opens(&path), *expected, "{settings} {declared}");
        // Where the row id stands for the position, the record holds none.
        assert_eq!(agree(&path, 99), expected.then_some(!declared.contains("key")));
    }
    let path = folder.path().join("more.db");
    file(&path, "", DECLARED, 100, 100);
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("alter table ledger_entries add column more text default 'x'").unwrap();
    assert!(!opens(&path));
}
