//! Asking for an export, whichever route it comes by: check it, record it, and have it approved.

use std::collections::{BTreeMap, BTreeSet};

use daybook_approvals::{Gated, Needed, refused};
use daybook_domain::InvalidField;
use daybook_domain::approval::{Approval, ApprovalStatus};
use daybook_domain::export::{
    Export, ExportCommand, ExportError, ExportFormat, ExportKind, HexDigest, MAX_COLUMNS, MAX_DESTINATIONS,
    MAX_FILTER_BYTES, Requested, export_action,
};
use daybook_domain::names::{ApprovalId, DepartmentId, DestinationName, ExportId};
use daybook_domain::text::{ActorId, Reason};
use daybook_exports::kinds::{self, InvalidQuery};
use daybook_http_kit::{Principal, Problem, new_id};
use daybook_ledger::commands::{CommandContext, Outcome};
use daybook_ledger::{CommandKey, Hash};

use super::body::{RequestBody, filter_texts};
use super::desk::{ExportDesk, actor};
use crate::faults::Faults;
use crate::problems::invalid;

/// The filter that keeps an export to the desks that its requester sees.
const DESKS: &str = "desks";
/// Most desks that one export is kept to: as many as a list in a filter has.
const MAX_DESKS: usize = 500;
/// What a gated call without approval is answered with.
pub(crate) const REQUIRES_APPROVAL: &str = "Export requires approval";

/// An export that may be asked for: everything is known by name, and the caller may read what is to be in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub(crate) kind: ExportKind,
    pub(crate) format: ExportFormat,
    pub(crate) filters: BTreeMap<String, String>,
    pub(crate) columns: Vec<String>,
    pub(crate) deliver_to: Vec<DestinationName>,
    pub(crate) reason: Option<Reason>,
    pub(crate) collect: bool,
    /// What whoever asked must still be allowed when the file is made: to read such records everywhere, or in each of the
    /// departments that the filters keep it to, and to see the columns that say how people are reached.
    pub(crate) required_permissions: Vec<Needed>,
}

/// An export that was asked for, and the request for approval that decides.
pub(super) struct Opened {
    pub(super) export: Outcome<Export>,
    pub(super) approval: Outcome<Approval>,
}

impl Opened {
    /// Whether the policy asks nobody.
    pub(super) fn is_approved(&self) -> bool {
        matches!(self.approval.aggregate.status(), Some(ApprovalStatus::Approved | ApprovalStatus::Consumed))
    }
}

impl Asked {
    /// Reads a body of ours.
    pub(crate) fn of_body(body: RequestBody, caller: &Principal, desk: &ExportDesk) -> Result<Self, Problem> {
        let RequestBody { kind, format, filters, columns, deliver_to, reason } = body;
        let mut faults = Faults::default();
        let kind = faults.check(ExportKind::parse("/kind", &kind));
        let format = match format {
            Some(format) => faults.check(ExportFormat::parse("/format", &format)),
            None => Some(kind.map_or(ExportFormat::Csv, ExportKind::default_format)),
        };
        let reason = faults.check(Reason::parse_optional("/reason", reason));
        let deliver_to = destinations(&mut faults, deliver_to, &desk.destinations);
        faults.none()?;
        let (Some(kind), Some(format), Some(reason)) = (kind, format, reason) else { return Err(faults.problem()) };
        let asked = Self::checked(kind, format, &filter_texts(filters)?, &columns, caller)
            .map_err(|fault| fault.at("/filters", "/columns"))?;
        Ok(Self { deliver_to, reason, ..asked })
    }

