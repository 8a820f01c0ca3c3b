//! Files that are opened beside SQLite, and stay open.
//!
//! On Unix a process that closes a file loses every lock that it holds on it, whichever of its open files they were taken
//! with. SQLite's locks are such locks: a file that was opened here and closed again would take them away from each
//! connection of the process, a server's among them. So a file is opened once and closed only when it has no name any
//! more, at the earliest.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Files that one process keeps open, at most.
const MOST_FILES: usize = 64;

static OPEN: Mutex<Vec<Arc<File>>> = Mutex::new(Vec::new());

/// A file that is open for reading.
#[derive(Debug, Clone)]
pub(super) struct KeptOpen(Arc<File>);

#[cfg(unix)]
impl KeptOpen {
    /// Opens a file, or finds it open. None where too many are.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        use std::os::unix::fs::MetadataExt as _;
        let identity = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody can come to lock a file without a name, and whoever still writes to it writes what is lost already.
        open.retain(|file| file.metadata().map_or(true, |metadata| metadata.nlink() > 0));
        let wanted = identity(&std::fs::metadata(path)?);
        for file in open.iter() {
            if identity(&file.metadata()?) == wanted {
                return Ok(Some(Self(Arc::clone(file))));
            }
        }
        if open.len() >= MOST_FILES {
            return Ok(None);
        }
        let file = Arc::new(File::open(path)?);
        open.push(Arc::clone(&file));
        Ok(Some(Self(file)))
    }

    /// Fills a buffer with what lies at an offset; an error where the file ends before.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self.0.as_ref(), buffer, offset)
    }
}

#[cfg(not(unix))]
impl KeptOpen {
    /// None: everything is read through SQLite.
    pub(super) fn open(_: &Path) -> io::Result<Option<Self>> {
        Ok(None)
    }

    pub(super) fn read(&self, _: &mut [u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn file_is_opened_once_while_it_has_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["one.db", "two.db"].map(|name| folder.path().join(name));
        std::fs::write(&path, b"0123456789").unwrap();
        std::fs::hard_link(&path, &other).unwrap();
        let first = KeptOpen::open(&path).unwrap().unwrap();
        let second = KeptOpen::open(&other).unwrap().unwrap();
        assert!(Arc::ptr_eq(&first.0, &second.0));
        let mut read = [0; 3];
        first.read(&mut read, 4).unwrap();
        assert_eq!(&read, b"456");
        assert!(first.read(&mut read, 8).is_err());
        drop(second);
        let kept = Arc::downgrade(&first.0);
        drop(first);
        assert!(kept.upgrade().is_some(), "closing it would take locks away");
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(&other).unwrap();
        std::fs::write(&path, b"another").unwrap();
        assert!(KeptOpen::open(&path).unwrap().is_some());
        assert!(kept.upgrade().is_none());
    }
}
