//! `replay`: what was known of one stream at some time, folded from its entries.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use chrono::{DateTime, NaiveDate};
use clap::Args;
use cqrs_es::Aggregate as _;
use daybook_auditor::judge::moment;
use daybook_auditor::report::PayloadState;
use daybook_auditor::sealed::{Erasures, Subject};
use daybook_auditor::seen::{EntrySeen, EntryViewer};
use daybook_auditor::trust::Brought;
use daybook_domain::{
    AnyEvent, ApiKey, Approval, ApprovalPolicy, Delegation, Department, Erasure, Export, ExportSchedule, Incident,
    LegalHold, Organization, Permission, RetentionRule, Role, Session, Transaction, User,
};
use serde::Serialize;

use super::{SourceArguments, examined, write_json, write_out};

/// Most entries of a stream that are listed; all are folded.
const MAX_LISTED: usize = 10_000;

/// Fold a stream to what was known then, and list the entries it comes from
///
///   daybook-auditor replay data --state transaction/TX-1001 --at 2026-11-21T10:00:00Z
///
/// All entries of the ledger are verified on the way. A stream of a type that this program does not
/// know is listed entry by entry. Exit codes: 0 intact; 1 the ledger is not intact, or there is no such
/// stream; 2 it cannot be read.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    #[command(flatten)]
    source: SourceArguments,
    /// The stream
    #[arg(long, value_name = "STREAM_TYPE/STREAM_ID")]
    state: String,
    /// Only what had been recorded by then: RFC 3339, or a date for the end of that day (UTC)
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Outcome {
    ledger_id: String,
    stream_type: String,
    stream_id: String,
    /// Only entries recorded by then were folded, RFC 3339.
    at: Option<String>,
    /// Version of the last entry that was folded.
    version: u64,
    /// What the entries come to. None where the stream's type is not known.
    state: Option<serde_json::Value>,
    /// Why there is no state, or why it may not be whole.
    notes: Vec<String>,
    /// Whether the whole ledger's integrity was verified.
    intact: bool,
    /// How many entries were folded.
    entries_total: u64,
    entries: Vec<Listed>,
}

#[derive(Debug, Serialize)]
struct Listed {
    position: u64,
    version: u64,
    event_type: String,
    schema_version: u64,
    recorded_at: String,
    actor: String,
    hash: String,
    /// `erased` where a key to values in it was destroyed by now, whatever `--at` says.
    payload_state: PayloadState,
    #[serde(skip)]
    sealed_for: Vec<Subject>,
    /// Only where the stream could not be folded.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
}

/// The fold of a stream of a known type, so far.
macro_rules! folds {
    ($($stream_type:literal => $aggregate:ident),+ $(,)?) => {
        enum Fold {
            $($aggregate(Box<$aggregate>),)+
            Unknown,
        }

        impl Fold {
            fn of(stream_type: &str) -> Self {
                match stream_type {
                    $($stream_type => Self::$aggregate(Box::default()),)+
                    _ => Self::Unknown,
                }
            }

            /// False where the event is of another stream.
            fn apply(&mut self, event: AnyEvent) -> bool {
                match (self, event) {
                    $((Self::$aggregate(state), AnyEvent::$aggregate(event)) => state.apply(event),)+
                    _ => return false,
                }
                true
            }

            /// None where the type is not known.
            fn state(&self) -> Option<serde_json::Result<serde_json::Value>> {
                match self {
                    $(Self::$aggregate(state) => Some(serde_json::to_value(state)),)+
                    Self::Unknown => None,
                }
            }
        }
    };
}

folds! {
    "transaction" => Transaction,
    "incident" => Incident,
    "organization" => Organization,
    "department" => Department,
    "role" => Role,
    "permission" => Permission,
    "user" => User,
    "session" => Session,
    "api_key" => ApiKey,
    "legal_hold" => LegalHold,
    "erasure" => Erasure,
    "approval_policy" => ApprovalPolicy,
    "delegation" => Delegation,
    "approval" => Approval,
    "export" => Export,
    "export_schedule" => ExportSchedule,
    "retention_rule" => RetentionRule,
}

struct Collected {
    outcome: Outcome,
    fold: Fold,
    erasures: Erasures,
}

