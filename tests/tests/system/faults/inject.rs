//! Makes calls of one process fail while it runs: a library of `tests/faults/inject.c` that is loaded before the C library.

use std::path::{Path, PathBuf};
use std::process::Command;

use daybook_tests::Options;
use tempfile::TempDir;

/// What is made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No room: every write fails.
    DiskFull,
    /// Room for half of each write, then none.
    ShortWrite,
    /// Writes fail with an I/O error.
    Write,
    /// Syncs fail with an I/O error, and nothing is synced.
    Sync,
}

impl Fault {
    fn word(self) -> &'static str {
        match self {
            Self::DiskFull => "enospc",
            Self::ShortWrite => "short-write",
            Self::Write => "eio-write",
            Self::Sync => "eio-fsync",
        }
    }
}

/// The library, and the files that tell it what to do.
pub struct Injector {
    folder: TempDir,
}

impl Injector {
    /// Compiles the library. Says so and answers `None` where there is no way to load it.
    pub fn new() -> Option<Self> {
        if !cfg!(all(target_os = "linux", target_env = "gnu")) {
            println!("skipped: faults are injected with LD_PRELOAD on Linux with the GNU C library");
            return None;
        }
        let injector = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("faults/inject.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(injector.library())
            .arg(&source)
            .args(["-ldl", "-lpthread"])
            .output()
            .expect("a C compiler, which the build needs too");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        Some(injector)
    }

    /// The library's file.
    pub fn library(&self) -> PathBuf {
        self.folder.path().join("inject.so")
    }

    /// The folder with everything, for a process of another user.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn trigger(&self) -> PathBuf {
        self.folder.path().join("fault")
    }

    /// Where writes and syncs are taken down.
    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// The environment of a process that can be made to fail.
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = |path: PathBuf| path.display().to_string();
        vec![
            ("LD_PRELOAD".to_owned(), text(self.library())),
            ("INJECT_FAULT".to_owned(), text(self.trigger())),
            ("INJECT_CLOCK".to_owned(), text(self.clock())),
        ]
    }

    /// A server that can be made to fail.
    pub fn options(&self) -> Options {
        Options { environment: self.environment(), ..Options::default() }
    }

    /// As [`Injector::options`], and what happens to files whose path contains `part` is taken down.
    pub fn options_with_journal(&self, part: &str) -> Options {
        let mut options = self.options();
        options.environment.push(("INJECT_JOURNAL".to_owned(), self.journal().display().to_string()));
        options.environment.push(("INJECT_JOURNAL_PATH".to_owned(), part.to_owned()));
        options
    }

    /// From now on calls on files whose path contains `part` fail, `times` times (0: until [`Injector::repair`]).
    pub fn fail(&self, fault: Fault, times: u32, part: &str) {
        assert!(!part.contains(char::is_whitespace), "{part}");
        self.put(&self.trigger(), &format!("{} {times} {part}\n", fault.word()));
    }

    /// Nothing fails any more.
    pub fn repair(&self) {
        let _ = std::fs::remove_file(self.trigger());
    }

    /// How many calls have failed.
    pub fn failures(&self) -> usize {
        let log = std::fs::read_to_string(self.folder.path().join("fault.fired")).unwrap_or_default();
        log.lines().count()
    }

    fn clock(&self) -> PathBuf {
        self.folder.path().join("clock")
    }

    /// Sets the clock so many seconds ahead; back where negative.
    pub fn set_clock(&self, seconds: i64) {
        self.put(&self.clock(), &seconds.to_string());
    }

    /// Never half-written.
    fn put(&self, path: &Path, text: &str) {
        let draft = self.folder.path().join("draft");
        std::fs::write(&draft, text).expect("the temporary folder can be written");
        std::fs::rename(&draft, path).expect("the temporary folder can be written");
    }
}
