//! Removing files when their time is over, where the installation says how long they are kept. Never while a hold covers the
//! export, nor before the rule about exports lets go of it.

use std::time::Duration;

use daybook_approvals::FileKept;
use daybook_domain::export::{Export, ExportCommand, Removed, Requested};
use daybook_domain::text::{ActorId, Reason};
use daybook_ledger::commands::CommandError;

use super::step::{ACTOR, Next, StepError};
use super::{Driver, pacing};
use crate::lease::Fence;

const DAY: Duration = Duration::from_secs(86_400);

impl Driver {
    /// Removes the file of an export that has nothing left to do, once it is old enough; says when to look again.
    pub(super) async fn remove_when_due(
        &self,
        export: &Export,
        request: &Requested,
        fence: &Fence,
    ) -> Result<Next, StepError> {
        let (Some(days), Some(generated)) = (self.settings.keep_files_days, export.generated()) else {
            return Ok(Next::Nothing);
        };
        let due = generated.at.micros().saturating_add(pacing::micros(DAY.saturating_mul(days)));
        if due > (self.clock)() {
            return Ok(Next::Kept { until: Some(due) });
        }
        let id = request.export_id.as_str();
        let custody = self.approvals.custody_of_export(id).await;
        let custody = custody.map_err(|problem| StepError::Custody(problem.to_string()))?;
        // Only in its turn is it certain what time it is.
        match custody.kept((self.clock)()) {
            Some(FileKept::Held) => return Ok(Next::Kept { until: None }),
            Some(FileKept::Until(until)) => return Ok(Next::Kept { until: Some(until) }),
            None => {}
        }
        if !fence.is_held() {
            return Err(StepError::LeaseEnded);
        }
        let why = format!("files of exports are kept for {days} days");
        let (by, why) = (ActorId::parse("/by", ACTOR)?, Reason::parse("/why", why)?);
        let command = ExportCommand::Remove(Removed { by, why, at: self.now()? });
        match self.record(request, command).await {
            Ok(_) => {
                self.status.send_modify(|status| status.removed += 1);
                tracing::info!(export = %request.export_id, "the time of an export's file is over: it is removed");
                self.remove_files(export, request).await?;
                Ok(Next::Again)
            }
            // Somebody else removed it meanwhile.
            Err(CommandError::Refused(_)) => Ok(Next::Again),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the files of every attempt: it is recorded that there are none any more.
    pub(super) async fn remove_files(&self, export: &Export, request: &Requested) -> Result<(), StepError> {
        let last = export.attempt().map_or(0, |last| last.attempt);
        self.tidy(request, 1..last.saturating_add(1)).await
    }
}
