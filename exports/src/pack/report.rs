//! The report: one HTML file without scripts and without anything from elsewhere, to be read on a screen, printed, filed.
//!
//! Whatever the ledger holds is escaped where it enters the page: nothing of it is markup.

use std::fmt::{self, Write};

use super::css::STYLE;
use super::model::{Fact, Report, Story, StoryLine, VoteLine};
use super::{MAX_DECISIONS, MAX_REMARK_CHARS, MAX_STORIES, MAX_STORY_LINES};

/// The whole file.
pub fn render(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = write_page(&mut page, report);
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
                '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
                | '\u{00ad}'
                | '\u{061c}'
                | '\u{180e}'
                | '\u{feff}' => write!(formatter, "{}", character.escape_unicode())?,
                control if control.is_control() => write!(formatter, "{}", control.escape_unicode())?,
                other => formatter.write_char(other)?,
            }
        }
        Ok(())
    }
}

fn write_page(page: &mut String, report: &Report) -> fmt::Result {
    let matter = Safe(&report.matter);
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>Evidence pack: {matter}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<p class=\"kind\">Evidence pack</p>\n\
         <h1>{matter}</h1>\n<p class=\"lead\">",
    )?;
    lead(page, report)?;
    page.write_str("</p>\n")?;
    facts(page, &report.request)?;
    page.write_str(CONTENTS)?;
    page.write_str("</header>\n")?;
    about(page, report)?;
    agreed(page, report)?;
    contents(page, report)?;
    stories(page, report)?;
    approvals(page, report)?;
    holds(page, report)?;
    people(page, report)?;
    super::report_proof::write(page, &report.proof)?;
    write!(
        page,
        "<footer>\n<p>Made {} by Daybook from the entries in this pack, and from nothing else. Times are UTC. A position is an \
         entry's place in the ledger, counted from 0: with it the entry is found in trail.csv and entries.ndjson.</p>\n</footer>\n\
         </main>\n</body>\n</html>\n",
        Safe(&moment(&report.made_at))
    )
}

const CONTENTS: &str = "<nav aria-label=\"Contents\">\n<ol>\n<li><a href=\"#about\">What this is about</a></li>\n\
    <li><a href=\"#agreed\">Who asked and who agreed</a></li>\n<li><a href=\"#contents\">What is in it</a></li>\n\
    <li><a href=\"#records\">What happened</a></li>\n<li><a href=\"#approvals\">Approvals</a></li>\n\
    <li><a href=\"#holds\">Legal holds</a></li>\n<li><a href=\"#people\">People</a></li>\n\
    <li><a href=\"#proof\">How it is proved</a></li>\n<li><a href=\"#verify\">How to verify it</a></li>\n</ol>\n</nav>\n";

/// What there is, without the request for it and what proves it.
fn lead(page: &mut String, report: &Report) -> fmt::Result {
    let (organization, from) = (Safe(&report.organization), moment(&report.period.0));
    let period = match &report.open_at {
        None => format!("from {from} to {}", moment(&report.period.1)),
        Some((position, at)) => format!("from {from} on, as far as position {position}, recorded at {}", moment(at)),
    };
    let period = Safe(&period);
    let entries = report.entries.saturating_sub(report.own_entries).saturating_sub(report.stamp_entries);
    if entries == 0 {
        return write!(
            page,
            "In the ledger of {organization} nothing was recorded on it, {period}. What is in here is the request for this \
             pack, and what proves it."
        );
    }
    let entries = counted(entries, "entry", "entries");
    let records = counted(records(report).saturating_sub(report.own_records), "record", "records");
    write!(
        page,
        "What the ledger of {organization} has on this matter, {period}: {entries} in {records}, each of them proved."
    )
}

fn records(report: &Report) -> u64 {
    report.records_by_type.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
}

fn about(page: &mut String, report: &Report) -> fmt::Result {
    writeln!(page, "<section id=\"about\">\n<h2>1. What this is about</h2>")?;
    for line in &report.about {
        writeln!(page, "<p>{}</p>", Safe(line))?;
    }
    if let Some((position, at)) = &report.open_at {
        let at = moment(at);
        writeln!(
            page,
            "<p>The period had not ended when this pack was made: it is told as far as position {position}, recorded at {}. What \
             is recorded within the period from then on is in no pack that was made before.</p>",
            Safe(&at)
        )?;
    }
    writeln!(
        page,
        "<p>A record is told from its first entry to how it stood at the end of the period, also where it began before the \
         period: without its beginning its end would not be understood. Of what was recorded later there is in here only: the \
         request for this pack and its approval; what became of the legal holds on something in here, such as that they were \
         extended or released; and time stamps over these entries.</p>\n</section>"
    )
}

