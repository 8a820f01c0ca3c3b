//! Permissions: Daybook's own, which are code, and those that the organisation defines for its own programs.

use actix_web::HttpResponse;
use daybook_domain::permission::{Permission, PermissionCommand};
use daybook_http_kit::openapi::{CommandHeaders, CreateProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::{MATRIX, PermissionRow, RoleManage, RoleRead};
use daybook_http_kit::{Allowed, Body, CommandRequest, NoQuery, PageParameters, Problem, Query};
use daybook_identity::directory::{DirectoryState, PermissionRecord};
use daybook_ledger::commands::CommandContext;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::body::DefinePermissionBody;
use super::conditions::Conditions;
use super::list::{Paged, page_of};
use crate::people::carried::{self, Answer, Done, done};
use crate::state::OrganizationIdentity;
use daybook_ledger::keys::time::rfc3339;

/// Where permissions are.
pub(crate) const COLLECTION: &str = "/rbac/permissions";

/// A permission.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct PermissionView {
    /// Its name, which is its id.
    #[schema(example = "incident:write")]
    pub id: String,
    /// The same.
    pub name: String,
    /// Its name for people.
    pub display_name: Option<String>,
    /// What it allows, in words.
    pub description: Option<String>,
    /// What it is about.
    pub resource: String,
    /// What may be done with that.
    pub action: String,
    /// When it counts.
    #[schema(value_type = Option<Object>)]
    pub conditions: Option<Value>,
    /// True where it is one of Daybook's own: routes ask for it.
    pub is_system_permission: bool,
    /// When it was defined; null for Daybook's own.
    pub created_at: Option<String>,
}

impl PermissionView {
    fn system(row: &PermissionRow) -> Self {
        let (resource, action) = row.name.split_once(':').unwrap_or((row.name, ""));
        Self {
            id: row.name.to_owned(),
            name: row.name.to_owned(),
            display_name: None,
            description: None,
            resource: resource.to_owned(),
            action: action.to_owned(),
            conditions: None,
            is_system_permission: true,
            created_at: None,
        }
    }

    fn defined(permission: &PermissionRecord) -> Self {
        Self {
            id: permission.name.clone(),
            name: permission.name.clone(),
            display_name: permission.display_name.clone(),
            description: permission.description.clone(),
            resource: permission.resource.clone(),
            action: permission.action.clone(),
            conditions: Some(&permission.conditions)
                .filter(|conditions| !conditions.is_empty())
                .map(|conditions| Value::Object(conditions.fields().clone())),
            is_system_permission: false,
            created_at: Some(rfc3339(permission.place.created_at)),
        }
    }

    /// All permissions, Daybook's own first.
    pub(crate) fn all(state: &DirectoryState) -> Vec<Self> {
        let defined = state.permissions.values().map(|permission| Self::defined(permission));
        MATRIX.iter().map(Self::system).chain(defined).collect()
    }
}

/// List permissions
///
/// Daybook's own first, then those that the organisation defined by name.
#[utoipa::path(
    get, path = "/v1/rbac/permissions", tag = "roles", operation_id = "list_permissions",
    params(PageParameters, QueryHeaders),
    responses(
        (status = 200, description = "Permissions.", body = daybook_http_kit::Listing<PermissionView>), QueryProblems
    )
)]
pub(crate) async fn list(
    _caller: Allowed<RoleRead>,
    identity: Scoped<OrganizationIdentity>,
    page: Query<PageParameters>,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    page_of(&page, state.position, PermissionView::all(&state), |permission| permission.name.clone())
        .map(Paged::respond)
}

/// Define a permission
///
/// For the organisation's own programs, which ask `/rbac/permissions/check`: no route of Daybook's asks for it. A definition
/// stands for ever; repeating it changes nothing.
#[utoipa::path(
    post, path = "/v1/rbac/permissions", tag = "roles", operation_id = "define_permission",
    params(CommandHeaders), request_body = DefinePermissionBody,
    responses(
        (status = 201, description = "Defined.", body = Answer<PermissionView>),
        (status = 200, description = "Was defined before in the same way.", body = Answer<PermissionView>),
        CreateProblems,
    )
)]
pub(crate) async fn define(
    caller: Allowed<RoleManage>,
    request: CommandRequest,
    _: NoQuery,
    identity: Scoped<OrganizationIdentity>,
    body: Body<DefinePermissionBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let (done, permission) = define_permission(&identity, body.value, context).await?;
    Ok(carried::respond(&done, COLLECTION, permission))
}

pub(crate) async fn define_permission(
    identity: &OrganizationIdentity,
    body: DefinePermissionBody,
    context: CommandContext,
) -> Result<(Done, PermissionView), Problem> {
    let definition = body.definition()?;
    let name = definition.name.to_string();
    if MATRIX.iter().any(|row| row.name == name) {
        return Err(Problem::conflict("permission.built_in", "the name belongs to one of Daybook's own permissions")
            .at("/name", "is taken"));
    }
    Conditions::parse(&definition.conditions).map_err(|detail| Problem::invalid("/conditions", detail))?;
    let command = PermissionCommand::Define(Box::new(definition));
    let outcome = carried::execute::<Permission>(identity, &identity.permissions, &name, command, context).await?;
    let state = identity.directory.now();
    let view = state.permissions.get(name.as_str()).map(|permission| PermissionView::defined(permission));
    let view = view.ok_or_else(|| Problem::unavailable("directory.behind", "it cannot be seen yet", 1))?;
    Ok((done(outcome), view))
}
