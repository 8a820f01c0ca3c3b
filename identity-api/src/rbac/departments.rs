//! Departments: parts of the organisation, within which roles may be granted.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use daybook_domain::Patch;
use daybook_domain::department::{Department, DepartmentCommand, DepartmentError};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, CreateProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::{DepartmentManage, DepartmentRead};
use daybook_http_kit::{Allowed, Body, CommandRequest, NoQuery, OptionalBody, PageParameters, Problem, Query};
use daybook_identity::directory::{DepartmentRecord, DirectoryState};
use daybook_ledger::commands::CommandContext;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{ChangeDepartmentBody, CreateDepartmentBody, WhyBody};
use super::list::{Paged, one, page_of};
use crate::people::carried::{self, Answer, Done, done, short_id};
use crate::problems::refused;
use crate::state::{IdentityState, OrganizationIdentity};
use daybook_ledger::keys::time::rfc3339;

/// Where departments are.
pub(crate) const COLLECTION: &str = "/rbac/departments";
/// Most departments that lie above one another.
const MAX_DEPTH: usize = 16;
/// Most departments of an organisation, closed ones included.
const MAX_DEPARTMENTS: usize = 2_000;
/// Hexadecimal digits of a department's id.
const ID_DIGITS: usize = 24;

/// A department.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct DepartmentView {
    /// Its id.
    #[schema(example = "dep_5f1d3c2b4a59687786950413")]
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The same.
    pub display_name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The department that it is part of.
    pub parent_department_id: Option<String>,
    /// False where it was closed: nothing is granted within it.
    pub is_active: bool,
    /// When it was made.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
    /// Its version, for `If-Match`.
    pub version: u64,
}

impl DepartmentView {
    /// As answers show it.
    pub(crate) fn of(department: &DepartmentRecord) -> Self {
        Self {
            id: department.department_id.clone(),
            name: department.name.clone(),
            display_name: department.name.clone(),
            description: department.description.clone(),
            parent_department_id: department.parent_department_id.clone(),
            is_active: !department.closed,
            created_at: rfc3339(department.place.created_at),
            updated_at: rfc3339(department.place.changed_at),
            version: department.place.version,
        }
    }

    fn found(state: &DirectoryState, id: &str) -> Result<Self, Problem> {
        state
            .departments
            .get(id)
            .map(|department| Self::of(department))
            .ok_or_else(|| refused(&DepartmentError::NotFound))
    }
}

/// List departments
#[utoipa::path(
    get, path = "/v1/rbac/departments", tag = "roles", operation_id = "list_departments",
    params(PageParameters, QueryHeaders),
    responses(
        (status = 200, description = "Departments by id.", body = daybook_http_kit::Listing<DepartmentView>), QueryProblems
    )
)]
pub(crate) async fn list(
    _caller: Allowed<DepartmentRead>,
    identity: Scoped<OrganizationIdentity>,
    page: Query<PageParameters>,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    let departments = state.departments.values().map(|department| DepartmentView::of(department));
    page_of(&page, state.position, departments, |department| department.id.clone()).map(Paged::respond)
}

/// One department
#[utoipa::path(
    get, path = "/v1/rbac/departments/{id}", tag = "roles", operation_id = "get_department",
    params(("id" = String, Path, description = "The department's id."), QueryHeaders),
    responses((status = 200, description = "The department.", body = DepartmentView), QueryProblems)
)]
pub(crate) async fn get(
    _caller: Allowed<DepartmentRead>,
    identity: Scoped<OrganizationIdentity>,
    _: NoQuery,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    Ok(one(state.position, &DepartmentView::found(&state, &id)?))
}

/// Make a department
#[utoipa::path(
    post, path = "/v1/rbac/departments", tag = "roles", operation_id = "create_department",
    params(CommandHeaders), request_body = CreateDepartmentBody,
    responses((status = 201, description = "Made.", body = Answer<DepartmentView>), CreateProblems)
)]
pub(crate) async fn create(
    caller: Allowed<DepartmentManage>,
    request: CommandRequest,
    _: NoQuery,
    identity: Scoped<OrganizationIdentity>,
    body: Body<CreateDepartmentBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let (done, department) = create_department(&identity, body.value, context).await?;
    Ok(carried::respond(&done, COLLECTION, department))
}

pub(crate) async fn create_department(
    identity: &OrganizationIdentity,
    body: CreateDepartmentBody,
    context: CommandContext,
) -> Result<(Done, DepartmentView), Problem> {
    let id = short_id("dep", ID_DIGITS, &identity.id, &context);
    let content = body.content(id.clone())?;
    let state = identity.directory.now();
    if state.departments.len() >= MAX_DEPARTMENTS && !state.departments.contains_key(id.as_str()) {
        let detail = format!("an organisation has at most {MAX_DEPARTMENTS} departments");
        return Err(Problem::refused("department.too_many", detail));
    }
    check_name(&state, &id, content.name.as_str())?;
    if let Some(parent) = &content.parent_department_id {
        check_parent(&state, &id, parent.as_str())?;
    }
    carry_out(identity, &id, DepartmentCommand::Create(content), context).await
}

