//! The evidence page as one HTML file: no script, nothing loaded from elsewhere, to be printed or handed on as it is.
//!
//! Whatever the source wrote is escaped where it enters the page: nothing of it is markup.

use std::fmt::{self, Write};

use crate::evidence_text::{comparison, outcome_words};
use crate::examine::Examination;
use crate::gate::ApprovalCounts;
use crate::judge::moment;
use crate::trust::{LedgerEvidence, UNVOUCHED};
use crate::words::{FindingWords, Tone, all_findings, entries, grouped, inside_finding, trust_finding, verdicts};

const STYLE: &str = include_str!("evidence.css");

/// The whole file.
pub fn render(examination: &Examination) -> String {
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = write_page(&mut page, examination);
    page
}

/// Text that cannot be markup, and whose invisible characters are shown.
struct Safe<'a>(&'a str);

impl fmt::Display for Safe<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => formatter.write_str("&amp;")?,
                '<' => formatter.write_str("&lt;")?,
                '>' => formatter.write_str("&gt;")?,
                '"' => formatter.write_str("&quot;")?,
                '\'' => formatter.write_str("&#39;")?,
                '\n' => formatter.write_char('\n')?,
                '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
                    write!(formatter, "{}", character.escape_unicode())?;
                }
                control if control.is_control() => write!(formatter, "{}", control.escape_unicode())?,
                other => formatter.write_char(other)?,
            }
        }
        Ok(())
    }
}

fn write_page(page: &mut String, examination: &Examination) -> fmt::Result {
    let source = Safe(&examination.source);
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>Evidence on {source}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>Evidence on a ledger</h1>\n<dl class=\"meta\">\n"
    )?;
    for (name, value) in [
        ("Source", examination.source.as_str()),
        ("Examined", examination.examined_at.as_str()),
        ("With", examination.software.as_str()),
    ] {
        writeln!(page, "<dt>{name}</dt><dd>{}</dd>", Safe(value))?;
    }
    let total: u64 = examination.ledgers.iter().map(|ledger| ledger.figures.size).sum();
    let (tone, outcome) = match examination.holds() {
        true if examination.is_unvouched() => {
            ("open", format!("Nothing that was checked failed. No keys were given: {UNVOUCHED}."))
        }
        true => ("good", "Nothing that was checked failed.".to_owned()),
        false => ("bad", "Something failed. The findings below name it.".to_owned()),
    };
    writeln!(
        page,
        "<dt>Read</dt><dd>{} in {}, in {:.2} s</dd>\n</dl>\n<p class=\"outcome {tone}\"><strong>{outcome}</strong></p>\n</header>",
        entries(total),
        plural(examination.ledgers.len(), "ledger"),
        examination.seconds
    )?;
    let missing = examination.missing.iter().map(trust_finding);
    let whole: Vec<_> = missing.chain(examination.store_findings.iter().map(inside_finding)).collect();
    if !whole.is_empty() {
        writeln!(page, "<section>\n<h2>The source as a whole</h2>")?;
        findings(page, &whole, 0)?;
        writeln!(page, "</section>")?;
    }
    examination.ledgers.iter().try_for_each(|evidence| ledger(page, evidence))?;
    page.write_str(FOOTER)?;
    page.write_str("</main>\n</body>\n</html>\n")
}

const FOOTER: &str = "<footer>\n<p>This page was made by a program that shares nothing with the one that wrote the ledger \
    but the layout of the bytes that are hashed. It states what was recomputed at the time above, and can be made again \
    from the same source, checkpoint and keys by anybody.</p>\n<p>A <em>checkpoint</em> is a signed statement of the \
    ledger's size and root. The <em>root</em> is one number that all entries flow into: change, leave out or move one \
    entry, and it is another. Keep the checkpoint printed here: with it, a later examination can show whether these \
    entries are still the ones that were seen today.</p>\n</footer>\n";

