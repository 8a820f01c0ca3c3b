//! What the auditor keeps between two visits: the newest checkpoint, its frontier, and the root of every complete tile of
//! 256 entries below it, so that a history rewritten since can be told from one that went on, and where.
//!
//! One folder a log: `memory.json`, `tile-roots-<size>.bin` (32 bytes a tile) and `checkpoints/<size>.txt`, every
//! checkpoint that was kept. Files are written beside, synced and renamed, so that a crash leaves the memory before.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::cell::Digest;
use crate::checkpoint::Checkpoint;

const FILE: &str = "memory.json";
const FORMAT: &str = "daybook-auditor-memory-v1";
const TILE_ENTRIES: u64 = 256;
/// Most logs whose memories are looked through.
const MAX_MEMORIES: usize = 10_000;

/// Why a memory cannot be used. A damaged memory is never taken for none.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The folder or a file failed.
    #[error("memory {path}: {error}")]
    File {
        /// Which.
        path: String,
        /// How.
        error: io::Error,
    },
    /// A file does not hold what it should.
    #[error("memory {path} is damaged: {detail}")]
    Damaged {
        /// Which.
        path: String,
        /// How.
        detail: String,
    },
}

/// The newest checkpoint of one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    format: String,
    /// The log's name.
    pub origin: String,
    /// The ledger's id.
    pub ledger_id: String,
    /// Number of entries.
    pub size: u64,
    /// Root over them, 64 hexadecimal digits.
    pub root: String,
    /// Chain hash of the last of them, where it was recomputed.
    pub hash: Option<String>,
    /// Roots of the complete subtrees, largest first.
    pub frontier: Vec<String>,
    /// The whole signed note.
    pub note: String,
    /// Whether a key that the auditor trusts had signed it.
    pub signed_by_trusted_key: bool,
    /// When it was kept, RFC 3339.
    pub remembered_at: String,
    /// Where it was seen.
    pub source: String,
    /// SHA-256 of the file of tile roots.
    tile_roots_sha256: String,
    /// Roots of the complete tiles, in order.
    #[serde(skip)]
    pub tile_roots: Vec<Digest>,
}

/// What there is to remember.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Chain hash of its last entry.
    pub hash: Option<String>,
    /// Roots of the complete subtrees.
    pub frontier: Vec<String>,
    /// Roots of complete tiles, at least those below the checkpoint's size.
    pub tile_roots: Vec<Digest>,
    /// Whether a trusted key signed it.
    pub signed_by_trusted_key: bool,
    /// Where it was seen.
    pub source: String,
    /// When, RFC 3339.
    pub now: String,
}

impl Memory {
    /// What is to be kept of a visit.
    pub fn of(seen: Seen) -> Self {
        let Seen { checkpoint, hash, frontier, mut tile_roots, signed_by_trusted_key, source, now } = seen;
        tile_roots.truncate(usize::try_from(checkpoint.size / TILE_ENTRIES).unwrap_or(usize::MAX));
        Self {
            format: FORMAT.to_owned(),
            ledger_id: checkpoint.ledger_id().to_owned(),
            size: checkpoint.size,
            root: hex::encode(checkpoint.root),
            hash,
            frontier,
            note: checkpoint.note().text().to_owned(),
            signed_by_trusted_key,
            remembered_at: now,
            source,
            tile_roots_sha256: hex::encode(Sha256::digest(tile_roots.as_flattened())),
            origin: checkpoint.origin,
            tile_roots,
        }
    }

