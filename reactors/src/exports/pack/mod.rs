//! Making an evidence pack: everything that the ledger has on a matter and a period, with what proves it, in one zip file.
//!
//! What is in it is chosen from the entries; read tables only lend the sentences that people read. Nothing is held in memory
//! but positions, a mark for each record, a line for each file, the record that is being folded, and what the report shows:
//! `docs/evidence-pack.md` says how much that is at most.

mod anchors;
mod entries;
mod fold;
mod holds;
mod people;
mod proving;
mod records;
mod selection;
mod told;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use daybook_approvals::Grant;
use daybook_domain::export::{Export, Requested};
use daybook_exports::bundle::{BundleError, BundleManifest, EntryView, FORMAT, Kind, Selection as Chosen};
use daybook_exports::kinds::{InvalidQuery, MAX_PACK_ENTRIES, PackQuery};
use daybook_exports::pack::{self as page, Report};
use daybook_exports::{GenerateError, SealError, Written, sign};
use daybook_identity::directory::DirectoryState;
use daybook_identity::vault::VaultError;
use daybook_ledger::keys::KeyRing;
use daybook_ledger::keys::time::rfc3339;
use daybook_ledger::{Entry, StoreError};
use daybook_read_models::{ReadError, audit_trail, positions};

use self::entries::{Chosenly, Sentences};
use self::people::Names;
use self::proving::{Proving, needed_tiles};
use self::selection::Selection;
use self::writing::{Spool, Zip};
use super::Driver;
use super::sources::PATIENCE;

/// Most tiles of a pack: each is a line of its manifest.
const MAX_TILES: usize = 400_000;
/// Proof files of a pack; the tiles prove all the others.
const MAX_PROOFS: usize = 1_000;
/// Event types that the report lists.
const MAX_EVENT_TYPES: usize = 200;