fn ledger(page: &mut String, evidence: &LedgerEvidence) -> fmt::Result {
    writeln!(page, "<section>\n<h2>Ledger {}</h2>\n<ul class=\"verdicts\">", Safe(&evidence.figures.ledger_id))?;
    for verdict in verdicts(evidence) {
        let (class, sign) = match verdict.tone {
            Tone::Good => ("good", "\u{2713}"),
            Tone::Bad => ("bad", "\u{2717}"),
            Tone::Open => ("open", "\u{25cb}"),
        };
        writeln!(
            page,
            "<li>\n<h4 class=\"{class}\">{} <span class=\"answer\"><span aria-hidden=\"true\">{sign}</span> {}</span></h4>\n\
             <p class=\"question\">{}</p>\n<p>{}.</p>\n<p class=\"limit\"><strong>What this does not prove.</strong> {}</p>\n</li>",
            verdict.name,
            verdict.answer,
            verdict.question,
            Safe(&capitalised(&verdict.reason)),
            verdict.limit
        )?;
    }
    writeln!(page, "</ul>\n<h3>Findings</h3>")?;
    let listed = all_findings(evidence);
    let inside = u64::try_from(evidence.figures.integrity.findings.len()).unwrap_or(u64::MAX);
    let more = evidence.figures.integrity.findings_total.saturating_sub(inside);
    let approvals = &evidence.figures.approvals;
    let of_approvals = u64::try_from(approvals.findings.len()).unwrap_or(u64::MAX);
    findings(page, &listed, more.saturating_add(approvals.findings_total.saturating_sub(of_approvals)))?;
    for observed in &approvals.observations {
        writeln!(page, "<p>Observed at position {}: {}.</p>", observed.position, Safe(&observed.detail))?;
    }
    for left_out in evidence.figures.integrity.not_evaluated.iter().chain(&approvals.not_evaluated) {
        writeln!(page, "<p>Not evaluated: {}.</p>", Safe(left_out))?;
    }
    figures(page, evidence)?;
    checkpoints(page, evidence)?;
    witnesses(page, evidence)?;
    keys(page, evidence)?;
    anchors(page, evidence)?;
    writeln!(page, "</section>")
}

fn findings(page: &mut String, findings: &[FindingWords], more: u64) -> fmt::Result {
    if findings.is_empty() {
        return writeln!(page, "<p>None.</p>");
    }
    open_table(page, "Each with the place it is about, first place first", &["Where", "What", "In words"])?;
    for finding in findings {
        writeln!(
            page,
            "<tr><td>{}</td><td><code>{}</code></td><td>{}</td></tr>",
            Safe(&finding.place),
            Safe(&finding.code),
            Safe(&finding.detail)
        )?;
    }
    close_table(page)?;
    if more > 0 { writeln!(page, "<p>And {} more.</p>", grouped(more)) } else { Ok(()) }
}

