//! What the check of approvals says: figures, faults and observations.

use serde::Serialize;

use super::people::People;
use super::policies::Policies;
use crate::report::{Finding, FindingKind, Findings};
use crate::trust::Answer;

/// Observations that are listed.
const MAX_OBSERVATIONS: usize = 100;

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ApprovalCounts {
    /// Requests for approval.
    pub requests: u64,
    /// Times that a request was granted by votes, or by a policy that asks nobody.
    pub granted: u64,
    /// Times that the glass was broken.
    pub broken_glass: u64,
    /// Times that an approval was used.
    pub consumed: u64,
    /// Entries that say that something was done which needs an approval, each compared with its own.
    pub gated_actions: u64,
    /// Votes, those of reviews included.
    pub votes: u64,
    /// Votes that carry a signature.
    pub signed_votes: u64,
    /// Signatures of votes that verify.
    pub verified_signatures: u64,
}

/// Something that is no fault, and that whoever reads the report should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Observation {
    /// Position of the entry that it is about.
    pub position: u64,
    /// One sentence for people.
    pub detail: String,
}

/// Did anything that needs an approval happen without one?
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Approvals {
    /// Not checked where only a part of the ledger is there, or its entries are not intact.
    pub verdict: Answer,
    /// Why, in a sentence.
    pub reason: String,
    /// Figures.
    #[serde(flatten)]
    pub counts: ApprovalCounts,
    /// First position first.
    pub findings: Vec<Finding>,
    /// How many findings there were, listed or not.
    pub findings_total: u64,
    /// First position first; at most a hundred.
    pub observations: Vec<Observation>,
    /// How many observations there were, listed or not.
    pub observations_total: u64,
    /// What was left out.
    pub not_evaluated: Vec<String>,
}

impl Approvals {
    /// Nothing was checked.
    pub(crate) fn not_checked(reason: &str) -> Self {
        Self {
            verdict: Answer::NotChecked,
            reason: reason.to_owned(),
            counts: ApprovalCounts::default(),
            findings: Vec::new(),
            findings_total: 0,
            observations: Vec::new(),
            observations_total: 0,
            not_evaluated: Vec::new(),
        }
    }
}

/// What is gathered on the way.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) counts: ApprovalCounts,
    pub(super) findings: Findings,
    pub(super) observations: Vec<Observation>,
    pub(super) observations_total: u64,
}

impl Told {
    pub(super) fn new(max_findings: usize) -> Self {
        Self {
            counts: ApprovalCounts::default(),
            findings: Findings::new(max_findings),
            observations: Vec::new(),
            observations_total: 0,
        }
    }

    pub(super) fn observe(&mut self, position: u64, detail: String) {
        self.observations_total += 1;
        self.observations.push(Observation { position, detail });
        if self.observations.len() >= MAX_OBSERVATIONS * 2 {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.observations.sort_by_key(|one| one.position);
        self.observations.truncate(MAX_OBSERVATIONS);
    }

    pub(super) fn into_report(mut self, not_evaluated: Vec<String>) -> Approvals {
        self.settle();
        let counts = self.counts;
        let findings_total = self.findings.total();
        let (verdict, reason) = match (findings_total, counts) {
            (1.., _) => (Answer::Failed, format!("faults of approvals: {findings_total}, listed below")),
            (0, ApprovalCounts { requests: 0, gated_actions: 0, .. }) => {
                (Answer::Verified, "nothing that needs an approval is recorded".to_owned())
            }
            (0, counts) => (
                Answer::Verified,
                format!(
                    "actions that need an approval: {}, and each has one; votes counted again: {}, of which signed: {}, \
                     and every signature verifies",
                    counts.gated_actions, counts.votes, counts.signed_votes
                ),
            ),
        };
        Approvals {
            verdict,
            reason,
            counts,
            findings: self.findings.into_sorted(),
            findings_total,
            observations: self.observations,
            observations_total: self.observations_total,
            not_evaluated,
        }
    }
}

/// One entry, and what is known when it comes.
pub(super) struct Context<'a> {
    pub(super) position: u64,
    pub(super) recorded_at: u64,
    pub(super) people: &'a People,
    pub(super) policies: &'a Policies,
    pub(super) told: &'a mut Told,
}

impl Context<'_> {
    pub(super) fn fault(&mut self, kind: FindingKind, detail: String) {
        self.told.findings.at(self.position, kind, detail);
    }
}
