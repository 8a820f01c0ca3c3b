//! Files for their owner alone: made with their final permissions, replaced whole or not at all, durable when done.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use super::KeyError;

fn failed(path: &Path) -> impl Fn(io::Error) -> KeyError {
    move |why| KeyError::File { path: path.to_owned(), why }
}

/// Makes the folder with mode 0700, or checks that nobody but its owner can write to the one that is there.
pub(super) fn ensure_folder(folder: &Path) -> Result<(), KeyError> {
    if !folder.is_dir() {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        return builder.create(folder).map_err(failed(folder));
    }
    if mode_allows(folder, 0o022)? {
        return Err(KeyError::FolderOpenToOthers(folder.to_owned()));
    }
    Ok(())
}

/// Reads a file that holds a private key; refuses one that others can read.
pub(super) fn read_secret(path: &Path) -> Result<String, KeyError> {
    let text = fs::read_to_string(path).map_err(failed(path))?;
    if mode_allows(path, 0o077)? {
        return Err(KeyError::ReadableByOthers(path.to_owned()));
    }
    Ok(text)
}

/// Reads a file that may not be there.
pub(super) fn read_if_there(path: &Path) -> Result<Option<String>, KeyError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

#[cfg(unix)]
fn mode_allows(path: &Path, bits: u32) -> Result<bool, KeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path).map_err(failed(path))?;
    Ok(metadata.permissions().mode() & bits != 0)
}

#[cfg(not(unix))]
fn mode_allows(_path: &Path, _bits: u32) -> Result<bool, KeyError> {
    Ok(false)
}

fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Writes a file beside its final place, makes it durable, moves it there and makes that durable. A crash leaves the old
/// file or the new one.
pub(crate) fn replace_file(path: &Path, text: &str) -> Result<(), KeyError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder.join(format!(".{name}.{}.{:08x}", std::process::id(), rand::random::<u32>()));
    let written = owner_only().create_new(true).open(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        sync_folder(folder)
    });
    if written.is_err() {
        // What is left of a failed attempt may hold a key.
        let _ = fs::remove_file(&draft);
    }
    written.map_err(failed(path))
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Waits for the lock that `path` stands for. It goes when the file is dropped, or the process ends.
pub(crate) fn take_lock(path: &Path) -> Result<File, KeyError> {
    let file = owner_only().create(true).truncate(false).open(path).map_err(failed(path))?;
    file.lock().map_err(failed(path))?;
    Ok(file)
}
