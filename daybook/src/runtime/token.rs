//! Secrets that are made at the first start and kept in files of the data folder that only their owner can read.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::runtime::store::make_folder;

/// The file of the operator's token.
pub fn token_file(data: &Path) -> PathBuf {
    data.join("operator.token")
}

/// The operator's token in the data folder, if one was made there.
pub fn read_token(data: &Path) -> Option<String> {
    read(&token_file(data)).ok().flatten()
}

/// The operator's token in the data folder; made where there is none.
pub fn ensure_token(data: &Path) -> anyhow::Result<String> {
    ensure(&token_file(data), "dbk_")
}

/// The key of opaque ids in the data folder; made where there is none.
pub fn ensure_actor_key(data: &Path) -> anyhow::Result<String> {
    ensure(&data.join("actor.key"), "")
}

fn ensure(path: &Path, prefix: &str) -> anyhow::Result<String> {
    if let Some(secret) = read(path)? {
        return Ok(secret);
    }
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let secret = format!("{prefix}{}", hex::encode(rand::random::<[u8; 32]>()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(secret.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    });
    match written {
        Ok(()) => Ok(secret),
        // Another process that starts in this moment was first.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read(path)?.with_context(|| format!("{} is empty", path.display()))
        }
        Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    warn_if_readable_by_others(path);
    let secret = text.trim();
    if secret.is_empty() {
        bail!("{} is empty: remove it, and the next start makes a new one", path.display());
    }
    Ok(Some(secret.to_owned()))
}

#[cfg(unix)]
fn warn_if_readable_by_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.permissions().mode() & 0o077 != 0 {
        crate::output::warning(format!("{} can be read by others: chmod 600 it", path.display()));
    }
}

#[cfg(not(unix))]
fn warn_if_readable_by_others(_path: &Path) {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn token_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("new");
        assert_eq!(read_token(&data), None);
        let token = ensure_token(&data).unwrap();
        assert!(token.starts_with("dbk_") && token.len() == 68);
        assert_eq!(ensure_token(&data).unwrap(), token);
        assert_eq!(read_token(&data), Some(token));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(token_file(&data)).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn empty_token_file_is_an_error_and_not_an_empty_token() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(token_file(folder.path()), "\n").unwrap();
        assert!(ensure_token(folder.path()).is_err());
    }
}
