//! One request for approval, followed from entry to entry: what was asked, who voted, whether that was enough, and how often
//! it was used.

use super::count::missing;
use super::digest::digest_of;
use super::payloads::{
    Action, Approved, Consumed, Decision, Electorate, Escalated, GlassBroken, Moment, PolicyInForce, Requested,
    Requester, ReviewClosed, Revised, Submitted, Terms, Vote, VoteWithdrawn, Voted,
};
use super::people::People;
use super::signature;
use super::told::Context;
use crate::report::FindingKind;

/// Where a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Draft,
    Pending,
    Granted,
    /// Over, and how.
    Over(&'static str),
}

/// How an approval was used.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) execution_id: String,
    pub(super) digest: String,
    /// Position of the entry that says what was done.
    pub(super) effect: Option<u64>,
    /// Whether the use was taken back before anything was done under it.
    pub(super) is_taken_back: bool,
}

/// An emergency and its review.
#[derive(Debug)]
pub(super) struct Glass {
    position: u64,
    broken: GlassBroken,
    votes: Vec<Vote>,
    outcome: Option<String>,
}

#[derive(Debug)]
pub(super) struct Trail {
    pub(super) id: String,
    requested_at: Moment,
    requester: Requester,
    pub(super) action: Action,
    pub(super) digest: String,
    pub(super) policy: PolicyInForce,
    revision: u64,
    standing: Standing,
    decide_by: Option<Moment>,
    escalated: bool,
    votes: Vec<Vote>,
    /// From when until when it may be used.
    grant: Option<(Moment, Moment)>,
    glass: Option<Glass>,
    pub(super) used: Option<Use>,
}

impl Trail {
    pub(super) fn requested(id: &str, event: Requested, context: &mut Context<'_>) -> Self {
        if event.approval_id != id {
            let detail = format!("the request in the stream of {id} says that it is {}", event.approval_id);
            context.fault(FindingKind::ApprovalUnreadable, detail);
        }
        check_request(&event.action, &event.digest, &event.policy, context);
        Self {
            id: id.to_owned(),
            requested_at: event.at,
            requester: event.requester,
            action: event.action,
            digest: event.digest,
            policy: event.policy,
            revision: 1,
            standing: Standing::Draft,
            decide_by: None,
            escalated: false,
            votes: Vec::new(),
            grant: None,
            glass: None,
            used: None,
        }
    }

    pub(super) fn submitted(&mut self, event: &Submitted, context: &mut Context<'_>) {
        if event.decide_by > event.at.plus_seconds(self.policy.terms.decide_within_seconds) {
            let detail = format!("{} may be decided for longer than its policy allows", self.id);
            context.fault(FindingKind::ApprovalPolicyMismatch, detail);
        }
        self.must_be_open("submitted", self.standing == Standing::Draft, context);
        self.decide_by = Some(event.decide_by);
        self.standing = Standing::Pending;
    }

    /// What is over stays so: else it could be decided as often as it takes.
    fn must_be_open(&self, what: &str, is_open: bool, context: &mut Context<'_>) {
        if !is_open {
            let detail = format!("{} was {what}, but {}", self.id, self.why_not_granted());
            context.fault(FindingKind::ApprovalNotGranted, detail);
        }
    }

    /// Another action: what was said about the one before is void.
    pub(super) fn revised(&mut self, event: Revised, context: &mut Context<'_>) {
        check_request(&event.action, &event.digest, &event.policy, context);
        let is_open = self.used.is_none() && self.glass.is_none() && !matches!(self.standing, Standing::Over(_));
        self.must_be_open("revised", is_open, context);
        self.revision = event.revision;
        self.action = event.action;
        self.digest = event.digest;
        self.policy = event.policy;
        self.votes.clear();
        self.escalated = false;
        self.grant = None;
        if is_open {
            self.standing = if event.decide_by.is_some() { Standing::Pending } else { Standing::Draft };
        }
        self.decide_by = event.decide_by;
    }

