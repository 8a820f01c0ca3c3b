//! One step on many incidents. Each stands for itself: one that is not there or refuses does not stop the others.
//!
//! With an `Idempotency-Key` each incident's command has an id of its own, made of the key and its place in the request,
//! and the digest of the whole request. Whether the key was used before for another request is known before anything is
//! carried out.

use std::collections::HashSet;

use actix_web::HttpResponse;
use daybook_domain::Incident;
use daybook_domain::incident::{IncidentCommand, IncidentError, IncidentStatus};
use daybook_domain::text::{Line, Paragraph, Reason};
use daybook_http_kit::idempotency::IDEMPOTENCY_REPLAYED;
use daybook_http_kit::openapi::BulkHeaders;
use daybook_http_kit::permission::IncidentWrite;
use daybook_http_kit::{AllowedWithin, Body, CommandRequest, NoQuery, Problem, Scoped, position::POSITION};
use daybook_ledger::commands::{CommandContext, CommandError, CommandResult};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::TextOrNumber;
use super::reach;
use crate::problems::{DomainProblem, invalid, refusal};
use crate::state::WriteState;
use daybook_http_kit::answer::ReceiptView;

/// Most incidents of one request.
const MAX_INCIDENTS: usize = 500;
/// Commands that are looked up beside each other.
const LOOKUPS_AT_ONCE: usize = 8;

/// Which incidents.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkBody {
    /// Their ids, at most 500.
    #[schema(value_type = Vec<TextOrNumber>, max_items = 500)]
    pub incident_ids: Vec<TextOrNumber>,
    /// Why, or how they were resolved.
    pub reason: Option<String>,
}

/// Which incidents, and to whom they go.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkAssignBody {
    /// Their ids, at most 500.
    #[schema(value_type = Vec<TextOrNumber>, max_items = 500)]
    pub incident_ids: Vec<TextOrNumber>,
    /// Id of a person, agent or team.
    pub assigned_to: TextOrNumber,
}

/// What became of the incidents, in the order of the request.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BulkAnswer {
    /// One an id.
    pub results: Vec<BulkResult>,
}

/// What became of one incident.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BulkResult {
    /// Its id.
    pub incident_id: String,
    /// `resolved`, `escalated`, `assigned` or `triaged`; `skipped` where it was so already; `failed`.
    #[schema(example = "resolved")]
    pub status: &'static str,
    /// Who has it, where it was to be assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The stable code of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Proof that it is in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<ReceiptView>,
}

/// Resolve many incidents
#[utoipa::path(
    post, path = "/v1/incidents/bulk/resolve", tag = "incidents", operation_id = "resolve_incidents",
    params(BulkHeaders), request_body = BulkBody,
    responses((status = 200, description = "One result an incident.", body = BulkAnswer), BulkProblems)
)]
pub async fn resolve(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    body: Body<BulkBody>,
) -> Result<HttpResponse, Problem> {
    let resolution = Paragraph::parse_optional("/reason", body.value.reason).map_err(invalid)?;
    let step = Step { done: "resolved", command: IncidentCommand::Resolve { resolution, root_cause: None } };
    let bulk = Bulk { caller: &caller, request: &request, state: &state, body: &body.bytes };
    bulk.carry_out(body.value.incident_ids, &step).await
}

/// Escalate many incidents
///
/// An incident that is escalated already is skipped; `POST /incidents/{id}/escalate` raises it further.
#[utoipa::path(
    post, path = "/v1/incidents/bulk/escalate", tag = "incidents", operation_id = "escalate_incidents",
    params(BulkHeaders), request_body = BulkBody,
    responses((status = 200, description = "One result an incident.", body = BulkAnswer), BulkProblems)
)]
pub async fn escalate(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    body: Body<BulkBody>,
) -> Result<HttpResponse, Problem> {
    let reason = Reason::parse_optional("/reason", body.value.reason).map_err(invalid)?;
    let step = Step { done: "escalated", command: IncidentCommand::Escalate { reason, to: None } };
    let bulk = Bulk { caller: &caller, request: &request, state: &state, body: &body.bytes };
    bulk.carry_out(body.value.incident_ids, &step).await
}

