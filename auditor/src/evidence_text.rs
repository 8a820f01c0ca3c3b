//! The evidence page as plain text: for terminals, mails and files that must open for ever.

use std::fmt::{self, Write as _};

use crate::checkpoint::SignatureOutcome;
use crate::examine::Examination;
use crate::judge::moment;
use crate::trust::{CheckpointFacts, LedgerEvidence, UNVOUCHED};
use crate::words::{FindingWords, all_findings, entries, grouped, inside_finding, trust_finding, verdicts};

const WIDTH: usize = 100;

/// The verdicts and findings; with `explain` also what each verdict does not prove, checkpoints, keys and anchors.
pub fn render(examination: &Examination, explain: bool) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, examination, explain);
    printable(&text)
}

fn write(text: &mut String, examination: &Examination, explain: bool) -> fmt::Result {
    if explain {
        writeln!(text, "EVIDENCE ON {}", examination.source)?;
        writeln!(text, "examined {} with {}", examination.examined_at, examination.software)?;
        writeln!(text)?;
    }
    for evidence in &examination.ledgers {
        ledger(text, evidence, explain)?;
        writeln!(text)?;
    }
    if examination.ledgers.is_empty() {
        writeln!(text, "The source holds no ledger that was asked for.")?;
    }
    for finding in examination.missing.iter().map(trust_finding) {
        found(text, &finding)?;
    }
    for finding in examination.store_findings.iter().map(inside_finding) {
        found(text, &finding)?;
    }
    let outcome = match examination.holds() {
        true if examination.is_unvouched() => format!("nothing failed, but without --keys {UNVOUCHED}"),
        true => "nothing failed".to_owned(),
        false => "FAILED".to_owned(),
    };
    writeln!(text, "{}: {outcome}, in {:.2} s", examination.source, examination.seconds)
}

fn ledger(text: &mut String, evidence: &LedgerEvidence, explain: bool) -> fmt::Result {
    let figures = &evidence.figures;
    writeln!(text, "ledger {}", figures.ledger_id)?;
    for verdict in verdicts(evidence) {
        wrapped(text, &format!("  {:<14}{}: ", verdict.name.to_lowercase(), verdict.answer), &verdict.reason)?;
        if explain {
            wrapped(text, "                  does not prove: ", verdict.limit)?;
        }
    }
    for finding in all_findings(evidence) {
        found(text, &finding)?;
    }
    let listed = u64::try_from(figures.integrity.findings.len()).unwrap_or(u64::MAX);
    if figures.integrity.findings_total > listed {
        writeln!(text, "  and {} more faults inside", grouped(figures.integrity.findings_total - listed))?;
    }
    let approvals = &figures.approvals;
    let listed = u64::try_from(approvals.findings.len()).unwrap_or(u64::MAX);
    if approvals.findings_total > listed {
        writeln!(text, "  and {} more faults of approvals", grouped(approvals.findings_total - listed))?;
    }
    for observed in &approvals.observations {
        wrapped(text, &format!("  observed at position {}: ", observed.position), &observed.detail)?;
    }
    for left_out in figures.integrity.not_evaluated.iter().chain(&approvals.not_evaluated) {
        wrapped(text, "  not evaluated ", left_out)?;
    }
    let payloads = &figures.payloads;
    writeln!(
        text,
        "  payloads      {} present, {} erased, {} pruned, {} missing",
        grouped(payloads.present),
        grouped(payloads.erased),
        grouped(payloads.pruned),
        grouped(payloads.missing)
    )?;
    writeln!(
        text,
        "  size          {} in {} streams, {} seals, {} tiles compared",
        entries(figures.size),
        grouped(figures.streams),
        grouped(figures.seals),
        grouped(figures.tiles)
    )?;
    if let Some(part) = &figures.part {
        let chosen = if part.selection.is_some() { "chosen from the " } else { "" };
        writeln!(text, "  part          {chosen}entries {} to {}", part.from, part.to.saturating_sub(1))?;
    }
    writeln!(text, "  hash          {}", figures.hash.as_deref().unwrap_or("-"))?;
    writeln!(text, "  root          {}", figures.root.as_deref().unwrap_or("-"))?;
    if let Some(witnessed) = &evidence.witnesses {
        let outcome = if witnessed.reached { "reached" } else { "NOT reached" };
        writeln!(text, "  witnesses     quorum {} {outcome}", witnessed.quorum)?;
        for witness in &witnessed.witnesses {
            let when = match (&witness.invalid, witness.cosigned_at) {
                (Some(why), _) => format!("INVALID: {why}"),
                (None, Some(time)) => format!("cosigned at {}", moment(time.saturating_mul(1_000_000))),
                (None, None) => "did not cosign".to_owned(),
            };
            writeln!(text, "                {} ({}): {when}", witness.witness, witness.key_name)?;
        }
    }
    if explain { details(text, evidence) } else { Ok(()) }
}