    pub(super) fn escalated(&mut self, event: &Escalated) {
        // A call for attention gives nobody a say.
        if !event.automatic && !event.widens {
            return;
        }
        self.escalated = true;
        if let Some(step) = event.repeat_from {
            self.votes.retain(|vote| vote.step < step);
        }
    }

    pub(super) fn voted(&mut self, event: Voted, context: &mut Context<'_>) {
        self.check_signature(&event, context);
        let barred = [self.requester.person.as_str(), self.requester.actor.as_str()];
        let wrong = self
            .wrong_subject(&event)
            .or_else(|| match self.standing {
                Standing::Pending if self.decide_by.is_some_and(|until| event.vote.at < until) => None,
                Standing::Pending => Some("the time to decide was over".to_owned()),
                Standing::Draft => Some("no decision was asked for".to_owned()),
                Standing::Granted => Some("it was granted already".to_owned()),
                Standing::Over(how) => Some(format!("it was {how} already")),
            })
            .map(|why| (FindingKind::ApprovalVoteInvalid, why))
            .or_else(|| self.wrong_vote(&event.vote, &self.votes, &[barred], !self.escalated, context));
        match wrong {
            Some((kind, why)) => {
                let detail = format!("the vote of {} on {} does not count: {why}", event.vote.person, self.id);
                context.fault(kind, detail);
            }
            None => self.votes.push(event.vote),
        }
    }

    fn wrong_subject(&self, event: &Voted) -> Option<String> {
        (event.revision != self.revision || event.digest != self.digest)
            .then(|| format!("it is about another action than revision {} of the request", self.revision))
    }

    /// Whether a vote can count beside those that do; why not.
    fn wrong_vote(
        &self,
        vote: &Vote,
        votes: &[Vote],
        barred: &[[&str; 2]],
        by_name: bool,
        context: &Context<'_>,
    ) -> Option<(FindingKind, String)> {
        let people = context.people;
        let now = context.recorded_at;
        for ids in barred {
            if let Some(id) = ids.iter().find(|id| vote.people().any(|voter| people.is_same(voter, id, now))) {
                let why = format!("{id} asked for it or did it, and decides neither in person nor through another");
                return Some((FindingKind::ApprovalSelfVote, why));
            }
            let period = (self.requested_at, vote.at);
            if let Some(id) = people.delegation_between(*ids, &vote.person, period, now) {
                let why = format!("the delegation {id} makes the voter stand in for {}", ids.join(" or "));
                return Some((FindingKind::ApprovalDelegateVote, why));
            }
            // Whoever could not vote has no vote to hand on.
            let absent = vote.on_behalf_of.as_deref();
            if let Some(id) = absent.and_then(|absent| people.delegation_between(*ids, absent, period, now)) {
                let why = format!("the delegation {id} makes who is voted for stand in for {}", ids.join(" or "));
                return Some((FindingKind::ApprovalDelegateVote, why));
            }
            if let Some(giver) = owed_to_any(vote, ids, people, now) {
                let why = format!("it could be cast by the doing of {giver}, who asked for it or did it");
                return Some((FindingKind::ApprovalSelfVote, why));
            }
        }
        let invalid = |why: String| Some((FindingKind::ApprovalVoteInvalid, why));
        if !people.is_same(&vote.actor, &vote.person, now.saturating_add(super::people::SETTLING)) {
            return invalid(format!("{} is not an account of {}", vote.actor, vote.person));
        }
        if votes.iter().any(|other| other.decision == Decision::Reject) {
            return invalid("somebody had rejected it".to_owned());
        }
        let terms = &self.policy.terms;
        let Some(current) = missing(terms, votes) else { return invalid("every step had its votes".to_owned()) };
        if vote.step != current.step {
            return invalid(format!("it is in step {}, while step {} was to be decided", vote.step, current.step));
        }
        let step = usize::try_from(vote.step).ok().and_then(|step| terms.steps.get(step.checked_sub(1)?));
        let clauses: Vec<_> = vote
            .clauses
            .iter()
            .filter_map(|clause| step?.clauses.get(usize::try_from(*clause).ok()?.checked_sub(1)?))
            .collect();
        if clauses.is_empty() || clauses.len() != vote.clauses.len() {
            return invalid(format!("step {} has no such clause", vote.step));
        }
        // Who has which role is the word of whoever recorded the vote; who is named is known, and is that very account.
        let who = match &vote.on_behalf_of {
            Some(absent) => vote.delegation_id.as_deref().and_then(|id| people.given_by(id)).unwrap_or(absent),
            None => &vote.actor,
        };
        let named = |electorate: &Electorate| match electorate {
            Electorate::Person(id) => id == who,
            Electorate::Role(_) | Electorate::Department(_) => true,
        };
        if by_name && !clauses.iter().all(|clause| clause.from.iter().any(named)) {
            return invalid(format!("{who} is not one of those who are asked"));
        }
        let matters = |other: &&Vote| terms.distinct_persons || other.step == vote.step;
        let used = |other: &Vote| other.people().any(|one| vote.people().any(|two| people.is_same(one, two, now)));
        if votes.iter().filter(matters).any(used) {
            let why = "somebody voted or was voted for twice".to_owned();
            return Some((FindingKind::ApprovalVoteRepeated, why));
        }
        let from = vote.on_behalf_of.as_deref()?;
        let between = (from, vote.person.as_str());
        let why = people.wrong_delegation(vote.delegation_id.as_deref(), between, &self.action.action, vote.at, now)?;
        invalid(why)
    }