    /// An export without destinations and reason.
    pub(crate) fn checked(
        kind: ExportKind,
        format: ExportFormat,
        filters: &BTreeMap<String, String>,
        columns: &[String],
        caller: &Principal,
    ) -> Result<Self, NotAskable> {
        if !kind.comes_as(format) {
            let fault = ExportError::Format { kind, format };
            return Err(NotAskable::Refused(refused(&fault).at("/format", fault.to_string())));
        }
        let scope = scope(kind, caller)?;
        let mut filters = kinds::filters(kind, filters)?;
        let mut required_permissions = match &scope {
            Some(desks) => keep_to(&mut filters, desks, kind.required_permission())?,
            None => vec![Needed::everywhere(kind.required_permission())],
        };
        let columns = kinds::columns(kind, columns)?;
        let columns: Vec<String> = columns.into_iter().map(|column| column.name.to_owned()).collect();
        if columns.len() > MAX_COLUMNS {
            return Err(NotAskable::Refused(Problem::invalid("/columns", "names too many columns")));
        }
        let mut further = kinds::further_permissions(kind, &columns);
        further.extend(kinds::permissions_of_filters(kind, &filters));
        if let Some(missing) = further.iter().find(|name| !caller.holds(name)) {
            return Err(NotAskable::Refused(Problem::forbidden(missing)));
        }
        required_permissions.extend(further.into_iter().map(Needed::everywhere));
        let (deliver_to, reason) = (Vec::new(), None);
        Ok(Self { kind, format, filters, columns, deliver_to, reason, collect: false, required_permissions })
    }

    /// Records that it is asked for, and opens the request for approval. The export comes first: once somebody approves, it
    /// is there to be made. A repeat of the same command records nothing and finds both.
    pub(super) async fn open(
        &self,
        desk: &ExportDesk,
        caller: &Principal,
        context: CommandContext,
    ) -> Result<Opened, Problem> {
        let id = new_id("exp", &context);
        let export_id = ExportId::parse("/export_id", id.as_str()).map_err(invalid)?;
        let Self { kind, format, filters, columns, deliver_to, collect, .. } = self;
        let action =
            export_action(&export_id, *kind, *format, filters, columns, deliver_to, *collect).map_err(invalid)?;
        let digest = action.digest();
        let opening = opening(&id, digest.as_str(), &context)?;
        let approval_id = ApprovalId::parse("/approval_id", new_id("apr", &opening)).map_err(invalid)?;
        let requested_by = actor(caller)?;
        let person = desk.approvals.directory().now().person_of(caller.actor.id.as_str()).to_owned();
        let requested = Requested {
            export_id,
            kind: *kind,
            format: *format,
            filters: filters.clone(),
            columns: columns.clone(),
            requested_by,
            person: ActorId::parse("", person).map_err(invalid)?,
            approval_id,
            deliver_to: deliver_to.clone(),
            collect: *collect,
            reason: self.reason.clone(),
            digest: HexDigest::parse("/digest", digest.as_str()).map_err(invalid)?,
            schedule: None,
        };
        // What the gate refuses must not be recorded first: nobody would ever decide on it.
        desk.approvals.may_open(caller, self.gated(&requested)?, &opening).await?;
        let command = ExportCommand::Request(Box::new(requested.clone()));
        let export = desk.execute(&id, command, context.clone()).await?;
        let approval = self.open_approval(desk, caller, &requested, &context).await?;
        Ok(Opened { export, approval })
    }

    /// Opens the request for approval of an export that was asked for; where it is open already, that one is answered.
    pub(super) async fn open_approval(
        &self,
        desk: &ExportDesk,
        caller: &Principal,
        request: &Requested,
        context: &CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let opening = opening(request.export_id.as_str(), request.digest.as_str(), context)?;
        desk.approvals.open(caller, self.gated(request)?, opening).await
    }

    fn gated(&self, request: &Requested) -> Result<Gated, Problem> {
        Ok(Gated {
            action: request.action().map_err(invalid)?,
            required_permissions: self.required_permissions.clone(),
            reason: request.reason.clone(),
            execution_id: request.export_id.to_string(),
            detail: REQUIRES_APPROVAL,
        })
    }

    /// The same, to be taken by asking again.
    pub(super) fn collected(self) -> Self {
        Self { collect: true, ..self }
    }

    /// Whether a request that was recorded asks for the same.
    pub(super) fn is_asked_by(&self, request: &Requested) -> bool {
        request.kind == self.kind
            && request.format == self.format
            && request.filters == self.filters
            && request.columns == self.columns
            && request.deliver_to == self.deliver_to
    }
}

