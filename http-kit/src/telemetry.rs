//! Metrics: OpenTelemetry instruments, read as Prometheus text.
//!
//! A [`Telemetry`] has a registry of its own, so that several can live in one process (as they do in tests).

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use daybook_ledger::LedgerId;
use daybook_ledger::checkpoint::CheckpointObserver;
use daybook_ledger::sequencer::SequencerObserver;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, Registry, TextEncoder};

use crate::permission::SystemMetricsRead;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::readings::{Readings, Slot};

/// Label of what is one organisation's.
const LEDGER: &str = "ledger";
/// Bounds of durations, in milliseconds.
const DURATION_BOUNDS_MS: [f64; 14] =
    [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0];
/// Bounds of entries per commit.
const ENTRIES_BOUNDS: [f64; 12] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0];

/// The metrics could not be set up or read.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter could not be registered.
    #[error("the metrics exporter could not be set up: {0}")]
    Setup(String),
    /// The metrics could not be written out.
    #[error("the metrics could not be written: {0}")]
    Render(#[from] prometheus::Error),
}

/// The process's metrics. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    registry: Registry,
    provider: SdkMeterProvider,
    meter: Meter,
    series: Arc<Series>,
}

/// What gauges are read from.
#[derive(Default)]
struct Series {
    values: Readings<u64>,
    checkpoints: Readings<CheckpointReading>,
    projectors: Readings<Vec<ProjectorReading>>,
}

/// How far a projector is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectorReading {
    /// Its name.
    pub projector: String,
    /// How many entries it has folded.
    pub position: u64,
    /// How many it has yet to fold.
    pub lag: u64,
}

/// What has become of checkpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckpointReading {
    /// Entries that the latest one covers, and seconds since it was signed; `None` before the first.
    pub latest: Option<(u64, u64)>,
    /// True while signing is refused because of what was signed before.
    pub is_refused: bool,
}

impl Telemetry {
    /// A meter provider with a Prometheus exporter.
    pub fn new() -> Result<Self, TelemetryError> {
        let registry = Registry::new();
        // Names are given whole below, as dashboards expect them.
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_units()
            .without_counter_suffixes()
            .without_target_info()
            .scope_info_enabled(false)
            .build()
            .map_err(|error| TelemetryError::Setup(error.to_string()))?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let meter = provider.meter("daybook");
        Ok(Self { registry, provider, meter, series: Arc::default() })
    }

    /// The meter, for instruments of one's own.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The provider behind it.
    pub fn provider(&self) -> &SdkMeterProvider {
        &self.provider
    }

    /// Counts and times requests.
    pub fn http(&self) -> HttpMetrics {
        HttpMetrics {
            requests: self
                .meter
                .u64_counter("http_requests_total")
                .with_description("Requests answered, by method, route pattern and status")
                .build(),
            duration: self
                .meter
                .f64_histogram("http_request_duration_ms")
                .with_description("Time from a request's head to its answer's head, in milliseconds")
                .with_boundaries(DURATION_BOUNDS_MS.to_vec())
                .build(),
        }
    }

    /// Counts and times a ledger's commits. Hand it to `Ledger::open`.
    pub fn sequencer(&self, ledger: &LedgerId) -> Arc<SequencerMetrics> {
        Arc::new(SequencerMetrics::new(&self.meter, ledger))
    }

    /// Counts and times a ledger's checkpoints. Hand it to `Checkpointer::open`.
    pub fn checkpoints(&self, ledger: &LedgerId) -> Arc<CheckpointMetrics> {
        Arc::new(CheckpointMetrics {
            ledger: label(ledger),
            duration: self
                .meter
                .f64_histogram("daybook_checkpoint_duration_ms")
                .with_description("Time to seal and sign one checkpoint, in milliseconds")
                .with_boundaries(DURATION_BOUNDS_MS.to_vec())
                .build(),
            failures: self
                .meter
                .u64_counter("daybook_checkpoint_failures_total")
                .with_description("Attempts to sign a checkpoint that came to nothing, by reason")
                .build(),
        })
    }

    /// Gauges of a ledger's latest checkpoint; `read` is called at each scrape and must not block.
    pub fn observe_checkpoints(&self, ledger: &LedgerId, read: impl Fn() -> CheckpointReading + Send + Sync + 'static) {
        let Some(slot) = self.series.checkpoints.put("daybook_checkpoint", Some(ledger), read) else { return };
        let gauge = |name: &'static str, description: &'static str, of: fn(CheckpointReading) -> Option<u64>| {
            let slot = slot.clone();
            let labels = [label(ledger)];
            let _gauge = self
                .meter
                .u64_observable_gauge(name)
                .with_description(description)
                .with_callback(move |gauge| {
                    if let Some(value) = slot.read().and_then(of) {
                        gauge.observe(value, &labels);
                    }
                })
                .build();
        };
        gauge("daybook_checkpoint_size", "Entries that the latest checkpoint covers", |reading| {
            reading.latest.map(|(size, _)| size)
        });
        gauge("daybook_checkpoint_age_seconds", "Seconds since the latest checkpoint was signed", |reading| {
            reading.latest.map(|(_, age)| age)
        });
        gauge(
            "daybook_checkpoint_refused",
            "1 while no checkpoint is signed because the ledger does not extend the one before",
            |reading| Some(u64::from(reading.is_refused)),
        );
    }

