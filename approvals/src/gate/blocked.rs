//! What a caller is told whose request waits for a decision.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use cqrs_es::Aggregate as _;
use daybook_domain::Timestamp;
use daybook_domain::approval::{
    Approval, ApprovalCommand, ApprovalError, ApprovalStatus, NeededVotes, VoidReason, Voter,
};
use daybook_domain::text::ActorId;
use daybook_http_kit::{Principal, Problem, new_id, with_position};
use daybook_identity::directory::DirectoryState;
use daybook_ledger::commands::{CommandContext, CommandError, Outcome};
use serde::Serialize;

use super::Gated;
use crate::problems::refusal;
use crate::service::{Approvals, following, own, recorded};
use crate::voters::Candidate;

/// What waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The request.
    pub approval_id: String,
    /// How far it has come.
    pub status: ApprovalStatus,
    /// What the caller is told.
    pub detail: String,
    /// Position of the request's last entry.
    pub position: u64,
}

#[derive(Serialize)]
struct BlockedBody<'a> {
    detail: &'a str,
    approval_request_id: &'a str,
    status: &'a str,
}

impl Blocked {
    /// 202 with `detail`, `approval_request_id` and `status`.
    pub fn respond(&self) -> HttpResponse {
        let body =
            BlockedBody { detail: &self.detail, approval_request_id: &self.approval_id, status: self.status.as_str() };
        with_position(HttpResponse::Accepted().json(body), Some(self.position))
    }
}

/// How many votes a step lacks.
fn missing_in(needed: &[NeededVotes], step: u32) -> usize {
    let missing = needed.iter().filter(|needed| needed.step == step).map(|needed| needed.missing);
    usize::try_from(missing.fold(0, u32::saturating_add)).unwrap_or(usize::MAX)
}

/// How many persons these are.
fn persons<'a>(voters: impl Iterator<Item = &'a Voter>) -> usize {
    voters.map(|voter| &voter.person).collect::<BTreeSet<_>>().len()
}

/// Who can make the next decision on a request.
#[derive(Default)]
struct Deciders {
    /// Now.
    now: Vec<ActorId>,
    /// On one that is made later, for their seat is owed to whoever asks, or to themselves; and how much later.
    later: Vec<(ActorId, Timestamp)>,
    /// How many there have to be.
    needed: usize,
}

impl Deciders {
    fn are_enough(&self) -> bool {
        self.now.len() >= self.needed
    }

    /// From when on those whose seats are settled by then would be enough, on a new request.
    fn enough_from(&self) -> Option<Timestamp> {
        let mut later: Vec<Timestamp> = self.later.iter().map(|(_, from)| *from).collect();
        later.sort_unstable();
        let missing = self.needed.checked_sub(self.now.len())?.checked_sub(1)?;
        later.get(missing).copied()
    }
}

impl Approvals {
    /// What a caller is told whose request waits for a decision; says so where nobody can make it.
    pub fn blocked(&self, outcome: &Outcome<Approval>, detail: &str) -> Blocked {
        let approval = &outcome.aggregate;
        let state = self.0.directory.now();
        let missing = self.nobody_can_decide(&state, approval);
        Blocked {
            approval_id: outcome.id.clone(),
            status: approval.status().unwrap_or(ApprovalStatus::Pending),
            detail: missing.map_or_else(|| detail.to_owned(), |missing| format!("{detail}; {missing}")),
            position: outcome.receipt.position,
        }
    }

    /// Says where nobody of the organisation's people can make the next decision, or too few; and from when on somebody could
    /// on a new request.
    fn nobody_can_decide(&self, state: &DirectoryState, approval: &Approval) -> Option<String> {
        let deciders = self.deciders(state, approval)?;
        if deciders.are_enough() {
            return None;
        }
        let missing = if deciders.now.is_empty() {
            "nobody in the organisation can decide it"
        } else {
            "fewer people in the organisation can decide it than it needs"
        };
        Some(match deciders.enough_from() {
            None => missing.to_owned(),
            Some(from) => format!(
                "{missing}: nobody decides by the doing of whoever asks, of the day before or since; asked for again from \
                 {from} on, it can be decided"
            ),
        })
    }

