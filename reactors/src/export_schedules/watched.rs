//! What the driver remembers of each schedule, so that it looks only at those at which there may be something to do. It can
//! be forgotten at any time: whoever remembers nothing looks at all of them.

use std::collections::HashMap;

use daybook_domain::Timestamp;
use daybook_domain::approval::ApprovalStatus;
use daybook_identity::directory::{DirectoryState, ScheduleRecord};

/// Pause before a schedule is looked at again that could not get on, in microseconds.
const RETRY_MICROS: i64 = 2_000_000;
/// Pause before one is looked at again that is held up, in microseconds: what is in the way may stay for weeks.
const HELD_UP_MICROS: i64 = 30_000_000;
/// Between two looks at whether a standing approval still holds, or somebody may ask again, in microseconds, however much is
/// changed meanwhile of who may do what.
const ACCESS_MICROS: i64 = 2_000_000;

/// What came of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Looked {
    /// The last run that is known to be opened.
    pub opened: u64,
    /// Whether it would run if nothing were in the way.
    pub is_held_up: bool,
    /// The approval of the last run, where the next one is due and waits for it.
    pub waits_for: Option<String>,
}

/// What is remembered of one schedule.
#[derive(Debug, Default)]
struct Seen {
    /// Version of its stream.
    version: u64,
    /// The last run that is known to be opened.
    opened: u64,
    /// When it is to be looked at in any case, in microseconds.
    due: Option<i64>,
    /// When and at what state of the directory it was looked at.
    looked_at: i64,
    changed_position: u64,
    is_held_up: bool,
    waits_for: Option<String>,
    error: Option<String>,
}

/// All schedules that were looked at.
#[derive(Debug, Default)]
pub(super) struct Watched(HashMap<String, Seen>);

impl Watched {
    /// Whether there may be something to do with a schedule.
    pub fn is_to_be_looked_at(&self, id: &str, record: &ScheduleRecord, state: &DirectoryState, now: i64) -> bool {
        let Some(seen) = self.0.get(id) else { return true };
        if seen.error.is_some() {
            return seen.due.is_none_or(|due| due <= now);
        }
        // A clock that was set back says nothing of what is due.
        if seen.version != record.place.version || now < seen.looked_at || seen.due.is_some_and(|due| due <= now) {
            return true;
        }
        let is_decided = |approval_id: &str| {
            let status = state.approvals.get(approval_id).and_then(|record| record.approval.status());
            !matches!(status, Some(ApprovalStatus::Draft | ApprovalStatus::Pending))
        };
        let pending = record.schedule.pending().map(|pending| pending.approval_id.as_str());
        let mut waited_for = pending.into_iter().chain(seen.waits_for.as_deref());
        let depends_on_access = record.schedule.standing().is_some() || seen.is_held_up;
        let access_may_differ = depends_on_access
            && state.changed_position() != seen.changed_position
            && now >= seen.looked_at.saturating_add(ACCESS_MICROS);
        waited_for.any(is_decided) || access_may_differ
    }

    /// The last run of a schedule that is known to be opened.
    pub fn opened(&self, id: &str) -> u64 {
        self.0.get(id).map_or(0, |seen| seen.opened)
    }

    /// Remembers a look.
    pub fn was_looked_at(
        &mut self,
        id: &str,
        record: &ScheduleRecord,
        state: &DirectoryState,
        now: i64,
        looked: Looked,
    ) {
        let schedule = &record.schedule;
        let next = Timestamp::from_micros(now).and_then(|now| schedule.next_after(now, 1).first().copied());
        let until = schedule.standing().map(|standing| standing.until);
        let retry = looked.is_held_up.then(|| now.saturating_add(HELD_UP_MICROS));
        let times = [next.map(Timestamp::micros), until.map(Timestamp::micros), retry];
        let seen = Seen {
            version: record.place.version,
            opened: looked.opened,
            due: times.into_iter().flatten().min(),
            looked_at: now,
            changed_position: state.changed_position(),
            is_held_up: looked.is_held_up,
            waits_for: looked.waits_for,
            error: None,
        };
        self.0.insert(id.to_owned(), seen);
    }

