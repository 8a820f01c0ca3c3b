//! The part of a server process that shows checkpoints to others: a time-stamping authority, and witnesses.

use anyhow::Context;
use daybook_http_kit::Telemetry;
use daybook_ledger::Ledger;
use daybook_reactors::{ANCHOR, Anchors, Schedule, WITNESS, Witness, Witnesses, unschedule};
use daybook_read_models::ReadDb;

use crate::settings::OutsideSettings;

/// What is to run for `ledger`, by what `settings` say; its figures are among the metrics.
pub async fn schedules(
    settings: &OutsideSettings,
    ledger: &Ledger,
    read_tables: &ReadDb,
    telemetry: &Telemetry,
) -> anyhow::Result<Vec<Schedule>> {
    let id = ledger.id().clone();
    let mut schedules = Vec::new();
    if let (Some(interval), Some(authority)) = (settings.anchor_interval, &settings.authority) {
        let anchors = Anchors::new(ledger.clone(), authority.clone())?;
        let schedule = Schedule::new(Box::new(anchors), interval, id.clone(), read_tables.clone());
        let (size, failing) = (schedule.status(), schedule.status());
        telemetry.observe_ledger_gauge(
            &id,
            "daybook_anchor_size",
            "Entries covered by the newest checkpoint that has a time-stamp",
            move || size.borrow().size,
        );
        telemetry.observe_ledger_gauge(
            &id,
            "daybook_anchor_failing",
            "1 where the last attempt to get a time-stamp has failed",
            move || u64::from(failing.borrow().error.is_some()),
        );
        tracing::info!(tsa = authority.name(), seconds = interval.as_secs(), "checkpoints are anchored");
        schedules.push(schedule);
    } else {
        unschedule(read_tables, ANCHOR, &id).await?;
    }
    if settings.witnesses.is_empty() {
        unschedule(read_tables, WITNESS, &id).await?;
    } else {
        let names: Vec<&str> = settings.witnesses.iter().map(Witness::name).collect();
        tracing::info!(witnesses = names.join(", "), "checkpoints are witnessed");
        let witnesses = Witnesses::new(ledger.reader().clone(), settings.witnesses.clone())
            .context("the witnesses cannot be asked")?;
        let schedule = Schedule::new(Box::new(witnesses), settings.witness_interval, id.clone(), read_tables.clone());
        let (size, failing) = (schedule.status(), schedule.status());
        telemetry.observe_ledger_gauge(
            &id,
            "daybook_witness_size",
            "Entries covered by the newest checkpoint that all witnesses have signed",
            move || size.borrow().size,
        );
        telemetry.observe_ledger_gauge(
            &id,
            "daybook_witness_failing",
            "1 where a witness did not sign the newest checkpoint when it was asked last",
            move || u64::from(failing.borrow().error.is_some()),
        );
        schedules.push(schedule);
    }
    Ok(schedules)
}
