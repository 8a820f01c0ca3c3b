//! Which incidents a caller can reach. Whoever may work on incidents within departments only works on those whose desk
//! is one of these; the others are as if they were not there.

use daybook_domain::incident::{IncidentCommand, IncidentError, Open};
use daybook_domain::patch::Patch;
use daybook_domain::text::Line;
use daybook_http_kit::permission::IncidentWrite;
use daybook_http_kit::{AllowedWithin, Permission, Problem, Scope};
use daybook_ledger::commands::CommandError;

use crate::problems::refusal;
use crate::state::WriteState;

/// 404 where the incident is out of the caller's reach. One that is not there is left to its command.
pub(super) async fn check(
    caller: &AllowedWithin<IncidentWrite>,
    state: &WriteState,
    id: &str,
    command: &IncidentCommand,
) -> Result<(), Problem> {
    if is_out_of_reach(caller.scope(), state, id).await? {
        return Err(refusal(CommandError::Refused(IncidentError::NotFound)));
    }
    match command {
        IncidentCommand::UpdateDetails(update) => match &update.desk {
            Patch::Keep => Ok(()),
            Patch::Clear => desk(caller, None),
            Patch::Set(to) => desk(caller, Some(to)),
        },
        _ => Ok(()),
    }
}

/// What is opened must be within reach, and so must be what has its id already.
pub(super) async fn check_open(
    caller: &AllowedWithin<IncidentWrite>,
    state: &WriteState,
    open: &Open,
) -> Result<(), Problem> {
    desk(caller, open.desk.as_ref())?;
    if is_out_of_reach(caller.scope(), state, open.incident_id.as_str()).await? {
        return Err(Problem::conflict("incident.exists", "there is another incident of that id"));
    }
    Ok(())
}

/// True where the incident is there and of a desk that the scope does not cover.
pub(super) async fn is_out_of_reach(scope: &Scope, state: &WriteState, id: &str) -> Result<bool, Problem> {
    if scope.departments().is_none() {
        return Ok(false);
    }
    match state.incidents.load(id).await {
        Ok(Some(incident)) => {
            let desk = incident.aggregate.content().and_then(|content| content.desk.as_ref()).map(Line::as_str);
            Ok(!scope.covers(desk))
        }
        // An id that cannot be one fails when its command is carried out.
        Ok(None) | Err(CommandError::Invalid(_)) => Ok(false),
        Err(error) => Err(refusal(error)),
    }
}

/// 403 where the caller may not put an incident on that desk.
fn desk(caller: &AllowedWithin<IncidentWrite>, desk: Option<&Line>) -> Result<(), Problem> {
    if caller.scope().covers(desk.map(Line::as_str)) {
        return Ok(());
    }
    Err(Problem::forbidden(IncidentWrite::NAME)
        .at("/desk", "must be a department in which the caller has the permission"))
}
