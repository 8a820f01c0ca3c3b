//! Two accounts of one person: whoever asked with one of them decides with neither.

use actix_web::{HttpResponse, web};
use daybook_domain::text::{ActorId, Reason};
use daybook_domain::user::{User, UserCommand};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::UserUpdate;
use daybook_http_kit::{Allowed, Body, CommandRequest, NoQuery, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::COLLECTION;
use super::carried::{self, Answer, done, execute};
use super::rules::is_owner_account;
use super::view::{PersonView, known};
use crate::problems::Faults;
use crate::rbac::guard::require_owner;
use crate::state::{IdentityState, OrganizationIdentity};

/// Whose account it is as well, and how that is known.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SamePersonBody {
    /// Id of the person's other account.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    pub person: String,
    /// How that is known: at most 2,000 characters.
    pub reason: String,
}

/// Declare an account the same person's as another
///
/// From then on both count as one person wherever approvals compare persons: neither decides what the other asked for, and
/// they have one vote. That stays so. An owner's account by an owner; nobody declares it of an account of his own (403
/// `user.same_person_own`).
#[utoipa::path(
    post, path = "/v1/people/{id}/same-person", tag = "people", operation_id = "declare_same_person",
    params(("id" = String, Path, description = "The account's id."), CommandHeaders), request_body = SamePersonBody,
    responses((status = 200, description = "Declared.", body = Answer<PersonView>), CommandProblems)
)]
pub(crate) async fn declare(
    caller: Allowed<UserUpdate>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: Body<SamePersonBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let mut faults = Faults::default();
    let person = faults.check(ActorId::parse("/person", body.value.person));
    let reason = faults.check(Reason::parse("/reason", body.value.reason));
    let by = faults.check(ActorId::parse("", caller.actor.id.as_str()));
    let (Some(person), Some(reason), Some(by)) = (person, reason, by) else { return Err(faults.problem()) };
    let state = identity.directory.now();
    let account = known(&state, &id)?;
    let Some(other) = state.users.get(person.as_str()) else {
        return Err(Problem::refused("user.not_found", "there is no such person").at("/person", "is no account here"));
    };
    // Whoever could say so of himself could have others' doings count as his, and his as theirs.
    let caller_is = |id: &str| state.is_same_person(caller.actor.id.as_str(), id);
    if caller_is(&account.user_id) || caller_is(&other.user_id) {
        let detail = "whose account yours is as well is for somebody else to declare";
        return Err(Problem::new(403, "user.same_person_own", detail));
    }
    if is_owner_account(account) || is_owner_account(other) {
        require_owner(&caller)?;
    }
    let command = UserCommand::DeclareSamePerson { person, by, reason };
    let outcome = execute::<User>(&identity, &identity.users, &id, command, context).await?;
    let view = PersonView::found(&identity, &id, &caller, installation.now()).await?;
    Ok(carried::respond(&done(outcome), COLLECTION, view))
}
