//! Which files a bundle has, and whether each is the one that its manifest lists.
//!
//! A manifest that nobody signed lists whatever its writer likes. So a bundle has the files that each prove something, and no
//! other: what is there for people to read, as in an evidence pack, counts only where the list of files is signed.

use sha2::{Digest as _, Sha256};

use super::layout::unpack;
use super::tiles::Tiles;
use super::{Archive, ENTRIES, MANIFEST, MAX_MANIFEST_BYTES, MAX_TEXT_BYTES, Manifest, SIGNATURE};
use crate::cell::Cell;
use crate::report::FindingKind;
use crate::source::Progress;
use crate::walk::Walk;

/// What a bundle says of itself, which nothing proves and everybody reads.
const README: &str = include_str!("README.txt");

/// Compares every file with its line in the manifest.
pub(super) fn compare<P: FnMut(Progress) -> bool>(archive: &mut Archive, manifest: &Manifest, walk: &mut Walk<P>) {
    let is_signed = manifest.selection.is_some();
    let tiles = Tiles::new(manifest.checkpoint_size);
    let mut differ = |path: &str, what: &str| {
        let detail = format!("{}: {what}", Cell::Text(path.as_bytes()));
        walk.finding(None, FindingKind::BundleMismatch, detail);
    };
    let mut listed: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    listed.sort_unstable();
    if let Some(twice) = listed.array_windows().find_map(|[one, next]| (one == next).then_some(*one)) {
        differ(twice, "the manifest lists this file twice");
    }
    for name in archive.0.file_names() {
        match name {
            Ok(name) if name == MANIFEST || (name == SIGNATURE && is_signed) => {}
            Ok(name) if listed.binary_search(&name.as_ref()).is_ok() => {}
            Ok(name) => differ(&name, "the manifest does not list this file"),
            Err(_) => differ("?", "the name of a file cannot be read"),
        }
    }
    // The list cannot have these two.
    for (name, most) in [(MANIFEST, MAX_MANIFEST_BYTES), (SIGNATURE, MAX_TEXT_BYTES)] {
        match archive.0.index_for_name_raw(name.as_bytes()) {
            Some(index) => {
                if let Err(what) = unpack(&mut archive.0, index, most, |_| {}) {
                    differ(name, &what);
                }
            }
            None if name == SIGNATURE && is_signed => differ(name, "the signature of the manifest is missing"),
            None => {}
        }
    }
    for file in &manifest.files {
        if !is_signed && !has_place(&file.path, &tiles) {
            differ(&file.path, "a bundle has no such file, and nothing in it says that this one is true");
        }
        let Some(index) = archive.0.index_for_name_raw(file.path.as_bytes()) else {
            differ(&file.path, "the file is missing");
            continue;
        };
        let (mut bytes, mut sha256, mut blake3) = (0_u64, Sha256::new(), blake3::Hasher::new());
        let mut readme = Some(README.as_bytes()).filter(|_| file.path == "README.txt" && !is_signed);
        let is_readme = readme.is_some();
        let read = unpack(&mut archive.0, index, file.bytes, |piece| {
            bytes = bytes.saturating_add(piece.len() as u64);
            sha256.update(piece);
            blake3.update(piece);
            readme = readme.and_then(|rest| rest.strip_prefix(piece));
        });
        match read {
            Err(what) => differ(&file.path, &what),
            Ok(is_all) => {
                let is_same = is_all
                    && bytes == file.bytes
                    && hex::encode(sha256.finalize()) == file.sha256
                    && blake3.finalize().to_hex().as_str() == file.blake3;
                if !is_same {
                    differ(&file.path, "the file is not the one that the manifest lists");
                }
                if is_readme && readme != Some(b"".as_slice()) {
                    differ(&file.path, "the file is not the one that every bundle has");
                }
            }
        }
    }
}

/// Whether a bundle that is no selection has a file of that name.
fn has_place(path: &str, tiles: &Tiles) -> bool {
    let is_proof = || {
        let position = path.strip_prefix("proofs/")?.strip_suffix(".tlog-proof")?;
        Some(position.parse::<u64>().ok()?.to_string() == position)
    };
    ["README.txt", "checkpoint", "keys.txt", ENTRIES].contains(&path) || tiles.has(path) || is_proof() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readme_is_the_one_that_is_written() {
        assert!(include_str!("../../../exports/src/bundle/text.rs").contains(&format!("r#\"{README}\"#")));
    }

    #[test]
    fn bundle_has_tiles_and_proofs_of_its_tree_and_nothing_else() {
        let tiles = Tiles::new(700);
        for path in ["keys.txt", "tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2", "proofs/0.tlog-proof"] {
            assert!(has_place(path, &tiles), "{path}");
        }
        for path in [
            "report.html",
            "tile/report.html",
            "tile/0/002",
            "tile/0/003",
            "tile/0/x000/001",
            "tile/0/1",
            "tile/0/001/",
            "tile/0/001.p/256",
            "tile/2/000",
            "tile/99/000",
            "tile/0/",
            "proofs/report.html",
            "proofs/00.tlog-proof",
            "proofs/+1.tlog-proof",
            "./keys.txt",
            "manifest.sig",
        ] {
            assert!(!has_place(path, &tiles), "{path}");
        }
    }
}
