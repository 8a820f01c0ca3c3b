//! Who vouches for it: signatures of the log, and cosignatures of its witnesses.

use super::{Case, MAX_FINDINGS, moment};
use crate::checkpoint::{Checkpoint, SignatureOutcome};
use crate::entry_line::micros;
use crate::export_check::signed;
use crate::keys::Validity;
use crate::policy::Witnessed;
use crate::report::FindingKind;
use crate::trust::{Answer, Brought, CheckpointFacts, Judged, Provenance, TrustFinding, UNVOUCHED};
use crate::verifier_key::Algorithm;

impl Case<'_> {
    /// The checkpoint that speaks for this ledger: the one given, else the newest presented, else the one remembered.
    pub(super) fn primary(&self) -> Option<&CheckpointFacts> {
        let of = |provenance| self.checkpoints.iter().find(move |one| one.provenance == provenance);
        of(Provenance::Given).or_else(|| of(Provenance::Presented)).or_else(|| of(Provenance::Remembered))
    }

    pub(super) fn authorship(&mut self) -> Judged {
        if self.keys.is_none() {
            return Judged::new(
                Answer::NotChecked,
                "no keys were given: a key that the source itself names would vouch for nothing",
            );
        }
        let Some(primary) = self.primary().cloned() else {
            return Judged::new(Answer::NotChecked, "there is no checkpoint, and nothing else is signed");
        };
        let mut bad = Vec::new();
        for one in &self.checkpoints {
            let Some(signers) = &one.signers else { continue };
            let about = format!("the checkpoint of size {} {}", one.size, one.provenance.words());
            if let Some(check) = signers.first(SignatureOutcome::Invalid) {
                let why = check.detail.as_deref().unwrap_or("it does not verify");
                let detail = format!("{about} bears the name of key {}+{}, but: {why}", check.name, check.key_id);
                bad.push(TrustFinding::over(FindingKind::SignatureInvalid, 0..one.size, detail));
            } else if signers.signer().is_some() {
                continue;
            } else if let Some(check) = signers.first(SignatureOutcome::Expired) {
                let when = one.sealed_at.map_or_else(|| "an unknown time".to_owned(), moment);
                let detail =
                    format!("{about} was sealed at {when}, when key {}+{} did not count", check.name, check.key_id);
                bad.push(TrustFinding::over(FindingKind::KeyExpired, 0..one.size, detail));
            } else if *one == primary || one.provenance != Provenance::Presented {
                let detail = format!("{about} is signed by no key that the auditor trusts for {}", one.origin);
                bad.push(TrustFinding::over(FindingKind::KeyUnknown, 0..one.size, detail));
            }
        }
        let first = bad.first().map(|finding| finding.detail.clone());
        self.findings.extend(bad.into_iter().take(MAX_FINDINGS));
        if let Some(first) = first {
            return Judged::new(Answer::Failed, first);
        }
        let Some(signer) = primary.signers.as_ref().and_then(|signers| signers.signer()) else {
            return Judged::new(Answer::Failed, "no trusted key signed the checkpoint");
        };
        let key = format!("key {}+{}", signer.name, signer.key_id);
        if signer.outcome == SignatureOutcome::ValidAtUnknownTime {
            let reason = format!("{key} signed, but no seal tells when, and the key counts for a limited time only");
            return Judged::new(Answer::NotChecked, reason);
        }
        if !primary.holds() {
            let verdict = if primary.recomputed_root.is_some() { Answer::Failed } else { Answer::NotChecked };
            return Judged::new(
                verdict,
                format!("{key} signed the checkpoint, but it could not be matched with these entries"),
            );
        }
        let rest = match self.report.size.saturating_sub(primary.size) {
            _ if self.report.part.is_some() => String::new(),
            0 => String::new(),
            rest => format!("; the last {rest} are not covered by a signature yet"),
        };
        Judged::new(Answer::Verified, format!("{key} signed the root over the first {} entries{rest}", primary.size))
    }

    /// Whether whoever signed the checkpoint also signed the list of what was chosen from the ledger: entries that were left out
    /// afterwards break no hash. The answer on authorship, unless this fails it.
    pub(super) fn list_of_files(&mut self, authorship: Judged) -> Judged {
        let selection = self.report.part.as_ref().and_then(|part| part.selection.as_ref());
        let Some(selection) = selection else { return authorship };
        let Some(keys) = &self.keys else {
            let reason = format!("no keys were given: until --keys is, {UNVOUCHED}");
            return Judged::new(Answer::NotChecked, reason);
        };
        let Some(signature) = &selection.signature else {
            let detail = "there is no signature over the list of its files: what is in it may have been chosen anew";
            self.findings.push(TrustFinding::new(FindingKind::SignatureInvalid, detail));
            return Judged::new(Answer::Failed, detail);
        };
        let origin = self.primary().map(|primary| primary.origin.clone()).unwrap_or_default();
        let made_at = micros(&selection.made_at);
        let counts = |validity: &Validity| {
            *validity == Validity::default() || made_at.is_some_and(|made_at| validity.covers(made_at))
        };
        let candidates = keys.for_origin(&origin);
        let signer = candidates.iter().find(|(key, validity)| {
            key.algorithm() == Algorithm::EcdsaP256 && counts(validity) && signed(key, &selection.manifest, signature)
        });
        match signer {
            Some(_) => authorship,
            None => {
                let detail =
                    "no trusted key signed the list of its files: manifest.json or manifest.sig is not what was signed";
                self.findings.push(TrustFinding::new(FindingKind::SignatureInvalid, detail));
                Judged::new(Answer::Failed, detail)
            }
        }
    }

    pub(super) fn witnesses(&mut self, brought: &Brought) -> Option<Witnessed> {
        let policy = brought.policy.as_ref()?;
        let checkpoint = self.primary().and_then(|primary| Checkpoint::parse(primary.note.as_bytes()).ok());
        let Some(checkpoint) = checkpoint else {
            let detail = "there is no checkpoint that witnesses could have cosigned";
            self.findings.push(TrustFinding::new(FindingKind::WitnessQuorumMissing, detail));
            return None;
        };
        let witnessed = policy.judge(&checkpoint);
        let range = 0..checkpoint.size;
        for check in witnessed.invalid().take(MAX_FINDINGS) {
            let why = check.invalid.as_deref().unwrap_or("it does not verify");
            let detail = format!("a cosignature bears the name of witness {}, but: {why}", check.witness);
            self.findings.push(TrustFinding::over(FindingKind::SignatureInvalid, range.clone(), detail));
        }
        if !witnessed.reached {
            let names: Vec<&str> = witnessed
                .witnesses
                .iter()
                .filter(|one| one.cosigned_at.is_some())
                .map(|one| one.witness.as_str())
                .collect();
            let names = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
            let detail = format!(
                "the checkpoint of size {} does not reach quorum {}: cosigned by {names}",
                checkpoint.size, witnessed.quorum
            );
            self.findings.push(TrustFinding::over(FindingKind::WitnessQuorumMissing, range, detail));
        }
        Some(witnessed)
    }
}
