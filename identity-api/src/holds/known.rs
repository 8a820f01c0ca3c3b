//! Whether what a hold is to cover is there: a hold on nobody, or on a record that does not exist, would keep nothing and seem
//! to.

use daybook_domain::events::STREAM_TYPES;
use daybook_domain::legal_hold::Covered;
use daybook_http_kit::Problem;
use daybook_identity::directory::{DirectoryState, OPERATOR};
use daybook_ledger::StreamKey;

use crate::people::carried::up_to_date;
use crate::state::{IdentityState, OrganizationIdentity};

/// What ids of people begin with.
const PERSON: &str = "usr_";
/// What ids of API keys begin with.
const KEY: &str = "key_";

/// Refuses what is not there; 422 `legal_hold.unknown_cover` says what and where, all of it.
pub(super) async fn must_be_there(
    installation: &IdentityState,
    identity: &OrganizationIdentity,
    covers: &[Covered],
) -> Result<(), Problem> {
    let state = up_to_date(identity).await?;
    let mut faults: Vec<(String, String)> = Vec::new();
    for (index, cover) in covers.iter().enumerate() {
        let fault = match cover {
            Covered::Subject { id } => missing_subject(&state, id.as_str(), installation.identity.dev_auth()),
            Covered::Stream { stream_type, stream_id } => {
                missing_stream(identity, stream_type.as_str(), stream_id.as_str()).await?
            }
        };
        faults.extend(fault.map(|(field, detail)| (format!("/covers/{index}/{field}"), detail)));
    }
    let texts: Vec<String> = faults.iter().map(|(pointer, detail)| format!("{pointer} {detail}")).collect();
    if texts.is_empty() {
        return Ok(());
    }
    let problem = Problem::refused("legal_hold.unknown_cover", texts.join("; "));
    Err(faults.into_iter().fold(problem, |problem, (pointer, detail)| problem.at(pointer, detail)))
}

/// Where `development` headers are believed there may be people whom the directory does not know.
fn missing_subject(state: &DirectoryState, id: &str, development: bool) -> Option<(&'static str, String)> {
    let is_there = state.users.contains_key(id) || state.api_keys.contains_key(id) || id == OPERATOR;
    if is_there || (development && id.starts_with(PERSON)) {
        return None;
    }
    let detail = if id.starts_with(PERSON) || id.starts_with(KEY) {
        "is nobody's in this organisation"
    } else {
        "must be the id of a person (usr_…) or of an API key (key_…); an address or a name is none"
    };
    Some(("id", detail.to_owned()))
}

async fn missing_stream(
    identity: &OrganizationIdentity,
    stream_type: &str,
    stream_id: &str,
) -> Result<Option<(&'static str, String)>, Problem> {
    if !STREAM_TYPES.contains(&stream_type) {
        let detail = format!("is no type of records; there are {}", STREAM_TYPES.join(", "));
        return Ok(Some(("stream_type", detail)));
    }
    let entries = match StreamKey::new(stream_type, stream_id) {
        Ok(stream) => {
            identity.ledger.stream(&stream, 1, 1).await.map_err(|error| Problem::store_unavailable(&error))?
        }
        Err(_) => Vec::new(),
    };
    Ok(entries.is_empty().then(|| ("stream_id", format!("is no record of the type {stream_type}"))))
}
