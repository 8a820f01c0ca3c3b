//! The bodies of commands on requests for approval, and what they say once they are checked.

use std::collections::BTreeMap;

use daybook_domain::Money;
use daybook_domain::approval::{Action, ActionType, Change, KnownAction};
use daybook_domain::names::{Label, Word};
use daybook_domain::text::{Line, Paragraph, Reason, RemarkId};
use daybook_http_kit::query::either;
use daybook_http_kit::{ExactNumber, Problem};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::faults::Faults;
use crate::incidents::TextOrNumber;
use crate::problems::invalid;

/// Something that is to be approved before it is done.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalOpenBody)]
pub struct OpenBody {
    /// What sort of thing it is done to: a word of at most 50 characters. It makes the action's type: `wire_transfer` is
    /// `external.wire_transfer`, and those of Daybook's own exports and agents are theirs.
    #[schema(example = "wire_transfer")]
    pub resource_type: String,
    /// Which of them, in one line of at most 200 characters.
    #[schema(example = "4711")]
    pub resource_id: String,
    /// Why: at most 2,000 characters.
    pub reason: Option<String>,
    /// What is to be done, in one line for people.
    pub summary: Option<String>,
    /// Everything it depends on: at most 64 names with their values, 64 KiB in all.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub parameters: BTreeMap<String, String>,
    /// What it changes: at most 100.
    #[serde(default)]
    #[schema(value_type = Option<Vec<ChangeBody>>, max_items = 100)]
    pub changes: Vec<ChangeBody>,
    /// How much is at stake, as a string or a number. Policies may ask more people from an amount on.
    #[schema(value_type = Option<String>)]
    pub amount: Option<ExactNumber>,
    /// The amount's currency.
    pub currency: Option<String>,
    /// A mark that policies look at.
    pub label: Option<String>,
    /// False: it stays a draft until it is submitted.
    pub submit: Option<bool>,
}

/// One value that is to become another.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalChangeBody)]
pub struct ChangeBody {
    /// What.
    pub field: String,
    /// What it is now.
    pub before: Option<String>,
    /// What it is to be.
    pub after: Option<String>,
}

/// A request as it is to be opened.
#[derive(Debug)]
pub(super) struct Opening {
    pub action: Action,
    /// What the requester must be allowed, now and when it is redeemed.
    pub required_permission: Option<&'static str>,
    pub reason: Option<Reason>,
    pub submit: bool,
}

impl OpenBody {
    /// What is to be approved. Daybook's own actions are described by Daybook alone: whoever asks for one by hand can add
    /// nothing to it.
    pub(super) fn opening(self) -> Result<Opening, Problem> {
        let mut faults = Faults::default();
        let resource_type = faults.check(ActionType::from_resource_type("/resource_type", &self.resource_type));
        let resource_id = faults.check(Line::parse("/resource_id", self.resource_id));
        let reason = faults.check(Reason::parse_optional("/reason", self.reason));
        let summary = faults.check(Line::parse_optional("/summary", self.summary));
        let label = faults.check(Label::parse_optional("/label", self.label));
        let changes = changes(&mut faults, self.changes);
        let money = money(&mut faults, self.amount, self.currency);
        faults.none()?;
        let (Some(action), Some(resource_id), Some(summary), Some(label)) =
            (resource_type, resource_id, summary, label)
        else {
            return Err(faults.problem());
        };
        let required_permission = match action.known() {
            Some(known) => Some(opened_by_hand(known)?),
            None => None,
        };
        let word = Word::parse("/resource_type", action.resource_type()).map_err(invalid)?;
        let own_summary = Line::lenient(&format!("{action} of {resource_id}"));
        let mut wanted = Action::plain(action, word, resource_id, own_summary);
        let adds = summary.is_some() || !self.parameters.is_empty() || !changes.is_empty();
        if required_permission.is_some() && (adds || money.is_some() || label.is_some()) {
            let detail = format!("{} is described by Daybook: only resource_id and reason are taken", wanted.action);
            return Err(Problem::refused("approval.not_external", detail));
        }
        wanted.summary = summary.unwrap_or(wanted.summary);
        wanted.parameters = self.parameters;
        wanted.changes = changes;
        wanted.amount = money;
        wanted.label = label;
        wanted.check("").map_err(invalid)?;
        let submit = self.submit.unwrap_or(true);
        Ok(Opening { action: wanted, required_permission, reason: reason.flatten(), submit })
    }
}

