//! Reads a bundle: a zip file with a part of a ledger and what proves it. Nothing is unpacked to disk.
//!
//! Each file is compared with the manifest, which shows damage and nothing more, since whoever writes files can write a
//! manifest; so there are only files that are proved, or whose list is signed. What proves is the root: it is recomputed from the tiles, every entry is proved to be under it, and whether
//! the checkpoint with that root was signed is for whoever holds keys to say.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::cell::{Cell, Digest, EntryRow, Problems, is_ledger_id};
use crate::chain::Picked;
use crate::checkpoint::Checkpoint;
use crate::entry_line::{EntryLine, MAX_LINE_BYTES};
use crate::group::canonical_fields;
use crate::merkle;
use crate::proof::root_from_inclusion;
use crate::report::{FindingKind, Part, Report, SelectionFacts};
use crate::source::{Progress, SourceError, VerifyOptions};
use crate::tlog_proof::TlogProof;
use crate::walk::Walk;
use tiles::{Files, Tiles};
use trail::Trail;

mod files;
mod layout;
mod tiles;
mod trail;

const FORMAT: &str = "daybook-bundle-v1";
const MANIFEST: &str = "manifest.json";
const ENTRIES: &str = "entries.ndjson";
/// The signature of the manifest, which the manifest cannot list.
const SIGNATURE: &str = "manifest.sig";
/// What there is of each entry in words, in a selection.
const TRAIL: &str = "trail.csv";
/// A line for each file: enough for a bundle of a hundred million entries.
const MAX_MANIFEST_BYTES: u64 = 128 << 20;
/// Checkpoint, keys, a proof.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// `manifest.json`.
#[derive(Debug, Deserialize)]
struct Manifest {
    format: String,
    ledger_id: String,
    from: u64,
    to: u64,
    #[serde(default)]
    stream: Option<String>,
    #[serde(default)]
    selection: Option<Selection>,
    #[serde(default)]
    entries: u64,
    #[serde(default)]
    created_at: String,
    checkpoint_size: u64,
    files: Vec<Listed>,
}

/// What the entries were chosen by, where they do not follow each other.
#[derive(Debug, Deserialize)]
struct Selection {
    kind: String,
}

/// A file as the manifest lists it.
#[derive(Debug, Deserialize)]
struct Listed {
    path: String,
    bytes: u64,
    sha256: String,
    blake3: String,
}

pub(crate) fn verify(
    path: &Path,
    options: VerifyOptions,
    progress: impl FnMut(Progress) -> bool,
) -> Result<Report, SourceError> {
    if !path.is_file() {
        return Err(SourceError::NoFile(path.display().to_string()));
    }
    let mut archive = Archive::open(path)?;
    let (manifest, manifest_bytes) = archive.manifest()?;
    if let Some(ledger) = options.ledger.as_ref().filter(|ledger| **ledger != manifest.ledger_id) {
        return Err(SourceError::NoLedger(ledger.clone()));
    }
    let mut walk = Walk::new(&options, Vec::new(), false, progress)?;
    walk.expect(match (&manifest.stream, &manifest.selection) {
        (None, None) => manifest.to.saturating_sub(manifest.from),
        (None, Some(_)) => manifest.entries,
        (Some(_), _) => 0,
    });
    if let Some(complaint) = layout::complaint(path, &archive.0).map_err(unreadable)? {
        walk.finding(None, FindingKind::BundleMismatch, complaint);
    }
    files::compare(&mut archive, &manifest, &mut walk);
    let ledger_id = Cell::Text(manifest.ledger_id.as_bytes());
    let picked = match (&manifest.stream, &manifest.selection) {
        (_, Some(_)) => Picked::Records,
        (Some(_), None) => Picked::Stream,
        (None, None) => Picked::Not,
    };
    walk.begin_part(ledger_id, manifest.from, picked);
    let tiles = Tiles::new(manifest.checkpoint_size);
    let root = match tiles.root(&mut archive) {
        Ok(root) => Some(root),
        Err(error) => {
            walk.finding(None, FindingKind::TileMismatch, format!("the tiles do not give the root: {error}"));
            None
        }
    };
    let checkpoint = archive.text("checkpoint")?;
    let stated = Checkpoint::parse(checkpoint.as_deref().unwrap_or_default().as_bytes());
    match (&stated, root) {
        (Err(error), _) => {
            walk.finding(None, FindingKind::CheckpointMalformed, format!("the file `checkpoint`: {error}"));
        }
        (Ok(stated), _) if stated.size != manifest.checkpoint_size => {
            let detail =
                format!("the checkpoint is of size {}, the manifest says {}", stated.size, manifest.checkpoint_size);
            walk.finding(None, FindingKind::BundleMismatch, detail);
        }
        (Ok(stated), Some(root)) if stated.root != root => {
            let detail = "the tiles give another root than the checkpoint states".to_owned();
            walk.finding(None, FindingKind::TreeNotExtending, detail);
        }
        _ => {}
    }
    // Tiles are read while the entries are, so they have a reader of their own.
    let tiles = root.is_some().then_some((tiles, Archive::open(path)?));
    let mut beside = match manifest.selection {
        Some(_) => Some(Archive::open(path)?),
        None => None,
    };
    let trail = match &mut beside {
        Some(beside) => Some(Trail::of(beside.0.by_name(TRAIL), &mut walk)),
        None => None,
    };
    entries(&mut archive, &manifest, tiles, trail, &mut walk)?;
    proofs(&mut archive, &manifest, root, &mut walk)?;
    walk.part(Part {
        from: manifest.from,
        to: manifest.to,
        selection: manifest.selection.map(|selection| SelectionFacts {
            kind: selection.kind,
            made_at: manifest.created_at,
            manifest: manifest_bytes,
            signature: archive.bytes(SIGNATURE, MAX_TEXT_BYTES).ok().flatten(),
        }),
        stream: manifest.stream,
        checkpoint_size: manifest.checkpoint_size,
        checkpoint_root: root.map(hex::encode),
        checkpoint,
        keys: archive.text("keys.txt")?,
    });
    walk.finish(None)
}

