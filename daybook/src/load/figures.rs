//! What a load test measures: durations by endpoint, statuses, rates.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// One request, answered or not.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Which endpoint of the mix.
    pub endpoint: usize,
    /// HTTP status; 0 where there was no answer.
    pub status: u16,
    /// Whether it was the expected status.
    pub expected: bool,
    /// Until the whole answer was there, in microseconds.
    pub micros: u32,
}

/// Figures of a set of requests. Durations in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    pub count: u64,
    pub errors: u64,
    pub avg_ms: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// Figures of one endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointFigures {
    pub endpoint: String,
    #[serde(flatten)]
    pub figures: Figures,
}

/// All figures of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub url: String,
    pub concurrency: usize,
    pub seconds: f64,
    pub requests_per_second: f64,
    pub success_percent: f64,
    pub all: Figures,
    pub endpoints: Vec<EndpointFigures>,
    /// How often each HTTP status came; 0 for no answer.
    pub statuses: BTreeMap<u16, u64>,
    /// Endpoints of the predecessor's mix that were left out.
    pub left_out: Vec<String>,
}

/// The smallest value that at least `percent` of the values do not exceed (nearest rank). `sorted` ascending.
pub fn percentile(sorted: &[u32], percent: usize) -> u32 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

fn milliseconds(micros: u32) -> f64 {
    f64::from(micros) / 1_000.0
}

/// The figures of some samples.
pub fn figures(samples: &[Sample]) -> Figures {
    let mut micros: Vec<u32> = samples.iter().map(|sample| sample.micros).collect();
    micros.sort_unstable();
    let total: u64 = micros.iter().copied().map(u64::from).sum();
    let count = u64::try_from(samples.len()).unwrap_or(u64::MAX);
    let errors = samples.iter().filter(|sample| !sample.expected).count();
    Figures {
        count,
        errors: u64::try_from(errors).unwrap_or(u64::MAX),
        avg_ms: ratio(total, count) / 1_000.0,
        p50_ms: milliseconds(percentile(&micros, 50)),
        p95_ms: milliseconds(percentile(&micros, 95)),
        p99_ms: milliseconds(percentile(&micros, 99)),
        max_ms: milliseconds(micros.last().copied().unwrap_or(0)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl Report {
    /// Of all samples of a run that took `elapsed`.
    pub fn of(url: &str, concurrency: usize, elapsed: Duration, names: &[String], samples: &[Sample]) -> Self {
        let all = figures(samples);
        let mut statuses = BTreeMap::new();
        for sample in samples {
            *statuses.entry(sample.status).or_insert(0) += 1;
        }
        let endpoints = names
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let own: Vec<Sample> = samples.iter().filter(|sample| sample.endpoint == index).copied().collect();
                EndpointFigures { endpoint: name.clone(), figures: figures(&own) }
            })
            .filter(|endpoint| endpoint.figures.count > 0)
            .collect();
        let seconds = elapsed.as_secs_f64();
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        Self {
            url: url.to_owned(),
            concurrency,
            seconds,
            requests_per_second: ratio(all.count.saturating_mul(1_000_000), micros),
            success_percent: ratio((all.count - all.errors).saturating_mul(100), all.count),
            all,
            endpoints,
            statuses,
            left_out: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<u32> = (1..=100).collect();
        assert_eq!([50, 95, 99, 100].map(|percent| percentile(&values, percent)), [50, 95, 99, 100]);
        assert_eq!(percentile(&[7], 99), 7);
        assert_eq!(percentile(&[1, 2, 3], 50), 2);
        assert_eq!(percentile(&[], 50), 0);
    }

    #[test]
    fn unexpected_statuses_are_errors() {
        let sample = |status, expected, micros| Sample { endpoint: 0, status, expected, micros };
        let samples = [sample(200, true, 1_000), sample(404, false, 3_000), sample(0, false, 2_000)];
        let report = Report::of("http://x", 1, Duration::from_secs(2), &["GET /".to_owned()], &samples);
        assert_eq!((report.all.count, report.all.errors), (3, 2));
        assert!((report.all.avg_ms - 2.0).abs() < 1e-9 && (report.requests_per_second - 1.5).abs() < 1e-9);
        assert_eq!(report.statuses, BTreeMap::from([(0, 1), (200, 1), (404, 1)]));
    }
}
