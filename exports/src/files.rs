//! The folder of finished exports: safe names, whole files or ranges of them, removal, and what killed processes leave.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use daybook_domain::export::ExportFormat;
use daybook_domain::names::ExportId;
use tokio::io::AsyncSeekExt as _;

use crate::digest::{Digests, digests_of};
use crate::format::extension;

/// What the names of unfinished files end with.
const PART: &str = "part";
/// Longest name of a file.
const MAX_NAME_BYTES: usize = 200;

/// Why a file is not there, or not to be had.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Not a name of a file in this folder.
    #[error("{0:?} is not the name of an export's file")]
    Name(String),
    /// There is no such file.
    #[error("there is no file {0}")]
    NotFound(String),
    /// A range that the file does not have.
    #[error("the file has {length} bytes; there is no such range of it")]
    Range {
        /// Length of the file.
        length: u64,
    },
    /// Longer than it may be.
    #[error("{name} has more than {most} bytes")]
    TooLong {
        /// Which.
        name: String,
        /// How many it may have.
        most: usize,
    },
    /// What the system says.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
}

/// The names of one export's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileNames {
    /// The rows.
    pub file: String,
    /// The manifest.
    pub manifest: String,
    /// Its signature.
    pub signature: String,
}

impl FileNames {
    /// Of one attempt: whoever was overtaken writes into files of its own, never into those that were recorded.
    pub fn new(export_id: &ExportId, attempt: u64, format: ExportFormat) -> Self {
        Self::beside(&format!("{export_id}.{attempt}.{}", extension(format)))
    }

    /// Of a file with this name: `<file>.manifest.json` and `<file>.sig`.
    pub fn beside(file: &str) -> Self {
        Self { file: file.to_owned(), manifest: format!("{file}.manifest.json"), signature: format!("{file}.sig") }
    }
}

/// Whether this may be a file of an export: letters, digits, `_`, `-` and points, and no point at the beginning.
pub fn is_file_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.starts_with('.') && name.bytes().all(allowed)
}

/// A file or a range of it, ready to be read.
#[derive(Debug)]
pub struct OpenedFile {
    /// Stands at the first byte of the range.
    pub file: tokio::fs::File,
    /// Which bytes are to be read.
    pub range: Range<u64>,
    /// Length of the whole file.
    pub length: u64,
}

impl OpenedFile {
    /// The digests of the whole file, however little of it is to be read; it then stands where it stood. Takes as long as
    /// reading the file.
    pub async fn with_digests(self) -> io::Result<(Self, Digests)> {
        let Self { file, range, length } = self;
        let (mut file, start) = (file.into_std().await, range.start);
        let read = tokio::task::spawn_blocking(move || {
            file.rewind()?;
            let digests = digests_of(&mut file)?;
            file.seek(SeekFrom::Start(start))?;
            Ok::<_, io::Error>((file, digests))
        });
        let (file, digests) = read.await.map_err(io::Error::other)??;
        Ok((Self { file: tokio::fs::File::from_std(file), range, length }, digests))
    }
}

/// The finished exports of one organisation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ExportFiles {
    folder: PathBuf,
}

