//! What the handlers work with: read tables, the ledger, and whatever controls the projectors in this process.

use std::sync::Arc;
use std::time::Duration;

use daybook_approvals::Approvals;
use daybook_exports::ExportFiles;
use daybook_http_kit::Sealer;
use daybook_ledger::LedgerReader;
use daybook_ledger::checkpoint::{CheckpointRequests, CheckpointStatus};
use daybook_read_models::ReadDb;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::live::LiveStreams;

/// Entries a projector may be behind before the process calls itself not ready.
pub const DEFAULT_MAX_LAG: u64 = 100_000;
/// How long a query waits for a read model to reach the position the client asked for.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(5);
/// How often checkpoints are signed where nothing else is known.
pub const DEFAULT_CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);

/// What a projector is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProjectorState {
    /// It follows the ledger.
    Running,
    /// It builds its read model anew beside the old one, which goes on answering.
    Rebuilding,
    /// It has stopped at an entry or a store that it cannot work with; `error` says why.
    Stopped,
    /// It runs in another process, or nowhere: this process only sees its position.
    Elsewhere,
}

/// How far a projector is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProjectorStatus {
    /// Its name.
    #[schema(example = "transactions")]
    pub name: String,
    /// What it is doing.
    pub state: ProjectorState,
    /// Entries it has folded: all positions below this one.
    #[schema(example = 1200)]
    pub position: u64,
    /// When it last folded something, RFC 3339.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    pub updated_at: Option<String>,
    /// Entries folded by the rebuild that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild_position: Option<u64>,
    /// Entries that it is to fold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild_target: Option<u64>,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why a rebuild was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebuildRefused {
    /// No projector has that name.
    Unknown,
    /// It is being rebuilt already.
    Running,
}

/// The projectors that run in this process.
pub trait ProjectionControl: Send + Sync + 'static {
    /// Every projector of this process, in a stable order, without waiting for anything.
    fn status(&self) -> Vec<ProjectorStatus>;

    /// Starts to rebuild one projector and returns at once; [`ProjectionControl::status`] shows how it goes.
    fn rebuild(&self, name: &str) -> Result<(), RebuildRefused>;
}

/// How checkpoints come to be, as far as this process knows.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    /// To ask for one; `None` where this process does not sign.
    pub requests: Option<CheckpointRequests>,
    /// What was signed last, and what is wrong; `None` where this process does not sign.
    pub status: Option<watch::Receiver<CheckpointStatus>>,
    /// How often one is signed while something is appended, by whichever process; zero where only on request.
    pub interval: Duration,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self { requests: None, status: None, interval: DEFAULT_CHECKPOINT_INTERVAL }
    }
}

/// Everything a query needs. Cheap to clone; one an organisation, all of them given to the app as
/// `web::Data<Organizations<QueryState>>`.
#[derive(Clone)]
pub struct QueryState {
    /// The read tables.
    pub db: ReadDb,
    /// The main ledger.
    pub ledger: LedgerReader,
    /// The projectors of this process; `None` where it has no projector role.
    pub projections: Option<Arc<dyn ProjectionControl>>,
    /// How checkpoints come to be.
    pub checkpoints: Checkpoints,
    /// Opens what people wrote; without one it is shown as unreadable.
    pub sealer: Option<Arc<dyn Sealer>>,
    /// Whom an approval waits for; without it this process has no inboxes.
    pub approvals: Option<Approvals>,
    /// The files of exports; without them this process hands out none.
    pub exports: Option<ExportFiles>,
    /// The live streams of this process.
    pub live: LiveStreams,
    /// Entries a projector may be behind while the process is ready.
    pub max_lag: u64,
    /// How long `Daybook-At-Least` waits.
    pub wait: Duration,
}

impl QueryState {
    /// Read tables and ledger, no projectors of its own. Live streams end when `shutdown` becomes true.
    pub fn new(db: ReadDb, ledger: LedgerReader, shutdown: watch::Receiver<bool>) -> Self {
        Self {
            db,
            ledger,
            projections: None,
            checkpoints: Checkpoints::default(),
            sealer: None,
            approvals: None,
            exports: None,
            live: LiveStreams::new(shutdown),
            max_lag: DEFAULT_MAX_LAG,
            wait: DEFAULT_WAIT,
        }
    }

    /// With the projectors that run in this process.
    #[must_use]
    pub fn with_projections(mut self, projections: Arc<dyn ProjectionControl>) -> Self {
        self.projections = Some(projections);
        self
    }

    /// With what is known of checkpoints.
    #[must_use]
    pub fn with_checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = checkpoints;
        self
    }

    /// With what people wrote opened.
    #[must_use]
    pub fn with_sealer(mut self, sealer: Arc<dyn Sealer>) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// With what is known of people who decide.
    #[must_use]
    pub fn with_approvals(mut self, approvals: Approvals) -> Self {
        self.approvals = Some(approvals);
        self
    }

    /// With the files of exports.
    #[must_use]
    pub fn with_exports(mut self, exports: ExportFiles) -> Self {
        self.exports = Some(exports);
        self
    }

    /// The id that scopes every query.
    pub fn ledger_id(&self) -> &str {
        self.ledger.id().as_str()
    }
}
