//! `diff`: how two checkpoints of one log stand to each other.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use daybook_auditor::checkpoint::Checkpoint;
use daybook_auditor::trust::Brought;
use daybook_auditor::{FindingKind, TrustFinding};
use serde::Serialize;

use super::{KeyArguments, SourceArguments, examined, parsed, write_json, write_out};

/// Compare two checkpoints: the same, one continues the other, or a fork
///
///   daybook-auditor diff mine.txt yours.txt --source data --keys keys.txt
///
/// Two checkpoints of one size show a fork by themselves. Where sizes differ, a source shows whether its
/// entries come to both. Exit codes: 0 the same or continued; 1 a fork, or not comparable; 2 cannot be read.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// One checkpoint
    checkpoint_a: PathBuf,
    /// The other checkpoint
    checkpoint_b: PathBuf,
    /// Where the entries are, to compare checkpoints of different sizes
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Bearer token for a server
    #[arg(long, env = "DAYBOOK_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    #[command(flatten)]
    keys: KeyArguments,
    /// The outcome as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Relation {
    Same,
    AIsPrefixOfB,
    BIsPrefixOfA,
    Fork,
    NotComparable,
}

#[derive(Debug, Serialize)]
struct Outcome {
    relation: Relation,
    reason: String,
    /// Whether trusted keys signed both. None without keys.
    both_signed: Option<bool>,
    findings: Vec<TrustFinding>,
}

/// Compares and prints.
pub async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let read = |path: &Path| parsed(Some(path), Checkpoint::parse)?.context("no checkpoint");
    let (a, b) = (read(&arguments.checkpoint_a)?, read(&arguments.checkpoint_b)?);
    let brought = arguments.keys.read()?;
    let keys = brought.trusted_keys();
    let is_signed = |checkpoint: &Checkpoint| keys.as_ref().map(|keys| checkpoint.judge(keys, None).signer().is_some());
    let both_signed = is_signed(&a).zip(is_signed(&b)).map(|(a, b)| a && b);
    let (relation, reason) = relate(&arguments, &a, &b).await?;
    let mut findings = Vec::new();
    if relation == Relation::Fork && both_signed == Some(true) {
        let detail = "trusted keys signed both: the log showed two histories";
        findings.push(TrustFinding::over(FindingKind::Fork, 0..a.size.min(b.size), detail));
    }
    for (name, checkpoint) in [("A", &a), ("B", &b)] {
        if is_signed(checkpoint) == Some(false) {
            let detail = format!("no trusted key signed checkpoint {name}");
            findings.push(TrustFinding::new(FindingKind::KeyUnknown, detail));
        }
    }
    let good = !matches!(relation, Relation::Fork | Relation::NotComparable) && findings.is_empty();
    let outcome = Outcome { relation, reason, both_signed, findings };
    if arguments.json {
        write_json(None, &outcome)?;
        return Ok(good);
    }
    let words = match relation {
        Relation::Same => "the same",
        Relation::AIsPrefixOfB => "B continues A",
        Relation::BIsPrefixOfA => "A continues B",
        Relation::Fork => "FORK",
        Relation::NotComparable => "not comparable",
    };
    let mut text = format!("{words}: {}\n", outcome.reason);
    if keys.is_none() {
        text.push_str("signatures were not checked: no keys were given\n");
    }
    for finding in &outcome.findings {
        text.push_str(&format!("{}: {}\n", finding.kind.code(), finding.detail));
    }
    write_out(None, &text)?;
    Ok(good)
}

async fn relate(arguments: &Arguments, a: &Checkpoint, b: &Checkpoint) -> anyhow::Result<(Relation, String)> {
    if a.origin != b.origin {
        return Ok((Relation::NotComparable, format!("they are of {:?} and of {:?}", a.origin, b.origin)));
    }
    if a.size == b.size {
        return Ok(if a.root == b.root {
            (Relation::Same, format!("one root over {} entries", a.size))
        } else {
            (Relation::Fork, format!("two roots over {} entries", a.size))
        });
    }
    let Some(source) = &arguments.source else {
        let reason = "their sizes differ: name a --source whose entries show whether one continues the other";
        return Ok((Relation::NotComparable, reason.to_owned()));
    };
    let ledger = a.ledger_id().to_owned();
    let source = SourceArguments {
        source: source.clone(),
        ledger: Some(ledger.clone()),
        token: arguments.token.clone(),
        max_findings: 1,
    };
    let (small, large) = if a.size < b.size { (a, b) } else { (b, a) };
    let brought = Brought { extra_sizes: vec![small.size, large.size], ..Brought::default() };
    let examination = examined(&source, &brought, None).await?;
    let report = examination.report(&ledger).with_context(|| format!("the source has no ledger {ledger}"))?;
    let holds = |checkpoint: &Checkpoint| {
        let state = report.states.iter().find(|state| state.size == checkpoint.size)?;
        Some(*state.root.as_ref()? == hex::encode(checkpoint.root))
    };
    let prefix = if a.size < b.size { Relation::AIsPrefixOfB } else { Relation::BIsPrefixOfA };
    Ok(match (holds(small), holds(large)) {
        (Some(true), Some(true)) => {
            (prefix, format!("the source's first {} and first {} entries come to them", small.size, large.size))
        }
        (Some(false), Some(true)) => {
            let reason =
                "the source's entries come to the larger one, and begin with another tree than the smaller one";
            (Relation::Fork, reason.to_owned())
        }
        (Some(true), Some(false)) => {
            let reason = "the source's entries come to the smaller one, but go on otherwise than the larger one";
            (Relation::NotComparable, reason.to_owned())
        }
        (Some(false), Some(false)) => (Relation::NotComparable, "the source's entries come to neither".to_owned()),
        _ => (Relation::NotComparable, "the source does not hold all entries that they cover, intact".to_owned()),
    })
}