fn details(text: &mut String, evidence: &LedgerEvidence) -> fmt::Result {
    if let (Some(first), Some(last)) = (evidence.time.first_recorded_at, evidence.time.last_recorded_at) {
        writeln!(text, "  recorded      {} to {} (server's word)", moment(first), moment(last))?;
    }
    writeln!(text, "\n  CHECKPOINTS ({} presented by the source)", grouped(evidence.presented_checkpoints))?;
    for one in &evidence.checkpoints {
        writeln!(text, "    size {} of {}, {}", grouped(one.size), one.origin, one.provenance.words())?;
        writeln!(text, "      root {}: {}", one.root, comparison(one))?;
        for check in one.signers.iter().flat_map(|signers| &signers.checks) {
            writeln!(text, "      signature {}+{}: {}", check.name, check.key_id, outcome_words(check.outcome))?;
        }
    }
    if let Some(newest) = evidence.checkpoints.first() {
        writeln!(text, "\n    its note, to be kept:\n")?;
        newest.note.lines().try_for_each(|line| writeln!(text, "      {line}"))?;
    }
    writeln!(text, "\n  KEYS")?;
    for key in &evidence.keys {
        let whose = if key.trusted { "given by the auditor" } else { "named by the ledger only: counts for nothing" };
        writeln!(text, "    {} ({}, {whose})", key.verifier_key, key.algorithm)?;
        let (from, until) = (key.from.as_deref().unwrap_or("-"), key.until.as_deref().unwrap_or("-"));
        writeln!(text, "      from {from} until {until}")?;
    }
    writeln!(text, "\n  TIME STAMPS ({} in the ledger)", grouped(evidence.time.anchors_total))?;
    for anchor in &evidence.time.anchors {
        let when = anchor.generated_at.as_deref().unwrap_or("no time");
        writeln!(text, "    position {}: {when}: {}", anchor.position, anchor.detail)?;
    }
    Ok(())
}

/// How a checkpoint compares with the entries.
pub fn comparison(one: &CheckpointFacts) -> &'static str {
    match (&one.recomputed_root, one.reached) {
        (Some(root), _) if *root == one.root => "the entries come to it",
        (Some(_), _) => "the entries come to ANOTHER root",
        (None, false) => "the ledger is SHORTER",
        (None, true) => "not recomputed",
    }
}

/// What became of a signature, in words.
pub fn outcome_words(outcome: SignatureOutcome) -> &'static str {
    match outcome {
        SignatureOutcome::Valid => "valid, by a trusted key",
        SignatureOutcome::ValidAtUnknownTime => "valid, but made at an unknown time by a key of limited validity",
        SignatureOutcome::Expired => "made OUTSIDE of the key's validity",
        SignatureOutcome::Invalid => "INVALID",
        SignatureOutcome::UnknownKey => "by a key that the auditor does not know",
    }
}

fn found(text: &mut String, finding: &FindingWords) -> fmt::Result {
    wrapped(text, &format!("  {} at {}: ", finding.code, finding.place), &finding.detail)
}

/// A paragraph that hangs below its first word.
fn wrapped(text: &mut String, lead: &str, body: &str) -> fmt::Result {
    let indent = " ".repeat(lead.chars().take_while(|character| *character == ' ').count().max(2) + 14);
    let mut line = lead.to_owned();
    for word in body.split_whitespace() {
        if line.chars().count() + word.chars().count() > WIDTH && line.trim() != "" {
            writeln!(text, "{}", line.trim_end())?;
            line.clone_from(&indent);
        }
        line.push_str(word);
        line.push(' ');
    }
    writeln!(text, "{}", line.trim_end())
}

/// What a source wrote must not move a terminal's cursor or hide what follows.
pub fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let hidden = (character.is_control() && character != '\n')
                || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            let escaped: Box<dyn Iterator<Item = char>> =
                if hidden { Box::new(character.escape_unicode()) } else { Box::new(std::iter::once(character)) };
            escaped
        })
        .collect()
}
