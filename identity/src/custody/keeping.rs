//! How long one record is kept, and what stands in the way of taking anything of it away.

use std::sync::Arc;

use daybook_domain::Timestamp;
use daybook_domain::retention_rule::keep_until;
use daybook_http_kit::Problem;
use daybook_ledger::{Entry, LedgerReader, StoreError, StreamKey};

use super::deeds::{Deeds, Retained};
use super::holds::{ACCOUNTS, HoldInForce, holds_on_person, holds_on_stream};
use crate::directory::{DirectoryState, RetentionRuleRecord};

/// What is said of keeping one record. Times are microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, PartialEq)]
pub struct Keeping {
    /// When its last entry was recorded.
    pub last_entry_at: i64,
    /// The rule about records of its type, where there is one.
    pub rule: Option<Arc<RetentionRuleRecord>>,
    /// From when no rule keeps it any more, unless it goes on.
    pub keep_until: Option<i64>,
    /// The holds that cover it, all of them.
    pub holds: Vec<HoldInForce>,
    /// Of an account: the records that keep the person known who acted in them. Of others nothing.
    pub retained: Vec<Retained>,
}

/// Why nothing of a record may be taken away.
#[derive(Debug, Clone, PartialEq)]
pub enum Obstacle<'a> {
    /// Holds cover it: all of these.
    Held(&'a [HoldInForce]),
    /// A rule keeps it until then, in microseconds.
    Retained(i64),
}

impl Keeping {
    /// What is said of this record; `None` where there is none of this type and id.
    pub async fn of(
        ledger: &LedgerReader,
        state: &DirectoryState,
        stream: &StreamKey,
    ) -> Result<Option<Self>, Problem> {
        let last = last_entry(ledger, stream).await.map_err(|error| Problem::store_unavailable(&error))?;
        let Some(Entry { recorded_at: last_entry_at, .. }) = last else { return Ok(None) };
        let rule = state.retention_rules.get(stream.stream_type.as_str()).cloned();
        let until = rule.as_ref().and_then(|rule| rule.rule.retention()).map(|holds| until(last_entry_at, holds.years));
        let holds = holds_on_stream(ledger, state, stream).await?;
        Ok(Some(Self { last_entry_at, rule, keep_until: until, holds, retained: Vec::new() }))
    }

    /// What is said at `now` of a record that somebody may want to be rid of. Of a person's account that is what an erasure of
    /// the person meets with: whatever holds the person, and the records that keep the person known. No rule about accounts
    /// keeps one from being erased by itself, and no hold on others whom the account names.
    pub async fn in_view_of_disposal(
        ledger: &LedgerReader,
        state: &DirectoryState,
        stream: &StreamKey,
        now: i64,
    ) -> Result<Option<Self>, Problem> {
        if stream.stream_type != ACCOUNTS {
            return Self::of(ledger, state, stream).await;
        }
        let last = last_entry(ledger, stream).await.map_err(|error| Problem::store_unavailable(&error))?;
        let Some(Entry { recorded_at: last_entry_at, .. }) = last else { return Ok(None) };
        let person = stream.stream_id.as_str();
        let deeds = Deeds::of(ledger, state, person, now, None).await?;
        let retained = deeds.map(|deeds| deeds.retained(state, now)).unwrap_or_default();
        Ok(Some(Self {
            last_entry_at,
            rule: state.retention_rules.get(ACCOUNTS).cloned(),
            keep_until: retained.iter().map(|kept| kept.until.micros()).max(),
            holds: holds_on_person(ledger, state, person).await?,
            retained,
        }))
    }

    /// What stands in the way at `now`, in microseconds. Holds come first: they end with a decision, not with a day.
    pub fn obstacle(&self, now: i64) -> Option<Obstacle<'_>> {
        if !self.holds.is_empty() {
            return Some(Obstacle::Held(&self.holds));
        }
        self.keep_until.filter(|until| now < *until).map(Obstacle::Retained)
    }
}

/// When something is not kept any more that was recorded then. A time that is none is kept for ever.
pub(super) fn until(recorded_at: i64, years: u32) -> i64 {
    Timestamp::from_micros(recorded_at).map_or(i64::MAX, |at| keep_until(at, years).micros())
}

/// The last entry of a stream, found in as many steps as its length has binary digits, twice.
async fn last_entry(ledger: &LedgerReader, stream: &StreamKey) -> Result<Option<Entry>, StoreError> {
    let at = async |version: u64| Ok::<_, StoreError>(ledger.stream(stream, version, 1).await?.into_iter().next());
    let Some(mut last) = at(1).await? else { return Ok(None) };
    let mut step = 1_u64;
    // Farther and farther ahead, until there is nothing; then in ever smaller steps back to the end.
    while let Some(entry) = at(last.version.saturating_add(step)).await? {
        last = entry;
        step = step.saturating_mul(2);
    }
    while step > 1 {
        step /= 2;
        if let Some(entry) = at(last.version.saturating_add(step)).await? {
            last = entry;
        }
    }
    Ok(Some(last))
}