/// Change a department
#[utoipa::path(
    put, path = "/v1/rbac/departments/{id}", tag = "roles", operation_id = "change_department",
    params(("id" = String, Path, description = "The department's id."), CommandHeaders),
    request_body = ChangeDepartmentBody,
    responses((status = 200, description = "Changed.", body = Answer<DepartmentView>), CommandProblems)
)]
pub(crate) async fn change(
    caller: Allowed<DepartmentManage>,
    request: CommandRequest,
    _: NoQuery,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: Body<ChangeDepartmentBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let patch = body.value.patch()?;
    let state = identity.directory.now();
    DepartmentView::found(&state, &id)?;
    if let Some(name) = &patch.name {
        check_name(&state, &id, name.as_str())?;
    }
    if let Patch::Set(parent) = &patch.parent_department_id {
        check_parent(&state, &id, parent.as_str())?;
    }
    let (done, department) = carry_out(&identity, &id, DepartmentCommand::Change(patch), context).await?;
    Ok(carried::respond(&done, COLLECTION, department))
}

/// Close a department
///
/// Nobody may have a role within it any more and no open department be part of it: 409 `department.in_use`.
#[utoipa::path(
    delete, path = "/v1/rbac/departments/{id}", tag = "roles", operation_id = "close_department",
    params(("id" = String, Path, description = "The department's id."), CommandHeaders),
    request_body = Option<WhyBody>,
    responses((status = 200, description = "Closed.", body = Answer<DepartmentView>), CommandProblems)
)]
pub(crate) async fn close(
    caller: Allowed<DepartmentManage>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: OptionalBody<WhyBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let reason = body.value.reason()?;
    let state = identity.directory.now();
    DepartmentView::found(&state, &id)?;
    let now = installation.now();
    let here = |department_id: &Option<String>| department_id.as_deref() == Some(id.as_str());
    let members = state.users.values().filter(|user| {
        let invited = user.invitation.as_ref().is_some_and(|invitation| here(&invitation.department_id));
        invited || user.grants.iter().any(|grant| here(&grant.department_id) && grant.is_current(now))
    });
    let members = members.count();
    let parts = state.departments.values().filter(|part| !part.closed && here(&part.parent_department_id)).count();
    if members + parts > 0 {
        let detail = format!("{members} people have a role within it and {parts} departments are part of it");
        let problem = Problem::conflict("department.in_use", detail);
        return Err(problem.with_member("people", members).with_member("departments", parts));
    }
    let (done, department) = carry_out(&identity, &id, DepartmentCommand::Close { reason }, context).await?;
    Ok(carried::respond(&done, COLLECTION, department))
}

/// The name of an open department belongs to it alone: what is seen of a department is its name.
fn check_name(state: &DirectoryState, id: &str, name: &str) -> Result<(), Problem> {
    let name = name.to_lowercase();
    let same = |department: &DepartmentRecord| {
        !department.closed && department.department_id != id && department.name.to_lowercase() == name
    };
    if state.departments.values().any(|department| same(department)) {
        return Err(
            Problem::conflict("department.name_taken", "another department has this name").at("/name", "is taken")
        );
    }
    Ok(())
}

/// The parent is there and open, is not below the department, and does not lie too deep.
fn check_parent(state: &DirectoryState, id: &str, parent: &str) -> Result<(), Problem> {
    let open = |id: &str| state.departments.get(id).filter(|department| !department.closed);
    if open(parent).is_none() {
        return Err(Problem::invalid("/parent_department_id", "is not a department of this organisation"));
    }
    let mut above = 0;
    let mut next = Some(parent);
    while let Some(current) = next {
        if current == id {
            return Err(Problem::refused("department.circular", "a department cannot be part of itself")
                .at("/parent_department_id", "is part of the department"));
        }
        above += 1;
        if above > MAX_DEPTH {
            break;
        }
        next = state.departments.get(current).and_then(|department| department.parent_department_id.as_deref());
    }
    if above + below(state, id) >= MAX_DEPTH {
        let detail = format!("at most {MAX_DEPTH} departments lie above one another");
        return Err(Problem::refused("department.too_deep", detail).at("/parent_department_id", "lies too deep"));
    }
    Ok(())
}

/// How many levels of departments lie below one.
fn below(state: &DirectoryState, id: &str) -> usize {
    let mut level = BTreeSet::from([id]);
    for depth in 0..=MAX_DEPTH {
        let is_next = |department: &DepartmentRecord| {
            department.parent_department_id.as_deref().is_some_and(|parent| level.contains(parent))
        };
        let next = state.departments.iter().filter(|(_, department)| is_next(department)).map(|(id, _)| &**id);
        level = next.collect();
        if level.is_empty() {
            return depth;
        }
    }
    MAX_DEPTH
}

async fn carry_out(
    identity: &OrganizationIdentity,
    id: &str,
    command: DepartmentCommand,
    context: CommandContext,
) -> Result<(Done, DepartmentView), Problem> {
    let outcome = carried::execute::<Department>(identity, &identity.departments, id, command, context).await?;
    let view = DepartmentView::found(&identity.directory.now(), id)?;
    Ok((done(outcome), view))
}
