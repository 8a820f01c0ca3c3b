//! What is asked of legal holds, and how it becomes commands.

use daybook_domain::legal_hold::Covered;
use daybook_domain::names::HoldId;
use daybook_domain::text::{Line, Reason, ShortName, StreamId, SubjectId};
use daybook_domain::{InvalidField, legal_hold};
use daybook_http_kit::{PageParameters, Problem};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::problems::{Faults, invalid};

/// Which holds are listed.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HoldFilter {
    /// `in_force` or `released`.
    pub status: Option<String>,
    /// Only those that cover the person of this id as such.
    pub subject: Option<String>,
    /// Only those that cover the stream of this type as such, with `stream_id`.
    pub stream_type: Option<String>,
    /// Only those that cover the stream of this id as such, with `stream_type`.
    pub stream_id: Option<String>,
    #[serde(flatten)]
    #[param(ignore)]
    pub page: PageParameters,
}

impl HoldFilter {
    pub(crate) fn status(&self) -> Result<Option<&str>, Problem> {
        match self.status.as_deref() {
            Some(word) if !["in_force", "released"].contains(&word) => {
                let detail = "must be in_force or released";
                Err(Problem::bad_request("request.invalid_parameter", format!("query parameter status: {detail}"))
                    .at("?status", detail))
            }
            status => Ok(status),
        }
    }
}

impl HoldFilter {
    /// The stream that is asked about: its type and id, which come together.
    pub(crate) fn stream(&self) -> Result<Option<(&str, &str)>, Problem> {
        let missing = |name: &str| {
            let detail = "is required: a stream has a type and an id";
            Err(Problem::bad_request("request.invalid_parameter", format!("query parameter {name}: {detail}"))
                .at(format!("?{name}"), detail))
        };
        match (self.stream_type.as_deref(), self.stream_id.as_deref()) {
            (Some(stream_type), Some(stream_id)) => Ok(Some((stream_type, stream_id))),
            (None, None) => Ok(None),
            (Some(_), None) => missing("stream_id"),
            (None, Some(_)) => missing("stream_type"),
        }
    }
}

/// Something to be covered.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum CoverBody {
    /// Everything about a person.
    Subject {
        /// The person's opaque id.
        id: String,
    },
    /// One stream.
    Stream {
        /// Its type, for example `transaction`.
        stream_type: String,
        /// Its id.
        stream_id: String,
    },
}

/// A hold to be placed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceBody {
    /// The matter it is for, in one line.
    #[schema(example = "SEC inquiry 2026-114")]
    pub matter: String,
    /// Why: at most 2,000 characters.
    pub reason: String,
    /// 1 to 100 people and streams.
    #[schema(min_items = 1, max_items = 100)]
    pub covers: Vec<CoverBody>,
}

impl PlaceBody {
    pub(crate) fn placed(self, id: String) -> Result<legal_hold::Placed, Problem> {
        let mut faults = Faults::default();
        let hold_id = faults.check(HoldId::parse("/hold_id", id));
        let matter = faults.check(Line::parse("/matter", self.matter));
        let reason = faults.check(Reason::parse("/reason", self.reason));
        let covers = faults.check(covered(self.covers));
        match (hold_id, matter, reason, covers) {
            (Some(hold_id), Some(matter), Some(reason), Some(covers)) => {
                Ok(legal_hold::Placed { hold_id, matter, reason, covers })
            }
            _ => Err(faults.problem()),
        }
    }
}

/// What a hold is to cover besides.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExtendBody {
    /// People and streams; a hold covers at most 100 in all.
    #[schema(min_items = 1, max_items = 100)]
    pub covers: Vec<CoverBody>,
}

impl ExtendBody {
    pub(crate) fn covered(self) -> Result<Vec<Covered>, Problem> {
        covered(self.covers).map_err(invalid)
    }
}

/// Why a hold is released.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseBody {
    /// Why: at most 2,000 characters.
    pub reason: String,
}

fn covered(covers: Vec<CoverBody>) -> Result<Vec<Covered>, InvalidField> {
    let each = |(index, cover): (usize, CoverBody)| {
        Ok(match cover {
            CoverBody::Subject { id } => Covered::Subject { id: SubjectId::parse(&format!("/covers/{index}/id"), id)? },
            CoverBody::Stream { stream_type, stream_id } => Covered::Stream {
                stream_type: ShortName::parse(&format!("/covers/{index}/stream_type"), stream_type)?,
                stream_id: StreamId::parse(&format!("/covers/{index}/stream_id"), stream_id)?,
            },
        })
    };
    covers.into_iter().enumerate().map(each).collect()
}
