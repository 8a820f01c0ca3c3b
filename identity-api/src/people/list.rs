//! Looking people up, and setting right what is known about them.

use actix_web::{HttpResponse, web};
use daybook_domain::text::{Line, Paragraph};
use daybook_domain::user::{ProfileChanged, User, UserCommand};
use daybook_domain::{InvalidField, Patch};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::{UserList, UserUpdate};
use daybook_http_kit::{Allowed, Body, CommandRequest, Listing, NoQuery, PageParameters, Principal, Problem, Query};
use daybook_identity::directory::{DirectoryState, UserRecord, UserStatus};

use super::COLLECTION;
use super::body::{ChangePersonBody, UserFilter};
use super::carried::{self, Answer, done, execute};
use super::rules::is_owner_account;
use super::view::{PersonView, known, sees_address};
use crate::problems::invalid;
use crate::rbac::guard::require_owner;
use crate::rbac::list::{Paged, one, page_of};
use crate::state::{IdentityState, OrganizationIdentity, vault_problem};
use crate::view::{field, seal};

/// Most characters of a search.
const MAX_SEARCH: usize = 200;

/// List people
///
/// In the order of their ids. E-mail addresses of others are null without `user:read_contact`.
#[utoipa::path(
    get, path = "/v1/users", tag = "people", operation_id = "list_users",
    params(UserFilter, PageParameters, QueryHeaders),
    responses((status = 200, description = "People.", body = Listing<PersonView>), QueryProblems)
)]
pub(crate) async fn list(
    caller: Allowed<UserList>,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    filter: Query<UserFilter>,
) -> Result<HttpResponse, Problem> {
    let now = installation.now();
    let state = identity.directory.now();
    let wanted = Wanted::of(&filter)?;
    let mut people: Vec<&UserRecord> = state.users.values().map(AsRef::as_ref).collect();
    people.retain(|user| wanted.includes(user, now));
    if let Some(search) = &filter.search {
        people = found(&identity, &caller, people, search).await?;
    }
    let page = page_of(&filter.page, state.position, people, |user| user.user_id.clone())?;
    let mut views = Vec::with_capacity(page.listing.items.len());
    for user in &page.listing.items {
        views.push(PersonView::of(&identity, &state, user, &caller, now).await?);
    }
    Ok(Paged::respond(page.with_items(views)))
}

/// A checked filter.
struct Wanted<'a> {
    role: Option<&'a str>,
    status: Option<&'a str>,
    is_active: Option<bool>,
    department: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(filter: &'a UserFilter) -> Result<Self, Problem> {
        let status = filter.status.as_deref();
        if status.is_some_and(|word| !["invited", "active", "deactivated", "erased"].contains(&word)) {
            return Err(parameter("status", "must be invited, active, deactivated or erased"));
        }
        let is_active = match filter.is_active.as_deref() {
            None => None,
            Some("true" | "1") => Some(true),
            Some("false" | "0") => Some(false),
            Some(_) => return Err(parameter("is_active", "must be true or false")),
        };
        if filter.search.as_ref().is_some_and(|search| search.chars().count() > MAX_SEARCH) {
            return Err(parameter("search", "is too long"));
        }
        Ok(Self { role: filter.role.as_deref(), status, is_active, department: filter.department.as_deref() })
    }

    fn includes(&self, user: &UserRecord, now: i64) -> bool {
        let current = || user.grants.iter().filter(|grant| grant.is_current(now));
        let invited = user.invitation.as_ref();
        self.status.is_none_or(|status| user.status.as_str() == status)
            && self.is_active.is_none_or(|active| (user.status == UserStatus::Active) == active)
            && self.role.is_none_or(|role| {
                current().any(|grant| grant.role == role) || invited.is_some_and(|invitation| invitation.role == role)
            })
            && self.department.is_none_or(|id| {
                current().any(|grant| grant.department_id.as_deref() == Some(id))
                    || invited.is_some_and(|invitation| invitation.department_id.as_deref() == Some(id))
            })
    }
}

fn parameter(name: &str, detail: &str) -> Problem {
    let text = format!("query parameter {name}: {detail}");
    Problem::bad_request("request.invalid_parameter", text).at(format!("?{name}"), detail)
}

