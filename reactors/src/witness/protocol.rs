//! One conversation with one witness: `add-checkpoint`, once more from where the witness says it stands, and its answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daybook_ledger::note::{NoteSignature, SignedNote};
use daybook_ledger::{Hash, StoredCheckpoint};

use super::{Witness, WitnessError, Witnesses};
use crate::outside::Answer;

/// Type of the answer that says where the witness stands.
const SIZE_TYPE: &str = "text/x.tlog.size";
/// How far ahead of our clock a witness's may be.
const MOST_SECONDS_AHEAD: u64 = 300;

impl Witnesses {
    /// Has one witness sign. Answers its signature lines, verified.
    pub(super) async fn ask(
        &self,
        witness: &Witness,
        checkpoint: &StoredCheckpoint,
        note: &SignedNote,
    ) -> Result<Vec<NoteSignature>, WitnessError> {
        let mut old = self.known_size(witness);
        if old > checkpoint.size {
            // Another process may have shown it more. It says so itself, if that is so.
            old = 0;
        }
        let mut answer = self.submit(witness, old, checkpoint, note).await?;
        if answer.status == 409
            && let Some(size) = stated_size(&answer)
        {
            if size > checkpoint.size {
                return Err(self.ahead(size, checkpoint.size).await);
            }
            if size != old {
                old = size;
                answer = self.submit(witness, old, checkpoint, note).await?;
            }
        }
        match answer.status {
            200 => {}
            403 => return Err(WitnessError::UnknownKey),
            404 => return Err(WitnessError::UnknownLog(origin(note))),
            422 => return Err(WitnessError::Fork { size: old }),
            // The size is what the witness has, and yet it says no: it has another root for it.
            409 if old == checkpoint.size && stated_size(&answer).is_none_or(|size| size == old) => {
                return Err(WitnessError::Fork { size: old });
            }
            409 => return Err(WitnessError::Busy),
            other => return Err(WitnessError::Answer(other)),
        }
        let signatures = signatures(witness, note, &answer.body)?;
        self.learn(witness, checkpoint.size);
        Ok(signatures)
    }

    async fn submit(
        &self,
        witness: &Witness,
        old: u64,
        checkpoint: &StoredCheckpoint,
        note: &SignedNote,
    ) -> Result<Answer, WitnessError> {
        let proof = self.tree.consistency(old, checkpoint.size).await?;
        let body = request_body(old, &proof, note);
        Ok(self.outside.post(&witness.url, "text/plain; charset=utf-8", body.into_bytes()).await?)
    }

    /// The witness has more than this checkpoint. Harmless where a newer one was signed meanwhile.
    async fn ahead(&self, witnessed: u64, size: u64) -> WitnessError {
        match self.reader.store().latest_checkpoint(self.reader.id()).await {
            Ok(Some(latest)) if latest.size >= witnessed => WitnessError::Busy,
            _ => WitnessError::Ahead { witnessed, size },
        }
    }
}

fn request_body(old: u64, proof: &[Hash], note: &SignedNote) -> String {
    let mut body = format!("old {old}\n");
    for hash in proof {
        body.push_str(&STANDARD.encode(hash.as_bytes()));
        body.push('\n');
    }
    format!("{body}\n{note}")
}

/// The ledger's name at the witness: the checkpoint's first line.
fn origin(note: &SignedNote) -> String {
    note.body.lines().next().unwrap_or_default().to_owned()
}

/// The size in a 409 answer: decimal digits and a line feed.
fn stated_size(answer: &Answer) -> Option<u64> {
    if answer.content_type != SIZE_TYPE {
        return None;
    }
    let digits = std::str::from_utf8(&answer.body).ok()?.strip_suffix('\n')?;
    let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| is_decimal)
}

/// The valid signatures of the witness among the lines of its answer. Those of other keys are left out.
fn signatures(witness: &Witness, note: &SignedNote, answer: &[u8]) -> Result<Vec<NoteSignature>, WitnessError> {
    let lines = std::str::from_utf8(answer).map_err(|_| WitnessError::NoSignature)?;
    let signed = format!("{}\n{lines}", note.body);
    let signed = SignedNote::parse(&signed).map_err(|_| WitnessError::NoSignature)?;
    // Lines that begin with an empty one would move the end of the text.
    if signed.body != note.body {
        return Err(WitnessError::NoSignature);
    }
    let latest = u64::try_from(chrono::Utc::now().timestamp()).unwrap_or(0) + MOST_SECONDS_AHEAD;
    let mut valid = signed.signatures;
    valid.retain(|line| witness.key.verify(&note.body, line).is_some_and(|time| time > 0 && time <= latest));
    // One is enough for the note; a second one would say nothing else.
    valid.truncate(1);
    if valid.is_empty() { Err(WitnessError::NoSignature) } else { Ok(valid) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn request_is_laid_out_as_the_protocol_says() {
        let note = SignedNote::parse("example.com/main\n2\nAAAA\n\n\u{2014} example.com/main AQIDBAU=\n").unwrap();
        let hash = Hash([0; 32]);
        let expected = format!("old 1\n{}\n\n{note}", STANDARD.encode([0; 32]));
        assert_eq!(request_body(1, &[hash], &note), expected);
        assert!(request_body(0, &[], &note).starts_with("old 0\n\nexample.com/main\n2\n"));
    }

    #[test]
    fn size_is_read_strictly() {
        let answer = |content_type: &str, body: &str| Answer {
            status: 409,
            content_type: content_type.to_owned(),
            body: body.as_bytes().to_vec(),
        };
        assert_eq!(stated_size(&answer(SIZE_TYPE, "12\n")), Some(12));
        assert_eq!(stated_size(&answer(SIZE_TYPE, "0\n")), Some(0));
        for body in ["12", "012\n", "+1\n", "\n", "1\n\n", "18446744073709551616\n"] {
            assert_eq!(stated_size(&answer(SIZE_TYPE, body)), None, "{body:?}");
        }
        assert_eq!(stated_size(&answer("text/plain", "12\n")), None);
    }
}
