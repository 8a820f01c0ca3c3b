//! Finding the server that runs on a data folder: it says its address in `server.json`, and holds `server.lock`.
//!
//! A process that was killed leaves its `server.json` behind; that is why the address is tried before it is believed.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::runtime::store::make_folder;

/// How long a server may take to say that it lives.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a running server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerDescription {
    /// Where it answers, without a slash at the end.
    pub url: String,
    /// Its process id.
    pub pid: u32,
    /// When it started, RFC 3339.
    pub started_at: String,
    /// What it does.
    pub roles: Vec<String>,
    /// Its ledger.
    pub ledger_id: String,
    /// Version of the program.
    pub version: String,
}

/// The file that describes the server.
pub fn description_file(data: &Path) -> PathBuf {
    data.join("server.json")
}

/// The server that runs on this data folder, if one does and answers.
pub async fn find(data: &Path) -> Option<ServerDescription> {
    let description = described(data)?;
    answers(&description).await.then_some(description)
}

/// What `server.json` says, whether or not it is still true.
pub fn described(data: &Path) -> Option<ServerDescription> {
    let text = std::fs::read_to_string(description_file(data)).ok()?;
    serde_json::from_str(&text).ok()
}

async fn answers(description: &ServerDescription) -> bool {
    if Path::new("/proc/self").exists() && !Path::new(&format!("/proc/{}", description.pid)).exists() {
        return false;
    }
    let Ok(client) = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build() else { return false };
    match client.get(format!("{}/health/live", description.url)).send().await {
        Ok(answer) => answer.status().is_success(),
        Err(_) => false,
    }
}

/// A process's claim on a data folder. Only one server at a time has it; it goes with the process, however that ends.
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the folder, or says who has it.
    pub fn take(data: &Path) -> anyhow::Result<Self> {
        make_folder(data)?;
        let path = data.join("server.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                let whose = described(data)
                    .map(|server| format!(" (process {}, {})", server.pid, server.url))
                    .unwrap_or_default();
                bail!(
                    "the data folder {} is in use by another Daybook server{whose}: stop it first, or give this one \
                     another folder with --data",
                    data.display()
                );
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }
}

/// A server's `server.json`, taken away when this is dropped.
pub struct Announcement {
    path: PathBuf,
}

impl Announcement {
    /// Writes the description, whole or not at all.
    pub fn publish(data: &Path, description: &ServerDescription) -> anyhow::Result<Self> {
        let path = description_file(data);
        let text = serde_json::to_string_pretty(description)?;
        let draft = data.join(format!("server.json.{}", description.pid));
        std::fs::write(&draft, text)
            .and_then(|()| std::fs::rename(&draft, &path))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // Left behind it does no harm: whoever reads it tries the address first.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn description(pid: u32) -> ServerDescription {
        ServerDescription {
            url: "http://127.0.0.1:9".to_owned(),
            pid,
            started_at: "2026-11-21T10:00:00.000000Z".to_owned(),
            roles: vec!["write".to_owned()],
            ledger_id: "main".to_owned(),
            version: "0.1.0".to_owned(),
        }
    }

    #[tokio::test]
    async fn server_that_is_gone_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(folder.path()).await, None);
        let announcement = Announcement::publish(folder.path(), &description(std::process::id())).unwrap();
        assert!(described(folder.path()).is_some());
        assert_eq!(find(folder.path()).await, None);
        drop(announcement);
        assert_eq!(described(folder.path()), None);
    }

    #[test]
    fn folder_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let held = FolderLock::take(folder.path()).unwrap();
        let refused = FolderLock::take(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("in use"), "{refused}");
        drop(held);
        assert!(FolderLock::take(folder.path()).is_ok());
    }
}
