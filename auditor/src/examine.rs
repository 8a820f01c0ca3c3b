//! One examination of a source: verified by the engine, then judged ledger by ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

use crate::cell::Digest;
use crate::checkpoint::Checkpoint;
use crate::judge::{Presented, judge};
use crate::keys::TrustedKey;
use crate::memory::Memory;
use crate::peek::{Peeked, peek};
use crate::report::{Finding, FindingKind, LedgerReport};
use crate::seen::EntryViewer;
use crate::source::{Progress, Source, SourceError, TileRoots, VerifyOptions, verify};
use crate::trust::{Brought, LedgerEvidence, TrustFinding};

/// Everything that an examination brought to light: what the evidence page is made from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Examination {
    /// `daybook-evidence-v1`.
    pub format: &'static str,
    /// `verified` where nothing failed, else `failed`. What was not checked has not failed.
    pub verdict: &'static str,
    /// Where the ledgers were read from, without passwords.
    pub source: String,
    /// When, by the clock of the machine that examined it, RFC 3339.
    pub examined_at: String,
    /// Which program examined it.
    pub software: String,
    /// One a ledger.
    pub ledgers: Vec<LedgerEvidence>,
    /// What is wrong with the source as a whole.
    pub store_findings: Vec<Finding>,
    /// Ledgers that the auditor knows of and the source does not have.
    pub missing: Vec<TrustFinding>,
    /// How long it took.
    pub seconds: f64,
    #[serde(skip)]
    reports: Vec<LedgerReport>,
    #[serde(skip)]
    tile_roots: BTreeMap<String, Vec<Digest>>,
    #[serde(skip)]
    peeked: Peeked,
}

/// What to examine. Without `Debug`: addresses may hold passwords.
#[derive(Clone)]
pub struct Assignment {
    /// Where to read.
    pub source: Source,
    /// How to name the source in reports: without passwords.
    pub label: String,
    /// One ledger, or all of them.
    pub ledger: Option<String>,
    /// Most findings listed for one ledger.
    pub max_findings: usize,
    /// Is shown every entry.
    pub viewer: Option<EntryViewer>,
}

/// Examines a source. An error means that it could not be read, never that something is wrong with it.
pub async fn examine(
    assignment: Assignment,
    brought: &Brought,
    progress: impl FnMut(Progress),
) -> Result<Examination, SourceError> {
    let peeked = peek(&assignment.source, assignment.ledger.as_deref()).await?;
    let mut states_at = brought.sizes();
    states_at.extend(peeked.values().flat_map(|peek| peek.sizes.iter().copied()));
    states_at.sort_unstable();
    states_at.dedup();
    let collected: Arc<Mutex<BTreeMap<String, Vec<Digest>>>> = Arc::default();
    let collector = Arc::clone(&collected);
    let options = VerifyOptions {
        ledger: assignment.ledger.clone(),
        max_findings: assignment.max_findings,
        states_at,
        tile_roots: Some(TileRoots::new(move |ledger, index, root| {
            let mut collected = collector.lock().unwrap_or_else(PoisonError::into_inner);
            match collected.get_mut(ledger) {
                Some(roots) => {
                    // A second reading begins again with the first tile.
                    roots.truncate(usize::try_from(index).unwrap_or(usize::MAX));
                    roots.push(root);
                }
                None => {
                    collected.insert(ledger.to_owned(), vec![root]);
                }
            }
        })),
        entries: assignment.viewer,
        ..VerifyOptions::default()
    };
    let is_copy = matches!(assignment.source, Source::Bundle(_));
    let verified = verify(assignment.source, options, progress).await;
    let tile_roots = std::mem::take(&mut *collected.lock().unwrap_or_else(PoisonError::into_inner));
    let report = match verified {
        Ok(report) => report,
        // A ledger that is gone is a finding for somebody who has seen it.
        Err(SourceError::NoLedger(ledger)) if knows(brought, &ledger, &assignment.label) => crate::report::Report {
            ledgers: Vec::new(),
            findings: Vec::new(),
            entries: 0,
            seconds: 0.0,
            entries_per_second: 0.0,
        },
        Err(error) => return Err(error),
    };
    let brought = &of_this_source(brought, &report.ledgers, &peeked, &assignment.label);
    let ledgers: Vec<LedgerEvidence> = report
        .ledgers
        .iter()
        .map(|ledger| {
            let presented = Presented {
                notes: peeked.get(&ledger.ledger_id).map(|peek| peek.notes.clone()).unwrap_or_default(),
                tile_roots: tile_roots.get(&ledger.ledger_id).cloned().unwrap_or_default(),
                is_copy,
            };
            judge(ledger, &presented, brought)
        })
        .collect();
    let missing = missing(brought, &report.ledgers, assignment.ledger.as_deref());
    let holds = report.findings.is_empty() && missing.is_empty() && ledgers.iter().all(LedgerEvidence::holds);
    Ok(Examination {
        format: "daybook-evidence-v1",
        verdict: if holds { "verified" } else { "failed" },
        source: assignment.label,
        examined_at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        software: format!("daybook-auditor {}", env!("CARGO_PKG_VERSION")),
        ledgers,
        store_findings: report.findings,
        missing,
        seconds: report.seconds,
        reports: report.ledgers,
        tile_roots,
        peeked,
    })
}

