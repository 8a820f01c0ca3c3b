//! Making the file of an export, saying in a manifest what it is, and signing that.

use std::ops::Range;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daybook_approvals::Grant;
use daybook_domain::export::{
    CheckpointReference, Export, ExportKind, Generated, GenerationStarted, HexDigest, LedgerRange, ManifestFile,
    ManifestSignature, Requested, SignatureAlgorithm,
};
use daybook_domain::text::{Line, ShortName};
use daybook_domain::{InvalidField, Timestamp};
use daybook_exports::{
    Approval, Checkpoint, Column, FileDescription, FileNames, FilesError, GenerateError, LedgerPart, MANIFEST_FORMAT,
    Manifest, PositionRange, Query, Request, RowSource, SealError, SealedManifest, Software, Times, Written, seal,
};
use daybook_ledger::canonical::canonical_bytes;
use daybook_ledger::keys::KeyRing;
use daybook_ledger::{Entry, LedgerTree, StoreError, StoredCheckpoint, TreeError, merkle};
use daybook_read_models::time::rfc3339;

use super::Driver;
use super::pack::PackError;
use super::progress::Progress;
use super::sources::ReadingError;
use super::step::StepError;

/// Why an attempt to make an export came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum GenerationError {
    /// What was approved is not what is to be made.
    #[error("what is to be made is not what was approved")]
    NotApproved,
    /// The rows cannot be read.
    #[error(transparent)]
    Reading(#[from] ReadingError),
    /// The file cannot be made.
    #[error(transparent)]
    File(#[from] GenerateError),
    /// The pack cannot be made.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// Manifest or signature cannot be written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The manifest cannot be signed.
    #[error("the manifest cannot be signed: {0}")]
    Signing(#[from] SealError),
    /// The ledger cannot be read.
    #[error("the ledger cannot be read: {0}")]
    Ledger(#[from] StoreError),
    /// An entry that the rows take into account is not there.
    #[error("the entry {0} is not there")]
    NoEntry(u64),
    /// What was made cannot be described.
    #[error("it cannot be described: {0}")]
    Description(#[from] InvalidField),
    /// The process is ending.
    #[error("the process is ending")]
    Ending,
}

impl GenerationError {
    /// Whether it is of no use to try again.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::NotApproved | Self::Reading(ReadingError::Query(_) | ReadingError::Columns(_)) => true,
            Self::File(error) => error.is_permanent(),
            Self::Pack(error) => error.is_permanent(),
            _ => false,
        }
    }
}

impl Driver {
    /// Makes the file, its manifest and its signature, which takes into account at least the first `size` entries. The
    /// grant is what nothing is made without.
    pub(super) async fn generate(
        &self,
        grant: Grant,
        export: &Export,
        request: &Requested,
        started: &GenerationStarted,
        size: u64,
    ) -> Result<Generated, GenerationError> {
        if !grant.covers(&request.action()?) {
            return Err(GenerationError::NotApproved);
        }
        let names = FileNames::new(&request.export_id, started.attempt, request.format);
        let target = self.files.path(&names.file)?;
        let progress = Progress::begin(
            self.database.clone(),
            self.reader.id().clone(),
            request.export_id.as_str(),
            self.clock.clone(),
        );
        let made = match request.kind {
            ExportKind::EvidencePack => {
                let made = self.make_pack(&grant, export, request, size, &target, progress.counter()).await;
                made.map(|written| (Vec::new(), size, written)).map_err(GenerationError::from)
            }
            _ => self.make_file(request, size, target, &progress).await,
        };
        progress.end().await;
        let (columns, position, written) = made?;
        let made = Made { names, columns, written, range: self.range(position).await?, at: self.generated_at()? };
        let checkpoint = self.checkpoint(position).await?;
        let manifest = self.manifest(&grant, export, request, &made, checkpoint.as_ref()).await?;
        let sealed = self.seal_and_keep(manifest, &made.names).await?;
        generated(started, made, &sealed, checkpoint.as_ref())
    }

    async fn make_file(
        &self,
        request: &Requested,
        size: u64,
        target: PathBuf,
        progress: &Progress,
    ) -> Result<(Vec<Column>, u64, Written), GenerationError> {
        let mut source = self.sources.open(request, size).await?;
        let columns = source.schema().columns().to_vec();
        let written = daybook_exports::generate(&mut source, request.format, &target, progress.counter()).await?;
        Ok((columns, source.position(), written))
    }

    /// The entries that the rows take into account: all of them, up to the position.
    async fn range(&self, position: u64) -> Result<LedgerRange, GenerationError> {
        let last = position.checked_sub(1).ok_or(GenerationError::NoEntry(0))?;
        Ok(LedgerRange { first: 0, last, first_hash: self.hash_at(0).await?, last_hash: self.hash_at(last).await? })
    }

    async fn hash_at(&self, position: u64) -> Result<HexDigest, GenerationError> {
        Ok(HexDigest::of(self.entry_at(position).await?.hash.as_bytes()))
    }

    async fn entry_at(&self, position: u64) -> Result<Entry, GenerationError> {
        let entry = self.reader.entries(position, 1).await?.into_iter().next();
        entry.filter(|entry| entry.position == position).ok_or(GenerationError::NoEntry(position))
    }

    /// The newest checkpoint, if it covers the range. Where it does not, and this process signs, one that does.
    async fn checkpoint(&self, position: u64) -> Result<Option<StoredCheckpoint>, GenerationError> {
        let latest = self.reader.store().latest_checkpoint(self.reader.id()).await?;
        let covers = |checkpoint: &StoredCheckpoint| checkpoint.size >= position;
        if let (false, Some(requests)) = (latest.as_ref().is_some_and(covers), &self.checkpoints) {
            match requests.checkpoint().await {
                Ok(checkpoint) => return Ok(Some(checkpoint).filter(covers)),
                // The export is proved by the ledger all the same; the next checkpoint covers it.
                Err(error) => tracing::warn!(%error, "an export has no checkpoint in its manifest"),
            }
        }
        Ok(latest.filter(covers))
    }

    async fn manifest(
        &self,
        grant: &Grant,
        export: &Export,
        request: &Requested,
        made: &Made,
        checkpoint: Option<&StoredCheckpoint>,
    ) -> Result<Manifest, GenerationError> {
        let requested_at = self.requested_at(request).await?;
        let checkpoint = match checkpoint {
            Some(checkpoint) => Some(self.covering(checkpoint, made.range.last).await?),
            None => None,
        };
        let (digests, range) = (made.written.digests, &made.range);
        Ok(Manifest {
            approval: Approval {
                approval_id: grant.approval_id().to_string(),
                approved_by: grant.approvers().iter().map(ToString::to_string).collect(),
                broken_glass_by: grant.broken_by().map(ToString::to_string),
                digest: grant.digest().to_string(),
                policy_version: grant.policy_version(),
            },
            columns: made.columns.clone(),
            export_id: request.export_id.to_string(),
            file: FileDescription {
                blake3: digests.blake3_hex(),
                bytes: digests.bytes,
                format: request.format.to_string(),
                name: made.names.file.clone(),
                rows: made.written.rows,
                sha256: digests.sha256_hex(),
            },
            format: MANIFEST_FORMAT.to_owned(),
            ledger: LedgerPart {
                checkpoint,
                ledger_id: self.reader.id().to_string(),
                origin: self.keys.origin.clone(),
                range: PositionRange {
                    first: range.first,
                    first_hash: range.first_hash.to_string(),
                    last: range.last,
                    last_hash: range.last_hash.to_string(),
                },
            },
            query: Query { filters: request.filters.clone(), kind: request.kind.to_string() },
            request: Request { by: request.requested_by.to_string(), person: request.person.to_string() },
            signing_key: None,
            software: Software { version: self.settings.software.clone(), ..Software::this() },
            times: Times {
                approved_at: export.approved().map(|approved| approved.at.to_string()).unwrap_or_default(),
                generated_at: made.at.to_string(),
                requested_at: rfc3339(requested_at),
            },
        })
    }

    /// A checkpoint, and that the entry at `last` is under it.
    async fn covering(&self, checkpoint: &StoredCheckpoint, last: u64) -> Result<Checkpoint, GenerationError> {
        let entry = self.entry_at(last).await?;
        let path = match LedgerTree::new(self.reader.clone()).inclusion(last, checkpoint.size).await {
            Ok(path) => Some(path.iter().map(ToString::to_string).collect()),
            Err(TreeError::Store(error)) => return Err(error.into()),
            // The checkpoint counts all the same; whoever has the ledger can prove it.
            Err(error) => {
                tracing::warn!(%error, "an export has no proof of inclusion in its manifest");
                None
            }
        };
        Ok(Checkpoint {
            leaf: path.is_some().then(|| merkle::leaf(&canonical_bytes(&entry)).to_string()),
            inclusion: path,
            note: checkpoint.note.clone(),
            root: checkpoint.root.to_string(),
            size: checkpoint.size,
        })
    }

    /// Signs the manifest with the key that is active now, and keeps both beside the file. Key files and the folder are
    /// read and written away from the tasks.
    async fn seal_and_keep(&self, manifest: Manifest, names: &FileNames) -> Result<SealedManifest, GenerationError> {
        let (keys, files, names, now) = (self.keys.clone(), self.files.clone(), names.clone(), (self.clock)());
        let sealing = tokio::task::spawn_blocking(move || -> Result<SealedManifest, GenerationError> {
            let ring = KeyRing::open(keys, now).map_err(SealError::Key)?;
            let sealed = seal(manifest, &ring, now)?;
            files.write(&names.manifest, &sealed.bytes)?;
            files.write(&names.signature, &sealed.signature)?;
            Ok(sealed)
        });
        sealing.await.unwrap_or(Err(GenerationError::Ending))
    }

    fn generated_at(&self) -> Result<Timestamp, GenerationError> {
        let micros = (self.clock)();
        Timestamp::from_micros(micros)
            .ok_or_else(|| InvalidField::new("/at", "the clock is not in the years 1900 to 9999").into())
    }

    /// Removes what these attempts have left, which came to nothing.
    pub(super) async fn tidy(&self, request: &Requested, attempts: Range<u64>) -> Result<(), StepError> {
        if attempts.is_empty() {
            return Ok(());
        }
        let (files, id, format) = (self.files.clone(), request.export_id.clone(), request.format);
        let removing = tokio::task::spawn_blocking(move || files.remove_attempts(&id, format, attempts));
        match removing.await {
            Ok(Ok(0)) => Ok(()),
            Ok(Ok(count)) => {
                tracing::info!(export = %request.export_id, count, "files of attempts that came to nothing were removed");
                Ok(())
            }
            Ok(Err(error)) => Err(StepError::Files(error.to_string())),
            Err(_) => Err(StepError::Files("the process is ending".to_owned())),
        }
    }
}

/// A file that is there, and what belongs to it.
struct Made {
    names: FileNames,
    columns: Vec<Column>,
    written: Written,
    range: LedgerRange,
    at: Timestamp,
}

/// The event that records it.
fn generated(
    started: &GenerationStarted,
    made: Made,
    sealed: &SealedManifest,
    checkpoint: Option<&StoredCheckpoint>,
) -> Result<Generated, GenerationError> {
    let line = |name: &str| Line::parse("/file", name);
    let digests = made.written.digests;
    Ok(Generated {
        attempt: started.attempt,
        file: line(&made.names.file)?,
        bytes: digests.bytes,
        rows: made.written.rows,
        blake3: HexDigest::of(&digests.blake3),
        sha256: HexDigest::of(&digests.sha256),
        manifest: ManifestFile {
            file: line(&made.names.manifest)?,
            blake3: HexDigest::of(&sealed.digests.blake3),
            sha256: HexDigest::of(&sealed.digests.sha256),
        },
        signature: ManifestSignature {
            algorithm: SignatureAlgorithm::EcdsaP256Sha256,
            key_id: ShortName::parse("/signature/key_id", sealed.key_id.to_string())?,
            file: line(&made.names.signature)?,
            value: Line::parse("/signature/value", STANDARD.encode(&sealed.signature))?,
        },
        range: made.range,
        checkpoint: checkpoint.map(|checkpoint| CheckpointReference {
            size: checkpoint.size,
            root: HexDigest::of(checkpoint.root.as_bytes()),
        }),
        at: made.at,
    })
}