/// Those whose name, visible address or id has the text in it, whatever the case. Opens what is sealed, many at once.
async fn found<'a>(
    identity: &OrganizationIdentity,
    caller: &Principal,
    people: Vec<&'a UserRecord>,
    search: &str,
) -> Result<Vec<&'a UserRecord>, Problem> {
    let mut sealed = Vec::new();
    let mut owners = Vec::new();
    for (index, user) in people.iter().enumerate() {
        let name = user.full_name.iter().map(|name| (name, field::FULL_NAME));
        let address = user.email.iter().filter(|_| sees_address(caller, &user.user_id));
        for value in name.chain(address.map(|address| (address, field::EMAIL))) {
            sealed.push(value);
            owners.push(index);
        }
    }
    let search = search.to_lowercase();
    let opened = identity.personal.open_many(&sealed).await.map_err(vault_problem)?;
    let mut matches = vec![false; people.len()];
    for (opened, owner) in opened.iter().zip(owners) {
        if let (Some(text), Some(matched)) = (opened.text(), matches.get_mut(owner)) {
            *matched |= text.to_lowercase().contains(&search);
        }
    }
    let matching = people.into_iter().zip(matches);
    Ok(matching.filter(|(user, matched)| *matched || user.user_id == search).map(|(user, _)| user).collect())
}

/// One person
#[utoipa::path(
    get, path = "/v1/users/{id}", tag = "people", operation_id = "get_user",
    params(("id" = String, Path, description = "The person's id."), QueryHeaders),
    responses((status = 200, description = "The person.", body = PersonView), QueryProblems)
)]
pub(crate) async fn get(
    caller: Allowed<UserList>,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    _: NoQuery,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let position = identity.directory.now().position;
    let person = PersonView::found(&identity, &id, &caller, installation.now()).await?;
    Ok(one(position, &person))
}

/// Set right what is known about a person
///
/// Not the e-mail address, which is the person's own to change.
#[utoipa::path(
    patch, path = "/v1/users/{id}", tag = "people", operation_id = "change_user",
    params(("id" = String, Path, description = "The person's id."), CommandHeaders), request_body = ChangePersonBody,
    responses((status = 200, description = "Changed.", body = Answer<PersonView>), CommandProblems)
)]
pub(crate) async fn change(
    caller: Allowed<UserUpdate>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: Body<ChangePersonBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let state = identity.directory.now();
    let user = known(&state, &id)?;
    if is_owner_account(user) {
        require_owner(&caller)?;
    }
    let change = sealed(&identity, &state, &id, body.value).await?;
    let command = UserCommand::ChangeProfile(Box::new(change));
    let outcome = execute::<User>(&identity, &identity.users, &id, command, context).await?;
    let person = PersonView::found(&identity, &id, &caller, installation.now()).await?;
    Ok(carried::respond(&done(outcome), COLLECTION, person))
}

/// The change with every text sealed under the person's key. Of somebody who was erased nothing is sealed any more.
async fn sealed(
    identity: &OrganizationIdentity,
    state: &DirectoryState,
    user_id: &str,
    body: ChangePersonBody,
) -> Result<ProfileChanged, Problem> {
    let checked = || -> Result<_, InvalidField> {
        Ok((
            Line::parse_optional("/full_name", body.full_name)?,
            body.about.try_map(|text| Paragraph::parse("/about", text))?,
            body.picture_url.try_map(picture_url)?,
        ))
    };
    let (full_name, about, picture_url) = checked().map_err(invalid)?;
    if known(state, user_id)?.status == UserStatus::Erased {
        return Err(crate::problems::refused(&daybook_domain::user::UserError::Erased));
    }
    let full_name = match full_name {
        Some(name) => Some(seal(identity, user_id, field::FULL_NAME, name.as_str()).await?),
        None => None,
    };
    let about = match about {
        Patch::Keep => Patch::Keep,
        Patch::Clear => Patch::Clear,
        Patch::Set(about) => Patch::Set(seal(identity, user_id, field::ABOUT, about.as_str()).await?),
    };
    let picture_url = match picture_url {
        Patch::Keep => Patch::Keep,
        Patch::Clear => Patch::Clear,
        Patch::Set(url) => Patch::Set(seal(identity, user_id, field::PICTURE_URL, &url).await?),
    };
    Ok(ProfileChanged { full_name, email: None, about, picture_url })
}

/// A picture's address: it is put into pages, so nothing but the web.
fn picture_url(url: String) -> Result<String, InvalidField> {
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic());
    if url.len() <= 2_000 && plain && (url.starts_with("https://") || url.starts_with("http://")) {
        return Ok(url);
    }
    Err(InvalidField::new("/picture_url", "must be an http or https address of at most 2000 bytes"))
}