fn agreed(page: &mut String, report: &Report) -> fmt::Result {
    writeln!(page, "<section id=\"agreed\">\n<h2>2. Who asked and who agreed</h2>")?;
    if report.votes.is_empty() {
        writeln!(page, "<p>No vote was cast: the approval above says by which policy it could be made.</p>")?;
    } else {
        writeln!(
            page,
            "<p>Nobody agrees to what they asked for themselves. The votes are entries of the ledger, and in this pack.</p>"
        )?;
        votes(page, "Votes on this pack", &report.votes)?;
    }
    writeln!(page, "</section>")
}

fn contents(page: &mut String, report: &Report) -> fmt::Result {
    writeln!(page, "<section id=\"contents\">\n<h2>3. What is in it</h2>")?;
    let total = records(report);
    let caption = format!("{}, by what they are", counted(total, "record", "records"));
    counts(page, &caption, "Record", &report.records_by_type)?;
    let caption = format!("{}, by what happened", counted(report.entries, "entry", "entries"));
    counts(page, &caption, "Event", &report.entries_by_event)?;
    if report.own_entries > 0 {
        writeln!(
            page,
            "<p>Of the entries, {} are of the request for this pack and of its approval, and {} are time stamps that were added \
             for what they prove.</p>",
            grouped(report.own_entries),
            grouped(report.stamp_entries)
        )?;
    }
    writeln!(
        page,
        "<p>The files beside this one hold all of it: <code>index.csv</code> every record, <code>trail.csv</code> every entry in \
         words, <code>records/</code> every record as it stood at the end, <code>approvals.json</code> and \
         <code>holds.json</code> these in full, <code>entries.ndjson</code> the entries as they were recorded.</p>\n</section>"
    )
}

fn counts(page: &mut String, caption: &str, name: &str, rows: &[(String, u64)]) -> fmt::Result {
    writeln!(
        page,
        "<div class=\"table\"><table>\n<caption>{}</caption>\n<thead><tr><th scope=\"col\">{name}</th>\
         <th scope=\"col\" class=\"number\">How many</th></tr></thead>\n<tbody>",
        Safe(caption)
    )?;
    for (what, count) in rows {
        writeln!(page, "<tr><td>{}</td><td class=\"number\">{}</td></tr>", Safe(what), grouped(*count))?;
    }
    close_table(page)
}

fn stories(page: &mut String, report: &Report) -> fmt::Result {
    writeln!(page, "<section id=\"records\">\n<h2>4. What happened</h2>")?;
    if report.stories.is_empty() {
        writeln!(page, "<p>No record was touched.</p>")?;
    }
    cut(page, report.stories.len(), report.stories_total, MAX_STORIES, "records", "index.csv, records/ and trail.csv")?;
    for story in &report.stories {
        writeln!(page, "<article class=\"record\">\n<h3>{}{}</h3>", Safe(&story.title), Held(&story.held_by))?;
        facts(page, &story.facts)?;
        writeln!(
            page,
            "<div class=\"table\"><table>\n<thead><tr><th scope=\"col\">When</th><th scope=\"col\" class=\"number\">Position</th>\
             <th scope=\"col\">What</th><th scope=\"col\">Who</th></tr></thead>\n<tbody>"
        )?;
        story.lines.iter().try_for_each(|line| story_line(page, story, line))?;
        close_table(page)?;
        cut(page, story.lines.len(), story.lines_total, MAX_STORY_LINES, "entries of this record", "trail.csv")?;
        writeln!(page, "</article>")?;
    }
    writeln!(page, "</section>")
}

fn story_line(page: &mut String, story: &Story, line: &StoryLine) -> fmt::Result {
    write!(
        page,
        "<tr><td class=\"time\">{}</td><td class=\"number\">{}</td><td class=\"what\">{}",
        Safe(&moment(&line.at)),
        line.position,
        Safe(&line.what)
    )?;
    if let Some(remark) = &line.remark {
        write!(page, "<span class=\"remark\">{}", Safe(&remark.text))?;
        if remark.is_cut {
            let file = Safe(&story.file);
            write!(
                page,
                "\u{2026} <em>Cut after {MAX_REMARK_CHARS} characters; the whole is in <code>{file}</code>.</em>"
            )?;
        }
        page.write_str("</span>")?;
    }
    writeln!(page, "</td><td class=\"who\">{}</td></tr>", Safe(&line.who))
}

/// The holds that a record is under, as marks beside its name.
struct Held<'a>(&'a [String]);

impl fmt::Display for Held<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|hold| write!(formatter, " <span class=\"tag hold\">held: {}</span>", Safe(hold)))
    }
}