/// Assign many incidents
#[utoipa::path(
    post, path = "/v1/incidents/bulk/assign", tag = "incidents", operation_id = "assign_incidents",
    params(BulkHeaders), request_body = BulkAssignBody,
    responses((status = 200, description = "One result an incident.", body = BulkAnswer), BulkProblems)
)]
pub async fn assign(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    body: Body<BulkAssignBody>,
) -> Result<HttpResponse, Problem> {
    let assignee = Line::parse("/assigned_to", body.value.assigned_to.into_text()).map_err(invalid)?;
    let step = Step { done: "assigned", command: IncidentCommand::Assign { assignee: Some(assignee) } };
    let bulk = Bulk { caller: &caller, request: &request, state: &state, body: &body.bytes };
    bulk.carry_out(body.value.incident_ids, &step).await
}

/// Acknowledge many incidents
#[utoipa::path(
    post, path = "/v1/incidents/bulk/triage", tag = "incidents", operation_id = "triage_incidents",
    params(BulkHeaders), request_body = BulkBody,
    responses((status = 200, description = "One result an incident.", body = BulkAnswer), BulkProblems)
)]
pub async fn triage(
    caller: AllowedWithin<IncidentWrite>,
    request: CommandRequest,
    _: NoQuery,
    state: Scoped<WriteState>,
    body: Body<BulkBody>,
) -> Result<HttpResponse, Problem> {
    let note = Reason::parse_optional("/reason", body.value.reason).map_err(invalid)?;
    let step = Step { done: "triaged", command: IncidentCommand::Acknowledge { note } };
    let bulk = Bulk { caller: &caller, request: &request, state: &state, body: &body.bytes };
    bulk.carry_out(body.value.incident_ids, &step).await
}

/// The problems of the request as a whole.
pub(crate) struct BulkProblems;

impl utoipa::IntoResponses for BulkProblems {
    fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
        daybook_http_kit::openapi::problems(&[400, 401, 403, 408, 413, 415, 422, 429, 503])
    }
}

/// What is to happen to each, and the word for it.
struct Step {
    done: &'static str,
    command: IncidentCommand,
}

struct Bulk<'a> {
    caller: &'a AllowedWithin<IncidentWrite>,
    request: &'a CommandRequest,
    state: &'a WriteState,
    body: &'a [u8],
}

impl Bulk<'_> {
    async fn carry_out(&self, ids: Vec<TextOrNumber>, step: &Step) -> Result<HttpResponse, Problem> {
        self.request.refuse_if_match()?;
        if ids.len() > MAX_INCIDENTS {
            return Err(Problem::invalid("/incident_ids", format!("must be at most {MAX_INCIDENTS}")));
        }
        let ids: Vec<String> = ids.into_iter().map(TextOrNumber::into_text).collect();
        let known = self.known_places().await?;
        let mut seen = HashSet::new();
        let mut commands = Vec::with_capacity(ids.len());
        let mut skipped = HashSet::new();
        let mut out_of_reach = HashSet::new();
        for (index, id) in ids.iter().enumerate() {
            if reach::is_out_of_reach(self.caller.scope(), self.state, id).await? {
                out_of_reach.insert(index);
                continue;
            }
            let context = self.context(index);
            // A repeat of this very request is not skipped: its first answer is given again.
            let skip = !known.contains(&index) && self.is_escalated_already(id, step).await?;
            if !seen.insert(id.as_str()) || skip {
                skipped.insert(index);
            } else {
                commands.push((id.clone(), step.command.clone(), context));
            }
        }
        let outcomes = self.state.incidents.execute_many(commands).await;
        let is_repeat = is_repeat(&outcomes);
        let mut outcomes = outcomes.into_iter();
        let mut results = Vec::with_capacity(ids.len());
        for (index, id) in ids.into_iter().enumerate() {
            let outcome = if out_of_reach.contains(&index) {
                Some(Err(CommandError::Refused(IncidentError::NotFound)))
            } else if skipped.contains(&index) {
                None
            } else {
                outcomes.next()
            };
            results.push(result(id, step, outcome)?);
        }
        let last = results.iter().filter_map(|result| result.receipt.as_ref()).map(|receipt| receipt.position).max();
        let mut answer = HttpResponse::Ok();
        if let Some(last) = last {
            answer.insert_header((POSITION, last));
        }
        if is_repeat {
            answer.insert_header((IDEMPOTENCY_REPLAYED, "true"));
        }
        Ok(answer.json(BulkAnswer { results }))
    }

    /// The context of the command at this place of the request.
    fn context(&self, index: usize) -> CommandContext {
        self.request.item_context(self.caller, self.body, &index.to_string())
    }

    /// The places whose commands are known from an earlier request with the same key. Fails if that was another request:
    /// every place that a request can have is looked at, because the earlier one may have had more of them, and its
    /// first ones may have been refused.
    async fn known_places(&self) -> Result<HashSet<usize>, Problem> {
        if !self.request.has_key() {
            return Ok(HashSet::new());
        }
        let ledger = self.state.incidents.ledger();
        let commands = (0..MAX_INCIDENTS).filter_map(|index| Some((index, self.context(index).command?)));
        let places = stream::iter(commands).map(|(index, command)| async move {
            match ledger.store().command(ledger.id(), &command.id).await {
                Ok(None) => Ok(None),
                Ok(Some(record)) if record.digest == command.digest => Ok(Some(index)),
                Ok(Some(_)) => Err(refusal::<IncidentError>(CommandError::CommandMismatch)),
                Err(error) => Err(Problem::store_unavailable(&error)),
            }
        });
        places.buffer_unordered(LOOKUPS_AT_ONCE).try_filter_map(|place| async move { Ok(place) }).try_collect().await
    }

    /// Escalating once more would be taken; in bulk it is meant once.
    async fn is_escalated_already(&self, id: &str, step: &Step) -> Result<bool, Problem> {
        if !matches!(step.command, IncidentCommand::Escalate { .. }) {
            return Ok(false);
        }
        match self.state.incidents.load(id).await {
            Ok(incident) => Ok(incident.is_some_and(|incident| incident.aggregate.escalation_level() > 0)),
            // An id that cannot be one fails when its command is carried out.
            Err(CommandError::Invalid(_)) => Ok(false),
            Err(error) => Err(refusal(error)),
        }
    }
}

