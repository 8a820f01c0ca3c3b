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

/// What is said of a zip file with two files of one name, or one name in its directory and another before the file, or something
/// before or between them that is in no directory.
const AMBIGUOUS: &str = "files that some programs find and others do not";

/// The files within that are not what the manifest within lists, at most `most`; `None` for what is no such zip file.
pub(crate) fn changed(file: File, most: usize) -> Option<Vec<String>> {
    let mut zip = ZipArchive::new(BufReader::new(file)).ok()?;
    let mut bytes = Vec::new();
    zip.by_name(MANIFEST).ok()?.take(MAX_MANIFEST_BYTES).read_to_end(&mut bytes).ok()?;
    let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
    let mut changed = Vec::new();
    if zip.offset() != 0 || zip.validate_header_consistency().is_err() {
        changed.push(AMBIGUOUS.to_owned());
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::io::{Seek as _, Write as _};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::bundle::{Archive, Kind};

    fn found(bytes: &[u8]) -> Vec<String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        changed(file, 5).unwrap()
    }

    /// The bytes with a name changed wherever it stands from its `skip`th place on, `times` times.
    fn renamed(bytes: &[u8], from: &[u8], to: &[u8], skip: usize, times: usize) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let places: Vec<usize> =
            bytes.windows(from.len()).enumerate().filter(|(_, at)| *at == from).map(|(place, _)| place).collect();
        for place in places.into_iter().skip(skip).take(times) {
            bytes[place..place + to.len()].copy_from_slice(to);
        }
        bytes
    }

    #[test]
    fn file_that_only_some_programs_find_is_told() {
        let sha256 = hex::encode(Sha256::digest(b"content"));
        let manifest = serde_json::json!({ "files": [{ "path": "a.txt", "bytes": 7, "sha256": sha256 }] }).to_string();
        let mut archive = Archive::default();
        archive.add("a.txt", Kind::Text, b"content").unwrap();
        archive.add(MANIFEST, Kind::Large, manifest.as_bytes()).unwrap();
        assert_eq!(found(&archive.finish().unwrap()), Vec::<String>::new());

        let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, content) in
            [("b.txt", b"another".as_slice()), ("a.txt", b"content"), (MANIFEST, manifest.as_bytes())]
        {
            // Stored, so that the names are found in it.
            let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
            zip.start_file(name, options).unwrap();
            zip.write_all(content).unwrap();
        }
        let bytes = zip.finish().unwrap().into_inner();
        assert_eq!(found(&bytes), ["b.txt"]);
        assert_eq!(found(&renamed(&bytes, b"b.txt", b"a.txt", 0, 2)), [AMBIGUOUS]);
        assert_eq!(found(&renamed(&bytes, b"b.txt", b"c.txt", 0, 1)), [AMBIGUOUS, "b.txt"]);
        assert_eq!(found(&[b"PK before".as_slice(), &bytes].concat()), [AMBIGUOUS, "b.txt"]);
    }
}