fn figures(page: &mut String, evidence: &LedgerEvidence) -> fmt::Result {
    let figures = &evidence.figures;
    let payloads = &figures.payloads;
    let time = |time: Option<u64>| time.map_or_else(|| "\u{2013}".to_owned(), moment);
    let mut rows = vec![
        ("Size", entries(figures.size)),
        ("Streams", grouped(figures.streams)),
        ("First recorded", format!("{} (server's word)", time(evidence.time.first_recorded_at))),
        ("Last recorded", format!("{} (server's word)", time(evidence.time.last_recorded_at))),
        ("Payloads present", grouped(payloads.present)),
        ("Payloads erased", format!("{}: the key to their personal fields was destroyed", grouped(payloads.erased))),
        ("Payloads pruned", format!("{}: removed after their retention", grouped(payloads.pruned))),
        ("Payloads missing", format!("{}: gone, and no entry allows it", grouped(payloads.missing))),
        ("Things that need an approval", grouped(figures.approvals.counts.gated_actions)),
        ("Approvals requested, used", used_of(&figures.approvals.counts)),
        (
            "Votes, signed ones",
            format!("{}, {}", grouped(figures.approvals.counts.votes), grouped(figures.approvals.counts.signed_votes)),
        ),
        ("Seals compared", grouped(figures.seals)),
        ("Tiles compared", grouped(figures.tiles)),
        ("Chain hash", figures.hash.clone().unwrap_or_else(|| "\u{2013}".to_owned())),
        ("Root", figures.root.clone().unwrap_or_else(|| "\u{2013}".to_owned())),
    ];
    if let Some(part) = &figures.part {
        let chosen = if part.selection.is_some() { "chosen from the " } else { "" };
        rows.insert(1, ("Part", format!("{chosen}entries {} to {}", part.from, part.to.saturating_sub(1))));
    }
    writeln!(page, "<h3>Figures</h3>\n<div class=\"table\"><table>\n<tbody>")?;
    for (name, value) in rows {
        writeln!(page, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", Safe(&value))?;
    }
    close_table(page)
}

fn used_of(counts: &ApprovalCounts) -> String {
    format!("{}, {}", grouped(counts.requests), grouped(counts.consumed))
}

fn checkpoints(page: &mut String, evidence: &LedgerEvidence) -> fmt::Result {
    writeln!(page, "<h3>Checkpoints</h3>")?;
    let Some(first) = evidence.checkpoints.first() else { return writeln!(page, "<p>There is none.</p>") };
    let caption =
        format!("{} presented by the source; the ones that matter most", grouped(evidence.presented_checkpoints));
    open_table(page, &caption, &["Size", "Origin and root", "Where from", "Entries", "Signatures"])?;
    for one in &evidence.checkpoints {
        let signatures: Vec<String> = match &one.signers {
            None => vec!["not checked: no keys were given".to_owned()],
            Some(signers) => signers
                .checks
                .iter()
                .map(|check| format!("{}+{}: {}", check.name, check.key_id, outcome_words(check.outcome)))
                .collect(),
        };
        writeln!(
            page,
            "<tr><td>{}</td><td>{}<br><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            grouped(one.size),
            Safe(&one.origin),
            Safe(&one.root),
            one.provenance.words(),
            comparison(one),
            Safe(&signatures.join("\n"))
        )?;
    }
    close_table(page)?;
    writeln!(page, "<p>The first of them, to be kept:</p>\n<pre>{}</pre>", Safe(&first.note))
}

fn witnesses(page: &mut String, evidence: &LedgerEvidence) -> fmt::Result {
    let Some(witnessed) = &evidence.witnesses else { return Ok(()) };
    let outcome = if witnessed.reached { "is reached" } else { "is not reached" };
    writeln!(page, "<h3>Witnesses</h3>")?;
    open_table(page, &format!("Quorum {} {outcome}", witnessed.quorum), &["Witness", "Key", "Cosigned"])?;
    for witness in &witnessed.witnesses {
        let when = match (&witness.invalid, witness.cosigned_at) {
            (Some(why), _) => format!("invalid: {why}"),
            (None, Some(time)) => moment(time.saturating_mul(1_000_000)),
            (None, None) => "no".to_owned(),
        };
        let (name, key) = (Safe(&witness.witness), Safe(&witness.key_name));
        writeln!(page, "<tr><td>{name}</td><td>{key}</td><td>{}</td></tr>", Safe(&when))?;
    }
    close_table(page)
}

fn keys(page: &mut String, evidence: &LedgerEvidence) -> fmt::Result {
    writeln!(page, "<h3>Keys</h3>")?;
    if evidence.keys.is_empty() {
        return writeln!(page, "<p>None was given, and the ledger names none.</p>");
    }
    let caption = "Only keys that the auditor gave count; a key that the ledger names of itself vouches for nothing";
    open_table(page, caption, &["Key", "Kind", "Whose word", "Counts from", "Until"])?;
    for key in &evidence.keys {
        let dash = "\u{2013}";
        writeln!(
            page,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            Safe(&key.verifier_key),
            key.algorithm,
            if key.trusted { "the auditor\u{2019}s" } else { "the ledger\u{2019}s" },
            Safe(key.from.as_deref().unwrap_or(dash)),
            Safe(key.until.as_deref().unwrap_or(dash))
        )?;
    }
    close_table(page)
}

fn anchors(page: &mut String, evidence: &LedgerEvidence) -> fmt::Result {
    writeln!(page, "<h3>Time stamps</h3>")?;
    if evidence.time.anchors.is_empty() {
        return writeln!(page, "<p>The ledger holds none.</p>");
    }
    let caption = format!("{} in the ledger; the newest of them", grouped(evidence.time.anchors_total));
    open_table(page, &caption, &["Position", "Entries", "Stamped", "Authority", "Outcome"])?;
    for anchor in &evidence.time.anchors {
        writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            grouped(anchor.position),
            anchor.size.map_or_else(|| "\u{2013}".to_owned(), grouped),
            Safe(anchor.generated_at.as_deref().unwrap_or("\u{2013}")),
            Safe(anchor.tsa.as_deref().or(anchor.tsa_url.as_deref()).unwrap_or("\u{2013}")),
            Safe(&anchor.detail)
        )?;
    }
    close_table(page)
}

fn open_table(page: &mut String, caption: &str, columns: &[&str]) -> fmt::Result {
    writeln!(page, "<div class=\"table\"><table>\n<caption>{}</caption>\n<thead><tr>", Safe(caption))?;
    columns.iter().try_for_each(|column| writeln!(page, "<th scope=\"col\">{column}</th>"))?;
    writeln!(page, "</tr></thead>\n<tbody>")
}

fn close_table(page: &mut String) -> fmt::Result {
    writeln!(page, "</tbody>\n</table></div>")
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_source_writes_is_markup() {
        let evil = "<script>alert('x')</script> & \"quotes\" \u{202e}\u{0}";
        let safe = Safe(evil).to_string();
        assert!(!safe.contains(['<', '>', '"', '\'', '\u{202e}', '\u{0}']), "{safe}");
        assert!(safe.starts_with("&lt;script&gt;alert(&#39;x&#39;)"), "{safe}");
    }
}
