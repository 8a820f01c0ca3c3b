//! What is to be done with which export, and what waits for what. Every question costs the same however many exports wait.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use super::work::News;

/// What is done with an export at a time. Each has places of its own, so that what takes long holds up nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Looking at what it and its approval say, and recording what follows.
    Look,
    /// Making its file.
    Make,
    /// Bringing it where it is wanted.
    Deliver,
}

impl Phase {
    /// In the order in which places are given out.
    pub const ALL: [Self; 3] = [Self::Look, Self::Make, Self::Deliver];

    /// Exports that are in this phase at once.
    const fn places(self) -> usize {
        match self {
            Self::Look => 8,
            // Each takes a processor and a snapshot of the database.
            Self::Make => 1,
            // Mostly they wait for others.
            Self::Deliver => 16,
        }
    }
}

/// Where an export is that has something left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Queued,
    Busy(Phase),
    Waiting { approval: Option<String>, due: Option<i64> },
}

/// The agenda of one organisation.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    places: HashMap<String, Place>,
    /// To be worked on, in turn.
    looking: VecDeque<String>,
    making: VecDeque<String>,
    delivering: VecDeque<String>,
    /// Being worked on.
    busy: BTreeMap<String, Phase>,
    /// Being worked on, and to be looked at again: something happened meanwhile.
    again: HashSet<String>,
    /// When others are looked at, in microseconds.
    times: BTreeSet<(i64, String)>,
    /// Exports by the approval that they wait for.
    approvals: HashMap<String, BTreeSet<String>>,
    /// Of those that wait: those whose file only waits for its end.
    kept: HashSet<String>,
    /// Why some do not get on.
    errors: BTreeMap<String, String>,
}

/// What exports wait for, beside approvals, whose files are covered by legal holds. No approval has such an id.
pub(super) const LEGAL_HOLDS: &str = "legal_hold";

impl Agenda {
    /// Puts it into the queue of those that are looked at, unless it is in a queue.
    pub fn look_at(&mut self, export: String) {
        match self.places.get(&export) {
            Some(Place::Queued) => return,
            Some(Place::Busy(_)) => {
                self.again.insert(export);
                return;
            }
            Some(Place::Waiting { .. }) | None => {}
        }
        self.queue(export, Phase::Look);
    }

    /// What happened in the ledger.
    pub fn hear(&mut self, news: News) {
        for approval in news.approvals {
            match self.approvals.get(&approval).cloned() {
                Some(exports) => exports.into_iter().for_each(|export| self.look_at(export)),
                // Perhaps one that is being looked at is about to wait for just this.
                None => {
                    let looking = self.busy.iter().filter(|(_, phase)| **phase == Phase::Look);
                    self.again.extend(looking.map(|(export, _)| export.clone()));
                }
            }
        }
        for export in news.exports {
            self.look_at(export);
        }
    }

    /// Looks at those whose time has come.
    pub fn look_at_due(&mut self, now: i64) {
        while let Some((due, export)) = self.times.first()
            && *due <= now
        {
            self.look_at(export.clone());
        }
    }

    /// The next that is to be worked on in this phase, if there is a place. It is busy until [`Self::is_done`].
    pub fn take(&mut self, phase: Phase) -> Option<String> {
        if self.busy.values().filter(|busy| **busy == phase).count() >= phase.places() {
            return None;
        }
        let export = self.queue_of(phase).pop_front()?;
        self.busy.insert(export.clone(), phase);
        self.places.insert(export.clone(), Place::Busy(phase));
        Some(export)
    }

    /// It is not worked on any more. Answers whether something happened meanwhile.
    pub fn is_done(&mut self, export: &str) -> bool {
        self.busy.remove(export);
        self.places.remove(export);
        self.again.remove(export)
    }

    /// It is to be worked on as soon as there is a place.
    pub fn queue(&mut self, export: String, phase: Phase) {
        if let Some(Place::Waiting { approval, due }) = self.places.insert(export.clone(), Place::Queued) {
            self.wait_no_more(&export, approval, due);
        }
        self.queue_of(phase).push_back(export);
    }

    /// It waits for this approval, or this time in microseconds, or both.
    pub fn wait(&mut self, export: String, approval: Option<String>, due: Option<i64>) {
        if let Some(approval) = &approval {
            self.approvals.entry(approval.clone()).or_default().insert(export.clone());
        }
        if let Some(due) = due {
            self.times.insert((due, export.clone()));
        }
        self.places.insert(export, Place::Waiting { approval, due });
    }

    /// There is nothing to be done with it but to remove its file one day: it is looked at then, or, where no day is said, when
    /// something happens to a legal hold.
    pub fn keep(&mut self, export: String, until: Option<i64>) {
        self.kept.insert(export.clone());
        let holds = until.is_none().then(|| LEGAL_HOLDS.to_owned());
        self.wait(export, holds, until);
    }

    fn wait_no_more(&mut self, export: &str, approval: Option<String>, due: Option<i64>) {
        self.kept.remove(export);
        if let Some(due) = due {
            self.times.remove(&(due, export.to_owned()));
        }
        if let Some(approval) = approval
            && let Some(exports) = self.approvals.get_mut(&approval)
        {
            exports.remove(export);
            if exports.is_empty() {
                self.approvals.remove(&approval);
            }
        }
    }