/// True where something was recorded by an earlier request and nothing by this one.
fn is_repeat(outcomes: &[CommandResult<Incident>]) -> bool {
    let mut done = outcomes.iter().flatten().peekable();
    done.peek().is_some() && done.all(|outcome| outcome.replayed)
}

/// `None` is an incident that was skipped. A store that does not answer fails the whole request.
fn result(id: String, step: &Step, outcome: Option<CommandResult<Incident>>) -> Result<BulkResult, Problem> {
    let assigned_to = match &step.command {
        IncidentCommand::Assign { assignee } => assignee.as_ref().map(ToString::to_string),
        _ => None,
    };
    let mut result =
        BulkResult { incident_id: id, status: "skipped", assigned_to, detail: None, code: None, receipt: None };
    match outcome {
        None => {}
        Some(Ok(outcome)) => {
            result.status = if outcome.unchanged { "skipped" } else { step.done };
            result.receipt = Some(ReceiptView::from(&outcome.receipt));
        }
        Some(Err(CommandError::Refused(refusal))) if is_so_already(&refusal, step) => {}
        Some(Err(CommandError::Refused(refusal))) => {
            result.status = "failed";
            result.code = Some(DomainProblem::code(&refusal).to_owned());
            result.detail = Some(refusal.to_string());
        }
        Some(Err(error)) => {
            let problem = refusal(error);
            if problem.status() >= 500 {
                return Err(problem);
            }
            result.status = "failed";
            result.code = Some(problem.code().to_owned());
            result.detail = Some(problem.detail().to_owned());
        }
    }
    if result.status == "failed" {
        result.assigned_to = None;
    }
    Ok(result)
}

/// True where the refusal means that there was nothing left to do.
fn is_so_already(refusal: &IncidentError, step: &Step) -> bool {
    match (refusal, &step.command) {
        (IncidentError::StatusTransition { from, .. }, IncidentCommand::Resolve { .. }) => {
            matches!(from, IncidentStatus::Resolved | IncidentStatus::Closed)
        }
        (IncidentError::Closed, IncidentCommand::Resolve { .. } | IncidentCommand::Acknowledge { .. }) => true,
        (IncidentError::StatusTransition { from, .. }, IncidentCommand::Acknowledge { .. }) => {
            *from != IncidentStatus::Open
        }
        (IncidentError::Unchanged { .. }, IncidentCommand::Assign { .. }) => true,
        (IncidentError::EscalationLimit, IncidentCommand::Escalate { .. }) => true,
        _ => false,
    }
}