/// The context of the command that opens the request for approval of an export: it follows from the export alone, so that
/// its id is known beforehand and a repeat opens no other.
fn opening(export_id: &str, digest: &str, context: &CommandContext) -> Result<CommandContext, Problem> {
    let digest: Hash = digest.parse().map_err(|error| Problem::internal(&error))?;
    let command = Some(CommandKey { id: format!("{export_id}:approval"), digest });
    Ok(CommandContext { command, expected_version: None, ..context.clone() })
}

/// Why an export cannot be asked for.
#[derive(Debug)]
pub(crate) enum NotAskable {
    /// By a name or a value of what it is narrowed to, or of a column.
    Query(InvalidQuery),
    /// Otherwise.
    Refused(Problem),
}

impl NotAskable {
    /// As a problem; `filters` and `columns` say where they stood: with a `?` a query parameter each, else members.
    pub(crate) fn at(self, filters: &str, columns: &str) -> Problem {
        match self {
            Self::Refused(problem) => problem,
            Self::Query(InvalidQuery { field, why }) => match field.strip_prefix("filters.") {
                Some(name) if filters == "?" => {
                    Problem::bad_request("request.invalid_parameter", format!("query parameter {name}: {why}"))
                        .at(format!("?{name}"), why)
                }
                Some(name) => Problem::invalid(format!("{filters}/{}", escaped(name)), why),
                None => Problem::invalid(columns.to_owned(), why),
            },
        }
    }
}

impl From<InvalidQuery> for NotAskable {
    fn from(fault: InvalidQuery) -> Self {
        Self::Query(fault)
    }
}

/// A name as a part of a JSON pointer (RFC 6901).
fn escaped(name: &str) -> String {
    name.chars().take(100).collect::<String>().replace('~', "~0").replace('/', "~1")
}

/// A desk that the caller sees, which is a department.
struct Desk {
    id: String,
    name: String,
}

/// The desks that the caller may see, where it is not all there is. 403 for whoever may not see such records at all.
fn scope(kind: ExportKind, caller: &Principal) -> Result<Option<Vec<Desk>>, NotAskable> {
    let permission = kind.required_permission();
    if caller.holds(permission) {
        return Ok(None);
    }
    let within = caller.access.departments.iter().filter(|access| access.permissions.contains_name(permission));
    let mut desks: Vec<Desk> = within.map(|access| Desk { id: access.id.clone(), name: access.name.clone() }).collect();
    desks.sort_by(|one, other| one.name.cmp(&other.name));
    desks.dedup_by(|one, other| one.id == other.id);
    if kind != ExportKind::Incidents || desks.is_empty() {
        return Err(NotAskable::Refused(Problem::forbidden(permission)));
    }
    Ok(Some(desks))
}

/// Narrows to the desks that the caller sees, and to those among them that were asked for. Answers what has to hold in each.
fn keep_to(
    filters: &mut BTreeMap<String, String>,
    seen: &[Desk],
    permission: &'static str,
) -> Result<Vec<Needed>, NotAskable> {
    let wanted: Option<Vec<String>> = match filters.get(DESKS) {
        Some(text) => Some(serde_json::from_str(text).map_err(|error| NotAskable::Refused(Problem::internal(&error)))?),
        None => None,
    };
    let is_wanted = |desk: &&Desk| {
        wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|name| name.to_lowercase() == desk.name.to_lowercase()))
    };
    let desks: Vec<&Desk> = seen.iter().filter(is_wanted).collect();
    if desks.is_empty() {
        return Err(NotAskable::Refused(Problem::forbidden(permission)));
    }
    let names: BTreeSet<&str> = desks.iter().map(|desk| desk.name.as_str()).collect();
    let names = serde_json::json!(names).to_string();
    if names.len() > MAX_FILTER_BYTES || desks.len() > MAX_DESKS {
        let why = format!("must name fewer desks: you see {}, and {MAX_DESKS} fit into one export", seen.len());
        return Err(InvalidQuery { field: format!("filters.{DESKS}"), why }.into());
    }
    filters.insert(DESKS.to_owned(), names);
    let needed = |desk: &Desk| {
        let department = DepartmentId::parse("", desk.id.as_str()).map_err(invalid)?;
        Ok(Needed { name: permission, department: Some(department) })
    };
    desks.into_iter().map(needed).collect::<Result<_, Problem>>().map_err(NotAskable::Refused)
}