    /// Notes why a schedule does not get on. Answers whether that is new.
    pub fn fails(&mut self, id: &str, now: i64, error: String) -> bool {
        let seen = self.0.entry(id.to_owned()).or_default();
        seen.due = Some(now.saturating_add(RETRY_MICROS));
        let before = seen.error.replace(error.clone());
        before.as_ref() != Some(&error)
    }

    /// Schedules that are held up.
    pub fn held_up(&self) -> usize {
        self.0.values().filter(|seen| seen.is_held_up).count()
    }

    /// When there is something to look at next, in microseconds.
    pub fn next_due(&self) -> Option<i64> {
        self.0.values().filter_map(|seen| seen.due).min()
    }

    /// Why some do not get on.
    pub fn error(&self) -> Option<String> {
        let mut failing: Vec<(&String, &String)> =
            self.0.iter().filter_map(|(id, seen)| Some((id, seen.error.as_ref()?))).collect();
        failing.sort_unstable();
        let (id, error) = failing.first()?;
        Some(match failing.len() {
            1 => format!("{id}: {error}"),
            count => format!("{id}: {error}; and {} more do not get on", count - 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use daybook_domain::export_schedule::ExportSchedule;
    use daybook_identity::directory::Place;

    use super::*;

    const LOOKED: Looked = Looked { opened: 3, is_held_up: false, waits_for: None };

    fn record(version: u64) -> ScheduleRecord {
        ScheduleRecord { schedule: ExportSchedule::default(), place: Place { version, ..Place::default() } }
    }

    #[test]
    fn schedule_is_looked_at_when_something_happened_to_it_and_not_else() {
        let (state, mut watched) = (DirectoryState::default(), Watched::default());
        let wants =
            |watched: &Watched, version, now| watched.is_to_be_looked_at("sch_1", &record(version), &state, now);
        assert!(wants(&watched, 1, 100), "nobody has looked yet");
        watched.was_looked_at("sch_1", &record(1), &state, 100, LOOKED);
        assert!(!wants(&watched, 1, 200) && wants(&watched, 2, 200));
        assert!(wants(&watched, 1, 99), "the clock was set back");
        assert_eq!((watched.opened("sch_1"), watched.opened("sch_2"), watched.next_due()), (3, 0, None));
    }

    #[test]
    fn held_up_and_failing_ones_are_looked_at_again_after_a_pause() {
        let (state, mut watched) = (DirectoryState::default(), Watched::default());
        let wants = |watched: &Watched, now| watched.is_to_be_looked_at("sch_1", &record(1), &state, now);
        watched.was_looked_at("sch_1", &record(1), &state, 0, Looked { is_held_up: true, ..LOOKED });
        assert_eq!((watched.held_up(), watched.next_due()), (1, Some(HELD_UP_MICROS)));
        assert!(!wants(&watched, HELD_UP_MICROS - 1) && wants(&watched, HELD_UP_MICROS));
        assert!(watched.fails("sch_1", RETRY_MICROS, "the disk is full".to_owned()), "that is new");
        assert!(!watched.fails("sch_1", RETRY_MICROS, "the disk is full".to_owned()));
        assert_eq!(watched.error().as_deref(), Some("sch_1: the disk is full"));
        assert_eq!(watched.opened("sch_1"), 3, "what was opened stays so");
        assert!(!wants(&watched, RETRY_MICROS + 1) && wants(&watched, 2 * RETRY_MICROS));
        watched.was_looked_at("sch_1", &record(1), &state, 2 * RETRY_MICROS, LOOKED);
        assert_eq!((watched.error(), watched.held_up()), (None, 0));
    }

    #[test]
    fn run_that_waits_for_the_approval_of_the_last_is_looked_at_once_that_is_not_open() {
        let (state, mut watched) = (DirectoryState::default(), Watched::default());
        let waits = Looked { waits_for: Some("apr_1".to_owned()), ..LOOKED };
        watched.was_looked_at("sch_1", &record(1), &state, 0, waits);
        assert_eq!((watched.held_up(), watched.next_due()), (0, None), "that is no fault");
        assert!(watched.is_to_be_looked_at("sch_1", &record(1), &state, 1));
        watched.was_looked_at("sch_1", &record(1), &state, 1, LOOKED);
        assert!(!watched.is_to_be_looked_at("sch_1", &record(1), &state, 2));
    }
}
