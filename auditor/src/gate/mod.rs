//! Did anything that needs an approval happen without one? Answered from the entries alone, and by none of the code that
//! lets things through.
//!
//! Votes are counted again: the requester's person is not among the voters, nobody counts twice, every clause of every step
//! has its votes. Each fault is reported once, at the entry where it was made: a vote that cannot count at the vote, a grant
//! without its votes at the grant, a use after the end at the use, an effect without an approval at the effect.
//!
//! What is the word of whoever recorded it: which roles somebody had when voting, and what was done outside of Daybook with
//! an approval. A request is followed by its stream; requests and what hangs on them beyond [`MOST`] are left out and said
//! to be.

mod count;
mod digest;
mod effects;
mod payloads;
mod people;
mod policies;
mod retention;
mod schedules;
mod signature;
mod told;
mod trail;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::de::DeserializeOwned;

pub use self::told::{ApprovalCounts, Approvals, Observation};

use self::effects::{Effect, export_parameters, judge};
use self::payloads::{
    DelegationGiven, DelegationMoment, ErasureApproved, ErasureRequested, Escalated, ExportApproved, ExportRequested,
    PolicyDefined, PolicyRetired, RestsOn, RetentionRuleSet, SamePersonDeclared,
};
use self::people::People;
use self::policies::Policies;
use self::retention::Retention;
use self::schedules::Schedule;
use self::told::{Context, Told};
use self::trail::Trail;
use crate::cell::Fields;
use crate::report::FindingKind;

/// Most requests, exports, erasures, delegations and declarations that are told apart.
const MOST: usize = 1_000_000;
/// The version of payloads that is read.
const SCHEMA_VERSION: u64 = 1;

/// Whether an entry has to do with approvals, or with what needs one.
pub(crate) fn is_watched(stream_type: &str, event_type: &str) -> bool {
    match stream_type {
        "approval" | "approval_policy" | "delegation" | "retention_rule" | "export" | "export_schedule" | "erasure" => {
            true
        }
        "user" => event_type == "user.same_person_declared",
        _ => false,
    }
}

/// Follows one ledger.
#[derive(Debug)]
pub(crate) struct Gate {
    trails: HashMap<String, Trail>,
    people: People,
    policies: Policies,
    retention: Retention,
    /// Exports that are not approved yet.
    exports: HashMap<String, ExportRequested>,
    /// Exports and erasures that were approved, as `type/id`.
    approved: HashSet<String>,
    /// Schedules of exports, with their standing approvals.
    schedules: HashMap<String, Schedule>,
    /// Whose data an erasure is about.
    erasures: HashMap<String, String>,
    told: Told,
    known: usize,
    left_out: u64,
    unknown: u64,
}

/// What reading one entry came to: nothing, or why it cannot be read.
type Read = Result<(), String>;

impl Gate {
    pub(crate) fn new(max_findings: usize) -> Self {
        Self {
            trails: HashMap::new(),
            people: People::default(),
            policies: Policies::default(),
            retention: Retention::default(),
            exports: HashMap::new(),
            approved: HashSet::new(),
            schedules: HashMap::new(),
            erasures: HashMap::new(),
            told: Told::new(max_findings),
            known: 0,
            left_out: 0,
            unknown: 0,
        }
    }

    /// Takes the next entry that is watched.
    pub(crate) fn entry(&mut self, fields: &Fields<'_>) {
        if fields.schema_version != SCHEMA_VERSION {
            self.unknown += 1;
            return;
        }
        let Some(payload) = fields.payload else { return };
        let read = match fields.stream_type {
            "approval" => self.approval(fields, payload),
            "approval_policy" => self.policy(fields, payload),
            "delegation" => self.delegation(fields, payload),
            "retention_rule" => self.retention_rule(fields, payload),
            "export" => self.export(fields, payload),
            "export_schedule" => self.export_schedule(fields, payload),
            "erasure" => self.erasure(fields, payload),
            _ => parsed::<SamePersonDeclared>(payload).map(|event| {
                if self.room() {
                    self.people.declare(fields.stream_id, event.person, fields.recorded_at);
                }
            }),
        };
        if let Err(why) = read {
            let detail = format!("the entry {} cannot be read: {why}", fields.event_type);
            self.told.findings.at(fields.position, FindingKind::ApprovalUnreadable, detail);
        }
    }

    /// Whether there is room for one more of anything.
    fn room(&mut self) -> bool {
        let has_room = self.known < MOST;
        if has_room {
            self.known += 1
        } else {
            self.left_out += 1
        }
        has_room
    }