    fn check_signature(&self, event: &Voted, context: &mut Context<'_>) {
        context.told.counts.votes += 1;
        let Some(signed) = &event.vote.signature else { return };
        context.told.counts.signed_votes += 1;
        let text = signature::signed_text(&self.id, &event.digest, event.revision, event.vote.decision);
        match signature::verify(signed, &text) {
            Ok(()) => context.told.counts.verified_signatures += 1,
            Err(why) => {
                let detail = format!("the signature of the vote of {} on {}: {why}", event.vote.person, self.id);
                context.fault(FindingKind::VoteSignatureInvalid, detail);
            }
        }
    }

    pub(super) fn vote_withdrawn(&mut self, event: &VoteWithdrawn) {
        self.votes.retain(|vote| vote.step <= event.step && !(vote.step == event.step && vote.person == event.person));
    }

    pub(super) fn approved(&mut self, event: &Approved, context: &mut Context<'_>) {
        context.told.counts.granted += 1;
        if self.standing != Standing::Pending {
            let detail = format!("{} was granted, but {}", self.id, self.why_not_granted());
            context.fault(FindingKind::ApprovalNotGranted, detail);
        }
        if event.digest != self.digest || event.revision != self.revision {
            let detail = format!("{} was granted for something else than its revision {}", self.id, self.revision);
            context.fault(FindingKind::ApprovalDigestMismatch, detail);
        }
        let terms = &self.policy.terms;
        if event.policy_version != self.policy.version
            || event.grant_expires_at > event.at.plus_seconds(terms.grant_seconds)
        {
            let detail = format!("{} was granted under another policy, or for longer than its own allows", self.id);
            context.fault(FindingKind::ApprovalPolicyMismatch, detail);
        }
        if let Some(why) = self.not_enough(terms, &self.votes) {
            let detail = format!("{} was granted without its votes: {why}", self.id);
            context.fault(FindingKind::ApprovalVotesMissing, detail);
        }
        let stranger = event.approved_by.iter().find(|id| self.votes.iter().all(|vote| vote.person != **id));
        if let Some(id) = stranger {
            let detail = format!("{} names {id} as somebody who agreed, of whom no vote counts", self.id);
            context.fault(FindingKind::ApprovalVotesMissing, detail);
        }
        self.grant = Some((event.at, event.grant_expires_at));
        self.standing = Standing::Granted;
    }

    fn not_enough(&self, terms: &Terms, votes: &[Vote]) -> Option<String> {
        if votes.iter().any(|vote| vote.decision == Decision::Reject) {
            return Some("somebody rejected it".to_owned());
        }
        missing(terms, votes).map(|short| {
            format!("clause {} of step {} has {} of {}", short.clause, short.step, short.counted, short.asked)
        })
    }