pub(crate) fn destinations(
    faults: &mut Faults,
    given: Vec<String>,
    known: &BTreeSet<DestinationName>,
) -> Vec<DestinationName> {
    let mut destinations: Vec<DestinationName> = Vec::new();
    if given.len() > MAX_DESTINATIONS {
        faults.check::<()>(Err(InvalidField::new("/deliver_to", format!("names more than {MAX_DESTINATIONS}"))));
        return destinations;
    }
    for (index, name) in given.into_iter().enumerate() {
        let at = format!("/deliver_to/{index}");
        let checked = match DestinationName::parse(&at, name) {
            Ok(name) if !known.contains(&name) => Err(InvalidField::new(at, "is no destination of this server")),
            Ok(name) if destinations.contains(&name) => Err(InvalidField::new(at, "is named twice")),
            checked => checked,
        };
        destinations.extend(faults.check(checked));
    }
    destinations
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use daybook_http_kit::{Access, DepartmentAccess, PermissionSet, Via};
    use daybook_ledger::{Actor, LedgerId};

    use super::*;

    /// Somebody who sees the incidents of these departments only.
    fn within(names: &[&str]) -> Principal {
        let permissions = PermissionSet::from_names(["incident:read"]);
        let department = |name: &&str| DepartmentAccess {
            id: format!("dep_{}", name.to_lowercase().replace(' ', "_")),
            name: (*name).to_owned(),
            permissions,
        };
        let departments = names.iter().map(department).collect();
        Principal {
            actor: Actor::human("usr_1"),
            organization: LedgerId::main(),
            roles: Vec::new().into(),
            access: Access { permissions: PermissionSet::EMPTY, departments }.into(),
            via: Via::Session,
            session_id: None,
        }
    }

    fn asked(caller: &Principal, kind: ExportKind, filters: &[(&str, &str)]) -> Result<Asked, Problem> {
        let filters = filters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Asked::checked(kind, ExportFormat::Csv, &filters, &[], caller).map_err(|fault| fault.at("/filters", "/columns"))
    }

    #[test]
    fn whoever_sees_some_desks_exports_the_incidents_of_those() {
        let caller = within(&["Rates", "Equities"]);
        let desks = |filters: &[(&str, &str)]| {
            asked(&caller, ExportKind::Incidents, filters).unwrap().filters.get(DESKS).cloned().unwrap()
        };
        assert_eq!(desks(&[]), r#"["Equities","Rates"]"#);
        assert_eq!(
            desks(&[("desks", r#"["RATES","Credit"]"#)]),
            r#"["Rates"]"#,
            "only what he sees of what he asks for"
        );
        let other = asked(&caller, ExportKind::Incidents, &[("desks", r#"["Credit"]"#)]).unwrap_err();
        assert_eq!((other.status(), other.missing_permission()), (403, Some("incident:read")));
        let none = asked(&within(&[]), ExportKind::Incidents, &[]).unwrap_err();
        assert_eq!(none.missing_permission(), Some("incident:read"));
        let needed = asked(&caller, ExportKind::Incidents, &[("desks", r#"["rates"]"#)]).unwrap().required_permissions;
        let rates = Some(DepartmentId::parse("", "dep_rates").unwrap());
        assert_eq!(needed, [Needed { name: "incident:read", department: rates }], "looked at again when it is made");
        let elsewhere = asked(&caller, ExportKind::Transactions, &[]).unwrap_err();
        assert_eq!(elsewhere.missing_permission(), Some("transaction:read"), "desks are of incidents");
    }

    #[test]
    fn many_desks_fit_and_too_many_are_refused_by_name() {
        let names: Vec<String> = (0..501).map(|number| format!("Desk number {number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let most = asked(&within(&names[..500]), ExportKind::Incidents, &[]).unwrap();
        assert!(most.filters[DESKS].len() > 1_000 && most.required_permissions.len() == 500);
        let too_many = asked(&within(&names), ExportKind::Incidents, &[]).unwrap_err();
        assert_eq!(serde_json::to_value(&too_many).unwrap()["errors"][0]["pointer"], "/filters/desks");
        assert!(asked(&within(&names), ExportKind::Incidents, &[("desks", r#"["Desk number 7"]"#)]).is_ok());
    }
}
