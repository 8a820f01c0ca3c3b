//! What was synced is damaged afterwards: no store can bring it back, and none may go on as if nothing had happened.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use daybook_tests::{Options, Server, Store, data};

use super::load::Book;

/// Commands before the damage.
const COMMANDS: usize = 40;
/// Header of the write-ahead log, and of each frame in it.
const LOG_HEADER: u64 = 32;
const FRAME: u64 = 24 + 4_096;

/// A store with commands whose server was killed; they are in the write-ahead log.
async fn killed() -> (Store, Book) {
    let store = Store::sqlite();
    let server = Server::start(&store).await;
    let client = server.client();
    let mut book = Book::default();
    for number in 0..COMMANDS {
        book.record(&client, &format!("damage-{number}")).await;
    }
    server.kill9();
    (store, book)
}

fn flip(path: &Path, offset: u64) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).expect("the file is there");
    let mut byte = [0];
    file.seek(SeekFrom::Start(offset)).expect("an offset");
    file.read_exact(&mut byte).expect("the file is longer");
    file.seek(SeekFrom::Start(offset)).expect("an offset");
    file.write_all(&[byte[0] ^ 0x10]).expect("the file can be written");
}

/// Bytes after the last commit: the beginning of a commit that the power cut off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torn_frame_after_the_last_commit_is_passed_over() {
    for garbage in [vec![0; 100], vec![0; 4_120 * 2], vec![0xa5; 7_000]] {
        let (store, book) = killed().await;
        let log = store.folder().join("ledger.db-wal");
        let mut file = OpenOptions::new().append(true).open(&log).expect("the log is there");
        file.write_all(&garbage).expect("the log can be written");
        drop(file);
        book.holds_after_a_start(&store, Options::default()).await;
    }
}

/// A frame of the log that was synced, and with it commands that were acknowledged: SQLite takes it for the log's end. The
/// checkpoint that is kept outside the store knows better.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_that_lost_synced_frames_is_refused_because_of_the_kept_checkpoint() {
    let store = Store::sqlite();
    let options =
        || Options { arguments: vec!["--checkpoint-interval".to_owned(), "1".to_owned()], ..Options::default() };
    let server = Server::start_with(&store, options()).await;
    let client = server.client();
    for number in 0..COMMANDS {
        client.post("/v1/transactions", &data::transaction(&format!("kept-{number}"))).await.expect(201);
    }
    daybook_tests::eventually("a checkpoint over all of it is signed", async || {
        let size = client.ledger_size().await;
        let kept = std::fs::read_to_string(store.folder().join("keys/last-checkpoint-main.txt")).ok()?;
        let signed: u64 = kept.lines().nth(1)?.parse().ok()?;
        (signed > COMMANDS as u64 && signed == size).then_some(())
    })
    .await;
    server.kill9();
    let log = store.folder().join("ledger.db-wal");
    let frames = (std::fs::metadata(&log).expect("the log is there").len() - LOG_HEADER) / FRAME;
    assert!(frames > 40, "{frames} frames");
    // A copy for the repair.
    let whole = std::fs::read(&log).expect("the log is there");
    flip(&log, LOG_HEADER + frames / 2 * FRAME + 1_000);
    let mut refused = Server::spawn(&store, options());
    let ended = refused.ended().await;
    assert!(!ended.success(), "{ended}");
    let said = refused.printed();
    assert!(said.contains("checkpoint"), "{said}");
    std::fs::write(&log, whole).expect("the log can be written");
    let _ = std::fs::remove_file(store.folder().join("ledger.db-shm"));
    let mut server = Server::start_with(&store, options()).await;
    assert!(server.client().ledger_size().await > COMMANDS as u64);
    assert!(server.terminate().await.success());
    store.verified().await;
}

/// A page of the file itself, long after it was synced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_page_of_the_file_is_named_by_verify() {
    let store = Store::sqlite();
    let mut server = Server::start(&store).await;
    let client = server.client();
    for number in 0..COMMANDS {
        client.post("/v1/transactions", &data::transaction(&format!("page-{number}"))).await.expect(201);
    }
    assert!(server.terminate().await.success());
    store.verified().await;
    let file = store.ledger_file();
    let whole = std::fs::read(&file).expect("the ledger is there");
    // One bit of a payload.
    let needle = b"\"page-17\"";
    let places: Vec<usize> = (0..whole.len() - needle.len()).filter(|at| whole[*at..].starts_with(needle)).collect();
    assert!(!places.is_empty(), "the payload is in the file");
    for place in places {
        flip(&file, place as u64 + 3);
        let verified = store.daybook(&["verify", "--json"]).await.expect(1);
        assert!(verified.stdout.contains("payload"), "{}", verified.text());
        std::fs::write(&file, &whole).expect("the ledger can be written");
    }
    // Pages of zeros, as a lost write leaves them: those of the entries are noticed by their hashes, the others (indexes,
    // what can be computed anew) by SQLite's own check.
    let entries = pages_of(&file, "ledger_entries");
    for page in pages(&file).into_iter().step_by(3).chain(entries.iter().copied()) {
        let mut damaged = whole.clone();
        damaged[(page - 1) * PAGE..page * PAGE].fill(0);
        std::fs::write(&file, &damaged).expect("the ledger can be written");
        if entries.contains(&page) {
            let verified = store.daybook(&["verify", "--json"]).await;
            assert_ne!(verified.code, 0, "page {page}: {}", verified.text());
        } else {
            assert!(!is_sound(&file), "page {page}");
        }
    }
    std::fs::write(&file, &whole).expect("the ledger can be written");
    store.verified().await;
}

/// Size of a page of the file.
const PAGE: usize = 4_096;

/// The pages that something is on.
fn pages(file: &Path) -> Vec<usize> {
    let connection = rusqlite::Connection::open(file).expect("the file opens");
    let mut statement = connection.prepare("select pageno from dbstat where pageno > 1 order by pageno").expect("SQL");
    statement.query_map([], |row| row.get(0)).expect("pages").map(|page| page.expect("a number")).collect()
}

/// The pages of one table or index.
fn pages_of(file: &Path, name: &str) -> Vec<usize> {
    let connection = rusqlite::Connection::open(file).expect("the file opens");
    let mut statement =
        connection.prepare("select pageno from dbstat where name = ?1 and pagetype = 'leaf'").expect("SQL");
    statement.query_map([name], |row| row.get(0)).expect("pages").map(|page| page.expect("a number")).collect()
}

/// Whether SQLite finds nothing wrong with the file.
fn is_sound(file: &Path) -> bool {
    let connection = rusqlite::Connection::open(file).expect("the file opens");
    let found = connection.query_row("pragma integrity_check", [], |row| row.get::<_, String>(0));
    found.is_ok_and(|found| found == "ok")
}
