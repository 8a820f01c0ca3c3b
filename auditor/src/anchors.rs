//! Time stamps that the ledger holds of itself: `ledger.anchored` entries, each with an RFC 3161 token over a checkpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::cell::Digest;
use crate::checkpoint::Checkpoint;
use crate::report::AnchorRow;

/// What became of one anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnchorOutcome {
    /// A trusted authority stamped a checkpoint whose root these entries come to.
    Verified,
    /// The token is over that checkpoint by its own word, but the auditor trusts no authority, or the root at that size
    /// was not recomputed.
    NotChecked,
    /// The token, or what the entry says of it, is wrong.
    Invalid,
    /// The stamp is right, but the entries come to another root than the one that was stamped.
    OtherRoot,
}

/// One anchor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnchorFacts {
    /// Position of the entry.
    pub position: u64,
    /// Number of entries that were stamped.
    pub size: Option<u64>,
    /// Address of the authority, as the entry says.
    pub tsa_url: Option<String>,
    /// When it was stamped, RFC 3339, by the token.
    pub generated_at: Option<String>,
    /// The authority's name in its certificate, where the token was verified.
    pub tsa: Option<String>,
    /// Serial number of the token, where it was verified.
    pub serial: Option<String>,
    /// What became of it.
    pub outcome: AnchorOutcome,
    /// Why, in a sentence.
    pub detail: String,
}

#[derive(Deserialize)]
struct Payload {
    size: u64,
    root: String,
    checkpoint: String,
    tsa: String,
    generated_at: String,
    token: String,
}

/// Judges an anchor. `root_at` gives the recomputed root at a size, where it is known.
pub fn judge(row: &AnchorRow, root_at: impl Fn(u64) -> Option<String>, tsa_roots: Option<&str>) -> AnchorFacts {
    let mut facts = AnchorFacts {
        position: row.position,
        size: None,
        tsa_url: None,
        generated_at: None,
        tsa: None,
        serial: None,
        outcome: AnchorOutcome::Invalid,
        detail: String::new(),
    };
    facts.detail = match examine(row, &root_at, tsa_roots, &mut facts) {
        Ok(detail) => detail.to_owned(),
        Err(detail) => {
            facts.outcome = AnchorOutcome::Invalid;
            detail
        }
    };
    facts
}

fn examine(
    row: &AnchorRow,
    root_at: &dyn Fn(u64) -> Option<String>,
    tsa_roots: Option<&str>,
    facts: &mut AnchorFacts,
) -> Result<&'static str, String> {
    let payload: Payload =
        serde_json::from_str(&row.payload).map_err(|error| format!("the entry's payload is no anchor: {error}"))?;
    (facts.size, facts.tsa_url) = (Some(payload.size), Some(payload.tsa));
    let checkpoint = Checkpoint::parse(payload.checkpoint.as_bytes()).map_err(|error| error.to_string())?;
    if checkpoint.size != payload.size || hex::encode(checkpoint.root) != payload.root {
        return Err("the entry states another size or root than the checkpoint in it".to_owned());
    }
    if payload.size > row.position {
        return Err("the entry stamps a size that the ledger did not have yet".to_owned());
    }
    let token = STANDARD.decode(&payload.token).map_err(|_| "the token is not base64".to_owned())?;
    let imprint: Digest = Sha256::digest(checkpoint.note().body().as_bytes()).into();
    let content = daybook_time_stamping::inspect(&token).map_err(|error| error.to_string())?;
    facts.generated_at = Some(shown(content.generated_at));
    if content.message_sha256 != imprint {
        return Err("the token is not over the checkpoint beside it".to_owned());
    }
    let stated = DateTime::parse_from_rfc3339(&payload.generated_at).map(|time| time.with_timezone(&Utc));
    if stated != Ok(content.generated_at) {
        return Err("the entry states another time than the token".to_owned());
    }
    let recomputed = root_at(payload.size);
    facts.outcome = AnchorOutcome::NotChecked;
    if let Some(roots) = tsa_roots {
        let stamp = daybook_time_stamping::verify_token(&token, &imprint, roots, None)
            .map_err(|error| format!("the token does not verify: {error}"))?;
        (facts.tsa, facts.serial) = (Some(stamp.tsa), Some(stamp.serial));
    }
    Ok(match (recomputed, tsa_roots) {
        (Some(root), _) if root != payload.root => {
            facts.outcome = AnchorOutcome::OtherRoot;
            "these entries come to another root than the one that was stamped"
        }
        (_, None) => "no roots of time-stamping authorities were given",
        (None, Some(_)) => "the token verifies, but the root at its size was not recomputed",
        (Some(_), Some(_)) => {
            facts.outcome = AnchorOutcome::Verified;
            "the token verifies, and these entries come to the root that was stamped"
        }
    })
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The size that an anchor's payload states, to have the root there recomputed.
pub fn size_of(payload: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Size {
        size: u64,
    }
    serde_json::from_str::<Size>(payload).ok().map(|anchor| anchor.size)
}
