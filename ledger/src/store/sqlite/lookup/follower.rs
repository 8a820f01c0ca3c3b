//! Reading the lookup file of a ledger that another process writes. What the file does not cover yet, or all where it is
//! missing or of another ledger, is for the caller to look for in the ledger itself.

use std::path::Path;

use rusqlite::Connection;

use super::catch_up::{command_at, hash_at};
use super::error::LookupError;
use super::file::path_beside;
use super::name::{Name, Names};
use super::page::Record;
use super::reader::LookupReader;
use super::{COMMANDS_MARK, entries_mark};
use crate::store::StoreError;

/// Finds the records of a stream with at least that version, oldest first. Answers how many entries of the ledger that
/// covers.
pub(in crate::store::sqlite) fn entries(
    path: &Path,
    ledger: &Connection,
    ledger_id: &str,
    name: impl FnOnce(&Names) -> Name,
    version: u64,
    take: impl FnMut(&Record) -> Result<bool, StoreError>,
) -> Result<u64, StoreError> {
    covered(path, &entries_mark(ledger_id), |size| hash_at(ledger, ledger_id, size), name, version, take)
}

/// Finds the numbers of a command. Answers how many commands that covers.
pub(in crate::store::sqlite) fn commands(
    path: &Path,
    ledger: &Connection,
    name: impl FnOnce(&Names) -> Name,
    take: impl FnMut(&Record) -> Result<bool, StoreError>,
) -> Result<u64, StoreError> {
    covered(path, COMMANDS_MARK, |size| command_at(ledger, size), name, 0, take)
}

fn covered(
    path: &Path,
    mark: &str,
    found: impl FnOnce(u64) -> Result<Option<crate::Hash>, LookupError>,
    name: impl FnOnce(&Names) -> Name,
    version: u64,
    mut take: impl FnMut(&Record) -> Result<bool, StoreError>,
) -> Result<u64, StoreError> {
    let path = path_beside(path);
    if !path.is_file() {
        return Ok(0);
    }
    let ask = || -> Result<u64, LookupError> {
        let mut reader = LookupReader::open(&path, None)?;
        let name = name(&reader.names()?);
        reader.snapshot(|snapshot| {
            let Some(mark) = snapshot.marks()?.get(mark).copied() else { return Ok(0) };
            if mark.size == 0 || found(mark.size)? != Some(mark.hash) {
                return Ok(0);
            }
            snapshot.since(name, version, |record| Ok(take(record)?))?;
            Ok(mark.size)
        })
    };
    match ask() {
        Err(LookupError::Ledger(error)) => Err(error),
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "the lookup file cannot be read: the ledger is searched");
            Ok(0)
        }
        Ok(size) => Ok(size),
    }
}
