//! Remembering how far the import of a file has come, so that an interrupted one goes on and a finished one is not read again.
//!
//! The state is believed only while the ledger still has the entry that it names: another ledger in the same folder starts anew.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::pump::Totals;
use super::target::{Mark, Target};
use crate::runtime::store::make_folder;

/// How far the import of one file, under one mapping, into one place has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The file, for people.
    pub file: String,
    /// BLAKE3 of its bytes.
    pub digest: String,
    /// Its bytes.
    pub size: u64,
    /// What was done with the rows so far.
    pub totals: Totals,
    /// An entry of one of them.
    pub mark: Option<Mark>,
    /// True where the file's end was reached.
    pub finished: bool,
}

/// The state of one import, kept in the data folder.
pub struct StateFile {
    path: PathBuf,
    pub state: State,
}

/// BLAKE3 of a file's bytes, and how many they are.
pub fn digest(path: &Path) -> anyhow::Result<(String, u64)> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0_u8; 1024 * 1024];
    let mut size = 0_u64;
    loop {
        let count = file.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))?;
        if count == 0 {
            return Ok((hasher.finalize().to_hex().to_string(), size));
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        size = size.saturating_add(u64::try_from(count).unwrap_or(0));
    }
}

impl StateFile {
    /// The state of importing the file with `digest` under `conditions` (the mapping, the ledger, the store).
    pub fn open(data: &Path, file: &Path, digest: &str, size: u64, conditions: &str) -> Self {
        let key = blake3::hash(format!("{digest}\n{conditions}").as_bytes()).to_hex();
        let path = data.join("imports").join(format!("{}.json", key.get(..32).unwrap_or_default()));
        let kept = std::fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str::<State>(&text).ok());
        let fresh = State { file: file.display().to_string(), digest: digest.to_owned(), size, ..State::default() };
        let state = kept.filter(|state| state.digest == digest && state.size == size).unwrap_or(fresh);
        Self { path, state }
    }

    /// Forgets it where the target's ledger is not the one that it was about.
    pub async fn check(&mut self, target: &Target) -> anyhow::Result<()> {
        let believed = match &self.state.mark {
            Some(mark) => target.has(mark).await?,
            // No row was ever recorded: all were refused, or none was read.
            None => self.state.totals.rows == self.state.totals.refused,
        };
        if !believed {
            self.restart();
        }
        Ok(())
    }

    /// Begins anew.
    pub fn restart(&mut self) {
        self.state = State {
            file: self.state.file.clone(),
            digest: self.state.digest.clone(),
            size: self.state.size,
            ..State::default()
        };
    }

    /// Writes it, whole or not at all.
    pub fn save(&self) -> anyhow::Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        if let Some(folder) = self.path.parent() {
            make_folder(folder)?;
        }
        let draft = self.path.with_extension("draft");
        let text = serde_json::to_string_pretty(&self.state)?;
        std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &self.path)).with_context(failed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn state_is_kept_for_one_file_under_one_mapping() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        std::fs::write(&file, "id,amount\n").unwrap();
        let (digest, size) = digest(&file).unwrap();
        let mut state = StateFile::open(folder.path(), &file, &digest, size, "one");
        state.state.totals.rows = 7;
        state.save().unwrap();
        assert_eq!(StateFile::open(folder.path(), &file, &digest, size, "one").state.totals.rows, 7);
        assert_eq!(StateFile::open(folder.path(), &file, &digest, size, "two").state.totals.rows, 0);
        assert_eq!(StateFile::open(folder.path(), &file, "other", size, "one").state.totals.rows, 0);
    }
}
