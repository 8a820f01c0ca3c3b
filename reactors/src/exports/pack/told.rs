//! What the report says of decisions, holds, and of the pack itself.

use daybook_approvals::Grant;
use daybook_domain::approval::Approval;
use daybook_domain::legal_hold::{Covered, LegalHold};
use daybook_exports::pack::{ApprovalStory, Fact, HoldStory, Report, VoteLine};
use daybook_ledger::keys::time::rfc3339;
use daybook_ledger::note::{CheckpointBody, SignedNote};

use super::people::Names;
use super::proving::Proving;
use super::records::Told;
use super::selection::Selection;
use super::{Counts, Pack};

/// Streams and people that are named one by one.
const MAX_NAMED: usize = 50;

fn fact(name: &str, value: impl Into<String>) -> Fact {
    (name.to_owned(), value.into())
}

/// Every vote that was cast and stands, those that agreed first.
pub(super) fn votes(approval: &Approval, names: &Names) -> Vec<VoteLine> {
    let cast = approval.approvers().iter().chain(approval.votes());
    let mut lines: Vec<VoteLine> = Vec::new();
    for vote in cast {
        let mut person = names.of(vote.person.as_str());
        if let Some(other) = &vote.on_behalf_of {
            person.push_str(&format!(", for {}", names.of(other.as_str())));
        }
        if vote.signature.is_some() {
            person.push_str(", signed with a key of their own");
        }
        let line = VoteLine {
            at: vote.at.to_string(),
            person,
            decision: vote.decision.to_string(),
            reason: vote.reason.as_ref().map(ToString::to_string).unwrap_or_default(),
        };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// A request for approval.
pub(super) fn approval(approval: &Approval, told: &Told, names: &Names) -> ApprovalStory {
    let mut facts = Vec::new();
    facts.extend(approval.status().map(|status| fact("Status", status.to_string())));
    if let Some(requester) = approval.requester() {
        facts.push(fact("Asked for by", names.of(requester.person.as_str())));
    }
    facts.extend(approval.requested_at().map(|at| fact("Asked for at", at.to_string())));
    facts.extend(approval.reason().map(|reason| fact("Why", reason.to_string())));
    facts.extend(approval.decided_at().map(|at| fact("Decided at", at.to_string())));
    if let Some(policy) = approval.policy() {
        facts.push(fact("Policy", format!("version {}", policy.version)));
    }
    if let Some(consumed) = approval.consumed() {
        facts.push(fact("Used for", consumed.execution_id.to_string()));
    }
    if let Some(review) = approval.review() {
        facts.push(fact("Glass broken by", names.of(review.person.as_str())));
    }
    facts.push(fact("Positions", format!("{} to {}", told.first_position, told.last_position)));
    let summary = approval.action().map(|action| action.summary.to_string()).unwrap_or_default();
    ApprovalStory { id: told.stream_id.clone(), summary, facts, votes: votes(approval, names) }
}

/// A legal hold, by its entries alone.
pub(super) fn hold(hold: &LegalHold, told: &Told, names: &Names) -> HoldStory {
    let mut facts = Vec::new();
    if let Some(placed) = hold.content() {
        facts.push(fact("Matter", placed.matter.to_string()));
        facts.push(fact("Why", placed.reason.to_string()));
    }
    facts.push(fact("Placed by", names.of(&told.began_by)));
    facts.push(fact("Placed at", told.began_at.clone()));
    let released = told.released_at.as_ref();
    facts.push(fact("Status", released.map_or_else(|| "in force".to_owned(), |at| format!("released at {at}"))));
    facts.push(fact("Positions", format!("{} to {}", told.first_position, told.last_position)));
    let covers = hold.covers().map(|covered| match covered {
        Covered::Subject { id } => format!("everything about {}", names.of(id.as_str())),
        Covered::Stream { stream_type, stream_id } => format!("{stream_type}/{stream_id}"),
    });
    HoldStory { id: told.stream_id.clone(), facts, covers: covers.collect() }
}

impl Pack<'_> {
    /// All that is said of the pack as a whole.
    pub(super) fn tell(
        &self,
        grant: &Grant,
        selection: &Selection,
        counts: &Counts,
        proving: &Proving,
        names: &Names,
        report: &mut Report,
    ) {
        report.matter.clone_from(&self.query.matter);
        report.organization = organization(self);
        report.made_at = rfc3339((self.driver.clock)());
        report.period = (rfc3339(self.query.start), rfc3339(self.query.end));
        report.about = self.about(selection);
        report.request = self.request_facts(grant, names);
        report.open_at = selection.open_at.map(|(position, at)| (position, rfc3339(at)));
        report.entries = counts.entries;
        report.own_entries = counts.own;
        report.stamp_entries = selection.beside.len() as u64;
        report.entries_by_event = counts.by_event.iter().map(|(event, count)| (event.clone(), *count)).collect();
        let listed: u64 = counts.by_event.values().sum();
        if listed < counts.entries {
            report.entries_by_event.push(("all others".to_owned(), counts.entries - listed));
        }
        let body = SignedNote::parse(&proving.checkpoint.note).and_then(|note| CheckpointBody::parse(&note.body));
        report.proof.origin = body.map(|body| body.origin).unwrap_or_default();
        report.proof.size = proving.checkpoint.size;
        report.proof.root = proving.checkpoint.root.to_string();
        report.proof.note.clone_from(&proving.checkpoint.note);
        let first = selection.positions.first().copied().unwrap_or(0);
        report.proof.positions = (first, selection.end().saturating_sub(1));
        let keys = proving.keys.lines().filter(|line| !line.starts_with('#'));
        report.proof.keys = keys.map(str::to_owned).collect();
    }

    fn about(&self, selection: &Selection) -> Vec<String> {
        let mut about = Vec::new();
        let named = |items: Vec<String>| {
            let rest = items.len().saturating_sub(MAX_NAMED);
            let mut text = items.into_iter().take(MAX_NAMED).collect::<Vec<_>>().join(", ");
            if rest > 0 {
                text.push_str(&format!(" and {rest} more"));
            }
            text
        };
        if self.query.is_of_everything() {
            about.push("Everything that was recorded within the period.".to_owned());
        }
        if let Some(hold) = &self.query.hold {
            about.push(format!("Everything that the legal hold {hold} covers."));
        }
        if !self.query.streams.is_empty() {
            let streams = self.query.streams.iter().map(ToString::to_string).collect();
            about.push(format!("These records, whoever did it: {}.", named(streams)));
        }
        if !selection.subjects.is_empty() {
            let whose = named(selection.subjects.clone());
            about.push(format!("What these did within the period, or had done on their behalf, and the records that they touched: {whose}."));
        }
        if !selection.idle.is_empty() {
            let idle = named(selection.idle.clone());
            about.push(format!(
                "Within the period nothing was recorded that these did, or had done on their behalf: {idle}."
            ));
        }
        if !selection.missing.is_empty() {
            let missing = selection.missing.iter().map(ToString::to_string).collect();
            about.push(format!("By the end of the period the ledger had no entry of: {}.", named(missing)));
        }
        about
    }

    fn request_facts(&self, grant: &Grant, names: &Names) -> Vec<Fact> {
        let request = self.request;
        let mut facts =
            vec![fact("Matter", self.query.matter.clone()), fact("Asked for by", names.of(request.person.as_str()))];
        facts.extend(request.reason.as_ref().map(|reason| fact("Why", reason.to_string())));
        let approvers: Vec<String> = grant.approvers().iter().map(|person| names.of(person.as_str())).collect();
        facts.push(match approvers.is_empty() {
            true => fact("Agreed to by", "nobody: the policy asks nobody"),
            false => fact("Agreed to by", approvers.join(", ")),
        });
        if let Some(person) = grant.broken_by() {
            facts.push(fact("Glass broken by", names.of(person.as_str())));
        }
        facts.extend(self.export.approved().map(|approved| fact("Agreed to at", approved.at.to_string())));
        let policy = format!("{}, policy version {}", grant.approval_id(), grant.policy_version());
        facts.push(fact("Approval", policy));
        facts.push(fact("Export", request.export_id.to_string()));
        facts.push(fact("Made at", rfc3339((self.driver.clock)())));
        facts
    }
}

/// The organisation's name, or the id of its ledger where it has none.
fn organization(pack: &Pack<'_>) -> String {
    let name = pack.directory.organization.name.trim();
    let id = pack.driver.reader.id();
    if name.is_empty() { id.to_string() } else { format!("{name} ({id})") }
}