    fn why_not_granted(&self) -> String {
        match self.standing {
            Standing::Draft => "no decision was asked for".to_owned(),
            Standing::Pending => "it was not decided".to_owned(),
            Standing::Granted => "it was granted already".to_owned(),
            Standing::Over(how) => format!("it was {how}"),
        }
    }

    /// It is over without having been used, or the use is taken back.
    pub(super) fn ended(&mut self, how: &'static str) {
        match &mut self.used {
            None => self.standing = Standing::Over(how),
            Some(used) => used.is_taken_back |= how == "voided" && used.effect.is_none(),
        }
        self.forget();
    }

    pub(super) fn consumed(&mut self, event: Consumed, context: &mut Context<'_>) {
        context.told.counts.consumed += 1;
        if self.used.is_some() {
            let detail = format!("{} was used before", self.id);
            context.fault(FindingKind::ApprovalConsumedTwice, detail);
            return;
        }
        if self.standing != Standing::Granted {
            let detail = format!("{} was used, but {}", self.id, self.why_not_granted());
            context.fault(FindingKind::ApprovalNotGranted, detail);
        }
        if event.digest != self.digest {
            let detail = format!("{} was used for something else than it was asked for", self.id);
            context.fault(FindingKind::ApprovalDigestMismatch, detail);
        }
        if event.policy_version != self.policy.version {
            let detail = format!(
                "{} was decided under version {} of its policy, and used under version {}",
                self.id, self.policy.version, event.policy_version
            );
            context.fault(FindingKind::ApprovalPolicyMismatch, detail);
        }
        if self.grant.is_some_and(|(from, until)| event.at < from || event.at >= until) {
            let detail = format!("{} was used outside of the time in which it held", self.id);
            context.fault(FindingKind::ApprovalExpired, detail);
        }
        self.check_people_again(context);
        self.used =
            Some(Use { execution_id: event.execution_id, digest: event.digest, effect: None, is_taken_back: false });
        self.forget();
    }

    /// Accounts may have turned out to be one person's since they voted.
    fn check_people_again(&self, context: &mut Context<'_>) {
        let requester = [self.requester.person.as_str(), self.requester.actor.as_str()];
        let (people, now) = (context.people, context.recorded_at);
        let voter = self
            .votes
            .iter()
            .find(|vote| vote.people().any(|voter| requester.iter().any(|asked| people.is_same(voter, asked, now))));
        if let Some(vote) = voter {
            let detail = format!("{} was used by the vote of {}, who is the one who asked", self.id, vote.person);
            context.fault(FindingKind::ApprovalSelfVote, detail);
        }
        let owed = self.votes.iter().find_map(|vote| Some((vote, owed_to_any(vote, &requester, people, now)?)));
        if let Some((vote, giver)) = owed {
            let voter = &vote.person;
            let detail = format!(
                "{} was used by the vote of {voter}, which could be cast by the doing of {giver}, who asked",
                self.id
            );
            context.fault(FindingKind::ApprovalSelfVote, detail);
        }
    }

    /// What is not needed any more when it is over.
    fn forget(&mut self) {
        self.votes = Vec::new();
        if self.glass.is_none() {
            self.policy.terms.steps = Vec::new();
        }
    }

    pub(super) fn glass_broken(&mut self, event: GlassBroken, context: &mut Context<'_>) {
        context.told.counts.broken_glass += 1;
        let allowed = self.policy.terms.break_glass.as_ref();
        let why = match allowed {
            None => Some("its policy knows no emergency".to_owned()),
            Some(_) if self.action.resource_type == "export_schedule" => {
                Some("it is for what a schedule does, which is no emergency".to_owned())
            }
            Some(terms) if event.grant_expires_at > event.at.plus_seconds(terms.grant_seconds) => {
                Some("for longer than its policy allows".to_owned())
            }
            Some(terms) if event.review_by > event.at.plus_seconds(terms.review_within_seconds) => {
                Some("with more time for the review than its policy allows".to_owned())
            }
            Some(terms) if !may_break(&terms.who, &event) => Some(format!("{} may not do that", event.person)),
            Some(_) if self.standing != Standing::Pending => Some(self.why_not_granted()),
            Some(_) => None,
        };
        if let Some(why) = why {
            let detail = format!("the glass was broken for {}, but {why}", self.id);
            context.fault(FindingKind::ApprovalNotGranted, detail);
        }
        self.standing = Standing::Granted;
        self.grant = Some((event.at, event.grant_expires_at));
        self.votes.clear();
        self.glass = Some(Glass { position: context.position, broken: event, votes: Vec::new(), outcome: None });
    }

