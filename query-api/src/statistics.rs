//! Figures over everything, each with a link to the list of the records behind it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use actix_web::HttpResponse;
use daybook_http_kit::permission::StatsRead;
use daybook_http_kit::{Allowed, AtLeast, Problem, Query, Scoped};
use daybook_read_models::stats::{self, PROJECTOR, Range};
use daybook_read_models::time::day;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::answer::AnswerAt;
use crate::freshness::{self, failed};
use crate::parameters::{invalid, ordered, text};
use crate::state::QueryState;
use crate::time::{self, Edge};
use daybook_read_models::figures::{self, IncidentGrouping, TransactionGrouping};

/// The figures of a start page, under the names that older clients read.
#[derive(Debug, Serialize, ToSchema)]
pub struct SummaryView {
    /// Transactions recorded.
    #[schema(example = 1200)]
    total_events: u64,
    /// Incidents opened.
    #[schema(example = 7)]
    total_findings: u64,
    /// Incidents by their present severity.
    findings_by_severity: SeverityCounts,
    /// Transactions by day, oldest first: the newest 1,000 days.
    events_over_time: Vec<DayCount>,
}

/// How many of each severity.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeverityCounts {
    #[schema(example = 3)]
    low: u64,
    #[schema(example = 2)]
    medium: u64,
    #[schema(example = 1)]
    high: u64,
    #[schema(example = 1)]
    critical: u64,
}

/// How many on one day.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayCount {
    /// The UTC day.
    #[schema(example = "2026-11-21")]
    date: String,
    /// How many.
    #[schema(example = 120)]
    count: u64,
}

/// Where the records behind a figure are.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordLinks {
    /// The list of exactly these records.
    #[schema(example = "/v1/transactions?status=completed&currency=EUR&start=2026-11-21&end=2026-11-21")]
    records: String,
}

/// Count and sum of some transactions in one currency. What was not grouped by is missing.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransactionFigure {
    /// The UTC day on which they happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-11-21")]
    day: Option<String>,
    /// Their status now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "completed")]
    status: Option<String>,
    /// Their currency. Always there: amounts of different currencies are never added.
    #[schema(example = "EUR")]
    currency: String,
    /// How many.
    #[schema(example = 12)]
    count: u64,
    /// Exact decimal sum of their amounts.
    #[schema(example = "14814.00")]
    amount_sum: String,
    /// Where they are.
    links: RecordLinks,
}

/// Transactions in figures.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransactionFigures {
    /// What they are grouped by, besides the currency.
    #[schema(example = json!(["day", "currency"]))]
    group_by: Vec<&'static str>,
    /// How many in all rows together.
    #[schema(example = 12)]
    count: u64,
    /// The figures, oldest day first; of days the newest 1,000.
    rows: Vec<TransactionFigure>,
}

/// How many incidents of some kind. What was not grouped by is missing.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentFigure {
    /// The UTC day on which they were opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-11-21")]
    day: Option<String>,
    /// Their severity now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "high")]
    severity: Option<String>,
    /// Their status now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "open")]
    status: Option<String>,
    /// How many.
    #[schema(example = 2)]
    count: u64,
    /// Where they are.
    links: RecordLinks,
}

/// Incidents in figures.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentFigures {
    /// What they are grouped by.
    #[schema(example = json!(["severity"]))]
    group_by: Vec<&'static str>,
    /// How many in all rows together.
    #[schema(example = 2)]
    count: u64,
    /// The figures, oldest day first; of days the newest 1,000.
    rows: Vec<IncidentFigure>,
}

/// Which days.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SummaryParameters {
    /// First UTC day: a date, or any time of that day.
    #[param(example = "2026-11-01")]
    start: Option<String>,
    /// Last UTC day, inclusive: a date, or any time of that day.
    #[param(example = "2026-11-30")]
    end: Option<String>,
}

/// Which days, and how to group.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct FigureParameters {
    /// What to group by, separated by commas. Transactions: `day`, `status`, `currency`, unless given `day`. Incidents:
    /// `day`, `severity`, `status`, unless given `severity`.
    #[param(example = "day,status")]
    group_by: Option<String>,
    /// First UTC day: a date, or any time of that day.
    #[param(example = "2026-11-01")]
    start: Option<String>,
    /// Last UTC day, inclusive: a date, or any time of that day.
    #[param(example = "2026-11-30")]
    end: Option<String>,
}

/// Read the summary
///
/// The totals of a start page: transactions, incidents by severity, and transactions by day.
#[utoipa::path(get, path = "/v1/stats/summary", tag = "statistics", operation_id = "get_summary",
    params(SummaryParameters), responses((status = 200, description = "The summary", body = SummaryView)))]
pub async fn summary(
    _: Allowed<StatsRead>,
    at_least: AtLeast,
    Query(parameters): Query<SummaryParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let range = range(parameters.start.as_deref(), parameters.end.as_deref())?;
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let summary = stats::summary(&state.db, state.ledger_id(), range).await.map_err(failed)?;
    let severities = summary.findings_by_severity;
    Ok(HttpResponse::Ok().position(seen).json(SummaryView {
        total_events: summary.total_events,
        total_findings: summary.total_findings,
        findings_by_severity: SeverityCounts {
            low: severities.low,
            medium: severities.medium,
            high: severities.high,
            critical: severities.critical,
        },
        events_over_time: summary
            .events_over_time
            .into_iter()
            .map(|day| DayCount { date: day.date, count: day.count })
            .collect(),
    }))
}

/// Read transactions in figures
///
/// Transactions counted and summed by any combination of day, status and currency. Sums are exact, and always of one
/// currency.
#[utoipa::path(get, path = "/v1/stats/transactions", tag = "statistics", operation_id = "get_transaction_figures",
    params(FigureParameters),
    responses((status = 200, description = "The figures", body = TransactionFigures)))]
