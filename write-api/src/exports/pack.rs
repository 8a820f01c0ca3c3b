//! What is looked at before an evidence pack is asked for, so that nobody agrees to one that cannot be made.

use daybook_domain::export::ExportKind;
use daybook_exports::kinds::{MAX_PACK_ENTRIES, PackQuery};
use daybook_http_kit::Problem;
use daybook_ledger::{LedgerReader, StoreError};

use super::asking::Asked;
use super::desk::ExportDesk;

/// 422 where a pack names what is not there, or where there is plainly too much for one. Costs a few reads, however long the
/// ledger is.
pub(super) async fn check(asked: &Asked, desk: &ExportDesk) -> Result<(), Problem> {
    if asked.kind != ExportKind::EvidencePack {
        return Ok(());
    }
    let query = PackQuery::read(&asked.filters)
        .map_err(|fault| Problem::invalid(format!("/{}", fault.field.replace('.', "/")), fault.why))?;
    let directory = desk.approvals.directory().now();
    if let Some(hold) = &query.hold
        && !directory.holds.contains_key(hold.as_str())
    {
        return Err(Problem::invalid("/filters/hold", "is no legal hold"));
    }
    let has_account = |id: &str| directory.users.contains_key(id);
    if let Some(unknown) = unknown_account(&query.subjects, has_account) {
        return Err(Problem::invalid("/filters/subjects", format!("there is no account {unknown}")));
    }
    for stream in &query.streams {
        if desk.ledger.stream(stream, 1, 1).await.map_err(failed)?.is_empty() {
            return Err(Problem::invalid("/filters/streams", format!("the ledger has no stream {stream}")));
        }
    }
    check_length(&desk.ledger, &query, MAX_PACK_ENTRIES).await
}

/// The first subject that looks like an account and is none. Programs and keys act under ids of other kinds, which need not be
/// known here.
fn unknown_account(subjects: &[String], has_account: impl Fn(&str) -> bool) -> Option<&String> {
    subjects.iter().find(|id| id.starts_with("usr_") && !has_account(id))
}

async fn check_length(ledger: &LedgerReader, query: &PackQuery, most: u64) -> Result<(), Problem> {
    let too_many = |at: &str, found: String| {
        let detail = format!("an evidence pack has at most {most} entries: {found}");
        Problem::refused("export.too_many_entries", detail).at(at, "asks for too much")
    };
    for stream in &query.streams {
        if !ledger.stream(stream, most.saturating_add(1), 1).await.map_err(failed)?.is_empty() {
            return Err(too_many("/filters/streams", format!("{stream} alone has more")));
        }
    }
    if query.is_of_everything() {
        let size = ledger.head().await.map_err(failed)?.size;
        let from = first_from(ledger, size, query.start).await.map_err(failed)?;
        let until = first_from(ledger, size, query.end.saturating_add(1)).await.map_err(failed)?;
        let count = until.saturating_sub(from);
        if count > most {
            let found = format!("there are {count} in the period; ask for a shorter one, or name streams or subjects");
            return Err(too_many("/filters/end", found));
        }
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn failed(error: StoreError) -> Problem {
    Problem::store_unavailable(&error)
}

/// Position of the first entry that was recorded at `time` or later: times never go back.
async fn first_from(ledger: &LedgerReader, size: u64, time: i64) -> Result<u64, StoreError> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        let entry = ledger.entries(middle, 1).await?.into_iter().next();
        if entry.is_some_and(|entry| entry.recorded_at < time) { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use daybook_ledger::sequencer::Unobserved;
    use daybook_ledger::store::sqlite::SqliteStore;
    use daybook_ledger::{Actor, Append, Draft, Ledger, LedgerId, StreamKey};

    use super::*;

    #[test]
    fn accounts_that_nobody_has_are_refused_and_programs_are_not() {
        let subjects = ["usr_1", "scheduler", "key_9", "usr_2", "usr_3"].map(str::to_owned);
        let unknown = |known: &[&str]| unknown_account(&subjects, |id| known.contains(&id)).cloned();
        assert_eq!(unknown(&["usr_1"]), Some("usr_2".to_owned()));
        assert_eq!(unknown(&["usr_1", "usr_2", "usr_3"]), None);
    }

    #[tokio::test]
    async fn too_long_a_period_and_too_long_a_stream_are_refused_with_the_number() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
        let time = Arc::new(AtomicI64::new(0));
        let clock = {
            let time = Arc::clone(&time);
            Arc::new(move || time.fetch_add(1_000_000, Ordering::Relaxed))
        };
        let ledger = Ledger::open(store, LedgerId::main(), clock, Arc::new(Unobserved)).await.unwrap();
        let stream = StreamKey::new("incident", "inc_1").unwrap();
        for version in 0..20 {
            let append = Append {
                stream: stream.clone(),
                expected_version: version,
                events: vec![Draft::new("incident.commented", 1, "{}".to_owned())],
                actor: Actor::human("usr_1"),
                metadata: "{}".to_owned(),
                command: None,
            };
            ledger.append(append).await.unwrap();
        }
        let times: Vec<i64> = ledger.entries(0, 20).await.unwrap().iter().map(|entry| entry.recorded_at).collect();
        for (at, expected) in times.iter().zip(0..) {
            assert_eq!(first_from(&ledger, 20, *at).await.unwrap(), expected);
        }
        let query = |streams: &[StreamKey], start: i64, end: i64| PackQuery {
            matter: "Case 7".to_owned(),
            hold: None,
            streams: streams.to_vec(),
            subjects: Vec::new(),
            start,
            end,
            people: false,
        };
        let checked = async |query: PackQuery, most: u64| check_length(&ledger, &query, most).await;
        checked(query(&[], times[0], times[9]), 10).await.unwrap();
        let refused = checked(query(&[], times[0], times[10]), 10).await.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (422, "export.too_many_entries"));
        assert!(refused.to_string().contains("there are 11 in the period"), "{refused}");
        checked(query(std::slice::from_ref(&stream), times[0], times[10]), 20).await.unwrap();
        assert!(checked(query(&[stream], times[0], times[10]), 19).await.is_err());
    }
}
