//! What the clock does to a request: escalations in the order of the policy's chain, the ends of times, and a note that
//! a review is late. Nothing here runs by itself; whoever gives a tick says what time it is.

use super::Approval;
use super::command::ApprovalStatus;
use super::event::{ApprovalEvent, Escalated, Expired, Expiry, ReviewOverdue};
use super::state::{Escalation, Standing};
use crate::time::Timestamp;

impl Approval {
    /// When a tick next has something to do; nothing if never.
    pub fn due(&self) -> Option<Timestamp> {
        self.standing.as_ref().and_then(|standing| standing.due())
    }
}

impl Standing {
    pub(super) fn due(&self) -> Option<Timestamp> {
        let of_status = match self.status {
            ApprovalStatus::Draft => Some(self.submit_by_when()),
            ApprovalStatus::Pending => self.next_escalation().or(self.decide_by),
            ApprovalStatus::Approved => self.grant_expires_at,
            _ => None,
        };
        [of_status, self.review_due()].into_iter().flatten().min()
    }

    /// Everything that is due, in its order. No events where nothing is.
    pub(super) fn tick(&self, at: Timestamp) -> Vec<ApprovalEvent> {
        let mut events = Vec::new();
        let mut next = self.clone();
        while let Some(event) = next.next_event_due(at) {
            next.apply(event.clone());
            events.push(event);
        }
        events
    }

    /// The first thing that is due. Once it happened it is not due any more.
    fn next_event_due(&self, at: Timestamp) -> Option<ApprovalEvent> {
        let due = self.due().filter(|due| *due <= at)?;
        if self.review_due() == Some(due) {
            return Some(ApprovalEvent::ReviewOverdue(ReviewOverdue { review_by: due, at }));
        }
        match self.status {
            ApprovalStatus::Draft => Some(ApprovalEvent::Expired(Expired { what: Expiry::Draft, at })),
            ApprovalStatus::Pending if self.next_escalation().is_some() => self.automatic_escalation(at),
            ApprovalStatus::Pending => Some(ApprovalEvent::Expired(Expired { what: Expiry::Decision, at })),
            ApprovalStatus::Approved => Some(ApprovalEvent::Expired(Expired { what: Expiry::Grant, at })),
            _ => None,
        }
    }

    /// Until when a draft may be submitted: as long after it was made or revised last as there would be to decide it.
    pub(super) fn submit_by_when(&self) -> Timestamp {
        self.revised_at.unwrap_or(self.requested_at).plus_seconds(self.terms().decide_within_seconds)
    }

    fn review_due(&self) -> Option<Timestamp> {
        self.open_review().filter(|review| !review.overdue_noted).map(|review| review.review_by)
    }

    /// How many links of the policy's chain were taken.
    pub(super) fn automatic_escalations(&self) -> usize {
        self.escalations.iter().filter(|escalation| escalation.automatic).count()
    }

    /// When the next link of the chain is due: counted from the submission, so that it does not matter how late a tick
    /// comes. A link that would be due when the time to decide is over never is.
    fn next_escalation(&self) -> Option<Timestamp> {
        let chain = &self.terms().escalation;
        let taken = self.automatic_escalations();
        chain.get(taken)?;
        let seconds = chain.iter().take(taken + 1).map(|rule| rule.after_seconds).fold(0, u64::saturating_add);
        let due = self.submitted_at?.plus_seconds(seconds);
        self.decide_by.filter(|decide_by| due < *decide_by).map(|_| due)
    }

    fn automatic_escalation(&self, at: Timestamp) -> Option<ApprovalEvent> {
        let rule = self.terms().escalation.get(self.automatic_escalations())?;
        Some(ApprovalEvent::Escalated(Escalated {
            level: self.escalation_level().saturating_add(1),
            automatic: true,
            by: None,
            to: rule.to.clone(),
            widens: true,
            from_step: self.called_from(rule.repeat_from),
            repeat_from: rule.repeat_from,
            reason: None,
            at,
        }))
    }

    /// From which step on those may decide who are called now: the current one, or the one that is done again.
    pub(super) fn called_from(&self, repeat_from: Option<u32>) -> u32 {
        let current = self.ballot().current_step().unwrap_or(1);
        repeat_from.map_or(current, |step| step.min(current))
    }

    pub(super) fn escalate_to(&mut self, event: Escalated) {
        let Escalated { automatic, to, from_step, repeat_from, reason, at, .. } = event;
        let widens = automatic || event.widens;
        if let Some(step) = repeat_from.filter(|_| widens) {
            self.votes.retain(|vote| vote.step < step);
        }
        self.escalations.push(Escalation { automatic, to, widens, from_step, reason, at });
    }
}
