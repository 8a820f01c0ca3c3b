//! Making schedules of exports: no more than an organisation may have, however many are made at once.

use daybook_domain::export_schedule::{Created, ExportSchedule, ExportScheduleCommand, MAX_SCHEDULES, ScheduleStatus};
use daybook_http_kit::Problem;
use daybook_identity::directory::ScheduleRecord;
use daybook_ledger::commands::{CommandContext, Outcome};

use crate::export_runs::ExportRuns;

impl ExportRuns {
    /// Brings a schedule into being; 422 where the organisation has as many as there may be. One at a time, of all processes:
    /// two at once would not know of each other.
    pub async fn make(&self, created: Created, context: CommandContext) -> Result<Outcome<ExportSchedule>, Problem> {
        let _turn = self.approvals().turn().await?;
        let id = created.schedule_id.to_string();
        let state = self.approvals().directory().up_to_date().await?;
        let has_ended = |record: &ScheduleRecord| record.schedule.status() == Some(ScheduleStatus::Ended);
        let count = state.export_schedules.values().filter(|record| !has_ended(record)).count();
        if count >= MAX_SCHEDULES {
            match self.find(&id).await {
                // A repeat makes no other.
                Ok(_) => {}
                Err(problem) if problem.status() == 404 => {
                    let detail = format!("an organisation has at most {MAX_SCHEDULES} schedules of exports");
                    return Err(Problem::refused("export_schedule.too_many", detail));
                }
                Err(problem) => return Err(problem),
            }
        }
        self.carry_out(&id, ExportScheduleCommand::Create(Box::new(created)), context).await
    }
}
