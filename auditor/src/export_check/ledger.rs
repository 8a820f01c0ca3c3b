//! What a ledger says of an export, gathered while the ledger is verified, and the manifest held against it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::manifest::{Manifest, Range};
use super::{Check, ExportFault, digests};
use crate::checkpoint::Checkpoint;
use crate::examine::Examination;
use crate::keys::TrustedKeys;
use crate::seen::EntrySeen;
use crate::trust::{Answer, Judged};

#[derive(Debug, Clone, Deserialize)]
struct Generated {
    file: String,
    bytes: u64,
    rows: u64,
    blake3: String,
    sha256: String,
    manifest: ManifestFile,
    signature: SignatureFile,
    range: Range,
}

#[derive(Debug, Clone, Deserialize)]
struct ManifestFile {
    blake3: String,
    sha256: String,
}

#[derive(Debug, Clone, Deserialize)]
struct SignatureFile {
    value: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Approved {
    approval_id: String,
    execution_id: String,
    policy_version: u64,
    #[serde(default)]
    approved_by: Vec<String>,
    #[serde(default)]
    broken_glass_by: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Consumed {
    execution_id: String,
    digest: String,
    policy_version: u64,
}

/// Looks at the entries of a ledger as they go by, for what has to do with one export.
#[derive(Debug, Clone, Default)]
pub struct LedgerWatch {
    ledger_id: String,
    export_id: String,
    approval_id: String,
    ends: [u64; 2],
    hashes: [Option<String>; 2],
    generated: Option<(u64, Generated)>,
    approved: Option<(u64, Approved)>,
    consumed: Option<(u64, Consumed)>,
    unreadable: Option<u64>,
}

impl LedgerWatch {
    /// For the export of a manifest.
    pub fn new(manifest: &Manifest) -> Self {
        let Range { first, last, .. } = manifest.ledger.range;
        Self {
            ledger_id: manifest.ledger.ledger_id.clone(),
            export_id: manifest.export_id.clone(),
            approval_id: manifest.approval.approval_id.clone(),
            ends: [first, last],
            ..Self::default()
        }
    }

    /// The ledger whose entries are looked at.
    pub fn ledger_id(&self) -> &str {
        &self.ledger_id
    }

    /// Takes the next entry.
    pub fn entry(&mut self, entry: &EntrySeen<'_>) {
        if entry.ledger_id() != self.ledger_id {
            return;
        }
        let position = entry.position();
        for (end, hash) in self.ends.iter().zip(&mut self.hashes) {
            if *end == position {
                *hash = Some(hex::encode(entry.hash()));
            }
        }
        let (stream_type, stream_id) = entry.stream();
        let is_ours = match stream_type {
            "export" => stream_id == self.export_id,
            "approval" => stream_id == self.approval_id,
            _ => false,
        };
        if !is_ours {
            return;
        }
        let payload = entry.payload().unwrap_or_default();
        let read = match entry.event().0 {
            // A later attempt takes the place of an earlier one.
            "export.generated" => keep(&mut self.generated, position, payload),
            "export.approved" => keep(&mut self.approved, position, payload),
            "approval.consumed" if self.consumed.is_none() => keep(&mut self.consumed, position, payload),
            _ => true,
        };
        if !read {
            self.unreadable.get_or_insert(position);
        }
    }

    /// When all entries have gone by. `keys` are those that the auditor trusts.
    pub fn finish(self, examination: &Examination, keys: Option<&TrustedKeys>) -> Recorded {
        let report = examination.report(&self.ledger_id);
        let faults: u64 = examination
            .ledgers
            .iter()
            .filter(|one| one.figures.ledger_id == self.ledger_id)
            .map(|one| one.figures.integrity.findings_total + one.figures.approvals.findings_total)
            .sum();
        Recorded {
            holds: examination.holds(),
            faults,
            size: report.map_or(0, |report| report.part.as_ref().map_or(report.size, |part| part.to)),
            is_part: report.is_some_and(|report| report.part.is_some()),
            is_there: report.is_some(),
            roots: report
                .map(|report| report.states.iter().filter_map(|one| Some((one.size, one.root.clone()?))).collect())
                .unwrap_or_default(),
            keys: keys.cloned(),
            watch: self,
        }
    }
}

fn keep<T: for<'a> Deserialize<'a>>(slot: &mut Option<(u64, T)>, position: u64, payload: &[u8]) -> bool {
    match serde_json::from_slice(payload) {
        Ok(event) => {
            *slot = Some((position, event));
            true
        }
        Err(_) => false,
    }
}

/// What a ledger says of an export.
#[derive(Debug, Clone)]
pub struct Recorded {
    holds: bool,
    faults: u64,
    size: u64,
    is_part: bool,
    is_there: bool,
    /// Roots over the first so many entries.
    roots: Vec<(u64, String)>,
    keys: Option<TrustedKeys>,
    watch: LedgerWatch,
}

impl Recorded {
    /// Whether these bytes are the manifest that was recorded.
    pub(super) fn has_manifest(&self, bytes: &[u8]) -> bool {
        let (blake3, sha256) = digests(bytes);
        let recorded = self.watch.generated.as_ref().map(|(_, generated)| &generated.manifest);
        recorded.is_some_and(|recorded| recorded.blake3 == blake3 && recorded.sha256 == sha256)
    }
}

/// The three questions that a ledger answers.
pub(super) fn check(check: &mut Check<'_>, manifest: &Manifest, recorded: &Recorded) -> (Judged, Judged, Judged) {
    let was_recorded = check_recorded(check, manifest, recorded);
    let position = check_position(check, manifest, recorded);
    let approval = check_approval(check, manifest, recorded);
    (was_recorded, position, approval)
}

const ONLY_A_PART: &str = "the source holds only a part of the ledger, and the entry is not in it";

fn check_recorded(check: &mut Check<'_>, manifest: &Manifest, recorded: &Recorded) -> Judged {
    let before = check.findings.len();
    let ledger = &manifest.ledger.ledger_id;
    if !recorded.holds {
        let detail = format!("the source does not hold ({} faults in {ledger}): `verify` names them", recorded.faults);
        check.find(ExportFault::LedgerFailed, None, detail);
    }
    if let Some(position) = recorded.watch.unreadable {
        let detail = format!("an entry about {} cannot be read", manifest.export_id);
        check.find(ExportFault::NotInLedger, Some(position), detail);
    }
    let Some((position, generated)) = &recorded.watch.generated else {
        if recorded.is_part && recorded.holds {
            return Judged::new(Answer::NotChecked, ONLY_A_PART);
        }
        let what = if recorded.is_there { "records no such export" } else { "is not in the source" };
        check.find(ExportFault::NotInLedger, None, format!("{}: the ledger {ledger} {what}", manifest.export_id));
        return check.answer(before, String::new());
    };
    let at = Some(*position);
    if !recorded.has_manifest(check.export.manifest) {
        let detail = format!("the manifest is not the one that was recorded for {}", manifest.export_id);
        check.find(ExportFault::ManifestChanged, at, detail);
    }
    let file = check.export.file;
    if (&file.blake3, &file.sha256, file.bytes) != (&generated.blake3, &generated.sha256, generated.bytes) {
        let detail = format!("the file is not the one that was recorded for {}", manifest.export_id);
        check.find(ExportFault::FileChanged, at, detail);
    }
    if generated.rows != manifest.file.rows || generated.file != manifest.file.name {
        let detail = "the manifest has another name or number of rows for the file than was recorded".to_owned();
        check.find(ExportFault::ManifestChanged, at, detail);
    }
    let value = STANDARD.decode(&generated.signature.value).ok();
    if check.export.signature.is_some_and(|signature| value.as_deref() != Some(signature)) {
        let detail = "the signature is not the one that was recorded".to_owned();
        check.find(ExportFault::SignatureWrong, at, detail);
    }
    check.answer(before, format!("position {position} of {ledger} records this file, manifest and signature"))
}

fn check_position(check: &mut Check<'_>, manifest: &Manifest, recorded: &Recorded) -> Judged {
    let before = check.findings.len();
    let range = &manifest.ledger.range;
    let ends = [(range.first, &range.first_hash), (range.last, &range.last_hash)];
    let mut unseen = false;
    for ((position, stated), found) in ends.into_iter().zip(&recorded.watch.hashes) {
        match found {
            Some(found) if found == stated => {}
            Some(_) => {
                let detail = "the manifest states another hash of this entry".to_owned();
                check.find(ExportFault::OtherPosition, Some(position), detail);
            }
            None if recorded.is_part => unseen = true,
            None => {
                let detail = format!("the ledger has {} entries, and none here", recorded.size);
                check.find(ExportFault::OtherPosition, Some(position), detail);
            }
        }
    }
    if range.first > range.last {
        let detail = "the range ends before it begins".to_owned();
        check.find(ExportFault::OtherPosition, Some(range.first), detail);
    }
    if let Some((position, generated)) = &recorded.watch.generated {
        if generated.range != *range {
            let detail = "the manifest states other entries than were recorded".to_owned();
            check.find(ExportFault::OtherPosition, Some(*position), detail);
        }
        if *position <= range.last {
            let detail = "the export takes entries into account that came after it".to_owned();
            check.find(ExportFault::OtherPosition, Some(*position), detail);
        }
    }
    let with_checkpoint = check_checkpoint(check, manifest, recorded);
    match check.findings.len() == before && unseen {
        true => Judged::new(Answer::NotChecked, ONLY_A_PART),
        false => {
            let holds =
                format!("entries {} to {} have the hashes that it states{with_checkpoint}", range.first, range.last);
            check.answer(before, holds)
        }
    }
}

/// Words for what holds.
fn check_checkpoint(check: &mut Check<'_>, manifest: &Manifest, recorded: &Recorded) -> String {
    let Some(stated) = &manifest.ledger.checkpoint else {
        return "; it holds no checkpoint".to_owned();
    };
    let mut mismatch = |detail: String| check.find(ExportFault::CheckpointMismatch, None, detail);
    let checkpoint = match Checkpoint::parse(stated.note.as_bytes()) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            mismatch(format!("the checkpoint in the manifest cannot be read: {error}"));
            return String::new();
        }
    };
    let root = hex::encode(checkpoint.root);
    if checkpoint.size != stated.size || root != stated.root || checkpoint.origin != manifest.ledger.origin {
        mismatch("the manifest says something else of its checkpoint than the checkpoint itself".to_owned());
    }
    if checkpoint.size <= manifest.ledger.range.last {
        mismatch(format!("the checkpoint covers {} entries, and not all that were exported", checkpoint.size));
    }
    let signers = recorded.keys.as_ref().map(|keys| checkpoint.judge(keys, None));
    if signers.as_ref().is_some_and(|signers| signers.signer().is_none()) {
        mismatch("no trusted key signed the checkpoint in the manifest".to_owned());
    }
    match recorded.roots.iter().find(|(size, _)| *size == checkpoint.size) {
        Some((_, found)) if *found == root => format!(", and come to its checkpoint of {} entries", checkpoint.size),
        Some(_) => {
            mismatch(format!("the first {} entries come to another root than its checkpoint", checkpoint.size));
            String::new()
        }
        None if recorded.is_part => format!("; its checkpoint of {} entries was not recomputed", checkpoint.size),
        None => {
            mismatch(format!("the ledger has no {} entries that could come to its checkpoint", checkpoint.size));
            String::new()
        }
    }
}