    /// Gauges of a ledger's projectors; `read` is called at each scrape and must not block.
    pub fn observe_projectors(
        &self,
        ledger: &LedgerId,
        read: impl Fn() -> Vec<ProjectorReading> + Send + Sync + 'static,
    ) {
        let Some(slot) = self.series.projectors.put("daybook_projector", Some(ledger), read) else { return };
        let positions = slot.clone();
        let (ledger, of) = (label(ledger), label(ledger));
        // The provider keeps the callbacks; the handles themselves do nothing.
        let _position = self
            .meter
            .u64_observable_gauge("daybook_projector_position")
            .with_description("Entries a projector has folded")
            .with_callback(move |gauge| {
                for reading in positions.read().unwrap_or_default() {
                    gauge.observe(reading.position, &[of.clone(), KeyValue::new("projector", reading.projector)]);
                }
            })
            .build();
        let _lag = self
            .meter
            .u64_observable_gauge("daybook_projector_lag")
            .with_description("Entries of the ledger that a projector has yet to fold")
            .with_callback(move |gauge| {
                for reading in slot.read().unwrap_or_default() {
                    gauge.observe(reading.lag, &[ledger.clone(), KeyValue::new("projector", reading.projector)]);
                }
            })
            .build();
    }

    /// A gauge of the process named `name`; `read` is called at each scrape and must not block.
    pub fn observe_gauge(
        &self,
        name: &'static str,
        description: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        if let Some(slot) = self.series.values.put(name, None, read) {
            self.observe_labelled(name, description, Vec::new(), slot);
        }
    }

    /// A gauge of one ledger named `name`; `read` is called at each scrape and must not block.
    pub fn observe_ledger_gauge(
        &self,
        ledger: &LedgerId,
        name: &'static str,
        description: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        if let Some(slot) = self.series.values.put(name, Some(ledger), read) {
            self.observe_labelled(name, description, vec![label(ledger)], slot);
        }
    }

    fn observe_labelled(&self, name: &'static str, description: &'static str, labels: Vec<KeyValue>, slot: Slot<u64>) {
        let _gauge = self
            .meter
            .u64_observable_gauge(name)
            .with_description(description)
            .with_callback(move |gauge| {
                if let Some(value) = slot.read() {
                    gauge.observe(value, &labels);
                }
            })
            .build();
    }

    /// Counts an action that was granted without the votes that it takes. Rare: the counter is looked up each time.
    pub fn count_glass_broken(&self, ledger: &LedgerId) {
        let counter = self
            .meter
            .u64_counter("daybook_approvals_glass_broken_total")
            .with_description("Actions that were granted in an emergency, without the votes that they take")
            .build();
        counter.add(1, &[label(ledger)]);
    }

    /// Lets go of what the gauges of a ledger are read from, where it is closed or could not be opened. They are shown again
    /// when they are observed again; one that is observed anew meanwhile is read from the newest.
    pub fn forget_gauges(&self, ledger: &LedgerId) {
        self.series.values.forget(ledger);
        self.series.checkpoints.forget(ledger);
        self.series.projectors.forget(ledger);
    }

    /// All metrics in Prometheus text format.
    pub fn render(&self) -> Result<String, TelemetryError> {
        written(&self.registry.gather())
    }

    /// The metrics of one ledger, in Prometheus text format: nothing of the process and nothing of other ledgers.
    pub fn render_of(&self, ledger: &LedgerId) -> Result<String, TelemetryError> {
        let mut families = self.registry.gather();
        for family in &mut families {
            let mut metrics = family.take_metric();
            metrics.retain(|metric| {
                metric.get_label().iter().any(|pair| pair.name() == LEDGER && pair.value() == ledger.as_str())
            });
            family.set_metric(metrics);
        }
        families.retain(|family| !family.get_metric().is_empty());
        written(&families)
    }
}