    pub(super) fn reviewed(&mut self, event: Voted, context: &mut Context<'_>) {
        self.check_signature(&event, context);
        let Some(glass) = &self.glass else { return self.no_review(context) };
        let barred = [
            [self.requester.person.as_str(), self.requester.actor.as_str()],
            [glass.broken.person.as_str(), glass.broken.actor.as_str()],
        ];
        let wrong = self
            .wrong_subject(&event)
            .map(|why| (FindingKind::ApprovalVoteInvalid, why))
            .or_else(|| self.wrong_vote(&event.vote, &glass.votes, &barred, true, context));
        match (wrong, &mut self.glass) {
            (Some((kind, why)), _) => {
                let voter = &event.vote.person;
                let detail = format!("the vote of {voter} in the review of {} does not count: {why}", self.id);
                context.fault(kind, detail);
            }
            (None, Some(glass)) => glass.votes.push(event.vote),
            (None, None) => {}
        }
    }

    fn no_review(&self, context: &mut Context<'_>) {
        let detail = format!("nothing of {} is to be reviewed", self.id);
        context.fault(FindingKind::ApprovalVoteInvalid, detail);
    }

    pub(super) fn review_closed(&mut self, event: ReviewClosed, context: &mut Context<'_>) {
        let Some(glass) = &self.glass else { return self.no_review(context) };
        if event.outcome == "accepted"
            && let Some(why) = self.not_enough(&self.policy.terms, &glass.votes)
        {
            let detail = format!("the review of {} was closed without its votes: {why}", self.id);
            context.fault(FindingKind::ApprovalVotesMissing, detail);
        }
        if let Some(glass) = &mut self.glass {
            glass.outcome = Some(event.outcome);
            glass.votes = Vec::new();
        }
    }

    /// What somebody who reads the report must know, though it is no fault.
    pub(super) fn observation(&self) -> Option<(u64, String)> {
        let Glass { position, broken, outcome, .. } = self.glass.as_ref()?;
        let review = outcome.as_deref().map_or_else(|| "is open".to_owned(), |outcome| format!("came to: {outcome}"));
        let used = if self.used.is_some() { "it was used" } else { "it was not used" };
        let detail = format!(
            "{} broke the glass for {} ({}); {used}, and the review {review}",
            broken.person, self.id, self.action.action
        );
        Some((*position, detail))
    }
}

fn check_request(action: &Action, digest: &str, policy: &PolicyInForce, context: &mut Context<'_>) {
    if digest_of(action) != *digest {
        let detail = "the digest of the request is not that of what it asks for".to_owned();
        context.fault(FindingKind::ApprovalDigestMismatch, detail);
    }
    if let Some(why) = context.policies.wrong(action, policy, context.recorded_at) {
        context.fault(FindingKind::ApprovalPolicyMismatch, format!("the policy of the request: {why}"));
    }
}

/// Who is named may break the glass with that very account.
fn may_break(who: &[Electorate], event: &GlassBroken) -> bool {
    who.iter().any(|electorate| match electorate {
        Electorate::Person(id) => *id == event.actor,
        Electorate::Role(_) | Electorate::Department(_) => true,
    })
}

/// By whose doing, of these or of who voted, a vote could be cast.
fn owed_to_any<'a>(vote: &'a Vote, ids: &[&str; 2], people: &People, now: u64) -> Option<&'a str> {
    let is_one = |giver: &&String| {
        let mut own = ids.iter().copied().chain(vote.people());
        own.any(|id| people.is_same(giver, id, now))
    };
    vote.owed_to.iter().find(is_one).map(String::as_str)
}
