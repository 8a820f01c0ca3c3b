//! Bundles: a part of a ledger with everything that is needed to verify it elsewhere, in one zip file of plain files.
//!
//! `docs/bundle-format.md` describes every file. The program's `bundle`, the API's answer and the evidence packs among the
//! exports are written by this code, with the one view of entries that the API shows as well.
//!
//! A bundle is written from front to back while the ledger is read: memory holds a page of entries and a line for each file
//! (one tile for each 256 entries), never the entries.

mod archive;
mod entry_view;
mod keys;
mod proof;
mod streams;
pub(crate) mod text;
mod tile_path;
mod tiles;

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::Utc;
use daybook_ledger::checkpoint::CheckpointError;
use daybook_ledger::keys::time::rfc3339;
use daybook_ledger::{Entry, LedgerReader, LedgerTree, StoreError, StoredCheckpoint, StreamKey, TreeError};
use futures::{Stream, StreamExt};
use serde::Serialize;

pub use self::archive::{Archive, FileLine, Kind};
pub use self::entry_view::EntryView;
pub use self::keys::{MAX_KEYS, keys_file, newest_keys};
pub use self::proof::{TlogProofError, against, newest_checkpoint, root_along, tlog_proof};
pub use self::streams::stream_entries;
pub use self::tile_path::TilePath;
pub use self::tiles::{NeededTiles, TileName};

/// What `format` in the manifest says.
pub const FORMAT: &str = "daybook-bundle-v1";
/// Most proof files of a bundle of one stream; further entries are proved by the tiles.
pub const MAX_PROOFS: usize = 1_000;

/// Which entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleRequest {
    /// First position.
    pub from: u64,
    /// Position to stop before; what the newest checkpoint covers unless given.
    pub to: Option<u64>,
    /// Only entries of this stream.
    pub stream: Option<StreamKey>,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Nothing was signed yet.
    #[error("no checkpoint of the ledger {0} has been signed yet; have one signed, or wait for the next")]
    NoCheckpoint(String),
    /// The newest checkpoint does not reach that far.
    #[error("the newest checkpoint covers {sealed} entries, not {to}; have one signed, or wait for the next")]
    NotYetSealed {
        /// Position to stop before.
        to: u64,
        /// Entries under the newest checkpoint.
        sealed: u64,
    },
    /// `from` is not before `to`.
    #[error("there is nothing from {from} to {to}")]
    Empty {
        /// First position.
        from: u64,
        /// Position to stop before.
        to: u64,
    },
    /// There is no such stream.
    #[error("the ledger has no stream {0}")]
    NoStream(String),
    /// The ledger has a hole.
    #[error("entry {0} is missing in the store")]
    Missing(u64),
    /// A proof cannot be made.
    #[error(transparent)]
    Proof(#[from] TlogProofError),
    /// The keys cannot be read.
    #[error("the signing keys cannot be read: {0}")]
    Keys(#[from] CheckpointError),
    /// The zip file cannot be made.
    #[error("the zip file cannot be written: {0}")]
    Archive(String),
}

impl From<StoreError> for BundleError {
    fn from(error: StoreError) -> Self {
        Self::Proof(error.into())
    }
}

impl From<TreeError> for BundleError {
    fn from(error: TreeError) -> Self {
        Self::Proof(error.into())
    }
}

/// The manifest, the last file of a bundle but for a signature over it.
#[derive(Debug, Serialize)]
pub struct BundleManifest<'a> {
    /// [`FORMAT`].
    pub format: &'static str,
    /// Which ledger.
    pub ledger_id: &'a str,
    /// First position.
    pub from: u64,
    /// Position to stop before.
    pub to: u64,
    /// The stream that all entries are of, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// What the entries were chosen by, where they do not follow each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selection<'a>>,
    /// Lines of `entries.ndjson`.
    pub entries: u64,
    /// Entries under the checkpoint.
    pub checkpoint_size: u64,
    /// Its root, hexadecimal.
    pub checkpoint_root: String,
    /// When it was written, RFC 3339.
    pub created_at: String,
    /// What wrote it.
    pub software: &'a str,
    /// Every other file.
    pub files: &'a [FileLine],
}

impl BundleManifest<'_> {
    /// The file: JSON, and a line feed at the end.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BundleError> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| BundleError::Archive(error.to_string()))?;
        text.push(b'\n');
        Ok(text)
    }
}

/// What the entries of a bundle were chosen by.
#[derive(Debug, Serialize)]
pub struct Selection<'a> {
    /// Of which sort: `evidence_pack`.
    pub kind: &'static str,
    /// The export.
    pub export_id: &'a str,
    /// What was asked for.
    pub filters: &'a BTreeMap<String, String>,
    /// Records stand as they were before the entry at this position.
    pub records_until: u64,
    /// Records in the pack.
    pub records: u64,
}

/// A bundle that can be made.
#[derive(Clone)]
pub struct Bundle {
    tree: LedgerTree,
    checkpoint: StoredCheckpoint,
    keys: String,
    from: u64,
    to: u64,
    stream: Option<StreamKey>,
}

impl Bundle {
    /// Looks at what is asked for; reads no entries yet.
    pub async fn plan(reader: &LedgerReader, request: BundleRequest) -> Result<Self, BundleError> {
        let tree = LedgerTree::new(reader.clone());
        let checkpoint =
            newest_checkpoint(&tree).await?.ok_or_else(|| BundleError::NoCheckpoint(reader.id().to_string()))?;
        let to = request.to.unwrap_or(checkpoint.size);
        if to > checkpoint.size {
            return Err(BundleError::NotYetSealed { to, sealed: checkpoint.size });
        }
        if request.from >= to {
            return Err(BundleError::Empty { from: request.from, to });
        }
        if let Some(key) = &request.stream
            && reader.stream(key, 1, 1).await?.is_empty()
        {
            return Err(BundleError::NoStream(key.to_string()));
        }
        if tree.reader().head().await?.size < checkpoint.size || tree.root_at(checkpoint.size).await? != checkpoint.root
        {
            return Err(TlogProofError::NotExtending(checkpoint.size).into());
        }
        let keys = keys_file(&newest_keys(reader).await?);
        Ok(Self { tree, checkpoint, keys, from: request.from, to, stream: request.stream })
    }