fn written(families: &[MetricFamily]) -> Result<String, TelemetryError> {
    let mut text = Vec::new();
    TextEncoder::new().encode(families, &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn label(ledger: &LedgerId) -> KeyValue {
    KeyValue::new(LEDGER, ledger.to_string())
}

/// Counts and times requests.
#[derive(Clone)]
pub struct HttpMetrics {
    requests: Counter<u64>,
    duration: Histogram<f64>,
}

impl HttpMetrics {
    /// One answered request; `route` is the pattern, never the path.
    pub fn record(&self, method: &'static str, route: &str, status: u16, elapsed: Duration) {
        let labels = [
            KeyValue::new("http_method", method),
            KeyValue::new("http_route", route.to_owned()),
            KeyValue::new("http_status_code", i64::from(status)),
        ];
        self.requests.add(1, &labels);
        self.duration.record(elapsed.as_secs_f64() * 1_000.0, &labels);
    }
}

/// Counts and times the ledger's commits.
pub struct SequencerMetrics {
    ledger: KeyValue,
    commits: Counter<u64>,
    commands: Counter<u64>,
    entries: Histogram<u64>,
    duration: Histogram<f64>,
    depth: Gauge<u64>,
    rejected: Counter<u64>,
    clock_behind: Gauge<u64>,
}

impl SequencerMetrics {
    fn new(meter: &Meter, ledger: &LedgerId) -> Self {
        Self {
            ledger: label(ledger),
            commits: meter
                .u64_counter("daybook_ledger_commits_total")
                .with_description("Commits that became durable")
                .build(),
            commands: meter
                .u64_counter("daybook_ledger_commands_total")
                .with_description("Commands whose entries became durable")
                .build(),
            entries: meter
                .u64_histogram("daybook_ledger_entries_per_commit")
                .with_description("Entries of one commit")
                .with_boundaries(ENTRIES_BOUNDS.to_vec())
                .build(),
            duration: meter
                .f64_histogram("daybook_ledger_commit_duration_ms")
                .with_description("Time of one commit, in milliseconds")
                .with_boundaries(DURATION_BOUNDS_MS.to_vec())
                .build(),
            depth: meter
                .u64_gauge("daybook_ledger_queue_depth")
                .with_description("Commands that were waiting when the last batch was taken")
                .build(),
            rejected: meter
                .u64_counter("daybook_ledger_rejected_total")
                .with_description("Commands that the ledger did not take, by reason")
                .build(),
            clock_behind: meter
                .u64_gauge("daybook_clock_behind_ms")
                .with_description("How far this machine's clock is behind the newest entry, in milliseconds")
                .build(),
        }
    }
}

impl SequencerObserver for SequencerMetrics {
    fn committed(&self, requests: usize, entries: usize, elapsed: Duration) {
        self.commits.add(1, std::slice::from_ref(&self.ledger));
        self.commands.add(u64::try_from(requests).unwrap_or(u64::MAX), std::slice::from_ref(&self.ledger));
        self.entries.record(u64::try_from(entries).unwrap_or(u64::MAX), std::slice::from_ref(&self.ledger));
        self.duration.record(elapsed.as_secs_f64() * 1_000.0, std::slice::from_ref(&self.ledger));
    }

    fn refused(&self, reason: &'static str) {
        self.rejected.add(1, &[self.ledger.clone(), KeyValue::new("reason", reason)]);
    }

    fn queued(&self, depth: usize) {
        self.depth.record(u64::try_from(depth).unwrap_or(u64::MAX), std::slice::from_ref(&self.ledger));
    }

    fn clock_behind(&self, milliseconds: u64) {
        self.clock_behind.record(milliseconds, std::slice::from_ref(&self.ledger));
    }
}

/// Counts and times checkpoints.
pub struct CheckpointMetrics {
    ledger: KeyValue,
    duration: Histogram<f64>,
    failures: Counter<u64>,
}

impl CheckpointObserver for CheckpointMetrics {
    fn signed(&self, _size: u64, elapsed: Duration) {
        self.duration.record(elapsed.as_secs_f64() * 1_000.0, std::slice::from_ref(&self.ledger));
    }

    fn failed(&self, reason: &'static str) {
        self.failures.add(1, &[self.ledger.clone(), KeyValue::new("reason", reason)]);
    }
}

/// Who may read the process's metrics without credentials; the app's data has it as `web::Data<MetricsAccess>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetricsAccess {
    /// Anybody.
    Open,
    /// Programs on this machine that come without a proxy in between.
    Local,
    /// Nobody.
    #[default]
    Operator,
}

/// What proxies write into requests that they pass on.
const FORWARDING: [&str; 7] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-server", "x-real-ip"];

/// True where the connection itself comes from this machine and nothing says that it is another's request.
fn is_local(request: &HttpRequest) -> bool {
    let is_loopback = request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    is_loopback && !FORWARDING.iter().any(|name| request.headers().contains_key(*name))
}

/// Handler of `/metrics`; expects `web::Data<Telemetry>`. The operator is answered everything, a caller with
/// `system:metrics_read` what is its organisation's, and who shows no credentials everything or a 401: see
/// [`MetricsAccess`].
pub async fn metrics(request: HttpRequest, telemetry: web::Data<Telemetry>) -> Result<HttpResponse, Problem> {
    let access = request.app_data::<web::Data<MetricsAccess>>().map_or_else(MetricsAccess::default, |access| ***access);
    let text = match (Principal::optional(&request)?, access) {
        (Some(principal), _) if principal.is_operator() => telemetry.render(),
        (Some(principal), _) => {
            principal.require::<SystemMetricsRead>()?;
            telemetry.render_of(&principal.organization)
        }
        (None, MetricsAccess::Open) => telemetry.render(),
        (None, MetricsAccess::Local) if is_local(&request) => telemetry.render(),
        (None, MetricsAccess::Local | MetricsAccess::Operator) => {
            return Err(Problem::unauthorized("identity.required", "authentication is required"));
        }
    };
    let text = text.map_err(|error| Problem::internal(&error))?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}

#[cfg(test)]
mod tests;