pub async fn transactions(
    _: Allowed<StatsRead>,
    at_least: AtLeast,
    Query(parameters): Query<FigureParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let range = range(parameters.start.as_deref(), parameters.end.as_deref())?;
    let group_by = group_by(parameters.group_by, &["day", "status", "currency"], "day")?;
    let grouping = TransactionGrouping { day: group_by.contains(&"day"), status: group_by.contains(&"status") };
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let cells = figures::transactions(&state.db, state.ledger_id(), range, grouping).await.map_err(failed)?;
    let rows: Vec<TransactionFigure> = cells
        .into_iter()
        .map(|cell| TransactionFigure {
            links: Link::to("/v1/transactions", range, cell.day.as_deref())
                .and("status", cell.status.as_deref())
                .and("currency", Some(&cell.currency))
                .links(),
            day: cell.day,
            status: cell.status,
            currency: cell.currency,
            count: cell.count,
            amount_sum: cell.amount_sum,
        })
        .collect();
    let count = rows.iter().map(|row| row.count).sum();
    Ok(HttpResponse::Ok().position(seen).json(TransactionFigures { group_by, count, rows }))
}

/// Read incidents in figures
///
/// Incidents counted by any combination of the day of opening, severity and status.
#[utoipa::path(get, path = "/v1/stats/incidents", tag = "statistics", operation_id = "get_incident_figures",
    params(FigureParameters),
    responses((status = 200, description = "The figures", body = IncidentFigures)))]
pub async fn incidents(
    _: Allowed<StatsRead>,
    at_least: AtLeast,
    Query(parameters): Query<FigureParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let range = range(parameters.start.as_deref(), parameters.end.as_deref())?;
    let group_by = group_by(parameters.group_by, &["day", "severity", "status"], "severity")?;
    let grouping = IncidentGrouping {
        day: group_by.contains(&"day"),
        severity: group_by.contains(&"severity"),
        status: group_by.contains(&"status"),
    };
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let cells = figures::incidents(&state.db, state.ledger_id(), range, grouping).await.map_err(failed)?;
    let rows: Vec<IncidentFigure> = cells
        .into_iter()
        .map(|cell| IncidentFigure {
            links: Link::to("/v1/incidents", range, cell.day.as_deref())
                .and("severity", cell.severity.as_deref())
                .and("status", cell.status.as_deref())
                .links(),
            day: cell.day,
            severity: cell.severity,
            status: cell.status,
            count: cell.count,
        })
        .collect();
    let count = rows.iter().map(|row| row.count).sum();
    Ok(HttpResponse::Ok().position(seen).json(IncidentFigures { group_by, count, rows }))
}

fn range(start: Option<&str>, end: Option<&str>) -> Result<Range, Problem> {
    let range =
        Range { start: time::parameter("start", start, Edge::Start)?, end: time::parameter("end", end, Edge::End)? };
    ordered("end", range.start, range.end)?;
    Ok(range)
}

/// The words of `group_by`, each once, in the order of `known`.
fn group_by(value: Option<String>, known: &[&'static str], unless_given: &str) -> Result<Vec<&'static str>, Problem> {
    let value = text("group_by", value)?.unwrap_or_else(|| unless_given.to_owned());
    let wanted: BTreeSet<&str> = value.split([',', '|']).map(str::trim).collect();
    if wanted.iter().any(|word| !known.contains(word)) {
        return Err(invalid("group_by", format!("must be some of {}, separated by commas", known.join(", "))));
    }
    Ok(known.iter().copied().filter(|word| wanted.contains(word)).collect())
}

/// A link to a list, built parameter by parameter.
struct Link {
    url: String,
    separator: char,
}

impl Link {
    /// To the records of one day, or else of the whole range; figures are of whole days, so the link is too.
    fn to(path: &str, range: Range, of_day: Option<&str>) -> Self {
        let link = Self { url: path.to_owned(), separator: '?' };
        let (first, last) = (range.start.map(day), range.end.map(day));
        link.and("start", of_day.or(first.as_deref())).and("end", of_day.or(last.as_deref()))
    }

    fn and(mut self, name: &str, value: Option<&str>) -> Self {
        let Some(value) = value else { return self };
        self.url.push(self.separator);
        self.separator = '&';
        self.url.push_str(name);
        self.url.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                self.url.push(char::from(byte));
            } else {
                // Writing into a string cannot fail.
                let _ = write!(self.url, "%{byte:02X}");
            }
        }
        self
    }

    fn links(self) -> RecordLinks {
        RecordLinks { records: self.url }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn link_names_the_day_or_the_days_of_the_range() {
        let range = Range { start: Some(0), end: Some(86_400_000_000) };
        assert_eq!(
            Link::to("/v1/incidents", range, None).and("status", Some("a b&c")).url,
            "/v1/incidents?start=1970-01-01&end=1970-01-02&status=a%20b%26c"
        );
        assert_eq!(Link::to("/x", range, Some("1970-01-02")).url, "/x?start=1970-01-02&end=1970-01-02");
        assert_eq!(Link::to("/x", Range::default(), None).and("a", None).url, "/x");
    }

    #[test]
    fn groupings_are_known_words() {
        let known = ["day", "status", "currency"];
        assert_eq!(group_by(Some("currency,day,day".to_owned()), &known, "day").unwrap(), ["day", "currency"]);
        assert_eq!(group_by(None, &known, "day").unwrap(), ["day"]);
        for bad in ["week", "day,", "day;drop table"] {
            assert_eq!(group_by(Some(bad.to_owned()), &known, "day").unwrap_err().status(), 400);
        }
    }
}
