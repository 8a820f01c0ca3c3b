//! What happens to approvals because time passes: escalations, deadlines, grants that lapse. One process at a time sees to it.

use daybook_approvals::Approvals;
use tokio::sync::watch;

use crate::lease::Leases;

/// The lease's name.
const APPROVALS_CLOCK: &str = "approvals_clock";

/// Runs the clock of one organisation's approvals under a lease. Cheap to clone.
///
/// The lease spares processes the work that another does. That each thing happens once is the approval's own doing: of two
/// that find the same thing due, one appends it, and the other finds it done.
#[derive(Clone)]
pub struct ApprovalsClock {
    approvals: Approvals,
    leases: Leases,
}

impl ApprovalsClock {
    /// The clock of `approvals`.
    pub fn new(approvals: Approvals, leases: Leases) -> Self {
        Self { approvals, leases }
    }

    /// Runs until `shutdown` is true.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) {
        let work = |_fence| self.approvals.clone().run_clock(shutdown.clone());
        self.leases.hold(APPROVALS_CLOCK, shutdown.clone(), work).await;
    }
}