    /// First position and position to stop before.
    pub fn range(&self) -> (u64, u64) {
        (self.from, self.to)
    }

    /// Entries under the checkpoint.
    pub fn checkpoint_size(&self) -> u64 {
        self.checkpoint.size
    }

    /// What the file may be called.
    pub fn file_name(&self) -> String {
        format!("{}-{}-{}.bundle.zip", self.tree.reader().id(), self.from, self.to)
    }

    /// The zip file, piece by piece. An error means that what came before it is no bundle.
    pub fn write(self) -> impl Stream<Item = Result<Bytes, BundleError>> + Send + use<> {
        async_stream::try_stream! {
            let mut archive = Archive::default();
            archive.add("README.txt", Kind::Text, text::README.as_bytes())?;
            archive.add("checkpoint", Kind::Text, self.checkpoint.note.as_bytes())?;
            archive.add("keys.txt", Kind::Text, self.keys.as_bytes())?;
            let mut needed = NeededTiles::new(self.checkpoint.size);
            let mut proved = Proved::new(self.stream.is_some());
            let (mut count, mut next) = (0_u64, self.from);
            archive.begin("entries.ndjson", Kind::Large)?;
            let mut entries = std::pin::pin!(self.entries());
            while let Some(entry) = entries.next().await.transpose()? {
                if self.stream.is_none() && entry.position != next {
                    Err(BundleError::Missing(next))?;
                }
                next = entry.position.saturating_add(1);
                needed.entry(entry.position);
                proved.entry(entry.position);
                count += 1;
                archive.write_line(&EntryView::from(entry))?;
                if let Some(chunk) = archive.take_chunk() {
                    yield chunk;
                }
            }
            archive.end();
            if self.stream.is_none() && next != self.to {
                Err(BundleError::Missing(next))?;
            }
            for name in needed.names() {
                archive.add(&name.to_string(), Kind::Hashes, &self.tile(name).await?)?;
                if let Some(chunk) = archive.take_chunk() {
                    yield chunk;
                }
            }
            for position in proved.positions() {
                let proof = self.proof(position).await?;
                archive.add(&format!("proofs/{position}.tlog-proof"), Kind::Text, proof.as_bytes())?;
                if let Some(chunk) = archive.take_chunk() {
                    yield chunk;
                }
            }
            let manifest = self.manifest(count, archive.files())?;
            archive.add("manifest.json", Kind::Text, &manifest)?;
            yield archive.finish()?;
        }
    }

    fn entries(&self) -> impl Stream<Item = Result<Entry, StoreError>> + Send + use<> {
        let (reader, from, to) = (self.tree.reader().clone(), self.from, self.to);
        match self.stream.clone() {
            None => reader.range(from, to).boxed(),
            Some(key) => stream_entries(reader, key)
                // Positions grow with versions; an error must come through.
                .take_while(move |entry| {
                    futures::future::ready(entry.as_ref().map_or(true, |entry| entry.position < to))
                })
                .filter(move |entry| {
                    futures::future::ready(entry.as_ref().map_or(true, |entry| entry.position >= from))
                })
                .boxed(),
        }
    }

    async fn tile(&self, name: TileName) -> Result<Vec<u8>, BundleError> {
        let tile = self.tree.tile(name.level, name.path.index, name.path.width).await?;
        tile.ok_or_else(|| TlogProofError::NotExtending(self.checkpoint.size).into())
    }

    async fn proof(&self, position: u64) -> Result<String, BundleError> {
        let found = self.tree.reader().entries(position, 1).await?;
        let entry = found.into_iter().find(|entry| entry.position == position);
        let entry = entry.ok_or(BundleError::Missing(position))?;
        Ok(against(&self.tree, &self.checkpoint, &entry).await?)
    }

    fn manifest(&self, entries: u64, files: &[FileLine]) -> Result<Vec<u8>, BundleError> {
        let manifest = BundleManifest {
            format: FORMAT,
            ledger_id: self.tree.reader().id().as_str(),
            from: self.from,
            to: self.to,
            stream: self.stream.as_ref().map(ToString::to_string),
            selection: None,
            entries,
            checkpoint_size: self.checkpoint.size,
            checkpoint_root: self.checkpoint.root.to_string(),
            created_at: rfc3339(Utc::now().timestamp_micros()),
            software: concat!("Daybook ", env!("CARGO_PKG_VERSION")),
            files,
        };
        manifest.to_bytes()
    }
}

/// The entries that get a proof file: the first thousand of a stream, else the first and the last.
struct Proved {
    is_stream: bool,
    first: Vec<u64>,
    last: Option<u64>,
}

impl Proved {
    fn new(is_stream: bool) -> Self {
        Self { is_stream, first: Vec::new(), last: None }
    }

    fn entry(&mut self, position: u64) {
        let most = if self.is_stream { MAX_PROOFS } else { 1 };
        if self.first.len() < most {
            self.first.push(position);
        } else {
            self.last = Some(position);
        }
    }

    fn positions(self) -> impl Iterator<Item = u64> {
        self.first.into_iter().chain(self.last.filter(|_| !self.is_stream))
    }
}
