//! What is in a zip file of an export: its entries are counted, and each of its files is compared with what its own manifest
//! lists, to say which of them was changed.

use std::fs::File;
use std::io::{self, BufReader, Read as _};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use zip::ZipArchive;

/// The file that lists the others.
const MANIFEST: &str = "manifest.json";
/// Its signature, which it cannot list.
const SIGNATURE: &str = "manifest.sig";
/// The file with an entry a line.
const ENTRIES: &str = "entries.ndjson";
/// Longest manifest that is read: a line for each of a million files.
const MAX_MANIFEST_BYTES: u64 = 256 * 1024 * 1024;

#[derive(Deserialize)]
struct Manifest {
    files: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    path: String,
    bytes: u64,
    sha256: String,
}

/// Entries in the file; `None` for what is no such zip file.
pub(super) fn entries(file: File) -> io::Result<Option<u64>> {
    let Ok(mut zip) = ZipArchive::new(BufReader::new(file)) else { return Ok(None) };
    let Ok(entries) = zip.by_name(ENTRIES) else { return Ok(None) };
    // What cannot be unpacked has no rows that could be counted.
    Ok(super::count_lines(entries).ok())
}

/// The files within that are not what the manifest within lists, at most `most`; `None` for what is no such zip file.
pub(crate) fn changed(file: File, most: usize) -> Option<Vec<String>> {
    let mut zip = ZipArchive::new(BufReader::new(file)).ok()?;
    let mut bytes = Vec::new();
    zip.by_name(MANIFEST).ok()?.take(MAX_MANIFEST_BYTES).read_to_end(&mut bytes).ok()?;
    let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
    let mut changed = Vec::new();
    for Listed { path, bytes, sha256 } in &manifest.files {
        let is_same = match zip.by_name(path) {
            Ok(found) => digest(found.take(bytes.saturating_add(1)))
                .is_some_and(|(length, found)| (length, &found) == (*bytes, sha256)),
            Err(_) => false,
        };
        if !is_same {
            changed.push(path.clone());
        }
    }
    let mut listed: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    listed.sort_unstable();
    let is_known = |name: &str| [MANIFEST, SIGNATURE].contains(&name) || listed.binary_search(&name).is_ok();
    let others = zip.file_names().map(|name| name.map(|name| name.into_owned()).unwrap_or_else(|_| "?".to_owned()));
    changed.extend(others.filter(|name| !is_known(name)));
    changed.truncate(most);
    Some(changed)
}

fn digest(mut file: impl io::Read) -> Option<(u64, String)> {
    let (mut hasher, mut length, mut buffer) = (Sha256::new(), 0_u64, vec![0_u8; 64 * 1024]);
    loop {
        let count = file.read(&mut buffer).ok()?;
        if count == 0 {
            return Some((length, hex::encode(hasher.finalize())));
        }
        length += count as u64;
        hasher.update(buffer.get(..count)?);
    }
}
