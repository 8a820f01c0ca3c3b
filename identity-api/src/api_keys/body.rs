//! What is asked of API keys, and how it becomes commands.

use std::collections::BTreeSet;

use daybook_domain::names::PermissionName;
use daybook_domain::text::{Description, Line};
use daybook_domain::{Patch, Timestamp};
use daybook_http_kit::permission_set::PermissionSet;
use daybook_http_kit::{PageParameters, Problem};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::problems::{Faults, invalid};

/// Days that a key lives where nothing is said.
const DEFAULT_DAYS: u32 = 90;
/// Most days that a key lives.
const MAX_DAYS: u32 = 366;
/// Seconds that the old secret goes on where nothing is said: a day.
const DEFAULT_OVERLAP: u32 = 86_400;
/// Most seconds that the old secret goes on: a week.
const MAX_OVERLAP: u32 = 604_800;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Which keys are listed.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeyFilter {
    /// `live`, `expired`, `revoked` or `orphaned`.
    pub status: Option<String>,
    #[serde(flatten)]
    #[param(ignore)]
    pub page: PageParameters,
}

impl KeyFilter {
    pub(crate) fn status(&self) -> Result<Option<&str>, Problem> {
        match self.status.as_deref() {
            Some(word) if !["live", "expired", "revoked", "orphaned"].contains(&word) => {
                let detail = "must be live, expired, revoked or orphaned";
                Err(Problem::bad_request("request.invalid_parameter", format!("query parameter status: {detail}"))
                    .at("?status", detail))
            }
            status => Ok(status),
        }
    }
}

/// A key to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateKeyBody {
    /// What it is called.
    #[schema(example = "settlement feed")]
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Permissions by name, or `read`, `write`, `admin`; `["read"]` if it is absent.
    #[schema(example = json!(["transaction:create"]))]
    pub scopes: Option<BTreeSet<String>>,
    /// Days until it is refused: 1 to 366, 90 if it is absent. Also taken as `expires_days`.
    #[serde(alias = "expires_days")]
    #[schema(minimum = 1, maximum = 366)]
    pub expires_in_days: Option<u32>,
    /// The moment from which it is refused, instead of days: RFC 3339, at most 366 days ahead.
    pub expires_at: Option<String>,
}

/// A checked wish for a key.
pub(crate) struct NewKey {
    pub(crate) name: Line,
    pub(crate) description: Option<Description>,
    pub(crate) scopes: BTreeSet<PermissionName>,
    pub(crate) permissions: PermissionSet,
    pub(crate) expires_at: Timestamp,
}

impl CreateKeyBody {
    pub(crate) fn wish(self, at: Timestamp) -> Result<NewKey, Problem> {
        let (scopes, permissions) = scopes(self.scopes.unwrap_or_else(|| BTreeSet::from(["read".to_owned()])))?;
        let expires_at = match (self.expires_at, self.expires_in_days) {
            (Some(_), Some(_)) => return Err(Problem::invalid("/expires_at", "cannot stand beside days")),
            (Some(text), None) => moment(at, &text)?,
            (None, days) => ends(at, days.unwrap_or(DEFAULT_DAYS))?,
        };
        let mut faults = Faults::default();
        let name = faults.check(Line::parse("/name", self.name));
        let description = faults.check(Description::parse_optional("/description", self.description));
        match (name, description) {
            (Some(name), Some(description)) => Ok(NewKey { name, description, scopes, permissions, expires_at }),
            _ => Err(faults.problem()),
        }
    }
}

/// What is to be different about a key.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeKeyBody {
    /// What it is called.
    pub name: Option<String>,
    /// What it is for; `null` removes it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub description: Patch<String>,
    /// All its scopes. It never permits more than its maker held.
    pub scopes: Option<BTreeSet<String>>,
    /// Days from now until it is refused: 1 to 366.
    #[serde(alias = "expires_days")]
    #[schema(minimum = 1, maximum = 366)]
    pub expires_in_days: Option<u32>,
    /// False revokes it, for good.
    pub is_active: Option<bool>,
}

/// Another secret for a key.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateBody {
    /// Seconds that the old secret goes on: 0 to 604800, 86400 if it is absent.
    #[schema(minimum = 0, maximum = 604800)]
    pub overlap_seconds: Option<u32>,
}

impl RotateBody {
    /// Until when the old secret is good.
    pub(crate) fn old_valid_until(&self, at: Timestamp) -> Result<Timestamp, Problem> {
        let seconds = self.overlap_seconds.unwrap_or(DEFAULT_OVERLAP);
        if seconds > MAX_OVERLAP {
            return Err(Problem::invalid("/overlap_seconds", format!("must be 0 to {MAX_OVERLAP}")));
        }
        later(at, i64::from(seconds).saturating_mul(MICROS_PER_SECOND))
    }
}

/// The scopes as events have them, and what they permit; 400 for a word that is none.
pub(crate) fn scopes(words: BTreeSet<String>) -> Result<(BTreeSet<PermissionName>, PermissionSet), Problem> {
    let list: Vec<&String> = words.iter().collect();
    let permissions =
        PermissionSet::from_scopes(&list).map_err(|unknown| Problem::invalid("/scopes", unknown.to_string()))?;
    let names = words.into_iter().map(|word| PermissionName::parse("/scopes", word)).collect::<Result<_, _>>();
    Ok((names.map_err(invalid)?, permissions))
}

/// So many days later, if there may be so many.
pub(crate) fn ends(at: Timestamp, days: u32) -> Result<Timestamp, Problem> {
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(Problem::invalid("/expires_in_days", format!("must be 1 to {MAX_DAYS}")));
    }
    later(at, i64::from(days).saturating_mul(MICROS_PER_DAY))
}

/// A moment that lies ahead, and not too far.
fn moment(at: Timestamp, text: &str) -> Result<Timestamp, Problem> {
    let moment = Timestamp::parse("/expires_at", text).map_err(invalid)?;
    if moment <= at || moment > ends(at, MAX_DAYS)? {
        return Err(Problem::invalid("/expires_at", format!("must lie ahead, at most {MAX_DAYS} days")));
    }
    Ok(moment)
}

fn later(at: Timestamp, micros: i64) -> Result<Timestamp, Problem> {
    Timestamp::from_micros(at.micros().saturating_add(micros))
        .ok_or_else(|| Problem::unavailable("clock.unusable", "the server does not know the time", 60))
}
