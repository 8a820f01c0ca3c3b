//! What is done to organisations.

use std::sync::Arc;

use daybook_domain::organization::{Organization, OrganizationCommand, SessionHours, SettingsPatch};
use daybook_domain::text::{Line, ShortName};
use daybook_http_kit::{CommandRequest, Principal, Problem};
use daybook_ledger::LedgerId;
use daybook_ledger::commands::CommandContext;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::TIER;
use super::view::{OrganizationView, not_found};
use crate::people::carried::{Done, done, execute, short_id};
use crate::problems::{Faults, invalid, refusal};
use crate::state::{CreateOrganizationError, IdentityState, OrganizationIdentity, vault_problem};

/// Hexadecimal digits of an id that nobody chose.
const ID_DIGITS: usize = 16;

/// An organisation to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateBody {
    /// What it is called.
    #[schema(example = "Acme Capital")]
    pub name: String,
    /// Its id, `[a-z0-9-]{1,63}`, for ever. One is made if it is absent.
    #[schema(example = "acme")]
    pub id: Option<String>,
}

/// What is to be different about an organisation.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeBody {
    /// What it is called.
    pub name: Option<String>,
    /// The settings that are to be different.
    pub settings: Option<SettingsBody>,
}

/// Settings; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsBody {
    /// Whether anybody may register and become a viewer.
    pub open_registration: Option<bool>,
    /// Whether nobody comes in with a password alone.
    pub require_second_factor: Option<bool>,
    /// Hours after which a session is over: 1 to 2160.
    #[schema(minimum = 1, maximum = 2160)]
    pub session_hours: Option<u32>,
}

/// An organisation that was made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CreatedView {
    /// The organisation.
    #[serde(flatten)]
    pub organization: OrganizationView,
    /// The one-time link for its first owner: shown this once, and null in the answer to a repeat.
    pub owner_link: Option<String>,
}

/// The organisation of this id, if the caller is of it; the operator is of all.
pub(crate) fn reachable(
    installation: &IdentityState,
    own: &Arc<OrganizationIdentity>,
    caller: &Principal,
    id: &str,
) -> Result<Arc<OrganizationIdentity>, Problem> {
    if own.id.as_str() == id {
        return Ok(Arc::clone(own));
    }
    let id: LedgerId = id.parse().map_err(|_| not_found())?;
    installation.organizations.get(&id).filter(|_| caller.is_operator()).ok_or_else(not_found)
}

/// Makes an organisation: opens it, records what it is called, and makes the link for its first owner.
pub(super) async fn create(
    installation: &IdentityState,
    body: CreateBody,
    context: CommandContext,
) -> Result<(Done, CreatedView), Problem> {
    let mut faults = Faults::default();
    let name = faults.check(Line::parse("/name", body.name));
    faults.none()?;
    let name = name.ok_or_else(|| faults.problem())?;
    let is_generated = body.id.is_none();
    let id = body.id.unwrap_or_else(|| {
        short_id("org", ID_DIGITS, installation.identity.default_organization(), &context).replace('_', "-")
    });
    let id: LedgerId = id.parse().map_err(|_| Problem::invalid("/id", "must match [a-z0-9-]{1,63}"))?;
    let creator = installation.creator.as_ref().ok_or_else(|| {
        Problem::unavailable("organization.creation_unavailable", "this process makes no organisations", 60)
    })?;
    let identity = match creator.create(&id).await {
        Ok(identity) => identity,
        Err(CreateOrganizationError::Exists) => unnamed(installation, &id, is_generated, &context)?,
        Err(CreateOrganizationError::TooMany) => {
            return Err(Problem::refused("organization.too_many", "the installation has as many as it may have"));
        }
        Err(error @ CreateOrganizationError::Unavailable(_)) => return Err(Problem::store_unavailable(&error)),
    };
    let tier = ShortName::parse("/tier", TIER).map_err(invalid)?;
    let command = OrganizationCommand::Create { name, tier };
    let outcome = identity.organization.execute(id.as_str(), command, context).await.map_err(refusal)?;
    identity.settle(&outcome).await?;
    let owner_link = match outcome.replayed {
        true => None,
        false => installation.owner_link(&id).await.map_err(vault_problem)?,
    };
    let organization = OrganizationView::of(installation, &identity);
    Ok((done(outcome), CreatedView { organization, owner_link }))
}

/// One that was opened and not named, because whoever made it was interrupted, or one that this very command made.
fn unnamed(
    installation: &IdentityState,
    id: &LedgerId,
    is_generated: bool,
    context: &CommandContext,
) -> Result<Arc<OrganizationIdentity>, Problem> {
    let exists =
        || Problem::conflict("organization.exists", "there is an organization of this id").at("/id", "is taken");
    let identity = installation.organizations.get(id).ok_or_else(exists)?;
    let is_named = identity.directory.now().organization.place.version > 0;
    if is_named && !is_generated && context.command.is_none() {
        return Err(exists());
    }
    Ok(identity)
}

/// Changes name and settings. Each is a command of its own.
pub(super) async fn change(
    installation: &IdentityState,
    identity: &OrganizationIdentity,
    caller: &Principal,
    request: &CommandRequest,
    body: ChangeBody,
    bytes: &[u8],
) -> Result<(Done, OrganizationView), Problem> {
    let name = Line::parse_optional("/name", body.name).map_err(invalid)?;
    let settings = body.settings.map(SettingsBody::patch).transpose()?;
    let id = identity.id.as_str();
    let is_named = identity.directory.now().organization.place.version > 0;
    let mut commands: Vec<(&str, OrganizationCommand)> = Vec::new();
    if !is_named {
        // The embedded default is there before anybody has named it.
        let called = match &name {
            Some(name) => name.clone(),
            None => Line::parse("/name", id).map_err(invalid)?,
        };
        let tier = ShortName::parse("/tier", TIER).map_err(invalid)?;
        commands.push(("create", OrganizationCommand::Create { name: called, tier }));
    }
    if let Some(name) = name.filter(|_| is_named) {
        commands.push(("rename", OrganizationCommand::Rename { name }));
    }
    if let Some(settings) = settings {
        commands.push(("settings", OrganizationCommand::ChangeSettings(settings)));
    }
    let several = commands.len() > 1;
    if several {
        request.refuse_if_match()?;
    }
    let mut last = None;
    for (item, command) in commands {
        let context = if several { request.item_context(caller, bytes, item) } else { request.context(caller, bytes) };
        let outcome = execute::<Organization>(identity, &identity.organization, id, command, context).await?;
        last = Some(done(outcome));
    }
    let done = last.ok_or_else(|| Problem::invalid("", "says nothing that is to be different"))?;
    let done = Done { created: false, ..done };
    Ok((done, OrganizationView::of(installation, identity)))
}

impl SettingsBody {
    fn patch(self) -> Result<SettingsPatch, Problem> {
        let hours = self.session_hours.map(|hours| SessionHours::parse("/settings/session_hours", hours));
        Ok(SettingsPatch {
            open_registration: self.open_registration,
            require_second_factor: self.require_second_factor,
            session_hours: hours.transpose().map_err(invalid)?,
        })
    }
}
