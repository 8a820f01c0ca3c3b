//! Letters as files, one each, in a folder that only its owner reads: the embedded default, and a transport for tests.
//!
//! A file's name begins with the person's opaque id, so that an erasure finds every copy, and ends with an id that says when
//! it was written, so that letters do not stay for ever.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use lettre::message::Mailbox;

use super::{Counters, Letter, MailError, MailFigures, Mailer, count};

/// Most letters the folder holds. Whoever reads them also removes them.
const MAX_LETTERS: usize = 10_000;
/// How long a letter is kept: every link in one has expired by then.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Writes every letter into a folder as `<user id>-<time-ordered id>.eml`.
#[derive(Clone)]
pub struct FileMailer {
    folder: Arc<Path>,
    from: Mailbox,
    counters: Arc<Counters>,
}

impl FileMailer {
    /// Uses `folder`, which is made if it is not there. `from` is an address, or `Name <address>`.
    pub fn open(folder: impl Into<PathBuf>, from: &str) -> Result<Self, MailError> {
        let folder: PathBuf = folder.into();
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let from = from.parse().map_err(|_| MailError::Address("sender's"))?;
        Ok(Self { folder: folder.into(), from, counters: Arc::default() })
    }

    /// Where the letters are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

#[async_trait]
impl Mailer for FileMailer {
    fn is_configured(&self) -> bool {
        true
    }

    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        let bytes = letter.message(&self.from, true)?.formatted();
        let folder = Arc::clone(&self.folder);
        let written = blocking(move || write(&folder, &letter.user_id, &bytes)).await;
        count(if written.is_ok() { &self.counters.delivered } else { &self.counters.failed });
        written
    }

    async fn forget(&self, user_id: &str) -> Result<usize, MailError> {
        let (folder, user_id) = (Arc::clone(&self.folder), user_id.to_owned());
        blocking(move || remove(&folder, &user_id)).await
    }

    async fn tidy(&self) -> Result<usize, MailError> {
        let folder = Arc::clone(&self.folder);
        blocking(move || Ok(remove_old(&folder)?.removed)).await
    }

    fn figures(&self) -> MailFigures {
        self.counters.figures()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MailError> + Send + 'static,
) -> Result<T, MailError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| MailError::Stopped)?
}

fn write(folder: &Path, user_id: &str, bytes: &[u8]) -> Result<(), MailError> {
    if remove_old(folder)?.left >= MAX_LETTERS {
        return Err(MailError::Full);
    }
    let name = format!("{}-{}", file_safe(user_id), uuid::Uuid::now_v7().simple());
    // Whoever watches the folder sees whole letters only.
    let (unfinished, finished) = (folder.join(format!("{name}.tmp")), folder.join(format!("{name}.eml")));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&unfinished, finished));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    Ok(written?)
}

/// What a look through the folder came to.
struct Tidied {
    removed: usize,
    left: usize,
}

/// Removes the letters that are older than [`KEPT`]; leaves whatever else is in the folder.
fn remove_old(folder: &Path) -> Result<Tidied, MailError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut tidied = Tidied { removed: 0, left: 0 };
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_old = written_at(&entry.file_name().to_string_lossy())
            .is_some_and(|written_at| now.saturating_sub(written_at) > KEPT);
        if !is_old {
            tidied.left += 1;
            continue;
        }
        match fs::remove_file(entry.path()) {
            Ok(()) => tidied.removed += 1,
            // Whoever reads them was first.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(tidied)
}

/// When the letter of this name was written, since the epoch; `None` where it is none of ours.
fn written_at(name: &str) -> Option<Duration> {
    let name = name.strip_suffix(".eml").or_else(|| name.strip_suffix(".tmp"))?;
    let (_, id) = name.rsplit_once('-')?;
    let (seconds, nanoseconds) = uuid::Uuid::try_parse(id).ok()?.get_timestamp()?.to_unix();
    Some(Duration::new(seconds, nanoseconds))
}

fn remove(folder: &Path, user_id: &str) -> Result<usize, MailError> {
    let start = format!("{}-", file_safe(user_id));
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(&start) {
            continue;
        }
        match fs::remove_file(entry.path()) {
            Ok(()) => removed += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(removed)
}

/// Ids of people are words; anything else cannot lead out of the folder either.
fn file_safe(user_id: &str) -> String {
    user_id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '.' }).take(128).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn letter(user_id: &str) -> Letter {
        Letter::new(user_id, "ann@example.com", "Hello", "https://daybook.example.com/register#token=dbo_x\n")
    }

    #[tokio::test]
    async fn letter_is_a_file_that_only_its_owner_reads() {
        let folder = tempfile::tempdir().unwrap();
        let mailer = FileMailer::open(folder.path().join("outbox"), "daybook@example.com").unwrap();
        mailer.send(letter("usr_1")).await.unwrap();
        let files: Vec<_> = fs::read_dir(mailer.folder()).unwrap().map(Result::unwrap).collect();
        let [file] = files.as_slice() else { panic!("{files:?}") };
        assert!(file.file_name().to_string_lossy().starts_with("usr_1-"));
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(mailer.folder()).unwrap().permissions().mode() & 0o777, 0o700);
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(text.contains("To: ann@example.com") && text.contains("#token=dbo_x"), "{text}");
        assert_eq!(mailer.figures().delivered, 1);
    }

    #[tokio::test]
    async fn forgetting_one_person_leaves_the_letters_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let mailer = FileMailer::open(folder.path(), "daybook@example.com").unwrap();
        for user_id in ["usr_1", "usr_1", "usr_12", "../usr_3"] {
            mailer.send(letter(user_id)).await.unwrap();
        }
        assert_eq!(mailer.forget("usr_1").await.unwrap(), 2);
        assert_eq!(mailer.forget("usr_1").await.unwrap(), 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert_eq!(mailer.forget("../usr_3").await.unwrap(), 1);
    }

    /// The name of a letter of so long ago.
    fn aged(user_id: &str, age: Duration) -> String {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - age;
        let at = uuid::Timestamp::from_unix(uuid::NoContext, at.as_secs(), 0);
        format!("{user_id}-{}.eml", uuid::Uuid::new_v7(at).simple())
    }

    #[tokio::test]
    async fn full_folder_takes_letters_again_once_the_old_ones_have_expired() {
        let folder = tempfile::tempdir().unwrap();
        let mailer = FileMailer::open(folder.path(), "daybook@example.com").unwrap();
        let hour = Duration::from_secs(3_600);
        for _ in 0..MAX_LETTERS {
            fs::write(folder.path().join(aged("usr_1", KEPT - hour)), "").unwrap();
        }
        assert!(matches!(mailer.send(letter("usr_2")).await, Err(MailError::Full)));
        for entry in fs::read_dir(folder.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for _ in 0..MAX_LETTERS {
            fs::write(folder.path().join(aged("usr_1", KEPT + hour)), "").unwrap();
        }
        mailer.send(letter("usr_2")).await.unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn tidying_removes_expired_letters_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let mailer = FileMailer::open(folder.path(), "daybook@example.com").unwrap();
        mailer.send(letter("usr_1")).await.unwrap();
        fs::write(folder.path().join(aged("usr_1", KEPT + KEPT)), "").unwrap();
        fs::write(folder.path().join("README-first.eml"), "").unwrap();
        assert_eq!(mailer.tidy().await.unwrap(), 1);
        assert_eq!(mailer.tidy().await.unwrap(), 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