fn changes(faults: &mut Faults, changes: Vec<ChangeBody>) -> Vec<Change> {
    let mut checked = Vec::with_capacity(changes.len());
    for (index, change) in changes.into_iter().enumerate() {
        let at = |name: &str| format!("/changes/{index}/{name}");
        let field = faults.check(Line::parse(&at("field"), change.field));
        let before = faults.check(Paragraph::parse_optional(&at("before"), change.before));
        let after = faults.check(Paragraph::parse_optional(&at("after"), change.after));
        if let (Some(field), Some(before), Some(after)) = (field, before, after) {
            checked.push(Change { field, before, after });
        }
    }
    checked
}

/// An amount and its currency, which come together or not at all.
pub(super) fn money(faults: &mut Faults, amount: Option<ExactNumber>, currency: Option<String>) -> Option<Money> {
    let missing = |pointer: &str, detail: &str| daybook_domain::InvalidField::new(pointer, detail);
    match (amount, currency) {
        (None, None) => None,
        (Some(amount), Some(currency)) => {
            let read = Money::parse(amount.as_str(), &currency);
            faults.check(read.map_err(|error| {
                let pointer = error.pointer().unwrap_or("/amount").to_owned();
                daybook_domain::InvalidField::new(pointer, error.to_string())
            }))
        }
        (Some(_), None) => faults.check(Err(missing("/currency", "is required where there is an amount"))),
        (None, Some(_)) => faults.check(Err(missing("/amount", "is required where there is a currency"))),
    }
}

/// What somebody must be allowed who asks by hand for one of Daybook's own actions; 422 for those that are only asked for
/// by doing them.
fn opened_by_hand(known: KnownAction) -> Result<&'static str, Problem> {
    use daybook_http_kit::permission::{
        AgentRead, AgentTriage, AuditRead, ComplianceExport, IncidentRead, LedgerRead, Permission, SystemMetricsRead,
        TransactionRead, UserList,
    };
    match known {
        KnownAction::AgentTriage
        | KnownAction::AgentRemediation
        | KnownAction::AgentCompliance
        | KnownAction::AgentAuditSummary => Ok(AgentTriage::NAME),
        KnownAction::ExportTransactions => Ok(TransactionRead::NAME),
        KnownAction::ExportIncidents => Ok(IncidentRead::NAME),
        KnownAction::ExportComplianceLogs => Ok(ComplianceExport::NAME),
        KnownAction::ExportUsers => Ok(UserList::NAME),
        KnownAction::ExportSystemMetrics => Ok(SystemMetricsRead::NAME),
        KnownAction::ExportAgentActions => Ok(AgentRead::NAME),
        KnownAction::ExportAuditTrail => Ok(AuditRead::NAME),
        KnownAction::ExportEntries | KnownAction::ExportEvidencePack => Ok(LedgerRead::NAME),
        KnownAction::ApprovalPolicyChange
        | KnownAction::RuleChange
        | KnownAction::ErasurePerform
        | KnownAction::RetentionChange => {
            let detail = format!("the request for {known} is opened by asking for the thing itself");
            Err(Problem::refused("approval.not_external", detail).at("/resource_type", "cannot be opened by hand"))
        }
    }
}

/// A request in a predecessor's words, in the body.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalRequestBody)]
pub struct CompatibleOpenBody {
    /// What sort of thing.
    pub resource_type: Option<String>,
    /// Which of them.
    #[schema(value_type = Option<TextOrNumber>)]
    pub resource_id: Option<TextOrNumber>,
    /// Why: at most 2,000 characters.
    pub reason: Option<String>,
}

