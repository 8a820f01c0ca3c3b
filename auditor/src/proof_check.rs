//! Checks a proof file with what the auditor brings, offline.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::checkpoint::SignatureOutcome;
use crate::entry_facts::EntryFacts;
use crate::proof::{leaf_hash, verify_inclusion};
use crate::report::FindingKind;
use crate::sealed::subjects_of;
use crate::tlog_proof::{TlogProof, TlogProofError};
use crate::trust::{Answer, Brought, Judged, TrustFinding};

/// What a command was answered with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Receipt {
    /// The ledger's id.
    pub ledger_id: String,
    /// The entry's position.
    pub position: u64,
    /// The entry's hash, 64 hexadecimal digits.
    pub hash: String,
}

/// What the proof is said to be of.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// The receipt.
    pub receipt: Option<Receipt>,
    /// The entry as the API gives it: one JSON object.
    pub entry: Option<String>,
}

/// The parts of an entry as the API gives it that a proof can hold against.
#[derive(Deserialize)]
struct EntryText<'a> {
    ledger_id: String,
    position: u64,
    stream_type: String,
    stream_id: String,
    version: u64,
    event_type: String,
    schema_version: u64,
    recorded_at_us: u64,
    actor_kind: String,
    actor_id: String,
    hash: String,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    payload_text: Option<String>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    metadata_text: Option<String>,
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProofOutcome {
    /// Is the entry in the tree that the checkpoint states?
    pub inclusion: Judged,
    /// Did a trusted key sign the checkpoint?
    pub authorship: Judged,
    /// Did enough witnesses?
    pub witnesses: Judged,
    /// Is it the entry of the receipt?
    pub receipt: Judged,
    /// Is it the entry, payload and all, that was given?
    pub payload: Judged,
    /// What the proof is of.
    pub entry: Option<EntryFacts>,
    /// Size of the checkpoint.
    pub size: Option<u64>,
    /// Log's name in the checkpoint.
    pub origin: Option<String>,
    /// What is wrong.
    pub findings: Vec<TrustFinding>,
}

