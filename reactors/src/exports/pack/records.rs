//! Every record of a pack as it stood at the end, folded from its entries, with its line in the index and its story.

use daybook_domain::AnyEvent;
use daybook_domain::events::decode;
use daybook_domain::legal_hold::LegalHoldEvent;
use daybook_exports::bundle::Kind;
use daybook_exports::pack::{
    self as page, MAX_DECISIONS, MAX_STORIES, MAX_STORY_LINES, Remark, Report, Story, StoryLine,
};
use daybook_ledger::keys::time::rfc3339;
use daybook_ledger::{Entry, StreamKey};
use serde::Serialize;
use serde_json::Value;

use super::entries::{Chosenly, Sentences};
use super::fold::{Folded, RECORDS, facts_of, remark, shown, status_of};
use super::people::Names;
use super::selection::Selection;
use super::writing::{Spool, Zip};
use super::{Pack, PackError};

/// Entries of a stream read at once.
const PAGE: usize = 500;
/// The columns of `index.csv`.
const INDEX: [&str; 10] = [
    "stream_type",
    "stream_id",
    "status",
    "entries",
    "first_position",
    "last_position",
    "began_at",
    "changed_at",
    "held_by",
    "file",
];

/// A record, as it is written.
#[derive(Serialize)]
pub(super) struct Told {
    pub stream_type: String,
    pub stream_id: String,
    pub entries: u64,
    pub first_position: u64,
    pub last_position: u64,
    pub began_at: String,
    pub changed_at: String,
    pub held_by: Vec<String>,
    pub record: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<TextBeside>,
    /// Positions of entries that say nothing any more, or nothing that this program understands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_read: Vec<u64>,
    /// Who was the first to do something to it.
    #[serde(skip)]
    pub began_by: String,
    /// When it was released, where it is a legal hold.
    #[serde(skip)]
    pub released_at: Option<String>,
    #[serde(skip)]
    pub folded: Option<Folded>,
    /// The first entries, for the story.
    #[serde(skip)]
    lines: Vec<Entry>,
}

/// What somebody wrote beside it.
#[derive(Serialize)]
pub(super) struct TextBeside {
    position: u64,
    at: String,
    by: String,
    text: String,
}