impl Examination {
    /// Whether nothing failed.
    pub fn holds(&self) -> bool {
        self.verdict == "verified"
    }

    /// Whether it is a selection of entries that no key was given for.
    pub fn is_unvouched(&self) -> bool {
        self.ledgers.iter().any(LedgerEvidence::is_unvouched)
    }

    /// What the engine reported of a ledger.
    pub fn report(&self, ledger_id: &str) -> Option<&LedgerReport> {
        self.reports.iter().find(|report| report.ledger_id == ledger_id)
    }

    /// Roots of a ledger's complete tiles of 256 entries.
    pub fn tile_roots(&self, ledger_id: &str) -> &[Digest] {
        self.tile_roots.get(ledger_id).map(Vec::as_slice).unwrap_or_default()
    }

    /// What the source presented of itself.
    pub fn peeked(&self) -> &Peeked {
        &self.peeked
    }
}

/// Leaves out memories of other logs. One is of this source where its origin is named here, where it comes from here, or
/// where the trusted keys name one log of that ledger id and it is this one: a copy whose checkpoints were taken out does
/// not get away by saying nothing.
fn of_this_source(brought: &Brought, reports: &[LedgerReport], peeked: &Peeked, label: &str) -> Brought {
    let parse = |note: &String| Checkpoint::parse(note.as_bytes()).ok().map(|checkpoint| checkpoint.origin);
    let peeked = peeked.values().flat_map(|peek| &peek.notes).filter_map(parse);
    let stored = reports.iter().flat_map(|report| &report.stored_checkpoints).filter_map(|stored| parse(&stored.note));
    let parts = reports.iter().filter_map(|report| parse(report.part.as_ref()?.checkpoint.as_ref()?));
    let given = brought.checkpoint.iter().map(|given| given.origin.clone());
    let origins: BTreeSet<String> = given.chain(peeked).chain(stored).chain(parts).collect();
    let keys = brought.trusted_keys().unwrap_or_default();
    let trusted: BTreeSet<&str> = keys.keys().iter().filter_map(TrustedKey::name).collect();
    let is_only_log = |memory: &Memory| {
        let same_id = trusted.iter().filter(|name| name.rsplit('/').next() == Some(memory.ledger_id.as_str()));
        trusted.contains(memory.origin.as_str())
            && same_id.count() == 1
            && reports.iter().any(|report| report.ledger_id == memory.ledger_id)
    };
    let mut brought = brought.clone();
    brought.memories.retain(|memory| origins.contains(&memory.origin) || memory.source == label || is_only_log(memory));
    brought
}

fn knows(brought: &Brought, ledger: &str, label: &str) -> bool {
    brought.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.ledger_id() == ledger)
        || brought.memories.iter().any(|memory| memory.ledger_id == ledger && memory.source == label)
}

fn missing(brought: &Brought, found: &[LedgerReport], asked: Option<&str>) -> Vec<TrustFinding> {
    let given = brought.checkpoint.iter().map(|given| (given.ledger_id().to_owned(), given.size, "given"));
    let remembered = brought.memories.iter().map(|memory| (memory.ledger_id.clone(), memory.size, "remembered"));
    given
        .chain(remembered)
        .filter(|(ledger, _, _)| asked.is_none_or(|asked| asked == ledger))
        .filter(|(ledger, _, _)| found.iter().all(|report| report.ledger_id != *ledger))
        .map(|(ledger, size, how)| {
            let detail =
                format!("the {how} checkpoint states {size} entries of ledger {ledger:?}, and there is no such ledger");
            TrustFinding::over(FindingKind::LedgerTruncated, 0..size, detail)
        })
        .collect()
}