/// Why there is no pack.
#[derive(Debug, thiserror::Error)]
pub(in crate::exports) enum PackError {
    /// What was asked for cannot be read.
    #[error(transparent)]
    Query(#[from] InvalidQuery),
    /// There is too much.
    #[error(
        "there are more than {0} entries on this matter and period: ask for a shorter period, or for fewer streams or subjects"
    )]
    TooManyEntries(u64),
    /// It is too scattered.
    #[error(
        "the entries are spread over more than {0} tiles of the tree: ask for a shorter period, or for fewer streams or subjects"
    )]
    TooScattered(usize),
    /// Nobody has signed what proves it.
    #[error("no checkpoint covers its {0} entries yet")]
    NoCheckpoint(u64),
    /// What is read from stays behind the ledger.
    #[error("{reader} has not taken {needed} entries into account yet")]
    Behind {
        /// Which.
        reader: &'static str,
        /// How many are needed.
        needed: u64,
    },
    /// An entry is not there.
    #[error("entry {0} is not there")]
    Missing(u64),
    /// The ledger cannot be read.
    #[error("the ledger cannot be read: {0}")]
    Ledger(#[from] StoreError),
    /// The read tables cannot be read.
    #[error(transparent)]
    Database(#[from] ReadError),
    /// Proofs cannot be made.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Names cannot be opened.
    #[error("sealed texts cannot be opened: {0}")]
    Vault(#[from] VaultError),
    /// The list of files cannot be signed.
    #[error("its manifest cannot be signed: {0}")]
    Signing(#[from] SealError),
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] GenerateError),
    /// What waits for its place in the file cannot be kept.
    #[error("a temporary file: {0}")]
    Spool(#[from] std::io::Error),
    /// The process is ending.
    #[error("the process is ending")]
    Ending,
}

impl From<sqlx::Error> for PackError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl PackError {
    /// Whether it is of no use to try again.
    pub(in crate::exports) fn is_permanent(&self) -> bool {
        match self {
            Self::Query(_) | Self::TooManyEntries(_) | Self::TooScattered(_) => true,
            Self::File(error) => error.is_permanent(),
            _ => false,
        }
    }
}

/// A pack that is being made.
pub(super) struct Pack<'a> {
    driver: &'a Driver,
    request: &'a Requested,
    export: &'a Export,
    query: PackQuery,
    /// Entries that are taken into account.
    size: u64,
    directory: Arc<DirectoryState>,
}

/// Counts that the report shows.
#[derive(Default)]
struct Counts {
    entries: u64,
    /// Of these, of the request for the pack itself and of its approval.
    own: u64,
    by_event: BTreeMap<String, u64>,
    /// Every id that acted or was acted for, as far as it is an account.
    people: BTreeSet<String>,
}

impl Driver {
    /// Makes the pack in the file `target`, of the first `size` entries. `progress` is told the number of entries so far.
    pub(super) async fn make_pack(
        &self,
        grant: &Grant,
        export: &Export,
        request: &Requested,
        size: u64,
        target: &Path,
        progress: impl Fn(u64) + Send + Sync,
    ) -> Result<Written, PackError> {
        let query = PackQuery::read(&request.filters)?;
        let behind = |reader| PackError::Behind { reader, needed: size };
        self.sources.directory.at_least(size, PATIENCE).await;
        let directory = self.sources.directory.now();
        if directory.position < size {
            return Err(behind("the directory"));
        }
        let last = size.checked_sub(1).ok_or(PackError::Missing(0))?;
        for projector in [audit_trail::PROJECTOR, "approvals"] {
            let seen =
                positions::wait_for(&self.database, projector, self.reader.id().as_str(), last, PATIENCE).await?;
            if seen < size {
                return Err(behind(projector));
            }
        }
        let pack = Pack { driver: self, request, export, query, size, directory };
        let selection = pack.select(MAX_PACK_ENTRIES).await?;
        // Before anything is signed, waited for, or written.
        needed_tiles(size, &selection.positions, MAX_TILES)?;
        let proving = pack.proving(selection.end()).await?;
        let zip = Zip::create(target, self.files.folder());
        pack.write(grant, selection, proving, zip, progress).await
    }
}

impl Pack<'_> {
    async fn write(
        &self,
        grant: &Grant,
        mut selection: Selection,
        proving: Proving,
        mut zip: Zip,
        progress: impl Fn(u64) + Send + Sync,
    ) -> Result<Written, PackError> {
        zip.archive.add("README.txt", Kind::Text, page::README.as_bytes())?;
        let counts = self.write_entries(&selection, &mut zip, &progress).await?;
        let names = Names::open(self, &counts.people).await?;
        let mut report = Report::default();
        self.write_records(&mut selection, &names, &mut zip, &mut report).await?;
        names.write(self, &mut zip, &mut report).await?;
        self.write_timestamps(&selection, &mut zip, &mut report).await?;
        self.write_proofs(&selection, &proving, &mut zip).await?;
        self.tell(grant, &selection, &counts, &proving, &names, &mut report);
        let page = page::render_report(&report);
        zip.archive.add("report.html", Kind::Text, page.as_bytes())?;
        zip.hand_on().await?;
        let manifest = self.manifest(&selection, &counts, &proving, &zip, &report)?;
        let (manifest, signature) = self.signature(manifest).await?;
        zip.archive.add("manifest.json", Kind::Text, &manifest)?;
        zip.archive.add("manifest.sig", Kind::Hashes, &signature)?;
        let digests = zip.finish().await?;
        Ok(Written { rows: counts.entries, digests })
    }

    /// The entries as they were recorded, and in words.
    async fn write_entries(
        &self,
        selection: &Selection,
        zip: &mut Zip,
        progress: &(impl Fn(u64) + Send + Sync),
    ) -> Result<Counts, PackError> {
        let mut counts = Counts::default();
        let mut trail = Spool::create(zip.folder())?;
        trail.write(&page::csv_line(TRAIL.map(Some)))?;
        zip.archive.begin("entries.ndjson", Kind::Large)?;
        let mut chosen = Chosenly::new(&self.driver.reader, &selection.positions);
        while let Some(page) = chosen.next().await? {
            let positions: Vec<u64> = page.iter().map(|entry| entry.position).collect();
            let sentences = Sentences::read(self, &positions).await?;
            for entry in page {
                counts.entries += 1;
                counts.own += u64::from(selection.own.contains(&entry.stream));
                self.count(&mut counts, &entry);
                trail.write(&trail_line(&entry, &sentences)?)?;
                zip.archive.write_line(&EntryView::from(entry))?;
            }
            zip.hand_on().await?;
            progress(counts.entries);
        }
        zip.archive.end();
        zip.take_in("trail.csv", trail).await?;
        Ok(counts)
    }

    fn count(&self, counts: &mut Counts, entry: &Entry) {
        if counts.by_event.len() < MAX_EVENT_TYPES || counts.by_event.contains_key(&entry.event_type) {
            *counts.by_event.entry(entry.event_type.clone()).or_default() += 1;
        }
        let on_behalf_of = entries::metadata(entry, "on_behalf_of");
        for id in std::iter::once(&entry.actor.id).chain(on_behalf_of.as_ref()) {
            if !counts.people.contains(id) && self.directory.users.contains_key(id.as_str()) {
                counts.people.insert(id.clone());
            }
        }
    }

    /// What proves the entries: checkpoint, keys, tiles, proof files.
    async fn write_proofs(&self, selection: &Selection, proving: &Proving, zip: &mut Zip) -> Result<(), PackError> {
        zip.archive.add("checkpoint", Kind::Text, proving.checkpoint.note.as_bytes())?;
        zip.archive.add("keys.txt", Kind::Text, proving.keys.as_bytes())?;
        let needed = needed_tiles(proving.checkpoint.size, &selection.positions, MAX_TILES)?;
        for name in needed.names() {
            let tile = proving.tile(name).await?;
            zip.archive.add(&name.to_string(), Kind::Hashes, &tile)?;
            zip.hand_on().await?;
        }
        let first = selection.positions.iter().take(MAX_PROOFS);
        let last = selection.positions.last().filter(|_| selection.positions.len() > MAX_PROOFS);
        for position in first.chain(last) {
            let proof = proving.proof(*position).await?;
            zip.archive.add(&format!("proofs/{position}.tlog-proof"), Kind::Text, proof.as_bytes())?;
            zip.hand_on().await?;
        }
        Ok(())
    }

    fn manifest(
        &self,
        selection: &Selection,
        counts: &Counts,
        proving: &Proving,
        zip: &Zip,
        report: &Report,
    ) -> Result<Vec<u8>, PackError> {
        let manifest = BundleManifest {
            format: FORMAT,
            ledger_id: self.driver.reader.id().as_str(),
            from: selection.positions.first().copied().unwrap_or(0),
            to: selection.end(),
            stream: None,
            selection: Some(Chosen {
                kind: page::FORMAT,
                export_id: self.request.export_id.as_str(),
                filters: &self.request.filters,
                records_until: selection.until,
                records: report.records_by_type.iter().map(|(_, count)| count).sum(),
            }),
            entries: counts.entries,
            checkpoint_size: proving.checkpoint.size,
            checkpoint_root: proving.checkpoint.root.to_string(),
            created_at: rfc3339((self.driver.clock)()),
            software: &format!("Daybook {}", self.driver.settings.software),
            files: zip.archive.files(),
        };
        Ok(manifest.to_bytes()?)
    }

    /// By the key that signs checkpoints. Key files are read away from the tasks. The manifest, which may be long, comes back
    /// with its signature.
    async fn signature(&self, manifest: Vec<u8>) -> Result<(Vec<u8>, Vec<u8>), PackError> {
        let (keys, now) = (self.driver.keys.clone(), (self.driver.clock)());
        let signing = tokio::task::spawn_blocking(move || -> Result<(Vec<u8>, Vec<u8>), PackError> {
            let ring = KeyRing::open(keys, now).map_err(SealError::Key)?;
            let signature = sign(&manifest, &ring, now)?;
            Ok((manifest, signature))
        });
        signing.await.unwrap_or(Err(PackError::Ending))
    }
}

/// The columns of `trail.csv`.
const TRAIL: [&str; 13] = [
    "position",
    "recorded_at",
    "stream_type",
    "stream_id",
    "version",
    "event_type",
    "what",
    "actor_kind",
    "actor_id",
    "on_behalf_of",
    "correlation_id",
    "regulation_tags",
    "hash",
];

fn trail_line(entry: &Entry, sentences: &Sentences) -> Result<Vec<u8>, PackError> {
    let sentence = sentences.of(entry.position)?;
    let (on_behalf_of, correlation) =
        (entries::metadata(entry, "on_behalf_of"), entries::metadata(entry, "correlation_id"));
    Ok(page::csv_line([
        Some(entry.position.to_string().as_str()),
        Some(&rfc3339(entry.recorded_at)),
        Some(&entry.stream.stream_type),
        Some(&entry.stream.stream_id),
        Some(&entry.version.to_string()),
        Some(&entry.event_type),
        Some(&sentence.what),
        Some(entry.actor.kind.as_str()),
        Some(&entry.actor.id),
        on_behalf_of.as_deref(),
        correlation.as_deref(),
        Some(&sentence.regulations).filter(|tags| !tags.is_empty()).map(String::as_str),
        Some(&entry.hash.to_string()),
    ]))
}
