//! Whether the last entry that an export takes into account is under the checkpoint in its manifest: from the manifest alone,
//! and the keys that are trusted.

use super::manifest::{CheckpointFacts, Manifest};
use super::{Check, ExportFault};
use crate::checkpoint::Checkpoint;
use crate::proof::{MAX_PATH, verify_inclusion};
use crate::trust::{Answer, Judged};

type Hash = [u8; 32];

/// The question that the manifest answers by itself.
pub(super) fn check(check: &mut Check<'_>, manifest: Option<&Manifest>) -> Judged {
    let open = |why: &str| Judged::new(Answer::NotChecked, why);
    let Some(manifest) = manifest else { return open("there is no manifest that could prove it") };
    let Some(stated) = &manifest.ledger.checkpoint else { return open("the manifest holds no checkpoint") };
    let (Some(leaf), Some(path)) = (&stated.leaf, &stated.inclusion) else {
        return open("the manifest holds no proof of it");
    };
    let before = check.findings.len();
    // What is wrong with the checkpoint itself is found once: with a ledger, where its root is recomputed.
    let is_found_there = check.export.recorded.is_some();
    let checkpoint = match consistent(stated, manifest) {
        Ok(checkpoint) => checkpoint,
        Err(why) => {
            if !is_found_there {
                check.find(ExportFault::CheckpointMismatch, None, why.clone());
            }
            return Judged::new(Answer::Failed, why);
        }
    };
    let last = manifest.ledger.range.last;
    let proved = read(leaf, path).and_then(|(leaf, path)| {
        verify_inclusion(last, checkpoint.size, leaf, &path, &checkpoint.root).map_err(|error| error.to_string())
    });
    if let Err(why) = proved {
        let detail = format!("that entry {last} is under the checkpoint in the manifest is not proved: {why}");
        check.find(ExportFault::CheckpointMismatch, Some(last), detail);
        return check.answer(before, String::new());
    }
    let Some(keys) = check.export.keys else {
        return open("the proof holds, and no key says who signed its checkpoint");
    };
    if checkpoint.judge(keys, None).signer().is_none() {
        let detail = "no trusted key signed the checkpoint in the manifest".to_owned();
        if !is_found_there {
            check.find(ExportFault::CheckpointMismatch, None, detail.clone());
        }
        return Judged::new(Answer::Failed, detail);
    }
    check.answer(before, format!("entry {last} is under its checkpoint of {} entries", checkpoint.size))
}

/// The checkpoint, if it is what the manifest says of it and reaches as far as the export.
fn consistent(stated: &CheckpointFacts, manifest: &Manifest) -> Result<Checkpoint, String> {
    let checkpoint = Checkpoint::parse(stated.note.as_bytes())
        .map_err(|error| format!("the checkpoint in the manifest cannot be read: {error}"))?;
    let is_as_stated = checkpoint.size == stated.size
        && hex::encode(checkpoint.root) == stated.root
        && checkpoint.origin == manifest.ledger.origin;
    if !is_as_stated {
        return Err("the manifest says something else of its checkpoint than the checkpoint itself".to_owned());
    }
    if checkpoint.size <= manifest.ledger.range.last {
        return Err(format!("the checkpoint covers {} entries, and not all that were exported", checkpoint.size));
    }
    Ok(checkpoint)
}

fn read(leaf: &str, path: &[String]) -> Result<(Hash, Vec<Hash>), String> {
    if path.len() > MAX_PATH {
        return Err(format!("it has {} hashes, at most {MAX_PATH} can be", path.len()));
    }
    let path: Result<Vec<Hash>, String> = path.iter().map(|text| hash(text)).collect();
    Ok((hash(leaf)?, path?))
}

fn hash(text: &str) -> Result<Hash, String> {
    let bytes = hex::decode(text).ok().filter(|_| text.bytes().all(|byte| !byte.is_ascii_uppercase()));
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| "a hash is not one of 64 hexadecimal digits".to_owned())
}