    fn queue_of(&mut self, phase: Phase) -> &mut VecDeque<String> {
        match phase {
            Phase::Look => &mut self.looking,
            Phase::Make => &mut self.making,
            Phase::Deliver => &mut self.delivering,
        }
    }

    /// When there is something to look at next, in microseconds.
    pub fn next_due(&self) -> Option<i64> {
        self.times.first().map(|(due, _)| *due)
    }

    /// Exports that have something left to do. That a file goes one day is not counted.
    pub fn unfinished(&self) -> usize {
        self.places.len().saturating_sub(self.kept.len())
    }

    /// Notes why it does not get on. Answers whether that is new.
    pub fn fails(&mut self, export: &str, error: String) -> bool {
        let before = self.errors.insert(export.to_owned(), error.clone());
        before.as_ref() != Some(&error)
    }

    /// It gets on.
    pub fn gets_on(&mut self, export: &str) {
        self.errors.remove(export);
    }

    /// Why some do not get on.
    pub fn error(&self) -> Option<String> {
        let (export, error) = self.errors.first_key_value()?;
        Some(match self.errors.len() {
            1 => format!("{export}: {error}"),
            count => format!("{export}: {error}; and {} more do not get on", count - 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agenda(exports: &[&str]) -> Agenda {
        let mut agenda = Agenda::default();
        exports.iter().for_each(|export| agenda.look_at((*export).to_owned()));
        agenda
    }

    fn heard(approval: &str) -> News {
        News { approvals: BTreeSet::from([approval.to_owned()]), ..News::default() }
    }

    #[test]
    fn what_is_made_and_delivered_holds_up_no_decision() {
        let mut agenda = agenda(&[]);
        for number in 0..40 {
            agenda.queue(format!("exp_d{number}"), Phase::Deliver);
            agenda.queue(format!("exp_m{number}"), Phase::Make);
        }
        agenda.look_at("exp_1".to_owned());
        let mut taken = |phase| std::iter::from_fn(|| agenda.take(phase)).count();
        assert_eq!((taken(Phase::Make), taken(Phase::Deliver), taken(Phase::Look)), (1, 16, 1));
        assert_eq!(agenda.unfinished(), 81);
    }

    #[test]
    fn each_is_queued_once_and_looked_at_again_when_something_happened_meanwhile() {
        let mut agenda = agenda(&["exp_1", "exp_1"]);
        assert_eq!(agenda.take(Phase::Look).as_deref(), Some("exp_1"));
        assert_eq!(agenda.take(Phase::Look), None);
        agenda.look_at("exp_1".to_owned());
        assert!(agenda.is_done("exp_1"));
        agenda.look_at("exp_1".to_owned());
        assert_eq!(agenda.take(Phase::Look).as_deref(), Some("exp_1"));
        assert!(!agenda.is_done("exp_1"));
        assert_eq!(agenda.unfinished(), 0);
    }

    #[test]
    fn files_that_wait_for_their_end_are_not_unfinished_and_those_under_holds_wait_for_holds() {
        let mut agenda = agenda(&[]);
        agenda.keep("exp_1".to_owned(), Some(10));
        agenda.keep("exp_2".to_owned(), None);
        assert_eq!((agenda.unfinished(), agenda.next_due()), (0, Some(10)));
        agenda.look_at_due(9);
        assert_eq!(agenda.take(Phase::Look), None);
        agenda.hear(heard(LEGAL_HOLDS));
        assert_eq!(agenda.take(Phase::Look).as_deref(), Some("exp_2"));
        assert_eq!(agenda.unfinished(), 1);
        agenda.look_at_due(10);
        assert_eq!(agenda.take(Phase::Look).as_deref(), Some("exp_1"));
        assert!(!agenda.is_done("exp_1") && !agenda.is_done("exp_2"));
        assert_eq!((agenda.unfinished(), agenda.next_due()), (0, None));
    }

    #[test]
    fn whoever_waits_is_looked_at_when_the_approval_or_the_time_comes_and_then_waits_for_neither() {
        let mut agenda = agenda(&[]);
        for export in ["exp_1", "exp_2"] {
            agenda.wait(export.to_owned(), Some("apr_1".to_owned()), Some(100));
        }
        agenda.look_at_due(99);
        assert_eq!(agenda.take(Phase::Look), None);
        assert_eq!(agenda.next_due(), Some(100));
        agenda.hear(heard("apr_1"));
        assert_eq!(agenda.next_due(), None);
        assert_eq!(agenda.take(Phase::Look).as_deref(), Some("exp_1"));
        assert_eq!(agenda.take(Phase::Look).as_deref(), Some("exp_2"));
        // Both are being looked at: they may be about to wait for it.
        agenda.hear(heard("apr_1"));
        assert!(agenda.is_done("exp_1") && agenda.is_done("exp_2"));
        agenda.wait("exp_1".to_owned(), Some("apr_1".to_owned()), Some(100));
        agenda.look_at_due(100);
        assert_eq!(agenda.take(Phase::Look).as_deref(), Some("exp_1"));
        assert!(agenda.approvals.is_empty() && agenda.times.is_empty());
    }
}