/// The same as query parameters.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OpenParameters {
    /// What sort of thing; in the query or in the body.
    pub resource_type: Option<String>,
    /// Which of them; in the query or in the body.
    pub resource_id: Option<String>,
    /// Why; in the query or in the body.
    pub reason: Option<String>,
}

/// The request of the two together; all three members are required.
pub(super) fn compatible_opening(body: CompatibleOpenBody, parameters: &OpenParameters) -> Result<Opening, Problem> {
    let resource_id = body.resource_id.map(TextOrNumber::into_text);
    let resource_type =
        required("resource_type", either("resource_type", body.resource_type, parameters.resource_type.clone())?)?;
    let resource_id = required("resource_id", either("resource_id", resource_id, parameters.resource_id.clone())?)?;
    let reason = required("reason", either("reason", body.reason, parameters.reason.clone())?)?;
    OpenBody { resource_type, resource_id, reason: Some(reason), ..OpenBody::default() }.opening()
}

/// The value, or 400: it is neither in the body nor in the query.
pub(super) fn required<T>(name: &str, value: Option<T>) -> Result<T, Problem> {
    value.ok_or_else(|| Problem::invalid(format!("/{name}"), "is required, in the body or in the query"))
}

/// Why something is done.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalReasonBody)]
pub struct WhyBody {
    /// Why: at most 2,000 characters.
    pub reason: Option<String>,
}

impl WhyBody {
    pub(super) fn reason(self) -> Result<Option<Reason>, Problem> {
        Reason::parse_optional("/reason", self.reason).map_err(invalid)
    }

    /// The reason, where it must be there.
    pub(super) fn required(self) -> Result<Reason, Problem> {
        self.reason()?.ok_or_else(|| Problem::invalid("/reason", "is required"))
    }
}

/// A comment on a request.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalCommentBody)]
pub struct CommentBody {
    /// What it says: at most 10,000 characters. Also taken as `text`.
    #[serde(alias = "text")]
    pub comment: Option<String>,
    /// The comment's id, unique in the request. One is made if it is absent.
    pub comment_id: Option<String>,
}

/// The same as a query parameter.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CommentParameters {
    /// What it says; in the query or in the body.
    pub comment: Option<String>,
}

/// The comment of the two together. `id` stands in for a missing comment id.
pub(super) fn comment(
    body: CommentBody,
    parameters: &CommentParameters,
    id: String,
) -> Result<(RemarkId, Paragraph), Problem> {
    let comment = required("comment", either("comment", body.comment, parameters.comment.clone())?)?;
    let mut faults = Faults::default();
    let comment_id = faults.check(RemarkId::parse("/comment_id", body.comment_id.unwrap_or(id)));
    let comment = faults.check(Paragraph::parse("/comment", comment));
    match (comment_id, comment) {
        (Some(comment_id), Some(comment)) => Ok((comment_id, comment)),
        _ => Err(faults.problem()),
    }
}

/// Who is to see to it that a request is decided.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalAssignBody)]
pub struct AssignBody {
    /// Opaque id of a person. Also taken as `assignee_id` and `assigned_to`.
    #[serde(alias = "assignee_id", alias = "assigned_to")]
    #[schema(value_type = Option<TextOrNumber>)]
    pub assignee: Option<TextOrNumber>,
}

/// The same as a query parameter.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AssignParameters {
    /// Opaque id of a person; in the query or in the body.
    pub assignee_id: Option<String>,
}

/// That a grant is used, by whoever asked for it.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalConsumeBody)]
pub struct ConsumeBody {
    /// What it is used for: an id of the requester's own, in one line. The same again changes nothing.
    #[schema(example = "payment-run-2026-11-21")]
    pub execution_id: String,
    /// The digest of what is done, 64 hexadecimal digits: that of the request, as a check that it is the same.
    pub digest: Option<String>,
}