    fn approval(&mut self, fields: &Fields<'_>, payload: &[u8]) -> Read {
        let id = fields.stream_id;
        if fields.event_type == "approval.requested" {
            let event = parsed(payload)?;
            self.told.counts.requests += 1;
            if self.room() {
                let mut context = context(fields, &self.people, &self.policies, &mut self.told);
                let trail = Trail::requested(id, event, &mut context);
                self.trails.insert(id.to_owned(), trail);
            }
            return Ok(());
        }
        let Some(trail) = self.trails.get_mut(id) else {
            // Beyond the bound it may have been requested.
            return if self.left_out > 0 { Ok(()) } else { Err("nobody asked for it before".to_owned()) };
        };
        let context = &mut context(fields, &self.people, &self.policies, &mut self.told);
        match fields.event_type {
            "approval.submitted" => trail.submitted(&parsed(payload)?, context),
            "approval.revised" => trail.revised(parsed(payload)?, context),
            "approval.voted" => trail.voted(parsed(payload)?, context),
            "approval.vote_withdrawn" => trail.vote_withdrawn(&parsed(payload)?),
            "approval.approved" => trail.approved(&parsed(payload)?, context),
            "approval.escalated" => trail.escalated(&parsed::<Escalated>(payload)?),
            "approval.consumed" => trail.consumed(parsed(payload)?, context),
            "approval.glass_broken" => trail.glass_broken(parsed(payload)?, context),
            "approval.reviewed" => trail.reviewed(parsed(payload)?, context),
            "approval.review_closed" => trail.review_closed(parsed(payload)?, context),
            "approval.rejected" => trail.ended("rejected"),
            "approval.withdrawn" => trail.ended("withdrawn"),
            "approval.expired" => trail.ended("expired"),
            "approval.voided" => trail.ended("voided"),
            "approval.commented" | "approval.assigned" | "approval.review_overdue" => {}
            _ => self.unknown += 1,
        }
        Ok(())
    }

    fn policy(&mut self, fields: &Fields<'_>, payload: &[u8]) -> Read {
        let action = fields.stream_id;
        let (version, rules, approval_id, text) = match fields.event_type {
            "approval_policy.defined" => {
                let event: PolicyDefined = parsed(payload)?;
                if event.action != action {
                    return Err(format!("it is for {}, and stands in the stream of {action}", event.action));
                }
                let raw: serde_json::Value = parsed(payload)?;
                let text = raw.get("rules").map(ToString::to_string).unwrap_or_default();
                (event.version, Some(event.rules), event.approval_id, text)
            }
            "approval_policy.retired" => {
                let event: PolicyRetired = parsed(payload)?;
                (event.version, None, event.approval_id, "built in".to_owned())
            }
            _ => {
                self.unknown += 1;
                return Ok(());
            }
        };
        let parameters = [
            ("action", action.to_owned()),
            ("follows_version", version.saturating_sub(1).to_string()),
            ("rules", text),
        ];
        let effect = Effect {
            what: format!("version {version} of the policy for {action}"),
            approval_id: &approval_id,
            execution_id: &format!("{action}/{version}"),
            action: "approval_policy.change",
            resource_id: action,
            digest: None,
            policy_version: None,
            parameters: parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        };
        self.judge(fields, &effect);
        self.policies.set(action, version, rules, fields.recorded_at);
        Ok(())
    }

    fn retention_rule(&mut self, fields: &Fields<'_>, payload: &[u8]) -> Read {
        let record_type = fields.stream_id;
        if fields.event_type != "retention_rule.set" {
            self.unknown += 1;
            return Ok(());
        }
        let event: RetentionRuleSet = parsed(payload)?;
        if event.record_type != record_type {
            return Err(format!("it is for {}, and stands in the stream of {record_type}", event.record_type));
        }
        let version = event.version;
        let parameters = [
            ("record_type", record_type.to_owned()),
            ("follows_version", version.saturating_sub(1).to_string()),
            ("class", event.class.clone()),
            ("years", event.years.to_string()),
            ("keeps_identities", event.keeps_identities.to_string()),
        ];
        let effect = Effect {
            what: format!("version {version} of the retention rule for {record_type}"),
            approval_id: &event.approval_id,
            execution_id: &format!("{record_type}/{version}"),
            action: "retention.change",
            resource_id: record_type,
            digest: None,
            policy_version: None,
            parameters: parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        };
        self.judge(fields, &effect);
        if let Some(why) = self.retention.set(event) {
            let detail = format!("version {version} of the retention rule for {record_type} {why}");
            self.told.findings.at(fields.position, FindingKind::RetentionShortened, detail);
        }
        Ok(())
    }

    fn delegation(&mut self, fields: &Fields<'_>, payload: &[u8]) -> Read {
        match fields.event_type {
            "delegation.given" => {
                let event: DelegationGiven = parsed(payload)?;
                if self.room() {
                    self.people.give(fields.stream_id, event, fields.recorded_at);
                }
            }
            "delegation.accepted" => {
                let at = parsed::<DelegationMoment>(payload)?.at;
                self.people.accept(fields.stream_id, at, fields.recorded_at);
            }
            "delegation.ended" => self.people.end(fields.stream_id, parsed::<DelegationMoment>(payload)?.at),
            _ => self.unknown += 1,
        }
        Ok(())
    }

