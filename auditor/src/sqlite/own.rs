//! Finds what a ledger says of itself, in all of a file's entries: no index leads there.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rusqlite::Connection;

use super::in_place::{Buffers, InPlace};
use crate::cell::Cell;

/// Row ids that are looked at in one step.
const STRETCH: u64 = 8_192;

/// Version and payload.
type Found = (i64, Vec<u8>);

/// Payloads of the newest entries of a type in the ledger's stream of itself, newest first, at most `most`. None where the
/// table's pages cannot be read in place: see [`InPlace`]. `connection` has a transaction.
pub(crate) fn newest_payloads(
    path: &Path,
    connection: &Connection,
    ledger: &str,
    event_type: &str,
    most: usize,
) -> Option<Vec<Vec<u8>>> {
    let table = InPlace::open(path, connection)?;
    let end = |function: &str| {
        let sql = format!("select {function}(rowid) from ledger_entries not indexed");
        connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).ok()
    };
    let (first, last) = (end("min")?, end("max")?);
    // Row ids may be spread over more steps than anybody would wait for.
    let steps = u64::try_from(i128::from(last) - i128::from(first)).ok().filter(|span| *span <= table.most_rows())?;
    let next = AtomicU64::new(0);
    let work = || {
        let mut buffers = Buffers::default();
        let mut found = Vec::new();
        loop {
            let step = next.fetch_add(1, Ordering::Relaxed).checked_mul(STRETCH)?;
            if step > steps {
                return Some(found);
            }
            let from = first.saturating_add_unsigned(step);
            let to = from.saturating_add_unsigned(STRETCH - 1).min(last);
            table.rows((from, to), &mut buffers, |cells| {
                found.extend(of_itself(cells, ledger, event_type));
                true
            })?;
            if found.len() > most.saturating_mul(2) {
                keep_newest(&mut found, most);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut found = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().try_fold(Vec::new(), |mut all: Vec<Found>, thread| {
            all.extend(thread.join().ok()??);
            Some(all)
        })
    })?;
    keep_newest(&mut found, most);
    Some(found.into_iter().map(|(_, payload)| payload).collect())
}

fn of_itself(cells: &[Cell<'_>; 16], ledger: &str, event_type: &str) -> Option<Found> {
    let [id, _, _, stream_type, stream_id, version, of_type, .., payload, _, _, _] = cells;
    let is = |cell: &Cell<'_>, text: &str| matches!(cell, Cell::Text(bytes) if *bytes == text.as_bytes());
    let wanted = is(stream_type, "ledger") && is(of_type, event_type) && is(id, ledger) && is(stream_id, ledger);
    match version {
        Cell::Integer(version) if wanted => Some((*version, payload.bytes().to_vec())),
        _ => None,
    }
}

fn keep_newest(found: &mut Vec<Found>, most: usize) {
    found.sort_unstable_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.truncate(most);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::open;

    #[test]
    fn newest_are_found_wherever_they_lie() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        drop(daybook_ledger::store::sqlite::SqliteStore::open(&path).unwrap());
        let writer = Connection::open(&path).unwrap();
        let rows = "with recursive numbers (value) as (select 0 union all select value + 1 from numbers where value < 29999) \
                    insert into ledger_entries select 'main', value, x'', iif(value % 1000 = 7, 'ledger', 't'), \
                    iif(value = 5007, 'other', 'main'), value, iif(value = 9007, 'ledger.sealed', 'ledger.anchored'), 1, 1, \
                    'human', 'a', x'', cast(value as blob), x'', x'', x'' from numbers";
        writer.execute_batch(rows).unwrap();
        writer.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).unwrap();
        let connection = open(&path).unwrap();
        connection.execute_batch("begin deferred").unwrap();
        let newest = |most| newest_payloads(&path, &connection, "main", "ledger.anchored", most).unwrap();
        let positions =
            |numbers: &[u64]| numbers.iter().map(|number| number.to_string().into_bytes()).collect::<Vec<_>>();
        assert_eq!(newest(3), positions(&[29_007, 28_007, 27_007]));
        let all: Vec<u64> =
            (0..30).rev().map(|number| number * 1_000 + 7).filter(|at| ![5_007, 9_007].contains(at)).collect();
        assert_eq!(newest(1_000), positions(&all));
        assert_eq!(newest_payloads(&path, &connection, "other", "ledger.anchored", 9), Some(Vec::new()));
        writer.execute_batch("update ledger_heads set size = 1; pragma user_version = 3").unwrap();
        let later = open(&path).unwrap();
        later.execute_batch("begin deferred").unwrap();
        assert_eq!(newest_payloads(&path, &later, "main", "ledger.anchored", 9), None, "there is a log");
    }
}