/// The zip file. Sizes that it states are not relied on.
struct Archive(ZipArchive<BufReader<File>>);

impl Archive {
    fn open(path: &Path) -> Result<Self, SourceError> {
        let file = BufReader::new(File::open(path).map_err(unreadable)?);
        Ok(Self(ZipArchive::new(file).map_err(unreadable)?))
    }

    fn manifest(&mut self) -> Result<(Manifest, Vec<u8>), SourceError> {
        let bytes = self.bytes(MANIFEST, MAX_MANIFEST_BYTES)?;
        let bytes = bytes.ok_or_else(|| SourceError::Unreadable(format!("there is no {MANIFEST}: it is no bundle")))?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| SourceError::Unreadable(format!("{MANIFEST}: {error}")))?;
        let refused = if manifest.format != FORMAT {
            format!("the format is {}, not {FORMAT}", Cell::Text(manifest.format.as_bytes()))
        } else if !is_ledger_id(&manifest.ledger_id) {
            format!("{} is no ledger id", Cell::Text(manifest.ledger_id.as_bytes()))
        } else if manifest.from >= manifest.to || manifest.to > manifest.checkpoint_size {
            format!("there is no part from {} to {} of {}", manifest.from, manifest.to, manifest.checkpoint_size)
        } else {
            return Ok((manifest, bytes));
        };
        Err(SourceError::Unreadable(format!("{MANIFEST}: {refused}")))
    }

    /// A whole file; none where there is none.
    fn bytes(&mut self, name: &str, most: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let file = match self.0.by_name(name) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
        match u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
            true => Ok(Some(bytes)),
            false => Err(SourceError::Unreadable(format!("{name} has more than {most} bytes"))),
        }
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, SourceError> {
        let bytes = self.bytes(name, MAX_TEXT_BYTES)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

impl Files for Archive {
    fn read(&mut self, name: &str) -> Option<Vec<u8>> {
        // A tile that cannot be decompressed is as good as missing.
        let file = self.0.by_name(name).ok()?;
        let mut bytes = Vec::new();
        file.take(merkle::TILE_WIDTH as u64 * 32 + 1).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

/// Sends the entries on, and proves each of them by the tiles.
fn entries<P: FnMut(Progress) -> bool>(
    archive: &mut Archive,
    manifest: &Manifest,
    mut tiles: Option<(Tiles, Archive)>,
    mut trail: Option<Trail<impl Read>>,
    walk: &mut Walk<P>,
) -> Result<(), SourceError> {
    let file = archive.0.by_name(ENTRIES).map_err(unreadable)?;
    let mut reader = BufReader::with_capacity(256 << 10, file);
    let (mut line, mut canonical, mut count) = (Vec::new(), Vec::new(), 0_u64);
    loop {
        line.clear();
        let read = reader.by_ref().take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', &mut line).map_err(unreadable)?;
        if read == 0 {
            if let Some(trail) = &mut trail {
                trail.finish(walk);
                if count != manifest.entries {
                    let detail = format!("{ENTRIES} has {count} entries, the manifest says {}", manifest.entries);
                    walk.finding(None, FindingKind::BundleMismatch, detail);
                }
            }
            return walk.send_blocking();
        }
        count += 1;
        if line.pop() != Some(b'\n') {
            return Err(SourceError::Unreadable(format!("{ENTRIES} has a line that does not end")));
        }
        let entry = EntryLine::parse(&line)?;
        let place = i64::try_from(entry.position()).ok();
        if let Some(trail) = &mut trail {
            trail.check(&entry, walk);
        }
        if !entry.times_agree() {
            let detail = "recorded_at is not the moment that recorded_at_us states".to_owned();
            walk.finding(place, FindingKind::InvalidValue, detail);
        }
        let decoded = entry.decoded();
        let cells = entry.cells(&decoded);
        if let Some(fields) = EntryRow(cells).fields(&mut Problems::default()) {
            if let Some((tiles, files)) = &mut tiles {
                let metadata_digest = blake3::hash(fields.metadata);
                canonical_fields(&fields, metadata_digest.as_bytes()).write(&mut canonical);
                let leaf = merkle::leaf_hash(&canonical);
                if let Err(error) = tiles.prove(files, fields.position, &leaf) {
                    let detail = format!("the tiles do not prove the entry: {error}");
                    walk.finding(place, FindingKind::ProofInvalid, detail);
                }
            }
            let stream = manifest.stream.as_deref();
            if stream.is_some_and(|stream| !is_stream(stream, fields.stream_type, fields.stream_id)) {
                let detail = "the entry is of another stream than the bundle says".to_owned();
                walk.finding(place, FindingKind::BundleMismatch, detail);
            }
        }
        if !(manifest.from..manifest.to).contains(&entry.position()) {
            let detail = format!("the entry is not one from {} to {}", manifest.from, manifest.to);
            walk.finding(place, FindingKind::BundleMismatch, detail);
        }
        let full = walk.row(&cells)?;
        if full {
            walk.send_blocking()?;
        }
    }
}

fn is_stream(shown: &str, stream_type: &str, stream_id: &str) -> bool {
    shown.strip_prefix(stream_type).and_then(|rest| rest.strip_prefix('/')) == Some(stream_id)
}

/// Checks the proof files: each must prove its entry under the bundle's root.
fn proofs<P: FnMut(Progress) -> bool>(
    archive: &mut Archive,
    manifest: &Manifest,
    root: Option<Digest>,
    walk: &mut Walk<P>,
) -> Result<(), SourceError> {
    let Some(root) = root else { return Ok(()) };
    let names = manifest.files.iter().map(|file| file.path.as_str());
    let positions = names.filter_map(|name| {
        let position = name.strip_prefix("proofs/")?.strip_suffix(".tlog-proof")?;
        Some((name, position.parse::<u64>().ok()?))
    });
    for (name, position) in positions {
        let Some(bytes) = archive.bytes(name, MAX_TEXT_BYTES)? else { continue };
        let Some(complaint) = complaint_of(&bytes, position, &root) else { continue };
        walk.finding(i64::try_from(position).ok(), FindingKind::ProofInvalid, format!("{name}: {complaint}"));
    }
    Ok(())
}

/// What is wrong with a proof file; none where it proves its entry under the root.
fn complaint_of(bytes: &[u8], position: u64, root: &Digest) -> Option<String> {
    let proof = match TlogProof::parse(bytes) {
        Ok(proof) => proof,
        Err(error) => return Some(error.to_string()),
    };
    if proof.index != position {
        return Some(format!("it is a proof of entry {}", proof.index));
    }
    let Some(canonical) = &proof.extra else { return Some("it does not hold the entry".to_owned()) };
    match root_from_inclusion(position, proof.checkpoint.size, merkle::leaf_hash(canonical), &proof.path) {
        Ok(found) if found == *root => None,
        Ok(_) => Some("it leads to another root than that of the bundle".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

fn unreadable(error: impl std::fmt::Display) -> SourceError {
    SourceError::Unreadable(error.to_string())
}
