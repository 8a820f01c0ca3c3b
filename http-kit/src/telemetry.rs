//! Metrics: OpenTelemetry instruments, read as Prometheus text.
//!
//! A [`Telemetry`] has a registry of its own, so that several can live in one process (as they do in tests).

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, ResponseError, web};
use daybook_ledger::checkpoint::CheckpointObserver;
use daybook_ledger::sequencer::SequencerObserver;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Encoder, Registry, TextEncoder};

use crate::problem::Problem;

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
        Ok(Self { registry, provider, meter })
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

    /// Counts and times the ledger's commits. Hand it to `Ledger::open`.
    pub fn sequencer(&self) -> Arc<SequencerMetrics> {
        Arc::new(SequencerMetrics::new(&self.meter))
    }

    /// Counts and times checkpoints. Hand it to `Checkpointer::open`.
    pub fn checkpoints(&self) -> Arc<CheckpointMetrics> {
        Arc::new(CheckpointMetrics {
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

    /// Gauges of the latest checkpoint; `read` is called at each scrape and must not block.
    pub fn observe_checkpoints(&self, read: impl Fn() -> CheckpointReading + Send + Sync + 'static) {
        let read = Arc::new(read);
        let gauge = |name: &'static str, description: &'static str, of: fn(CheckpointReading) -> Option<u64>| {
            let read = Arc::clone(&read);
            let _gauge = self
                .meter
                .u64_observable_gauge(name)
                .with_description(description)
                .with_callback(move |gauge| {
                    if let Some(value) = of(read()) {
                        gauge.observe(value, &[]);
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

    /// Gauges of the projectors; `read` is called at each scrape and must not block.
    pub fn observe_projectors(&self, read: impl Fn() -> Vec<ProjectorReading> + Send + Sync + 'static) {
        let read = Arc::new(read);
        let positions = Arc::clone(&read);
        // The provider keeps the callbacks; the handles themselves do nothing.
        let _position = self
            .meter
            .u64_observable_gauge("daybook_projector_position")
            .with_description("Entries a projector has folded")
            .with_callback(move |gauge| {
                for reading in positions() {
                    gauge.observe(reading.position, &[KeyValue::new("projector", reading.projector)]);
                }
            })
            .build();
        let _lag = self
            .meter
            .u64_observable_gauge("daybook_projector_lag")
            .with_description("Entries of the ledger that a projector has yet to fold")
            .with_callback(move |gauge| {
                for reading in read() {
                    gauge.observe(reading.lag, &[KeyValue::new("projector", reading.projector)]);
                }
            })
            .build();
    }

    /// A gauge named `name`; `read` is called at each scrape and must not block.
    pub fn observe_gauge(
        &self,
        name: &'static str,
        description: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let _gauge = self
            .meter
            .u64_observable_gauge(name)
            .with_description(description)
            .with_callback(move |gauge| gauge.observe(read(), &[]))
            .build();
    }

    /// All metrics in Prometheus text format.
    pub fn render(&self) -> Result<String, TelemetryError> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
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
    commits: Counter<u64>,
    commands: Counter<u64>,
    entries: Histogram<u64>,
    duration: Histogram<f64>,
    depth: Gauge<u64>,
    rejected: Counter<u64>,
    clock_behind: Gauge<u64>,
}

impl SequencerMetrics {
    fn new(meter: &Meter) -> Self {
        Self {
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
        self.commits.add(1, &[]);
        self.commands.add(u64::try_from(requests).unwrap_or(u64::MAX), &[]);
        self.entries.record(u64::try_from(entries).unwrap_or(u64::MAX), &[]);
        self.duration.record(elapsed.as_secs_f64() * 1_000.0, &[]);
    }

    fn refused(&self, reason: &'static str) {
        self.rejected.add(1, &[KeyValue::new("reason", reason)]);
    }

    fn queued(&self, depth: usize) {
        self.depth.record(u64::try_from(depth).unwrap_or(u64::MAX), &[]);
    }

    fn clock_behind(&self, milliseconds: u64) {
        self.clock_behind.record(milliseconds, &[]);
    }
}

/// Counts and times checkpoints.
pub struct CheckpointMetrics {
    duration: Histogram<f64>,
    failures: Counter<u64>,
}

impl CheckpointObserver for CheckpointMetrics {
    fn signed(&self, _size: u64, elapsed: Duration) {
        self.duration.record(elapsed.as_secs_f64() * 1_000.0, &[]);
    }

    fn failed(&self, reason: &'static str) {
        self.failures.add(1, &[KeyValue::new("reason", reason)]);
    }
}

/// Handler of `/metrics`; expects `web::Data<Telemetry>`.
pub async fn metrics(telemetry: web::Data<Telemetry>) -> HttpResponse {
    match telemetry.render() {
        Ok(text) => HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text),
        Err(error) => Problem::internal(&error).error_response(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn metrics_are_rendered_under_their_names() {
        let telemetry = Telemetry::new().unwrap();
        telemetry.http().record("GET", "/v1/transactions/{id}", 200, Duration::from_millis(3));
        let sequencer = telemetry.sequencer();
        sequencer.committed(2, 5, Duration::from_millis(1));
        sequencer.refused("queue_full");
        sequencer.queued(3);
        telemetry.observe_projectors(|| {
            vec![ProjectorReading { projector: "transactions".to_owned(), position: 7, lag: 2 }]
        });
        telemetry.observe_checkpoints(|| CheckpointReading { latest: Some((9, 4)), is_refused: true });
        let checkpoints = telemetry.checkpoints();
        checkpoints.signed(9, Duration::from_millis(2));
        checkpoints.failed("refused");
        let text = telemetry.render().unwrap();
        for line in [
            "daybook_checkpoint_size 9",
            "daybook_checkpoint_age_seconds 4",
            "daybook_checkpoint_refused 1",
            "daybook_checkpoint_duration_ms_count 1",
            r#"daybook_checkpoint_failures_total{reason="refused"} 1"#,
            r#"http_requests_total{http_method="GET",http_route="/v1/transactions/{id}",http_status_code="200"} 1"#,
            r#"http_request_duration_ms_count{http_method="GET",http_route="/v1/transactions/{id}",http_status_code="200"} 1"#,
            "daybook_ledger_commits_total 1",
            r#"daybook_ledger_entries_per_commit_bucket{le="8"} 1"#,
            r#"daybook_ledger_entries_per_commit_bucket{le="4"} 0"#,
            "daybook_ledger_commit_duration_ms_count 1",
            "daybook_ledger_queue_depth 3",
            r#"daybook_ledger_rejected_total{reason="queue_full"} 1"#,
            r#"daybook_projector_position{projector="transactions"} 7"#,
            r#"daybook_projector_lag{projector="transactions"} 2"#,
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