impl Collected {
    fn entry(&mut self, entry: &EntrySeen<'_>) {
        let (event_type, schema_version) = entry.event();
        let (kind, id) = entry.actor();
        let payload = entry.payload().map(|payload| String::from_utf8_lossy(payload).into_owned());
        let decoded = payload
            .as_deref()
            .map(|payload| daybook_domain::decode(&self.outcome.stream_type, event_type, schema_version, payload));
        match decoded {
            _ if matches!(self.fold, Fold::Unknown) => {}
            None => self.note(entry, "its payload is gone, and the state does not hold it"),
            Some(Err(error)) => self.note(entry, &error.to_string()),
            Some(Ok(event)) => {
                if !self.fold.apply(event) {
                    self.note(entry, "it is an event of another stream");
                }
            }
        }
        self.outcome.version = entry.version();
        self.outcome.entries_total += 1;
        if self.outcome.entries.len() < MAX_LISTED {
            self.outcome.entries.push(Listed {
                position: entry.position(),
                version: entry.version(),
                event_type: event_type.to_owned(),
                schema_version,
                recorded_at: moment(entry.recorded_at()),
                actor: format!("{kind}:{id}"),
                hash: hex::encode(entry.hash()),
                payload_state: if payload.is_some() { PayloadState::Present } else { PayloadState::Missing },
                sealed_for: entry.sealed_for(),
                payload: if matches!(self.fold, Fold::Unknown) { payload } else { None },
            });
        }
    }

    /// When all entries have been shown: what of the payloads was erased.
    fn judge_payloads(&mut self) {
        for listed in &mut self.outcome.entries {
            if listed.payload_state == PayloadState::Present && self.erasures.cover(&listed.sealed_for) {
                listed.payload_state = PayloadState::Erased;
            }
        }
        let erased = self.outcome.entries.iter().filter(|listed| listed.payload_state == PayloadState::Erased).count();
        if erased > 0 {
            self.outcome.notes.push(format!(
                "{erased} payloads hold sealed values of which the key was destroyed: what those said, nobody can read"
            ));
        }
        if self.erasures.left_out() > 0 {
            self.outcome.notes.push("there are more erasures than are told apart here".to_owned());
        }
    }

    fn note(&mut self, entry: &EntrySeen<'_>, what: &str) {
        if self.outcome.notes.len() < 100 {
            self.outcome.notes.push(format!("entry at position {}: {what}", entry.position()));
        }
    }
}

/// Folds and prints.
pub async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let Some((stream_type, stream_id)) = arguments.state.split_once('/') else {
        bail!("--state is STREAM_TYPE/STREAM_ID, such as transaction/TX-1001");
    };
    let at = arguments.at.as_deref().map(end_of).transpose()?;
    let ledger = arguments.source.one_ledger().to_owned();
    let fold = Fold::of(stream_type);
    let outcome = Outcome {
        ledger_id: ledger.clone(),
        stream_type: stream_type.to_owned(),
        stream_id: stream_id.to_owned(),
        at: at.map(moment),
        ..Outcome::default()
    };
    let collected = Arc::new(Mutex::new(Collected { outcome, fold, erasures: Erasures::default() }));
    let (collector, wanted) = (Arc::clone(&collected), (ledger.clone(), stream_type.to_owned(), stream_id.to_owned()));
    let viewer = EntryViewer::new(move |entry| {
        let stream = (wanted.1.as_str(), wanted.2.as_str());
        if entry.ledger_id() != wanted.0 {
            return;
        }
        if let Some(subject) = entry.erases() {
            collector.lock().unwrap_or_else(PoisonError::into_inner).erasures.add(subject);
        }
        if entry.stream() == stream && at.is_none_or(|at| entry.recorded_at() <= at) {
            collector.lock().unwrap_or_else(PoisonError::into_inner).entry(entry);
        }
    });
    let source = arguments.source.with_ledger(&ledger);
    let examination = examined(&source, &Brought::default(), Some(viewer)).await?;
    let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
    collected.judge_payloads();
    let state = collected.fold.state();
    let outcome = &mut collected.outcome;
    outcome.intact = examination.store_findings.is_empty()
        && examination.ledgers.iter().all(|one| one.figures.integrity.findings_total == 0);
    if outcome.entries_total == 0 {
        write_out(None, &format!("there is no entry of {} by then\n", arguments.state))?;
        return Ok(false);
    }
    outcome.state = state.transpose().context("the state")?;
    if outcome.state.is_none() {
        outcome.notes.push(format!("streams of type {stream_type:?} are not folded here: their entries are listed"));
    }
    if !outcome.intact {
        outcome.notes.push("the ledger is not intact: `verify` says where. Nothing here is to be relied on".to_owned());
    }
    write_json(None, outcome)?;
    Ok(outcome.intact)
}

/// The last microsecond that counts.
fn end_of(text: &str) -> anyhow::Result<u64> {
    let micros = if let Ok(date) = text.parse::<NaiveDate>() {
        let next = date.succ_opt().and_then(|next| next.and_hms_opt(0, 0, 0)).context("--at is out of range")?;
        next.and_utc().timestamp_micros() - 1
    } else {
        DateTime::parse_from_rfc3339(text).context("--at is neither RFC 3339 nor a date")?.timestamp_micros()
    };
    u64::try_from(micros).context("--at is before 1970")
}