    /// Who can make the next decision. `None` where development headers are believed, for somebody always may come, and where
    /// it is not waited for.
    fn deciders(&self, state: &DirectoryState, approval: &Approval) -> Option<Deciders> {
        if self.0.development || approval.status() != Some(ApprovalStatus::Pending) {
            return None;
        }
        let (facts, at) = (self.facts(state), self.timestamp().ok()?);
        let step = approval.current_step();
        let needed = step.map_or(0, |step| missing_in(&approval.still_needed(), step)).max(1);
        let mut deciders = Deciders { needed, ..Deciders::default() };
        for user_id in state.users.keys() {
            let voter = Candidate::known(facts, user_id).ok()?.on(approval);
            match approval.eligibility(&voter, at) {
                Ok(_) if !deciders.now.contains(&voter.person) => deciders.now.push(voter.person),
                Err(ApprovalError::SeatOwedToRequester { settled_at, .. }) => {
                    deciders.later.push((voter.person, settled_at));
                }
                _ => {}
            }
            if deciders.are_enough() {
                break;
            }
        }
        deciders.later.sort_unstable();
        deciders.later.dedup_by(|one, before| one.0 == before.0);
        let Deciders { now, later, .. } = &mut deciders;
        later.retain(|(person, _)| !now.contains(person));
        Some(deciders)
    }

    /// Whether there are people enough for every step of a request that nobody has voted on.
    fn is_decidable(&self, state: &DirectoryState, approval: &Approval) -> Result<bool, Problem> {
        if approval.status() == Some(ApprovalStatus::Approved) {
            return Ok(true);
        }
        let (facts, at) = (self.facts(state), self.timestamp()?);
        let mut voters: Vec<Voter> = Vec::new();
        for user_id in state.users.keys() {
            let voter = Candidate::known(facts, user_id)?.on(approval);
            if matches!(approval.eligibility(&voter, at), Ok(_) | Err(ApprovalError::NotYourTurn { .. })) {
                voters.push(voter);
            }
        }
        let still_needed = approval.still_needed();
        let has_enough = |needed: &NeededVotes| {
            let is_asked = |voter: &&Voter| {
                let mut asked =
                    still_needed.iter().filter(|other| other.step == needed.step).flat_map(|other| &other.from);
                asked.any(|electorate| {
                    voter.belongs_to(electorate) || voter.stands_for.iter().any(|absent| absent.belongs_to(electorate))
                })
            };
            persons(voters.iter().filter(is_asked)) >= missing_in(&still_needed, needed.step)
        };
        let distinct = approval.policy().is_none_or(|policy| policy.terms.distinct_persons);
        let all = still_needed.iter().map(|needed| needed.missing).fold(0, u32::saturating_add);
        let are_enough = !distinct || persons(voters.iter()) >= usize::try_from(all).unwrap_or(usize::MAX);
        Ok(approval.status() == Some(ApprovalStatus::Pending) && are_enough && still_needed.iter().all(has_enough))
    }

    /// Ends the caller's own request where nobody can decide it, and the same could be decided if it were asked for now; says
    /// whether it did. Where others were let in by whoever asks, that is so a day later, and nobody is to wait until the
    /// request is over.
    pub async fn give_way(
        &self,
        principal: &Principal,
        gated: &Gated,
        outcome: &Outcome<Approval>,
        context: &CommandContext,
    ) -> Result<bool, Problem> {
        let state = self.state().await?;
        let approval = &outcome.aggregate;
        let is_own = approval.requester().is_some_and(|asked| asked.actor.as_str() == principal.actor.id);
        let is_stuck = || self.deciders(&state, approval).is_some_and(|deciders| !deciders.are_enough());
        if !is_own || !is_stuck() {
            return Ok(false);
        }
        let mut anew = Approval::default();
        let id = new_id("apr", &following(context));
        let events = match self.request(&state, principal, gated.clone(), true, &id) {
            Ok(command) => anew.decide(command).unwrap_or_default(),
            Err(_) => return Ok(false),
        };
        for event in events {
            anew.apply(event);
        }
        if !self.is_decidable(&state, &anew)? {
            return Ok(false);
        }
        let command = ApprovalCommand::Void { why: VoidReason::Superseded, at: self.timestamp()? };
        // Not where anything has come to it meanwhile.
        let context = CommandContext { expected_version: Some(outcome.version), ..own(context) };
        match recorded(&self.0.approvals, &outcome.id, command, context).await {
            Ok(ended) => self.0.directory.settle_at(ended.receipt.position).await.map(|_| true),
            Err(CommandError::Refused(_) | CommandError::Conflict { .. }) => Ok(false),
            Err(error) => Err(refusal(error)),
        }
    }
}