    fn export(&mut self, fields: &Fields<'_>, payload: &[u8]) -> Read {
        let id = fields.stream_id;
        match fields.event_type {
            "export.requested" => {
                let event = parsed(payload)?;
                if self.room() {
                    self.exports.insert(id.to_owned(), event);
                }
            }
            "export.approved" => {
                let event: ExportApproved = parsed(payload)?;
                self.approved.insert(format!("export/{id}"));
                let Some(request) = self.exports.remove(id) else {
                    return if self.left_out > 0 {
                        Ok(())
                    } else {
                        Err("nobody asked for this export before".to_owned())
                    };
                };
                if request.approval_id != event.approval_id || event.execution_id != id {
                    let detail = format!(
                        "the export {id} waited for the approval {}, and was let through as {} by {}",
                        request.approval_id, event.execution_id, event.approval_id
                    );
                    self.told.findings.at(fields.position, FindingKind::ApprovalExecutionMismatch, detail);
                }
                if let Some(scheduled) = request.schedule.as_ref().filter(|run| run.rests_on == RestsOn::Standing) {
                    self.run_of_schedule(fields, &request, scheduled, &event);
                    return Ok(());
                }
                let effect = Effect {
                    what: format!("the export {id}"),
                    approval_id: &event.approval_id,
                    execution_id: &event.execution_id,
                    action: &format!("export.{}", request.kind),
                    resource_id: id,
                    digest: Some(&request.digest),
                    policy_version: Some(event.policy_version),
                    parameters: export_parameters(&request),
                };
                self.judge(fields, &effect);
            }
            "export.generation_started" | "export.generated" => self.must_be_approved(fields, "the export"),
            _ => {}
        }
        Ok(())
    }

    fn erasure(&mut self, fields: &Fields<'_>, payload: &[u8]) -> Read {
        let id = fields.stream_id;
        match fields.event_type {
            "erasure.requested" => {
                let event: ErasureRequested = parsed(payload)?;
                if self.room() {
                    self.erasures.insert(id.to_owned(), event.subject);
                }
            }
            "erasure.approved" => {
                let event: ErasureApproved = parsed(payload)?;
                self.approved.insert(format!("erasure/{id}"));
                let subject = self.erasures.remove(id).unwrap_or_default();
                let Some(approval_id) = event.approval_id else {
                    // Erasures are older than approvals. Once there are approvals, it is worth a look.
                    if self.told.counts.requests > 0 {
                        let detail = format!("the erasure {id} was agreed to without an approval, as was done of old");
                        self.told.observe(fields.position, detail);
                    }
                    return Ok(());
                };
                let parameters = [("erasure_id", id.to_owned()), ("subject", subject)];
                let effect = Effect {
                    what: format!("the erasure {id}"),
                    approval_id: &approval_id,
                    execution_id: id,
                    action: "erasure.perform",
                    resource_id: id,
                    digest: None,
                    policy_version: None,
                    parameters: parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                };
                self.judge(fields, &effect);
            }
            // Agreed to for somebody else than the person had become.
            "erasure.rejected" => drop(self.approved.remove(&format!("erasure/{id}"))),
            "erasure.performed" => self.must_be_approved(fields, "the erasure"),
            _ => {}
        }
        Ok(())
    }

    fn must_be_approved(&mut self, fields: &Fields<'_>, what: &str) {
        let id = fields.stream_id;
        if !self.approved.contains(&format!("{}/{id}", fields.stream_type)) && self.left_out == 0 {
            let detail = format!("{what} {id} goes on, and was not approved before");
            self.told.findings.at(fields.position, FindingKind::ActionWithoutApproval, detail);
        }
    }

    fn judge(&mut self, fields: &Fields<'_>, effect: &Effect<'_>) {
        let context = &mut context(fields, &self.people, &self.policies, &mut self.told);
        judge(effect, &mut self.trails, self.left_out > 0, context);
    }

    /// When all entries have come.
    pub(crate) fn finish(mut self) -> Approvals {
        for (position, detail) in self.trails.values().filter_map(Trail::observation).collect::<BTreeMap<_, _>>() {
            self.told.observe(position, detail);
        }
        let mut not_evaluated = Vec::new();
        if self.left_out > 0 {
            not_evaluated.push(format!(
                "{} requests for approval, exports, erasures and delegations beyond a million, and what hangs on them",
                self.left_out
            ));
        }
        if self.unknown > 0 {
            not_evaluated.push(format!("{} entries about approvals of a kind or version not known here", self.unknown));
        }
        self.told.into_report(not_evaluated)
    }
}

fn context<'a>(fields: &Fields<'_>, people: &'a People, policies: &'a Policies, told: &'a mut Told) -> Context<'a> {
    Context { position: fields.position, recorded_at: fields.recorded_at, people, policies, told }
}

fn parsed<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    serde_json::from_slice(payload).map_err(|error| error.to_string())
}
