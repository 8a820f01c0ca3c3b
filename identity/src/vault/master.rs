//! The master key, from which all other keys of the vault are derived.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use zeroize::Zeroizing;

use super::error::VaultError;
use super::wrapping::random;

/// 32 bytes that wrap everything readable in the vault. Without them the vault is of no use to anybody.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// Reads 64 hexadecimal digits; white space around them is no matter.
    pub fn from_hex(text: &str) -> Result<Self, VaultError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(text.trim(), bytes.as_mut_slice()).map_err(|_| VaultError::MalformedMasterKey)?;
        Ok(Self(bytes))
    }

    /// A new key from the system's random bytes.
    pub fn generate() -> Result<Self, VaultError> {
        random().map(Self)
    }

    /// Reads the key from its file; makes file and key (mode 0600) where there is none. Of several processes that do
    /// so at once, all end with the same key.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, VaultError> {
        let path = path.as_ref();
        if let Some(key) = Self::load(path)? {
            return Ok(key);
        }
        write_once(path, &Self::generate()?).map_err(failed(path))?;
        Self::load(path)?.ok_or_else(|| failed(path)(ErrorKind::NotFound.into()))
    }

    /// Reads the key from its file, which nobody but its owner may read. `None` where there is no file.
    pub fn load(path: impl AsRef<Path>) -> Result<Option<Self>, VaultError> {
        let path = path.as_ref();
        let text = match fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(path)(error)),
        };
        if others_may_read(path).map_err(failed(path))? {
            let why = "others can read the master key; chmod 600 it, and consider it known".to_owned();
            return Err(VaultError::File { path: path.to_owned(), why });
        }
        Self::from_hex(&text).map(Some)
    }

    /// A key for one use. Contexts are constants of the program, no two the same.
    pub(super) fn derive(&self, context: &'static str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(context, self.0.as_slice()))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MasterKey(…)")
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> VaultError {
    move |error| VaultError::File { path: path.to_owned(), why: error.to_string() }
}

/// Writes the key beside its place, makes it durable and links it there unless somebody was faster.
fn write_once(path: &Path, key: &MasterKey) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder.join(format!(".{name}.{}.{:08x}", std::process::id(), rand::random::<u32>()));
    let text = Zeroizing::new(format!("{}\n", Zeroizing::new(hex::encode(key.0.as_slice())).as_str()));
    let written = owner_only().create_new(true).open(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    });
    let removed = fs::remove_file(&draft);
    written.and(removed)?;
    sync_folder(folder)
}

/// Options for a file that only its owner can read.
pub(super) fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
pub(super) fn others_may_read(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
pub(super) fn others_may_read(_path: &Path) -> io::Result<bool> {
    Ok(false)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn processes_that_start_at_once_share_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.key");
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || *MasterKey::load_or_create(&path).unwrap().derive("test"))
            })
            .collect();
        let keys: Vec<[u8; 32]> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.key");
        MasterKey::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(MasterKey::load_or_create(&path), Err(VaultError::File { .. })));
    }

    #[test]
    fn only_64_hexadecimal_digits_are_a_key() {
        assert!(MasterKey::from_hex(&"0a".repeat(32)).is_ok());
        assert!(MasterKey::from_hex(&"0a".repeat(31)).is_err());
        assert!(MasterKey::from_hex(&"zz".repeat(32)).is_err());
        assert_eq!(format!("{:?}", MasterKey::from_hex(&"0a".repeat(32)).unwrap()), "MasterKey(…)");
    }
}