fn approvals(page: &mut String, report: &Report) -> fmt::Result {
    writeln!(page, "<section id=\"approvals\">\n<h2>5. Approvals</h2>")?;
    if report.approvals.is_empty() {
        writeln!(page, "<p>There is none.</p>")?;
    }
    let (shown, total) = (report.approvals.len(), report.approvals_total);
    cut(page, shown, total, MAX_DECISIONS, "requests for approval", "approvals.json")?;
    for approval in &report.approvals {
        writeln!(
            page,
            "<article class=\"record\">\n<h3>{}</h3>\n<p>{}</p>",
            Safe(&approval.id),
            Safe(&approval.summary)
        )?;
        facts(page, &approval.facts)?;
        if approval.votes.is_empty() {
            writeln!(page, "<p>Nobody voted.</p>")?;
        } else {
            votes(page, "Votes", &approval.votes)?;
        }
        writeln!(page, "</article>")?;
    }
    writeln!(page, "</section>")
}

fn votes(page: &mut String, caption: &str, votes: &[VoteLine]) -> fmt::Result {
    open_table(page, caption, &["When", "Person", "Vote", "Reason"])?;
    for vote in votes {
        let class = if vote.decision == "approve" { "yes" } else { "no" };
        writeln!(
            page,
            "<tr><td class=\"time\">{}</td><td class=\"who\">{}</td><td class=\"{class}\">{}</td><td class=\"what\">{}</td></tr>",
            Safe(&moment(&vote.at)),
            Safe(&vote.person),
            Safe(&vote.decision),
            Safe(&vote.reason)
        )?;
    }
    close_table(page)
}

fn holds(page: &mut String, report: &Report) -> fmt::Result {
    writeln!(page, "<section id=\"holds\">\n<h2>6. Legal holds</h2>")?;
    if report.holds.is_empty() {
        writeln!(page, "<p>No legal hold covered anything in here at any time since the period began.</p>")?;
    }
    cut(page, report.holds.len(), report.holds_total, MAX_DECISIONS, "legal holds", "holds.json")?;
    for hold in &report.holds {
        writeln!(page, "<article class=\"record\">\n<h3>{}</h3>", Safe(&hold.id))?;
        facts(page, &hold.facts)?;
        writeln!(page, "<p>It covers {}.</p>\n</article>", Safe(&hold.covers.join(", ")))?;
    }
    writeln!(page, "</section>")
}

fn people(page: &mut String, report: &Report) -> fmt::Result {
    writeln!(page, "<section id=\"people\">\n<h2>7. People</h2>")?;
    match &report.people {
        None => writeln!(
            page,
            "<p>People are named by opaque ids. Who they are was not asked for, and is not in this pack; what they wrote is sealed. \
             The organisation can say who an id is, for as long as the person's data was not erased.</p>"
        )?,
        Some(people) => {
            open_table(page, "Who the ids are; all of them are in people.csv", &["Id", "Name", "Address"])?;
            for (id, name, address) in people {
                let (id, name, address) = (Safe(id), Safe(name), Safe(address));
                writeln!(page, "<tr><td><code>{id}</code></td><td>{name}</td><td>{address}</td></tr>")?;
            }
            close_table(page)?;
        }
    }
    writeln!(page, "</section>")
}

/// Says that a list was cut, and where all of it is.
fn cut(page: &mut String, shown: usize, total: u64, most: usize, what: &str, files: &str) -> fmt::Result {
    if u64::try_from(shown).is_ok_and(|shown| shown >= total) {
        return Ok(());
    }
    let (shown, total) = (grouped(shown as u64), grouped(total));
    writeln!(
        page,
        "<p class=\"cut\">There are {total} {what}; {shown} are shown here, at most {most}. All of them are in {files}.</p>"
    )
}

fn facts(page: &mut String, facts: &[Fact]) -> fmt::Result {
    if facts.is_empty() {
        return Ok(());
    }
    writeln!(page, "<dl>")?;
    for (name, value) in facts {
        writeln!(page, "<dt>{}</dt><dd>{}</dd>", Safe(name), Safe(value))?;
    }
    writeln!(page, "</dl>")
}

pub(super) fn open_table(page: &mut String, caption: &str, columns: &[&str]) -> fmt::Result {
    writeln!(page, "<div class=\"table\"><table>\n<caption>{}</caption>\n<thead><tr>", Safe(caption))?;
    columns.iter().try_for_each(|column| writeln!(page, "<th scope=\"col\">{column}</th>"))?;
    writeln!(page, "</tr></thead>\n<tbody>")
}

pub(super) fn close_table(page: &mut String) -> fmt::Result {
    writeln!(page, "</tbody>\n</table></div>")
}

pub(super) fn safe(text: &str) -> impl fmt::Display + '_ {
    Safe(text)
}

/// `2026-11-21T10:00:00.000000Z` as people write it: `2026-11-21 10:00:00`, with what is below a second where there is any.
pub(super) fn moment(rfc3339: &str) -> String {
    let Some(text) = rfc3339.strip_suffix('Z') else { return rfc3339.to_owned() };
    text.strip_suffix(".000000").unwrap_or(text).replacen('T', " ", 1)
}

fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {many}", grouped(count)) }
}

/// `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