impl ProofOutcome {
    /// Whether nothing failed.
    pub fn holds(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Checks a proof.
pub fn check(proof: &Result<TlogProof, TlogProofError>, claims: &Claims, brought: &Brought) -> ProofOutcome {
    let open = |reason: &str| Judged::new(Answer::NotChecked, reason);
    let mut outcome = ProofOutcome {
        inclusion: open("there is nothing to check"),
        authorship: open("no keys were given: anybody can have signed this"),
        witnesses: open("no witness policy was given"),
        receipt: open("no receipt was given"),
        payload: open("no entry was given: the proof holds digests of payload and metadata only"),
        entry: None,
        size: None,
        origin: None,
        findings: Vec::new(),
    };
    match proof {
        Ok(proof) => {
            outcome.origin = Some(proof.checkpoint.origin.clone());
            outcome.size = Some(proof.checkpoint.size);
            inclusion(proof, &mut outcome);
            authorship(proof, brought, &mut outcome);
            witnesses(proof, brought, &mut outcome);
            receipt(proof, claims, &mut outcome);
            payload(claims, &mut outcome);
        }
        Err(error) => {
            let kind = match error {
                TlogProofError::Checkpoint(_) => FindingKind::CheckpointMalformed,
                _ => FindingKind::ProofInvalid,
            };
            outcome.inclusion = failed(&mut outcome.findings, kind, None, format!("the proof is malformed: {error}"));
        }
    }
    outcome
}

fn failed(findings: &mut Vec<TrustFinding>, kind: FindingKind, at: Option<u64>, detail: String) -> Judged {
    findings.push(TrustFinding {
        kind,
        position: at,
        until: at.map(|at| at.saturating_add(1)),
        detail: detail.clone(),
    });
    Judged::new(Answer::Failed, detail)
}

fn inclusion(proof: &TlogProof, outcome: &mut ProofOutcome) {
    let (at, findings) = (Some(proof.index), &mut outcome.findings);
    let mut refuse = |detail: &str| failed(findings, FindingKind::ProofInvalid, at, detail.to_owned());
    outcome.inclusion = match proof.extra.as_deref().map(|extra| (extra, EntryFacts::parse(extra))) {
        None => refuse("the proof does not hold its entry"),
        Some((_, None)) => refuse("the proof's entry is not in canonical form"),
        Some((extra, Some(facts))) => {
            let checkpoint = &proof.checkpoint;
            let proved =
                verify_inclusion(proof.index, checkpoint.size, leaf_hash(extra), &proof.path, &checkpoint.root);
            let judged = match proved {
                Err(error) => refuse(&error.to_string()),
                Ok(()) if facts.position != proof.index => refuse("the entry says that it is at another position"),
                Ok(()) if facts.ledger_id != checkpoint.ledger_id() => refuse("the entry is of another ledger"),
                Ok(()) => Judged::new(
                    Answer::Verified,
                    format!(
                        "entry {} is in the tree of {} entries of {}",
                        proof.index, checkpoint.size, checkpoint.origin
                    ),
                ),
            };
            outcome.entry = Some(facts);
            judged
        }
    };
}

fn authorship(proof: &TlogProof, brought: &Brought, outcome: &mut ProofOutcome) {
    let Some(keys) = brought.trusted_keys() else { return };
    // The seal of the checkpoint is not in the proof. Where the proof is of the seal itself, its time is known; else the
    // checkpoint is at least as young as the entry.
    let entry = outcome.entry.as_ref().filter(|_| outcome.inclusion.verdict == Answer::Verified);
    let recorded_at = entry.and_then(|entry| i64::try_from(entry.recorded_at).ok());
    let is_seal = entry.is_some_and(|entry| {
        entry.event_type == "ledger.sealed" && entry.position.checked_add(1) == Some(proof.checkpoint.size)
    });
    let signers = proof.checkpoint.judge(&keys, recorded_at.filter(|_| is_seal));
    let range = 0..proof.checkpoint.size;
    let findings = &mut outcome.findings;
    let mut refuse = |kind: FindingKind, detail: String| {
        findings.push(TrustFinding::over(kind, range.clone(), detail.clone()));
        Judged::new(Answer::Failed, detail)
    };
    outcome.authorship = if let Some(bad) = signers.first(SignatureOutcome::Invalid) {
        let why = bad.detail.as_deref().unwrap_or("it does not verify");
        refuse(FindingKind::SignatureInvalid, format!("the signature of {}+{}: {why}", bad.name, bad.key_id))
    } else if let Some(signer) = signers.signer() {
        let key = format!("{}+{}", signer.name, signer.key_id);
        let ended = |moment: i64| {
            let trusted = keys.for_origin(&proof.checkpoint.origin);
            let mut signing = trusted.iter().filter(|(known, _)| known.id() == signer.key_id);
            signing.all(|(_, validity)| validity.until.is_some_and(|until| moment >= until))
        };
        match signer.outcome {
            SignatureOutcome::Valid => Judged::new(Answer::Verified, format!("{key} signed the checkpoint")),
            _ if recorded_at.is_some_and(ended) => refuse(
                FindingKind::KeyExpired,
                format!("{key} signed, but the entry is younger than the key's last day"),
            ),
            _ => Judged::new(
                Answer::NotChecked,
                format!("{key} signed, but a proof does not tell when, and the key counts for a limited time only"),
            ),
        }
    } else if let Some(expired) = signers.first(SignatureOutcome::Expired) {
        let detail = format!("{}+{} signed outside of its validity", expired.name, expired.key_id);
        refuse(FindingKind::KeyExpired, detail)
    } else {
        refuse(FindingKind::KeyUnknown, "no key that the auditor trusts signed the checkpoint".to_owned())
    };
}

fn witnesses(proof: &TlogProof, brought: &Brought, outcome: &mut ProofOutcome) {
    let Some(policy) = &brought.policy else { return };
    let witnessed = policy.judge(&proof.checkpoint);
    let range = 0..proof.checkpoint.size;
    for invalid in witnessed.invalid() {
        let detail = format!("the cosignature of {} does not verify", invalid.witness);
        outcome.findings.push(TrustFinding::over(FindingKind::SignatureInvalid, range.clone(), detail));
    }
    let cosigned = witnessed.witnesses.iter().filter(|one| one.cosigned_at.is_some() && one.invalid.is_none()).count();
    let detail = format!("{cosigned} of {} witnesses cosigned, quorum {}", witnessed.witnesses.len(), witnessed.quorum);
    outcome.witnesses = if witnessed.reached {
        Judged::new(Answer::Verified, detail)
    } else {
        outcome.findings.push(TrustFinding::over(FindingKind::WitnessQuorumMissing, range, detail.clone()));
        Judged::new(Answer::Failed, detail)
    };
}

fn receipt(proof: &TlogProof, claims: &Claims, outcome: &mut ProofOutcome) {
    let Some(receipt) = &claims.receipt else { return };
    let hash = proof.extra.as_deref().map(|extra| blake3::hash(extra).to_hex().to_string());
    let same = receipt.position == proof.index
        && receipt.ledger_id == proof.checkpoint.ledger_id()
        && hash.is_some_and(|hash| receipt.hash.eq_ignore_ascii_case(&hash));
    outcome.receipt = if same {
        Judged::new(Answer::Verified, "ledger, position and hash are those of the receipt")
    } else {
        let detail = "the proof is of another entry than the receipt".to_owned();
        failed(&mut outcome.findings, FindingKind::ProofInvalid, Some(receipt.position), detail)
    };
}

fn payload(claims: &Claims, outcome: &mut ProofOutcome) {
    let (Some(text), Some(facts)) = (&claims.entry, &outcome.entry) else { return };
    let at = Some(facts.position);
    let difference = match serde_json::from_str::<EntryText<'_>>(text) {
        Err(error) => Some(format!("the entry that was given cannot be read: {error}")),
        Ok(entry) => difference(&entry, facts).map(|what| format!("the entry that was given differs in {what}")),
    };
    outcome.payload = match difference {
        Some(detail) => failed(&mut outcome.findings, FindingKind::ProofInvalid, at, detail),
        None if is_pruned(text) => {
            Judged::new(Answer::NotChecked, "all other fields are those that were proved, but the payload is gone")
        }
        None if is_sealed(text) => Judged::new(
            Answer::Verified,
            "payload, metadata and all other fields are those that were proved; the payload holds sealed values, and \
             whether the keys to them were destroyed is to be seen in the ledger, not in a proof",
        ),
        None => Judged::new(Answer::Verified, "payload, metadata and all other fields are those that were proved"),
    };
}

/// Whether the entry came without its payload, so that there is nothing to compare with the digest.
fn is_pruned(text: &str) -> bool {
    serde_json::from_str::<EntryText<'_>>(text)
        .is_ok_and(|entry| entry.payload.is_none() && entry.payload_text.is_none())
}

/// Whether values in its payload are sealed.
fn is_sealed(text: &str) -> bool {
    let Ok(entry) = serde_json::from_str::<EntryText<'_>>(text) else { return false };
    let payload = entry.payload_text.as_deref().or_else(|| entry.payload.map(RawValue::get)).unwrap_or_default();
    subjects_of(payload.as_bytes()).is_some_and(|subjects| !subjects.is_empty())
}

/// The first field that differs.
fn difference(entry: &EntryText<'_>, facts: &EntryFacts) -> Option<&'static str> {
    let digest = |raw: Option<&RawValue>, text: &Option<String>| {
        let bytes = text.as_deref().or_else(|| raw.map(RawValue::get))?;
        Some(*blake3::hash(bytes.as_bytes()).as_bytes())
    };
    let hash = blake3::hash(&facts.to_bytes()).to_hex();
    let payload = digest(entry.payload, &entry.payload_text);
    [
        ("ledger_id", entry.ledger_id == facts.ledger_id),
        ("position", entry.position == facts.position),
        ("stream_type", entry.stream_type == facts.stream_type),
        ("stream_id", entry.stream_id == facts.stream_id),
        ("version", entry.version == facts.version),
        ("event_type", entry.event_type == facts.event_type),
        ("schema_version", entry.schema_version == facts.schema_version),
        ("recorded_at", entry.recorded_at_us == facts.recorded_at),
        ("actor_kind", entry.actor_kind == facts.actor_kind),
        ("actor_id", entry.actor_id == facts.actor_id),
        ("hash", entry.hash.eq_ignore_ascii_case(&hash)),
        ("payload", payload.is_none_or(|payload| payload == facts.payload_digest)),
        ("metadata", digest(entry.metadata, &entry.metadata_text) == Some(facts.metadata_digest)),
    ]
    .into_iter()
    .find(|(_, same)| !same)
    .map(|(field, _)| field)
}
