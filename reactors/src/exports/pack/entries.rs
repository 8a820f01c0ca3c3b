//! The chosen entries, page by page, and the sentences that say in words what each of them is.

use std::collections::HashMap;

use daybook_ledger::{Entry, LedgerReader};
use sqlx::Row as _;

use super::{Pack, PackError};

/// Entries read at once.
const PAGE: usize = 500;

/// Reads the entries at some positions, in order.
pub(super) struct Chosenly<'a> {
    reader: &'a LedgerReader,
    rest: &'a [u64],
}

impl<'a> Chosenly<'a> {
    /// `positions` ascend.
    pub(super) fn new(reader: &'a LedgerReader, positions: &'a [u64]) -> Self {
        Self { reader, rest: positions }
    }

    /// The next of them; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Entry>>, PackError> {
        let Some(first) = self.rest.first().copied() else { return Ok(None) };
        // One read for all that lie close together.
        let end = first.saturating_add(PAGE as u64);
        let count = self.rest.partition_point(|position| *position < end);
        let (wanted, rest) = self.rest.split_at_checked(count).unwrap_or((self.rest, &[]));
        let last = wanted.last().copied().unwrap_or(first);
        let limit = usize::try_from(last - first).unwrap_or(PAGE).saturating_add(1);
        let mut page = self.reader.entries(first, limit).await?;
        page.retain(|entry| wanted.binary_search(&entry.position).is_ok());
        if page.len() != wanted.len() {
            let missing = wanted.iter().find(|position| page.iter().all(|entry| entry.position != **position));
            return Err(PackError::Missing(missing.copied().unwrap_or(first)));
        }
        self.rest = rest;
        Ok(Some(page))
    }
}

/// What an entry is, in words.
#[derive(Debug, Clone, Default)]
pub(super) struct Sentence {
    pub what: String,
    /// Separated by spaces.
    pub regulations: String,
}

/// Sentences by position.
#[derive(Default)]
pub(super) struct Sentences(HashMap<u64, Sentence>);

impl Sentences {
    /// Of the entries at these positions, a page of them at most.
    pub(super) async fn read(pack: &Pack<'_>, positions: &[u64]) -> Result<Self, PackError> {
        let mut sentences = HashMap::with_capacity(positions.len());
        for positions in positions.chunks(PAGE) {
            let places: Vec<String> = (2..).take(positions.len()).map(|number| format!("${number}")).collect();
            let sql = format!(
                "select position, summary, regulation_tags from audit_trail where ledger_id = $1 and position in ({})",
                places.join(", ")
            );
            let mut query = sqlx::query(&sql).bind(pack.driver.reader.id().as_str());
            for position in positions {
                query = query.bind(i64::try_from(*position).unwrap_or(i64::MAX));
            }
            for row in query.fetch_all(pack.driver.database.readers()).await? {
                let position: i64 = row.try_get(0)?;
                let (what, tags): (String, String) = (row.try_get(1)?, row.try_get(2)?);
                let regulations = tags.split(',').filter(|tag| !tag.is_empty()).collect::<Vec<_>>().join(" ");
                sentences.insert(u64::try_from(position).unwrap_or(u64::MAX), Sentence { what, regulations });
            }
        }
        Ok(Self(sentences))
    }

    /// Of one of them. Missing where the table was set back meanwhile: it is there again soon.
    pub(super) fn of(&self, position: u64) -> Result<&Sentence, PackError> {
        self.0.get(&position).ok_or(PackError::Behind { reader: "audit_trail", needed: position.saturating_add(1) })
    }
}

/// A member of an entry's metadata, which is a flat object of texts.
pub(super) fn metadata(entry: &Entry, name: &str) -> Option<String> {
    // Most entries have next to none.
    if !entry.metadata.contains(name) {
        return None;
    }
    let members: HashMap<String, String> = serde_json::from_str(&entry.metadata).ok()?;
    members.get(name).cloned()
}
