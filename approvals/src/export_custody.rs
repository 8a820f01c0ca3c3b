//! Removing an export's file: not while a hold covers the export, nor before the rule about exports lets go of it, and not
//! while somebody is placing a hold.

use daybook_http_kit::Problem;
use daybook_identity::custody::{Custody, Keeping, Obstacle};
use daybook_ledger::StreamKey;
use daybook_ledger::keys::time::rfc3339;
use serde_json::json;

use crate::service::Approvals;

/// The type of the streams of exports.
const EXPORT: &str = "export";

/// The turn in which an export's file is removed, or is not. Nobody places a hold before it is dropped.
#[must_use = "others wait only while it is held"]
pub struct ExportCustody {
    keeping: Option<Keeping>,
    _custody: Custody,
}

/// Why the file of an export stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKept {
    /// Legal holds cover the export.
    Held,
    /// The rule about exports keeps it until then, in microseconds.
    Until(i64),
}

impl ExportCustody {
    /// Why the file stays at `now`, in microseconds, if it does.
    pub fn kept(&self, now: i64) -> Option<FileKept> {
        self.keeping.as_ref()?.obstacle(now).map(|obstacle| match obstacle {
            Obstacle::Held(_) => FileKept::Held,
            Obstacle::Retained(until) => FileKept::Until(until),
        })
    }

    /// 409 `export.held` with every hold that covers it, `export.retained` with the time until when the rule keeps it.
    pub fn may_be_removed(&self, now: i64) -> Result<(), Problem> {
        match self.keeping.as_ref().and_then(|keeping| keeping.obstacle(now)) {
            None => Ok(()),
            Some(Obstacle::Held(holds)) => {
                let words: Vec<String> =
                    holds.iter().map(|hold| format!("{} ({})", hold.hold_id, hold.matter)).collect();
                let detail = format!("a legal hold stands in the way: covered by {}", words.join(", "));
                Err(Problem::conflict("export.held", detail).with_member("holds", json!(holds)))
            }
            Some(Obstacle::Retained(until)) => {
                let until = rfc3339(until);
                let detail = format!("a retention rule stands in the way: exports like this are kept, until {until}");
                Err(Problem::conflict("export.retained", detail).with_member("keep_until", until))
            }
        }
    }
}

impl Approvals {
    /// Waits for the turn in which the file of an export can be removed.
    pub async fn custody_of_export(&self, export_id: &str) -> Result<ExportCustody, Problem> {
        let stream = StreamKey::new(EXPORT, export_id).map_err(|error| Problem::internal(&error))?;
        let custody = self.directory().custody().await?;
        let keeping = custody.keeping(&stream).await?;
        Ok(ExportCustody { keeping, _custody: custody })
    }
}
