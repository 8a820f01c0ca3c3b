//! Letters as files, one each, in a folder that only its owner reads: the embedded default, and a transport for tests.
//!
//! A file's name begins with the person's opaque id, so that an erasure finds every copy.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use lettre::message::Mailbox;

use super::{Counters, Letter, MailError, MailFigures, Mailer, count};

/// Most letters the folder holds. Whoever reads them also removes them.
const MAX_LETTERS: usize = 10_000;

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
    if fs::read_dir(folder)?.count() >= MAX_LETTERS {
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
}
