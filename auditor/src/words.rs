//! What the verdicts mean, in words for somebody who is no programmer. Said the same in every form of the report.

use crate::report::Verdict;
use crate::trust::{Answer, LedgerEvidence, TimeVerdict};

/// How a verdict is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// It holds.
    Good,
    /// It does not.
    Bad,
    /// It was not checked, or rests on the server's word.
    Open,
}

/// One of the verdicts, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictWords {
    /// Name of the question.
    pub name: &'static str,
    /// The question.
    pub question: &'static str,
    /// The answer in a word or three.
    pub answer: &'static str,
    /// How it is shown.
    pub tone: Tone,
    /// Why.
    pub reason: String,
    /// What the answer does not prove.
    pub limit: &'static str,
}

/// The four verdicts on a ledger, and the one on approvals.
pub fn verdicts(evidence: &LedgerEvidence) -> [VerdictWords; 5] {
    let integrity = &evidence.figures.integrity;
    let (answer, tone, reason) = match integrity.verdict {
        Verdict::Verified => (
            "verified",
            Tone::Good,
            format!("every hash of {} was recomputed and agrees", entries(evidence.figures.size)),
        ),
        Verdict::Failed => ("FAILED", Tone::Bad, format!("{} found, listed below", findings(integrity.findings_total))),
    };
    let (time_answer, time_tone) = match evidence.time.verdict {
        TimeVerdict::Witnessed => ("witnessed", Tone::Good),
        TimeVerdict::ServerAsserted => ("server's word", Tone::Open),
        TimeVerdict::Failed => ("FAILED", Tone::Bad),
    };
    let judged = |answer: Answer| match answer {
        Answer::Verified => ("verified", Tone::Good),
        Answer::Failed => ("FAILED", Tone::Bad),
        Answer::NotChecked => ("not checked", Tone::Open),
    };
    let (completeness, completeness_tone) = judged(evidence.completeness.verdict);
    let (authorship, authorship_tone) = judged(evidence.authorship.verdict);
    let (approvals, approvals_tone) = judged(evidence.figures.approvals.verdict);
    [
        VerdictWords {
            name: "Integrity",
            question: "Does everything in the source agree with itself?",
            answer,
            tone,
            reason,
            limit: "It does not prove that this is the ledger that others saw: whoever owns the store can rewrite it from \
                    some entry on and recompute every hash after it. It does not prove that what was recorded is true.",
        },
        VerdictWords {
            name: "Completeness",
            question: "Is this all of the ledger that somebody saw before?",
            answer: completeness,
            tone: completeness_tone,
            reason: evidence.completeness.reason.clone(),
            limit: "It reaches as far as the checkpoint that was kept. Entries after it may have been rewritten or cut off \
                    since they were written, and what was never recorded leaves no trace.",
        },
        VerdictWords {
            name: "Authorship",
            question: "Who vouches for it?",
            answer: authorship,
            tone: authorship_tone,
            reason: evidence.authorship.reason.clone(),
            limit: "It proves that the holder of the key signed this root, not who held the key, and not that the same key \
                    signed no other history for somebody else: compare checkpoints with others, or ask for witnesses.",
        },
        VerdictWords {
            name: "Time",
            question: "Since when?",
            answer: time_answer,
            tone: time_tone,
            reason: evidence.time.reason.clone(),
            limit: "A time stamp proves that entries existed by then, not that they were not written shortly before, and \
                    says nothing of entries after it. Times of single entries are always the server's word.",
        },
        VerdictWords {
            name: "Approvals",
            question: "Did anything that needs an approval happen without one?",
            answer: approvals,
            tone: approvals_tone,
            reason: evidence.figures.approvals.reason.clone(),
            limit: "It proves that what is recorded as done was agreed to by the votes that are recorded. Who sat at the \
                    keyboard when a vote without a signature was cast, which roles a voter had, and what was done \
                    outside of the ledger, is the server's word.",
        },
    ]
}

/// `1 entry`, `2,345 entries`.
pub fn entries(count: u64) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{} entries", grouped(count)) }
}

fn findings(count: u64) -> String {
    if count == 1 { "1 fault was".to_owned() } else { format!("{} faults were", grouped(count)) }
}

/// A number with its thousands set apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A finding ready to be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingWords {
    /// The stable code.
    pub code: String,
    /// Position or range.
    pub place: String,
    /// One sentence.
    pub detail: String,
}

/// All findings on a ledger: what the auditor's own evidence shows first, then what is wrong inside.
pub fn all_findings(evidence: &LedgerEvidence) -> Vec<FindingWords> {
    let trust = evidence.findings.iter().map(trust_finding);
    let inside = evidence.figures.integrity.findings.iter().map(inside_finding);
    let approvals = evidence.figures.approvals.findings.iter().map(inside_finding);
    trust.chain(inside).chain(approvals).collect()
}

/// A finding beside the ledger's own integrity.
pub fn trust_finding(finding: &crate::trust::TrustFinding) -> FindingWords {
    let place = match (finding.position, finding.until) {
        (Some(from), Some(until)) if until > from + 1 => format!("positions {from} to {}", until - 1),
        (Some(from), _) => format!("position {from}"),
        _ => "no position".to_owned(),
    };
    FindingWords { code: finding.kind.code(), place, detail: finding.detail.clone() }
}

/// A finding of the engine.
pub fn inside_finding(finding: &crate::report::Finding) -> FindingWords {
    let place = finding.position.map_or_else(|| "no position".to_owned(), |position| format!("position {position}"));
    FindingWords { code: finding.kind.code(), place, detail: finding.detail.clone() }
}