impl ExportFiles {
    /// The folder, made for its owner alone where it is missing.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, FilesError> {
        let folder = folder.into();
        match DirBuilder::new().recursive(true).mode(0o700).create(&folder) {
            Ok(()) => Ok(Self { folder }),
            Err(why) => Err(FilesError::File { path: folder, why }),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the file of this name is or would be.
    pub fn path(&self, name: &str) -> Result<PathBuf, FilesError> {
        if is_file_name(name) { Ok(self.folder.join(name)) } else { Err(FilesError::Name(name.to_owned())) }
    }

    /// Writes a small file: durable, and all of it or nothing.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FilesError> {
        let path = self.path(name)?;
        let part = part_of(&path);
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&part, &path)?;
            sync_folder_of(&path)
        };
        write().map_err(|why| FilesError::File { path: path.clone(), why })
    }

    /// Reads a small file, of at most `most` bytes.
    pub fn read(&self, name: &str, most: usize) -> Result<Vec<u8>, FilesError> {
        let path = self.path(name)?;
        read_at_most(&path, most)
            .map_err(|why| missing_or(name, path, why))?
            .ok_or_else(|| FilesError::TooLong { name: name.to_owned(), most })
    }

    /// Opens a file, or the bytes `range` of it. A range that ends after the file is cut; one that begins after its end is
    /// [`FilesError::Range`].
    pub async fn open_range(&self, name: &str, range: Option<Range<u64>>) -> Result<OpenedFile, FilesError> {
        let path = self.path(name)?;
        let fault = |why| missing_or(name, path.clone(), why);
        let mut file = tokio::fs::File::open(&path).await.map_err(fault)?;
        let length = file.metadata().await.map_err(fault)?.len();
        let range = match range {
            None => 0..length,
            Some(range) if range.start >= length || range.start >= range.end => {
                return Err(FilesError::Range { length });
            }
            Some(range) => range.start..range.end.min(length),
        };
        file.seek(SeekFrom::Start(range.start)).await.map_err(fault)?;
        Ok(OpenedFile { file, range, length })
    }

    /// Removes every file of an export, those of every attempt. Answers how many there were.
    pub fn remove(&self, export_id: &ExportId) -> Result<usize, FilesError> {
        self.remove_where(|name| is_of(name, export_id))
    }

    /// Removes the files of these attempts of an export, finished or not: what came to nothing. They are found by their
    /// names, so that it costs the same however many exports there are. Answers how many there were.
    pub fn remove_attempts(
        &self,
        export_id: &ExportId,
        format: ExportFormat,
        attempts: impl IntoIterator<Item = u64>,
    ) -> Result<usize, FilesError> {
        let mut removed = 0;
        for attempt in attempts {
            let FileNames { file, manifest, signature } = FileNames::new(export_id, attempt, format);
            for name in [file, manifest, signature] {
                let path = self.path(&name)?;
                for path in [part_of(&path), path] {
                    match std::fs::remove_file(&path) {
                        Ok(()) => removed += 1,
                        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
                        Err(why) => return Err(FilesError::File { path, why }),
                    }
                }
            }
        }
        if removed > 0 {
            self.sync()?;
        }
        Ok(removed)
    }

    /// Removes unfinished files that nobody has written to for `age`. Answers how many there were.
    pub fn clean(&self, age: Duration) -> Result<usize, FilesError> {
        let now = SystemTime::now();
        let is_old = |name: &str| {
            let changed = std::fs::metadata(self.folder.join(name)).and_then(|metadata| metadata.modified());
            changed.is_ok_and(|changed| now.duration_since(changed).unwrap_or_default() >= age)
        };
        self.remove_where(|name| Path::new(name).extension().is_some_and(|end| end == PART) && is_old(name))
    }

    fn remove_where(&self, is_meant: impl Fn(&str) -> bool) -> Result<usize, FilesError> {
        let fault = |why| FilesError::File { path: self.folder.clone(), why };
        let mut removed = 0;
        for entry in std::fs::read_dir(&self.folder).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            if !entry.file_name().to_str().is_some_and(&is_meant) {
                continue;
            }
            match std::fs::remove_file(entry.path()) {
                Ok(()) => removed += 1,
                // Somebody else was quicker.
                Err(why) if why.kind() == io::ErrorKind::NotFound => {}
                Err(why) => return Err(FilesError::File { path: entry.path(), why }),
            }
        }
        if removed > 0 {
            self.sync()?;
        }
        Ok(removed)
    }

    fn sync(&self) -> Result<(), FilesError> {
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|why| FilesError::File { path: self.folder.clone(), why })
    }
}

/// Ids have no points, so the first one ends the id.
fn is_of(name: &str, export_id: &ExportId) -> bool {
    name.split_once('.').is_some_and(|(id, _)| id == export_id.as_str())
}

fn missing_or(name: &str, path: PathBuf, why: io::Error) -> FilesError {
    if why.kind() == io::ErrorKind::NotFound {
        FilesError::NotFound(name.to_owned())
    } else {
        FilesError::File { path, why }
    }
}

/// The whole file; `None` where it has more than `most` bytes.
pub(crate) fn read_at_most(path: &Path, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= most).then_some(bytes))
}

/// `<path>.part`.
pub(crate) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(PART);
    PathBuf::from(name)
}

/// A new name is durable when its folder is.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests;