    /// Reads a folder; none where it holds no memory.
    pub fn load(folder: &Path) -> Result<Option<Self>, MemoryError> {
        let path = folder.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path, error)),
        };
        let damaged = |detail: String| MemoryError::Damaged { path: path.display().to_string(), detail };
        let mut memory: Self = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if memory.format != FORMAT {
            return Err(damaged(format!("its format is {:?}", memory.format)));
        }
        // The note is what was signed: everything else must agree with it.
        let checkpoint = memory.checkpoint().map_err(|error| damaged(error.to_string()))?;
        if (checkpoint.origin.as_str(), checkpoint.size, hex::encode(checkpoint.root))
            != (memory.origin.as_str(), memory.size, memory.root.clone())
        {
            return Err(damaged("its note is not that of its origin, size and root".to_owned()));
        }
        let path = folder.join(tile_file(memory.size));
        let bytes = fs::read(&path).map_err(|error| failed(&path, error))?;
        let (roots, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty()
            || hex::encode(Sha256::digest(&bytes)) != memory.tile_roots_sha256
            || u64::try_from(roots.len()).unwrap_or(u64::MAX) > memory.size / TILE_ENTRIES
        {
            let detail = "it is not the file that was written".to_owned();
            return Err(MemoryError::Damaged { path: path.display().to_string(), detail });
        }
        memory.tile_roots = roots.to_vec();
        Ok(Some(memory))
    }

    /// Reads every memory below a folder that holds one a log.
    pub fn load_all(root: &Path) -> Result<Vec<Self>, MemoryError> {
        let folders = match fs::read_dir(root) {
            Ok(folders) => folders,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(root, error)),
        };
        let mut memories = Vec::new();
        for folder in folders.take(MAX_MEMORIES) {
            let folder = folder.map_err(|error| failed(root, error))?;
            memories.extend(Self::load(&folder.path())?);
        }
        memories.sort_by(|left, right| left.origin.cmp(&right.origin));
        Ok(memories)
    }

    /// Writes it, in the place of the one before.
    pub fn save(&self, folder: &Path) -> Result<(), MemoryError> {
        let checkpoints = folder.join("checkpoints");
        fs::create_dir_all(&checkpoints).map_err(|error| failed(&checkpoints, error))?;
        write(&checkpoints.join(format!("{}.txt", self.size)), self.note.as_bytes())?;
        write(&folder.join(tile_file(self.size)), self.tile_roots.as_flattened())?;
        let json = serde_json::to_vec_pretty(self).map_err(|error| failed(folder, io::Error::other(error)))?;
        let before = Self::load(folder).ok().flatten().map(|memory| memory.size).filter(|size| *size != self.size);
        write(&folder.join(FILE), &json)?;
        if let Some(size) = before {
            // The old roots are of no use any more; one file too many does no harm.
            let _ = fs::remove_file(folder.join(tile_file(size)));
        }
        Ok(())
    }

    /// The checkpoint that was kept.
    pub fn checkpoint(&self) -> Result<Checkpoint, crate::checkpoint::CheckpointError> {
        Checkpoint::parse(self.note.as_bytes())
    }

    /// Where the first difference lies, given the roots of the tiles as they are now: one tile, or what comes after the
    /// last complete one, or up to the end where nobody knows.
    pub fn first_difference(&self, now: &[Digest]) -> Range<u64> {
        let same = self.tile_roots.iter().zip(now).take_while(|(before, after)| before == after).count();
        let start = u64::try_from(same).unwrap_or(u64::MAX).saturating_mul(TILE_ENTRIES).min(self.size);
        let end = if same < self.tile_roots.len() && same < now.len() { start + TILE_ENTRIES } else { self.size };
        start..end.min(self.size)
    }
}

/// The folder of one log under the default place.
pub fn folder_of(root: &Path, origin: &str) -> PathBuf {
    let hash = hex::encode(Sha256::digest(origin.as_bytes()));
    root.join(hash.get(..32).unwrap_or(&hash))
}

fn tile_file(size: u64) -> String {
    format!("tile-roots-{size}.bin")
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), MemoryError> {
    let beside = path.with_extension("new");
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&beside, path)).map_err(|error| failed(path, error))?;
    // The rename itself is durable once the folder is; not every system lets a folder be opened.
    if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
    Ok(())
}

fn failed(path: &Path, error: io::Error) -> MemoryError {
    MemoryError::File { path: path.display().to_string(), error }
}
