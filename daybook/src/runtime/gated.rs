//! What an organisation does behind approvals: the gate, exports and their files, the clock, and their figures.

use std::sync::Arc;

use anyhow::Context;
use daybook_approvals::Approvals;
use daybook_exports::ExportFiles;
use daybook_exports::delivery::Destinations;
use daybook_http_kit::Telemetry;
use daybook_identity::directory::Directory;
use daybook_identity::personal::PersonalData;
use daybook_ledger::checkpoint::CheckpointRequests;
use daybook_ledger::{Ledger, LedgerId};
use daybook_reactors::{
    ApprovalsClock, ExportParts, ExportScheduleParts, ExportSchedules, ExportSchedulesStatus, Exports, ExportsStatus,
    Leases, Sources,
};
use daybook_write_api::exports::ExportDesk;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::runtime::organization::Common;
use crate::settings::signing::DEFAULT_OVERLAP_DAYS;

/// The gate of one organisation and what goes through it.
pub struct Gated {
    /// Who has to agree, and the gate.
    pub approvals: Arc<Approvals>,
    /// Commands on exports.
    pub desk: Arc<ExportDesk>,
    /// Their files.
    pub files: ExportFiles,
    destinations: Destinations,
}

impl Gated {
    /// Of `ledger`'s organisation.
    pub fn open(
        common: &Common,
        ledger: &Ledger,
        directory: &Directory,
        personal: &PersonalData,
    ) -> anyhow::Result<Self> {
        let (server, clock) = (&common.server, Arc::clone(&common.clock));
        let approvals = Approvals::new(ledger.clone(), directory.clone(), personal.clone(), Arc::clone(&clock))
            .with_development(server.dev_auth)
            .with_operator_person(server.identity.operator_person.clone());
        let files = files(common, ledger.id())?;
        let destinations = server.deliveries.open(ledger.id())?;
        let names = destinations.iter().map(|destination| destination.name().clone());
        let desk = ExportDesk::new(ledger.clone(), approvals.clone(), files.clone(), clock).with_destinations(names);
        Ok(Self { approvals: Arc::new(approvals), desk: Arc::new(desk), files, destinations })
    }

    /// Begins what goes on by itself: escalations and deadlines, making and delivering exports, and running their schedules.
    /// For processes that react.
    pub async fn react(
        &self,
        common: &Common,
        sources: Sources,
        checkpoints: Option<CheckpointRequests>,
        workers: &mut JoinSet<()>,
        stopping: &watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let ledger = self.approvals.ledger().clone();
        let id = ledger.id().clone();
        let leases = Leases::open(common.read_tables.clone(), id.clone(), Arc::clone(&common.clock));
        let leases = leases.await.context("the leases cannot be kept in the read tables")?;
        let clock = ApprovalsClock::new((*self.approvals).clone(), leases.clone());
        let until = stopping.clone();
        common.supervision.spawn(workers, "clock of approvals", stopping.clone(), move || {
            let (clock, until) = (clock.clone(), until.clone());
            async move { clock.run(until).await }
        });
        let schedules = ExportSchedules::new(ExportScheduleParts {
            runs: self.desk.runs().clone(),
            database: common.read_tables.clone(),
            leases: leases.clone(),
            clock: Arc::clone(&common.clock),
        });
        observe_schedules(&common.telemetry, &id, &schedules.status());
        let (until, organization) = (stopping.clone(), id.clone());
        common.supervision.spawn(workers, "schedules of exports", stopping.clone(), move || {
            let (schedules, until, organization) = (schedules.clone(), until.clone(), organization.clone());
            async move {
                if let Err(error) = schedules.run(until).await {
                    tracing::error!(ledger = %organization, %error, "schedules of exports are not driven any more");
                }
            }
        });
        let exports = Exports::new(ExportParts {
            ledger,
            database: common.read_tables.clone(),
            approvals: (*self.approvals).clone(),
            sources,
            files: self.files.clone(),
            keys: common.settings.ring_options(&id, DEFAULT_OVERLAP_DAYS),
            checkpoints,
            destinations: self.destinations.iter().map(|one| (one.name().clone(), Arc::clone(one))).collect(),
            leases,
            clock: Arc::clone(&common.clock),
            settings: common.server.exports.driver.clone(),
        });
        observe(&common.telemetry, &id, &exports.status());
        let (until, organization) = (stopping.clone(), id);
        common.supervision.spawn(workers, "exports", stopping.clone(), move || {
            let (exports, until, organization) = (exports.clone(), until.clone(), organization.clone());
            async move {
                if let Err(error) = exports.run(until).await {
                    tracing::error!(ledger = %organization, %error, "exports are not driven any more");
                }
            }
        });
        Ok(())
    }
}

/// The files of one organisation's exports.
pub fn files(common: &Common, id: &LedgerId) -> anyhow::Result<ExportFiles> {
    let folder = common.server.exports.folder_of(id);
    ExportFiles::open(&folder).with_context(|| format!("the folder of exports {} cannot be used", folder.display()))
}

fn observe(telemetry: &Telemetry, id: &LedgerId, status: &watch::Receiver<ExportsStatus>) {
    type Figure = fn(&ExportsStatus) -> u64;
    let figures: [(&'static str, &'static str, Figure); 9] = [
        ("daybook_exports_driving", "1 where this process drives the exports", |status| u64::from(status.is_driving)),
        ("daybook_exports_unfinished", "Exports that wait for something or are worked on", |status| {
            u64::try_from(status.unfinished).unwrap_or(u64::MAX)
        }),
        ("daybook_exports_generated", "Files of exports made since the start", |status| status.generated),
        ("daybook_export_failures", "Attempts to make a file that came to nothing since the start", |status| {
            status.generation_failures
        }),
        ("daybook_exports_delivered", "Deliveries made since the start", |status| status.delivered),
        ("daybook_delivery_failures", "Attempts to deliver that failed since the start", |status| {
            status.delivery_failures
        }),
        ("daybook_delivery_dead_letters", "Deliveries given up since the start", |status| status.dead_letters),
        ("daybook_export_files_removed", "Files of exports whose time was over, since the start", |status| {
            status.removed
        }),
        ("daybook_exports_failing", "1 while an export does not get on", |status| u64::from(status.error.is_some())),
    ];
    for (name, help, figure) in figures {
        let status = status.clone();
        telemetry.observe_ledger_gauge(id, name, help, move || figure(&status.borrow()));
    }
}

fn observe_schedules(telemetry: &Telemetry, id: &LedgerId, status: &watch::Receiver<ExportSchedulesStatus>) {
    type Figure = fn(&ExportSchedulesStatus) -> u64;
    let figures: [(&'static str, &'static str, Figure); 5] = [
        ("daybook_export_schedules_driving", "1 where this process drives the schedules of exports", |status| {
            u64::from(status.is_driving)
        }),
        ("daybook_export_schedules_active", "Schedules of exports that run at their times", |status| {
            u64::try_from(status.active).unwrap_or(u64::MAX)
        }),
        (
            "daybook_export_schedules_held_up",
            "Schedules that do not run: whoever made them may not ask for their exports, or for one more, or the clock is wrong",
            |status| u64::try_from(status.held_up).unwrap_or(u64::MAX),
        ),
        ("daybook_export_schedule_runs", "Runs of schedules that were due, since the start", |status| status.runs),
        ("daybook_export_schedules_failing", "1 while a schedule does not get on", |status| {
            u64::from(status.error.is_some())
        }),
    ];
    for (name, help, figure) in figures {
        let status = status.clone();
        telemetry.observe_ledger_gauge(id, name, help, move || figure(&status.borrow()));
    }
}