impl Pack<'_> {
    /// Records, approvals, holds, and the index of all of them.
    pub(super) async fn write_records(
        &self,
        selection: &mut Selection,
        names: &Names,
        zip: &mut Zip,
        report: &mut Report,
    ) -> Result<(), PackError> {
        let mut index = Spool::create(zip.folder())?;
        index.write(&page::csv_line(INDEX.map(Some)))?;
        let mut of_types = std::mem::take(&mut selection.records);
        let is_there = |key: &StreamKey| of_types.contains_key(&key.stream_type);
        report.own_records = selection.own.iter().filter(|key| is_there(key)).count() as u64;
        for stream_type in RECORDS {
            let firsts = of_types.remove(*stream_type).unwrap_or_default();
            let (file, is_list) = file_of(stream_type);
            if firsts.is_empty() && !is_list {
                continue;
            }
            if !firsts.is_empty() {
                report.records_by_type.push((stream_type.replace('_', " "), firsts.len() as u64));
            }
            zip.archive.begin(&file, Kind::Large)?;
            let mut written = 0_u64;
            let mut chosen = Chosenly::new(&self.driver.reader, &firsts);
            while let Some(entries) = chosen.next().await? {
                for entry in entries {
                    let told = self.told(selection, names, &entry.stream).await?;
                    index.write(&index_line(&told, &file))?;
                    if is_list {
                        zip.archive.write(if written == 0 { b"[\n" } else { b",\n" })?;
                        zip.archive.write(&json(&told)?)?;
                    } else {
                        zip.archive.write_line(&told)?;
                    }
                    written += 1;
                    zip.hand_on().await?;
                    self.tell_record(told, names, report).await?;
                }
            }
            if is_list {
                zip.archive.write(if written == 0 { b"[]\n" } else { b"\n]\n" })?;
            }
            zip.archive.end();
        }
        zip.take_in("index.csv", index).await
    }

    /// Folds one record.
    async fn told(&self, selection: &Selection, names: &Names, key: &StreamKey) -> Result<Told, PackError> {
        let cut = selection.cut(key, self.size);
        let mut told = Told {
            stream_type: key.stream_type.clone(),
            stream_id: key.stream_id.clone(),
            entries: 0,
            first_position: 0,
            last_position: 0,
            began_at: String::new(),
            changed_at: String::new(),
            held_by: selection.holds.on(key),
            record: Value::Null,
            remarks: Vec::new(),
            not_read: Vec::new(),
            began_by: String::new(),
            released_at: None,
            folded: Folded::of(&key.stream_type),
            lines: Vec::new(),
        };
        let mut version = 1;
        loop {
            let page = self.driver.reader.stream(key, version, PAGE).await?;
            let count = page.len();
            for entry in page {
                if entry.position >= cut {
                    told.record = told.folded.as_ref().map_or(Value::Null, Folded::to_json);
                    return Ok(told);
                }
                version = entry.version.saturating_add(1);
                self.follow(&mut told, names, entry).await?;
            }
            if count < PAGE {
                told.record = told.folded.as_ref().map_or(Value::Null, Folded::to_json);
                return Ok(told);
            }
        }
    }

    async fn follow(&self, told: &mut Told, names: &Names, entry: Entry) -> Result<(), PackError> {
        if told.entries == 0 {
            (told.first_position, told.began_at) = (entry.position, rfc3339(entry.recorded_at));
            told.began_by.clone_from(&entry.actor.id);
        }
        told.entries += 1;
        (told.last_position, told.changed_at) = (entry.position, rfc3339(entry.recorded_at));
        let payload = entry.payload.as_deref().unwrap_or_default();
        match decode(&entry.stream.stream_type, &entry.event_type, entry.schema_version, payload) {
            Ok(event) => {
                if let Some(remark) = remark(&event) {
                    let text = names.remark(self, &remark).await?;
                    let (position, at, by) = (entry.position, rfc3339(entry.recorded_at), entry.actor.id.clone());
                    told.remarks.push(TextBeside { position, at, by, text });
                }
                if let AnyEvent::LegalHold(LegalHoldEvent::Released(_)) = &event {
                    told.released_at.get_or_insert_with(|| rfc3339(entry.recorded_at));
                }
                if let Some(folded) = &mut told.folded {
                    folded.apply(event);
                }
            }
            Err(_) => told.not_read.push(entry.position),
        }
        if told.lines.len() < MAX_STORY_LINES {
            // What it says is told by its sentence.
            told.lines.push(Entry { payload: None, ..entry });
        }
        Ok(())
    }

    /// Its place in the report, while there is room.
    async fn tell_record(&self, told: Told, names: &Names, report: &mut Report) -> Result<(), PackError> {
        match &told.folded {
            Some(Folded::Approval(approval)) => {
                report.approvals_total += 1;
                if told.stream_id == self.request.approval_id.as_str() {
                    report.votes = super::told::votes(approval, names);
                }
                if report.approvals.len() < MAX_DECISIONS {
                    report.approvals.push(super::told::approval(approval, &told, names));
                }
                Ok(())
            }
            Some(Folded::LegalHold(hold)) => {
                report.holds_total += 1;
                if report.holds.len() < MAX_DECISIONS {
                    report.holds.push(super::told::hold(hold, &told, names));
                }
                Ok(())
            }
            _ => {
                report.stories_total += 1;
                if report.stories.len() < MAX_STORIES {
                    let story = self.story(told, names).await?;
                    report.stories.push(story);
                }
                Ok(())
            }
        }
    }

    async fn story(&self, told: Told, names: &Names) -> Result<Story, PackError> {
        let positions: Vec<u64> = told.lines.iter().map(|entry| entry.position).collect();
        let sentences = Sentences::read(self, &positions).await?;
        let facts = facts_of(&told.stream_type).iter();
        let facts = facts.filter_map(|(name, pointer)| {
            let value = told.record.pointer(pointer).and_then(shown).filter(|text| !text.is_empty())?;
            Some(((*name).to_owned(), value))
        });
        let facts = facts.collect();
        let mut lines = Vec::with_capacity(told.lines.len());
        for entry in &told.lines {
            let remark = told.remarks.iter().find(|remark| remark.position == entry.position);
            lines.push(StoryLine {
                at: rfc3339(entry.recorded_at),
                position: entry.position,
                who: names.of(&entry.actor.id),
                what: sentences.of(entry.position)?.what.clone(),
                remark: remark.map(|remark| Remark::of(&remark.text)),
            });
        }
        let title = format!("{} {}", told.stream_type.replace('_', " "), told.stream_id);
        let (file, _) = file_of(&told.stream_type);
        Ok(Story { title, facts, held_by: told.held_by, lines, lines_total: told.entries, file })
    }
}

/// The file of a type's records, and whether it is one JSON list.
fn file_of(stream_type: &str) -> (String, bool) {
    match stream_type {
        "approval" => ("approvals.json".to_owned(), true),
        "legal_hold" => ("holds.json".to_owned(), true),
        other => (format!("records/{other}.ndjson"), false),
    }
}

fn json(told: &Told) -> Result<Vec<u8>, PackError> {
    serde_json::to_vec(told).map_err(|error| std::io::Error::other(error).into())
}

fn index_line(told: &Told, file: &str) -> Vec<u8> {
    let status = status_of(&told.stream_type, &told.record);
    let held_by = told.held_by.join(" ");
    page::csv_line([
        Some(told.stream_type.as_str()),
        Some(&told.stream_id),
        status.as_deref(),
        Some(&told.entries.to_string()),
        Some(&told.first_position.to_string()),
        Some(&told.last_position.to_string()),
        Some(&told.began_at),
        Some(&told.changed_at),
        Some(held_by.as_str()).filter(|text| !text.is_empty()),
        Some(file),
    ])
}