fn check_approval(check: &mut Check<'_>, manifest: &Manifest, recorded: &Recorded) -> Judged {
    let before = check.findings.len();
    let said = &manifest.approval;
    let (Some((used_at, used)), Some((let_through_at, let_through))) =
        (&recorded.watch.consumed, &recorded.watch.approved)
    else {
        if recorded.is_part {
            return Judged::new(Answer::NotChecked, ONLY_A_PART);
        }
        let detail = format!("the approval {} was not used to let {} through", said.approval_id, manifest.export_id);
        check.find(ExportFault::NotApproved, None, detail);
        return check.answer(before, String::new());
    };
    let for_this = used.execution_id == manifest.export_id
        && let_through.execution_id == manifest.export_id
        && let_through.approval_id == said.approval_id;
    let as_said = used.digest == said.digest
        && [used.policy_version, let_through.policy_version] == [said.policy_version; 2]
        && let_through.approved_by == said.approved_by
        && let_through.broken_glass_by == said.broken_glass_by;
    let in_order = used_at < let_through_at
        && recorded.watch.generated.as_ref().is_none_or(|(generated_at, _)| let_through_at < generated_at);
    if !(for_this && as_said && in_order) {
        let why = match (for_this, as_said) {
            (false, _) => "it was used for something else",
            (true, false) => "the manifest states another digest, policy or other people than were recorded",
            (true, true) => "the entries are not in the order in which such things happen",
        };
        let detail = format!("the approval {} did not let {} through: {why}", said.approval_id, manifest.export_id);
        check.find(ExportFault::NotApproved, Some(*used_at), detail);
    }
    check.answer(before, format!("position {used_at} records that {} was used for it", said.approval_id))
}
