//! Exactly what a standing approval agrees to: what is exported, where it goes, when, and until when.

use std::collections::BTreeMap;

use super::ScheduledExport;
use crate::approval::{Action, ActionType, STANDING_RESOURCE};
use crate::names::{DestinationName, ScheduleId, Word};
use crate::text::{InvalidField, Line};
use crate::time::Timestamp;

/// The action of a standing approval: everything that decides what leaves the house, how often and until when is a parameter,
/// and so part of the digest. The policy for exports of that kind decides. Fails where it is too long to be looked at.
pub(super) fn action(
    schedule_id: &ScheduleId,
    export: &ScheduledExport,
    until: Timestamp,
) -> Result<Action, InvalidField> {
    let ScheduledExport { kind, format, filters, columns, deliver_to, cron, time_zone, period } = export;
    let names: Vec<&str> = deliver_to.iter().map(DestinationName::as_str).collect();
    let fixed = [
        ("kind", kind.to_string()),
        ("format", format.to_string()),
        ("columns", columns.join(",")),
        ("deliver_to", names.join(",")),
        ("cron", cron.to_string()),
        ("time_zone", time_zone.to_string()),
        ("period", period.to_string()),
        ("until", until.to_string()),
        // Its owner may have it run in between as well: that is agreed to with it.
        ("run_now", true.to_string()),
    ];
    let filters = filters.iter().map(|(name, value)| (format!("filter.{name}"), value.clone()));
    let parameters: BTreeMap<String, String> =
        fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(filters).collect();
    let mut summary = format!("Export {} as {}", kind.as_str().replace('_', " "), format.as_str());
    for (index, name) in names.iter().enumerate() {
        summary.push_str(if index == 0 { " to " } else { " and " });
        summary.push_str(name);
    }
    summary.push_str(&format!(" on schedule {cron} ({time_zone}), without further approval until {until}"));
    let action = ActionType::parse("/kind", kind.action())?;
    let resource_type = Word::parse("", STANDING_RESOURCE)?;
    let resource_id = Line::parse("/schedule_id", schedule_id.as_str())?;
    Action::new(action, resource_type, resource_id, parameters, Vec::new(), Line::lenient(&summary), None, None)
}
